package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// growthSizes are the numbers of tasks that BenchmarkGrowth measures.
var growthSizes = []int{1_000, 10_000, 100_000, 1_000_000}

// curve is how a figure grows with the number of tasks.
type curve struct {
	what   string
	points []float64 // µs, for the last sizes of growthSizes
}

// growth adds how the cost of claiming and completing a task grows with the number
// of tasks.
func (b *bench) growth() error {
	found, err := b.run("^BenchmarkGrowth$", "500x", 1)
	if err != nil {
		return err
	}
	for _, shape := range []struct{ name, what string }{
		{"Open", "all ready"},
		{"Layers", "each depends on two"},
		{"Blocked", "all but ten wait"},
		{"Hub", "10,000 wait for one"},
	} {
		for _, figure := range []struct{ unit, what string }{
			{"pair-µs", "claim and complete"}, {"ready-µs", "`ready --limit 10`"},
		} {
			c := curve{what: figure.what + ", " + shape.what}
			for _, n := range growthSizes {
				if f, ok := found[fmt.Sprintf("BenchmarkGrowth/%s/%d", shape.name, n)]; ok {
					c.points = append(c.points, f[figure.unit])
				}
			}
			b.curves = append(b.curves, c)
			first, last := c.points[0], c.points[len(c.points)-1]
			b.add(row{
				what: fmt.Sprintf("At 1,000,000 tasks over at %s: %s", thousands(growthSizes[len(growthSizes)-len(c.points)]), c.what),
				unit: times, median: last / first, limit: atMost(2),
				remark: fmt.Sprintf("%s%s against %s%s", digits(last), microseconds, digits(first), microseconds),
			})
		}
	}
	return nil
}

// pairs adds what claiming and completing a task costs, and how many of them workers
// do in a second, waiting for the disk each time.
func (b *bench) pairs() error {
	found, err := b.run("^BenchmarkGrowth$/^Layers$/^1000$", "500x", 7)
	if err != nil {
		return err
	}
	b.add(row{
		what: "Claim and complete a task of 1,000, one writer, synchronous=NORMAL", unit: microseconds,
		median: found["BenchmarkGrowth/Layers/1000"]["pair-µs"], limit: atMost(200), remark: "of 7 medians",
	})
	if found, err = b.run("^BenchmarkPairs$", "12000x", 3); err != nil {
		return err
	}
	for _, how := range []struct{ name, what string }{
		{"TwoCalls", "one call to claim, one to complete"},
		{"AtOnce", "completing one task and claiming the next in one transaction"},
	} {
		for _, workers := range []int{1, 8, 32, 128} {
			r := row{
				what: fmt.Sprintf("%s in one process, synchronous=FULL, %s: tasks", counted(workers, "worker"), how.what),
				unit: perSecond, median: found[fmt.Sprintf("BenchmarkPairs/%s/%d", how.name, workers)]["pairs/s"],
			}
			if workers == 32 && how.name == "TwoCalls" {
				r.limit = atLeast(8000)
			}
			b.add(r)
		}
	}
	if found, err = b.run("^BenchmarkFleet$", "10000x", 3); err != nil {
		return err
	}
	for _, processes := range []int{1, 8, 64} {
		f := found[fmt.Sprintf("BenchmarkFleet/%d", processes)]
		r := row{
			what: fmt.Sprintf("The latter, %s of one worker each: tasks", counted(processes, "process")),
			unit: perSecond, median: f["pairs/s"],
			remark: fmt.Sprintf("longest wait %.0f ms", f["longest-ms"]),
		}
		if processes == 64 {
			r.limit = atLeast(2500)
		}
		b.add(r)
		if processes > 1 {
			b.add(row{what: "– the smallest share of a process over the mean", unit: times, median: f["smallest-share"], limit: atLeast(0.25)})
		}
	}
	return nil
}

func (b *bench) recovery() error {
	found, err := b.run("^BenchmarkRecover$", "11x", 1)
	if err != nil {
		return err
	}
	b.add(row{what: "Recover with 1,000 tasks in flight", unit: milliseconds, median: found["BenchmarkRecover"]["recover-ms"], limit: atMost(100)})
	return nil
}

// claim measures whole processes on the database of the plan, of whose tasks few
// are ready: what was claimed is given back.
func (b *bench) claim() error {
	commands := []command{
		{b.nexus(), []string{"ready", "--json", "--limit", "10", "--db", b.db()}},
		{b.nexus(), []string{"claim", "--json", "--agent", "bench", "--db", b.db()}},
		{b.nexus(), []string{"agent", "terminate", "bench", "--db", b.db()}},
	}
	if _, err := b.inTurns(2, commands...); err != nil {
		return err
	}
	costs, err := b.inTurns(b.rounds, commands...)
	if err != nil {
		return err
	}
	b.addProcess("`nexus ready --json --limit 10` on that database", milliseconds, costs[0], atMost(15), atMost(30))
	b.addProcess("`nexus claim --json`", milliseconds, costs[1], atMost(15), atMost(30))
	return nil
}

// plot writes the curves as a picture, if a file for it is named.
func (b *bench) plot(path string) error {
	if path == "" {
		return nil
	}
	return os.WriteFile(filepath.Clean(path), drawCurves(b.curves), 0o644) //nolint:gosec // documentation is for everybody
}

func counted(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "s"):
		return fmt.Sprintf("%d %ses", n, what)
	default:
		return fmt.Sprintf("%d %ss", n, what)
	}
}

func thousands(n int) string {
	if n >= 1_000_000 {
		return fmt.Sprintf("%d,%03d,%03d", n/1_000_000, n/1000%1000, n%1000)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}
