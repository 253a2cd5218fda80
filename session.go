package nexus

import "time"

// Session is a stretch of conversation or work, such as the interview that finds
// out what to build.
type Session struct {
	ID        string        `json:"id"`
	ProjectID string        `json:"project_id"`
	Type      SessionType   `json:"type"`
	Status    SessionStatus `json:"status"`
	Data      JSON          `json:"data,omitempty"`
	StartedAt time.Time     `json:"started_at"`
	EndedAt   time.Time     `json:"ended_at,omitzero"`

	// Revision counts the changes of the row, from 1.
	Revision int64 `json:"revision"`
}

// SessionType is what a session is for.
type SessionType string

// The types that Nexus writes.
const (
	SessionInterview SessionType = "interview"
	SessionPlanning  SessionType = "planning"
	SessionExecution SessionType = "execution"
	SessionReview    SessionType = "review"
)

// SessionTypes returns the types that Nexus writes.
func SessionTypes() []SessionType {
	return []SessionType{SessionInterview, SessionPlanning, SessionExecution, SessionReview}
}

// SessionStatus is where a session stands.
type SessionStatus string

// The statuses that Nexus writes.
const (
	SessionActive    SessionStatus = "active"
	SessionPaused    SessionStatus = "paused"
	SessionCompleted SessionStatus = "completed"
	SessionAbandoned SessionStatus = "abandoned"
)

var sessionMachine = machine[SessionStatus]{
	SessionActive:    {SessionPaused, SessionCompleted, SessionAbandoned},
	SessionPaused:    {SessionActive, SessionCompleted, SessionAbandoned},
	SessionCompleted: {},
	SessionAbandoned: {},
}

// SessionStatuses returns the statuses that Nexus writes, sorted.
func SessionStatuses() []SessionStatus { return sessionMachine.states() }

// Known reports whether Nexus writes this status.
func (s SessionStatus) Known() bool { return sessionMachine.known(s) }

// CanBecome reports whether a session may go from s to next.
func (s SessionStatus) CanBecome(next SessionStatus) bool { return sessionMachine.allows(s, next) }

// Next returns the statuses that may follow s, sorted.
func (s SessionStatus) Next() []SessionStatus { return sessionMachine.next(s) }

// SetDefaults gives a new session what it needs and does not have: an id, type
// execution, status active, and its time.
func (s *Session) SetDefaults(now time.Time) {
	if s.ID == "" {
		s.ID = NewID(KindSession, now)
	}
	setDefault(&s.Type, SessionExecution)
	setDefault(&s.Status, SessionActive)
	setDefault(&s.StartedAt, seconds(now))
}

func (s *Session) check() *checker {
	c := new(checker)
	c.id("id", s.ID)
	c.id("project_id", s.ProjectID)
	oneOf(c, "type", s.Type, SessionTypes())
	stateOf(c, "status", s.Status, sessionMachine)
	c.json("data", s.Data)
	c.requiredTime("started_at", s.StartedAt)
	c.time("ended_at", s.EndedAt)
	return c
}

// Validate returns an [Error] with CodeInvalid that lists everything that is
// wrong with s, or nil.
func (s *Session) Validate() error { return s.check().invalid(KindSession, s.ID) }

// ValidateUpdate checks the step from before to s: the fields that differ, and
// the transition of the status.
func (s *Session) ValidateUpdate(before *Session) error {
	if err := s.check().invalidSince(before.check, KindSession, s.ID); err != nil {
		return err
	}
	return transition(sessionMachine, KindSession, s.ID, before.Status, s.Status)
}

// SessionUpdate changes a session; a nil field is left as it is, and a pointer
// to a zero value clears the field.
type SessionUpdate struct {
	// Revision is the revision that the caller has seen; 0 changes whatever is
	// there.
	Revision int64

	Type    *SessionType
	Status  *SessionStatus
	Data    *JSON
	EndedAt *time.Time
}

// Apply makes the changes. Becoming completed or abandoned sets EndedAt, unless
// the update says otherwise.
func (u SessionUpdate) Apply(s *Session, now time.Time) {
	if u.Status != nil && *u.Status != s.Status {
		s.EndedAt = time.Time{}
		if *u.Status == SessionCompleted || *u.Status == SessionAbandoned {
			s.EndedAt = now
		}
	}
	set(&s.Type, u.Type)
	set(&s.Status, u.Status)
	set(&s.Data, u.Data)
	set(&s.EndedAt, u.EndedAt)
}

// SessionFilter chooses sessions; a zero field chooses all. OrderBy may be id or
// started_at.
type SessionFilter struct {
	Page
	ProjectID string
	Type      []SessionType   // any of these
	Status    []SessionStatus // any of these
}
