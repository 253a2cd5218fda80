package sqlite_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// Wherever in a checkpoint, a restore or an undo the disk becomes full, the state is as
// it was, and it can be done when there is space.
func TestFullDiskInHistory(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(db *store.DB, checkpoint string, operation int64) error{
		"checkpoint": func(db *store.DB, _ string, _ int64) error {
			_, err := db.Checkpoint(background, nexus.CheckpointRequest{ProjectID: "first", Reason: strings.Repeat("why ", 40_000)})
			return err
		},
		"restore": func(db *store.DB, checkpoint string, _ int64) error {
			_, err := db.Restore(background, checkpoint, false)
			return err
		},
		"undo": func(db *store.DB, _ string, operation int64) error {
			_, err := db.Undo(background, nexus.UndoRequest{Operation: operation})
			return err
		},
	} {
		for _, but := range []int64{0, 4096, 16 << 10, 40 << 10, 90 << 10} {
			t.Run(fmt.Sprintf("%s with %d", name, but), func(t *testing.T) {
				t.Parallel()
				folder := smallDisk(t)
				path := filepath.Join(folder, "nexus.db")
				db := open(t, path, &sqlite.Options{NoSync: true})
				id, operation := newFullHistory(t, db)
				mustClose(t, db)
				before := dump(t, path)
				db = open(t, path, nil)
				free := fill(t, folder, but)

				err := do(db, id, operation)
				wantCode(t, err, nexus.CodeFull)
				if hintOf(err) == "" {
					t.Errorf("%v has no hint", err)
				}
				free()
				mustVerify(t, db, id)
				mustClose(t, db)
				mustEqual(t, dump(t, path), before)
				db = open(t, path, nil)
				mustSucceed(t, do(db, id, operation))
				mustVerify(t, db, id)
				mustClose(t, db)
				mustBeSound(t, path)
			})
		}
	}
}

// newFullHistory makes a project with a checkpoint, and an operation after that which
// changes all of it.
func newFullHistory(t *testing.T, db *store.DB) (checkpoint string, operation int64) {
	t.Helper()
	create(t, db, "first")
	fillTasks := func(with string) {
		mustSucceed(t, db.InTx(background, func(tx *store.Tx) error {
			for n := range 80 {
				_, err := tx.Tasks.Upsert(background, &nexus.Task{
					ID: fmt.Sprintf("t%d", n), ProjectID: "first", Name: with, Description: strings.Repeat(with, 300),
				})
				if err != nil {
					return err
				}
			}
			return nil
		}))
	}
	fillTasks("was ")
	p, err := db.Checkpoint(background, nexus.CheckpointRequest{ProjectID: "first"})
	mustSucceed(t, err)
	operation = lastChange(t, db) + 1
	fillTasks("became ")
	return p.ID, operation
}
