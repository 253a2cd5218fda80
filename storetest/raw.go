package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

var rawTests = map[string]test{
	"Arguments":    testRawArguments,
	"Placeholders": testRawPlaceholders,
	"Query":        testRawQuery,
	"Kinds":        testRawKinds,
	"Exec":         testRawExec,
	"Mistakes":     testRawMistakes,
	"Revision":     testRawRevision,
	"Columns":      testRawColumns,
}

func testRawArguments(t *testing.T, db *store.DB) {
	const echo = `
		SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS BIGINT),
			CAST($6 AS DOUBLE PRECISION), CAST($7 AS BIGINT), CAST($8 AS BIGINT), CAST($9 AS TEXT), CAST($10 AS TEXT)`
	args := []any{nil, awkward, 7, int64(-1 << 63), 1<<63 - 1, -2.5, true, past, nexus.JSON(`{"a": 1}`), nexus.JSON("")}
	want := []any{nil, awkward, int64(7), int64(-1 << 63), int64(1<<63 - 1), -2.5, int64(1), past.Unix(), `{"a": 1}`, nil}
	var got []any
	must(t, db.View(t.Context(), func(tx *store.Tx) error {
		return tx.Query(t.Context(), echo, args, func(r driver.Row) error {
			for i := range r.Columns() {
				got = append(got, r.Value(i))
				same(t, r.IsNull(i), want[i] == nil)
			}
			same(t, []any{r.Text(1), r.Int(3), r.Float(5), r.Text(0), r.Int(0), r.Float(0)},
				[]any{awkward, int64(-1 << 63), -2.5, "", int64(0), 0.0})
			return nil
		})
	}))
	same(t, got, want)
}

func testRawPlaceholders(t *testing.T, db *store.DB) {
	const sql = "SELECT CAST($2 AS TEXT) AS b, CAST($1 AS TEXT) AS a, CAST($2 AS TEXT) || '$1' AS b2"
	must(t, db.View(t.Context(), func(tx *store.Tx) error {
		return tx.Query(t.Context(), sql, []any{"first", "second"}, func(r driver.Row) error {
			same(t, r.Columns(), []string{"b", "a", "b2"})
			same(t, []string{r.Text(0), r.Text(1), r.Text(2)}, []string{"second", "first", "second$1"})
			return nil
		})
	}))
}

// What a row says of a value in its different ways is the same.
func testRawKinds(t *testing.T, db *store.DB) {
	const sql = `
		SELECT CAST(NULL AS TEXT), 7, 1 = 1, CAST(2.5 AS DOUBLE PRECISION), CAST(3 AS NUMERIC), CAST(3.5 AS NUMERIC), CAST($1 AS TEXT), ''
		UNION ALL SELECT 'second', 8, 1 = 0, 0, -1, 0, '', 'x'`
	kinds := []driver.Kind{
		driver.KindNull, driver.KindInt, driver.KindInt, driver.KindFloat,
		driver.KindInt, driver.KindFloat, driver.KindText, driver.KindText,
	}
	var got []driver.Kind
	must(t, db.View(t.Context(), func(tx *store.Tx) error {
		return tx.Query(t.Context(), sql, []any{awkward}, func(r driver.Row) error {
			for i := range kinds {
				arg := r.Arg(i)
				got = append(got, r.Kind(i))
				same(t, r.Kind(i), arg.Kind)
				if arg.Kind == driver.KindText {
					same(t, string(r.AppendTo([]byte("after"), i)), "after"+arg.Text)
				}
			}
			return nil
		})
	}))
	same(t, got[:len(kinds)], kinds)
}

func testRawQuery(t *testing.T, db *store.DB) {
	ctx := t.Context()
	for _, id := range []string{"a", "b", "c"} {
		must(t, project(ctx, &db.Services, id))
	}
	const sql = "SELECT id FROM projects ORDER BY id"
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		// The function's error ends the query and comes back as it is.
		rows := 0
		err := tx.Query(ctx, sql, nil, func(driver.Row) error { rows++; return errStop })
		same(t, errors.Is(err, errStop), true)
		same(t, rows, 1)

		// A query within the same query.
		var pairs []string
		must(t, tx.Query(ctx, sql, nil, func(outer driver.Row) error {
			return tx.Query(ctx, sql, nil, func(inner driver.Row) error {
				pairs = append(pairs, outer.Text(0)+inner.Text(0))
				return nil
			})
		}))
		same(t, pairs, []string{"aa", "ab", "ac", "ba", "bb", "bc", "ca", "cb", "cc"})
		return nil
	}))
}

