package jsonl_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/jsonl"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

const (
	firstLine   = `{"nexus_export":1,"schema_version":4,"counts":{"projects":1}}` + "\n"
	projectLine = `{"table":"projects","row":{"id":"p","name":"P","mode":"genesis","status":"pending","root_path":"/","created_at":1,"updated_at":1}}` + "\n"
)

// What an export looks like is a contract with whoever reads it.
func TestFormat(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	run(t, db, `INSERT INTO projects (id, name, mode, status, root_path, created_at, updated_at) VALUES ('p', 'P "1"', 'genesis', 'pending', '/', 1, 2.5)`,
		"INSERT INTO agents (id, type, spawned_at, last_activity_at, tokens_used, worktree_path) VALUES ('a', x'00ff', 9e999, 1e300, 1.0, CAST(x'ff' AS TEXT))")
	h, err := db.Health(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	version := fmt.Sprint(h.SchemaVersion)
	// The history has a time of its own; what it is like as a row, TestRoundTrip sees.
	got := slices.DeleteFunc(strings.Split(export(t, db), "\n"), func(line string) bool { return strings.HasPrefix(line, `{"table":"history"`) })
	want := []string{
		`{"nexus_export":1,"schema_version":` + version + `,"counts":{"agents":1,"checkpoint_settings":0,"checkpoints":0,"features":0,"history":3,"history_marks":0,"idempotency_keys":0,"metrics":0,` +
			`"projects":1,"requirements":0,"session_log":0,"sessions":0,"sub_features":0,"task_attempts":0,"tasks":0}}`,
		`{"table":"projects","row":{"id":"p","name":"P \"1\"","description":null,"mode":"genesis","status":"pending","root_path":"/",` +
			`"repository_url":null,"created_at":1,"updated_at":2.5,"completed_at":null,"revision":1,"plan_key":null,` +
			`"budget_tokens":null,"budget_usd":null}}`,
		`{"table":"agents","row":{"id":"a","type":{"blob":"AP8="},"status":"idle","current_task_id":null,"worktree_path":{"text":"/w=="},` +
			`"branch_name":null,"tokens_used":1,"tasks_completed":0,"tasks_failed":0,"spawned_at":{"real":"Infinity"},` +
			`"last_activity_at":1e+300,"terminated_at":null,"termination_reason":null,"revision":1}}`,
		"",
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("line %d is not as it was:\n%s", i+1, strings.Join(got, "\n"))
		}
	}
}

