package interop_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// shell is sqlite3, the shell of SQLite, on one database.
type shell struct {
	program, path string
}

func newShell(t testing.TB, path string) shell {
	t.Helper()
	return shell{program(t, "sqlite3", "apt-get install sqlite3"), path}
}

// try runs SQL and returns the rows of all its statements. The shell does not
// enforce foreign keys unless told so.
func (s shell) try(sql string) (rows []row, err error) {
	output, err := s.raw("-json", "PRAGMA busy_timeout = 5000;\nPRAGMA foreign_keys = ON;\n"+sql)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(strings.NewReader(output))
	for {
		var some []row
		err := decoder.Decode(&some)
		if errors.Is(err, io.EOF) {
			return rows[1:], nil // the first is the answer to busy_timeout
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, some...)
	}
}

func (s shell) raw(option, input string) (string, error) {
	var refusal bytes.Buffer
	run := exec.Command(s.program, "-batch", "-bail", "-init", os.DevNull, option, s.path)
	run.Stdin, run.Stderr = strings.NewReader(input), &refusal
	output, err := run.Output()
	if err != nil {
		err = fmt.Errorf("sqlite3: %w: %s", err, &refusal)
	}
	return string(output), err
}

func (s shell) do(t testing.TB, sql string) []row {
	t.Helper()
	rows, err := s.try(sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return rows
}

func (s shell) refused(t testing.TB, message, sql string) {
	t.Helper()
	if _, err := s.try(sql); err == nil || !strings.Contains(err.Error(), message) {
		t.Errorf("%s: error %v, want %q", sql, err, message)
	}
}

// read reads everything.
func (s shell) read(t testing.TB) content {
	t.Helper()
	all := make(content)
	for _, table := range contract {
		all[table.Name] = s.do(t, fmt.Sprintf("SELECT %s FROM %s ORDER BY id;",
			strings.Join(columnNames(table.Name), ", "), table.Name))
	}
	return all
}

// quoted returns a value as SQL.
func quoted(value any) string {
	switch v := value.(type) {
	case nil:
		return "NULL"
	case string:
		return "'" + strings.ReplaceAll(v, "'", "''") + "'"
	default:
		return fmt.Sprint(v)
	}
}

func insertSQL(table string, r row) string {
	names := columnNames(table)
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = quoted(r[name])
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s);", table, strings.Join(names, ", "), strings.Join(values, ", "))
}

func updateSQL(table, id string, set row) string {
	var list []string
	for name, value := range set {
		list = append(list, name+" = "+quoted(value))
	}
	slices.Sort(list)
	return fmt.Sprintf("UPDATE %s SET %s WHERE id = %s", table, strings.Join(list, ", "), quoted(id))
}

// The sqlite3 program, of whatever version there is, reads and writes our file
// while we have it open.
func TestShellSharesOurs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "nexus.db")
	shell, db := newShell(t, path), openNexus(t, path)
	t.Logf("sqlite3 is version %v", shell.do(t, "SELECT sqlite_version() AS v;"))
	rows := fillWithNexus(t, db)
	mustEqual(t, "read by sqlite3", rows.plus(nil), shell.read(t))

	foreign := foreignRows()
	for _, table := range contract {
		for _, r := range foreign[table.Name] {
			shell.do(t, insertSQL(table.Name, r))
		}
	}
	foreign = followed(foreign)
	mustEqual(t, "in the file", rows.plus(foreign), stored(t, db))
	mustEqual(t, "read through the services", rows.plus(foreignReadings(foreign)), typed(t, db))

	for _, table := range contract {
		name, change := table.Name, foreignUpdates()[table.Name]
		foreign = updated(foreign, name)
		want := find(foreign[name], change.id)
		update := updateSQL(name, change.id, change.set)
		mustEqual(t, "returned by the update of "+name, []row{want},
			shell.do(t, update+" RETURNING "+strings.Join(columnNames(name), ", ")+";"))
		mustRevise(t, db, name, change.id, 2)
		shell.do(t, "BEGIN; "+update+"; ROLLBACK;")
		mustRevise(t, db, name, change.id, 2)
		mustEqual(t, "rows changed in "+name, []row{{"n": 1}}, shell.do(t, update+"; SELECT changes() AS n;"))
		mustRevise(t, db, name, change.id, 3)
	}
	mustEqual(t, "in the file after updates", rows.plus(foreign), stored(t, db))

	shell.do(t, "DELETE FROM projects WHERE id = 'x-p1'; DELETE FROM agents WHERE id = 'x-a1';")
	left := content{
		"projects": {find(foreign["projects"], "x-p2")},
		"sessions": {find(foreign["sessions"], "x-s2")},
	}
	mustEqual(t, "in the file after deletes", rows.plus(left), stored(t, db))
	mustFollow(t, db)
	if err := db.Projects.Delete(t.Context(), "x-p2"); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "read by sqlite3 after a delete by Nexus", rows.plus(nil), shell.read(t))

	shell.refused(t, "FOREIGN KEY constraint failed", insertSQL("sessions", left["sessions"][0]))
	shell.refused(t, "CHECK constraint failed", insertSQL("projects", left["projects"][0].with(row{"mode": "other"})))
	mustBeSound(t, shell)
}

