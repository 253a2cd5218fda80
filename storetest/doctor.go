package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var doctorTests = map[string]timedTest{
	"Well":   testDoctorWell,
	"Mends":  testDoctorMends,
	"Leaves": testDoctorLeaves,
	"Many":   testDoctorMany,
	"Clock":  testDoctorClock,
}

// found are the findings, each as its check, count and ids.
func found(list []nexus.Finding) (short []string) {
	for _, f := range list {
		short = append(short, fmt.Sprintf("%s %d: %s", f.Check, f.Count, strings.Join(f.IDs, " ")))
	}
	return short
}

// atWork is a database with something of everything, and a task in flight.
func atWork(t *testing.T, db *store.DB, clock *Clock) *work {
	t.Helper()
	w := newWork(t, db, clock, "it", "other it", "late it other")
	c := w.claim("a", "it")
	_, err := db.Tasks.Complete(t.Context(), "it", c.Epoch, nexus.Evidence{})
	must(t, err)
	w.claim("a", "other")
	must(t, db.Sessions.Create(t.Context(), &nexus.Session{ID: "s", ProjectID: "p1", Data: `{"a": 1}`}))
	must(t, db.Metrics.Create(t.Context(), &nexus.Metric{ProjectID: "p1", TaskID: "it", Type: "cost_usd", Value: 0.25}))
	return w
}

func testDoctorWell(t *testing.T, db *store.DB, clock *Clock) {
	w := atWork(t, db, clock)
	list, err := db.Diagnose(t.Context())
	must(t, err)
	same(t, len(list), 0)
	before := w.image()
	list, err = db.Mend(t.Context())
	must(t, err)
	same(t, len(list), 0)
	same(t, w.image(), before)
}

// testDoctorMends breaks what is derived, one thing after the other, and has it
// mended.
func testDoctorMends(t *testing.T, db *store.DB, clock *Clock) {
	w := atWork(t, db, clock)
	before := w.image()
	for _, c := range []struct {
		sql  string
		want []string
	}{
		{"UPDATE tasks SET open_dependencies = 7 WHERE id = 'late'", []string{"open_dependencies 1: late"}},
		{"DELETE FROM task_dependencies WHERE task_id = 'late' AND depends_on = 'it'", []string{"edges 1: late"}},
		{"DELETE FROM task_dependencies WHERE task_id = 'late'", []string{"edges 1: late", "open_dependencies 1: late"}},
		{"INSERT INTO task_dependencies (task_id, depends_on) VALUES ('it', 'late')", []string{"edges 1: it", "open_dependencies 1: it", "cycles 1: it"}},
		{"UPDATE features SET task_count = 9 WHERE id = 'f1'", []string{"counts 1: f1"}},
		{"UPDATE sub_features SET completed_task_count = 0, open_task_count = 2 WHERE id = 'u1'", []string{"counts 1: u1"}},
		{"UPDATE metric_totals SET amount = amount + 1 WHERE scope = 'task'", []string{"totals 1: it"}},
		{"DELETE FROM metric_totals WHERE scope = 'project'", []string{"totals 1: p1"}},
		{"INSERT INTO metric_totals (scope, id, type, metrics, amount) VALUES ('task', 'gone', 'cost_usd', 1, 1)", []string{"totals 1: gone"}},
		{"UPDATE task_attempts SET lease_until_us = lease_until_us + 900000000 WHERE ended_us IS NULL", []string{"clock 1: other"}},
	} {
		exec(t, db, c.sql)
		list, err := db.Diagnose(t.Context())
		must(t, err)
		same(t, found(list), c.want)
		list, err = db.Mend(t.Context())
		must(t, err)
		same(t, found(list), c.want)
		list, err = db.Diagnose(t.Context())
		must(t, err)
		same(t, len(list), 0)
		derivedAreRight(t, db)
		after := w.image()
		for _, row := range []string{"sub_features u1", "features f1"} { // which their counts may have made go on
			delete(after[row], "updated_at")
			delete(after[row], "revision")
			delete(before[row], "updated_at")
			delete(before[row], "revision")
		}
		if !strings.HasPrefix(c.sql, "UPDATE task_attempts") {
			same(t, after, before)
		}
	}
}

// testDoctorLeaves is about what a person has to put right: it is named, with what
// to do, and stays as it is.
func testDoctorLeaves(t *testing.T, db *store.DB, clock *Clock) {
	w := atWork(t, db, clock)
	exec(t, db, "UPDATE tasks SET depends_on = '[\"late\"]' WHERE id = 'other'")
	exec(t, db, "UPDATE tasks SET depends_on = '[\"gone\"]', metadata = '{' WHERE id = 'it'")
	exec(t, db, "UPDATE sessions SET data = 'no JSON'")
	before := w.image()
	want := []string{"dependencies 1: it", "cycles 1: late", "json 1: it", "json 1: s"}
	list, err := db.Diagnose(t.Context())
	must(t, err)
	same(t, found(list), want)
	for _, f := range list {
		if f.Mendable || f.Hint == "" || f.Message == "" {
			t.Errorf("%+v", f)
		}
	}
	list, err = db.Mend(t.Context())
	must(t, err)
	same(t, found(list), want)
	same(t, w.image(), before)
}

// testDoctorMany finds more than it names.
func testDoctorMany(t *testing.T, db *store.DB, clock *Clock) {
	newWork(t, db, clock)
	for i := range 25 {
		must(t, db.Tasks.Create(t.Context(), &nexus.Task{ID: fmt.Sprintf("t%02d", i), ProjectID: "p1", Name: "n"}))
	}
	exec(t, db, "UPDATE tasks SET metadata = '{'")
	list, err := db.Diagnose(t.Context())
	must(t, err)
	same(t, len(list), 1)
	same(t, []int{list[0].Count, len(list[0].IDs)}, []int{25, 10})
}

func testDoctorClock(t *testing.T, db *store.DB, clock *Clock) {
	atWork(t, db, clock)
	clock.Move(-24 * time.Hour)
	list, err := db.Diagnose(t.Context())
	must(t, err)
	checks := []string{}
	for _, f := range list {
		checks = append(checks, f.Check)
	}
	same(t, slices.Compact(checks), []string{"clock"})
	same(t, list[len(list)-1].Mendable, true) // the lease
	_, err = db.Mend(t.Context())
	must(t, err)
	held, err := db.Tasks.InFlight(t.Context())
	must(t, err)
	same(t, held[0].LeaseUntil, microseconds(clock.Now().Add(nexus.DefaultLease)))
}
