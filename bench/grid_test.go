package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

func someGrid() *grid {
	b := &bench{}
	g := b.grid("ready", "Ready", "")
	for _, v := range []float64{3, 1, 2, 5, 4} {
		g.add("**Nexus**", "1,000", v)
		g.add("**Nexus**", "10,000", 10*v)
	}
	g.add("peer", "1,000", 12_345.6)
	g.say("peer", "10,000", "cannot")
	return g
}

func TestGridMarkdown(t *testing.T) {
	t.Parallel()
	const want = `| | 1,000 | 10,000 |
|---|---:|---:|
| **Nexus** | 3.00 (1.00–5.00) | 30.0 (10.0–50.0) |
| peer | 12,345 | cannot |
`
	if got := someGrid().markdown(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	g := someGrid()
	b := &bench{grids: []*grid{g}}
	reached := b.fasterThanPeers("ready", "ready", "1,000")
	if !reached.met || reached.median != 12_345.6/3 {
		t.Errorf("%+v", reached)
	}
	if other := b.fasterThanPeers("ready", "ready", "10,000"); other.measured {
		t.Errorf("a peer that cannot is no measure: %+v", other)
	}
	if none := b.overLimit("get", "reading", getColumn, 2); none.measured {
		t.Errorf("what was left out is no measure: %+v", none)
	}
}

// The picture is well-formed, and has a point for each figure.
func TestPlot(t *testing.T) {
	t.Parallel()
	text := plot{grid: someGrid(), title: "a & b", columns: []string{"1,000", "10,000"}, sizes: []float64{1000, 10_000}}.svg()
	points := 0
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "circle" {
			points++
		}
	}
	if points != 3 {
		t.Errorf("%d points instead of 3:\n%s", points, text)
	}
}
