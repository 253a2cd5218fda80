package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

func (k *keeping) set(u nexus.CheckpointSettingsUpdate) *nexus.CheckpointSettings {
	k.Helper()
	var s *nexus.CheckpointSettings
	must(k, k.db.InTx(k.ctx, func(tx *store.Tx) (err error) {
		s, err = tx.SetCheckpointSettings(k.ctx, "p1", u)
		return err
	}))
	stored, err := k.db.CheckpointSettings(k.ctx, "p1")
	must(k, err)
	same(k.T, stored, s)
	return s
}

// made expects the checkpoints that were made since the last call to have these
// reasons, and to be sound.
func (k *keeping) made(reasons ...string) {
	k.Helper()
	list, err := k.db.Checkpoints.List(k.ctx, nexus.CheckpointFilter{})
	must(k, err)
	var got []string
	for _, p := range list {
		got = append(got, p.Reason)
		if p.Name == "" || p.ProjectID != "p1" {
			k.Errorf("checkpoint %+v", p)
		}
		v, err := k.db.VerifyCheckpoint(k.ctx, p.ID)
		must(k, err)
		same(k.T, v.OK, true)
		must(k, k.db.Checkpoints.Delete(k.ctx, p.ID))
	}
	if !slices.Equal(got, reasons) {
		k.Errorf("made %q, want %q", got, reasons)
	}
}

// testCheckpointAuto: each trigger makes one checkpoint if it is on, whichever way the
// change came about, and none if it is off.
func testCheckpointAuto(t *testing.T, db *store.DB, clock *Clock) {
	k := newKeeping(t, db, clock)
	claim := func(task string) int64 {
		t.Helper()
		claims, err := db.Tasks.Claim(k.ctx, nexus.ClaimRequest{AgentID: "a", TaskID: task})
		must(t, err)
		return claims[0].Epoch
	}
	reopen := func(task string) {
		t.Helper()
		_, err := db.Tasks.Reopen(k.ctx, task, "")
		must(t, err)
	}
	statuses := []nexus.ProjectStatus{nexus.ProjectPlanning, nexus.ProjectExecuting}
	actions := []struct {
		trigger string
		act     func(on bool)
	}{
		{"phase_complete", func(on bool) {
			status := statuses[0]
			if on {
				status = statuses[1]
			}
			_, err := db.Projects.Update(k.ctx, "p1", nexus.ProjectUpdate{Status: &status})
			must(t, err)
		}},
		{"feature_complete", func(bool) {
			_, err := db.Features.Update(k.ctx, "p1-f2", nexus.FeatureUpdate{Status: new(nexus.FeatureDone)})
			must(t, err)
			k.exec(`UPDATE features SET status = 'backlog' WHERE id = 'p1-f2'`)
		}},
		{"feature_complete", func(bool) { // it follows from its last task
			must(t, db.InTx(k.ctx, func(tx *store.Tx) error {
				for _, task := range []string{"p1-t1", "p1-t2", "p1-t3"} {
					if _, err := tx.Tasks.Complete(k.ctx, task, 0, nexus.Evidence{}); err != nil {
						return err
					}
				}
				return nil
			}))
			reopen("p1-t1")
			reopen("p1-t2")
			reopen("p1-t3")
		}},
		{"task_failed", func(bool) {
			_, err := db.Tasks.Fail(k.ctx, "p1-t1", claim("p1-t1"), store.Failure{Reason: "no", Final: true})
			must(t, err)
			reopen("p1-t1")
		}},
		{"qa_exhausted", func(bool) {
			_, err := db.Tasks.Update(k.ctx, "p1-t2", nexus.TaskUpdate{MaxIterations: new(1)})
			must(t, err)
			_, err = db.Tasks.QA(k.ctx, "p1-t2", claim("p1-t2"), "")
			must(t, err)
			reopen("p1-t2")
		}},
	}
	for _, a := range actions {
		a.act(false)
		k.made()
	}
	for _, a := range actions {
		s := k.set(nexus.CheckpointSettingsUpdate{On: []string{a.trigger}})
		same(t, s.On, []string{a.trigger})
		a.act(true)
		k.made(a.trigger)
		for _, other := range nexus.CheckpointTriggers() {
			if other != a.trigger {
				k.set(nexus.CheckpointSettingsUpdate{On: []string{other}})
			}
		}
		k.set(nexus.CheckpointSettingsUpdate{Off: []string{a.trigger}})
		a.act(false)
		k.made()
		k.set(nexus.CheckpointSettingsUpdate{Off: nexus.CheckpointTriggers()})
	}
	// Several at once are of one state, and one checkpoint.
	k.set(nexus.CheckpointSettingsUpdate{On: nexus.CheckpointTriggers()})
	must(t, db.InTx(k.ctx, func(tx *store.Tx) error {
		if _, err := tx.Projects.Update(k.ctx, "p1", nexus.ProjectUpdate{Status: new(nexus.ProjectPaused)}); err != nil {
			return err
		}
		_, err := tx.Features.Update(k.ctx, "p1-f2", nexus.FeatureUpdate{Status: new(nexus.FeatureDone)})
		return err
	}))
	k.made("phase_complete")
	// A transaction that fails calls for none, nor does one that comes to nothing.
	_ = db.InTx(k.ctx, func(tx *store.Tx) error {
		_, err := tx.Projects.Update(k.ctx, "p1", nexus.ProjectUpdate{Status: new(nexus.ProjectFailed)})
		must(t, err)
		return nexus.Errorf(nexus.CodeInvalid, "enough")
	})
	must(t, db.InTx(k.ctx, func(tx *store.Tx) error {
		_, err := tx.Features.Update(k.ctx, "p1-f1", nexus.FeatureUpdate{Status: new(nexus.FeatureDone)})
		must(t, err)
		_, err = tx.Features.Update(k.ctx, "p1-f1", nexus.FeatureUpdate{Status: new(nexus.FeatureBacklog)})
		return err
	}))
	k.made()
	// The other project has said nothing.
	_, err := db.Projects.Update(k.ctx, "p2", nexus.ProjectUpdate{Status: new(nexus.ProjectPlanning)})
	must(t, err)
	k.made()

	for _, u := range []nexus.CheckpointSettingsUpdate{
		{On: []string{"bogus"}},
		{Off: []string{"human_request"}},
		{On: []string{"task_failed"}, Off: []string{"task_failed"}},
		{EveryMinutes: new(-1)},
		{EveryTasks: new(1 << 40)},
	} {
		err := db.InTx(k.ctx, func(tx *store.Tx) error {
			_, err := tx.SetCheckpointSettings(k.ctx, "p1", u)
			return err
		})
		same(t, nexus.CodeOf(err), nexus.CodeInvalid)
	}
	_, err = db.CheckpointSettings(k.ctx, "nowhere")
	same(t, nexus.CodeOf(err), nexus.CodeNotFound)
}

