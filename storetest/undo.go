package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var undoTests = map[string]timedTest{
	"EachChange":  testUndoEachChange,
	"Work":        testUndoWork,
	"Twice":       testUndoTwice,
	"Redo":        testUndoUndo,
	"ComesBack":   testUndoDelete,
	"Parts":       testUndoParts,
	"Conflicts":   testUndoConflicts,
	"Contents":    testUndoContents,
	"Actor":       testUndoActor,
	"DryRun":      testUndoDryRun,
	"AtOnce":      testUndoAtOnce,
	"Foreign":     testUndoForeign,
	"NoSense":     testUndoNoSense,
	"Transaction": testUndoTransaction,
}

// undoer makes changes as operations, and undoes them.
type undoer struct {
	*testing.T
	ctx   context.Context
	db    *store.DB
	clock *Clock
}

func newUndoer(t *testing.T, db *store.DB, clock *Clock) *undoer {
	u := &undoer{t, t.Context(), db, clock}
	must(t, project(u.ctx, &db.Services, "p"))
	must(t, db.Features.Create(u.ctx, &nexus.Feature{ID: "p-f1", ProjectID: "p", Name: "F"}))
	must(t, db.SubFeatures.Create(u.ctx, &nexus.SubFeature{ID: "p-u1", FeatureID: "p-f1", Name: "U"}))
	for _, id := range []string{"p-t1", "p-t2"} {
		must(t, db.Tasks.Create(u.ctx, &nexus.Task{ID: id, ProjectID: "p", FeatureID: "p-f1", Name: id, Description: "as it was"}))
	}
	must(t, db.Requirements.Create(u.ctx, &nexus.Requirement{ID: "p-r1", ProjectID: "p", Category: "ui", Description: "R"}))
	must(t, db.Sessions.Create(u.ctx, &nexus.Session{ID: "p-s1", ProjectID: "p", Type: "planning"}))
	return u
}

// do makes changes as somebody, and returns the number of the operation.
func (u *undoer) do(actor string, fn func(ctx context.Context, tx *store.Tx) error) int64 {
	u.Helper()
	before, err := u.db.LastChange(u.ctx)
	must(u, err)
	ctx := store.WithActor(u.ctx, actor)
	must(u, u.db.InTx(ctx, func(tx *store.Tx) error { return fn(ctx, tx) }))
	return before + 1
}

func (u *undoer) undo(r nexus.UndoRequest) *nexus.Undone {
	u.Helper()
	report, err := u.db.Undo(u.ctx, r)
	must(u, err)
	return report
}

func (u *undoer) refuse(r nexus.UndoRequest, code nexus.Code) *nexus.Error {
	u.Helper()
	before := u.rows()
	_, err := u.db.Undo(u.ctx, r)
	e := refused(u.T, err, code)
	u.are(before)
	return e
}

// rows are all rows of the project, but for what counts on.
func (u *undoer) rows() map[string]string {
	u.Helper()
	rows := everything(u, u.ctx, &u.db.Services, "p")
	for key, text := range rows {
		var fields map[string]any
		must(u, json.Unmarshal([]byte(text), &fields))
		delete(fields, "revision")
		delete(fields, "updated_at")
		rows[key] = jsonOf(u, fields)
	}
	return rows
}

func (u *undoer) are(want map[string]string) {
	u.Helper()
	if diff := cmp.Diff(want, u.rows()); diff != "" {
		u.Errorf("the rows are not what they should be (-want +got):\n%s", diff)
	}
}

