package main

import (
	"bytes"
	"fmt"
	"math"
)

// The measures of the picture, in pixels.
const (
	plotWidth, plotHeight   = 760, 460
	plotLeft, plotRight     = 60, 20
	plotTop, plotBottom     = 40, 150
	plotInnerX, plotInnerY  = plotWidth - plotLeft - plotRight, plotHeight - plotTop - plotBottom
	legendRow, legendColumn = 18, 350
)

var plotColours = []string{"#1b6ca8", "#7fb2d9", "#2a8c4a", "#8fca9f", "#c0392b", "#e69a90", "#7d3c98", "#c39bd3"}

// drawCurves draws the curves over the number of tasks as SVG: sizes by powers of
// ten to the right, microseconds upwards from 0.
func drawCurves(curves []curve) []byte {
	most := 0.0
	for _, c := range curves {
		for _, v := range c.points {
			most = max(most, v)
		}
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	for most/step < 4 {
		step /= 2
	}
	top := math.Ceil(most/step) * step
	x := func(i int) float64 { return plotLeft + float64(i)*plotInnerX/float64(len(growthSizes)-1) }
	y := func(v float64) float64 { return plotTop + plotInnerY*(1-v/top) }

	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="white"/>
<text x="%d" y="22" font-size="14">µs for one operation, over the number of tasks (one writer, synchronous=NORMAL)</text>
`, plotWidth, plotHeight, plotLeft)
	for v := 0.0; v <= top; v += step {
		fmt.Fprintf(&out, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n",
			plotLeft, y(v), plotWidth-plotRight, y(v), plotLeft-6, y(v)+4, v)
	}
	for i, n := range growthSizes {
		fmt.Fprintf(&out, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(i), plotHeight-plotBottom+18, thousands(n))
	}
	for i, c := range curves {
		colour := plotColours[i%len(plotColours)]
		skipped := len(growthSizes) - len(c.points)
		for j, v := range c.points {
			if j > 0 {
				fmt.Fprintf(&out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="2"/>`+"\n",
					x(skipped+j-1), y(c.points[j-1]), x(skipped+j), y(v), colour)
			}
			fmt.Fprintf(&out, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x(skipped+j), y(v), colour)
		}
		left, row := plotLeft+i%2*legendColumn, plotHeight-plotBottom+46+i/2*legendRow
		fmt.Fprintf(&out, `<rect x="%d" y="%d" width="12" height="12" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n",
			left, row-10, colour, left+18, row, plain(c.what))
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// plain is a label without Markdown.
func plain(s string) string { return string(bytes.ReplaceAll([]byte(s), []byte("`"), nil)) }