// testCheckpointScheduled: by time with the first change after it, and by completed
// tasks.
func testCheckpointScheduled(t *testing.T, db *store.DB, clock *Clock) {
	k := newKeeping(t, db, clock)
	edit := func() {
		t.Helper()
		name := clock.Now().String()
		_, err := db.SubFeatures.Update(k.ctx, "p1-s1", nexus.SubFeatureUpdate{Name: &name})
		must(t, err)
	}
	k.set(nexus.CheckpointSettingsUpdate{EveryMinutes: new(10)})
	clock.Move(9 * time.Minute)
	edit()
	k.made()
	clock.Move(time.Minute)
	k.made() // nothing has changed
	edit()
	k.made("scheduled")
	clock.Move(9 * time.Minute)
	edit()
	k.made()
	clock.Move(time.Hour)
	edit()
	k.made("scheduled")
	clock.Move(-24 * time.Hour) // the clock was ahead
	edit()
	k.made("scheduled")

	s := k.set(nexus.CheckpointSettingsUpdate{EveryMinutes: new(0), EveryTasks: new(2)})
	same(t, []int{s.EveryMinutes, s.EveryTasks}, []int{0, 2})
	complete := func(task string) {
		t.Helper()
		_, err := db.Tasks.Complete(k.ctx, task, 0, nexus.Evidence{})
		must(t, err)
	}
	complete("p1-t1")
	k.made()
	complete("p1-t2")
	k.made("scheduled")
	complete("p1-t3")
	k.made()
	_, err := db.Tasks.Complete(k.ctx, "p2-t1", 0, nexus.Evidence{}) // of another project
	must(t, err)
	k.made()
}

// testCheckpointQuiet: what goes back calls for no checkpoint, nor does a checkpoint;
// and a checkpoint that cannot be made is no error.
func testCheckpointQuiet(t *testing.T, db *store.DB, clock *Clock) {
	k := newKeeping(t, db, clock)
	_, err := db.Tasks.Fail(k.ctx, "p1-t1", claimOne(t, db, "p1-t1"), store.Failure{Reason: "no", Final: true})
	must(t, err)
	escalated := k.checkpoint("p1")
	_, err = db.Tasks.Reopen(k.ctx, "p1-t1", "")
	must(t, err)
	k.set(nexus.CheckpointSettingsUpdate{On: nexus.CheckpointTriggers(), EveryTasks: new(1), EveryMinutes: new(1)})
	clock.Move(time.Hour)
	report := k.restore(escalated)
	list, err := db.Checkpoints.List(k.ctx, nexus.CheckpointFilter{})
	must(t, err)
	same(t, []string{list[0].ID, list[1].ID}, []string{escalated, report.Before})
	same(t, len(list), 2)

	// The project goes in the transaction that calls for a checkpoint of it.
	must(t, db.InTx(k.ctx, func(tx *store.Tx) error {
		_, err := tx.Projects.Update(k.ctx, "p1", nexus.ProjectUpdate{Status: new(nexus.ProjectPlanning)})
		must(t, err)
		return tx.Projects.Delete(k.ctx, "p1")
	}))
	count, err := db.Checkpoints.Count(k.ctx, nexus.CheckpointFilter{})
	must(t, err)
	same(t, count, int64(0))

	// No checkpoint can be stored any more; what calls for one succeeds.
	must(t, project(k.ctx, &db.Services, "p1"))
	k.set(nexus.CheckpointSettingsUpdate{On: nexus.CheckpointTriggers()})
	k.exec(`CREATE TABLE checkpoints_gone AS SELECT * FROM checkpoints`)
	k.exec(`ALTER TABLE checkpoints RENAME TO checkpoints_away`)
	_, err = db.Projects.Update(k.ctx, "p1", nexus.ProjectUpdate{Status: new(nexus.ProjectPlanning)})
	must(t, err)
	k.exec(`ALTER TABLE checkpoints_away RENAME TO checkpoints`)
	k.exec(`DROP TABLE checkpoints_gone`)
}

func claimOne(t *testing.T, db *store.DB, task string) int64 {
	t.Helper()
	claims, err := db.Tasks.Claim(t.Context(), nexus.ClaimRequest{AgentID: "a", TaskID: task})
	must(t, err)
	return claims[0].Epoch
}
