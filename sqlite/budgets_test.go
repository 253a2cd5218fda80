package sqlite_test

import (
	"testing"

	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/storetest"
)

// INSERT OR REPLACE tells triggers of the row that goes only if the program wants
// it so; the totals are right either way. What is ignored changes nothing, and
// leaves nothing behind for the next.
func TestReplacedMetrics(t *testing.T) {
	t.Parallel()
	for _, pragma := range []string{"OFF", "ON"} {
		path := newPath(t)
		db := open(t, path, nil)
		if err := db.Projects.Create(t.Context(), &nexus.Project{ID: "p", Name: "n"}); err != nil {
			t.Fatal(err)
		}
		other := otherProgram(t, path)
		if err := sqlitex.ExecuteTransient(other, "PRAGMA recursive_triggers = "+pragma, nil); err != nil {
			t.Fatal(err)
		}
		row := "INTO metrics (id, project_id, task_id, type, value, timestamp) VALUES "
		for i, sql := range []string{
			"INSERT " + row + "('a', 'p', 't', 'cost_usd', 0.1, 1), ('b', 'p', 't', 'cost_usd', 0.2, 1), ('c', 'p', 't', 'other', 5, 1)",
			"INSERT OR REPLACE " + row + "('a', 'p', 'u', 'cost_usd', 0.3, 1)",
			"INSERT OR REPLACE " + row + "('a', 'p', 'u', 'other', 0.3, 1)",
			"INSERT OR REPLACE " + row + "('c', 'p', 'u', 'token_usage', 7, 1)",
			"INSERT OR REPLACE " + row + "('b', 'p', 'u', 'token_usage', 1, 1), ('d', 'p', 't', 'cost_usd', 1, 1), ('b', 'p', NULL, 'token_usage', 2, 1)",
			"INSERT OR IGNORE " + row + "('b', 'p', 'u', 'cost_usd', 9, 1)",
			"INSERT " + row + "('e', 'p', 'u', 'cost_usd', 9, 1)",
			"INSERT " + row + "('e', 'p', 't', 'token_usage', 9, 1) ON CONFLICT (id) DO UPDATE SET value = 5, task_id = 't'",
			"INSERT OR REPLACE " + row + "('f', 'p', 'u', 'cost_usd', 'a lot', 1), ('g', 'p', 'u', 'cost_usd', x'00', 1), ('h', 'p', 'u', 'token_usage', 9e999, 1)",
			"INSERT OR REPLACE " + row + "('h', 'p', 'u', 'token_usage', -9e999, 1)",
			"UPDATE metrics SET value = 1, id = id || '2'",
			"DELETE FROM metrics WHERE id < 'e'",
			"PRAGMA foreign_keys = ON",
			"DELETE FROM projects",
		} {
			if err := sqlitex.ExecuteTransient(other, sql, nil); err != nil {
				t.Fatalf("statement %d: %v", i, err)
			}
			if err := storetest.CheckDerived(t.Context(), db); err != nil {
				t.Fatalf("recursive_triggers %s, statement %d: %v", pragma, i, err)
			}
		}
		if left := rows(t, path, "SELECT scope, id FROM metric_totals"); len(left) > 0 {
			t.Errorf("totals of what is not there any more: %v", left)
		}
	}
}
