// Package graph answers questions about directed graphs, whose nodes are the
// numbers from 0 and whose edges lead from edges[n] to each node in it.
package graph

import "slices"

// Cycles returns a shortest cycle through the lowest node of each group of nodes
// that all reach each other; none means that the graph has no cycle. A cycle is
// a list of nodes, each with an edge to the next and the last with one to the
// first. It takes time in proportion to the nodes and edges of the graph.
func Cycles(edges [][]int) [][]int {
	var cycles [][]int
	for _, group := range components(edges) {
		lowest := slices.Min(group)
		if len(group) > 1 || slices.Contains(edges[lowest], lowest) {
			cycles = append(cycles, shortestCycle(edges, group, lowest))
		}
	}
	slices.SortFunc(cycles, func(a, b []int) int { return a[0] - b[0] })
	return cycles
}

// components returns the strongly connected components. The algorithm is
// Tarjan's, with a stack of its own: a chain of a million tasks is no reason to
// recurse a million deep.
func components(edges [][]int) (groups [][]int) {
	const unseen = -1
	n := len(edges)
	order := make([]int, n)  // in which a node was first seen
	lowest := make([]int, n) // the earliest node that it reaches on the stack
	onStack := make([]bool, n)
	for i := range order {
		order[i] = unseen
	}
	type frame struct{ node, edge int }
	var stack []int
	var calls []frame
	seen := 0
	enter := func(node int) {
		order[node], lowest[node] = seen, seen
		seen++
		stack = append(stack, node)
		onStack[node] = true
		calls = append(calls, frame{node, 0})
	}
	for root := range n {
		if order[root] != unseen {
			continue
		}
		enter(root)
		for len(calls) > 0 {
			top := &calls[len(calls)-1]
			if top.edge < len(edges[top.node]) {
				next := edges[top.node][top.edge]
				top.edge++
				if order[next] == unseen {
					enter(next)
				} else if onStack[next] {
					lowest[top.node] = min(lowest[top.node], order[next])
				}
				continue
			}
			node := top.node
			calls = calls[:len(calls)-1]
			if len(calls) > 0 {
				caller := calls[len(calls)-1].node
				lowest[caller] = min(lowest[caller], lowest[node])
			}
			if lowest[node] == order[node] {
				from := len(stack) - 1
				for stack[from] != node {
					from--
				}
				group := slices.Clone(stack[from:])
				stack = stack[:from]
				for _, member := range group {
					onStack[member] = false
				}
				groups = append(groups, group)
			}
		}
	}
	return groups
}

// shortestCycle looks breadth-first for the way from start back to start within
// its group.
func shortestCycle(edges [][]int, group []int, start int) []int {
	inside := make(map[int]bool, len(group))
	for _, node := range group {
		inside[node] = true
	}
	cameFrom := make(map[int]int, len(group))
	queue := []int{start}
	for {
		node := queue[0]
		queue = queue[1:]
		for _, next := range edges[node] {
			if next == start {
				cycle := []int{node}
				for node != start {
					node = cameFrom[node]
					cycle = append(cycle, node)
				}
				slices.Reverse(cycle)
				return cycle
			}
			if _, seen := cameFrom[next]; !seen && inside[next] {
				cameFrom[next] = node
				queue = append(queue, next)
			}
		}
	}
}
