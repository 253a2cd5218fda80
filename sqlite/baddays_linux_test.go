package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// smallDisk returns a folder on a disk of 2 MB of its own.
func smallDisk(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=3m,mode=0700"); err != nil {
		notTested(t, "a full disk, because no small disk can be mounted here (it takes root): %v", err)
	}
	t.Cleanup(func() {
		// A process that another test is just starting has all files open for a
		// moment.
		until(t, "unmounting", func() bool { return syscall.Unmount(folder, 0) == nil })
	})
	return folder
}

// fill takes all space but a little of a disk, and returns what gives it back.
func fill(t *testing.T, folder string, but int64) (free func()) {
	t.Helper()
	var disk syscall.Statfs_t
	if err := syscall.Statfs(folder, &disk); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "filler")
	size := max(0, int64(disk.Bavail)*disk.Bsize-but)
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	for _, but := range []int64{0, 4096, 8192, 65536} {
		t.Run(fmt.Sprint(but), func(t *testing.T) {
			t.Parallel()
			folder := smallDisk(t)
			path := filepath.Join(folder, "nexus.db")
			db := open(t, path, nil)
			create(t, db, "before")
			free := fill(t, folder, but)
			want := map[string]bool{"before": true}
			text := strings.Repeat("x", 3000)
			var full error
			for n := 0; n < 1000 && full == nil; n++ {
				p := project(fmt.Sprintf("p%d", n))
				p.Description = text
				if full = db.Projects.Create(background, p); full == nil {
					want[p.ID] = true
				}
			}
			wantCode(t, full, nexus.CodeFull)
			if !asError(full).Retryable() {
				t.Errorf("%v cannot be retried", full)
			}
			check := func(when string) {
				t.Helper()
				got := projectIDs(t, db)
				if len(got) != len(want) {
					t.Errorf("%s: %d rows, want %d", when, len(got), len(want))
				}
			}
			check("full")
			wantCode(t, bigWrite(db), nexus.CodeFull)
			check("still full")
			free()
			create(t, db, "after")
			want["after"] = true
			check("free again")
			mustClose(t, db)
			mustBeAlone(t, path)
			mustBeSound(t, path)
			db = open(t, path, nil)
			check("reopened")
		})
	}
}

