package sqlite_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/storetest/fleet"
)

func init() {
	children["work-loop"] = fleet.Child(func(path string) (*store.DB, error) { return sqlite.Open(background, path, nil) })
}

// Sixty-four processes share 10,000 tasks, waiting for the disk each time: each task
// is completed once, nobody sees that the database is busy, and nobody starves.
func TestFleet(t *testing.T) {
	const processes, count = 64, 10_000
	path := newPath(t)
	db := open(t, path, nil)
	shapes[0].fill(t, db, count)
	freeTask10(t, db)
	mustClose(t, db)

	f := fleet.Run(t, "work-loop", path, processes)
	t.Logf("%d tasks in %v, %.0f/s; shares from %d to %d, the smallest %.2f of the mean; the longest transaction took %v",
		count, f.Elapsed.Round(time.Millisecond), count/f.Elapsed.Seconds(), f.Shares[0], f.Shares[len(f.Shares)-1], f.Smallest(), f.Longest)
	if f.Smallest() < 0.25 {
		t.Errorf("a process got %d tasks, less than a quarter of the mean; all: %v", f.Shares[0], f.Shares)
	}

	db = open(t, path, nil)
	fleet.Check(t, db, count)
	health, err := db.Health(background, true)
	if err != nil || !health.OK() {
		t.Errorf("health: %+v, %v", health, err)
	}
}

// freeTask10 makes the task pending that the shapes escalate.
func freeTask10(t testing.TB, db *store.DB) {
	t.Helper()
	_, err := db.Tasks.Reopen(background, "t00000010", "")
	benchMust(t, err)
}

// BenchmarkFleet measures how many tasks processes complete in a second together,
// each of which waits for the disk.
func BenchmarkFleet(b *testing.B) {
	printVersion()
	for _, processes := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(processes), func(b *testing.B) {
			path := newPath(b)
			db := open(b, path, nil)
			shapes[0].fill(b, db, max(b.N, 11))
			benchMust(b, db.Close())
			b.ResetTimer()
			f := fleet.Run(b, "work-loop", path, processes)
			b.ReportMetric(float64(b.N)/f.Elapsed.Seconds(), "pairs/s")
			b.ReportMetric(f.Smallest(), "smallest-share")
			b.ReportMetric(float64(f.Longest.Milliseconds()), "longest-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}
