package graph_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus/internal/graph"
)

func TestEarliest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		edges     [][]int
		durations []int
		want      graph.Schedule
	}{
		"nothing": {nil, nil, graph.Schedule{}},
		"one":     {[][]int{{}}, []int{5}, graph.Schedule{Longest: []int{0}, Length: 5, Total: 5, Peak: 1, Levels: 1}},
		"a chain": {
			[][]int{{}, {0}, {1}},
			[]int{5, 10, 15},
			graph.Schedule{Longest: []int{0, 1, 2}, Length: 30, Total: 30, Peak: 1, Levels: 3},
		},
		"apart": {
			[][]int{{}, {}, {}},
			[]int{5, 10, 10},
			graph.Schedule{Longest: []int{1}, Length: 10, Total: 25, Peak: 3, Levels: 1},
		},
		"long beats many": {
			[][]int{{}, {0}, {1}, {}, {3}},
			[]int{1, 1, 1, 50, 1},
			graph.Schedule{Longest: []int{3, 4}, Length: 51, Total: 54, Peak: 2, Levels: 3},
		},
		// 1 and 2 end before 3 begins, and 4 goes on all the time.
		"no more than at the same time": {
			[][]int{{}, {}, {}, {1, 2}, {}},
			[]int{1, 5, 5, 5, 10},
			graph.Schedule{Longest: []int{1, 3}, Length: 10, Total: 26, Peak: 4, Levels: 2},
		},
		"a loop":       {[][]int{{0}}, []int{5}, graph.Schedule{Cyclic: []int{0}}},
		"only a cycle": {[][]int{{1}, {0}}, []int{5, 5}, graph.Schedule{Cyclic: []int{0, 1}}},
		"around cycles": {
			[][]int{{}, {0, 2}, {1}, {2}, {3, 0}}, // 1 and 2 wait for each other
			[]int{2, 50, 50, 3, 4},
			graph.Schedule{Cyclic: []int{1, 2}, Longest: []int{3, 4}, Length: 7, Total: 9, Peak: 2, Levels: 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, graph.Earliest(test.edges, test.durations)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A schedule is what trying every path and looking at every minute finds.
func TestEarliestProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 8).Draw(t, "nodes")
		edges := make([][]int, n)
		durations := make([]int, n)
		// Most graphs that are drawn without care have a cycle through everything.
		back := rapid.Bool().Draw(t, "cycles")
		for i := range edges {
			durations[i] = rapid.IntRange(1, 6).Draw(t, "duration")
			highest := i - 1
			if back {
				highest = n - 1
			}
			if highest >= 0 {
				edges[i] = rapid.SliceOfNDistinct(rapid.IntRange(0, highest), 0, min(highest+1, 3), rapid.ID).Draw(t, "edges")
			}
		}
		got := graph.Earliest(edges, durations)
		want := bruteForce(edges, durations)
		if got.Longest = slices.Clone(got.Longest); !isPath(edges, got.Longest) || sum(durations, got.Longest) != got.Length {
			t.Fatalf("%v: %v is no path of length %d", edges, got.Longest, got.Length)
		}
		got.Longest = nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%v %v: %s", edges, durations, diff)
		}
		if got.Peak > n || got.Length > got.Total || got.Levels > n-len(got.Cyclic) {
			t.Fatalf("%v %v: %+v", edges, durations, got)
		}
	})
}

// bruteForce is Earliest without Longest, and without thinking.
func bruteForce(edges [][]int, durations []int) (s graph.Schedule) {
	cyclic := make([]bool, len(edges))
	for node := range edges {
		if cyclic[node] = reaches(edges, node, node); cyclic[node] {
			s.Cyclic = append(s.Cyclic, node)
		} else {
			s.Total += durations[node]
		}
	}
	// length and count of the longest paths that end with a node
	var longest func(node int) (length, count int)
	longest = func(node int) (length, count int) {
		for _, before := range edges[node] {
			if !cyclic[before] {
				l, c := longest(before)
				length, count = max(length, l), max(count, c)
			}
		}
		return length + durations[node], count + 1
	}
	busy := make(map[int]int) // by minute
	for node := range edges {
		if cyclic[node] {
			continue
		}
		length, count := longest(node)
		s.Length, s.Levels = max(s.Length, length), max(s.Levels, count)
		for minute := length - durations[node]; minute < length; minute++ {
			busy[minute]++
			s.Peak = max(s.Peak, busy[minute])
		}
	}
	return s
}

// reaches reports whether there is a way of at least one edge.
func reaches(edges [][]int, from, to int) bool {
	seen := make([]bool, len(edges))
	queue := slices.Clone(edges[from])
	for len(queue) > 0 {
		node := queue[0]
		queue = queue[1:]
		if node == to {
			return true
		}
		if !seen[node] {
			seen[node] = true
			queue = append(queue, edges[node]...)
		}
	}
	return false
}

func isPath(edges [][]int, path []int) bool {
	for i := 1; i < len(path); i++ {
		if !slices.Contains(edges[path[i]], path[i-1]) {
			return false
		}
	}
	return true
}

func sum(durations, nodes []int) (total int) {
	for _, node := range nodes {
		total += durations[node]
	}
	return total
}

// A chain of a million tasks is no reason to recurse a million deep.
func TestEarliestDeep(t *testing.T) {
	t.Parallel()
	const n = 1_000_000
	edges, durations := make([][]int, n), make([]int, n)
	for i := range n {
		durations[i] = 1
		if i > 0 {
			edges[i] = []int{i - 1}
		}
	}
	got := graph.Earliest(edges, durations)
	if got.Length != n || got.Levels != n || got.Peak != 1 || len(got.Longest) != n {
		t.Errorf("length %d, levels %d, peak %d", got.Length, got.Levels, got.Peak)
	}
}
