package sqlite_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// A query within the rows of the same query, on the same connection, has a
// statement of its own.
func TestQueryWithinTheSameQuery(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), nil)
	for i := range 4 {
		create(t, db, fmt.Sprintf("p%d", i))
	}
	const sql = "SELECT id FROM projects WHERE id >= $1 ORDER BY id"
	pairs := func(tx *store.Tx) error {
		var got []string
		err := tx.Query(background, sql, []any{"p0"}, func(r driver.Row) error {
			outer := r.Text(0)
			err := tx.Query(background, sql, []any{"p2"}, func(r driver.Row) error {
				got = append(got, outer+r.Text(0))
				return nil
			})
			if r.Text(0) != outer {
				t.Errorf("the row has become %s", r.Text(0))
			}
			return err
		})
		want := []string{"p0p2", "p0p3", "p1p2", "p1p3", "p2p2", "p2p3", "p3p2", "p3p3"}
		if !slices.Equal(got, want) {
			t.Errorf("rows: %v, want %v", got, want)
		}
		return err
	}
	for range 2 { // the second time with kept statements
		if err := db.View(background, pairs); err != nil {
			t.Error(err)
		}
		if err := db.InTx(background, pairs); err != nil {
			t.Error(err)
		}
	}
}

// More statements than a connection keeps, some of them while a query runs.
func TestManyStatements(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), nil)
	create(t, db, "p")
	for _, run := range []func(func(*store.Tx) error) error{
		func(fn func(*store.Tx) error) error { return db.View(background, fn) },
		func(fn func(*store.Tx) error) error { return db.InTx(background, fn) },
	} {
		err := run(func(tx *store.Tx) error {
			outer := 0
			err := tx.Query(background, "SELECT 1 UNION SELECT 2", nil, func(driver.Row) error {
				outer++
				for i := range 700 {
					got, err := one(tx, fmt.Sprintf("SELECT %d + $1", i), 1)
					if err != nil || got != fmt.Sprint(i+1) {
						return fmt.Errorf("statement %d returns %s, %w", i, got, err)
					}
				}
				return nil
			})
			if outer != 2 {
				t.Errorf("the query around them has %d rows", outer)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestRefusedStatements(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), nil)
	create(t, db, "p")
	for name, test := range map[string]struct {
		sql  string
		args []any
	}{
		"two statements":         {"UPDATE projects SET name = 'x'; DELETE FROM projects", nil},
		"two, the second broken": {"UPDATE projects SET name = 'x'; garbage", nil},
		"too few arguments":      {"UPDATE projects SET name = $1 WHERE id = $2", []any{"x"}},
		"too many arguments":     {"UPDATE projects SET name = $1", []any{"x", "y"}},
		"no arguments":           {"UPDATE projects SET name = $1", nil},
		"a number left out":      {"UPDATE projects SET name = $3", []any{"x"}},
		"a huge number":          {"UPDATE projects SET name = $2147483647", []any{"x"}},
		"an argument of no kind": {"UPDATE projects SET name = $1", []any{struct{}{}}},
		"NUL":                    {"UPDATE projects SET name = 'x'\x00", nil},
	} {
		_, err := execute(db, test.sql, test.args...)
		if nexus.CodeOf(err) != nexus.CodeInvalid {
			t.Errorf("%s: %v, want code invalid", name, err)
		}
	}
	p, err := db.Projects.Get(background, "p")
	if err != nil || p.Name != "p" {
		t.Errorf("project = %+v, %v", p, err)
	}
}

// A text without a statement is refused like any other mistake.
func TestNoStatement(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), nil)
	for _, sql := range []string{"", " \n", ";", " ; ", "-- nothing", "/* nothing */"} {
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("%q panics: %v", sql, r)
				}
			}()
			_, err := execute(db, sql)
			if nexus.CodeOf(err) != nexus.CodeInvalid {
				t.Errorf("%q: %v, want code invalid", sql, err)
			}
		}()
	}
	create(t, db, "after")
}

func execute(db *store.DB, sql string, args ...any) (n int64, err error) {
	err = db.InTx(background, func(tx *store.Tx) error {
		n, err = tx.Exec(background, sql, args...)
		return err
	})
	return n, err
}

