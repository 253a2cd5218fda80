package graph

import (
	"cmp"
	"slices"
)

// Schedule is what comes of doing each node as early as possible, by as many as
// are needed. An edge leads from a node to one that has to be done before it.
type Schedule struct {
	// Cyclic are the nodes that lie on a cycle, lowest first. They can never be
	// done, and the rest of the schedule is as if they were not there.
	Cyclic []int
	// Longest is a path that takes as long as the whole does, in the order in
	// which its nodes are done; of several the one with the lowest nodes, from
	// its end.
	Longest []int
	Length  int // how long that is
	Total   int // how long all nodes take, one after the other
	Peak    int // the largest number of nodes that are being done at the same time
	Levels  int // the number of nodes of the path with the most
}

// Earliest computes the schedule of nodes that take as long as durations says,
// which must be positive.
func Earliest(edges [][]int, durations []int) Schedule {
	var s Schedule
	cyclic := make([]bool, len(edges))
	var order []int // of the others, each after what it needs
	for _, group := range components(edges) {
		if len(group) == 1 && !slices.Contains(edges[group[0]], group[0]) {
			order = append(order, group[0])
			continue
		}
		s.Cyclic = append(s.Cyclic, group...)
		for _, node := range group {
			cyclic[node] = true
		}
	}
	slices.Sort(s.Cyclic)

	const none = -1
	end := make([]int, len(edges))
	level := make([]int, len(edges))
	after := make([]int, len(edges)) // the node that each waits for longest
	last := none
	for _, node := range order {
		after[node] = none
		for _, before := range edges[node] {
			if cyclic[before] {
				continue
			}
			level[node] = max(level[node], level[before])
			if a := after[node]; a == none || end[before] > end[a] || end[before] == end[a] && before < a {
				after[node] = before
			}
		}
		level[node]++
		end[node] = durations[node]
		if a := after[node]; a != none {
			end[node] += end[a]
		}
		s.Total += durations[node]
		s.Levels = max(s.Levels, level[node])
		if last == none || end[node] > end[last] || end[node] == end[last] && node < last {
			last = node
		}
	}
	if last != none {
		s.Length = end[last]
	}
	for node := last; node != none; node = after[node] {
		s.Longest = append(s.Longest, node)
	}
	slices.Reverse(s.Longest)
	s.Peak = peak(order, end, durations)
	return s
}

// peak counts how many nodes are being done at the time when most are. One that
// begins when another ends is not beside it.
func peak(nodes, end, durations []int) int {
	type change struct{ at, by int }
	changes := make([]change, 0, 2*len(nodes))
	for _, node := range nodes {
		changes = append(changes, change{end[node] - durations[node], 1}, change{end[node], -1})
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.by, b.by)) })
	now, most := 0, 0
	for _, c := range changes {
		now += c.by
		most = max(most, now)
	}
	return most
}
