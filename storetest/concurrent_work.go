package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// concurrentWorkTests are about rules that speak of several rows, which must hold
// whatever runs at the same time.
var concurrentWorkTests = map[string]timedTest{
	"Claims":       testConcurrentClaims,
	"Expiry":       testConcurrentExpiry,
	"Cycles":       testConcurrentCycles,
	"Dependencies": testConcurrentDependencies,
	"Deletes":      testConcurrentDeletes,
	"Features":     testConcurrentFeatures,
	"Log":          testConcurrentLog,
}

// testConcurrentClaims has workers take the tasks of several projects, complete,
// fail or release them, until there are none: no task is held by two, none is
// forgotten, and each is completed once.
func testConcurrentClaims(t *testing.T, db *store.DB, _ *Clock) {
	ctx := t.Context()
	const projects, each = 3, 25
	for p := range projects {
		id := fmt.Sprintf("p%d", p)
		must(t, project(ctx, &db.Services, id))
		must(t, db.Features.Create(ctx, &nexus.Feature{ID: "f" + id, ProjectID: id, Name: "n"}))
		var list []*nexus.Task
		for i := range each {
			task := &nexus.Task{ID: fmt.Sprintf("%s-%02d", id, i), ProjectID: id, FeatureID: "f" + id, Name: "n", MaxAttempts: 1000}
			if i >= 5 { // each waits for two others
				task.DependsOn = []string{fmt.Sprintf("%s-%02d", id, i-5), fmt.Sprintf("%s-%02d", id, i-3)}
			}
			list = append(list, task)
		}
		must(t, db.Tasks.CreateMany(ctx, list))
	}
	var mu sync.Mutex
	holder := make(map[string]int)
	completed := make(map[string]int)
	together(func(w int) {
		for round := 0; ; round++ {
			claims, err := db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: fmt.Sprintf("agent-%d", w), Count: 1 + w%2})
			if err != nil {
				t.Error(err)
				return
			}
			if len(claims) == 0 {
				open, err := db.Tasks.Count(ctx, nexus.TaskFilter{Status: []nexus.TaskStatus{nexus.TaskPending, nexus.TaskInProgress}})
				if err != nil {
					t.Error(err)
				}
				if open == 0 || err != nil {
					return
				}
				continue
			}
			for i, c := range claims {
				mu.Lock()
				if other, held := holder[c.TaskID]; held {
					t.Errorf("task %s is held by %d and %d", c.TaskID, other, w)
				}
				holder[c.TaskID] = w
				mu.Unlock()
				if _, err := db.Tasks.Heartbeat(ctx, c.TaskID, c.Epoch, 0); err != nil {
					t.Error(err)
				}
				mu.Lock()
				delete(holder, c.TaskID) // before it is given up
				mu.Unlock()
				switch (w + round + i) % 4 {
				case 0:
					_, err = db.Tasks.Release(ctx, c.TaskID, c.Epoch, "")
				case 1:
					_, err = db.Tasks.Fail(ctx, c.TaskID, c.Epoch, store.Failure{})
				default:
					if _, err = db.Tasks.Complete(ctx, c.TaskID, c.Epoch, nexus.Evidence{}); err == nil {
						mu.Lock()
						completed[c.TaskID]++
						mu.Unlock()
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
		}
	})
	if len(completed) != projects*each {
		t.Errorf("%d of %d tasks were completed", len(completed), projects*each)
	}
	for id, n := range completed {
		if n != 1 {
			t.Errorf("task %s was completed %d times", id, n)
		}
	}
	for p := range projects {
		f, err := db.Features.Get(ctx, fmt.Sprintf("fp%d", p))
		must(t, err)
		same(t, []any{f.Status, f.CompletedTasks}, []any{nexus.FeatureDone, each})
	}
}

// testConcurrentExpiry lets leases end while those who hold them come back: of all
// that want the task, one has it, and each of the others is told so.
func testConcurrentExpiry(t *testing.T, db *store.DB, clock *Clock) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "p"))
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "it", ProjectID: "p", Name: "n", MaxAttempts: 1000}))
	claims, err := db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: "first"})
	must(t, err)
	for range 10 {
		clock.Move(nexus.DefaultLease + time.Second)
		var mu sync.Mutex
		var won []nexus.Claim
		extended := false
		together(func(w int) {
			if w == 0 {
				_, err := db.Tasks.Heartbeat(ctx, "it", claims[0].Epoch, 0)
				if code := nexus.CodeOf(err); code != "" && code != nexus.CodeFenced {
					t.Error(err)
				}
				mu.Lock()
				extended = err == nil
				mu.Unlock()
				return
			}
			got, err := db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: fmt.Sprintf("agent-%d", w)})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			won = append(won, got...)
			mu.Unlock()
		})
		switch {
		case extended && len(won) == 0:
		case !extended && len(won) == 1:
			claims = won
		default:
			t.Fatalf("it was extended: %v; %d have claimed it", extended, len(won))
		}
	}
	attempts, err := db.Tasks.Attempts(ctx, "it")
	must(t, err)
	open := 0
	for _, a := range attempts {
		if a.EndedAt.IsZero() {
			open++
		}
	}
	same(t, open, 1)
}

