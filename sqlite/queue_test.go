package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

var errOnPurpose = errors.New("on purpose")

// endless inserts rows until it is interrupted, into a table without triggers: with
// them SQLite would first collect all that is to be inserted in memory.
const endless = `
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
	INSERT INTO session_log (session_id, number, at_us, kind, text)
	SELECT $1 || '-junk-' || i, i, 0, 'note', 'junk' FROM n`

// A writer of the test below: it writes the project id through db in its own
// way, and returns whether that was acknowledged.
type writerKind struct {
	name  string
	write func(db *store.DB, id string) error
	fails bool // always; otherwise it must succeed
}

var writerKinds = []writerKind{
	{"create", func(db *store.DB, id string) error {
		return db.Projects.Create(background, project(id))
	}, false},
	{"transaction", func(db *store.DB, id string) error {
		return db.InTx(background, func(tx *store.Tx) error {
			// A part fails; the rest must remain.
			err := tx.InTx(background, func(tx *store.Tx) error {
				if err := tx.Projects.Create(background, project(id+"-nested")); err != nil {
					return err
				}
				return errOnPurpose
			})
			if !errors.Is(err, errOnPurpose) {
				return fmt.Errorf("the nested transaction returned %w", err)
			}
			return tx.Projects.Create(background, project(id))
		})
	}, false},
	{"constraint survived", func(db *store.DB, id string) error {
		return db.InTx(background, func(tx *store.Tx) error {
			if err := tx.Projects.Create(background, project(id)); err != nil {
				return err
			}
			if err := tx.Projects.Create(background, project(id)); nexus.CodeOf(err) != nexus.CodeExists {
				return fmt.Errorf("creating it twice returned %w", err)
			}
			return nil
		})
	}, false},
	{"error", func(db *store.DB, id string) error {
		return db.InTx(background, func(tx *store.Tx) error {
			return errors.Join(tx.Projects.Create(background, project(id)), errOnPurpose)
		})
	}, true},
	{"constraint", func(db *store.DB, id string) error {
		return db.Projects.CreateMany(background, []*nexus.Project{project(id), project(id)})
	}, true},
	{"panic", func(db *store.DB, id string) (err error) {
		defer func() {
			if recover() != nil {
				err = errOnPurpose
			}
		}()
		return db.InTx(background, func(tx *store.Tx) error {
			_ = tx.Projects.Create(background, project(id))
			panic("on purpose")
		})
	}, true},
	{"goexit", func(db *store.DB, id string) error {
		var err error = errOnPurpose
		done := make(chan struct{})
		go func() {
			defer close(done)
			err = db.InTx(background, func(tx *store.Tx) error {
				_ = tx.Projects.Create(background, project(id))
				runtime.Goexit()
				return nil
			})
		}()
		<-done
		return err
	}, true},
	{"cancelled", func(db *store.DB, id string) error {
		ctx, cancel := context.WithCancel(background)
		defer cancel()
		return db.InTx(ctx, func(tx *store.Tx) error {
			if err := tx.Projects.Create(ctx, project(id)); err != nil {
				return err
			}
			// Mid-statement, as far as time allows.
			time.AfterFunc(time.Millisecond, cancel)
			_, err := tx.Exec(ctx, endless, id)
			return err
		})
	}, true},
	{"cancelled and swallowed", func(db *store.DB, id string) error {
		ctx, cancel := context.WithCancel(background)
		defer cancel()
		return db.InTx(background, func(tx *store.Tx) error {
			if err := tx.Projects.Create(background, project(id)); err != nil {
				return err
			}
			time.AfterFunc(time.Millisecond, cancel)
			_, _ = tx.Exec(ctx, endless, id)
			return errOnPurpose
		})
	}, true},
}

