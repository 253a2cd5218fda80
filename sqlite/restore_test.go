package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
)

// newBackup makes a backup of some hundred pages with the projects p000 to p399, and
// returns it with what is in it.
func newBackup(t testing.TB) (path string, what map[string][]string) {
	t.Helper()
	source := newLarge(t)
	path = filepath.Join(filepath.Dir(source), "backup.db")
	db := open(t, source, nil)
	mustBackUp(t, db, path)
	mustClose(t, db)
	return path, dump(t, source)
}

func mustRestore(t testing.TB, path, from string) *sqlite.Restored {
	t.Helper()
	r, err := sqlite.Restore(background, path, from, nil, true, nil)
	if err != nil {
		t.Fatalf("Restore: %v", err)
	}
	return r
}

func TestRestore(t *testing.T) {
	t.Parallel()
	backup, what := newBackup(t)
	before := content(t, backup)
	for name, prepare := range map[string]func(t *testing.T, path string){
		"into nothing":       func(*testing.T, string) {},
		"into an empty file": func(t *testing.T, path string) { script(t, path, "") },
		"into an empty one":  func(t *testing.T, path string) { mustClose(t, open(t, path, nil)) },
		"into one with rows": func(t *testing.T, path string) { db := open(t, path, nil); create(t, db, "x"); mustClose(t, db) },
		"into a Drizzle's":   func(t *testing.T, path string) { script(t, path, string(content(t, "testdata/drizzle.sql"))) },
		"into one with tables": func(t *testing.T, path string) {
			mustClose(t, open(t, path, nil))
			script(t, path, "CREATE TABLE mine (a)")
		},
		"into a larger one": func(t *testing.T, path string) {
			mustClose(t, open(t, path, nil))
			script(t, path, "CREATE TABLE big (a); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) INSERT INTO big SELECT hex(randomblob(500)) FROM n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			prepare(t, path)
			rows := 0
			was := map[string][]string{}
			if size(path) > 0 {
				was = dump(t, path)
				for key, list := range was {
					own := strings.HasSuffix(key, "migrations") || strings.HasPrefix(key, "rows of search_index_") // of the migrator, of FTS5
					if strings.HasPrefix(key, "rows of ") && !own {
						rows += len(list)
					}
				}
			}
			r := mustRestore(t, path, backup)
			mustEqual(t, withoutCookie(dump(t, path)), withoutCookie(what))
			mustBeSound(t, path)
			if r.Counts["projects"] != 401 || r.From != backup || r.Database != path {
				t.Errorf("it says %+v", r)
			}
			if rows == 0 {
				if r.Kept != "" {
					t.Errorf("a copy of nothing is kept: %s", r.Kept)
				}
				mustBeAlone(t, path)
				return
			}
			mustEqual(t, dump(t, r.Kept), was)
			if info, err := os.Stat(r.Kept); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the copy has mode %v, %v", info.Mode(), err)
			}
		})
	}
	t.Cleanup(func() { mustBe(t, backup, before) })
}

// withoutCookie leaves out what a restore may change.
func withoutCookie(all map[string][]string) map[string][]string {
	delete(all, "version")
	return all
}

