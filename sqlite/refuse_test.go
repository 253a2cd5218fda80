package sqlite_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
)

func TestRefuseOtherPrograms(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"contacts":      "CREATE TABLE contacts (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO contacts VALUES (1, 'Ann')",
		"one of ours":   "CREATE TABLE projects (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO projects VALUES (1, 'x')",
		"WAL":           "PRAGMA journal_mode = WAL; CREATE TABLE contacts (id INTEGER PRIMARY KEY)",
		"UTF-16":        "PRAGMA encoding = 'UTF-16'; CREATE TABLE contacts (id INTEGER PRIMARY KEY)",
		"small pages":   "PRAGMA page_size = 512; CREATE TABLE contacts (id INTEGER PRIMARY KEY)",
		"virtual table": "CREATE VIRTUAL TABLE notes USING fts5(text)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			script(t, path, sql)
			mustRefuse(t, path, nexus.CodeForeign)
		})
	}
}

// childLeaveWAL writes to the database at args[0] the statement args[1], and
// waits to be killed, so that the write stays in the write-ahead log.
func childLeaveWAL(args []string) error {
	c, err := zombiezenOpen(args[0])
	if err != nil {
		return err
	}
	if err := sqlitex.ExecuteTransient(c, args[1], nil); err != nil {
		return err
	}
	say("written")
	awaitParent()
	return nil
}

// A program that was killed has left its last writes in its write-ahead log.
// They are not ours to move.
func TestRefuseOtherProgramWithLog(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	script(t, path, "PRAGMA journal_mode = WAL; CREATE TABLE contacts (id INTEGER PRIMARY KEY)")
	p := start(t, "", "leave-wal", path, "INSERT INTO contacts VALUES (1)")
	p.Line()
	p.Kill()
	log := content(t, path+"-wal")
	if len(log) == 0 {
		t.Fatal("no write-ahead log is left")
	}
	before := content(t, path)
	_, err := sqlite.Open(background, path, nil)
	wantCode(t, err, nexus.CodeForeign)
	mustBe(t, path, before)
	mustBe(t, path+"-wal", log)
}

func TestRefuseWhatIsNoDatabase(t *testing.T) {
	t.Parallel()
	png := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), bytes.Repeat([]byte{0x5a, 0xa5, 0}, 5000)...)
	for name, bytes := range map[string][]byte{
		"one byte":        {'x'},
		"a line":          []byte("not a database\n"),
		"a long text":     bytes.Repeat([]byte("Dear diary, today I was not a database.\n"), 1000),
		"a picture":       png,
		"zeros":           make([]byte, 8192),
		"only the header": []byte("SQLite format 3\x00"),
		"a broken header": append([]byte("SQLite format 3\x00"), bytes.Repeat([]byte{0xff}, 8176)...),
		"newer SQLite":    append([]byte("SQLite format 3\x00\x10\x00\x09\x09\x00\x40\x20\x20"), make([]byte, 4072)...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			if err := os.WriteFile(path, bytes, 0o600); err != nil {
				t.Fatal(err)
			}
			mustRefuse(t, path, nexus.CodeForeign)
		})
	}
}

func TestEmptyFileBecomesOurs(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	db := open(t, path, nil)
	create(t, db, "p")
	mustClose(t, db)
	mustBeSound(t, path)
	// Whose file it is, and who may read it, is the owner's choice.
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the mode is %v now, %v", info.Mode(), err)
	}
}

// A SQLite database without tables may become ours as well.
func TestEmptyDatabaseBecomesOurs(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	script(t, path, "CREATE TABLE x (id TEXT); DROP TABLE x; PRAGMA user_version = 7")
	mustClose(t, open(t, path, nil))
	mustBeSound(t, path)
	mustBeAlone(t, path)
}

func TestPathIsNoFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for path, code := range map[string]nexus.Code{
		"":                           nexus.CodeInvalid,
		folder:                       nexus.CodeIO,
		folder + "/":                 nexus.CodeIO,
		newDatabase(t) + "/nexus.db": nexus.CodeIO, // a file where a folder is needed
		folder + "/nul\x00.db":       nexus.CodeIO,
		folder + "/" + tooLongName(): nexus.CodeIO,
	} {
		_, err := sqlite.Open(background, path, nil)
		if nexus.CodeOf(err) != code {
			t.Errorf("%.60q: %v, want code %s", path, err, code)
		}
		if err != nil && hintOf(err) == "" && code == nexus.CodeIO && path == folder {
			t.Errorf("%q: %v has no hint", path, err)
		}
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) > 0 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}

func tooLongName() string { return fmt.Sprintf("%0300d.db", 1) }

func TestReadOnlyOpenCreatesNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	_, err := sqlite.Open(background, filepath.Join(folder, "a", "nexus.db"), &sqlite.Options{ReadOnly: true})
	wantCode(t, err, nexus.CodeIO)
	if entries, err := os.ReadDir(folder); err != nil || len(entries) > 0 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
	// What would have to be migrated cannot be opened read-only, and is told so.
	path := newDrizzle(t)
	before := content(t, path)
	_, err = sqlite.Open(background, path, &sqlite.Options{ReadOnly: true})
	wantCode(t, err, nexus.CodeReadOnly)
	mustBe(t, path, before)
	mustBeAlone(t, path)
}

// Whatever characters a path has, it is a path.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"with space.db", " ", "q?mode=memory&cache=shared", "per%20cent%00.db", "ha#sh.db", "file:x", "file:x?mode=ro",
		"file:///x?vfs=none", `quo"te'.db`, "ünï—码🚀.db", "new\nline.db", "tab\t.db", "semi;colon.db", `back\slash.db`,
		"-dash", "--help", "a&b=c", ":memory", ":memory:", ":memory:?x", "$HOME", "*", "bad\xffutf8", "nexus.db-wal", "nexus.db-journal",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), name)
			path := filepath.Join(folder, name)
			log := new(book)
			db := open(t, path, &sqlite.Options{Logger: log.logger(), Debug: true})
			create(t, db, "p")
			mustClose(t, db)
			if size(path) == 0 {
				t.Fatal("there is no file of that name")
			}
			mustBeAlone(t, path)
			db = open(t, path, &sqlite.Options{
				Migrations: userMigrations(t, map[string]string{"00001_x.sql": "-- +goose Up\nCREATE TABLE x (id TEXT);\n"}),
			})
			if !projectIDs(t, db)["p"] {
				t.Error("the row is gone")
			}
			mustClose(t, db)
			if files := beside(t, path); len(files) != 1 {
				t.Errorf("beside the database: %q", files)
			}
		})
	}
}

// childRelativePath opens the database with the relative path args[0].
func childRelativePath(args []string) error {
	db, err := sqlite.Open(background, args[0], nil)
	if err != nil {
		return err
	}
	if err := db.Projects.Create(background, project("p")); err != nil {
		return err
	}
	return db.Close()
}

func TestHostileRelativeNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"file:x", "file:x?mode=memory", "file::memory:", "-x", "x.db", "./x.db", ":memory:x", "a/b/c.db", " "} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			start(t, folder, "relative-path", name).MustEnd()
			if size(folder+"/"+name) == 0 {
				t.Error("there is no file of that name")
			}
		})
	}
}