// Each acknowledged write is there after reopening, and nothing of any other,
// whatever else happens in the same commits.
func TestAcknowledgedWritesAndNoOthers(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	db := open(t, path, nil)
	const goroutines, each = 32, 12
	var mu sync.Mutex
	want := make(map[string]bool)
	withoutHanging(t, func() {
		var all sync.WaitGroup
		for g := range goroutines {
			all.Go(func() {
				for n := range each {
					// The cancelled ones take a millisecond each; a third of the
					// writes go wrong.
					kind := writerKinds[(g+n)%3]
					if n%3 == 0 {
						kind = writerKinds[3+(g+n/3)%(len(writerKinds)-3)]
					}
					id := fmt.Sprintf("%s-%d-%d", strings.ReplaceAll(kind.name, " ", "_"), g, n)
					err := kind.write(db, id)
					if kind.fails != (err != nil) {
						t.Errorf("%s: %v", id, err)
					}
					if err == nil {
						mu.Lock()
						want[id] = true
						mu.Unlock()
					}
				}
			})
		}
		all.Wait()
	})
	mustClose(t, db)

	db = open(t, path, nil)
	got := projectIDs(t, db)
	for id := range want {
		if !got[id] {
			t.Errorf("%s was acknowledged and is gone", id)
		}
	}
	for id := range got {
		if !want[id] {
			t.Errorf("%s failed and is there", id)
		}
	}
	mustClose(t, db)
	mustBeSound(t, path)
}

// A write that was undone because another of its commit broke the transaction
// runs again, and counts once.
func TestRunAgain(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), nil)
	for attempt := range 1000 {
		id := fmt.Sprintf("p%d", attempt)
		var runs atomic.Int32
		hold, held := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			first := true
			err := db.InTx(background, func(tx *store.Tx) error {
				if first {
					first = false
					close(held)
					<-hold
				}
				return tx.Projects.Create(background, project(id+"-first"))
			})
			if err != nil {
				t.Errorf("the first: %v", err)
			}
		})
		<-held
		all.Go(func() {
			err := db.InTx(background, func(tx *store.Tx) error {
				runs.Add(1)
				return tx.Projects.Create(background, project(id))
			})
			if err != nil {
				t.Errorf("the one that runs again: %v", err)
			}
		})
		all.Go(func() {
			if err := writerKinds[7].write(db, id+"-cancelled"); nexus.CodeOf(err) != nexus.CodeCanceled {
				t.Errorf("the cancelled one: %v", err)
			}
		})
		// Whether both are in the queue by now, and in which order, is chance.
		runtime.Gosched()
		close(hold)
		withoutHanging(t, all.Wait)
		ids := projectIDs(t, db)
		if !ids[id] || !ids[id+"-first"] || ids[id+"-cancelled"] {
			t.Fatalf("rows: %v", ids)
		}
		if runs.Load() > 1 {
			return
		}
	}
	t.Error("no write has been run again")
}

// interruptInsert ends a context in the middle of an INSERT, whereupon SQLite
// rolls the whole transaction back. That it is in the middle can be seen from the
// log, into which it has to write what its memory does not hold.
func interruptInsert(t *testing.T, tx *store.Tx, path string) {
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	before := size(path + "-wal")
	go func() {
		until(t, "the insert", func() bool { return size(path+"-wal") > before+1<<20 })
		cancel()
	}()
	if _, err := tx.Exec(ctx, endless, strings.Repeat("x", 1000)); nexus.CodeOf(err) != nexus.CodeCanceled {
		t.Errorf("the interrupted insert returned %v", err)
	}
}

// A function that goes on after an error that has rolled back everything is told
// so, and nothing of it is stored: neither what it did before nor after.
func TestSwallowedFatalError(t *testing.T) {
	t.Parallel()
	after := map[string]func(tx *store.Tx, id string) error{
		"nothing": func(*store.Tx, string) error { return nil },
		"create": func(tx *store.Tx, id string) error {
			return tx.Projects.Create(background, project(id+"-after"))
		},
		"statement": func(tx *store.Tx, id string) error {
			_, err := tx.Exec(background, "INSERT INTO projects SELECT $1, name, description, mode, status, root_path,"+
				" repository_url, created_at, updated_at, completed_at, revision, NULL FROM projects WHERE id = 'other'", id+"-after")
			return err
		},
		"nested": func(tx *store.Tx, id string) error {
			return tx.InTx(background, func(tx *store.Tx) error {
				return tx.Projects.Create(background, project(id+"-after"))
			})
		},
	}
	inside := map[string]func(tx *store.Tx, fn func(tx *store.Tx) error) error{
		"plain":  func(tx *store.Tx, fn func(tx *store.Tx) error) error { return fn(tx) },
		"nested": func(tx *store.Tx, fn func(tx *store.Tx) error) error { return tx.InTx(background, fn) },
	}
	for afterName, goOn := range after {
		for insideName, inside := range inside {
			t.Run(insideName+" then "+afterName, func(t *testing.T) {
				t.Parallel()
				path := newPath(t)
				db := open(t, path, nil)
				create(t, db, "other")
				err := db.InTx(background, func(tx *store.Tx) error {
					if err := tx.Projects.Create(background, project("before")); err != nil {
						return err
					}
					_ = inside(tx, func(tx *store.Tx) error {
						interruptInsert(t, tx, path)
						return errOnPurpose
					})
					_ = goOn(tx, "x")
					return nil
				})
				if err == nil {
					t.Error("the function's transaction is gone, and it is told that all is well")
				}
				create(t, db, "later")
				mustClose(t, db)
				db = open(t, path, nil)
				if ids := projectIDs(t, db); len(ids) != 2 || !ids["other"] || !ids["later"] {
					t.Errorf("%d rows; before: %t, after: %t", len(ids), ids["before"], ids["x-after"])
				}
			})
		}
	}
}

