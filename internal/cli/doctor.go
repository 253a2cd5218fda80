package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// diagnosed is what doctor prints with --json.
type diagnosed struct {
	Well     bool            `json:"well"`
	Findings []nexus.Finding `json:"findings"`         // what is not as it should be, now
	Mended   []nexus.Finding `json:"mended,omitempty"` // what was not, before --fix
	Backup   string          `json:"backup,omitempty"` // made before anything was mended
}

func (a *app) doctorCommand() *cobra.Command {
	fix, deep, noBackup := false, false, false
	cmd := &cobra.Command{
		Use: "doctor", Short: "Say what is wrong with the database, and put it right", Args: noArgs,
		Long: `Look for what is not as it should be: damage, what is missing of the schema, rows that
refer to nothing, counts and edges that do not follow from the tasks, cycles, text that is
no JSON, times in the future, a history that does not fit together, checkpoints that have
lost their state. For each it says what is safe to do next. With --deep it also makes the
state of each checkpoint from the history, and compares its hash.

With --fix it makes a backup, and then makes again what is missing of the schema, and puts
right what follows from the rest of the data: two transactions, each all or nothing. What
a person has to decide stays as it is. The exit code is 15 while something is left.

PostgreSQL is backed up by its own programs; run pg_dump, and say so with --no-backup.`,
		Example: "  nexus doctor\n  nexus doctor --fix --json\n  nexus doctor --fix --no-backup",
	}
	cmd.Flags().BoolVar(&fix, "fix", false, "make a backup, and put right what can be")
	cmd.Flags().BoolVar(&noBackup, "no-backup", false, "with --fix, make no backup: there is one")
	cmd.Flags().BoolVar(&deep, "deep", false, "verify every checkpoint, too")
	diagnose := func(cmd *cobra.Command, db *store.DB) ([]nexus.Finding, error) {
		list, err := db.Diagnose(cmd.Context())
		damaged := func(f nexus.Finding) bool { return f.Check == "schema" || f.Check == "pages" }
		if err != nil || !deep || slices.ContainsFunc(list, damaged) {
			return list, err
		}
		checkpoints, err := db.DiagnoseCheckpoints(cmd.Context(), a.progress.report64)
		return append(list, checkpoints...), err
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if noBackup && !fix {
			return usage(cmd, errors.New("--no-backup goes with --fix"))
		}
		var d diagnosed
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			if d.Findings, err = diagnose(cmd, db); err != nil {
				return err
			}
			if !fix || !slices.ContainsFunc(d.Findings, func(f nexus.Finding) bool { return f.Mendable }) {
				return nil
			}
			if !noBackup {
				if d.Backup, err = a.backupBeforeFix(cmd.Context(), db); err != nil {
					return err
				}
			}
			before, err := db.Mend(cmd.Context())
			if err != nil {
				return err
			}
			for _, f := range before {
				if f.Mendable {
					d.Mended = append(d.Mended, f)
				}
			}
			d.Findings, err = diagnose(cmd, db)
			return err
		})
		if err != nil {
			return err
		}
		d.Well = len(d.Findings) == 0
		d.Findings = append([]nexus.Finding{}, d.Findings...)
		if err := a.print(d, d.write); err != nil || d.Well {
			return err
		}
		return &nexus.Error{
			Code: nexus.CodeCorrupt, Message: fmt.Sprintf("%s is not well", a.shownPath()),
			Hint: "standard output says what is wrong, and what is safe to do next",
		}
	}
	return cmd
}

// backupBeforeFix makes a backup beside the database. What is no file has none, and is
// mended only by who says that there is another.
func (a *app) backupBeforeFix(ctx context.Context, db *store.DB) (path string, err error) {
	path = fmt.Sprintf("%s.backup-doctor-%s", a.path(), a.Now().UTC().Format("20060102T150405Z"))
	backup, err := db.Backup(ctx, path, nil)
	var refused *nexus.Error
	if a.Database.IsURL(a.path()) && errors.As(err, &refused) && refused.Code == nexus.CodeInvalid {
		refused.Hint = "nothing was changed; " + refused.Hint + "; then run nexus doctor --fix --no-backup"
	}
	return backup.Path, err
}

func (d *diagnosed) write(out io.Writer) error {
	if d.Backup != "" {
		fmt.Fprintf(out, "Backed up to %s.\n", oneLine(d.Backup))
	} else if len(d.Mended) > 0 {
		fmt.Fprintln(out, "No backup was made.")
	}
	rows := [][]string{}
	list := func(state string, findings []nexus.Finding) {
		for _, f := range findings {
			next := f.Hint
			if state == "mended" {
				next = ""
			}
			rows = append(rows, []string{f.Check, state, fmt.Sprint(f.Count), f.Message + strings.TrimSuffix(": "+strings.Join(f.IDs, ", "), ": "), next})
		}
	}
	list("mended", d.Mended)
	list("found", d.Findings)
	if len(rows) > 0 {
		if err := table(out, []string{"CHECK", "STATE", "NUMBER", "WHAT", "NEXT"}, rows); err != nil {
			return err
		}
	}
	if d.Well {
		_, err := fmt.Fprintln(out, "All is well.")
		return err
	}
	return nil
}
