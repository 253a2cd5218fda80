package nexus

import (
	"encoding/json"
	"time"
)

// SessionEntry is a line of a session's log: what somebody said, did or decided.
// Entries are appended and never change.
type SessionEntry struct {
	SessionID string    `json:"session_id"`
	Number    int64     `json:"number"` // within its session, from 1
	At        time.Time `json:"at"`     // set when it is stored
	Kind      string    `json:"kind"`   // EntryMessage, EntryDecision, EntryNote, or any other word
	Author    string    `json:"author,omitempty"`
	Text      string    `json:"text"`
}

// The kinds of entries that Nexus knows. A decision is what an agent that comes
// later has to know.
const (
	EntryMessage  = "message"
	EntryDecision = "decision"
	EntryNote     = "note"
)

// MarshalJSON writes times to the second, as everywhere.
func (e SessionEntry) MarshalJSON() ([]byte, error) {
	type shown SessionEntry // without its MarshalJSON
	e.At = seconds(e.At)
	return json.Marshal(shown(e))
}

// SetDefaults makes an entry without a kind a message.
func (e *SessionEntry) SetDefaults() { setDefault(&e.Kind, EntryMessage) }

// Validate returns an [Error] with CodeInvalid that lists everything that is
// wrong with e, or nil.
func (e *SessionEntry) Validate() error {
	c := new(checker)
	c.required("kind", e.Kind)
	c.text("author", e.Author)
	c.required("text", e.Text)
	return c.invalid(KindSession, e.SessionID)
}

// SessionLogFilter chooses entries of a session; a zero field chooses all. They
// come in the order in which they were appended.
type SessionLogFilter struct {
	Kind  []string // any of these
	After int64    // numbers greater than this
	Last  int      // at most so many, the newest
}
