package sqlite_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus/storetest"
)

// otherWrites are the ways to write that only SQLite has; in some of them it
// deletes rows without a word to triggers. Statements of one transaction are
// separated by semicolons.
var otherWrites = map[string]string{
	"insert":         "INSERT INTO tasks " + taskValues,
	"replace":        "INSERT OR REPLACE INTO tasks " + taskValues,
	"replace two":    "REPLACE INTO tasks " + taskValues + ", ($other, 'p', 'f2', NULL, 'n', $status, $on, 1, 2)",
	"replace twice":  "REPLACE INTO tasks " + taskValues + ", ($id, 'p', 'f2', NULL, 'n', 'completed', $on, 1, 2)",
	"replace all":    "INSERT OR REPLACE INTO tasks SELECT * FROM tasks",
	"replace stale":  "REPLACE INTO tasks (id, project_id, name, created_at, updated_at, open_dependencies) VALUES ($id, 'p', 'n', 1, 2, 3)",
	"replace bare":   "REPLACE INTO tasks (id, project_id, name, created_at, updated_at) VALUES ($id, 'p', 'n', 1, 2)",
	"ignore":         "INSERT OR IGNORE INTO tasks " + taskValues,
	"upsert":         "INSERT INTO tasks " + taskValues + " ON CONFLICT DO UPDATE SET feature_id = excluded.feature_id, status = excluded.status, depends_on = excluded.depends_on",
	"upsert id":      "INSERT INTO tasks " + taskValues + " ON CONFLICT (id) DO UPDATE SET id = $other, depends_on = $on",
	"update":         "UPDATE tasks SET status = $status, depends_on = $on WHERE id = $id",
	"update ignore":  "UPDATE OR IGNORE tasks SET id = $other, status = $status WHERE id = $id",
	"update replace": "UPDATE OR REPLACE tasks SET status = $status, feature_id = nullif($feature, ''), depends_on = $on, open_dependencies = 9 WHERE id = $id",
	"delete":         "DELETE FROM tasks WHERE id = $id",
	"delete again":   "DELETE FROM tasks WHERE id = $id; INSERT OR REPLACE INTO tasks " + taskValues,
	"progress":       "UPDATE OR REPLACE features SET completed_tasks = 9",
	"feature":        "INSERT OR REPLACE INTO features " + featureValues,
	"sub-feature":    "INSERT OR REPLACE INTO sub_features (id, feature_id, name, created_at) VALUES ('u1', 'f1', 'n', 1)",
	"feature again":  "DELETE FROM features WHERE id = 'f1'; INSERT INTO features " + featureOneValues,
	"feature meanwhile": "DELETE FROM features WHERE id = 'f1'; DELETE FROM sub_features WHERE id = 'u1'; INSERT OR IGNORE INTO tasks " + taskValues +
		"; INSERT INTO features " + featureOneValues + "; INSERT INTO sub_features (id, feature_id, name, created_at) VALUES ('u1', 'f1', 'n', 1)",
	"project": "INSERT OR REPLACE INTO projects " + projectValues + "; INSERT OR IGNORE INTO features " + featureValues +
		"; INSERT OR IGNORE INTO sub_features (id, feature_id, name, created_at) VALUES ('u1', 'f1', 'n', 1)",
}

// ours are the tables of which another program has never heard.
var ours = regexp.MustCompile("task_dependencies|task_attempts|replaced_tasks|open_dependencies|task_count|tasks_changed_us")

const (
	taskValues = `(id, project_id, feature_id, sub_feature_id, name, status, depends_on, created_at, updated_at)
		VALUES ($id, 'p', nullif($feature, ''), nullif($sub, ''), 'n', $status, $on, 1, 2)`
	featureOneValues = "(id, project_id, name, created_at, updated_at) VALUES ('f1', 'p', 'n', 1, 2)"
	featureValues    = featureOneValues + ", ('f2', 'p', 'n', 1, 2)"
	projectValues    = `(id, name, mode, status, root_path, created_at, updated_at) VALUES ('p', 'n', 'genesis', 'x', '/', 1, 2)`
)

// TestDerivedFollowsOtherPrograms compares what is derived with what follows from
// the plain tables after whatever another program has done, with the settings of
// its connection one way and the other.
func TestDerivedFollowsOtherPrograms(t *testing.T) {
	t.Parallel()
	var names []string
	for name := range otherWrites {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, settings := range []string{
		"foreign_keys = OFF; recursive_triggers = OFF",
		"foreign_keys = ON; recursive_triggers = OFF",
		"foreign_keys = OFF; recursive_triggers = ON",
		"foreign_keys = ON; recursive_triggers = ON",
	} {
		t.Run(settings, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "nexus.db")
			db := openSuite(t, path, nil)
			c := otherProgram(t, path)
			for setting := range strings.SplitSeq(settings, ";") {
				if err := sqlitex.ExecuteTransient(c, "PRAGMA "+setting, nil); err != nil {
					t.Fatal(err)
				}
			}
			rapid.Check(t, func(rt *rapid.T) {
				write := func(name string, args map[string]any) error {
					rt.Log(name, args)
					return transaction(c, otherWrites[name], args)
				}
				if err := transaction(c, "DELETE FROM tasks; DELETE FROM projects", nil); err != nil {
					rt.Fatal(err)
				}
				if err := write("project", nil); err != nil {
					rt.Fatal(err)
				}
				rt.Repeat(map[string]func(*rapid.T){
					"": func(rt *rapid.T) {
						if err := storetest.CheckDerived(background, db); err != nil {
							rt.Fatal(err)
						}
					},
					"write": func(rt *rapid.T) {
						id := rapid.SampledFrom([]string{"a", "b", "c", "d"})
						args := map[string]any{
							"$id": id.Draw(rt, "id"), "$other": id.Draw(rt, "other"),
							"$feature": rapid.SampledFrom([]string{"", "f1", "f2"}).Draw(rt, "feature"),
							"$sub":     rapid.SampledFrom([]string{"", "u1"}).Draw(rt, "sub"),
							"$status":  rapid.SampledFrom([]string{"pending", "completed", "skipped", "qa_loop"}).Draw(rt, "status"),
							"$on":      rapid.SampledFrom([]string{"", "[]", `["a"]`, `["b","a"]`, `["d","d","e"]`, `[7,"7"]`, "c", "{oops"}).Draw(rt, "on"),
						}
						err := write(rapid.SampledFrom(names).Draw(rt, "name"), args)
						// A constraint of the program's own tables may be in its way, one of ours never.
						if err != nil && (zombiezen.ErrCode(err).ToPrimary() != zombiezen.ResultConstraint || ours.MatchString(err.Error())) {
							rt.Fatal(err)
						}
					},
				})
			})
		})
	}
}

// transaction runs statements, all or none, with those of the arguments that they
// name.
func transaction(c *zombiezen.Conn, sql string, args map[string]any) (err error) {
	end, err := sqlitex.ImmediateTransaction(c)
	if err != nil {
		return err
	}
	defer end(&err)
	for statement := range strings.SplitSeq(sql, ";") {
		named := make(map[string]any)
		for name, value := range args {
			if strings.Contains(statement, name) {
				named[name] = value
			}
		}
		if err := sqlitex.Execute(c, statement, &sqlitex.ExecOptions{Named: named}); err != nil {
			return err
		}
	}
	return nil
}
