package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var checkpointTests = map[string]timedTest{
	"Make":            testCheckpointMake,
	"Verify":          testCheckpointVerify,
	"Hash":            testCheckpointHash,
	"HashFollows":     testCheckpointHashFollows,
	"HashRelied":      testCheckpointHashRelied,
	"Unusable":        testCheckpointUnusable,
	"Restore":         testCheckpointRestore,
	"RestorePlanKeys": testCheckpointPlanKeys,
	"RestoreHeld":     testCheckpointHeld,
	"RestoreLog":      testCheckpointLog,
	"RestoreReferred": testCheckpointReferred,
	"RestoreMoved":    testCheckpointMoved,
	"Prune":           testCheckpointPrune,
	"Auto":            testCheckpointAuto,
	"AutoScheduled":   testCheckpointScheduled,
	"AutoQuiet":       testCheckpointQuiet,
}

// keeping is a database with two projects that have rows in all tables, and the means
// to keep and restore their states.
type keeping struct {
	*testing.T
	ctx   context.Context
	db    *store.DB
	clock *Clock
}

func newKeeping(t *testing.T, db *store.DB, clock *Clock) *keeping {
	t.Helper()
	k := &keeping{t, t.Context(), db, clock}
	for _, p := range []string{"p1", "p2"} {
		must(t, project(k.ctx, &db.Services, p))
		must(t, db.Features.Create(k.ctx, &nexus.Feature{ID: p + "-f1", ProjectID: p, Name: "f1", Description: "long"}))
		must(t, db.Features.Create(k.ctx, &nexus.Feature{ID: p + "-f2", ProjectID: p, Name: "f2"}))
		must(t, db.SubFeatures.Create(k.ctx, &nexus.SubFeature{ID: p + "-s1", FeatureID: p + "-f1", Name: "s1"}))
		for n := range 3 {
			must(t, db.Tasks.Create(k.ctx, &nexus.Task{
				ID: fmt.Sprintf("%s-t%d", p, n+1), ProjectID: p, FeatureID: p + "-f1", SubFeatureID: p + "-s1", Name: "t",
				PlanKey: fmt.Sprintf("key %d", n+1),
			}))
		}
		must(t, db.Requirements.Create(k.ctx, &nexus.Requirement{ID: p + "-r1", ProjectID: p, Category: "ui", Description: "r"}))
		must(t, db.Sessions.Create(k.ctx, &nexus.Session{ID: p + "-e1", ProjectID: p, Type: "planning", Data: `{"n":1}`}))
		must(t, db.Sessions.Append(k.ctx, p+"-e1", &nexus.SessionEntry{Text: "said"}))
	}
	return k
}

func (k *keeping) checkpoint(project string) string {
	k.Helper()
	p, err := k.db.Checkpoint(k.ctx, nexus.CheckpointRequest{ProjectID: project, Reason: "human_request"})
	must(k, err)
	return p.ID
}

func (k *keeping) restore(id string) *nexus.Restoration {
	k.Helper()
	report, err := k.db.Restore(k.ctx, id, false)
	must(k, err)
	return report
}

// rows are all rows of a project.
func (k *keeping) rows(project string) map[string]string {
	k.Helper()
	return everything(k, k.ctx, &k.db.Services, project)
}

// exec changes the database as another program does.
func (k *keeping) exec(sql string, args ...any) {
	k.Helper()
	must(k, k.db.InTx(k.ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(k.ctx, sql, args...)
		return err
	}))
}

// isAs expects the rows of p1 to be what they were, but for the revisions.
func (k *keeping) isAs(was map[string]string) {
	k.Helper()
	if diff := cmp.Diff(restorable(k, was, false), restorable(k, k.rows("p1"), false)); diff != "" {
		k.Errorf("not as it was (-was +is):\n%s", diff)
	}
}

