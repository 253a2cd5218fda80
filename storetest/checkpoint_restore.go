package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

const time10 = 10 * time.Second

// testCheckpointHeld: tasks that agents hold, then or now, are pending afterwards, and
// the agents are told by their next call.
func testCheckpointHeld(t *testing.T, db *store.DB, clock *Clock) {
	k := newKeeping(t, db, clock)
	claim := func(task string) int64 {
		t.Helper()
		claims, err := db.Tasks.Claim(k.ctx, nexus.ClaimRequest{AgentID: "p1-a " + task, TaskID: task})
		must(t, err)
		return claims[0].Epoch
	}
	thenAndNow := claim("p1-t1")
	thenOnly := claim("p1-t2")
	id := k.checkpoint("p1")
	_, err := db.Tasks.Complete(k.ctx, "p1-t2", thenOnly, nexus.Evidence{})
	must(t, err)
	nowOnly := claim("p1-t3")
	k.restoreInFlight(id, []string{"p1-t1", "p1-t2"})
	for task, epoch := range map[string]int64{"p1-t1": thenAndNow, "p1-t3": nowOnly} {
		_, err := db.Tasks.Heartbeat(k.ctx, task, epoch, 0)
		same(t, nexus.CodeOf(err), nexus.CodeFenced)
		_, err = db.Tasks.Complete(k.ctx, task, epoch, nexus.Evidence{})
		same(t, nexus.CodeOf(err), nexus.CodeFenced)
	}
	for _, task := range []string{"p1-t1", "p1-t2", "p1-t3"} {
		got, err := db.Tasks.Get(k.ctx, task)
		must(t, err)
		same(t, []any{got.Status, got.AssignedAgent}, []any{nexus.TaskPending, ""})
		if again := claim(task); again <= nowOnly {
			t.Errorf("%s is claimed again with epoch %d, after %d", task, again, nowOnly)
		}
	}
}

func (k *keeping) restoreInFlight(id string, requeued []string) {
	k.Helper()
	report := k.restore(id)
	slices.Sort(report.Requeued)
	same(k.T, report.Requeued, requeued)
}

// testCheckpointLog: a session that was deleted since comes back with its log, and the
// past has the log that was there then.
func testCheckpointLog(t *testing.T, db *store.DB, clock *Clock) {
	k := newKeeping(t, db, clock)
	log := func(sessions *store.Sessions) (texts []string) {
		t.Helper()
		list, err := sessions.Log(k.ctx, "p1-e1", nexus.SessionLogFilter{})
		must(t, err)
		ofProject, err := sessions.LogOfProject(k.ctx, "p1", nexus.SessionLogFilter{})
		must(t, err)
		same(t, ofProject, list)
		for _, e := range list {
			texts = append(texts, fmt.Sprintf("%d %s", e.Number, e.Text))
		}
		return texts
	}
	clock.Move(time10)
	must(t, db.Sessions.Append(k.ctx, "p1-e1", &nexus.SessionEntry{Text: "decided", Author: "a"}))
	clock.Move(time10)
	p, err := db.Checkpoint(k.ctx, nexus.CheckpointRequest{ProjectID: "p1"})
	must(t, err)
	state, err := p.Details()
	must(t, err)
	clock.Move(time10)
	must(t, db.Sessions.Append(k.ctx, "p1-e1", &nexus.SessionEntry{Text: "later"}))
	past := db.AsOf(state.Seq)
	then := []string{"1 said", "2 decided"}
	same(t, log(&past.Sessions), then)

	must(t, db.Sessions.Delete(k.ctx, "p1-e1"))
	same(t, log(&past.Sessions), then)
	clock.Move(time10)
	must(t, db.Sessions.Create(k.ctx, &nexus.Session{ID: "p1-e1", ProjectID: "p1", Type: "planning"}))
	must(t, db.Sessions.Append(k.ctx, "p1-e1", &nexus.SessionEntry{Text: "of another"}))
	same(t, log(&past.Sessions), then)
	must(t, db.Sessions.Delete(k.ctx, "p1-e1"))

	k.restore(p.ID)
	same(t, log(&past.Sessions), then)
	// A log is not taken back: what was said later was said.
	if got := log(&db.Sessions); len(got) < len(then) || !slices.Equal(got[:2], then) {
		t.Errorf("the log is %q", got)
	}
}

// testCheckpointReferred: a row that would go stays if a row of another project refers
// to it, and then nothing is restored.
func testCheckpointReferred(t *testing.T, db *store.DB, clock *Clock) {
	k := newKeeping(t, db, clock)
	id := k.checkpoint("p1")
	must(t, db.Features.Create(k.ctx, &nexus.Feature{ID: "p1-f3", ProjectID: "p1", Name: "f3"}))
	must(t, db.Tasks.Create(k.ctx, &nexus.Task{ID: "p1-t4", ProjectID: "p1", Name: "t4"}))
	const change = "UPDATE tasks SET feature_id = $1, sub_feature_id = NULL, depends_on = $2 WHERE id = 'p2-t1'"
	for name, refers := range map[string][2]string{"a feature": {"p1-f3", "[]"}, "a dependency": {"p2-f1", `["p1-t4"]`}} {
		exec(t, db, change, refers[0], refers[1])
		mine, others := k.rows("p1"), k.rows("p2")
		for _, dry := range []bool{true, false} {
			if _, err := db.Restore(k.ctx, id, dry); nexus.CodeOf(err) != nexus.CodeInUse {
				t.Errorf("%s, dry run %v: %v", name, dry, err)
			}
		}
		same(t, k.rows("p1"), mine)
		same(t, k.rows("p2"), others)
		exec(t, db, change, "p2-f1", "[]")
	}
	report := k.restore(id)

	// What comes back refers to what another project has deleted.
	exec(t, db, "UPDATE tasks SET feature_id = 'p2-f2', sub_feature_id = NULL WHERE id = 'p1-t1'")
	id = k.checkpoint("p1")
	k.restore(report.CheckpointID)
	must(t, db.Features.Delete(k.ctx, "p2-f2"))
	mine := k.rows("p1")
	_, err := db.Restore(k.ctx, id, false)
	same(t, nexus.CodeOf(err), nexus.CodeReference)
	if strings.Contains(err.Error(), "sqlite") || strings.Contains(err.Error(), "FOREIGN") {
		t.Errorf("%v", err)
	}
	same(t, k.rows("p1"), mine)
}

