package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var concurrencyTests = map[string]test{
	"Creates":      testConcurrentCreates,
	"Revisions":    testConcurrentRevisions,
	"Transactions": testConcurrentTransactions,
	"Outcomes":     testConcurrentOutcomes,
	"Upserts":      testConcurrentUpserts,
	"Snapshots":    testConcurrentSnapshots,
	"Close":        testConcurrentClose,
}

// writers is how many goroutines write at the same time.
const writers = 32

// together runs fn on as many goroutines as there are writers.
func together(fn func(writer int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range writers {
		wg.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	wg.Wait()
}

// testConcurrentCreates checks that what was acknowledged is there, as it was
// given, and nothing else.
func testConcurrentCreates(t *testing.T, db *store.DB) {
	ctx := t.Context()
	seed(t, db, nexus.KindTask)
	const each = 20
	acknowledged := make([][]nexus.Task, writers)
	together(func(w int) {
		for i := range each {
			task := nexus.Task{ProjectID: "p1", Name: fmt.Sprintf("%d/%d", w, i)}
			if err := db.Tasks.Create(ctx, &task); err != nil {
				t.Error(err)
				return
			}
			updated, err := db.Tasks.Update(ctx, task.ID, nexus.TaskUpdate{Description: &task.Name, Revision: 1})
			if err != nil {
				t.Error(err)
				return
			}
			acknowledged[w] = append(acknowledged[w], *updated)
		}
	})
	stored := make(map[string]nexus.Task)
	for task, err := range db.Tasks.All(ctx, nexus.TaskFilter{}) {
		must(t, err)
		stored[task.ID] = *task
	}
	same(t, len(stored), writers*each)
	for _, tasks := range acknowledged {
		for _, task := range tasks {
			same(t, stored[task.ID], task)
		}
	}
}

// testConcurrentRevisions lets all writers change the same row, in rounds, each
// based on the revision that the round before has left: one wins, and the others
// are shown what the winner has made of it.
func testConcurrentRevisions(t *testing.T, db *store.DB) {
	ctx := t.Context()
	must(t, db.Agents.Create(ctx, &nexus.Agent{ID: "it"}))
	const rounds = 15
	for revision := int64(1); revision <= rounds; revision++ {
		var winners atomic.Int64
		together(func(w int) {
			update := nexus.AgentUpdate{Revision: revision, TokensUsed: new(revision*writers + int64(w))}
			a, err := db.Agents.Update(ctx, "it", update)
			var e *nexus.Error
			switch {
			case err == nil:
				winners.Add(1)
				if a.Revision != revision+1 || a.TokensUsed != *update.TokensUsed {
					t.Errorf("the winner of revision %d got %+v", revision, a)
				}
			case nexus.CodeOf(err) != nexus.CodeStale:
				t.Error(err)
			case errors.As(err, &e) && e.Stored.(*nexus.Agent).Revision != revision+1:
				t.Errorf("the refusal of revision %d shows %+v", revision, e.Stored)
			}
		})
		same(t, winners.Load(), int64(1))
	}
	a, err := db.Agents.Get(ctx, "it")
	must(t, err)
	same(t, a.Revision, int64(rounds+1))
}

// testConcurrentTransactions counts in transactions, without revisions: none of
// them may read what another is about to replace.
func testConcurrentTransactions(t *testing.T, db *store.DB) {
	ctx := t.Context()
	must(t, db.Agents.Create(ctx, &nexus.Agent{ID: "it"}))
	const each = 15
	together(func(int) {
		for range each {
			err := db.InTx(ctx, func(tx *store.Tx) error {
				a, err := tx.Agents.Get(ctx, "it")
				if err != nil {
					return err
				}
				_, err = tx.Agents.Update(ctx, "it", nexus.AgentUpdate{TokensUsed: new(a.TokensUsed + 1)})
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	a, err := db.Agents.Get(ctx, "it")
	must(t, err)
	same(t, a.TokensUsed, int64(writers*each))
}

// testConcurrentOutcomes mixes writes that succeed with ones that fail in every
// way there is. Writes may share a commit; their fates they must not share. An
// error means that nothing was changed, and no error that everything was.
func testConcurrentOutcomes(t *testing.T, db *store.DB) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "taken"))
	const each = 20
	var mu sync.Mutex
	wrote := make(map[string]bool) // whether the write of this id succeeded
	together(func(w int) {
		for i := range each {
			id := fmt.Sprintf("%02d-%02d", w, i)
			succeeded := outcome(ctx, t, db, w+i, id)
			mu.Lock()
			wrote[id] = succeeded
			mu.Unlock()
		}
	})
	stored := make(map[string]bool)
	for p, err := range db.Projects.All(ctx, nexus.ProjectFilter{}) {
		must(t, err)
		stored[p.ID] = true
	}
	for id, want := range wrote {
		for _, half := range []string{id + "-1", id + "-2"} {
			if stored[half] != want {
				t.Errorf("project %s: stored is %v, acknowledged is %v", half, stored[half], want)
			}
		}
	}
}

// outcome writes two projects in one transaction that ends in one of several
// ways, and reports whether it succeeded.
func outcome(ctx context.Context, t *testing.T, db *store.DB, way int, id string) (succeeded bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var want nexus.Code
	defer func() {
		if r := recover(); r != nil && r != any("stop") {
			panic(r)
		}
	}()
	err := db.InTx(ctx, func(tx *store.Tx) error {
		if err := project(ctx, &tx.Services, id+"-1"); err != nil {
			return err
		}
		switch way % 6 {
		case 1:
			return errStop
		case 2:
			panic("stop")
		case 3:
			return project(ctx, &tx.Services, "taken")
		case 4:
			cancel()
		case 5: // a part fails, the rest goes on
			_ = tx.InTx(ctx, func(tx *store.Tx) error { return project(ctx, &tx.Services, "taken") })
		}
		return project(ctx, &tx.Services, id+"-2")
	})
	switch way % 6 {
	case 1:
		want = nexus.CodeInternal // not an Error at all
	case 3:
		want = nexus.CodeExists
	case 4:
		want = nexus.CodeCanceled
	}
	if got := nexus.CodeOf(err); got != want {
		t.Errorf("way %d: got %v, want code %q", way%6, err, want)
	}
	return err == nil
}

// testConcurrentUpserts lets all writers upsert the same ids: each is created
// once.
func testConcurrentUpserts(t *testing.T, db *store.DB) {
	ctx := t.Context()
	const ids = 10
	var mu sync.Mutex
	created := make(map[string]int)
	together(func(w int) {
		for i := range ids {
			a := nexus.Agent{ID: fmt.Sprint(i), TokensUsed: int64(w + 1)}
			isNew, err := db.Agents.Upsert(ctx, &a)
			if err != nil {
				t.Error(err)
			}
			if isNew {
				mu.Lock()
				created[a.ID]++
				mu.Unlock()
			}
		}
	})
	list, err := db.Agents.List(ctx, nexus.AgentFilter{})
	must(t, err)
	same(t, len(list), ids)
	for _, a := range list {
		if created[a.ID] != 1 || a.Revision != writers {
			t.Errorf("agent %s was created %d times and is at revision %d", a.ID, created[a.ID], a.Revision)
		}
	}
}

// testConcurrentSnapshots moves tokens between two agents while others look: in
// a View the sum is always the same.
func testConcurrentSnapshots(t *testing.T, db *store.DB) {
	ctx := t.Context()
	const sum = 1000
	must(t, db.Agents.Create(ctx, &nexus.Agent{ID: "a", TokensUsed: sum}))
	must(t, db.Agents.Create(ctx, &nexus.Agent{ID: "b"}))
	move := func(tx *store.Tx) error {
		a, err := tx.Agents.Get(ctx, "a")
		if err != nil {
			return err
		}
		b, err := tx.Agents.Get(ctx, "b")
		if err != nil {
			return err
		}
		if _, err := tx.Agents.Update(ctx, "a", nexus.AgentUpdate{TokensUsed: new(a.TokensUsed - 1)}); err != nil {
			return err
		}
		_, err = tx.Agents.Update(ctx, "b", nexus.AgentUpdate{TokensUsed: new(b.TokensUsed + 1)})
		return err
	}
	together(func(w int) {
		for range 20 {
			if w%2 == 0 {
				if err := db.InTx(ctx, move); err != nil {
					t.Error(err)
				}
				continue
			}
			err := db.View(ctx, func(tx *store.Tx) error {
				a, err := tx.Agents.Get(ctx, "a")
				if err != nil {
					return err
				}
				b, err := tx.Agents.Get(ctx, "b")
				if err == nil && a.TokensUsed+b.TokensUsed != sum {
					t.Errorf("a View sees %d and %d", a.TokensUsed, b.TokensUsed)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
}

// testConcurrentClose closes the database under the writers: each call succeeds
// or says that it is closed.
func testConcurrentClose(t *testing.T, db *store.DB) {
	ctx := t.Context()
	together(func(w int) {
		for i := range 10 {
			if w == 0 && i == 5 {
				if err := db.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			err := project(ctx, &db.Services, fmt.Sprintf("%d-%d", w, i))
			if code := nexus.CodeOf(err); code != "" && code != nexus.CodeClosed {
				t.Error(err)
			}
			_, err = db.Projects.Count(ctx, nexus.ProjectFilter{})
			if code := nexus.CodeOf(err); code != "" && code != nexus.CodeClosed {
				t.Error(err)
			}
		}
	})
	refused(t, project(ctx, &db.Services, "late"), nexus.CodeClosed)
}
