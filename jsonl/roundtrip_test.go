package jsonl_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// oddities are values, as SQL, that a program may store in a column whatever its type
// is: SQLite takes them all.
var oddities = []string{
	"'plain'", "''", "' '", "'12abc'", "'12'", "12", "-1", "0", "1.5", "1.0", "-0.0", "9e999", "-9e999", "9223372036854775807",
	"-9223372036854775808", "9.3e18", "1e-300", "0.1", "123456789.123456789", "x''", "x'00ff41'", "x'c3'", "CAST(x'61ff62' AS TEXT)",
	"CAST(x'c3' AS TEXT)", "CAST(x'eda080' AS TEXT)", "char(0)", "'a' || char(0) || 'b'", "char(0x2028, 0x7f, 0x1b, 9, 10, 13, 8, 0xfffd, 0x1f600)",
	`'"' || '\' || '/<>&'`, "'null'", `'{"text":"YQ=="}'`, `'["a","b"]'`, "'{oops'", "'pending'", "'completed'", "'in_progress'", "'done'", "'skipped'",
}

// columnsOf are the columns of a table that take anything, and those that take
// anything but NULL.
var columnsOf = map[string]struct{ nullable, required []string }{
	"projects": {
		[]string{"description", "repository_url", "completed_at", "budget_tokens", "budget_usd"},
		[]string{"name", "status", "root_path", "created_at", "updated_at", "revision"},
	},
	"features": {
		[]string{"description", "estimated_tasks", "completed_tasks"},
		[]string{"name", "priority", "status", "created_at", "updated_at", "revision"},
	},
	"sub_features": {[]string{"description"}, []string{"name", "status", "created_at", "revision"}},
	"tasks": {
		[]string{
			"description", "assigned_agent", "worktree_path", "branch_name", "depends_on", "blocked_by", "qa_iterations", "max_iterations",
			"estimated_minutes", "actual_minutes", "started_at", "completed_at", "metadata", "budget_tokens", "budget_usd",
		},
		[]string{"name", "status", "size", "created_at", "updated_at", "revision", "priority", "max_attempts", "failed_attempts"},
	},
	"agents": {
		[]string{"current_task_id", "worktree_path", "tokens_used", "tasks_completed", "terminated_at", "termination_reason"},
		[]string{"type", "status", "spawned_at", "last_activity_at", "revision"},
	},
	"checkpoints":  {[]string{"name", "reason", "state", "git_commit"}, []string{"created_at", "revision"}},
	"requirements": {[]string{"source", "linked_features", "validated"}, []string{"category", "description", "priority", "created_at", "revision"}},
	"metrics":      {[]string{"agent_id", "task_id", "metadata"}, []string{"type", "value", "timestamp", "revision"}},
	"sessions":     {[]string{"data", "ended_at"}, []string{"type", "status", "started_at", "revision"}},
}

// ids are such that other programs choose.
var ids = []string{"'a'", "'B'", "''", "'12'", "'a' || char(0)", "'ü'", "x'00'", "CAST(x'ff' AS TEXT)", `'"' || char(10)`, "'%_'"}

// odd draws a statement that inserts a row with odd values.
func odd(t *rapid.T, table, id string, fixed map[string]string) string {
	columns, values := []string{"id"}, []string{id}
	for name, value := range fixed {
		if value != "" {
			columns, values = append(columns, name), append(values, value)
		}
	}
	kinds := columnsOf[table]
	for _, name := range kinds.required {
		columns = append(columns, name)
		values = append(values, rapid.SampledFrom(oddities).Draw(t, name))
	}
	for _, name := range kinds.nullable {
		if rapid.Bool().Draw(t, "with "+name) {
			columns = append(columns, name)
			values = append(values, rapid.SampledFrom(append([]string{"NULL"}, oddities...)).Draw(t, name))
		}
	}
	return fmt.Sprintf("INSERT OR IGNORE INTO %s (%s) VALUES (%s)", table, strings.Join(columns, ", "), strings.Join(values, ", "))
}

// openIn opens a database in a new folder, which is removed when done.
func openIn(t *rapid.T, folder string) (dir string, db *store.DB, done func()) {
	dir, err := os.MkdirTemp(folder, "")
	if err != nil {
		t.Fatal(err)
	}
	db = open(t, dir)
	return dir, db, func() {
		closeDB(t, db)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}
}

// Whatever programs have stored, an export that is imported and exported is the same,
// byte by byte.
func TestOddContentComesBack(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, db, done := openIn(t, folder)
		defer done()
		if rapid.Bool().Draw(t, "columns of others") {
			run(t, db, `ALTER TABLE tasks ADD COLUMN "odd ""name" VARCHAR(10, 2) NOT NULL DEFAULT 'it''s'`,
				"ALTER TABLE tasks ADD COLUMN bare", "ALTER TABLE projects ADD COLUMN n INTEGER DEFAULT -1.5",
				"ALTER TABLE features ADD COLUMN a REAL", "ALTER TABLE idempotency_keys ADD COLUMN at TEXT DEFAULT CURRENT_TIMESTAMP",
				"ALTER TABLE tasks ADD COLUMN twice INTEGER GENERATED ALWAYS AS (1 + 1) VIRTUAL")
		}
		var statements []string
		some := func(name string) []string {
			return rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 0, 4, rapid.ID[string]).Draw(t, name)
		}
		projects := append(some("projects"), "'p'")
		project := rapid.SampledFrom(projects)
		for _, id := range projects {
			statements = append(statements, odd(t, "projects", id, map[string]string{
				"mode": rapid.SampledFrom([]string{"'genesis'", "'evolution'"}).Draw(t, "mode"),
			}))
		}
		features, subs := []string{"'f'"}, []string{""}
		for _, id := range append(some("features"), "'f'") {
			features = append(features, id)
			statements = append(statements, odd(t, "features", id, map[string]string{"project_id": project.Draw(t, "project")}))
		}
		for _, id := range some("sub-features") {
			subs = append(subs, id)
			statements = append(statements, odd(t, "sub_features", id, map[string]string{"feature_id": rapid.SampledFrom(features).Draw(t, "feature")}))
		}
		for _, id := range some("tasks") {
			statements = append(statements, odd(t, "tasks", id, map[string]string{
				"project_id": project.Draw(t, "project"), "feature_id": rapid.SampledFrom(append(features, "")).Draw(t, "feature"),
				"sub_feature_id": rapid.SampledFrom(subs).Draw(t, "sub-feature"),
			}))
		}
		for _, table := range []string{"checkpoints", "requirements", "metrics", "sessions"} {
			for _, id := range some(table) {
				statements = append(statements, odd(t, table, id, map[string]string{"project_id": project.Draw(t, "project")}))
			}
		}
		for _, id := range some("agents") {
			statements = append(statements, odd(t, "agents", id, nil))
		}
		run(t, db, statements...)
		comesBack(t, dir, db)
	})
}