// Whoever has the database open goes on with the restored state. No reader sees
// anything but all of the old or all of the new one, and what was acknowledged is in
// what is kept or comes after.
func TestRestoreWhileOthersWork(t *testing.T) {
	t.Parallel()
	backup, _ := newBackup(t)
	path := newDatabase(t)
	db := open(t, path, nil)
	other := start(t, "", "write-until-kill", path, "other")
	other.Line()
	ctx, stop := context.WithCancel(background)
	var all sync.WaitGroup
	var mu sync.Mutex
	acknowledged := map[string]bool{"first": true}
	all.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			p := project(fmt.Sprintf("mine-%d", n))
			if err := db.Projects.Create(background, p); err != nil {
				t.Errorf("a writer was disturbed: %v", err)
				return
			}
			mu.Lock()
			acknowledged[p.ID] = true
			mu.Unlock()
		}
	})
	all.Go(func() {
		for ctx.Err() == nil {
			list, err := db.Projects.List(background, nexus.ProjectFilter{})
			if err != nil {
				t.Errorf("a reader was disturbed: %v", err)
				return
			}
			restored := 0
			for _, p := range list {
				if len(p.ID) == 4 && p.ID[0] == 'p' {
					restored++
				}
			}
			if restored != 0 && restored != 400 {
				t.Errorf("a reader has seen %d of the 400 restored rows", restored)
			}
		}
	})
	var kept []string
	for range 4 {
		time.Sleep(30 * time.Millisecond)
		kept = append(kept, mustRestore(t, path, backup).Kept)
	}
	time.Sleep(30 * time.Millisecond)
	stop()
	all.Wait()
	for line := range strings.Lines(other.Kill()) {
		if strings.HasSuffix(line, "\n") { // or else it is cut off
			acknowledged[strings.TrimSuffix(line, "\n")] = true
		}
	}
	found := projectIDs(t, db)
	mustClose(t, db)
	mustBeSound(t, path)
	for _, copied := range kept {
		mustBeSound(t, copied)
		old := open(t, copied, &sqlite.Options{ReadOnly: true})
		for id := range projectIDs(t, old) {
			found[id] = true
		}
	}
	for id := range acknowledged {
		if !found[id] {
			t.Errorf("%s was acknowledged, and is neither in the database nor in what is kept", id)
		}
	}
	if len(acknowledged) < 20 {
		t.Errorf("only %d writes were acknowledged", len(acknowledged))
	}
}

// childRestore restores args[1] and args[2] to the database at args[0], in turns,
// until it is killed.
func childRestore(args []string) error {
	out := bufio.NewWriter(os.Stdout)
	for n := 0; ; n++ {
		r, err := sqlite.Restore(background, args[0], args[1+n%2], nil, true, nil)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, r.From)
		if err := out.Flush(); err != nil {
			return err
		}
		if err := os.Remove(r.Kept); err != nil {
			return err
		}
	}
}

