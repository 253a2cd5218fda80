package sqlite_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// Whoever adds a column to an entity has to make the triggers of the history anew, in a
// migration: the column comes last in what they keep, before an UPDATE, a DELETE, a
// rename and a replacement, and among the columns whose UPDATE they watch. This says
// what is missing.
func TestHistoryHasAllColumns(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	c := otherProgram(t, path)
	for _, kind := range nexus.Kinds() {
		if kind == nexus.KindMetric { // a log itself
			continue
		}
		t.Run(string(kind), func(t *testing.T) {
			k := &keptColumns{T: t, conn: c, kind: kind, columns: store.Columns(kind)}
			if n := len(k.columns) - 1; n > 32 {
				t.Fatalf("%d columns are more than the history has room for", n)
			}
			k.exec("PRAGMA foreign_keys = OFF")
			k.insert("INSERT")
			for n := range k.columns[1:] {
				k.update(&k.columns[n+1])
			}
			k.keeps("replace", func() { k.insert("INSERT OR REPLACE") }, nil)
			k.keeps("delete", func() { k.exec("UPDATE " + kind.Table() + " SET id = 'other' WHERE id = 'it'") }, nil)
			k.exec("UPDATE " + kind.Table() + " SET id = 'it' WHERE id = 'other'")
			k.keeps("delete", func() { k.exec("DELETE FROM " + kind.Table() + " WHERE id = 'it'") }, nil)
		})
	}
}

type keptColumns struct {
	*testing.T
	conn    *zombiezen.Conn
	kind    nexus.Kind
	columns []store.Column
}

func (k *keptColumns) exec(sql string, args ...any) {
	k.Helper()
	if err := sqlitex.ExecuteTransient(k.conn, sql, &sqlitex.ExecOptions{Args: args}); err != nil {
		k.Fatalf("%s: %v", sql, err)
	}
}

func (k *keptColumns) values(sql string) (values []string) {
	k.Helper()
	err := sqlitex.ExecuteTransient(k.conn, sql, &sqlitex.ExecOptions{ResultFunc: func(s *zombiezen.Stmt) error {
		values = nil
		for i := range s.ColumnCount() {
			values = append(values, s.ColumnText(i))
		}
		return nil
	}})
	if err != nil {
		k.Fatalf("%s: %v", sql, err)
	}
	return values
}

// insert inserts a row whose columns all differ.
func (k *keptColumns) insert(how string) {
	k.Helper()
	var names, places []string
	args := make([]any, 0, len(k.columns))
	for n, column := range k.columns {
		names, places = append(names, column.Name), append(places, fmt.Sprintf("?%d", n+1))
		switch {
		case column.Name == "id":
			args = append(args, "it")
		case column.Name == "mode":
			args = append(args, "genesis")
		case column.Type == "TEXT":
			args = append(args, "is "+column.Name)
		default:
			args = append(args, 100+n)
		}
	}
	k.exec(how+" INTO "+k.kind.Table()+" ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(places, ", ")+")", args...)
}

// update changes one column, and expects that the history has the row before that.
func (k *keptColumns) update(column *store.Column) {
	k.Helper()
	value := "'was " + column.Name + "'"
	switch {
	case column.Name == "mode":
		value = "'evolution'"
	case column.Type != "TEXT":
		value = "7"
	}
	change := func() {
		k.exec("UPDATE " + k.kind.Table() + " SET " + column.Name + " = " + value + " WHERE id = 'it'")
	}
	if column.Name == "revision" || k.kind == nexus.KindAgent && column.Name == "last_activity_at" {
		before := k.values("SELECT max(seq) FROM history")
		change()
		if after := k.values("SELECT max(seq) FROM history"); !slices.Equal(before, after) {
			k.Errorf("a change of %s is in the history", column.Name)
		}
		return
	}
	k.keeps("update", change, column)
}

// keeps expects the history to keep the row as it was before a change.
func (k *keptColumns) keeps(what string, change func(), changed *store.Column) {
	k.Helper()
	var names, places []string
	for n, column := range k.columns[1:] {
		name := column.Name
		if column.Large && changed != nil && !changed.Large {
			name = "NULL" // it has not changed
		}
		names, places = append(names, name), append(places, fmt.Sprintf("v%d", n+1))
	}
	large := changed == nil || changed.Large
	want := k.values("SELECT " + strings.Join(names, ", ") + " FROM " + k.kind.Table() + " WHERE id = 'it'")
	before := k.values("SELECT coalesce(max(seq), 0) FROM history")[0]
	change()
	first := fmt.Sprintf(" FROM history WHERE seq > %s AND kind = '%s' AND id = 'it' AND change = '%s' AND large = %t ORDER BY seq DESC", before, k.kind, what, large)
	got := k.values("SELECT " + strings.Join(places, ", ") + first)
	of := ""
	if changed != nil {
		of = " of " + changed.Name
	}
	if diff := cmp.Diff(label(k.columns[1:], want), label(k.columns[1:], got)); diff != "" {
		k.Errorf("the history of a row before a %s%s (-was +is kept):\n%s", what, of, diff)
	}
}

func label(columns []store.Column, values []string) map[string]string {
	m := make(map[string]string)
	for n, value := range values {
		m[columns[n].Name] = value
	}
	return m
}
