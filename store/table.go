package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// table says how entities of type E, with their filter F and update U, are kept.
// Its one list of columns drives all statements.
type table[E, F, U any] struct {
	kind    nexus.Kind
	columns []column[E]
	initial []column[E] // what INSERT sets besides; see DerivedColumns
	orders  []string    // columns that a list may be ordered by, besides id
	touched string      // the column that every update sets, if there is one

	// parents are the rows that this one refers to, for naming the one that is
	// missing; children selects some tasks that refer to this one, and keep it from
	// being deleted.
	parents  []parent[E]
	children string

	id       func(*E) *string
	revision func(*E) *int64
	created  func(*E) *time.Time
	updated  func(*E) *time.Time // nil if the entity does not keep it

	setDefaults    func(*E, time.Time)
	validate       func(*E) error
	validateUpdate func(after, before *E) error
	apply          func(U, *E, time.Time)
	seen           func(U) int64 // the revision that the update is based on
	page           func(F) nexus.Page
	filter         func(*where, F)
	project        func(F) string // the project that a filter names; nil if it cannot

	// noteChange and deleting note what is to be checked at the end of the
	// transaction; nil if there is nothing. before is nil when after is new.
	noteChange func(end *settlement, before, after *E)
	deleting   func(ctx context.Context, c driver.Conn, end *settlement, id string) error

	allColumns, insertSQL, selectSQL, getSQL, deleteSQL string

	// What the history calls its operations.
	createName, updateName, upsertName, deleteName string
}

func (t *table[E, F, U]) changed(end *settlement, before, after *E) {
	if t.noteChange != nil {
		t.noteChange(end, before, after)
	}
}

// parent is a column that holds the id of another entity.
type parent[E any] struct {
	kind nexus.Kind
	id   func(*E) string
}

// prepared fills in the statements.
func (t table[E, F, U]) prepared() *table[E, F, U] {
	names := make([]string, len(t.columns))
	places := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i], places[i] = c.Name, fmt.Sprintf("$%d", i+1)
	}
	list, name := strings.Join(names, ", "), t.kind.Table()
	columns := list
	for _, c := range t.initial {
		columns += ", " + c.Name
		places = append(places, fmt.Sprintf("$%d", len(places)+1))
	}
	t.insertSQL = "INSERT INTO " + name + " (" + columns + ") VALUES (" + strings.Join(places, ", ") + ")"
	t.allColumns = list
	t.selectSQL = "SELECT " + list + " FROM " + name
	t.getSQL = t.selectSQL + " WHERE id = $1"
	t.deleteSQL = "DELETE FROM " + name + " WHERE id = $1"
	operation := strings.ReplaceAll(string(t.kind), "_", "-") + " "
	t.createName, t.updateName, t.upsertName, t.deleteName = operation+"create", operation+"update", operation+"upsert", operation+"delete"
	return &t
}

func (t *table[E, F, U]) scan(e *E, r driver.Row) {
	for i := range t.columns {
		t.columns[i].scan(e, r, i)
	}
}

// prefixed lists the columns, each with the name of a table before it.
func (t *table[E, F, U]) prefixed(name string) string {
	var list strings.Builder
	for i, c := range t.columns {
		if i > 0 {
			list.WriteString(", ")
		}
		list.WriteString(name + "." + c.Name)
	}
	return list.String()
}

// read runs a query of the caller's own for all columns.
func (t *table[E, F, U]) read(ctx context.Context, c driver.Conn, sql string, args []driver.Arg) (list []E, err error) {
	err = c.Query(ctx, sql, args, func(r driver.Row) error {
		var zero E
		list = append(list, zero)
		t.scan(&list[len(list)-1], r)
		return nil
	})
	return list, err
}

// query runs a SELECT of columns from the table, or from what that was in the past, with
// a condition that build makes, and what follows it.
func (t *table[E, F, U]) query(ctx context.Context, c driver.Conn, columns string, filter F, build func(*where) error, after string, fn func(driver.Row) error) error {
	if past, ok := c.(*pastConn); ok {
		return t.queryPast(ctx, past, columns, filter, build, after, fn)
	}
	var w where
	if err := build(&w); err != nil {
		return err
	}
	return c.Query(ctx, "SELECT "+columns+" FROM "+t.kind.Table()+w.sql.String()+after, w.args, fn)
}

