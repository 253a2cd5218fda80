package postgres_test

import (
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/pgtest"
	"github.com/seed-c8812374/nexus/postgres"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/storetest"
	"github.com/seed-c8812374/nexus/storetest/fleet"
)

func init() {
	children["work-loop"] = fleet.Child(func(url string) (*store.DB, error) { return postgres.Open(background, url, nil) })
}

// Sixteen processes share 2,000 tasks: each is completed once, and nobody sees that
// another was in the way.
func TestFleet(t *testing.T) {
	t.Parallel()
	const processes, count = 16, 2000
	url := pgtest.Schema(t)
	db := openSchema(t, url, nil)
	fatal(t, newProject(t.Context(), &db.Services, "p"))
	tasks := make([]*nexus.Task, count)
	for i := range tasks {
		tasks[i] = &nexus.Task{ProjectID: "p", Name: "n"}
	}
	fatal(t, db.Tasks.CreateMany(t.Context(), tasks))
	f := fleet.Run(t, "work-loop", pgtest.With(url, "pool_max_conns", "2"), processes)
	t.Logf("%d tasks in %v, %.0f/s; shares from %d to %d; the longest transaction took %v",
		count, f.Elapsed.Round(time.Millisecond), count/f.Elapsed.Seconds(), f.Shares[0], f.Shares[len(f.Shares)-1], f.Longest)
	fleet.Check(t, db, count)
	fatal(t, storetest.CheckDerived(t.Context(), db))
	fatal(t, storetest.CheckAttempts(t.Context(), db))
}
