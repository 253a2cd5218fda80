package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// workTests are the tests of the work loop. Each watches every table: it says what
// a call changes, and so also that it changes nothing else.
var workTests = merged(claimTests, leaseTests, stepTests, endTests, readyTests, explainTests, workerTests, recoverTests, onceTests, takeoverTests)

func merged(all ...map[string]timedTest) map[string]timedTest {
	tests := make(map[string]timedTest)
	for _, some := range all {
		maps.Copy(tests, some)
	}
	return tests
}

// work is a database whose every change is watched.
type work struct {
	*testing.T
	ctx   context.Context
	db    *store.DB
	clock *Clock
}

// newWork returns a database with the tasks that are given as to [depending]: in
// project p1, feature f1 and sub-feature u1, from the time of the test's beginning.
func newWork(t *testing.T, db *store.DB, clock *Clock, tasks ...string) *work {
	t.Helper()
	depending(t, db, tasks...)
	exec(t, db, "UPDATE tasks SET feature_id = 'f1', sub_feature_id = 'u1', revision = 1")
	exec(t, db, "UPDATE tasks SET revision = 1")
	return &work{t, t.Context(), db, clock}
}

// image is what is in the tables: for each row its columns, as texts. What is NULL
// is left out.
type image map[string]map[string]string

// watched are the tables with what identifies a row in the eyes of a reader.
var watched = []struct{ table, key, order string }{
	{"projects", "id", "id"},
	{"features", "id", "id"},
	{"sub_features", "id", "id"},
	{"tasks", "id", "id"},
	{"agents", "id", "id"},
	{"sessions", "id", "id"},
	{"task_attempts", "task_id", "task_id, epoch"},
	{"idempotency_keys", "key", "key"},
}

