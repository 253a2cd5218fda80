package sqliterow_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus/internal/sqliterow"
)

// table has columns of all affinities. SQLite keeps a value as what suits its column: a
// whole number in c as an integer, which is read as a floating-point number.
const table = `CREATE TABLE t (a INTEGER, b TEXT, c REAL, d BLOB, e NUMERIC)`

// expressions that make values in other ways than by reading a table.
var expressions = []string{
	"a, b, c, d, e", "a || b, c + 1, d || '', e, a", "json_array(typeof(a), length(b)), json(1), zeroblob(3), CAST(d AS TEXT), NULL",
	"max(a, c), min(b, d), length(b), typeof(c), a IS NULL", "1, 'x', 2.5, x'00', ''",
}

// TestRow compares what is read with what SQLite's interface says.
func TestRow(t *testing.T) {
	for _, encoding := range []string{"UTF-8", "UTF-16le", "UTF-16be"} {
		t.Run(encoding, func(t *testing.T) {
			c := open(t, encoding)
			rapid.Check(t, func(t *rapid.T) {
				exec(t, c, "DELETE FROM t")
				for range rapid.IntRange(1, 3).Draw(t, "rows") {
					values := rapid.SliceOfN(anyValue(), 5, 5).Draw(t, "values")
					exec(t, c, "INSERT INTO t VALUES (?, ?, ?, ?, ?)", values...)
				}
				s := prepare(t, c, "SELECT "+rapid.SampledFrom(expressions).Draw(t, "columns")+" FROM t")
				defer func() { _ = s.Finalize() }()
				for step(t, s) {
					row := sqliterow.Of(s)
					for column := range s.ColumnCount() {
						compare(t, s, row, column)
					}
				}
			})
		})
	}
}

func anyValue() *rapid.Generator[any] {
	return rapid.OneOf(
		rapid.Just[any](nil), rapid.Int64().AsAny(), rapid.Float64().AsAny(), rapid.String().AsAny(),
		rapid.SliceOf(rapid.Byte()).AsAny(), rapid.Map(rapid.Int32(), func(n int32) any { return float64(n) }),
		rapid.SampledFrom([]any{"12", "1.5e3", "a\x00b", "", math.Inf(1), int64(math.MinInt64)}),
	)
}

// compare looks at the row first: SQLite's interface may convert what it is asked for.
func compare(t *rapid.T, s *sqlite.Stmt, row sqliterow.Row, column int) {
	kind, typeOK := row.Type(column)
	n, intOK := row.Int(column)
	f, floatOK := row.Float(column)
	b, bytesOK := row.Bytes(column)
	bytes := string(b)
	if is := s.ColumnType(column); typeOK && kind != is {
		t.Fatalf("column %d is %v, not %v", column, is, kind)
	}
	// The conversions come last, and of texts after numbers: they change the value.
	if is := s.ColumnInt64(column); intOK && n != is {
		t.Fatalf("column %d is %d, not %d", column, is, n)
	}
	if is := s.ColumnFloat(column); floatOK && f != is {
		t.Fatalf("column %d is %v, not %v", column, is, f)
	}
	length := s.ColumnLen(column)
	is := make([]byte, length)
	s.ColumnBytes(column, is)
	if bytesOK && bytes != string(is) {
		t.Fatalf("column %d is %q, not %q", column, is, bytes)
	}
}

// TestUsed expects values of every type to be read here, and not by SQLite's interface,
// which a new version of what is below could bring about unnoticed.
func TestUsed(t *testing.T) {
	c := open(t, "UTF-8")
	s := prepare(t, c, "SELECT 1, 'text', 2.5, x'0102', NULL")
	defer func() { _ = s.Finalize() }()
	if !step(t, s) {
		t.Fatal("there is no row")
	}
	row := sqliterow.Of(s)
	if n, ok := row.Int(0); !ok || n != 1 {
		t.Errorf("the integer is %d, %v", n, ok)
	}
	if b, ok := row.Bytes(1); !ok || string(b) != "text" {
		t.Errorf("the text is %q, %v", b, ok)
	}
	if f, ok := row.Float(2); !ok || f != 2.5 {
		t.Errorf("the number is %v, %v", f, ok)
	}
	if b, ok := row.Bytes(3); !ok || string(b) != "\x01\x02" {
		t.Errorf("the blob is %q, %v", b, ok)
	}
	if kind, ok := row.Type(4); !ok || kind != sqlite.TypeNull {
		t.Errorf("the last is %v, %v", kind, ok)
	}
	// What is not there, and what must not be looked at as what it is not.
	for _, column := range []int{-1, 5, math.MaxInt} {
		if _, ok := row.Type(column); ok {
			t.Errorf("there is a column %d", column)
		}
	}
	if _, ok := row.Int(1); ok {
		t.Error("a text is an integer")
	}
	if _, ok := row.Bytes(0); ok {
		t.Error("an integer is a text")
	}
	if step(t, s) {
		t.Fatal("there is another row")
	}
	for name, row := range map[string]sqliterow.Row{"of an ended statement": sqliterow.Of(s), "zero": {}} {
		if _, ok := row.Type(0); ok {
			t.Errorf("a row %s has a column", name)
		}
	}
}

func open(t *testing.T, encoding string) *sqlite.Conn {
	t.Helper()
	c, err := sqlite.OpenConn(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	exec(t, c, `PRAGMA encoding = "`+encoding+`"`)
	exec(t, c, table)
	return c
}

func exec(t rapid.TB, c *sqlite.Conn, sql string, args ...any) {
	t.Helper()
	if err := sqlitex.Execute(c, sql, &sqlitex.ExecOptions{Args: args}); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func prepare(t rapid.TB, c *sqlite.Conn, sql string) *sqlite.Stmt {
	t.Helper()
	s, _, err := c.PrepareTransient(sql)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func step(t rapid.TB, s *sqlite.Stmt) bool {
	t.Helper()
	more, err := s.Step()
	if err != nil {
		t.Fatal(err)
	}
	return more
}
