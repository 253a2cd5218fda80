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