func (w *work) image() image {
	w.Helper()
	all := make(image)
	must(w.T, w.db.View(w.ctx, func(tx *store.Tx) error {
		for _, of := range watched {
			n, last := 0, ""
			err := tx.Query(w.ctx, "SELECT "+of.key+" AS row_key, t.* FROM "+of.table+" t WHERE "+of.key+" IS NOT NULL ORDER BY "+of.order, nil, func(r driver.Row) error {
				key := of.table + " " + r.Text(0)
				if of.table == "task_attempts" { // numbered within their task
					if n++; r.Text(0) != last {
						n, last = 1, r.Text(0)
					}
					key += fmt.Sprintf("#%d", n)
				}
				all[key] = w.columns(r)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	return all
}

// derivedColumns are left out of images; CheckDerived sees to them.
var derivedColumns = func() (names []string) {
	for _, kind := range nexus.Kinds() {
		for _, c := range store.DerivedColumns(kind) {
			names = append(names, c.Name)
		}
	}
	return names
}()

// columns shows a row. Times are shown from the beginning of the test.
func (w *work) columns(r driver.Row) map[string]string {
	shown := make(map[string]string)
	for i, name := range r.Columns() {
		switch {
		case r.IsNull(i) || i == 0 || name == "epoch" || name == "held" || name == "id" || name == "request" || slices.Contains(derivedColumns, name):
		case strings.HasSuffix(name, "_at"):
			shown[name] = "+" + time.Unix(r.Int(i), 0).Sub(now).String()
		case name == "lease_us":
			shown[name] = (time.Duration(r.Int(i)) * time.Microsecond).String()
		case strings.HasSuffix(name, "_us"):
			shown[name] = "+" + time.UnixMicro(r.Int(i)).Sub(Now().Truncate(time.Microsecond)).String()
		default:
			shown[name] = fmt.Sprint(r.Value(i))
		}
		if text, negative := strings.CutPrefix(shown[name], "+-"); negative {
			shown[name] = "-" + text
		}
	}
	return shown
}

// diff says how an image differs from the one before, one line a row: what its
// columns are now, with a dash for what has become NULL.
func (after image) diff(before image) []string {
	lines := []string{}
	for row, columns := range after {
		sign, was := "", before[row]
		if was == nil {
			sign = "+ "
		}
		var changed []string
		for name, value := range columns {
			if old, had := was[name]; !had || value != old {
				changed = append(changed, name+" "+value)
			}
		}
		for name := range was {
			if _, still := columns[name]; !still {
				changed = append(changed, name+" -")
			}
		}
		if slices.Sort(changed); len(changed) > 0 {
			lines = append(lines, sign+row+": "+strings.Join(changed, ", "))
		}
	}
	for row := range before {
		if after[row] == nil {
			lines = append(lines, "- "+row)
		}
	}
	slices.Sort(lines)
	return lines
}

// changes fails the test unless the call succeeds and changes exactly this.
func (w *work) changes(what string, call func() error, want ...string) {
	w.Helper()
	before := w.image()
	if err := call(); err != nil {
		w.Fatalf("%s: %v", what, err)
	}
	want = append([]string{}, want...)
	slices.Sort(want)
	if diff := cmp.Diff(want, w.image().diff(before)); diff != "" {
		w.Fatalf("%s changes (-want +got):\n%s", what, diff)
	}
}

// refuses fails the test unless the call is refused with the code, and changes
// nothing. It returns the refusal.
func (w *work) refuses(what string, code nexus.Code, call func() error) *nexus.Error {
	w.Helper()
	before := w.image()
	err := call()
	e, ok := err.(*nexus.Error)
	if !ok || e.Code != code {
		w.Fatalf("%s: got %v (code %q), want code %s", what, err, nexus.CodeOf(err), code)
	}
	if e.Hint == "" && code != nexus.CodeNotFound && code != nexus.CodeInvalid {
		w.Errorf("%s: the refusal %v says nothing of what to do", what, e)
	}
	if diff := w.image().diff(before); len(diff) > 0 {
		w.Fatalf("%s was refused, but has changed\n%s", what, strings.Join(diff, "\n"))
	}
	return e
}

// names fails the test unless a refusal says who holds the task, and with which
// epoch.
func (w *work) names(what string, e *nexus.Error, agent string, epoch int64) {
	w.Helper()
	held, ok := e.Stored.(*nexus.Attempt)
	if !ok || held.AgentID != agent || held.Epoch != epoch || !held.Open() {
		w.Errorf("%s: the refusal shows %+v, want the attempt of %s with epoch %d", what, e.Stored, agent, epoch)
	}
	for _, part := range []string{agent, fmt.Sprintf("epoch %d", epoch)} {
		if !strings.Contains(e.Message, part) {
			w.Errorf("%s: the refusal %q does not say %q", what, e.Message, part)
		}
	}
}

// namesNobody fails the test unless a refusal shows no owner.
func (w *work) namesNobody(what string, e *nexus.Error) {
	w.Helper()
	if e.Stored != nil {
		w.Errorf("%s: the refusal shows %+v, but nobody holds the task", what, e.Stored)
	}
}

// claim claims the named task for an agent, or fails the test.
func (w *work) claim(agent, task string) nexus.Claim {
	w.Helper()
	return w.claimed(nexus.ClaimRequest{AgentID: agent, TaskID: task})
}

// claimed makes a request that yields one claim, or fails the test.
func (w *work) claimed(r nexus.ClaimRequest) nexus.Claim {
	w.Helper()
	claims, err := w.db.Tasks.Claim(w.ctx, r)
	must(w.T, err)
	if len(claims) != 1 {
		w.Fatalf("%+v: got %d claims, want 1", r, len(claims))
	}
	return claims[0]
}

// task reads a task.
func (w *work) task(id string) *nexus.Task {
	w.Helper()
	return tasks.mustGet(w.T, w.db, id)
}

// agent reads an agent.
func (w *work) agent(id string) *nexus.Agent {
	w.Helper()
	return agents.mustGet(w.T, w.db, id)
}

// attempts reads the attempts at a task.
func (w *work) attempts(id string) []nexus.Attempt {
	w.Helper()
	list, err := w.db.Tasks.Attempts(w.ctx, id)
	must(w.T, err)
	return list
}

// exec runs a statement of another program.
func (w *work) exec(sql string, args ...any) func() error {
	return func() error {
		return w.db.InTx(w.ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(w.ctx, sql, args...)
			return err
		})
	}
}

// quickly is exec where what it changes does not matter.
func (w *work) quickly(sql string, args ...any) {
	w.Helper()
	must(w.T, w.exec(sql, args...)())
}

// readyIDs are the ids of the tasks that Ready returns.
func (w *work) readyIDs(filter nexus.ReadyFilter) []string {
	w.Helper()
	list, err := w.db.Tasks.Ready(w.ctx, filter)
	must(w.T, err)
	return idsOf(list)
}

func idsOf(list []nexus.Task) []string {
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	return ids
}

// microseconds is how Nexus keeps the times of attempts.
func microseconds(t time.Time) time.Time { return t.Truncate(time.Microsecond) }
