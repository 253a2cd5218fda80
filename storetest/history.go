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
	"Restore": testRestoreWalk,
}

// testPast makes random changes and expects the past to be what it was.
func testPast(t *testing.T, db *store.DB, clock *Clock) {
	historyWalk(t, db, clock, nil, nil)
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
func restorable(rt fataler, rows map[string]string, requeue bool) map[string]string {
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
