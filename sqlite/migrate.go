package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/migration"
	"github.com/seed-c8812374/nexus/store/driver"
)

// schemaState is how far a database is migrated.
type schemaState struct {
	own, user         *migration.Set
	ownRan, userRan   []migration.Applied
	ownDiff, userDiff migration.Difference
}

func (d *db) schemaState(ctx context.Context, c *conn) (s schemaState, err error) {
	s.own = ownMigrations()
	if s.user, err = migration.User(d.options.Migrations); err != nil {
		return s, err
	}
	if s.ownRan, err = applied(ctx, c, s.own); err != nil {
		return s, err
	}
	s.ownDiff = s.own.Compare(s.ownRan)
	if len(s.user.Migrations) > 0 {
		if s.userRan, err = applied(ctx, c, s.user); err != nil {
			return s, err
		}
		s.userDiff = s.user.Compare(s.userRan)
	}
	return s, nil
}

// patientState is schemaState, waiting for a process that holds an exclusive
// lock, as when it changes the journal mode.
func (d *db) patientState(ctx context.Context, c *conn) (s schemaState, err error) {
	err = patiently(ctx, d.options.Patience, func() error {
		s, err = d.schemaState(ctx, c)
		return err
	})
	return s, err
}

func (s *schemaState) upToDate() bool {
	return len(s.ownDiff.Pending) == 0 && len(s.userDiff.Pending) == 0
}

// version returns the newest of Nexus's migrations that has run.
func (s *schemaState) version() (newest int64) {
	for _, a := range s.ownRan {
		newest = max(newest, a.Version)
	}
	return newest
}

// bringUpToDate makes the schema what this program expects.
func (d *db) bringUpToDate(ctx context.Context, c *conn) error {
	state, err := d.patientState(ctx, c)
	if err != nil {
		return err
	}
	if err := d.checkVersion(ctx, c, &state); err != nil {
		return err
	}
	d.reportChanged(&state)
	if d.options.ReadOnly {
		return nil
	}
	if !state.upToDate() {
		if len(state.ownRan) == 0 {
			err := patiently(ctx, d.options.Patience, func() error { return d.checkOrigin(ctx, c) })
			if err != nil {
				return err
			}
		}
		if err := d.migrate(ctx, c, upgrade); err != nil {
			return err
		}
		ctx = context.WithoutCancel(ctx) // what has been changed is not left half open
	}
	return patiently(ctx, d.options.Patience, func() error { return useWAL(ctx, c) })
}

// checkVersion refuses what this program cannot work with.
func (d *db) checkVersion(ctx context.Context, c *conn, s *schemaState) error {
	newer := len(s.ownDiff.Unknown) > 0
	switch {
	case newer && !d.options.ReadOnly:
		return &nexus.Error{
			Code: nexus.CodeNewer,
			Message: fmt.Sprintf("%s has schema version %d, from a newer Nexus; this program knows version %d",
				d.path, s.version(), s.own.Latest()),
			Hint: "update nexus, or open the database read-only; it was left untouched",
		}
	case d.options.ReadOnly && len(s.ownDiff.Pending) > 0:
		if err := d.checkOrigin(ctx, c); err != nil {
			return err
		}
		return &nexus.Error{
			Code: nexus.CodeReadOnly,
			Message: fmt.Sprintf("%s has schema version %d and needs version %d, but was opened read-only",
				d.path, s.version(), s.own.Latest()),
			Hint: "open it once without read-only; a backup is made first",
		}
	}
	return nil
}

func (d *db) reportChanged(s *schemaState) {
	for _, set := range [][]migration.Migration{s.ownDiff.Changed, s.userDiff.Changed} {
		for _, m := range set {
			d.options.Logger.Warn("a migration that has run has another text now", "migration", m.Name)
		}
	}
}

// useWAL turns the write-ahead log on. The mode stays in the file.
func useWAL(ctx context.Context, c *conn) error {
	mode := ""
	read := func(r driver.Row) error {
		mode = strings.ToLower(r.Text(0))
		return nil
	}
	err := c.Query(ctx, "PRAGMA journal_mode", nil, read)
	if err == nil && mode != "wal" {
		defer c.trust()()
		err = c.Query(ctx, "PRAGMA journal_mode = WAL", nil, read)
	}
	if err == nil && mode != "wal" {
		err = nexus.Errorf(nexus.CodeIO, "the file system of %s does not support a write-ahead log", c.path)
	}
	return err
}

// A change is what migrate does to the schema.
type change struct {
	needed func(*schemaState) bool
	run    func(context.Context, *sql.DB, *db, *schemaState) error
	check  func(context.Context, *conn, *schemaState) error // afterwards; may be nil
}

