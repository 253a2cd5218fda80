package storetest

import (
	"encoding/json"
	"maps"
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

// testRestoreWalk goes back to random checkpoints of random histories, each time to
// what was so then, but that nothing is in flight.
func testRestoreWalk(t *testing.T, db *store.DB, clock *Clock) {
	historyWalk(t, db, clock, nil, func(rt *rapid.T, w *walk) {
		for range 3 {
			r := rapid.SampledFrom(w.states).Draw(rt, "state")
			if r.checkpoint == "" {
				continue
			}
			report, err := db.Restore(w.ctx, r.checkpoint, false)
			must(rt, err)
			is := restorable(rt, everything(rt, w.ctx, &db.Services, w.project), false)
			if diff := cmp.Diff(restorable(rt, r.rows, true), is); diff != "" {
				rt.Fatalf("restored %+v, but (-was +is):\n%s", report, diff)
			}
		}
		w.checkPast(rt)
	})
}

// restorable is what a restore brings back: all but the agents, and the revisions,
// which count on. With requeue, tasks that are in flight become pending; features
// that follow them may change with it.
func restorable(rt *rapid.T, rows map[string]string, requeue bool) map[string]string {
	rows = maps.Clone(rows)
	for key, text := range rows {
		if strings.HasPrefix(key, "agents ") {
			delete(rows, key)
			continue
		}
		var fields map[string]any
		must(rt, json.Unmarshal([]byte(text), &fields))
		delete(fields, "revision")
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
