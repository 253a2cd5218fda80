package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-c8812374/nexus/internal/pgtest"
)

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"nexus": main})
}

// tests are those of this folder, and then the end of the server that they share.
type tests struct{ *testing.M }

func (t tests) Run() int { return pgtest.Main(t.M) }

// TestScripts runs the files in testdata/script against the real program. With
// UPDATE_SCRIPTS=1 it writes what the program prints into them; read what it
// wrote.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, scripts(func(*testscript.Env) error { return nil }))
}

// TestScriptsPostgres runs those that name no file of a database on PostgreSQL, each
// in a schema of its own.
func TestScriptsPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.URL(t)
	params := scripts(func(e *testscript.Env) error {
		e.Setenv("DATABASE_URL", pgtest.SchemaOf(e.T().(testing.TB), server))
		return nil
	})
	all, err := filepath.Glob(filepath.Join(params.Dir, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !ofFile.Match(text) {
			params.Files = append(params.Files, path)
		}
	}
	if len(params.Files) < len(all)/3 {
		t.Errorf("only %d of %d scripts are about no file", len(params.Files), len(all))
	}
	params.Dir, params.UpdateScripts = "", false
	testscript.Run(t, params)
}

// ofFile finds what a script says about the file of a database.
var ofFile = regexp.MustCompile(`(?m)^(sql|alone|cut) |--db|DATABASE_PATH|\.db\b|backup|nexus restore`)

func scripts(setup func(*testscript.Env) error) testscript.Params {
	return testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds:                scriptCommands,
		Condition:           condition,
		Setup: func(e *testscript.Env) error {
			path, err := filepath.Abs(taskmasterFile)
			if err != nil {
				return err
			}
			e.Setenv("TM", path)
			e.Setenv("ESC", "\x1b")
			e.Setenv("TAB", "\t")
			e.Setenv("NL", "\n")
			e.Setenv("INVALID", "\xff\xfe")
			e.Setenv("BIDI", "\u202e")
			if os.Getenv("GORACE") == "" {
				e.Setenv("GORACE", "atexit_sleep_ms=0") // not a second for each command
			}
			return setup(e)
		},
	}
}

// mustTest reports whether a test that cannot run here is a failure.
func mustTest() bool { return os.Getenv("NEXUS_TEST_REQUIRE_ALL") != "" }

// notTested skips a test, so that it is seen.
func notTested(t *testing.T, format string, args ...any) {
	t.Helper()
	if mustTest() {
		t.Fatalf("CANNOT TEST "+format, args...)
	}
	t.Skipf("NOT TESTED: "+format, args...)
}

// taskmasterFile is a real Task Master file, which is not part of the repository
// but beside it.
const taskmasterFile = "../../../shared/data/taskmaster-tasks.json"

// condition knows [realfile]: the real Task Master file is there.
func condition(name string) (bool, error) {
	if name != "realfile" {
		return false, fmt.Errorf("there is no condition %q", name)
	}
	_, err := os.Stat(taskmasterFile)
	if err != nil && mustTest() {
		return false, fmt.Errorf("CANNOT TEST the import of a real Task Master file: %w", err)
	}
	return err == nil, nil
}