// change changes, deletes and inserts rows in every table of p1.
func (k *keeping) change() {
	k.Helper()
	_, err := k.db.Projects.Update(k.ctx, "p1", nexus.ProjectUpdate{Name: new("renamed"), Status: new(nexus.ProjectPlanning)})
	must(k, err)
	_, err = k.db.Features.Update(k.ctx, "p1-f1", nexus.FeatureUpdate{Description: new("longer"), Name: new("F1")})
	must(k, err)
	must(k, k.db.Features.Delete(k.ctx, "p1-f2"))
	must(k, k.db.Features.Create(k.ctx, &nexus.Feature{ID: "p1-f3", ProjectID: "p1", Name: "f3"}))
	must(k, k.db.SubFeatures.Create(k.ctx, &nexus.SubFeature{ID: "p1-s2", FeatureID: "p1-f3", Name: "s2"}))
	_, err = k.db.Tasks.Update(k.ctx, "p1-t1", nexus.TaskUpdate{FeatureID: new("p1-f3"), SubFeatureID: new("p1-s2"), Name: new("T")})
	must(k, err)
	must(k, k.db.Tasks.Delete(k.ctx, "p1-t2"))
	_, err = k.db.Tasks.Update(k.ctx, "p1-t3", nexus.TaskUpdate{SubFeatureID: new("p1-s2"), FeatureID: new("p1-f3")})
	must(k, err)
	must(k, k.db.SubFeatures.Delete(k.ctx, "p1-s1"))
	must(k, k.db.Tasks.Create(k.ctx, &nexus.Task{ID: "p1-t4", ProjectID: "p1", FeatureID: "p1-f3", Name: "t4", DependsOn: []string{"p1-t3"}, PlanKey: "key 2"}))
	_, err = k.db.Tasks.Complete(k.ctx, "p1-t3", 0, nexus.Evidence{})
	must(k, err)
	_, err = k.db.Requirements.Update(k.ctx, "p1-r1", nexus.RequirementUpdate{Validated: new(true)})
	must(k, err)
	must(k, k.db.Requirements.Create(k.ctx, &nexus.Requirement{ID: "p1-r2", ProjectID: "p1", Category: "ui", Description: "r2"}))
	must(k, k.db.Sessions.Delete(k.ctx, "p1-e1"))
	must(k, k.db.Sessions.Create(k.ctx, &nexus.Session{ID: "p1-e2", ProjectID: "p1", Type: "execution"}))
}

// testCheckpointMake: what a checkpoint says of the state.
func testCheckpointMake(t *testing.T, db *store.DB, clock *Clock) {
	k := newKeeping(t, db, clock)
	git := &nexus.GitState{Commit: "abc", Branch: "main", Dirty: true}
	p, err := db.Checkpoint(k.ctx, nexus.CheckpointRequest{ID: "c1", ProjectID: "p1", Name: "n", Reason: "scheduled", Git: git})
	must(t, err)
	stored, err := db.Checkpoints.Get(k.ctx, "c1")
	must(t, err)
	sameJSON(t, p, stored)
	same(t, []string{p.ID, p.ProjectID, p.Name, p.Reason, p.GitCommit}, []string{"c1", "p1", "n", "scheduled", "abc"})
	state, err := p.Details()
	must(t, err)
	same(t, state.Counts, map[string]int64{"projects": 1, "features": 2, "sub_features": 1, "tasks": 3, "requirements": 1, "sessions": 1})
	same(t, state.Git, git)

	// Another of the same state has the same hash; of another project, another.
	hashOf := func(p *nexus.Checkpoint, err error) string {
		t.Helper()
		must(t, err)
		state, err := p.Details()
		must(t, err)
		return state.SHA256
	}
	same(t, hashOf(db.Checkpoint(k.ctx, nexus.CheckpointRequest{ProjectID: "p1"})), state.SHA256)
	if other := hashOf(db.Checkpoint(k.ctx, nexus.CheckpointRequest{ProjectID: "p2"})); other == state.SHA256 {
		t.Error("two projects have the same hash")
	}
	// One within a transaction has what that has done so far.
	must(t, db.InTx(k.ctx, func(tx *store.Tx) error {
		_, err := tx.Requirements.Update(k.ctx, "p1-r1", nexus.RequirementUpdate{Validated: new(true)})
		must(t, err)
		inTx, err := tx.Checkpoint(k.ctx, nexus.CheckpointRequest{ID: "c2", ProjectID: "p1"})
		if hashOf(inTx, err) == state.SHA256 {
			t.Error("a change of the transaction is not in its checkpoint")
		}
		return nil
	}))
	_, err = db.Requirements.Update(k.ctx, "p1-r1", nexus.RequirementUpdate{Validated: new(false)})
	must(t, err)
	v, err := db.VerifyCheckpoint(k.ctx, "c2")
	must(t, err)
	same(t, v.OK, true)

	for _, refused := range []struct {
		request nexus.CheckpointRequest
		code    nexus.Code
	}{
		{nexus.CheckpointRequest{}, nexus.CodeInvalid},
		{nexus.CheckpointRequest{ProjectID: "nowhere"}, nexus.CodeReference},
		{nexus.CheckpointRequest{ID: "a\x00b", ProjectID: "p1"}, nexus.CodeInvalid},
		{nexus.CheckpointRequest{ID: "c1", ProjectID: "p1"}, nexus.CodeExists},
	} {
		_, err := db.Checkpoint(k.ctx, refused.request)
		same(t, nexus.CodeOf(err), refused.code)
		err = db.InTx(k.ctx, func(tx *store.Tx) error {
			_, err := tx.Checkpoint(k.ctx, refused.request)
			return err
		})
		same(t, nexus.CodeOf(err), refused.code)
	}
}

