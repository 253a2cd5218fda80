package interop_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// How well another program gets to write while Nexus writes without a pause.
// SQLite has no queue for its lock: a program that waits for it looks again at
// growing intervals, up to 100 ms, and gives up after its busy_timeout of 5 s.
func BenchmarkDrizzleWritesBesideNexus(b *testing.B) {
	for _, writers := range []int{0, 1, 4, 16} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			benchmarkBeside(b, writers)
		})
	}
}

func benchmarkBeside(b *testing.B, writers int) {
	db, d, _ := shared(b)
	pattern := find(foreignRows()["tasks"], "x-t2").with(row{"project_id": "nexus-p1"})
	do[any](b, d, "read", nil) // it has started when it answers

	stop := keepWriting(b, db, writers)
	locked, n := 0, 0
	var longest time.Duration
	insert := func() {
		before := time.Now()
		n++
		_, refusal, err := d.try("insert", request{"table": "tasks", "row": pattern.with(row{"id": fmt.Sprint(n)})})
		longest = max(longest, time.Since(before))
		switch {
		case strings.Contains(refusal, "database is locked"):
			locked++
		case err != nil || refusal != "":
			b.Fatal(err, refusal)
		}
	}
	for b.Loop() {
		insert()
	}
	elapsed := b.Elapsed()
	ours := stop()
	b.ReportMetric(float64(locked)/float64(n), "locked/op")
	b.ReportMetric(float64(longest.Milliseconds()), "longest-ms")
	b.ReportMetric(float64(ours)/elapsed.Seconds(), "ours/s")
}

// keepWriting starts goroutines that create tasks without a pause. It returns
// what stops them and says how many they have created.
func keepWriting(b *testing.B, db *store.DB, writers int) (stop func() int64) {
	var stopped atomic.Bool
	var created atomic.Int64
	var working sync.WaitGroup
	for range writers {
		working.Go(func() {
			for !stopped.Load() {
				if err := db.Tasks.Create(b.Context(), &nexus.Task{ProjectID: "nexus-p1", Name: "n"}); err != nil {
					b.Error(err)
					return
				}
				created.Add(1)
			}
		})
	}
	return func() int64 {
		stopped.Store(true)
		working.Wait()
		return created.Load()
	}
}
