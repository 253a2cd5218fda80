package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

func (a *app) resumeCommand() *cobra.Command {
	var r nexus.ResumeRequest
	cmd := &cobra.Command{
		Use: "resume", Short: "Say what an agent that knows nothing needs to know to go on", Args: noArgs,
		Long: `Say what an agent that knows nothing needs to know to go on, as Markdown: its task,
where the work was left, what has gone wrong before, what holds it back and what it
builds on, the goal, decisions, requirements, and where things stand. The most
important comes first, and what there is no room for in the budget is named.

It is about --task, the task of --agent (or the best that is ready, if it has none), or
--project; else about $` + envTask + `, $` + envAgent + `, or the only project.`,
		Example: "  nexus resume --task t1m837hj\n  nexus resume --agent coder-1 --budget 800\n  nexus resume --project p1m837hj --json",
	}
	b := &binder{app: a, flags: cmd.Flags()}
	existing(b, "task", "about this task", nexus.KindTask, func(id string) { r.TaskID = id })
	existing(b, "agent", "about the task of this agent", nexus.KindAgent, func(id string) { r.AgentID = id })
	existing(b, "project", "about this project", nexus.KindProject, func(id string) { r.ProjectID = id })
	cmd.Flags().IntVar(&r.Budget, "budget", nexus.DefaultBudget, "at most so many `tokens`, of four bytes each")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		given := 0
		for _, name := range []string{"task", "agent", "project"} {
			if cmd.Flags().Changed(name) {
				given++
			}
		}
		if given > 1 {
			return usage(cmd, errors.New("--task, --agent and --project exclude each other"))
		}
		if r.Budget < nexus.MinBudget || r.Budget > nexus.MaxBudget {
			return usage(cmd, fmt.Errorf("--budget must be from %d to %d tokens", nexus.MinBudget, nexus.MaxBudget))
		}
		var briefing *nexus.Briefing
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			if given == 0 {
				if err := a.resumeWhat(cmd.Context(), db, &r); err != nil {
					return err
				}
			}
			briefing, err = db.Resume(cmd.Context(), r)
			return err
		})
		if err != nil {
			return err
		}
		return a.print(briefing, func(out io.Writer) error {
			_, err := io.WriteString(out, oneLineEach(briefing.Markdown()))
			return err
		})
	}
	return cmd
}

// resumeWhat chooses what a briefing is about if no flag says so.
func (a *app) resumeWhat(ctx context.Context, db *store.DB, r *nexus.ResumeRequest) (err error) {
	if r.TaskID = a.Getenv(envTask); r.TaskID != "" {
		return nil
	}
	if r.AgentID = a.Getenv(envAgent); r.AgentID != "" {
		return nil
	}
	r.ProjectID, err = onlyProject(ctx, &db.Services)
	return err
}