// Whatever is wrong with an export is reported with its line, and then nothing is
// stored.
func TestBrokenExports(t *testing.T) {
	t.Parallel()
	row := func(values string) string { return firstLine + `{"table":"projects","row":{` + values + "}}\n" }
	columns := func(column string) string {
		return `{"nexus_export":1,"schema_version":4,"counts":{},"added_columns":{"tasks":[` + column + "]}}\n"
	}
	for name, test := range map[string]struct {
		text    string
		problem string
		code    nexus.Code
	}{
		"empty":           {"", "line 1, column 1: there is no export: the file is empty", ""},
		"no JSON":         {"hello\n", "line 1, column 1: ", ""},
		"a plan":          {`{"nexus_plan":1}` + "\n", "line 1, column 1: nexus_export: is required: this is no export of Nexus", ""},
		"a list":          {"[]\n", "line 1, column 1: must be an object, not a list", ""},
		"another version": {`{"nexus_export":2}` + "\n", "line 1, column 17: nexus_export: is 2; this program knows version 1", ""},
		"no version":      {`{"nexus_export":"1"}` + "\n", "line 1, column 17: nexus_export: must be the version of the format, a number", ""},
		"newer":           {`{"nexus_export":1,"schema_version":99,"counts":{}}` + "\n", "", nexus.CodeNewer},
		"unknown member":  {`{"nexus_export":1,"schema_version":4,"counts":{},"x":1}` + "\n", "line 1, column 1: is not the first line of an export: ", ""},
		"unknown count":   {`{"nexus_export":1,"schema_version":4,"counts":{"x":1}}` + "\n", "line 1, column 1: counts.x: is not a table of an export", ""},
		"only the header": {firstLine, "line 1, column 1: projects: there are 0 rows; the first line says 1, so the export is not whole", ""},
		"cut in a line":   {firstLine + projectLine[:40], "line 2, column 41: the document ends too early", ""},
		"too many rows":   {firstLine + projectLine + strings.Replace(projectLine, `"p"`, `"q"`, 1), "line 3, column 1: projects: there are 2 rows; the first line says 1", ""},
		"a row twice":     {firstLine + projectLine + projectLine, "line 3, column 27: projects: the primary key is taken", ""},
		"an empty line":   {firstLine + "\n" + projectLine, "line 2, column 1: the document ends too early", ""},
		"no row":          {firstLine + `{"table":"projects"}` + "\n", "line 2, column 1: must have a table, a text, and a row", ""},
		"no columns":      {row(""), "line 2, column 27: projects: has no columns", ""},
		"unknown table":   {firstLine + `{"table":"sqlite_master","row":{"id":1}}` + "\n", `line 2, column 10: table: "sqlite_master" is not a table of an export`, ""},
		"unknown column":  {row(`"id":"p","x\"--":1`), `line 2, column 45: projects.x"--: is not a column of the table`, ""},
		"derived column": {
			firstLine + `{"table":"tasks","row":{"open_dependencies":1}}` + "\n",
			"line 2, column 45: tasks.open_dependencies: is not a column of the table", "",
		},
		"a column twice":    {row(`"id":"p","id":"q"`), "line 2, column 42: projects.id: is given twice", ""},
		"true":              {row(`"id":true`), "line 2, column 33: projects.id: must be a text, a number, null, or an object", ""},
		"a list as value":   {row(`"id":[]`), "line 2, column 33: projects.id: must be a text", ""},
		"an odd object":     {row(`"id":{"x":"y"}`), "line 2, column 33: projects.id: is an object of x, not of text, blob or real", ""},
		"bad base 64":       {row(`"id":{"blob":"!"}`), "line 2, column 33: projects.id: is not in base 64", ""},
		"a bad infinity":    {row(`"id":{"real":"NaN"}`), "line 2, column 33: projects.id: is neither Infinity nor -Infinity", ""},
		"a huge number":     {row(`"id":99999999999999999999`), "line 2, column 33: projects.id: is a whole number of more than 64 bits", ""},
		"a huge exponent":   {row(`"id":1e999`), "line 2, column 33: projects.id: is a number of more than 64 bits", ""},
		"no parent":         {firstLine + `{"table":"features","row":{"id":"f","project_id":"p","name":"F","created_at":1,"updated_at":1}}` + "\n", "line 2, column 27: features: a row that it refers to does not exist", ""},
		"a mode":            {strings.Replace(firstLine+projectLine, "genesis", "x", 1), "line 2, column 27: projects: the database refuses the value", ""},
		"invalid UTF-8":     {firstLine + "{\"table\":\"\xff\"}\n", "line 2, column 11: is not valid UTF-8", ""},
		"SQL in a type":     {columns(`{"name":"x","type":"TEXT REFERENCES projects"}`), "line 1, column 1: added_columns.tasks.x: is not a plain column with a plain default; add it to the new database first", ""},
		"SQL in a default":  {columns(`{"name":"x","type":"TEXT","default":"(SELECT 1)"}`), "line 1, column 1: added_columns.tasks.x: is not a plain column", ""},
		"a quote":           {columns(`{"name":"x","type":"TEXT","default":"'a' CHECK (0) --'"}`), "line 1, column 1: added_columns.tasks.x: is not a plain column", ""},
		"a column there is": {columns(`{"name":"ID","type":"TEXT"}`), "line 1, column 1: added_columns.tasks.ID: cannot be added: ", ""},
		"a foreign table":   {`{"nexus_export":1,"schema_version":4,"counts":{},"added_columns":{"sqlite_master":[]}}` + "\n", "line 1, column 1: added_columns.sqlite_master: is not a table of an export", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDB(t)
			before, err := db.Schema(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = importText(db, test.text)
			want := test.code
			if want == "" {
				want = nexus.CodeInvalid
			}
			var e *nexus.Error
			if !errors.As(err, &e) || e.Code != want || e.Hint == "" {
				t.Fatalf("error is %v (%s), want %s", err, nexus.CodeOf(err), want)
			}
			if test.problem != "" && (len(e.Problems) == 0 || !strings.HasPrefix(e.Problems[0].String(), test.problem)) {
				t.Errorf("problems are %v, want %s", e.Problems, test.problem)
			}
			if text := export(t, db); strings.Count(text, "\n") != 1 {
				t.Errorf("something is stored:\n%s", text)
			}
			after, err := db.Schema(t.Context())
			if err != nil || fmt.Sprint(before) != fmt.Sprint(after) {
				t.Errorf("the schema has changed: %v", err)
			}
		})
	}
}

