package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

var compactTests = map[string]timedTest{
	"Walk":   testCompactWalk,
	"Corner": testCompactCorners,
	"Undo":   testCompactUndo,
	"Keys":   testCompactKeys,
	"Moved":  testMoved,
	"Parts":  testCompactParts,
	"Gone":   testCompactGone,
}

// testCompactWalk makes random changes, deletes some checkpoints, and compacts, once or
// several times, with more changes in between. What can still be told is what it was,
// the rest is refused, and to go back to a checkpoint is to go back to what was so then.
func testCompactWalk(t *testing.T, db *store.DB, clock *Clock) {
	looksByRow := indexesHistory(t, db)
	historyWalk(t, db, clock, refusable(foreignActions(t, db)), func(rt *rapid.T, w *walk) {
		for range rapid.IntRange(1, 2).Draw(rt, "compactions") {
			w.dropCheckpoints(rt)
			w.compact(rt)
			w.checkCompacted(rt)
			w.task(rt)
			w.session(rt)
			w.record(rt)
		}
		if looksByRow && rapid.IntRange(1, 4).Draw(rt, "much later") == 1 {
			w.goFar(rt)
		}
		w.checkCompacted(rt)
		var kept []recorded
		for _, r := range w.states {
			if r.checkpoint != "" {
				kept = append(kept, r)
			}
		}
		for range min(len(kept), 2) {
			r := rapid.SampledFrom(kept).Draw(rt, "checkpoint")
			report, err := db.Restore(w.ctx, r.checkpoint, false)
			must(rt, err)
			is := restorable(rt, everything(rt, w.ctx, &db.Services, w.project), false)
			if diff := cmp.Diff(restorable(rt, r.rows, true), is); diff != "" {
				rt.Fatalf("restored %+v, but (-was +is):\n%s", report, diff)
			}
			there := w.parts(rt)
			for _, part := range r.parts {
				if !slices.Contains(there, part) {
					rt.Fatalf("restored %+v, but %s has not come back", report, part)
				}
			}
		}
		w.checkCompacted(rt)
		mendable(rt, w)
	})
}

// mendable expects that the doctor finds nothing to mend.
func mendable(rt *rapid.T, w *walk) {
	list, err := w.db.Diagnose(w.ctx)
	must(rt, err)
	for _, f := range list {
		if f.Check == "history" {
			rt.Fatalf("the doctor finds %+v", f)
		}
	}
}

// foreignActions change rows as other programs do.
func foreignActions(t *testing.T, db *store.DB) map[string]func(*rapid.T, string) error {
	run := func(sql string, args ...any) error {
		return db.InTx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), sql, args...)
			return err
		})
	}
	id := func(rt *rapid.T, project, kind string) string {
		return fmt.Sprintf("%s-%s%d", project, kind, rapid.IntRange(1, 4).Draw(rt, "id"))
	}
	return map[string]func(*rapid.T, string) error{
		"foreign upsert": func(rt *rapid.T, project string) error {
			return run(`
				INSERT INTO requirements (id, project_id, category, description, created_at) VALUES ($1, $2, 'ui', $3, 1)
				ON CONFLICT (id) DO UPDATE SET description = excluded.description, priority = 'high'`,
				id(rt, project, "r"), project, drawName().Draw(rt, "text"))
		},
		"foreign ignore": func(rt *rapid.T, project string) error {
			return run(`
				INSERT INTO requirements (id, project_id, category, description, created_at) VALUES ($1, $2, 'ui', 'x', 1)
				ON CONFLICT DO NOTHING`, id(rt, project, "r"), project)
		},
		"foreign delete": func(rt *rapid.T, project string) error {
			return run(`DELETE FROM requirements WHERE id = $1`, id(rt, project, "r"))
		},
	}
}

// goFar makes so many changes that the past is looked for row by row.
func (w *walk) goFar(rt *rapid.T) {
	must(rt, w.db.InTx(w.ctx, func(tx *store.Tx) error {
		for i := range 1100 {
			if _, err := tx.Exec(w.ctx, "UPDATE projects SET name = $1 WHERE id = $2", fmt.Sprint(i), w.project); err != nil {
				return err
			}
		}
		return nil
	}))
	w.record(rt)
}

