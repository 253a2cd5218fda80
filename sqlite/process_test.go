package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/handle"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

func zombiezenOpen(path string) (*zombiezen.Conn, error) {
	return handle.Open(path, zombiezen.OpenReadWrite)
}

// childHoldLock runs the script args[1] on the database at args[0], in which it
// takes a lock, and holds it until the parent lets it go on.
func childHoldLock(args []string) error {
	c, err := zombiezenOpen(args[0])
	if err != nil {
		return err
	}
	for statement := range strings.SplitSeq(args[1], ";") {
		if err := sqlitex.ExecuteTransient(c, statement, nil); err != nil {
			return err
		}
	}
	say("held")
	awaitParent()
	return handle.Close(c)
}

func holdLock(t testing.TB, path, sql string) *process {
	t.Helper()
	p := start(t, "", "hold-lock", path, sql)
	p.Line()
	return p
}

func TestAnotherProcessHoldsTheLock(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	hasty := open(t, path, &sqlite.Options{Patience: 30 * time.Millisecond})
	calm := open(t, path, &sqlite.Options{Patience: patient})
	holder := holdLock(t, path, "BEGIN IMMEDIATE")

	err := hasty.Projects.Create(background, project("hasty"))
	wantCode(t, err, nexus.CodeBusy)
	var e *nexus.Error
	if e = asError(err); e == nil || !e.Retryable() || e.Hint == "" {
		t.Errorf("%v cannot be retried, or has no hint", err)
	}
	ctx, cancel := context.WithTimeout(background, 5*time.Millisecond)
	defer cancel()
	wantCode(t, calm.Projects.Create(ctx, project("cancelled")), nexus.CodeCanceled)

	// Reading goes on.
	if ids := projectIDs(t, hasty); len(ids) != 1 {
		t.Errorf("rows: %v", ids)
	}

	done := make(chan error, 1)
	go func() { done <- calm.Projects.Create(background, project("calm")) }()
	// A new database opens too: up to date, it needs no lock.
	mustClose(t, open(t, path, nil))
	select {
	case err := <-done:
		t.Errorf("the write has not waited: %v", err)
	default:
	}
	holder.MustEnd()
	if err := <-done; err != nil {
		t.Error(err)
	}
	create(t, hasty, "hasty")
	if ids := projectIDs(t, calm); len(ids) != 3 {
		t.Errorf("rows: %v", ids)
	}
}

func asError(err error) *nexus.Error {
	e, _ := err.(*nexus.Error)
	return e
}

// Open waits for a lock with patience too, and not for ever.
func TestOpenWhileAnotherProcessHoldsTheLock(t *testing.T) {
	t.Parallel()
	folder := userMigrations(t, map[string]string{"00001_x.sql": "-- +goose Up\nCREATE TABLE x (id TEXT);\n"})
	for name, test := range map[string]struct {
		make func(testing.TB) string
		lock string
	}{
		"to migrate ours":                {newDatabase, "BEGIN IMMEDIATE"},
		"to adopt":                       {newDrizzle, "BEGIN IMMEDIATE"},
		"to adopt what cannot be read":   {newDrizzle, "BEGIN EXCLUSIVE"},
		"to adopt what cannot be locked": {newDrizzle, "BEGIN; SELECT count(*) FROM projects"},
		"ours, held by one connection": {
			newDatabase,
			"PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; UPDATE projects SET name = 'x'; COMMIT",
		},
	} {
		for _, limit := range []string{"Patience", "the context"} {
			t.Run(name+", "+limit, func(t *testing.T) {
				t.Parallel()
				path := test.make(t)
				before := dump(t, path)
				holder := holdLock(t, path, test.lock)
				options := &sqlite.Options{Migrations: folder, Patience: patient}
				ctx, cancel := context.WithCancel(background)
				defer cancel()
				code := nexus.CodeBusy
				if limit == "Patience" {
					options.Patience = 30 * time.Millisecond
				} else {
					time.AfterFunc(30*time.Millisecond, cancel)
					code = nexus.CodeCanceled
				}
				failed := withContext(ctx, path, options)
				select {
				case err := <-failed:
					wantCode(t, err, code)
				case <-time.After(10 * time.Second): // as long as the lock is held
					holder.MustEnd()
					<-failed
					t.Fatalf("%s does not end the wait", limit)
				}
				mustBeWithoutBackup(t, path)

				options.Patience = patient
				done := withContext(background, path, options)
				holder.MustEnd()
				if err := <-done; err != nil {
					t.Errorf("after the lock is free: %v", err)
				}
				if test.lock == "BEGIN IMMEDIATE" {
					for _, name := range beside(t, path) {
						mustEqual(t, dump(t, filepath.Join(filepath.Dir(path), name)), before)
					}
				}
			})
		}
	}
}

func mustBeWithoutBackup(t testing.TB, path string) {
	t.Helper()
	for _, name := range beside(t, path) {
		if strings.Contains(name, "backup") {
			t.Errorf("a backup is left: %s", name)
		}
	}
}

