package nexus

import "time"

// Agent is a program that works on tasks.
type Agent struct {
	ID                string      `json:"id"`
	Type              AgentType   `json:"type"`
	Status            AgentStatus `json:"status"`
	CurrentTaskID     string      `json:"current_task_id,omitempty"`
	WorktreePath      string      `json:"worktree_path,omitempty"`
	BranchName        string      `json:"branch_name,omitempty"`
	TokensUsed        int64       `json:"tokens_used"`
	TasksCompleted    int         `json:"tasks_completed"`
	TasksFailed       int         `json:"tasks_failed"`
	SpawnedAt         time.Time   `json:"spawned_at"`
	LastActivityAt    time.Time   `json:"last_activity_at"`
	TerminatedAt      time.Time   `json:"terminated_at,omitzero"`
	TerminationReason string      `json:"termination_reason,omitempty"`

	// Revision counts the changes of the row, from 1.
	Revision int64 `json:"revision"`
}

// AgentType is what an agent does.
type AgentType string

// The types that Nexus writes.
const (
	AgentPlanner  AgentType = "planner"
	AgentCoder    AgentType = "coder"
	AgentTester   AgentType = "tester"
	AgentReviewer AgentType = "reviewer"
	AgentMerger   AgentType = "merger"
)

// AgentTypes returns the types that Nexus writes.
func AgentTypes() []AgentType {
	return []AgentType{AgentPlanner, AgentCoder, AgentTester, AgentReviewer, AgentMerger}
}

// AgentStatus is what an agent is doing.
type AgentStatus string

// The statuses that Nexus writes.
const (
	AgentIdle       AgentStatus = "idle"
	AgentAssigned   AgentStatus = "assigned"
	AgentWorking    AgentStatus = "working"
	AgentWaiting    AgentStatus = "waiting"
	AgentError      AgentStatus = "error"
	AgentTerminated AgentStatus = "terminated"
)

var agentMachine = machine[AgentStatus]{
	AgentIdle:       {AgentAssigned, AgentWorking, AgentWaiting, AgentError, AgentTerminated},
	AgentAssigned:   {AgentIdle, AgentWorking, AgentWaiting, AgentError, AgentTerminated},
	AgentWorking:    {AgentIdle, AgentAssigned, AgentWaiting, AgentError, AgentTerminated},
	AgentWaiting:    {AgentIdle, AgentAssigned, AgentWorking, AgentError, AgentTerminated},
	AgentError:      {AgentIdle, AgentTerminated},
	AgentTerminated: {AgentIdle}, // started again under the same name
}

// AgentStatuses returns the statuses that Nexus writes, sorted.
func AgentStatuses() []AgentStatus { return agentMachine.states() }

// Known reports whether Nexus writes this status.
func (s AgentStatus) Known() bool { return agentMachine.known(s) }

// CanBecome reports whether an agent may go from s to next.
func (s AgentStatus) CanBecome(next AgentStatus) bool { return agentMachine.allows(s, next) }

// Next returns the statuses that may follow s, sorted.
func (s AgentStatus) Next() []AgentStatus { return agentMachine.next(s) }

// SetDefaults gives a new agent what it needs and does not have: an id, type
// coder, status idle, and its times.
func (a *Agent) SetDefaults(now time.Time) {
	if a.ID == "" {
		a.ID = NewID(KindAgent, now)
	}
	setDefault(&a.Type, AgentCoder)
	setDefault(&a.Status, AgentIdle)
	setDefault(&a.SpawnedAt, seconds(now))
	setDefault(&a.LastActivityAt, a.SpawnedAt)
}

func (a *Agent) check() *checker {
	c := new(checker)
	c.id("id", a.ID)
	oneOf(c, "type", a.Type, AgentTypes())
	stateOf(c, "status", a.Status, agentMachine)
	c.optionalID("current_task_id", a.CurrentTaskID)
	c.text("worktree_path", a.WorktreePath)
	c.text("branch_name", a.BranchName)
	c.atLeastZero("tokens_used", int(a.TokensUsed))
	c.atLeastZero("tasks_completed", a.TasksCompleted)
	c.atLeastZero("tasks_failed", a.TasksFailed)
	c.text("termination_reason", a.TerminationReason)
	c.requiredTime("spawned_at", a.SpawnedAt)
	c.requiredTime("last_activity_at", a.LastActivityAt)
	c.time("terminated_at", a.TerminatedAt)
	return c
}

// Validate returns an [Error] with CodeInvalid that lists everything that is
// wrong with a, or nil.
func (a *Agent) Validate() error { return a.check().invalid(KindAgent, a.ID) }

// ValidateUpdate checks the step from before to a: the fields that differ, and
// the transition of the status.
func (a *Agent) ValidateUpdate(before *Agent) error {
	if err := a.check().invalidSince(before.check, KindAgent, a.ID); err != nil {
		return err
	}
	return transition(agentMachine, KindAgent, a.ID, before.Status, a.Status)
}

// AgentUpdate changes an agent; a nil field is left as it is, and a pointer to
// a zero value clears the field.
type AgentUpdate struct {
	// Revision is the revision that the caller has seen; 0 changes whatever is
	// there.
	Revision int64

	Type              *AgentType
	Status            *AgentStatus
	CurrentTaskID     *string
	WorktreePath      *string
	BranchName        *string
	TokensUsed        *int64
	TasksCompleted    *int
	TasksFailed       *int
	LastActivityAt    *time.Time
	TerminatedAt      *time.Time
	TerminationReason *string
}

// Apply makes the changes, and takes them for a sign of life. Becoming
// terminated sets TerminatedAt, and starting again clears it and its reason,
// unless the update says otherwise.
func (u AgentUpdate) Apply(a *Agent, now time.Time) {
	if u.Status != nil && *u.Status != a.Status {
		switch {
		case *u.Status == AgentTerminated:
			a.TerminatedAt = now
		case a.Status == AgentTerminated:
			a.TerminatedAt, a.TerminationReason = time.Time{}, ""
		}
	}
	a.LastActivityAt = now
	set(&a.Type, u.Type)
	set(&a.Status, u.Status)
	set(&a.CurrentTaskID, u.CurrentTaskID)
	set(&a.WorktreePath, u.WorktreePath)
	set(&a.BranchName, u.BranchName)
	set(&a.TokensUsed, u.TokensUsed)
	set(&a.TasksCompleted, u.TasksCompleted)
	set(&a.TasksFailed, u.TasksFailed)
	set(&a.LastActivityAt, u.LastActivityAt)
	set(&a.TerminatedAt, u.TerminatedAt)
	set(&a.TerminationReason, u.TerminationReason)
}

// AgentFilter chooses agents; a zero field chooses all. OrderBy may be id,
// spawned_at or last_activity_at.
type AgentFilter struct {
	Page
	Type   []AgentType   // any of these
	Status []AgentStatus // any of these
}
