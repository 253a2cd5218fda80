package storetest

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var databaseTests = map[string]test{
	"Tables": testTables,
	"Schema": testSchema,
	"Ping":   testPing,
	"Closed": testClosed,
	"Backup": testBackup,
}

func testTables(t *testing.T, db *store.DB) {
	ctx := t.Context()
	contract, added, err := db.Tables(ctx)
	must(t, err)
	same(t, contract, []string{
		"projects", "features", "sub_features", "tasks", "agents", "checkpoints", "requirements", "metrics", "sessions",
	})
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, "CREATE TABLE of_the_user (id TEXT PRIMARY KEY)")
		return err
	}))
	_, after, err := db.Tables(ctx)
	must(t, err)
	same(t, after, append(added, "of_the_user"))
	for _, table := range after {
		if slices.Contains(contract, table) || strings.Contains(table, "migration") {
			t.Errorf("table %s is listed as an added one", table)
		}
	}
}

func testSchema(t *testing.T, db *store.DB) {
	statements, err := db.Schema(t.Context())
	must(t, err)
	for _, kind := range nexus.Kinds() {
		created := slices.ContainsFunc(statements, func(sql string) bool {
			return strings.Contains(sql, "CREATE TABLE "+kind.Table()+" (") || strings.Contains(sql, "CREATE TABLE "+`"`+kind.Table()+`"`)
		})
		if !created {
			t.Errorf("the schema does not create %s", kind.Table())
		}
	}
}

func testPing(t *testing.T, db *store.DB) {
	must(t, db.Ping(t.Context()))
	health, err := db.Health(t.Context(), false)
	must(t, err)
	same(t, health.OK(), true)
	if health.SchemaVersion == 0 || health.Problems == nil && !health.OK() {
		t.Errorf("health is %+v", health)
	}
}

// testBackup is what a backup promises whatever the database is. Where it is a file,
// its driver's own tests look into it.
func testBackup(t *testing.T, db *store.DB) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "a"))
	path := filepath.Join(t.TempDir(), "copy")
	backup, err := db.Backup(ctx, path, nil)
	if nexus.CodeOf(err) == nexus.CodeInvalid {
		return // this database is backed up by a program of its own
	}
	must(t, err)
	content, err := os.ReadFile(path)
	must(t, err)
	sum := sha256.Sum256(content)
	same(t, []any{backup.Path, backup.Bytes, backup.SHA256}, []any{path, int64(len(content)), hex.EncodeToString(sum[:])})
	for _, kind := range nexus.Kinds() {
		want := int64(0)
		if kind == nexus.KindProject {
			want = 1
		}
		if got, has := backup.Counts[kind.Table()]; !has || got != want {
			t.Errorf("%d rows of %s, want %d", got, kind.Table(), want)
		}
	}
	_, err = db.Backup(ctx, path, nil)
	same(t, nexus.CodeOf(err), nexus.CodeExists)
	again, err := os.ReadFile(path)
	must(t, err)
	same(t, again, content)
}

func testClosed(t *testing.T, db *store.DB) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "a"))
	must(t, db.Close())
	must(t, db.Close()) // again does nothing
	for name, call := range map[string]func() error{
		"Get":    func() error { _, err := db.Projects.Get(ctx, "a"); return err },
		"Create": func() error { return project(ctx, &db.Services, "b") },
		"List":   func() error { _, err := db.Projects.List(ctx, nexus.ProjectFilter{}); return err },
		"Load":   func() error { _, err := db.Projects.Load(ctx, "a"); return err },
		"InTx":   func() error { return db.InTx(ctx, func(*store.Tx) error { return nil }) },
		"View":   func() error { return db.View(ctx, func(*store.Tx) error { return nil }) },
		"Ping":   func() error { return db.Ping(ctx) },
		"Health": func() error { _, err := db.Health(ctx, false); return err },
		"Tables": func() error { _, _, err := db.Tables(ctx); return err },
		"Schema": func() error { _, err := db.Schema(ctx); return err },
		"Backup": func() error { _, err := db.Backup(ctx, filepath.Join(t.TempDir(), "copy"), nil); return err },
	} {
		if err := call(); nexus.CodeOf(err) != nexus.CodeClosed {
			t.Errorf("%s on a closed database: %v", name, err)
		}
	}
}
