package jsonl

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/jsontree"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Imported says what an import has stored.
type Imported struct {
	SchemaVersion int64            `json:"schema_version"` // of the database that was exported
	Counts        map[string]int64 `json:"counts"`         // rows by table
}

// Bounds on what is read: the first line is short, so a file that is none of ours
// does not fill the memory; no row comes near the other bound.
const (
	maxHeader   = 1 << 20
	maxRow      = math.MaxInt32
	maxProblems = 20
)

// ImportIn stores an export in an empty database, as a part of the transaction, whose
// function may run again: r is read from its beginning each time. All of it is stored,
// or nothing. progress may be nil; it is told how many rows are stored of how many.
//
// Codes: CodeExists if the database has rows; CodeInvalid, with the lines, if
// something is wrong with the export; CodeNewer if a newer Nexus has written it; CodeIO
// if r fails.
func ImportIn(ctx context.Context, tx *store.Tx, r io.ReadSeeker, progress func(rows, total int)) (*Imported, error) {
	if progress == nil {
		progress = func(int, int) {}
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, ioError(err, "the export cannot be read")
	}
	loader, err := tx.NewLoader(ctx)
	if err != nil {
		return nil, err
	}
	i := &importer{
		ctx: ctx, loader: loader, in: bufio.NewReaderSize(r, 1<<16), progress: progress,
		names: make(map[string][]string), stored: make(map[string]int64),
	}
	if err := i.run(); err != nil {
		return nil, err
	}
	return &Imported{SchemaVersion: i.header.Schema, Counts: i.stored}, nil
}

// importer reads one export.
type importer struct {
	ctx      context.Context
	loader   *store.Loader
	in       *bufio.Reader
	progress func(rows, total int)

	number   int // of the line
	line     []byte
	document *jsontree.Document // of the line
	header   header
	names    map[string][]string // columns by table
	stored   map[string]int64
	rows     int
	waiting  waiting
	problems []nexus.Problem
}

// waiting are rows of one table with the same columns, read but not stored.
type waiting struct {
	table   *store.ContentTable
	columns []string
	rows    [][]driver.Arg
	places  []place // of the rows
	bytes   int     // of their lines
}

// place is where something is in the export; both count from 1.
type place struct{ line, column int }

// Bounds on the rows that wait.
const (
	mostWaiting      = 500
	mostBytesWaiting = 4 << 20
)

func (i *importer) run() error {
	more, err := i.next(maxHeader)
	if err != nil {
		return err
	}
	if !more {
		i.number = 1
		i.problem(nil, "", "there is no export: the file is empty")
		return i.invalid()
	}
	if err := i.readHeader(); err != nil {
		return err
	}
	if len(i.problems) > 0 {
		return i.invalid()
	}
	total := 0
	for _, n := range i.header.Counts {
		total += int(n)
	}
	for len(i.problems) < maxProblems {
		if more, err := i.next(maxRow); err != nil {
			return err
		} else if !more {
			break
		}
		if err := i.readRow(); err != nil {
			return err
		}
		if i.rows++; i.rows%1000 == 0 {
			i.progress(i.rows, total)
		}
	}
	if err := i.flush(); err != nil {
		return err
	}
	if len(i.problems) == 0 {
		i.compareCounts()
	}
	if len(i.problems) > 0 {
		return i.invalid()
	}
	return i.loader.Finish(i.ctx)
}

// next reads a line. Without more there is none.
func (i *importer) next(most int) (more bool, err error) {
	if i.ctx.Err() != nil {
		return false, &nexus.Error{Code: nexus.CodeCanceled, Message: "stopped before it was done", Hint: "nothing was imported"}
	}
	i.line = i.line[:0]
	for {
		part, err := i.in.ReadSlice('\n')
		i.line = append(i.line, part...)
		switch {
		case len(i.line) > most:
			i.number++
			i.problem(nil, "", fmt.Sprintf("is longer than %d MB", most>>20))
			return false, i.invalid()
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return false, ioError(err, "the export cannot be read")
		}
		if len(i.line) == 0 {
			return false, nil
		}
		i.number++
		i.line = bytes.TrimSuffix(i.line, []byte("\n"))
		return true, nil
	}
}

// parse makes a tree of the line.
func (i *importer) parse() (root *jsontree.Node) {
	var err error
	i.document, err = jsontree.Parse(i.line)
	var e *nexus.Error
	if errors.As(err, &e) {
		for _, p := range e.Problems {
			p.Line = i.number
			i.problems = append(i.problems, p)
		}
		return nil
	}
	root = &i.document.Root
	if root.Kind != jsontree.Object {
		i.problem(root, "", fmt.Sprintf("must be an object, not %s", root.Kind))
		return nil
	}
	return root
}

// problem notes what is wrong at a node, or with the line as a whole.
func (i *importer) problem(n *jsontree.Node, field, message string) {
	p := nexus.Problem{Field: field, Line: i.number, Column: 1, Message: message}
	if n != nil {
		_, p.Column = i.document.Place(n)
	}
	i.problems = append(i.problems, p)
}

func (i *importer) invalid() error {
	noun := "problems"
	if len(i.problems) == 1 {
		noun = "problem"
	}
	count := fmt.Sprint(len(i.problems))
	if len(i.problems) >= maxProblems {
		count = fmt.Sprintf("at least %d", len(i.problems))
	}
	return &nexus.Error{
		Code: nexus.CodeInvalid, Message: fmt.Sprintf("the export has %s %s", count, noun),
		Hint: "nothing was imported", Problems: i.problems,
	}
}

