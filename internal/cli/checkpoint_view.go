package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

func (a *app) checkpointShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show what a checkpoint keeps",
		Long: `Show a checkpoint: how many rows of which kind it keeps, their SHA-256, where git was, and the
number of the change in the history that it goes back to. With --json it is printed as by get.`,
		Example: "  nexus checkpoint show c1m837hj\n  nexus checkpoint show c1m837hj --json",
		Args:    exactArgs(1, "one id, or the beginning of one"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var p *nexus.Checkpoint
		err := a.withDB(cmd.Context(), func(db *store.DB) error {
			id, err := checkpointID(cmd.Context(), db, args[0])
			if err != nil {
				return err
			}
			p, err = db.Checkpoints.Get(cmd.Context(), id)
			return err
		})
		if err != nil {
			return err
		}
		return a.print(p, func(out io.Writer) error { return checkpointCard(out, p) })
	}
	return cmd
}

// checkpointCard shows a checkpoint with the details of its state; one that Nexus has
// not made as any other row.
func checkpointCard(out io.Writer, p *nexus.Checkpoint) error {
	state, err := p.Details()
	if err != nil {
		if err := card(out, p); err != nil {
			return err
		}
		why := "Nexus has not made this state, and cannot go back to it."
		if nexus.CodeOf(err) == nexus.CodeNewer {
			why = "A newer version of Nexus has made this state; this one cannot go back to it."
		}
		_, err := fmt.Fprintln(out, why)
		return err
	}
	rows := [][]string{
		{"project", p.ProjectID},
		{"name", p.Name},
		{"reason", p.Reason},
		{"created", date(p.CreatedAt)},
		{"git", showGit(p, state.Git)},
		{"change", fmt.Sprint(state.Seq)},
		{"sha256", state.SHA256},
		{"schema version", fmt.Sprint(state.SchemaVersion)},
	}
	for _, table := range slices.Sorted(maps.Keys(state.Counts)) {
		rows = append(rows, []string{table, fmt.Sprint(state.Counts[table])})
	}
	rows = slices.DeleteFunc(rows, func(row []string) bool { return row[1] == "" })
	return table(out, []string{"id", p.ID}, rows)
}

func showGit(p *nexus.Checkpoint, git *nexus.GitState) string {
	if git == nil {
		return p.GitCommit
	}
	text := showPlace(*git)
	if git.Dirty {
		text += ", with changes that were not committed"
	}
	return text
}

// showPlace says where a repository is.
func showPlace(git nexus.GitState) string {
	commit := git.Commit
	if commit == "" {
		commit = "no commit"
	}
	if git.Branch == "" {
		return commit
	}
	return git.Branch + " at " + commit
}

// checkpointDiff is what has changed between two states of a project.
type checkpointDiff struct {
	From    diffPoint      `json:"from"`
	To      diffPoint      `json:"to"`
	Changes []nexus.Change `json:"changes"`
}

type diffPoint struct {
	CheckpointID string `json:"checkpoint_id,omitempty"` // empty is now
	Change       int64  `json:"change"`
}

func (m diffPoint) String() string {
	if m.CheckpointID == "" {
		return "now"
	}
	return m.CheckpointID
}

func (a *app) checkpointDiffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "diff ID [ID2]", Short: "Show how a project has changed since a checkpoint, or between two",
		Long: `Show how a project has changed from a checkpoint to another, or to now: which rows have come
(+), gone (-) and changed (~), and of those the fields, before and after.`,
		Example: "  nexus checkpoint diff c1m837hj\n  nexus checkpoint diff c1m837hj c2m837hj --json",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 || slices.Contains(args, "") {
				return usage(cmd, fmt.Errorf("give one checkpoint, or two of the same project"))
			}
			return nil
		},
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var diff checkpointDiff
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			diff, err = compareCheckpoints(cmd, db, args)
			return err
		})
		if err != nil {
			return err
		}
		return a.print(diff, func(out io.Writer) error { return a.writeCheckpointDiff(out, &diff) })
	}
	return cmd
}

func compareCheckpoints(cmd *cobra.Command, db *store.DB, args []string) (diff checkpointDiff, err error) {
	ctx := cmd.Context()
	diff.Changes = []nexus.Change{}
	project := ""
	var places []diffPoint
	for _, prefix := range args {
		id, err := checkpointID(ctx, db, prefix)
		if err != nil {
			return diff, err
		}
		p, err := db.Checkpoints.Get(ctx, id)
		if err != nil {
			return diff, err
		}
		state, err := p.Details()
		if err != nil {
			return diff, err
		}
		if project != "" && p.ProjectID != project {
			return diff, &nexus.Error{
				Code: nexus.CodeInvalid, Kind: nexus.KindCheckpoint, ID: id,
				Message: fmt.Sprintf("is of project %s, the other of %s", p.ProjectID, project), Hint: "compare two of the same project",
			}
		}
		project = p.ProjectID
		places = append(places, diffPoint{id, state.Seq})
	}
	if len(places) == 1 {
		last, err := db.LastChange(ctx)
		if err != nil {
			return diff, err
		}
		places = append(places, diffPoint{Change: last})
	}
	diff.From, diff.To = places[0], places[1]
	changes, err := db.Diff(ctx, diff.From.Change, diff.To.Change, project)
	if err != nil {
		return diff, err
	}
	for _, c := range changes {
		if c.Kind != nexus.KindCheckpoint { // these stay whatever is restored
			diff.Changes = append(diff.Changes, c)
		}
	}
	return diff, nil
}

func (a *app) writeCheckpointDiff(out io.Writer, diff *checkpointDiff) error {
	if len(told(diff.Changes)) == 0 {
		_, err := fmt.Fprintf(out, "Nothing differs between %s and %s.\n", diff.From, diff.To)
		return err
	}
	a.writeDifference(out, diff.Changes)
	_, err := fmt.Fprintf(out, "%s, from %s to %s.\n", tally(diff.Changes), diff.From, diff.To)
	return err
}
