package sqlite

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed-c8812374/nexus/store/driver"
)

// Health implements driver.DB, with SQLite's quick_check; deep, with its
// integrity_check and foreign_key_check.
func (d *db) Health(ctx context.Context, deep bool) (driver.Health, error) {
	h := driver.Health{Problems: []string{}}
	err := d.readers.read(ctx, func(c *conn) error {
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
		journal, err := text(ctx, c, "PRAGMA journal_mode")
		if err != nil {
			return err
		}
		h.WAL = strings.EqualFold(journal, "wal")
		foreignKeys, err := text(ctx, c, "PRAGMA foreign_keys")
		if err != nil {
			return err
		}
		h.ForeignKeys = foreignKeys == "1"
		if !deep {
			return examine(ctx, c, "PRAGMA quick_check(20)", &h)
		}
		if err := examine(ctx, c, "PRAGMA integrity_check(20)", &h); err != nil {
			return err
		}
		return findOrphans(ctx, c, &h)
	})
	return h, err
}

// examine runs one of SQLite's checks and lists its findings.
func examine(ctx context.Context, c *conn, check string, h *driver.Health) error {
	h.Integrity = true
	return c.Query(ctx, check, nil, func(r driver.Row) error {
		if finding := r.Text(0); finding != "ok" {
			h.Integrity = false
			h.Problems = append(h.Problems, finding)
		}
		return nil
	})
}

func findOrphans(ctx context.Context, c *conn, h *driver.Health) error {
	const orphans = `SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2`
	return c.Query(ctx, orphans, nil, func(r driver.Row) error {
		h.Problems = append(h.Problems,
			fmt.Sprintf("%d rows of %s refer to rows of %s that do not exist", r.Int(2), r.Text(0), r.Text(1)))
		return nil
	})
}

// text returns the first column of the last row of a statement.
func text(ctx context.Context, c *conn, sql string) (value string, err error) {
	err = c.Query(ctx, sql, nil, func(r driver.Row) error {
		value = r.Text(0)
		return nil
	})
	return value, err
}
