package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// forever is a query that never returns.
const forever = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

func TestCancelStopsARunningStatement(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	db := open(t, path, nil)
	create(t, db, "p")
	for name, run := range map[string]func(ctx context.Context) error{
		"read": func(ctx context.Context) error {
			return db.View(ctx, func(tx *store.Tx) error {
				return tx.Query(ctx, forever, nil, func(driver.Row) error { return nil })
			})
		},
		"read with another context": func(ctx context.Context) error {
			return db.View(background, func(tx *store.Tx) error {
				return tx.Query(ctx, forever, nil, func(driver.Row) error { return nil })
			})
		},
		"read without a context": func(ctx context.Context) error {
			return db.View(ctx, func(tx *store.Tx) error {
				return tx.Query(background, forever, nil, func(driver.Row) error { return nil })
			})
		},
		"read in a write": func(ctx context.Context) error {
			return db.InTx(ctx, func(tx *store.Tx) error {
				return tx.Query(ctx, forever, nil, func(driver.Row) error { return nil })
			})
		},
		"write": func(ctx context.Context) error {
			return db.InTx(ctx, func(tx *store.Tx) error {
				_, err := tx.Exec(ctx, endless, "x")
				return err
			})
		},
		"write with another context": func(ctx context.Context) error {
			return db.InTx(background, func(tx *store.Tx) error {
				_, err := tx.Exec(ctx, endless, "x")
				return err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			withoutHanging(t, func() {
				for _, started := range []bool{true, false} {
					ctx, cancel := context.WithCancel(background)
					if started {
						time.AfterFunc(2*time.Millisecond, cancel)
					} else {
						cancel()
					}
					err := run(ctx)
					cancel()
					wantCode(t, err, nexus.CodeCanceled)
				}
				// The connection goes on.
				if ids := projectIDs(t, db); len(ids) != 1 {
					t.Errorf("rows: %v", ids)
				}
				update := fmt.Sprintf("after %s", name)
				if _, err := db.Projects.Update(background, "p", nexus.ProjectUpdate{Name: &update}); err != nil {
					t.Error(err)
				}
			})
		})
	}
	mustClose(t, db)
	mustBeSound(t, path)
}

// The error says why the context has ended.
func TestCancelCause(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), nil)
	ctx, cancel := context.WithTimeoutCause(background, time.Millisecond, errOnPurpose)
	defer cancel()
	err := db.View(ctx, func(tx *store.Tx) error {
		return tx.Query(ctx, forever, nil, func(driver.Row) error { return nil })
	})
	wantCode(t, err, nexus.CodeCanceled)
	if !errors.Is(err, errOnPurpose) {
		t.Errorf("%v does not wrap the cause", err)
	}
}

// Contexts that end in the moment in which the statement does: whatever the
// outcome, it is one of the two, and the connections go on.
func TestCancelRacesWithCompletion(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	db := open(t, path, nil)
	create(t, db, "p")
	const goroutines, each = 8, 250
	var mu sync.Mutex
	want := map[string]bool{"p": true}
	withoutHanging(t, func() {
		var all sync.WaitGroup
		for g := range goroutines {
			all.Go(func() {
				for n := range each {
					ctx, cancel := context.WithCancel(background)
					time.AfterFunc(time.Duration(n%50)*10*time.Microsecond, cancel)
					var err error
					id := fmt.Sprintf("p%d-%d", g, n)
					switch {
					case g%4 == 0:
						err = db.Projects.Create(ctx, project(id))
						if err == nil {
							mu.Lock()
							want[id] = true
							mu.Unlock()
						}
					case g%4 == 1:
						_, err = db.Projects.Get(ctx, "p")
					case g%4 == 2:
						err = db.View(ctx, func(tx *store.Tx) error {
							_, err := tx.Projects.List(ctx, nexus.ProjectFilter{})
							return err
						})
					default:
						err = db.InTx(ctx, func(tx *store.Tx) error {
							_, err := tx.Exec(ctx, "UPDATE projects SET name = $1 WHERE id = 'p'", id)
							return err
						})
					}
					cancel()
					if code := nexus.CodeOf(err); code != "" && code != nexus.CodeCanceled {
						t.Errorf("%s: %v", id, err)
					}
				}
			})
		}
		all.Wait()
	})
	got := projectIDs(t, db)
	for id := range want {
		if !got[id] {
			t.Errorf("%s was acknowledged and is gone", id)
		}
	}
	for id := range got {
		if !want[id] {
			t.Errorf("%s was cancelled and is there", id)
		}
	}
	mustClose(t, db)
	mustBeSound(t, path)
}

// childCancelNested ends the context of a transaction while a statement runs in
// it under a context of its own, derived from that. The path is args[0].
func childCancelNested(args []string) error {
	db, err := sqlite.Open(background, args[0], nil)
	if err != nil {
		return err
	}
	for range 20 {
		for _, run := range []func(context.Context, func(*store.Tx) error) error{db.InTx, db.View} {
			outer, cancel := context.WithCancel(background)
			time.AfterFunc(time.Millisecond, cancel)
			err := run(outer, func(tx *store.Tx) error {
				inner, cancel := context.WithTimeout(outer, patient)
				defer cancel()
				return tx.Query(inner, forever, nil, func(driver.Row) error { return nil })
			})
			if nexus.CodeOf(err) != nexus.CodeCanceled {
				return fmt.Errorf("not cancelled: %w", err)
			}
			if err := db.Ping(background); err != nil {
				return fmt.Errorf("ping: %w", err)
			}
		}
	}
	return db.Close()
}

// A context for the request and one of its own for each statement are what
// servers have. Both end at once. In another process, because what goes wrong
// there would end this one.
func TestCancelNestedContexts(t *testing.T) {
	t.Parallel()
	start(t, "", "cancel-nested", newPath(t)).MustEnd()
}

// A context that ends while a database is opened, at whatever step: the error is
// always that it ended, and the database is as it was or up to date.
func TestCancelWhileOpening(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(testing.TB) string{"new": newPath, "Drizzle": newDrizzle} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := make(t)
			began := time.Now()
			<-withContext(background, make(t), nil)
			whole := time.Since(began) // only to spread the moments
			const steps = 60
			for n := range steps {
				ctx, cancel := context.WithTimeout(background, whole*time.Duration(n)/steps)
				err := <-withContext(ctx, path, nil)
				cancel()
				if err == nil {
					break
				}
				wantCode(t, err, nexus.CodeCanceled)
				mustBeAlone(t, path)
			}
			mustClose(t, open(t, path, nil))
			if got := rows(t, path, "PRAGMA integrity_check"); len(got) != 1 || !strings.Contains(got[0], "ok") {
				t.Errorf("integrity: %v", got)
			}
		})
	}
}
