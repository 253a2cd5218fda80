package taskmaster

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/seed-c8812374/nexus/internal/graph"
)

// An edge leads from an item to one that it depends on.
type edge struct {
	to   int
	kind edgeKind
}

// edgeKind says where an edge comes from.
type edgeKind int

const (
	given     edgeKind = iota // it is in the file
	part                      // a task depends on its subtasks
	inherited                 // a subtask without dependencies of its own waits for what its parent waits for
)

// link turns what items depend on into dependencies of the document's tasks.
func (c *converter) link() {
	edges := make([][]edge, len(c.items))
	for i := range c.items {
		c.linkGiven(edges, i)
	}
	for i, it := range c.items {
		if it.parent >= 0 {
			addEdge(edges, it.parent, edge{i, part})
		}
	}
	for i, it := range c.items {
		if it.parent < 0 || len(edges[i]) > 0 {
			continue
		}
		for _, e := range edges[it.parent] {
			if e.kind == given && e.to != i {
				addEdge(edges, i, edge{e.to, inherited})
			}
		}
	}
	c.breakCycles(edges)
	for i := range c.items {
		task := &c.document.Tasks[i]
		task.Fields.Metadata = c.items[i].metadata()
		task.DependsOn = []string{}
		for _, e := range edges[i] {
			task.DependsOn = append(task.DependsOn, c.document.Tasks[e.to].Key)
			switch e.kind {
			case given:
				c.report.Dependencies++
			case part:
				c.report.Parts++
			case inherited:
				c.report.Inherited++
			}
		}
	}
}

func (c *converter) linkGiven(edges [][]edge, i int) {
	it := &c.items[i]
	for _, want := range it.wants {
		to, found := c.find(it, want)
		switch {
		case !found:
			c.leftOut(i, "depends on %s, which is not in the tag", want)
		case to == i:
			c.leftOut(i, "depends on itself")
		case !addEdge(edges, i, edge{to, given}):
			c.note(c.document.Tasks[i].Key, "depends on %s twice; once is kept", want)
		}
	}
}

// find returns the item that a dependency means. Among subtasks a bare number is
// a sibling, and only if there is none a task; 5.2 is always subtask 2 of task 5.
func (c *converter) find(it *item, want string) (int, bool) {
	if it.parent >= 0 {
		if to, found := c.known[[2]string{it.tag, c.items[it.parent].id + "." + want}]; found {
			return to, true
		}
	}
	to, found := c.known[[2]string{it.tag, want}]
	return to, found
}

func addEdge(edges [][]edge, from int, e edge) bool {
	if slices.ContainsFunc(edges[from], func(other edge) bool { return other.to == e.to }) {
		return false
	}
	edges[from] = append(edges[from], e)
	return true
}

// leftOut notes a dependency that cannot be kept. The metadata has what the file
// said.
func (c *converter) leftOut(i int, format string, args ...any) {
	c.note(c.document.Tasks[i].Key, format+"; that dependency is left out", args...)
	it := &c.items[i]
	it.kept["dependencies"] = json.RawMessage(c.source.Raw(it.place.Member("dependencies")))
}

// breakCycles takes one edge out of each cycle until there is none: an edge that
// is not in the file, else one of a task that has ended and waits for nothing any
// more, else the last.
func (c *converter) breakCycles(edges [][]edge) {
	for {
		plain := make([][]int, len(edges))
		for i, list := range edges {
			for _, e := range list {
				plain[i] = append(plain[i], e.to)
			}
		}
		cycles := graph.Cycles(plain)
		if len(cycles) == 0 {
			return
		}
		for _, cycle := range cycles {
			c.breakCycle(edges, cycle)
		}
	}
}

func (c *converter) breakCycle(edges [][]edge, cycle []int) {
	// cost says how much is lost with the edge that leaves the nth of the cycle.
	cost := func(n int) (from, at, cost int) {
		from = cycle[n]
		to := cycle[(n+1)%len(cycle)]
		at = slices.IndexFunc(edges[from], func(e edge) bool { return e.to == to })
		status := c.document.Tasks[from].Fields.Status
		switch {
		case edges[from][at].kind != given:
			return from, at, 0
		case status != nil && status.Ended():
			return from, at, 1
		default:
			return from, at, 2
		}
	}
	cheapest, lowest := len(cycle)-1, 3
	for n := range cycle {
		if _, _, price := cost(n); price <= lowest {
			cheapest, lowest = n, price
		}
	}
	from, at, _ := cost(cheapest)
	cut := edges[from][at]
	edges[from] = slices.Delete(edges[from], at, at+1)
	names := make([]string, 0, len(cycle)+1)
	for _, n := range append(cycle, cycle[0]) {
		names = append(names, c.document.Tasks[n].Key)
	}
	way, to := strings.Join(names, " → "), c.document.Tasks[cut.to].Key
	if cut.kind == given {
		c.leftOut(from, "depends on %s in a cycle (%s)", to, way)
	} else {
		c.note(c.document.Tasks[from].Key, "does not wait for %s, as it would by rule: that would be a cycle (%s)", to, way)
	}
}
