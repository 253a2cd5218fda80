package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/migration"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestOverviewLine(t *testing.T) {
	t.Parallel()
	o := &nexus.Overview{
		At: noon, TasksTotal: 40, TasksOpen: 28, Ready: 5, InFlight: make([]nexus.Work, 4), Agents: make([]nexus.AgentState, 6),
		TasksByStatus: map[nexus.TaskStatus]int64{nexus.TaskPending: 20, nexus.TaskEscalated: 1},
		FailedHour:    2, CompletedMinute: 3, CompletedHour: 23, CostUSD: 1.2, Tokens: 34_000,
	}
	const want = "12:00:00 done 12/40 · ready 5 · in flight 4 · failed 2 · escalated 1 · agents 6 · 3/min · 23/h · $1.20 · 34k tokens"
	if diff := cmp.Diff(want, overviewLine(o, noon)); diff != "" {
		t.Error(diff)
	}
	east := noon.In(time.FixedZone("east", 3600))
	if got := overviewLine(o, east); !strings.HasPrefix(got, "13:00:00 ") {
		t.Errorf("the time is not that of the clock on the wall: %s", got)
	}
}

func TestAmount(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{
		0: "0", 1: "1", 999: "999", 999.9: "1.0k", 1500: "1.5k", 9_949: "9.9k", 9_960: "10k", 34_000: "34k", 999_499: "999k",
		1_234_567: "1.2M", 120e6: "120M", 5e9: "5.0G", 2e15: "2000T", -1500: "-1.5k",
	} {
		if got := amount(f); got != want {
			t.Errorf("%v is shown as %s, want %s", f, got, want)
		}
	}
	if got := amount(math.MaxFloat64); !strings.HasSuffix(got, "T") {
		t.Error(got)
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59 * time.Second: "59s", time.Minute: "1m00s", 3*time.Minute + 5*time.Second: "3m05s",
		time.Hour: "1h00m", 25 * time.Hour: "1d01h", 400 * 24 * time.Hour: "400d00h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v is shown as %s, want %s", d, got, want)
		}
	}
}

// busy is an overview with something of everything.
func busy() *nexus.Overview {
	ago := func(d time.Duration) time.Time { return noon.Add(-d) }
	return &nexus.Overview{
		At: noon, ProjectID: "shop", ProjectName: "Web\nshop", TasksTotal: 20, TasksOpen: 15, Ready: 2,
		TasksByStatus: map[nexus.TaskStatus]int64{
			nexus.TaskCompleted: 5, nexus.TaskPending: 10, nexus.TaskInProgress: 3, nexus.TaskBlocked: 1, nexus.TaskEscalated: 1,
		},
		InFlight: []nexus.Work{
			{TaskID: "pay", Name: "Pay\x1b[2J", AgentID: "ada", Epoch: 7, Since: ago(time.Minute), LeaseUntil: ago(time.Second)},
			{
				TaskID: "search", Name: "Search", AgentID: "bob", Epoch: 8, Since: ago(time.Hour), LeaseUntil: ago(-time.Minute),
				Progress: &nexus.Progress{Percent: 40, Note: "reading\nfiles"},
			},
			{TaskID: "mail", Name: "Answer mail", Since: ago(time.Second)},
		},
		Agents: []nexus.AgentState{
			{ID: "ada", Type: nexus.AgentCoder, Status: nexus.AgentWorking, Holds: []string{"pay"}, TasksCompleted: 3, LastActivityAt: ago(time.Minute)},
			{ID: "aya", Type: nexus.AgentTester, Status: nexus.AgentIdle, Holds: []string{}, LastActivityAt: ago(48 * time.Hour)},
			{ID: "bob", Type: nexus.AgentCoder, Status: nexus.AgentWorking, Holds: []string{"search", "stock"}, TasksFailed: 1, LastActivityAt: noon},
		},
		Features: []nexus.FeatureProgress{
			{ID: "f1", Name: "Accounts", Status: nexus.FeatureDone, Total: 5, Completed: 5},
			{ID: "f2", Name: "Later", Status: nexus.FeatureBacklog, Total: 5, Open: 5},
			{ID: "f3", Name: "Checkout", Status: nexus.FeatureInProgress, Total: 10, Open: 10},
			{ID: "f4", Name: "Empty", Status: nexus.FeatureBacklog},
		},
		CompletedMinute: 1, CompletedHour: 4, FailedHour: 1, CostUSD: 12.345, Tokens: 1_234_567,
	}
}

