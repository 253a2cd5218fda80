package main

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// plot is a picture of how the figures of a grid grow from column to column, both
// axes by powers of ten.
type plot struct {
	grid    *grid
	title   string
	columns []string  // of the grid
	sizes   []float64 // that the columns stand for
}

// The measures of the picture, in pixels.
const (
	plotWidth, plotHeight = 760, 400
	plotLeft, plotRight   = 70, 230 // the names are at the right
	plotTop, plotBottom   = 44, 40
	nameHeight            = 15
)

var plotColours = []string{
	"#c0392b", "#1b6ca8", "#7fb2d9", "#2a8c4a", "#8fca9f", "#b9770e", "#7d3c98", "#c39bd3", "#5d6d7e", "#17a589",
}

// line is a row of the grid, as points on the picture.
type line struct {
	name, colour string
	x, y         []float64
}

func (p plot) svg() string {
	low, high := math.Inf(1), math.Inf(-1)
	for _, row := range p.grid.rows {
		for _, column := range p.columns {
			if v, ok := p.grid.median(row, column); ok {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	low, high = math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	first, last := math.Log10(p.sizes[0]), math.Log10(p.sizes[len(p.sizes)-1])
	x := func(size float64) float64 {
		return plotLeft + (plotWidth-plotLeft-plotRight)*(math.Log10(size)-first)/(last-first)
	}
	y := func(v float64) float64 {
		return plotHeight - plotBottom - (plotHeight-plotTop-plotBottom)*(math.Log10(v)-low)/(high-low)
	}

	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="white"/>
<text x="%d" y="24" font-size="14">%s</text>
`, plotWidth, plotHeight, plotLeft, html.EscapeString(p.title))
	for e := low; e <= high; e++ {
		v := math.Pow(10, e)
		fmt.Fprintf(&out, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			plotLeft, y(v), plotWidth-plotRight, y(v), plotLeft-6, y(v)+4, microseconds(v))
	}
	for _, size := range p.sizes {
		fmt.Fprintf(&out, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(size), plotHeight-plotBottom+20, thousands(int(size)))
	}
	lines := p.lines(x, y)
	for _, l := range lines {
		l.draw(&out)
	}
	nameLines(&out, lines)
	out.WriteString("</svg>\n")
	return out.String()
}

func (p plot) lines(x, y func(float64) float64) (lines []line) {
	for i, row := range p.grid.rows {
		l := line{name: plainText(row), colour: plotColours[i%len(plotColours)]}
		for k, column := range p.columns {
			if v, ok := p.grid.median(row, column); ok {
				l.x, l.y = append(l.x, x(p.sizes[k])), append(l.y, y(v))
			}
		}
		if len(l.x) > 0 {
			lines = append(lines, l)
		}
	}
	return lines
}

func (l line) draw(out *strings.Builder) {
	points := make([]string, len(l.x))
	for i := range l.x {
		points[i] = fmt.Sprintf("%.1f,%.1f", l.x[i], l.y[i])
		fmt.Fprintf(out, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", l.x[i], l.y[i], l.colour)
	}
	fmt.Fprintf(out, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), l.colour)
}

// nameLines writes the names at the right, each as near to the end of its line as
// the others let it.
func nameLines(out *strings.Builder, lines []line) {
	end := func(l line) float64 { return l.y[len(l.y)-1] }
	taken := make([]float64, 0, len(lines))
	byEnd := slices.SortedFunc(slices.Values(lines), func(a, b line) int { return cmp.Compare(end(a), end(b)) })
	for _, l := range byEnd {
		at := end(l)
		if n := len(taken); n > 0 {
			at = max(at, taken[n-1]+nameHeight)
		}
		taken = append(taken, at)
		fmt.Fprintf(out, `<text x="%d" y="%.1f" fill="%s">%s</text>`+"\n", plotWidth-plotRight+10, at+4, l.colour, html.EscapeString(l.name))
	}
}

// microseconds is a time in the unit that suits it.
func microseconds(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%g s", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%g ms", v/1e3)
	default:
		return fmt.Sprintf("%g µs", v)
	}
}

// plainText is a name without Markdown.
func plainText(s string) string { return strings.NewReplacer("*", "", "`", "").Replace(s) }
