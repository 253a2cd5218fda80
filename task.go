package nexus

import (
	"slices"
	"time"
)

// Task is a piece of work for one agent.
type Task struct {
	ID               string       `json:"id"`
	ProjectID        string       `json:"project_id"`
	FeatureID        string       `json:"feature_id,omitempty"`
	SubFeatureID     string       `json:"sub_feature_id,omitempty"`
	Name             string       `json:"name"`
	Description      string       `json:"description,omitempty"`
	Status           TaskStatus   `json:"status"`
	Size             TaskSize     `json:"size"`
	Priority         TaskPriority `json:"priority"`
	AssignedAgent    string       `json:"assigned_agent,omitempty"`
	WorktreePath     string       `json:"worktree_path,omitempty"`
	BranchName       string       `json:"branch_name,omitempty"`
	DependsOn        []string     `json:"depends_on,omitempty"` // ids of tasks
	BlockedBy        string       `json:"blocked_by,omitempty"` // what holds it back, in words
	QAIterations     int          `json:"qa_iterations"`
	MaxIterations    int          `json:"max_iterations"`
	EstimatedMinutes int          `json:"estimated_minutes"`
	ActualMinutes    int          `json:"actual_minutes,omitempty"`
	StartedAt        time.Time    `json:"started_at,omitzero"`
	CompletedAt      time.Time    `json:"completed_at,omitzero"`
	CreatedAt        time.Time    `json:"created_at"`
	UpdatedAt        time.Time    `json:"updated_at"`

	// MaxAttempts is how often agents may fail before a person has to look at
	// the task; FailedAttempts is how often they have, since it was last
	// reopened. An attempt whose lease ran out counts as failed.
	MaxAttempts    int `json:"max_attempts"`
	FailedAttempts int `json:"failed_attempts,omitempty"`

	// BudgetTokens and BudgetUSD are what all attempts at the task may use together,
	// of tokens and of US dollars; 0 is no limit.
	BudgetTokens int64   `json:"budget_tokens,omitempty"`
	BudgetUSD    float64 `json:"budget_usd,omitempty"`

	// Metadata is whatever the caller wants to keep with the task.
	Metadata JSON `json:"metadata,omitempty"`
	// PlanKey is the task's name in plan documents; unique in the project.
	PlanKey string `json:"plan_key,omitempty"`
	// Revision counts the changes of the row, from 1.
	Revision int64 `json:"revision"`

	// What the task belongs to; nil unless asked for.
	Project    *Project    `json:"project,omitempty"`
	Feature    *Feature    `json:"feature,omitempty"`
	SubFeature *SubFeature `json:"sub_feature,omitempty"`
}

// TaskSize is how much work a task is.
type TaskSize string

// The sizes.
const (
	SizeAtomic TaskSize = "atomic"
	SizeSmall  TaskSize = "small"
)

// TaskSizes returns the sizes.
func TaskSizes() []TaskSize { return []TaskSize{SizeAtomic, SizeSmall} }

// TaskPriority orders the tasks that could be done next.
type TaskPriority string

// The priorities of tasks.
const (
	PriorityCritical TaskPriority = "critical"
	PriorityHigh     TaskPriority = "high"
	PriorityMedium   TaskPriority = "medium"
	PriorityLow      TaskPriority = "low"
)

// TaskPriorities returns the priorities of tasks, highest first. The database
// keeps a priority as its place in this list, from 0.
func TaskPriorities() []TaskPriority {
	return []TaskPriority{PriorityCritical, PriorityHigh, PriorityMedium, PriorityLow}
}

// TaskStatus is where a task stands.
type TaskStatus string

// The statuses that Nexus writes.
const (
	TaskPending    TaskStatus = "pending"
	TaskAssigned   TaskStatus = "assigned"
	TaskInProgress TaskStatus = "in_progress"
	TaskBlocked    TaskStatus = "blocked"
	TaskCompleted  TaskStatus = "completed"
	TaskFailed     TaskStatus = "failed"
	TaskSkipped    TaskStatus = "skipped"
	TaskEscalated  TaskStatus = "escalated" // a person has to look at it
)

