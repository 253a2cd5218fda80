package cli

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// summary is a summary of equal values.
func summary(kind string, start time.Time, count int64, value float64) nexus.MetricSummary {
	return nexus.MetricSummary{
		Type: kind, Start: start, Count: count, Sum: float64(count) * value,
		Mean: value, Min: value, Max: value, P50: value, P90: value, P99: value,
	}
}

// days are four days with a gap, and one of another month in their tasks.
func days() *stats {
	day := func(n int) time.Time { return time.Date(2026, 2, 26+n, 0, 0, 0, 0, time.UTC) }
	return &stats{
		ProjectID: "shop", ProjectName: "Web\nshop", Since: day(0), By: []string{"day"}, bucket: nexus.Day, limit: 50,
		Totals: []nexus.MetricSummary{summary("cost_usd", time.Time{}, 3, 0.5), summary("in my\x1b[2J words", time.Time{}, 1, -7), summary("token_usage", time.Time{}, 2, 17_000)},
		Groups: []nexus.MetricSummary{
			summary("cost_usd", day(1), 2, 0.5), summary("cost_usd", day(3), 1, 0.5),
			summary("in my\x1b[2J words", day(1), 1, -7), summary("token_usage", day(3), 2, 17_000),
		},
	}
}

const dayView = `Web shop (shop) in nexus.db, since 2026-02-26 00:00 UTC

TOTALS           COUNT  SUM    MEAN   P50    P90    P99    MIN    MAX
cost_usd         3      $1.50  $0.50  $0.50  $0.50  $0.50  $0.50  $0.50
in my�[2J words  1      -7     -7     -7     -7     -7     -7     -7
token_usage      2      34k    17k    17k    17k    17k    17k    17k

cost_usd by day (UTC)
DAY                                   COUNT  SUM    MEAN   P50    P90    P99    MIN    MAX
2026-02-27  ████████████████████████  2      $1.00  $0.50  $0.50  $0.50  $0.50  $0.50  $0.50
2026-02-28                            0      $0.00
2026-03-01  ████████████              1      $0.50  $0.50  $0.50  $0.50  $0.50  $0.50  $0.50

in my�[2J words by day (UTC)
DAY         COUNT  SUM  MEAN  P50  P90  P99  MIN  MAX
2026-02-27  1      -7   -7    -7   -7   -7   -7   -7

token_usage by day (UTC)
DAY                                   COUNT  SUM  MEAN  P50  P90  P99  MIN  MAX
2026-03-01  ████████████████████████  2      34k  17k   17k  17k  17k  17k  17k
`

const chartView = `Web shop (shop) in nexus.db, since 2026-02-26 00:00 UTC

TOTALS           COUNT  SUM    MEAN   P50    P90    P99    MIN    MAX
cost_usd         3      $1.50  $0.50  $0.50  $0.50  $0.50  $0.50  $0.…
in my�[2J words  1      -7     -7     -7     -7     -7     -7     -7
token_usage      2      34k    17k    17k    17k    17k    17k    17k

DAY         TASKS             TOKENS              COST
2026-02-26                 0                 0                   $0.00
2026-02-27                 0                 0    █████████████  $1.00
2026-02-28  █████████████  4                 0                   $0.00
2026-03-01  ███▎           1  █████████████  34k  ██████▌        $0.50
`

const narrowView = `Web shop (shop) in nexus.db, since 2026…

TOTALS           COUNT  SUM    MEAN   P…
cost_usd         3      $1.50  $0.50  $…
in my�[2J words  1      -7     -7     -…
token_usage      2      34k    17k    1…

DAY         TASKS  TOKENS  COST
2026-02-26  0      0       $0.00
2026-02-27  0      0       $1.00
2026-02-28  4      0       $0.00
2026-03-01  1      34k     $0.50
`

func statsLines(r *stats, width int) string {
	v := statsView{view{now: noon, path: "nexus.db", width: width}}
	return strings.Join(v.lines(r), "\n") + "\n"
}

func TestStatsView(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(dayView, statsLines(days(), 0)); diff != "" {
		t.Error(diff)
	}
	r := days()
	r.Completed = []nexus.Completions{{Start: nexus.BucketStart(noon, nexus.Day).Add(-24 * time.Hour), Count: 4}, {Start: nexus.BucketStart(noon, nexus.Day), Count: 1}}
	for width, want := range map[int]string{70: chartView, 40: narrowView} {
		if diff := cmp.Diff(want, statsLines(r, width)); diff != "" {
			t.Errorf("%d columns wide:\n%s", width, diff)
		}
	}
}