const busyView = `12:00:00  Web shop (shop) in nexus.db
Tasks  ███████░░░░░░░░░░░░░░░░░░░░░░░  5 of 20 done, 25%
       ready 2 · in flight 3 · pending 10 · blocked 1 · escalated 1
Pace   1 in the last minute, 4 in the last hour, and 1 failed attempt
Cost   $12.35, 1.2M tokens

IN FLIGHT 3  AGENT  FOR    LEASE  TASK
search       bob    1h00m  1m00s  Search · 40% · reading files
pay          ada    1m00s  over   Pay�[2J
mail                1s     none   Answer mail

AGENTS 3  TYPE    STATUS   DONE  FAILED  SEEN       HOLDS
ada       coder   working  3     0       1m00s ago  pay
bob       coder   working  0     1       0s ago     search stock
aya       tester  idle     0     0       2d00h ago

FEATURES 1/4      TASKS  STATUS       NAME
░░░░░░░░░░░░░░░░  0/10   in_progress  Checkout
░░░░░░░░░░░░░░░░  0/5    backlog      Later
░░░░░░░░░░░░░░░░  0/0    backlog      Empty
████████████████  5/5    done         Accounts
`

func TestView(t *testing.T) {
	t.Parallel()
	v := view{now: noon, path: "nexus.db"}
	if diff := cmp.Diff(busyView, strings.Join(v.lines(busy()), "\n")+"\n"); diff != "" {
		t.Error(diff)
	}
}

const smallView = `12:00:00  Web shop (shop) in nexus.db
Tasks  ███████░░░░░░░░░░░░░░░░░░░░░░░  …
       ready 2 · in flight 3 · pending …
Pace   1 in the last minute, 4 in the l…
Cost   $12.35, 1.2M tokens

IN FLIGHT 3  AGENT  FOR    LEASE  TASK
search       bob    1h00m  1m00s  Searc…
and 2 more

AGENTS 3  TYPE   STATUS   DONE  FAILED …
ada       coder  working  3     0      …
and 2 more

FEATURES 1/4      TASKS  STATUS       N…
░░░░░░░░░░░░░░░░  0/10   in_progress  C…
and 3 more
`

func TestViewSmall(t *testing.T) {
	t.Parallel()
	v := view{now: noon, path: "nexus.db", width: 40, height: 17, keys: true}
	if diff := cmp.Diff(smallView, strings.Join(v.lines(busy()), "\n")+"\n"); diff != "" {
		t.Error(diff)
	}
}

func TestViewStuck(t *testing.T) {
	t.Parallel()
	v := view{now: noon}
	stuck := "Stuck  no task is ready"
	if got := strings.Join(v.lines(&nexus.Overview{TasksTotal: 1, TasksOpen: 1}), "\n"); !strings.Contains(got, stuck) {
		t.Error(got)
	}
	for _, o := range []*nexus.Overview{{}, {TasksTotal: 1, TasksOpen: 1, Ready: 1}, {TasksTotal: 1, TasksOpen: 1, InFlight: make([]nexus.Work, 1)}} {
		if got := strings.Join(v.lines(o), "\n"); strings.Contains(got, stuck) {
			t.Error(got)
		}
	}
}

var looks = regexp.MustCompile(`\x1b\[[0-9]*m`)

