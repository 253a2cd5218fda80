package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// statsDays is how many days stats looks back if it is not told.
const statsDays = 14

// stats is what the command prints.
type stats struct {
	ProjectID   string                `json:"project_id,omitempty"`
	ProjectName string                `json:"project_name,omitempty"`
	Since       time.Time             `json:"since,omitzero"`
	Until       time.Time             `json:"until,omitzero"`
	By          []string              `json:"by"`
	Totals      []nexus.MetricSummary `json:"totals"`
	Groups      []nexus.MetricSummary `json:"groups"`
	LeftOut     int                   `json:"left_out,omitempty"` // groups beyond the limit

	// Budget is what the project, or the task, has ever used of its budget; nil if it
	// has none.
	Budget *nexus.Spending `json:"budget,omitempty"`

	// Completed are the tasks of each bucket; nil if the command is not about tasks.
	Completed []nexus.Completions `json:"completed,omitzero"`

	bucket time.Duration
	limit  int
	names  map[string]string // of tasks and features; only for people
}

// statsQuery is one run of the command.
type statsQuery struct {
	app   *app
	query nexus.MetricQuery
	by    []string // as given
	tasks bool     // count those that were completed, too
	limit int
}

func (a *app) statsCommand() *cobra.Command {
	s := &statsQuery{app: a}
	cmd := &cobra.Command{
		Use: "stats", Short: "Sum up metrics: tokens, cost, and whatever else is measured", Args: noArgs,
		Long: fmt.Sprintf(`Sum up metrics, in all and by time, agent, task or feature: how many there are, what
they add up to, their mean, percentiles, least and most. Each type is summed up by
itself. Without flags, tokens, cost and completed tasks of the last %d days are shown,
day by day.

--by takes one or several of type, agent, task, feature and one length of time: hour,
day, week, or such as 90m or 10d. Days and weeks begin in UTC, weeks on Monday. A
percentile is the smallest value that so many per cent of the values do not exceed.
--since and --until take a time, or how long ago it was, such as 36h or 7d.`, statsDays),
		Example: "  nexus stats\n" +
			"  nexus stats --type cost_usd --by day --since 30d\n" +
			"  nexus stats --project p1m837hj --by feature,agent --json",
	}
	b := &binder{app: a, flags: cmd.Flags()}
	existing(b, "project", "of this project", nexus.KindProject, func(id string) { s.query.ProjectID = id })
	chosen(b, "agent", "of this agent", nexus.KindAgent, func(id string) { s.query.AgentID = id })
	chosen(b, "task", "of this task", nexus.KindTask, func(id string) { s.query.TaskID = id })
	existing(b, "feature", "of the tasks of this feature", nexus.KindFeature, func(id string) { s.query.FeatureID = id })
	flag(b, "type", "of this type", choice[string](), func(v string) { s.query.Type = v })
	flag(b, "since", "measured then or later", pasts, func(t time.Time) { s.query.Since = t })
	flag(b, "until", "measured before then", pasts, func(t time.Time) { s.query.Until = t })
	flag(b, "by", "what to put together by", groupings, func(g grouping) { s.by, s.query.By, s.query.Bucket = g.words, g.by, g.bucket })
	cmd.Flags().IntVar(&s.limit, "limit", 50, "show at most so `many` groups of a type, the latest or largest; 0 shows all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if s.limit < 0 {
			return usage(cmd, errors.New("--limit cannot be negative"))
		}
		s.defaults(cmd)
		var result *stats
		err := a.withDB(cmd.Context(), func(db *store.DB) error {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			return db.View(cmd.Context(), func(tx *store.Tx) (err error) {
				result, err = s.read(cmd.Context(), tx)
				return err
			})
		})
		if err != nil {
			return err
		}
		return a.print(result, func(out io.Writer) error {
			v := statsView{a.view()}
			_, err := io.WriteString(out, strings.Join(v.lines(result), "\n")+"\n")
			return err
		})
	}
	return cmd
}

// defaults fills in what was not said: the days of late, one by one.
func (s *statsQuery) defaults(cmd *cobra.Command) {
	given := cmd.Flags().Changed
	s.tasks = !given("by") && !given("type") && !given("task")
	if given("by") {
		return
	}
	s.by, s.query.Bucket = []string{"day"}, nexus.Day
	if !given("since") && !given("until") {
		s.query.Since = nexus.BucketStart(s.app.Now(), nexus.Day).Add(-(statsDays - 1) * nexus.Day)
	}
}

