package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// newWithHistory makes a database with a long history, some checkpoints in it, and a
// session that has grown between them; closed.
func newWithHistory(t testing.TB) (path string) {
	t.Helper()
	path = newDatabase(t)
	db := open(t, path, &sqlite.Options{NoSync: true})
	mustSucceed(t, db.Sessions.Create(background, &nexus.Session{ID: "s", ProjectID: "first", Type: "planning"}))
	var said []string
	for round := range 5 {
		mustSucceed(t, db.InTx(background, func(tx *store.Tx) error {
			for i := range 60 {
				id := fmt.Sprintf("t%d", i)
				task := &nexus.Task{ID: id, ProjectID: "first", Name: "n", Description: strings.Repeat("x", 600) + fmt.Sprint(round)}
				for try := range 12 {
					task.Name = fmt.Sprintf("round %d, try %d", round, try)
					if _, err := tx.Tasks.Upsert(background, task); err != nil {
						return err
					}
				}
			}
			for range 10 {
				said = append(said, `"something that was said"`)
				data := nexus.JSON(`{"log": [` + strings.Join(said, ", ") + `]}`)
				if _, err := tx.Sessions.Update(background, "s", nexus.SessionUpdate{Data: &data}); err != nil {
					return err
				}
			}
			return tx.Tasks.Delete(background, fmt.Sprintf("t%d", round))
		}))
		checkpoint(t, db, "first")
	}
	mustSucceed(t, db.Sessions.Delete(background, "s"))
	mustClose(t, db)
	return path
}

// checkpointsHold expects that so many checkpoints can be verified.
func checkpointsHold(t testing.TB, db *store.DB, want int) {
	t.Helper()
	list, err := db.Checkpoints.List(background, nexus.CheckpointFilter{})
	mustSucceed(t, err)
	if len(list) != want {
		t.Errorf("%d checkpoints, want %d", len(list), want)
	}
	for _, p := range list {
		v, err := db.VerifyCheckpoint(background, p.ID)
		if err != nil || !v.OK {
			t.Errorf("checkpoint %s: %+v, %v", p.ID, v, err)
		}
	}
}

func TestCompactGivesSpaceBack(t *testing.T) {
	t.Parallel()
	path := newWithHistory(t)
	before, err := os.Stat(path)
	mustSucceed(t, err)
	db := open(t, path, nil)
	reader := open(t, path, nil)
	report, err := db.Compact(background, nexus.CompactRequest{})
	mustSucceed(t, err)
	if report.NotShrunk != "" || report.BytesBefore != before.Size() || report.BytesAfter > report.BytesBefore/2 {
		t.Errorf("%+v", report)
	}
	checkpointsHold(t, reader, 5)
	create(t, reader, "after")
	mustClose(t, reader)
	mustClose(t, db)
	after, err := os.Stat(path)
	mustSucceed(t, err)
	if after.Size() > before.Size()/2 {
		t.Errorf("the file has %d bytes, before it had %d", after.Size(), before.Size())
	}
	mustBeAlone(t, path)
	mustBeSound(t, path)
}

// What takes longer than others wait is given up.
func TestCompactGivesUp(t *testing.T) {
	t.Parallel()
	path := newWithHistory(t)
	db := open(t, path, &sqlite.Options{Patience: time.Nanosecond})
	report, err := db.Compact(background, nexus.CompactRequest{})
	mustSucceed(t, err)
	if report.NotShrunk == "" || report.BytesAfter != report.BytesBefore || report.Forgotten == 0 {
		t.Errorf("%+v", report)
	}
	checkpointsHold(t, db, 5)
	create(t, db, "after")
}

func TestCompactReadOnly(t *testing.T) {
	t.Parallel()
	path := newWithHistory(t)
	before := content(t, path)
	db := open(t, path, &sqlite.Options{ReadOnly: true})
	_, err := db.Compact(background, nexus.CompactRequest{})
	wantCode(t, err, nexus.CodeReadOnly)
	report, err := db.Compact(background, nexus.CompactRequest{DryRun: true})
	mustSucceed(t, err)
	if report.Forgotten == 0 || !report.DryRun {
		t.Errorf("%+v", report)
	}
	mustClose(t, db)
	mustBe(t, path, before)
}

