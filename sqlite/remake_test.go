package sqlite_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/handle"
	"github.com/seed-c8812374/nexus/storetest"
)

// byHand runs a script on a database as another program does.
func byHand(t testing.TB, path, script string) {
	t.Helper()
	t.Helper()
	c, err := handle.Open(path, zombiezen.OpenReadWrite)
	mustSucceed(t, err)
	defer func() { mustSucceed(t, handle.Close(c)) }()
	mustSucceed(t, sqlitex.ExecuteScript(c, script, nil))
}

func sameLines(t *testing.T, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// schemaOf is the schema without its order and the order of columns.
func schemaOf(t *testing.T, path string) []string {
	t.Helper()
	return rows(t, path, "SELECT type || ' ' || name FROM sqlite_schema ORDER BY 1")
}

// Whatever a program drops of what Nexus has added, doctor names it and makes it
// again, and what is derived is right afterwards.
func TestRemake(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sql  string
		want []string // that are named
	}{
		"an index":             {"DROP INDEX idx_tasks_ready", []string{"index idx_tasks_ready"}},
		"an index of contract": {"DROP INDEX idx_tasks_project", []string{"index idx_tasks_project"}},
		"a trigger, and writes without it": {
			"DROP TRIGGER tasks_insert_counts; INSERT INTO tasks (id, project_id, feature_id, name, created_at, updated_at) VALUES ('x', 'p', 'f0', 'n', 0, 0)",
			[]string{"trigger tasks_insert_counts"},
		},
		"another trigger of that name": {
			"DROP TRIGGER tasks_revision; CREATE TRIGGER tasks_revision AFTER UPDATE ON tasks BEGIN SELECT 1; END",
			[]string{"trigger tasks_revision"},
		},
		"a view": {"DROP TRIGGER tasks_insert_edges; DROP TRIGGER tasks_update_edges; DROP VIEW task_dependency_lists", []string{
			"view task_dependency_lists", "trigger tasks_insert_edges", "trigger tasks_update_edges",
		}},
		"a table": {"DROP TABLE session_log", []string{"table session_log", "trigger session_log_history_delete"}},
		"a column": {
			"DROP TRIGGER tasks_revision; DROP TRIGGER tasks_history_replace; DROP TRIGGER tasks_history_insert; DROP TRIGGER tasks_history_update; " +
				"DROP TRIGGER tasks_history_large; DROP TRIGGER tasks_history_rename; DROP TRIGGER tasks_history_delete; " +
				"ALTER TABLE tasks DROP COLUMN metadata",
			[]string{
				"column metadata of tasks", "trigger tasks_revision",
				"trigger tasks_history_replace", "trigger tasks_history_insert", "trigger tasks_history_update",
				"trigger tasks_history_large", "trigger tasks_history_rename", "trigger tasks_history_delete",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			db := open(t, path, quiet)
			shapes[1].fill(t, db, 50)
			mustClose(t, db)
			before := schemaOf(t, path)
			byHand(t, path, test.sql)

			db = open(t, path, quiet)
			list, err := db.Diagnose(background)
			mustSucceed(t, err)
			if len(list) != 1 || list[0].Check != "schema" || !list[0].Mendable {
				t.Fatalf("%+v", list)
			}
			sameLines(t, list[0].IDs, test.want)
			_, err = db.Mend(background)
			mustSucceed(t, err)
			list, err = db.Diagnose(background)
			mustSucceed(t, err)
			if len(list) > 0 {
				t.Errorf("left: %+v", list)
			}
			mustSucceed(t, storetest.CheckDerived(background, db))
			sameLines(t, schemaOf(t, path), before)
			mustSucceed(t, db.Tasks.Create(background, &nexus.Task{ProjectID: "p", Name: "n", DependsOn: []string{"t00000001"}, Metadata: "{}"}))
			mustSucceed(t, storetest.CheckDerived(background, db))
			mustClose(t, db)
			mustBeSound(t, path)
		})
	}
}

// What has changed while a trigger of the history was missing is in the next checkpoint,
// although the history does not say so.
func TestCheckpointAfterLostTrigger(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	db := open(t, path, quiet)
	shapes[0].fill(t, db, 300)
	checkpoint(t, db, "p")
	mustClose(t, db)
	byHand(t, path, "DROP TRIGGER tasks_history_update; UPDATE tasks SET name = 'unseen' WHERE id = 't00000007'")
	db = open(t, path, quiet)
	_, err := db.Mend(background)
	mustSucceed(t, err)
	mustVerify(t, db, checkpoint(t, db, "p"))
}

// What refers to what does not exist is named; what can be let go of is let go of.
func TestDoctorOrphans(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	db := open(t, path, quiet)
	shapes[0].fill(t, db, 20)
	mustClose(t, db)
	byHand(t, path, "DELETE FROM features WHERE id = 'f1'; DELETE FROM tasks WHERE id = 't00000002'; "+
		"INSERT INTO sessions (id, project_id, type, started_at) VALUES ('s', 'gone', 'review', 0)")
	db = open(t, path, quiet)
	short := func(list []nexus.Finding) (all []string) {
		for _, f := range list {
			all = append(all, f.Message+": "+strings.Join(f.IDs, " "))
		}
		return all
	}
	list, err := db.Diagnose(background)
	mustSucceed(t, err)
	sameLines(t, short(list), []string{
		"tasks are of a feature that does not exist: t00000001", "sessions are of a project that does not exist: s",
	})
	_, err = db.Mend(background)
	mustSucceed(t, err)
	list, err = db.Diagnose(background)
	mustSucceed(t, err)
	sameLines(t, short(list), []string{"sessions are of a project that does not exist: s"})
}

// In a damaged file nothing is mended.
func TestDoctorDamage(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	db := open(t, path, quiet)
	shapes[0].fill(t, db, 5000)
	mustClose(t, db)
	bytes := content(t, path)
	const page = 4096
	copy(bytes[len(bytes)/2/page*page:], strings.Repeat("x", page))
	mustSucceed(t, os.WriteFile(path, bytes, 0o600))
	db = open(t, path, quiet)
	list, err := db.Diagnose(background)
	mustSucceed(t, err)
	if len(list) != 1 || list[0].Check != "pages" || list[0].Mendable {
		t.Fatalf("%+v", list)
	}
	if _, err := db.Mend(background); nexus.CodeOf(err) != nexus.CodeCorrupt {
		t.Error(err)
	}
}
