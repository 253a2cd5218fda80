package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// summaryKey is what the metrics of one summary share.
type summaryKey struct {
	kind, agent, task, feature string
	start                      int64 // in seconds
}

// Summarize says what the metrics that the query chooses come to, a summary for
// each group that has any: by type, then the start of the bucket, then the largest
// sum first, then ids. All are of one moment.
//
// It reads every metric that is chosen, and keeps about 10 bytes of each until it
// returns, because percentiles need the values in order. Of 200,000 metrics in
// SQLite that takes a tenth of a second by type, agent, task or day, and three
// tenths by feature. To sort them in the database took six times as long, and to
// have its window functions do all of it fourteen times.
//
// Code: CodeInvalid.
func (s *Metrics) Summarize(ctx context.Context, q nexus.MetricQuery) ([]nexus.MetricSummary, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	sql, args := summarySQL(q)
	values := make(map[summaryKey]*[]float64)
	err := s.run.read(ctx, func(c driver.Conn) error {
		clear(values)
		return c.Query(ctx, sql, args, func(r driver.Row) error {
			k := summaryKey{kind: r.Text(0), agent: r.Text(3), task: r.Text(4), feature: r.Text(5)}
			if q.Bucket > 0 {
				k.start = nexus.BucketStart(shownTime(r.Int(2)), q.Bucket).Unix()
			}
			group := values[k]
			if group == nil {
				group = new([]float64)
				values[k] = group
			}
			*group = append(*group, finite(r.Float(1)))
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	list := make([]nexus.MetricSummary, 0, len(values))
	for k, group := range values {
		m := nexus.MetricSummary{Type: k.kind, AgentID: k.agent, TaskID: k.task, FeatureID: k.feature}
		if q.Bucket > 0 {
			m.Start = time.Unix(k.start, 0).UTC()
		}
		m.SetValues(*group)
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b nexus.MetricSummary) int {
		return cmp.Or(
			cmp.Compare(a.Type, b.Type), a.Start.Compare(b.Start), cmp.Compare(b.Sum, a.Sum),
			cmp.Compare(a.AgentID, b.AgentID), cmp.Compare(a.TaskID, b.TaskID), cmp.Compare(a.FeatureID, b.FeatureID),
		)
	})
	return list, nil
}

// summarySQL reads type, value, time, agent, task and feature of the chosen
// metrics, each of the last four only if it is asked for.
func summarySQL(q nexus.MetricQuery) (sql string, args []driver.Arg) {
	columns := []string{"m.type", "m.value", "0", "''", "''", "''"}
	if q.Bucket > 0 {
		columns[2] = "m.timestamp"
	}
	for i, by := range []struct {
		group  nexus.MetricGroup
		column string
	}{{nexus.ByAgent, "m.agent_id"}, {nexus.ByTask, "m.task_id"}, {nexus.ByFeature, "t.feature_id"}} {
		if q.Groups(by.group) {
			columns[3+i] = by.column
		}
	}
	from := " FROM metrics m"
	if q.Groups(nexus.ByFeature) {
		from += " LEFT JOIN tasks t ON t.id = m.task_id"
	}
	var w where
	equal(&w, "m.project_id", q.ProjectID)
	equal(&w, "m.agent_id", q.AgentID)
	equal(&w, "m.task_id", q.TaskID)
	if q.FeatureID != "" { // a join would look up every task, which takes more than twice as long
		w.condition("m.task_id IN (SELECT f.id FROM tasks f WHERE f.feature_id = ?)", driver.Text(q.FeatureID))
	}
	equal(&w, "m.type", q.Type)
	w.since("m.timestamp", q.Since)
	w.until("m.timestamp", q.Until)
	return "SELECT " + strings.Join(columns, ", ") + from + w.sql.String(), w.args
}

// Completions counts the tasks that are completed, by the time at which they were:
// a count for each bucket that has any, in the order of time. A task of which
// another program did not say when is not counted.
//
// Code: CodeInvalid.
func (s *Tasks) Completions(ctx context.Context, q nexus.CompletionQuery) ([]nexus.Completions, error) {
	const sql = "SELECT t.completed_at FROM tasks t"
	if err := q.Validate(); err != nil {
		return nil, err
	}
	var w where
	equal(&w, "t.status", nexus.TaskCompleted)
	w.raw("t.completed_at IS NOT NULL")
	equal(&w, "t.project_id", q.ProjectID)
	equal(&w, "t.feature_id", q.FeatureID)
	equal(&w, "t.assigned_agent", q.AgentID)
	w.since("t.completed_at", q.Since)
	w.until("t.completed_at", q.Until)
	counts := make(map[time.Time]int64)
	err := s.run.read(ctx, func(c driver.Conn) error {
		clear(counts)
		return c.Query(ctx, sql+w.sql.String(), w.args, func(r driver.Row) error {
			var start time.Time
			if q.Bucket > 0 {
				start = nexus.BucketStart(shownTime(r.Int(0)), q.Bucket)
			}
			counts[start]++
			return nil
		})
	})
	list := make([]nexus.Completions, 0, len(counts))
	for start, n := range counts {
		list = append(list, nexus.Completions{Start: start, Count: n})
	}
	slices.SortFunc(list, func(a, b nexus.Completions) int { return a.Start.Compare(b.Start) })
	return list, err
}