// Whatever is stored and however small the terminal, the view fits, and nothing in
// it moves the cursor.
func TestViewProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := drawOverview(t)
		v := view{
			now: noon, path: rapid.String().Draw(t, "path"), colour: rapid.Bool().Draw(t, "colour"), keys: rapid.Bool().Draw(t, "keys"),
			width: rapid.IntRange(1, 120).Draw(t, "width"), height: rapid.IntRange(1, 60).Draw(t, "height"),
		}
		lines := v.lines(o)
		if len(lines) > v.height {
			t.Fatalf("%d lines in %d", len(lines), v.height)
		}
		for _, line := range lines {
			seen := line
			if v.colour {
				seen = looks.ReplaceAllString(line, "")
			}
			if widthOf(seen) > v.width || strings.ContainsFunc(seen, unicode.IsControl) {
				t.Fatalf("%q is %d columns wide of %d", seen, widthOf(seen), v.width)
			}
		}
		// Without limits everything is there.
		v.width, v.height, v.colour = 0, 0, false
		all := strings.Join(v.lines(o), "\n")
		if strings.Contains(all, "\nand ") {
			t.Fatal(all)
		}
		want := 5 + len(o.InFlight) + len(o.Agents) + len(o.Features)
		if got := strings.Count(all, "\n") + 1; got < want {
			t.Fatalf("%d lines, want %d at least", got, want)
		}
		if line := overviewLine(o, noon); strings.ContainsFunc(line, unicode.IsControl) {
			t.Fatalf("%q", line)
		}
	})
}

func drawOverview(t *rapid.T) *nexus.Overview {
	text := func(label string) string { return rapid.String().Draw(t, label) }
	at := func(label string) time.Time {
		return noon.Add(time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(t, label)))
	}
	o := &nexus.Overview{
		At: noon, ProjectID: text("project"), ProjectName: text("project's name"), TasksByStatus: map[nexus.TaskStatus]int64{
			nexus.TaskStatus(text("status")): 3, nexus.TaskBlocked: 1,
		},
		TasksTotal: rapid.Int64().Draw(t, "total"), TasksOpen: rapid.Int64().Draw(t, "open"), Ready: rapid.Int().Draw(t, "ready"),
		CostUSD: rapid.Float64().Draw(t, "cost"), Tokens: rapid.Float64().Draw(t, "tokens"), FailedHour: rapid.Int64().Draw(t, "failed"),
	}
	for range rapid.IntRange(0, 20).Draw(t, "in flight") {
		w := nexus.Work{TaskID: text("id"), Name: text("name"), AgentID: text("agent"), Since: at("since"), LeaseUntil: at("lease")}
		if rapid.Bool().Draw(t, "has progress") {
			w.Progress = &nexus.Progress{Percent: rapid.Int().Draw(t, "percent"), Note: text("note")}
		}
		o.InFlight = append(o.InFlight, w)
	}
	for range rapid.IntRange(0, 20).Draw(t, "agents") {
		o.Agents = append(o.Agents, nexus.AgentState{
			ID: text("id"), Type: nexus.AgentType(text("type")), Status: nexus.AgentStatus(text("status")),
			Holds: rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "holds"), LastActivityAt: at("seen"),
		})
	}
	for range rapid.IntRange(0, 20).Draw(t, "features") {
		o.Features = append(o.Features, nexus.FeatureProgress{
			ID: text("id"), Name: text("name"), Status: nexus.FeatureStatus(text("status")),
			Total: rapid.Int64().Draw(t, "total"), Open: rapid.Int64().Draw(t, "open"),
		})
	}
	return o
}

func TestShareProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.IntRange(-5, 60).Draw(t, "lines")
		lengths := rapid.SliceOfN(rapid.IntRange(0, 30), 0, 4).Draw(t, "lengths")
		shares := share(lines, lengths)
		given, wanted, least := 0, 0, math.MaxInt
		for i, s := range shares {
			given += s
			wanted += lengths[i]
			if s > lengths[i] {
				t.Fatalf("%v of %v", shares, lengths)
			}
			if s < lengths[i] {
				least = min(least, s)
			}
		}
		if given != min(max(lines, 0), wanted) {
			t.Fatalf("%d lines given to %v: %v", lines, lengths, shares)
		}
		if given < wanted && slices.Max(shares) > least+1 {
			t.Fatalf("%v is not fair to %v", shares, lengths)
		}
	})
}

