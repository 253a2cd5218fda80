package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// testManyTasks stores more tasks than go to the database together, or none of them if one
// cannot be stored, and names that. Then most of them go, and come back: by undoing it, and
// by restoring the state of before.
func testManyTasks(t *testing.T, db *store.DB) {
	seed(t, db, nexus.KindTask)
	ctx := t.Context()
	const tasks = 1203
	many := func(first int) (list []*nexus.Task) {
		for n := first; n < first+tasks; n++ {
			task := &nexus.Task{
				ID: fmt.Sprintf("t%05d", n), ProjectID: "p1", Name: "n", FeatureID: []string{"", "f1"}[n%2], PlanKey: fmt.Sprint("k", n),
				Status: []nexus.TaskStatus{nexus.TaskPending, nexus.TaskCompleted, nexus.TaskSkipped}[n%3],
			}
			if n > first {
				task.DependsOn = []string{fmt.Sprintf("t%05d", first+(n-first)/2)}
			}
			list = append(list, task)
		}
		return list
	}
	are := func(want int) {
		t.Helper()
		n, err := db.Tasks.Count(ctx, nexus.TaskFilter{})
		must(t, err)
		same(t, n, int64(want))
		derivedAreRight(t, db)
	}

	taken := many(0)
	taken[777].PlanKey = "k501"
	e := refused(t, db.Tasks.CreateMany(ctx, taken), nexus.CodeExists)
	same(t, e.ID, "t00777")
	orphan := many(0)
	orphan[1201].FeatureID = "nowhere"
	e = refused(t, db.Tasks.CreateMany(ctx, orphan), nexus.CodeReference)
	same(t, []any{e.ID, orphan[0].Revision}, []any{"t01201", int64(0)})
	waiting := many(0)
	waiting[3].DependsOn = []string{"nobody"}
	e = refused(t, db.Tasks.CreateMany(ctx, waiting), nexus.CodeReference)
	same(t, e.ID, "t00003")
	are(0)
	must(t, db.Tasks.CreateMany(ctx, many(0)))
	are(tasks)
	before, err := db.Tasks.List(ctx, nexus.TaskFilter{})
	must(t, err)
	checkpoint, err := db.Checkpoint(ctx, nexus.CheckpointRequest{ProjectID: "p1", Name: "all"})
	must(t, err)

	deleteMost := func() (operation int64) {
		t.Helper()
		must(t, db.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, "DELETE FROM tasks WHERE id > 't00002'")
			return err
		}))
		are(3)
		last, err := db.History(ctx, nexus.HistoryFilter{Newest: true, Limit: 1})
		must(t, err)
		return last[0].Operation
	}
	asBefore := func() {
		t.Helper()
		are(tasks)
		now, err := db.Tasks.List(ctx, nexus.TaskFilter{})
		must(t, err)
		for i := range now {
			now[i].Revision = before[i].Revision // which is another
		}
		same(t, now, before)
	}
	undone, err := db.Undo(ctx, nexus.UndoRequest{Operation: deleteMost()})
	must(t, err)
	asBefore()
	_, err = db.Undo(ctx, nexus.UndoRequest{Operation: undone.Operations[0]})
	refused(t, err, nexus.CodeTransition)

	deleteMost()
	restored, err := db.Restore(ctx, checkpoint.ID, false)
	must(t, err)
	same(t, restored.Inserted["tasks"], int64(tasks-3))
	asBefore()
}

// testFeaturesOfMany has tasks come and go together: their features are what they would be
// if they had come and gone one after the other.
func testFeaturesOfMany(t *testing.T, db *store.DB) {
	seed(t, db, nexus.KindTask)
	ctx := t.Context()
	now, err := db.Features.Get(ctx, "f1")
	must(t, err)
	began := now.UpdatedAt
	for i, step := range []struct {
		create []nexus.TaskStatus
		delete string // a condition
		want   string
	}{
		{create: []nexus.TaskStatus{nexus.TaskPending, nexus.TaskSkipped}, want: "backlog 1"},
		{delete: "status = 'pending'", want: "done 2"}, // the last that is open
		{delete: "status = 'skipped'", want: "done 2"},
		{create: []nexus.TaskStatus{nexus.TaskPending, nexus.TaskPending}, want: "in_progress 3"},
		{delete: "status = 'pending'", want: "in_progress 3"},
		{create: []nexus.TaskStatus{nexus.TaskSkipped, nexus.TaskPending}, want: "in_progress 5"}, // done in between
		{create: []nexus.TaskStatus{nexus.TaskCompleted, nexus.TaskInProgress}, want: "in_progress 5"},
		{delete: "status IN ('pending', 'in_progress')", want: "done 6"},
	} {
		must(t, db.InTx(ctx, func(tx *store.Tx) error {
			if step.delete != "" {
				_, err := tx.Exec(ctx, "DELETE FROM tasks WHERE "+step.delete)
				return err
			}
			var list []*nexus.Task
			for n, status := range step.create {
				list = append(list, &nexus.Task{ID: fmt.Sprint("t", i, n), ProjectID: "p1", FeatureID: "f1", SubFeatureID: "u1", Name: "n", Status: status})
			}
			return tx.Tasks.CreateMany(ctx, list)
		}))
		f, err := db.Features.Get(ctx, "f1")
		must(t, err)
		u, err := db.SubFeatures.Get(ctx, "u1")
		must(t, err)
		same(t, fmt.Sprintln(i, f.Status, f.Revision, u.Status, u.Revision), fmt.Sprintln(i, step.want, step.want))
		if f.UpdatedAt.Sub(began).Abs() > time.Hour {
			t.Errorf("after step %d it was changed at %s", i, f.UpdatedAt)
		}
		derivedAreRight(t, db)
	}
}
