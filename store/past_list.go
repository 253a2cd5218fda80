package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed-c8812374/nexus/store/driver"
)

// source is what a list of the past is read from, in place of the table, with its
// arguments: the rows that are as they were then, and beside them those that are
// not.
func (l *layout) source(ctx context.Context, c *pastConn, project string) (string, []driver.Arg, error) {
	changed, err := l.changedSince(ctx, c.Conn, c.seq, project)
	if err != nil || len(changed) == 0 {
		return l.kind.Table(), nil, err
	}
	s := pastSource{layout: l, args: make([]driver.Arg, 2), ids: []string{}, rows: [][]any{}}
	for _, id := range sortedKeys(changed) {
		s.leaveOut(id)
		if i := changed[id]; i != nil {
			s.add(i)
		}
	}
	return s.sql()
}

// pastSource makes such a source. Its rows are an argument as JSON, but for those
// that JSON does not keep as they are.
type pastSource struct {
	*layout
	args []driver.Arg // the first two are of ids and rows

	ids     []string
	rows    [][]any
	oddIDs  []string // as SQL
	oddRows strings.Builder
	odd     int
}

// mostOdd keeps the arguments of a statement below 32766.
const mostOdd = 900

func (s *pastSource) place(a driver.Arg) string {
	s.args = append(s.args, a)
	return "$" + strconv.Itoa(len(s.args))
}

func (s *pastSource) leaveOut(id string) {
	if isText(id) || len(s.oddIDs) == mostOdd {
		s.ids = append(s.ids, id)
	} else {
		s.oddIDs = append(s.oddIDs, s.place(driver.Text(id)))
	}
}

func (s *pastSource) add(i image) {
	if i.isOdd() && s.odd < mostOdd {
		s.odd++
		s.oddRows.WriteString(" UNION ALL SELECT ")
		for n, a := range i {
			if n > 0 {
				s.oddRows.WriteString(", ")
			}
			s.oddRows.WriteString(s.place(a))
		}
		return
	}
	row := make([]any, len(i))
	for n, a := range i {
		switch a.Kind {
		case driver.KindBlob:
			row[n] = a.Text // as it would be read
		case driver.KindFloat:
			row[n] = min(max(a.Float, -math.MaxFloat64), math.MaxFloat64)
		default:
			row[n] = a.Value()
		}
	}
	s.rows = append(s.rows, row)
}

func (s *pastSource) sql() (string, []driver.Arg, error) {
	for n, list := range []any{s.ids, s.rows} {
		text, err := json.Marshal(list)
		if err != nil {
			return "", nil, err
		}
		s.args[n] = driver.Text(string(text))
	}
	names := make([]string, len(s.columns))
	values := make([]string, len(s.columns))
	for n, column := range s.columns {
		names[n], values[n] = column.Name, fmt.Sprintf("value ->> %d AS %s", n, column.Name)
	}
	table := s.kind.Table()
	// The id may be a BLOB.
	others := " WHERE CAST(id AS TEXT) NOT IN (SELECT value FROM json_each($1))"
	if len(s.oddIDs) > 0 {
		others += " AND CAST(id AS TEXT) NOT IN (" + strings.Join(s.oddIDs, ", ") + ")"
	}
	return "(SELECT " + strings.Join(names, ", ") + " FROM " + table + others +
		" UNION ALL SELECT " + strings.Join(values, ", ") + " FROM json_each($2)" + s.oddRows.String() + ") AS " + table, s.args, nil
}

// isOdd reports whether JSON does not keep the row as it is.
func (i image) isOdd() bool {
	for n := range i {
		switch a := &i[n]; a.Kind {
		case driver.KindBlob:
			return true
		case driver.KindText:
			if !isText(a.Text) {
				return true
			}
		case driver.KindFloat:
			if math.IsInf(a.Float, 0) {
				return true
			}
		}
	}
	return false
}

// isText reports whether a text is one that every JSON parser gives back: SQLite's
// ends it at a NUL.
func isText(text string) bool { return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 }
