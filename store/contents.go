package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Contents describes what a database holds, as far as it does not follow from
// something else in it.
type Contents struct {
	Version int64          // of the schema
	Tables  []ContentTable // the nine, and Nexus's own; parents before children
	Others  []string       // tables of users and other programs that hold rows
}

// ContentTable is a table of [Contents].
type ContentTable struct {
	Name    string
	Columns []driver.Column // Nexus's, in its order
	Added   []driver.Column // those that others have added, by name
	Rows    int64
	Sparse  bool // most of a row is NULL

	key string // the columns by which rows are ordered
}

// Names returns the names of all columns, in the order in which [Tx.Rows] has them.
func (t *ContentTable) Names() (names []string) {
	for _, c := range slices.Concat(t.Columns, t.Added) {
		names = append(names, c.Name)
	}
	return names
}

// ownTables are Nexus's own tables. Of these, task_dependencies follows from the
// tasks, metric_totals from the metrics, history_rows from the history, the index of a
// search and the hashes of tasks from all that, and those that are called replaced have
// nothing between two statements.
var ownTables = []struct {
	name, key string
	columns   []string
	derived   bool
}{
	{"task_attempts", "epoch", []string{
		"epoch", "task_id", "agent_id", "claimed_us", "lease_us", "lease_until_us", "process", "progress", "ended_us",
		"outcome", "reason", "evidence",
	}, false},
	{"idempotency_keys", "key", []string{"key", "request", "result", "created_us"}, false},
	{"session_log", "session_id, number", []string{"session_id", "number", "at_us", "kind", "author", "text"}, false},
	{"history", "seq", historyColumns(), false},
	{"history_marks", "name", []string{"name", "seq"}, false},
	{"checkpoint_settings", "project_id", []string{
		"project_id", "phase_complete", "feature_complete", "task_failed", "qa_exhausted", "every_minutes", "every_tasks",
		"scheduled_us", "completed_tasks",
	}, false},
	{"task_dependencies", "", nil, true},
	{"replaced_tasks", "", nil, true},
	{"metric_totals", "", nil, true},
	{"replaced_metrics", "", nil, true},
	{"history_rows", "", nil, true},
	{"replaced_rows", "", nil, true},
	{"search_documents", "", nil, true},
	{"search_progress", "", nil, true},
	{"task_hashes", "", nil, true},
	{"task_hash_progress", "", nil, true},
}

func historyColumns() []string {
	names := []string{"seq", "at_us", "change", "kind", "id", "project_id", "large", "first", "operation", "actor"}
	for n := range imageColumns {
		names = append(names, fmt.Sprintf("v%d", n+1))
	}
	return names
}

// Catalog describes the schema.
func (tx *Tx) Catalog(ctx context.Context) (driver.Catalog, error) { return tx.conn.Catalog(ctx) }

// Contents describes what the database holds.
func (tx *Tx) Contents(ctx context.Context) (*Contents, error) {
	catalog, err := tx.conn.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	contents := &Contents{Version: catalog.Version}
	known := make(map[string]bool)
	for _, kind := range nexus.Kinds() {
		known[kind.Table()] = true
		names, derived := contentColumns(kind)
		if err := contents.add(ctx, tx.conn, &catalog, kind.Table(), "id", names, derived); err != nil {
			return nil, err
		}
	}
	for _, own := range ownTables {
		known[own.name] = true
		if !own.derived {
			if err := contents.add(ctx, tx.conn, &catalog, own.name, own.key, own.columns, nil); err != nil {
				return nil, err
			}
		}
	}
	for _, t := range catalog.Tables {
		if known[t.Name] {
			continue
		}
		if rows, err := countRows(ctx, tx.conn, t.Name); err != nil {
			return nil, err
		} else if rows > 0 {
			contents.Others = append(contents.Others, t.Name)
		}
	}
	return contents, nil
}

// contentColumns returns the names of the columns of an entity that are contents,
// and of those that are not, because they follow from others. When the tasks of a
// feature last changed cannot be known again.
func contentColumns(kind nexus.Kind) (names, derived []string) {
	for _, c := range Columns(kind) {
		names = append(names, c.Name)
	}
	for _, c := range DerivedColumns(kind) {
		if c.Name == "tasks_changed_us" {
			names = append(names, c.Name)
		} else {
			derived = append(derived, c.Name)
		}
	}
	return names, derived
}

func (c *Contents) add(ctx context.Context, conn driver.Conn, catalog *driver.Catalog, name, key string, columns, derived []string) error {
	i := slices.IndexFunc(catalog.Tables, func(t driver.Table) bool { return t.Name == name })
	if i < 0 {
		return nexus.Errorf(nexus.CodeCorrupt, "the database has no table %s", name)
	}
	t := ContentTable{Name: name, key: key, Sparse: name == "history"}
	place := func(c driver.Column) int { return slices.Index(columns, c.Name) }
	for _, column := range catalog.Tables[i].Columns {
		switch {
		case slices.Contains(derived, column.Name):
		case place(column) >= 0:
			t.Columns = append(t.Columns, column)
		default:
			t.Added = append(t.Added, column)
		}
	}
	slices.SortFunc(t.Columns, func(a, b driver.Column) int { return cmp.Compare(place(a), place(b)) })
	slices.SortFunc(t.Added, func(a, b driver.Column) int { return cmp.Compare(a.Name, b.Name) })
	var err error
	t.Rows, err = countRows(ctx, conn, name)
	c.Tables = append(c.Tables, t)
	return err
}

