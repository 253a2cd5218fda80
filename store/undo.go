package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Undo takes back what an operation, or somebody since a time, has changed: fields
// get the values that they had, rows that were deleted come back with what went with
// them, new ones go. It is an operation itself, and can be undone.
//
// What others have changed since is not undone: then nothing is, unless the request
// says to force it. What follows from the tasks goes its own way. Tasks that would be
// in flight again become pending, as after a restore; see [DB.Restore].
//
// Codes: CodeInvalid; CodeNotFound if there is no such operation; CodeStale if others
// have changed the same since, with the *nexus.Undone in Error.Stored;
// CodeTransition if there is nothing left to undo, as when it is called again.
func (db *DB) Undo(ctx context.Context, r nexus.UndoRequest) (report *nexus.Undone, err error) {
	if err := checkUndo(r); err != nil {
		return nil, err
	}
	keepNothing := errors.New("a dry run keeps nothing")
	err = db.InTx(ctx, func(tx *Tx) error {
		tx.end.did("undo", "")
		if err := indexAll(ctx, tx.conn); err != nil {
			return err
		}
		u := &undoing{
			historian: historian{ctx: ctx, conn: tx.conn},
			x:         newReinstatement(ctx, tx.conn, &tx.end, tx.Tasks.now(), 0),
			rows:      make(map[rowKey]*undoneRow),
			report:    &nexus.Undone{Operations: []int64{}, Changes: []nexus.Change{}, Conflicts: []nexus.Conflict{}, DryRun: r.DryRun},
		}
		if err := u.run(r); err != nil {
			return err
		}
		if report = u.report; r.DryRun {
			return keepNothing
		}
		return nil
	})
	if err != nil && !errors.Is(err, keepNothing) {
		return nil, err
	}
	return report, nil
}

func checkUndo(r nexus.UndoRequest) error {
	var problem nexus.Problem
	switch {
	case r.Operation < 0:
		problem = nexus.Problem{Field: "operation", Message: "cannot be negative"}
	case r.Operation > 0 && (r.Actor != "" || !r.Since.IsZero()):
		problem = nexus.Problem{Field: "operation", Message: "cannot be combined with an actor or a time"}
	case r.Operation == 0 && (r.Actor == "" || r.Since.IsZero()):
		problem = nexus.Problem{Field: "operation", Message: "is required, or an actor and a time"}
	default:
		return nil
	}
	return &nexus.Error{Code: nexus.CodeInvalid, Problems: []nexus.Problem{problem}, Hint: "nothing was changed"}
}

type rowKey struct {
	kind nexus.Kind
	id   string
}

// undoing is one run of Undo.
type undoing struct {
	historian

	x      *reinstatement
	rows   map[rowKey]*undoneRow
	report *nexus.Undone
}

// undoneRow is a row on the way back.
type undoneRow struct {
	now, then image
}

func (u *undoing) run(r nexus.UndoRequest) error {
	changes, err := u.find(nexus.HistoryFilter{Operation: r.Operation, Actor: r.Actor, Since: r.Since})
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		return u.nothingFound(r)
	}
	u.x.seq = changes[0] - 1
	if err := u.noteOperations(changes); err != nil {
		return err
	}
	for _, seq := range slices.Backward(changes) {
		if err := u.undo(seq, r.Force); err != nil {
			return err
		}
	}
	if len(u.report.Conflicts) > 0 && !r.Force && !r.DryRun {
		return u.refused()
	}
	if err := u.plan(); err != nil {
		return err
	}
	if len(u.report.Changes) == 0 && len(u.report.Conflicts) == 0 {
		return &nexus.Error{
			Code: nexus.CodeTransition, Message: "there is nothing left to undo: all of it is as it was before",
			Hint: "nothing was changed; it may have been undone already: see nexus history",
		}
	}
	if err := u.x.run(); err != nil {
		return err
	}
	return u.requeue()
}

func (u *undoing) nothingFound(r nexus.UndoRequest) error {
	e := &nexus.Error{Code: nexus.CodeNotFound, Hint: "nothing was changed; see nexus history"}
	if r.Operation > 0 {
		e.Message = fmt.Sprintf("there is no operation %d in the history", r.Operation)
	} else {
		e.Message = fmt.Sprintf("%s has changed nothing since then", r.Actor)
	}
	return e
}

func (u *undoing) noteOperations(changes []int64) error {
	for _, seq := range changes {
		made, err := u.madeBy(seq)
		if err != nil {
			return err
		}
		first := made.first
		if first == 0 {
			first = seq
		}
		if !slices.Contains(u.report.Operations[max(0, len(u.report.Operations)-1):], first) {
			u.report.Operations = append(u.report.Operations, first)
		}
	}
	return nil
}