// Of many broken lines the first are listed, and the good ones between them are not
// stored.
func TestManyBrokenLines(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	_, err := importText(db, firstLine+projectLine+strings.Repeat("{}\n"+projectLine, 100))
	var e *nexus.Error
	if !errors.As(err, &e) || len(e.Problems) != 20 || e.Problems[19].Line != 41 || !strings.Contains(e.Message, "at least 20") {
		t.Fatalf("error is %v", err)
	}
	if text := export(t, db); strings.Count(text, "\n") != 1 {
		t.Errorf("something is stored:\n%s", text)
	}
}

func TestImportIntoWhatIsNotEmpty(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"INSERT INTO agents (id, type, spawned_at, last_activity_at) VALUES ('a', 'coder', 0, 0)",
		"INSERT INTO idempotency_keys VALUES ('k', 'r', 'r', 0)",
	} {
		db := newDB(t)
		run(t, db, sql)
		before := export(t, db)
		_, err := importText(db, firstLine+projectLine)
		if nexus.CodeOf(err) != nexus.CodeExists {
			t.Errorf("error is %v", err)
		}
		if export(t, db) != before {
			t.Error("the database has changed")
		}
	}
}

// An export that comes from a full disk or a closed pipe is an error, and so is an
// import from a bad disk.
func TestStreamsThatFail(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	run(t, db, "INSERT INTO agents (id, type, spawned_at, last_activity_at) VALUES ('a', 'coder', 0, 0)")
	broken := errors.New("broken")
	if _, err := jsonl.Export(t.Context(), db, failing{broken}, nil); !errors.Is(err, broken) {
		t.Errorf("Export: %v", err)
	}
	empty := newDB(t)
	err := empty.InTx(t.Context(), func(tx *store.Tx) error {
		_, err := jsonl.ImportIn(t.Context(), tx, failing{broken}, nil)
		return err
	})
	if !errors.Is(err, broken) || nexus.CodeOf(err) != nexus.CodeIO {
		t.Errorf("Import: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := jsonl.Export(ctx, db, io.Discard, nil); nexus.CodeOf(err) != nexus.CodeCanceled {
		t.Errorf("Export after its context: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error)      { return 0, f.err }
func (f failing) Read([]byte) (int, error)       { return 0, f.err }
func (f failing) Seek(int64, int) (int64, error) { return 0, nil }

// Memory does not grow with the database.
func TestMemoryStaysFlat(t *testing.T) {
	db := newDB(t)
	run(t, db, "INSERT INTO projects (id, name, mode, status, root_path, created_at, updated_at) VALUES ('p', 'P', 'genesis', 'pending', '/', 1, 1)",
		`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000)
		INSERT INTO sessions (id, project_id, type, data, started_at) SELECT i, 'p', 'planning', hex(randomblob(1000)), 0 FROM n`)
	most := uint64(0)
	watch := func(int, int) {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	}
	var text bytes.Buffer
	if _, err := jsonl.Export(t.Context(), db, &text, watch); err != nil {
		t.Fatal(err)
	}
	target, err := sqlite.Open(t.Context(), sqlite.Memory, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeDB(t, target)
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	most = 0
	err = target.InTx(t.Context(), func(tx *store.Tx) error {
		_, err := jsonl.ImportIn(t.Context(), tx, bytes.NewReader(text.Bytes()), watch)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 5<<20 {
		t.Errorf("importing %d MB has taken %d MB of memory", text.Len()>>20, grown>>20)
	}
}
