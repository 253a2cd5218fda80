package taskgraph

import (
	"fmt"
	"strings"

	"github.com/seed-c8812374/nexus"
)

// DOT returns the graph in the language of Graphviz. Arrows lead to what may begin
// afterwards; the thick ones are the critical path.
func DOT(g *nexus.TaskGraph, s *Summary) string {
	d := newDrawing(g, s)
	var b strings.Builder
	b.WriteString("digraph nexus {\n")
	for _, line := range d.comments {
		b.WriteString("    // " + line + "\n")
	}
	b.WriteString("    node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica,Arial,sans-serif\"]\n")
	for i := range g.Nodes {
		n := &g.Nodes[i]
		c := classOf(n)
		parts := lines(n)
		for i := range parts {
			parts[i] = dotEscape(parts[i])
		}
		more := ""
		if n.Outside {
			more = `, style="rounded,filled,dashed"`
		}
		if d.critical[n.ID] {
			more += ", penwidth=3"
		}
		fmt.Fprintf(&b, "    n%d [label=\"%s\", class=\"%s\", fillcolor=\"%s\", color=\"%s\"%s]\n",
			i, strings.Join(parts, `\n`), c.name, c.fill, c.stroke, more)
	}
	for _, e := range d.edges() {
		more := ""
		if e.critical {
			more = " [penwidth=3]"
		}
		fmt.Fprintf(&b, "    n%d -> n%d%s\n", e.from, e.to, more)
	}
	b.WriteString("}\n")
	return b.String()
}

// dotEscape makes a text one that Graphviz shows as it is within quotes. Besides
// quotes and backslashes it gives meaning to the entities of HTML.
var dotEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `&`, `&amp;`)

func dotEscape(text string) string { return dotEscaper.Replace(text) }