// queryPast is query of the past. Rows that are not as they were come from the history,
// and whole only if all columns are selected.
func (t *table[E, F, U]) queryPast(ctx context.Context, c *pastConn, columns string, filter F, build func(*where) error, after string, fn func(driver.Row) error) (err error) {
	w := where{}
	w.past = func(kind nexus.Kind) (string, error) { return c.source(ctx, kind, &w, "") }
	source := ""
	if layouts[t.kind] == nil {
		if source, err = c.source(ctx, t.kind, &w, ""); err != nil {
			return err
		}
	} else {
		w.args = make([]driver.Arg, pastArgs)
	}
	if err := build(&w); err != nil {
		return err
	}
	if l := layouts[t.kind]; l != nil {
		project := ""
		if t.project != nil {
			project = t.project(filter)
		}
		changed, err := l.changedSince(ctx, c.Conn, c.seq, project)
		if err != nil {
			return err
		}
		list := &pastList{l, c.Dialect(), changed}
		needed := columns
		if columns == t.allColumns {
			each := fn
			fn = func(r driver.Row) error { return each(list.row(r)) }
			needed = ""
		}
		if source, w.args, err = list.source(needed+w.sql.String()+after, w.args, 0); err != nil {
			return err
		}
	}
	return c.Conn.Query(ctx, "SELECT "+columns+" FROM "+source+w.sql.String()+after, w.args, fn)
}

// get reads the row with an id, or returns nil.
func (t *table[E, F, U]) get(ctx context.Context, c driver.Conn, id string) (e *E, err error) {
	if !c.Dialect().CanHold(id) {
		return nil, nil
	}
	past, ok := c.(*pastConn)
	if ok && layouts[t.kind] != nil {
		i, err := layouts[t.kind].imageAt(ctx, past.Conn, id, past.seq)
		if i == nil || err != nil {
			return nil, err
		}
		e = new(E)
		t.scan(e, imageRow(i))
		return e, nil
	}
	err = c.Query(ctx, t.getSQL, []driver.Arg{driver.Text(id)}, func(r driver.Row) error {
		e = new(E)
		t.scan(e, r)
		return nil
	})
	if ok && e != nil && err == nil {
		var until int64
		if until, err = momentTime(ctx, past.Conn, past.seq); t.created(e).UnixMicro() > until {
			e = nil
		}
	}
	return e, err
}

func (t *table[E, F, U]) mustGet(ctx context.Context, c driver.Conn, id string) (*E, error) {
	e, err := t.get(ctx, c, id)
	if err == nil && e == nil {
		err = t.missing(id)
	}
	return e, err
}

func (t *table[E, F, U]) missing(id string) error {
	return &nexus.Error{Code: nexus.CodeNotFound, Kind: t.kind, ID: id, Message: "does not exist"}
}

// mustLock is mustGet of a row that nobody else changes until the transaction ends.
func (t *table[E, F, U]) mustLock(ctx context.Context, c driver.Conn, id string) (*E, error) {
	dialect := c.Dialect()
	if !dialect.LocksRows {
		return t.mustGet(ctx, c, id)
	}
	var list []E
	var err error
	if dialect.CanHold(id) {
		list, err = t.read(ctx, c, t.getSQL+dialect.Lock(t.kind.Table()), []driver.Arg{driver.Text(id)})
	}
	if err == nil && len(list) == 0 {
		err = t.missing(id)
	}
	if err != nil {
		return nil, err
	}
	return &list[0], nil
}

// fit makes e what a later Get returns: times to the second, in UTC.
func (t *table[E, F, U]) fit(e *E) {
	for i := range t.columns {
		if fit := t.columns[i].fit; fit != nil {
			fit(e)
		}
	}
}

func (t *table[E, F, U]) insert(ctx context.Context, c driver.Conn, e *E) error {
	*t.revision(e) = 1
	t.fit(e)
	_, err := c.Exec(ctx, t.insertSQL, t.insertArgs(make([]driver.Arg, 0, len(t.columns)+len(t.initial)), e)...)
	return err
}

// insertArgs appends the arguments of insertSQL.
func (t *table[E, F, U]) insertArgs(args []driver.Arg, e *E) []driver.Arg {
	for i := range t.columns {
		args = append(args, t.columns[i].arg(e))
	}
	for i := range t.initial {
		args = append(args, t.initial[i].arg(e))
	}
	return args
}

// insertMany inserts rows, and returns how many; see insertTogether.
func (t *table[E, F, U]) insertMany(ctx context.Context, c driver.Conn, entities []*E) (done int, err error) {
	head, _, _ := strings.Cut(t.insertSQL, " VALUES ")
	return insertTogether(ctx, c, head, len(t.columns)+len(t.initial), len(entities), func(row int) []driver.Arg {
		*t.revision(entities[row]) = 1
		t.fit(entities[row])
		return t.insertArgs(nil, entities[row])
	})
}