var upgrade = change{
	needed: func(s *schemaState) bool { return !s.upToDate() },
	run: func(ctx context.Context, db *sql.DB, d *db, s *schemaState) error {
		now := d.options.Now()
		if err := s.own.Up(ctx, db, now); err != nil {
			return err
		}
		return s.user.Up(ctx, db, now)
	},
	check: func(ctx context.Context, c *conn, s *schemaState) error {
		if len(s.userDiff.Pending) == 0 {
			return nil // Nexus's own migrations are tested
		}
		breach, err := breachOfContract(ctx, c)
		if err == nil && breach != nil {
			err = &nexus.Error{
				Code: nexus.CodeMigration, Message: "the migration breaks the contract with other programs; it was undone",
				Err: breach,
			}
		}
		return err
	},
}

// migrate changes the schema in one transaction, with a backup before and
// checks after. Whatever fails, the database is as it was.
func (d *db) migrate(ctx context.Context, c *conn, what change) (err error) {
	defer c.watch(ctx)()
	// Rebuilding a table must not delete what refers to it. The pragma has no
	// effect within a transaction; foreign keys are checked at the end.
	if err := c.exec("PRAGMA foreign_keys = OFF"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.exec("PRAGMA foreign_keys = ON")) }()
	err = patiently(ctx, d.options.Patience, func() error { return c.exec("BEGIN IMMEDIATE") })
	if err != nil {
		return err
	}
	c.inTx = true
	defer c.rollback() // of what has not been committed

	state, err := d.schemaState(ctx, c)
	if err != nil {
		return err
	}
	if !what.needed(&state) {
		return nil // another process was faster
	}
	if err := d.checkVersion(ctx, c, &state); err != nil {
		return err
	}
	before, err := takeCensus(ctx, c)
	if err != nil {
		return err
	}
	backup, err := d.backUp(ctx, &state, before)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, backup.remove())
		}
	}()
	sqlDB := asSQL(ctx, c)
	defer sqlDB.Close()
	if err := what.run(ctx, sqlDB, d, &state); err != nil {
		return err
	}
	after, err := takeCensus(ctx, c)
	if err != nil {
		return err
	}
	if err := after.check(before); err != nil {
		return err
	}
	if what.check != nil {
		if err := what.check(ctx, c, &state); err != nil {
			return err
		}
	}
	// A database that has no write-ahead log yet waits for its readers here.
	err = patiently(ctx, d.options.Patience, func() error { return c.exec("COMMIT") })
	if err != nil {
		return err
	}
	if backup != "" {
		d.options.Logger.Info("the database was backed up before its schema was changed", "backup", string(backup))
	}
	return nil
}

// census is what a migration must not change.
type census struct {
	rows    map[string]int64 // by table
	orphans int64            // rows whose foreign key leads nowhere
}

func (n census) empty() bool {
	for table, rows := range n.rows {
		if rows > 0 && !internalTable(table) {
			return false
		}
	}
	return true
}

func takeCensus(ctx context.Context, c *conn) (census, error) {
	n := census{rows: make(map[string]int64)}
	tables, err := plainTables(ctx, c)
	if err != nil {
		return n, err
	}
	for _, table := range tables {
		err := c.Query(ctx, "SELECT count(*) FROM "+quoteName(table), nil, func(r driver.Row) error {
			n.rows[table] = r.Int(0)
			return nil
		})
		if err != nil {
			return n, err
		}
	}
	err = c.Query(ctx, "SELECT count(*) FROM pragma_foreign_key_check", nil, func(r driver.Row) error {
		n.orphans = r.Int(0)
		return nil
	})
	return n, err
}

// plainTables returns the names of all tables but virtual ones, whose module may
// not be here.
func plainTables(ctx context.Context, c *conn) (names []string, err error) {
	const sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL %'"
	err = c.Query(ctx, sql, nil, func(r driver.Row) error {
		names = append(names, r.Text(0))
		return nil
	})
	return names, err
}

// check compares the tables that are still there with what they were. Orphans
// that other programs left are not the migration's fault.
func (n census) check(before census) error {
	for _, kind := range nexus.Kinds() {
		had, has := before.rows[kind.Table()], n.rows[kind.Table()]
		if _, there := n.rows[kind.Table()]; there && had != has {
			return nexus.Errorf(nexus.CodeMigration,
				"the migration changed the number of %s from %d to %d; it was undone", kind.Table(), had, has)
		}
	}
	if n.orphans > before.orphans {
		return nexus.Errorf(nexus.CodeMigration,
			"the migration left %d rows that refer to nothing; it was undone", n.orphans-before.orphans)
	}
	return nil
}

// counts returns the rows of each table, without those of the database itself and of
// migrators.
func (n census) counts() map[string]int64 {
	counts := maps.Clone(n.rows)
	maps.DeleteFunc(counts, func(table string, _ int64) bool { return internalTable(table) })
	return counts
}

// quoteName quotes a name for SQL.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
