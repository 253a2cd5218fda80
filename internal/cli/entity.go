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

// entity describes the commands of one entity E, with its filter F and update U:
// create, get, list, count, update and delete. What an entity can do beyond that
// is added to its command.
type entity[E, F, U any] struct {
	kind nexus.Kind
	use  string // the word on the command line
	// aliases are other words for it.
	aliases []string
	// what says in the help what the entity is.
	what string
	// example is how to create one, without the program's name; change is a
	// flag that an example of update gives.
	example, change string

	service  func(*store.Services) *store.Service[E, F, U]
	id       func(*E) string
	page     func(*F) *nexus.Page
	revision func(*U) *int64
	orders   string // for the help of --order

	required []string // flags that create cannot do without
	argument string   // what create's argument is called, such as NAME; empty if it has none
	setArg   func(*E, string)
	fields   []field[E, U]
	filters  func(*binder, *F)

	header []string
	row    func(*E) []string

	load    func(context.Context, *store.DB, string, []nexus.Kind) (*E, error)           // nil without relations
	related []nexus.Kind                                                                 // what load can load
	count   func(context.Context, *store.DB, F) (map[string]int64, error)                // nil without a status
	protect func(ctx context.Context, db *store.Services, id string, cascade bool) error // before delete; nil if not needed
}

// field is a flag of create, of update, or of both.
type field[E, U any] struct {
	create func(*binder, *E)
	update func(*binder, *U)
}

// both is a flag for a field that can be set and changed.
func both[E, U, T any](name, usage string, kind kindOf[T], e func(*E) *T, u func(*U) **T) field[E, U] {
	f := changed[E](name, usage, kind, u)
	f.create = func(b *binder, en *E) { flag(b, name, usage, kind, func(v T) { *e(en) = v }) }
	return f
}

// changed is a flag for a field that a new entity does not have yet.
func changed[E, U, T any](name, usage string, kind kindOf[T], u func(*U) **T) field[E, U] {
	return field[E, U]{
		update: func(b *binder, up *U) { flag(b, name, usage, kind, func(v T) { *u(up) = &v }) },
	}
}

// one is a flag that holds the id of another entity. u is nil if it
// cannot change.
func one[E, U any](name, usage string, kind nexus.Kind, e func(*E) *string, u func(*U) **string) field[E, U] {
	f := field[E, U]{
		create: func(b *binder, en *E) { reference(b, name, usage, kind, func(id string) { *e(en) = id }) },
	}
	if u != nil {
		f.update = func(b *binder, up *U) { reference(b, name, usage, kind, func(id string) { *u(up) = &id }) }
	}
	return f
}

// several is a flag that holds ids of other entities.
func several[E, U any](name, usage string, kind nexus.Kind, e func(*E) *[]string, u func(*U) **[]string) field[E, U] {
	return field[E, U]{
		create: func(b *binder, en *E) { references(b, name, usage, kind, func(ids []string) { *e(en) = ids }) },
		update: func(b *binder, up *U) { references(b, name, usage, kind, func(ids []string) { *u(up) = &ids }) },
	}
}

// ownID is the flag for an id of the caller's choice.
func ownID[E, U any](e func(*E) *string) field[E, U] {
	return field[E, U]{create: func(b *binder, en *E) {
		flag(b, "id", "its id (default: one is made)", kindOf[string]{"id", words[string]().parse}, func(id string) { *e(en) = id })
	}}
}

func (d *entity[E, F, U]) command(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     d.use,
		Aliases: d.aliases,
		Short:   "Create, read, change and delete " + plural(d.use),
		Long:    d.what,
		Example: "  nexus " + d.example + "\n  nexus " + d.use + " list --json",
		Args:    cobra.ArbitraryArgs,
		RunE:    group,
	}
	cmd.AddCommand(d.createCommand(a), d.getCommand(a), d.listCommand(a), d.countCommand(a), d.updateCommand(a), d.deleteCommand(a))
	return cmd
}

func plural(word string) string { return word + "s" }

func (d *entity[E, F, U]) createCommand(a *app) *cobra.Command {
	e := new(E)
	use, args := "create", noArgs
	if d.argument != "" {
		use = "create [" + d.argument + "]"
		args = func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, fmt.Errorf("%q is not expected; put a %s of several words in quotes", args[1], d.argument))
			}
			return nil
		}
	}
	cmd := &cobra.Command{
		Use: use, Short: "Create a " + d.use, Args: args,
		Long:    "Create a " + d.use + " and print its id.\n\nWith --json the whole " + d.use + " is printed. A text flag of - reads standard input.",
		Example: "  nexus " + d.example,
	}
	b := &binder{app: a, flags: cmd.Flags()}
	for _, f := range d.fields {
		if f.create != nil {
			f.create(b, e)
		}
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, name := range d.required {
			if !cmd.Flags().Changed(name) {
				return usage(cmd, fmt.Errorf("give --%s", name))
			}
		}
		if len(args) > 0 {
			d.setArg(e, args[0])
		}
		err := a.withDB(cmd.Context(), func(db *store.DB) error {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			return d.service(&db.Services).Create(cmd.Context(), e)
		})
		if err != nil {
			return err
		}
		return a.print(e, func(out io.Writer) error {
			_, err := fmt.Fprintln(out, d.id(e))
			return err
		})
	}
	return cmd
}

