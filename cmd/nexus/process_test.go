//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// program returns the real program, to be run in a folder.
func program(t *testing.T, folder string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "nexus", args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "DATABASE_PATH=", "DATABASE_URL=", "NEXUS_MIGRATIONS=", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// result is what a run of the program came to.
type result struct {
	code           int
	stdout, stderr string
}

func end(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	if trace := stackTrace(r.stdout + "\n" + r.stderr); trace != "" {
		t.Errorf("%v has crashed: %s", cmd.Args, r.stderr)
	}
	return r
}

// succeed runs the program and returns what it prints.
func succeed(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	r := end(t, cmd)
	if r.code != 0 {
		t.Fatalf("%v: exit code %d: %s", cmd.Args, r.code, r.stderr)
	}
	return r.stdout
}

// fail runs the program, which must end with a code and a line on standard
// error, in which … stands for anything.
func fail(t *testing.T, cmd *exec.Cmd, code int, line string) {
	t.Helper()
	wantFailure(t, end(t, cmd), code, line)
}

func wantFailure(t *testing.T, r result, code int, line string) {
	t.Helper()
	if r.code != code || !pattern(line, true).MatchString(strings.TrimSuffix(r.stderr, "\n")) {
		t.Errorf("exit code %d, want %d\n got %swant %s", r.code, code, r.stderr, line)
	}
}

// wantIDs checks which projects there are.
func wantIDs(t *testing.T, folder string, ids ...string) {
	t.Helper()
	list := succeed(t, program(t, folder, "project", "list", "--ids", "--limit", "0"))
	if got := strings.Fields(list); strings.Join(got, " ") != strings.Join(ids, " ") {
		t.Errorf("the projects are %v, want %v", got, ids)
	}
	if health := end(t, program(t, folder, "health", "--deep")); health.code != 0 {
		t.Errorf("the database is not well: %s", health.stdout)
	}
}

// wantAlone checks that nothing is left beside the database.
func wantAlone(t *testing.T, folder string) {
	t.Helper()
	beside, err := filepath.Glob(filepath.Join(folder, "data", "*"))
	if err != nil || len(beside) != 1 {
		t.Errorf("in the database's folder are %v, %v", beside, err)
	}
}

func TestHugeField(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	huge := strings.Repeat("x", 100<<20)
	succeed(t, program(t, folder, "project", "create", "Shop", "--id", "p1"))

	update := program(t, folder, "project", "update", "p1", "--description", "-")
	update.Stdin = strings.NewReader(huge)
	fail(t, update, 6, "nexus: standard input is longer than 64 MB")

	document := program(t, folder, "plan", "apply", "-")
	document.Stdin = strings.NewReader(`{"project": {"key": "p", "name": "` + huge[:20<<20] + `"}}`)
	fail(t, document, 6, "nexus: the plan has 1 problem: line 1, column 34: project.name: is 21.0 MB long; the limit is 16.8 MB; nothing was stored")

	// The longest that is allowed comes back as it was.
	most := huge[:16<<20]
	update = program(t, folder, "project", "update", "p1", "--description", "-")
	update.Stdin = strings.NewReader(most)
	succeed(t, update)
	if got := succeed(t, program(t, folder, "project", "get", "p1", "--json")); !strings.Contains(got, `"description":"`+most+`"`) {
		t.Error("the description is not what was stored")
	}
	wantIDs(t, folder, "p1")
}

func TestDeepNesting(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	succeed(t, program(t, folder, "project", "create", "Shop", "--id", "p1"))
	deep := strings.Repeat("[", 100_000)
	document := program(t, folder, "plan", "apply", "-")
	document.Stdin = strings.NewReader(deep)
	fail(t, document, 6, "nexus: the plan is not valid JSON: line 1, column 202: is nested too deeply")
	task := program(t, folder, "task", "create", "A", "--project", "p1", "--metadata", "-")
	task.Stdin = strings.NewReader(deep + strings.Repeat("]", len(deep)))
	wantFailure(t, end(t, task), 2, `nexus: …not valid JSON; see nexus task create --help`)
	wantIDs(t, folder, "p1")
}

func TestEndlessFile(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/zero"); err != nil {
		notTested(t, "an endless file: %v", err)
	}
	fail(t, program(t, t.TempDir(), "plan", "apply", "/dev/zero"), 6, "nexus: /dev/zero is longer than 64 MB")
}