// The transaction is the queue's, not the function's: statements that would end
// it, and with it the writes of others, are refused.
func TestTransactionControlIsRefused(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{"COMMIT", "END", "ROLLBACK", "BEGIN", "SAVEPOINT x", "RELEASE s1", "ROLLBACK TO s1"} {
		t.Run(sql, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			db := open(t, path, nil)
			for _, nested := range []bool{false, true} {
				err := db.InTx(background, func(tx *store.Tx) error {
					if err := tx.Projects.Create(background, project("p")); err != nil {
						return err
					}
					run := func(tx *store.Tx) error {
						if _, err := tx.Exec(background, sql); err == nil {
							t.Errorf("%s is not refused", sql)
						}
						return nil
					}
					var err error
					if nested {
						err = tx.InTx(background, run)
					} else {
						err = run(tx)
					}
					return errors.Join(err, errOnPurpose)
				})
				if err == nil {
					t.Error("no error")
				}
				if ids := projectIDs(t, db); len(ids) > 0 {
					t.Fatalf("a write that failed is there: %v", ids)
				}
			}
			create(t, db, "after")
		})
	}
}

// A write through the DB inside a function given to InTx cannot succeed. It is
// told so, and does not hang.
func TestWriteThroughDBInsideTransaction(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), &sqlite.Options{Patience: 50 * time.Millisecond})
	withoutHanging(t, func() {
		err := db.InTx(background, func(tx *store.Tx) error {
			if err := tx.Projects.Create(background, project("p")); err != nil {
				return err
			}
			return db.Projects.Create(background, project("inside"))
		})
		wantCode(t, err, nexus.CodeBusy)
		if hint := hintOf(err); !strings.Contains(hint, "tx") || !strings.Contains(hint, "InTx") {
			t.Errorf("the hint is %q", hint)
		}
	})
	if ids := projectIDs(t, db); len(ids) != 0 {
		t.Errorf("rows: %v", ids)
	}
	create(t, db, "after")
	// A context ends the wait earlier.
	calm := open(t, newPath(t), &sqlite.Options{Patience: patient})
	withoutHanging(t, func() {
		err := calm.InTx(background, func(*store.Tx) error {
			ctx, cancel := context.WithTimeout(background, time.Millisecond)
			defer cancel()
			return calm.Projects.Create(ctx, project("inside"))
		})
		wantCode(t, err, nexus.CodeCanceled)
	})
}

// Writers that give up waiting, in the moment in which it is their turn or
// before, leave the queue in order.
func TestGivingUpInTheQueue(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	db := open(t, path, nil)
	var acknowledged atomic.Int64
	withoutHanging(t, func() {
		var all sync.WaitGroup
		for g := range 16 {
			all.Go(func() {
				for n := range 60 {
					ctx, cancel := context.WithTimeout(background, time.Duration((g*n)%40)*50*time.Microsecond)
					err := db.Projects.Create(ctx, project(fmt.Sprintf("p%d-%d", g, n)))
					cancel()
					switch nexus.CodeOf(err) {
					case "":
						acknowledged.Add(1)
					case nexus.CodeCanceled:
					default:
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	})
	if n := int64(len(projectIDs(t, db))); n != acknowledged.Load() {
		t.Errorf("%d rows, %d writes were acknowledged", n, acknowledged.Load())
	}
	create(t, db, "after")
}
