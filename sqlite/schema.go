package sqlite

import (
	"context"
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/migration"
	"github.com/seed-c8812374/nexus/store/driver"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// ownMigrations returns Nexus's own migrations.
var ownMigrations = sync.OnceValue(func() *migration.Set { return migration.Own(migrationFiles) })

// applied returns the migrations of set that have run in this database. It is
// the one query that opening an up-to-date database costs.
func applied(ctx context.Context, c *conn, set *migration.Set) ([]migration.Applied, error) {
	return appliedIn(ctx, c, set, false)
}

func appliedIn(ctx context.Context, c *conn, set *migration.Set, again bool) (all []migration.Applied, err error) {
	err = c.Query(ctx, "SELECT version_id, checksum FROM "+set.Table, nil, func(r driver.Row) error {
		all = append(all, migration.Applied{Version: r.Int(0), Checksum: r.Text(1)})
		return nil
	})
	// SQLite has no code of its own for a table that does not exist.
	if nexus.CodeOf(err) == nexus.CodeInternal {
		tables, listErr := tableNames(ctx, c)
		switch {
		case listErr != nil:
			return nil, listErr
		case !slices.Contains(tables, set.Table):
			return nil, nil
		case !again: // another process has created it since
			return appliedIn(ctx, c, set, true)
		}
	}
	return all, err
}

// contractTables returns the columns of the nine tables as the first migration
// makes them: table, then column, then its declared type and whether it is NOT
// NULL. Primary keys are left out of the latter; it goes without saying.
func contractTables(ctx context.Context) (map[string]map[string]string, error) {
	tables := make(map[string]map[string]string)
	err := inScratch(ctx, 1, func(c *conn) (err error) {
		for _, kind := range nexus.Kinds() {
			if tables[kind.Table()], err = columns(ctx, c, kind.Table()); err != nil {
				return err
			}
		}
		return nil
	})
	return tables, err
}

func columns(ctx context.Context, c *conn, table string) (map[string]string, error) {
	found := make(map[string]string)
	err := c.Query(ctx, `SELECT name, type, "notnull", pk FROM pragma_table_info($1)`, []driver.Arg{driver.Text(table)},
		func(r driver.Row) error {
			declared := strings.ToUpper(r.Text(1))
			switch {
			case r.Int(3) != 0:
				declared += " PRIMARY KEY"
			case r.Int(2) != 0:
				declared += " NOT NULL"
			}
			found[r.Text(0)] = declared
			return nil
		})
	return found, err
}

// checkOrigin refuses a file that is another program's. An empty one may become
// ours, and so may one with the nine tables of the contract in it. It only
// reads.
func (d *db) checkOrigin(ctx context.Context, c *conn) error {
	tables, err := tableNames(ctx, c)
	if err != nil || len(tables) == 0 {
		return err
	}
	refused := &nexus.Error{
		Code: nexus.CodeForeign, Message: fmt.Sprintf("%s is another program's database", d.path),
		Hint: "it was left untouched; name another file",
	}
	for _, kind := range nexus.Kinds() {
		if !slices.Contains(tables, kind.Table()) {
			refused.Err = fmt.Errorf("it has tables, but none called %s", kind.Table())
			return refused
		}
	}
	broken, err := breachOfContract(ctx, c)
	if err == nil && broken != nil {
		refused.Err, err = broken, refused
	}
	return err
}

// breachOfContract says in which way the nine tables are not what the contract
// wants, or returns nil.
func breachOfContract(ctx context.Context, c *conn) (breach, err error) {
	contract, err := contractTables(ctx)
	if err != nil {
		return nil, err
	}
	for _, kind := range nexus.Kinds() {
		found, err := columns(ctx, c, kind.Table())
		if err != nil {
			return nil, err
		}
		for _, column := range slices.Sorted(maps.Keys(contract[kind.Table()])) {
			if want, got := contract[kind.Table()][column], found[column]; got != want {
				return fmt.Errorf("column %s of %s is %q, not %q", column, kind.Table(), got, want), nil
			}
		}
	}
	return nil, nil
}
