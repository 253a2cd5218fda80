package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed-c8812374/nexus/store/driver"
)

// Health implements driver.DB. PostgreSQL always writes a write-ahead log. It looks
// at what the server has noticed itself: pages whose checksum is wrong, indexes that
// are not valid; deep, it follows every foreign key, as far as rows could have got
// past them.
func (d *db) Health(ctx context.Context, deep bool) (driver.Health, error) {
	h := driver.Health{WAL: true, Problems: []string{}}
	err := d.Snapshot(ctx, func(c driver.Conn) error {
		h = driver.Health{WAL: true, Problems: []string{}}
		state, err := d.schemaState(ctx, c)
		if err != nil {
			return err
		}
		h.SchemaVersion, h.LatestVersion = state.version(), state.own.Latest()
		for _, m := range append(state.ownDiff.Changed, state.userDiff.Changed...) {
			h.Problems = append(h.Problems, fmt.Sprintf("migration %s has another text now than when it ran", m.Name))
		}
		if h.SchemaVersion != h.LatestVersion {
			h.Problems = append(h.Problems, fmt.Sprintf("the schema has version %d; this program knows version %d", h.SchemaVersion, h.LatestVersion))
		}
		if h.ForeignKeys, err = none(ctx, c, &h, notEnforced); err != nil {
			return err
		}
		if h.Integrity, err = none(ctx, c, &h, damaged); err != nil || !deep {
			return err
		}
		return findOrphans(ctx, c, &h)
	})
	return h, err
}

const (
	// notEnforced finds foreign keys that somebody has switched off.
	notEnforced = `
		SELECT DISTINCT 'the foreign key ' || k.conname || ' of ' || t.relname || ' is not enforced'
		FROM pg_constraint k
		JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
		LEFT JOIN pg_trigger g ON g.tgconstraint = k.oid
		WHERE ` + ofSchema + ` AND k.contype = 'f' AND (NOT k.convalidated OR g.tgenabled = 'D')
		UNION ALL
		SELECT 'foreign keys and triggers are off in this session' WHERE current_setting('session_replication_role') = 'replica'`

	damaged = `
		SELECT checksum_failures || ' pages of the database had a wrong checksum' FROM pg_stat_database
		WHERE datname = current_database() AND checksum_failures > 0
		UNION ALL
		SELECT 'the index ' || t.relname || ' is not valid' FROM pg_index i
		JOIN pg_class t ON t.oid = i.indexrelid JOIN pg_namespace n ON n.oid = t.relnamespace
		WHERE ` + ofSchema + ` AND NOT (i.indisvalid AND i.indisready)`

	// foreignKeys lists those of one column, as all of the contract are.
	foreignKeys = `
		SELECT quote_ident(t.relname), quote_ident(a.attname), quote_ident(p.relname), quote_ident(b.attname)
		FROM pg_constraint k
		JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
		JOIN pg_class p ON p.oid = k.confrelid
		JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.conkey[1]
		JOIN pg_attribute b ON b.attrelid = p.oid AND b.attnum = k.confkey[1]
		WHERE ` + ofSchema + ` AND k.contype = 'f' AND cardinality(k.conkey) = 1 AND p.relnamespace = t.relnamespace`
)

// none runs a query for problems, and reports whether it found none.
func none(ctx context.Context, c driver.Conn, h *driver.Health, sql string) (bool, error) {
	before := len(h.Problems)
	err := c.Query(ctx, sql, nil, func(r driver.Row) error {
		h.Problems = append(h.Problems, r.Text(0))
		return nil
	})
	return len(h.Problems) == before, err
}

// findOrphans counts the rows that refer to nothing, which may be there if foreign
// keys were once off.
func findOrphans(ctx context.Context, c driver.Conn, h *driver.Health) error {
	var checks []string
	err := c.Query(ctx, foreignKeys, nil, func(r driver.Row) error {
		checks = append(checks, fmt.Sprintf(`
			SELECT '%[1]s', '%[2]s', count(*) FROM %[3]s c
			WHERE c.%[4]s IS NOT NULL AND NOT EXISTS (SELECT 1 FROM %[5]s p WHERE p.%[6]s = c.%[4]s)`,
			strings.ReplaceAll(r.Text(0), "'", "''"), strings.ReplaceAll(r.Text(2), "'", "''"), r.Text(0), r.Text(1), r.Text(2), r.Text(3)))
		return nil
	})
	if err != nil || len(checks) == 0 {
		return err
	}
	return c.Query(ctx, strings.Join(checks, " UNION ALL "), nil, func(r driver.Row) error {
		if r.Int(2) > 0 {
			h.Problems = append(h.Problems,
				fmt.Sprintf("%d rows of %s refer to rows of %s that do not exist", r.Int(2), r.Text(0), r.Text(1)))
		}
		return nil
	})
}
