package drift_test

import (
	"cmp"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/tools/drift"
)

// edit is a change of the columns that are wanted.
type edit func([]drift.Table)

func with(table string, column store.Column) edit {
	return func(tables []drift.Table) {
		t := find(tables, table)
		for i := range t.Columns {
			if t.Columns[i].Name == column.Name {
				t.Columns[i] = column
				return
			}
		}
		t.Columns = append(t.Columns, column)
	}
}

func without(table, column string) edit {
	return func(tables []drift.Table) {
		t := find(tables, table)
		t.Columns = slices.DeleteFunc(t.Columns, func(c store.Column) bool { return c.Name == column })
	}
}

func find(tables []drift.Table, name string) *drift.Table {
	return &tables[slices.IndexFunc(tables, func(t drift.Table) bool { return t.Name == name })]
}

func wanted(edits ...edit) []drift.Table {
	tables := drift.Wanted()
	for _, e := range edits {
		e(tables)
	}
	return tables
}

func TestWrite(t *testing.T) {
	t.Parallel()
	template := database(t)
	tests := map[string]struct {
		edits []edit
		words []string // the differences
		file  string   // the migration; empty if it rebuilds a table, too long for here
		lost  []string // table.column, whose values the way back cannot restore

		// byHand: triggers of the history name the column, so SQLite does not drop it.
		byHand bool
	}{
		"added": {
			edits: []edit{with("tasks", store.Column{Name: "owner", Type: "TEXT", Nullable: true})},
			words: []string{"tasks.owner: in the Go columns, not in the database"},
			file: "-- +goose Up\nALTER TABLE `tasks` ADD COLUMN `owner` TEXT;\n\n" +
				"-- +goose Down\nALTER TABLE `tasks` DROP COLUMN `owner`;\n",
		},
		"added with a default": {
			edits: []edit{
				with("agents", store.Column{Name: "weight", Type: "INTEGER", Default: "7"}),
				with("agents", store.Column{Name: "order", Type: "TEXT", Default: "'a;b'"}),
				with("sessions", store.Column{Name: "score", Type: "REAL", Nullable: true, Default: "0.5"}),
			},
			words: []string{
				"agents.weight: in the Go columns, not in the database",
				"agents.order: in the Go columns, not in the database",
				"sessions.score: in the Go columns, not in the database",
			},
			file: "-- +goose Up\n" +
				"ALTER TABLE `agents` ADD COLUMN `weight` INTEGER NOT NULL DEFAULT 7;\n" +
				"-- +goose StatementBegin\n" +
				"ALTER TABLE `agents` ADD COLUMN `order` TEXT NOT NULL DEFAULT 'a;b';\n" +
				"-- +goose StatementEnd\n" +
				"ALTER TABLE `sessions` ADD COLUMN `score` REAL DEFAULT 0.5;\n\n" +
				"-- +goose Down\n" +
				"ALTER TABLE `sessions` DROP COLUMN `score`;\n" +
				"ALTER TABLE `agents` DROP COLUMN `order`;\n" +
				"ALTER TABLE `agents` DROP COLUMN `weight`;\n",
		},
		"dropped": {
			edits: []edit{without("tasks", "metadata"), without("tasks", "max_attempts")},
			words: []string{
				"tasks.metadata: in the database, not in the Go columns",
				"tasks.max_attempts: in the database, not in the Go columns",
			},
			byHand: true,
		},
		"retyped": {
			edits: []edit{with("tasks", store.Column{Name: "priority", Type: "TEXT", Default: "'medium'"})},
			words: []string{"tasks.priority: TEXT NOT NULL DEFAULT 'medium' in the Go columns, INTEGER NOT NULL DEFAULT 2 in the database"},
		},
		"retyped a parent with a check": {
			edits: []edit{with("projects", store.Column{Name: "revision", Type: "REAL", Default: "1"})},
			words: []string{"projects.revision: REAL NOT NULL DEFAULT 1 in the Go columns, INTEGER NOT NULL DEFAULT 1 in the database"},
		},
		"no longer NULL": {
			edits: []edit{with("tasks", store.Column{Name: "metadata", Type: "TEXT", Default: "'{}'"})},
			words: []string{"tasks.metadata: TEXT NOT NULL DEFAULT '{}' in the Go columns, TEXT in the database"},
			lost:  []string{"tasks.metadata"},
		},
		"all at once": {
			edits: []edit{
				with("features", store.Column{Name: "revision", Type: "INTEGER", Nullable: true, Default: "5"}),
				with("features", store.Column{Name: "owner", Type: "TEXT", Nullable: true}),
				without("tasks", "metadata"),
				without("tasks", "max_attempts"),
			},
			words: []string{
				"features.revision: INTEGER DEFAULT 5 in the Go columns, INTEGER NOT NULL DEFAULT 1 in the database",
				"tasks.metadata: in the database, not in the Go columns",
				"features.owner: in the Go columns, not in the database",
				"tasks.max_attempts: in the database, not in the Go columns",
			},
			byHand: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wanted := wanted(test.edits...)
			differences, err := drift.Differences(t.Context(), wanted)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(differences)
			slices.Sort(test.words)
			if !slices.Equal(differences, test.words) {
				t.Errorf("the differences are\n%s\nwant\n%s", strings.Join(differences, "\n"), strings.Join(test.words, "\n"))
			}

			folder := t.TempDir()
			file, err := drift.Write(t.Context(), folder, "change", wanted)
			if test.byHand {
				if err == nil || !strings.Contains(err.Error(), "write this migration by hand") {
					t.Errorf("the error is %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if test.file == "" {
				if !strings.HasPrefix(string(text), "-- Rebuilds ") {
					t.Errorf("it does not say that a table is rebuilt:\n%s", text)
				}
			} else if string(text) != test.file {
				t.Errorf("it wrote\n%s\nwant\n%s", text, test.file)
			}
			thereAndBack(t, template, folder, wanted, test.lost)
			if t.Failed() {
				t.Logf("%s", text)
			}
		})
	}
}

// thereAndBack runs the migration in a folder on a copy of a database, and
// reverts it.
func thereAndBack(t *testing.T, template, folder string, wanted []drift.Table, lost []string) {
	t.Helper()
	path := copied(t, template)
	before := read(t, path)
	options := &sqlite.Options{Migrations: folder, Logger: slog.New(slog.DiscardHandler)}
	db, err := sqlite.Open(t.Context(), path, options)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	up := read(t, path)
	for _, table := range wanted {
		want := slices.SortedFunc(slices.Values(table.Columns), byName)
		if got := up.columns[table.Name]; !slices.Equal(got, want) {
			t.Errorf("after up, the columns of %s are\n%v\nwant\n%v", table.Name, got, want)
		}
	}
	if !slices.Equal(up.others, before.others) {
		t.Errorf("after up, the indexes and triggers are\n%s\nwant\n%s", up.others, before.others)
	}
	if !reflect.DeepEqual(up.keys, before.keys) {
		t.Errorf("after up, the foreign keys are\n%s\nwant\n%s", up.keys, before.keys)
	}
	countsRevisions(t, copied(t, path))
	checksMode(t, copied(t, path))

	if _, err := sqlite.MigrateDown(t.Context(), path, options, false); err != nil {
		t.Fatal(err)
	}
	down := read(t, path)
	for _, name := range lost {
		for _, rows := range [][]string{before.rows[name], down.rows[name]} {
			if len(rows) == 0 {
				t.Errorf("%s has no rows", name)
			}
		}
		delete(before.rows, name)
		delete(down.rows, name)
	}
	if !reflect.DeepEqual(down, before) {
		t.Errorf("after down, there is\n%+v\nwant\n%+v", down, before)
	}
}

// contents is all there is in a database.
type contents struct {
	columns map[string][]store.Column
	keys    map[string][]string
	rows    map[string][]string // by table.column
	others  []string            // indexes, triggers and views
}

func read(t *testing.T, path string) contents {
	t.Helper()
	db := open(t, path)
	c := contents{make(map[string][]store.Column), make(map[string][]string), make(map[string][]string), nil}
	for _, table := range drift.Wanted() {
		for _, row := range query(t, db, `SELECT name, type, NOT "notnull", coalesce(dflt_value, '') FROM pragma_table_info(?) ORDER BY name`, table.Name) {
			column := store.Column{Name: row[0].(string), Type: row[1].(string), Nullable: row[2].(int64) == 1, Default: row[3].(string)}
			c.columns[table.Name] = append(c.columns[table.Name], column)
			for _, value := range query(t, db, fmt.Sprintf("SELECT quote(`%s`) FROM %s ORDER BY id", column.Name, table.Name)) {
				name := table.Name + "." + column.Name
				c.rows[name] = append(c.rows[name], value[0].(string))
			}
		}
		for _, row := range query(t, db, `SELECT "from", "table", "to", on_update, on_delete FROM pragma_foreign_key_list(?) ORDER BY "from"`, table.Name) {
			c.keys[table.Name] = append(c.keys[table.Name], fmt.Sprint(row...))
		}
	}
	for _, row := range query(t, db, `SELECT sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL ORDER BY name`) {
		c.others = append(c.others, row[0].(string))
	}
	return c
}

func byName(a, b store.Column) int { return cmp.Compare(a.Name, b.Name) }

// countsRevisions checks that an update counts the revision in every table.
func countsRevisions(t *testing.T, path string) {
	t.Helper()
	db := open(t, path)
	for _, table := range drift.Wanted() {
		before := query(t, db, "SELECT sum(revision) + count(*) FROM "+table.Name)
		exec(t, db, "UPDATE "+table.Name+" SET id = id")
		if after := query(t, db, "SELECT sum(revision) FROM "+table.Name); !reflect.DeepEqual(after, before) {
			t.Errorf("after an update of every row, the revisions of %s add up to %v, want %v", table.Name, after, before)
		}
	}
}

// checksMode checks that the one CHECK of the contract is there.
func checksMode(t *testing.T, path string) {
	t.Helper()
	if _, err := open(t, path).ExecContext(t.Context(), "UPDATE projects SET mode = 'other'"); err == nil {
		t.Error("projects.mode is no longer checked")
	}
}

// database makes a database with rows in all nine tables.
func database(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "nexus.db")
	migrated, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrated.Close(); err != nil {
		t.Fatal(err)
	}
	db := open(t, path)
	defer db.Close()
	exec(t, db, `
		INSERT INTO projects (id, name, mode, status, root_path, created_at, updated_at, completed_at)
			VALUES ('p1', 'One', 'genesis', 'pending', '/', 1, 2, 3), ('p2', 'Two', 'evolution', 'initializing', '/', 1, 2, NULL);
		INSERT INTO features (id, project_id, name, completed_tasks, created_at, updated_at) VALUES ('f1', 'p1', 'F', 4, 1, 2);
		INSERT INTO sub_features (id, feature_id, name, created_at) VALUES ('s1', 'f1', 'S', 1);
		INSERT INTO tasks (id, project_id, feature_id, sub_feature_id, name, metadata, estimated_minutes, created_at, updated_at)
			VALUES ('t1', 'p1', 'f1', 's1', 'T', '{"a": ";"}', 90, 1, 2), ('t2', 'p2', NULL, NULL, 'It''s', NULL, NULL, 1, 2);
		INSERT INTO agents (id, type, spawned_at, last_activity_at) VALUES ('a1', 'coder', 1, 2);
		INSERT INTO checkpoints (id, project_id, created_at) VALUES ('c1', 'p1', 1);
		INSERT INTO requirements (id, project_id, category, description, source, created_at) VALUES ('r1', 'p1', 'ui', 'R', 'you', 1);
		INSERT INTO metrics (id, project_id, type, value, timestamp) VALUES ('m1', 'p1', 'cost_usd', 0.25, 1);
		INSERT INTO sessions (id, project_id, type, started_at) VALUES ('e1', 'p1', 'planning', 1);`)
	return path
}

func copied(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "nexus.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec(t *testing.T, db *sql.DB, text string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

func query(t *testing.T, db *sql.DB, text string, args ...any) (all [][]any) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, places := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			places[i] = &values[i]
		}
		if err := rows.Scan(places...); err != nil {
			t.Fatal(err)
		}
		all = append(all, values)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
