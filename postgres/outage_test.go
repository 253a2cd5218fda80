package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/pgtest"
	"github.com/seed-c8812374/nexus/postgres"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, want nexus.Code) {
	t.Helper()
	if got := nexus.CodeOf(err); got != want {
		t.Fatalf("got code %q (%v), want %q", got, err, want)
	}
}

func newProject(ctx context.Context, s *store.Services, id string) error {
	return s.Projects.Create(ctx, &nexus.Project{ID: id, Name: "n", RootPath: "/"})
}

func projectIDs(t *testing.T, db *store.DB) map[string]bool {
	t.Helper()
	stored := make(map[string]bool)
	list, err := db.Projects.List(t.Context(), nexus.ProjectFilter{})
	fatal(t, err)
	for _, p := range list {
		stored[p.ID] = true
	}
	return stored
}

// TestOutageRestart crashes and restarts the server under writers. What was
// acknowledged is there; what has failed is not, unless its outcome was said to be
// unknown; and all go on with the connections that they have.
func TestOutageRestart(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	db := openSchema(t, server.URL(), func(o *postgres.Options) { o.Patience = time.Minute })
	var wrote atomic.Int64
	var mu sync.Mutex
	outcome := make(map[string]nexus.Code)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", w, i)
				err := newProject(background, &db.Services, id)
				mu.Lock()
				outcome[id] = nexus.CodeOf(err)
				mu.Unlock()
				if code := nexus.CodeOf(err); code != "" && code != nexus.CodeUnknown && code != nexus.CodeOffline {
					t.Error(err)
				}
				if _, err := db.Projects.Count(background, nexus.ProjectFilter{}); err != nil {
					t.Error(err)
				}
				wrote.Add(1)
			}
		})
	}
	for round := range 4 {
		for before := wrote.Load(); wrote.Load() < before+100; {
			runtime.Gosched() // until the writers are at it again
		}
		fatal(t, server.Halt(round%2 == 0))
		fatal(t, server.Run())
	}
	close(stop)
	wg.Wait()
	stored := projectIDs(t, db)
	for id, code := range outcome {
		switch {
		case code == "" && !stored[id]:
			t.Errorf("project %s was acknowledged, and is not there", id)
		case code == nexus.CodeOffline && stored[id]:
			t.Errorf("project %s is there, although it was said that nothing was changed", id)
		}
	}
}

// TestOutageLong has no server for longer than patience: each call says so, and can be
// repeated when the server is back.
func TestOutageLong(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	db := openSchema(t, server.URL(), func(o *postgres.Options) { o.Patience = 200 * time.Millisecond })
	fatal(t, newProject(t.Context(), &db.Services, "a"))
	fatal(t, server.Halt(false))
	for name, call := range map[string]func() error{
		"a read":        func() error { _, err := db.Projects.Get(t.Context(), "a"); return err },
		"a view":        func() error { return db.View(t.Context(), func(tx *store.Tx) error { return listed(t.Context(), tx) }) },
		"a write":       func() error { return newProject(t.Context(), &db.Services, "b") },
		"a claim":       func() error { _, err := db.Tasks.Claim(t.Context(), nexus.ClaimRequest{AgentID: "a"}); return err },
		"a transaction": func() error { return db.InTx(t.Context(), func(tx *store.Tx) error { return listed(t.Context(), tx) }) },
		"ping":          func() error { return db.Ping(t.Context()) },
		"open":          func() error { _, err := postgres.Open(t.Context(), server.URL(), nil); return err },
	} {
		err := call()
		if nexus.CodeOf(err) != nexus.CodeOffline {
			t.Errorf("%s without a server: %v", name, err)
		}
	}
	fatal(t, server.Run())
	fatal(t, newProject(t.Context(), &db.Services, "b"))
	if got := len(projectIDs(t, db)); got != 2 {
		t.Errorf("there are %d projects", got)
	}
}

func listed(ctx context.Context, tx *store.Tx) error {
	_, err := tx.Projects.List(ctx, nexus.ProjectFilter{})
	return err
}