// each is a change of each kind.
var each = map[string]func(ctx context.Context, tx *store.Tx) error{
	"insert": func(ctx context.Context, tx *store.Tx) error {
		if err := tx.Features.Create(ctx, &nexus.Feature{ID: "p-f2", ProjectID: "p", Name: "F2"}); err != nil {
			return err
		}
		return tx.Tasks.Create(ctx, &nexus.Task{ID: "p-t3", ProjectID: "p", FeatureID: "p-f2", Name: "new", DependsOn: []string{"p-t1"}})
	},
	"update": func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Tasks.Update(ctx, "p-t1", nexus.TaskUpdate{
			Name: new("renamed"), Description: new(strings.Repeat("as it is ", 200)), DependsOn: &[]string{"p-t2"},
		})
		return err
	},
	"large": func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Sessions.Update(ctx, "p-s1", nexus.SessionUpdate{Data: new(nexus.JSON(`{"log":["` + strings.Repeat("x", 5000) + `"]}`))})
		return err
	},
	"status": func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Features.Update(ctx, "p-f1", nexus.FeatureUpdate{Status: new(nexus.FeatureInProgress)})
		return err
	},
	"delete task": func(ctx context.Context, tx *store.Tx) error { return tx.Tasks.Delete(ctx, "p-t2") },
	"delete feature": func(ctx context.Context, tx *store.Tx) error {
		for _, id := range []string{"p-t1", "p-t2"} {
			if err := tx.Tasks.Delete(ctx, id); err != nil {
				return err
			}
		}
		return tx.Features.Delete(ctx, "p-f1")
	},
	"delete project": func(ctx context.Context, tx *store.Tx) error { return tx.Projects.Delete(ctx, "p") },
	"replace": func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Requirements.Upsert(ctx, &nexus.Requirement{ID: "p-r1", ProjectID: "p", Category: "security", Description: "other"})
		return err
	},
	"several": func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.Tasks.Update(ctx, "p-t1", nexus.TaskUpdate{Name: new("once")}); err != nil {
			return err
		}
		if _, err := tx.Tasks.Update(ctx, "p-t1", nexus.TaskUpdate{Name: new("twice")}); err != nil {
			return err
		}
		return tx.Tasks.Delete(ctx, "p-t1")
	},
}

// testUndoEachChange undoes each, and undoes that.
func testUndoEachChange(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	for name, change := range each {
		before := u.rows()
		operation := u.do("a1", change)
		after := u.rows()
		if cmp.Equal(before, after) {
			t.Fatalf("%s: nothing has changed", name)
		}
		u.undo(nexus.UndoRequest{Operation: operation})
		u.are(before)
		last, err := db.History(u.ctx, nexus.HistoryFilter{Newest: true, Limit: 1})
		must(t, err)
		same(t, last[0].Name, "undo")
		u.undo(nexus.UndoRequest{Operation: last[0].Operation})
		u.are(after)
		u.undo(nexus.UndoRequest{Operation: operation})
		u.are(before)
		if t.Failed() {
			t.Fatalf("undoing %s", name)
		}
	}
}

func (u *undoer) claim(agent, task string) nexus.Claim {
	u.Helper()
	claims, err := u.db.Tasks.Claim(u.ctx, nexus.ClaimRequest{AgentID: agent, TaskID: task})
	must(u, err)
	return claims[0]
}

func (u *undoer) next() int64 {
	u.Helper()
	last, err := u.db.LastChange(u.ctx)
	must(u, err)
	return last + 1
}

// testUndoWork undoes the steps of work: a task that would be in flight is pending,
// nobody holds it, and whoever thinks so is told.
func testUndoWork(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	before := u.rows()
	claiming := u.next()
	claim := u.claim("p-a1", "p-t1")
	report := u.undo(nexus.UndoRequest{Operation: claiming})
	same(t, len(report.Conflicts), 0)
	task, err := db.Tasks.Get(u.ctx, "p-t1")
	must(t, err)
	same(t, task.Status, nexus.TaskPending)
	same(t, task.AssignedAgent, "")
	_, err = db.Tasks.Complete(u.ctx, "p-t1", claim.Epoch, nexus.Evidence{})
	refused(t, err, nexus.CodeFenced)
	u.are(before)

	claim = u.claim("p-a1", "p-t1")
	completing := u.next()
	_, err = db.Tasks.Complete(u.ctx, "p-t1", claim.Epoch, nexus.Evidence{})
	must(t, err)
	feature, err := db.Features.Get(u.ctx, "p-f1")
	must(t, err)
	same(t, feature.CompletedTasks, 1)
	report = u.undo(nexus.UndoRequest{Operation: completing})
	same(t, report.Requeued, []string{"p-t1"})
	task, err = db.Tasks.Get(u.ctx, "p-t1")
	must(t, err)
	same(t, task.Status, nexus.TaskPending)
	same(t, task.CompletedAt.IsZero(), true)
	feature, err = db.Features.Get(u.ctx, "p-f1")
	must(t, err)
	same(t, feature.CompletedTasks, 0)
	u.refuse(nexus.UndoRequest{Operation: completing}, nexus.CodeTransition)
	u.agentHolds("p-a1", "")
	u.claim("p-a2", "p-t1")

	// An agent holds what it holds now, not what it held then.
	claim = u.claim("p-a3", "p-t2")
	completing = u.next()
	_, err = db.Tasks.Complete(u.ctx, "p-t2", claim.Epoch, nexus.Evidence{})
	must(t, err)
	must(t, db.Tasks.Create(u.ctx, &nexus.Task{ID: "p-t3", ProjectID: "p", Name: "three"}))
	u.claim("p-a3", "p-t3")
	u.undo(nexus.UndoRequest{Operation: completing})
	u.agentHolds("p-a3", "p-t3")

	// That an agent was declared dead since is no conflict; what was undone is not done by others.
	since := clock.Move(time.Hour)
	u.claim("p-a4", "p-t1")
	_, err = db.Recover(u.ctx, nexus.RecoverRequest{All: true})
	must(t, err)
	report = u.undo(nexus.UndoRequest{Actor: "p-a4", Since: since})
	same(t, len(report.Conflicts), 0)
	u.refuse(nexus.UndoRequest{Actor: "p-a4", Since: since}, nexus.CodeTransition)
}

