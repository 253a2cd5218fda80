// Package taskgraph says what a graph of tasks means for the work, and draws it.
package taskgraph

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/graph"
)

// Summary is what a graph means for the work. It is about the tasks that were
// chosen; what they depend on outside of the choice has no part in its numbers.
type Summary struct {
	Tasks    int                      `json:"tasks"`
	ByStatus map[nexus.TaskStatus]int `json:"by_status"`
	Open     int                      `json:"open"`  // that have not ended
	Ready    int                      `json:"ready"` // that can be claimed now
	// WaitingOutside is how many wait for a task outside of the choice, or for one
	// that does not exist.
	WaitingOutside int `json:"waiting_outside"`

	// SideBySide is how many are at work at the same time when each begins as
	// soon as it may, and takes as long as was estimated, but a minute at least.
	SideBySide int `json:"side_by_side"`
	// Levels is how many come one after the other at most.
	Levels int `json:"levels"`
	// TotalMinutes is how long one worker takes for what has not ended, and
	// CriticalMinutes how long any number of workers take.
	TotalMinutes    int `json:"total_minutes"`
	CriticalMinutes int `json:"critical_minutes"`
	// CriticalPath are the tasks that make it take so long, first to be done first.
	CriticalPath []string `json:"critical_path"`

	// OnCycle are the tasks that lie on a cycle. They can never be done, and are
	// not counted in the schedule. Cycles has a shortest one for each group of them.
	OnCycle []string   `json:"on_cycle"`
	Cycles  [][]string `json:"cycles"`
}

// mostMinutes keeps sums of what another program has written from overflowing.
const mostMinutes = 1_000_000

// Minutes is how long a task takes in the schedule.
func Minutes(n *nexus.TaskNode) int { return min(max(n.EstimatedMinutes, 1), mostMinutes) }

// Summarize computes the summary of a graph.
func Summarize(g *nexus.TaskGraph) *Summary {
	s := &Summary{ByStatus: make(map[nexus.TaskStatus]int), CriticalPath: []string{}, OnCycle: []string{}, Cycles: [][]string{}}
	var ids []string // of the tasks that are chosen and open
	var durations []int
	places := make(map[string]int)
	holding := make(map[string]bool) // nodes outside that hold others up
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Outside {
			holding[n.ID] = n.Missing || !n.Status.Ended()
			continue
		}
		s.Tasks++
		s.ByStatus[n.Status]++
		if n.Ready {
			s.Ready++
		}
		if !n.Status.Ended() {
			places[n.ID] = len(ids)
			ids = append(ids, n.ID)
			durations = append(durations, Minutes(n))
		}
	}
	s.Open = len(ids)
	edges := make([][]int, len(ids))
	waiting := make(map[int]bool)
	for _, e := range g.Edges {
		task, open := places[e.TaskID]
		if !open {
			continue
		}
		if on, open := places[e.DependsOn]; open {
			edges[task] = append(edges[task], on)
		} else if holding[e.DependsOn] {
			waiting[task] = true
		}
	}
	s.WaitingOutside = len(waiting)
	s.schedule(ids, edges, durations)
	return s
}

func (s *Summary) schedule(ids []string, edges [][]int, durations []int) {
	plan := graph.Earliest(edges, durations)
	s.SideBySide, s.Levels, s.TotalMinutes, s.CriticalMinutes = plan.Peak, plan.Levels, plan.Total, plan.Length
	for _, node := range plan.Longest {
		s.CriticalPath = append(s.CriticalPath, ids[node])
	}
	for _, node := range plan.Cyclic {
		s.OnCycle = append(s.OnCycle, ids[node])
	}
	if len(plan.Cyclic) == 0 {
		return
	}
	for _, nodes := range graph.Cycles(edges) {
		var cycle []string
		for _, node := range nodes {
			cycle = append(cycle, ids[node])
		}
		s.Cycles = append(s.Cycles, cycle)
	}
}

// Facts returns the summary for people: what each fact is called, and what it is.
func (s *Summary) Facts() [][]string {
	facts := [][]string{
		{"Tasks", fmt.Sprint(s.Tasks)},
		{"Ready now", fmt.Sprint(s.Ready)},
		{"Side by side", fmt.Sprintf("%d at most", s.SideBySide)},
		{"Levels", fmt.Sprint(s.Levels)},
		{"Work left", duration(s.TotalMinutes)},
		{"Critical path", fmt.Sprintf("%s, %s", duration(s.CriticalMinutes), counted(len(s.CriticalPath), "task"))},
	}
	if s.Tasks > 0 {
		facts[0][1] += ": " + s.statuses()
	}
	if s.WaitingOutside > 0 {
		facts = append(facts, []string{"Held up", counted(s.WaitingOutside, "task") + " by tasks outside of this graph"})
	}
	if len(s.OnCycle) > 0 {
		facts = append(facts, []string{"Impossible", fmt.Sprintf("%s can never be done, not counted above", counted(len(s.OnCycle), "task"))})
	}
	for _, cycle := range s.Cycles {
		facts = append(facts, []string{"Cycle", path(append(slices.Clone(cycle), cycle[0]))})
	}
	return facts
}

// statuses are the numbers of tasks by status, largest first.
func (s *Summary) statuses() string {
	names := slices.SortedFunc(maps.Keys(s.ByStatus), func(a, b nexus.TaskStatus) int {
		return cmp.Or(cmp.Compare(s.ByStatus[b], s.ByStatus[a]), cmp.Compare(a, b))
	})
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = fmt.Sprintf("%d %s", s.ByStatus[name], name)
	}
	return strings.Join(parts, ", ")
}

// path shows tasks that follow each other; of a long one it leaves out the middle.
func path(ids []string) string {
	const most = 20
	if len(ids) > most {
		ids = slices.Concat(ids[:most/2], []string{fmt.Sprintf("%d more", len(ids)-most)}, ids[len(ids)-most/2:])
	}
	return strings.Join(ids, " → ")
}

// duration shows minutes.
func duration(minutes int) string {
	hours, rest := minutes/60, minutes%60
	switch {
	case hours == 0:
		return fmt.Sprintf("%d min", rest)
	case rest == 0:
		return fmt.Sprintf("%d h", hours)
	default:
		return fmt.Sprintf("%d h %d min", hours, rest)
	}
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
