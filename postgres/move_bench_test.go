package postgres_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// BenchmarkMove moves databases of tasks that were created, claimed and completed, each
// step an operation of the history, from SQLite to PostgreSQL and back. It reports how
// long each way takes, and the most memory in use in this process. Run it with
// -benchtime 1x.
func BenchmarkMove(b *testing.B) {
	url := durable(b)
	for _, tasks := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(tasks), func(b *testing.B) {
			source := openMoveFile(b, true)
			worked(b, source, tasks)
			var there, back time.Duration
			var moved *store.Moved
			most := uint64(0)
			watch := func(int, int) {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
			}
			move := func(from, to *store.DB) time.Duration {
				runtime.GC()
				began := time.Now()
				var err error
				if moved, err = store.Move(background, from, to, watch); err != nil {
					b.Fatal(err)
				}
				return time.Since(began)
			}
			b.ResetTimer()
			for range b.N {
				server := openBench(b, url)
				there += move(source, server)
				back += move(server, openMoveFile(b, false))
			}
			b.ReportMetric(there.Seconds()/float64(b.N), "there-s")
			b.ReportMetric(back.Seconds()/float64(b.N), "back-s")
			b.ReportMetric(float64(most)/1e6, "heap-MB")
			for _, t := range moved.Tables {
				if t.Name == "history" {
					b.ReportMetric(float64(t.Source.Rows), "changes")
				}
			}
		})
	}
}

func openMoveFile(b *testing.B, noSync bool) *store.DB {
	b.Helper()
	db, err := sqlite.Open(background, filepath.Join(b.TempDir(), "nexus.db"), &sqlite.Options{NoSync: noSync})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return db
}

// worked fills a database with tasks of a hundred features, that wait for each other a
// little, and that eight agents have done.
func worked(b *testing.B, db *store.DB, tasks int) {
	b.Helper()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	must(newProject(background, &db.Services, "p"))
	for f := range 100 {
		must(db.Features.Create(background, &nexus.Feature{ID: fmt.Sprint("f", f), ProjectID: "p", Name: "n"}))
	}
	for i := range tasks {
		t := &nexus.Task{
			ID: fmt.Sprintf("t%06d", i), ProjectID: "p", FeatureID: fmt.Sprint("f", i%100), Name: fmt.Sprint("Task ", i),
			Description: strings.Repeat("what is to be done, ", 20),
		}
		if i >= 1000 {
			t.DependsOn = []string{fmt.Sprintf("t%06d", i-1000)}
		}
		must(db.Tasks.Create(background, t))
	}
	for i := range tasks {
		claims, err := db.Tasks.Claim(background, nexus.ClaimRequest{AgentID: fmt.Sprint("agent-", i%8)})
		must(err)
		_, err = db.Tasks.Complete(background, claims[0].TaskID, claims[0].Epoch, nexus.Evidence{Commit: "4f2c1e9"})
		must(err)
	}
}
