// Package contract is the nine tables as a program in Go without Nexus would have
// them: the model and the statements of those that are measured beside it. They
// know the columns of the contract and no others.
package contract

import "github.com/seed-c8812374/nexus/bench/peer"

// Project is a row of projects. Its fields are named so that GORM finds the
// columns by itself; bun is told where it would not.
type Project struct {
	ID            string `bun:",pk"`
	Name          string
	Description   *string
	Mode          string
	Status        string
	RootPath      string
	RepositoryURL *string
	CreatedAt     int64
	UpdatedAt     int64
	CompletedAt   *int64

	Features     []Feature     `bun:"rel:has-many,join:id=project_id"`
	Tasks        []Task        `bun:"rel:has-many,join:id=project_id"`
	Checkpoints  []Checkpoint  `bun:"rel:has-many,join:id=project_id"`
	Requirements []Requirement `bun:"rel:has-many,join:id=project_id"`
	Metrics      []Metric      `bun:"rel:has-many,join:id=project_id"`
	Sessions     []Session     `bun:"rel:has-many,join:id=project_id"`
}

// Feature is a row of features.
type Feature struct {
	ID             string `bun:",pk"`
	ProjectID      string
	Name           string
	Description    *string
	Priority       string
	Status         string
	EstimatedTasks *int64
	CompletedTasks *int64
	CreatedAt      int64
	UpdatedAt      int64

	SubFeatures []SubFeature `bun:"rel:has-many,join:id=feature_id"`
}

// SubFeature is a row of sub_features.
type SubFeature struct {
	ID          string `bun:",pk"`
	FeatureID   string
	Name        string
	Description *string
	Status      string
	CreatedAt   int64
}

// Task is a row of tasks.
type Task struct {
	ID               string `bun:",pk"`
	ProjectID        string
	FeatureID        *string
	SubFeatureID     *string
	Name             string
	Description      *string
	Status           string
	Size             string
	AssignedAgent    *string
	WorktreePath     *string
	BranchName       *string
	DependsOn        *string
	BlockedBy        *string
	QAIterations     *int64 `bun:"qa_iterations"`
	MaxIterations    *int64
	EstimatedMinutes *int64
	ActualMinutes    *int64
	StartedAt        *int64
	CompletedAt      *int64
	CreatedAt        int64
	UpdatedAt        int64
}

// Checkpoint is a row of checkpoints.
type Checkpoint struct {
	ID        string `bun:",pk"`
	ProjectID string
	Name      *string
	Reason    *string
	State     *string
	GitCommit *string
	CreatedAt int64
}

// Requirement is a row of requirements.
type Requirement struct {
	ID             string `bun:",pk"`
	ProjectID      string
	Category       string
	Description    string
	Priority       string
	Source         *string
	LinkedFeatures *string
	Validated      *bool
	CreatedAt      int64
}

// Metric is a row of metrics.
type Metric struct {
	ID        string `bun:",pk"`
	ProjectID string
	AgentID   *string
	TaskID    *string
	Type      string
	Value     float64
	Metadata  *string
	Timestamp int64
}

// Session is a row of sessions.
type Session struct {
	ID        string `bun:",pk"`
	ProjectID string
	Type      string
	Status    string
	Data      *string
	StartedAt int64
	EndedAt   *int64
}

// NewTask is the row of a task to store, with the defaults of the contract.
func NewTask(t *peer.Task, now int64) *Task {
	return &Task{
		ID: t.ID, ProjectID: peer.Project, FeatureID: &t.FeatureID, Name: t.Name, Description: &t.Description,
		Status: "pending", Size: "small", BranchName: &t.BranchName,
		QAIterations: new(int64(0)), MaxIterations: new(int64(50)), EstimatedMinutes: new(int64(15)),
		CreatedAt: now, UpdatedAt: now,
	}
}
