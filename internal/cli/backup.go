package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Copy the database to a file while others write",
		Long: `Copy the database to a new file, while others go on reading and writing.

The copy is one state of the database: everything that was done before the command began
is in it. It is verified, and gets its name only when it is whole and on disk. An existing
file is never replaced. nexus restore puts it back.`,
		Example: "  nexus backup nexus-backup.db\n  nexus --db team.db backup /mnt/backups/team.db --json",
		Args:    exactArgs(1, "the file to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var backup driver.Backup
			err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
				backup, err = db.Backup(cmd.Context(), args[0], a.progress.report64)
				return err
			})
			if err != nil {
				return err
			}
			return a.print(backup, func(out io.Writer) error {
				_, err := fmt.Fprintf(out, "Backed up to %s: %s, %s, sha256 %s.\n",
					oneLine(backup.Path), counted(contractRows(backup.Counts), "row"), megabytes(backup.Bytes), backup.SHA256)
				return err
			})
		},
	}
}

// contractRows is how many rows the nine tables have together.
func contractRows(counts map[string]int64) (n int64) {
	for _, kind := range nexus.Kinds() {
		n += counts[kind.Table()]
	}
	return n
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
