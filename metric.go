package nexus

import "time"

// Metric is one measurement.
type Metric struct {
	ID        string    `json:"id"`
	ProjectID string    `json:"project_id"`
	AgentID   string    `json:"agent_id,omitempty"`
	TaskID    string    `json:"task_id,omitempty"`
	Type      string    `json:"type"` // one of MetricTypes, or free text
	Value     float64   `json:"value"`
	Metadata  JSON      `json:"metadata,omitempty"`
	Timestamp time.Time `json:"timestamp"`

	// Revision counts the changes of the row, from 1.
	Revision int64 `json:"revision"`
}

// MetricTypes returns the customary types. Durations are in minutes, costs in
// US dollars.
func MetricTypes() []string {
	return []string{"token_usage", "task_duration", "qa_iterations", "cost_usd"}
}

// SetDefaults gives a new metric what it needs and does not have: an id and its
// time.
func (m *Metric) SetDefaults(now time.Time) {
	if m.ID == "" {
		m.ID = NewID(KindMetric, now)
	}
	setDefault(&m.Timestamp, seconds(now))
}

func (m *Metric) check() *checker {
	c := new(checker)
	c.id("id", m.ID)
	c.id("project_id", m.ProjectID)
	c.optionalID("agent_id", m.AgentID)
	c.optionalID("task_id", m.TaskID)
	c.required("type", m.Type)
	c.finite("value", m.Value)
	c.json("metadata", m.Metadata)
	c.requiredTime("timestamp", m.Timestamp)
	return c
}

// Validate returns an [Error] with CodeInvalid that lists everything that is
// wrong with m, or nil.
func (m *Metric) Validate() error { return m.check().invalid(KindMetric, m.ID) }

// ValidateUpdate checks the step from before to m: the fields that differ.
func (m *Metric) ValidateUpdate(before *Metric) error {
	return m.check().invalidSince(before.check, KindMetric, m.ID)
}

// MetricUpdate corrects a metric; a nil field is left as it is, and a pointer to
// a zero value clears the field.
type MetricUpdate struct {
	// Revision is the revision that the caller has seen; 0 changes whatever is
	// there.
	Revision int64

	AgentID   *string
	TaskID    *string
	Type      *string
	Value     *float64
	Metadata  *JSON
	Timestamp *time.Time
}

// Apply makes the changes.
func (u MetricUpdate) Apply(m *Metric, _ time.Time) {
	set(&m.AgentID, u.AgentID)
	set(&m.TaskID, u.TaskID)
	set(&m.Type, u.Type)
	set(&m.Value, u.Value)
	set(&m.Metadata, u.Metadata)
	set(&m.Timestamp, u.Timestamp)
}

// MetricFilter chooses metrics; a zero field chooses all. OrderBy may be id or
// timestamp.
type MetricFilter struct {
	Page
	ProjectID string
	AgentID   string
	TaskID    string
	Type      string
	Since     time.Time // at or after
	Until     time.Time // before
}