// childWriteMany writes args[2] projects, named after args[1], to the database
// at args[0], one transaction each.
func childWriteMany(args []string) error {
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	db, err := sqlite.Open(background, args[0], nil)
	if err != nil {
		return err
	}
	say("ready")
	awaitParent()
	for i := range n {
		if err := db.Projects.Create(background, project(fmt.Sprintf("%s-%d", args[1], i))); err != nil {
			return err
		}
	}
	return db.Close()
}

func TestProcessesWriteTogether(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	const processes, each = 8, 100
	var all []*process
	for i := range processes {
		all = append(all, start(t, "", "write-many", path, fmt.Sprint(i), fmt.Sprint(each)))
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
	mustBeSound(t, path)
	db := open(t, path, nil)
	if n := len(projectIDs(t, db)); n != processes*each+1 {
		t.Errorf("%d rows, want %d", n, processes*each+1)
	}
}

// childWriteUntilKill writes to the database at args[0] until it is killed, and
// prints each id after it has been acknowledged. Ids begin with args[1].
func childWriteUntilKill(args []string) error {
	db, err := sqlite.Open(background, args[0], nil)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	acknowledged := make(chan string)
	for g := range 4 {
		go func() {
			for n := 0; ; n++ {
				p := project(fmt.Sprintf("%s-%d-%d", args[1], g, n))
				p.Description = strings.Repeat("x", n%3000)
				if err := db.Projects.Create(background, p); err != nil {
					panic(err)
				}
				acknowledged <- p.ID
			}
		}()
	}
	for id := range acknowledged {
		fmt.Fprintln(out, id)
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// Whenever a process is killed, what it was told is stored is stored.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	want := []string{"first"}
	for round := range 20 {
		p := start(t, "", "write-until-kill", path, fmt.Sprint(round))
		for range 1 + 7*round {
			want = append(want, p.Line())
		}
		// What it had printed by then counts too; a line that is cut off does not.
		rest := p.Kill()
		if i := strings.LastIndexByte(rest, '\n'); i >= 0 {
			want = append(want, strings.Split(rest[:i], "\n")...)
		}

		db := open(t, path, nil)
		got := projectIDs(t, db)
		for _, id := range want {
			if !got[id] {
				t.Errorf("round %d: %s was acknowledged and is gone", round, id)
			}
		}
		h, err := db.Health(background, true)
		if err != nil || !h.OK() {
			t.Fatalf("round %d: health = %+v, %v", round, h, err)
		}
		mustClose(t, db)
		mustBeAlone(t, path)
	}
}

// A log that has lost its end, as on a disk that lies, loses the last writes and
// no others: what is there is what was there at some moment.
func TestTruncatedLog(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	p := start(t, "", "write-until-kill", path, "x")
	written := []string{}
	for range 60 {
		written = append(written, p.Line())
	}
	p.Kill()
	database, log := content(t, path), content(t, path+"-wal")
	if len(log) < 10_000 {
		t.Fatalf("the log has %d bytes", len(log))
	}
	for _, keep := range []int{0, 1, 31, 32, 33, 4152, len(log) / 3, len(log) / 2, len(log) - 4097, len(log) - 1} {
		t.Run(fmt.Sprint(keep), func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			for name, bytes := range map[string][]byte{path: database, path + "-wal": log[:keep]} {
				if err := os.WriteFile(name, bytes, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			mustBeSound(t, path)
			db := open(t, path, nil)
			ids := projectIDs(t, db)
			if !ids["first"] {
				t.Error("what was in the database is gone")
			}
			// Of each goroutine a beginning is there, without gaps.
			for g := range 4 {
				there := []bool{}
				for n := range len(written) {
					there = append(there, ids[fmt.Sprintf("x-%d-%d", g, n)])
				}
				if first := slices.Index(there, false); first >= 0 && slices.Contains(there[first:], true) {
					t.Errorf("writer %d has a gap at %d", g, first)
				}
			}
			create(t, db, "after")
		})
	}
}

// childOpenAndClose opens and closes the databases args all the time, in many
// goroutines.
func childOpenAndClose(args []string) error {
	const goroutines, each = 12, 25
	errs := make(chan error, goroutines)
	for g := range goroutines {
		go func() {
			var err error
			for n := 0; n < each && err == nil; n++ {
				var db *store.DB
				if db, err = sqlite.Open(background, args[(g+n)%len(args)], nil); err == nil {
					err = errors.Join(db.Projects.Create(background, project(fmt.Sprintf("p%d-%d", g, n))), db.Close())
				}
			}
			errs <- err
		}()
	}
	var err error
	for range goroutines {
		err = errors.Join(err, <-errs)
	}
	return err
}

// What one connection leaves behind when it is closed is not in the way of the
// next one at the same address in memory. In another process, because what goes
// wrong there would end this one.
func TestOpenAndCloseAllTheTime(t *testing.T) {
	t.Parallel()
	start(t, "", "open-and-close", newDatabase(t), newDatabase(t), newDatabase(t), newDatabase(t)).MustEnd()
}
