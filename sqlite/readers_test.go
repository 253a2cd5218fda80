package sqlite_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Readers neither wait for a write nor see it before it is committed.
func TestReadDuringAWrite(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	db := open(t, path, nil)
	other := open(t, path, nil)
	create(t, db, "old")
	withoutHanging(t, func() {
		err := db.InTx(background, func(tx *store.Tx) error {
			if err := tx.Projects.Create(background, project("new")); err != nil {
				return err
			}
			for _, reader := range []*store.DB{db, other} {
				if ids := projectIDs(t, reader); len(ids) != 1 || !ids["old"] {
					t.Errorf("a reader sees %v", ids)
				}
			}
			// The transaction sees what it has done.
			if _, err := tx.Projects.Get(background, "new"); err != nil {
				t.Error(err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	for _, reader := range []*store.DB{db, other} {
		if ids := projectIDs(t, reader); len(ids) != 2 {
			t.Errorf("after the commit a reader sees %v", ids)
		}
	}
}

// All that a View reads is of one moment, also across its calls.
func TestViewIsASnapshot(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), nil)
	create(t, db, "old")
	err := db.View(background, func(tx *store.Tx) error {
		if n, err := tx.Projects.Count(background, nexus.ProjectFilter{}); n != 1 || err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
		create(t, db, "new")
		if n, err := tx.Projects.Count(background, nexus.ProjectFilter{}); n != 1 || err != nil {
			t.Errorf("after a write %d rows, %v", n, err)
		}
		if n, err := db.Projects.Count(background, nexus.ProjectFilter{}); n != 2 || err != nil {
			t.Errorf("outside of the view %d rows, %v", n, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Transfers between two rows keep their sum, and no View ever sees another.
func TestViewSeesNoHalfOfAWrite(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), nil)
	if _, err := execute(db, "CREATE TABLE account (id INTEGER PRIMARY KEY, amount INTEGER)"); err != nil {
		t.Fatal(err)
	}
	if _, err := execute(db, "INSERT INTO account VALUES (1, 500), (2, 500)"); err != nil {
		t.Fatal(err)
	}
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for g := range 4 {
		writers.Go(func() {
			for n := range 100 {
				err := db.InTx(background, func(tx *store.Tx) error {
					amount := int64(g + n%7)
					if _, err := tx.Exec(background, "UPDATE account SET amount = amount - $1 WHERE id = 1", amount); err != nil {
						return err
					}
					_, err := tx.Exec(background, "UPDATE account SET amount = amount + $1 WHERE id = 2", amount)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				err := db.View(background, func(tx *store.Tx) error {
					first, err := one(tx, "SELECT amount FROM account WHERE id = 1")
					if err != nil {
						return err
					}
					sum, err := one(tx, "SELECT $1 + amount FROM account WHERE id = 2", first)
					if sum != "1000" {
						t.Errorf("a view sees a sum of %s", sum)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

// Each connection that reads enforces foreign keys and refuses writes, not only
// the first.
func TestEveryReaderConnection(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), nil)
	const n = 40 // more than are kept
	for range 2 {
		var inside, all sync.WaitGroup
		inside.Add(n)
		for i := range n {
			all.Go(func() {
				err := db.View(background, func(tx *store.Tx) error {
					inside.Done()
					inside.Wait() // all of them at once
					for pragma, want := range map[string]string{"foreign_keys": "1", "query_only": "1", "journal_mode": "wal"} {
						if got, err := one(tx, "PRAGMA "+pragma); got != want || err != nil {
							t.Errorf("%s = %s, %v", pragma, got, err)
						}
					}
					return tx.Projects.Create(background, project(fmt.Sprint(i)))
				})
				wantWriteRefused(t, err)
			})
		}
		all.Wait()
	}
	err := db.InTx(background, func(tx *store.Tx) error {
		for pragma, want := range map[string]string{"foreign_keys": "1", "query_only": "0", "synchronous": "2"} {
			if got, err := one(tx, "PRAGMA "+pragma); got != want || err != nil {
				t.Errorf("of the writer: %s = %s, %v", pragma, got, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func wantWriteRefused(t testing.TB, err error) {
	t.Helper()
	if nexus.CodeOf(err) != nexus.CodeReadOnly {
		t.Errorf("a write on a reader: %v", err)
	}
}

// What a View does to its connection does not reach the next one that gets it.
func TestViewCannotUnlockItsConnection(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{"PRAGMA query_only = OFF", "PRAGMA foreign_keys = OFF", "ROLLBACK", "PRAGMA journal_mode = DELETE"} {
		t.Run(sql, func(t *testing.T) {
			t.Parallel()
			db := open(t, newPath(t), nil)
			_ = db.View(background, func(tx *store.Tx) error {
				_, err := tx.Exec(background, sql)
				return err
			})
			err := db.View(background, func(tx *store.Tx) error {
				if got, err := one(tx, "PRAGMA foreign_keys"); got != "1" || err != nil {
					t.Errorf("foreign_keys = %s, %v", got, err)
				}
				return tx.Projects.Create(background, project("p"))
			})
			wantWriteRefused(t, err)
			if ids := projectIDs(t, db); len(ids) > 0 {
				t.Errorf("a view has written %v", ids)
			}
			create(t, db, "after")
			h, err := db.Health(background, true)
			if err != nil || !h.OK() {
				t.Errorf("health = %+v, %v", h, err)
			}
		})
	}
}

// A reader that panics or ends its goroutine gives its connection back, so that
// Close does not wait for it for ever.
func TestReaderPanics(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), nil)
	create(t, db, "p")
	for range 20 {
		func() {
			defer func() { _ = recover() }()
			_ = db.View(background, func(tx *store.Tx) error {
				return tx.Query(background, "SELECT id FROM projects", nil, func(driver.Row) error { panic("on purpose") })
			})
		}()
		create(t, db, nexus.NewID(nexus.KindProject, time.Now())) // no snapshot is left open
	}
	for p, err := range db.Projects.All(background, nexus.ProjectFilter{}) {
		if err != nil || p == nil {
			t.Error(err)
		}
		break
	}
	withoutHanging(t, func() { mustClose(t, db) })
}

func TestAfterClose(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	db := open(t, path, nil)
	create(t, db, "p")
	mustClose(t, db)
	mustClose(t, db)
	for name, call := range map[string]func() error{
		"Get":    func() error { _, err := db.Projects.Get(background, "p"); return err },
		"Create": func() error { return db.Projects.Create(background, project("q")) },
		"InTx":   func() error { return db.InTx(background, func(*store.Tx) error { t.Error("fn runs"); return nil }) },
		"View":   func() error { return db.View(background, func(*store.Tx) error { t.Error("fn runs"); return nil }) },
		"Ping":   func() error { return db.Ping(background) },
		"Tables": func() error { _, _, err := db.Tables(background); return err },
		"Schema": func() error { _, err := db.Schema(background); return err },
		"Health": func() error { _, err := db.Health(background, true); return err },
	} {
		if err := call(); nexus.CodeOf(err) != nexus.CodeClosed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCloseWaits(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(*store.DB, func(*store.Tx) error) error{
		"read":  func(db *store.DB, fn func(*store.Tx) error) error { return db.View(background, fn) },
		"write": func(db *store.DB, fn func(*store.Tx) error) error { return db.InTx(background, fn) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newDatabase(t)
			db, err := sqlite.Open(background, path, nil)
			if err != nil {
				t.Fatal(err)
			}
			inside, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			go func() {
				done <- call(db, func(tx *store.Tx) error {
					close(inside)
					<-goOn
					_, err := tx.Projects.Get(background, "first")
					return err
				})
			}()
			<-inside
			closed := make(chan error, 2)
			go func() { closed <- db.Close() }()
			go func() { closed <- db.Close() }() // both wait
			select {
			case err := <-closed:
				t.Errorf("Close has not waited: %v", err)
			default:
			}
			close(goOn)
			withoutHanging(t, func() {
				if err := <-done; err != nil {
					t.Errorf("the call that Close waited for: %v", err)
				}
				for range 2 {
					if err := <-closed; err != nil {
						t.Error(err)
					}
				}
			})
			mustBeAlone(t, path)
		})
	}
}

// Close in the middle of much work: each call succeeds or is told so.
func TestCloseUnderLoad(t *testing.T) {
	t.Parallel()
	for range 5 {
		path := newDatabase(t)
		db := open(t, path, nil)
		var mu sync.Mutex
		want := map[string]bool{"first": true}
		var all, busy sync.WaitGroup
		busy.Add(16)
		for g := range 16 {
			all.Go(func() {
				for n := 0; ; n++ {
					id := fmt.Sprintf("p%d-%d", g, n)
					var err error
					if g%2 == 0 {
						if err = db.Projects.Create(background, project(id)); err == nil {
							mu.Lock()
							want[id] = true
							mu.Unlock()
						}
					} else {
						_, err = db.Projects.Get(background, "first")
					}
					if n == 3 || n < 3 && err != nil {
						busy.Done()
					}
					if err != nil {
						if nexus.CodeOf(err) != nexus.CodeClosed || n < 3 {
							t.Error(err)
						}
						return
					}
				}
			})
		}
		busy.Wait()
		withoutHanging(t, func() { mustClose(t, db) })
		all.Wait()
		mustBeAlone(t, path)
		db = open(t, path, nil)
		got := projectIDs(t, db)
		if len(got) != len(want) {
			t.Errorf("%d rows, %d were acknowledged", len(got), len(want))
		}
		mustClose(t, db)
	}
}

// The writer takes the connection that opening the database has left: each new one reads
// the whole schema. So the first read after a write is the one that needs another.
func TestWriterTakesIdleReader(t *testing.T) {
	t.Parallel()
	var log book
	db := open(t, newDatabase(t), &sqlite.Options{Debug: true, Logger: log.logger()})
	readersAre := func(want int) {
		t.Helper()
		if n := len(log.with("PRAGMA query_only = ON")); n != want {
			t.Errorf("%d connections to read with, want %d", n, want)
		}
	}
	mustSucceed(t, db.Projects.Create(background, project("new")))
	readersAre(1)
	_, err := db.Projects.Get(background, "new")
	mustSucceed(t, err)
	readersAre(2)
	mustClose(t, db)
}
