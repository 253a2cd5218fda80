package sqlite_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/storetest"
)

// Whatever another program does to the tables, in all the ways that SQLite has, the
// past stays what it was, checkpoints are what they say, and can be gone back to.
func TestHistoryOfAnotherProgram(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	clock := storetest.NewClock()
	db := openSuite(t, path, func(o *sqlite.Options) { o.Now = clock.Now })
	f := &stranger{conn: otherProgram(t, path)}
	actions := make(map[string]func(*rapid.T, string))
	for name, act := range map[string]func(*rapid.T, string) string{
		"foreign insert": f.insert, "foreign update": f.update, "foreign rewrite": f.rewrite, "foreign grow": f.grow,
		"foreign rename": f.rename, "foreign delete": f.delete, "foreign move": f.move, "foreign key": f.key,
	} {
		actions[name] = func(rt *rapid.T, project string) { f.run(rt, act(rt, project)) }
	}
	storetest.WalkHistory(t, db, clock, actions, func(err error) bool {
		// Rows that were there without what they refer to cannot come back.
		code := nexus.CodeOf(err)
		return f.orphans && (code == nexus.CodeReference || code == nexus.CodeInUse)
	})
}

// stranger is another program, which does as it likes.
type stranger struct {
	conn    *zombiezen.Conn
	orphans bool // it may have made rows that refer to nothing
	args    []any
}

// strangeTable is a table as another program sees it.
type strangeTable struct {
	name, letter string // the letter of the walk's ids
	parent       string // the column for the project, or what else it belongs to
	columns      []string
	required     string // further columns that an INSERT needs, with their values
	values       string
	large        string
	numbers      []string
}

var strangeTables = []strangeTable{
	{"projects", "", "", []string{"name", "repository_url"}, "mode, status, root_path, created_at, updated_at", "'genesis', 'x', '/', 1, 2", "description", []string{"completed_at", "budget_usd"}},
	{"features", "f", "project_id", []string{"name", "priority"}, "created_at, updated_at", "1, 2", "description", []string{"estimated_tasks"}},
	{"sub_features", "s", "feature_id", []string{"name"}, "created_at", "1", "description", []string{"created_at"}},
	{"tasks", "t", "project_id", []string{"name", "branch_name", "depends_on"}, "created_at, updated_at", "1, 2", "metadata", []string{"budget_usd", "actual_minutes"}},
	{"agents", "a", "", []string{"type", "branch_name"}, "spawned_at, last_activity_at", "1, 2", "", []string{"tokens_used"}},
	{"requirements", "r", "project_id", []string{"category", "source"}, "created_at", "1", "description", []string{"validated"}},
	{"sessions", "e", "project_id", []string{"type"}, "started_at", "1", "data", []string{"ended_at"}},
}

func (f *stranger) run(rt *rapid.T, sql string) {
	keys := rapid.SampledFrom([]string{"ON", "ON", "OFF"}).Draw(rt, "foreign_keys")
	f.orphans = f.orphans || keys == "OFF"
	recursive := rapid.SampledFrom([]string{"ON", "OFF"}).Draw(rt, "recursive_triggers")
	for _, pragma := range []string{"foreign_keys = " + keys, "recursive_triggers = " + recursive} {
		if err := sqlitex.ExecuteTransient(f.conn, "PRAGMA "+pragma, nil); err != nil {
			rt.Fatal(err)
		}
	}
	args := f.args
	f.args = nil
	err := sqlitex.ExecuteTransient(f.conn, sql, &sqlitex.ExecOptions{Args: args})
	switch code := zombiezen.ErrCode(err).ToPrimary(); code {
	case zombiezen.ResultOK, zombiezen.ResultConstraint:
	default:
		rt.Fatalf("%s: %v", sql, err)
	}
}

func (f *stranger) arg(value any) string {
	f.args = append(f.args, value)
	return fmt.Sprintf("?%d", len(f.args))
}

func (f *stranger) table(rt *rapid.T) *strangeTable {
	return &strangeTables[rapid.IntRange(0, len(strangeTables)-1).Draw(rt, "table")]
}

func (s *strangeTable) id(rt *rapid.T, project string) string {
	if s.letter == "" {
		return project
	}
	return fmt.Sprintf("%s-%s%d", project, s.letter, rapid.IntRange(1, 4).Draw(rt, "id"))
}

// value draws what nobody expects in a column of texts.
func strangeValue(rt *rapid.T) any {
	return rapid.SampledFrom([]any{
		"", "plain", 12, 1.5, []byte("\x00\xffA"), []byte("d1,1,x"), []byte("b"),
		[]byte{},
		"d0,0,text", "bold", "a\x00b", "\xff\xfe", "ä\xc3", "\x00",
		strings.Repeat("long \xf0\x9f", 200), []byte(strings.Repeat("blob", 200)), strings.Repeat("n\x00", 400), math.Inf(1), `{"a": "\u0000"}`,
	}).Draw(rt, "value")
}

func strangeNumber(rt *rapid.T) any {
	return rapid.SampledFrom([]any{
		nil, 0, int64(math.MaxInt64), math.Inf(1), math.Inf(-1), 0.1 + 0.2, 1e300, "many", []byte("1"), "a\x00",
	}).Draw(rt, "number")
}