// dropCheckpoints deletes some of those that were recorded.
func (w *walk) dropCheckpoints(rt *rapid.T) {
	for i := range w.states {
		if r := &w.states[i]; r.checkpoint != "" && rapid.Bool().Draw(rt, "drop") {
			must(rt, w.db.Checkpoints.Delete(w.ctx, r.checkpoint))
			r.checkpoint = ""
		}
	}
}

// compact forgets what is older than a random age, and notes what can be told then.
func (w *walk) compact(rt *rapid.T) {
	r := nexus.CompactRequest{Keep: time.Duration(rapid.IntRange(0, 2+len(w.states)).Draw(rt, "keep")) * time.Minute}
	r.DryRun = true
	would, err := w.db.Compact(w.ctx, r)
	must(rt, err)
	r.DryRun = false
	did, err := w.db.Compact(w.ctx, r)
	must(rt, err)
	if would.BytesAfter != would.BytesBefore {
		rt.Fatalf("a dry run says that %d bytes become %d", would.BytesBefore, would.BytesAfter)
	}
	would.DryRun, would.BytesBefore, would.BytesAfter, would.NotShrunk = false, did.BytesBefore, did.BytesAfter, did.NotShrunk
	if diff := cmp.Diff(would, did); diff != "" {
		rt.Fatalf("a dry run says (-) what was not done (+):\n%s", diff)
	}
	w.horizon, w.told = did.Horizon, did.Checkpoints
	for _, s := range w.states {
		if s.checkpoint != "" && s.seq < w.horizon && !slices.Contains(w.told, s.seq) {
			rt.Fatalf("the checkpoint after change %d is not among those kept: %v", s.seq, w.told)
		}
	}
	again, err := w.db.Compact(w.ctx, r)
	must(rt, err)
	if again.Horizon != did.Horizon || again.Forgotten+again.Rewritten > 0 {
		rt.Fatalf("doing it again did %+v", again)
	}
}

// checkCompacted expects what can be told to be what it was, and the rest refused.
func (w *walk) checkCompacted(rt *rapid.T) {
	all := w.states
	w.states = slices.DeleteFunc(slices.Clone(all), func(r recorded) bool {
		return r.seq < w.horizon && !slices.Contains(w.told, r.seq)
	})
	w.checkPast(rt)
	w.states = all
	for _, r := range all {
		_, err := w.db.Moment(w.ctx, fmt.Sprint(r.seq))
		want := nexus.Code("")
		if r.seq < w.horizon && !slices.Contains(w.told, r.seq) {
			want = nexus.CodeNotFound
		}
		if got := nexus.CodeOf(err); got != want {
			rt.Fatalf("asked for change %d, horizon %d, checkpoints %v: %v", r.seq, w.horizon, w.told, err)
		}
	}
	changes, err := w.db.History(w.ctx, nexus.HistoryFilter{})
	must(rt, err)
	if len(changes) > 0 && changes[0].Seq <= w.horizon {
		rt.Fatalf("change %d is from before the horizon %d", changes[0].Seq, w.horizon)
	}
}

