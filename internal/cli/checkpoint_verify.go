package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// verified is what looking at a checkpoint again has found.
type verified struct {
	nexus.Verification
	Foreign bool   `json:"foreign,omitempty"` // another program has made it
	Problem string `json:"problem,omitempty"`
}

const anotherState = "the history gives another state"

func (a *app) checkpointVerifyCommand() *cobra.Command {
	var all bool
	var project string
	cmd := &cobra.Command{
		Use: "verify [ID…]", Short: "Check that the states of checkpoints are what they were",
		Long: `Make the states of checkpoints again, and compare their SHA-256 with what was written down
when they were made. The exit code is 15 if one differs. With --all, checkpoints that other
programs have made are named, and cannot be checked.`,
		Example: "  nexus checkpoint verify c1m837hj\n  nexus checkpoint verify --all --json",
	}
	cmd.Flags().BoolVar(&all, "all", false, "all checkpoints")
	b := &binder{app: a, flags: cmd.Flags()}
	existing(b, "project", "of --all, those of this project", nexus.KindProject, func(id string) { project = id })
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case all && len(args) > 0:
			return usage(cmd, errors.New("give ids or --all, not both"))
		case !all && (len(args) == 0 || strings.Join(args, "") == ""):
			return usage(cmd, errors.New("give at least one id, or the beginning of one, or --all"))
		case !all && cmd.Flags().Changed("project"):
			return usage(cmd, errors.New("--project belongs to --all"))
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		list := []verified{}
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			list, err = a.verifyCheckpoints(cmd.Context(), db, args, project)
			return err
		})
		if err != nil {
			return err
		}
		if err := a.print(list, func(out io.Writer) error { return verifiedTable(out, list) }); err != nil {
			return err
		}
		return failedVerification(list)
	}
	return cmd
}

// verifyCheckpoints looks at the checkpoints with ids, or at all of a project, or at
// all.
func (a *app) verifyCheckpoints(ctx context.Context, db *store.DB, prefixes []string, project string) ([]verified, error) {
	var chosen []string
	for _, prefix := range prefixes {
		id, err := checkpointID(ctx, db, prefix)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, id)
	}
	if len(prefixes) == 0 {
		all, err := db.Checkpoints.List(ctx, nexus.CheckpointFilter{ProjectID: project})
		if err != nil {
			return nil, err
		}
		for i := range all {
			chosen = append(chosen, all[i].ID)
		}
	}
	list := []verified{}
	for n, id := range chosen {
		v, err := verifyCheckpoint(ctx, db, id)
		if err != nil {
			return nil, err
		}
		v.Foreign = v.Foreign && len(prefixes) == 0 // who asks for it by its id wants to go back to it
		list = append(list, *v)
		a.progress.report(n+1, len(chosen))
	}
	return list, nil
}

func verifyCheckpoint(ctx context.Context, db *store.DB, id string) (*verified, error) {
	v := &verified{Verification: nexus.Verification{CheckpointID: id, Counts: map[string]int64{}}}
	found, err := db.VerifyCheckpoint(ctx, id)
	switch nexus.CodeOf(err) {
	case "":
		v.Verification = *found
		if !v.OK {
			v.Problem = anotherState
		}
		return v, nil
	case nexus.CodeInvalid, nexus.CodeNewer, nexus.CodeNotFound, nexus.CodeCorrupt:
		v.Problem = err.Error()
		var e *nexus.Error
		if errors.As(err, &e) && e.ID == id {
			v.Problem = e.Message
		}
	default:
		return nil, err
	}
	if nexus.CodeOf(err) == nexus.CodeInvalid {
		p, err := db.Checkpoints.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		v.Foreign = !strings.Contains(string(p.State), `"kept_in"`)
	}
	return v, nil
}

func verifiedTable(out io.Writer, list []verified) error {
	rows := make([][]string, len(list))
	for i, v := range list {
		result, detail := "ok", v.Found
		switch {
		case v.Foreign:
			result, detail = "unknown", "another program has made it"
		case !v.OK:
			result, detail = "BAD", v.Problem
		}
		rows[i] = []string{v.CheckpointID, result, detail}
	}
	return tableOr(out, "There are no checkpoints.", []string{"ID", "STATE", "SHA-256, OR WHAT IS WRONG"}, rows)
}

// failedVerification is the error for those that are not what they were.
func failedVerification(list []verified) error {
	var bad []string
	for _, v := range list {
		if !v.OK && !v.Foreign {
			bad = append(bad, v.CheckpointID)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	const hint = "nothing was changed; others can be restored, or a backup"
	if len(list) == 1 {
		return &nexus.Error{
			Code: nexus.CodeCorrupt, Kind: nexus.KindCheckpoint, ID: bad[0], Message: "cannot be gone back to: " + list[0].Problem, Hint: hint,
		}
	}
	const most = 3
	names := strings.Join(bad[:min(most, len(bad))], ", ")
	if len(bad) > most {
		names += ", …"
	}
	return &nexus.Error{
		Code: nexus.CodeCorrupt, Message: fmt.Sprintf("%d of %s cannot be gone back to: %s", len(bad), counted(int64(len(list)), "checkpoint"), names),
		Hint: hint,
	}
}

func (a *app) checkpointPruneCommand() *cobra.Command {
	r := nexus.PruneRequest{Keep: 50}
	cmd := &cobra.Command{
		Use: "prune", Short: "Delete old checkpoints", Args: noArgs,
		Long: `Delete all checkpoints of each project but the newest, whatever their reason, and with --daily
besides the last of each of the last days. A day begins at midnight UTC.`,
		Example: "  nexus checkpoint prune --keep 20 --daily 30 --dry-run\n  nexus checkpoint prune --project p1m837hj --keep 5",
	}
	b := &binder{app: a, flags: cmd.Flags()}
	flag(b, "keep", "how many of the newest to keep (default: 50)", numbers[int](), func(n int) { r.Keep = n })
	flag(b, "daily", "for how many days to keep the last of each day", numbers[int](), func(n int) { r.Daily = n })
	existing(b, "project", "only of this project", nexus.KindProject, func(id string) { r.ProjectID = id })
	cmd.Flags().BoolVar(&r.DryRun, "dry-run", false, "say what would be deleted, but do not do it")
	a.keyFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var report *nexus.Pruned
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			if r.DryRun {
				report, err = db.PruneCheckpoints(cmd.Context(), r)
				return err
			}
			report, err = once(a, cmd, db, args, func(tx *store.Tx) (*nexus.Pruned, error) {
				return tx.PruneCheckpoints(cmd.Context(), r)
			})
			return err
		})
		if err != nil {
			return err
		}
		return a.print(report, func(out io.Writer) error {
			verb := "Deleted"
			if r.DryRun {
				verb = "Nothing was deleted; this would delete"
			}
			_, err := fmt.Fprintf(out, "%s %s; %d are kept.\n", verb, counted(int64(len(report.Deleted)), "checkpoint"), report.Kept)
			return err
		})
	}
	return cmd
}
