package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// difference is what the diff command prints as JSON.
type difference struct {
	From    int64          `json:"from"` // numbers of changes
	To      int64          `json:"to"`
	Changes []nexus.Change `json:"changes"`
}

func (a *app) diffCommand() *cobra.Command {
	var project string
	cmd := &cobra.Command{
		Use: "diff FROM[..TO]", Short: "Show how two moments differ", Args: exactArgs(1, "one moment, or two with .. between them"),
		Long: `Show what is new, changed and deleted at TO, compared with FROM. Each is the number of a change,
a time, how long ago it was, such as 90m or 7d, or the id of a checkpoint. Without TO it is now.

The exit code is 0 whether or not they differ. Metrics and signs of life are not compared.`,
		Example: "  nexus diff " + exampleID(nexus.KindCheckpoint) + "\n" +
			"  nexus diff 2h..30m --project " + exampleID(nexus.KindProject) + "\n" +
			"  nexus diff 4711..4800 --json",
	}
	b := &binder{app: a, flags: cmd.Flags()}
	flag(b, "project", "of this project, also of one that has been deleted since", choice[string](), func(s string) { project = s })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d := difference{Changes: []nexus.Change{}}
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			if project != "" {
				if _, project, err = db.Locate(cmd.Context(), nexus.KindProject, project); err != nil {
					return err
				}
			}
			from, to, _ := strings.Cut(args[0], "..")
			if to == "" {
				to = "now"
			}
			if d.From, err = db.Moment(cmd.Context(), from); err != nil {
				return err
			}
			if d.To, err = db.Moment(cmd.Context(), to); err != nil {
				return err
			}
			found, err := db.Diff(cmd.Context(), d.From, d.To, project)
			d.Changes = append(d.Changes, found...)
			return err
		})
		if err != nil {
			return err
		}
		return a.print(d, func(out io.Writer) error {
			if len(told(d.Changes)) == 0 {
				_, err := fmt.Fprintln(out, "They do not differ.")
				return err
			}
			a.writeDifference(out, d.Changes)
			_, err := fmt.Fprintf(out, "%s, from change %d to %d.\n", tally(d.Changes), d.From, d.To)
			return err
		})
	}
	return cmd
}