// What was asked for is done; that it could not be told is an error all the same.
func TestFullOutput(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		notTested(t, "an output that cannot be written: %v", err)
	}
	defer full.Close()
	folder := t.TempDir()
	cmd := program(t, folder, "project", "create", "Shop", "--id", "p1")
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = full, &stderr
	_ = cmd.Run() // the code says it
	wantFailure(t, result{code: cmd.ProcessState.ExitCode(), stderr: stderr.String()}, 14, "nexus: …")
	wantIDs(t, folder, "p1")
}

// endless changes something, and then goes on for very long. It writes more than
// fits in memory, so that the write-ahead log shows when it is under way.
const endless = `-- +goose Up
CREATE TABLE half (n);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000000) INSERT INTO half SELECT i FROM n;
-- +goose Down
DROP TABLE half;
`

// inMigration starts a migration that does not end, and stops it by a signal.
func inMigration(t *testing.T, signal syscall.Signal) (folder string, r result) {
	t.Helper()
	folder = t.TempDir()
	succeed(t, program(t, folder, "project", "create", "Shop", "--id", "p1"))
	migrations := filepath.Join(folder, "migrations")
	if err := errors.Join(os.Mkdir(migrations, 0o700),
		os.WriteFile(filepath.Join(migrations, "00001_endless.sql"), []byte(endless), 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := program(t, folder, "--migrations", "migrations", "migrate")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(folder, "data", "nexus.db-wal")
	for underWay := false; !underWay; runtime.Gosched() {
		info, err := os.Stat(log)
		underWay = err == nil && info.Size() > 1<<20
		if t.Context().Err() != nil {
			t.Fatal("the migration has not begun")
		}
	}
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the code says it
	if trace := stackTrace(stderr.String()); trace != "" {
		t.Errorf("it has crashed: %s", trace)
	}
	return folder, result{code: cmd.ProcessState.ExitCode(), stderr: stderr.String()}
}

func wantNotMigrated(t *testing.T, folder string) {
	t.Helper()
	wantIDs(t, folder, "p1")
	if tables := succeed(t, program(t, folder, "tables")); strings.Contains(tables, "half") {
		t.Errorf("half of the migration is there: %s", tables)
	}
}

func TestKilledInMigration(t *testing.T) {
	t.Parallel()
	folder, _ := inMigration(t, syscall.SIGKILL)
	wantNotMigrated(t, folder)
}

func TestInterruptedInMigration(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			folder, r := inMigration(t, signal)
			wantFailure(t, r, 130, "nexus: the migration was stopped: …; nothing was changed")
			wantAlone(t, folder)
			wantNotMigrated(t, folder)
		})
	}
}

// Ctrl-C while another program holds the lock.
func TestInterruptedWhileWaiting(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	succeed(t, program(t, folder, "project", "create", "Shop", "--id", "p1"))
	other, err := sqlite.OpenConn(filepath.Join(folder, "data", "nexus.db"), sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := sqlitex.ExecuteTransient(other, "BEGIN IMMEDIATE", nil); err != nil {
		t.Fatal(err)
	}
	cmd := program(t, folder, "--debug", "project", "create", "Blog")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), "query_only") {
		continue // it is not open yet
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	_ = cmd.Wait() // the code says it
	wantFailure(t, result{code: cmd.ProcessState.ExitCode(), stderr: last}, 130, "nexus: …; nothing was changed")
	if err := sqlitex.ExecuteTransient(other, "ROLLBACK", nil); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, folder, "p1")
}
