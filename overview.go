package nexus

import "time"

// MostReady bounds how many ready tasks an [Overview] counts.
const MostReady = 1000

// Overview is what is going on, all of one moment.
type Overview struct {
	At          time.Time `json:"at"`
	ProjectID   string    `json:"project_id,omitempty"` // of which it is; empty for all
	ProjectName string    `json:"project_name,omitempty"`

	// TasksTotal is how many tasks there are, TasksOpen how many of them have not
	// ended. TasksByStatus leaves out the statuses that no task has.
	TasksTotal    int64                `json:"tasks_total"`
	TasksOpen     int64                `json:"tasks_open"`
	TasksByStatus map[TaskStatus]int64 `json:"by_status"`

	// Ready is how many tasks can be claimed now, counted up to MostReady.
	Ready int `json:"ready"`

	// InFlight are the tasks that somebody is at work on. Those that an agent holds
	// come first, and of them the one whose lease ends first.
	InFlight []Work `json:"in_flight"`

	// Agents are those that are not terminated, in the order of their ids; of a
	// project those that hold one of its tasks.
	Agents []AgentState `json:"agents"`

	// Features are in the order of their ids.
	Features []FeatureProgress `json:"features"`

	// How many attempts have ended within the last minute and hour, of the newest
	// 5,000. What is done without a claim does not count. An attempt whose lease ran
	// out has failed.
	CompletedMinute int64 `json:"completed_minute"`
	CompletedHour   int64 `json:"completed_hour"`
	FailedHour      int64 `json:"failed_hour"`

	// What the metrics of type cost_usd and token_usage add up to.
	CostUSD float64 `json:"cost_usd"`
	Tokens  float64 `json:"tokens"`

	// The budgets of the project; 0 is none.
	BudgetTokens int64   `json:"budget_tokens,omitempty"`
	BudgetUSD    float64 `json:"budget_usd,omitempty"`
}

// Spending is what the overview says of the budget.
func (o *Overview) Spending() *Spending {
	return &Spending{Tokens: o.Tokens, USD: o.CostUSD, BudgetTokens: o.BudgetTokens, BudgetUSD: o.BudgetUSD}
}

// Work is a task that somebody is at work on.
type Work struct {
	TaskID     string     `json:"task_id"`
	Name       string     `json:"name"` // its first 200 characters
	Status     TaskStatus `json:"status"`
	ProjectID  string     `json:"project_id"`
	FeatureID  string     `json:"feature_id,omitempty"`
	AgentID    string     `json:"agent_id,omitempty"`
	Epoch      int64      `json:"epoch,omitempty"` // 0 if it was not claimed: another program says that it is in flight
	Since      time.Time  `json:"since,omitzero"`
	LeaseUntil time.Time  `json:"lease_until,omitzero"` // zero if it was not claimed
	Progress   *Progress  `json:"progress,omitempty"`   // the last one reported
}

// AgentState is an agent and how it is doing.
type AgentState struct {
	ID             string      `json:"id"`
	Type           AgentType   `json:"type"`
	Status         AgentStatus `json:"status"`
	Holds          []string    `json:"holds"` // ids of tasks
	TasksCompleted int         `json:"tasks_completed"`
	TasksFailed    int         `json:"tasks_failed"`
	TokensUsed     int64       `json:"tokens_used"`
	LastActivityAt time.Time   `json:"last_activity_at"`
}

// FeatureProgress is a feature and how far its tasks are.
type FeatureProgress struct {
	ID        string        `json:"id"`
	ProjectID string        `json:"project_id"`
	Name      string        `json:"name"` // its first 200 characters
	Status    FeatureStatus `json:"status"`
	Total     int64         `json:"total"`     // tasks
	Open      int64         `json:"open"`      // of them that have not ended
	Completed int64         `json:"completed"` // of them that are completed; the rest were skipped
}
