package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Compacted returns the number of the change before which the history has been compacted;
// 0 if all of it is there.
func (db *DB) Compacted(ctx context.Context) (seq int64, err error) {
	err = db.read(ctx, func(c driver.Conn) error {
		seq, err = oldestMoment(ctx, c)
		return err
	})
	return seq, err
}

// History returns changes, oldest first unless the filter says otherwise. A row's
// changes are found by an index; other filters read the history from where they
// begin. Code: CodeInvalid.
func (db *DB) History(ctx context.Context, filter nexus.HistoryFilter) (list []nexus.Change, err error) {
	if err := checkHistoryFilter(filter); err != nil {
		return nil, err
	}
	err = db.snapshot(ctx, func(c driver.Conn) error {
		h := &historian{ctx: ctx, conn: c}
		list, err = h.list(filter)
		return err
	})
	return list, err
}

// LastChange returns the number of the newest record of the history, after which
// [DB.History] has nothing yet.
func (db *DB) LastChange(ctx context.Context) (seq int64, err error) {
	err = db.read(ctx, func(c driver.Conn) error {
		seq, err = lastRecord(ctx, c)
		return err
	})
	return seq, err
}

func checkHistoryFilter(f nexus.HistoryFilter) error {
	var problems []nexus.Problem
	if f.Kind != "" && layouts[f.Kind] == nil {
		problems = append(problems, nexus.Problem{Field: "kind", Message: fmt.Sprintf("is %q, of which there is no history", f.Kind)})
	}
	if f.ID != "" && f.Kind == "" {
		problems = append(problems, nexus.Problem{Field: "id", Message: "needs a kind"})
	}
	if f.Limit < 0 {
		problems = append(problems, nexus.Problem{Field: "limit", Message: "cannot be negative"})
	}
	if len(problems) == 0 {
		return nil
	}
	return &nexus.Error{Code: nexus.CodeInvalid, Message: "the filter makes no sense", Problems: problems}
}

// historian reads the history.
type historian struct {
	ctx  context.Context
	conn driver.Conn

	// The operation that was looked up last, and the records for which that holds.
	operation  madeBy
	from, upTo int64

	// And the foreign one.
	foreign struct{ first, last int64 }
}

// madeBy is what an operation's record says. Without one, first is 0.
type madeBy struct {
	first       int64
	at          int64
	name, actor string
}

func (h *historian) list(f nexus.HistoryFilter) (list []nexus.Change, err error) {
	found, err := h.find(f)
	if err != nil {
		return nil, err
	}
	for _, seq := range found {
		change, err := h.change(seq)
		if err != nil {
			return nil, err
		}
		list = append(list, *change)
	}
	return list, nil
}

// find returns the numbers of the changes that a filter chooses.
func (h *historian) find(f nexus.HistoryFilter) (found []int64, err error) {
	var w where
	from := "history"
	if f.ID != "" {
		w.args = []driver.Arg{driver.Text(f.ID), driver.Text(f.Kind)}
		from = `(SELECT seq, at_us, change, kind, project_id FROM history WHERE seq IN (
			SELECT seq FROM history_rows WHERE id = $1 AND kind = $2
			UNION ALL
			SELECT seq FROM history WHERE seq > coalesce((SELECT seq FROM history_marks WHERE name = 'indexed'), 0) AND kind = $2 AND id = $1)) AS history`
	} else {
		equal(&w, "kind", f.Kind)
		w.raw("kind NOT IN (" + partNames + ")") // nor an operation, whose kind is NULL
	}
	// What is kept of the time before that stands for several changes.
	w.raw("seq > coalesce((SELECT seq FROM history_marks WHERE name = 'forgotten'), 0)")
	equal(&w, "project_id", f.ProjectID)
	if f.Operation > 0 {
		w.condition("seq >= ?", driver.Int(f.Operation))
		// The rest is in the operation's own record.
	}
	if f.After > 0 {
		w.condition("seq > ?", driver.Int(f.After))
	}
	if f.Before > 0 {
		w.condition("seq < ?", driver.Int(f.Before))
	}
	order := " ORDER BY seq"
	if f.Newest && f.Operation == 0 {
		order += " DESC"
	}
	limit := f.Limit
	if f.Newest && f.Operation > 0 { // which is read from its beginning
		limit = 0
		defer func() {
			if slices.Reverse(found); f.Limit > 0 {
				found = found[:min(len(found), f.Limit)]
			}
		}()
	}
	err = h.conn.Query(h.ctx, "SELECT seq, at_us FROM "+from+w.sql.String()+order, w.args, func(r driver.Row) error {
		if limit > 0 && len(found) == limit {
			return errEnough
		}
		keep, more, err := h.keep(r.Int(0), r.Int(1), f)
		if keep {
			found = append(found, r.Int(0))
		}
		if err == nil && !more {
			err = errEnough
		}
		return err
	})
	if err == errEnough {
		err = nil
	}
	return found, err
}

