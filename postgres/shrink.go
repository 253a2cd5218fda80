package postgres

import (
	"context"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Size implements driver.Shrinker: the tables with their indexes.
func (d *db) Size(ctx context.Context) (bytes int64, err error) {
	const sql = `
		SELECT coalesce(sum(pg_total_relation_size(t.oid)), 0)::BIGINT FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
		WHERE ` + ofSchema + ` AND t.relkind IN ('r', 'm')`
	err = d.Read(ctx, func(c driver.Conn) error {
		return c.Query(ctx, sql, nil, func(r driver.Row) error {
			bytes = r.Int(0)
			return nil
		})
	})
	return bytes, err
}

// MayShrink implements driver.Shrinker. VACUUM takes no space.
func (d *db) MayShrink(context.Context) error {
	if d.options.ReadOnly {
		return d.refuseToWrite()
	}
	return nil
}

// The reasons why the tables are not smaller than they were.
const (
	notRewritten = "only VACUUM FULL does that, and nobody could read or write meanwhile"
	notOwner     = "only the owner of the tables may vacuum them; autovacuum will"
)

// Shrink implements driver.Shrinker with VACUUM, which has the space of deleted rows used
// for others, beside everybody who reads and writes. Of the disk, it gives back only what
// is free at the end of a table. To rewrite the tables would lock everybody out of them,
// so that is left to whoever can choose the hour.
func (d *db) Shrink(ctx context.Context) (why string, err error) {
	if d.options.ReadOnly {
		return "", d.refuseToWrite()
	}
	tables, err := d.ownTables(ctx)
	if err != nil {
		return "", err
	}
	if len(tables) == 0 {
		return notOwner, nil
	}
	c, err := d.connectPatiently(ctx, d.writing)
	if err != nil {
		return "", err
	}
	defer c.release()
	// Not within a transaction; and where a pooler may give it any session, its names
	// must say the schema. Each table is a transaction of the server's.
	_, err = c.Exec(ctx, "VACUUM (ANALYZE) "+strings.Join(tables, ", "))
	switch nexus.CodeOf(err) {
	case "":
		return notRewritten, nil
	case nexus.CodeBusy, nexus.CodeFull: // what is left, autovacuum does
		return "VACUUM has not come to its end, " + err.Error(), nil
	default:
		return "", err
	}
}

// ownTables are the full names of the tables that this user may vacuum, quoted. Of others,
// VACUUM does nothing and gives a warning.
func (d *db) ownTables(ctx context.Context) (names []string, err error) {
	const sql = `
		SELECT quote_ident(n.nspname) || '.' || quote_ident(t.relname)
		FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
		WHERE ` + ofSchema + ` AND t.relkind = 'r' AND (pg_has_role(t.relowner, 'USAGE')
			OR pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE'))
		ORDER BY t.oid`
	err = d.Read(ctx, func(c driver.Conn) error {
		names = nil
		return c.Query(ctx, sql, nil, func(r driver.Row) error {
			names = append(names, r.Text(0))
			return nil
		})
	})
	return names, err
}
