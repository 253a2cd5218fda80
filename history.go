package nexus

import (
	"fmt"
	"time"
)

// Change is a change of a row, as the history has it. Changes of metrics and signs
// of life are not in the history: they are a log themselves. A difference between two
// states, or one that is yet to be made, has neither number, time nor operation.
type Change struct {
	Seq       int64      `json:"seq,omitempty"` // changes are numbered in their order; numbers may be missing
	At        time.Time  `json:"at,omitzero"`   // to the microsecond, by the clock of who made it
	Change    ChangeType `json:"change"`
	Kind      Kind       `json:"kind"`
	ID        string     `json:"id"`
	ProjectID string     `json:"project_id,omitempty"` // empty if it has none, or is not known

	// Operation is the number of the first change of the transaction, by which it can
	// be undone; Name is what it was, such as "claim", and Actor who made it. Those two
	// are empty for changes that another program made.
	Operation int64  `json:"operation,omitempty"`
	Name      string `json:"name,omitempty"`
	Actor     string `json:"actor,omitempty"`

	// Fields are what it changed, in the order of the columns.
	Fields []FieldChange `json:"fields"`

	// Before and After are the row, as a pointer to the entity, or nil.
	Before any `json:"-"`
	After  any `json:"-"`
}

// FieldChange is a field before and after a change, as in the JSON of the entity. A
// field that was or is not there is null.
type FieldChange struct {
	Field string `json:"field"`
	From  JSON   `json:"from"`
	To    JSON   `json:"to"`
}

// ChangeType says what happened to a row.
type ChangeType string

// The types of changes.
const (
	ChangeInsert  ChangeType = "insert"
	ChangeUpdate  ChangeType = "update"
	ChangeDelete  ChangeType = "delete"
	ChangeReplace ChangeType = "replace" // by another row with its id
)

// HistoryFilter chooses changes; a zero field chooses all.
type HistoryFilter struct {
	Kind      Kind
	ID        string // with a Kind
	ProjectID string
	Actor     string
	Name      string // of the operation
	Operation int64

	After  int64 // only changes with higher numbers
	Before int64 // only changes with lower numbers
	Since  time.Time

	Newest bool // newest first
	Limit  int
}

// UndoRequest says what is to be undone: one operation, or all that somebody has
// done since.
type UndoRequest struct {
	Operation int64 // of a Change
	Actor     string
	Since     time.Time // with an Actor

	Force  bool // also what others have changed since
	DryRun bool // find out what would happen
}

// Undone says what undoing has done, or would do.
type Undone struct {
	Operations []int64    `json:"operations"` // that were undone
	Changes    []Change   `json:"changes"`    // of the rows, from what they are to what they become
	Conflicts  []Conflict `json:"conflicts"`  // what others have changed since; overwritten if it was forced
	Requeued   []string   `json:"requeued"`   // tasks that would be in flight, and are pending
	DryRun     bool       `json:"dry_run,omitempty"`
}

// Refused says that there are conflicts, as the undoing of it does without force.
func (u *Undone) Refused() error {
	first := u.Conflicts[0]
	e := &Error{
		Code: CodeStale, Kind: first.Kind, ID: first.ID, Message: first.Reason, Stored: u,
		Hint: "nothing was changed; --force overwrites what others did",
	}
	if first.Field != "" {
		e.Message = first.Field + ": " + first.Reason
	}
	if len(u.Conflicts) == 1 {
		return e
	}
	e.Kind, e.ID, e.Message = "", "", fmt.Sprintf("there are %d conflicts", len(u.Conflicts))
	for _, c := range u.Conflicts {
		field := string(c.Kind) + " " + c.ID
		if c.Field != "" {
			field += ", " + c.Field
		}
		e.Problems = append(e.Problems, Problem{Field: field, Message: c.Reason})
	}
	return e
}

// Conflict is a row that others have changed since.
type Conflict struct {
	Kind   Kind   `json:"kind"`
	ID     string `json:"id"`
	Field  string `json:"field,omitempty"` // empty if it is about the whole row
	Reason string `json:"reason"`
}
