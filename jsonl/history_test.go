package jsonl_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// What is imported has its history with it: the past is what it was, checkpoints verify
// and can be gone back to, operations can be undone, and new changes come after the
// old ones.
func TestHistoryComesBack(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	source := newDB(t)
	must(source.Projects.Create(ctx, &nexus.Project{ID: "p", Name: "P", RootPath: "/"}))
	long := strings.Repeat("a long text, ä ", 100)
	tasks := func(name string) {
		must(source.InTx(ctx, func(tx *store.Tx) error {
			var errs []error
			for i := range 200 {
				_, err := tx.Tasks.Upsert(ctx, &nexus.Task{ID: fmt.Sprint("t", i), ProjectID: "p", Name: name, Description: long + name + long})
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		}))
	}
	tasks("was")
	checkpoint, err := source.Checkpoint(ctx, nexus.CheckpointRequest{ProjectID: "p"})
	must(err)
	moment, err := source.LastChange(ctx)
	must(err)
	tasks("is")
	must(source.Tasks.Delete(ctx, "t7"))
	run(t, source, "UPDATE tasks SET description = x'00ff' WHERE id = 't8'", "DELETE FROM tasks WHERE id = 't9'")
	past, err := source.AsOf(moment).Tasks.List(ctx, nexus.TaskFilter{})
	must(err)
	changes, err := source.History(ctx, nexus.HistoryFilter{Kind: nexus.KindTask})
	must(err)

	db := newDB(t)
	_, err = importText(db, export(t, source))
	must(err)
	last, err := db.LastChange(ctx)
	must(err)
	if newest, err := source.LastChange(ctx); err != nil || newest != last {
		t.Errorf("the newest change is %d, was %d (%v)", last, newest, err)
	}
	is, err := db.AsOf(moment).Tasks.List(ctx, nexus.TaskFilter{})
	must(err)
	if diff := cmp.Diff(past, is); diff != "" || len(past) != 200 {
		t.Errorf("the past (-was +is):\n%s", diff)
	}
	imported, err := db.History(ctx, nexus.HistoryFilter{Kind: nexus.KindTask})
	must(err)
	if diff := cmp.Diff(changes, imported); diff != "" {
		t.Errorf("the changes (-were +are):\n%s", diff)
	}
	v, err := db.VerifyCheckpoint(ctx, checkpoint.ID)
	must(err)
	if !v.OK {
		t.Errorf("the checkpoint: %+v", v)
	}
	_, err = db.Undo(ctx, nexus.UndoRequest{Operation: changes[len(changes)-1].Operation})
	must(err)
	if _, err := db.Tasks.Get(ctx, "t9"); err != nil {
		t.Errorf("what was deleted is not back: %v", err)
	}
	_, err = db.Restore(ctx, checkpoint.ID, false)
	must(err)
	restored, err := db.Tasks.List(ctx, nexus.TaskFilter{})
	must(err)
	if len(restored) != 200 || restored[8].Name != "was" || restored[8].Description != long+"was"+long {
		t.Errorf("restored were %d tasks", len(restored))
	}
	after, err := db.LastChange(ctx)
	must(err)
	if after <= last {
		t.Errorf("the newest change is %d after %d", after, last)
	}
}
