package interop_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// drizzle is a running Drizzle program, with one database open.
type drizzle struct {
	mu      sync.Mutex
	in      io.WriteCloser
	out     *bufio.Reader
	process *exec.Cmd
	log     bytes.Buffer // standard error; read after the process has ended
	closed  bool
}

// startDrizzle starts the Drizzle program on the database at path.
func startDrizzle(t testing.TB, path string) *drizzle {
	t.Helper()
	d := &drizzle{process: exec.Command(node(t), filepath.Join(drizzleFolder, "program.mjs"), path)}
	d.process.Stderr = &d.log
	in, inErr := d.process.StdinPipe()
	out, outErr := d.process.StdoutPipe()
	if inErr != nil || outErr != nil {
		t.Fatal(inErr, outErr)
	}
	d.in, d.out = in, bufio.NewReader(out)
	if err := d.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.close(t) })
	return d
}

// close ends the program, which closes its database. A second time it does
// nothing.
func (d *drizzle) close(t testing.TB) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.closed = true
	_ = d.in.Close()
	if err := d.process.Wait(); err != nil || d.log.Len() > 0 {
		t.Errorf("the Drizzle program: %v\n%s", err, &d.log)
	}
}

// request is what the program is asked: the name of an operation and its
// arguments; see program.mjs.
type request map[string]any

// try asks the program, and returns its answer or the message of its error.
func (d *drizzle) try(op string, args request) (answer json.RawMessage, refusal string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := request{"op": op}
	maps.Copy(all, args)
	line, err := json.Marshal(all)
	if err != nil {
		return nil, "", err
	}
	if _, err := d.in.Write(append(line, '\n')); err != nil {
		return nil, "", err
	}
	if line, err = d.out.ReadBytes('\n'); err != nil {
		return nil, "", err
	}
	var reply struct {
		OK    json.RawMessage `json:"ok"`
		Error string          `json:"error"`
	}
	err = json.Unmarshal(line, &reply)
	return reply.OK, reply.Error, err
}

// do asks the program something that must succeed.
func do[A any](t testing.TB, d *drizzle, op string, args request) (answer A) {
	t.Helper()
	text, refusal, err := d.try(op, args)
	if err == nil && refusal == "" {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil || refusal != "" {
		t.Fatalf("Drizzle, %s %v: %v%s", op, args, err, refusal)
	}
	return answer
}

// refused asks the program something that must fail with a message.
func refused(t testing.TB, d *drizzle, message, op string, args request) {
	t.Helper()
	_, refusal, err := d.try(op, args)
	if err != nil || !strings.Contains(refusal, message) {
		t.Errorf("Drizzle, %s %v: error %v%q, want %q", op, args, err, refusal, message)
	}
}

// insertForeign lets the Drizzle program insert foreignRows, and checks what
// RETURNING returns.
func insertForeign(t testing.TB, d *drizzle) content {
	t.Helper()
	rows := foreignRows()
	for _, table := range contract {
		for _, r := range rows[table.Name] {
			mustEqual(t, "returned by the insert into "+table.Name, r,
				do[row](t, d, "insert", request{"table": table.Name, "row": r}))
		}
	}
	return rows
}

// shared returns a database that Nexus has made and filled, and that the Drizzle
// program has open at the same time.
func shared(t testing.TB) (*store.DB, *drizzle, content) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nexus.db")
	db := openNexus(t, path)
	rows := fillWithNexus(t, db)
	mustEqual(t, "what Nexus stored", rows.plus(nil), stored(t, db))
	t.Cleanup(func() { mustFollow(t, db) })
	return db, startDrizzle(t, path), rows
}

// Drizzle reads what Nexus has stored, with typed and with relational queries.
func TestDrizzleReadsOurs(t *testing.T) {
	t.Parallel()
	_, d, rows := shared(t)
	rows = rows.plus(nil)

	mustEqual(t, "read by Drizzle", rows, do[content](t, d, "read", nil))
	mustEqual(t, "related rows read by Drizzle", relations(rows), do[any](t, d, "relations", nil))
}

