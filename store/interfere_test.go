package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
	"github.com/seed-c8812374/nexus/storetest"
)

// interfered is a driver that undoes what a write did, lets something else happen,
// and runs it again: what a driver does when another program was faster. Nothing
// of the first run may show in what the second returns.
type interfered struct {
	*store.DB
	meanwhile *func(*store.DB) // happens once; nil is nothing
}

func (d interfered) WriteAnywhere(ctx context.Context, fn func(driver.Conn) error) error {
	return d.Write(ctx, fn)
}

func (d interfered) WriteBeside(ctx context.Context, fn func(driver.Conn) error) error {
	return d.Write(ctx, fn)
}

func (d interfered) Write(ctx context.Context, fn func(driver.Conn) error) error {
	if *d.meanwhile != nil {
		other := *d.meanwhile
		*d.meanwhile = nil
		undone := d.InTx(ctx, func(tx *store.Tx) error {
			if err := fn(txConn{tx}); err != nil {
				return err
			}
			return errUndo
		})
		other(d.DB)
		if !errors.Is(undone, errUndo) && undone != nil {
			return undone // it has failed, and is not run again
		}
	}
	return d.InTx(ctx, func(tx *store.Tx) error { return fn(txConn{tx}) })
}

func (d interfered) Read(ctx context.Context, fn func(driver.Conn) error) error {
	return d.Snapshot(ctx, fn)
}

func (d interfered) Snapshot(ctx context.Context, fn func(driver.Conn) error) error {
	return d.View(ctx, func(tx *store.Tx) error { return fn(txConn{tx}) })
}

func (d interfered) Tables(ctx context.Context) ([]string, error) {
	contract, added, err := d.DB.Tables(ctx)
	return append(contract, added...), err
}

