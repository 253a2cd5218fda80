package sqlite

import (
	"slices"
	"unsafe"

	"zombiezen.com/go/sqlite"

	"github.com/seed-c8812374/nexus/store/driver"
)

// row implements driver.Row.
type row struct{ *stmt }

func (r row) Int(column int) int64 {
	if n, ok := r.values.Int(column); ok {
		return n
	}
	return r.ColumnInt64(column)
}

func (r row) Float(column int) float64 {
	if f, ok := r.values.Float(column); ok {
		return f
	}
	return r.ColumnFloat(column)
}

func (r row) IsNull(column int) bool { return r.Kind(column) == driver.KindNull }

func (r row) Kind(column int) driver.Kind {
	t, ok := r.values.Type(column)
	if !ok {
		t = r.ColumnType(column)
	}
	return kinds[t]
}

// kinds are SQLite's types of values.
var kinds = [...]driver.Kind{
	sqlite.TypeInteger: driver.KindInt, sqlite.TypeFloat: driver.KindFloat,
	sqlite.TypeText: driver.KindText, sqlite.TypeBlob: driver.KindBlob, sqlite.TypeNull: driver.KindNull,
}

// mostShared bounds the memory that the texts of a row share. Whoever keeps one of
// them keeps the others as well, but never much for the sake of a little.
const mostShared = 1024

// Text allocates memory once for the texts of a row, and not once for each of them:
// as much as the row before had.
func (r row) Text(column int) string {
	from, ok := r.values.Bytes(column)
	n := len(from)
	if !ok {
		n = r.ColumnLen(column) // this makes it a text, and UTF-8
	}
	if n == 0 {
		return ""
	}
	start := len(r.texts)
	if n > cap(r.texts)-start {
		r.stmt.texts, start = make([]byte, 0, max(n, min(r.expected, mostShared))), 0
	}
	text := r.texts[start : start+n]
	if ok {
		copy(text, from)
	} else {
		r.ColumnBytes(column, text)
	}
	r.stmt.texts = r.texts[:start+n]
	r.stmt.length += n
	return unsafe.String(&text[0], n) // nobody writes there again
}

// Columns asks a new statement for the names if this one has run before: SQLite
// may have prepared it again for another schema, and zombiezen keeps the names of
// the first time.
func (r row) Columns() []string {
	if r.columns != nil {
		return r.columns
	}
	names := r.Stmt
	if r.used {
		if again, _, err := r.conn.sq.PrepareTransient(r.sql); err == nil {
			defer func() { _ = again.Finalize() }()
			names = again
		}
	}
	r.stmt.columns = make([]string, r.ColumnCount())
	for i := range r.columns {
		r.columns[i] = names.ColumnName(i)
	}
	return r.columns
}

func (r row) Value(column int) any { return r.Arg(column).Value() }

func (r row) AppendTo(b []byte, column int) []byte {
	if from, ok := r.values.Bytes(column); ok {
		return append(b, from...)
	}
	start, n := len(b), r.ColumnLen(column)
	b = slices.Grow(b, n)[:start+n]
	r.ColumnBytes(column, b[start:])
	return b
}

func (r row) Arg(column int) driver.Arg {
	switch r.Kind(column) {
	case driver.KindInt:
		return driver.Int(r.Int(column))
	case driver.KindFloat:
		return driver.Float(r.Float(column))
	case driver.KindText:
		return driver.Text(r.Text(column))
	case driver.KindBlob:
		blob := make([]byte, r.ColumnLen(column))
		r.ColumnBytes(column, blob)
		return driver.Blob(blob)
	default:
		return driver.Null()
	}
}

// nextRow leaves the texts of a row to whoever has read them.
func (s *stmt) nextRow() {
	if s.length > 0 {
		s.texts, s.expected, s.length = nil, s.length, 0
	}
}
