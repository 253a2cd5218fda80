package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
)

// Exit codes that come from no error code.
const (
	exitOK       = 0
	exitInternal = 1
	exitUsage    = 2
)

// exitCodes maps every error code to an exit code. It is part of the contract in
// docs/cli.md: numbers never change and are never used again.
var exitCodes = map[nexus.Code]int{
	nexus.CodeInternal:   exitInternal,
	nexus.CodeNotFound:   3,
	nexus.CodeExists:     4,
	nexus.CodeStale:      5,
	nexus.CodeInvalid:    6,
	nexus.CodeReference:  7,
	nexus.CodeInUse:      8,
	nexus.CodeTransition: 9,
	nexus.CodeAmbiguous:  10,
	nexus.CodeBusy:       11,
	nexus.CodeReadOnly:   12,
	nexus.CodeFull:       13,
	nexus.CodeIO:         14,
	nexus.CodeCorrupt:    15,
	nexus.CodeForeign:    16,
	nexus.CodeNewer:      17,
	nexus.CodeMigration:  18,
	nexus.CodeClosed:     19,
	nexus.CodeFenced:     20,
	nexus.CodeNotReady:   21,
	nexus.CodeNoneReady:  22,
	nexus.CodeKeyReused:  23,
	nexus.CodeOverBudget: 24,

	nexus.CodeUnconfirmed: 25,
	nexus.CodeDenied:      26,
	nexus.CodeOffline:     27,
	nexus.CodeUnknown:     28,

	nexus.CodeCanceled: 130, // as shells say for an interrupt
}

// usageError is a command line that makes no sense.
type usageError struct {
	err     error
	command string
}

func (e *usageError) Error() string { return e.err.Error() }

func usage(cmd *cobra.Command, err error) error { return &usageError{err, cmd.CommandPath()} }

// exactArgs and its like are cobra's, with our error.
func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n || slices.Contains(args, "") {
			return usage(cmd, fmt.Errorf("give %s", what))
		}
		return nil
	}
}

func maximumArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n || slices.Contains(args, "") {
			return usage(cmd, fmt.Errorf("give %s", what))
		}
		return nil
	}
}

func minimumArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return usage(cmd, fmt.Errorf("give %s", what))
		}
		return nil
	}
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(cmd, fmt.Errorf("%q is not expected", args[0]))
	}
	return nil
}

// failure is an error as JSON.
type failure struct {
	Code      string          `json:"code"`
	Message   string          `json:"message"`
	Hint      string          `json:"hint,omitempty"`
	Kind      nexus.Kind      `json:"kind,omitempty"`
	ID        string          `json:"id,omitempty"`
	Retryable bool            `json:"retryable"`
	Problems  []nexus.Problem `json:"problems,omitempty"`
	Stored    any             `json:"stored,omitempty"`
	Given     any             `json:"given,omitempty"`
}

// fail prints an error on standard error and returns its exit code.
func (a *app) fail(err error) int {
	f, code := describe(err)
	if a.json {
		text, _ := json.Marshal(envelope{SchemaVersion: schemaVersion, Error: f}) // entities always marshal
		fmt.Fprintf(a.Err, "%s\n", text)
		return code
	}
	line := "nexus: " + oneLine(f.Message)
	if f.Hint != "" {
		line += "; " + oneLine(f.Hint)
	}
	fmt.Fprintln(a.Err, line)
	if len(f.Problems) > 1 {
		const most = 20
		for i, p := range f.Problems {
			if i == most {
				fmt.Fprintf(a.Err, "  and %d more\n", len(f.Problems)-most)
				break
			}
			fmt.Fprintln(a.Err, "  "+oneLine(p.String()))
		}
	}
	if f.Stored != nil && f.Given != nil {
		a.printDifference(f.Stored, f.Given)
	}
	return code
}

func describe(err error) (*failure, int) {
	var u *usageError
	if errors.As(err, &u) {
		return &failure{Code: "usage", Message: shorten(u.Error()), Hint: "see " + u.command + " --help"}, exitUsage
	}
	f := &failure{Code: string(nexus.CodeOf(err)), Message: err.Error()}
	var e *nexus.Error
	if errors.As(err, &e) {
		f.Hint, f.Kind, f.ID, f.Retryable = e.Hint, e.Kind, e.ID, e.Retryable()
		f.Problems, f.Stored, f.Given = e.Problems, e.Stored, e.Given
		if len(e.Problems) > 1 { // they follow, one a line
			alone := *e
			alone.Problems = nil
			if f.Message = alone.Error(); e.Message == "" {
				f.Message += fmt.Sprintf("%d fields are invalid", len(e.Problems))
			}
		}
	}
	code, known := exitCodes[nexus.CodeOf(err)]
	if !known {
		code = exitInternal
	}
	return f, code
}

// oneLine keeps a hostile value from breaking a line or the terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || unicode.Is(bidiControls, r):
			return '\uFFFD'
		}
		return r
	}, s)
}

// bidiControls turn the direction of text round, or break lines.
var bidiControls = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x061c, Hi: 0x061c, Stride: 1},
	{Lo: 0x200e, Hi: 0x200f, Stride: 1},
	{Lo: 0x2028, Hi: 0x202e, Stride: 1},
	{Lo: 0x2066, Hi: 0x2069, Stride: 1},
}}

// shorten keeps an argument that an error repeats from filling the screen.
func shorten(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most/2], "") + " … " + strings.ToValidUTF8(s[len(s)-most/2:], "")
}

// counted is a number with its noun.
func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
