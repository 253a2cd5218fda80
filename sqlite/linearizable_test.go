package sqlite_test

import (
	"testing"

	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store/driver"
	"github.com/seed-c8812374/nexus/storetest/linear"
)

// linearized is one file, of which a commit need not reach the disk.
var linearized = linear.Database{
	New: func(t *testing.T) string {
		path := newPath(t)
		t.Cleanup(func() { mustBeSound(t, path) })
		return path
	},
	Open: func(name string) (driver.DB, error) {
		return sqlite.OpenDriver(background, name, &sqlite.Options{NoSync: true})
	},
}

func TestLinearizable(t *testing.T) {
	t.Parallel()
	linear.Run(t, linearized)
}
