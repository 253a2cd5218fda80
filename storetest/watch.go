package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var watchTests = map[string]timedTest{
	"Writers":  testWatchWriters,
	"Restarts": testWatchRestarts,
	"Filter":   testWatchFilter,
	"Ends":     testWatchEnds,
	"Refusals": testWatchRefusals,
}

// testWatchWriters watches while many write, some of it rolled back, and expects each
// change once and in order, those of a transaction with its operation.
func testWatchWriters(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	after := u.next() - 1
	const each = 10
	wanted := writers * each * 2
	enough := errors.New("enough")
	var got []nexus.Change
	ended := make(chan error, 1)
	go func() {
		ended <- db.Watch(u.ctx, after, nexus.HistoryFilter{}, func(c *nexus.Change) error {
			if got = append(got, *c); len(got) == wanted {
				return enough
			}
			return nil
		})
	}()
	together(func(w int) {
		ctx := store.WithActor(u.ctx, fmt.Sprint("a", w))
		for i := range each {
			err := db.InTx(ctx, func(tx *store.Tx) error {
				id := fmt.Sprintf("p-w%d-%d", w, i)
				if err := tx.Tasks.Create(ctx, &nexus.Task{ID: id, ProjectID: "p", Name: "n"}); err != nil {
					return err
				}
				_, err := tx.Tasks.Update(ctx, id, nexus.TaskUpdate{Name: new("m")})
				return err
			})
			if err != nil {
				t.Error(err)
			}
			_ = db.InTx(ctx, func(tx *store.Tx) error { // leaves nothing
				_, err := tx.Tasks.Update(ctx, "p-t1", nexus.TaskUpdate{Name: new("rolled back")})
				return errors.Join(err, enough)
			})
		}
	})
	if err := <-ended; !errors.Is(err, enough) {
		t.Fatal(err)
	}
	all, err := db.History(u.ctx, nexus.HistoryFilter{After: after})
	must(t, err)
	same(t, seqs(got), seqs(all))
	for i := range got {
		if got[i].Name != "task create" || got[i].Actor == "" {
			t.Errorf("change %d was seen without who made it: %+v", got[i].Seq, got[i])
		}
	}
}

// testWatchRestarts ends after every change, and goes on with the last number.
func testWatchRestarts(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	for i := range 300 {
		_, err := db.Tasks.Update(u.ctx, "p-t1", nexus.TaskUpdate{Name: new(fmt.Sprint(i))})
		must(t, err)
	}
	all, err := db.History(u.ctx, nexus.HistoryFilter{})
	must(t, err)
	var got []int64
	after, stop := int64(0), errors.New("stop")
	for n := 1; len(got) < len(all); n += 40 {
		left := min(n, len(all)-len(got))
		err := db.Watch(u.ctx, after, nexus.HistoryFilter{}, func(c *nexus.Change) error {
			got, after = append(got, c.Seq), c.Seq
			if left--; left == 0 {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) {
			t.Fatal(err)
		}
	}
	same(t, got, seqs(all))
}

// testWatchFilter also writes from within the call.
func testWatchFilter(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	stop := errors.New("stop")
	var ids []string
	err := db.Watch(u.ctx, 0, nexus.HistoryFilter{Kind: nexus.KindTask, ProjectID: "p"}, func(c *nexus.Change) error {
		ids = append(ids, c.ID)
		switch len(ids) {
		case 1:
			must(t, project(u.ctx, &db.Services, "q"))
			return db.Tasks.Create(u.ctx, &nexus.Task{ID: "q-t1", ProjectID: "q", Name: "q"})
		case 2:
			return db.Tasks.Create(u.ctx, &nexus.Task{ID: "p-t9", ProjectID: "p", Name: "p"})
		case 3:
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	same(t, ids, []string{"p-t1", "p-t2", "p-t9"})
}

func testWatchEnds(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	ctx, cancel := context.WithCancel(u.ctx)
	calls := 0
	must(t, db.Watch(ctx, 0, nexus.HistoryFilter{}, func(*nexus.Change) error {
		if calls++; calls == 3 {
			cancel()
		}
		return nil
	}))
	same(t, calls, 3)
	must(t, db.Watch(ctx, 0, nexus.HistoryFilter{}, func(*nexus.Change) error {
		t.Error("called after the end")
		return nil
	}))
}

func testWatchRefusals(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	never := func(*nexus.Change) error {
		t.Error("called")
		return nil
	}
	for _, after := range []int64{-1, u.next() + 3} {
		refused(t, db.Watch(u.ctx, after, nexus.HistoryFilter{}, never), nexus.CodeNotFound)
	}
	refused(t, db.Watch(u.ctx, 0, nexus.HistoryFilter{Kind: nexus.KindMetric}, never), nexus.CodeInvalid)
}
