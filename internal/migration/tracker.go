package migration

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3/database"
)

// quiet is goose's log. The drivers say what there is to say.
var quiet = slog.New(slog.DiscardHandler)

// tracker is the table in which goose keeps what has run, with the checksum of
// its text. It implements goose's database.Store. Its statements serve SQLite
// and PostgreSQL alike; the table's name is a constant of the driver.
type tracker struct {
	set *Set
	now time.Time
}

func (t *tracker) Tablename() string { return t.set.Table }

func (t *tracker) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	_, err := db.ExecContext(ctx, `
		CREATE TABLE `+t.set.Table+` (
			version_id INTEGER PRIMARY KEY,
			name       TEXT NOT NULL,
			checksum   TEXT NOT NULL,
			applied_at BIGINT NOT NULL
		)`)
	return err
}

func (t *tracker) Insert(ctx context.Context, db database.DBTxConn, req database.InsertRequest) error {
	var this Migration
	for _, m := range t.set.Migrations {
		if m.Version == req.Version {
			this = m
		}
	}
	_, err := db.ExecContext(ctx, `
		INSERT INTO `+t.set.Table+` (version_id, name, checksum, applied_at)
		VALUES ($1, $2, $3, $4)`,
		req.Version, this.Name, this.Checksum, t.now.Unix())
	return err
}

func (t *tracker) Delete(ctx context.Context, db database.DBTxConn, version int64) error {
	_, err := db.ExecContext(ctx, `DELETE FROM `+t.set.Table+` WHERE version_id = $1`, version)
	return err
}

func (t *tracker) GetMigration(ctx context.Context, db database.DBTxConn, version int64) (*database.GetMigrationResult, error) {
	var at int64
	err := db.QueryRowContext(ctx, `SELECT applied_at FROM `+t.set.Table+` WHERE version_id = $1`, version).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, database.ErrVersionNotFound
	}
	return &database.GetMigrationResult{Timestamp: time.Unix(at, 0), IsApplied: true}, err
}

func (t *tracker) GetLatestVersion(ctx context.Context, db database.DBTxConn) (int64, error) {
	var version sql.NullInt64
	err := db.QueryRowContext(ctx, `SELECT max(version_id) FROM `+t.set.Table).Scan(&version)
	if err == nil && !version.Valid {
		return 0, database.ErrVersionNotFound
	}
	return version.Int64, err
}

func (t *tracker) ListMigrations(ctx context.Context, db database.DBTxConn) ([]*database.ListMigrationsResult, error) {
	rows, err := db.QueryContext(ctx, `SELECT version_id FROM `+t.set.Table+` ORDER BY version_id DESC`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []*database.ListMigrationsResult
	for rows.Next() {
		result := &database.ListMigrationsResult{IsApplied: true}
		if err := rows.Scan(&result.Version); err != nil {
			return nil, err
		}
		all = append(all, result)
	}
	return all, rows.Err()
}
