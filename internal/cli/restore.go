package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func (a *app) restoreCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in place of the database",
		Long: `Put a backup in place of the database. Programs that have it open go on with the restored
state, as after any commit; if the command is killed, the database is as before or as after.

The backup is checked first, and brought up to date if it is older. What is replaced is
copied to a file beside the database, whose path is printed; restore that to go back.
If the database holds rows, --yes is needed.`,
		Example: "  nexus restore nexus-backup.db\n  nexus --db team.db restore /mnt/backups/team.db --yes --json",
		Args:    exactArgs(1, "the backup to restore"),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "replace the rows that the database holds")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		working := a.startProgress()
		restored, err := a.Database.Restore(cmd.Context(), a.settings(), args[0], yes, working.report64)
		working.stop()
		if err != nil {
			return err
		}
		return a.print(restored, func(out io.Writer) error {
			fmt.Fprintf(out, "Restored %s from %s: %s.\n",
				oneLine(restored.Database), oneLine(restored.From), counted(contractRows(restored.Counts), "row"))
			switch {
			case restored.Kept == "":
				fmt.Fprintln(out, "There was nothing to replace.")
			case len(restored.Replaced) == 0:
				fmt.Fprintf(out, "What was there is damaged; a copy of it is %s.\n", oneLine(restored.Kept))
			default:
				fmt.Fprintf(out, "It replaces %s, of which a copy is %s.\n",
					counted(contractRows(restored.Replaced), "row"), oneLine(restored.Kept))
			}
			return nil
		})
	}
	return cmd
}