// testCheckpointVerify: what was edited is found, whichever of the two it was.
func testCheckpointVerify(t *testing.T, db *store.DB, clock *Clock) {
	k := newKeeping(t, db, clock)
	id := k.checkpoint("p1")
	k.change()
	verified := func(ok bool) {
		t.Helper()
		v, err := db.VerifyCheckpoint(k.ctx, id)
		must(t, err)
		same(t, []any{v.CheckpointID, v.OK, v.Recorded == v.Found}, []any{id, ok, ok})
	}
	verified(true)
	p, err := db.Checkpoints.Get(k.ctx, id)
	must(t, err)
	state, err := p.Details()
	must(t, err)
	before := k.rows("p1")

	edited := strings.Replace(string(p.State), state.SHA256, strings.Repeat("0", len(state.SHA256)), 1)
	k.exec(`UPDATE checkpoints SET state = $2 WHERE id = $1`, id, edited)
	verified(false)
	_, err = db.Restore(k.ctx, id, false)
	same(t, nexus.CodeOf(err), nexus.CodeCorrupt)
	k.exec(`UPDATE checkpoints SET state = $2 WHERE id = $1`, id, string(p.State))
	verified(true)

	// What the history has of the feature that was deleted.
	const edit = `UPDATE history SET v2 = $1 WHERE change = 'delete' AND kind = 'feature' AND id = 'p1-f2'`
	k.exec(edit, "edited")
	verified(false)
	for _, dry := range []bool{true, false} {
		_, err = db.Restore(k.ctx, id, dry)
		same(t, nexus.CodeOf(err), nexus.CodeCorrupt)
	}
	same(t, k.rows("p1"), before)
	k.exec(edit, "f2")
	verified(true)
}

// testCheckpointUnusable: checkpoints that cannot be gone back to are refused in the
// same way by all, and nothing changes.
func testCheckpointUnusable(t *testing.T, db *store.DB, clock *Clock) {
	k := newKeeping(t, db, clock)
	id := k.checkpoint("p1")
	p, err := db.Checkpoints.Get(k.ctx, id)
	must(t, err)
	state, err := p.Details()
	must(t, err)
	k.change()
	replace := func(old, with string) any { return strings.Replace(string(p.State), old, with, 1) }
	for name, bad := range map[string]struct {
		state any
		code  nexus.Code
	}{
		"nothing":          {nil, nexus.CodeInvalid},
		"no JSON":          {"{", nexus.CodeInvalid},
		"another's":        {`{"tasks":[]}`, nexus.CodeInvalid},
		"a list":           {`[1]`, nexus.CodeInvalid},
		"a text":           {`"state"`, nexus.CodeInvalid},
		"no hash":          {replace(state.SHA256, ""), nexus.CodeInvalid},
		"a newer format":   {replace(`"format":2`, `"format":3`), nexus.CodeNewer},
		"kept elsewhere":   {replace(`"kept_in":"history"`, `"kept_in":"file"`), nexus.CodeInvalid},
		"more columns":     {replace(`"tasks":`, `"tasks":9`), nexus.CodeNewer},
		"a later change":   {replace(fmt.Sprintf(`"seq":%d`, state.Seq), `"seq":999999`), nexus.CodeNotFound},
		"a negative one":   {replace(fmt.Sprintf(`"seq":%d`, state.Seq), `"seq":-1`), nexus.CodeNotFound},
		"no number at all": {replace(fmt.Sprintf(`"seq":%d`, state.Seq), `"seq":"x"`), nexus.CodeInvalid},
		"negative columns": {replace(`"tasks":`, `"tasks":-`), nexus.CodeInvalid},
	} {
		k.exec(`UPDATE checkpoints SET state = $2 WHERE id = $1`, id, bad.state)
		before := k.rows("p1")
		_, err := db.VerifyCheckpoint(k.ctx, id)
		if nexus.CodeOf(err) != bad.code {
			t.Errorf("%s: Verify: %v, want %s", name, err, bad.code)
		}
		_, err = db.Restore(k.ctx, id, false)
		if nexus.CodeOf(err) != bad.code || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: Restore: %v, want %s", name, err, bad.code)
		}
		same(t, k.rows("p1"), before)
	}
	_, err = db.VerifyCheckpoint(k.ctx, "nowhere")
	same(t, nexus.CodeOf(err), nexus.CodeNotFound)
	_, err = db.Restore(k.ctx, "nowhere", false)
	same(t, nexus.CodeOf(err), nexus.CodeNotFound)
}

