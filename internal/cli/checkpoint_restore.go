package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// restoration is what checkpoint restore prints as JSON.
type restoration struct {
	*nexus.Restoration
	Git *gitMove `json:"git,omitempty"`
}

func (a *app) checkpointRestoreCommand() *cobra.Command {
	var dryRun, withGit, yes bool
	cmd := &cobra.Command{
		Use: "restore ID", Short: "Make a project what it was at a checkpoint",
		Long: `Make a project what it was at a checkpoint: all its features, tasks, requirements and
sessions, or nothing. The state as it is now becomes a checkpoint first; restore that to
come back. Tasks that were in flight become pending. Agents, metrics and checkpoints stay.

What would change is shown first, and on a terminal you are asked; elsewhere --yes is needed.
With --git the commit of the checkpoint is checked out, too; see docs/checkpoints.md.`,
		Example: "  nexus checkpoint restore c1m837hj --dry-run\n  nexus checkpoint restore c1m837hj --git --yes --json",
		Args:    exactArgs(1, "one id, or the beginning of one"),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be changed, but do not do it")
	cmd.Flags().BoolVar(&withGit, "git", false, "also check out the commit that the checkpoint has of the project's root_path")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	a.keyFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var result restoration
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			x := &restoring{app: a, cmd: cmd, db: db, args: args}
			if err := x.find(withGit); err != nil {
				return err
			}
			if !dryRun && !yes && (!a.Asks || a.json) {
				return &nexus.Error{
					Code: nexus.CodeUnconfirmed, Message: "nothing was changed: nobody has agreed to it",
					Hint: "--yes restores, --dry-run says what that would change",
				}
			}
			if dryRun || !yes {
				result.Restoration, err = db.Restore(cmd.Context(), x.checkpoint.ID, true)
				if err != nil || dryRun {
					result.Git = x.move
					return err
				}
				if err := a.confirm(cmd.Context(), x, result.Restoration); err != nil {
					return err
				}
			}
			result.Restoration, err = x.run()
			result.Git = x.move
			return err
		})
		if err != nil {
			return err
		}
		return a.print(result, func(out io.Writer) error { return restorationText(out, &result) })
	}
	return cmd
}

// restoring is one run of checkpoint restore.
type restoring struct {
	*app
	cmd  *cobra.Command
	db   *store.DB
	args []string

	checkpoint *nexus.Checkpoint
	move       *gitMove // nil without --git
}

// find reads the checkpoint, and checks whether git can follow.
func (x *restoring) find(withGit bool) error {
	ctx := x.cmd.Context()
	id, err := checkpointID(ctx, x.db, x.args[0])
	if err != nil {
		return err
	}
	if x.checkpoint, err = x.db.Checkpoints.Get(ctx, id); err != nil {
		return err
	}
	state, err := x.checkpoint.Details()
	if err != nil {
		return err
	}
	project, err := x.db.Projects.Get(ctx, x.checkpoint.ProjectID)
	if err != nil {
		return err
	}
	x.move, err = x.prepareGit(ctx, project, state, withGit)
	return err
}

// run restores, with git first: of the two it is the one that can be made undone.
func (x *restoring) run() (report *nexus.Restoration, err error) {
	before := x.gitBefore()
	restore := func() error {
		report, err = once(x.app, x.cmd, x.db, x.args, func(tx *store.Tx) (*nexus.Restoration, error) {
			return tx.Restore(x.cmd.Context(), x.checkpoint.ID, before)
		})
		return err
	}
	if x.move == nil {
		return report, restore()
	}
	if err := x.move.begin(x.cmd.Context()); err != nil {
		return nil, err
	}
	if err := restore(); err != nil {
		return nil, x.move.back(x.cmd.Context(), err)
	}
	x.move.end(x.app)
	return report, nil
}

// gitBefore is what the checkpoint of the state before keeps of git.
func (x *restoring) gitBefore() *nexus.GitState {
	if x.move != nil {
		return &x.move.From
	}
	return x.gitState(x.cmd.Context(), x.db, x.checkpoint.ProjectID)
}

// confirm shows on the terminal what a restore would do, and asks.
func (a *app) confirm(ctx context.Context, x *restoring, report *nexus.Restoration) error {
	a.progress.stop() // it would draw over the question
	if err := restorationText(a.Err, &restoration{report, x.move}); err != nil {
		return err
	}
	return a.ask(ctx, fmt.Sprintf("Restore project %s to checkpoint %s?", oneLine(x.checkpoint.ProjectID), oneLine(report.CheckpointID)))
}

func restorationText(out io.Writer, r *restoration) error {
	var rows [][]string
	for _, kind := range nexus.Kinds() {
		t := kind.Table()
		if r.Inserted[t]+r.Updated[t]+r.Deleted[t] > 0 {
			rows = append(rows, []string{t, fmt.Sprint(r.Inserted[t]), fmt.Sprint(r.Updated[t]), fmt.Sprint(r.Deleted[t])})
		}
	}
	verb := "Restored checkpoint"
	if r.DryRun {
		verb = "Nothing was changed; this would be done to restore checkpoint"
	}
	fmt.Fprintf(out, "%s %s.\n", verb, oneLine(r.CheckpointID))
	if err := tableOr(out, "All rows are as they were.", []string{"", "COME BACK", "CHANGE", "GO"}, rows); err != nil {
		return err
	}
	if n := len(r.Requeued); n > 0 {
		const most = 10
		list := slices.Clone(r.Requeued[:min(n, most)])
		if n > most {
			list = append(list, fmt.Sprintf("%d more", n-most))
		}
		fmt.Fprintf(out, "In flight then, pending now: %s.\n", oneLine(strings.Join(list, ", ")))
	}
	if r.Git != nil {
		fmt.Fprintf(out, "Git in %s: from %s to %s.\n", oneLine(r.Git.Repository), oneLine(showPlace(r.Git.From)), oneLine(showPlace(r.Git.To)))
	}
	if r.Before != "" {
		fmt.Fprintf(out, "The state before is checkpoint %s; restore that to come back.\n", r.Before)
	}
	return nil
}
