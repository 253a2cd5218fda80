package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

func metricApp(t testing.TB) *app {
	return &app{ctx: t.Context(), Env: Env{Now: func() time.Time { return noon }}}
}

// What is printed as JSON, one a line or as one list, is read as it was.
func TestMetricsAreReadAsPrinted(t *testing.T) {
	t.Parallel()
	a := metricApp(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"a", "ä\U0001F980", `q"\`, "two words", "a\u2028b"})
		want := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) nexus.Metric {
			return nexus.Metric{
				ID: rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "id"), ProjectID: text.Draw(t, "project"), AgentID: text.Draw(t, "agent"),
				TaskID: text.Draw(t, "task"), Type: text.Draw(t, "type"), Value: rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(t, "value"),
				Metadata:  rapid.SampledFrom([]nexus.JSON{"", `{"a":[1,null]}`, `"x"`, "17"}).Draw(t, "metadata"),
				Timestamp: noon.Add(time.Duration(rapid.Int32().Draw(t, "timestamp")) * time.Second),
			}
		}), 1, 20, func(m nexus.Metric) string { return m.ID }).Draw(t, "metrics")
		var lines []string
		for _, m := range want {
			line, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, string(line))
		}
		end := rapid.SampledFrom([]string{"\n", "\r\n", "\n\n \n"}).Draw(t, "end of lines")
		for _, input := range []string{strings.Join(lines, end), "[" + strings.Join(lines, ","+end) + "]"} {
			list, err := a.readMetrics([]byte(input), false)
			if err != nil {
				t.Fatal(err)
			}
			var got []nexus.Metric
			for _, l := range list {
				got = append(got, l.metric)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("read from %s (-want +got):\n%s", input, diff)
			}
		}
	})
}

// An input that is something else is not described to the last line.
func TestManyBadMetrics(t *testing.T) {
	t.Parallel()
	_, err := metricApp(t).readMetrics([]byte(strings.Repeat("{\n", 100_000)), true)
	var e *nexus.Error
	if !errors.As(err, &e) || len(e.Problems) != mostProblems || e.Message != "the input has 1000 problems or more" {
		t.Fatalf("got %.200v", err)
	}
}

// Any input is either refused, with a place in it for all that is wrong, or gives
// metrics that are valid.
func FuzzReadMetrics(f *testing.F) {
	for _, text := range []string{
		"", `{"type":"a","value":1,"project_id":"p"}`, "\xef\xbb\xbf[{\"type\":\"a\",\"value\":1e400}]", "{}\n[]\n1\n\"x\"\nnull",
		`{"id":"a","id":"a","metadata":{"x":[]},"timestamp":"now","revision":"?","value":-0}`, "{\"a\":\xff}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := metricApp(t).readMetrics(text, false)
		if err == nil && len(list) == 0 {
			t.Fatal("no metrics and no error")
		}
		lines := strings.Split(string(text), "\n")
		for i := range list {
			l := &list[i]
			if err := l.metric.Validate(); err != nil {
				t.Fatalf("it took what is not valid: %v", err)
			}
			if l.line < 1 || l.line > len(lines) || l.column < 1 || l.column > len(lines[l.line-1]) {
				t.Fatalf("line %d, column %d is not in the input", l.line, l.column)
			}
		}
		if err == nil {
			return
		}
		var e *nexus.Error
		if !errors.As(err, &e) || e.Code != nexus.CodeInvalid {
			t.Fatalf("refused with %v", err)
		}
		for _, p := range e.Problems {
			if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Message == "" {
				t.Fatalf("%v is not in the input", p)
			}
		}
	})
}

// Batches that went well are undone when a later one does not.
func TestManyMetricsOrNone(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db, err := memory{func(db *store.DB) error {
		return db.Metrics.Create(ctx, &nexus.Metric{ID: "m2400", ProjectID: "shop", Type: "a", Value: 1})
	}}.Open(ctx, Settings{Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	add := func() error {
		a := metricApp(t)
		a.progress = a.startProgress()
		defer a.progress.stop()
		d := &metricAdd{app: a}
		var text strings.Builder
		for i := 1; i <= 2500; i++ {
			fmt.Fprintf(&text, `{"id":"m%d","project_id":"shop","type":"a","value":%d}`+"\n", i, i)
		}
		if d.list, err = a.readMetrics([]byte(text.String()), false); err != nil {
			return err
		}
		return db.InTx(ctx, func(tx *store.Tx) error { return d.store(ctx, tx) })
	}
	var e *nexus.Error
	if err := add(); !errors.As(err, &e) || e.Code != nexus.CodeExists || len(e.Problems) != 1 || e.Problems[0].Line != 2400 {
		t.Fatalf("got %v, want that the id of line 2400 exists", err)
	}
	count := func(want int64) {
		t.Helper()
		if n, err := db.Metrics.Count(ctx, nexus.MetricFilter{}); err != nil || n != want {
			t.Fatalf("there are %d metrics (%v), want %d", n, err, want)
		}
	}
	count(1)
	if err := errors.Join(db.Metrics.Delete(ctx, "m2400"), add()); err != nil {
		t.Fatal(err)
	}
	count(2500)
}
