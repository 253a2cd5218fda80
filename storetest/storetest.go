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

// Now is the clock that databases under test must be opened with. It stands
// still, so that a time in a row tells whether it was written by the test (in
// the past) or by the store; and it stands between two seconds, so that a
// fraction that finds its way into a row shows.
func Now() time.Time { return time.Date(2031, 2, 3, 4, 5, 6, 789_012_345, time.UTC) }

// now is Now as databases keep it, and past a time that was before it.
var (
	now  = Now().Truncate(time.Second)
	past = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
)

// A test gets an empty database of its own.
type test func(t *testing.T, db *store.DB)

// Run runs the suite. open returns a new, empty database whose clock is [Now],
// and closes it in a Cleanup of the test that it is given.
func Run(t *testing.T, open func(t *testing.T) *store.DB) {
	t.Helper()
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
		{"Sessions", sessions.tests()},
		{"Relations", relationTests},
		{"Tx", txTests},
		{"Raw", rawTests},
		{"Errors", errorTests},
		{"Foreign", foreignTests},
		{"Corners", cornerTests},
		{"Concurrency", concurrencyTests},
		{"Model", modelTests},
		{"Database", databaseTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for name, test := range group.tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					db := open(t)
					t.Cleanup(func() { checkHealth(t, db) })
					test(t, db)
				})
			}
		})
	}
}

// checkHealth looks every database over after its test: whatever a test does,
// it must not leave a row without its parent or a page that cannot be read.
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
}