// memory opens databases of its own in memory, with a project in them.
type memory struct{ fill func(*store.DB) error }

func (memory) IsURL(string) bool        { return false }
func (memory) Shown(path string) string { return path }

func (m memory) Open(ctx context.Context, s Settings) (*store.DB, error) {
	db, err := sqlite.Open(ctx, sqlite.Memory, &sqlite.Options{Now: s.Now, Logger: s.Logger})
	if err != nil {
		return nil, err
	}
	return db, errors.Join(db.Projects.Create(ctx, &nexus.Project{ID: "shop", Name: "Shop", RootPath: "/"}), m.fill(db))
}

func (memory) Migrations(context.Context, Settings) ([]migration.Status, error) { return nil, nil }

func (memory) MigrateDown(context.Context, Settings, bool) ([]migration.Status, error) {
	return nil, nil
}

func (memory) Restore(context.Context, Settings, string, bool, func(done, total int64)) (*driver.Restored, error) {
	return nil, nil
}

// fakeScreen is a terminal of some size.
type fakeScreen struct {
	sizes    func() (width, height int)
	keys     chan byte
	broken   error // Open fails
	open     bool
	restored int
}

func (s *fakeScreen) Size() (width, height int, err error) {
	width, height = s.sizes()
	return width, height, nil
}

func (s *fakeScreen) Open() (keys <-chan byte, restore func(), err error) {
	if s.broken != nil {
		return nil, nil, s.broken
	}
	s.open = true
	return s.keys, func() { s.open, s.restored = false, s.restored+1 }, nil
}

// output calls a function whenever something is written.
type output struct {
	all     bytes.Buffer
	written func()
}

func (o *output) Write(text []byte) (int, error) {
	o.written()
	return o.all.Write(text)
}

// runTop runs top on a screen, or on none if that is nil.
func runTop(ctx context.Context, screen Screen, vars map[string]string, args ...string) (code int, stdout, stderr string) {
	return runTopUntil(ctx, func() {}, screen, vars, args...)
}

func runTopUntil(ctx context.Context, written func(), screen Screen, vars map[string]string, args ...string) (code int, stdout, stderr string) {
	out := &output{written: written}
	var errs bytes.Buffer
	code = Run(ctx, append([]string{"top"}, args...), Env{
		In: strings.NewReader(""), Out: out, Err: &errs, Screen: screen, Version: "test",
		Getenv: func(name string) string { return vars[name] }, Now: func() time.Time { return noon },
		Database: memory{func(db *store.DB) error {
			return db.Tasks.Create(ctx, &nexus.Task{ID: "pay", ProjectID: "shop", Name: "Pay", Status: nexus.TaskBlocked})
		}},
	})
	return code, out.all.String(), errs.String()
}

const oneBlocked = "12:00:00 done 0/1 · ready 0 · in flight 0 · failed 0 · blocked 1 · agents 0 · 0/min · 0/h · $0.00 · 0 tokens\n"

// frames are what was drawn between entering and leaving the screen, and what
// remains.
func frames(t *testing.T, out string) (drawn []string, rest string) {
	t.Helper()
	inner, entered := strings.CutPrefix(out, enterScreen)
	inner, rest, left := strings.Cut(inner, leaveScreen)
	if !entered || !left {
		t.Fatalf("the screen was not entered and left: %q", out)
	}
	return strings.Split(inner, toBegin)[1:], rest
}

