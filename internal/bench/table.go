package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/seed-c8812374/nexus/internal/machine"
)

// unit is what a figure counts.
type unit string

const (
	times        unit = "×"
	seconds      unit = " s"
	milliseconds unit = " ms"
	microseconds unit = " µs"
	megabytes    unit = " MB"
	mbPerSecond  unit = " MB/s"
	perSecond    unit = "/s"
	count        unit = ""
)

// limit is the target of a figure; the zero value is none.
type limit struct {
	value float64
	least bool // the figure must not be below it, rather than not above
}

func atMost(v float64) limit  { return limit{value: v} }
func atLeast(v float64) limit { return limit{value: v, least: true} }

func (l limit) describe(u unit) string {
	switch {
	case l.value == 0:
		return "–"
	case l.least:
		return fmt.Sprintf("≥ %g%s", l.value, u)
	default:
		return fmt.Sprintf("≤ %g%s", l.value, u)
	}
}

func (l limit) met(v float64) string {
	switch {
	case l.value == 0:
		return "–"
	case l.least && v >= l.value, !l.least && v <= l.value:
		return "yes"
	default:
		return "**no**"
	}
}

// row is a row of the table: a median, and the quarters beside it if it was
// measured more than once.
type row struct {
	what              string
	unit              unit
	limit             limit
	median, low, high float64
	remark            string
}

func (b *bench) add(r row) { b.rows = append(b.rows, r) }

// middleOf fills in the median and quarters of values.
func middleOf(values []float64, r row) row {
	slices.Sort(values)
	at := func(q float64) float64 { return values[int(q*float64(len(values)-1)+0.5)] }
	r.low, r.median, r.high = at(0.25), at(0.5), at(0.75)
	return r
}

func (b *bench) print(out io.Writer, disk string) {
	sqlite := ""
	if b.sqlite != "" { // a benchmark has run that says it
		sqlite = "; SQLite " + b.sqlite
	}
	fmt.Fprintf(out, "%s, %d CPUs, %s/%s; databases on %s; %s%s.\n\n",
		machine.Processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, disk, runtime.Version(), sqlite)
	fmt.Fprintln(out, "| What | Target | Median | Middle half | Within target |")
	fmt.Fprintln(out, "|---|---|---|---|---|")
	for _, r := range b.rows {
		spread := ""
		if r.high > 0 {
			spread = digits(r.low) + " – " + digits(r.high)
		}
		if r.remark != "" {
			spread = strings.TrimPrefix(spread+"; "+r.remark, "; ")
		}
		fmt.Fprintf(out, "| %s | %s | %s%s | %s | %s |\n",
			r.what, r.limit.describe(r.unit), digits(r.median), r.unit, spread, r.limit.met(r.median))
	}
}

// digits shows three digits that matter.
func digits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func micro(ns float64) string { return digits(ns/1e3) + string(microseconds) }

// mega is bytes in millions.
func mega(bytes int64) float64 { return float64(bytes) / 1e6 }