// agentHolds checks that an agent works on a task, or that it is idle if there is none.
func (u *undoer) agentHolds(agent, task string) {
	u.Helper()
	a, err := u.db.Agents.Get(u.ctx, agent)
	must(u, err)
	status := nexus.AgentIdle
	if task != "" {
		status = nexus.AgentWorking
	}
	same(u.T, a.CurrentTaskID, task)
	same(u.T, a.Status, status)
}

func testUndoTwice(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	for name, change := range each {
		operation := u.do("a1", change)
		u.undo(nexus.UndoRequest{Operation: operation})
		before := u.next()
		if _, err := db.Undo(u.ctx, nexus.UndoRequest{Operation: operation}); nexus.CodeOf(err) != nexus.CodeTransition {
			t.Errorf("%s undone twice: %v", name, err)
		}
		same(t, u.next(), before)
	}
}

// testUndoUndo goes back and forth, and then somebody else goes on.
func testUndoUndo(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	operation := u.do("a1", each["update"])
	for range 3 {
		undoing := u.next()
		u.undo(nexus.UndoRequest{Operation: operation})
		operation = undoing
	}
	task, err := db.Tasks.Get(u.ctx, "p-t1")
	must(t, err)
	same(t, task.Name, "p-t1")
	_, err = db.Tasks.Update(u.ctx, "p-t1", nexus.TaskUpdate{Name: new("by others")})
	must(t, err)
	e := u.refuse(nexus.UndoRequest{Operation: operation}, nexus.CodeStale)
	same(t, e.Stored.(*nexus.Undone).Conflicts[0].Field, "name")
}

// testUndoDelete expects what was deleted with a row to come back with it.
func testUndoDelete(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	claim := u.claim("p-a1", "p-t1")
	_, err := db.Tasks.Fail(u.ctx, "p-t1", claim.Epoch, store.Failure{Reason: "it rained"})
	must(t, err)
	claim = u.claim("p-a1", "p-t1")
	for _, text := range []string{"one", "two"} {
		must(t, db.Sessions.Append(u.ctx, "p-s1", &nexus.SessionEntry{Text: text}))
	}
	operation := u.do("a1", each["delete project"])
	u.undo(nexus.UndoRequest{Operation: operation})
	attempts, err := db.Tasks.Attempts(u.ctx, "p-t1")
	must(t, err)
	same(t, len(attempts), 3) // the last is its being given back
	same(t, attempts[0].Reason, "it rained")
	same(t, attempts[1].Outcome, nexus.OutcomeReleased)
	task, err := db.Tasks.Get(u.ctx, "p-t1")
	must(t, err)
	same(t, task.Status, nexus.TaskPending)
	_, err = db.Tasks.Complete(u.ctx, "p-t1", claim.Epoch, nexus.Evidence{})
	refused(t, err, nexus.CodeFenced)
	entries, err := db.Sessions.Log(u.ctx, "p-s1", nexus.SessionLogFilter{})
	must(t, err)
	same(t, len(entries), 2)
	same(t, entries[1].Text, "two")
}

