package interop_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// A new database has the contract's schema to the letter.
func TestSchemaIsTheContract(t *testing.T) {
	t.Parallel()
	db := openNexus(t, filepath.Join(t.TempDir(), "nexus.db"))

	if len(contract) != 9 {
		t.Fatalf("the contract as written down here has %d tables, not 9", len(contract))
	}
	checkSchema(t, db, func(a, b string) bool { return a == b })
	checkModes(t, db)

	tables, added, err := db.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, table := range contract {
		names = append(names, table.Name)
	}
	if !slices.Equal(tables, names) {
		t.Errorf("Tables lists %v first, the contract says %v", tables, names)
	}
	for _, name := range added {
		if strings.HasPrefix(name, "sqlite_") || strings.HasSuffix(name, "_migrations") {
			t.Errorf("Tables lists %s, which is not for users", name)
		}
	}
}

// checkSchema compares every table, column, foreign key and index of the
// contract with the database. same says whether two declared types or defaults
// are the same, the contract's first.
func checkSchema(t testing.TB, db *store.DB, same func(want, got string) bool) {
	t.Helper()
	for _, table := range contract {
		checkColumns(t, db, table, same)
		checkForeignKeys(t, db, table)
	}
	for name, index := range contractIndexes {
		checkIndex(t, db, name, index[0], index[1])
	}
}

func checkColumns(t testing.TB, db *store.DB, table contractTable, same func(want, got string) bool) {
	t.Helper()
	found := make(map[string]row)
	for _, r := range query(t, db, "SELECT * FROM pragma_table_info($1)", table.Name) {
		found[r["name"].(string)] = r
	}
	for _, want := range table.Columns {
		where := table.Name + "." + want.Name
		got, ok := found[want.Name]
		if !ok {
			t.Errorf("%s does not exist", where)
			continue
		}
		delete(found, want.Name)
		if typ, _ := got["type"].(string); !same(want.Type, typ) {
			t.Errorf("%s is declared %s, the contract says %s", where, typ, want.Type)
		}
		if pk := got["pk"] != int64(0); pk != want.PrimaryKey {
			t.Errorf("%s: primary key is %v, the contract says %v", where, pk, want.PrimaryKey)
		}
		// Of a primary key the contract leaves it open; a NULL there makes no
		// sense.
		if notNull := got["notnull"] != int64(0); notNull != (want.NotNull || want.PrimaryKey) {
			t.Errorf("%s: NOT NULL is %v, the contract says %v", where, notNull, want.NotNull)
		}
		if value, _ := got["dflt_value"].(string); !same(want.Default, value) {
			t.Errorf("%s has the default %q, the contract says %q", where, value, want.Default)
		}
	}
	for name, added := range found {
		if added["notnull"] != int64(0) && added["dflt_value"] == nil {
			t.Errorf("%s.%s is added, NOT NULL and has no default: who does not know it cannot insert", table.Name, name)
		}
		if added["pk"] != int64(0) {
			t.Errorf("%s.%s is added to the primary key", table.Name, name)
		}
	}
}

func checkForeignKeys(t testing.TB, db *store.DB, table contractTable) {
	t.Helper()
	type key struct{ column, parent, to, onDelete, onUpdate string }
	want := make(map[key]bool)
	for _, c := range table.Columns {
		if c.References != "" {
			want[key{c.Name, c.References, "id", c.OnDelete, "NO ACTION"}] = true
		}
	}
	for _, r := range query(t, db, "SELECT * FROM pragma_foreign_key_list($1)", table.Name) {
		got := key{
			r["from"].(string), r["table"].(string), r["to"].(string),
			r["on_delete"].(string), r["on_update"].(string),
		}
		if !want[got] {
			t.Errorf("%s has a foreign key that the contract does not have: %+v", table.Name, got)
		}
		delete(want, got)
	}
	for missing := range want {
		t.Errorf("%s lacks the foreign key %+v", table.Name, missing)
	}
}

func checkIndex(t testing.TB, db *store.DB, name, table, column string) {
	t.Helper()
	for _, r := range query(t, db, "SELECT * FROM pragma_index_list($1)", table) {
		if r["name"] != name {
			continue
		}
		if r["unique"] != int64(0) || r["partial"] != int64(0) {
			t.Errorf("%s is unique or partial: %v", name, r)
		}
		columns := query(t, db, "SELECT name FROM pragma_index_info($1) ORDER BY seqno", name)
		if len(columns) == 0 || columns[0]["name"] != column {
			t.Errorf("%s has the columns %v, the contract says that %s leads", name, columns, column)
		}
		return
	}
	t.Errorf("%s has no index %s", table, name)
}

// checkModes tries the one CHECK of the contract.
func checkModes(t testing.TB, db *store.DB) {
	t.Helper()
	const insert = `INSERT INTO projects (id, name, mode, status, root_path, created_at, updated_at)
		VALUES ($1, 'n', $1, 's', '/', 0, 0)`
	try := func(mode string) error {
		return db.InTx(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.Exec(t.Context(), insert, mode); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), "DELETE FROM projects WHERE id = $1", mode)
			return err
		})
	}
	for _, mode := range []string{"genesis", "evolution"} {
		if err := try(mode); err != nil {
			t.Errorf("a project of mode %s is refused: %v", mode, err)
		}
	}
	for _, mode := range []string{"", "Genesis", "revolution"} {
		if err := try(mode); nexus.CodeOf(err) != nexus.CodeInvalid {
			t.Errorf("a project of mode %q: error %v, want one with code %s", mode, err, nexus.CodeInvalid)
		}
	}
}

// query runs a statement and returns its rows.
func query(t testing.TB, db *store.DB, sql string, args ...any) (rows []row) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // also for cleanups
	err := db.View(ctx, func(tx *store.Tx) error {
		rows = nil
		return tx.Query(ctx, sql, args, func(r driver.Row) error {
			found := make(row)
			for i, name := range r.Columns() {
				found[name] = r.Value(i)
			}
			rows = append(rows, found)
			return nil
		})
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return rows
}
