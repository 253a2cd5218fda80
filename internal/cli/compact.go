package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

func (a *app) compactCommand() *cobra.Command {
	r := nexus.CompactRequest{}
	cmd := &cobra.Command{
		Use: "compact", Short: "Forget old history, and make the file smaller", Args: noArgs,
		Long: `Forget the history that is older than --keep, and give its space back, while others go on
reading and writing. What a checkpoint needs stays: each can still be read, verified and
restored. Of the time before, nothing else can be told or undone any more.

If the command is killed, everything that is promised holds; running it again does the
rest. Rewriting the file takes as much free space as the file has, and holds writers up
while it lasts.`,
		Example: "  nexus compact\n  nexus compact --keep 168h --dry-run\n  nexus compact --keep 0 --json",
	}
	cmd.Flags().DurationVar(&r.Keep, "keep", nexus.KeepHistory, "how long the history stays whole, as in 168h; 0 keeps only what checkpoints need")
	cmd.Flags().BoolVar(&r.DryRun, "dry-run", false, "say what would be forgotten, and change nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var report *nexus.Compaction
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			r.Progress = a.progress.report64
			report, err = db.Compact(cmd.Context(), r)
			return err
		})
		if err != nil {
			return err
		}
		return a.print(report, func(out io.Writer) error { return writeCompaction(out, report) })
	}
	return cmd
}

func writeCompaction(out io.Writer, c *nexus.Compaction) error {
	verb := "Forgot"
	if c.DryRun {
		verb = "Would forget"
	}
	fmt.Fprintf(out, "%s %s of the history before change %d, of %d; %d would be left.\n",
		verb, counted(c.Forgotten, "record"), c.Horizon, c.RecordsBefore, c.RecordsAfter)
	return nil
}

var _ = time.Second
