// Package storetest is what every driver has to do: one suite of tests that runs
// against whatever database it is given.
//
// A driver's own test calls [Run] with a function that opens an empty database.
// The suite uses only SQL that all databases understand; what is particular to
// one of them is tested beside its driver.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// Now is the time at which every test of the suite begins. For most it stands
// still, so that a time in a row tells whether it was written by the test (in
// the past) or by the store; and it is between two seconds, so that a fraction
// that finds its way into a row shows.
func Now() time.Time { return time.Date(2031, 2, 3, 4, 5, 6, 789_012_345, time.UTC) }

// now is Now as databases keep it, and past a time that was before it.
var (
	now  = Now().Truncate(time.Second)
	past = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
)

// A test gets an empty database of its own. One in which time passes gets its
// clock, too.
type (
	test      func(t *testing.T, db *store.DB)
	timedTest func(t *testing.T, db *store.DB, clock *Clock)
)

// Run runs the suite. open returns a new, empty database with the clock that it is
// given, and closes it in a Cleanup of the test that it is given.
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) *store.DB) {
	t.Helper()
	run := func(group string, tests map[string]timedTest) {
		t.Run(group, func(t *testing.T) {
			t.Parallel()
			for name, test := range tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					clock := NewClock()
					db := open(t, clock.Now)
					t.Cleanup(func() { checkHealth(t, db) })
					test(t, db, clock)
				})
			}
		})
	}
	run("Work", workTests)
	run("WorkModel", workModelTests)
	run("SessionLog", sessionLogTests)
	run("Resume", resumeTests)
	run("Doctor", doctorTests)
	run("DoctorHistory", doctorHistoryTests)
	run("ConcurrentWork", concurrentWorkTests)
	run("History", historyTests)
	run("HistoryList", historyListTests)
	run("Undo", undoTests)
	run("Watch", watchTests)
	run("Checkpoint", checkpointTests)
	run("Compact", compactTests)
	run("Budgets", budgetTests)
	run("Search", searchTests)
	for _, group := range []struct {
		name  string
		tests map[string]test
	}{
		{"Projects", projects.tests()},
		{"Features", features.tests()},
		{"SubFeatures", subFeatures.tests()},
		{"Tasks", tasks.tests()},
		{"Agents", agents.tests()},
		{"Checkpoints", checkpoints.tests()},
		{"Requirements", requirements.tests()},
		{"Metrics", metrics.tests()},
		{"MetricSummary", metricSummaryTests},
		{"Sessions", sessions.tests()},
		{"Relations", relationTests},
		{"Tx", txTests},
		{"Raw", rawTests},
		{"Errors", errorTests},
		{"Foreign", foreignTests},
		{"Dependencies", dependencyTests},
		{"Corners", cornerTests},
		{"Concurrency", concurrencyTests},
		{"Model", modelTests},
		{"Database", databaseTests},
	} {
		tests := make(map[string]timedTest)
		for name, test := range group.tests {
			tests[name] = func(t *testing.T, db *store.DB, _ *Clock) { test(t, db) }
		}
		run(group.name, tests)
	}
}

// checkHealth looks every database over after its test: whatever a test does,
// it must not leave a row without its parent, a page that cannot be read, or
// something derived that does not follow.
func checkHealth(t *testing.T, db *store.DB) {
	t.Helper()
	health, err := db.Health(context.Background(), true)
	if nexus.CodeOf(err) == nexus.CodeClosed {
		return // the test was about closing it
	}
	if err != nil {
		t.Errorf("Health after the test: %v", err)
	} else if !health.OK() {
		t.Errorf("Health after the test: %+v", health)
	}
	if err := CheckDerived(context.Background(), db); err != nil {
		t.Errorf("after the test: %v", err)
	}
}
