package postgres

import (
	"context"
	"embed"
	"fmt"
	"slices"
	"sync"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/migration"
	"github.com/seed-c8812374/nexus/store/driver"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// ownMigrations returns Nexus's own migrations.
var ownMigrations = sync.OnceValue(func() *migration.Set { return migration.Own(migrationFiles) })

// applied returns the migrations of a set that have run in this schema.
func applied(ctx context.Context, c driver.Conn, set *migration.Set) (all []migration.Applied, err error) {
	err = c.Savepoint(ctx, func() error { // the table may not exist
		return c.Query(ctx, "SELECT version_id, checksum FROM "+set.Table, nil, func(r driver.Row) error {
			all = append(all, migration.Applied{Version: r.Int(0), Checksum: r.Text(1)})
			return nil
		})
	})
	if sqlState(err) == undefinedTable {
		return nil, nil
	}
	return all, err
}

// MigrationStatus says whether a migration has run.
type MigrationStatus = migration.Status

// Migrations lists the migrations of Nexus and then the caller's own, as they stand
// in the database of a URL. It changes nothing.
func Migrations(ctx context.Context, url string, options *Options) (list []MigrationStatus, err error) {
	o := options.withDefaults()
	o.ReadOnly = true
	d, err := open(ctx, url, o)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	err = d.Read(ctx, func(c driver.Conn) error {
		state, err := d.schemaState(ctx, c)
		if err != nil {
			return err
		}
		if len(state.ownRan) == 0 {
			if err := d.checkOrigin(ctx, c); err != nil {
				return err
			}
		}
		list = state.statuses()
		return nil
	})
	return list, err
}

// statuses are those of Nexus's migrations, then of the caller's own.
func (s *schemaState) statuses() []MigrationStatus {
	return append(s.own.Statuses(s.ownDiff), s.user.Statuses(s.userDiff)...)
}

// MigrateDown reverts the last migration in the database of a URL, or with all every
// one of them, last first. The caller's own come before Nexus's. Reverting Nexus's
// first migration drops the nine tables and what is in them: make a backup first.
//
// It returns the migrations that were reverted, in that order.
func MigrateDown(ctx context.Context, url string, options *Options, all bool) ([]MigrationStatus, error) {
	o := options.withDefaults()
	d, err := open(ctx, url, o)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if o.ReadOnly {
		return nil, d.refuseToWrite()
	}
	var reverted []MigrationStatus
	err = d.migrate(ctx, func(state *schemaState, c *conn) error {
		reverted = nil
		if err := d.checkVersion(state); err != nil {
			return err
		}
		if len(state.ownRan) == 0 {
			return d.checkOrigin(ctx, c)
		}
		userRan, err := applied(ctx, c, state.user)
		if err != nil {
			return err
		}
		if unknown := state.user.Compare(userRan).Unknown; len(unknown) > 0 {
			return &nexus.Error{
				Code:    nexus.CodeMigration,
				Message: fmt.Sprintf("migrations of your own have run (%d among them) that are not in the folder", unknown[0]),
				Hint:    "name their folder, so that they can be reverted first; nothing was changed",
			}
		}
		sqlDB := migration.OpenDB(ctx, gooseTx{c, ctx})
		defer sqlDB.Close()
		for _, m := range state.planDown(all) {
			set := state.own
			if m.User {
				set = state.user
			}
			if err := set.DownTo(ctx, sqlDB, m.Version-1); err != nil {
				return err
			}
			reverted = append(reverted, m)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return reverted, nil
}

// planDown lists what is to be reverted, first to last.
func (s *schemaState) planDown(all bool) (plan []MigrationStatus) {
	for _, m := range slices.Backward(s.statuses()) {
		if !m.Applied {
			continue
		}
		m.Applied = false
		plan = append(plan, m)
		if !all {
			break
		}
	}
	return plan
}
