package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// InsertMany stores rows, in whatever way is best for the database. Tables come in the
// order of [Contents]; columns that are left out get their default. It returns how many
// rows are stored: when one cannot be, those before it. The rows must not be used
// afterwards.
func (l *Loader) InsertMany(ctx context.Context, table *ContentTable, columns []string, rows [][]driver.Arg) (stored int, err error) {
	if l.bulk != nil {
		if err := l.bulk.Copy(ctx, table.Name, columns, rows); err != nil {
			return 0, err
		}
		return len(rows), nil
	}
	if err := l.prepareHistory(ctx, table.Name); err != nil {
		return 0, err
	}
	if table.Name == "history" && l.keepsWhole() {
		for i := range rows {
			rows[i] = l.takeDeltas(columns, rows[i])
		}
	}
	stored, err = insertTogether(ctx, l.conn, l.insertHead(table, columns), len(columns), len(rows), func(row int) []driver.Arg { return rows[row] })
	for _, row := range rows[:stored] {
		l.inserted(table, columns, row)
	}
	for err == nil && stored < len(rows) {
		if err = l.insert(ctx, table, columns, rows[stored]); err == nil {
			stored++
		}
	}
	return stored, err
}

// exactly runs fn, which loads all that another database has, its history included, and
// then finishes: what is here is what was there. Where it can, the database does without
// triggers meanwhile, because one row at a time they take too long.
func (l *Loader) exactly(ctx context.Context, fn func() error) error {
	l.exact = true
	bulk, can := l.conn.(driver.Bulk)
	if !can {
		if err := fn(); err != nil {
			return err
		}
		return l.Finish(ctx)
	}
	l.bulk = bulk
	l.end.operation.silent = true
	return bulk.WithoutTriggers(ctx, func() error {
		if err := fn(); err != nil {
			return err
		}
		return l.deriveAll(ctx)
	})
}

// deriveAll makes of the rows what triggers would have made of them.
func (l *Loader) deriveAll(ctx context.Context) error {
	for _, d := range diagnoses {
		if !d.derived {
			continue
		}
		for _, sql := range d.mend {
			if _, err := l.conn.Exec(ctx, sql); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepsWhole reports whether the history of the database has no differences between
// large values, but always all of them.
func (l *Loader) keepsWhole() bool { return l.conn.Dialect().FirstChange != "" }

// leaveOutDeltas takes the differences between large values out of rows of the history;
// see setWhole.
func leaveOutDeltas(columns []string, rows [][]driver.Arg) {
	change, first := slices.Index(columns, "change"), slices.Index(columns, "v1")
	for _, row := range rows {
		if row[change].Text != "update" {
			continue
		}
		for i := first; i < len(row); i++ {
			if isDelta(row[i]) {
				row[i] = driver.Null()
			}
		}
	}
}

// setWhole gives a record of the history the values that its differences stood for.
func (l *Loader) setWhole(ctx context.Context, w *wholeValues) error {
	args := []driver.Arg{driver.Int(w.seq)}
	var set []string
	for i, name := range w.names {
		args = append(args, w.whole[i])
		set = append(set, fmt.Sprintf("%s = $%d", name, len(args)))
	}
	_, err := l.conn.Exec(ctx, "UPDATE history SET "+strings.Join(set, ", ")+" WHERE seq = $1", args...)
	return err
}

// shorten keeps the large values of an update as the triggers of the database would have,
// where it keeps differences.
func (l *Loader) shorten(ctx context.Context, w *wholeValues) error {
	if w.after == nil || l.keepsWhole() || w.kind != nexus.KindTask && w.kind != nexus.KindSession {
		return nil
	}
	short := &wholeValues{seq: w.seq}
	for i, value := range w.kept {
		if !isLong(value) {
			continue
		}
		if s := shorten(value, w.after[i]); s != value {
			short.names, short.whole = append(short.names, w.names[i]), append(short.whole, s)
		}
	}
	if len(short.names) == 0 {
		return nil
	}
	return l.setWhole(ctx, short)
}

// indexMoved adds to history_rows what it lacks, if that is more than it may.
func (l *Loader) indexMoved(ctx context.Context) error {
	indexed, err := historyMark(ctx, l.conn, "indexed")
	if err != nil || l.newest-indexed < indexEvery {
		return err
	}
	return index(ctx, l.conn, indexed, l.newest)
}

// checkFits refuses what a database with types would refuse, or make something else of.
func (l *Loader) checkFits(table *ContentTable, columns []string, rows [][]driver.Arg) error {
	if !l.conn.Dialect().OnlyUTF8 {
		return nil
	}
	types := make([]string, len(columns))
	for _, c := range slices.Concat(table.Columns, table.Added) {
		if i := slices.Index(columns, c.Name); i >= 0 {
			types[i] = c.Type
		}
	}
	for _, row := range rows {
		for i := range row {
			if problem := misfit(types[i], &row[i]); problem != "" {
				return &nexus.Error{
					Code:    nexus.CodeInvalid,
					Message: fmt.Sprintf("%s of the row %s of %s %s, which the target cannot keep", columns[i], showKey(row), table.Name, problem),
					Hint:    "nothing was moved; correct it in the source, or have the source forget it, and move again",
				}
			}
		}
	}
	return nil
}

// misfit says what a value is that a column of a type cannot hold, or nothing.
func misfit(columnType string, a *driver.Arg) string {
	switch {
	case a.Kind == driver.KindNull:
		return ""
	case a.Kind == driver.KindBlob:
		if columnType != "BYTEA" {
			return "is bytes"
		}
	case a.Kind == driver.KindText && !(driver.Dialect{OnlyUTF8: true}).CanHold(a.Text):
		return "is a text with bytes in it that are no UTF-8, or are zero"
	case columnType == "BIGINT" && a.Kind != driver.KindInt:
		return "is no whole number"
	case columnType == "DOUBLE PRECISION" && a.Kind == driver.KindText:
		return "is no number"
	}
	return ""
}

// showKey is the beginning of a row, by which it can be found.
func showKey(row []driver.Arg) string {
	if row[0].Kind == driver.KindInt {
		return fmt.Sprint(row[0].Int)
	}
	return fmt.Sprintf("%.40q", row[0].Text)
}
