package nexus

import (
	"encoding/json"
	"time"
)

// Attempt is one agent's work on a task, from its claim until it ends. While
// EndedAt is zero the agent holds the task.
type Attempt struct {
	// Epoch identifies the attempt. It grows from claim to claim and is never
	// used again, so it fences off an agent that comes back after its task was
	// given to another.
	Epoch   int64  `json:"epoch"`
	TaskID  string `json:"task_id"`
	AgentID string `json:"agent_id"` // empty for a decision that no agent made

	ClaimedAt  time.Time     `json:"claimed_at"`
	LeaseUntil time.Time     `json:"lease_until,omitzero"` // when others may claim the task, unless a sign of life comes
	Lease      time.Duration `json:"-"`                    // by how much a sign of life extends it
	Process    string        `json:"process,omitempty"`    // what runs it, if that is known; see [ClaimRequest]
	Progress   *Progress     `json:"progress,omitempty"`   // the last one reported

	EndedAt  time.Time `json:"ended_at,omitzero"`
	Outcome  Outcome   `json:"outcome,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Evidence *Evidence `json:"evidence,omitempty"`
}

// MarshalJSON writes times to the second, as everywhere.
func (a Attempt) MarshalJSON() ([]byte, error) { return json.Marshal(a.shown()) }

type shownAttempt Attempt // without its MarshalJSON

func (a Attempt) shown() shownAttempt {
	a.ClaimedAt, a.LeaseUntil, a.EndedAt = seconds(a.ClaimedAt), seconds(a.LeaseUntil), seconds(a.EndedAt)
	return shownAttempt(a)
}

// Open reports whether the agent still holds the task.
func (a *Attempt) Open() bool { return a.EndedAt.IsZero() }

// Outcome is how an attempt ended.
type Outcome string

// The outcomes.
const (
	OutcomeCompleted Outcome = "completed"
	OutcomeFailed    Outcome = "failed"
	OutcomeReleased  Outcome = "released"  // given back, or taken by whoever changed the task's status
	OutcomeBlocked   Outcome = "blocked"   // something else has to happen first
	OutcomeSkipped   Outcome = "skipped"   // not to be done after all
	OutcomeEscalated Outcome = "escalated" // a person has to look at it
	OutcomeExpired   Outcome = "expired"   // the agent gave no sign of life
	OutcomeReopened  Outcome = "reopened"  // no attempt, but the decision to do the task again
)

// Progress is what an agent says of its work, for whoever watches it or has to go
// on with it. All of it is optional.
type Progress struct {
	Note       string    `json:"note,omitempty"`
	Percent    int       `json:"percent,omitempty"` // done, from 0 to 100
	LastAction string    `json:"last_action,omitempty"`
	File       string    `json:"file,omitempty"`
	Line       int       `json:"line,omitempty"`
	NextSteps  []string  `json:"next_steps,omitempty"`
	At         time.Time `json:"at,omitzero"` // set when it is stored
}

// Evidence is what shows that a task is done, or how it failed. All of it is
// optional.
type Evidence struct {
	Commit     string   `json:"commit,omitempty"`
	Files      []string `json:"files,omitempty"` // that were changed
	Tests      string   `json:"tests,omitempty"` // their result, in words
	Note       string   `json:"note,omitempty"`
	Output     string   `json:"output,omitempty"` // the end of what the work has printed
	ExitCode   *int     `json:"exit_code,omitempty"`
	DurationMS int64    `json:"duration_ms,omitempty"`
}

// IsZero reports whether there is no evidence.
func (e *Evidence) IsZero() bool {
	return e == nil || e.Commit == "" && len(e.Files) == 0 && e.Tests == "" && e.Note == "" && e.Output == "" &&
		e.ExitCode == nil && e.DurationMS == 0
}

// How long an agent may be silent before others may claim its task.
const (
	DefaultLease = 15 * time.Minute
	MinLease     = time.Second
	MaxLease     = 7 * 24 * time.Hour
)

// AnyEpoch in place of an epoch acts on a task whoever holds it. It is for people
// who take a task away from an agent, not for agents.
const AnyEpoch int64 = -1

// MaxClaims bounds how many tasks one call claims.
const MaxClaims = 1000

// ClaimRequest asks for tasks to work on.
type ClaimRequest struct {
	// AgentID is who asks. An agent that is not known yet is registered, as
	// AgentType or else as a coder.
	AgentID   string
	AgentType AgentType

	// TaskID asks for this task; empty for the best that are ready.
	TaskID string

	// Filter chooses among the ready tasks; its limit does not count.
	Filter ReadyFilter

	// Count is how many tasks are wanted at most; 0 is 1.
	Count int

	// Lease is how long the agent may be silent; 0 is DefaultLease.
	Lease time.Duration

	// Process identifies the operating system's process that does the work, so
	// that recovery can tell that it is gone before the lease is over. Empty if
	// the work does not end with a process.
	Process string
}

// SetDefaults fills in what is 0.
func (r *ClaimRequest) SetDefaults() {
	setDefault(&r.AgentType, AgentCoder)
	setDefault(&r.Count, 1)
	setDefault(&r.Lease, DefaultLease)
}

// Validate returns an [Error] with CodeInvalid that lists everything that is
// wrong with r, or nil.
func (r *ClaimRequest) Validate() error {
	c := new(checker)
	c.id("agent_id", r.AgentID)
	oneOf(c, "agent_type", r.AgentType, AgentTypes())
	c.optionalID("task_id", r.TaskID)
	if r.Count < 1 || r.Count > MaxClaims {
		c.add("count", r.Count, "is %d; it must be from 1 to %d", r.Count, MaxClaims)
	}
	if r.TaskID != "" && r.Count > 1 {
		c.add("count", r.Count, "is %d, but one task is asked for", r.Count)
	}
	c.lease(r.Lease)
	c.text("process", r.Process)
	return c.invalid("", "")
}

func (c *checker) lease(d time.Duration) {
	if d < MinLease || d > MaxLease {
		c.add("lease", d, "is %v; it must be from %v to %v", d, MinLease, MaxLease)
	}
}

// ValidateLease checks the length of a lease; see [ClaimRequest].
func ValidateLease(d time.Duration) error {
	c := new(checker)
	c.lease(d)
	return c.invalid("", "")
}

// Validate returns an [Error] with CodeInvalid that lists everything that is
// wrong with p, or nil.
func (p *Progress) Validate() error {
	c := new(checker)
	c.text("note", p.Note)
	if p.Percent < 0 || p.Percent > 100 {
		c.add("percent", p.Percent, "is %d; it must be from 0 to 100", p.Percent)
	}
	c.text("last_action", p.LastAction)
	c.text("file", p.File)
	c.atLeastZero("line", p.Line)
	c.texts("next_steps", p.NextSteps)
	return c.invalid("", "")
}

// Validate returns an [Error] with CodeInvalid that lists everything that is
// wrong with e, or nil.
func (e *Evidence) Validate() error {
	c := new(checker)
	c.text("commit", e.Commit)
	c.texts("files", e.Files)
	c.text("tests", e.Tests)
	c.text("note", e.Note)
	c.text("output", e.Output)
	return c.invalid("", "")
}

// ValidateReason checks the reason for a decision.
func ValidateReason(reason string) error {
	c := new(checker)
	c.text("reason", reason)
	return c.invalid("", "")
}

// Claim is a task that an agent has been given.
type Claim struct {
	Attempt
	Task *Task `json:"task"`
}

// MarshalJSON writes the fields of the attempt and the task.
func (c Claim) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		shownAttempt
		Task *Task `json:"task"`
	}{c.shown(), c.Task})
}

// ReadyFilter chooses among the tasks that are ready; a zero field chooses all.
// They come by priority, and within one by age.
type ReadyFilter struct {
	ProjectID    string
	FeatureID    string
	SubFeatureID string
	Priority     []TaskPriority // any of these
	Size         []TaskSize     // any of these
	Limit        int            // the largest number of tasks; 0 is no limit
}

// Explanation says why a task is or is not ready to be claimed.
type Explanation struct {
	TaskID string     `json:"task_id"`
	Name   string     `json:"name"`
	Status TaskStatus `json:"status"`
	Ready  bool       `json:"ready"`
	// Reasons are what holds the task itself back.
	Reasons []Reason `json:"reasons"`
	// RootCauses are what has to happen first of all: the reasons of the tasks
	// that it waits for, directly or not, and that wait for no other.
	RootCauses []Reason `json:"root_causes"`
}

// Reason is one thing that holds a task back.
type Reason struct {
	Cause   Cause      `json:"cause"`
	TaskID  string     `json:"task_id"` // the task that it is about
	Name    string     `json:"name,omitempty"`
	Status  TaskStatus `json:"status,omitempty"`
	Message string     `json:"message"`
	// Path leads from the task in question to this one, along dependencies.
	Path []string `json:"path,omitempty"`
}

// Cause is a kind of [Reason].
type Cause string

// The causes.
const (
	CauseDependency Cause = "dependency" // a task that it depends on has not ended
	CauseMissing    Cause = "missing"    // a task that it depends on does not exist
	CauseCycle      Cause = "cycle"      // it waits for itself
	CauseUnclaimed  Cause = "unclaimed"  // it is ready, and nobody has claimed it yet
	CauseClaimed    Cause = "claimed"    // an agent is at work on it
	CauseBlocked    Cause = "blocked"    // somebody has blocked it
	CauseStatus     Cause = "status"     // its status says that it is not to be done, or not now
	CauseProject    Cause = "project"    // its project is paused or over
	CauseBudget     Cause = "budget"     // its budget, or that of its project, is used up
)