// TestOvertaken makes every call of the work loop twice, with another agent's step
// in between, and expects what it would return if it had come second.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	take := func(db *store.DB) { // the task that was a's becomes b's
		_, err := db.Tasks.Release(ctx, "it", nexus.AnyEpoch, "")
		fatal(t, err)
		_, err = db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: "b", TaskID: "it"})
		fatal(t, err)
	}
	takeFree := func(db *store.DB) {
		_, err := db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: "b", Count: 10})
		fatal(t, err)
	}
	remove := func(db *store.DB) { fatal(t, db.Tasks.Delete(ctx, "it")) }
	never := func(*store.DB) {}
	// A call returns what it returned, in any form, and its error.
	type call func(db *store.DB, epoch int64) (any, error)
	task := func(got *nexus.Task, err error) (any, error) {
		if got == nil {
			return nil, err
		}
		return got.Status, err
	}
	attempt := func(got *nexus.Attempt, err error) (any, error) {
		if got == nil {
			return nil, err
		}
		return got.AgentID, err
	}
	for name, c := range map[string]struct {
		meanwhile func(*store.DB)
		call      call
		want      any
		code      nexus.Code
	}{
		"claim, nothing left": {takeFree, func(db *store.DB, _ int64) (any, error) {
			claims, err := db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: "c", Count: 10})
			return len(claims), err
		}, 0, ""},
		"claim, less left": {func(db *store.DB) {
			_, err := db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: "b"})
			fatal(t, err)
		}, func(db *store.DB, _ int64) (any, error) {
			claims, err := db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: "c", Count: 10})
			return len(claims), err
		}, 1, ""},
		"claim by id": {takeFree, func(db *store.DB, _ int64) (any, error) {
			claims, err := db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: "c", TaskID: "free"})
			return len(claims), err
		}, 0, nexus.CodeNotReady},
		"heartbeat": {take, func(db *store.DB, epoch int64) (any, error) {
			return attempt(db.Tasks.Heartbeat(ctx, "it", epoch, 0))
		}, nil, nexus.CodeFenced},
		"progress": {take, func(db *store.DB, epoch int64) (any, error) {
			return attempt(db.Tasks.Progress(ctx, "it", epoch, nexus.Progress{}))
		}, nil, nexus.CodeFenced},
		"complete": {take, func(db *store.DB, epoch int64) (any, error) {
			return task(db.Tasks.Complete(ctx, "it", epoch, nexus.Evidence{}))
		}, nil, nexus.CodeFenced},
		"complete, deleted": {remove, func(db *store.DB, epoch int64) (any, error) {
			return task(db.Tasks.Complete(ctx, "it", epoch, nexus.Evidence{}))
		}, nil, nexus.CodeNotFound},
		"complete, undisturbed": {never, func(db *store.DB, epoch int64) (any, error) {
			return task(db.Tasks.Complete(ctx, "it", epoch, nexus.Evidence{}))
		}, nexus.TaskCompleted, ""},
		"fail": {take, func(db *store.DB, epoch int64) (any, error) {
			return task(db.Tasks.Fail(ctx, "it", epoch, store.Failure{}))
		}, nil, nexus.CodeFenced},
		"release, which is so by now": {take, func(db *store.DB, epoch int64) (any, error) {
			return task(db.Tasks.Release(ctx, "it", epoch, ""))
		}, nexus.TaskInProgress, ""},
		"qa": {take, func(db *store.DB, epoch int64) (any, error) {
			return task(db.Tasks.QA(ctx, "it", epoch, ""))
		}, nil, nexus.CodeFenced},
		"reopen": {take, func(db *store.DB, _ int64) (any, error) {
			return task(db.Tasks.Reopen(ctx, "it", ""))
		}, nil, nexus.CodeFenced},
		"recover": {take, func(db *store.DB, _ int64) (any, error) {
			report, err := db.Recover(ctx, nexus.RecoverRequest{AgentIDs: []string{"a"}})
			return len(report.Tasks), err
		}, 0, ""},
		"recover, dry": {take, func(db *store.DB, _ int64) (any, error) {
			report, err := db.Recover(ctx, nexus.RecoverRequest{AgentIDs: []string{"a"}, DryRun: true})
			return len(report.Tasks), err
		}, 1, ""}, // a dry run is undone and not run again
		"terminate": {func(db *store.DB) { fatal(t, db.Agents.Delete(ctx, "a")) }, func(db *store.DB, _ int64) (any, error) {
			agent, err := db.Agents.Terminate(ctx, "a", "")
			return agent != nil, err
		}, false, nexus.CodeNotFound},
		"register": {func(db *store.DB) {
			_, err := db.Agents.Register(ctx, nexus.Agent{ID: "new", Type: nexus.AgentTester})
			fatal(t, err)
		}, func(db *store.DB, _ int64) (any, error) {
			agent, err := db.Agents.Register(ctx, nexus.Agent{ID: "new"})
			return agent.Type, err
		}, nexus.AgentTester, ""},
		"once": {func(db *store.DB) {
			_, _, err := store.Once(ctx, db, "k", "r", func(*store.Tx) ([]int, error) { return []int{7}, nil })
			fatal(t, err)
		}, func(db *store.DB, _ int64) (any, error) {
			got, again, err := store.Once(ctx, db, "k", "r", func(*store.Tx) ([]int, error) { return []int{1, 2, 3}, nil })
			return []any{got, again}, err
		}, []any{[]int{7}, true}, ""},
		"once, of another": {func(db *store.DB) {
			_, _, err := store.Once(ctx, db, "k", "another", func(*store.Tx) (int, error) { return 7, nil })
			fatal(t, err)
		}, func(db *store.DB, _ int64) (any, error) {
			got, again, err := store.Once(ctx, db, "k", "r", func(*store.Tx) (int, error) { return 1, nil })
			return []any{got, again}, err
		}, []any{0, false}, nexus.CodeKeyReused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var meanwhile func(*store.DB)
			db := store.New(interfered{openFile(t, filepath.Join(t.TempDir(), "nexus.db"), storetest.Now), &meanwhile}, storetest.Now, nil)
			fatal(t, db.Projects.Create(ctx, &nexus.Project{ID: "p", Name: "n", RootPath: "/"}))
			fatal(t, db.Tasks.Create(ctx, &nexus.Task{ID: "it", ProjectID: "p", Name: "n"}))
			claims, err := db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: "a", Lease: time.Hour})
			fatal(t, err)
			fatal(t, db.Tasks.CreateMany(ctx, []*nexus.Task{{ID: "free", ProjectID: "p", Name: "n"}, {ID: "free too", ProjectID: "p", Name: "n"}}))

			meanwhile = c.meanwhile
			got, err := c.call(db, claims[0].Epoch)
			if nexus.CodeOf(err) != c.code {
				t.Fatalf("got %v, want code %q", err, c.code)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("it returned (-want +got):\n%s", diff)
			}
			if meanwhile != nil {
				t.Error("nothing has interfered")
			}
		})
	}
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
