package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// added is what metric add has done.
type added struct {
	Added int `json:"added"`
}

// metricAdd is one run of the command: the metrics, and what those belong to that
// do not say it.
type metricAdd struct {
	app                  *app
	list                 []metricLine
	project, agent, task string
}

func (a *app) metricAddCommand() *cobra.Command {
	d := &metricAdd{app: a}
	cmd := &cobra.Command{
		Use: "add [FILE]", Short: "Add many metrics at once, all or none", Args: maximumArgs(1, "one file, or - for standard input"),
		Long: `Add metrics, all of them or none, from FILE, or from standard input without one or
with -. There is one JSON object a line, or one JSON list of objects, with the fields
that nexus metric create --json prints:

  {"type":"cost_usd","value":0.12,"project_id":"p1m837hj","task_id":"t1m837hj"}

Of them type and value are required, and project_id unless --project is given; other
ids are given in full. Without an id one is made, and without a timestamp it is now.
Everything that is wrong is reported at once, with line and column.`,
		Example: "  nexus metric add costs.jsonl --project p1m837hj\n" +
			"  collect-costs | nexus metric add --project p1m837hj --agent coder-1",
	}
	a.keyFlag(cmd)
	b := &binder{app: a, flags: cmd.Flags()}
	existing(b, "project", "the project of those that name none", nexus.KindProject, func(id string) { d.project = id })
	chosen(b, "agent", "the agent of those that name none", nexus.KindAgent, func(id string) { d.agent = id })
	chosen(b, "task", "the task of those that name none", nexus.KindTask, func(id string) { d.task = id })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name := "-"
		if len(args) > 0 {
			name = args[0]
		}
		text, err := a.readFile(name)
		if err != nil {
			return err
		}
		reading := a.startProgress()
		d.list, err = a.readMetrics(text, cmd.Flags().Changed("project"))
		if reading.stop(); err != nil {
			return err
		}
		var result added
		err = a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			sum, err := a.checksum(bytes.NewReader(text))
			if err != nil {
				return err
			}
			result, err = once(a, cmd, db, []string{sum}, func(tx *store.Tx) (added, error) {
				return added{len(d.list)}, d.store(cmd.Context(), tx)
			})
			return err
		})
		if err != nil {
			return err
		}
		return a.print(result, func(out io.Writer) error {
			_, err := fmt.Fprintf(out, "Added %s.\n", counted(int64(result.Added), "metric"))
			return err
		})
	}
	return cmd
}

// store stores all metrics in a transaction.
func (d *metricAdd) store(ctx context.Context, tx *store.Tx) error {
	batch := make([]*nexus.Metric, len(d.list))
	lines := make(map[string]*metricLine, len(d.list))
	for i := range d.list {
		m := &d.list[i].metric
		for _, field := range []struct{ value, given *string }{
			{&m.ProjectID, &d.project}, {&m.AgentID, &d.agent}, {&m.TaskID, &d.task},
		} {
			if *field.value == "" {
				*field.value = *field.given
			}
		}
		batch[i], lines[m.ID] = m, &d.list[i]
	}
	if err := d.checkProjects(ctx, tx); err != nil {
		return err
	}
	const atOnce = 1000 // between two signs of progress
	for done := 0; done < len(batch); done += atOnce {
		err := tx.Metrics.CreateMany(ctx, batch[done:min(done+atOnce, len(batch))])
		var e *nexus.Error
		if errors.As(err, &e) && e.Code == nexus.CodeExists && lines[e.ID] != nil {
			at := lines[e.ID]
			return badMetrics(e.Code, "choose another id, or leave out what is stored; nothing was stored", []nexus.Problem{
				{Line: at.line, Column: at.column, Field: "id", Message: fmt.Sprintf("%s exists already", e.ID)},
			})
		}
		if err != nil {
			return err
		}
		d.app.progress.report(min(done+atOnce, len(batch)), len(batch))
	}
	return nil
}

// checkProjects looks for the projects of all metrics, and says of each that does
// not exist where it is named first.
func (d *metricAdd) checkProjects(ctx context.Context, tx *store.Tx) error {
	var problems []nexus.Problem
	seen := make(map[string]bool)
	for i := range d.list {
		at := &d.list[i]
		id := at.metric.ProjectID
		if seen[id] {
			continue
		}
		seen[id] = true
		_, err := tx.Projects.Get(ctx, id)
		switch nexus.CodeOf(err) {
		case "":
		case nexus.CodeNotFound:
			problems = append(problems, nexus.Problem{
				Line: at.line, Column: at.column, Field: "project_id", Message: fmt.Sprintf("project %s does not exist", id),
			})
		default:
			return err
		}
	}
	if len(problems) > 0 {
		return badMetrics(nexus.CodeReference, "create that first, or correct the id; nothing was stored", problems)
	}
	return nil
}
