package storetest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// WalkMoves makes random changes to a database, with compacting also forgets some of its
// history, and calls move now and then. In the databases that this has moved it to, the
// past is to be what it was, and work, restoring and undoing to go on as they would have
// gone on here.
func WalkMoves(t *testing.T, db *store.DB, clock *Clock, compacting bool, move func(rt *rapid.T) []*store.DB) {
	t.Helper()
	historyWalk(t, db, clock, nil, func(rt *rapid.T, w *walk) {
		w.sideThings(rt)
		if rapid.IntRange(0, 9).Draw(rt, "move") != 0 {
			return
		}
		if compacting {
			w.dropCheckpoints(rt)
			w.compact(rt)
			w.task(rt)
			w.session(rt)
			w.record(rt)
		}
		for _, target := range move(rt) {
			there := *w
			there.db = target
			there.checkCompacted(rt)
			must(rt, CheckDerived(w.ctx, target))
			w.sameHistory(rt, target)
			there.goOn(rt)
		}
	})
}

// sameHistory expects the changes of another database to be those of this one, and to be
// undone in the same way.
func (w *walk) sameHistory(rt *rapid.T, other *store.DB) {
	changes, err := w.db.History(w.ctx, nexus.HistoryFilter{})
	must(rt, err)
	found, err := other.History(w.ctx, nexus.HistoryFilter{})
	must(rt, err)
	if diff := cmp.Diff(changes, found); diff != "" {
		rt.Fatalf("the history is another (-source +target):\n%s", diff)
	}
	for range min(len(changes), 3) {
		r := nexus.UndoRequest{Operation: rapid.SampledFrom(changes).Draw(rt, "undo").Operation, DryRun: true}
		here, err := w.db.Undo(w.ctx, r)
		there, otherErr := other.Undo(w.ctx, r)
		if nexus.CodeOf(err) != nexus.CodeOf(otherErr) || cmp.Diff(here, there) != "" {
			rt.Fatalf("undoing %d is another: %v, %v (-source +target):\n%s", r.Operation, err, otherErr, cmp.Diff(here, there))
		}
	}
}

// sideThings stores what is in no history.
func (w *walk) sideThings(rt *rapid.T) {
	if _, err := w.db.Projects.Get(w.ctx, w.project); err != nil {
		return
	}
	must(rt, w.db.Metrics.Create(w.ctx, &nexus.Metric{
		ProjectID: w.project, Type: rapid.SampledFrom([]string{"cost_usd", "token_usage", "else"}).Draw(rt, "metric"),
		Value: float64(rapid.IntRange(0, 1<<40).Draw(rt, "value")) / 1000, TaskID: w.id(rt, "t"),
	}))
	_, _, err := store.Once(w.ctx, w.db, "key "+w.project, "request", func(*store.Tx) (string, error) { return "Ω\t\\N\n", nil })
	must(rt, err)
	tasks, tokens := rapid.IntRange(0, 5).Draw(rt, "every"), rapid.Int64Range(1, 1<<40).Draw(rt, "tokens")
	must(rt, w.db.InTx(w.ctx, func(tx *store.Tx) error {
		_, err := tx.SetCheckpointSettings(w.ctx, w.project, nexus.CheckpointSettingsUpdate{EveryTasks: &tasks})
		return err
	}))
	_, err = w.db.Projects.Update(w.ctx, w.project, nexus.ProjectUpdate{BudgetTokens: &tokens})
	must(rt, err)
	w.record(rt)
}

// goOn works on with later numbers, and goes back to a checkpoint.
func (w *walk) goOn(rt *rapid.T) {
	last, err := w.db.LastChange(w.ctx)
	must(rt, err)
	attempts, err := w.db.Tasks.InFlight(w.ctx)
	must(rt, err)
	must(rt, project(w.ctx, &w.db.Services, "later"))
	must(rt, w.db.Tasks.Create(w.ctx, &nexus.Task{ID: "later", ProjectID: "later", Name: "n"}))
	claims, err := w.db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "later", TaskID: "later"})
	must(rt, err)
	for _, a := range attempts {
		if claims[0].Epoch <= a.Epoch {
			rt.Fatalf("epoch %d was given after %d", claims[0].Epoch, a.Epoch)
		}
	}
	now, err := w.db.LastChange(w.ctx)
	must(rt, err)
	if now <= last {
		rt.Fatalf("change %d came after %d", now, last)
	}
	back := slices.DeleteFunc(slices.Clone(w.states), func(r recorded) bool { return r.checkpoint == "" })
	if len(back) == 0 {
		return
	}
	r := rapid.SampledFrom(back).Draw(rt, "checkpoint")
	report, err := w.db.Restore(w.ctx, r.checkpoint, false)
	must(rt, err)
	is := restorable(rt, everything(rt, w.ctx, &w.db.Services, w.project), false)
	if diff := cmp.Diff(restorable(rt, r.rows, true), is); diff != "" {
		rt.Fatalf("restored %+v, but (-was +is):\n%s", report, diff)
	}
}