var errEnough = errors.New("no further row is wanted")

// keep reports whether a filter chooses a change by who made it and when, and whether
// any after it can be chosen.
func (h *historian) keep(seq, at int64, f nexus.HistoryFilter) (keep, more bool, err error) {
	if f.Actor == "" && f.Name == "" && f.Operation == 0 && f.Since.IsZero() {
		return true, true, nil
	}
	made, err := h.madeBy(seq)
	if err != nil {
		return false, false, err
	}
	if made.first == 0 {
		made.at = at
		if made.first = seq; f.Operation > 0 {
			if made.first, err = h.foreignOperation(seq, at); err != nil {
				return false, false, err
			}
		}
	}
	if f.Operation > 0 && made.first != f.Operation {
		return false, false, nil
	}
	if !f.Since.IsZero() && made.at < micros(f.Since) {
		// The clocks of those who wrote may differ, so older ones do not end it.
		return false, true, nil
	}
	return (f.Actor == "" || f.Actor == made.actor) && (f.Name == "" || f.Name == made.name), true, nil
}

// madeBy finds who made a change.
func (h *historian) madeBy(seq int64) (madeBy, error) {
	if h.from <= seq && seq <= h.upTo {
		return h.operation, nil
	}
	const sql = `
		SELECT first, at_us, operation, actor, seq FROM history
		WHERE seq > $1 AND change = 'operation' ORDER BY seq LIMIT 1`
	h.operation, h.from, h.upTo = madeBy{}, seq, math.MaxInt64 // if there is none
	err := h.conn.Query(h.ctx, sql, []driver.Arg{driver.Int(seq)}, func(r driver.Row) error {
		if first := r.Int(0); first <= seq {
			h.operation = madeBy{first, r.Int(1), r.Text(2), r.Text(3)}
			h.from, h.upTo = first, r.Int(4)
		} else {
			h.upTo = first - 1
		}
		return nil
	})
	return h.operation, err
}