// TestOutageCut breaks all connections, between calls and within a transaction: what
// has not been committed is done again.
func TestOutageCut(t *testing.T) {
	t.Parallel()
	server := pgtest.URL(t)
	proxy := pgtest.NewProxy(t, server, func(_ bool, piece []byte) ([]byte, bool) { return piece, true })
	db := openSchema(t, pgtest.SchemaOf(t, proxy.URL(server)), nil)
	ctx := t.Context()
	fatal(t, newProject(ctx, &db.Services, "a"))
	proxy.Cut()
	_, err := db.Projects.Get(ctx, "a")
	fatal(t, err)
	proxy.Cut()
	fatal(t, newProject(ctx, &db.Services, "b"))
	proxy.Cut()
	fatal(t, db.View(ctx, func(tx *store.Tx) error { return listed(ctx, tx) }))

	runs := 0
	fatal(t, db.InTx(ctx, func(tx *store.Tx) error {
		if err := newProject(ctx, &tx.Services, "c"); err != nil {
			return err
		}
		if runs++; runs == 1 {
			proxy.Cut()
		}
		return newProject(ctx, &tx.Services, "d")
	}))
	if runs != 2 {
		t.Errorf("the transaction ran %d times", runs)
	}
	// A function that does not tell of the failure is run again too.
	runs = 0
	fatal(t, db.InTx(ctx, func(tx *store.Tx) error {
		if err := newProject(ctx, &tx.Services, "e"); err != nil {
			return err
		}
		if runs++; runs == 1 {
			proxy.Cut()
			_ = newProject(ctx, &tx.Services, "f")
		}
		return nil
	}))
	if got := projectIDs(t, db); runs != 2 || len(got) != 5 || got["f"] {
		t.Errorf("after %d runs there are %v", runs, got)
	}
	// A snapshot cannot go on with another connection: it would be another.
	err = db.View(ctx, func(tx *store.Tx) error {
		if err := listed(ctx, tx); err != nil {
			return err
		}
		proxy.Cut()
		return listed(ctx, tx)
	})
	wantCode(t, err, nexus.CodeOffline)
}

// loseCommit is a network that, once armed, loses a commit and with it the connection; or,
// if the commit arrives, the answer to it.
func loseCommit(armed *atomic.Bool, arrives bool) func(fromServer bool, piece []byte) ([]byte, bool) {
	var cut atomic.Bool
	return func(fromServer bool, piece []byte) ([]byte, bool) {
		switch {
		case !fromServer && bytes.Contains(piece, []byte("COMMIT\x00")) && armed.CompareAndSwap(true, false):
			cut.Store(arrives)
			if arrives {
				return piece, true
			}
			return nil, false
		case fromServer && cut.CompareAndSwap(true, false):
			return nil, false
		}
		return piece, true
	}
}

// TestOutageCommit loses the answer of a commit, or the commit itself: the caller is
// told that it is not known, and finds out with its idempotency key.
func TestOutageCommit(t *testing.T) {
	t.Parallel()
	server := pgtest.URL(t)
	for _, arrives := range []bool{true, false} {
		t.Run(fmt.Sprintf("arrives=%v", arrives), func(t *testing.T) {
			t.Parallel()
			var armed atomic.Bool
			proxy := pgtest.NewProxy(t, server, loseCommit(&armed, arrives))
			db := openSchema(t, pgtest.SchemaOf(t, proxy.URL(server)), nil)
			ctx := t.Context()
			call := func() (string, bool, error) {
				return store.Once(ctx, db, "key", "request", func(tx *store.Tx) (string, error) {
					return "done", newProject(ctx, &tx.Services, "a")
				})
			}
			armed.Store(true)
			_, _, err := call()
			wantCode(t, err, nexus.CodeUnknown)
			var e *nexus.Error
			if !errors.As(err, &e) || e.Hint == "" || e.Retryable() {
				t.Errorf("%+v", err)
			}
			got, again, err := call()
			fatal(t, err)
			if got != "done" || again != arrives {
				t.Errorf("repeated, it returned %q, again %v", got, again)
			}
			if got := projectIDs(t, db); len(got) != 1 {
				t.Errorf("there are %v", got)
			}
		})
	}
}

// TestCancelStatement ends the context of a statement that is running: the server
// stops, and the transaction that it is part of goes on.
func TestCancelStatement(t *testing.T) {
	t.Parallel()
	server := pgtest.Schema(t)
	db := openSchema(t, server, nil)
	ctx := t.Context()
	fatal(t, db.InTx(ctx, func(tx *store.Tx) error {
		if err := newProject(ctx, &tx.Services, "a"); err != nil {
			return err
		}
		short, cancel := context.WithCancel(ctx)
		go cancelWhenAsleep(t, server, cancel)
		err := tx.InTx(short, func(tx *store.Tx) error {
			if err := newProject(short, &tx.Services, "b"); err != nil {
				return err
			}
			return tx.Query(short, "SELECT pg_sleep(600), '"+t.Name()+"'", nil, func(driver.Row) error { return nil })
		})
		wantCode(t, err, nexus.CodeCanceled)
		return newProject(ctx, &tx.Services, "c")
	}))
	if got := projectIDs(t, db); !got["a"] || got["b"] || !got["c"] {
		t.Errorf("there are %v", got)
	}
}

// cancelWhenAsleep cancels when the server runs the statement of the test.
func cancelWhenAsleep(t *testing.T, server string, cancel func()) {
	defer cancel()
	conn, err := pgtest.Connect(background, server)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(background)
	for asleep := false; !asleep; {
		err := conn.QueryRow(background, `
			SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%' || $1 || '%')`,
			t.Name()).Scan(&asleep)
		if err != nil {
			t.Error(err)
			return
		}
	}
}
