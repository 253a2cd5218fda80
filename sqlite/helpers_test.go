package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/handle"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

var background = context.Background()

// open opens a database for the length of a test. A test may close it before.
func open(t testing.TB, path string, options *sqlite.Options) *store.DB {
	t.Helper()
	db, err := sqlite.Open(background, path, options)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

// notTested skips a test that cannot run here, or fails it where everything must
// run.
func notTested(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("NEXUS_TEST_REQUIRE_ALL") == "1" {
		t.Fatalf("NOT TESTED: "+format, args...)
	}
	t.Skipf("NOT TESTED: "+format, args...)
}

func mustClose(t testing.TB, db *store.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// newPath returns a path in a new folder where no file is yet.
func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "nexus.db") }

// newDatabase makes a database with one project in it, closed.
func newDatabase(t testing.TB) (path string) {
	t.Helper()
	path = newPath(t)
	db := open(t, path, nil)
	create(t, db, "first")
	mustClose(t, db)
	return path
}

func project(id string) *nexus.Project {
	return &nexus.Project{ID: id, Name: id, RootPath: "/" + id}
}

func create(t testing.TB, db *store.DB, id string) {
	t.Helper()
	if err := db.Projects.Create(background, project(id)); err != nil {
		t.Fatalf("Create %s: %v", id, err)
	}
}

// projectIDs returns the ids of all projects.
func projectIDs(t testing.TB, db *store.DB) map[string]bool {
	t.Helper()
	list, err := db.Projects.List(background, nexus.ProjectFilter{})
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	ids := make(map[string]bool, len(list))
	for _, p := range list {
		ids[p.ID] = true
	}
	return ids
}

// mustBeSound checks that the database at path passes every check, among them
// SQLite's own.
func mustBeSound(t testing.TB, path string) {
	t.Helper()
	db := open(t, path, nil)
	defer mustClose(t, db)
	h, err := db.Health(background, true)
	if err != nil || !h.OK() {
		t.Fatalf("health = %+v, %v", h, err)
	}
}

// wantCode checks an error's code and that it says what happened.
func wantCode(t testing.TB, err error, code nexus.Code) {
	t.Helper()
	if nexus.CodeOf(err) != code {
		t.Fatalf("error is %q (%v), want %q", nexus.CodeOf(err), err, code)
	}
	var e *nexus.Error
	if err != nil && (!errors.As(err, &e) || e.Message == "") {
		t.Fatalf("error %v has no message", err)
	}
}

// hintOf returns what the error tells the reader to do.
func hintOf(err error) string {
	var e *nexus.Error
	errors.As(err, &e)
	if e == nil {
		return ""
	}
	return e.Hint
}

// withoutHanging fails the test if fn does not return.
func withoutHanging(t testing.TB, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	select {
	case <-done:
	case <-time.After(patient):
		t.Fatal("it hangs")
	}
}

// otherProgram opens a connection as any program could.
func otherProgram(t testing.TB, path string) *zombiezen.Conn {
	t.Helper()
	c, err := handle.Open(path, zombiezen.OpenReadWrite|zombiezen.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = handle.Close(c) })
	return c
}

// script runs statements as another program, and closes the file.
func script(t testing.TB, path, sql string) {
	t.Helper()
	c := otherProgram(t, path)
	// One by one: sqlitex.ExecuteScript would run them in a transaction, in which
	// most pragmas have no effect.
	for sql = strings.TrimSpace(sql); sql != ""; {
		s, rest, err := c.PrepareTransient(sql)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for more := true; more && err == nil; {
			more, err = s.Step()
		}
		if err := errors.Join(err, s.Finalize()); err != nil {
			t.Fatalf("%s: %s: %v", path, sql, err)
		}
		sql = strings.TrimSpace(sql[len(sql)-rest:])
	}
	if err := handle.Close(c); err != nil {
		t.Fatal(err)
	}
}

