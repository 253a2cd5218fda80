package nexus

import "time"

// Feature is a part of a project that its users would name.
type Feature struct {
	ID             string          `json:"id"`
	ProjectID      string          `json:"project_id"`
	Name           string          `json:"name"`
	Description    string          `json:"description,omitempty"`
	Priority       FeaturePriority `json:"priority"`
	Status         FeatureStatus   `json:"status"`
	EstimatedTasks int             `json:"estimated_tasks"`
	CompletedTasks int             `json:"completed_tasks"`
	CreatedAt      time.Time       `json:"created_at"`
	UpdatedAt      time.Time       `json:"updated_at"`

	// PlanKey is the feature's name in plan documents; unique in the project.
	PlanKey string `json:"plan_key,omitempty"`
	// Revision counts the changes of the row, from 1.
	Revision int64 `json:"revision"`

	// What the feature belongs to and consists of; nil unless asked for.
	Project     *Project     `json:"project,omitempty"`
	SubFeatures []SubFeature `json:"sub_features,omitzero"`
	Tasks       []Task       `json:"tasks,omitzero"`
}

// FeaturePriority is a feature's MoSCoW priority.
type FeaturePriority string

// The priorities of features.
const (
	PriorityMust   FeaturePriority = "must"
	PriorityShould FeaturePriority = "should"
	PriorityCould  FeaturePriority = "could"
	PriorityWont   FeaturePriority = "wont"
)

// FeaturePriorities returns the priorities of features, highest first.
func FeaturePriorities() []FeaturePriority {
	return []FeaturePriority{PriorityMust, PriorityShould, PriorityCould, PriorityWont}
}

// FeatureStatus is where a feature or sub-feature stands.
type FeatureStatus string

// The statuses of features and sub-features that Nexus writes.
const (
	FeatureBacklog     FeatureStatus = "backlog"
	FeaturePlanning    FeatureStatus = "planning"
	FeatureInProgress  FeatureStatus = "in_progress"
	FeatureAIReview    FeatureStatus = "ai_review"
	FeatureHumanReview FeatureStatus = "human_review"
	FeatureDone        FeatureStatus = "done"
)

var featureMachine = machine[FeatureStatus]{
	FeatureBacklog:     {FeaturePlanning, FeatureInProgress, FeatureDone},
	FeaturePlanning:    {FeatureBacklog, FeatureInProgress},
	FeatureInProgress:  {FeatureBacklog, FeaturePlanning, FeatureAIReview, FeatureHumanReview, FeatureDone},
	FeatureAIReview:    {FeatureInProgress, FeatureHumanReview, FeatureDone},
	FeatureHumanReview: {FeatureInProgress, FeatureAIReview, FeatureDone},
	FeatureDone:        {FeatureBacklog, FeatureInProgress},
}

// FeatureStatuses returns the statuses that Nexus writes, sorted.
func FeatureStatuses() []FeatureStatus { return featureMachine.states() }

// Known reports whether Nexus writes this status.
func (s FeatureStatus) Known() bool { return featureMachine.known(s) }

// CanBecome reports whether a feature may go from s to next.
func (s FeatureStatus) CanBecome(next FeatureStatus) bool { return featureMachine.allows(s, next) }

// Next returns the statuses that may follow s, sorted.
func (s FeatureStatus) Next() []FeatureStatus { return featureMachine.next(s) }

// SetDefaults gives a new feature what it needs and does not have: an id,
// priority should, status backlog, and its times.
func (f *Feature) SetDefaults(now time.Time) {
	if f.ID == "" {
		f.ID = NewID(KindFeature, now)
	}
	setDefault(&f.Priority, PriorityShould)
	setDefault(&f.Status, FeatureBacklog)
	setDefault(&f.CreatedAt, seconds(now))
	setDefault(&f.UpdatedAt, f.CreatedAt)
}

func (f *Feature) check() *checker {
	c := new(checker)
	c.id("id", f.ID)
	c.id("project_id", f.ProjectID)
	c.required("name", f.Name)
	c.text("description", f.Description)
	oneOf(c, "priority", f.Priority, FeaturePriorities())
	stateOf(c, "status", f.Status, featureMachine)
	c.atLeastZero("estimated_tasks", f.EstimatedTasks)
	c.atLeastZero("completed_tasks", f.CompletedTasks)
	c.optionalID("plan_key", f.PlanKey)
	c.requiredTime("created_at", f.CreatedAt)
	c.requiredTime("updated_at", f.UpdatedAt)
	return c
}

// Validate returns an [Error] with CodeInvalid that lists everything that is
// wrong with f, or nil.
func (f *Feature) Validate() error { return f.check().invalid(KindFeature, f.ID) }

// ValidateUpdate checks the step from before to f: the fields that differ, and
// the transition of the status.
func (f *Feature) ValidateUpdate(before *Feature) error {
	if err := f.check().invalidSince(before.check, KindFeature, f.ID); err != nil {
		return err
	}
	return transition(featureMachine, KindFeature, f.ID, before.Status, f.Status)
}

// FeatureUpdate changes a feature; a nil field is left as it is, and a pointer
// to a zero value clears the field.
type FeatureUpdate struct {
	// Revision is the revision that the caller has seen; 0 changes whatever is
	// there.
	Revision int64

	Name           *string
	Description    *string
	Priority       *FeaturePriority
	Status         *FeatureStatus
	EstimatedTasks *int
	CompletedTasks *int
	PlanKey        *string
}

// Apply makes the changes.
func (u FeatureUpdate) Apply(f *Feature, now time.Time) {
	set(&f.Name, u.Name)
	set(&f.Description, u.Description)
	set(&f.Priority, u.Priority)
	set(&f.Status, u.Status)
	set(&f.EstimatedTasks, u.EstimatedTasks)
	set(&f.CompletedTasks, u.CompletedTasks)
	set(&f.PlanKey, u.PlanKey)
	f.UpdatedAt = now
}

// FeatureFilter chooses features; a zero field chooses all. OrderBy may be id,
// name, created_at or updated_at.
type FeatureFilter struct {
	Page
	ProjectID string
	Status    []FeatureStatus   // any of these
	Priority  []FeaturePriority // any of these
	PlanKey   string
}
