package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
)

func TestOpenCreatesFilesForTheOwnerOnly(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	path := filepath.Join(root, "a", "b", "nexus.db")
	db := open(t, path, nil)
	create(t, db, "p")

	for name, want := range map[string]os.FileMode{
		filepath.Join(root, "a"):      0o700,
		filepath.Join(root, "a", "b"): 0o700,
		path:                          0o600,
		path + "-wal":                 0o600,
		path + "-shm":                 0o600,
	} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
}

func TestOpenTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	before, ran := content(t, path), rows(t, path, "SELECT * FROM nexus_migrations")

	log := new(book)
	mustClose(t, open(t, path, &sqlite.Options{Debug: true, Logger: log.logger()}))
	mustBe(t, path, before)
	mustBeAlone(t, path)

	if got := rows(t, path, "SELECT * FROM nexus_migrations"); !slices.Equal(got, ran) {
		t.Errorf("nexus_migrations is %v, was %v", got, ran)
	}
	if n := len(log.with("nexus_migrations")); n != 1 {
		t.Errorf("opening an up-to-date database asked for its migrations %d times:\n%s", n, log.with(""))
	}
	for _, verb := range []string{"CREATE ", "ALTER ", "DROP ", "INSERT ", "UPDATE ", "DELETE ", "BEGIN"} {
		if lines := log.with(verb); len(lines) > 0 {
			t.Errorf("opening an up-to-date database ran %s", lines)
		}
	}
}

// childOpenAndWrite opens the database at args[0] when the parent says so, writes
// the project args[1], and closes.
func childOpenAndWrite(args []string) error {
	say("ready")
	awaitParent()
	db, err := sqlite.Open(background, args[0], nil)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if err := db.Projects.Create(background, project(args[1])); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	return db.Close()
}

func TestManyProcessesOpenTheSameNewPath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "nexus.db")
	const n = 64
	all := make([]*process, n)
	for i := range all {
		all[i] = start(t, "", "open-and-write", path, fmt.Sprintf("p%d", i))
	}
	for _, p := range all {
		p.Line()
	}
	for _, p := range all {
		p.GoOn()
	}
	for _, p := range all {
		if _, err := p.End(); err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		return
	}
	mustBeSound(t, path)
	db := open(t, path, nil)
	if ids := projectIDs(t, db); len(ids) != n {
		t.Errorf("%d processes wrote; %d rows are there", n, len(ids))
	}
	mustClose(t, db)
	mustBeAlone(t, path)
}