// Bars have a colour on a terminal, unless somebody does not want that.
func TestStatsColour(t *testing.T) {
	t.Parallel()
	run := func(screen Screen, vars map[string]string) string {
		t.Helper()
		var out, errs bytes.Buffer
		code := Run(t.Context(), []string{"stats", "--by", "type,agent"}, Env{
			In: strings.NewReader(""), Out: &out, Err: &errs, Screen: screen, Getenv: func(name string) string { return vars[name] },
			Now: func() time.Time { return noon },
			Database: memory{func(db *store.DB) error {
				return db.Metrics.Create(t.Context(), &nexus.Metric{ProjectID: "shop", Type: "a", Value: 1})
			}},
		})
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, errs.String())
		}
		return out.String()
	}
	screen := &fakeScreen{sizes: func() (int, int) { return 80, 24 }}
	const coloured = "(none)  \x1b[32m████████████████████████  \x1b[0m1 "
	if out := run(screen, nil); !strings.Contains(out, coloured) {
		t.Errorf("there is no green bar in %q", out)
	}
	for name, out := range map[string]string{
		"NO_COLOR":      run(screen, map[string]string{"NO_COLOR": "1"}),
		"a dumb screen": run(screen, map[string]string{"TERM": "dumb"}),
		"no screen":     run(nil, nil),
	} {
		if strings.Contains(out, "\x1b") || !strings.Contains(out, "(none)  ███") {
			t.Errorf("%s: %q", name, out)
		}
	}
}

// Whatever there is to show and however narrow the terminal is, every line fits,
// and nothing reaches the terminal that it would take for a command.
func TestStatsFit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"", "a", "cost_usd", "token_usage", "名前\x1b[2J", strings.Repeat("long ", 30)})
		bucket := rapid.SampledFrom([]time.Duration{0, time.Second, nexus.Hour, nexus.Day, nexus.Week}).Draw(t, "bucket")
		r := &stats{ProjectID: text.Draw(t, "project"), bucket: bucket, limit: rapid.IntRange(0, 20).Draw(t, "limit"), LeftOut: rapid.IntRange(0, 2).Draw(t, "left out")}
		r.By = rapid.SliceOfDistinct(rapid.SampledFrom([]string{"type", "agent", "task", "feature"}), rapid.ID[string]).Draw(t, "by")
		if bucket > 0 {
			r.By = append(r.By, bucket.String())
		}
		value := rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64)
		last := noon.Add(-10 * nexus.Week)
		for range rapid.IntRange(0, 6).Draw(t, "groups") {
			g := summary(text.Draw(t, "type"), time.Time{}, 1, value.Draw(t, "value"))
			r.Totals = append(r.Totals, g)
			if bucket > 0 {
				last = last.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "later")) * bucket)
				g.Start = nexus.BucketStart(last, bucket)
			}
			g.AgentID, g.TaskID, g.FeatureID = text.Draw(t, "agent"), text.Draw(t, "task"), text.Draw(t, "feature")
			r.Groups = append(r.Groups, g)
		}
		if bucket > 0 && rapid.Bool().Draw(t, "tasks") {
			r.By, r.Completed = r.By[len(r.By)-1:], []nexus.Completions{{Start: nexus.BucketStart(noon, bucket), Count: 3}}
		}
		width := rapid.IntRange(10, 200).Draw(t, "width")
		for line := range strings.Lines(statsLines(r, width)) {
			if line = strings.TrimSuffix(line, "\n"); widthOf(line) > width || strings.ContainsRune(line, '\x1b') {
				t.Fatalf("%d columns instead of %d: %q", widthOf(line), width, line)
			}
		}
	})
}

func TestFigure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind string
		f    float64
		want string
	}{
		{"a", 0, "0"},
		{"a", 1, "1"},
		{"a", -0.5, "-0.5"},
		{"a", 1234.56, "1235"},
		{"a", 9999.4, "9999"},
		{"a", 9999.6, "10k"},
		{"a", 12_345, "12.3k"},
		{"a", 999_600, "1M"},
		{"a", -1.5e9, "-1.5G"},
		{"a", math.MaxFloat64, "1.8e+296T"},
		{"a", 1e-9, "1e-09"},
		{"cost_usd", 0, "$0.00"},
		{"cost_usd", 0.5, "$0.50"},
		{"cost_usd", 0.0042, "$0.0042"},
		{"cost_usd", -1.239, "-$1.24"},
		{"cost_usd", 99_999.99, "$99999.99"},
		{"cost_usd", 123_456, "$123k"},
	} {
		if got := figure(test.kind, test.f); got != test.want {
			t.Errorf("%v of %s is shown as %s, want %s", test.f, test.kind, got, test.want)
		}
	}
}

func TestBar(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value, most float64
		width       int
		want        string
	}{
		{4, 4, 3, "███"},
		{2, 4, 3, "█▌"},
		{0, 4, 3, ""},
		{-1, 4, 3, ""},
		{1e-9, 4, 3, "▏"},
		{4, 4, 0, ""},
		{3.9, 4, 2, "██"},
		{math.MaxFloat64, math.MaxFloat64, 2, "██"},
	} {
		if got := bar(test.value, test.most, test.width); got != test.want {
			t.Errorf("%v of %v in %d columns is %q, want %q", test.value, test.most, test.width, got, test.want)
		}
	}
}
