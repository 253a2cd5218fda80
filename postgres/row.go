package postgres

import (
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/seed-c8812374/nexus/store/driver"
)

// Arguments and results travel as text, which needs no knowledge of the types that
// the server gives them: an integer that is meant for a column of texts becomes
// one, as in SQLite.

// encode returns the arguments as text; nil is NULL.
func encode(args []driver.Arg) [][]byte {
	values := make([][]byte, len(args))
	for i := range args {
		switch a := &args[i]; a.Kind {
		case driver.KindInt:
			values[i] = strconv.AppendInt(nil, a.Int, 10)
		case driver.KindFloat:
			values[i] = appendFloat(a.Float)
		case driver.KindText:
			values[i] = []byte(a.Text)
		case driver.KindBlob:
			values[i] = []byte(`\x` + hex.EncodeToString([]byte(a.Text)))
		case driver.KindNull:
		}
		if values[i] == nil && args[i].Kind != driver.KindNull {
			values[i] = []byte{}
		}
	}
	return values
}

func appendFloat(f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return []byte("Infinity")
	case math.IsInf(f, -1):
		return []byte("-Infinity")
	default:
		return strconv.AppendFloat(nil, f, 'g', -1, 64)
	}
}

// rows are the rows of a running query, and the one that is being read. They
// implement driver.Row.
type rows struct {
	conn     *conn
	reader   *pgconn.ResultReader
	pipeline *pgconn.Pipeline // that the query is part of; may be nil

	values [][]byte   // of the row that is being read
	ahead  [][][]byte // rows that have been read before their turn
	fields []pgconn.FieldDescription
	closed bool
	n      int64
	err    error
}

func (r *rows) next() bool {
	if r.closed {
		if len(r.ahead) == 0 {
			return false
		}
		r.values, r.ahead = r.ahead[0], r.ahead[1:]
		return true
	}
	if !r.reader.NextRow() {
		return false
	}
	if r.fields == nil {
		r.fields = slices.Clone(r.reader.FieldDescriptions())
	}
	r.values = r.reader.Values()
	return true
}

// readAll reads the rest, so that the session is free for another statement.
func (r *rows) readAll() {
	if r.closed {
		return
	}
	r.values = copied(r.values)
	for r.reader.NextRow() {
		r.ahead = append(r.ahead, copied(r.reader.Values()))
	}
	_, _ = r.close()
}

func copied(values [][]byte) [][]byte {
	all := make([][]byte, len(values))
	for i, v := range values {
		all[i] = slices.Clone(v)
	}
	return all
}

// close reads and forgets the rest, and returns how many rows were changed.
func (r *rows) close() (int64, error) {
	if r.closed {
		return r.n, r.err
	}
	r.closed = true
	tag, err := r.reader.Close()
	r.n, r.err = tag.RowsAffected(), err
	if r.conn.commits && err == nil {
		if err := readControl(r.pipeline); err != nil {
			r.err = commitError{err}
		} else if err := errors.Join(readControl(r.pipeline), r.pipeline.Close()); err != nil {
			r.err = settleError{err}
		}
	}
	if r.pipeline != nil {
		if err := r.pipeline.Close(); r.err == nil {
			r.err = err
		}
	}
	return r.n, r.err
}

func (r *rows) IsNull(column int) bool { return r.values[column] == nil }

func (r *rows) Text(column int) string {
	if r.fields[column].DataTypeOID == pgtype.BoolOID {
		if v, is := r.Value(column).(int64); is {
			return strconv.FormatInt(v, 10)
		}
	}
	return string(r.values[column])
}

func (r *rows) Int(column int) int64 {
	text := r.values[column]
	if n, ok := parseInt(text); ok {
		return n
	}
	switch v := r.Value(column).(type) {
	case int64:
		return v
	case float64:
		return clamp(v)
	case string:
		f, _ := strconv.ParseFloat(v, 64)
		return clamp(f)
	default:
		return 0
	}
}

// parseInt is strconv.ParseInt without a string.
func parseInt(text []byte) (n int64, ok bool) {
	digits := text
	if len(text) > 0 && text[0] == '-' {
		digits = text[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		v, err := strconv.ParseInt(string(text), 10, 64)
		return v, err == nil
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	if len(digits) < len(text) {
		n = -n
	}
	return n, true
}

func clamp(f float64) int64 {
	switch {
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	case math.IsNaN(f):
		return 0
	default:
		return int64(f)
	}
}

func (r *rows) Float(column int) float64 {
	f, _ := strconv.ParseFloat(string(r.values[column]), 64) // of what is too large, infinity
	if math.IsNaN(f) {
		return 0
	}
	return f
}

// Columns implements driver.Row.
func (r *rows) Columns() []string {
	names := make([]string, len(r.fields))
	for i, f := range r.fields {
		names[i] = f.Name
	}
	return names
}

// Kind implements driver.Row.
func (r *rows) Kind(column int) driver.Kind {
	text := r.values[column]
	if text == nil {
		return driver.KindNull
	}
	switch r.fields[column].DataTypeOID {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.BoolOID:
		return driver.KindInt
	case pgtype.Float4OID, pgtype.Float8OID:
		return driver.KindFloat
	case pgtype.NumericOID:
		if _, whole := parseInt(text); whole {
			return driver.KindInt
		}
		return driver.KindFloat
	case pgtype.ByteaOID:
		return driver.KindBlob
	default:
		return driver.KindText
	}
}

// Value implements driver.Row. What is none of the types of the seam is a text.
func (r *rows) Value(column int) any {
	text := r.values[column]
	if text == nil {
		return nil
	}
	switch r.fields[column].DataTypeOID {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
		n, _ := parseInt(text)
		return n
	case pgtype.Float4OID, pgtype.Float8OID:
		return r.Float(column)
	case pgtype.NumericOID:
		if n, whole := parseInt(text); whole {
			return n
		}
		return r.Float(column)
	case pgtype.BoolOID:
		if text[0] == 't' {
			return int64(1)
		}
		return int64(0)
	case pgtype.ByteaOID:
		if blob, err := hex.DecodeString(string(text[min(2, len(text)):])); err == nil {
			return blob
		}
	}
	return string(text)
}

// AppendTo implements driver.Row.
func (r *rows) AppendTo(b []byte, column int) []byte {
	if r.fields[column].DataTypeOID == pgtype.ByteaOID {
		return append(b, r.Arg(column).Text...)
	}
	return append(b, r.values[column]...)
}

// Arg implements driver.Row.
func (r *rows) Arg(column int) driver.Arg {
	switch v := r.Value(column).(type) {
	case nil:
		return driver.Null()
	case int64:
		return driver.Int(v)
	case float64:
		return driver.Float(v)
	case []byte:
		return driver.Blob(v)
	default:
		return driver.Text(string(r.values[column]))
	}
}
