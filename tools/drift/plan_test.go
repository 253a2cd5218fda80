package drift

import (
	"database/sql"
	"slices"
	"testing"

	"github.com/seed-c8812374/nexus/store"
)

// A table can be rebuilt while the triggers of other tables, and views, speak of
// it.
func TestRebuildWithDependents(t *testing.T) {
	t.Parallel()
	err := withScratch(t.Context(), func(path string) error {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			return err
		}
		defer db.Close()
		_, err = db.ExecContext(t.Context(), `
			CREATE TRIGGER agents_done AFTER DELETE ON agents
			BEGIN
				UPDATE tasks SET assigned_agent = NULL WHERE assigned_agent = OLD.id;
			END;
			CREATE VIEW open_tasks AS SELECT id, name FROM tasks WHERE status <> 'completed';
			CREATE VIEW busy AS SELECT name FROM open_tasks JOIN tasks USING (id, name);
			CREATE INDEX idx_tasks_name ON tasks (name COLLATE NOCASE DESC, lower(size));`)
		if err != nil {
			return err
		}
		before, err := inspect(t.Context(), path)
		if err != nil {
			return err
		}
		wanted := Wanted()
		for i := range wanted {
			if wanted[i].Name == "tasks" {
				named := func(c store.Column) bool { return c.Name == "metadata" }
				wanted[i].Columns[slices.IndexFunc(wanted[i].Columns, named)].Type = "INTEGER"
			}
		}
		changes, err := before.changes(wanted)
		if err != nil {
			return err
		}
		script, err := plan(t.Context(), before, changes)
		if err != nil {
			return err
		}
		t.Log(script)
		return rehearse(t.Context(), path, script, before, changes)
	})
	if err != nil {
		t.Fatal(err)
	}
}