// testCheckpointRestore: every table comes back, another project stays, and the way
// back leads back.
func testCheckpointRestore(t *testing.T, db *store.DB, clock *Clock) {
	k := newKeeping(t, db, clock)
	was, others := k.rows("p1"), k.rows("p2")
	id := k.checkpoint("p1")
	k.clock.Move(time10)
	k.change()
	changed := k.rows("p1")

	dry, err := db.Restore(k.ctx, id, true)
	must(t, err)
	same(t, k.rows("p1"), changed)
	same(t, []any{dry.DryRun, dry.Before}, []any{true, ""})
	count, err := db.Checkpoints.Count(k.ctx, nexus.CheckpointFilter{})
	must(t, err)
	same(t, count, int64(1))

	report := k.restore(id)
	k.isAs(was)
	same(t, report.Inserted, map[string]int64{"features": 1, "sub_features": 1, "tasks": 1, "sessions": 1})
	same(t, report.Deleted, map[string]int64{"features": 1, "sub_features": 1, "tasks": 1, "requirements": 1, "sessions": 1})
	same(t, report.Updated, map[string]int64{"projects": 1, "features": 1, "tasks": 2, "requirements": 1})
	same(t, []any{dry.Inserted, dry.Updated, dry.Deleted}, []any{report.Inserted, report.Updated, report.Deleted})
	same(t, k.rows("p2"), others)

	// An edit that is based on the state before the restore is refused.
	_, err = db.Features.Update(k.ctx, "p1-f1", nexus.FeatureUpdate{Revision: 2, Name: new("late")})
	same(t, nexus.CodeOf(err), nexus.CodeStale)

	before := k.rows("p1")
	again := k.restore(id)
	same(t, k.rows("p1"), before)
	same(t, len(again.Inserted)+len(again.Updated)+len(again.Deleted), 0)

	k.restore(report.Before)
	k.isAs(changed)
	same(t, k.rows("p2"), others)
	for _, c := range []string{id, report.Before, again.Before} {
		v, err := db.VerifyCheckpoint(k.ctx, c)
		must(t, err)
		same(t, v.OK, true)
	}
}

// testCheckpointPlanKeys: keys that rows have swapped since are swapped back.
func testCheckpointPlanKeys(t *testing.T, db *store.DB, clock *Clock) {
	k := newKeeping(t, db, clock)
	was := k.rows("p1")
	id := k.checkpoint("p1")
	for _, step := range [][2]string{{"p1-t1", "free"}, {"p1-t2", "key 1"}, {"p1-t3", "key 2"}, {"p1-t1", "key 3"}} {
		_, err := db.Tasks.Update(k.ctx, step[0], nexus.TaskUpdate{PlanKey: &step[1]})
		must(t, err)
	}
	swapped := k.rows("p1")
	report := k.restore(id)
	k.isAs(was)
	same(t, report.Updated, map[string]int64{"tasks": 3})
	k.restore(report.Before)
	k.isAs(swapped)
}
