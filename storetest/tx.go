package storetest

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var txTests = map[string]test{
	"Commit":          testCommit,
	"Error":           testTxError,
	"Panic":           testTxPanic,
	"Goexit":          testTxGoexit,
	"Nested":          testNested,
	"NestedPanic":     testNestedPanic,
	"NestedGoexit":    testNestedGoexit,
	"RefusedCallOnly": testRefusedCallOnly,
	"Canceled":        testTxCanceled,
	"CanceledNested":  testTxCanceledNested,
	"ViewReadOnly":    testViewReadOnly,
	"ViewSnapshot":    testViewSnapshot,
	"ViewPanic":       testViewPanic,
	"Isolation":       testIsolation,
}

var errStop = errors.New("stop")

// project stores a project.
func project(ctx context.Context, s *store.Services, id string) error {
	return s.Projects.Create(ctx, &nexus.Project{ID: id, Name: "n", RootPath: "/"})
}

// haveProjects fails the test unless exactly these projects are there. It also
// shows that the database still takes writes, which a transaction that was not
// ended would keep it from.
func haveProjects(t *testing.T, db *store.DB, want ...string) {
	t.Helper()
	ctx := context.Background()
	list, err := db.Projects.List(ctx, nexus.ProjectFilter{})
	must(t, err)
	var got []string
	for _, p := range list {
		got = append(got, p.ID)
	}
	same(t, got, want)
	must(t, project(ctx, &db.Services, "~probe"))
	must(t, db.Projects.Delete(ctx, "~probe"))
}

func testCommit(t *testing.T, db *store.DB) {
	ctx := t.Context()
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		must(t, project(ctx, &tx.Services, "a"))
		p, err := tx.Projects.Update(ctx, "a", nexus.ProjectUpdate{Name: new("renamed"), Revision: 1})
		must(t, err)
		read, err := tx.Projects.Get(ctx, "a")
		must(t, err)
		same(t, read, p)
		return project(ctx, &tx.Services, "b")
	}))
	haveProjects(t, db, "a", "b")
	must(t, db.InTx(ctx, func(*store.Tx) error { return nil })) // nothing to commit
}

func testTxError(t *testing.T, db *store.DB) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "a"))
	err := db.InTx(ctx, func(tx *store.Tx) error {
		must(t, project(ctx, &tx.Services, "b"))
		must(t, tx.Projects.Delete(ctx, "a"))
		return errStop
	})
	if err != errStop {
		t.Errorf("InTx returned %v, want the function's own error", err)
	}
	haveProjects(t, db, "a")
}

func testTxPanic(t *testing.T, db *store.DB) {
	ctx := t.Context()
	func() {
		defer func() { same(t, recover(), any("stop")) }()
		_ = db.InTx(ctx, func(tx *store.Tx) error {
			must(t, project(ctx, &tx.Services, "a"))
			panic("stop")
		})
	}()
	haveProjects(t, db)
}

// testTxGoexit ends the goroutine within a transaction, as t.FailNow does.
func testTxGoexit(t *testing.T, db *store.DB) {
	ctx := t.Context()
	onGoroutine(func() {
		_ = db.InTx(ctx, func(tx *store.Tx) error {
			if err := project(ctx, &tx.Services, "a"); err != nil {
				t.Error(err)
			}
			runtime.Goexit()
			return nil
		})
	})
	onGoroutine(func() {
		_ = db.View(ctx, func(*store.Tx) error { runtime.Goexit(); return nil })
	})
	haveProjects(t, db)
}

func onGoroutine(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	<-done
}

func testNested(t *testing.T, db *store.DB) {
	ctx := t.Context()
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		must(t, project(ctx, &tx.Services, "a"))
		err := tx.InTx(ctx, func(tx *store.Tx) error {
			must(t, project(ctx, &tx.Services, "b"))
			must(t, tx.InTx(ctx, func(tx *store.Tx) error { return project(ctx, &tx.Services, "c") }))
			return errStop // undoes c, too, which had succeeded
		})
		if err != errStop {
			t.Errorf("the nested InTx returned %v", err)
		}
		must(t, tx.InTx(ctx, func(tx *store.Tx) error {
			must(t, project(ctx, &tx.Services, "d"))
			_ = tx.InTx(ctx, func(tx *store.Tx) error {
				must(t, project(ctx, &tx.Services, "e"))
				return errStop
			})
			return project(ctx, &tx.Services, "f")
		}))
		return project(ctx, &tx.Services, "g")
	}))
	haveProjects(t, db, "a", "d", "f", "g")

	// The outer one takes the nested ones with it.
	err := db.InTx(ctx, func(tx *store.Tx) error {
		must(t, tx.InTx(ctx, func(tx *store.Tx) error { return project(ctx, &tx.Services, "h") }))
		return errStop
	})
	same(t, errors.Is(err, errStop), true)
	haveProjects(t, db, "a", "d", "f", "g")
}

func testNestedPanic(t *testing.T, db *store.DB) {
	ctx := t.Context()
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		must(t, project(ctx, &tx.Services, "a"))
		func() {
			defer func() { same(t, recover(), any("stop")) }()
			_ = tx.InTx(ctx, func(tx *store.Tx) error {
				must(t, project(ctx, &tx.Services, "b"))
				panic("stop")
			})
		}()
		return project(ctx, &tx.Services, "c")
	}))
	haveProjects(t, db, "a", "c")
}

