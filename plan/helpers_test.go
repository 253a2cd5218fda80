package plan_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/plan"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
	"github.com/seed-c8812374/nexus/storetest"
)

var background = context.Background()

// tables are those that a plan may write to, or might by mistake.
var tables = []string{
	"projects", "features", "sub_features", "tasks", "agents",
	"checkpoints", "requirements", "metrics", "sessions",
}

// A workshop is a database with a clock that stands still until it is told to
// go on, so that a change of a row shows in its updated_at.
type workshop struct {
	*store.DB
	t     testing.TB
	clock atomic.Int64 // seconds since 1970
}

// start is when a workshop's clock begins.
const start = 1_800_000_000

// newWorkshop opens a new file. It need not survive a loss of power.
func newWorkshop(t testing.TB) *workshop {
	t.Helper()
	w := &workshop{t: t}
	w.clock.Store(start)
	db, err := sqlite.Open(background, filepath.Join(t.TempDir(), "nexus.db"), &sqlite.Options{NoSync: true, Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	w.DB = db
	t.Cleanup(func() {
		if err := errors.Join(storetest.CheckDerived(background, db), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *workshop) now() time.Time { return time.Unix(w.clock.Load(), 0) }

// later moves the clock on.
func (w *workshop) later() { w.clock.Add(60) }

// try parses and applies a plan.
func (w *workshop) try(text string, options plan.Options) (*plan.Report, error) {
	d, err := plan.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	return w.apply(d, options)
}

func (w *workshop) apply(d *plan.Document, options plan.Options) (*plan.Report, error) {
	options.Now = w.now
	return plan.Apply(background, w.DB, d, options)
}

// must parses and applies a plan that is right.
func (w *workshop) must(text string) *plan.Report {
	w.t.Helper()
	report, err := w.try(text, plan.Options{})
	if err != nil {
		w.t.Fatalf("%s: %v", text, problems(err))
	}
	return report
}

// row is a row as the database has it, by column.
type row map[string]any

// rows returns all rows of a table, in the order of their ids, without the columns
// that Nexus itself does not read.
func (w *workshop) rows(table string) (list []row) {
	w.t.Helper()
	err := w.View(background, func(tx *store.Tx) error {
		return tx.Query(background, "SELECT * FROM "+table+" ORDER BY id", nil, func(r driver.Row) error {
			values := make(row)
			for i, name := range r.Columns() {
				values[name] = r.Value(i)
			}
			for _, kind := range nexus.Kinds() {
				for _, c := range store.DerivedColumns(kind) {
					delete(values, c.Name)
				}
			}
			list = append(list, values)
			return nil
		})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// all returns every row of every table.
func (w *workshop) all() map[string][]row {
	w.t.Helper()
	all := make(map[string][]row)
	for _, table := range tables {
		all[table] = w.rows(table)
	}
	return all
}

// named returns the rows of a table by their plan keys. Ids in them are
// replaced by table and key, so that they can be told beforehand.
func (w *workshop) named(table string) map[string]row {
	w.t.Helper()
	return w.allNamed()[table]
}

// allNamed returns the rows of all tables in this way.
func (w *workshop) allNamed() map[string]map[string]row {
	w.t.Helper()
	all := w.all()
	var names []string
	for table, rows := range all {
		for _, r := range rows {
			if key, ok := r["plan_key"].(string); ok {
				names = append(names, r["id"].(string), table+"/"+key)
			}
		}
	}
	replacer := strings.NewReplacer(names...)
	named := make(map[string]map[string]row)
	for table, rows := range all {
		named[table] = make(map[string]row)
		for _, r := range rows {
			for column, value := range r {
				if text, ok := value.(string); ok && column != "plan_key" {
					r[column] = replacer.Replace(text)
				}
			}
			named[table][fmt.Sprint(r["plan_key"])] = r
		}
	}
	return named
}

// exec runs a statement as somebody else would.
func (w *workshop) exec(sql string, args ...any) {
	w.t.Helper()
	err := w.InTx(background, func(tx *store.Tx) error {
		n, err := tx.Exec(background, sql, args...)
		if err == nil && n == 0 && !strings.HasPrefix(sql, "CREATE") {
			err = errors.New("no row is changed")
		}
		return err
	})
	if err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

// clear deletes everything, which is faster than a new file.
func (w *workshop) clear() {
	err := w.InTx(background, func(tx *store.Tx) error {
		_, err := tx.Exec(background, "DELETE FROM projects")
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// unchanged fails the test if fn changes a row of any table.
func (w *workshop) unchanged(fn func()) {
	w.t.Helper()
	before := w.all()
	fn()
	if diff := cmp.Diff(before, w.all()); diff != "" {
		w.t.Errorf("rows have changed: %s", diff)
	}
}

// problems shows all that an error says.
func problems(err error) string {
	var e *nexus.Error
	if !errors.As(err, &e) {
		return fmt.Sprint(err)
	}
	lines := []string{string(e.Code) + ": " + e.Error()}
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// wantCode checks an error's code and that it says what happened.
func wantCode(t testing.TB, err error, code nexus.Code) {
	t.Helper()
	var e *nexus.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("error is %q (%v), want %q", nexus.CodeOf(err), err, code)
	}
}