func countRows(ctx context.Context, c driver.Conn, table string) (rows int64, err error) {
	err = c.Query(ctx, "SELECT count(*) FROM "+quoteName(table), nil, func(r driver.Row) error {
		rows = r.Int(0)
		return nil
	})
	return rows, err
}

// Rows calls fn with each row of a table, as it is stored, ordered by its primary
// key. The row is valid until fn returns.
func (tx *Tx) Rows(ctx context.Context, t *ContentTable, fn func(row []driver.Arg) error) error {
	names := t.Names()
	row := make([]driver.Arg, len(names))
	sql := "SELECT " + quotedNames(names) + " FROM " + t.Name + " ORDER BY " + t.key
	return tx.conn.Query(ctx, sql, nil, func(r driver.Row) error {
		for i := range row {
			row[i] = r.Arg(i)
		}
		if t.Name == "history" {
			typeImage(row)
		}
		return fn(row)
	})
}

// typeImage gives the values of a row of the history the types of the columns that they
// are of, where they are kept as texts: an export is the same whatever database it is of.
func typeImage(row []driver.Arg) {
	const kindAt, first = 3, 10 // of historyColumns
	switch kind := row[kindAt].Text; kind {
	case "attempt":
		for _, n := range []int{1, 3, 4, 5, 8} {
			row[first+n-1] = typed(row[first+n-1], "INTEGER")
		}
	case "session_entry":
		for _, n := range []int{1, 2} {
			row[first+n-1] = typed(row[first+n-1], "INTEGER")
		}
	case "project_metric":
		row[first+4] = typed(row[first+4], "REAL")
		for _, n := range []int{7, 8} {
			row[first+n-1] = typed(row[first+n-1], "INTEGER")
		}
	case "checkpoint_setting":
		for n := range 8 {
			row[first+n] = typed(row[first+n], "INTEGER")
		}
	default:
		if l := layouts[nexus.Kind(kind)]; l != nil {
			for n, c := range l.columns[1:] {
				row[first+n] = typed(row[first+n], c.Type)
			}
		}
	}
}

// quoteName quotes the name of a table or column that others have chosen.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quotedNames(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quoteName(name)
	}
	return strings.Join(quoted, ", ")
}

// Loader fills an empty database with rows as they were in another. It is for one
// goroutine, within its transaction.
type Loader struct {
	conn     driver.Conn
	end      *settlement
	contents *Contents
	inserts  map[string]string // beginnings of SQL by table and columns
	follow   []followed
	newest   int64 // of the loaded history; 0 if there is none
	deltas   []loadedDelta
	exact    bool // see exactly
	bulk     driver.Bulk
}

// followed is a row of a table whose columns triggers change when tasks come.
type followed struct {
	table  string
	values map[string]driver.Arg
}

// NewLoader returns a loader, unless the database holds rows already.
func (tx *Tx) NewLoader(ctx context.Context) (*Loader, error) {
	return tx.newLoader(ctx, "the database")
}

func (tx *Tx) newLoader(ctx context.Context, called string) (*Loader, error) {
	contents, err := tx.Contents(ctx)
	if err != nil {
		return nil, err
	}
	if err := contents.checkEmpty(called); err != nil {
		return nil, err
	}
	// What was searched before knows another history.
	if _, err := tx.conn.Exec(ctx, `DELETE FROM search_progress`); err != nil {
		return nil, err
	}
	tx.end.did("import", "")
	tx.end.operation.restores = true
	return &Loader{conn: tx.conn, end: &tx.end, contents: contents, inserts: make(map[string]string)}, nil
}

// checkEmpty refuses a database that holds rows.
func (c *Contents) checkEmpty(called string) error {
	var full []string
	for _, t := range c.Tables {
		if t.Rows > 0 && (t.Name != "history" || len(full) == 0) { // which has something of all others
			full = append(full, fmt.Sprintf("%s (%d)", t.Name, t.Rows))
		}
	}
	if len(full) > 0 {
		return &nexus.Error{
			Code: nexus.CodeExists, Message: called + " is not empty: it has rows of " + strings.Join(full, ", "),
			Hint: "nothing was changed; name a new database",
		}
	}
	return nil
}

// Version returns the version of the schema of this database.
func (l *Loader) Version() int64 { return l.contents.Version }

