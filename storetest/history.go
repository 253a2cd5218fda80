package storetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var historyTests = map[string]timedTest{
	"Past":    testPast,
	"Reborn":  testReborn,
	"Restore": testRestoreWalk,
	"Again":   testRestoreMadeAgain,
}

// testPast makes random changes and expects the past to be what it was.
func testPast(t *testing.T, db *store.DB, clock *Clock) {
	historyWalk(t, db, clock, nil, nil)
}

// testReborn deletes a row that another program has tried to insert before, and makes it
// anew: it was not there in between.
func testReborn(t *testing.T, db *store.DB, _ *Clock) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "p"))
	create := func() { must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "t", ProjectID: "p", Name: "n"})) }
	create()
	exec(t, db, `
		INSERT INTO tasks (id, project_id, name, created_at, updated_at) VALUES ('t', 'p', 'x', 1, 1)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name`)
	must(t, db.Tasks.Delete(ctx, "t"))
	between, err := db.LastChange(ctx)
	must(t, err)
	create()
	_, err = db.AsOf(between).Tasks.Get(ctx, "t")
	refused(t, err, nexus.CodeNotFound)
	list, err := db.History(ctx, nexus.HistoryFilter{Kind: nexus.KindTask, ID: "t"})
	must(t, err)
	var changes []nexus.ChangeType
	for _, c := range list {
		changes = append(changes, c.Change)
	}
	same(t, changes, []nexus.ChangeType{nexus.ChangeInsert, nexus.ChangeUpdate, nexus.ChangeDelete, nexus.ChangeInsert})
}