func (f *stranger) insert(rt *rapid.T, project string) string {
	s := f.table(rt)
	id := s.id(rt, project)
	columns, values := "id, "+s.required, f.arg(id)+", "+s.values
	if s.parent != "" {
		columns, values = columns+", "+s.parent, values+", "+f.arg(s.parentOf(rt, project))
	}
	for _, column := range s.columns {
		columns, values = columns+", "+column, values+", "+f.arg(strangeValue(rt))
	}
	if s.large != "" {
		columns, values = columns+", "+s.large, values+", "+f.arg(strangeText(rt))
	}
	how := rapid.SampledFrom([]string{"", "OR REPLACE ", "OR REPLACE ", "OR IGNORE ", "upsert"}).Draw(rt, "how")
	if how != "upsert" {
		return "INSERT " + how + "INTO " + s.name + " (" + columns + ") VALUES (" + values + ")"
	}
	return "INSERT INTO " + s.name + " (" + columns + ") VALUES (" + values + ") ON CONFLICT (id) DO UPDATE SET " +
		s.columns[0] + " = excluded." + s.columns[0]
}

func (s *strangeTable) parentOf(rt *rapid.T, project string) string {
	if s.parent == "feature_id" {
		return strangeTables[1].id(rt, project)
	}
	return project
}

func strangeText(rt *rapid.T) any {
	if rapid.Bool().Draw(rt, "long") {
		return strings.Repeat("ä🦀 a long text", rapid.IntRange(40, 50).Draw(rt, "times"))
	}
	return strangeValue(rt)
}

func (f *stranger) update(rt *rapid.T, project string) string {
	s := f.table(rt)
	column := rapid.SampledFrom(append(append([]string{}, s.columns...), s.numbers...)).Draw(rt, "column")
	value := strangeValue(rt)
	if column != s.columns[0] && rapid.Bool().Draw(rt, "number") {
		value = strangeNumber(rt)
	}
	or := rapid.SampledFrom([]string{"", "OR IGNORE ", "OR REPLACE "}).Draw(rt, "or")
	return "UPDATE " + or + s.name + " SET " + column + " = " + f.arg(value) + " WHERE id = " + f.arg(s.id(rt, project))
}

// rewrite sets every column, as an ORM does.
func (f *stranger) rewrite(rt *rapid.T, project string) string {
	s := f.table(rt)
	set := "id = id, revision = revision + 1"
	for _, column := range s.columns {
		if rapid.Bool().Draw(rt, "changed") {
			set += ", " + column + " = " + f.arg(strangeValue(rt))
		} else {
			set += ", " + column + " = " + column
		}
	}
	if s.large != "" {
		set += ", " + s.large + " = " + s.large
	}
	return "UPDATE " + s.name + " SET " + set + " WHERE id = " + f.arg(s.id(rt, project))
}

// grow changes a long text somewhere, between two bytes.
func (f *stranger) grow(rt *rapid.T, project string) string {
	s := f.table(rt)
	if s.large == "" {
		return "SELECT 1"
	}
	at := rapid.IntRange(0, 700).Draw(rt, "at")
	from := at + rapid.SampledFrom([]int{0, 0, 1, 3, 100}).Draw(rt, "without")
	bytes := "CAST(" + s.large + " AS BLOB)"
	grown := fmt.Sprintf("substr(%[1]s, 1, %[2]d) || %[3]s || substr(%[1]s, %[4]d)", bytes, at, f.arg(strangeText(rt)), from+1)
	if !rapid.Bool().Draw(rt, "blob") {
		grown = "CAST(" + grown + " AS TEXT)"
	} else {
		grown = "CAST(" + grown + " AS BLOB)"
	}
	return "UPDATE " + s.name + " SET " + s.large + " = " + grown + " WHERE id = " + f.arg(s.id(rt, project))
}

func (f *stranger) rename(rt *rapid.T, project string) string {
	s := f.table(rt)
	return "UPDATE " + s.name + " SET id = " + f.arg(s.id(rt, project)) + " WHERE id = " + f.arg(s.id(rt, project))
}

func (f *stranger) delete(rt *rapid.T, project string) string {
	s := f.table(rt)
	if s.letter == "" {
		return "SELECT 1"
	}
	return "DELETE FROM " + s.name + " WHERE id = " + f.arg(s.id(rt, project))
}

// move gives a row to another project, and back.
func (f *stranger) move(rt *rapid.T, project string) string {
	s := f.table(rt)
	if s.parent != "project_id" {
		return "SELECT 1"
	}
	const other = "INSERT OR IGNORE INTO projects (id, name, mode, status, root_path, created_at, updated_at) VALUES ('other', 'o', 'genesis', 'x', '/o', 1, 2)"
	if err := sqlitex.ExecuteTransient(f.conn, other, nil); err != nil {
		rt.Fatal(err)
	}
	to := rapid.SampledFrom([]string{"other", project}).Draw(rt, "to")
	return "UPDATE OR IGNORE " + s.name + " SET project_id = " + f.arg(to) + " WHERE id = " + f.arg(s.id(rt, project))
}

// key takes a plan key from the row that has it.
func (f *stranger) key(rt *rapid.T, project string) string {
	s := f.table(rt)
	if s.parent == "" || s.name == "sessions" {
		return "SELECT 1"
	}
	return "UPDATE OR IGNORE " + s.name + " SET plan_key = " + f.arg(rapid.SampledFrom([]string{"k1", "k2"}).Draw(rt, "key")) + " WHERE id = " + f.arg(s.id(rt, project))
}
