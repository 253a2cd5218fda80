package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

func (d *entity[E, F, U]) getCommand(a *app) *cobra.Command {
	var relations []string
	var moment string
	cmd := &cobra.Command{
		Use: "get ID", Aliases: []string{"show"}, Short: "Show a " + d.use, Args: exactArgs(1, "one id, or the beginning of one"),
		Example: "  nexus " + d.use + " get " + exampleID(d.kind) + " --json",
	}
	if d.load != nil {
		names := make([]string, len(d.related))
		for i, kind := range d.related {
			names[i] = string(kind)
		}
		all := strings.Join(names, ",")
		cmd.Flags().StringSliceVar(&relations, "with", nil, "also load what is related: `kinds`, of "+all+", or all")
		cmd.Example += "\n  nexus " + d.use + " get " + exampleID(d.kind) + " --with all"
	}
	asOfFlag(cmd, &moment)
	cmd.Example += "\n  nexus " + d.use + " get " + exampleID(d.kind) + " --as-of 2h"
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kinds, err := d.relations(cmd, relations)
		if err != nil {
			return err
		}
		var e *E
		err = a.withDB(cmd.Context(), func(db *store.DB) error {
			services, err := servicesAt(cmd.Context(), db, moment)
			if err != nil {
				return err
			}
			e, err = d.getAt(cmd.Context(), services, args[0], moment != "", func(id string) (*E, error) {
				if len(kinds) > 0 {
					return d.load(cmd.Context(), services, id, kinds)
				}
				return d.service(services).Get(cmd.Context(), id)
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

// relations reads the kinds of --with.
func (d *entity[E, F, U]) relations(cmd *cobra.Command, names []string) (kinds []nexus.Kind, err error) {
	for _, name := range names {
		kind := nexus.Kind(strings.TrimSuffix(name, "s"))
		switch {
		case name == "all":
			return d.related, nil
		case !slices.Contains(d.related, kind):
			return nil, usage(cmd, fmt.Errorf("--with %s: it is not related to a %s", name, d.use))
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

func (d *entity[E, F, U]) listCommand(a *app) *cobra.Command {
	filter := new(F)
	page := d.page(filter)
	var idsOnly bool
	var moment string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List " + plural(d.use), Args: noArgs,
		Long: "List " + plural(d.use) + ", 50 at a time.\n\nWith --json, next_cursor is there if there are more; give it to --cursor.",
		Example: "  nexus " + d.use + " list --limit 20 --json\n" +
			"  nexus " + d.use + " list --order " + strings.Split(d.orders, ", ")[0],
	}
	flags := cmd.Flags()
	flags.StringVar(&page.OrderBy, "order", "", "order by this `column`: id, "+d.orders+" (default: id, which is the order of creation)")
	flags.BoolVar(&page.Descending, "desc", false, "in descending order")
	page.Limit = 50
	flags.BoolVar(&idsOnly, "ids", false, "print only the ids, one a line, all of them unless --limit says otherwise")
	flags.StringVar(&page.Cursor, "cursor", "", "go on where the `page` before ended")
	asOfFlag(cmd, &moment)
	b := &binder{app: a, flags: flags}
	flag(b, "limit", "at most this many (default: 50); 0 is all", numbers[int](), func(n int) { page.Limit = n })
	d.filters(b, filter)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if idsOnly && !cmd.Flags().Changed("limit") {
			page.Limit = 0 // for a program that goes through all of them
		}
		if page.Limit < 0 {
			return usage(cmd, errors.New("--limit cannot be negative"))
		}
		var list []E
		var cursor string
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			services, err := servicesAt(cmd.Context(), db, moment)
			if err != nil {
				return err
			}
			if err := d.resolve(cmd.Context(), services, b); err != nil {
				return err
			}
			list, cursor, err = d.page1(cmd.Context(), services, filter)
			return err
		})
		if err != nil {
			return err
		}
		return a.printPage(list, cursor, func(out io.Writer) error {
			if idsOnly {
				return d.ids(out, list)
			}
			return d.table(out, list, cursor)
		})
	}
	return cmd
}

// resolve resolves the filters. A word that is not known is no mistake if something has it.
func (d *entity[E, F, U]) resolve(ctx context.Context, db *store.Services, b *binder) error {
	var unknown []unknownWord
	for _, u := range b.unknown {
		filter := new(F)
		alone := &binder{app: b.app, flags: pflag.NewFlagSet("", pflag.ContinueOnError)}
		d.filters(alone, filter)
		if err := alone.flags.Set(u.flag, u.word); err != nil {
			return err
		}
		n, err := d.service(db).Count(ctx, *filter)
		if err != nil {
			return err
		}
		if n == 0 {
			unknown = append(unknown, u)
		}
	}
	b.unknown = unknown
	return b.resolveIn(ctx, db)
}

// page1 reads a page, and the cursor of the next if there is one.
func (d *entity[E, F, U]) page1(ctx context.Context, db *store.Services, filter *F) (list []E, cursor string, err error) {
	page := d.page(filter)
	limit := page.Limit
	if limit > 0 {
		page.Limit = limit + 1 // to see whether there is more
	}
	if list, err = d.service(db).List(ctx, *filter); err != nil {
		return nil, "", err
	}
	if limit > 0 && len(list) > limit {
		list = list[:limit]
		cursor, err = d.service(db).Cursor(*page, &list[limit-1])
	}
	return list, cursor, err
}

func (d *entity[E, F, U]) ids(out io.Writer, list []E) error {
	for i := range list {
		if _, err := fmt.Fprintln(out, oneLine(d.id(&list[i]))); err != nil {
			return err
		}
	}
	return nil
}

func (d *entity[E, F, U]) table(out io.Writer, list []E, cursor string) error {
	rows := make([][]string, len(list))
	for i := range list {
		rows[i] = d.row(&list[i])
	}
	if err := tableOr(out, "There are no such "+plural(d.use)+".", d.header, rows); err != nil {
		return err
	}
	if cursor != "" {
		_, err := fmt.Fprintf(out, "There are more: --cursor %s\n", cursor)
		return err
	}
	return nil
}

func (d *entity[E, F, U]) countCommand(a *app) *cobra.Command {
	filter := new(F)
	cmd := &cobra.Command{
		Use: "count", Short: "Count " + plural(d.use), Args: noArgs,
		Example: "  nexus " + d.use + " count --json",
	}
	b := &binder{app: a, flags: cmd.Flags()}
	d.filters(b, filter)
	var moment string
	asOfFlag(cmd, &moment)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		result := struct {
			Total    int64            `json:"total"`
			ByStatus map[string]int64 `json:"by_status,omitzero"` // nil without a status
		}{}
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			services, err := servicesAt(cmd.Context(), db, moment)
			if err != nil {
				return err
			}
			if err := d.resolve(cmd.Context(), services, b); err != nil {
				return err
			}
			if d.count == nil {
				result.Total, err = d.service(services).Count(cmd.Context(), *filter)
				return err
			}
			result.ByStatus, err = d.count(cmd.Context(), services, *filter)
			for _, n := range result.ByStatus {
				result.Total += n
			}
			return err
		})
		if err != nil {
			return err
		}
		return a.print(result, func(out io.Writer) error {
			rows := [][]string{}
			for _, status := range slices.Sorted(maps.Keys(result.ByStatus)) {
				rows = append(rows, []string{status, fmt.Sprint(result.ByStatus[status])})
			}
			return table(out, []string{"total", fmt.Sprint(result.Total)}, rows)
		})
	}
	return cmd
}

// counter adapts a service's CountByStatus.
func counter[S ~string, F any](count func(*store.Services) func(context.Context, F) (map[S]int64, error)) func(context.Context, *store.Services, F) (map[string]int64, error) {
	return func(ctx context.Context, db *store.Services, filter F) (map[string]int64, error) {
		counts, err := count(db)(ctx, filter)
		words := make(map[string]int64, len(counts))
		for status, n := range counts {
			words[string(status)] = n
		}
		return words, err
	}
}