// testCompactCorners is about the moments at the edge of what is kept.
func testCompactCorners(t *testing.T, db *store.DB, clock *Clock) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "p"))
	change := func(name string) int64 {
		clock.Move(time.Hour)
		_, err := db.Projects.Update(ctx, "p", nexus.ProjectUpdate{Name: &name})
		must(t, err)
		seq, err := db.LastChange(ctx)
		must(t, err)
		return seq
	}
	checkpoint := func() string {
		p, err := db.Checkpoint(ctx, nexus.CheckpointRequest{ProjectID: "p"})
		must(t, err)
		return p.ID
	}
	nameAt := func(seq int64) string {
		p, err := db.AsOf(seq).Projects.Get(ctx, "p")
		must(t, err)
		return p.Name
	}
	one := change("one")
	early := checkpoint()
	change("two")
	lost := checkpoint()
	three := change("three")
	threeAt := clock.Now()
	atHorizon := checkpoint() // of three, whose number is the horizon's
	// It is made at the same time as three; without it, three would not be the horizon.
	must(t, db.Checkpoints.Delete(ctx, atHorizon))
	four := change("four")
	lostRow, err := db.Checkpoints.Get(ctx, lost)
	must(t, err)
	must(t, db.Checkpoints.Delete(ctx, lost))

	report, err := db.Compact(ctx, nexus.CompactRequest{Keep: 30 * time.Minute})
	must(t, err)
	horizon := report.Horizon
	if horizon < three || horizon >= four {
		t.Fatalf("the horizon is %d, between %d and %d", horizon, three, four)
	}
	same(t, report.Checkpoints, []int64{one})
	same(t, []string{nameAt(one), nameAt(horizon), nameAt(four)}, []string{"one", "three", "four"})
	for _, seq := range []int64{0, one - 1, one + 1, horizon - 1} {
		_, err := db.AsOf(seq).Projects.Get(ctx, "p")
		refused(t, err, nexus.CodeNotFound)
	}
	for text, want := range map[string]nexus.Code{
		threeAt.Format(time.RFC3339Nano):                        "",
		threeAt.Add(-time.Minute).Format(time.RFC3339Nano):      nexus.CodeNotFound,
		threeAt.Add(-100 * time.Hour).Format(time.RFC3339Nano):  nexus.CodeNotFound,
		threeAt.Add(time.Minute).UTC().Format(time.RFC3339Nano): "",
		early: "",
		lost:  nexus.CodeNotFound,
	} {
		seq, err := db.Moment(ctx, text)
		same(t, nexus.CodeOf(err), want)
		if want == "" && text != early {
			same(t, seq, horizon)
		}
	}

	// A checkpoint that comes back has lost its state, and does not pretend to have it.
	must(t, db.Checkpoints.Create(ctx, lostRow))
	_, err = db.VerifyCheckpoint(ctx, lost)
	refused(t, err, nexus.CodeNotFound)
	_, err = db.Restore(ctx, lost, false)
	refused(t, err, nexus.CodeNotFound)

	// One exactly at the horizon, and all of the history forgotten.
	now := checkpoint()
	report, err = db.Compact(ctx, nexus.CompactRequest{})
	must(t, err)
	last, err := db.LastChange(ctx)
	must(t, err)
	same(t, report.Horizon, last)
	same(t, report.Forgotten > 0, true)
	next := change("five")
	same(t, next > last, true)
	for _, id := range []string{early, now} {
		v, err := db.VerifyCheckpoint(ctx, id)
		must(t, err)
		same(t, v.OK, true)
		_, err = db.Restore(ctx, id, false)
		must(t, err)
	}
	same(t, nameAt(last), "four")
	same(t, nameAt(one), "one")
	_, err = db.Compact(ctx, nexus.CompactRequest{Keep: -time.Second})
	refused(t, err, nexus.CodeInvalid)
}

// testCompactUndo undoes what is after the horizon, and nothing before it.
func testCompactUndo(t *testing.T, db *store.DB, clock *Clock) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "p"))
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "t", ProjectID: "p", Name: "n"}))
	old, err := db.History(ctx, nexus.HistoryFilter{Kind: nexus.KindTask, ID: "t"})
	must(t, err)
	clock.Move(time.Hour)
	_, err = db.Compact(ctx, nexus.CompactRequest{Keep: time.Minute})
	must(t, err)
	must(t, db.Tasks.Delete(ctx, "t"))
	_, err = db.Undo(ctx, nexus.UndoRequest{Operation: old[0].Operation})
	refused(t, err, nexus.CodeNotFound)
	list, err := db.History(ctx, nexus.HistoryFilter{Kind: nexus.KindTask, ID: "t"})
	must(t, err)
	same(t, len(list), 1)
	same(t, list[0].Change, nexus.ChangeDelete)
	_, err = db.Undo(ctx, nexus.UndoRequest{Operation: list[0].Operation})
	must(t, err)
	_, err = db.Tasks.Get(ctx, "t")
	must(t, err)
}

// testCompactKeys forgets the idempotency keys that are too old, and no others.
func testCompactKeys(t *testing.T, db *store.DB, clock *Clock) {
	once := func(key string) bool {
		_, again, err := store.Once(t.Context(), db, key, "r", func(*store.Tx) (int, error) { return 1, nil })
		must(t, err)
		return again
	}
	count := func() (n int64) {
		must(t, db.View(t.Context(), func(tx *store.Tx) error {
			return tx.Query(t.Context(), "SELECT count(*) FROM idempotency_keys", nil, func(r driver.Row) error {
				n = r.Int(0)
				return nil
			})
		}))
		return n
	}
	once("old")
	clock.Move(store.KeysKept - time.Hour)
	once("new")
	clock.Move(2 * time.Hour)
	report, err := db.Compact(t.Context(), nexus.CompactRequest{})
	must(t, err)
	same(t, []int64{report.Keys, count()}, []int64{1, 1})
	same(t, once("new"), true)
}

