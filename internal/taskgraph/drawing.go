package taskgraph

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/seed-c8812374/nexus"
)

// drawing is a graph as it is drawn: nodes have numbers instead of ids, which may
// hold anything.
type drawing struct {
	graph    *nexus.TaskGraph
	places   map[string]int
	critical map[string]bool   // the tasks of the critical path
	next     map[string]string // which of them follows which
	comments []string
}

func newDrawing(g *nexus.TaskGraph, s *Summary) *drawing {
	d := &drawing{graph: g, places: make(map[string]int), critical: make(map[string]bool), next: make(map[string]string)}
	for i := range g.Nodes {
		d.places[g.Nodes[i].ID] = i
	}
	for i, id := range s.CriticalPath {
		d.critical[id] = true
		if i > 0 {
			d.next[s.CriticalPath[i-1]] = id
		}
	}
	for _, fact := range s.Facts() {
		d.comments = append(d.comments, label(fact[0]+": "+fact[1], 1000))
	}
	if len(s.CriticalPath) > 0 {
		d.comments = append(d.comments, label("That is: "+path(s.CriticalPath), 1000))
	}
	return d
}

// edge is an arrow from a task to one that may begin after it.
type edge struct {
	from, to int
	critical bool
}

func (d *drawing) edges() []edge {
	list := make([]edge, len(d.graph.Edges))
	for i, e := range d.graph.Edges {
		next, on := d.next[e.DependsOn]
		list[i] = edge{d.places[e.DependsOn], d.places[e.TaskID], on && next == e.TaskID}
	}
	return list
}

// class is what a node looks like.
type class struct{ name, fill, stroke string }

var classes = map[nexus.TaskStatus]class{
	nexus.TaskPending:    {"pending", "#f1f3f5", "#868e96"},
	nexus.TaskAssigned:   {"assigned", "#d0ebff", "#1971c2"},
	nexus.TaskInProgress: {"in_progress", "#a5d8ff", "#1971c2"},
	nexus.TaskBlocked:    {"blocked", "#ffec99", "#e67700"},
	nexus.TaskCompleted:  {"completed", "#d3f9d8", "#2b8a3e"},
	nexus.TaskFailed:     {"failed", "#ffc9c9", "#c92a2a"},
	nexus.TaskSkipped:    {"skipped", "#e9ecef", "#868e96"},
	nexus.TaskEscalated:  {"escalated", "#ffd8a8", "#d9480f"},
}

func classOf(n *nexus.TaskNode) class {
	switch known, is := classes[n.Status]; {
	case n.Missing:
		return class{"missing", "#ffffff", "#c92a2a"}
	case n.Outside:
		return class{"outside", "#ffffff", "#868e96"}
	case n.Ready && n.Status == nexus.TaskPending:
		return class{"ready", "#fff3bf", "#f08c00"}
	case is:
		return known
	default:
		return class{"other", "#f3d9fa", "#862e9c"}
	}
}

// lines are the text in a node.
func lines(n *nexus.TaskNode) []string {
	const longestName, longestID = 60, 40
	name, id := label(n.Name, longestName), label(n.ID, longestID)
	switch {
	case n.Missing:
		return []string{id, "does not exist"}
	case n.Outside:
		return []string{name, id + ", " + label(string(n.Status), longestID) + ", outside"}
	case n.Status.Ended():
		return []string{name, id + ", " + string(n.Status)}
	case n.Ready:
		return []string{name, fmt.Sprintf("%s, ready, %s", id, duration(Minutes(n)))}
	default:
		return []string{name, fmt.Sprintf("%s, %s, %s", id, label(string(n.Status), longestID), duration(Minutes(n)))}
	}
}

// joiner makes one emoji of several. The other characters that cannot be seen turn
// the direction of text round, or hide what is there.
const joiner = '\u200d'

// label makes a text one line of at most so many characters, all of which can be
// seen.
func label(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	n, cut := 0, 0
	for i := range text {
		if n == most {
			text = text[:cut] + "…"
			break
		}
		n, cut = n+1, i
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != joiner {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
