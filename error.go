package nexus

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Code says what kind of failure an [Error] is. Codes are stable: the command
// line maps each to an exit code, and they appear in its JSON.
type Code string

// The codes.
const (
	CodeInternal   Code = "internal"        // a defect in Nexus
	CodeInvalid    Code = "invalid"         // the input breaks a rule; see Error.Problems
	CodeNotFound   Code = "not_found"       // no such row
	CodeAmbiguous  Code = "ambiguous"       // the beginning of an id fits several rows
	CodeExists     Code = "already_exists"  // the id or plan key is taken
	CodeReference  Code = "bad_reference"   // the row that this one belongs to does not exist
	CodeInUse      Code = "in_use"          // other rows still refer to this one
	CodeStale      Code = "stale"           // the row has changed since it was read
	CodeTransition Code = "bad_transition"  // the state machine does not allow this step
	CodeBusy       Code = "busy"            // another program holds the database's write lock
	CodeReadOnly   Code = "read_only"       // the file, folder or transaction cannot be written
	CodeFull       Code = "disk_full"       // no space is left
	CodeIO         Code = "io"              // the file cannot be opened, read or written
	CodeCorrupt    Code = "corrupt"         // the file is damaged
	CodeForeign    Code = "not_nexus"       // the file belongs to another program
	CodeNewer      Code = "newer_schema"    // the file was written by a newer Nexus
	CodeMigration  Code = "migration"       // a migration failed; nothing was changed
	CodeCanceled   Code = "canceled"        // the context ended first; nothing was changed
	CodeClosed     Code = "closed"          // the database is closed
	CodeFenced     Code = "fenced"          // the task is not, or not any more, the caller's; see Error.Stored
	CodeNotReady   Code = "not_ready"       // the task cannot be claimed now
	CodeNoneReady  Code = "none_ready"      // no task can be claimed now
	CodeKeyReused  Code = "key_reused"      // the idempotency key belongs to another call
	CodeDenied     Code = "denied"          // the server refuses the user, or what the user wants to do
	CodeOffline    Code = "offline"         // the server cannot be reached; nothing was changed
	CodeUnknown    Code = "outcome_unknown" // the connection broke during the commit; it may have been done or not
	CodeOverBudget Code = "over_budget"     // the task, or its project, has used up what it may

	CodeUnconfirmed Code = "unconfirmed" // nobody has agreed to it; nothing was changed
)

// Error is the one error type of Nexus.
type Error struct {
	Code    Code
	Kind    Kind   // the entity it is about, if any
	ID      string // the row it is about, if any
	Message string // what happened, one line, without a full stop
	Hint    string // what is safe to do next, if that is known

	// Problems lists everything that is wrong with the input when Code is
	// CodeInvalid.
	Problems []Problem

	// Stored and Given are the row as it is and as the caller wanted it, both
	// pointers to the entity, when Code is CodeStale. When Code is CodeFenced or
	// CodeNotReady and an agent holds the task, Stored is its *Attempt.
	Stored, Given any

	Err error // the cause, if any
}

// Problem is one thing that is wrong with an input.
type Problem struct {
	Field   string `json:"field,omitempty"`  // a column, or a path in a document: tasks[3].depends_on[0]
	Line    int    `json:"line,omitempty"`   // in a document, from 1; 0 if not known
	Column  int    `json:"column,omitempty"` // in bytes, from 1; 0 if not known
	Message string `json:"message"`
}

func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", p.Line, p.Column)
	}
	if p.Field != "" {
		b.WriteString(p.Field)
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Error returns the message on one line, with its subject, the first of its
// problems and its cause.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Kind != "" && e.ID != "" {
		fmt.Fprintf(&b, "%s %s: ", e.Kind, e.ID)
	} else if e.Kind != "" {
		fmt.Fprintf(&b, "%s: ", e.Kind)
	}
	b.WriteString(e.Message)
	if len(e.Problems) > 0 {
		if e.Message != "" {
			b.WriteString(": ")
		}
		b.WriteString(e.Problems[0].String())
		if more := len(e.Problems) - 1; more > 0 {
			fmt.Fprintf(&b, " (and %d more)", more)
		}
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Retryable reports whether the same call may succeed later, unchanged. After
// CodeUnknown it may have succeeded already: a call with an idempotency key may be
// repeated, and finds out.
func (e *Error) Retryable() bool {
	return e.Code == CodeBusy || e.Code == CodeFull || e.Code == CodeOffline
}

// CodeOf returns the code of the first [Error] in err's chain. A nil error has
// no code, an ended context is CodeCanceled, anything else CodeInternal.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return CodeCanceled
	default:
		return CodeInternal
	}
}

// Errorf returns an [Error] with a code and a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