// Others write and make checkpoints all the while: none of them fails, and none of the
// checkpoints loses its state.
func TestCompactWhileOthersWrite(t *testing.T) {
	t.Parallel()
	path := newWithHistory(t)
	db, other := open(t, path, nil), open(t, path, nil)
	errs := make(chan error, 3)
	var all sync.WaitGroup
	stop := make(chan struct{})
	busy := func(fn func(n int) error) {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := fn(n); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	made := 0
	busy(func(n int) error {
		name := fmt.Sprint(n)
		_, err := other.Tasks.Update(background, "t10", nexus.TaskUpdate{Name: &name})
		return err
	})
	busy(func(int) error {
		_, err := other.Checkpoint(background, nexus.CheckpointRequest{ProjectID: "first"})
		made++
		return err
	})
	for range 5 {
		_, err := db.Compact(background, nexus.CompactRequest{})
		mustSucceed(t, err)
	}
	close(stop)
	all.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	checkpointsHold(t, db, 5+made)
	list, err := db.Diagnose(background)
	if err != nil || len(list) > 0 {
		t.Errorf("Diagnose = %v, %v", list, err)
	}
}

// A row without an id, which SQLite stores if a program's own table lets it, is not in
// the way of the history.
func TestHistoryOfRowsWithoutID(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	const strict = "CREATE TABLE `agents` (\n\t`id` text PRIMARY KEY NOT NULL"
	tables := string(content(t, "testdata/drizzle.sql"))
	if !strings.Contains(tables, strict) {
		t.Fatal("the table is another one")
	}
	script(t, path, strings.Replace(tables, strict, strings.TrimSuffix(strict, " NOT NULL"), 1))
	db := open(t, path, &sqlite.Options{NoSync: true})
	mustSucceed(t, db.InTx(background, func(tx *store.Tx) error {
		_, err := tx.Exec(background, "INSERT INTO agents (type, spawned_at, last_activity_at) VALUES ('coder', 1, 1)")
		return err
	}))
	for i := range 300 {
		create(t, db, fmt.Sprint("made-", i))
	}
	_, err := db.Compact(background, nexus.CompactRequest{})
	mustSucceed(t, err)
}

// Checkpoints take what changes: of a project of 10,000 tasks, a thousand
// checkpoints with ten changes between each take at most 15 MB. NEXUS_TORTURE=1 makes
// all of them, otherwise a tenth of the tasks and a tenth of the checkpoints.
func TestCheckpointsTakeWhatChanges(t *testing.T) {
	t.Parallel()
	tasks, checkpoints, most := 1000, 100, int64(1_500_000)
	if os.Getenv("NEXUS_TORTURE") == "1" {
		tasks, checkpoints, most = 10*tasks, 10*checkpoints, 10*most
	}
	path := newPath(t)
	db := open(t, path, &sqlite.Options{NoSync: true})
	shapes[0].fill(t, db, tasks)
	mustClose(t, db)
	before, err := os.Stat(path)
	mustSucceed(t, err)
	db = open(t, path, &sqlite.Options{NoSync: true})
	for n := range checkpoints {
		for i := range 10 {
			name := fmt.Sprintf("Change %d of round %d", i, n)
			_, err := db.Tasks.Update(background, fmt.Sprintf("t%08d", 11+(n*10+i)%(tasks-11)), nexus.TaskUpdate{Name: &name})
			mustSucceed(t, err)
		}
		_, err := db.Checkpoint(background, nexus.CheckpointRequest{ProjectID: "p"})
		mustSucceed(t, err)
	}
	mustClose(t, db)
	grown, err := os.Stat(path)
	mustSucceed(t, err)
	if bytes := grown.Size() - before.Size(); bytes > most {
		t.Errorf("the file has grown by %d bytes, may by %d", bytes, most)
	}
	db = open(t, path, &sqlite.Options{NoSync: true})
	report, err := db.Compact(background, nexus.CompactRequest{})
	mustSucceed(t, err)
	if report.BytesAfter > grown.Size() {
		t.Errorf("compacting has made the file grow: %+v", report)
	}
	t.Logf("%d tasks take %d bytes; %d checkpoints with ten changes each %d more; compacted, all of it takes %d",
		tasks, before.Size(), checkpoints, grown.Size()-before.Size(), report.BytesAfter)
	some, err := db.Checkpoints.List(background, nexus.CheckpointFilter{Page: nexus.Page{Limit: 3}})
	mustSucceed(t, err)
	for _, p := range some {
		v, err := db.VerifyCheckpoint(background, p.ID)
		if err = errors.Join(err); err != nil || !v.OK {
			t.Errorf("%+v, %v", v, err)
		}
	}
}