// Whenever a restore is killed, the database is as it was before or as it is after.
func TestKillInRestore(t *testing.T) {
	t.Parallel()
	large, whatLarge := newBackup(t)
	small := newDatabase(t)
	whatSmall := dump(t, small)
	path := newDatabase(t)
	states := map[string]int{}
	for round := range 10 {
		p := start(t, "", "restore", path, large, small)
		for range 1 + round%2 {
			p.Line()
		}
		time.Sleep(time.Duration(round) * 8 * time.Millisecond)
		p.Kill()
		db := open(t, path, nil)
		n := len(projectIDs(t, db))
		mustClose(t, db)
		mustBeSound(t, path)
		switch got := withoutCookie(dump(t, path)); n {
		case 401:
			mustEqual(t, got, withoutCookie(whatLarge))
			states["large"]++
		case 1:
			mustEqual(t, got, withoutCookie(whatSmall))
			states["small"]++
		default:
			t.Fatalf("round %d: there are %d projects", round, n)
		}
		for _, name := range beside(t, path) {
			if strings.Contains(name, "restore") {
				states["left"]++
				if err := os.Remove(filepath.Join(filepath.Dir(path), name)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if states["large"] == 0 || states["small"] == 0 || states["left"] == 0 {
		t.Errorf("the test does not kill in the middle: %v", states)
	}
}

// A backup that comes with a log, as a copied database may, is restored with it, and
// left as it is.
func TestRestoreWithLog(t *testing.T) {
	t.Parallel()
	from := newDatabase(t)
	p := start(t, "", "write-until-kill", from, "x")
	for range 20 {
		p.Line()
	}
	p.Kill()
	database, log := content(t, from), content(t, from+"-wal")
	path := newPath(t)
	mustRestore(t, path, from)
	mustBe(t, from, database)
	mustBe(t, from+"-wal", log)
	db := open(t, path, nil)
	if n := len(projectIDs(t, db)); n < 21 {
		t.Errorf("%d rows", n)
	}
}

// What cannot be restored leaves the database byte for byte as it was.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	backup, _ := newBackup(t)
	damaged := content(t, backup)
	copy(damaged[len(damaged)/2:], make([]byte, 4*pageSize))
	paged := newPath(t)
	script(t, paged, "PRAGMA page_size = 1024; "+string(content(t, "testdata/drizzle.sql")))
	for name, test := range map[string]struct {
		from    func(t *testing.T) string
		replace bool
		code    nexus.Code
	}{
		"rows":        {func(*testing.T) string { return backup }, false, nexus.CodeExists},
		"no file":     {func(*testing.T) string { return backup + ".none" }, true, nexus.CodeIO},
		"nothing":     {func(*testing.T) string { return "" }, true, nexus.CodeIO},
		"small pages": {func(*testing.T) string { return paged }, true, nexus.CodeInvalid},
		"damaged": {func(t *testing.T) string {
			path := newPath(t)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}, true, nexus.CodeCorrupt},
		"newer": {func(t *testing.T) string {
			path := newDatabase(t)
			script(t, path, "INSERT INTO nexus_migrations VALUES (99, '00099_later.sql', 'x', 0)")
			return path
		}, true, nexus.CodeNewer},
		"another program's": {func(t *testing.T) string {
			path := newPath(t)
			script(t, path, "CREATE TABLE contacts (id INTEGER PRIMARY KEY)")
			return path
		}, true, nexus.CodeForeign},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newDatabase(t)
			before := content(t, path)
			_, err := sqlite.Restore(background, path, test.from(t), nil, test.replace, nil)
			wantCode(t, err, test.code)
			mustBe(t, path, before)
			mustBeAlone(t, path)
		})
	}
	for name, link := range map[string]func(path, link string) error{"symbolic": os.Symlink, "hard": os.Link} {
		path := newDatabase(t)
		if err := link(path, path+".link"); err != nil {
			t.Fatal(err)
		}
		_, err := sqlite.Restore(background, path, path+".link", nil, true, nil)
		if nexus.CodeOf(err) != nexus.CodeInvalid {
			t.Errorf("%s link: %v", name, err)
		}
	}
}

// A database whose pages cannot be read is replaced; what there was is kept.
func TestRestoreOverDamaged(t *testing.T) {
	t.Parallel()
	backup, what := newBackup(t)
	path := newPath(t)
	damaged := content(t, newLarge(t))
	copy(damaged[len(damaged)/2:], make([]byte, len(damaged)/4))
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Restore(background, path, backup, nil, false, nil)
	wantCode(t, err, nexus.CodeExists)
	mustBe(t, path, damaged)
	r := mustRestore(t, path, backup)
	mustEqual(t, withoutCookie(dump(t, path)), withoutCookie(what))
	if kept := content(t, r.Kept); len(kept) != len(damaged) {
		t.Errorf("%d bytes are kept of %d", len(kept), len(damaged))
	}
}

// Whoever stops a restore has the database as it was, and nothing beside it.
func TestRestoreIsCanceled(t *testing.T) {
	t.Parallel()
	backup, _ := newBackup(t)
	path := newDatabase(t)
	before := dump(t, path)
	ctx, cancel := context.WithCancel(background)
	cancel()
	_, err := sqlite.Restore(ctx, path, backup, nil, true, nil)
	wantCode(t, err, nexus.CodeCanceled)
	// While another program has the lock.
	holder := holdLock(t, path, "BEGIN IMMEDIATE")
	ctx, cancel = context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	_, err = sqlite.Restore(ctx, path, backup, nil, true, nil)
	wantCode(t, err, nexus.CodeCanceled)
	_, err = sqlite.Restore(background, path, backup, &sqlite.Options{Patience: 30 * time.Millisecond}, true, nil)
	wantCode(t, err, nexus.CodeBusy)
	holder.MustEnd()
	mustBeAlone(t, path)
	mustEqual(t, dump(t, path), before)
	mustRestore(t, path, backup)
}

// A restore that is stopped between two of its steps is undone.
func TestRestoreIsCanceledHalfWay(t *testing.T) {
	t.Parallel()
	backup := newDatabase(t)
	script(t, backup, "CREATE TABLE big (a); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 12000) INSERT INTO big SELECT hex(randomblob(500)) FROM n")
	path := newDatabase(t)
	db := open(t, path, nil)
	create(t, db, "second")
	ctx, cancel := context.WithCancel(background)
	steps := 0
	_, err := sqlite.Restore(ctx, path, backup, nil, true, func(done, total int64) {
		if steps++; done > total/4 {
			cancel()
		}
	})
	wantCode(t, err, nexus.CodeCanceled)
	if steps != 1 {
		t.Errorf("it was stopped after %d steps", steps)
	}
	if ids := projectIDs(t, db); len(ids) != 2 {
		t.Errorf("there are %v", ids)
	}
	create(t, db, "third") // the lock is free
	mustClose(t, db)
	mustBeAlone(t, path)
	mustBeSound(t, path)
}