// change reads a change, with the row before and after it.
func (h *historian) change(seq int64) (*nexus.Change, error) {
	const head = `SELECT at_us, change, kind, id, project_id FROM history WHERE seq = $1`
	made, err := h.madeBy(seq)
	if err != nil {
		return nil, err
	}
	change := &nexus.Change{Seq: seq, Operation: made.first, Name: made.name, Actor: made.actor}
	var id string
	err = h.conn.Query(h.ctx, head, []driver.Arg{driver.Int(seq)}, func(r driver.Row) error {
		change.At, change.Change, change.Kind = fromMicros(r.Int(0)), nexus.ChangeType(r.Text(1)), nexus.Kind(r.Text(2))
		id, change.ID, change.ProjectID = r.Text(3), r.Text(3), r.Text(4)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if made.first == 0 {
		if change.Operation, err = h.foreignOperation(seq, micros(change.At)); err != nil {
			return nil, err
		}
	} else {
		change.At = fromMicros(made.at)
	}
	l := layouts[change.Kind]
	before, err := l.imageBefore(h.ctx, h.conn, seq)
	if err != nil {
		return nil, err
	}
	after, err := l.imageAt(h.ctx, h.conn, id, seq)
	if err != nil {
		return nil, err
	}
	change.Before, change.After = l.decode(before), l.decode(after)
	change.Fields, err = l.compare(change.Before, change.After)
	return change, err
}

// foreignOperation returns the first of the changes that another program has made
// with the one at seq: those before it of the same time, which the database gives
// to all that one statement does.
func (h *historian) foreignOperation(seq, at int64) (first int64, err error) {
	known := &h.foreign
	if known.first <= seq && seq <= known.last {
		return known.first, nil
	}
	first = seq
	err = h.conn.Query(h.ctx, `SELECT seq, at_us, change FROM history WHERE seq < $1 ORDER BY seq DESC`, []driver.Arg{driver.Int(seq)},
		func(r driver.Row) error {
			if r.Int(1) != at || r.Text(2) == "operation" {
				return errEnough
			}
			if first = r.Int(0); first == known.last { // and what was found there holds here
				first = known.first
				return errEnough
			}
			return nil
		})
	if err == errEnough {
		err = nil
	}
	known.first, known.last = first, seq
	return first, err
}

// imageBefore returns the row that a change was of, as it was before it, or nil.
func (l *layout) imageBefore(ctx context.Context, c driver.Conn, seq int64) (before image, err error) {
	var e event
	err = c.Query(ctx, "SELECT "+l.events+" FROM history WHERE seq = $1", []driver.Arg{driver.Int(seq)}, func(r driver.Row) error {
		e = l.scanEvent(r)
		return nil
	})
	if err != nil || e.image == nil {
		return nil, err
	}
	r := l.begin(&e)
	return r.image, l.complete(ctx, c, r, seq)
}

// compare lists the fields in which two entities differ, as their JSON has them.
func (l *layout) compare(before, after any) (list []nexus.FieldChange, err error) {
	was, err := fieldsOf(before)
	if err != nil {
		return nil, err
	}
	is, err := fieldsOf(after)
	if err != nil {
		return nil, err
	}
	list = []nexus.FieldChange{}
	for _, column := range l.columns {
		from, to := was[column.Name], is[column.Name]
		if !bytes.Equal(from, to) {
			list = append(list, nexus.FieldChange{Field: column.Name, From: nexus.JSON(from), To: nexus.JSON(to)})
		}
	}
	return list, nil
}

func fieldsOf(entity any) (fields map[string]json.RawMessage, err error) {
	if entity == nil {
		return nil, nil
	}
	text, err := json.Marshal(entity)
	if err != nil {
		return nil, err
	}
	return fields, json.Unmarshal(text, &fields)
}

// Diff returns how the state after one change differs from that after another:
// what was inserted, updated and deleted, parents before children. With a project,
// only its rows. Codes: CodeNotFound for a moment that the history does not have.
func (db *DB) Diff(ctx context.Context, from, to int64, project string) (list []nexus.Change, err error) {
	err = db.snapshot(ctx, func(c driver.Conn) error {
		for _, seq := range []int64{from, to} {
			if err := checkMoment(ctx, c, seq); err != nil {
				return err
			}
		}
		list = nil
		for _, kind := range nexus.Kinds() {
			if l := layouts[kind]; l != nil {
				part, err := l.diff(ctx, c, from, to, project)
				if err != nil {
					return err
				}
				list = append(list, part...)
			}
		}
		return nil
	})
	return list, err
}

func (l *layout) diff(ctx context.Context, c driver.Conn, from, to int64, project string) (list []nexus.Change, err error) {
	older, err := l.changedSince(ctx, c, min(from, to), "")
	if err != nil {
		return nil, err
	}
	newer, err := l.changedSince(ctx, c, max(from, to), "")
	if err != nil {
		return nil, err
	}
	for id, was := range older {
		is, known := newer[id]
		if !known {
			if is, err = l.current(ctx, c, id); err != nil {
				return nil, err
			}
		}
		if from > to {
			was, is = is, was
		}
		change := nexus.Change{Kind: l.kind, ID: id, Change: changeType(was, is), Before: l.decode(was), After: l.decode(is)}
		if change.ProjectID, err = l.projectOf(ctx, c, was, is); err != nil {
			return nil, err
		}
		if project != "" && change.ProjectID != project {
			continue
		}
		if change.Fields, err = l.compare(change.Before, change.After); err != nil {
			return nil, err
		}
		if len(change.Fields) > 0 {
			list = append(list, change)
		}
	}
	slices.SortFunc(list, func(a, b nexus.Change) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

func changeType(before, after image) nexus.ChangeType {
	switch {
	case before == nil:
		return nexus.ChangeInsert
	case after == nil:
		return nexus.ChangeDelete
	default:
		return nexus.ChangeUpdate
	}
}

// column returns the place of a column, or -1.
func (l *layout) column(name string) int {
	return slices.IndexFunc(l.columns, func(c Column) bool { return c.Name == name })
}

// projectOf returns the project of a row, given as it was and as it is.
func (l *layout) projectOf(ctx context.Context, c driver.Conn, versions ...image) (project string, err error) {
	for _, i := range versions {
		if i == nil {
			continue
		}
		switch l.kind {
		case nexus.KindProject:
			return i.id(), nil
		case nexus.KindSubFeature:
			feature := i[l.column("feature_id")].Text
			const sql = `
				SELECT project_id FROM features WHERE id = $1
				UNION ALL
				SELECT project_id FROM history WHERE kind = 'feature' AND change = 'delete' AND id = $1 LIMIT 1`
			err = c.Query(ctx, sql, []driver.Arg{driver.Text(feature)}, func(r driver.Row) error {
				project = r.Text(0)
				return nil
			})
			return project, err
		case nexus.KindAgent:
			return "", nil
		default:
			return i[l.column("project_id")].Text, nil
		}
	}
	return "", nil
}
