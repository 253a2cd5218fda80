package nexus

import "time"

// Requirement is something that the project must be or do.
type Requirement struct {
	ID             string              `json:"id"`
	ProjectID      string              `json:"project_id"`
	Category       string              `json:"category"` // one of RequirementCategories, or free text
	Description    string              `json:"description"`
	Priority       RequirementPriority `json:"priority"`
	Source         string              `json:"source,omitempty"`
	LinkedFeatures []string            `json:"linked_features,omitempty"` // ids of features
	Validated      bool                `json:"validated"`
	CreatedAt      time.Time           `json:"created_at"`

	// PlanKey is the requirement's name in plan documents; unique in the
	// project.
	PlanKey string `json:"plan_key,omitempty"`
	// Revision counts the changes of the row, from 1.
	Revision int64 `json:"revision"`
}

// RequirementCategories returns the customary categories.
func RequirementCategories() []string {
	return []string{
		"functional", "non-functional", "technical", "ui", "performance",
		"security", "integration", "testing",
	}
}

// RequirementPriority is how much a requirement matters.
type RequirementPriority string

// RequirementPriorities returns the priorities of requirements, highest first.
func RequirementPriorities() []RequirementPriority {
	return []RequirementPriority{"critical", "high", "medium", "low"}
}

// SetDefaults gives a new requirement what it needs and does not have: an id,
// category functional, priority medium, and its time.
func (r *Requirement) SetDefaults(now time.Time) {
	if r.ID == "" {
		r.ID = NewID(KindRequirement, now)
	}
	setDefault(&r.Category, "functional")
	setDefault(&r.Priority, "medium")
	setDefault(&r.CreatedAt, seconds(now))
}

func (r *Requirement) check() *checker {
	c := new(checker)
	c.id("id", r.ID)
	c.id("project_id", r.ProjectID)
	c.required("category", r.Category)
	c.required("description", r.Description)
	oneOf(c, "priority", r.Priority, RequirementPriorities())
	c.text("source", r.Source)
	c.ids("linked_features", r.LinkedFeatures)
	c.optionalID("plan_key", r.PlanKey)
	c.requiredTime("created_at", r.CreatedAt)
	return c
}

// Validate returns an [Error] with CodeInvalid that lists everything that is
// wrong with r, or nil.
func (r *Requirement) Validate() error { return r.check().invalid(KindRequirement, r.ID) }

// ValidateUpdate checks the step from before to r: the fields that differ.
func (r *Requirement) ValidateUpdate(before *Requirement) error {
	return r.check().invalidSince(before.check, KindRequirement, r.ID)
}

// RequirementUpdate changes a requirement; a nil field is left as it is, and a
// pointer to a zero value clears the field.
type RequirementUpdate struct {
	// Revision is the revision that the caller has seen; 0 changes whatever is
	// there.
	Revision int64

	Category       *string
	Description    *string
	Priority       *RequirementPriority
	Source         *string
	LinkedFeatures *[]string
	Validated      *bool
	PlanKey        *string
}

// Apply makes the changes.
func (u RequirementUpdate) Apply(r *Requirement, _ time.Time) {
	set(&r.Category, u.Category)
	set(&r.Description, u.Description)
	set(&r.Priority, u.Priority)
	set(&r.Source, u.Source)
	set(&r.LinkedFeatures, u.LinkedFeatures)
	set(&r.Validated, u.Validated)
	set(&r.PlanKey, u.PlanKey)
}

// RequirementFilter chooses requirements; a zero field chooses all. OrderBy may
// be id or created_at.
type RequirementFilter struct {
	Page
	ProjectID string
	Category  string
	Priority  []RequirementPriority // any of these
	Validated *bool
	PlanKey   string
}
