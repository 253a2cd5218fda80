package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

func (a *app) watchCommand() *cobra.Command {
	var filter nexus.HistoryFilter
	var since string
	var length time.Duration
	var count int
	cmd := &cobra.Command{
		Use: "watch", Short: "Print each change as it is committed", Args: noArgs,
		Long: `Print each change once and in order, as it is committed, by whatever process, until Ctrl-C or
SIGTERM; the exit code is 0 then. With --json each is a line.

To miss nothing while it is not running, give --since the number that it printed last. If the
history after that was compacted it says so, and the exit code is 3.`,
		Example: "  nexus watch\n" +
			"  nexus watch --since 4711 --json\n" +
			"  nexus watch --project " + exampleID(nexus.KindProject) + " --kind task --for 1m",
	}
	flags := cmd.Flags()
	b := &binder{app: a, flags: flags}
	existing(b, "project", "of this project", nexus.KindProject, func(id string) { filter.ProjectID = id })
	flag(b, "kind", "of rows of this kind", choice[string](), func(s string) { filter.Kind = nexus.Kind(s) })
	flags.Var((*filled)(&since), "since", "after the `change` with this number, or at a time, how long ago, or a checkpoint (default: now)")
	flags.DurationVar(&length, "for", 0, "end after this long, such as `1m`")
	flags.IntVar(&count, "count", 0, "end after this `many` changes")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if flags.Changed("for") && length <= 0 {
			return usage(cmd, errors.New("--for must be longer than nothing"))
		}
		if flags.Changed("count") && count < 1 {
			return usage(cmd, errors.New("--count must be 1 at least"))
		}
		if filter.Kind != "" {
			kind, _, err := rowArgs(cmd, []string{string(filter.Kind), ""})
			if err != nil {
				return err
			}
			filter.Kind = kind
		}
		a.Terminal = false // the changes are the sign of life
		ctx := cmd.Context()
		if length > 0 {
			var stop context.CancelFunc
			ctx, stop = context.WithTimeout(ctx, length)
			defer stop()
		}
		return a.withDB(cmd.Context(), func(db *store.DB) error {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			if since == "" {
				since = "now"
			}
			after, err := db.Moment(cmd.Context(), since)
			if err != nil {
				return err
			}
			enough := errors.New("as many as were asked for")
			printed := 0
			err = db.Watch(ctx, after, filter, func(c *nexus.Change) error {
				err := a.print(c, func(out io.Writer) error {
					_, err := fmt.Fprintln(out, changeLine(c))
					return err
				})
				if printed++; err == nil && printed == count {
					err = enough
				}
				return err
			})
			if errors.Is(err, enough) {
				return nil
			}
			return err
		})
	}
	return cmd
}
