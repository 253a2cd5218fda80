package jsonl_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/jsonl"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
	"github.com/seed-c8812374/nexus/storetest"
)

// failer is a test, or a run of a property.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// open opens a new, empty database, which close closes.
func open(t failer, folder string) *store.DB {
	t.Helper()
	path := filepath.Join(folder, nexus.NewID(nexus.KindProject, time.Now())+".db")
	empty, err := template()
	if err == nil {
		err = os.WriteFile(path, empty, 0o600)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	db, err := sqlite.Open(context.Background(), path, &sqlite.Options{NoSync: true, Now: storetest.Now})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return db
}

// template is an empty database: to migrate is most of the work of a short test, and
// tested elsewhere.
var template = sync.OnceValues(func() (empty []byte, err error) {
	folder, err := os.MkdirTemp("", "nexus-template-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder, "nexus.db")
	db, err := sqlite.Open(context.Background(), path, nil)
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	empty, err = os.ReadFile(path)
	return empty, errors.Join(err, os.RemoveAll(folder))
})

func newDB(t *testing.T) *store.DB {
	t.Helper()
	db := open(t, t.TempDir())
	t.Cleanup(func() { closeDB(t, db) })
	return db
}

func closeDB(t failer, db *store.DB) {
	if err := db.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func run(t failer, db *store.DB, statements ...string) {
	t.Helper()
	err := db.InTx(context.Background(), func(tx *store.Tx) error {
		for _, sql := range statements {
			if _, err := tx.Exec(context.Background(), sql); err != nil {
				t.Errorf("%s", sql)
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
}

func export(t failer, db *store.DB) string {
	t.Helper()
	var out bytes.Buffer
	e, err := jsonl.Export(context.Background(), db, &out, nil)
	if err != nil {
		t.Fatalf("Export: %v", err)
	}
	if e.Bytes != int64(out.Len()) {
		t.Errorf("%d bytes are reported, of %d", e.Bytes, out.Len())
	}
	return out.String()
}

func importText(db *store.DB, text string) (imported *jsonl.Imported, err error) {
	err = db.InTx(context.Background(), func(tx *store.Tx) error {
		imported, err = jsonl.ImportIn(context.Background(), tx, strings.NewReader(text), nil)
		return err
	})
	return imported, err
}

// comesBack exports a database, imports that into a new one, and checks that the export
// of this is the same, and that all that follows from the rows does.
func comesBack(t failer, folder string, source *store.DB) {
	t.Helper()
	text := export(t, source)
	db := open(t, folder)
	defer closeDB(t, db)
	if _, err := importText(db, text); err != nil {
		var e *nexus.Error
		errors.As(err, &e)
		t.Fatalf("Import: %v\nof\n%s", err, text)
	}
	if again := export(t, db); again != text {
		t.Fatalf("%s", firstDifference(text, again))
	}
	if was, is := derived(t, source), derived(t, db); was != is {
		t.Fatalf("%s", firstDifference(was, is))
	}
	if storetest.CheckDerived(context.Background(), source) == nil {
		if err := storetest.CheckDerived(context.Background(), db); err != nil {
			t.Fatalf("%v", err)
		}
	}
	if h, err := db.Health(context.Background(), true); err != nil || !h.OK() {
		t.Fatalf("health is %+v, %v", h, err)
	}
}

// derived is what an export leaves out, because it follows from the rest.
func derived(t failer, db *store.DB) string {
	t.Helper()
	const sql = `
		SELECT 'task ' || quote(id) || ' ' || open_dependencies FROM tasks
		UNION ALL SELECT 'edge ' || quote(task_id) || ' ' || quote(depends_on) FROM task_dependencies
		UNION ALL SELECT 'feature ' || quote(id) || ' ' || task_count || ' ' || open_task_count || ' ' || completed_task_count FROM features
		UNION ALL SELECT 'sub-feature ' || quote(id) || ' ' || task_count || ' ' || open_task_count || ' ' || completed_task_count FROM sub_features
		UNION ALL SELECT 'held ' || epoch || ' ' || coalesce(held, 0) FROM task_attempts
		ORDER BY 1`
	var lines strings.Builder
	err := db.View(context.Background(), func(tx *store.Tx) error {
		return tx.Query(context.Background(), sql, nil, func(r driver.Row) error {
			lines.WriteString(r.Text(0) + "\n")
			return nil
		})
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return lines.String()
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return "was  " + w[i] + "\nis   " + g[i]
		}
	}
	return "one of them is longer"
}