func testUndoConflicts(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	rename := u.do("a1", func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Tasks.Update(ctx, "p-t1", nexus.TaskUpdate{Name: new("one"), BranchName: new("branch")})
		return err
	})
	u.do("a2", func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Tasks.Update(ctx, "p-t1", nexus.TaskUpdate{Name: new("two"), WorktreePath: new("/w")})
		return err
	})
	e := u.refuse(nexus.UndoRequest{Operation: rename}, nexus.CodeStale)
	want := []nexus.Conflict{{Kind: nexus.KindTask, ID: "p-t1", Field: "name", Reason: "others have changed it since"}}
	same(t, e.Stored.(*nexus.Undone).Conflicts, want)
	report := u.undo(nexus.UndoRequest{Operation: rename, Force: true})
	same(t, report.Conflicts, want)
	task, err := db.Tasks.Get(u.ctx, "p-t1")
	must(t, err)
	same(t, []string{task.Name, task.BranchName, task.WorktreePath}, []string{"p-t1", "", "/w"})

	// A new row that others have changed, and a changed one that others have deleted.
	creation := u.do("a1", each["insert"])
	rename = u.do("a1", func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Tasks.Update(ctx, "p-t3", nexus.TaskUpdate{Name: new("one")})
		return err
	})
	e = u.refuse(nexus.UndoRequest{Operation: creation}, nexus.CodeStale)
	same(t, e.ID, "p-t3")
	u.do("a2", func(ctx context.Context, tx *store.Tx) error { return tx.Tasks.Delete(ctx, "p-t3") })
	u.refuse(nexus.UndoRequest{Operation: rename}, nexus.CodeStale)
	u.undo(nexus.UndoRequest{Operation: rename, Force: true})
	task, err = db.Tasks.Get(u.ctx, "p-t3")
	must(t, err)
	same(t, task.Name, "new")

	// A row that is there again, and its own.
	deletion := u.do("a1", each["delete task"])
	must(t, db.Tasks.Create(u.ctx, &nexus.Task{ID: "p-t2", ProjectID: "p", Name: "another"}))
	u.refuse(nexus.UndoRequest{Operation: deletion}, nexus.CodeStale)
	u.undo(nexus.UndoRequest{Operation: deletion, Force: true})
	task, err = db.Tasks.Get(u.ctx, "p-t2")
	must(t, err)
	same(t, task.Description, "as it was")
}

// testUndoContents does not take away what others have put into what is undone.
func testUndoContents(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	creation := u.do("a1", each["insert"])
	must(t, db.Tasks.Create(u.ctx, &nexus.Task{ID: "p-t4", ProjectID: "p", FeatureID: "p-f2", Name: "by others"}))
	e := u.refuse(nexus.UndoRequest{Operation: creation}, nexus.CodeStale)
	same(t, e.ID, "p-t4")
	u.undo(nexus.UndoRequest{Operation: creation, Force: true})
	task, err := db.Tasks.Get(u.ctx, "p-t4")
	must(t, err)
	same(t, task.FeatureID, "")

	other := u.do("a1", func(ctx context.Context, tx *store.Tx) error { return project(ctx, &tx.Services, "q") })
	must(t, db.Metrics.Create(u.ctx, &nexus.Metric{ID: "m1", ProjectID: "q", Type: "cost_usd", Value: 1}))
	must(t, db.Tasks.Create(u.ctx, &nexus.Task{ID: "q-t1", ProjectID: "q", Name: "by others"}))
	e = u.refuse(nexus.UndoRequest{Operation: other}, nexus.CodeStale)
	same(t, len(e.Problems), 2)
	undoing := u.next()
	u.undo(nexus.UndoRequest{Operation: other, Force: true})
	_, err = db.Projects.Get(u.ctx, "q")
	refused(t, err, nexus.CodeNotFound)
	u.undo(nexus.UndoRequest{Operation: undoing})
	_, err = db.Tasks.Get(u.ctx, "q-t1")
	must(t, err)
	_, err = db.Metrics.Get(u.ctx, "m1")
	must(t, err)
}