// A database in the middle of work: tasks that agents hold, that have failed, that wait;
// features that have begun because of them, been set back, reviewed; keys.
func TestWorkComesBack(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, db, done := openIn(t, folder)
		defer done()
		ctx := context.Background()
		must := func(err error) {
			if err != nil {
				t.Fatalf("%v", err)
			}
		}
		must(db.Projects.Create(ctx, &nexus.Project{ID: "p", Name: "P", RootPath: "/"}))
		for _, f := range []string{"f1", "f2"} {
			must(db.Features.Create(ctx, &nexus.Feature{ID: f, ProjectID: "p", Name: f}))
			must(db.SubFeatures.Create(ctx, &nexus.SubFeature{ID: "s" + f, FeatureID: f, Name: f}))
		}
		for i := range rapid.IntRange(1, 8).Draw(t, "tasks") {
			task := &nexus.Task{ID: fmt.Sprint("t", i), ProjectID: "p", Name: "T"}
			if f := rapid.SampledFrom([]string{"", "f1", "f2"}).Draw(t, "feature"); f != "" {
				task.FeatureID = f
				if rapid.Bool().Draw(t, "in a sub-feature") {
					task.SubFeatureID = "s" + f
				}
			}
			if i > 0 && rapid.Bool().Draw(t, "waits") {
				task.DependsOn = []string{fmt.Sprint("t", rapid.IntRange(0, i-1).Draw(t, "on"))}
			}
			must(db.Tasks.Create(ctx, task))
		}
		steps := map[string]func(nexus.Claim){
			"keep": func(nexus.Claim) {},
			"complete": func(c nexus.Claim) {
				_, err := db.Tasks.Complete(ctx, c.TaskID, c.Epoch, nexus.Evidence{Commit: "c"})
				must(err)
			},
			"fail": func(c nexus.Claim) {
				_, err := db.Tasks.Fail(ctx, c.TaskID, c.Epoch, store.Failure{Reason: "r"})
				must(err)
			},
			"release": func(c nexus.Claim) { _, err := db.Tasks.Release(ctx, c.TaskID, c.Epoch, "r"); must(err) },
			"delete": func(c nexus.Claim) {
				run(t, db, "DELETE FROM tasks WHERE id = '"+c.TaskID+"'")
			},
			"foreign": func(c nexus.Claim) {
				run(t, db, "UPDATE tasks SET status = 'skipped', updated_at = 5 WHERE id = '"+c.TaskID+"'")
			},
		}
		for range rapid.IntRange(0, 8).Draw(t, "claims") {
			claims, err := db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "agent")})
			must(err)
			if len(claims) == 0 {
				break
			}
			steps[rapid.SampledFrom([]string{"keep", "complete", "fail", "release", "delete", "foreign"}).Draw(t, "step")](claims[0])
		}
		if rapid.Bool().Draw(t, "a person") {
			run(t, db, "UPDATE features SET status = 'human_review', completed_tasks = 99, updated_at = 7 WHERE id = 'f1'",
				"UPDATE sub_features SET status = 'backlog' WHERE id = 'sf1'",
				"UPDATE features SET status = 'planning' WHERE id = 'f2'")
		}
		_, _, err := store.Once(ctx, db, "key", "request", func(tx *store.Tx) (string, error) { return "result", nil })
		must(err)
		comesBack(t, dir, db)
	})
}

// Each table that Nexus makes is in an export, or follows from those that are.
func TestEveryTableIsConsidered(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	err := db.View(t.Context(), func(tx *store.Tx) error {
		catalog, err := tx.Catalog(t.Context())
		if err != nil {
			return err
		}
		contents, err := tx.Contents(t.Context())
		if err != nil {
			return err
		}
		considered := map[string]bool{
			"task_dependencies": true, "replaced_tasks": true, "history_rows": true, "replaced_rows": true, "metric_totals": true, "replaced_metrics": true,
			"search_documents": true, "search_progress": true, "task_hashes": true, "task_hash_progress": true,
		}
		for _, table := range contents.Tables {
			considered[table.Name] = true
			if len(table.Added) > 0 {
				t.Errorf("%s has columns that are taken for another program's: %v", table.Name, table.Added)
			}
		}
		for _, table := range catalog.Tables {
			if !considered[table.Name] {
				t.Errorf("%s is not in an export; if it holds what follows from nothing else, add it to store's ownTables", table.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
