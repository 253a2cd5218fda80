package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// newDrizzle makes a database as the TypeScript stack leaves it.
func newDrizzle(t testing.TB) (path string) {
	t.Helper()
	path = newPath(t)
	script(t, path, string(content(t, "testdata/drizzle.sql")))
	return path
}

// contractColumns are the columns of the nine tables that every program knows.
var contractColumns = map[string]string{
	"projects":     "id, name, description, mode, status, root_path, repository_url, created_at, updated_at, completed_at",
	"features":     "id, project_id, name, description, priority, status, estimated_tasks, completed_tasks, created_at, updated_at",
	"sub_features": "id, feature_id, name, description, status, created_at",
	"tasks": "id, project_id, feature_id, sub_feature_id, name, description, status, size, assigned_agent, worktree_path, branch_name, " +
		"depends_on, blocked_by, qa_iterations, max_iterations, estimated_minutes, actual_minutes, started_at, completed_at, created_at, updated_at",
	"agents": "id, type, status, current_task_id, worktree_path, branch_name, tokens_used, tasks_completed, tasks_failed, " +
		"spawned_at, last_activity_at, terminated_at, termination_reason",
	"checkpoints":  "id, project_id, name, reason, state, git_commit, created_at",
	"requirements": "id, project_id, category, description, priority, source, linked_features, validated, created_at",
	"metrics":      "id, project_id, agent_id, task_id, type, value, metadata, timestamp",
	"sessions":     "id, project_id, type, status, data, started_at, ended_at",
}

// contractDump returns what a program that knows only the contract sees.
func contractDump(t testing.TB, path string) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for table, columns := range contractColumns {
		all[table] = rows(t, path, "SELECT rowid, "+columns+" FROM "+table+" ORDER BY rowid")
	}
	all["drizzle"] = rows(t, path, "SELECT * FROM __drizzle_migrations ORDER BY rowid")
	return all
}

func TestAdoptDrizzle(t *testing.T) {
	t.Parallel()
	path := newDrizzle(t)
	before, whole := contractDump(t, path), dump(t, path)
	original := content(t, path)
	orphans := rows(t, path, "PRAGMA foreign_key_check")
	if len(orphans) < 5 || len(before["tasks"]) != 4 {
		t.Fatal("the test data is not what it should be")
	}

	log := new(book)
	db := open(t, path, &sqlite.Options{Logger: log.logger()})
	contract, added, err := db.Tables(background)
	if err != nil || len(contract) != 9 || slices.Contains(added, "__drizzle_migrations") {
		t.Errorf("tables = %v, %v, %v", contract, added, err)
	}
	h, err := db.Health(background, true)
	if err != nil || !h.WAL || !h.ForeignKeys || h.SchemaVersion != h.LatestVersion {
		t.Errorf("health = %+v, %v", h, err)
	}
	if len(h.Problems) == 0 {
		t.Error("health does not mention the orphans")
	}
	// Odd values are read, not refused.
	for table, n := range listAll(t, db) {
		if want := len(before[table]); n != want {
			t.Errorf("%d %s are listed, want %d", n, table, want)
		}
	}
	mustClose(t, db)

	mustEqual(t, contractDump(t, path), before)
	if got := rows(t, path, "PRAGMA foreign_key_check"); !slices.Equal(sorted(got), sorted(orphans)) {
		t.Errorf("orphans are %v, were %v", got, orphans)
	}

	files := beside(t, path)
	if len(files) != 1 || !strings.Contains(files[0], "backup") {
		t.Fatalf("beside the database: %v", files)
	}
	if len(log.with(files[0])) != 1 {
		t.Errorf("the path of the backup is not logged: %s", log.with(""))
	}
	backup := filepath.Join(filepath.Dir(path), files[0])
	copied := content(t, backup)
	mustEqual(t, dump(t, backup), whole)
	// Bytes 24 to 28 and 92 to 100 of the header count changes and name the
	// version of SQLite that wrote last.
	if !bytes.Equal(copied[100:], original[100:]) {
		t.Error("the backup is another file than the original")
	}

	// Opened again it is up to date.
	mustClose(t, open(t, path, nil))
	if files := beside(t, path); len(files) != 1 {
		t.Errorf("beside the database: %v", files)
	}
	mustEqual(t, contractDump(t, path), before)
}