// testCheckpointMoved: rows that have changed from one project to another since come
// back to it, however much has happened meanwhile.
func testCheckpointMoved(t *testing.T, db *store.DB, clock *Clock) {
	k := newKeeping(t, db, clock)
	must(t, db.SubFeatures.Create(k.ctx, &nexus.SubFeature{ID: "p1-s2", FeatureID: "p1-f2", Name: "stays with its feature"}))
	was := k.rows("p1")
	id := k.checkpoint("p1")
	k.exec(`UPDATE requirements SET project_id = 'p2' WHERE id = 'p1-r1'`)
	k.exec(`UPDATE tasks SET project_id = 'p2', feature_id = 'p2-f1', sub_feature_id = NULL, plan_key = 'moved' WHERE id = 'p1-t1'`)
	k.exec(`INSERT INTO requirements (id, project_id, category, description, created_at) VALUES ('p1-r9', 'p1', 'ui', 'r9', 0)`)
	k.exec(`UPDATE sub_features SET feature_id = 'p2-f2' WHERE id = 'p1-s1'`)
	k.exec(`UPDATE features SET project_id = 'p2' WHERE id = 'p1-f2'`)
	verified := func() {
		t.Helper()
		v, err := db.VerifyCheckpoint(k.ctx, id)
		must(t, err)
		same(t, v.OK, true)
	}
	verified()
	must(t, db.InTx(k.ctx, func(tx *store.Tx) error {
		for n := range 1500 { // so many that each row is looked for
			_, err := tx.Exec(k.ctx, `UPDATE requirements SET description = $1 WHERE id = 'p2-r1'`, fmt.Sprint(n))
			if err != nil {
				return err
			}
		}
		return nil
	}))
	verified()
	k.restore(id)
	k.isAs(was)
	verified()
}

// testCheckpointPrune: the newest stay, and of days before the last of each.
func testCheckpointPrune(t *testing.T, db *store.DB, clock *Clock) {
	k := newKeeping(t, db, clock)
	start := clock.Now()
	at := func(id, project, reason string, days int, hour time.Duration) {
		day := start.UTC().Truncate(24*time.Hour).AddDate(0, 0, -days)
		must(t, db.Checkpoints.Create(k.ctx, &nexus.Checkpoint{ID: id, ProjectID: project, Reason: reason, CreatedAt: day.Add(hour * time.Hour)}))
	}
	at("d9", "p1", "", 9, 12)
	at("d3-first", "p1", "", 3, 1)
	at("d3-last", "p1", "before_restore", 3, 23)
	at("d1-first", "p1", "", 1, 0)
	at("d1-last", "p1", "", 1, 22)
	at("d0-first", "p1", "", 0, 1)
	at("d0-mid", "p1", "before_restore", 0, 2)
	at("d0-last", "p1", "", 0, 3)
	at("other", "p2", "", 30, 0)
	at("other-old", "p2", "", 40, 0)
	for _, c := range []struct {
		request nexus.PruneRequest
		deleted []string
		kept    int
	}{
		{nexus.PruneRequest{ProjectID: "p1", Keep: 50}, []string{}, 8},
		{nexus.PruneRequest{ProjectID: "p1", Keep: 3}, []string{"d1-last", "d1-first", "d3-last", "d3-first", "d9"}, 3},
		{nexus.PruneRequest{ProjectID: "p1", Keep: 2, Daily: 4}, []string{"d0-first", "d1-first", "d3-first", "d9"}, 4},
		{nexus.PruneRequest{ProjectID: "p1", Keep: 0, Daily: 3}, []string{"d0-mid", "d0-first", "d1-first", "d3-last", "d3-first", "d9"}, 2},
		{nexus.PruneRequest{Keep: 1, Daily: 2}, []string{"d0-mid", "d0-first", "d1-first", "d3-last", "d3-first", "d9", "other-old"}, 3},
	} {
		c.request.DryRun = true
		report, err := db.PruneCheckpoints(k.ctx, c.request)
		must(t, err)
		same(t, []any{report.Deleted, report.Kept, report.DryRun}, []any{c.deleted, c.kept, true})
	}
	report, err := db.PruneCheckpoints(k.ctx, nexus.PruneRequest{ProjectID: "p1", Keep: 1})
	must(t, err)
	same(t, []any{len(report.Deleted), report.Kept, report.DryRun}, []any{7, 1, false})
	list, err := db.Checkpoints.List(k.ctx, nexus.CheckpointFilter{})
	must(t, err)
	var left []string
	for _, p := range list {
		left = append(left, p.ID)
	}
	same(t, left, []string{"d0-last", "other", "other-old"})
	for request, code := range map[nexus.PruneRequest]nexus.Code{
		{Keep: -1}: nexus.CodeInvalid, {Daily: -1}: nexus.CodeInvalid, {ProjectID: "nowhere"}: nexus.CodeNotFound,
	} {
		_, err := db.PruneCheckpoints(k.ctx, request)
		same(t, nexus.CodeOf(err), code)
	}
}
