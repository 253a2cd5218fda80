package main

import (
	"fmt"
	"slices"
	"strings"
)

// grid is what came of one kind of work: a row for each contender, a column for
// each piece of work.
type grid struct {
	name, title, text string
	rows, columns     []string
	cells             map[cell]*figures
}

type cell struct{ row, column string }

// figures are what was measured in the turns, or why nothing was.
type figures struct {
	values []float64
	text   string
}

// grid adds an empty grid to the results.
func (b *bench) grid(name, title, text string) *grid {
	g := &grid{name: name, title: title, text: text, cells: make(map[cell]*figures)}
	b.grids = append(b.grids, g)
	return g
}

func (g *grid) at(row, column string) *figures {
	if !slices.Contains(g.rows, row) {
		g.rows = append(g.rows, row)
	}
	if !slices.Contains(g.columns, column) {
		g.columns = append(g.columns, column)
	}
	c := cell{row, column}
	if g.cells[c] == nil {
		g.cells[c] = new(figures)
	}
	return g.cells[c]
}

func (g *grid) add(row, column string, value float64) {
	f := g.at(row, column)
	f.values = append(f.values, value)
}

func (g *grid) say(row, column, text string) { g.at(row, column).text = text }

// median is that of a cell; ok is false if nothing was measured there.
func (g *grid) median(row, column string) (value float64, ok bool) {
	return g.quantile(row, column, 0.5)
}

func (g *grid) quantile(row, column string, q float64) (value float64, ok bool) {
	f := g.cells[cell{row, column}]
	if f == nil || len(f.values) == 0 {
		return 0, false
	}
	return f.quantile(q), true
}

func (f *figures) quantile(q float64) float64 {
	sorted := slices.Sorted(slices.Values(f.values))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

// String is the median, and the least and the most beside it.
func (f *figures) String() string {
	switch {
	case f == nil:
		return ""
	case len(f.values) == 0:
		return f.text
	case len(f.values) == 1:
		return digits(f.values[0])
	}
	return fmt.Sprintf("%s (%s–%s)", digits(f.quantile(0.5)), digits(f.quantile(0)), digits(f.quantile(1)))
}

// digits shows three digits that matter.
func digits(v float64) string {
	switch {
	case v >= 10_000:
		return thousands(int(v))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// markdown is the grid as a table.
func (g *grid) markdown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "| | %s |\n|---|%s\n", strings.Join(g.columns, " | "), strings.Repeat("---:|", len(g.columns)))
	for _, row := range g.rows {
		fmt.Fprintf(&out, "| %s |", row)
		for _, column := range g.columns {
			fmt.Fprintf(&out, " %s |", g.cells[cell{row, column}])
		}
		out.WriteString("\n")
	}
	return out.String()
}
