package store

import (
	"cmp"
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
// Codes: CodeInvalid; CodeNotFound if there is no such operation, or the history since
// that time is not whole because it was compacted; CodeStale if others
// have changed the same since, with the *nexus.Undone in Error.Stored;
// CodeTransition if there is nothing left to undo, as when it is called again.
func (db *DB) Undo(ctx context.Context, r nexus.UndoRequest) (report *nexus.Undone, err error) {
	err = db.InTx(ctx, func(tx *Tx) error {
		report, err = tx.Undo(ctx, r)
		return err
	})
	return report, err
}

// Undo is [DB.Undo] as a part of the transaction.
func (tx *Tx) Undo(ctx context.Context, r nexus.UndoRequest) (*nexus.Undone, error) {
	if err := checkUndo(r); err != nil {
		return nil, err
	}
	u := &undoing{
		historian: historian{ctx: ctx, conn: tx.conn},
		x:         newReinstatement(ctx, tx.conn, &tx.end, tx.Tasks.now(), 0),
		keys:      make(map[int64]rowKey),
		rows:      make(map[rowKey]*undoneRow),
		report: &nexus.Undone{
			Operations: []int64{}, Changes: []nexus.Change{}, Conflicts: []nexus.Conflict{}, Requeued: []string{}, DryRun: r.DryRun,
		},
	}
	keepNothing := errors.New("a dry run keeps nothing")
	err := tx.conn.Savepoint(ctx, func() error {
		tx.end.did("undo", "")
		tx.end.operation.restores = true
		if err := recordChanges(ctx, tx.conn); err != nil {
			return err
		}
		if err := indexAll(ctx, tx.conn); err != nil {
			return err
		}
		if err := u.run(r); err != nil || !r.DryRun {
			return err
		}
		return cmp.Or(tx.end.check(ctx, tx.conn), keepNothing)
	})
	if err != nil && !errors.Is(err, keepNothing) {
		return nil, err
	}
	return u.report, nil
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

	x        *reinstatement
	keys     map[int64]rowKey // of the rows of changes
	rows     map[rowKey]*undoneRow
	replaced []rowKey // by rows of the same id, with which their parts have gone
	report   *nexus.Undone
}

// undoneRow is a row on the way back, from what it is now to what it will have been.
type undoneRow struct {
	now, then image
	origin    image // before the first of the changes that are undone
	stays     bool  // because of a conflict
}

func (u *undoing) run(r nexus.UndoRequest) error {
	if err := u.checkWhole(r); err != nil {
		return err
	}
	changes, err := u.find(nexus.HistoryFilter{Operation: r.Operation, Actor: r.Actor, Since: r.Since})
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		return u.nothingFound(r)
	}
	if r.Operation > 0 {
		u.report.Operations = append(u.report.Operations, r.Operation)
	} else if err := u.noteOperations(changes); err != nil {
		return err
	}
	// What went with a row may have been recorded before it, and is no change of its own.
	u.x.seq = min(changes[0], u.report.Operations[0]) - 1
	if err := u.prepare(changes); err != nil {
		return err
	}
	var p pace
	for left := changes; len(left) > 0; {
		n := p.next(len(left))
		bytes, err := u.undoAll(left[len(left)-n:], r.Force)
		if err != nil {
			return err
		}
		p.took(n, bytes)
		left = left[:len(left)-n]
	}
	if err := u.contents(r.Force); err != nil {
		return err
	}
	refused := len(u.report.Conflicts) > 0 && !r.Force
	if refused && !r.DryRun {
		return u.report.Refused()
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
	if refused { // in a dry run: half of it need not be possible
		return nil
	}
	if err := u.x.run(); err != nil {
		return err
	}
	for _, key := range u.replaced {
		if u.rows[key].then == nil {
			continue
		}
		if err := u.x.bringBackParts(key.kind, []driver.Arg{driver.Text(key.id)}); err != nil {
			return err
		}
	}
	return u.requeue()
}

// checkWhole refuses to undo what may be only the rest of what there was.
func (u *undoing) checkWhole(r nexus.UndoRequest) error {
	oldest, err := oldestMoment(u.ctx, u.conn)
	switch {
	case err != nil:
		return err
	case r.Operation == 0:
		return checkTime(u.ctx, u.conn, oldest, micros(r.Since))
	case r.Operation < oldest:
		return compacted(oldest)
	}
	return nil
}

func (u *undoing) nothingFound(r nexus.UndoRequest) error {
	e := &nexus.Error{Code: nexus.CodeNotFound, Hint: "nothing was changed; see nexus history"}
	if r.Operation > 0 {
		e.Message = fmt.Sprintf("there is no operation %d in the history", r.Operation)
		if made, err := u.madeBy(r.Operation); err == nil && made.first != 0 && made.first != r.Operation {
			e.Message += fmt.Sprintf(": change %[1]d is part of operation %d", r.Operation, made.first)
		}
	} else {
		e.Message = fmt.Sprintf("%s has changed nothing since then", r.Actor)
	}
	return e
}

// noteOperations notes the operations of somebody's changes.
func (u *undoing) noteOperations(changes []int64) error {
	for _, seq := range changes {
		made, err := u.madeBy(seq)
		if err != nil {
			return err
		}
		if known := u.report.Operations; len(known) == 0 || known[len(known)-1] != made.first {
			u.report.Operations = append(known, made.first)
		}
	}
	return nil
}

// undo takes one change of a row back. Later ones have been. What is as it was before
// all of them has been undone already, and is no conflict.
func (u *undoing) undo(key rowKey, before, after image, force bool) {
	l, row := layouts[key.kind], u.rows[key]
	if row.stays {
		return
	}
	conflict := func(field, reason string) {
		u.report.Conflicts = append(u.report.Conflicts, nexus.Conflict{Kind: key.kind, ID: key.id, Field: field, Reason: reason})
	}
	switch {
	case before == nil: // it was new
		if row.then != nil && after != nil && !l.alike(after, row.then) {
			if conflict("", "others have changed it since"); !force {
				row.stays = true
				return
			}
		}
		row.then = nil
	case after == nil: // it was deleted
		if row.then != nil {
			if l.alike(before, row.then) || row.origin != nil && l.alike(row.origin, row.then) {
				return
			}
			if conflict("", "it is there again, and not as it was"); !force {
				row.stays = true
				return
			}
		}
		row.then = before
	case row.then == nil && row.origin == nil: // gone, as it was before all of them
	case row.then == nil:
		if conflict("", "others have deleted it since"); force {
			row.then = before
		} else {
			row.stays = true
		}
	default:
		for n, column := range l.columns {
			switch {
			case before[n] == after[n] || column.Name == "revision" || l.back(before, n, row.then):
			case row.then[n] == after[n]:
				row.then[n] = before[n]
			case row.origin != nil && l.back(row.origin, n, row.then):
			case follows(l.kind, column.Name): // others have gone on
			default:
				if conflict(column.Name, "others have changed it since"); force {
					row.then[n] = before[n]
				}
			}
		}
	}
}

// alike reports whether a row is as it was, other than in what follows.
func (l *layout) alike(then, now image) bool {
	for n, column := range l.columns {
		if column.Name != "revision" && !follows(l.kind, column.Name) && !l.back(then, n, now) {
			return false
		}
	}
	return true
}

// back reports whether a column is what it was. A task that was in flight then was
// given back when that was undone before.
func (l *layout) back(then image, n int, now image) bool {
	if now[n] == then[n] {
		return true
	}
	if l.kind != nexus.KindTask || !nexus.TaskStatus(then[l.column("status")].Text).InFlight() {
		return false
	}
	switch l.columns[n].Name {
	case "status":
		return now[n].Text == string(nexus.TaskPending)
	case "assigned_agent":
		return now[n].Text == ""
	default:
		return false
	}
}

// follows reports whether a column of a kind follows from what happens elsewhere.
func follows(kind nexus.Kind, column string) bool {
	switch kind {
	case nexus.KindFeature, nexus.KindSubFeature:
		return column == "status" || column == "completed_tasks" || column == "updated_at"
	case nexus.KindAgent:
		switch column {
		case "status", "current_task_id", "tasks_completed", "tasks_failed", "last_activity_at", "terminated_at", "termination_reason":
			return true
		}
		return false
	default:
		return column == "updated_at"
	}
}

// plan wants the rows that differ from what they are.
func (u *undoing) plan() error {
	for _, kind := range nexus.Kinds() {
		l := layouts[kind]
		for _, key := range u.keysOf(kind) {
			row := u.rows[key]
			if err := u.followAttempts(key, row); err != nil {
				return err
			}
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

// followAttempts has an agent hold what it holds now, which undoing does not change.
func (u *undoing) followAttempts(key rowKey, row *undoneRow) error {
	if key.kind != nexus.KindAgent || row.then == nil {
		return nil
	}
	l := layouts[nexus.KindAgent]
	task, status := l.column("current_task_id"), l.column("status")
	if row.now != nil && row.now[task] == row.then[task] && row.now[status] == row.then[status] {
		return nil
	}
	const sql = `SELECT task_id FROM task_attempts WHERE agent_id = $1 AND ended_us IS NULL ORDER BY epoch DESC LIMIT 1`
	held, err := ids(u.ctx, u.conn, sql, key.id)
	if err != nil {
		return err
	}
	switch s := nexus.AgentStatus(row.then[status].Text); {
	case len(held) > 0 && s == nexus.AgentIdle:
		row.then[status] = driver.Text(string(nexus.AgentWorking))
	case len(held) == 0 && (s == nexus.AgentAssigned || s == nexus.AgentWorking || s == nexus.AgentWaiting):
		row.then[status] = driver.Text(string(nexus.AgentIdle))
	}
	row.then[task] = driver.Null()
	if len(held) > 0 {
		row.then[task] = driver.Text(held[0])
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
	status := layouts[nexus.KindTask].column("status")
	for _, id := range sortedKeys(u.x.wanted[nexus.KindTask]) {
		if then := u.x.wanted[nexus.KindTask][id]; then == nil || !nexus.TaskStatus(then[status].Text).InFlight() {
			continue
		}
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
