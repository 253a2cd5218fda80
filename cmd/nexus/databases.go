package main

import (
	"context"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/cli"
	"github.com/seed-c8812374/nexus/internal/migration"
	"github.com/seed-c8812374/nexus/postgres"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// databases opens the databases that this program has drivers for: what is a URL of
// PostgreSQL there, everything else as a file.
type databases struct{}

func (databases) IsURL(path string) bool { return postgres.IsURL(path) }

func (databases) Shown(path string) string {
	if postgres.IsURL(path) {
		return postgres.Redacted(path)
	}
	return path
}

func (databases) Open(ctx context.Context, s cli.Settings) (*store.DB, error) {
	if postgres.IsURL(s.Path) {
		return postgres.Open(ctx, s.Path, onServer(s))
	}
	return sqlite.Open(ctx, s.Path, inFile(s))
}

func (databases) Migrations(ctx context.Context, s cli.Settings) ([]migration.Status, error) {
	if postgres.IsURL(s.Path) {
		return postgres.Migrations(ctx, s.Path, onServer(s))
	}
	return sqlite.Migrations(ctx, s.Path, inFile(s))
}

func (databases) MigrateDown(ctx context.Context, s cli.Settings, all bool) ([]migration.Status, error) {
	if postgres.IsURL(s.Path) {
		return postgres.MigrateDown(ctx, s.Path, onServer(s), all)
	}
	return sqlite.MigrateDown(ctx, s.Path, inFile(s), all)
}

func (databases) Restore(
	ctx context.Context, s cli.Settings, from string, replace bool, progress func(done, total int64),
) (*driver.Restored, error) {
	if postgres.IsURL(s.Path) {
		return nil, &nexus.Error{
			Code: nexus.CodeInvalid, Message: "a PostgreSQL database is restored by PostgreSQL's own programs",
			Hint: "nothing was changed; run pg_restore with what pg_dump has written, or nexus import with an export",
		}
	}
	return sqlite.Restore(ctx, s.Path, from, inFile(s), replace, progress)
}

func inFile(s cli.Settings) *sqlite.Options {
	return &sqlite.Options{
		Migrations: s.Migrations, NoSync: s.NoSync, ReadOnly: s.ReadOnly,
		Logger: s.Logger, Debug: s.Debug, Now: s.Now,
	}
}

func onServer(s cli.Settings) *postgres.Options {
	return &postgres.Options{
		Migrations: s.Migrations, NoSync: s.NoSync, ReadOnly: s.ReadOnly,
		Logger: s.Logger, Debug: s.Debug, Now: s.Now,
	}
}
