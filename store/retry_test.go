package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
	"github.com/seed-c8812374/nexus/storetest"
)

// TestRunTwice runs the conformance suite on a driver that does in every write
// what a driver may do in some: it undoes what the function did, and runs it
// again. A service that keeps something from the first run shows here.
func TestRunTwice(t *testing.T) {
	t.Parallel()
	template := filepath.Join(t.TempDir(), "template.db") // migrated once, not for each test
	if err := openFile(t, template, storetest.Now).Close(); err != nil {
		t.Fatal(err)
	}
	empty, err := os.ReadFile(template)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, func(t *testing.T, now func() time.Time) *store.DB {
		path := filepath.Join(t.TempDir(), "nexus.db")
		if err := os.WriteFile(path, empty, 0o600); err != nil {
			t.Fatal(err)
		}
		return store.New(twice{openFile(t, path, now)}, now, nil)
	})
}

// openFile opens a database that is closed when the test ends.
func openFile(t *testing.T, path string, now func() time.Time) *store.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path, &sqlite.Options{NoSync: true, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

// twice is a driver over an open database.
type twice struct{ *store.DB }

var errUndo = errors.New("undo")

func (d twice) WriteAnywhere(ctx context.Context, fn func(driver.Conn) error) error {
	return d.Write(ctx, fn)
}

func (d twice) WriteBeside(ctx context.Context, fn func(driver.Conn) error) error {
	return d.Write(ctx, fn)
}

func (d twice) Write(ctx context.Context, fn func(driver.Conn) error) error {
	var failed error
	err := d.InTx(ctx, func(tx *store.Tx) error {
		if failed = fn(txConn{tx}); failed != nil {
			return failed
		}
		return errUndo
	})
	if !errors.Is(err, errUndo) || failed != nil {
		return err
	}
	return d.InTx(ctx, func(tx *store.Tx) error {
		tx.Silent()
		return fn(txConn{tx})
	})
}

func (d twice) Read(ctx context.Context, fn func(driver.Conn) error) error {
	return d.Snapshot(ctx, fn)
}

func (d twice) Snapshot(ctx context.Context, fn func(driver.Conn) error) error {
	return d.View(ctx, func(tx *store.Tx) error { return fn(txConn{tx}) })
}

func (d twice) Tables(ctx context.Context) ([]string, error) {
	contract, added, err := d.DB.Tables(ctx)
	return append(contract, added...), err
}

// txConn is a connection that is a transaction.
type txConn struct{ tx *store.Tx }

func (c txConn) Exec(ctx context.Context, sql string, args ...driver.Arg) (int64, error) {
	return c.tx.Exec(ctx, sql, values(args)...)
}

func (c txConn) Query(ctx context.Context, sql string, args []driver.Arg, fn func(driver.Row) error) error {
	return c.tx.Query(ctx, sql, values(args), fn)
}

func (c txConn) Savepoint(ctx context.Context, fn func() error) error {
	return c.tx.InTx(ctx, func(*store.Tx) error { return fn() })
}

func (c txConn) Dialect() driver.Dialect { return driver.Dialect{} }

func (c txConn) Catalog(ctx context.Context) (driver.Catalog, error) { return c.tx.Catalog(ctx) }

func values(args []driver.Arg) []any {
	all := make([]any, len(args))
	for i, a := range args {
		all[i] = a.Value()
	}
	return all
}

// TestRunTwiceIsNoticed checks the test: a function that is not fit to run twice
// must show.
func TestRunTwiceIsNoticed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db, runs := store.New(twice{openFile(t, filepath.Join(t.TempDir(), "nexus.db"), storetest.Now)}, storetest.Now, nil), 0
	err := db.InTx(ctx, func(tx *store.Tx) error {
		runs++
		return tx.Agents.Create(ctx, &nexus.Agent{ID: "a"}) // CodeExists, if the first run were not undone
	})
	if err != nil || runs != 2 {
		t.Errorf("ran %d times: %v", runs, err)
	}
}