// Table returns a table of this database, or nil.
func (l *Loader) Table(name string) *ContentTable {
	i := slices.IndexFunc(l.contents.Tables, func(t ContentTable) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return &l.contents.Tables[i]
}

// insert stores a row.
func (l *Loader) insert(ctx context.Context, table *ContentTable, columns []string, row []driver.Arg) error {
	sql := l.insertHead(table, columns) + " VALUES " + places(1, len(columns))
	if _, err := l.conn.Exec(ctx, sql, row...); err != nil {
		return err
	}
	l.inserted(table, columns, row)
	return nil
}

// insertHead is the beginning of an INSERT, up to its VALUES.
func (l *Loader) insertHead(table *ContentTable, columns []string) string {
	key := table.Name + "\x00" + strings.Join(columns, "\x00")
	head, known := l.inserts[key]
	if !known {
		head = "INSERT INTO " + table.Name + " (" + quotedNames(columns) + ")"
		l.inserts[key] = head
	}
	return head
}

// inserted remembers what Finish needs to know of a row.
func (l *Loader) inserted(table *ContentTable, columns []string, row []driver.Arg) {
	if table.Name == "history" {
		l.newest = max(l.newest, row[slices.Index(columns, "seq")].Int)
	}
	if following := followingColumns[table.Name]; following != nil {
		f := followed{table.Name, make(map[string]driver.Arg)}
		for i, name := range columns {
			if name == "id" || slices.Contains(following, name) {
				f.values[name] = row[i]
			}
		}
		l.follow = append(l.follow, f)
	}
}

// followingColumns are those that triggers change when tasks come, but that were as
// they were: what had happened to the feature since.
var followingColumns = map[string][]string{
	"features":     {"status", "updated_at", "completed_tasks", "tasks_changed_us", "revision"},
	"sub_features": {"status", "revision"},
}

// Finish gives the rows back what triggers have changed in them. It is called after
// the last row.
func (l *Loader) Finish(ctx context.Context) error {
	for _, f := range l.follow {
		if err := l.finishRow(ctx, f); err != nil {
			return err
		}
	}
	return l.finishHistory(ctx)
}

// prepareHistory takes away what loading has done to the history, before its own rows
// come: those of history after all others, and then the marks.
func (l *Loader) prepareHistory(ctx context.Context, table string) error {
	if table == "history" && l.newest == 0 {
		if err := recordChanges(ctx, l.conn); err != nil {
			return err
		}
	}
	var statements []string
	switch {
	case table == "history" && l.newest == 0:
		statements = []string{"DELETE FROM history_rows", "DELETE FROM history"}
	case table == "history_marks":
		statements = []string{"DELETE FROM history_marks WHERE name = 'indexed'"} // by loading
	}
	for _, sql := range statements {
		if _, err := l.conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// finishHistory leaves the history as it was loaded, if it was; that it was is not in
// it.
func (l *Loader) finishHistory(ctx context.Context) error {
	if l.newest == 0 && !l.exact {
		return nil
	}
	l.end.operation.silent = true
	if err := recordChanges(ctx, l.conn); err != nil {
		return err
	}
	if _, err := l.conn.Exec(ctx, "DELETE FROM history WHERE seq > $1", driver.Int(l.newest)); err != nil {
		return err
	}
	if l.conn.Dialect().FirstChange != "" {
		return l.resolveDeltas(ctx) // history_rows follows by itself
	}
	_, err := l.conn.Exec(ctx, `
		INSERT INTO history_rows (id, kind, seq, large)
		SELECT id, kind, seq, large FROM history
		WHERE change <> 'operation' AND seq <= coalesce((SELECT seq FROM history_marks WHERE name = 'indexed'), 0)`)
	if err != nil || !l.exact {
		return err
	}
	return l.indexMoved(ctx)
}

// setCompleted gives a feature its completed_tasks, which is kept equal to the count
// if it has tasks. Where it was not, it came from a program that wrote it before there
// was a count.
func setCompleted(ctx context.Context, c driver.Conn, feature string, completed driver.Arg) error {
	n, err := c.Exec(ctx, `
		UPDATE features SET task_count = 0, completed_tasks = $2
		WHERE id = $1 AND completed_tasks IS DISTINCT FROM $2`, driver.Text(feature), completed)
	if err != nil || n == 0 {
		return err
	}
	_, err = c.Exec(ctx, `
		UPDATE features SET task_count = (SELECT count(*) FROM tasks WHERE feature_id = features.id)
		WHERE id = $1`, driver.Text(feature))
	return err
}

func (l *Loader) finishRow(ctx context.Context, f followed) error {
	id := f.values["id"]
	if completed, has := f.values["completed_tasks"]; has {
		if err := setCompleted(ctx, l.conn, id.Text, completed); err != nil {
			return err
		}
	}
	// The revision must change with the rest, or a trigger counts it; alone it may be
	// set to anything.
	args := []driver.Arg{id}
	sql := "UPDATE " + f.table + " SET revision = CASE revision WHEN -1 THEN -2 ELSE -1 END"
	for _, name := range []string{"status", "updated_at", "tasks_changed_us"} {
		if value, has := f.values[name]; has {
			args = append(args, value)
			sql += fmt.Sprintf(", %s = $%d", name, len(args))
		}
	}
	if _, err := l.conn.Exec(ctx, sql+" WHERE id = $1", args...); err != nil {
		return err
	}
	revision, has := f.values["revision"]
	if !has {
		revision = driver.Int(1)
	}
	_, err := l.conn.Exec(ctx, "UPDATE "+f.table+" SET revision = $2 WHERE id = $1", id, revision)
	return err
}