func (d *entity[E, F, U]) getCommand(a *app) *cobra.Command {
	var relations []string
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
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kinds, err := d.relations(cmd, relations)
		if err != nil {
			return err
		}
		var e *E
		err = a.withDB(cmd.Context(), func(db *store.DB) error {
			id, err := d.service(&db.Services).Resolve(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if len(kinds) > 0 {
				e, err = d.load(cmd.Context(), db, id, kinds)
			} else {
				e, err = d.service(&db.Services).Get(cmd.Context(), id)
			}
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
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			list, cursor, err = d.page1(cmd.Context(), db, filter)
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

// page1 reads a page, and the cursor of the next if there is one.
func (d *entity[E, F, U]) page1(ctx context.Context, db *store.DB, filter *F) (list []E, cursor string, err error) {
	page := d.page(filter)
	limit := page.Limit
	if limit > 0 {
		page.Limit = limit + 1 // to see whether there is more
	}
	if list, err = d.service(&db.Services).List(ctx, *filter); err != nil {
		return nil, "", err
	}
	if limit > 0 && len(list) > limit {
		list = list[:limit]
		cursor, err = d.service(&db.Services).Cursor(*page, &list[limit-1])
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
	if len(list) == 0 {
		_, err := fmt.Fprintf(out, "There are no such %s.\n", plural(d.use))
		return err
	}
	rows := make([][]string, len(list))
	for i := range list {
		rows[i] = d.row(&list[i])
	}
	if err := table(out, d.header, rows); err != nil {
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
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		result := struct {
			Total    int64            `json:"total"`
			ByStatus map[string]int64 `json:"by_status,omitzero"` // nil without a status
		}{}
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			if d.count == nil {
				result.Total, err = d.service(&db.Services).Count(cmd.Context(), *filter)
				return err
			}
			result.ByStatus, err = d.count(cmd.Context(), db, *filter)
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
func counter[S ~string, F any](count func(*store.DB) func(context.Context, F) (map[S]int64, error)) func(context.Context, *store.DB, F) (map[string]int64, error) {
	return func(ctx context.Context, db *store.DB, filter F) (map[string]int64, error) {
		counts, err := count(db)(ctx, filter)
		words := make(map[string]int64, len(counts))
		for status, n := range counts {
			words[string(status)] = n
		}
		return words, err
	}
}

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
			if err == nil {
				e, err = d.service(&db.Services).Update(cmd.Context(), id, *update)
			}
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
		if f.Changed && f.Name != "revision" {
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
	if d.protect != nil {
		cmd.Flags().BoolVar(&cascade, "cascade", false, "also delete everything that belongs to it")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		deleted := []string{}
		err := a.withDB(cmd.Context(), func(db *store.DB) error {
			return d.delete(cmd.Context(), db, args, cascade, &deleted)
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

// delete deletes all or none.
func (d *entity[E, F, U]) delete(ctx context.Context, db *store.DB, prefixes []string, cascade bool, deleted *[]string) error {
	for _, prefix := range prefixes {
		id, err := d.service(&db.Services).Resolve(ctx, prefix)
		if err != nil {
			return err
		}
		if len(prefix) < shortestPrefix && prefix != id {
			return &nexus.Error{
				Code: nexus.CodeAmbiguous, Kind: d.kind, ID: prefix, Message: "is too short to delete by",
				Hint: fmt.Sprintf("give the whole id, %s, or at least %d characters", id, shortestPrefix),
			}
		}
		if !slices.Contains(*deleted, id) {
			*deleted = append(*deleted, id)
		}
	}
	return db.InTx(ctx, func(tx *store.Tx) error {
		for _, id := range *deleted {
			if d.protect != nil {
				if err := d.protect(ctx, &tx.Services, id, cascade); err != nil {
					return err
				}
			}
			if err := d.service(&tx.Services).Delete(ctx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// exampleID is an id for examples.
func exampleID(kind nexus.Kind) string {
	letters := map[nexus.Kind]string{
		nexus.KindProject: "p", nexus.KindFeature: "f", nexus.KindSubFeature: "u", nexus.KindTask: "t", nexus.KindAgent: "a",
		nexus.KindCheckpoint: "c", nexus.KindRequirement: "r", nexus.KindMetric: "m", nexus.KindSession: "s",
	}
	return letters[kind] + "1m837hj"
}
