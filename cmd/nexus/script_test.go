package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// scriptCommands are what scripts can do besides testscript's own commands.
//
//	ok COMMAND…              runs it: exit code 0, nothing on standard error, with --json one sound envelope
//	same COMMAND…            as ok, and every file is what it was
//	fails N COMMAND…         runs it: exit code N, nothing on standard output, "nexus: …" on standard error
//	                         (with --json, one sound envelope with the error code that belongs to N), and
//	                         every file is what it was
//	status N COMMAND…        runs it: exit code N
//	says LINE                standard error is this line
//	prints LINE              standard output is this line
//	json PATH [VALUE]        in the envelope printed last, PATH (data.0.name, or data.len for a length) is VALUE,
//	                         or is there; ! json PATH: it is not there
//	keys PATH NAME…          an object there has exactly these members
//	capture VAR [PATH]       sets VAR to the standard output, or to the value at PATH
//	write FILE TEXT          writes a file; TEXT may have Go's escapes (\x00, \n, …)
//	sql FILE STATEMENTS      another program changes a database
//	cut FILE NEW BYTES       the beginning of a file
//	alone FILE               nothing is left beside a database
//
// Every time of today is printed as 2026-01-01 00:00, and in JSON as
// 2026-01-01T00:00:00Z. Nothing that is run may print a stack trace.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"ok":      cmdOK,
	"same":    cmdSame,
	"fails":   cmdFails,
	"status":  cmdStatus,
	"says":    func(ts *testscript.TestScript, neg bool, args []string) { equal(ts, neg, args, "stderr") },
	"prints":  func(ts *testscript.TestScript, neg bool, args []string) { equal(ts, neg, args, "stdout") },
	"json":    cmdJSON,
	"keys":    cmdKeys,
	"capture": cmdCapture,
	"write":   cmdWrite,
	"sql":     cmdSQL,
	"cut":     cmdCut,
	"alone":   cmdAlone,
}

// execute runs a command and returns its exit code.
func execute(ts *testscript.TestScript, args []string) int {
	if len(args) == 0 {
		ts.Fatalf("which command?")
	}
	err := ts.Exec(args[0], args[1:]...)
	code := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if trace := stackTrace(ts.ReadFile("stdout") + "\n" + ts.ReadFile("stderr")); trace != "" {
		ts.Fatalf("it has crashed: %s", trace)
	}
	return code
}

var crash = regexp.MustCompile(`(?m)^(goroutine \d+ \[|panic: |fatal error: |WARNING: DATA RACE).*`)

// stackTrace returns what looks like a crash in an output.
func stackTrace(output string) string { return crash.FindString(output) }

func wantStatus(ts *testscript.TestScript, neg bool, args []string) (code int, command []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails|status N command…")
	}
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	return code, args[1:]
}

func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	want, command := wantStatus(ts, neg, args)
	if got := execute(ts, command); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	maskTimes(ts)
}

func cmdOK(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("use fails")
	}
	if code := execute(ts, args); code != 0 {
		ts.Fatalf("exit code %d, want 0", code)
	}
	if text := ts.ReadFile("stderr"); text != "" {
		ts.Fatalf("standard error is not empty")
	}
	if slices.Contains(args, "--json") {
		e := checkEnvelope(ts, ts.ReadFile("stdout"))
		if _, has := e["data"]; !has {
			ts.Fatalf("the envelope has no data")
		}
		if _, has := e["error"]; has {
			ts.Fatalf("the envelope has an error")
		}
	}
	maskTimes(ts)
}

func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	before := files(ts)
	cmdOK(ts, neg, args)
	sameFiles(ts, before)
}

func cmdFails(ts *testscript.TestScript, neg bool, args []string) {
	want, command := wantStatus(ts, neg, args)
	before := files(ts)
	if got := execute(ts, command); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	if text := ts.ReadFile("stdout"); text != "" {
		ts.Fatalf("standard output is not empty")
	}
	text := ts.ReadFile("stderr")
	if slices.Contains(command, "--json") {
		checkFailure(ts, text, want)
	} else {
		for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			if prefix := []string{"nexus: ", "  "}[min(i, 1)]; !strings.HasPrefix(line, prefix) {
				ts.Fatalf("line %d of standard error does not begin with %q", i+1, prefix)
			}
		}
	}
	sameFiles(ts, before)
	maskTimes(ts)
}

// sameFiles checks that every file is what it was.
func sameFiles(ts *testscript.TestScript, before map[string]string) {
	for path, content := range files(ts) {
		old, existed := before[path]
		delete(before, path)
		switch {
		case !existed && strings.HasSuffix(path, "/nexus.db"):
			// A database that did not exist is created before anything is found wrong.
		case !existed:
			ts.Fatalf("%s is new", path)
		case old != content:
			ts.Fatalf("%s has changed", path)
		}
	}
	for path := range before {
		ts.Fatalf("%s is gone", path)
	}
}

// files returns the content of all files of a script.
func files(ts *testscript.TestScript) map[string]string {
	all := make(map[string]string)
	root := ts.Getenv("WORK")
	ts.Check(filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, os.ErrPermission) {
			return nil
		}
		all[strings.TrimPrefix(path, root)] = string(content)
		return err
	}))
	return all
}

var (
	tableTime = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d\b`)
	jsonTime  = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
)

// maskTimes replaces the times of now in the output.
func maskTimes(ts *testscript.TestScript) {
	mask := func(text string, pattern *regexp.Regexp, layout string) string {
		return pattern.ReplaceAllStringFunc(text, func(found string) string {
			at, err := time.Parse(layout, found)
			if err != nil || time.Since(at).Abs() > time.Hour {
				return found
			}
			return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Format(layout)
		})
	}
	wasOut, wasErr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	stdout := mask(mask(wasOut, tableTime, "2006-01-02 15:04"), jsonTime, time.RFC3339)
	stderr := mask(wasErr, jsonTime, time.RFC3339)
	if stdout != wasOut || stderr != wasErr {
		fmt.Fprint(ts.Stdout(), stdout)
		fmt.Fprint(ts.Stderr(), stderr)
	}
}

func equal(ts *testscript.TestScript, neg bool, args []string, stream string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: says|prints LINE")
	}
	if got := ts.ReadFile(stream); got != args[0]+"\n" {
		ts.Fatalf("%s is\n%swant\n%s", stream, got, args[0])
	}
}

func cmdCapture(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case !neg && len(args) == 1:
		ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
	case !neg && len(args) == 2:
		value, found := lookUp(parseEnvelope(ts), args[1])
		if !found {
			ts.Fatalf("there is no %s", args[1])
		}
		ts.Setenv(args[0], show(value))
	default:
		ts.Fatalf("usage: capture VAR [PATH]")
	}
}

func cmdWrite(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: write FILE TEXT")
	}
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(args[1], `"`, `\"`) + `"`)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func cmdSQL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sql FILE STATEMENTS")
	}
	db, err := sqlite.OpenConn(ts.MkAbs(args[0]), sqlite.OpenReadWrite|sqlite.OpenCreate)
	ts.Check(err)
	ts.Check(errors.Join(sqlitex.ExecuteScript(db, args[1], nil), db.Close()))
}

func cmdCut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: cut FILE NEW BYTES")
	}
	length, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(ts.ReadFile(args[0]))[:length], 0o600))
}

func cmdAlone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: alone FILE")
	}
	beside, err := filepath.Glob(ts.MkAbs(args[0]) + "?*")
	ts.Check(err)
	if len(beside) > 0 {
		ts.Fatalf("beside the database there are %v", beside)
	}
}
