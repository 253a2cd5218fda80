package postgres

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/migration"
	"github.com/seed-c8812374/nexus/store/driver"
)

// oldestServer is the oldest major version that is supported.
const oldestServer = 15

// checkServer refuses a server that Nexus cannot work with. What it looks at, the
// server has said when it was connected to.
func (d *db) checkServer(pg *pgconn.PgConn) error {
	version := pg.ParameterStatus("server_version")
	digits := strings.IndexFunc(version+".", func(r rune) bool { return r < '0' || r > '9' })
	if major, err := strconv.Atoi(version[:digits]); err == nil && major < oldestServer {
		return &nexus.Error{
			Code: nexus.CodeInvalid, Message: fmt.Sprintf("the server is PostgreSQL %s; %d is the oldest that is supported", version, oldestServer),
			Hint: "nothing was changed; upgrade the server",
		}
	}
	if encoding := pg.ParameterStatus("server_encoding"); encoding != "UTF8" {
		return &nexus.Error{
			Code: nexus.CodeInvalid, Message: fmt.Sprintf("the database of %s has the encoding %s; it must be UTF8", d.name, encoding),
			Hint: "nothing was changed; create another with createdb --encoding=UTF8 --template=template0",
		}
	}
	return nil
}

// schemaState is how far a database is migrated.
type schemaState struct {
	own, user         *migration.Set
	ownRan            []migration.Applied
	ownDiff, userDiff migration.Difference
}

