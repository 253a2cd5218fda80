package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var metricEntity = entity[nexus.Metric, nexus.MetricFilter, nexus.MetricUpdate]{
	kind: nexus.KindMetric, use: "metric",
	what:    "A metric is one measurement: tokens, minutes, money or whatever you count.",
	example: `metric create --project p1m837hj --type token_usage --value 1250 --task t1m837hj`,
	change:  `--value 1300`,

	service: func(db *store.Services) *store.Service[nexus.Metric, nexus.MetricFilter, nexus.MetricUpdate] {
		return &db.Metrics.Service
	},
	id:      func(m *nexus.Metric) string { return m.ID },
	project: func(e *nexus.Metric) *string { return &e.ProjectID },
	within: func(ctx context.Context, db *store.Services, m *nexus.Metric) (string, error) {
		if m.TaskID == "" {
			return "", nil
		}
		t, err := db.Tasks.Get(ctx, m.TaskID)
		if err != nil {
			return "", err
		}
		return t.ProjectID, nil
	},
	page:     func(f *nexus.MetricFilter) *nexus.Page { return &f.Page },
	revision: func(u *nexus.MetricUpdate) *int64 { return &u.Revision },
	orders:   "timestamp",

	required: []string{"value"},
	fields: []field[nexus.Metric, nexus.MetricUpdate]{
		ownID[nexus.Metric, nexus.MetricUpdate](func(m *nexus.Metric) *string { return &m.ID }),
		one[nexus.Metric, nexus.MetricUpdate]("project", "the project it belongs to (default: that of its task, or the only one)", nexus.KindProject,
			func(m *nexus.Metric) *string { return &m.ProjectID }, nil),
		one[nexus.Metric, nexus.MetricUpdate]("agent", "the agent it is about", nexus.KindAgent,
			func(m *nexus.Metric) *string { return &m.AgentID }, func(u *nexus.MetricUpdate) **string { return &u.AgentID }),
		one[nexus.Metric, nexus.MetricUpdate]("task", "the task it is about", nexus.KindTask,
			func(m *nexus.Metric) *string { return &m.TaskID }, func(u *nexus.MetricUpdate) **string { return &u.TaskID }),
		both("type", "such as token_usage, task_duration, qa_iterations or cost_usd", words[string](),
			func(m *nexus.Metric) *string { return &m.Type },
			func(u *nexus.MetricUpdate) **string { return &u.Type }),
		both("value", "the number", decimals,
			func(m *nexus.Metric) *float64 { return &m.Value },
			func(u *nexus.MetricUpdate) **float64 { return &u.Value }),
		both("metadata", "anything to keep with it", documents,
			func(m *nexus.Metric) *nexus.JSON { return &m.Metadata },
			func(u *nexus.MetricUpdate) **nexus.JSON { return &u.Metadata }),
		both("timestamp", "when it was measured (default: now)", times,
			func(m *nexus.Metric) *time.Time { return &m.Timestamp },
			func(u *nexus.MetricUpdate) **time.Time { return &u.Timestamp }),
	},
	filters: func(b *binder, f *nexus.MetricFilter) {
		existing(b, "project", "of this project", nexus.KindProject, func(id string) { f.ProjectID = id })
		chosen(b, "agent", "of this agent", nexus.KindAgent, func(id string) { f.AgentID = id })
		chosen(b, "task", "of this task", nexus.KindTask, func(id string) { f.TaskID = id })
		flag(b, "type", "of this type", choice[string](), func(v string) { f.Type = v })
		flag(b, "since", "measured then or later: a time, or how long ago", pasts, func(v time.Time) { f.Since = v })
		flag(b, "until", "measured before then", pasts, func(v time.Time) { f.Until = v })
	},

	header: []string{"ID", "TIME", "TYPE", "VALUE", "AGENT", "TASK"},
	row: func(m *nexus.Metric) []string {
		return []string{m.ID, date(m.Timestamp), m.Type, strconv.FormatFloat(m.Value, 'g', -1, 64), m.AgentID, m.TaskID}
	},
}

func (a *app) metricCommand() *cobra.Command {
	cmd := metricEntity.command(a)
	cmd.AddCommand(a.metricAddCommand())
	return cmd
}
