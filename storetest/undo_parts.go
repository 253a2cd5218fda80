package storetest

import (
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// testUndoParts expects what a project has besides its rows to come back with it: its
// metrics, and which checkpoints are made by themselves; not what was deleted before.
func testUndoParts(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	for _, m := range []nexus.Metric{
		{ID: "m1", Type: "token_usage", Value: 0.1, TaskID: "p-t1", AgentID: "a1", Metadata: `{"model": "x"}`},
		{ID: "m2", Type: "cost_usd", Value: -2.5e-7, TaskID: "p-t2"},
		{ID: "m3", Type: "minutes", Value: 1e20},
		{ID: "m4", Type: "cost_usd", Value: 4},
	} {
		m.ProjectID = "p"
		must(t, db.Metrics.Create(u.ctx, &m))
	}
	_, err := db.Metrics.Update(u.ctx, "m3", nexus.MetricUpdate{Value: new(2e20)})
	must(t, err)
	must(t, db.Metrics.Delete(u.ctx, "m4"))
	minutes := 30
	must(t, db.InTx(u.ctx, func(tx *store.Tx) error {
		_, err := tx.SetCheckpointSettings(u.ctx, "p", nexus.CheckpointSettingsUpdate{On: []string{"task_failed"}, EveryMinutes: &minutes})
		return err
	}))
	read := func() (list []nexus.Metric, settings *nexus.CheckpointSettings) {
		list, err := db.Metrics.List(u.ctx, nexus.MetricFilter{ProjectID: "p"})
		must(t, err)
		settings, err = db.CheckpointSettings(u.ctx, "p")
		must(t, err)
		return list, settings
	}
	metrics, settings := read()
	same(t, len(metrics), 3)
	for range 2 {
		u.undo(nexus.UndoRequest{Operation: u.do("a1", each["delete project"])})
		gotMetrics, gotSettings := read()
		same(t, gotMetrics, metrics)
		same(t, gotSettings, settings)
	}

	// A restore leaves them as they are, also where the project was gone in between.
	p, err := db.Checkpoint(u.ctx, nexus.CheckpointRequest{ProjectID: "p"})
	must(t, err)
	u.undo(nexus.UndoRequest{Operation: u.do("a1", each["delete project"])})
	must(t, db.Metrics.Delete(u.ctx, "m1"))
	_, err = db.Restore(u.ctx, p.ID, false)
	must(t, err)
	gotMetrics, _ := read()
	same(t, gotMetrics, metrics[1:])
}
