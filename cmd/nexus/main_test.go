package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nexus": main})
}

// TestScripts runs the files in testdata/script against the real program. With
// UPDATE_SCRIPTS=1 it writes what the program prints into them; read what it
// wrote.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
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
			return nil
		},
	})
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