// listAll lists every entity, and returns how many there are, by table.
func listAll(t testing.TB, db *store.DB) map[string]int {
	t.Helper()
	projects, err1 := db.Projects.List(background, nexus.ProjectFilter{})
	features, err2 := db.Features.List(background, nexus.FeatureFilter{})
	subFeatures, err3 := db.SubFeatures.List(background, nexus.SubFeatureFilter{})
	tasks, err4 := db.Tasks.List(background, nexus.TaskFilter{})
	agents, err5 := db.Agents.List(background, nexus.AgentFilter{})
	checkpoints, err6 := db.Checkpoints.List(background, nexus.CheckpointFilter{})
	requirements, err7 := db.Requirements.List(background, nexus.RequirementFilter{})
	metrics, err8 := db.Metrics.List(background, nexus.MetricFilter{})
	sessions, err9 := db.Sessions.List(background, nexus.SessionFilter{})
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9); err != nil {
		t.Fatal(err)
	}
	return map[string]int{
		"projects": len(projects), "features": len(features), "sub_features": len(subFeatures), "tasks": len(tasks),
		"agents": len(agents), "checkpoints": len(checkpoints), "requirements": len(requirements),
		"metrics": len(metrics), "sessions": len(sessions),
	}
}

// The programs of the TypeScript stack go on writing as before.
func TestDrizzleGoesOnAfterAdoption(t *testing.T) {
	t.Parallel()
	path := newDrizzle(t)
	mustClose(t, open(t, path, nil))
	script(t, path, `
		PRAGMA foreign_keys = ON;
		INSERT INTO projects (id, name, mode, status, root_path, created_at, updated_at)
			VALUES ('new', 'New', 'genesis', 'pending', '/', 1, 1);
		INSERT INTO tasks (id, project_id, name, created_at, updated_at) VALUES ('new', 'new', 'New', 1, 1);
		UPDATE tasks SET status = 'completed' WHERE id = 'new';
		UPDATE projects SET name = 'Newer' WHERE id = 'new';
		INSERT OR REPLACE INTO agents (id, type, spawned_at, last_activity_at) VALUES ('a1', 'coder', 1, 1);
		DELETE FROM projects WHERE id = 'p1';
	`)
	db := open(t, path, nil)
	p, err := db.Projects.Get(background, "new")
	if err != nil || p.Name != "Newer" || p.Revision != 2 {
		t.Errorf("project = %+v, %v", p, err)
	}
	if _, err := db.Tasks.Get(background, "t1"); nexus.CodeOf(err) != nexus.CodeNotFound {
		t.Errorf("a task of the deleted project: %v", err)
	}
}

// Processes that adopt the same database at once make one backup and one
// upgrade.
func TestManyProcessesAdopt(t *testing.T) {
	t.Parallel()
	path := newDrizzle(t)
	before := contractDump(t, path)
	all := make([]*process, 12)
	for i := range all {
		all[i] = start(t, "", "open-and-write", path, fmt.Sprintf("new%d", i))
	}
	for _, p := range all {
		p.Line()
	}
	for _, p := range all {
		p.GoOn()
	}
	for _, p := range all {
		if _, err := p.End(); err != nil {
			t.Error(err)
		}
	}
	if files := beside(t, path); len(files) != 1 {
		t.Errorf("beside the database: %v", files)
	}
	script(t, path, "DELETE FROM projects WHERE id LIKE 'new%'")
	mustEqual(t, contractDump(t, path), before)
}

// A file that looks like the contract but is not is another program's.
func TestRefuseAlmostDrizzle(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"a column is missing":       "ALTER TABLE tasks DROP COLUMN blocked_by",
		"a column is renamed":       "ALTER TABLE sessions RENAME COLUMN data TO payload",
		"another type":              "ALTER TABLE metrics DROP COLUMN timestamp; ALTER TABLE metrics ADD COLUMN timestamp TEXT NOT NULL DEFAULT ''",
		"may be NULL":               "ALTER TABLE requirements DROP COLUMN category; ALTER TABLE requirements ADD COLUMN category TEXT",
		"must not be NULL":          "ALTER TABLE checkpoints DROP COLUMN reason; ALTER TABLE checkpoints ADD COLUMN reason TEXT NOT NULL DEFAULT ''",
		"a table is missing":        "DROP TABLE metrics",
		"a table is renamed":        "ALTER TABLE agents RENAME TO workers",
		"a view instead of a table": "ALTER TABLE agents RENAME TO workers; CREATE VIEW agents AS SELECT * FROM workers",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newDrizzle(t)
			script(t, path, change)
			mustRefuse(t, path, nexus.CodeForeign)
		})
	}
}

// mustRefuse checks that nothing of Nexus touches a file.
func mustRefuse(t *testing.T, path string, code nexus.Code) {
	t.Helper()
	before, alone := content(t, path), beside(t, path)
	_, err := sqlite.Open(background, path, nil)
	wantCode(t, err, code)
	if hintOf(err) == "" {
		t.Errorf("%v does not say what to do", err)
	}
	_, err = sqlite.Open(background, path, &sqlite.Options{ReadOnly: true})
	wantCode(t, err, code)
	_, err = sqlite.Migrations(background, path, nil)
	wantCode(t, err, code)
	_, err = sqlite.MigrateDown(background, path, nil, true)
	wantCode(t, err, code)
	mustBe(t, path, before)
	if got := beside(t, path); !slices.Equal(got, alone) {
		t.Errorf("beside the file are %v, were %v", got, alone)
	}
}