func TestTopLive(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]byte{"q": 'q', "Q": 'Q', "Ctrl-C": ctrlC, "Ctrl-D": ctrlD} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			screen := &fakeScreen{keys: make(chan byte, 2)}
			screen.sizes = func() (int, int) {
				if asked++; asked == 1 {
					screen.keys <- 'x' // means nothing
					return 80, 24
				}
				screen.keys <- key
				return 40, 6 // the window has become smaller, so it is drawn again
			}
			code, out, errs := runTop(t.Context(), screen, nil, "--interval", "1h")
			drawn, rest := frames(t, out)
			if code != 0 || errs != "" || len(drawn) != 2 || rest != oneBlocked {
				t.Errorf("exit code %d, %d frames, %q, %s", code, len(drawn), rest, errs)
			}
			if !strings.Contains(drawn[0], "\x1b[1mTasks") || !strings.HasSuffix(drawn[0], "\r\n"+clearRest) {
				t.Errorf("the first frame is %q", drawn[0])
			}
			// At the last line nothing follows that would move the page up.
			if strings.Count(drawn[1], "\r\n") != 5 || strings.HasSuffix(drawn[1], clearRest) || strings.Contains(drawn[1], "so many") {
				t.Errorf("the second frame is %q", drawn[1])
			}
			if screen.open || screen.restored != 1 {
				t.Errorf("the terminal was restored %d times", screen.restored)
			}
		})
	}
}

func TestTopLiveCount(t *testing.T) {
	t.Parallel()
	screen := &fakeScreen{sizes: func() (int, int) { return 0, 0 }} // a terminal that does not know
	code, out, errs := runTop(t.Context(), screen, map[string]string{"NO_COLOR": "1"}, "--count", "2", "--interval", "100ms")
	drawn, rest := frames(t, out)
	if code != 0 || errs != "" || len(drawn) != 2 || rest != oneBlocked {
		t.Errorf("exit code %d, %d frames, %q, %s", code, len(drawn), rest, errs)
	}
	if looks.MatchString(out) {
		t.Errorf("there are colours, in spite of NO_COLOR: %q", out)
	}
}

// A terminal that cannot be drawn on gets lines, as a file does.
func TestTopPlain(t *testing.T) {
	t.Parallel()
	size := func() (int, int) { return 80, 24 }
	for name, test := range map[string]struct {
		screen Screen
		vars   map[string]string
	}{
		"a file":           {nil, nil},
		"a dumb terminal":  {&fakeScreen{sizes: size}, map[string]string{"TERM": "dumb"}},
		"a broken console": {&fakeScreen{sizes: size, broken: errors.New("no such console")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := runTop(t.Context(), test.screen, test.vars, "--count", "2", "--interval", "100ms")
			if code != 0 || errs != "" || out != oneBlocked+oneBlocked {
				t.Errorf("exit code %d, %q, %s", code, out, errs)
			}
		})
	}
}

func TestTopOnce(t *testing.T) {
	t.Parallel()
	screen := &fakeScreen{sizes: func() (int, int) { return 30, 3 }}
	code, out, _ := runTop(t.Context(), screen, map[string]string{"NO_COLOR": "1"}, "--once")
	if code != 0 || screen.restored != 0 || strings.Contains(out, enterScreen) {
		t.Errorf("exit code %d, %q", code, out)
	}
	// As wide as the terminal, but as long as it takes: it can be scrolled.
	if !strings.Contains(out, "Pace   0 in the last minute, …\n") || strings.Count(out, "\n") < 6 {
		t.Errorf("it is %s", out)
	}
}

// Whoever ends it has seen enough, but a script that waits for the end must not
// take that for the end.
func TestTopInterrupted(t *testing.T) {
	t.Parallel()
	for want, args := range map[int][]string{0: nil, 130: {"--until-done"}} {
		for _, live := range []bool{false, true} {
			t.Run(fmt.Sprint(args, live), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var on Screen
				screen := &fakeScreen{sizes: func() (int, int) { return 80, 24 }}
				if live {
					on = screen
				}
				code, _, errs := runTopUntil(ctx, cancel, on, nil, append(args, "--interval", "1h")...)
				if code != want || (errs == "") != (want == 0) {
					t.Errorf("exit code %d, %s", code, errs)
				}
				if live && screen.restored != 1 {
					t.Errorf("the terminal was restored %d times", screen.restored)
				}
			})
		}
	}
}
