package sqlite_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// mustBackUp backs a database up to a new file beside it.
func mustBackUp(t testing.TB, db *store.DB, path string) driver.Backup {
	t.Helper()
	b, err := db.Backup(background, path, nil)
	if err != nil {
		t.Fatalf("Backup: %v", err)
	}
	return b
}

func TestBackup(t *testing.T) {
	t.Parallel()
	path := newLarge(t)
	db := open(t, path, nil)
	copied := filepath.Join(filepath.Dir(path), "copy.db")
	var reports []int64
	total := int64(0)
	b, err := db.Backup(background, copied, func(done, of int64) { reports, total = append(reports, done), of })
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(reports) || len(reports) < 2 || reports[len(reports)-1] != total {
		t.Errorf("progress was %v of %d", reports, total)
	}
	info, err := os.Stat(copied)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != b.Bytes {
		t.Errorf("the file has mode %v and %d bytes, not %d; %v", info.Mode(), info.Size(), b.Bytes, err)
	}
	sum := sha256.Sum256(content(t, copied))
	if b.SHA256 != hex.EncodeToString(sum[:]) || b.Path != copied || b.Counts["projects"] != 401 {
		t.Errorf("the backup is %+v", b)
	}
	if _, has := b.Counts["nexus_migrations"]; has || len(b.Counts) < 11 {
		t.Errorf("tables: %v", slices.Sorted(maps.Keys(b.Counts)))
	}
	mustClose(t, db)
	if files := beside(t, path); !slices.Equal(files, []string{"copy.db"}) {
		t.Errorf("beside the database are %v", files)
	}
	mustEqual(t, dump(t, copied), dump(t, path))
	mustBeSound(t, copied)
}

// A backup has the database's pages, byte for byte, of whatever size they are, also what
// is left over when they are handed on some at a time.
func TestBackupOfManyPages(t *testing.T) {
	t.Parallel()
	for _, pageSize := range []int{512, 4096, 65536} {
		path := newLarge(t)
		script(t, path, fmt.Sprintf(`
			PRAGMA journal_mode = DELETE; PRAGMA page_size = %d; VACUUM;
			CREATE TABLE other (blob); INSERT INTO other VALUES (randomblob(1048576)), (randomblob(1500000)), (randomblob(7))`, pageSize))
		db := open(t, path, nil)
		copied := filepath.Join(filepath.Dir(path), "copy.db")
		mustBackUp(t, db, copied)
		mustClose(t, db)
		mustBe(t, copied, content(t, path))
	}
}

// A private database is kept by it, and what is open read-only can be backed up.
func TestBackupOfMemory(t *testing.T) {
	t.Parallel()
	db := open(t, sqlite.Memory, nil)
	create(t, db, "p")
	path := newPath(t)
	mustBackUp(t, db, path)
	kept := open(t, path, &sqlite.Options{ReadOnly: true})
	if !projectIDs(t, kept)["p"] {
		t.Error("the row is not in it")
	}
	again := newPath(t)
	mustBackUp(t, kept, again)
	mustClose(t, kept)
	mustBe(t, again, content(t, path))
}

// While writers go on, a backup is a state that there was: of what each of them
// writes one after the other it has a beginning without gaps, and all that was
// acknowledged before it was begun.
func TestBackupWhileOthersWrite(t *testing.T) {
	t.Parallel()
	path := newLarge(t)
	other := start(t, "", "write-until-kill", path, "other")
	db := open(t, path, nil)
	ctx, stop := context.WithCancel(background)
	const writers = 4
	var acknowledged [writers]int // by each writer; guarded by mu
	var mu sync.Mutex
	var all sync.WaitGroup
	for g := range writers {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				// Two rows of one transaction, of which there is never one alone.
				err := db.InTx(background, func(tx *store.Tx) error {
					p := project(fmt.Sprintf("w%d-%d", g, n))
					p.Description = strings.Repeat("x", (n*71)%3000)
					if err := tx.Projects.Create(background, p); err != nil {
						return err
					}
					return tx.Features.Create(background, &nexus.Feature{ID: "f" + p.ID, ProjectID: p.ID, Name: "n"})
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acknowledged[g] = n + 1
				mu.Unlock()
			}
		})
	}
	otherDone := []string{}
	copies := make(map[string][writers]int)
	otherBefore := make(map[string]int)
	for round := range 6 {
		for range 5 { // what the other process has been told
			otherDone = append(otherDone, other.Line())
		}
		mu.Lock()
		before := acknowledged
		mu.Unlock()
		copied := filepath.Join(filepath.Dir(path), fmt.Sprintf("copy%d.db", round))
		mustBackUp(t, db, copied)
		copies[copied], otherBefore[copied] = before, len(otherDone)
	}
	stop()
	all.Wait()
	other.Kill()
	for copied, before := range copies {
		mustBeSound(t, copied)
		backup := open(t, copied, nil)
		ids := projectIDs(t, backup)
		features, err := backup.Features.Count(background, nexus.FeatureFilter{})
		if err != nil {
			t.Fatal(err)
		}
		pairs := int64(0)
		for g := range writers {
			n := 0
			for ; ids[fmt.Sprintf("w%d-%d", g, n)]; n++ {
				pairs++
			}
			if n < before[g] {
				t.Errorf("%s: of writer %d there are %d rows; %d had been acknowledged", copied, g, n, before[g])
			}
			for later := n; later < n+50; later++ {
				if ids[fmt.Sprintf("w%d-%d", g, later)] {
					t.Errorf("%s: of writer %d row %d is there, and row %d is not", copied, g, later, n)
				}
			}
		}
		if features != pairs {
			t.Errorf("%s: %d projects of pairs, %d features", copied, pairs, features)
		}
		for _, id := range otherDone[:otherBefore[copied]] {
			if !ids[id] {
				t.Errorf("%s: %s of the other process had been acknowledged and is not there", copied, id)
			}
		}
	}
}