// relations returns what the relational queries have to return, computed from
// the rows.
func relations(c content) map[string][]map[string]any {
	belonging := func(table, column string, parent row) any {
		list := []row{}
		for _, r := range c[table] {
			if r[column] == parent["id"] {
				list = append(list, r)
			}
		}
		return list
	}
	parent := func(table string, id any) any {
		for _, r := range c[table] {
			if r["id"] == id {
				return r
			}
		}
		return nil
	}
	all := make(map[string][]map[string]any)
	for _, p := range c["projects"] {
		tree := map[string]any{"self": p}
		for _, table := range []string{"features", "tasks", "checkpoints", "requirements", "metrics", "sessions"} {
			tree[table] = belonging(table, "project_id", p)
		}
		all["projects"] = append(all["projects"], tree)
	}
	for _, f := range c["features"] {
		all["features"] = append(all["features"], map[string]any{
			"self": f, "project": parent("projects", f["project_id"]),
			"sub_features": belonging("sub_features", "feature_id", f), "tasks": belonging("tasks", "feature_id", f),
		})
	}
	for _, s := range c["sub_features"] {
		all["sub_features"] = append(all["sub_features"], map[string]any{
			"self": s, "feature": parent("features", s["feature_id"]), "tasks": belonging("tasks", "sub_feature_id", s),
		})
	}
	for _, t := range c["tasks"] {
		all["tasks"] = append(all["tasks"], map[string]any{
			"self": t, "project": parent("projects", t["project_id"]),
			"feature": parent("features", t["feature_id"]), "sub_feature": parent("sub_features", t["sub_feature_id"]),
		})
	}
	return all
}

// Drizzle inserts into our file, and Nexus reads every value as it was given.
func TestDrizzleInsertsIntoOurs(t *testing.T) {
	t.Parallel()
	db, d, rows := shared(t)
	foreign := followed(insertForeign(t, d))

	mustEqual(t, "in the file", rows.plus(foreign), stored(t, db))
	mustEqual(t, "read by Drizzle", rows.plus(foreign), do[content](t, d, "read", nil))
	mustEqual(t, "read through the services", rows.plus(foreignReadings(foreign)), typed(t, db))
	for table, list := range foreign {
		for _, r := range list {
			if n := revision(t, db, table, r["id"]); n != 1 {
				t.Errorf("%s %s is new and at revision %d", table, r["id"], n)
			}
		}
	}
	refused(t, d, "FOREIGN KEY constraint failed", "insert", request{
		"table": "features",
		"row":   row{"id": "x", "project_id": "none", "name": "n", "created_at": 1, "updated_at": 1},
	})
	refused(t, d, "UNIQUE constraint failed", "insert", request{"table": "agents", "row": foreign["agents"][0]})
	refused(t, d, "CHECK constraint failed", "insert", request{
		"table": "projects", "row": foreign["projects"][0].with(row{"id": "x", "mode": "other"}),
	})
}

// A row of which another program names only what it must gets the contract's
// defaults, and those of what Nexus adds.
func TestDefaultsForOthers(t *testing.T) {
	t.Parallel()
	db, d, _ := shared(t)
	for _, table := range contract {
		insert, want := shortest(table)
		do[any](t, d, "sql", request{"text": insert})
		got := query(t, db, "SELECT * FROM "+table.Name+" WHERE id = 'least'")
		for _, c := range table.Columns {
			mustEqual(t, "default of "+table.Name+"."+c.Name, want[c.Name], got[0][c.Name])
		}
		if n := revision(t, db, table.Name, "least"); n != 1 {
			t.Errorf("%s: a new row is at revision %d", table.Name, n)
		}
	}
	task, err := db.Tasks.Get(t.Context(), "least")
	if err != nil {
		t.Fatal(err)
	}
	if task.Status != nexus.TaskPending || task.Priority != nexus.PriorityMedium || task.MaxIterations != 50 {
		t.Errorf("Nexus reads the task with the defaults as %+v", task)
	}
}

// shortest returns an INSERT that names only the columns without which the
// contract does not allow a row, and the row that it has to make.
func shortest(table contractTable) (sql string, made row) {
	var names, values []string
	made = make(row)
	for _, c := range table.Columns {
		value := "7"
		switch {
		case !c.required():
			made[c.Name] = nil
			if c.Default != "" {
				made[c.Name] = literal(c.Default)
			}
			continue
		case c.PrimaryKey:
			value = "'least'"
		case c.References != "":
			value = "'nexus-" + c.References[:1] + "1'"
		case c.Name == "mode":
			value = "'genesis'"
		case c.Type == "TEXT":
			value = "'text'"
		}
		made[c.Name] = literal(value)
		names, values = append(names, c.Name), append(values, value)
	}
	sql = "INSERT INTO " + table.Name + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")"
	return sql, made
}

// literal returns the value of a text or number in SQL.
func literal(sql string) any {
	if text, ok := strings.CutPrefix(sql, "'"); ok {
		return strings.TrimSuffix(text, "'")
	}
	return json.Number(sql)
}
