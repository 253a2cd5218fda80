package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
)

// Wherever in a backup the disk becomes full, nothing of it is left, and the
// database goes on.
func TestFullDiskInBackup(t *testing.T) {
	t.Parallel()
	for _, but := range []int64{0, 4096, 100 << 10, 400 << 10} {
		t.Run(fmt.Sprint(but), func(t *testing.T) {
			t.Parallel()
			folder := smallDisk(t)
			db := open(t, newLarge(t), nil)
			free := fill(t, folder, but)
			path := filepath.Join(folder, "copy.db")
			_, err := db.Backup(background, path, nil)
			wantCode(t, err, nexus.CodeFull)
			if files := beside(t, path); !slices.Equal(files, []string{"filler"}) {
				t.Errorf("on the full disk are %v", files)
			}
			create(t, db, "after")
			free()
			mustBackUp(t, db, path)
			mustBeSound(t, path)
		})
	}
}

// Wherever in a restore the disk becomes full, the database is as it was, with nothing
// beside it, and can be restored when there is space.
func TestFullDiskInRestore(t *testing.T) {
	t.Parallel()
	for _, but := range []int64{0, 100 << 10, 560 << 10, 700 << 10, 900 << 10} {
		t.Run(fmt.Sprint(but), func(t *testing.T) {
			t.Parallel()
			backup, what := newBackup(t)
			folder := smallDisk(t)
			path := filepath.Join(folder, "nexus.db")
			db := open(t, path, nil)
			create(t, db, "before")
			mustClose(t, db)
			before := dump(t, path)
			free := fill(t, folder, but)
			_, err := sqlite.Restore(background, path, backup, nil, true, nil)
			wantCode(t, err, nexus.CodeFull)
			if files := beside(t, path); !slices.Equal(files, []string{"filler"}) {
				t.Errorf("beside the database are %v", files)
			}
			free()
			mustEqual(t, dump(t, path), before)
			mustRestore(t, path, backup)
			mustEqual(t, withoutCookie(dump(t, path)), withoutCookie(what))
		})
	}
}

// Without room for rewriting the file nothing is forgotten, and the database goes on.
func TestFullDiskInCompact(t *testing.T) {
	t.Parallel()
	template := content(t, newWithHistory(t))
	for _, but := range []int64{64 << 10, 200 << 10, int64(len(template)) / 2} {
		t.Run(fmt.Sprint(but), func(t *testing.T) {
			t.Parallel()
			folder := smallDisk(t)
			path := filepath.Join(folder, "nexus.db")
			mustSucceed(t, os.WriteFile(path, template, 0o600))
			free := fill(t, folder, but)
			db := open(t, path, nil)
			_, err := db.Compact(background, nexus.CompactRequest{})
			wantCode(t, err, nexus.CodeFull)
			checkpointsHold(t, db, 5)
			mustClose(t, db)
			mustBe(t, path, template)
			free()
			db = open(t, path, nil)
			report, err := db.Compact(background, nexus.CompactRequest{})
			mustSucceed(t, err)
			if report.NotShrunk != "" || report.Forgotten == 0 {
				t.Errorf("%+v", report)
			}
			checkpointsHold(t, db, 5)
		})
	}
}
