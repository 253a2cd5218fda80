package sqlite_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
)

// userMigrations makes a folder of migrations of the user's own.
func userMigrations(t testing.TB, files map[string]string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestUserMigrations(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	// The same numbers as ours, and a reference to one of our tables: they are
	// tracked apart and run after.
	folder := userMigrations(t, map[string]string{
		"00001_notes.sql": "-- +goose Up\nCREATE TABLE notes (id TEXT, task TEXT REFERENCES tasks (id));\n" +
			"CREATE INDEX notes_task ON notes (task);\n-- +goose Down\nDROP TABLE notes;\n",
		"README.md": "not a migration",
	})
	options := &sqlite.Options{Migrations: folder}
	db := open(t, path, options)
	contract, added, err := db.Tables(background)
	if err != nil {
		t.Fatal(err)
	}
	if len(contract) != 9 || contract[0] != "projects" || !slices.Contains(added, "notes") {
		t.Errorf("tables = %v, %v", contract, added)
	}
	for _, table := range added {
		if strings.Contains(table, "migrations") {
			t.Errorf("%s is listed", table)
		}
	}
	create(t, db, "p")
	mustClose(t, db)

	// One more is added later. Without the folder the database opens as well.
	err = os.WriteFile(filepath.Join(folder, "00002_kind.sql"),
		[]byte("-- +goose Up\nALTER TABLE notes ADD COLUMN kind TEXT;\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, open(t, path, nil))
	list, err := sqlite.Migrations(background, path, options)
	if err != nil {
		t.Fatal(err)
	}
	own, user := 0, []bool{}
	for _, m := range list {
		if m.User {
			user = append(user, m.Applied)
		} else {
			own++
		}
	}
	if own < 2 || !slices.Equal(user, []bool{true, false}) {
		t.Errorf("Migrations = %+v", list)
	}
	mustClose(t, open(t, path, options))
	rows(t, path, "SELECT kind FROM notes")
	mustBeSound(t, path)
}

// A migration that fails leaves the database as it was, and nothing beside it.
func TestFailingMigrationChangesNothing(t *testing.T) {
	t.Parallel()
	// Each of them changes something before it fails.
	const begin = "-- +goose Up\nCREATE TABLE notes (id TEXT);\nUPDATE projects SET name = 'changed';\n"
	for name, test := range map[string]struct {
		text string
		code nexus.Code
	}{
		"syntax":           {begin + "CREATE TABEL x (id TEXT);\n", nexus.CodeMigration},
		"no such table":    {begin + "INSERT INTO nowhere VALUES (1);\n", nexus.CodeMigration},
		"constraint":       {begin + "INSERT INTO projects SELECT * FROM projects;\n", nexus.CodeMigration},
		"rollback":         {begin + "ROLLBACK;\nINSERT INTO nowhere VALUES (1);\n", nexus.CodeMigration},
		"raise":            {begin + "INSERT OR ROLLBACK INTO projects SELECT * FROM projects;\n", nexus.CodeMigration},
		"own transaction":  {begin + "BEGIN;\nUPDATE projects SET name = 'x';\nCOMMIT;\n", nexus.CodeMigration},
		"commit":           {begin + "COMMIT;\nINSERT INTO nowhere VALUES (1);\n", nexus.CodeMigration},
		"only commit":      {begin + "COMMIT;\n", nexus.CodeMigration},
		"commit and begin": {"-- +goose NO TRANSACTION\n" + begin + "COMMIT;\nBEGIN;\nUPDATE projects SET name = 'x';\n", nexus.CodeMigration},
		"only rollback":    {begin + "ROLLBACK;\n", nexus.CodeMigration},
		"vacuum":           {begin + "VACUUM;\n", nexus.CodeMigration},
		"no transaction":   {"-- +goose NO TRANSACTION\n" + begin + "CREATE TABEL x (id TEXT);\n", nexus.CodeMigration},
		"deletes rows":     {begin + "DELETE FROM projects;\n", nexus.CodeMigration},
		"deletes a parent": {begin + "DELETE FROM projects WHERE id = 'first';\nINSERT INTO projects SELECT 'other', name, description, mode, status, root_path, repository_url, created_at, updated_at, completed_at, revision, plan_key FROM projects;\n", nexus.CodeMigration},
		"makes orphans":    {begin + "UPDATE features SET project_id = 'gone';\n", nexus.CodeMigration},
		"drops a table":    {begin + "DROP TABLE features;\n", nexus.CodeMigration},
		"renames a table":  {begin + "ALTER TABLE features RENAME TO epics;\n", nexus.CodeMigration},
		"drops a column":   {begin + "ALTER TABLE projects DROP COLUMN description;\n", nexus.CodeMigration},
		"no up":            {"CREATE TABLE notes (id TEXT);\n", nexus.CodeMigration},
		"no semicolon":     {begin + "CREATE TABLE x (id TEXT)\n", nexus.CodeMigration},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newDatabase(t)
			script(t, path, `INSERT INTO features (id, project_id, name, created_at, updated_at) VALUES ('f', 'first', 'f', 1, 1)`)
			mustFailToMigrate(t, path, test.text, test.code)
		})
	}
}

// mustFailToMigrate opens the database with a user migration and checks that the
// error has the code, and that all is as it was.
func mustFailToMigrate(t *testing.T, path, text string, code nexus.Code) {
	t.Helper()
	before, alone := content(t, path), beside(t, path)
	log := new(book)
	db, err := sqlite.Open(background, path, &sqlite.Options{
		Logger: log.logger(),
		Migrations: userMigrations(t, map[string]string{
			"00001_good.sql": "-- +goose Up\nCREATE TABLE good (id TEXT);\n",
			"00002_bad.sql":  text,
		}),
	})
	if err == nil {
		_ = db.Close()
	}
	wantCode(t, err, code)
	mustBe(t, path, before)
	if got := beside(t, path); !slices.Equal(got, alone) {
		t.Errorf("beside the database are %v, were %v", got, alone)
	}
	if lines := log.with("backed up"); len(lines) > 0 {
		t.Errorf("a backup that is not there is logged: %s", lines)
	}
	mustBeSound(t, path)
}

// The backup of another upgrade is not taken away by one that fails.
func TestFailingMigrationKeepsOtherBackups(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	good := userMigrations(t, map[string]string{"00001_good.sql": "-- +goose Up\nCREATE TABLE good (id TEXT);\n"})
	mustClose(t, open(t, path, &sqlite.Options{Migrations: good}))
	if files := beside(t, path); len(files) != 1 {
		t.Fatalf("beside the database: %v", files)
	}
	bad := userMigrations(t, map[string]string{
		"00001_good.sql": "-- +goose Up\nCREATE TABLE good (id TEXT);\n",
		"00002_bad.sql":  "-- +goose Up\nCREATE TABEL bad (id TEXT);\n",
	})
	_, err := sqlite.Open(background, path, &sqlite.Options{Migrations: bad})
	wantCode(t, err, nexus.CodeMigration)
	if !strings.Contains(err.Error(), "00002_bad.sql") {
		t.Errorf("%q does not name the migration", err)
	}
	if files := beside(t, path); len(files) != 1 {
		t.Errorf("beside the database: %v", files)
	}
}

// A migration can rebuild a table that others refer to, as SQLite advises,
// without taking what refers to it along.
func TestMigrationRebuildsATable(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	script(t, path, `INSERT INTO features (id, project_id, name, created_at, updated_at) VALUES ('f', 'first', 'f', 1, 1)`)
	folder := userMigrations(t, map[string]string{"00001_rebuild.sql": `-- +goose Up
CREATE TABLE copy AS SELECT * FROM projects;
DELETE FROM projects;
INSERT INTO projects SELECT * FROM copy;
DROP TABLE copy;
`})
	db := open(t, path, &sqlite.Options{Migrations: folder})
	if _, err := db.Features.Get(background, "f"); err != nil {
		t.Errorf("the feature of the rebuilt project: %v", err)
	}
	// The connection that migrated has its foreign keys back.
	err := db.Features.Create(background, &nexus.Feature{ProjectID: "gone", Name: "f"})
	wantCode(t, err, nexus.CodeReference)
}

func TestMigrationFolder(t *testing.T) {
	t.Parallel()
	const good = "-- +goose Up\nCREATE TABLE good (id TEXT);\n"
	for name, files := range map[string]map[string]string{
		"no number":       {"notes.sql": good},
		"no name":         {"00001.sql": good},
		"zero":            {"00000_notes.sql": good},
		"negative":        {"-1_notes.sql": good},
		"too large":       {"99999999999999999999_notes.sql": good},
		"the same number": {"00001_a.sql": good, "1_b.sql": good},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newDatabase(t)
			before := content(t, path)
			_, err := sqlite.Open(background, path, &sqlite.Options{Migrations: userMigrations(t, files)})
			wantCode(t, err, nexus.CodeMigration)
			for name := range files {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("%q does not name %s", err, name)
				}
			}
			mustBe(t, path, before)
			mustBeAlone(t, path)
		})
	}
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		_, err := sqlite.Open(background, newPath(t), &sqlite.Options{Migrations: filepath.Join(t.TempDir(), "gone")})
		wantCode(t, err, nexus.CodeIO)
	})
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		_, err := sqlite.Open(background, newPath(t), &sqlite.Options{Migrations: newDatabase(t)})
		wantCode(t, err, nexus.CodeIO)
	})
	t.Run("empty", func(t *testing.T) {
		t.Parallel()
		open(t, newPath(t), &sqlite.Options{Migrations: t.TempDir()})
	})
}

