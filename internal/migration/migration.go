// Package migration runs folders of SQL migrations with goose, and remembers in
// the database which ones have run and what they said.
//
// It knows no database: the drivers give it a transaction, and see to locking,
// backup and rollback.
package migration

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/seed-c8812374/nexus"
)

// Migration is one file, such as 00002_nexus.sql.
type Migration struct {
	Version  int64
	Name     string // of the file
	Checksum string // SHA-256 of the text, in hexadecimal
}

// Status says whether a migration has run.
type Status struct {
	Version int64  `json:"version"`
	Name    string `json:"name"` // of its file; empty if this program does not have it
	Applied bool   `json:"applied"`
	Changed bool   `json:"changed"` // has another text now than when it ran
	User    bool   `json:"user"`    // is of the caller's own folder
}

// Set is a folder of migrations and the table that tracks them.
type Set struct {
	Table      string
	Migrations []Migration // ascending

	files fs.FS
}

// Load reads a folder. Files that do not end in .sql are passed over.
func Load(folder fs.FS, table string) (*Set, error) {
	names, err := fs.Glob(folder, "*.sql")
	if err != nil {
		return nil, err
	}
	set := &Set{Table: table, files: folder}
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, nexus.Errorf(nexus.CodeMigration, "the name of migration %s must begin with its number, such as 00001_", name)
		}
		// An editor that changes line ends does not change a migration.
		sum := sha256.Sum256([]byte(strings.ReplaceAll(string(text), "\r\n", "\n")))
		set.Migrations = append(set.Migrations, Migration{version, name, hex.EncodeToString(sum[:])})
	}
	slices.SortFunc(set.Migrations, func(a, b Migration) int { return int(a.Version - b.Version) })
	for i := 1; i < len(set.Migrations); i++ {
		if a, b := set.Migrations[i-1], set.Migrations[i]; a.Version == b.Version {
			return nil, nexus.Errorf(nexus.CodeMigration, "migrations %s and %s have the same number", a.Name, b.Name)
		}
	}
	return set, nil
}

// Latest returns the highest version, or 0.
func (s *Set) Latest() int64 {
	if len(s.Migrations) == 0 {
		return 0
	}
	return s.Migrations[len(s.Migrations)-1].Version
}

// Applied is what a database remembers of a migration that has run.
type Applied struct {
	Version  int64
	Checksum string
}

// Difference compares a set with what has run.
type Difference struct {
	Pending []Migration // have not run
	Changed []Migration // have run with another text
	Unknown []int64     // have run, but are not in the set
}

// Compare returns the difference.
func (s *Set) Compare(applied []Applied) (d Difference) {
	sums := make(map[int64]string, len(applied))
	for _, a := range applied {
		sums[a.Version] = a.Checksum
	}
	for _, m := range s.Migrations {
		sum, ran := sums[m.Version]
		switch {
		case !ran:
			d.Pending = append(d.Pending, m)
		case sum != m.Checksum:
			d.Changed = append(d.Changed, m)
		}
		delete(sums, m.Version)
	}
	for version := range sums {
		if version > 0 { // goose begins with a version 0 that is no file
			d.Unknown = append(d.Unknown, version)
		}
	}
	slices.Sort(d.Unknown)
	return d
}

// Up runs the migrations that have not run. The caller keeps other processes
// away, and undoes everything if it fails.
func (s *Set) Up(ctx context.Context, db *sql.DB, now time.Time) error {
	return s.UpTo(ctx, db, s.Latest(), now)
}

// UpTo is Up for the migrations up to version.
func (s *Set) UpTo(ctx context.Context, db *sql.DB, version int64, now time.Time) error {
	return s.run(ctx, db, now, func(p *goose.Provider) error {
		_, err := p.UpTo(ctx, version)
		return err
	})
}

// DownTo reverts the migrations above version, last first.
func (s *Set) DownTo(ctx context.Context, db *sql.DB, version int64) error {
	return s.run(ctx, db, time.Time{}, func(p *goose.Provider) error {
		_, err := p.DownTo(ctx, version)
		return err
	})
}

func (s *Set) run(ctx context.Context, db *sql.DB, now time.Time, fn func(*goose.Provider) error) error {
	if len(s.Migrations) == 0 {
		return nil
	}
	provider, err := goose.NewProvider(goose.DialectCustom, db, s.files,
		goose.WithStore(&tracker{set: s, now: now}), goose.WithSlog(quiet))
	if err == nil {
		err = fn(provider)
	}
	if err == nil {
		return nil
	}
	// When the context ends between two statements, database/sql says only that
	// the transaction is over.
	if nexus.CodeOf(err) == nexus.CodeCanceled || ctx.Err() != nil {
		return &nexus.Error{Code: nexus.CodeCanceled, Message: "the migration was stopped", Hint: "nothing was changed", Err: err}
	}
	e := &nexus.Error{Code: nexus.CodeMigration, Message: "the migration failed", Err: err}
	var partial *goose.PartialError
	if errors.As(err, &partial) && partial.Failed != nil {
		e.Message = fmt.Sprintf("migration %s failed", partial.Failed.Source.Path)
		e.Err = partial.Err
	}
	// What made it fail may say more than that it failed.
	var cause *nexus.Error
	if errors.As(err, &cause) {
		e.Err = cause
		if cause.Code == nexus.CodeFull || cause.Code == nexus.CodeCanceled || cause.Code == nexus.CodeIO {
			e.Code, e.Hint = cause.Code, cause.Hint
		}
	}
	return e
}
