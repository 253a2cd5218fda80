package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/seed-c8812374/nexus/store/driver"
)

// schemaFile has all that the migrations make. SQLite's migrations are run in a database
// of their own to compare with; here that would need the right to create a schema, and
// could not be done on a standby. A test compares the file with the migrations, and writes
// it with -update.
//
//go:embed schema.sql
var schemaFile string

// object is a part of the schema. The name of what belongs to a table ends with " of " and
// that.
type object struct {
	kind, name string
	sql        string // that creates it, in this schema
}

func (o object) key() string { return o.kind + " " + o.name }

// table is the table that it belongs to, or nothing.
func (o object) table() string {
	_, table, _ := strings.Cut(o.name, " of ")
	return table
}

// objectHeader is how the line before each object begins in the file.
const objectHeader = "--- "

// wanted is what the migrations make, in an order in which it can be made.
var wanted = sync.OnceValue(func() (list []object) {
	for _, part := range strings.Split("\n"+schemaFile, "\n"+objectHeader)[1:] {
		header, sql, _ := strings.Cut(part, "\n")
		kind, name, _ := strings.Cut(header, " ")
		list = append(list, object{kind, name, strings.TrimSuffix(strings.TrimSpace(sql), ";")})
	}
	return list
})

// The parts of tables, which are made one by one so that each can be missing.
const (
	createEmptyTables = `
		SELECT t.relname, 'CREATE TABLE ' || quote_ident(t.relname) || ' ()'
		FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
		WHERE ` + ofSchema + ` AND t.relkind IN ('r', 'p')
		ORDER BY t.oid`

	createColumns = `
		SELECT c.attname || ' of ' || t.relname, 'ALTER TABLE ' || quote_ident(t.relname) || ' ADD COLUMN ' || c.definition
		FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
		CROSS JOIN LATERAL (SELECT a.attnum, a.attname, ` + columnDefinition + ` AS definition FROM ` + columns + `) c
		WHERE ` + ofSchema + ` AND t.relkind IN ('r', 'p')
		ORDER BY t.oid, c.attnum`

	// A constraint is what it says; its name may be another. Foreign keys come last,
	// because the keys that they refer to must be there. One that is not valid is what
	// Health looks for.
	createConstraints = `
		SELECT k.definition || ' of ' || t.relname,
			'ALTER TABLE ' || quote_ident(t.relname) || ' ADD CONSTRAINT ' || quote_ident(k.conname) || ' ' || k.definition
		FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
		JOIN LATERAL (
			SELECT conname, contype, replace(pg_get_constraintdef(oid, true), ' NOT VALID', '') AS definition
			FROM pg_constraint WHERE conrelid = t.oid AND contype IN ('p', 'u', 'f', 'c', 'x')) k ON true
		WHERE ` + ofSchema + ` AND t.relkind IN ('r', 'p')
		ORDER BY k.contype = 'f', t.oid, k.conname`
)

// schemaMark stands for the schema in a function that names it, as in the migrations.
const schemaMark = "@."

// schemaPrefix is what the mark stands for: always in quotes, as nobody writes a name who
// does not have to.
func schemaPrefix(schema string) string { return quoteName(schema) + "." }