// update writes the columns in which after differs from before, and counts the
// revision. If only the touched column differs, it writes nothing.
func (t *table[E, F, U]) update(ctx context.Context, c driver.Conn, before, after *E) error {
	var sql strings.Builder
	var args []driver.Arg
	changed := false
	t.fit(after)
	sql.WriteString("UPDATE " + t.kind.Table() + " SET ")
	for i := range t.columns {
		column := &t.columns[i]
		value := column.arg(after)
		if value == column.arg(before) {
			continue
		}
		args = append(args, value)
		sql.WriteString(column.Name + " = $" + strconv.Itoa(len(args)) + ", ")
		changed = changed || column.Name != t.touched
	}
	if !changed {
		*after = *before
		return nil
	}
	args = append(args, driver.Text(*t.id(before)), driver.Int(*t.revision(before)))
	sql.WriteString("revision = revision + 1 WHERE id = $" + strconv.Itoa(len(args)-1) + " AND revision = $" + strconv.Itoa(len(args)))
	n, err := c.Exec(ctx, sql.String(), args...)
	if err == nil && n == 0 {
		return t.stale(before, after, *t.revision(before))
	}
	*t.revision(after) = *t.revision(before) + 1
	return err
}

// stale is the refusal of an update that is based on an old revision.
func (t *table[E, F, U]) stale(stored, given *E, seen int64) error {
	*t.revision(given) = seen
	return &nexus.Error{
		Code: nexus.CodeStale, Kind: t.kind, ID: *t.id(stored),
		Message: fmt.Sprintf("has changed since: it is at revision %d, the update is based on %d", *t.revision(stored), seen),
		Hint:    "read it again, and repeat the change if it still makes sense",
		Stored:  stored, Given: given,
	}
}

// explain turns what the database said about e into what the caller can use.
func (t *table[E, F, U]) explain(ctx context.Context, run runner, e *E, err error) error {
	if err == nil {
		return nil
	}
	id := *t.id(e)
	switch nexus.CodeOf(err) {
	case nexus.CodeExists:
		var taken *nexus.Error
		if errors.As(err, &taken) && len(taken.Problems) > 0 {
			return &nexus.Error{
				Code: nexus.CodeExists, Kind: t.kind, ID: id, Message: "exists already",
				Hint: "read it, or choose another id",
			}
		}
		return &nexus.Error{
			Code: nexus.CodeExists, Kind: t.kind, ID: id, Message: "another " + string(t.kind) + " has its plan_key",
			Hint: "choose another plan_key",
		}
	case nexus.CodeReference:
		for _, p := range t.parents {
			parent := p.id(e)
			if parent == "" {
				continue
			}
			if there, lookErr := t.exists(ctx, run, p.kind, parent); lookErr == nil && !there {
				return &nexus.Error{
					Code: nexus.CodeReference, Kind: t.kind, ID: id,
					Message: fmt.Sprintf("its %s %s does not exist", p.kind, parent),
					Hint:    "create that first, or correct the id",
				}
			}
		}
	}
	return err
}

func (t *table[E, F, U]) exists(ctx context.Context, run runner, kind nexus.Kind, id string) (there bool, err error) {
	err = run.read(ctx, func(c driver.Conn) error {
		return c.Query(ctx, "SELECT 1 FROM "+kind.Table()+" WHERE id = $1", []driver.Arg{driver.Text(id)},
			func(driver.Row) error {
				there = true
				return nil
			})
	})
	return there, err
}

// inUse says what keeps a row from being deleted.
func (t *table[E, F, U]) inUse(ctx context.Context, run runner, id string) error {
	refused := &nexus.Error{
		Code: nexus.CodeInUse, Kind: t.kind, ID: id,
		Message: "other rows refer to it", Hint: "change or delete those first; nothing was changed",
	}
	if t.children == "" {
		return refused
	}
	_ = run.read(ctx, func(c driver.Conn) error { // without it the message says less
		tasks, err := ids(ctx, c, t.children, id)
		if err == nil && len(tasks) > 0 {
			refused.Message = "tasks refer to it: " + some(tasks)
		}
		return err
	})
	return refused
}

// some names three ids at most. Who asks the database for them asks for one more.
func some(ids []string) string {
	if len(ids) > 3 {
		ids = append(ids[:3:3], "others")
	}
	return strings.Join(ids, ", ")
}

// orderColumn returns the column with a name that a list may be ordered by.
func (t *table[E, F, U]) orderColumn(name string) (*column[E], error) {
	if name == "" {
		name = "id"
	}
	if name == "id" || slices.Contains(t.orders, name) {
		for i := range t.columns {
			if t.columns[i].Name == name {
				return &t.columns[i], nil
			}
		}
	}
	return nil, &nexus.Error{
		Code: nexus.CodeInvalid, Kind: t.kind,
		Problems: []nexus.Problem{{Field: "order_by", Message: fmt.Sprintf(
			"is %q; it must be one of id, %s", name, strings.Join(t.orders, ", "))}},
	}
}