func (d *db) schemaState(ctx context.Context, c driver.Conn) (s schemaState, err error) {
	s.own = ownMigrations()
	if s.user, err = migration.User(d.options.Migrations); err != nil {
		return s, err
	}
	if s.ownRan, err = applied(ctx, c, s.own); err != nil {
		return s, err
	}
	s.ownDiff = s.own.Compare(s.ownRan)
	if len(s.user.Migrations) > 0 {
		ran, err := applied(ctx, c, s.user)
		if err != nil {
			return s, err
		}
		s.userDiff = s.user.Compare(ran)
	}
	return s, nil
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

// bringUpToDate makes the schema what this program expects. When it is, that takes
// one query.
func (d *db) bringUpToDate(ctx context.Context) error {
	var state schemaState
	err := d.Read(ctx, func(c driver.Conn) (err error) {
		if state, err = d.schemaState(ctx, c); err != nil {
			return err
		}
		if len(state.ownRan) == 0 {
			return d.checkOrigin(ctx, c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := d.checkVersion(&state); err != nil {
		return err
	}
	for _, m := range append(state.ownDiff.Changed, state.userDiff.Changed...) {
		d.options.Logger.Warn("a migration that has run has another text now", "migration", m.Name)
	}
	if state.upToDate() || d.options.ReadOnly {
		return nil
	}
	return d.migrate(ctx, func(state *schemaState, c *conn) error {
		if state.upToDate() {
			return nil // another process was faster
		}
		if err := d.checkVersion(state); err != nil {
			return err
		}
		return d.upgrade(ctx, state, c)
	})
}

// checkVersion refuses what this program cannot work with.
func (d *db) checkVersion(s *schemaState) error {
	latest := s.own.Latest()
	switch {
	case len(s.ownDiff.Unknown) > 0 && !d.options.ReadOnly:
		return &nexus.Error{
			Code: nexus.CodeNewer,
			Message: fmt.Sprintf("schema %s of %s has version %d, from a newer Nexus; this program knows version %d",
				d.schema, d.name, s.version(), latest),
			Hint: "update nexus, or open the database read-only; it was left untouched",
		}
	case len(s.ownDiff.Pending) > 0 && s.ownDiff.Pending[0].Version < s.version():
		return &nexus.Error{
			Code: nexus.CodeMigration,
			Message: fmt.Sprintf("schema %s of %s is half migrated: version %d has run, and %s has not",
				d.schema, d.name, s.version(), s.ownDiff.Pending[0].Name),
			Hint: "nothing was changed; somebody has changed nexus_migrations by hand: bring back a backup",
		}
	case d.options.ReadOnly && len(s.ownDiff.Pending) > 0:
		return &nexus.Error{
			Code: nexus.CodeReadOnly,
			Message: fmt.Sprintf("schema %s of %s has version %d and needs version %d, but was opened read-only",
				d.schema, d.name, s.version(), latest),
			Hint: "open it once without read-only",
		}
	}
	return nil
}

func (d *db) refuseToWrite() error {
	return &nexus.Error{
		Code: nexus.CodeReadOnly, Message: d.name + " is open read-only",
		Hint: "nothing was changed; open it without read-only",
	}
}

// checkOrigin refuses a schema that is another program's. It only reads.
func (d *db) checkOrigin(ctx context.Context, c driver.Conn) error {
	// Tables of extensions, such as PostGIS's, are nobody's data.
	const sql = `
		SELECT t.relname FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
		WHERE n.nspname = $1 AND t.relkind IN ('r', 'p', 'v', 'm', 'f')
			AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.objid = t.oid AND e.deptype = 'e')
		ORDER BY t.relname LIMIT 1`
	var found string
	err := c.Query(ctx, sql, []driver.Arg{driver.Text(d.schema)}, func(r driver.Row) error {
		found = r.Text(0)
		return nil
	})
	if err != nil || found == "" {
		return err
	}
	return &nexus.Error{
		Code:    nexus.CodeForeign,
		Message: fmt.Sprintf("schema %s of %s is another program's: it has a table %s, and none of Nexus's migrations", d.schema, d.name, found),
		Hint:    "it was left untouched; give Nexus a schema of its own, with schema=NAME in the URL",
	}
}

// migrate runs a change of the schema in one transaction. Whatever fails, the
// database is as it was. Others that want the same wait.
func (d *db) migrate(ctx context.Context, change func(*schemaState, *conn) error) error {
	c, err := d.connect(ctx, d.writing)
	if err != nil {
		return err
	}
	defer c.release()
	c.begin("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
	if !d.pooled {
		c.pending = append(c.pending, "SET LOCAL search_path = "+quoteName(d.schema)) // which functions keep
	}
	// A migration of much data may take longer than a lock should be waited for.
	c.pending = append(c.pending, "SET LOCAL lock_timeout = 0")
	defer c.rollback()
	err = c.Query(ctx, "SELECT pg_advisory_xact_lock(hashtext('nexus migrations'), hashtext($1))",
		[]driver.Arg{driver.Text(d.schema)}, nil)
	if err != nil {
		return err
	}
	state, err := d.schemaState(ctx, c)
	if err != nil {
		return err
	}
	if err := change(&state, c); err != nil {
		return err
	}
	_, err = c.commit(ctx)
	return err
}

// upgrade creates the schema and runs what is pending.
func (d *db) upgrade(ctx context.Context, s *schemaState, c *conn) error {
	there := false
	err := c.Query(ctx, "SELECT 1 FROM pg_namespace WHERE nspname = $1", []driver.Arg{driver.Text(d.schema)},
		func(driver.Row) error { there = true; return nil })
	if err == nil && !there {
		_, err = c.Exec(ctx, "CREATE SCHEMA "+quoteName(d.schema))
		if nexus.CodeOf(err) == nexus.CodeDenied {
			return &nexus.Error{
				Code: nexus.CodeDenied, Message: fmt.Sprintf("the user may not create the schema %s in %s", d.schema, d.name),
				Hint: "nothing was changed; have its owner run CREATE SCHEMA … AUTHORIZATION; see docs/postgres.md", Err: err,
			}
		}
	}
	if err != nil {
		return err
	}
	before, err := takeCensus(ctx, c)
	if err != nil {
		return err
	}
	sqlDB := migration.OpenDB(ctx, gooseTx{c, ctx})
	defer sqlDB.Close()
	now := d.options.Now()
	if err := s.own.Up(ctx, sqlDB, now); err != nil {
		return err
	}
	if err := s.user.Up(ctx, sqlDB, now); err != nil {
		return err
	}
	after, err := takeCensus(ctx, c)
	if err != nil {
		return err
	}
	for _, kind := range nexus.Kinds() {
		had, existed := before[kind.Table()]
		if has, there := after[kind.Table()]; existed && there && has != had {
			return nexus.Errorf(nexus.CodeMigration,
				"the migration changed the number of %s from %d to %d; it was undone", kind.Table(), had, has)
		}
	}
	return nil
}

// takeCensus counts the rows of the nine tables, as far as they are there.
func takeCensus(ctx context.Context, c *conn) (map[string]int64, error) {
	tables, err := tableNames(ctx, c)
	if err != nil {
		return nil, err
	}
	rows := make(map[string]int64)
	for _, kind := range nexus.Kinds() {
		if !slices.Contains(tables, kind.Table()) {
			continue
		}
		err := c.Query(ctx, "SELECT count(*) FROM "+kind.Table(), nil, func(r driver.Row) error {
			rows[kind.Table()] = r.Int(0)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// gooseTx is a transaction for goose. Each statement has a savepoint, because goose
// asks for tables that are not there.
type gooseTx struct {
	*conn
	ctx context.Context
}

func (g gooseTx) Exec(ctx context.Context, sql string, args ...driver.Arg) (n int64, err error) {
	err = g.Savepoint(ctx, func() error {
		n, err = g.conn.Exec(ctx, sql, args...)
		return err
	})
	return n, err
}

func (g gooseTx) Query(ctx context.Context, sql string, args []driver.Arg, fn func(driver.Row) error) error {
	return g.Savepoint(ctx, func() error { return g.conn.Query(ctx, sql, args, fn) })
}

func (g gooseTx) Begin() error  { return g.control(g.ctx, "SAVEPOINT goose") }
func (g gooseTx) Commit() error { return g.control(g.ctx, "RELEASE goose") }
func (g gooseTx) Rollback() error {
	return g.control(context.WithoutCancel(g.ctx), "ROLLBACK TO goose")
}