// An editor that changes line ends does not change a migration; any other change
// is reported.
func TestChangedUserMigration(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	const text = "-- +goose Up\nCREATE TABLE notes (id TEXT);\n-- +goose Down\nDROP TABLE notes;\n"
	folder := userMigrations(t, map[string]string{"00001_notes.sql": text})
	mustClose(t, open(t, path, &sqlite.Options{Migrations: folder}))

	for name, test := range map[string]struct {
		text    string
		changed bool
	}{
		"CRLF":  {strings.ReplaceAll(text, "\n", "\r\n"), false},
		"space": {text + " ", true},
	} {
		folder := userMigrations(t, map[string]string{"00001_notes.sql": test.text})
		log := new(book)
		options := &sqlite.Options{Migrations: folder, Logger: log.logger()}
		db := open(t, path, options)
		if got := len(log.with("level=WARN", "00001_notes.sql")) == 1; got != test.changed {
			t.Errorf("%s: log = %s", name, log.with(""))
		}
		h, err := db.Health(background, false)
		if err != nil || h.OK() == test.changed {
			t.Errorf("%s: health = %+v, %v", name, h, err)
		}
		mustClose(t, db)
		list, err := sqlite.Migrations(background, path, options)
		if err != nil || list[len(list)-1].Changed != test.changed {
			t.Errorf("%s: Migrations = %+v, %v", name, list, err)
		}
	}
}