// Goroutines that open the same new path do not get in each other's way either,
// although file locks do not keep them apart.
func TestManyGoroutinesOpenTheSameNewPath(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	const n = 32
	errs := make(chan error, n)
	for i := range n {
		go func() {
			db, err := sqlite.Open(background, path, nil)
			if err == nil {
				err = db.Projects.Create(background, project(fmt.Sprintf("p%d", i)))
				if closeErr := db.Close(); err == nil {
					err = closeErr
				}
			}
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	mustBeSound(t, path)
	if n := len(rows(t, path, "SELECT 1 FROM projects")); n != 32 {
		t.Errorf("%d rows", n)
	}
}

// childOpenAtOnce opens the database at args[0] in many goroutines, each of which
// writes a project and closes, and prints how many rows it has written.
func childOpenAtOnce(args []string) error {
	say("ready")
	awaitParent()
	const n = 12
	errs := make(chan error, n)
	for g := range n {
		go func() {
			db, err := sqlite.Open(background, args[0], nil)
			if err == nil {
				err = errors.Join(db.Projects.Create(background, project(fmt.Sprintf("%s-%d", args[1], g))), db.Close())
			}
			errs <- err
		}()
	}
	var err error
	for range n {
		err = errors.Join(err, <-errs)
	}
	return err
}

// Goroutines and processes at once: a process has its file locks as a whole, and
// gives all of them up when it closes any descriptor of the file. Connections
// are opened and closed all the time, at the same addresses in memory.
func TestProcessesAndGoroutinesOpenTheSameNewPath(t *testing.T) {
	t.Parallel()
	for round := range 12 {
		path := newPath(t)
		var all []*process
		for i := range 5 {
			all = append(all, start(t, "", "open-at-once", path, fmt.Sprintf("p%d", i)))
		}
		for _, p := range all {
			p.Line()
		}
		for _, p := range all {
			p.GoOn()
		}
		for _, p := range all {
			if _, err := p.End(); err != nil {
				t.Errorf("round %d: %.2000s", round, err)
			}
		}
		if t.Failed() {
			return
		}
		mustBeAlone(t, path)
		mustBeSound(t, path)
		if n := len(rows(t, path, "SELECT 1 FROM projects")); n != 60 {
			t.Fatalf("round %d: %d rows, want 60", round, n)
		}
	}
}

func TestNewerDatabase(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	script(t, path, `INSERT INTO nexus_migrations VALUES (99, '00099_future.sql', 'x', 1)`)
	before := content(t, path)

	_, err := sqlite.Open(background, path, nil)
	wantCode(t, err, nexus.CodeNewer)
	latest := fmt.Sprint(latestVersion(t, path))
	if !strings.Contains(err.Error(), "99") || !strings.Contains(err.Error(), "version "+latest) {
		t.Errorf("%q does not name both versions, 99 and %s", err, latest)
	}
	_, err = sqlite.MigrateDown(background, path, nil, true)
	wantCode(t, err, nexus.CodeNewer)
	mustBe(t, path, before)
	mustBeAlone(t, path)

	db := open(t, path, &sqlite.Options{ReadOnly: true})
	if _, err := db.Projects.Get(background, "first"); err != nil {
		t.Errorf("reading a newer database: %v", err)
	}
	h, err := db.Health(background, false)
	if err != nil || h.SchemaVersion != 99 || h.OK() {
		t.Errorf("health = %+v, %v", h, err)
	}
	wantCode(t, db.Projects.Create(background, project("p")), nexus.CodeReadOnly)
	mustClose(t, db)
	mustBe(t, path, before)
}

// latestVersion is the newest of Nexus's own migrations.
func latestVersion(t testing.TB, path string) (newest int64) {
	t.Helper()
	list, err := sqlite.Migrations(background, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if !m.User && m.Name != "" {
			newest = max(newest, m.Version)
		}
	}
	return newest
}

func TestChangedMigrationIsReported(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	script(t, path, `UPDATE nexus_migrations SET checksum = 'another' WHERE version_id = 1`)

	log := new(book)
	db := open(t, path, &sqlite.Options{Logger: log.logger()})
	if len(log.with("level=WARN", "00001_contract.sql")) != 1 {
		t.Errorf("nothing is logged: %s", log.with(""))
	}
	h, err := db.Health(background, false)
	if err != nil || h.OK() || len(h.Problems) != 1 || !strings.Contains(h.Problems[0], "00001_contract.sql") {
		t.Errorf("health = %+v, %v", h, err)
	}
	mustClose(t, db)
	list, err := sqlite.Migrations(background, path, nil)
	if err != nil || !list[0].Changed || list[1].Changed {
		t.Errorf("Migrations = %+v, %v", list, err)
	}
}

func TestMigrationsOfANewDatabase(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	_, err := sqlite.Migrations(background, path, nil)
	wantCode(t, err, nexus.CodeIO)
	if _, err := os.Stat(path); err == nil {
		t.Fatal("asking for the migrations of what is not there has created it")
	}
	if _, err := sqlite.MigrateDown(background, path, nil, true); nexus.CodeOf(err) != nexus.CodeIO {
		t.Errorf("MigrateDown of what is not there: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("migrating down what is not there has created it")
	}

	// An empty file is a database in which nothing has run.
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := sqlite.Migrations(background, path, nil)
	if err != nil || len(list) < 2 {
		t.Fatalf("Migrations = %+v, %v", list, err)
	}
	for _, m := range list {
		if m.Applied || m.Changed || m.User {
			t.Errorf("%+v", m)
		}
	}
	if size(path) != 0 {
		t.Error("asking for the migrations has changed the file")
	}
	mustBeAlone(t, path)

	mustClose(t, open(t, path, nil))
	list, err = sqlite.Migrations(background, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if !m.Applied || m.Changed || m.User {
			t.Errorf("%+v", m)
		}
	}
	mustBeAlone(t, path)
}

func TestMigrateDownAndUpAgain(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	folder := userMigrations(t, map[string]string{
		"00001_notes.sql": "-- +goose Up\nCREATE TABLE notes (id TEXT);\n-- +goose Down\nDROP TABLE notes;\n",
		"00002_more.sql":  "-- +goose Up\nCREATE TABLE more (id TEXT);\n-- +goose Down\nDROP TABLE more;\n",
	})
	options := &sqlite.Options{Migrations: folder}
	mustClose(t, open(t, path, options))
	fresh := dump(t, path)

	// One step takes the newest of the user's.
	reverted, err := sqlite.MigrateDown(background, path, options, false)
	if err != nil || len(reverted) != 1 || reverted[0].Name != "00002_more.sql" || !reverted[0].User {
		t.Fatalf("MigrateDown = %+v, %v", reverted, err)
	}
	if got := rows(t, path, "SELECT name FROM sqlite_master WHERE name IN ('notes', 'more', 'tasks') ORDER BY 1"); len(got) != 2 {
		t.Errorf("left: %v", got)
	}

	// All of them: the user's first, then ours, newest first.
	reverted, err = sqlite.MigrateDown(background, path, options, true)
	if err != nil {
		t.Fatal(err)
	}
	if !reverted[0].User || reverted[len(reverted)-1].User || reverted[len(reverted)-1].Version != 1 {
		t.Errorf("reverted = %+v", reverted)
	}
	left := rows(t, path, `
		SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%\_migrations' ESCAPE '\'
			AND name <> 'sqlite_sequence' -- which SQLite keeps, empty`)
	if len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	mustBeAlone(t, path) // without rows there is nothing to back up

	// Nothing is left to revert; that is no error.
	reverted, err = sqlite.MigrateDown(background, path, options, false)
	if err != nil || len(reverted) != 0 {
		t.Errorf("MigrateDown of nothing = %+v, %v", reverted, err)
	}

	db := open(t, path, options)
	create(t, db, "again")
	mustClose(t, db)
	again := dump(t, path)
	if !slices.Equal(sorted(again["schema"]), sorted(fresh["schema"])) {
		t.Errorf("the schema after down and up is another:\n%s\nwas\n%s", again["schema"], fresh["schema"])
	}
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

func TestMigrateDownKeepsABackup(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	before := dump(t, path)
	log := new(book)
	if _, err := sqlite.MigrateDown(background, path, &sqlite.Options{Logger: log.logger()}, true); err != nil {
		t.Fatal(err)
	}
	files := beside(t, path)
	if len(files) != 1 || !strings.Contains(files[0], "backup") {
		t.Fatalf("beside the database: %v", files)
	}
	backup := filepath.Join(filepath.Dir(path), files[0])
	mustEqual(t, dump(t, backup), before)
	if len(log.with(files[0])) != 1 {
		t.Errorf("the path of the backup is not logged: %s", log.with(""))
	}
	// What the backup is for: to be put back.
	if err := os.Rename(backup, path); err != nil {
		t.Fatal(err)
	}
	db := open(t, path, nil)
	if !projectIDs(t, db)["first"] {
		t.Error("the backup lacks the row")
	}
}

// One step of Nexus's own, with rows in the tables: their contract columns stay.
func TestMigrateDownOneStepKeepsRows(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	script(t, path, string(content(t, "testdata/drizzle.sql")))
	before := contractDump(t, path)
	mustClose(t, open(t, path, nil))
	for {
		reverted, err := sqlite.MigrateDown(background, path, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		if reverted[0].Version == 2 {
			break
		}
	}
	mustEqual(t, contractDump(t, path), before)
	mustClose(t, open(t, path, nil))
	mustEqual(t, contractDump(t, path), before)
}
