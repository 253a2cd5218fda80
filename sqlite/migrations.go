package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/migration"
)

// MigrationStatus says whether a migration has run.
type MigrationStatus = migration.Status

// Migrations lists the migrations of Nexus and then the caller's own, as they
// stand in the database at path. It changes nothing.
func Migrations(ctx context.Context, path string, options *Options) ([]MigrationStatus, error) {
	o := options.withDefaults()
	o.ReadOnly = true
	d := &db{path: path, options: o}
	if err := d.prepareFile(); err != nil {
		return nil, err
	}
	d.fixed = !writable(d.path) || d.frozen()
	var list []MigrationStatus
	err := d.withConnection(ctx, func(c *conn) error {
		state, err := d.patientState(ctx, c)
		if err != nil {
			return err
		}
		if len(state.ownRan) == 0 {
			if err := d.checkOrigin(ctx, c); err != nil {
				return err
			}
		}
		list = state.own.Statuses(state.ownDiff)
		list = append(list, state.user.Statuses(state.userDiff)...)
		return nil
	})
	return list, err
}

// MigrateDown reverts the last migration in the database at path, or with all
// every one of them, last first. The caller's own come before Nexus's. Reverting
// Nexus's first migration drops the nine tables; if the database holds rows, it
// is copied to a file beside it before, as when migrating up.
//
// It returns the migrations that were reverted, in that order.
func MigrateDown(ctx context.Context, path string, options *Options, all bool) ([]MigrationStatus, error) {
	o := options.withDefaults()
	d := &db{path: path, options: o}
	if o.ReadOnly {
		return nil, d.refuseToWrite()
	}
	// What does not exist is not created, only to find nothing in it.
	existing := &db{path: path, options: Options{ReadOnly: true}}
	if err := existing.prepareFile(); err != nil {
		return nil, err
	}
	var reverted []MigrationStatus
	down := change{
		needed: func(s *schemaState) bool { return s.version() > 0 },
		run: func(ctx context.Context, db *sql.DB, _ *db, s *schemaState) error {
			plan := planDown(s, all)
			for _, m := range plan {
				set := s.own
				if m.User {
					set = s.user
				}
				if err := set.DownTo(ctx, db, m.Version-1); err != nil {
					return err
				}
			}
			reverted = plan
			return nil
		},
	}
	err := d.withConnection(ctx, func(c *conn) error {
		state, err := d.patientState(ctx, c)
		if err != nil {
			return err
		}
		if err := d.checkVersion(ctx, c, &state); err != nil {
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
		return d.migrate(ctx, c, down)
	})
	return reverted, err
}

// planDown lists what is to be reverted, first to last.
func planDown(s *schemaState, all bool) (plan []MigrationStatus) {
	list := append(s.own.Statuses(s.ownDiff), s.user.Statuses(s.userDiff)...)
	for i := len(list) - 1; i >= 0; i-- {
		if !list[i].Applied {
			continue
		}
		reverted := list[i]
		reverted.Applied = false
		plan = append(plan, reverted)
		if !all {
			break
		}
	}
	return plan
}

func (d *db) withConnection(ctx context.Context, fn func(*conn) error) error {
	cameWithLog := exists(d.path + "-wal")
	c, err := d.connect(ctx)
	if err != nil {
		return err
	}
	err = fn(c)
	return errors.Join(err, d.leave(c, cameWithLog && err != nil))
}
