package nexus

// GraphFilter chooses the tasks of a [TaskGraph]; a zero field chooses all.
type GraphFilter struct {
	ProjectID    string
	FeatureID    string
	SubFeatureID string
	Open         bool // only tasks that have not ended, and what they still wait for
}

// TaskGraph is tasks and which of them wait for which, all of one moment.
type TaskGraph struct {
	// Nodes are the chosen tasks in the order of their ids, and after them, in the
	// same order, what they depend on outside of the choice.
	Nodes []TaskNode `json:"nodes"`
	// Edges are the dependencies of the chosen tasks, in the order of their ids.
	Edges []TaskEdge `json:"edges"`
}

// TaskNode is a task in a [TaskGraph].
type TaskNode struct {
	ID               string     `json:"id"`
	Name             string     `json:"name,omitempty"`
	Status           TaskStatus `json:"status,omitempty"`
	ProjectID        string     `json:"project_id,omitempty"`
	FeatureID        string     `json:"feature_id,omitempty"`
	EstimatedMinutes int        `json:"estimated_minutes"`

	Ready   bool `json:"ready,omitempty"`   // it can be claimed; only known of chosen tasks
	Outside bool `json:"outside,omitempty"` // it was not chosen, but a chosen task depends on it
	Missing bool `json:"missing,omitempty"` // outside, because there is no such task
}

// TaskEdge is a dependency of one task on another.
type TaskEdge struct {
	TaskID    string `json:"task_id"`
	DependsOn string `json:"depends_on"`
}
