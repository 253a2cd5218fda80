package store

import (
	"time"

	"github.com/seed-c8812374/nexus"
)

// Metrics is the service of metrics.
type Metrics struct {
	Service[nexus.Metric, nexus.MetricFilter, nexus.MetricUpdate]
}

var metrics = table[nexus.Metric, nexus.MetricFilter, nexus.MetricUpdate]{
	kind: nexus.KindMetric,
	columns: []column[nexus.Metric]{
		text("id", func(m *nexus.Metric) *string { return &m.ID }),
		text("project_id", func(m *nexus.Metric) *string { return &m.ProjectID }),
		optional("agent_id", func(m *nexus.Metric) *string { return &m.AgentID }),
		optional("task_id", func(m *nexus.Metric) *string { return &m.TaskID }),
		text("type", func(m *nexus.Metric) *string { return &m.Type }),
		real("value", func(m *nexus.Metric) *float64 { return &m.Value }),
		optional("metadata", func(m *nexus.Metric) *nexus.JSON { return &m.Metadata }),
		seconds("timestamp", func(m *nexus.Metric) *time.Time { return &m.Timestamp }),
		integer("revision", func(m *nexus.Metric) *int64 { return &m.Revision }).with("1"),
	},
	orders: []string{"timestamp"},
	parents: []parent[nexus.Metric]{
		{nexus.KindProject, func(m *nexus.Metric) string { return m.ProjectID }},
	},

	id:       func(m *nexus.Metric) *string { return &m.ID },
	revision: func(m *nexus.Metric) *int64 { return &m.Revision },
	created:  func(m *nexus.Metric) *time.Time { return &m.Timestamp },

	setDefaults:    (*nexus.Metric).SetDefaults,
	validate:       (*nexus.Metric).Validate,
	validateUpdate: (*nexus.Metric).ValidateUpdate,
	apply:          nexus.MetricUpdate.Apply,
	seen:           func(u nexus.MetricUpdate) int64 { return u.Revision },
	page:           func(f nexus.MetricFilter) nexus.Page { return f.Page },
	filter: func(w *where, f nexus.MetricFilter) {
		equal(w, "project_id", f.ProjectID)
		equal(w, "agent_id", f.AgentID)
		equal(w, "task_id", f.TaskID)
		equal(w, "type", f.Type)
		w.since("timestamp", f.Since)
		w.until("timestamp", f.Until)
	},
}.prepared()