func testNestedGoexit(t *testing.T, db *store.DB) {
	ctx := t.Context()
	onGoroutine(func() {
		_ = db.InTx(ctx, func(tx *store.Tx) error {
			if err := project(ctx, &tx.Services, "a"); err != nil {
				t.Error(err)
			}
			return tx.InTx(ctx, func(*store.Tx) error { runtime.Goexit(); return nil })
		})
	})
	haveProjects(t, db)
}

// testRefusedCallOnly goes on after calls that were refused: they leave nothing,
// and take nothing else with them.
func testRefusedCallOnly(t *testing.T, db *store.DB) {
	ctx := t.Context()
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		must(t, project(ctx, &tx.Services, "a"))
		refused(t, project(ctx, &tx.Services, "a"), nexus.CodeExists)
		refused(t, tx.Projects.CreateMany(ctx, []*nexus.Project{
			with(projects.minimal, "b"), with(projects.minimal, "a"),
		}), nexus.CodeExists)
		refused(t, tx.Features.Create(ctx, &nexus.Feature{ProjectID: "nobody", Name: "n"}), nexus.CodeReference)
		_, err := tx.Projects.Update(ctx, "a", nexus.ProjectUpdate{Revision: 9, Name: new("x")})
		refused(t, err, nexus.CodeStale)
		_, err = tx.Exec(ctx, "this is not SQL")
		refused(t, err, nexus.CodeInvalid)
		return project(ctx, &tx.Services, "c")
	}))
	haveProjects(t, db, "a", "c")
}

func testTxCanceled(t *testing.T, db *store.DB) {
	ctx, cancel := context.WithCancel(t.Context())
	err := db.InTx(ctx, func(tx *store.Tx) error {
		must(t, project(ctx, &tx.Services, "a"))
		cancel()
		return project(ctx, &tx.Services, "b")
	})
	refused(t, err, nexus.CodeCanceled)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not wrap the context's error", err)
	}
	haveProjects(t, db)

	// With a context that has ended, nothing runs at all.
	refused(t, project(ctx, &db.Services, "c"), nexus.CodeCanceled)
	_, err = db.Projects.List(ctx, nexus.ProjectFilter{})
	refused(t, err, nexus.CodeCanceled)
	for _, err := range db.Projects.All(ctx, nexus.ProjectFilter{}) {
		refused(t, err, nexus.CodeCanceled)
	}
	haveProjects(t, db)
}

// testTxCanceledNested ends only the context of a nested transaction: the outer
// one goes on.
func testTxCanceledNested(t *testing.T, db *store.DB) {
	ctx := t.Context()
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		must(t, project(ctx, &tx.Services, "a"))
		short, cancel := context.WithCancel(ctx)
		err := tx.InTx(short, func(tx *store.Tx) error {
			must(t, project(short, &tx.Services, "b"))
			cancel()
			return project(short, &tx.Services, "c")
		})
		refused(t, err, nexus.CodeCanceled)
		return project(ctx, &tx.Services, "d")
	}))
	haveProjects(t, db, "a", "d")
}

func testViewReadOnly(t *testing.T, db *store.DB) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "a"))
	must(t, db.View(ctx, func(tx *store.Tx) error {
		for _, write := range []string{
			"INSERT INTO agents (id, type, spawned_at, last_activity_at) VALUES ('x', 'coder', 1, 1)",
			"UPDATE projects SET name = 'x'",
			"DELETE FROM projects",
			"CREATE TABLE extra (id TEXT)",
		} {
			_, err := tx.Exec(ctx, write)
			if code := nexus.CodeOf(err); code != nexus.CodeReadOnly {
				t.Errorf("%s: got %v, want code %s", write, err, nexus.CodeReadOnly)
			}
		}
		return tx.InTx(ctx, func(tx *store.Tx) error {
			refused(t, project(ctx, &tx.Services, "b"), nexus.CodeReadOnly)
			return nil
		})
	}))
	haveProjects(t, db, "a")
	if err := db.View(ctx, func(*store.Tx) error { return errStop }); err != errStop {
		t.Errorf("View returned %v", err)
	}
}

func testViewSnapshot(t *testing.T, db *store.DB) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "a"))
	must(t, db.View(ctx, func(tx *store.Tx) error {
		before, err := tx.Projects.List(ctx, nexus.ProjectFilter{})
		must(t, err)
		must(t, project(ctx, &db.Services, "b"))
		_, err = db.Projects.Update(ctx, "a", nexus.ProjectUpdate{Name: new("renamed")})
		must(t, err)
		after, err := tx.Projects.List(ctx, nexus.ProjectFilter{})
		must(t, err)
		same(t, after, before)
		// Outside the View it is there at once.
		p, err := db.Projects.Get(ctx, "a")
		must(t, err)
		same(t, p.Name, "renamed")
		return nil
	}))
	haveProjects(t, db, "a", "b")
}

func testViewPanic(t *testing.T, db *store.DB) {
	for range 50 { // more than there are connections to lose
		func() {
			defer func() { same(t, recover(), any("stop")) }()
			_ = db.View(t.Context(), func(*store.Tx) error { panic("stop") })
		}()
	}
	haveProjects(t, db)
}

// testIsolation reads from outside what a transaction has written and not yet
// committed.
func testIsolation(t *testing.T, db *store.DB) {
	ctx := t.Context()
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		must(t, project(ctx, &tx.Services, "a"))
		_, err := db.Projects.Get(ctx, "a")
		refused(t, err, nexus.CodeNotFound)
		return nil
	}))
	haveProjects(t, db, "a")
}