func TestAcceptedStatements(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), nil)
	create(t, db, "p")
	for name, test := range map[string]struct {
		sql  string
		args []any
		want string
	}{
		"out of order":        {"SELECT $2 || $1", []any{"a", "b"}, "ba"},
		"used twice":          {"SELECT $1 || $1", []any{"a"}, "aa"},
		"more than nine":      {"SELECT $10 || $1 || $2 || $3 || $4 || $5 || $6 || $7 || $8 || $9", []any{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, "9012345678"},
		"a semicolon":         {"SELECT 1; ", nil, "1"},
		"a comment behind":    {"SELECT 1; -- the end", nil, "1"},
		"a comment before":    {"/* $1 */ SELECT 1", nil, "1"},
		"in a string":         {"SELECT '$1;?'", nil, "$1;?"},
		"NUL in an argument":  {"SELECT hex($1)", []any{"a\x00b"}, "610062"},
		"bad UTF-8":           {"SELECT hex($1)", []any{"\xff"}, "FF"},
		"an empty text":       {"SELECT typeof($1)", []any{""}, "text"},
		"nil":                 {"SELECT typeof($1)", []any{nil}, "null"},
		"the largest integer": {"SELECT $1", []any{int64(1<<63 - 1)}, "9223372036854775807"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := db.View(background, func(tx *store.Tx) error {
				for range 2 { // the second time with the kept statement
					got, err := one(tx, test.sql, test.args...)
					if err != nil || got != test.want {
						t.Errorf("%q, %v, want %q", got, err, test.want)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// A statement that is kept sees what others do to the schema.
func TestKeptStatementAfterSchemaChange(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	db := open(t, path, nil)
	if _, err := execute(db, "CREATE TABLE notes (a TEXT)"); err != nil {
		t.Fatal(err)
	}
	if _, err := execute(db, "INSERT INTO notes VALUES ('1')"); err != nil {
		t.Fatal(err)
	}
	check := func(want string) {
		t.Helper()
		for _, run := range []func(func(*store.Tx) error) error{
			func(fn func(*store.Tx) error) error { return db.View(background, fn) },
			func(fn func(*store.Tx) error) error { return db.InTx(background, fn) },
		} {
			err := run(func(tx *store.Tx) error {
				return tx.Query(background, "SELECT * FROM notes", nil, func(r driver.Row) error {
					if got := strings.Join(r.Columns(), " "); got != want {
						t.Errorf("columns are %s, want %s", got, want)
					}
					return nil
				})
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	check("a")
	if _, err := execute(db, "ALTER TABLE notes ADD COLUMN b TEXT"); err != nil {
		t.Fatal(err)
	}
	check("a b")
	script(t, path, "ALTER TABLE notes RENAME COLUMN a TO c")
	check("c b")
}

// An argument is not left over for the next use of a statement.
func TestArgumentsAreNotKept(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), nil)
	err := db.View(background, func(tx *store.Tx) error {
		for _, arg := range []any{"text", nil, int64(1), nil, 1.5, nil} {
			want := "null"
			switch arg.(type) {
			case string:
				want = "text"
			case int64:
				want = "integer"
			case float64:
				want = "real"
			}
			if got, err := one(tx, "SELECT typeof($1)", arg); err != nil || got != want {
				t.Errorf("%v is a %s, %v", arg, got, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Debug logs each statement once, with its arguments and how long it took.
func TestDebugLog(t *testing.T) {
	t.Parallel()
	log := new(book)
	db := open(t, newPath(t), &sqlite.Options{Debug: true, Logger: log.logger()})
	create(t, db, "logged")
	if lines := log.with("INSERT INTO projects", "logged", "duration="); len(lines) != 1 {
		t.Errorf("the insert is logged as %s", lines)
	}
	if len(log.with("COMMIT")) == 0 {
		t.Error("COMMIT is not logged")
	}
	t.Run("duration", func(t *testing.T) {
		for _, line := range log.with("COMMIT") {
			if !strings.Contains(line, "duration=") {
				t.Errorf("where the time goes is not logged: %s", line)
			}
		}
	})
	long := strings.Repeat("ü", 10_000)
	err := db.View(background, func(tx *store.Tx) error {
		_, err := one(tx, "SELECT length($1) + nowhere", long)
		return err
	})
	if err == nil {
		t.Error("no error")
	}
	lines := log.with("nowhere", "error=")
	if len(lines) != 1 {
		t.Fatalf("the failed statement is logged as %s", lines)
	}
	if len(lines[0]) > 2000 {
		t.Errorf("a long argument fills the log with %d bytes", len(lines[0]))
	}

	quiet := new(book)
	create(t, open(t, newPath(t), &sqlite.Options{Logger: quiet.logger()}), "p")
	if lines := quiet.with("sql="); len(lines) > 0 {
		t.Errorf("without Debug: %s", lines)
	}
}
