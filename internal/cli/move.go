package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus/internal/migration"
	"github.com/seed-c8812374/nexus/store"
)

// moved is what a move prints.
type moved struct {
	From   string `json:"from"`
	To     string `json:"to"`
	DryRun bool   `json:"dry_run"`
	*store.Moved
}

func (a *app) moveCommand() *cobra.Command {
	var from, to string
	var dryRun bool
	cmd := &cobra.Command{
		Use: "move --from DATABASE --to DATABASE", Short: "Copy all to an empty database, from SQLite to PostgreSQL or back",
		Long: `Copy all that a database holds, with its history and checkpoints, to another that is empty:
from SQLite to PostgreSQL, back, or to another of the same kind. Either is a file or a URL.

The source is read at one moment, while others go on working with it, and is not changed.
The target is read back and compared with it, table by table; only if all is the same
does it become visible, all at once. Whatever goes wrong before, the target is as it was,
or new and empty, and the move can be made again.

What is written to the source later is not in the target: stop the agents first.`,
		Example: "  nexus move --from data/nexus.db --to 'postgres://nexus@db.example/team?schema=shop'\n" +
			"  nexus move --from 'postgres://nexus@db.example/team?schema=shop' --to copy.db --json\n" +
			"  nexus move --from data/nexus.db --to team.db --dry-run",
		Args: noArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&from, "from", "", "`database` that is copied: a file, or a URL of PostgreSQL")
	flags.StringVar(&to, "to", "", "`database` that it is copied to, which is created or empty")
	flags.BoolVar(&dryRun, "dry-run", false, "say what would be copied and whether the target is empty, and change nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case from == "" || to == "":
			return usage(cmd, errors.New("give both --from and --to"))
		case a.db != "":
			return usage(cmd, errors.New("--db means nothing here: give --from and --to"))
		}
		m := &moved{From: a.Database.Shown(from), To: a.Database.Shown(to), DryRun: dryRun}
		a.progress = a.startProgress()
		defer a.progress.stop()
		var err error
		if m.Moved, err = a.move(cmd.Context(), from, to, dryRun); err != nil {
			return err
		}
		if len(m.NotMoved) > 0 {
			a.settings().Logger.Info("tables of yours are not moved", "tables", strings.Join(m.NotMoved, ", "))
		}
		return a.print(m, func(out io.Writer) error { return writeMoved(out, m) })
	}
	return cmd
}

func (a *app) move(ctx context.Context, from, to string, dryRun bool) (m *store.Moved, err error) {
	source := a.settings()
	// Its schema is not brought up to date: that would change it.
	source.Path, source.ReadOnly, source.Migrations = from, true, ""
	target := a.settings()
	target.Path = to
	if sameFile(from, to) {
		return nil, store.SameDatabase()
	}
	err = a.with(ctx, source, func(source *store.DB) error {
		if !dryRun {
			return a.with(ctx, target, func(target *store.DB) error {
				m, err = store.Move(ctx, source, target, a.progress.report)
				return err
			})
		}
		if m, err = store.Movable(ctx, source); err != nil {
			return err
		}
		return a.checkTarget(ctx, target, source)
	})
	return m, err
}

// sameFile reports whether two paths are of one file.
func sameFile(one, other string) bool {
	a, err := os.Stat(one)
	b, otherErr := os.Stat(other)
	return err == nil && otherErr == nil && os.SameFile(a, b)
}

// checkTarget refuses, without changing anything, what Move would refuse: a target that is
// not empty, or is the source. One that does not exist will do.
func (a *app) checkTarget(ctx context.Context, target Settings, source *store.DB) error {
	if _, err := os.Stat(target.Path); errors.Is(err, fs.ErrNotExist) && !a.Database.IsURL(target.Path) {
		return nil
	}
	migrations, err := a.Database.Migrations(ctx, target)
	if err != nil || !slices.ContainsFunc(migrations, func(m migration.Status) bool { return m.Applied }) {
		return err
	}
	target.ReadOnly = true
	return a.with(ctx, target, func(target *store.DB) error { return store.MayMove(ctx, source, target) })
}

// writeMoved prints what a move has done: each table as it was read from the source, and
// from the target.
func writeMoved(out io.Writer, m *moved) error {
	did, header, total := "Moved", []string{"TABLE", "IN", "ROWS", "SHA-256"}, int64(0)
	var rows [][]string
	for _, t := range m.Tables {
		total += t.Source.Rows
		if m.DryRun {
			rows = append(rows, []string{t.Name, fmt.Sprint(t.Source.Rows)})
			continue
		}
		rows = append(rows, []string{t.Name, "source", fmt.Sprint(t.Source.Rows), t.Source.SHA256},
			[]string{"", "target", fmt.Sprint(t.Target.Rows), t.Target.SHA256})
	}
	if m.DryRun {
		did, header = "Would move", []string{"TABLE", "ROWS"}
	}
	if err := table(out, header, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s %s from %s to %s.\n", did, counted(total, "row"), oneLine(m.From), oneLine(m.To))
	return err
}
