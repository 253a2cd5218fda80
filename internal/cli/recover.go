package cli

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/process"
	"github.com/seed-c8812374/nexus/store"
)

func (a *app) recoverCommand() *cobra.Command {
	r := nexus.RecoverRequest{Dead: process.Gone}
	cmd := &cobra.Command{
		Use: "recover", Short: "Take back the work of agents that are dead", Args: noArgs,
		Long: `Take back the work of agents that are dead, so that others can go on with it, and say
what was in flight.

Dead is an agent whose lease is over, or whose worker process (see nexus work) is gone.
Tasks that it held become pending again, or escalated when their attempts are used up; it
is terminated; the sessions of a project in which nobody is at work any more are paused.
Agents that are alive are left alone, so it can be run at any time, and again.

After a restart of the machine, when you know that nobody is at work, give --all.`,
		Example: "  nexus recover\n  nexus recover --dry-run --json\n  nexus recover --agent coder-1\n  nexus recover --all",
	}
	flags := cmd.Flags()
	flags.BoolVar(&r.DryRun, "dry-run", false, "say what would be done, but do not do it")
	flags.StringSliceVar(&r.AgentIDs, "agent", nil, "these `agents` are dead, too, whatever their leases say")
	flags.BoolVar(&r.All, "all", false, "all agents are dead")
	a.keyFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if r.All && len(r.AgentIDs) > 0 {
			return usage(cmd, errors.New("--all and --agent exclude each other"))
		}
		var report *nexus.Recovery
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			for i, prefix := range r.AgentIDs {
				if r.AgentIDs[i], err = db.Agents.Resolve(cmd.Context(), prefix); err != nil {
					return err
				}
			}
			if r.DryRun {
				report, err = db.Recover(cmd.Context(), r)
				return err
			}
			report, err = once(a, cmd, db, nil, func(tx *store.Tx) (*nexus.Recovery, error) {
				return tx.Recover(cmd.Context(), r)
			})
			return err
		})
		if err != nil {
			return err
		}
		return a.print(report, func(out io.Writer) error { return recoveryTable(out, report, a.Now()) })
	}
	return cmd
}

func recoveryTable(out io.Writer, r *nexus.Recovery, now time.Time) error {
	switch {
	case r.Empty():
		fmt.Fprintln(out, "Nothing had to be recovered.")
	case r.DryRun:
		fmt.Fprintln(out, "Nothing was changed; this would be done:")
	}
	if len(r.Tasks) > 0 {
		rows := make([][]string, len(r.Tasks))
		for i, t := range r.Tasks {
			silent := ""
			if !t.LastSign.IsZero() {
				silent = now.Sub(t.LastSign).Round(time.Second).String() + " ago"
			}
			rows[i] = []string{t.TaskID, t.AgentID, silent, string(t.Became), t.Reason, t.Name}
		}
		if err := table(out, []string{"TASK", "AGENT", "LAST SIGN", "IS NOW", "WHY", "NAME"}, rows); err != nil {
			return err
		}
	}
	for _, agent := range r.Agents {
		fmt.Fprintf(out, "%s was terminated: %s.\n", oneLine(agent.AgentID), oneLine(agent.Reason))
	}
	for _, s := range r.Sessions {
		fmt.Fprintf(out, "Session %s (%s) of project %s was paused.\n", oneLine(s.SessionID), oneLine(string(s.Type)), oneLine(s.ProjectID))
	}
	if r.MendedLeases > 0 {
		fmt.Fprintf(out, "%s from a clock that was ahead; they end in time now.\n", counted(int64(r.MendedLeases), "lease"))
	}
	for _, id := range r.Silent {
		fmt.Fprintf(out, "%s calls itself busy, holds no task and has been silent for long; nexus recover --agent %s terminates it.\n", oneLine(id), oneLine(id))
	}
	_, err := fmt.Fprintf(out, "%s in flight with agents that are alive.\n", counted(int64(r.InFlight), "task"))
	return err
}
