package interop_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// Drizzle updates rows in our file: Nexus reads the new values, and each update
// has counted as a revision although Drizzle knows nothing of revisions.
func TestDrizzleUpdatesOurs(t *testing.T) {
	t.Parallel()
	db, d, rows := shared(t)
	foreign := followed(insertForeign(t, d))

	for _, table := range contract {
		name, change := table.Name, foreignUpdates()[table.Name]
		rowRequest := request{"table": name, "id": change.id, "set": change.set}
		foreign = updated(foreign, name)

		do[any](t, d, "updateAndRollBack", rowRequest)
		mustRevise(t, db, name, change.id, 1)
		returned := do[[]row](t, d, "update", rowRequest)
		mustEqual(t, "returned by the update of "+name, []row{find(foreign[name], change.id)}, returned)
		mustRevise(t, db, name, change.id, 2)

		// An update that changes nothing counts as well: only too often is safe.
		do[any](t, d, "update", rowRequest)
		mustRevise(t, db, name, change.id, 3)
		do[row](t, d, "upsert", request{"table": name, "row": find(foreign[name], change.id)})
		mustRevise(t, db, name, change.id, 4)
	}
	mustEqual(t, "in the file", rows.plus(foreign), stored(t, db))
	mustEqual(t, "read by Drizzle", rows.plus(foreign), do[content](t, d, "read", nil))

	// What a trigger changes does not count as changed by the statement.
	changed := do[int](t, d, "updateAll", request{"table": "tasks", "set": row{"worktree_path": "/all"}})
	if want := len(rows["tasks"]) + len(foreign["tasks"]); changed != want {
		t.Errorf("an update of all %d tasks changed %d, as SQLite tells Drizzle", want, changed)
	}
	mustRevise(t, db, "tasks", "x-t1", 5)
	mustRevise(t, db, "tasks", "nexus-t1", 2)

	refused(t, d, "FOREIGN KEY constraint failed", "update", request{
		"table": "tasks", "id": "x-t1", "set": row{"feature_id": "none"},
	})
	refused(t, d, "CHECK constraint failed", "update", request{
		"table": "projects", "id": "x-p1", "set": row{"mode": "other"},
	})
	refused(t, d, "NOT NULL constraint failed", "update", request{
		"table": "agents", "id": "x-a1", "set": row{"status": nil},
	})
	mustRevise(t, db, "tasks", "x-t1", 5)
}

func mustRevise(t testing.TB, db *store.DB, table, id string, want int64) {
	t.Helper()
	if got := revision(t, db, table, id); got != want {
		t.Errorf("%s %s is at revision %d, want %d", table, id, got, want)
	}
}

func find(rows []row, id string) row {
	for _, r := range rows {
		if r["id"] == id {
			return r
		}
	}
	return nil
}

// Whoever has read a row before Drizzle changed it is told so, and does not
// overwrite the change.
func TestDrizzleMakesOurUpdateStale(t *testing.T) {
	t.Parallel()
	db, d, _ := shared(t)
	seen, err := db.Tasks.Get(t.Context(), "nexus-t2")
	if err != nil {
		t.Fatal(err)
	}
	do[any](t, d, "update", request{"table": "tasks", "id": seen.ID, "set": row{"status": "qa_loop"}})

	name := "renamed"
	_, err = db.Tasks.Update(t.Context(), seen.ID, nexus.TaskUpdate{Revision: seen.Revision, Name: &name})
	var refusal *nexus.Error
	if !errors.As(err, &refusal) || refusal.Code != nexus.CodeStale {
		t.Fatalf("an update based on the old row: error %v, want code %s", err, nexus.CodeStale)
	}
	if now, ok := refusal.Stored.(*nexus.Task); !ok || now.Status != "qa_loop" || now.Revision != seen.Revision+1 {
		t.Errorf("the error shows %+v as stored", refusal.Stored)
	}
	after, err := db.Tasks.Update(t.Context(), seen.ID, nexus.TaskUpdate{Revision: seen.Revision + 1, Name: &name})
	if err != nil {
		t.Fatal(err)
	}
	if after.Name != name || after.Status != "qa_loop" {
		t.Errorf("after the update: %+v", after)
	}
	mustRevise(t, db, "tasks", seen.ID, seen.Revision+2)
}