// testCompactGone forgets what was kept for undoing alone: the metrics of a project that is
// gone. What tells the past of it stays.
func testCompactGone(t *testing.T, db *store.DB, clock *Clock) {
	ctx := t.Context()
	records := func() (metrics, others int64) {
		const sql = `SELECT count(CASE WHEN kind = 'project_metric' THEN 1 END), count(CASE WHEN id = 'p' AND kind = 'project' THEN 1 END) FROM history`
		must(t, db.View(ctx, func(tx *store.Tx) error {
			return tx.Query(ctx, sql, nil, func(r driver.Row) error {
				metrics, others = r.Int(0), r.Int(1)
				return nil
			})
		}))
		return metrics, others
	}
	for _, id := range []string{"p", "q"} {
		must(t, project(ctx, &db.Services, id))
	}
	_, err := db.Checkpoint(ctx, nexus.CheckpointRequest{ProjectID: "q"})
	must(t, err)
	for range 3 {
		must(t, db.Metrics.Create(ctx, &nexus.Metric{ProjectID: "p", Type: "cost_usd", Value: 1}))
	}
	must(t, db.Projects.Delete(ctx, "p"))
	metrics, others := records()
	same(t, []int64{metrics, others}, []int64{3, 2})
	clock.Move(time.Hour)
	must(t, project(ctx, &db.Services, "r"))
	_, err = db.Compact(ctx, nexus.CompactRequest{})
	must(t, err)
	metrics, others = records()
	same(t, []int64{metrics, others}, []int64{0, 1})
}

// testCompactParts restores what was deleted with a task and a session that have been made
// again, and of whose deletion the compacted history says nothing: to go from how they
// were to how they are is one change.
func testCompactParts(t *testing.T, db *store.DB, clock *Clock) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "p"))
	task, session := nexus.Task{ID: "t", ProjectID: "p", Name: "n"}, nexus.Session{ID: "s", ProjectID: "p", Type: "planning"}
	made := func() {
		task, session := task, session
		must(t, db.Tasks.Create(ctx, &task))
		must(t, db.Sessions.Create(ctx, &session))
	}
	named := func(name string) {
		_, err := db.Tasks.Update(ctx, "t", nexus.TaskUpdate{Name: &name})
		must(t, err)
		_, err = db.Sessions.Update(ctx, "s", nexus.SessionUpdate{Data: new(nexus.JSON(`"` + name + `"`))})
		must(t, err)
	}
	made()
	_, err := db.Agents.Register(ctx, nexus.Agent{ID: "a", Type: "coder"})
	must(t, err)
	claims, err := db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: "a"})
	must(t, err)
	_, err = db.Tasks.Fail(ctx, "t", claims[0].Epoch, store.Failure{Reason: "no"})
	must(t, err)
	for range 2 { // at one moment
		must(t, db.Sessions.Append(ctx, "s", &nexus.SessionEntry{Text: "said"}))
	}
	clock.Move(time.Hour)
	p, err := db.Checkpoint(ctx, nexus.CheckpointRequest{ProjectID: "p"})
	must(t, err)

	named("changed")
	must(t, db.Tasks.Delete(ctx, "t"))
	must(t, db.Sessions.Delete(ctx, "s"))
	made()
	clock.Move(time.Hour)
	_, err = db.Compact(ctx, nexus.CompactRequest{})
	must(t, err)
	for range 2 {
		_, err = db.Restore(ctx, p.ID, false)
		must(t, err)
	}

	attempts, err := db.Tasks.Attempts(ctx, "t")
	must(t, err)
	same(t, len(attempts), 1)
	same(t, attempts[0].Reason, "no")
	entries, err := db.Sessions.Log(ctx, "s", nexus.SessionLogFilter{})
	must(t, err)
	same(t, len(entries), 2)
	same(t, entries[0].Text, "said")
}
