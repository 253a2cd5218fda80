package sqlite_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// A program that replaces the row of a project deletes what belongs to it. Undoing that
// brings all of it back, and so does undoing that it was deleted.
func TestUndoOfForeignProject(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"replaced": `INSERT OR REPLACE INTO projects (id, name, mode, status, root_path, created_at, updated_at) VALUES ('p', 'new', 'genesis', 'pending', '/', 1, 1)`,
		"deleted":  `DELETE FROM projects WHERE id = 'p'`,
	} {
		path := newPath(t)
		db := open(t, path, nil)
		create(t, db, "p")
		mustSucceed(t, db.Tasks.Create(background, &nexus.Task{ID: "t", ProjectID: "p", Name: "n"}))
		mustSucceed(t, db.Sessions.Create(background, &nexus.Session{ID: "s", ProjectID: "p", Type: "planning"}))
		mustSucceed(t, db.Sessions.Append(background, "s", &nexus.SessionEntry{Text: "said"}))
		mustSucceed(t, db.Metrics.Create(background, &nexus.Metric{ID: "m", ProjectID: "p", Type: "cost_usd", Value: 0.1}))
		mustSucceed(t, db.InTx(background, func(tx *store.Tx) error {
			_, err := tx.SetCheckpointSettings(background, "p", nexus.CheckpointSettingsUpdate{On: []string{"task_failed"}})
			return err
		}))
		tables := []string{"projects", "tasks", "sessions", "session_log", "metrics", "metric_totals", "checkpoint_settings"}
		rows := func() (all []string) {
			for _, table := range tables {
				all = append(all, table)
				mustSucceed(t, db.View(background, func(tx *store.Tx) error {
					return tx.Query(background, "SELECT * FROM "+table+" ORDER BY 1, 2", nil, func(r driver.Row) error {
						for n, column := range r.Columns() {
							if column != "revision" && column != "updated_at" {
								all = append(all, r.Text(n))
							}
						}
						return nil
					})
				}))
			}
			return all
		}
		before := rows()
		last := lastChange(t, db)
		script(t, path, "PRAGMA foreign_keys = ON; "+sql)
		if gone := rows(); slices.Contains(gone, "m") || slices.Contains(gone, "said") {
			t.Fatalf("%s: there are still %v", name, gone)
		}
		if _, err := db.Undo(background, nexus.UndoRequest{Operation: last + 1}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(before, rows()); diff != "" {
			t.Errorf("%s: not all is as it was (-was +is):\n%s", name, diff)
		}
	}
}
