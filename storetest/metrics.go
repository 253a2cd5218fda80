package storetest

import (
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var metrics = entity[nexus.Metric, nexus.MetricFilter, nexus.MetricUpdate]{
	kind: nexus.KindMetric, letter: 'm',
	service: func(s *store.Services) *store.Service[nexus.Metric, nexus.MetricFilter, nexus.MetricUpdate] {
		return &s.Metrics.Service
	},
	minimal:   nexus.Metric{ProjectID: "p1", Type: "t"},
	defaulted: nexus.Metric{ProjectID: "p1", Type: "t", Timestamp: now, Revision: 1},
	full: nexus.Metric{
		ProjectID: "p2", AgentID: "a-1 ü", TaskID: "t-1", Type: "in my own words", Value: -0.1 + 1e-17,
		Metadata: `{ "model" : "x" }`, Timestamp: past, Revision: 1,
	},
	other: nexus.Metric{
		ProjectID: "p1", AgentID: "a-2", TaskID: "t-2", Type: "cost_usd", Value: 1.7976931348623157e308,
		Metadata: `1`, Timestamp: past.Add(time.Minute),
	},
	created:  "Timestamp",
	required: []string{"type"},
	parents:  map[string]nexus.Kind{"ProjectID": nexus.KindProject},
	vary: func(i int, m *nexus.Metric) {
		m.ProjectID = []string{"p1", "p2"}[i%2]
		m.AgentID = []string{"", "a", "b"}[i%3]
		m.TaskID = []string{"", "t", "u", "v"}[i%4]
		m.Type = nexus.MetricTypes()[i%4]
		m.Timestamp = past.Add(time.Duration(i%5) * time.Second)
	},
	orders: []string{"timestamp"},
	filters: []filter[nexus.Metric, nexus.MetricFilter]{
		{nexus.MetricFilter{ProjectID: "p1"}, func(m *nexus.Metric) bool { return m.ProjectID == "p1" }},
		{nexus.MetricFilter{AgentID: "b"}, func(m *nexus.Metric) bool { return m.AgentID == "b" }},
		{nexus.MetricFilter{TaskID: "t"}, func(m *nexus.Metric) bool { return m.TaskID == "t" }},
		{nexus.MetricFilter{Type: "cost_usd"}, func(m *nexus.Metric) bool { return m.Type == "cost_usd" }},
		{nexus.MetricFilter{Since: past.Add(2 * time.Second)}, func(m *nexus.Metric) bool { return !m.Timestamp.Before(past.Add(2 * time.Second)) }},
		{nexus.MetricFilter{Until: past.Add(2 * time.Second)}, func(m *nexus.Metric) bool { return m.Timestamp.Before(past.Add(2 * time.Second)) }},
		{
			nexus.MetricFilter{Since: past.Add(time.Second), Until: past.Add(3 * time.Second), AgentID: "a"},
			func(m *nexus.Metric) bool {
				return m.AgentID == "a" && !m.Timestamp.Before(past.Add(time.Second)) && m.Timestamp.Before(past.Add(3*time.Second))
			},
		},
	},
}
