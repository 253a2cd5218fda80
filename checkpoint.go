package nexus

import "time"

// Checkpoint is a point in a project's history to go back to.
type Checkpoint struct {
	ID        string    `json:"id"`
	ProjectID string    `json:"project_id"`
	Name      string    `json:"name,omitempty"`
	Reason    string    `json:"reason,omitempty"` // one of CheckpointReasons, or free text
	State     JSON      `json:"state,omitempty"`
	GitCommit string    `json:"git_commit,omitempty"`
	CreatedAt time.Time `json:"created_at"`

	// Revision counts the changes of the row, from 1.
	Revision int64 `json:"revision"`
}

// CheckpointReasons returns the customary reasons.
func CheckpointReasons() []string {
	return []string{
		"phase_complete", "feature_complete", "task_failed", "qa_exhausted",
		"human_request", "scheduled", "before_restore",
	}
}

// SetDefaults gives a new checkpoint what it needs and does not have: an id and
// its time.
func (p *Checkpoint) SetDefaults(now time.Time) {
	if p.ID == "" {
		p.ID = NewID(KindCheckpoint, now)
	}
	setDefault(&p.CreatedAt, seconds(now))
}

func (p *Checkpoint) check() *checker {
	c := new(checker)
	c.id("id", p.ID)
	c.id("project_id", p.ProjectID)
	c.text("name", p.Name)
	c.text("reason", p.Reason)
	c.json("state", p.State)
	c.text("git_commit", p.GitCommit)
	c.requiredTime("created_at", p.CreatedAt)
	return c
}

// Validate returns an [Error] with CodeInvalid that lists everything that is
// wrong with p, or nil.
func (p *Checkpoint) Validate() error { return p.check().invalid(KindCheckpoint, p.ID) }

// ValidateUpdate checks the step from before to p: the fields that differ.
func (p *Checkpoint) ValidateUpdate(before *Checkpoint) error {
	return p.check().invalidSince(before.check, KindCheckpoint, p.ID)
}

// CheckpointUpdate changes a checkpoint; a nil field is left as it is, and a
// pointer to a zero value clears the field.
type CheckpointUpdate struct {
	// Revision is the revision that the caller has seen; 0 changes whatever is
	// there.
	Revision int64

	Name      *string
	Reason    *string
	State     *JSON
	GitCommit *string
}

// Apply makes the changes.
func (u CheckpointUpdate) Apply(p *Checkpoint, _ time.Time) {
	set(&p.Name, u.Name)
	set(&p.Reason, u.Reason)
	set(&p.State, u.State)
	set(&p.GitCommit, u.GitCommit)
}

// CheckpointFilter chooses checkpoints; a zero field chooses all. OrderBy may be
// id or created_at.
type CheckpointFilter struct {
	Page
	ProjectID string
	Reason    string
}