var taskMachine = machine[TaskStatus]{
	TaskPending:    {TaskAssigned, TaskInProgress, TaskBlocked, TaskCompleted, TaskSkipped, TaskEscalated},
	TaskAssigned:   {TaskPending, TaskInProgress, TaskBlocked, TaskCompleted, TaskFailed, TaskSkipped, TaskEscalated},
	TaskInProgress: {TaskPending, TaskBlocked, TaskCompleted, TaskFailed, TaskSkipped, TaskEscalated},
	TaskBlocked:    {TaskPending, TaskFailed, TaskSkipped, TaskEscalated},
	TaskCompleted:  {TaskPending},
	TaskFailed:     {TaskPending, TaskSkipped, TaskEscalated},
	TaskSkipped:    {TaskPending},
	TaskEscalated:  {TaskPending, TaskCompleted, TaskFailed, TaskSkipped},
}

// TaskStatuses returns the statuses that Nexus writes, sorted.
func TaskStatuses() []TaskStatus { return taskMachine.states() }

// Known reports whether Nexus writes this status.
func (s TaskStatus) Known() bool { return taskMachine.known(s) }

// CanBecome reports whether a task may go from s to next.
func (s TaskStatus) CanBecome(next TaskStatus) bool { return taskMachine.allows(s, next) }

// Next returns the statuses that may follow s, sorted.
func (s TaskStatus) Next() []TaskStatus { return taskMachine.next(s) }

// Ended reports whether nothing more is to be done: the task is completed or
// skipped, so tasks that depend on it may start.
func (s TaskStatus) Ended() bool { return s == TaskCompleted || s == TaskSkipped }

// InFlight reports whether somebody is at work on the task.
func (s TaskStatus) InFlight() bool { return s == TaskAssigned || s == TaskInProgress }

// SetDefaults gives a new task what it needs and does not have: an id, status
// pending, size small, priority medium, 50 iterations and 3 attempts at most, an
// estimate of 15 minutes, and its times, among them those that its status calls
// for. A task that has a time of creation brings its history along; when it was
// started or ended is then not known, unless it says so.
func (t *Task) SetDefaults(now time.Time) {
	if t.ID == "" {
		t.ID = NewID(KindTask, now)
	}
	setDefault(&t.Status, TaskPending)
	setDefault(&t.Size, SizeSmall)
	setDefault(&t.Priority, PriorityMedium)
	setDefault(&t.MaxIterations, 50)
	setDefault(&t.MaxAttempts, 3)
	setDefault(&t.EstimatedMinutes, 15)
	switch {
	case !t.CreatedAt.IsZero():
	case t.Status.Ended():
		setDefault(&t.CompletedAt, seconds(now))
	case t.Status == TaskInProgress:
		setDefault(&t.StartedAt, seconds(now))
	}
	setDefault(&t.CreatedAt, seconds(now))
	setDefault(&t.UpdatedAt, t.CreatedAt)
}

func (t *Task) check() *checker {
	c := new(checker)
	c.id("id", t.ID)
	c.id("project_id", t.ProjectID)
	c.optionalID("feature_id", t.FeatureID)
	c.optionalID("sub_feature_id", t.SubFeatureID)
	c.required("name", t.Name)
	c.text("description", t.Description)
	stateOf(c, "status", t.Status, taskMachine)
	oneOf(c, "size", t.Size, TaskSizes())
	oneOf(c, "priority", t.Priority, TaskPriorities())
	c.optionalID("assigned_agent", t.AssignedAgent)
	c.text("worktree_path", t.WorktreePath)
	c.text("branch_name", t.BranchName)
	c.ids("depends_on", t.DependsOn)
	if slices.Contains(t.DependsOn, t.ID) {
		c.add("depends_on", t.ID, "names the task itself")
	}
	c.text("blocked_by", t.BlockedBy)
	c.atLeastZero("qa_iterations", t.QAIterations)
	c.atLeastZero("max_iterations", t.MaxIterations)
	c.atLeastZero("max_attempts", t.MaxAttempts)
	c.atLeastZero("failed_attempts", t.FailedAttempts)
	c.atLeastZero("estimated_minutes", t.EstimatedMinutes)
	c.atLeastZero("actual_minutes", t.ActualMinutes)
	c.budget(t.BudgetTokens, t.BudgetUSD)
	c.json("metadata", t.Metadata)
	c.optionalID("plan_key", t.PlanKey)
	c.time("started_at", t.StartedAt)
	c.time("completed_at", t.CompletedAt)
	c.requiredTime("created_at", t.CreatedAt)
	c.requiredTime("updated_at", t.UpdatedAt)
	return c
}

// Validate returns an [Error] with CodeInvalid that lists everything that is
// wrong with t, or nil.
func (t *Task) Validate() error { return t.check().invalid(KindTask, t.ID) }

