package sqlite

import (
	"context"

	"github.com/seed-c8812374/nexus/store/driver"
)

// Catalog implements driver.Conn.
func (c *conn) Catalog(ctx context.Context) (catalog driver.Catalog, err error) {
	ran, err := applied(ctx, c, ownMigrations())
	if err != nil {
		return catalog, err
	}
	state := schemaState{ownRan: ran}
	catalog.Version = state.version()
	names, err := plainTables(ctx, c)
	if err != nil {
		return catalog, err
	}
	for _, name := range names {
		if internalTable(name) {
			continue
		}
		table := driver.Table{Name: name}
		if table.Columns, err = plainColumns(ctx, c, name); err != nil {
			return catalog, err
		}
		catalog.Tables = append(catalog.Tables, table)
	}
	return catalog, nil
}

func plainColumns(ctx context.Context, c *conn, table string) (list []driver.Column, err error) {
	const sql = `SELECT name, type, "notnull", coalesce(dflt_value, '') FROM pragma_table_xinfo($1) WHERE hidden = 0 ORDER BY cid`
	err = c.Query(ctx, sql, []driver.Arg{driver.Text(table)}, func(r driver.Row) error {
		list = append(list, driver.Column{Name: r.Text(0), Type: r.Text(1), NotNull: r.Int(2) != 0, Default: r.Text(3)})
		return nil
	})
	return list, err
}