// testConcurrentCycles has pairs of tasks depend on each other at the same moment: at
// most one of the two succeeds.
func testConcurrentCycles(t *testing.T, db *store.DB, _ *Clock) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "p"))
	for round := range 10 {
		id := func(w int) string { return fmt.Sprintf("%d-%02d", round, w) }
		for w := range writers {
			must(t, db.Tasks.Create(ctx, &nexus.Task{ID: id(w), ProjectID: "p", Name: "n"}))
		}
		together(func(w int) { // all in a circle, and each pair both ways
			for _, on := range []string{id((w + 1) % writers), id(w ^ 1)} {
				_, err := db.Tasks.Update(ctx, id(w), nexus.TaskUpdate{AddDependsOn: []string{on}})
				if code := nexus.CodeOf(err); code != "" && code != nexus.CodeInvalid {
					t.Error(err)
				}
			}
		})
	}
	findings, err := db.Diagnose(ctx)
	must(t, err)
	same(t, len(findings), 0)
}

// testConcurrentDependencies completes and reopens tasks while others begin to depend
// on them: what waits for how many is right in the end; see checkHealth.
func testConcurrentDependencies(t *testing.T, db *store.DB, _ *Clock) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "p"))
	const on = 4
	for i := range on {
		must(t, db.Tasks.Create(ctx, &nexus.Task{ID: fmt.Sprintf("on-%d", i), ProjectID: "p", Name: "n"}))
	}
	together(func(w int) {
		for i := range 10 {
			id := fmt.Sprintf("on-%d", (w+i)%on)
			var err error
			switch w % 4 {
			case 0:
				_, err = db.Tasks.Complete(ctx, id, nexus.AnyEpoch, nexus.Evidence{})
			case 1:
				_, err = db.Tasks.Reopen(ctx, id, "")
			case 2:
				err = db.Tasks.Create(ctx, &nexus.Task{ID: fmt.Sprintf("w-%02d-%d", w, i), ProjectID: "p", Name: "n", DependsOn: []string{id}})
			default: // as another program does
				err = db.InTx(ctx, func(tx *store.Tx) error {
					_, err := tx.Exec(ctx, "UPDATE tasks SET status = $1 WHERE id = $2", []string{"pending", "completed"}[i%2], id)
					return err
				})
			}
			switch nexus.CodeOf(err) {
			case "", nexus.CodeTransition:
			default:
				t.Error(err)
			}
		}
	})
	derivedAreRight(t, db)
}

// testConcurrentDeletes deletes tasks on which others begin to depend: a task is gone,
// or another depends on it, never both.
func testConcurrentDeletes(t *testing.T, db *store.DB, _ *Clock) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "p"))
	id := func(kind string, n int) string { return fmt.Sprintf("%s-%02d", kind, n) }
	for n := range writers / 2 {
		must(t, db.Tasks.Create(ctx, &nexus.Task{ID: id("on", n), ProjectID: "p", Name: "n"}))
	}
	together(func(w int) {
		n := w / 2
		if w%2 == 0 {
			err := db.Tasks.Delete(ctx, id("on", n))
			if code := nexus.CodeOf(err); code != "" && code != nexus.CodeInUse {
				t.Error(err)
			}
			return
		}
		err := db.Tasks.Create(ctx, &nexus.Task{ID: id("it", n), ProjectID: "p", Name: "n", DependsOn: []string{id("on", n)}})
		if code := nexus.CodeOf(err); code != "" && code != nexus.CodeReference {
			t.Error(err)
		}
	})
	findings, err := db.Diagnose(ctx)
	must(t, err)
	same(t, len(findings), 0)
}

// testConcurrentFeatures adds, completes and deletes tasks of one feature.
func testConcurrentFeatures(t *testing.T, db *store.DB, _ *Clock) {
	ctx := t.Context()
	seed(t, db, nexus.KindTask)
	together(func(w int) {
		for i := range 5 {
			task := &nexus.Task{ID: fmt.Sprintf("%02d-%d", w, i), ProjectID: "p1", FeatureID: "f1", SubFeatureID: "u1", Name: "n"}
			err := db.Tasks.Create(ctx, task)
			if err == nil && i%2 == 0 {
				_, err = db.Tasks.Complete(ctx, task.ID, nexus.AnyEpoch, nexus.Evidence{})
			}
			if err == nil && i%3 == 0 {
				err = db.Tasks.Delete(ctx, task.ID)
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	derivedAreRight(t, db)
}

// testConcurrentLog appends to one log: its numbers have no gap and no two are the
// same; and calls with one idempotency key are done once.
func testConcurrentLog(t *testing.T, db *store.DB, _ *Clock) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "p"))
	must(t, db.Sessions.Create(ctx, &nexus.Session{ID: "s", ProjectID: "p", Type: nexus.SessionPlanning}))
	const each = 5
	var mu sync.Mutex
	done := 0
	together(func(w int) {
		for i := range each {
			key := fmt.Sprintf("%d-%d", w/2, i) // which another has, too
			n, again, err := store.Once(ctx, db, key, key, func(tx *store.Tx) (int64, error) {
				e := &nexus.SessionEntry{Kind: nexus.EntryNote, Text: key}
				err := tx.Sessions.Append(ctx, "s", e)
				return e.Number, err
			})
			if err != nil || n == 0 {
				t.Error(errors.Join(err, fmt.Errorf("entry %d", n)))
			}
			if !again {
				mu.Lock()
				done++
				mu.Unlock()
			}
		}
	})
	log, err := db.Sessions.Log(ctx, "s", nexus.SessionLogFilter{})
	must(t, err)
	same(t, []int{len(log), done}, []int{writers / 2 * each, writers / 2 * each})
	for i, e := range log {
		same(t, e.Number, int64(i+1))
	}
}
