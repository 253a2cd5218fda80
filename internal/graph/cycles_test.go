package graph_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus/internal/graph"
)

func TestCycles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		edges [][]int
		want  [][]int
	}{
		"nothing":         {nil, nil},
		"a chain":         {[][]int{{1}, {2}, {}}, nil},
		"a diamond":       {[][]int{{1, 2}, {3}, {3}, {}}, nil},
		"a loop":          {[][]int{{}, {1}}, [][]int{{1}}},
		"two":             {[][]int{{1}, {0}}, [][]int{{0, 1}}},
		"a tail":          {[][]int{{1}, {2}, {3}, {1}}, [][]int{{1, 2, 3}}},
		"the shorter one": {[][]int{{1, 2}, {2}, {0}}, [][]int{{0, 2}}},
		"apart":           {[][]int{{1}, {0}, {3}, {2}}, [][]int{{0, 1}, {2, 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, graph.Cycles(test.edges)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A graph has a cycle exactly if it cannot be sorted by taking away nodes that
// lead nowhere, and what is reported is really there.
func TestCyclesProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "nodes")
		edges := make([][]int, n)
		for i := range edges {
			edges[i] = rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 0, min(n, 3), rapid.ID).Draw(t, "edges")
		}
		cycles := graph.Cycles(edges)
		if sortable(edges) != (len(cycles) == 0) {
			t.Fatalf("%v: cycles %v", edges, cycles)
		}
		for _, cycle := range cycles {
			for i, node := range cycle {
				if next := cycle[(i+1)%len(cycle)]; !slices.Contains(edges[node], next) {
					t.Fatalf("%v: no edge from %d to %d of cycle %v", edges, node, next, cycle)
				}
			}
		}
	})
}

func sortable(edges [][]int) bool {
	gone := make([]bool, len(edges))
	for range edges {
		for node, next := range edges {
			if !slices.ContainsFunc(next, func(n int) bool { return !gone[n] }) {
				gone[node] = true
			}
		}
	}
	return !slices.Contains(gone, false)
}