// undo takes one change back. Later ones have been.
func (u *undoing) undo(seq int64, force bool) error {
	var kind nexus.Kind
	var id string
	err := u.conn.Query(u.ctx, `SELECT kind, id FROM history WHERE seq = $1`, []driver.Arg{driver.Int(seq)}, func(r driver.Row) error {
		kind, id = nexus.Kind(r.Text(0)), r.Text(1)
		return nil
	})
	if err != nil {
		return err
	}
	l := layouts[kind]
	before, err := l.imageBefore(u.ctx, u.conn, seq)
	if err != nil {
		return err
	}
	after, err := l.imageAt(u.ctx, u.conn, id, seq)
	if err != nil {
		return err
	}
	row := u.rows[rowKey{kind, id}]
	if row == nil {
		now, err := l.current(u.ctx, u.conn, id)
		if err != nil {
			return err
		}
		row = &undoneRow{now: now, then: slices.Clone(now)}
		u.rows[rowKey{kind, id}] = row
	}
	conflict := func(field, reason string) {
		u.report.Conflicts = append(u.report.Conflicts, nexus.Conflict{Kind: kind, ID: id, Field: field, Reason: reason})
	}
	switch {
	case before == nil: // it was new
		if row.then != nil && after != nil && changedSinceThen(l, after, row.then) {
			if conflict("", "others have changed it since"); !force {
				return nil
			}
		}
		row.then = nil
	case after == nil: // it was deleted
		if row.then != nil {
			if conflict("", "it is there again"); !force {
				return nil
			}
		}
		row.then = before
	case row.then == nil:
		if conflict("", "others have deleted it since"); force {
			row.then = before
		}
	default:
		for n, column := range l.columns {
			switch {
			case before[n] == after[n] || column.Name == "revision" || row.then[n] == before[n]:
			case row.then[n] == after[n]:
				row.then[n] = before[n]
			case follows(l.kind, column.Name): // others have gone on
			default:
				if conflict(column.Name, "others have changed it since"); force {
					row.then[n] = before[n]
				}
			}
		}
	}
	return nil
}

// changedSinceThen reports whether a row has changed, other than in what follows.
func changedSinceThen(l *layout, then, now image) bool {
	for n, column := range l.columns {
		if then[n] != now[n] && column.Name != "revision" && !follows(l.kind, column.Name) {
			return true
		}
	}
	return false
}

// follows reports whether a column of a kind follows from what happens elsewhere.
func follows(kind nexus.Kind, column string) bool {
	switch kind {
	case nexus.KindFeature, nexus.KindSubFeature:
		return column == "status" || column == "completed_tasks" || column == "updated_at"
	case nexus.KindAgent:
		switch column {
		case "status", "current_task_id", "tasks_completed", "tasks_failed", "last_activity_at":
			return true
		}
		return false
	default:
		return column == "updated_at"
	}
}

func (u *undoing) refused() error {
	first := u.report.Conflicts[0]
	message := fmt.Sprintf("%s %s: %s", first.Kind, first.ID, first.Reason)
	if first.Field != "" {
		message = fmt.Sprintf("%s %s, %s: %s", first.Kind, first.ID, first.Field, first.Reason)
	}
	if more := len(u.report.Conflicts) - 1; more > 0 {
		message += fmt.Sprintf(" (and %d more)", more)
	}
	return &nexus.Error{
		Code: nexus.CodeStale, Message: message, Stored: u.report,
		Hint: "nothing was changed; --force overwrites what others did",
	}
}

// plan wants the rows that differ from what they are.
func (u *undoing) plan() error {
	for _, kind := range nexus.Kinds() {
		l := layouts[kind]
		for _, key := range u.keysOf(kind) {
			row := u.rows[key]
			if row.now == nil && row.then == nil || row.now != nil && row.then != nil && !changedAtAll(l, row.now, row.then) {
				continue
			}
			if updated := l.column("updated_at"); updated >= 0 && row.now != nil && row.then != nil {
				row.then[updated] = driver.Int(u.x.now.Unix())
			}
			change := nexus.Change{
				Kind: kind, ID: key.id, Change: changeType(row.now, row.then), Before: l.decode(row.now), After: l.decode(row.then),
			}
			var err error
			if change.Fields, err = l.compare(change.Before, change.After); err != nil {
				return err
			}
			if change.ProjectID, err = l.projectOf(u.ctx, u.conn, row.now, row.then); err != nil {
				return err
			}
			u.report.Changes = append(u.report.Changes, change)
			u.x.want(kind, key.id, row.then)
		}
	}
	return nil
}

func changedAtAll(l *layout, now, then image) bool {
	for n, column := range l.columns {
		if now[n] != then[n] && column.Name != "revision" && column.Name != "updated_at" {
			return true
		}
	}
	return false
}

func (u *undoing) keysOf(kind nexus.Kind) (keys []rowKey) {
	for key := range u.rows {
		if key.kind == kind {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b rowKey) int { return strings.Compare(a.id, b.id) })
	return keys
}

// requeue makes the tasks pending that are in flight again, if nobody holds them.
func (u *undoing) requeue() error {
	var back []nexus.Task
	for _, id := range sortedKeys(u.x.wanted[nexus.KindTask]) {
		t, err := tasks.get(u.ctx, u.conn, id)
		if err != nil {
			return err
		}
		if t == nil || !t.Status.InFlight() {
			continue
		}
		held, err := openAttempt(u.ctx, u.conn, id)
		if err != nil {
			return err
		}
		if held == nil {
			back = append(back, *t)
		}
	}
	err := u.x.requeue(back, "what had been done with it was undone")
	u.report.Requeued = append([]string{}, u.x.requeued...)
	return err
}