// rows returns the result of a query as another program sees it, with the type
// of every value.
func rows(t testing.TB, path, sql string) (all []string) {
	t.Helper()
	c := otherProgram(t, path)
	err := sqlitex.Execute(c, sql, &sqlitex.ExecOptions{ResultFunc: func(s *zombiezen.Stmt) error {
		var line strings.Builder
		for i := range s.ColumnCount() {
			value := make([]byte, s.ColumnLen(i))
			s.ColumnBytes(i, value)
			fmt.Fprintf(&line, "%v:%q ", s.ColumnType(i), value)
		}
		all = append(all, line.String())
		return nil
	}})
	if err != nil {
		t.Fatalf("%s: %s: %v", path, sql, err)
	}
	if err := handle.Close(c); err != nil {
		t.Fatal(err)
	}
	return all
}

// dump returns all that is in the file, whatever it is: the schema and every
// row. It is for a file that nobody has open.
func dump(t testing.TB, path string) map[string][]string {
	t.Helper()
	all := map[string][]string{
		"schema":  rows(t, path, "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid"),
		"version": rows(t, path, "SELECT user_version, application_id FROM pragma_user_version, pragma_application_id"),
	}
	c := otherProgram(t, path)
	queries := make(map[string]string)
	const tables = `
		SELECT m.name, l.wr FROM sqlite_master m JOIN pragma_table_list l ON l.schema = 'main' AND l.name = m.name
		WHERE m.type = 'table'`
	err := sqlitex.Execute(c, tables, &sqlitex.ExecOptions{
		ResultFunc: func(s *zombiezen.Stmt) error {
			table := "`" + s.ColumnText(0) + "`"
			queries[s.ColumnText(0)] = "SELECT rowid, * FROM " + table + " ORDER BY rowid"
			if s.ColumnBool(1) { // WITHOUT ROWID; they come by their primary key
				queries[s.ColumnText(0)] = "SELECT * FROM " + table
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := handle.Close(c); err != nil {
		t.Fatal(err)
	}
	for table, query := range queries {
		all["rows of "+table] = rows(t, path, query)
	}
	return all
}

// mustEqual compares two dumps.
func mustEqual(t testing.TB, got, want map[string][]string) {
	t.Helper()
	for key := range want {
		if !slices.Equal(got[key], want[key]) {
			t.Errorf("%s:\n got %s\nwant %s", key, strings.Join(got[key], "\n     "), strings.Join(want[key], "\n     "))
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("unexpected: %s", key)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// content returns the bytes of a file that nobody in this process has open:
// closing it would take away the process's locks.
func content(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mustBe checks that a file is byte for byte what it was.
func mustBe(t testing.TB, path string, before []byte) {
	t.Helper()
	if !bytes.Equal(content(t, path), before) {
		t.Fatalf("%s has changed", path)
	}
}

// mustBeAlone checks that there is nothing beside the database: no write-ahead
// log, no backup, no journal.
func mustBeAlone(t testing.TB, path string) {
	t.Helper()
	if files := beside(t, path); len(files) > 0 {
		t.Fatalf("beside the database: %v", files)
	}
}

// beside lists what else is in the folder of a database.
func beside(t testing.TB, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			names = append(names, e.Name())
		}
	}
	return names
}

// book is a slog handler that keeps what it is told.
type book struct {
	mu    sync.Mutex
	lines []string
}

func (b *book) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (b *book) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, string(line))
	return len(line), nil
}

// with returns the lines that contain all of the texts.
func (b *book) with(texts ...string) (found []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range b.lines {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			found = append(found, line)
		}
	}
	return found
}

// one runs a query that returns one value, as text.
func one(tx *store.Tx, sql string, args ...any) (value string, err error) {
	err = tx.Query(background, sql, args, func(r driver.Row) error {
		value = r.Text(0)
		return nil
	})
	return value, err
}

// until polls for something outside the process, of which there is no other
// sign than that it is there.
func until(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(patient); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s does not happen", what)
		}
	}
}

// size returns the size of a file, or 0 if there is none.
func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
