package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// figures are the metrics of one benchmark, by unit.
type figures map[string]float64

// quartiles makes a row of a metric that is reported with its quarters.
func (f figures) quartiles(metric string, r row) row {
	r.median, r.low, r.high = f[metric], f[metric+"-p25"], f[metric+"-p75"]
	return r
}

// run runs benchmarks of package sqlite so many times, and returns the medians of
// their figures by name.
func (b *bench) run(pattern, benchtime string, times int) (map[string]figures, error) {
	cmd := exec.CommandContext(b.ctx, b.tests(), "-test.run=^$",
		"-test.bench="+pattern, "-test.benchtime="+benchtime, "-test.count="+strconv.Itoa(times))
	cmd.Env = append(os.Environ(), "TMPDIR="+b.folder)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", pattern, err, out)
	}
	values := make(map[string]map[string][]float64) // by name, then unit
	for line := range strings.Lines(string(out)) {
		if version, ok := strings.CutPrefix(line, "sqlite: "); ok {
			b.sqlite = strings.TrimSpace(version)
		}
		// BenchmarkName/Sub-2  100  12.3 ns/op  4 allocs/op
		words := strings.Fields(line)
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		name := words[0]
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i]
		}
		if values[name] == nil {
			values[name] = make(map[string][]float64)
		}
		for i := 2; i+1 < len(words); i += 2 {
			v, err := strconv.ParseFloat(words[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
			values[name][words[i+1]] = append(values[name][words[i+1]], v)
		}
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("%s: no benchmark has run:\n%s", pattern, bytes.TrimSpace(out))
	}
	found := make(map[string]figures, len(values))
	for name, units := range values {
		found[name] = make(figures, len(units))
		for unit, list := range units {
			found[name][unit] = middleOf(list, row{}).median
		}
	}
	return found, nil
}

func (b *bench) overhead() error {
	found, err := b.run("^BenchmarkOverhead$", "3s", 1)
	if err != nil {
		return err
	}
	for _, r := range []struct {
		name, what string
		limit      limit
	}{
		{"Get", "Get, over the same statements sent straight to the driver", atMost(1.3)},
		{"List1000", "List of 1,000, likewise", atMost(1.5)},
		{"Create", "Create, likewise, synchronous=NORMAL", atMost(1.3)},
		{"CreateFull", "Create, likewise, synchronous=FULL", limit{}},
	} {
		f := found["BenchmarkOverhead/"+r.name]
		row := f.quartiles("x", row{what: r.what, unit: times, limit: r.limit})
		row.remark = fmt.Sprintf("%s against %s", micro(f["store-ns/op"]), micro(f["direct-ns/op"]))
		b.add(row)
	}
	return nil
}

func (b *bench) together() error {
	found, err := b.run("^BenchmarkCreateTogether$", "12x", 1)
	if err != nil {
		return err
	}
	f := found["BenchmarkCreateTogether"]
	for _, n := range []int{8, 32, 128} {
		r := row{what: fmt.Sprintf("%d goroutines create tasks, synchronous=FULL: rate over that of one", n), unit: times}
		if n == 32 {
			r.limit = atLeast(6)
		}
		r.remark = fmt.Sprintf("%.0f/s against %.0f/s", f[fmt.Sprintf("by%d/s", n)], f["by1/s"])
		b.add(f.quartiles(fmt.Sprintf("by%d-x", n), r))
	}
	return nil
}

func (b *bench) open() error {
	found, err := b.run("^BenchmarkOpen$", "60x", 1)
	if err != nil {
		return err
	}
	for _, r := range []struct {
		name, what string
		limit      limit
	}{
		{"UpToDate", "Open of an up-to-date file", atMost(3)},
		{"New", "Open of a new file", atMost(60)},
	} {
		f := found["BenchmarkOpen/"+r.name]
		b.add(f.quartiles("open-ms", row{what: r.what, unit: milliseconds, limit: r.limit}))
		b.add(f.quartiles("open+close-ms", row{what: r.what + ", and Close", unit: milliseconds, limit: r.limit}))
	}
	return nil
}

const suiteTimes = 5

// suite adds what the benchmarks of all drivers say that is worth a row.
func (b *bench) suite() error {
	found, err := b.run("^BenchmarkStore$", "60ms", suiteTimes)
	if err != nil {
		return err
	}
	remark := fmt.Sprintf("of %d means", suiteTimes)
	of := func(name string) figures { return found["BenchmarkStore/"+name] }
	b.add(row{what: "Get: allocations", unit: count, median: of("Get")["allocs/op"]})
	b.add(row{what: "List of 1,000: allocations per row", unit: count, median: of("List1000")["allocs/row"]})
	for _, r := range []struct{ name, metric, what string }{
		{"GetCancelable", "ns/op", "Get with a context that can be cancelled"},
		{"ListPage20", "ns/op", "List of 20 by status"},
		{"Update", "ns/op", "Update, synchronous=NORMAL"},
		{"UpdateSame", "ns/op", "Update that changes nothing"},
		{"CreateMany1000", "ns/row", "CreateMany of 1,000 in a transaction, per row"},
	} {
		b.add(row{what: r.what, unit: microseconds, median: of(r.name)[r.metric] / 1e3, remark: remark})
	}
	b.add(row{
		what: "Load of a project with 100 features and 1,000 tasks",
		unit: milliseconds, median: of("LoadProject")["ns/op"] / 1e6, remark: remark,
	})
	return nil
}