// testUndoActor undoes what one has done since a time, and nothing else.
func testUndoActor(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	name := func(id, name string) func(context.Context, *store.Tx) error {
		return func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Tasks.Update(ctx, id, nexus.TaskUpdate{Name: &name})
			return err
		}
	}
	u.do("a1", name("p-t1", "long ago"))
	since := clock.Move(time.Hour)
	u.do("a1", name("p-t1", "first"))
	u.do("a2", name("p-t2", "another's"))
	u.do("a1", name("p-t1", "second"))
	u.do("a1", each["insert"])
	report := u.undo(nexus.UndoRequest{Actor: "a1", Since: since})
	same(t, len(report.Operations), 3)
	names := map[string]string{}
	list, err := db.Tasks.List(u.ctx, nexus.TaskFilter{})
	must(t, err)
	for _, task := range list {
		names[task.ID] = task.Name
	}
	same(t, names, map[string]string{"p-t1": "long ago", "p-t2": "another's"})
	u.refuse(nexus.UndoRequest{Actor: "a1", Since: since}, nexus.CodeTransition)
	u.refuse(nexus.UndoRequest{Actor: "nobody", Since: since}, nexus.CodeNotFound)
	u.refuse(nexus.UndoRequest{Actor: "a1", Since: clock.Move(time.Hour)}, nexus.CodeNotFound)
}

func testUndoDryRun(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	operation := u.do("a1", each["several"])
	before, next := u.rows(), u.next()
	preview := u.undo(nexus.UndoRequest{Operation: operation, DryRun: true})
	u.are(before)
	same(t, u.next(), next)
	done := u.undo(nexus.UndoRequest{Operation: operation})
	same(t, preview.DryRun, true)
	preview.DryRun = false
	sameJSON(t, preview, done)

	must(t, db.Tasks.Delete(u.ctx, "p-t1"))
	must(t, db.Tasks.Create(u.ctx, &nexus.Task{ID: "p-t1", ProjectID: "p", Name: "another"}))
	preview = u.undo(nexus.UndoRequest{Operation: operation, DryRun: true})
	same(t, len(preview.Conflicts), 1)
}

// testUndoAtOnce lets many undo the same: one does.
func testUndoAtOnce(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	before := u.rows()
	operation := u.do("a1", each["several"])
	var done atomic.Int64
	together(func(n int) {
		_, err := db.Undo(store.WithActor(u.ctx, fmt.Sprint("a", n)), nexus.UndoRequest{Operation: operation})
		switch nexus.CodeOf(err) {
		case "":
			done.Add(1)
		case nexus.CodeTransition:
		default:
			t.Error(err)
		}
	})
	same(t, done.Load(), int64(1))
	u.are(before)
}

// testUndoForeign undoes a statement that Nexus would not have made.
func testUndoForeign(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	before := u.rows()
	operation := u.do("a1", func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE tasks SET name = 'by another program', status = 'queued', depends_on = '[oops'")
		return err
	})
	u.undo(nexus.UndoRequest{Operation: operation})
	u.are(before)
}

func testUndoNoSense(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	u.refuse(nexus.UndoRequest{}, nexus.CodeInvalid)
	u.refuse(nexus.UndoRequest{Operation: -1}, nexus.CodeInvalid)
	u.refuse(nexus.UndoRequest{Actor: "a1"}, nexus.CodeInvalid)
	u.refuse(nexus.UndoRequest{Since: clock.Now()}, nexus.CodeInvalid)
	u.refuse(nexus.UndoRequest{Operation: 1, Actor: "a1", Since: clock.Now()}, nexus.CodeInvalid)
	u.refuse(nexus.UndoRequest{Operation: u.next() + 7}, nexus.CodeNotFound)
	operation := u.do("a1", each["several"])
	e := u.refuse(nexus.UndoRequest{Operation: operation + 1}, nexus.CodeNotFound)
	if want := fmt.Sprintf("part of operation %d", operation); !strings.Contains(e.Message, want) {
		t.Errorf("%q does not say %q", e.Message, want)
	}
}

// testUndoTransaction undoes as a part of a transaction, which fails.
func testUndoTransaction(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	operation := u.do("a1", each["update"])
	before := u.rows()
	err := db.InTx(u.ctx, func(tx *store.Tx) error {
		if _, err := tx.Undo(u.ctx, nexus.UndoRequest{Operation: operation}); err != nil {
			return err
		}
		return nexus.Errorf(nexus.CodeInvalid, "enough")
	})
	refused(t, err, nexus.CodeInvalid)
	u.are(before)
}
