package sqlite_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed-c8812374/nexus"
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
