// Package sqliterow reads the columns of a row where SQLite keeps them.
//
// SQLite's interface has a call for each column, and two for a text. A task has 29
// columns, so the calls were a third of the time of a list. SQLite's own type of a value
// (sqlite3_value, which it calls Mem) says in one word what a value is and where it is, and
// the values of a row are side by side. The type is the translated one of
// modernc.org/sqlite, so it is right for the version and the system that are compiled.
//
// Only what is exactly of one type is read here: a value that SQLite would have to convert
// first, such as a number that is asked for as a text, is left to its interface, and so is
// everything if the address of a statement cannot be found.
package sqliterow

import (
	"reflect"
	"unsafe"

	lib "modernc.org/sqlite/lib"
	"zombiezen.com/go/sqlite"
)

// Row is the row that a statement is at, until its next step or reset. The zero Row has
// nothing to read.
type Row struct {
	values uintptr // memory of SQLite's: an array of its type Mem
	count  int
}

// address is where in a Stmt its statement of C is, which zombiezen does not give out, or
// -1 if that is not where it was.
var address = func() int {
	field, ok := reflect.TypeFor[sqlite.Stmt]().FieldByName("stmt")
	if !ok || field.Type.Kind() != reflect.Uintptr {
		return -1
	}
	return int(field.Offset)
}()

// Of returns the row that a statement has stepped to.
func Of(s *sqlite.Stmt) Row {
	if address < 0 {
		return Row{}
	}
	statement := *(**lib.TVdbe)(unsafe.Add(unsafe.Pointer(s), address))
	if statement == nil || statement.FpResultRow == 0 {
		return Row{}
	}
	return Row{statement.FpResultRow, int(statement.FnResColumn)}
}

// value returns a value and its type: one of SQLite's MEM_Null, MEM_Int, MEM_Real, MEM_Str
// and MEM_Blob, or another number if it is none of them alone.
func (r Row) value(column int) (*lib.TMem, uint16) {
	if uint(column) >= uint(r.count) {
		return nil, 0
	}
	at := r.values + uintptr(column)*unsafe.Sizeof(lib.TMem{})
	m := *(**lib.TMem)(unsafe.Pointer(&at))
	return m, m.Fflags & lib.MEM_AffMask
}

// Type returns the type of a value; ok is false if it cannot be told here, as of all that
// follows.
func (r Row) Type(column int) (t sqlite.ColumnType, ok bool) {
	switch _, is := r.value(column); is {
	case lib.MEM_Null:
		return sqlite.TypeNull, true
	case lib.MEM_Int:
		return sqlite.TypeInteger, true
	case lib.MEM_Real:
		return sqlite.TypeFloat, true
	case lib.MEM_Str:
		return sqlite.TypeText, true
	case lib.MEM_Blob:
		return sqlite.TypeBlob, true
	default:
		return 0, false
	}
}

// Int returns an integer, 0 for NULL.
func (r Row) Int(column int) (n int64, ok bool) {
	m, is := r.value(column)
	if is == lib.MEM_Int {
		return *(*int64)(unsafe.Pointer(&m.Fu)), true // a union
	}
	return 0, is == lib.MEM_Null
}

// Float returns a floating-point number, 0 for NULL.
func (r Row) Float(column int) (f float64, ok bool) {
	m, is := r.value(column)
	if is == lib.MEM_Real {
		return m.Fu.Fr, true
	}
	return 0, is == lib.MEM_Null
}

// Bytes returns a text, in UTF-8, or a blob, and nothing for NULL. They are SQLite's
// memory: they may be read until the statement goes on.
func (r Row) Bytes(column int) (b []byte, ok bool) {
	m, is := r.value(column)
	if is == lib.MEM_Str && m.Fenc == lib.SQLITE_UTF8 || is == lib.MEM_Blob && m.Fflags&lib.MEM_Zero == 0 {
		return unsafe.Slice(*(**byte)(unsafe.Pointer(&m.Fz)), m.Fn), true
	}
	return nil, is == lib.MEM_Null
}