// testMoved has another program move rows from one project to another, and goes back to
// before that; after few changes and after many, compacted and not.
func testMoved(t *testing.T, db *store.DB, _ *Clock) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "p"))
	must(t, project(ctx, &db.Services, "q"))
	must(t, db.Features.Create(ctx, &nexus.Feature{ID: "f", ProjectID: "p", Name: "n"}))
	must(t, db.SubFeatures.Create(ctx, &nexus.SubFeature{ID: "p-s", FeatureID: "f", Name: "n"}))
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "t", ProjectID: "p", FeatureID: "f", SubFeatureID: "p-s", Name: "n"}))
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "stays", ProjectID: "p", FeatureID: "f", Name: "n"}))
	must(t, db.Requirements.Create(ctx, &nexus.Requirement{ID: "r", ProjectID: "p", Category: "ui", Description: "d"}))
	before := restorableNow(t, db, "p")
	p, err := db.Checkpoint(ctx, nexus.CheckpointRequest{ID: "c", ProjectID: "p"})
	must(t, err)
	verify := func(when string) {
		v, err := db.VerifyCheckpoint(ctx, p.ID)
		must(t, err)
		if !v.OK {
			t.Errorf("%s: the checkpoint has %s, found was %s", when, v.Recorded, v.Found)
		}
	}
	for _, sql := range []string{
		"UPDATE tasks SET name = 'renamed' WHERE id = 't'", // the first change is not the one that moves it
		"UPDATE tasks SET project_id = 'q' WHERE id = 't'",
		"UPDATE features SET project_id = 'q' WHERE id = 'f'",
		"UPDATE requirements SET project_id = 'q' WHERE id = 'r'",
	} {
		exec(t, db, sql)
	}
	verify("few changes later")
	many := func() {
		must(t, db.InTx(ctx, func(tx *store.Tx) error {
			for i := range 1100 {
				if _, err := tx.Exec(ctx, "UPDATE projects SET name = $1 WHERE id = 'q'", fmt.Sprint(i)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	many()
	verify("many changes later")
	_, err = db.Compact(ctx, nexus.CompactRequest{})
	must(t, err)
	verify("compacted")
	many()
	verify("compacted, and many changes later")
	_, err = db.Restore(ctx, p.ID, false)
	must(t, err)
	same(t, restorableNow(t, db, "p"), before)
}

func restorableNow(t *testing.T, db *store.DB, project string) map[string]string {
	t.Helper()
	return restorable(t, everything(t, t.Context(), &db.Services, project), false)
}

// testRestoreWalk goes back to random checkpoints of random histories, each time to
// what was so then, but that nothing is in flight.
func testRestoreWalk(t *testing.T, db *store.DB, clock *Clock) {
	WalkHistory(t, db, clock, nil, func(error) bool { return false })
}

// WalkHistory makes random changes, those of own among them, which get the id of a
// project whose rows have ids that begin with it and a hyphen. It expects every past
// to be what it was, and goes back to random checkpoints, unless that is refused for
// a reason that mayRefuse accepts; then nothing has changed.
func WalkHistory(t *testing.T, db *store.DB, clock *Clock, own map[string]func(rt *rapid.T, project string), mayRefuse func(error) bool) {
	t.Helper()
	historyWalk(t, db, clock, own, func(rt *rapid.T, w *walk) {
		for range 3 {
			r := rapid.SampledFrom(w.states).Draw(rt, "state")
			if !w.has(rt, r.checkpoint) {
				continue
			}
			before := everything(rt, w.ctx, &db.Services, w.project)
			report, err := db.Restore(w.ctx, r.checkpoint, false)
			is := everything(rt, w.ctx, &db.Services, w.project)
			if err != nil && mayRefuse(err) {
				if diff := cmp.Diff(before, is); diff != "" {
					rt.Fatalf("refused (%v), but (-was +is):\n%s", err, diff)
				}
				continue
			}
			must(rt, err)
			if diff := cmp.Diff(restorable(rt, r.rows, true), restorable(rt, is, false)); diff != "" {
				rt.Fatalf("restored %+v, but (-was +is):\n%s", report, diff)
			}
		}
		w.checkPast(rt)
	})
}

// restorable is what a restore brings back: all but the agents, and the revisions,
// which count on. With requeue, tasks that are in flight become pending; features
// that follow them may change with it.
func restorable(rt fataler, rows map[string]string, requeue bool) map[string]string {
	all, rows := rows, maps.Clone(rows)
	for key, text := range all {
		if strings.HasPrefix(key, "agents ") {
			delete(rows, key)
			continue
		}
		var fields map[string]any
		must(rt, json.Unmarshal([]byte(text), &fields))
		delete(fields, "revision")
		if feature, refers := fields["feature_id"]; strings.HasPrefix(key, "sub_features ") && refers {
			if _, there := all["features "+feature.(string)]; !there { // another program's, and of no project
				delete(rows, key)
				continue
			}
		}
		if strings.HasPrefix(key, "tasks ") {
			status := nexus.TaskStatus(fields["status"].(string))
			if requeue && status.InFlight() {
				fields["status"] = "pending"
				delete(fields, "assigned_agent")
			}
			if status == nexus.TaskPending || status.InFlight() {
				delete(fields, "updated_at")
			}
		}
		rows[key] = jsonOf(rt, fields)
	}
	return rows
}

// testRestoreMadeAgain goes back to when a task and a session were others of their ids:
// what the first ones had with them comes back beside what the second ones have.
func testRestoreMadeAgain(t *testing.T, db *store.DB, _ *Clock) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "p"))
	makeThem := func(text string) {
		must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "t", ProjectID: "p", Name: text}))
		claims, err := db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: "a", TaskID: "t"})
		must(t, err)
		_, err = db.Tasks.Fail(ctx, "t", claims[0].Epoch, store.Failure{Reason: text})
		must(t, err)
		must(t, db.Sessions.Create(ctx, &nexus.Session{ID: "s", ProjectID: "p", Type: "planning"}))
		must(t, db.Sessions.Append(ctx, "s", &nexus.SessionEntry{Text: text}))
	}
	makeThem("first")
	p, err := db.Checkpoint(ctx, nexus.CheckpointRequest{ProjectID: "p"})
	must(t, err)
	must(t, db.Tasks.Delete(ctx, "t"))
	must(t, db.Sessions.Delete(ctx, "s"))
	makeThem("second")
	for range 2 { // again brings nothing back twice
		_, err = db.Restore(ctx, p.ID, false)
		must(t, err)
		var said, reasons []string
		log, err := db.Sessions.Log(ctx, "s", nexus.SessionLogFilter{})
		must(t, err)
		for _, e := range log {
			said = append(said, e.Text)
		}
		attempts, err := db.Tasks.Attempts(ctx, "t")
		must(t, err)
		for _, a := range attempts {
			reasons = append(reasons, a.Reason)
		}
		slices.Sort(reasons)
		same(t, said, []string{"second", "first"})
		same(t, reasons, []string{"first", "second"})
	}
}
