package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

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
	project  func(*E) *string // that it belongs to; nil if it belongs to none
	page     func(*F) *nexus.Page
	revision func(*U) *int64
	orders   string // for the help of --order

	// within returns the project of what a new entity is for, or nothing; nil if it is for
	// nothing else.
	within func(context.Context, *store.Services, *E) (string, error)

	// make makes a new entity in place of the service's Create; nil if that does.
	make     func(a *app, cmd *cobra.Command, db *store.DB, args []string, e *E) (*E, error)
	required []string // flags that create cannot do without
	argument string   // what create's argument is called, such as NAME; empty if it has none
	setArg   func(*E, string)
	fields   []field[E, U]
	filters  func(*binder, *F)

	header []string
	row    func(*E) []string

	load    func(context.Context, *store.Services, string, []nexus.Kind) (*E, error)     // nil without relations
	related []nexus.Kind                                                                 // what load can load
	count   func(context.Context, *store.Services, F) (map[string]int64, error)          // nil without a status
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
	a.keyFlag(cmd)
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
		if name := strings.ToLower(d.argument); len(args) > 0 && cmd.Flags().Changed(name) {
			return usage(cmd, fmt.Errorf("give the %s as an argument or as --%s, not both", name, name))
		}
		if len(args) > 0 {
			d.setArg(e, args[0])
		}
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			if err := d.findProject(cmd, &db.Services, e); err != nil {
				return err
			}
			if d.make != nil {
				e, err = d.make(a, cmd, db, args, e)
				return err
			}
			e, err = once(a, cmd, db, args, func(tx *store.Tx) (*E, error) {
				created := *e
				return &created, d.service(&tx.Services).Create(cmd.Context(), &created)
			})
			return err
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

// findProject finds out which project is meant if none was named: that of what e is for,
// or the only one.
func (d *entity[E, F, U]) findProject(cmd *cobra.Command, db *store.Services, e *E) (err error) {
	if d.project == nil || cmd.Flags().Changed("project") {
		return nil
	}
	project := ""
	if d.within != nil {
		project, err = d.within(cmd.Context(), db, e)
	}
	if err == nil && project == "" {
		project, err = onlyProject(cmd.Context(), db)
	}
	*d.project(e) = project
	return err
}

// exampleID is an id for examples.
func exampleID(kind nexus.Kind) string {
	letters := map[nexus.Kind]string{
		nexus.KindProject: "p", nexus.KindFeature: "f", nexus.KindSubFeature: "u", nexus.KindTask: "t", nexus.KindAgent: "a",
		nexus.KindCheckpoint: "c", nexus.KindRequirement: "r", nexus.KindMetric: "m", nexus.KindSession: "s",
	}
	return letters[kind] + "1m837hj"
}