func TestBackupRefuses(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	folder := filepath.Dir(path)
	db := open(t, path, nil)
	create(t, db, "in the log")
	name := func(n string) string { return filepath.Join(folder, n) }
	if err := os.WriteFile(name("text"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"symbolic": path, "dangling": name("nothing"), "to the log": path + "-wal"} {
		if err := os.Symlink(to, name(link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(path, name("hard")); err != nil {
		t.Fatal(err)
	}
	before := beside(t, path)
	for file, code := range map[string]nexus.Code{
		"":                    nexus.CodeInvalid,
		path:                  nexus.CodeInvalid,
		path + "-wal":         nexus.CodeInvalid,
		path + "-shm":         nexus.CodeInvalid,
		path + "-journal":     nexus.CodeInvalid, // which is not there
		name("symbolic"):      nexus.CodeInvalid,
		name("hard"):          nexus.CodeInvalid,
		name("to the log"):    nexus.CodeInvalid,
		name("dangling"):      nexus.CodeExists,
		name("text"):          nexus.CodeExists,
		folder:                nexus.CodeExists,
		name("nowhere/x.db"):  nexus.CodeIO,
		name("text/copy.db"):  nexus.CodeIO,
		name("bad\x00name"):   nexus.CodeIO,
		"/proc/no-file-there": nexus.CodeIO,
	} {
		b, err := db.Backup(background, file, nil)
		if nexus.CodeOf(err) != code || b.Path != "" {
			t.Errorf("%q: %v (%s), want %s", file, err, nexus.CodeOf(err), code)
		}
	}
	if got := beside(t, path); !slices.Equal(got, before) {
		t.Errorf("beside the database are %v, were %v", got, before)
	}
	if got := content(t, name("text")); string(got) != "mine" {
		t.Errorf("the file is %q now", got)
	}
	mustClose(t, db)
	wantCode(t, func() error { _, err := db.Backup(background, name("late.db"), nil); return err }(), nexus.CodeClosed)
	mustBeSound(t, path)
}

// Whoever stops a backup finds nothing of it.
func TestBackupIsCanceled(t *testing.T) {
	t.Parallel()
	path := newLarge(t)
	db := open(t, path, nil)
	ctx, cancel := context.WithCancel(background)
	_, err := db.Backup(ctx, path+".copy", func(int64, int64) { cancel() })
	wantCode(t, err, nexus.CodeCanceled)
	mustClose(t, db)
	mustBeAlone(t, path)
	mustBeSound(t, path)
}

func TestBackupOfDamaged(t *testing.T) {
	t.Parallel()
	path := newLarge(t)
	damaged := content(t, path)
	copy(damaged[len(damaged)/2:], make([]byte, 4*pageSize))
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	db := open(t, path, nil)
	_, err := db.Backup(background, path+".copy", nil)
	wantCode(t, err, nexus.CodeCorrupt)
	mustClose(t, db)
	mustBe(t, path, damaged)
	mustBeAlone(t, path)
}

// childBackUp backs the database at args[0] up to args[1]0, args[1]1, … until it is
// killed.
func childBackUp(args []string) error {
	db, err := sqlite.Open(background, args[0], nil)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		b, err := db.Backup(background, fmt.Sprint(args[1], n), nil)
		if err != nil {
			return err
		}
		say("%s %s", b.SHA256, b.Path)
	}
}

// Whenever a backup is killed, what has the name of one is whole, and the database
// is as it was.
func TestKillInBackup(t *testing.T) {
	t.Parallel()
	path := newLarge(t)
	before := dump(t, path)
	whole, partial := 0, 0
	for round := range 12 {
		prefix := filepath.Join(filepath.Dir(path), fmt.Sprintf("copy%d-", round))
		p := start(t, "", "back-up", path, prefix)
		sum, first, _ := strings.Cut(p.Line(), " ")
		time.Sleep(time.Duration(round*round) * 300 * time.Microsecond)
		p.Kill()
		if got := sha256.Sum256(content(t, first)); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s is not what was reported", first)
		}
		for _, name := range beside(t, path) {
			file := filepath.Join(filepath.Dir(path), name)
			switch {
			case strings.HasSuffix(name, ".partial"):
				partial++
			case strings.HasPrefix(name, "copy"):
				whole++
				mustEqual(t, dump(t, file), before)
			default: // the log of the killed process
				continue
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	if whole < 12 || partial == 0 {
		t.Errorf("%d backups were whole, %d were not: the test does not kill in the middle", whole, partial)
	}
	mustBeSound(t, path)
	mustEqual(t, dump(t, path), before)
}
