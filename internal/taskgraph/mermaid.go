package taskgraph

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/seed-c8812374/nexus"
)

// What Mermaid draws unless whoever runs it allows more.
const (
	mermaidEdges = 500
	mermaidText  = 50_000
)

// Mermaid returns the graph as a flow chart of Mermaid. Arrows lead to what may
// begin afterwards; the thick ones are the critical path.
func Mermaid(g *nexus.TaskGraph, s *Summary) string {
	d := newDrawing(g, s)
	var b strings.Builder
	used := make(map[string]class)
	var critical []string
	for i := range g.Nodes {
		n := &g.Nodes[i]
		c := classOf(n)
		used[c.name] = c
		parts := lines(n)
		for i := range parts {
			parts[i] = mermaidEscape(parts[i])
		}
		left, right := "[", "]"
		if n.Outside {
			left, right = "([", "])"
		}
		fmt.Fprintf(&b, "    n%d%s\"%s\"%s:::%s\n", i, left, strings.Join(parts, "<br/>"), right, c.name)
		if d.critical[n.ID] {
			critical = append(critical, fmt.Sprintf("n%d", i))
		}
	}
	for _, e := range d.edges() {
		arrow := "-->"
		if e.critical {
			arrow = "==>"
		}
		fmt.Fprintf(&b, "    n%d %s n%d\n", e.from, arrow, e.to)
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		c := used[name]
		dashed := ""
		if name == "outside" || name == "missing" {
			dashed = ",stroke-dasharray:5 5"
		}
		fmt.Fprintf(&b, "    classDef %s fill:%s,stroke:%s,color:#212529%s\n", c.name, c.fill, c.stroke, dashed)
	}
	if len(critical) > 0 {
		b.WriteString("    classDef critical stroke-width:4px\n")
		fmt.Fprintf(&b, "    class %s critical\n", strings.Join(critical, ","))
	}

	if len(g.Edges) > mermaidEdges || b.Len() > mermaidText {
		d.comments = append(d.comments, fmt.Sprintf(
			"Mermaid draws no more than %d edges and %d characters, unless its maxEdges and maxTextSize are raised",
			mermaidEdges, mermaidText))
	}
	var head strings.Builder
	head.WriteString("flowchart TD\n")
	for _, line := range d.comments {
		// %%{…}%% would be an instruction wherever it stands.
		fmt.Fprintf(&head, "    %%%% %s\n", strings.ReplaceAll(line, "%", "#37;"))
	}
	return head.String() + b.String()
}

// mermaidEscape makes a text one that Mermaid shows as it is within quotes. What
// is neither a letter nor harmless becomes its number: Mermaid gives meaning to
// quotes, brackets, %%, HTML, # and even to "style:", and takes the rest for
// Markdown, where "1." or "-" begins a list that it refuses to draw.
func mermaidEscape(text string) string {
	runes := []rune(text)
	word := func(i int) bool {
		return i >= 0 && i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i])) && runes[i] != mermaidMark
	}
	var b strings.Builder
	for i, r := range runes {
		switch {
		case word(i), unicode.IsMark(r), strings.ContainsRune(" ,/!?…", r), strings.ContainsRune("-_", r) && word(i-1) && word(i+1):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "#%d;", r)
		}
		if strings.ContainsRune(mermaidSignsBegin, r) && beginsSign(string(runes[i:min(i+4, len(runes))])) {
			fmt.Fprintf(&b, "#%d;", wordJoiner)
		}
	}
	return b.String()
}

// mermaidSigns mean something to Mermaid even after it has read them as numbers:
// the end of a line, an icon, a formula, and its own mark of what it has escaped.
// A character that cannot be seen, after the first, takes the meaning away.
var mermaidSigns = []string{`\n`, ":fa-", "$$", string(mermaidMark) + "°", "¶ß"}

const (
	mermaidSignsBegin = `\:$ﬂ¶`
	mermaidMark       = 'ﬂ'
	wordJoiner        = '\u2060'
)

func beginsSign(text string) bool {
	return slices.ContainsFunc(mermaidSigns, func(sign string) bool { return strings.HasPrefix(text, sign) })
}
