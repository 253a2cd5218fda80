package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus/internal/migration"
	"github.com/seed-c8812374/nexus/store/driver"
)

// object is a table, index, view or trigger.
type object struct {
	kind, name string
	sql        string // that creates it
}

func objects(ctx context.Context, c *conn) (list []object, err error) {
	const sql = `
		SELECT type, name, sql FROM sqlite_schema
		WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
		ORDER BY CASE type WHEN 'table' THEN 1 WHEN 'index' THEN 2 WHEN 'view' THEN 3 ELSE 4 END, rowid`
	err = c.Query(ctx, sql, nil, func(r driver.Row) error {
		if o := (object{r.Text(0), r.Text(1), r.Text(2)}); o.kind != "table" || o.name == migration.OwnTable || !internalTable(o.name) {
			list = append(list, o)
		}
		return nil
	})
	return list, err
}

// inScratch runs fn on a database of its own that has the schema of a version.
func inScratch(ctx context.Context, version int64, fn func(*conn) error) (err error) {
	path, discard, err := privateFile()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, discard()) }()
	scratch := &db{path: path}
	if err := scratch.prepareFile(); err != nil {
		return err
	}
	c, err := scratch.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	sqlDB := asSQL(ctx, c)
	defer sqlDB.Close()
	err = ownMigrations().UpTo(ctx, sqlDB, version, time.Time{})
	if ctx.Err() != nil {
		return canceled(ctx) // that it was a migration is nobody's business
	}
	if err != nil {
		return err
	}
	return fn(c)
}

// repair is a part of the schema that is missing, and the statements that make it.
type repair struct {
	name       string
	statements []string
}

// repairs compares the schema of a connection with the one that the migrations
// make. Indexes may be others than theirs: a program that recreates one of the
// contract's does no harm.
func repairs(ctx context.Context, c *conn) (list []repair, err error) {
	present, err := objects(ctx, c)
	if err != nil {
		return nil, err
	}
	has := make(map[string]string)
	for _, o := range present {
		has[o.kind+" "+o.name] = o.sql
	}
	err = inScratch(ctx, ownMigrations().Latest(), func(made *conn) error {
		want, err := objects(ctx, made)
		if err != nil {
			return err
		}
		for _, o := range want {
			name := o.kind + " " + o.name
			sql, there := has[name]
			switch {
			case o.kind == "table" && o.name == migration.OwnTable: // health's business
			case !there && strings.HasPrefix(o.name, "search_") && o.kind == "table":
				// The three belong together: what is not there must not be said to be.
				list = append(list, repair{name, []string{o.sql, "DELETE FROM search_progress"}})
			case !there:
				list = append(list, repair{name, []string{o.sql}})
			case o.kind == "table":
				columns, err := missingColumns(ctx, c, made, o.name)
				if err != nil {
					return err
				}
				list = append(list, columns...)
			case o.kind != "index" && sql != o.sql:
				drop := fmt.Sprintf("DROP %s %s", strings.ToUpper(o.kind), quoted(o.name))
				list = append(list, repair{name, []string{drop, o.sql}})
			}
		}
		return nil
	})
	return list, err
}

// missingColumns are those that a table has in made and not in c.
func missingColumns(ctx context.Context, c, made *conn, table string) (list []repair, err error) {
	present, err := plainColumns(ctx, c, table)
	if err != nil {
		return nil, err
	}
	want, err := plainColumns(ctx, made, table)
	if err != nil {
		return nil, err
	}
	for _, w := range want {
		if slices.ContainsFunc(present, func(p driver.Column) bool { return p.Name == w.Name }) {
			continue
		}
		definition := quoted(w.Name) + " " + w.Type
		if w.NotNull {
			definition += " NOT NULL"
		}
		if w.Default != "" {
			definition += " DEFAULT " + w.Default
		}
		list = append(list, repair{
			fmt.Sprintf("column %s of %s", w.Name, table),
			[]string{fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s", quoted(table), definition)},
		})
	}
	return list, nil
}

// quoted is a name in SQL.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// Missing implements driver.Remaker.
func (d *db) Missing(ctx context.Context) (names []string, err error) {
	err = d.readers.read(ctx, func(c *conn) error {
		list, err := repairs(ctx, c)
		for _, r := range list {
			names = append(names, r.name)
		}
		return err
	})
	return names, err
}

// Remake implements driver.Remaker.
func (d *db) Remake(ctx context.Context) error {
	if d.options.ReadOnly {
		return d.refuseToWrite()
	}
	return d.writer.exclusively(ctx, func(c *conn) error {
		if err := patiently(ctx, d.options.Patience, func() error { return c.exec("BEGIN IMMEDIATE") }); err != nil {
			return err
		}
		defer c.rollback()
		list, err := repairs(ctx, c)
		if err != nil {
			return err
		}
		for _, r := range list {
			if err := c.execAll(r.statements...); err != nil {
				return fmt.Errorf("making %s again: %w", r.name, err)
			}
		}
		return c.execAll(driver.ForgetHashes, "COMMIT")
	})
}