// When Nexus updates a row of another program, what it does not know and was
// not asked to change stays as it is: statuses, NULLs, empty texts, odd lists.
func TestOurUpdateKeepsWhatOthersWrote(t *testing.T) {
	t.Parallel()
	db, d, _ := shared(t)
	rows := followed(insertForeign(t, d))
	ctx, name := t.Context(), "renamed"
	value := 7.5

	var err error
	update := func(table, id string, set row, call func(id string) error) {
		t.Helper()
		err = errors.Join(err, call(id))
		rows[table] = []row{find(rows[table], id).with(set)}
	}
	update("projects", "x-p1", row{"name": name}, func(id string) error {
		_, err := db.Projects.Update(ctx, id, nexus.ProjectUpdate{Name: &name})
		return err
	})
	update("features", "x-f1", row{"name": name}, func(id string) error {
		_, err := db.Features.Update(ctx, id, nexus.FeatureUpdate{Name: &name})
		return err
	})
	update("sub_features", "x-u1", row{"name": name}, func(id string) error {
		_, err := db.SubFeatures.Update(ctx, id, nexus.SubFeatureUpdate{Name: &name})
		return err
	})
	update("tasks", "x-t1", row{"name": name}, func(id string) error {
		_, err := db.Tasks.Update(ctx, id, nexus.TaskUpdate{Name: &name})
		return err
	})
	update("agents", "x-a1", row{"branch_name": name}, func(id string) error {
		_, err := db.Agents.Update(ctx, id, nexus.AgentUpdate{BranchName: &name})
		return err
	})
	update("checkpoints", "x-c1", row{"git_commit": name}, func(id string) error {
		_, err := db.Checkpoints.Update(ctx, id, nexus.CheckpointUpdate{GitCommit: &name})
		return err
	})
	update("requirements", "x-r1", row{"description": name}, func(id string) error {
		_, err := db.Requirements.Update(ctx, id, nexus.RequirementUpdate{Description: &name})
		return err
	})
	update("metrics", "x-m1", row{"value": value}, func(id string) error {
		_, err := db.Metrics.Update(ctx, id, nexus.MetricUpdate{Value: &value})
		return err
	})
	data := nexus.JSON(`{"x":1}`)
	update("sessions", "x-s1", row{"data": string(data)}, func(id string) error {
		_, err := db.Sessions.Update(ctx, id, nexus.SessionUpdate{Data: &data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	read := do[content](t, d, "read", nil)
	for table, list := range rows {
		want, got := list[0], find(read[table], list[0]["id"].(string))
		for _, touched := range []string{"updated_at", "last_activity_at"} {
			if _, ok := want[touched]; ok {
				want[touched] = got[touched] // Nexus has set it to now
			}
		}
		mustEqual(t, "Drizzle reads of "+table, want, got)
		mustRevise(t, db, table, list[0]["id"].(string), 2)
	}
}

// What follows from tasks follows from what Drizzle does to them: what they wait
// for, and how far their feature is.
func TestDrizzleWorkIsFollowed(t *testing.T) {
	t.Parallel()
	db, d, _ := shared(t)
	task := find(foreignRows()["tasks"], "x-t2").with(row{"project_id": "nexus-p1", "feature_id": "nexus-f2", "status": "queued"})
	for i, step := range []struct {
		op   string
		args request
		want string // open dependencies of x-2; status and completed tasks of the feature
	}{
		{"insert", request{"table": "tasks", "row": task.with(row{"id": "x-2", "depends_on": `["x-1","nexus-t2"]`})}, "2 backlog 0"},
		{"insert", request{"table": "tasks", "row": task.with(row{"id": "x-1"})}, "2 backlog 0"},
		{"update", request{"table": "tasks", "id": "x-1", "set": row{"status": "completed"}}, "1 in_progress 1"},
		{"update", request{"table": "tasks", "id": "nexus-t2", "set": row{"status": "skipped"}}, "0 in_progress 1"},
		{"upsert", request{"table": "tasks", "row": task.with(row{"id": "x-1", "status": "review"})}, "1 in_progress 0"},
		{"sql", request{"text": "UPDATE tasks SET status = 'completed' WHERE id LIKE 'x-%'"}, "0 done 2"},
		{"sql", request{"text": "REPLACE INTO tasks (id, project_id, feature_id, name, status, created_at, updated_at) " +
			"VALUES ('x-1', 'nexus-p1', 'nexus-f2', 'n', 'merging', 1, 1)"}, "1 in_progress 1"},
		{"delete", request{"table": "tasks", "id": "nexus-t2"}, "2 in_progress 1"},
		{"update", request{"table": "tasks", "id": "x-2", "set": row{"depends_on": "x-1"}}, "1 in_progress 1"},
		{"updateAndRollBack", request{"table": "tasks", "id": "x-1", "set": row{"status": "completed"}}, "1 in_progress 1"},
		{"update", request{"table": "features", "id": "nexus-f2", "set": row{"completed_tasks": 9}}, "1 in_progress 1"},
	} {
		do[any](t, d, step.op, step.args)
		got := query(t, db, `SELECT t.open_dependencies || ' ' || f.status || ' ' || f.completed_tasks AS at
			FROM tasks t JOIN features f ON f.id = t.feature_id WHERE t.id = 'x-2'`)[0]["at"]
		if got != step.want {
			t.Errorf("after step %d: %v, want %s", i, got, step.want)
		}
		mustFollow(t, db)
	}
}

// Deleting works in both directions, and cascades as the contract says.
func TestDrizzleDeletesFromOurs(t *testing.T) {
	t.Parallel()
	db, d, rows := shared(t)
	foreign := followed(insertForeign(t, d))

	// No action: a feature that tasks refer to stays.
	refused(t, d, "FOREIGN KEY constraint failed", "delete", request{"table": "features", "id": "x-f1"})

	for _, gone := range []struct{ table, id string }{ // children first
		{"sessions", "x-s1"},
		{"metrics", "x-m1"},
		{"requirements", "x-r1"},
		{"checkpoints", "x-c1"},
		{"agents", "x-a1"},
		{"tasks", "x-t1"},
		{"sub_features", "x-u1"},
		{"features", "x-f1"},
		{"projects", "x-p2"},
	} {
		mustEqual(t, "returned by the delete from "+gone.table, []row{find(foreign[gone.table], gone.id)},
			do[[]row](t, d, "delete", request{"table": gone.table, "id": gone.id}))
		foreign[gone.table] = without(foreign[gone.table], "id", gone.id)
		if gone.table == "projects" {
			foreign["sessions"] = without(foreign["sessions"], "project_id", gone.id)
		}
	}
	mustEqual(t, "in the file", rows.plus(foreign), stored(t, db))

	// With a project goes all that belongs to it; agents belong to none.
	do[any](t, d, "delete", request{"table": "projects", "id": "nexus-p1"})
	left := content{
		"projects": without(rows["projects"], "id", "nexus-p1"),
		"agents":   rows["agents"],
	}
	mustEqual(t, "in the file after Drizzle has deleted a project", left.plus(foreign), stored(t, db))

	if err := db.Projects.Delete(t.Context(), "x-p1"); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "read by Drizzle after Nexus has deleted a project", left.plus(nil), do[content](t, d, "read", nil))
}

func without(rows []row, column, value string) (left []row) {
	for _, r := range rows {
		if r[column] != value {
			left = append(left, r)
		}
	}
	return left
}

// A Drizzle program runs its migrator whenever it starts. On a file that Nexus
// has made it finds tables that it did not make, and fails; that must harm
// nothing.
func TestDrizzleMigratorOnOurs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "nexus.db")
	db := openNexus(t, path)
	rows := fillWithNexus(t, db)
	closeNexus(t, db)

	d := startDrizzle(t, path)
	refused(t, d, "already exists", "migrate", nil)
	mustEqual(t, "read by Drizzle", rows.plus(nil), do[content](t, d, "read", nil))
	d.close(t)

	db = openNexus(t, path)
	mustEqual(t, "in the file", rows.plus(nil), stored(t, db))
	_, added, err := db.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range added {
		if name == "__drizzle_migrations" {
			t.Error("Tables lists Drizzle's own table")
		}
	}
}

// Another program adds what it needs: a table and a column of its own. Nexus
// goes on working, and leaves both alone.
func TestOthersAddToOurSchema(t *testing.T) {
	t.Parallel()
	db, d, rows := shared(t)
	for _, text := range []string{
		"CREATE TABLE notes (id TEXT PRIMARY KEY, task_id TEXT REFERENCES tasks (id) ON DELETE CASCADE, text TEXT)",
		"ALTER TABLE tasks ADD COLUMN colour TEXT DEFAULT 'red'",
		"INSERT INTO notes VALUES ('n1', 'nexus-t1', 'a note')",
		"UPDATE tasks SET colour = 'blue' WHERE id = 'nexus-t2'",
	} {
		do[any](t, d, "sql", request{"text": text})
	}
	mustRevise(t, db, "tasks", "nexus-t2", 1) // a column that Nexus does not know makes no edit of its own stale
	mustEqual(t, "in the file", rows.plus(nil), stored(t, db))
	name := "renamed"
	if _, err := db.Tasks.Update(t.Context(), "nexus-t2", nexus.TaskUpdate{Name: &name}); err != nil {
		t.Fatal(err)
	}
	got := do[any](t, d, "sql", request{"text": "SELECT colour, name, revision FROM tasks WHERE id = 'nexus-t2'"})
	mustEqual(t, "the task", []row{{"colour": "blue", "name": name, "revision": 2}}, got)

	_, added, err := db.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := "notes"; len(added) == 0 || added[len(added)-1] != want {
		t.Errorf("Tables lists %v as added, without %s", added, want)
	}
	if err := db.Tasks.Delete(t.Context(), "nexus-t1"); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "notes", []row{{"n": 0}}, do[any](t, d, "sql", request{"text": "SELECT count(*) AS n FROM notes"}))
}