func mustBeSound(t testing.TB, s shell) {
	t.Helper()
	mustEqual(t, "integrity_check", []row{{"integrity_check": "ok"}}, s.do(t, "PRAGMA integrity_check;"))
	mustEqual(t, "foreign_key_check", []row{}, s.do(t, "PRAGMA foreign_key_check;"))
}

// What we add to the schema works in the sqlite3 program: the unique plan keys,
// the indexes on parts of a table, and all statements that make the schema.
func TestShellKnowsOurSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "nexus.db")
	shell, db := newShell(t, path), openNexus(t, path)
	fillWithNexus(t, db)

	shell.refused(t, "UNIQUE constraint failed", "UPDATE tasks SET plan_key = 't' WHERE id = 'nexus-t2';")
	shell.do(t, "UPDATE tasks SET plan_key = 't2' WHERE id = 'nexus-t2';")
	task, err := db.Tasks.Get(t.Context(), "nexus-t2")
	if err != nil {
		t.Fatal(err)
	}
	if task.PlanKey != "t2" || task.Revision != 2 {
		t.Errorf("after sqlite3 has set its plan_key, the task is %+v", task)
	}
	// Who counts the revisions of a row himself is not counted twice.
	shell.do(t, "UPDATE tasks SET name = 'n', revision = revision + 1 WHERE id = 'nexus-t2';")
	mustRevise(t, db, "tasks", "nexus-t2", 3)
	shell.do(t, "PRAGMA recursive_triggers = ON; UPDATE tasks SET name = 'm' WHERE id = 'nexus-t2';")
	mustRevise(t, db, "tasks", "nexus-t2", 4)

	for _, index := range query(t, db, "SELECT m.name, l.partial FROM sqlite_master m, pragma_index_list(m.tbl_name) l "+
		"WHERE m.type = 'index' AND l.name = m.name AND m.sql IS NOT NULL") {
		checkIndexIsUsed(t, shell, db, index["name"].(string), index["partial"] != int64(0))
	}

	schema, err := db.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	copied := shell
	copied.path = filepath.Join(t.TempDir(), "copy.db")
	if _, err := copied.raw("-json", strings.Join(schema, ";\n")+";\n"); err != nil {
		t.Errorf("sqlite3 does not understand our schema: %v", err)
	}
}

// checkIndexIsUsed has the sqlite3 program check that a query which needs an
// index can use it.
func checkIndexIsUsed(t testing.TB, s shell, db *store.DB, name string, partial bool) {
	t.Helper()
	columns := query(t, db, "SELECT m.tbl_name, m.sql, i.name FROM sqlite_master m, pragma_index_info(m.name) i "+
		"WHERE m.name = $1 ORDER BY i.seqno", name)
	var conditions []string
	for _, c := range columns {
		conditions = append(conditions, fmt.Sprintf("%s = 'x'", c["name"]))
		if !partial {
			break // the leading column is enough
		}
	}
	if _, only, ok := strings.Cut(columns[0]["sql"].(string), "WHERE "); ok {
		conditions = append(conditions, "("+only+")")
	}
	// It is an error if the index cannot be used.
	plan, err := s.raw("-list", fmt.Sprintf("EXPLAIN QUERY PLAN SELECT count(*) FROM %s INDEXED BY %s WHERE %s;",
		columns[0]["tbl_name"], name, strings.Join(conditions, " AND ")))
	if err != nil || !strings.Contains(plan, name) {
		t.Errorf("sqlite3 does not use %s: %v %s", name, err, plan)
	}
}

// A file that the sqlite3 program has dumped and restored, or rewritten by
// VACUUM, is still ours.
func TestShellDumpsAndRestoresOurs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "nexus.db")
	original, db := newShell(t, path), openNexus(t, path)
	rows := fillWithNexus(t, db)
	original.do(t, "UPDATE tasks SET name = 'n' WHERE id = 'nexus-t2';")
	find(rows["tasks"], "nexus-t2")["name"] = "n"
	original.do(t, "VACUUM;")
	mustEqual(t, "in the file after VACUUM", rows.plus(nil), stored(t, db))
	dump, err := original.raw("-json", ".dump\n")
	if err != nil {
		t.Fatal(err)
	}
	closeNexus(t, db)

	restored := original
	restored.path = filepath.Join(t.TempDir(), "restored.db")
	if _, err := restored.raw("-json", dump); err != nil {
		t.Fatal(err)
	}
	db = openNexus(t, restored.path)
	mustEqual(t, "restored", rows.plus(nil), stored(t, db))
	mustFollow(t, db)
	mustRevise(t, db, "tasks", "nexus-t2", 2)
	mustEqual(t, "backups", []string(nil), backupsOf(t, restored.path))
	name := "m"
	if _, err := db.Tasks.Update(t.Context(), "nexus-t2", nexus.TaskUpdate{Revision: 2, Name: &name}); err != nil {
		t.Error(err)
	}
	mustBeSound(t, restored)
}