// slowMigration changes much, so that it does not stay in memory, and then takes
// longer than any test.
const slowMigration = `-- +goose Up
UPDATE projects SET name = 'changed';
CREATE TABLE big (text TEXT);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 4000)
INSERT INTO big SELECT hex(randomblob(2000)) FROM n;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
INSERT INTO big SELECT count(*) FROM n;
`

// slowlyMigrating is how large a database and its log are together when the slow
// migration is well under way.
const slowlyMigrating = 4 << 20

func TestCancelInMidMigration(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(testing.TB) string{"ours": newDatabase, "Drizzle": newDrizzle} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := make(t)
			before := dump(t, path)
			ctx, cancel := context.WithCancel(background)
			defer cancel()
			failed := withContext(ctx, path, &sqlite.Options{
				Migrations: userMigrations(t, map[string]string{"00001_slow.sql": slowMigration}),
			})
			until(t, "the migration", func() bool { return size(path)+size(path+"-wal") > slowlyMigrating })
			cancel()
			err := <-failed
			wantCode(t, err, nexus.CodeCanceled)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v does not wrap the context's error", err)
			}
			mustEqual(t, dump(t, path), before)
			mustBeAlone(t, path)
		})
	}
}

// withContext opens and closes a database, and returns how that ended.
func withContext(ctx context.Context, path string, options *sqlite.Options) <-chan error {
	done := make(chan error, 1)
	go func() {
		db, err := sqlite.Open(ctx, path, options)
		if err == nil {
			err = db.Close()
		}
		done <- err
	}()
	return done
}

// childMigrate opens the database at args[0] with the user migrations in args[1].
func childMigrate(args []string) error {
	db, err := sqlite.Open(background, args[0], &sqlite.Options{Migrations: args[1]})
	if err != nil {
		return err
	}
	return db.Close()
}

func TestKillInMidMigration(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(testing.TB) string{"ours": newDatabase, "Drizzle": newDrizzle} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := make(t)
			before := dump(t, path)
			p := start(t, "", "migrate", path, userMigrations(t, map[string]string{"00001_slow.sql": slowMigration}))
			until(t, "the migration", func() bool { return size(path)+size(path+"-wal") > slowlyMigrating })
			p.Kill()

			// The backup is whole, as it was made before the first change.
			backups := 0
			for _, name := range beside(t, path) {
				if strings.Contains(name, "backup") {
					backups++
					mustEqual(t, dump(t, filepath.Join(filepath.Dir(path), name)), before)
				}
			}
			if backups != 1 {
				t.Errorf("%d backups", backups)
			}
			mustEqual(t, dump(t, path), before)
			if got := rows(t, path, "PRAGMA integrity_check"); len(got) != 1 || !strings.Contains(got[0], "ok") {
				t.Errorf("integrity: %v", got)
			}
			// It opens as if nothing had happened.
			db := open(t, path, nil)
			create(t, db, "after")
		})
	}
}
