package nexus

import "time"

// Project is a piece of software that the agents build or change.
type Project struct {
	ID            string        `json:"id"`
	Name          string        `json:"name"`
	Description   string        `json:"description,omitempty"`
	Mode          ProjectMode   `json:"mode"`
	Status        ProjectStatus `json:"status"`
	RootPath      string        `json:"root_path"`
	RepositoryURL string        `json:"repository_url,omitempty"`
	CreatedAt     time.Time     `json:"created_at"`
	UpdatedAt     time.Time     `json:"updated_at"`
	CompletedAt   time.Time     `json:"completed_at,omitzero"`

	// BudgetTokens and BudgetUSD are what all its tasks may use together, of tokens
	// and of US dollars; 0 is no limit.
	BudgetTokens int64   `json:"budget_tokens,omitempty"`
	BudgetUSD    float64 `json:"budget_usd,omitempty"`

	// PlanKey is the name by which plan documents know the project; unique.
	PlanKey string `json:"plan_key,omitempty"`
	// Revision counts the changes of the row, from 1. Whoever changes it, the
	// database counts.
	Revision int64 `json:"revision"`

	// What belongs to the project; nil unless it was asked for.
	Features     []Feature     `json:"features,omitzero"`
	SubFeatures  []SubFeature  `json:"sub_features,omitzero"`
	Tasks        []Task        `json:"tasks,omitzero"`
	Checkpoints  []Checkpoint  `json:"checkpoints,omitzero"`
	Requirements []Requirement `json:"requirements,omitzero"`
	Metrics      []Metric      `json:"metrics,omitzero"`
	Sessions     []Session     `json:"sessions,omitzero"`
}

// ProjectMode says whether a project starts from nothing.
type ProjectMode string

// The modes. The database refuses any other.
const (
	ModeGenesis   ProjectMode = "genesis"   // new software
	ModeEvolution ProjectMode = "evolution" // existing software
)

// ProjectModes returns the modes.
func ProjectModes() []ProjectMode { return []ProjectMode{ModeGenesis, ModeEvolution} }

// ProjectStatus is where a project stands.
type ProjectStatus string

// The statuses that Nexus writes.
const (
	ProjectPending   ProjectStatus = "pending"
	ProjectPlanning  ProjectStatus = "planning"
	ProjectExecuting ProjectStatus = "executing"
	ProjectPaused    ProjectStatus = "paused"
	ProjectCompleted ProjectStatus = "completed"
	ProjectFailed    ProjectStatus = "failed"
)

var projectMachine = machine[ProjectStatus]{
	ProjectPending:   {ProjectPlanning, ProjectExecuting, ProjectPaused, ProjectFailed},
	ProjectPlanning:  {ProjectPending, ProjectExecuting, ProjectPaused, ProjectFailed},
	ProjectExecuting: {ProjectPlanning, ProjectPaused, ProjectCompleted, ProjectFailed},
	ProjectPaused:    {ProjectPending, ProjectPlanning, ProjectExecuting, ProjectCompleted, ProjectFailed},
	ProjectCompleted: {ProjectPlanning, ProjectExecuting},
	ProjectFailed:    {ProjectPending, ProjectPlanning, ProjectExecuting},
}

// ProjectStatuses returns the statuses that Nexus writes, sorted.
func ProjectStatuses() []ProjectStatus { return projectMachine.states() }

// Known reports whether Nexus writes this status.
func (s ProjectStatus) Known() bool { return projectMachine.known(s) }

// CanBecome reports whether a project may go from s to next.
func (s ProjectStatus) CanBecome(next ProjectStatus) bool { return projectMachine.allows(s, next) }

// Next returns the statuses that may follow s, sorted.
func (s ProjectStatus) Next() []ProjectStatus { return projectMachine.next(s) }

// SetDefaults gives a new project what it needs and does not have: an id, mode
// genesis, status pending, the current folder as its root path, and its times.
func (p *Project) SetDefaults(now time.Time) {
	if p.ID == "" {
		p.ID = NewID(KindProject, now)
	}
	setDefault(&p.Mode, ModeGenesis)
	setDefault(&p.Status, ProjectPending)
	setDefault(&p.RootPath, ".")
	setDefault(&p.CreatedAt, seconds(now))
	setDefault(&p.UpdatedAt, p.CreatedAt)
}

func (p *Project) check() *checker {
	c := new(checker)
	c.id("id", p.ID)
	c.required("name", p.Name)
	c.text("description", p.Description)
	oneOf(c, "mode", p.Mode, ProjectModes())
	stateOf(c, "status", p.Status, projectMachine)
	c.required("root_path", p.RootPath)
	c.text("repository_url", p.RepositoryURL)
	c.budget(p.BudgetTokens, p.BudgetUSD)
	c.optionalID("plan_key", p.PlanKey)
	c.requiredTime("created_at", p.CreatedAt)
	c.requiredTime("updated_at", p.UpdatedAt)
	c.time("completed_at", p.CompletedAt)
	return c
}

// Validate returns an [Error] with CodeInvalid that lists everything that is
// wrong with p, or nil.
func (p *Project) Validate() error { return p.check().invalid(KindProject, p.ID) }

// ValidateUpdate checks the step from before to p: the fields that differ, and
// the transition of the status.
func (p *Project) ValidateUpdate(before *Project) error {
	if err := p.check().invalidSince(before.check, KindProject, p.ID); err != nil {
		return err
	}
	return transition(projectMachine, KindProject, p.ID, before.Status, p.Status)
}

// ProjectUpdate changes a project; a nil field is left as it is, and a pointer
// to a zero value clears the field.
type ProjectUpdate struct {
	// Revision is the revision that the caller has seen; 0 changes whatever is
	// there.
	Revision int64

	Name          *string
	Description   *string
	Mode          *ProjectMode
	Status        *ProjectStatus
	RootPath      *string
	RepositoryURL *string
	CompletedAt   *time.Time
	BudgetTokens  *int64
	BudgetUSD     *float64
	PlanKey       *string
}

// Apply makes the changes. Becoming completed sets CompletedAt, and going on
// after that clears it, unless the update says otherwise.
func (u ProjectUpdate) Apply(p *Project, now time.Time) {
	if u.Status != nil && *u.Status != p.Status {
		p.CompletedAt = time.Time{}
		if *u.Status == ProjectCompleted {
			p.CompletedAt = now
		}
	}
	set(&p.Name, u.Name)
	set(&p.Description, u.Description)
	set(&p.Mode, u.Mode)
	set(&p.Status, u.Status)
	set(&p.RootPath, u.RootPath)
	set(&p.RepositoryURL, u.RepositoryURL)
	set(&p.CompletedAt, u.CompletedAt)
	set(&p.BudgetTokens, u.BudgetTokens)
	set(&p.BudgetUSD, u.BudgetUSD)
	set(&p.PlanKey, u.PlanKey)
	p.UpdatedAt = now
}

// ProjectFilter chooses projects; a zero field chooses all. OrderBy may be id,
// name, created_at or updated_at.
type ProjectFilter struct {
	Page
	Status  []ProjectStatus // any of these
	Mode    ProjectMode
	PlanKey string
}