// bigWrite writes more than fits.
func bigWrite(db *store.DB) error {
	return db.InTx(background, func(tx *store.Tx) error {
		for i := range 4 {
			p := project(fmt.Sprintf("big%d", i))
			p.Description = strings.Repeat("x", 1<<20)
			if err := tx.Projects.Create(background, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// Many writers when the disk becomes full: who is told that it is stored finds
// it stored, although others in the same commit failed.
func TestFullDiskWithManyWriters(t *testing.T) {
	t.Parallel()
	folder := smallDisk(t)
	path := filepath.Join(folder, "nexus.db")
	db := open(t, path, nil)
	var mu sync.Mutex
	want := make(map[string]bool)
	var failures atomic.Int64
	withoutHanging(t, func() {
		var all sync.WaitGroup
		for g := range 16 {
			all.Go(func() {
				for n := range 60 {
					p := project(fmt.Sprintf("p%d-%d", g, n))
					p.Description = strings.Repeat("x", (g*n*37)%9000)
					switch err := db.Projects.Create(background, p); nexus.CodeOf(err) {
					case "":
						mu.Lock()
						want[p.ID] = true
						mu.Unlock()
					case nexus.CodeFull:
						failures.Add(1)
					default:
						t.Errorf("%s: %v", p.ID, err)
					}
				}
			})
		}
		all.Wait()
	})
	if failures.Load() == 0 {
		t.Error("the disk has not become full")
	}
	_ = db.Close() // the log may be left, for want of space to copy it
	db = open(t, path, nil)
	got := projectIDs(t, db)
	for id := range want {
		if !got[id] {
			t.Errorf("%s was acknowledged and is gone", id)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d rows, %d were acknowledged", len(got), len(want))
	}
}

// Wherever in a migration the disk becomes full, the database is as it was, and
// can be migrated when there is space.
func TestFullDiskInMigration(t *testing.T) {
	t.Parallel()
	for _, but := range []int64{0, 4096, 65536, 200 << 10, 260 << 10, 300 << 10, 350 << 10} {
		t.Run(fmt.Sprint(but), func(t *testing.T) {
			t.Parallel()
			folder := smallDisk(t)
			path := filepath.Join(folder, "nexus.db")
			script(t, path, string(content(t, "testdata/drizzle.sql")))
			migration := userMigrations(t, map[string]string{"00001_big.sql": "-- +goose Up\nCREATE TABLE big (text TEXT);\n" +
				"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200) INSERT INTO big SELECT hex(randomblob(500)) FROM n;\n"})
			options := &sqlite.Options{Migrations: migration}
			before := dump(t, path)
			free := fill(t, folder, but)
			alone := beside(t, path)

			db, err := sqlite.Open(background, path, options)
			if err == nil {
				_ = db.Close()
			}
			wantCode(t, err, nexus.CodeFull)
			mustEqual(t, dump(t, path), before)
			if got := beside(t, path); !slices.Equal(got, alone) {
				t.Errorf("beside the database are %v, were %v", got, alone)
			}
			free()
			db, err = sqlite.Open(background, path, options)
			if err != nil {
				t.Fatal(err)
			}
			mustClose(t, db)
		})
	}
}

// A new database on a full disk.
func TestFullDiskWhenNew(t *testing.T) {
	t.Parallel()
	folder := smallDisk(t)
	path := filepath.Join(folder, "nexus.db")
	free := fill(t, folder, 0)
	_, err := sqlite.Open(background, path, nil)
	wantCode(t, err, nexus.CodeFull)
	free()
	mustClose(t, open(t, path, nil))
	mustBeSound(t, path)
}

// becomeNobody gives up all rights, since root may write everywhere.
func becomeNobody() error {
	if os.Geteuid() != 0 {
		return nil
	}
	const nobody = 65534
	err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody))
	if err != nil {
		return fmt.Errorf("cannot become another user: %w", err)
	}
	return nil
}

// publicDatabase makes a database where others can get at it.
func publicDatabase(t *testing.T) (path string) {
	t.Helper()
	// Not t.TempDir, which only its owner can enter.
	root, err := os.MkdirTemp("", "nexus-permissions-")
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(root, "data")
	t.Cleanup(func() {
		_ = os.Chmod(folder, 0o700)
		_ = os.RemoveAll(root)
	})
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(folder, "nexus.db")
	db := open(t, path, nil)
	create(t, db, "first")
	mustClose(t, db)
	return path
}

// childNobody becomes a user without rights and does what args[0] says with the database at args[1].
func childNobody(args []string) error {
	if err := becomeNobody(); err != nil {
		return err
	}
	path := args[1]
	db, err := sqlite.Open(background, path, &sqlite.Options{ReadOnly: args[0] == "read-only"})
	if err != nil {
		say("open: %s: %v", nexus.CodeOf(err), err)
		return nil
	}
	if _, err := db.Projects.Get(background, "first"); err != nil {
		say("read: %s: %v", nexus.CodeOf(err), err)
	}
	if err := db.Projects.Create(background, project("second")); err != nil {
		say("write: %s: %v", nexus.CodeOf(err), err)
	}
	if err := db.Close(); err != nil {
		say("close: %s: %v", nexus.CodeOf(err), err)
	}
	return nil
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	const readOnly = string(nexus.CodeReadOnly)
	for name, test := range map[string]struct {
		file, folder os.FileMode
		mode         string
		want         []string // the codes, of what fails
	}{
		"all allowed":                   {0o666, 0o777, "write", nil},
		"file read-only":                {0o444, 0o777, "write", []string{"write: " + readOnly}},
		"folder read-only":              {0o666, 0o555, "write", []string{"open: " + readOnly}},
		"both read-only":                {0o444, 0o555, "write", []string{"open: " + readOnly}},
		"file read-only, reading":       {0o444, 0o777, "read-only", []string{"write: " + readOnly}},
		"folder read-only, reading":     {0o666, 0o555, "read-only", []string{"write: " + readOnly}},
		"both read-only, reading":       {0o444, 0o555, "read-only", []string{"write: " + readOnly}},
		"file not readable":             {0, 0o777, "write", []string{"open: "}},
		"file not readable, reading":    {0, 0o777, "read-only", []string{"open: "}},
		"folder not readable":           {0o666, 0o000, "write", []string{"open: "}},
		"new file in a closed folder":   {os.ModeIrregular, 0o555, "write", []string{"open: " + readOnly}},
		"new folder in a closed folder": {os.ModeDir, 0o555, "write", []string{"open: " + readOnly}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := publicDatabase(t)
			folder := filepath.Dir(path)
			before := content(t, path)
			target := path
			switch test.file {
			case os.ModeIrregular:
				target = filepath.Join(folder, "new.db")
			case os.ModeDir:
				target = filepath.Join(folder, "new", "new.db")
			default:
				if err := os.Chmod(path, test.file); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(folder, test.folder); err != nil {
				t.Fatal(err)
			}
			output := start(t, "", "nobody", test.mode, target).MustEnd()
			lines := strings.FieldsFunc(output, func(r rune) bool { return r == '\n' })
			if len(lines) != len(test.want) {
				t.Fatalf("what fails is %q, want %q", lines, test.want)
			}
			for i, want := range test.want {
				if !strings.HasPrefix(lines[i], want) || strings.Contains(lines[i], string(nexus.CodeInternal)) {
					t.Errorf("what fails is %q, want %q", lines[i], want)
				}
			}
			if err := os.Chmod(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			if len(test.want) > 0 {
				mustBe(t, path, before)
			}
			if test.file != 0o444 || test.folder != 0o777 { // a reader cannot remove the log that it needs
				mustBeAlone(t, path)
			}
		})
	}
}

// childReadTwice becomes a user who may not write, and reads the database at
// args[1] before and after the parent has written to it.
func childReadTwice(args []string) error {
	if err := becomeNobody(); err != nil {
		return err
	}
	db, err := sqlite.Open(background, args[1], &sqlite.Options{ReadOnly: args[0] == "read-only"})
	if err != nil {
		return err
	}
	for range 2 {
		list, err := db.Projects.List(background, nexus.ProjectFilter{})
		if err != nil {
			return err
		}
		h, err := db.Health(background, true)
		if err != nil || len(h.Problems) > 0 {
			return fmt.Errorf("health = %+v, %w", h, err)
		}
		say("%d", len(list))
		awaitParent()
	}
	return db.Close()
}

// Who may not write a file must see what others write to it, and never half of
// it.
func TestReadWhatOthersWrite(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file, folder os.FileMode
		mode         string
	}{
		"file read-only":            {0o444, 0o777, "write"},
		"file read-only, reading":   {0o444, 0o777, "read-only"},
		"folder read-only, reading": {0o666, 0o555, "read-only"},
		"both read-only, reading":   {0o444, 0o555, "read-only"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if os.Geteuid() != 0 {
				notTested(t, "it takes root to be two users")
			}
			path := publicDatabase(t)
			folder := filepath.Dir(path)
			if err := errors.Join(os.Chmod(path, test.file), os.Chmod(folder, test.folder)); err != nil {
				t.Fatal(err)
			}
			p := start(t, "", "read-twice", test.mode, path)
			if got := p.Line(); got != "1" {
				t.Errorf("before: %s rows", got)
			}
			db := open(t, path, nil) // as root, who may write everywhere
			for i := range 200 {
				wide := project(fmt.Sprintf("p%d", i))
				wide.Description = strings.Repeat("x", 2000)
				if err := db.Projects.Create(background, wide); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Projects.Delete(background, "p7"); err != nil {
				t.Fatal(err)
			}
			mustClose(t, db)
			p.GoOn()
			output, err := p.End()
			if err != nil || strings.TrimSpace(output) != "200" {
				t.Errorf("after: %q rows, %v, want 200", output, err)
			}
		})
	}
}