// ValidateUpdate checks the step from before to t: the fields that differ, and
// the transition of the status.
func (t *Task) ValidateUpdate(before *Task) error {
	if err := t.check().invalidSince(before.check, KindTask, t.ID); err != nil {
		return err
	}
	return transition(taskMachine, KindTask, t.ID, before.Status, t.Status)
}

// TaskUpdate changes a task; a nil field is left as it is, and a pointer to a
// zero value clears the field.
type TaskUpdate struct {
	// Revision is the revision that the caller has seen; 0 changes whatever is
	// there.
	Revision int64

	FeatureID        *string
	SubFeatureID     *string
	Name             *string
	Description      *string
	Status           *TaskStatus
	Size             *TaskSize
	Priority         *TaskPriority
	AssignedAgent    *string
	WorktreePath     *string
	BranchName       *string
	DependsOn        *[]string
	AddDependsOn     []string // after DependsOn, if that is given; those that are there are no error
	RemoveDependsOn  []string // likewise; those that are not there are no error
	BlockedBy        *string
	QAIterations     *int
	MaxIterations    *int
	MaxAttempts      *int
	FailedAttempts   *int
	EstimatedMinutes *int
	ActualMinutes    *int
	StartedAt        *time.Time
	CompletedAt      *time.Time
	BudgetTokens     *int64
	BudgetUSD        *float64
	Metadata         *JSON
	PlanKey          *string
}

// Apply makes the changes. The first step into in_progress sets StartedAt,
// becoming completed or skipped sets CompletedAt, and leaving that state clears
// it, unless the update says otherwise. Becoming completed also sets ActualMinutes
// to the time since StartedAt, rounded up, if it has none.
func (u TaskUpdate) Apply(t *Task, now time.Time) {
	if u.Status != nil && *u.Status != t.Status {
		t.CompletedAt = time.Time{}
		switch {
		case u.Status.Ended():
			t.CompletedAt = now
			if *u.Status == TaskCompleted && t.ActualMinutes == 0 && !t.StartedAt.IsZero() {
				t.ActualMinutes = max(0, int((now.Sub(t.StartedAt)+time.Minute-1)/time.Minute))
			}
		case *u.Status == TaskInProgress:
			setDefault(&t.StartedAt, now)
		}
	}
	set(&t.FeatureID, u.FeatureID)
	set(&t.SubFeatureID, u.SubFeatureID)
	set(&t.Name, u.Name)
	set(&t.Description, u.Description)
	set(&t.Status, u.Status)
	set(&t.Size, u.Size)
	set(&t.Priority, u.Priority)
	set(&t.AssignedAgent, u.AssignedAgent)
	set(&t.WorktreePath, u.WorktreePath)
	set(&t.BranchName, u.BranchName)
	set(&t.DependsOn, u.DependsOn)
	t.DependsOn = changeIDs(t.DependsOn, u.AddDependsOn, u.RemoveDependsOn)
	set(&t.BlockedBy, u.BlockedBy)
	set(&t.QAIterations, u.QAIterations)
	set(&t.MaxIterations, u.MaxIterations)
	set(&t.MaxAttempts, u.MaxAttempts)
	set(&t.FailedAttempts, u.FailedAttempts)
	set(&t.EstimatedMinutes, u.EstimatedMinutes)
	set(&t.ActualMinutes, u.ActualMinutes)
	set(&t.StartedAt, u.StartedAt)
	set(&t.CompletedAt, u.CompletedAt)
	set(&t.BudgetTokens, u.BudgetTokens)
	set(&t.BudgetUSD, u.BudgetUSD)
	set(&t.Metadata, u.Metadata)
	set(&t.PlanKey, u.PlanKey)
	t.UpdatedAt = now
}

// changeIDs returns ids with some added and others removed, and leaves ids itself
// alone.
func changeIDs(ids, add, remove []string) []string {
	if len(add) == 0 && len(remove) == 0 {
		return ids
	}
	var changed []string
	for _, id := range slices.Concat(ids, add) {
		if !slices.Contains(remove, id) && !slices.Contains(changed, id) {
			changed = append(changed, id)
		}
	}
	return changed
}

// TaskFilter chooses tasks; a zero field chooses all. OrderBy may be id, name,
// priority, created_at or updated_at.
type TaskFilter struct {
	Page
	ProjectID     string
	FeatureID     string
	SubFeatureID  string
	Status        []TaskStatus   // any of these
	Priority      []TaskPriority // any of these
	AssignedAgent string
	PlanKey       string
}