// objects lists what is in the schema, in the order of the file.
func objects(ctx context.Context, c driver.Conn) (list []object, err error) {
	var schema, ident, literal string
	err = c.Query(ctx, "SELECT current_schema(), quote_ident(current_schema()), quote_literal(current_schema())", nil, func(r driver.Row) error {
		schema, ident, literal = r.Text(0), r.Text(1), r.Text(2)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, part := range []struct{ kind, sql string }{
		{"table", createEmptyTables},
		{"function", createFunctions},
		{"column", createColumns},
		{"constraint", createConstraints},
		{"index", createIndexes},
		{"view", createViews},
		{"trigger", createTriggers},
	} {
		err := c.Query(ctx, part.sql, nil, func(r driver.Row) error {
			o := object{part.kind, r.Text(0), strings.TrimSpace(r.Text(1))}
			if o.kind == "function" { // which names the schema
				o.sql = strings.Replace(o.sql, " FUNCTION "+ident+".", " FUNCTION ", 1)
				o.sql = strings.Replace(o.sql, " SET search_path TO "+literal+"\n", " SET search_path FROM CURRENT\n", 1)
				o.sql = strings.ReplaceAll(o.sql, schemaPrefix(schema), schemaMark)
			}
			if !internalTable(o.name) && !internalTable(o.table()) {
				list = append(list, o)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// repair is a part of the schema that is missing or was altered, and the statements that
// make it. What goes with a table that is missing has no name.
type repair struct {
	name       string
	statements []string
}

// repairs compares the schema with the one that the migrations make. What is there
// besides is somebody else's.
func repairs(ctx context.Context, c driver.Conn) (list []repair, err error) {
	present, err := objects(ctx, c)
	if err != nil {
		return nil, err
	}
	has := make(map[string]string, len(present))
	for _, o := range present {
		has[o.key()] = o.sql
	}
	gone := make(map[string]bool)
	for _, want := range wanted() {
		sql, there := has[want.key()]
		switch {
		case there && same(want, sql):
		case there:
			list = append(list, repair{want.key(), want.instead(sql)})
		case gone[want.table()]:
			list = append(list, repair{"", want.create()})
		default:
			if want.kind == "table" {
				gone[want.name] = true
			}
			list = append(list, repair{want.key(), want.create()})
		}
	}
	return list, nil
}

// qualifier is the name before a column, which PostgreSQL 16 and later leave away.
var qualifier = regexp.MustCompile(`\b[a-z_]+\.([a-z_])`)

// same reports whether a part of the schema is as it is wanted.
func same(want object, sql string) bool {
	switch want.kind {
	case "constraint": // is what its name says
		return true
	case "column":
		return want.sql == sql || strings.Contains(sql, " GENERATED ")
	case "view":
		plain := func(sql string) string {
			return strings.Join(strings.Fields(qualifier.ReplaceAllString(sql, "$1")), " ")
		}
		return plain(want.sql) == plain(sql)
	default:
		return want.sql == sql
	}
}

// create is how to make what is not there.
func (o object) create() []string {
	if o.kind != "constraint" {
		return []string{o.sql}
	}
	// Another may have its name.
	add, rest, _ := strings.Cut(o.sql, " ADD CONSTRAINT ")
	name, _, _ := strings.Cut(rest, " ")
	return []string{add + " DROP CONSTRAINT IF EXISTS " + name, o.sql}
}

// instead is how to make it in place of what sql creates.
func (o object) instead(sql string) []string {
	name, _, _ := strings.Cut(o.name, " of ")
	switch o.kind {
	case "column":
		return o.alterColumn(sql)
	case "index", "view":
		return []string{"DROP " + strings.ToUpper(o.kind) + " " + quoteName(name), o.sql}
	case "trigger":
		return []string{"DROP TRIGGER " + quoteName(name) + " ON " + quoteName(o.table()), o.sql}
	default: // CREATE OR REPLACE FUNCTION
		return []string{o.sql}
	}
}

// alterColumn is how to make a column what it should be, of what sql adds.
func (o object) alterColumn(sql string) (statements []string) {
	parts := func(sql string) (columnType string, notNull bool, value string) {
		_, definition, _ := strings.Cut(sql, " ADD COLUMN ")
		_, definition, _ = strings.Cut(definition, " ")
		definition, value, _ = strings.Cut(definition, " DEFAULT ")
		columnType, notNull = strings.CutSuffix(definition, " NOT NULL")
		return columnType, notNull, value
	}
	name, _, _ := strings.Cut(o.name, " of ")
	alter := func(how string, args ...any) {
		statements = append(statements, "ALTER TABLE "+quoteName(o.table())+" ALTER COLUMN "+quoteName(name)+" "+fmt.Sprintf(how, args...))
	}
	columnType, notNull, value := parts(o.sql)
	isType, isNotNull, isValue := parts(sql)
	if columnType != isType {
		plain, _, _ := strings.Cut(columnType, " COLLATE ")
		alter("TYPE %s USING %s::%s", columnType, quoteName(name), plain)
	}
	switch {
	case value == isValue:
	case value == "":
		alter("DROP DEFAULT")
	default:
		alter("SET DEFAULT %s", value)
	}
	switch {
	case notNull == isNotNull:
	case notNull:
		alter("SET NOT NULL")
	default:
		alter("DROP NOT NULL")
	}
	return statements
}

// Missing implements driver.Remaker.
func (d *db) Missing(ctx context.Context) (names []string, err error) {
	err = d.Snapshot(ctx, func(c driver.Conn) error {
		names = nil
		list, err := repairs(ctx, c)
		for _, r := range list {
			if r.name != "" {
				names = append(names, r.name)
			}
		}
		return err
	})
	return names, err
}

// Remake implements driver.Remaker. It locks the tables that it changes, so it waits for
// them no longer than others, who stand behind it, would.
func (d *db) Remake(ctx context.Context) error {
	if d.options.ReadOnly {
		return d.refuseToWrite()
	}
	return d.migrate(ctx, func(_ *schemaState, c *conn) error {
		if _, err := c.Exec(ctx, "SET LOCAL lock_timeout = "+milliseconds(d.options.Patience)); err != nil {
			return err
		}
		list, err := repairs(ctx, c)
		if err != nil {
			return err
		}
		for _, r := range list {
			for _, sql := range r.statements {
				if _, err := c.Exec(ctx, strings.ReplaceAll(sql, schemaMark, schemaPrefix(d.schema))); err != nil {
					return fmt.Errorf("making %s again: %w", r.name, err)
				}
			}
		}
		_, err = c.Exec(ctx, driver.ForgetHashes)
		return err
	})
}
