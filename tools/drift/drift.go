// Package drift finds where the schema that the migrations make has drifted from
// the columns that the Go code reads and writes, and writes the migration that
// brings the schema back to them.
//
// Only columns are compared: whether they are there, their type, whether they
// may be NULL, and their default. Foreign keys, checks, indexes, triggers and
// views are what the migrations say they are, and stay.
//
// All of it is about SQLite. Another database needs its own inspect, planner
// (Atlas has a differ and a planner for each) and rehearsal; the rest, and the
// words, can be shared.
package drift

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ariga.io/atlas/sql/schema"
	atlas "ariga.io/atlas/sql/sqlite"
	_ "modernc.org/sqlite" // the driver for inspecting

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// Table is a table with the columns that it is to have.
type Table struct {
	Name    string
	Columns []store.Column
}

// Wanted returns the nine tables with the columns that the Go code reads and
// writes, and those that triggers keep.
func Wanted() []Table {
	var tables []Table
	for _, kind := range nexus.Kinds() {
		columns := slices.Concat(store.Columns(kind), store.DerivedColumns(kind))
		for i := range columns {
			columns[i].Large = false // which the database does not know
		}
		tables = append(tables, Table{kind.Table(), columns})
	}
	return tables
}

// Differences says in words, one column each, where the migrated schema is not
// what is wanted.
func Differences(ctx context.Context, wanted []Table) (words []string, err error) {
	err = withScratch(ctx, func(path string) error {
		before, err := inspect(ctx, path)
		if err != nil {
			return err
		}
		changes, err := before.changes(wanted)
		for _, c := range changes {
			words = append(words, c.words()...)
		}
		return err
	})
	return words, err
}

// withScratch calls fn with the path of a database that the product's own
// migrations have made. It is gone afterwards.
func withScratch(ctx context.Context, fn func(path string) error) (err error) {
	folder, err := os.MkdirTemp("", "nexus-migration-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	path := filepath.Join(folder, "scratch.db")
	if err := bringUp(ctx, path, ""); err != nil {
		return err
	}
	return fn(path)
}

// bringUp brings the database at path up to date, and then runs the migrations
// of a further folder, if one is given.
func bringUp(ctx context.Context, path, further string) error {
	db, err := sqlite.Open(ctx, path, options(further))
	if err != nil {
		return err
	}
	return db.Close()
}

func options(further string) *sqlite.Options {
	return &sqlite.Options{Migrations: further, NoSync: true, Logger: slog.New(slog.DiscardHandler)}
}

// snapshot is the schema of a database.
type snapshot struct {
	tables     map[string]*schema.Table // the nine
	dependents []dependent
}

// dependent is an index, a trigger or a view.
type dependent struct {
	kind, name, table, sql string
}

func inspect(ctx context.Context, path string) (*snapshot, error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	driver, err := atlas.Open(db)
	if err != nil {
		return nil, err
	}
	options := schema.InspectOptions{Mode: schema.InspectTables}
	for _, kind := range nexus.Kinds() {
		options.Tables = append(options.Tables, kind.Table())
	}
	found, err := driver.InspectSchema(ctx, "main", &options)
	if err != nil {
		return nil, err
	}
	s := &snapshot{tables: make(map[string]*schema.Table)}
	for _, table := range found.Tables {
		s.tables[table.Name] = table
		for _, c := range table.Columns {
			// Atlas takes VARCHAR for TEXT and BIGINT for INTEGER. Other
			// programs read the declared type, so here they differ.
			if !slices.Contains([]string{"TEXT", "INTEGER", "REAL"}, strings.ToUpper(c.Type.Raw)) {
				c.Type.Type = &atlas.UserDefinedType{T: c.Type.Raw}
			}
		}
	}
	s.dependents, err = readDependents(ctx, db)
	return s, err
}

func readDependents(ctx context.Context, db *sql.DB) (list []dependent, err error) {
	rows, err := db.QueryContext(ctx, `
		SELECT type, name, tbl_name, sql FROM sqlite_master
		WHERE type IN ('index', 'trigger', 'view') AND sql IS NOT NULL
		ORDER BY rowid`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var d dependent
		if err := rows.Scan(&d.kind, &d.name, &d.table, &d.sql); err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, rows.Err()
}

// change is what is to be done to one table.
type change struct {
	from, to *schema.Table
	up       []schema.Change // as Atlas computes them
}

// changes returns the tables that are not what is wanted.
func (s *snapshot) changes(wanted []Table) (list []change, err error) {
	for _, table := range wanted {
		c := change{from: s.tables[table.Name]}
		if c.from == nil {
			return nil, fmt.Errorf("%s: in the Go columns, but no migration creates the table; write that one by hand", table.Name)
		}
		if c.to, err = withColumns(c.from, table.Columns); err != nil {
			return nil, err
		}
		if c.up, err = atlas.DefaultDiff.TableDiff(c.from, c.to); err != nil {
			return nil, err
		}
		if len(c.up) > 0 {
			list = append(list, c)
		}
	}
	return list, nil
}

// withColumns returns the table as it is with other columns. Those that it has
// keep their place; others are added at the end, where SQLite adds them.
func withColumns(table *schema.Table, columns []store.Column) (*schema.Table, error) {
	changed := *table
	changed.Columns = nil
	var added []*schema.Column
	kept := make(map[string]*schema.Column)
	for _, c := range columns {
		declared, err := atlas.ParseType(c.Type)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", table.Name, c.Name, err)
		}
		column := &schema.Column{Name: c.Name}
		if old, has := table.Column(c.Name); has {
			*column = *old
			kept[c.Name] = column
		} else {
			added = append(added, column)
		}
		column.Type = &schema.ColumnType{Type: declared, Raw: c.Type, Null: c.Nullable}
		column.Default = expression(c.Default)
	}
	for _, old := range table.Columns {
		if column := kept[old.Name]; column != nil {
			changed.Columns = append(changed.Columns, column)
		}
	}
	changed.Columns = append(changed.Columns, added...)
	return &changed, nil
}

// expression is the default of a column as Atlas reads it from a database.
func expression(sql string) schema.Expr {
	if sql == "" {
		return nil
	}
	if _, err := strconv.ParseFloat(sql, 64); err == nil || strings.HasPrefix(sql, "'") {
		return &schema.Literal{V: sql}
	}
	return &schema.RawExpr{X: sql}
}

func (c *change) words() (list []string) {
	for _, one := range c.up {
		switch one := one.(type) {
		case *schema.AddColumn:
			list = append(list, fmt.Sprintf("%s.%s: in the Go columns, not in the database", c.from.Name, one.C.Name))
		case *schema.DropColumn:
			list = append(list, fmt.Sprintf("%s.%s: in the database, not in the Go columns", c.from.Name, one.C.Name))
		case *schema.ModifyColumn:
			list = append(list, fmt.Sprintf("%s.%s: %s in the Go columns, %s in the database",
				c.from.Name, one.To.Name, declaration(one.To), declaration(one.From)))
		default:
			list = append(list, fmt.Sprintf("%s: %T", c.from.Name, one))
		}
	}
	return list
}

// declaration is what a CREATE TABLE says of a column after its name.
func declaration(c *schema.Column) string {
	text := c.Type.Raw
	if !c.Type.Null {
		text += " NOT NULL"
	}
	switch x := c.Default.(type) {
	case *schema.Literal:
		text += " DEFAULT " + x.V
	case *schema.RawExpr:
		text += " DEFAULT (" + x.X + ")"
	}
	return text
}
