package sqlite_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
	"github.com/seed-c8812374/nexus/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("File", func(t *testing.T) {
		t.Parallel()
		// Migrating is most of the work of a short test, and tested elsewhere:
		// it is done once.
		template := filepath.Join(t.TempDir(), "template.db")
		if err := openSuite(t, template, nil).Close(); err != nil {
			t.Fatal(err)
		}
		empty, err := os.ReadFile(template)
		if err != nil {
			t.Fatal(err)
		}
		storetest.Run(t, func(t *testing.T, now func() time.Time) *store.DB {
			path := filepath.Join(t.TempDir(), "nexus.db")
			if err := os.WriteFile(path, empty, 0o600); err != nil {
				t.Fatal(err)
			}
			return openSuite(t, path, func(o *sqlite.Options) { o.Now = now })
		})
	})
	t.Run("Memory", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T, now func() time.Time) *store.DB {
			return openSuite(t, sqlite.Memory, func(o *sqlite.Options) { o.Now = now })
		})
	})
}

// openSuite opens a database that is closed when the test ends. It does not wait for
// the disk: whether a commit survives a loss of power is not asked here.
func openSuite(t *testing.T, path string, change func(*sqlite.Options)) *store.DB {
	t.Helper()
	options := &sqlite.Options{NoSync: true, Now: storetest.Now}
	if change != nil {
		change(options)
	}
	db, err := sqlite.Open(t.Context(), path, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

// TestForeignTypes stores values of types that no other database would take in
// these columns, as SQLite lets every program do. Each is read as well as it can
// be, shown, and kept when another field changes.
func TestForeignTypes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := openSuite(t, filepath.Join(t.TempDir(), "nexus.db"), nil)
	project := nexus.Project{ID: "p", Name: "n", RootPath: "/"}
	if err := db.Projects.Create(ctx, &project); err != nil {
		t.Fatal(err)
	}
	if err := db.Tasks.Create(ctx, &nexus.Task{ID: "t", ProjectID: "p", Name: "n"}); err != nil {
		t.Fatal(err)
	}
	for _, column := range []string{
		"name", "description", "status", "size", "assigned_agent", "depends_on", "qa_iterations", "actual_minutes",
		"started_at", "created_at", "priority", "metadata",
	} {
		for _, value := range []string{
			"'many'", "'12abc'", "1.75", "-9e300", "9e999", "x'00ff41'", "x''", "CAST(x'61ff62' AS TEXT)", "char(0)", "'a' || char(0) || 'b'",
			"'2026-05-04T03:02:01Z'", "9223372036854775807",
		} {
			before := rawValue(t, db, column)
			err := db.InTx(ctx, func(tx *store.Tx) error {
				_, err := tx.Exec(ctx, "UPDATE tasks SET "+column+" = "+value)
				return err
			})
			if err != nil {
				t.Fatalf("%s = %s: %v", column, value, err)
			}
			stored := rawValue(t, db, column)

			task, err := db.Tasks.Get(ctx, "t")
			if err != nil {
				t.Fatalf("%s = %s: %v", column, value, err)
			}
			if _, err := json.Marshal(task); err != nil {
				t.Errorf("%s = %s cannot be shown: %v", column, value, err)
			}
			if _, err := db.Resume(ctx, nexus.ResumeRequest{TaskID: "t"}); err != nil {
				t.Errorf("%s = %s: resume: %v", column, value, err)
			}
			if _, err := db.Tasks.Update(ctx, "t", nexus.TaskUpdate{BranchName: new(task.BranchName + "x")}); err != nil {
				t.Errorf("%s = %s: update of another field: %v", column, value, err)
			}
			if diff := cmp.Diff(stored, rawValue(t, db, column)); diff != "" {
				t.Errorf("%s = %s was changed with another field (-before +after):\n%s", column, value, diff)
			}
			restore := func(tx *store.Tx) error {
				_, err := tx.Exec(ctx, "UPDATE tasks SET "+column+" = $1", before)
				return err
			}
			if err := db.InTx(ctx, restore); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func rawValue(t *testing.T, db *store.DB, column string) (value any) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) error {
		return tx.Query(t.Context(), "SELECT "+column+" FROM tasks", nil, func(r driver.Row) error {
			value = r.Value(0)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// TestLoadQueries counts the statements that loading a project runs: as many
// for a hundred tasks as for one.
func TestLoadQueries(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var statements atomic.Int64
	db := openSuite(t, sqlite.Memory, func(o *sqlite.Options) {
		o.Debug = true
		o.Logger = slog.New(countSelects{&statements})
	})
	create := func(id string, tasks int) {
		err := db.InTx(ctx, func(tx *store.Tx) error {
			if err := tx.Projects.Create(ctx, &nexus.Project{ID: id, Name: "n", RootPath: "/"}); err != nil {
				return err
			}
			if err := tx.Features.Create(ctx, &nexus.Feature{ID: "f" + id, ProjectID: id, Name: "n"}); err != nil {
				return err
			}
			for range tasks {
				if err := tx.SubFeatures.Create(ctx, &nexus.SubFeature{FeatureID: "f" + id, Name: "n"}); err != nil {
					return err
				}
				if err := tx.Tasks.Create(ctx, &nexus.Task{ProjectID: id, FeatureID: "f" + id, Name: "n"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	create("small", 1)
	create("large", 100)
	count := func(load func(prefix string) error, id string) int64 {
		before := statements.Load()
		if err := load(id); err != nil {
			t.Fatal(err)
		}
		return statements.Load() - before
	}
	for name, load := range map[string]func(id string) error{
		"project": func(id string) error { _, err := db.Projects.Load(ctx, id); return err },
		"feature": func(id string) error { _, err := db.Features.Load(ctx, "f"+id); return err },
	} {
		small, large := count(load, "small"), count(load, "large")
		if small != large || small == 0 {
			t.Errorf("loading a %s takes %d queries when small, %d when large", name, small, large)
		}
	}
}

// countSelects counts the queries that the driver logs.
type countSelects struct{ n *atomic.Int64 }

func (c countSelects) Enabled(context.Context, slog.Level) bool { return true }
func (c countSelects) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c countSelects) WithGroup(string) slog.Handler            { return c }

func (c countSelects) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "sql" && strings.HasPrefix(a.Value.String(), "SELECT") {
			c.n.Add(1)
		}
		return true
	})
	return nil
}
