package sqlite_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// folderOf returns where a database is kept.
func folderOf(t *testing.T, db *store.DB) (folder string) {
	t.Helper()
	err := db.View(background, func(tx *store.Tx) error {
		file, err := one(tx, "SELECT file FROM pragma_database_list")
		folder = filepath.Dir(file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestMemoryIsPrivateAndLeavesNothing(t *testing.T) {
	t.Parallel()
	a, b := open(t, sqlite.Memory, nil), open(t, sqlite.Memory, nil)
	create(t, a, "a")
	create(t, b, "b")
	if ids := projectIDs(t, a); len(ids) != 1 || !ids["a"] {
		t.Errorf("rows of a: %v", ids)
	}
	folders := []string{folderOf(t, a), folderOf(t, b)}
	if folders[0] == folders[1] {
		t.Errorf("both are in %s", folders[0])
	}
	for _, folder := range folders {
		info, err := os.Stat(folder)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v, %v", folder, info.Mode(), err)
		}
	}
	mustClose(t, a)
	create(t, b, "b2")
	mustClose(t, b)
	for _, folder := range folders {
		if _, err := os.Stat(folder); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", folder, err)
		}
	}
	if _, err := a.Projects.Get(background, "a"); nexus.CodeOf(err) != nexus.CodeClosed {
		t.Errorf("after Close: %v", err)
	}
}

func TestMemoryBehavesLikeAFile(t *testing.T) {
	t.Parallel()
	folder := userMigrations(t, map[string]string{"00001_x.sql": "-- +goose Up\nCREATE TABLE x (id TEXT);\n"})
	db := open(t, sqlite.Memory, &sqlite.Options{Migrations: folder})
	h, err := db.Health(background, true)
	if err != nil || !h.OK() {
		t.Errorf("health = %+v, %v", h, err)
	}
	_, added, err := db.Tables(background)
	if err != nil || len(added) == 0 || added[len(added)-1] != "x" {
		t.Errorf("tables = %v, %v", added, err)
	}
	// Readers and writers at once, on connections of their own.
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for n := range 50 {
				create(t, db, fmt.Sprintf("p%d-%d", g, n))
				if _, err := db.Projects.Count(background, nexus.ProjectFilter{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := len(projectIDs(t, db)); n != 400 {
		t.Errorf("%d rows", n)
	}
	err = db.View(background, func(tx *store.Tx) error {
		return tx.Projects.Create(background, project("x"))
	})
	wantWriteRefused(t, err)
	err = db.Features.Create(background, &nexus.Feature{ProjectID: "gone", Name: "x"})
	wantCode(t, err, nexus.CodeReference)
}

// A database in memory that cannot be opened leaves nothing either. No other
// test runs beside this one, so all private files that are open are its own.
func TestMemoryThatFails(t *testing.T) {
	used := make(map[string]bool)
	spy := slog.New(slog.NewTextHandler(spyWriter(func() {
		files, _ := filepath.Glob("/proc/self/fd/*")
		for _, file := range files {
			if target, err := os.Readlink(file); err == nil && strings.Contains(target, "nexus-memory-") {
				used[filepath.Dir(target)] = true
			}
		}
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	bad := userMigrations(t, map[string]string{"00001_x.sql": "-- +goose Up\nCREATE TABEL x (id TEXT);\n"})
	_, err := sqlite.Open(background, sqlite.Memory, &sqlite.Options{Migrations: bad, Debug: true, Logger: spy})
	wantCode(t, err, nexus.CodeMigration)
	if len(used) == 0 {
		t.Skip("where the database was cannot be seen here")
	}
	for folder := range used {
		if _, err := os.Stat(folder); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", folder, err)
		}
	}
}

// spyWriter calls a function whenever something is logged.
type spyWriter func()

func (spy spyWriter) Write(line []byte) (int, error) {
	spy()
	return len(line), nil
}
