package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/handle"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// inOneBatch lets writes share a transaction: the first holds the turn until the
// others wait behind it. It calls told with each error as soon as it is there, and
// returns them, the first's at 0.
func inOneBatch(t *testing.T, db *store.DB, told func(error), writes ...func(tx *store.Tx) error) []error {
	t.Helper()
	errs := make([]error, len(writes))
	first, others := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		errs[0] = db.InTx(background, func(tx *store.Tx) error {
			select {
			case <-first: // it runs again
			default:
				close(first)
				<-others
			}
			return writes[0](tx)
		})
		told(errs[0])
	})
	<-first
	for i := 1; i < len(writes); i++ {
		all.Go(func() {
			errs[i] = db.InTx(background, writes[i])
			told(errs[i])
		})
	}
	// That they wait in the queue cannot be seen from outside; after this time
	// they do, or the test proves less and still passes.
	time.Sleep(5 * time.Millisecond)
	close(others)
	withoutHanging(t, all.Wait)
	return errs
}

// "It exists already" is told only when what exists is on disk.
func TestRefusalWaitsForWhatItRestsOn(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), nil)
	for round := range 20 {
		id := fmt.Sprintf("p%d", round)
		there := func(err error) {
			if nexus.CodeOf(err) != nexus.CodeExists {
				return
			}
			if _, err := db.Projects.Get(background, id); err != nil {
				t.Errorf("%s is said to exist: %v", id, err)
			}
		}
		errs := inOneBatch(t, db, there,
			func(tx *store.Tx) error { return tx.Projects.Create(background, project(id)) },
			func(tx *store.Tx) error { return tx.Projects.Create(background, project(id)) },
			func(tx *store.Tx) error {
				time.Sleep(time.Millisecond) // the commit is some time off
				return tx.Projects.Create(background, project(id+"-other"))
			})
		refused := 0
		for _, err := range errs[:2] {
			if err != nil {
				wantCode(t, err, nexus.CodeExists)
				refused++
			}
		}
		if refused != 1 || errs[2] != nil {
			t.Fatalf("errors %v", errs)
		}
	}
}

// A deferred foreign key is looked at by COMMIT. Who left it open is refused; the
// others of the batch are not.
func TestDeferredForeignKeyHitsOnlyItsOwner(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), nil)
	err := db.InTx(background, func(tx *store.Tx) error {
		_, err := tx.Exec(background, "CREATE TABLE reviews (project TEXT REFERENCES projects (id) DEFERRABLE INITIALLY DEFERRED)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 10 {
		var writes []func(tx *store.Tx) error
		for n := range 5 {
			writes = append(writes, func(tx *store.Tx) error {
				if n == 2 {
					_, err := tx.Exec(background, "INSERT INTO reviews VALUES ('nobody')")
					return err
				}
				return tx.Projects.Create(background, project(fmt.Sprintf("p%d-%d", round, n)))
			})
		}
		for n, err := range inOneBatch(t, db, func(error) {}, writes...) {
			if n == 2 {
				wantCode(t, err, nexus.CodeReference)
			} else if err != nil {
				t.Errorf("an innocent write got %v", err)
			}
		}
	}
	if got := len(projectIDs(t, db)); got != 40 {
		t.Errorf("%d rows", got)
	}
}

// A temporary table would hide the real one from all later writes, and a pragma
// would be everybody's.
func TestConnectionStaysAsItIs(t *testing.T) {
	t.Parallel()
	db := open(t, newPath(t), nil)
	for _, sql := range []string{
		"CREATE TEMP TABLE projects AS SELECT * FROM main.projects",
		"CREATE TEMP VIEW projects AS SELECT 1 AS id",
		"CREATE TEMP TRIGGER t AFTER INSERT ON projects BEGIN SELECT 1; END",
		"PRAGMA max_page_count = 45", "PRAGMA foreign_keys = OFF", "PRAGMA busy_timeout = 1",
		"PRAGMA query_only = OFF", "PRAGMA writable_schema(ON)", "PRAGMA journal_mode = DELETE",
		"ATTACH ':memory:' AS other",
	} {
		for _, run := range []func(func(*store.Tx) error) error{
			func(fn func(*store.Tx) error) error { return db.InTx(background, fn) },
			func(fn func(*store.Tx) error) error { return db.View(background, fn) },
		} {
			err := run(func(tx *store.Tx) error {
				_, err := tx.Exec(background, sql)
				return err
			})
			if code := nexus.CodeOf(err); code != nexus.CodeInvalid {
				t.Errorf("%s: %v", sql, err)
			}
		}
	}
	err := db.View(background, func(tx *store.Tx) error {
		_, err := one(tx, "PRAGMA table_info(projects)") // a question
		return err
	})
	if err != nil {
		t.Error(err)
	}
	create(t, db, "p")
}

// Another program that waits with SQLite's busy handler gets its turn beside a
// process that writes without a break.
func TestOtherProgramGetsItsTurn(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	db := open(t, path, nil)
	create(t, db, "p")
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for n := range 4 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					create(t, db, fmt.Sprintf("p%d-%d", n, i))
				}
			}
		})
	}
	p := start(t, "", "insert-waiting", path, "5")
	_, err := p.End()
	close(stop)
	writers.Wait()
	if err != nil {
		t.Error("the other program was told that the database is locked:", err)
	}
}

// Reverting Nexus's migrations under migrations of the user's own, whose folder
// was not named, would leave them half there.
func TestMigrateDownBelowUnknownMigrations(t *testing.T) {
	t.Parallel()
	path, folder := newPath(t), t.TempDir()
	const migration = "-- +goose Up\nCREATE TABLE reviews (id TEXT);\n-- +goose Down\nDROP TABLE reviews;\n"
	if err := os.WriteFile(filepath.Join(folder, "00001_reviews.sql"), []byte(migration), 0o600); err != nil {
		t.Fatal(err)
	}
	mustClose(t, open(t, path, &sqlite.Options{Migrations: folder}))
	before := content(t, path)
	_, err := sqlite.MigrateDown(background, path, nil, true)
	wantCode(t, err, nexus.CodeMigration)
	mustBe(t, path, before)
	if _, err := sqlite.MigrateDown(background, path, &sqlite.Options{Migrations: folder}, true); err != nil {
		t.Error(err)
	}
}

// A View that closes another database, while its own is being closed, waits for
// nobody who waits for it.
func TestCloseWithinView(t *testing.T) {
	t.Parallel()
	a, b := open(t, newPath(t), nil), open(t, newPath(t), nil)
	inView := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		err := a.View(background, func(*store.Tx) error {
			close(inView)
			time.Sleep(5 * time.Millisecond) // until a is being closed
			return b.Close()
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-inView
	all.Go(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	withoutHanging(t, all.Wait)
}

// childInsertWaiting inserts rows as another program would: with SQLite's own
// busy handler, which gives up after five seconds.
func childInsertWaiting(args []string) error {
	c, err := handle.Open(args[0], zombiezen.OpenReadWrite)
	if err != nil {
		return err
	}
	c.SetBusyTimeout(5 * time.Second)
	var n int
	if _, err := fmt.Sscan(args[1], &n); err != nil {
		return err
	}
	for i := range n {
		err := sqlitex.ExecuteTransient(c, fmt.Sprintf("INSERT INTO agents (id, type, spawned_at, last_activity_at) VALUES ('a%d', 'coder', 0, 0)", i), nil)
		if err != nil {
			return errors.Join(err, handle.Close(c))
		}
	}
	return handle.Close(c)
}
