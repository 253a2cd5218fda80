package nexus

import "time"

// SubFeature is a part of a feature. It has the statuses of a feature.
type SubFeature struct {
	ID          string        `json:"id"`
	FeatureID   string        `json:"feature_id"`
	Name        string        `json:"name"`
	Description string        `json:"description,omitempty"`
	Status      FeatureStatus `json:"status"`
	CreatedAt   time.Time     `json:"created_at"`

	// PlanKey is the sub-feature's name in plan documents; unique in the
	// feature.
	PlanKey string `json:"plan_key,omitempty"`
	// Revision counts the changes of the row, from 1.
	Revision int64 `json:"revision"`

	// What the sub-feature belongs to and consists of; nil unless asked for.
	Feature *Feature `json:"feature,omitempty"`
	Tasks   []Task   `json:"tasks,omitzero"`
}

// SetDefaults gives a new sub-feature what it needs and does not have: an id,
// status backlog, and its time.
func (s *SubFeature) SetDefaults(now time.Time) {
	if s.ID == "" {
		s.ID = NewID(KindSubFeature, now)
	}
	setDefault(&s.Status, FeatureBacklog)
	setDefault(&s.CreatedAt, seconds(now))
}

func (s *SubFeature) check() *checker {
	c := new(checker)
	c.id("id", s.ID)
	c.id("feature_id", s.FeatureID)
	c.required("name", s.Name)
	c.text("description", s.Description)
	stateOf(c, "status", s.Status, featureMachine)
	c.optionalID("plan_key", s.PlanKey)
	c.requiredTime("created_at", s.CreatedAt)
	return c
}

// Validate returns an [Error] with CodeInvalid that lists everything that is
// wrong with s, or nil.
func (s *SubFeature) Validate() error { return s.check().invalid(KindSubFeature, s.ID) }

// ValidateUpdate checks the step from before to s: the fields that differ, and
// the transition of the status.
func (s *SubFeature) ValidateUpdate(before *SubFeature) error {
	if err := s.check().invalidSince(before.check, KindSubFeature, s.ID); err != nil {
		return err
	}
	return transition(featureMachine, KindSubFeature, s.ID, before.Status, s.Status)
}

// SubFeatureUpdate changes a sub-feature; a nil field is left as it is, and a
// pointer to a zero value clears the field.
type SubFeatureUpdate struct {
	// Revision is the revision that the caller has seen; 0 changes whatever is
	// there.
	Revision int64

	Name        *string
	Description *string
	Status      *FeatureStatus
	PlanKey     *string
}

// Apply makes the changes.
func (u SubFeatureUpdate) Apply(s *SubFeature, _ time.Time) {
	set(&s.Name, u.Name)
	set(&s.Description, u.Description)
	set(&s.Status, u.Status)
	set(&s.PlanKey, u.PlanKey)
}

// SubFeatureFilter chooses sub-features; a zero field chooses all. OrderBy may
// be id, name or created_at.
type SubFeatureFilter struct {
	Page
	ProjectID string // of the feature
	FeatureID string
	Status    []FeatureStatus // any of these
	PlanKey   string
}
