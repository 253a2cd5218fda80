package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// commands returns all commands below the root, and the root. cobra makes those
// for completion; they are not ours to describe.
func commands() (all []*cobra.Command) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Name() == "completion" || cmd.Hidden {
			return
		}
		all = append(all, cmd)
		for _, child := range cmd.Commands() {
			walk(child)
		}
	}
	walk(newRoot())
	return all
}

func newRoot() *cobra.Command {
	return (&app{Env: Env{Getenv: func(string) string { return "" }, Now: time.Now}}).root(nil)
}

// Only the command that is meant is made, so its name is said twice.
func TestCommandsAreMadeByName(t *testing.T) {
	t.Parallel()
	a := &app{Env: Env{Getenv: func(string) string { return "" }}}
	all := a.commandsFor(nil)
	for _, c := range all {
		if name := c.make().Name(); name != c.name {
			t.Errorf("the command %q is called %q", c.name, name)
		}
		if alone := a.commandsFor([]string{c.name, "--help"}); len(alone) != 1 || alone[0].name != c.name {
			t.Errorf("%q makes %d commands", c.name, len(alone))
		}
	}
	for _, args := range [][]string{{"--json", "ready"}, {"--actor", "task", "ready"}, {"help", "ready"}, {"redy"}} {
		if n := len(a.commandsFor(args)); n != len(all) {
			t.Errorf("%q makes %d commands of %d", args, n, len(all))
		}
	}
}

// try runs one command line without a database.
func try(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = Run(t.Context(), args, Env{
		In: strings.NewReader(""), Out: &out, Err: &err, Getenv: func(string) string { return "" }, Version: "test",
	})
	return code, out.String(), err.String()
}

// path returns the words of a command after the program's name.
func path(cmd *cobra.Command) []string { return strings.Fields(cmd.CommandPath())[1:] }

func TestEveryCommandIsDescribed(t *testing.T) {
	t.Parallel()
	shorts := make(map[string]string)
	examples := make(map[string]string)
	for _, cmd := range commands() {
		name := cmd.CommandPath()
		switch first := cmd.Short; {
		case first == "":
			t.Errorf("%s has no short description", name)
		case strings.HasSuffix(first, ".") || strings.ToUpper(first[:1]) != first[:1]:
			t.Errorf("%s: %q is not a sentence without its full stop", name, first)
		}
		if !strings.HasPrefix(cmd.Example, "  nexus ") {
			t.Errorf("%s: its example is %q, which does not begin with \"  nexus \"", name, cmd.Example)
		}
		if other := shorts[cmd.Short]; other != "" {
			t.Errorf("%s and %s have the same short description", name, other)
		}
		if other := examples[cmd.Example]; other != "" {
			t.Errorf("%s and %s have the same example", name, other)
		}
		shorts[cmd.Short], examples[cmd.Example] = name, name
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	for _, cmd := range commands() {
		for _, flag := range []string{"--help", "-h"} {
			code, stdout, stderr := try(t, append(path(cmd), flag)...)
			if code != 0 || stderr != "" {
				t.Errorf("%s %s: exit code %d, %s", cmd.CommandPath(), flag, code, stderr)
			}
			if !strings.Contains(stdout, cmd.Example) || !strings.Contains(stdout, "Usage:\n  nexus") {
				t.Errorf("%s %s does not print the example:\n%s", cmd.CommandPath(), flag, stdout)
			}
		}
	}
}

func TestEveryCommandSpeaksJSON(t *testing.T) {
	t.Parallel()
	for _, cmd := range commands() {
		if !cmd.Runnable() {
			t.Errorf("%s cannot be run", cmd.CommandPath())
		}
		if err := cmd.ParseFlags([]string{"--json"}); err != nil {
			t.Errorf("%s --json: %v", cmd.CommandPath(), err)
		}
	}
}

// Every flag is described, with words and not with the names of Go.
func TestEveryFlagIsDescribed(t *testing.T) {
	t.Parallel()
	for _, cmd := range commands() {
		for line := range strings.Lines(cmd.LocalFlags().FlagUsages()) {
			fields := strings.SplitN(strings.TrimSpace(line), "   ", 2)
			if len(fields) != 2 || strings.TrimSpace(fields[1]) == "" {
				t.Errorf("%s: %q has no description", cmd.CommandPath(), strings.TrimSpace(line))
			}
		}
	}
}

// What an example shows can be parsed: its commands and flags are there, and it
// belongs to the command that shows it.
func TestEveryExampleIsRight(t *testing.T) {
	t.Parallel()
	for _, cmd := range commands() {
		for line := range strings.Lines(cmd.Example) {
			_, line, found := strings.Cut(line, "nexus ")
			if !found {
				t.Errorf("%s: the example %q does not run nexus", cmd.CommandPath(), line)
				continue
			}
			shown, rest, err := newRoot().Find(split(line))
			if err != nil {
				t.Errorf("%s: the example %q: %v", cmd.CommandPath(), line, err)
				continue
			}
			if !strings.HasPrefix(shown.CommandPath()+" ", cmd.CommandPath()+" ") {
				t.Errorf("%s has an example of %s", cmd.CommandPath(), shown.CommandPath())
			}
			if err := shown.ParseFlags(rest); err != nil {
				t.Errorf("%s: the example %q: %v", cmd.CommandPath(), line, err)
			}
			if shown.Args != nil && shown.HasParent() {
				if err := shown.Args(shown, shown.Flags().Args()); err != nil {
					t.Errorf("%s: the example %q: %v", cmd.CommandPath(), line, err)
				}
			}
		}
	}
}

// split does what a shell does with double quotes.
func split(line string) (words []string) {
	for i, part := range strings.Split(strings.TrimSpace(line), `"`) {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

func TestUnknownCommands(t *testing.T) {
	t.Parallel()
	for _, cmd := range commands() {
		if !cmd.HasSubCommands() {
			continue
		}
		code, stdout, stderr := try(t, append(path(cmd), "nothing-like-it")...)
		if code != exitUsage || stdout != "" || !strings.HasPrefix(stderr, `nexus: there is no command "nothing-like-it" in "`+cmd.CommandPath()+`"`) {
			t.Errorf("%s: exit code %d, %s%s", cmd.CommandPath(), code, stdout, stderr)
		}
		// Whoever stops typing too early is told how it goes on.
		child := cmd.Commands()[0].Name()
		for _, c := range cmd.Commands() {
			if c.Name() != "completion" {
				child = c.Name()
			}
		}
		short := child[:len(child)-1]
		code, stdout, stderr = try(t, append(path(cmd), short)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, `did you mean "`) {
			t.Errorf("%s %s: exit code %d, %s%s", cmd.CommandPath(), short, code, stdout, stderr)
		}
		// With nothing after it, a group says what there is.
		if cmd.Name() == "migrate" {
			continue // which does something
		}
		if code, stdout, _ := try(t, path(cmd)...); code != exitOK || !strings.Contains(stdout, "Usage:") {
			t.Errorf("%s: exit code %d, %s", cmd.CommandPath(), code, stdout)
		}
	}
}

// Every error code has an exit code of its own.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	seen := map[int]string{exitOK: "success", exitUsage: "usage"}
	for code, exit := range exitCodes {
		if other := seen[exit]; other != "" {
			t.Errorf("%s and %s share exit code %d", code, other, exit)
		}
		seen[exit] = string(code)
		if exit <= 0 || (exit > 125 && exit != 130) {
			t.Errorf("%s has exit code %d, which shells use", code, exit)
		}
	}
}
