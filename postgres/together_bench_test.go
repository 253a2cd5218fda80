package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// BenchmarkTogether stores a project of many tasks in one transaction, deletes it and undoes
// that, per task: it must not grow with the number of tasks, nor if all are of one feature.
// Run it with -benchtime 1x.
func BenchmarkTogether(b *testing.B) {
	url := durable(b)
	for _, features := range []int{100, 1} {
		for _, tasks := range []int{1_000, 10_000} {
			b.Run(fmt.Sprintf("features=%d/tasks=%d", features, tasks), func(b *testing.B) {
				var created, deleted, undone time.Duration
				for range b.N {
					db := openBench(b, url)
					created += took(b, func() error { return createTogether(db, features, tasks) })
					deleted += took(b, func() error { return db.Projects.Delete(background, "p") })
					undone += took(b, func() error { return undoLast(db) })
				}
				for unit, d := range map[string]time.Duration{"create-µs/task": created, "delete-µs/task": deleted, "undo-µs/task": undone} {
					b.ReportMetric(float64(d.Microseconds())/float64(b.N*tasks), unit)
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func took(b *testing.B, fn func() error) time.Duration {
	b.Helper()
	began := time.Now()
	if err := fn(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// createTogether stores a project whose tasks depend on one another.
func createTogether(db *store.DB, features, tasks int) error {
	return db.InTx(background, func(tx *store.Tx) error {
		if err := newProject(background, &tx.Services, "p"); err != nil {
			return err
		}
		for i := range features {
			if err := tx.Features.Create(background, &nexus.Feature{ID: fmt.Sprint("f", i), ProjectID: "p", Name: "n"}); err != nil {
				return err
			}
		}
		list := make([]*nexus.Task, tasks)
		for i := range list {
			list[i] = &nexus.Task{ID: fmt.Sprintf("t%06d", i), ProjectID: "p", FeatureID: fmt.Sprint("f", i%features), Name: "n"}
			if i > 0 {
				list[i].DependsOn = []string{fmt.Sprintf("t%06d", i/2)}
			}
		}
		return tx.Tasks.CreateMany(background, list)
	})
}

func undoLast(db *store.DB) error {
	last, err := db.History(background, nexus.HistoryFilter{Newest: true, Limit: 1})
	if err != nil {
		return err
	}
	_, err = db.Undo(background, nexus.UndoRequest{Operation: last[0].Operation})
	return err
}
