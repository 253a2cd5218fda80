package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// badInput is a row of the table in docs/bad-input.md.
type badInput struct{ given, line, exit, test string }

func badInputs(t *testing.T) (rows []badInput) {
	t.Helper()
	text, err := os.ReadFile("../../docs/bad-input.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 2 || strings.HasPrefix(cells[1], "---") || strings.TrimSpace(cells[1]) == "given" {
			continue
		}
		if len(cells) != 7 {
			t.Errorf("this row has not five cells: %s", line)
			continue
		}
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		rows = append(rows, badInput{given: cells[1], line: cells[2], exit: cells[3], test: cells[5]})
	}
	return rows
}

// TestBadInputTable checks that what the documentation promises is what a test
// expects: the line, in which … stands for anything, and the exit code.
func TestBadInputTable(t *testing.T) {
	t.Parallel()
	rows := badInputs(t)
	if len(rows) < 50 {
		t.Errorf("the table has only %d rows", len(rows))
	}
	functions := testFunctions(t)
	for _, row := range rows {
		if strings.HasSuffix(row.test, ".txtar") {
			checkScript(t, row)
			continue
		}
		body, exists := functions[row.test]
		switch {
		case !exists:
			t.Errorf("%s: there is no %s", row.given, row.test)
		case row.line != "nothing" && !pattern(row.line, false).MatchString(body):
			t.Errorf("%s: %s does not expect\n%s", row.given, row.test, row.line)
		case row.exit != "" && !regexp.MustCompile(`\b`+row.exit+`\b`).MatchString(body):
			t.Errorf("%s: %s does not expect exit code %s", row.given, row.test, row.exit)
		}
	}
}

// pattern is what a line of the table stands for.
func pattern(line string, whole bool) *regexp.Regexp {
	expression := strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*")
	if whole {
		expression = "^" + expression + "$"
	}
	return regexp.MustCompile(expression)
}

// testFunctions returns the texts of the test functions of this folder.
func testFunctions(t *testing.T) map[string]string {
	t.Helper()
	functions := make(map[string]string)
	paths, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(string(text), "\nfunc ")[1:] {
			name, _, _ := strings.Cut(part, "(")
			functions[name] = part
		}
	}
	return functions
}

// checkScript looks for a command that fails with the row's exit code and then
// expects its line.
func checkScript(t *testing.T, row badInput) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "script", row.test))
	if err != nil {
		t.Errorf("%s: %v", row.given, err)
		return
	}
	script, golden, _ := strings.Cut(string(text), "\n-- ")
	want := pattern(row.line, true)
	exit := ""
	for line := range strings.Lines(script) {
		command, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch command {
		case "fails", "status":
			exit, _, _ = strings.Cut(rest, " ")
		case "says", "stderr":
			if want.MatchString(expected(command, rest)) && exit == row.exit {
				return
			}
		case "cmp":
			name, isStderr := strings.CutPrefix(rest, "stderr ")
			_, section, _ := strings.Cut("\n-- "+golden, "\n-- "+name+" --\n")
			first, _, _ := strings.Cut(section, "\n")
			if isStderr && want.MatchString(first) && exit == row.exit {
				return
			}
		}
	}
	t.Errorf("%s: %s does not expect exit code %s with\n%s", row.given, row.test, row.exit, row.line)
}

// expected is the line that a says or stderr of a script expects.
func expected(command, argument string) string {
	argument = strings.ReplaceAll(strings.Trim(argument, "'"), "''", "'")
	if command == "stderr" {
		argument = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(argument, "^"), "$"), `\n`)
		argument = strings.ReplaceAll(strings.ReplaceAll(argument, `\`, ""), ".*", " … ")
	}
	return argument
}
