package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// pastList is what a list of the past is read from in place of the table: the rows that
// are as they were then, and beside them those that are not. Of the latter the
// database gets only the columns that the list is chosen and ordered by.
type pastList struct {
	*layout
	dialect driver.Dialect
	changed map[string]image
}

// pastArgs is how many arguments a pastList has at least: the ids of the rows that are
// not as they were, and what they were, as JSON.
const pastArgs = 2

// source returns the list for a text in which the columns are that are needed. Its
// first arguments are at a place in args; others, for rows that JSON does not keep as
// they are, it adds at the end.
func (p *pastList) source(text string, args []driver.Arg, at int) (string, []driver.Arg, error) {
	s := &pastSource{layout: p.layout, dialect: p.dialect, args: args, ids: []string{}, rows: [][]any{}}
	for n, column := range p.columns {
		if n == 0 || strings.Contains(text, column.Name) {
			s.needed = append(s.needed, n)
		}
	}
	for _, id := range sortedKeys(p.changed) {
		s.leaveOut(id)
		if i := p.changed[id]; i != nil {
			s.add(i)
		}
	}
	return s.sql(at)
}

// row returns a row of the list as it was.
func (p *pastList) row(r driver.Row) driver.Row {
	if was := p.changed[r.Arg(0).Text]; was != nil {
		return imageRow(was)
	}
	return r
}

// source is what a condition reads in place of a table, with all its columns. It adds
// its arguments.
func (c *pastConn) source(ctx context.Context, kind nexus.Kind, w *where, project string) (string, error) {
	l := layouts[kind]
	if l == nil { // metrics
		until, err := momentTime(ctx, c.Conn, c.seq)
		w.args = append(w.args, driver.Int(until/1e6))
		return fmt.Sprintf("(SELECT * FROM %s WHERE timestamp <= $%d) AS %[1]s", kind.Table(), len(w.args)), err
	}
	changed, err := l.changedSince(ctx, c.Conn, c.seq, project)
	if err != nil || len(changed) == 0 {
		return kind.Table(), err
	}
	var all []string
	for _, column := range l.columns {
		all = append(all, column.Name)
	}
	list := &pastList{l, c.Dialect(), changed}
	at := len(w.args)
	source, args, err := list.source(strings.Join(all, " "), append(w.args, make([]driver.Arg, pastArgs)...), at)
	w.args = args
	return source, err
}

// pastSource makes the SQL of a pastList.
type pastSource struct {
	*layout
	dialect driver.Dialect
	needed  []int // columns
	args    []driver.Arg

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
	if s.isOdd(i) && s.odd < mostOdd {
		s.odd++
		s.oddRows.WriteString(" UNION ALL SELECT " + s.list(func(k int) string { return s.place(i[s.needed[k]]) }))
		return
	}
	row := make([]any, len(s.needed))
	for k, n := range s.needed {
		switch a := &i[n]; a.Kind {
		case driver.KindBlob:
			row[k] = a.Text // as it would be read
		case driver.KindFloat:
			row[k] = min(max(a.Float, -math.MaxFloat64), math.MaxFloat64)
		default:
			row[k] = a.Value()
		}
	}
	s.rows = append(s.rows, row)
}

// list lists the columns: of those that are needed what value says.
func (s *pastSource) list(value func(k int) string) string {
	values := make([]string, len(s.columns))
	for n := range values {
		values[n] = "NULL"
	}
	for k, n := range s.needed {
		values[n] = value(k)
	}
	return strings.Join(values, ", ")
}

func (s *pastSource) sql(at int) (string, []driver.Arg, error) {
	for n, list := range []any{s.ids, s.rows} {
		text, err := json.Marshal(list)
		if err != nil {
			return "", nil, err
		}
		s.args[at+n] = driver.Text(string(text))
	}
	names := make([]string, len(s.columns))
	for n, column := range s.columns {
		names[n] = column.Name
	}
	table := s.kind.Table()
	// The id may be a BLOB.
	others := " WHERE CAST(id AS TEXT) NOT IN (SELECT value FROM " + s.dialect.Elements(at+1) + ")"
	if len(s.oddIDs) > 0 {
		others += " AND CAST(id AS TEXT) NOT IN (" + strings.Join(s.oddIDs, ", ") + ")"
	}
	rows := s.list(func(k int) string { return s.dialect.Element(k, s.columns[s.needed[k]].Type) })
	return "(SELECT " + strings.Join(names, ", ") + " FROM " + table + others +
		" UNION ALL SELECT " + rows + " FROM " + s.dialect.Elements(at+2) + s.oddRows.String() + ") AS " + table, s.args, nil
}

// isOdd reports whether JSON does not keep what is needed of a row as it is.
func (s *pastSource) isOdd(i image) bool {
	for _, n := range s.needed {
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
