package drift

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	atlas "ariga.io/atlas/sql/sqlite"
	"github.com/pressly/goose/v3"

	"github.com/seed-c8812374/nexus/sqlite"
)

// fileMode is that of the other migrations.
const fileMode = 0o644

// Write writes the migration that makes the schema what is wanted, under the next
// number in the folder, and returns its path; if there is nothing to do, an empty
// path. It has then been run on a database, up and down, and both have been
// found right.
//
// It writes nothing if the change would fail on rows that are there, or if the
// statements that it can find do not do it. The error says why.
func Write(ctx context.Context, folder, name string, wanted []Table) (path string, err error) {
	if !validName.MatchString(name) {
		return "", fmt.Errorf("the name %q must be lower-case words joined by _, such as add_task_owner", name)
	}
	err = withScratch(ctx, func(scratch string) error {
		before, err := inspect(ctx, scratch)
		if err != nil {
			return err
		}
		changes, err := before.changes(wanted)
		if err != nil || len(changes) == 0 {
			return err
		}
		script, err := plan(ctx, before, changes)
		if err != nil {
			return err
		}
		if err := rehearse(ctx, scratch, script, before, changes); err != nil {
			return fmt.Errorf("no statements were found that do this on SQLite; write this migration by hand: %w", err)
		}
		path, err = writeNext(folder, name, script.String())
		return err
	})
	return path, err
}

var validName = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)

// String is the script in goose's format.
func (s *script) String() string {
	var text strings.Builder
	if len(s.rebuilt) > 0 {
		text.WriteString("-- Rebuilds " + strings.Join(s.rebuilt, ", ") + ", which SQLite cannot alter like this. Indexes and\n" +
			"-- triggers that only a user's own migrations have put there do not survive it.\n\n")
	}
	section := func(title string, statements []string) {
		text.WriteString("-- +goose " + title + "\n")
		for _, statement := range statements {
			if strings.Contains(statement, ";") {
				statement = "-- +goose StatementBegin\n" + statement + ";\n-- +goose StatementEnd\n"
			} else {
				statement += ";\n"
			}
			text.WriteString(statement)
		}
	}
	section("Up", s.up)
	text.WriteString("\n")
	section("Down", s.down)
	return text.String()
}

// rehearse runs the script up and down on a scratch database, as the product
// would, and looks at what comes of it.
func rehearse(ctx context.Context, path string, s *script, before *snapshot, changes []change) error {
	folder, err := os.MkdirTemp(filepath.Dir(path), "rehearsal-")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "1_rehearsal.sql"), []byte(s.String()), fileMode); err != nil {
		return err
	}
	want := &snapshot{maps.Clone(before.tables), before.dependents}
	for _, c := range changes {
		want.tables[c.from.Name] = c.to
	}
	if err := bringUp(ctx, path, folder); err != nil {
		return fmt.Errorf("up: %w", err)
	}
	if err := check(ctx, path, want); err != nil {
		return fmt.Errorf("after up: %w", err)
	}
	if _, err := sqlite.MigrateDown(ctx, path, options(folder), false); err != nil {
		return fmt.Errorf("down: %w", err)
	}
	if err := check(ctx, path, before); err != nil {
		return fmt.Errorf("after down: %w", err)
	}
	return nil
}

// check returns an error unless the schema of a database is what is wanted.
func check(ctx context.Context, path string, want *snapshot) error {
	found, err := inspect(ctx, path)
	if err != nil {
		return err
	}
	for name, table := range want.tables {
		left, err := atlas.DefaultDiff.TableDiff(found.tables[name], table)
		if err != nil {
			return err
		}
		if len(left) > 0 {
			return fmt.Errorf("table %s has become another: %T", name, left[0])
		}
	}
	for _, lists := range [][2][]dependent{{want.dependents, found.dependents}, {found.dependents, want.dependents}} {
		for _, d := range lists[0] {
			if !slices.Contains(lists[1], d) {
				return fmt.Errorf("%s %s is not what it was", d.kind, d.name)
			}
		}
	}
	return compile(ctx, path)
}

// compile returns an error if a trigger or a view speaks of what does not exist.
// SQLite creates such a one without a word, but looks at all of them when it
// renames a table.
func compile(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	_, err = tx.ExecContext(ctx, "CREATE TABLE nexus_probe (id); ALTER TABLE nexus_probe RENAME TO nexus_probed")
	return err
}

// writeNext writes a file under the number that follows the highest in the
// folder.
func writeNext(folder, name, text string) (path string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	latest := int64(0)
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".sql" {
			continue
		}
		number, err := goose.NumericComponent(entry.Name())
		if err != nil {
			return "", fmt.Errorf("%s: %w", entry.Name(), err)
		}
		latest = max(latest, number)
	}
	path = filepath.Join(folder, fmt.Sprintf("%05d_%s.sql", latest+1, name))
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return "", err
	}
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(path))
	}
	return path, nil
}
