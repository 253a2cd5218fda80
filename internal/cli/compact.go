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
	r := nexus.CompactRequest{Keep: nexus.KeepHistory}
	cmd := &cobra.Command{
		Use: "compact", Short: "Forget old history, and give its space back", Args: noArgs,
		Long: `Forget the history that is older than --keep, and give its space back, while others go on
reading and writing. What a checkpoint needs stays: each can still be read, verified and
restored. Of the time before, nothing else can be told or undone any more.

If the command is killed, everything that is promised holds; running it again does the
rest. Rewriting a file takes as much free space as the file has, and holds writers up while
it lasts. PostgreSQL's tables are vacuumed instead, which holds nobody up; what is free in
them is used for what is stored next.`,
		Example: "  nexus compact\n  nexus compact --keep 7d --dry-run\n  nexus compact --keep 0 --json",
	}
	b := &binder{app: a, flags: cmd.Flags()}
	flag(b, "keep", "how long the history stays whole, as in 36h or 7d (default: 30d); 0 keeps only what checkpoints need", lengths,
		func(d time.Duration) { r.Keep = d })
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

var lengths = kindOf[time.Duration]{"length", func(_ *app, s string) (time.Duration, error) { return nexus.ParseLength(s) }}

func writeCompaction(out io.Writer, c *nexus.Compaction) error {
	did, left := "Forgot", "are"
	if c.DryRun {
		did, left = "Would forget", "would be"
	}
	fmt.Fprintf(out, "%s %s of the history before change %d; %d of %d %s left.\n",
		did, counted(c.Forgotten, "record"), c.Horizon, c.RecordsAfter, c.RecordsBefore, left)
	if n := len(c.Checkpoints); n > 0 {
		fmt.Fprintf(out, "Of the time before, the states at %s stay.\n", counted(int64(n), "checkpoint"))
	}
	if c.Keys > 0 {
		fmt.Fprintf(out, "%s %s.\n", did, counted(c.Keys, "idempotency key"))
	}
	if c.DryRun {
		return nil
	}
	_, err := fmt.Fprintf(out, "The database has %s, before it had %s.\n", megabytes(c.BytesAfter), megabytes(c.BytesBefore))
	if c.NotShrunk != "" {
		_, err = fmt.Fprintf(out, "It was not rewritten: %s. Its free pages are used for what is stored next.\n", c.NotShrunk)
	}
	return err
}