func testRawExec(t *testing.T, db *store.DB) {
	ctx := t.Context()
	for _, id := range []string{"a", "b", "c"} {
		must(t, project(ctx, &db.Services, id))
	}
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		n, err := tx.Exec(ctx, "UPDATE projects SET description = $1 WHERE id <> $2", awkward, "b")
		must(t, err)
		same(t, n, int64(2))
		n, err = tx.Exec(ctx, "DELETE FROM projects WHERE id = $1", "nobody")
		must(t, err)
		same(t, n, int64(0))
		_, err = tx.Exec(ctx, "CREATE TABLE mine (id TEXT PRIMARY KEY, project_id TEXT REFERENCES projects (id))")
		must(t, err)
		_, err = tx.Exec(ctx, "INSERT INTO mine (id, project_id) VALUES ($1, $2)", "m", "a")
		must(t, err)
		return nil
	}))
	p, err := db.Projects.Get(ctx, "a")
	must(t, err)
	same(t, p.Description, awkward)

	// A reference from a table that Nexus has never heard of counts too.
	refused(t, db.Projects.Delete(ctx, "a"), nexus.CodeInUse)

	// The database's own refusals have codes.
	for sql, code := range map[string]nexus.Code{
		"INSERT INTO mine (id) VALUES ('m')":                                nexus.CodeExists,
		"INSERT INTO mine (id, project_id) VALUES ('n', 'nobody')":          nexus.CodeReference,
		"UPDATE projects SET name = NULL":                                   nexus.CodeInvalid,
		"UPDATE projects SET mode = 'unheard-of' WHERE id = 'b'":            nexus.CodeInvalid,
		"UPDATE projects SET plan_key = 'same' WHERE id IN ('a', 'b', 'c')": nexus.CodeExists,
	} {
		err := db.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, sql)
			return err
		})
		if got := nexus.CodeOf(err); got != code {
			t.Errorf("%s: got %v, want code %s", sql, err, code)
		}
	}
}

func testRawMistakes(t *testing.T, db *store.DB) {
	ctx := t.Context()
	type unsupported struct{}
	for name, do := range map[string]func(tx *store.Tx) error{
		"too few arguments": func(tx *store.Tx) error { return tx.Query(ctx, "SELECT CAST($1 AS TEXT)", nil, nil) },
		"too many arguments": func(tx *store.Tx) error {
			return tx.Query(ctx, "SELECT CAST($1 AS TEXT)", []any{"a", "b"}, nil)
		},
		"unsupported argument": func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE projects SET name = $1", unsupported{})
			return err
		},
		"two statements": func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, "DELETE FROM tasks; DELETE FROM projects")
			return err
		},
	} {
		err := db.InTx(ctx, do)
		if code := nexus.CodeOf(err); code != nexus.CodeInvalid {
			t.Errorf("%s: got %v, want code %s", name, err, nexus.CodeInvalid)
		}
	}
}

// testRawRevision changes rows as a program does that has never heard of
// revisions: the database counts.
func testRawRevision(t *testing.T, db *store.DB) {
	ctx := t.Context()
	tree(t, db, "a-")
	agent := nexus.Agent{ID: "agent"}
	must(t, db.Agents.Create(ctx, &agent))
	revisions := func() (all []int64) {
		must(t, db.View(ctx, func(tx *store.Tx) error {
			for _, kind := range nexus.Kinds() {
				err := tx.Query(ctx, "SELECT revision FROM "+kind.Table(), nil, func(r driver.Row) error {
					all = append(all, r.Int(0))
					return nil
				})
				must(t, err)
			}
			return nil
		}))
		return all
	}
	for revision := range int64(3) {
		for _, n := range revisions() {
			same(t, n, revision+1)
		}
		must(t, db.InTx(ctx, func(tx *store.Tx) error {
			for _, kind := range nexus.Kinds() {
				column := map[nexus.Kind]string{
					nexus.KindAgent: "branch_name", nexus.KindCheckpoint: "name", nexus.KindRequirement: "source",
					nexus.KindMetric: "agent_id", nexus.KindSession: "data",
				}[kind]
				if column == "" {
					column = "name"
				}
				_, err := tx.Exec(ctx, "UPDATE "+kind.Table()+" SET "+column+" = $1", time.Duration(revision).String())
				must(t, err)
			}
			return nil
		}))
	}
	// An edit that was based on what was there before is stale.
	_, err := db.Agents.Update(ctx, "agent", nexus.AgentUpdate{Revision: 1, BranchName: new("b")})
	refused(t, err, nexus.CodeStale)
}

// testRawColumns writes every column as a program does that has never heard of
// revisions. What others wait for does not count: it would make their edits
// stale without anybody having made another.
func testRawColumns(t *testing.T, db *store.DB) {
	ctx := t.Context()
	tree(t, db, "a-")
	must(t, db.Agents.Create(ctx, &nexus.Agent{ID: "agent"}))
	uncounted := map[string]bool{"features.completed_tasks": true, "agents.last_activity_at": true}
	for _, kind := range nexus.Kinds() {
		derived := store.DerivedColumns(kind)
		for _, c := range slices.Concat(store.Columns(kind), derived) {
			if c.Name == "revision" {
				continue
			}
			revisions := func() (sum, rows int64) {
				must(t, db.View(ctx, func(tx *store.Tx) error {
					return tx.Query(ctx, "SELECT sum(revision), count(*) FROM "+kind.Table(), nil, func(r driver.Row) error {
						sum, rows = r.Int(0), r.Int(1)
						return nil
					})
				}))
				return sum, rows
			}
			before, rows := revisions()
			exec(t, db, "UPDATE "+kind.Table()+" SET "+c.Name+" = "+c.Name)
			want := before + rows
			if uncounted[kind.Table()+"."+c.Name] || slices.Contains(derived, c) {
				want = before
			}
			if after, _ := revisions(); after != want || rows == 0 {
				t.Errorf("an update of %s.%s in %d rows makes %d revisions", kind.Table(), c.Name, rows, after-before)
			}
		}
	}
}
