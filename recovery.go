package nexus

import (
	"encoding/json"
	"time"
)

// RecoverRequest says whose work is to be taken back. Its zero value is that of
// agents whose lease is over.
type RecoverRequest struct {
	// Dead, if not nil, reports whether a process that an attempt names is
	// certainly gone; see [ClaimRequest].
	Dead func(process string) bool

	// AgentIDs are agents that the caller knows to be dead.
	AgentIDs []string

	// All says that no agent is alive, as after a restart of the machine.
	All bool

	// DryRun reports what would be done, and does nothing.
	DryRun bool
}

// Recovery is what [RecoverRequest] has brought about.
type Recovery struct {
	DryRun bool `json:"dry_run,omitempty"`

	// Tasks are those that were in flight and have been taken back.
	Tasks []RecoveredTask `json:"tasks"`
	// Agents are those that held them, and are dead.
	Agents []DeadAgent `json:"agents"`
	// Sessions were active in projects in which nobody is at work any more,
	// and have been paused.
	Sessions []PausedSession `json:"sessions"`

	// InFlight is how many tasks are left to agents that are alive.
	InFlight int `json:"in_flight"`
	// Silent are agents that call themselves busy, hold no task, and have given
	// no sign of life for [DefaultLease]. Nothing is done about them.
	Silent []string `json:"silent,omitempty"`
	// MendedLeases counts leases from a clock that was ahead; they now end as
	// long from now as they are.
	MendedLeases int `json:"mended_leases"`
}

// Empty reports whether nothing had to be done.
func (r *Recovery) Empty() bool {
	return len(r.Tasks) == 0 && len(r.Agents) == 0 && len(r.Sessions) == 0 && r.MendedLeases == 0
}

// RecoveredTask is a task that was taken from an agent.
type RecoveredTask struct {
	TaskID    string     `json:"task_id"`
	Name      string     `json:"name"`
	AgentID   string     `json:"agent_id,omitempty"`
	Epoch     int64      `json:"epoch,omitempty"` // of the attempt; 0 if it was in flight without a claim
	ClaimedAt time.Time  `json:"claimed_at,omitzero"`
	LastSign  time.Time  `json:"last_sign_of_life,omitzero"`
	Became    TaskStatus `json:"became"` // pending, or escalated when its attempts are used up
	Reason    string     `json:"reason"`
	Progress  *Progress  `json:"progress,omitempty"`
}

// MarshalJSON writes times to the second, as everywhere.
func (t RecoveredTask) MarshalJSON() ([]byte, error) {
	type shown RecoveredTask // without its MarshalJSON
	t.ClaimedAt, t.LastSign = seconds(t.ClaimedAt), seconds(t.LastSign)
	return json.Marshal(shown(t))
}

// DeadAgent is an agent that has been terminated.
type DeadAgent struct {
	AgentID  string    `json:"agent_id"`
	LastSign time.Time `json:"last_sign_of_life,omitzero"`
	Reason   string    `json:"reason"`
}

// MarshalJSON writes times to the second, as everywhere.
func (a DeadAgent) MarshalJSON() ([]byte, error) {
	type shown DeadAgent // without its MarshalJSON
	a.LastSign = seconds(a.LastSign)
	return json.Marshal(shown(a))
}

// PausedSession is a session that has been paused.
type PausedSession struct {
	SessionID string      `json:"session_id"`
	ProjectID string      `json:"project_id"`
	Type      SessionType `json:"type"`
}
