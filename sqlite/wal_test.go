package sqlite_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// After the last Close there is one file, whatever has been done.
func TestNoLogIsLeft(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(t *testing.T, path string){
		"opened": func(t *testing.T, path string) { mustClose(t, open(t, path, nil)) },
		"written": func(t *testing.T, path string) {
			db := open(t, path, nil)
			create(t, db, "p")
			mustClose(t, db)
		},
		"read": func(t *testing.T, path string) {
			db := open(t, path, nil)
			projectIDs(t, db)
			mustClose(t, db)
		},
		"opened read-only": func(t *testing.T, path string) { mustClose(t, open(t, path, &sqlite.Options{ReadOnly: true})) },
		"read read-only": func(t *testing.T, path string) {
			db := open(t, path, &sqlite.Options{ReadOnly: true})
			projectIDs(t, db)
			wantWriteRefused(t, db.Projects.Create(background, project("p")))
			mustClose(t, db)
		},
		"status": func(t *testing.T, path string) {
			if _, err := sqlite.Migrations(background, path, nil); err != nil {
				t.Error(err)
			}
		},
		"several": func(t *testing.T, path string) {
			a, b, c := open(t, path, nil), open(t, path, nil), open(t, path, nil)
			create(t, a, "a")
			create(t, b, "b")
			projectIDs(t, c)
			mustClose(t, b)
			create(t, a, "a2")
			mustClose(t, a)
			if ids := projectIDs(t, c); len(ids) != 4 {
				t.Errorf("rows: %v", ids)
			}
			mustClose(t, c)
		},
		"a reader of a writer, the writer first": func(t *testing.T, path string) {
			a, b := open(t, path, nil), open(t, path, &sqlite.Options{ReadOnly: true})
			create(t, a, "a")
			if ids := projectIDs(t, b); len(ids) != 2 {
				t.Errorf("rows: %v", ids)
			}
			mustClose(t, a)
			if ids := projectIDs(t, b); len(ids) != 2 {
				t.Errorf("rows: %v", ids)
			}
			mustClose(t, b)
		},
		"much in the log": func(t *testing.T, path string) {
			db := open(t, path, nil)
			for i := range 20 {
				p := project(fmt.Sprint(i))
				p.Description = strings.Repeat("x", 1<<20)
				if err := db.Projects.Create(background, p); err != nil {
					t.Error(err)
				}
			}
			mustClose(t, db)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newDatabase(t)
			before := content(t, path)
			use(t, path)
			mustBeAlone(t, path)
			if strings.Contains(name, "read-only") || name == "status" || name == "read" {
				mustBe(t, path, before)
			}
			mustBeSound(t, path)
		})
	}
}

// Several databases on one file, closed at the same moment: the last one clears
// up, whichever it is.
func TestCloseTogether(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	for round := range 20 {
		var all sync.WaitGroup
		for i := range 6 {
			db := open(t, path, nil)
			create(t, db, fmt.Sprintf("p%d-%d", round, i))
			all.Go(func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		mustBeAlone(t, path)
	}
}

// childCloseTogether opens the database at args[0], writes to it, and closes it
// when the parent says so.
func childCloseTogether(args []string) error {
	db, err := sqlite.Open(background, args[0], nil)
	if err != nil {
		return err
	}
	if err := db.Projects.Create(background, project(args[1])); err != nil {
		return err
	}
	say("ready")
	awaitParent()
	return db.Close()
}

func TestProcessesCloseTogether(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	for round := range 4 {
		var all []*process
		for i := range 6 {
			all = append(all, start(t, "", "close-together", path, fmt.Sprintf("p%d-%d", round, i)))
		}
		for _, p := range all {
			p.Line()
		}
		for _, p := range all {
			p.GoOn()
		}
		for _, p := range all {
			if _, err := p.End(); err != nil {
				t.Error(err)
			}
		}
		mustBeAlone(t, path)
	}
	mustBeSound(t, path)
}

// The log stays short while 8 writers write 200 MB and there is never a moment
// without a reader.
func TestLogStaysShort(t *testing.T) {
	t.Parallel()
	const total, writers, payload = 200 << 20, 8, 128 << 10
	const mostLog = 64 << 20
	path := newPath(t)
	db := open(t, path, nil)
	create(t, db, "first")
	text := strings.Repeat("0123456789abcdef", payload/16)
	var writing, reading sync.WaitGroup
	var stop atomic.Bool
	var longest atomic.Int64
	for g := range writers {
		writing.Go(func() {
			for n := range total / writers / payload {
				// Rewriting a few rows keeps the database itself small.
				p := project(fmt.Sprintf("p%d-%d", g, n%16))
				p.Description = text
				if _, err := db.Projects.Upsert(background, p); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 2 {
		reading.Go(func() {
			for !stop.Load() {
				err := db.View(background, func(tx *store.Tx) error {
					if _, err := tx.Projects.Count(background, nexus.ProjectFilter{}); err != nil {
						return err
					}
					_, err := tx.Projects.Get(background, "first")
					return err
				})
				if err != nil {
					t.Error(err)
				}
				longest.Store(max(longest.Load(), size(path+"-wal")))
			}
		})
	}
	withoutHanging(t, writing.Wait)
	stop.Store(true)
	reading.Wait()
	if n := longest.Load(); n > mostLog {
		t.Errorf("the log had %d MB", n>>20)
	} else {
		t.Logf("the log had at most %d MB", n>>20)
	}
	mustClose(t, db)
	mustBeAlone(t, path)
	mustBeSound(t, path)
}
