package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// What was looked for is marked, but only on a terminal; and no text of a row moves
// its cursor.
func TestSearchMarks(t *testing.T) {
	t.Parallel()
	run := func(screen Screen, vars map[string]string) string {
		var out, errs bytes.Buffer
		code := Run(t.Context(), []string{"search", "needle", "hay"}, Env{
			In: strings.NewReader(""), Out: &out, Err: &errs, Screen: screen, Getenv: func(name string) string { return vars[name] },
			Now: func() time.Time { return noon },
			Database: memory{func(db *store.DB) error {
				return db.Tasks.Create(t.Context(), &nexus.Task{ID: "t1", ProjectID: "shop", Name: "A\x1b[2J needle, hay"})
			}},
		})
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, errs.String())
		}
		return out.String()
	}
	screen := &fakeScreen{sizes: func() (int, int) { return 80, 24 }}
	const marked = "  A\uFFFD[2J \x1b[1;33mneedle\x1b[0m, \x1b[1;33mhay\x1b[0m\n"
	if out := run(screen, nil); !strings.HasSuffix(out, marked) {
		t.Errorf("not marked: %q", out)
	}
	for name, out := range map[string]string{
		"NO_COLOR":      run(screen, map[string]string{"NO_COLOR": "1"}),
		"a dumb screen": run(screen, map[string]string{"TERM": "dumb"}),
		"no screen":     run(nil, nil),
	} {
		if strings.Contains(out, "\x1b") || !strings.Contains(out, "needle, hay\n") {
			t.Errorf("%s: %q", name, out)
		}
	}
}