func (i *importer) readHeader() error {
	root := i.parse()
	if root == nil {
		return nil
	}
	format := root.Member("nexus_export")
	if format == nil {
		i.problem(root, "nexus_export", "is required: this is no export of Nexus")
		return nil
	}
	if format.Kind != jsontree.Number || len(format.Text) > 20 {
		i.problem(format, "nexus_export", "must be the version of the format, a number")
		return nil
	}
	if format.Text != fmt.Sprint(Version) {
		i.problem(format, "nexus_export", fmt.Sprintf("is %s; this program knows version %d", format.Text, Version))
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(i.line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&i.header); err != nil {
		i.problem(root, "", "is not the first line of an export: "+err.Error())
		return nil
	}
	if i.header.Schema > i.loader.Version() {
		return &nexus.Error{
			Code: nexus.CodeNewer,
			Message: fmt.Sprintf("the export has schema version %d, from a newer Nexus; this program knows version %d",
				i.header.Schema, i.loader.Version()),
			Hint: "update nexus; nothing was imported",
		}
	}
	for name := range i.header.Counts {
		if i.loader.Table(name) == nil {
			i.problem(root, "counts."+name, "is not a table of an export")
		}
	}
	return i.addColumns(root)
}

// addColumns adds the columns that other programs had added.
func (i *importer) addColumns(root *jsontree.Node) error {
	for _, name := range slices.Sorted(maps.Keys(i.header.Columns)) {
		table := i.loader.Table(name)
		if table == nil {
			i.problem(root, "added_columns."+name, "is not a table of an export")
			continue
		}
		for _, c := range i.header.Columns[name] {
			field := "added_columns." + name + "." + c.Name
			if slices.Contains(table.Names(), c.Name) {
				continue // it is there already
			}
			if !store.IsPlain(driver.Column(c)) {
				i.problem(root, field, "is not a plain column with a plain default; add it to the new database first")
				continue
			}
			if err := i.loader.AddColumn(i.ctx, table, driver.Column(c)); err != nil {
				if nexus.CodeOf(err) != nexus.CodeInvalid {
					return err
				}
				i.problem(root, field, "cannot be added: "+err.Error())
			}
		}
	}
	return nil
}

// readRow stores the row of a line, unless something has been found wrong before.
func (i *importer) readRow() error {
	root := i.parse()
	if root == nil {
		return nil
	}
	name, row := root.Member("table"), root.Member("row")
	if len(root.Members) != 2 || name == nil || row == nil || name.Kind != jsontree.String || row.Kind != jsontree.Object {
		i.problem(root, "", "must have a table, a text, and a row, an object, and nothing else")
		return nil
	}
	table := i.loader.Table(name.Text)
	if table == nil {
		i.problem(name, "table", fmt.Sprintf("%q is not a table of an export", name.Text))
		return nil
	}
	columns, values := i.readValues(table, row)
	if len(i.problems) > 0 {
		return nil
	}
	w := &i.waiting
	if len(w.rows) == mostWaiting || w.bytes > mostBytesWaiting || w.table != table || !slices.Equal(w.columns, columns) {
		if err := i.flush(); err != nil || len(i.problems) > 0 {
			return err
		}
		w.table, w.columns = table, columns
	}
	_, column := i.document.Place(row)
	w.rows, w.places = append(w.rows, values), append(w.places, place{i.number, column})
	w.bytes += len(i.line)
	return nil
}

// flush stores the rows that wait. They came before whatever has been found wrong since.
func (i *importer) flush() error {
	w := &i.waiting
	if len(w.rows) == 0 {
		return nil
	}
	stored, err := i.loader.InsertMany(i.ctx, w.table, w.columns, w.rows)
	switch nexus.CodeOf(err) {
	case "":
		i.stored[w.table.Name] += int64(stored)
	case nexus.CodeExists, nexus.CodeReference, nexus.CodeInvalid:
		at := w.places[stored]
		i.problems = slices.Insert(i.problems, 0, nexus.Problem{Field: w.table.Name, Line: at.line, Column: at.column, Message: err.Error()})
	default:
		return err
	}
	*w = waiting{}
	return nil
}

func (i *importer) readValues(table *store.ContentTable, row *jsontree.Node) (columns []string, values []driver.Arg) {
	known := i.names[table.Name]
	if known == nil {
		known = table.Names()
		i.names[table.Name] = known
	}
	for m := range row.Members {
		member := &row.Members[m]
		field := table.Name + "." + member.Name
		switch {
		case !slices.Contains(known, member.Name):
			i.problem(&member.Value, field, "is not a column of the table")
			continue
		case slices.Contains(columns, member.Name):
			i.problem(&member.Value, field, "is given twice")
			continue
		}
		value, problem := parseValue(&member.Value)
		if problem != "" {
			i.problem(&member.Value, field, problem)
			continue
		}
		columns, values = append(columns, member.Name), append(values, value)
	}
	if len(row.Members) == 0 {
		i.problem(row, table.Name, "has no columns")
	}
	return columns, values
}

// compareCounts finds an export that has been cut off between two lines.
func (i *importer) compareCounts() {
	for _, name := range slices.Sorted(maps.Keys(i.header.Counts)) {
		if want, got := i.header.Counts[name], i.stored[name]; want != got {
			i.problem(nil, name, fmt.Sprintf("there are %d rows; the first line says %d, so the export is not whole", got, want))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(i.stored)) {
		if _, has := i.header.Counts[name]; !has {
			i.problem(nil, name, "the first line says nothing of its rows")
		}
	}
}

func ioError(err error, what string) error {
	return &nexus.Error{Code: nexus.CodeIO, Message: what, Err: err}
}