// read reads all of one moment.
func (s *statsQuery) read(ctx context.Context, tx *store.Tx) (*stats, error) {
	q := s.query
	r := &stats{ProjectID: q.ProjectID, Since: q.Since, Until: q.Until, By: s.by, bucket: q.Bucket, limit: s.limit}
	var err error
	if r.Groups, err = tx.Metrics.Summarize(ctx, q); err != nil {
		return nil, err
	}
	r.Groups, r.LeftOut = limited(r.Groups, s.limit, q.Bucket > 0)
	q.By, q.Bucket = nil, 0
	if r.Totals, err = tx.Metrics.Summarize(ctx, q); err != nil {
		return nil, err
	}
	if s.tasks {
		r.Completed, err = tx.Tasks.Completions(ctx, nexus.CompletionQuery{
			ProjectID: q.ProjectID, FeatureID: q.FeatureID, AgentID: q.AgentID, Since: q.Since, Until: q.Until, Bucket: s.query.Bucket,
		})
		if err != nil {
			return nil, err
		}
		if more := len(r.Completed) - s.limit; s.limit > 0 && more > 0 {
			r.Completed, r.LeftOut = r.Completed[more:], r.LeftOut+more
		}
	}
	if q.ProjectID != "" {
		p, err := tx.Projects.Get(ctx, q.ProjectID)
		if err != nil {
			return nil, err
		}
		r.ProjectName = p.Name
	}
	if r.Budget, err = spendingOf(ctx, tx, q); err != nil || s.app.json {
		return r, err
	}
	return r, r.readNames(ctx, tx)
}

// spendingOf is about the task that was asked for, or else about the project.
func spendingOf(ctx context.Context, tx *store.Tx, q nexus.MetricQuery) (spent *nexus.Spending, err error) {
	switch {
	case q.TaskID != "":
		if spent, err = tx.Tasks.Spending(ctx, q.TaskID); nexus.CodeOf(err) == nexus.CodeNotFound {
			return nil, nil // its metrics are there still
		}
	case q.ProjectID != "":
		spent, err = tx.Projects.Spending(ctx, q.ProjectID)
	}
	if err != nil || spent == nil || !spent.Limited() {
		return nil, err
	}
	return spent, nil
}

// readNames reads the names of what is shown. A metric may be about what does not
// exist any more, which then has none.
func (r *stats) readNames(ctx context.Context, tx *store.Tx) error {
	r.names = make(map[string]string)
	for i := range r.Groups {
		g := &r.Groups[i]
		if g.TaskID != "" {
			task, err := tx.Tasks.Get(ctx, g.TaskID)
			if err == nil {
				r.names[g.TaskID] = task.Name
			} else if nexus.CodeOf(err) != nexus.CodeNotFound {
				return err
			}
		}
		if g.FeatureID != "" {
			feature, err := tx.Features.Get(ctx, g.FeatureID)
			if err == nil {
				r.names[g.FeatureID] = feature.Name
			} else if nexus.CodeOf(err) != nexus.CodeNotFound {
				return err
			}
		}
	}
	return nil
}

// limited leaves out what is beyond the limit of each type: of groups by time the
// oldest, of others the smallest.
func limited(groups []nexus.MetricSummary, limit int, byTime bool) (kept []nexus.MetricSummary, leftOut int) {
	if limit == 0 {
		return groups, 0
	}
	kept = []nexus.MetricSummary{}
	for _, list := range byType(groups) {
		if more := len(list) - limit; more > 0 {
			leftOut += more
			if byTime {
				list = list[more:]
			} else {
				list = list[:limit]
			}
		}
		kept = append(kept, list...)
	}
	return kept, leftOut
}

// byType cuts a list where its type changes.
func byType(groups []nexus.MetricSummary) (lists [][]nexus.MetricSummary) {
	for from, i := 0, 1; i <= len(groups); i++ {
		if i == len(groups) || groups[i].Type != groups[from].Type {
			lists = append(lists, groups[from:i])
			from = i
		}
	}
	return lists
}

// grouping is what --by says.
type grouping struct {
	words  []string
	by     []nexus.MetricGroup
	bucket time.Duration
}

var groupings = kindOf[grouping]{"words", func(a *app, s string) (g grouping, err error) {
	g.words, err = lists[string]().parse(a, s)
	if err == nil && len(g.words) == 0 {
		err = errors.New("it is empty")
	}
	for _, word := range g.words {
		bucket := time.Duration(0)
		switch word {
		case "type", "agent", "task", "feature":
			g.by = append(g.by, nexus.MetricGroup(word))
			continue
		case "hour":
			bucket = nexus.Hour
		case "day":
			bucket = nexus.Day
		case "week":
			bucket = nexus.Week
		default:
			if bucket, err = nexus.ParseLength(word); err != nil || bucket == 0 {
				return g, fmt.Errorf("%q is none of type, agent, task, feature, hour, day, week, or a length of time such as 90m or 10d", shorten(word))
			}
		}
		if g.bucket != 0 {
			return g, errors.New("it has two lengths of time")
		}
		g.bucket = bucket
	}
	return g, err
}}
