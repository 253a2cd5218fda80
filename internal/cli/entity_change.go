package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

func (d *entity[E, F, U]) updateCommand(a *app) *cobra.Command {
	update := new(U)
	cmd := &cobra.Command{
		Use: "update ID", Short: "Change a " + d.use, Args: exactArgs(1, "one id, or the beginning of one"),
		Long: "Change the fields that are given, and print the " + d.use + " as it is then.\n\n" +
			"With --revision, the change is refused if the " + d.use + " is at another revision.\n" +
			"An empty text clears a field.",
		Example: "  nexus " + d.use + " update " + exampleID(d.kind) + " --revision 3 " + d.change,
	}
	cmd.Flags().Int64Var(d.revision(update), "revision", 0, "the revision that you have seen")
	a.keyFlag(cmd)
	b := &binder{app: a, flags: cmd.Flags()}
	for _, f := range d.fields {
		if f.update != nil {
			f.update(b, update)
		}
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkChanges(cmd); err != nil {
			return err
		}
		var e *E
		err := a.withDB(cmd.Context(), func(db *store.DB) error {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			id, err := d.service(&db.Services).Resolve(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			e, err = once(a, cmd, db, args, func(tx *store.Tx) (*E, error) {
				return d.service(&tx.Services).Update(cmd.Context(), id, *update)
			})
			return err
		})
		if err != nil {
			return err
		}
		return a.print(e, func(out io.Writer) error { return card(out, e) })
	}
	return cmd
}

// checkChanges refuses an update without a change.
func checkChanges(cmd *cobra.Command) error {
	changes := 0
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Changed && f.Name != "revision" && f.Name != keyFlag {
			changes++
		}
	})
	switch revision, _ := cmd.Flags().GetInt64("revision"); {
	case changes == 0:
		return usage(cmd, errors.New("give at least one field to change"))
	case revision < 0:
		return usage(cmd, errors.New("--revision counts from 1"))
	}
	return nil
}

func (d *entity[E, F, U]) deleteCommand(a *app) *cobra.Command {
	var cascade bool
	cmd := &cobra.Command{
		Use: "delete ID…", Aliases: []string{"rm"}, Short: "Delete " + plural(d.use), Example: "  nexus " + d.use + " delete " + exampleID(d.kind),
		Long: "Delete " + plural(d.use) + ": all that are given, or none.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || slices.Contains(args, "") {
				return usage(cmd, errors.New("give at least one id, or the beginning of one"))
			}
			return nil
		},
	}
	a.keyFlag(cmd)
	if d.protect != nil {
		cmd.Flags().BoolVar(&cascade, "cascade", false, "also delete everything that belongs to it")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var deleted []string
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			deleted, err = once(a, cmd, db, args, func(tx *store.Tx) ([]string, error) {
				return d.delete(cmd.Context(), tx, args, cascade)
			})
			return err
		})
		if err != nil {
			return err
		}
		return a.print(map[string][]string{"deleted": deleted}, func(out io.Writer) error {
			_, err := fmt.Fprintf(out, "Deleted %s.\n", strings.Join(deleted, ", "))
			return err
		})
	}
	return cmd
}

// shortestPrefix is how much of an id delete needs at least; a slip of the hand is
// shorter.
const shortestPrefix = 4

// delete deletes all, and returns their ids.
func (d *entity[E, F, U]) delete(ctx context.Context, tx *store.Tx, prefixes []string, cascade bool) ([]string, error) {
	deleted := []string{}
	for _, prefix := range prefixes {
		id, err := d.service(&tx.Services).Resolve(ctx, prefix)
		if err != nil {
			return nil, err
		}
		if len(prefix) < shortestPrefix && prefix != id {
			return nil, &nexus.Error{
				Code: nexus.CodeAmbiguous, Kind: d.kind, ID: prefix, Message: "is too short to delete by",
				Hint: fmt.Sprintf("give the whole id, %s, or at least %d characters", id, shortestPrefix),
			}
		}
		if !slices.Contains(deleted, id) {
			deleted = append(deleted, id)
		}
	}
	for _, id := range deleted {
		if d.protect != nil {
			if err := d.protect(ctx, &tx.Services, id, cascade); err != nil {
				return nil, err
			}
		}
		if err := d.service(&tx.Services).Delete(ctx, id); err != nil {
			return nil, err
		}
	}
	return deleted, nil
}
