// Package cli is the command line: it reads arguments, calls the store, and
// prints. Whatever belongs to the outside world (streams, environment, clock,
// how a database is opened) is given to it.
//
// docs/cli.md is the contract of what it prints and how it exits.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/migration"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// DefaultPath is the database if neither --db nor the environment names one.
const DefaultPath = "./data/nexus.db"

// Env is the outside world.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	Terminal bool   // Err is a terminal, so a progress bar can be drawn on it
	Asks     bool   // In and Err are a terminal, so a question can be put
	Screen   Screen // the terminal that Out is; nil if it is none
	Getenv   func(string) string
	Now      func() time.Time
	Database Database
	Version  string
}

// Settings say which database to open, and how.
type Settings struct {
	Path       string
	Migrations string // a folder of the user's own
	ReadOnly   bool
	NoSync     bool
	Debug      bool
	Logger     *slog.Logger
	Now        func() time.Time
}

// Database is how databases are opened and migrated.
type Database interface {
	IsURL(path string) bool   // it names a database on a server, not a file
	Shown(path string) string // as it may be printed: without a password
	Open(context.Context, Settings) (*store.DB, error)
	Migrations(context.Context, Settings) ([]migration.Status, error)
	MigrateDown(ctx context.Context, s Settings, all bool) ([]migration.Status, error)
	Restore(ctx context.Context, s Settings, from string, replace bool, progress func(done, total int64)) (*driver.Restored, error)
}

// Run runs one command and returns its exit code.
func Run(ctx context.Context, args []string, env Env) int {
	a := &app{Env: env, ctx: ctx}
	// Known before the flags are read, for what is wrong with them.
	flags, _, _ := strings.Cut(strings.Join(args, "\x00")+"\x00", "\x00--\x00")
	a.json = slices.Contains(strings.Split(flags, "\x00"), "--json")
	root := a.root(args)
	root.SetArgs(args)
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	if err := root.ExecuteContext(ctx); err != nil {
		return a.fail(err)
	}
	return exitOK
}

// app is one run of the program.
type app struct {
	Env
	ctx       context.Context // of the run
	stdinRead bool            // standard input has been read

	// The flags that every command has.
	db         string
	migrations string
	json       bool
	readOnly   bool
	noSync     bool
	debug      bool
	actor      string
	key        string // of idempotency, of commands that change something

	progress *progress // of the command that is running
}

// root is the program with the commands that the arguments may mean.
func (a *app) root(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "nexus",
		Short: "The crash-safe memory of a team of coding agents",
		Long: `Nexus keeps projects, features, tasks, agents and what became of them in one
SQLite file, and hands the tasks out to agents, each to one. What a command says is
done is on disk.

The database is the one of --db, else of DATABASE_PATH, else of DATABASE_URL if that is a
URL of PostgreSQL, else ` + DefaultPath + `.
It is created, and its schema brought up to date, by whatever command comes first.`,
		Example: `  nexus plan apply plan.json
  nexus claim --agent coder-1 --json
  nexus complete t1m837hj --epoch 7 --commit 4f2c1e9
  nexus work --agent coder-1 --until-empty -- ./solve.sh`,
		Version:       a.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE:          group,
	}
	flags := root.PersistentFlags()
	flags.Var((*filled)(&a.db), "db", "database `file`, or URL of PostgreSQL (default: $DATABASE_PATH, else $DATABASE_URL, else "+DefaultPath+")")
	flags.StringVar(&a.migrations, "migrations", "", "`folder` of your own migrations (default: $NEXUS_MIGRATIONS)")
	flags.BoolVar(&a.json, "json", a.json, "print JSON, and nothing else, on standard output")
	flags.BoolVar(&a.readOnly, "read-only", false, "refuse to change the database; can also read a newer one")
	flags.BoolVar(&a.noSync, "no-sync", false, "do not wait for the disk: survives a crash, not a loss of power")
	flags.BoolVar(&a.debug, "debug", false, "log every query, with arguments and duration, on standard error")
	flags.StringVar(&a.actor, "actor", "", "the history's `name` for who makes a change (default: $"+envActor+", else the agent)")
	root.PersistentPreRunE = a.actAs
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		var input *nexus.Error // of a flag that reads standard input
		if errors.As(err, &input) {
			return input
		}
		return usage(cmd, plainFlagError(err))
	})

	for _, group := range a.commandGroups() {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
	}
	for _, c := range a.commandsFor(args) {
		cmd := c.make()
		cmd.GroupID = c.group
		root.AddCommand(cmd)
	}
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.Args, cmd.RunE = cobra.ArbitraryArgs, group
		}
	}
	return root
}

// group runs a command that only has subcommands.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	message := fmt.Sprintf("there is no command %q in %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		message += fmt.Sprintf(", did you mean %q", near[0])
	}
	return usage(cmd, errors.New(message))
}

func (a *app) path() string {
	if a.db != "" {
		return a.db
	}
	if path := a.Getenv("DATABASE_PATH"); path != "" {
		return path
	}
	// Other programs have it too, for databases that are no business of ours.
	if url := a.Getenv("DATABASE_URL"); a.Database.IsURL(url) {
		return url
	}
	return DefaultPath
}

// shownPath is the database as it may be printed.
func (a *app) shownPath() string { return a.Database.Shown(a.path()) }

func (a *app) settings() Settings {
	s := Settings{
		Path: a.path(), Migrations: a.migrations, ReadOnly: a.readOnly, NoSync: a.noSync, Debug: a.debug,
		Logger: slog.New(&notes{out: a.Err, json: a.json}), Now: a.Now,
	}
	if s.Migrations == "" {
		s.Migrations = a.Getenv("NEXUS_MIGRATIONS")
	}
	if a.debug {
		s.Logger = slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return s
}

// withDB opens the database, runs fn, and closes it. What fn prints comes after
// the commit of what it did.
func (a *app) withDB(ctx context.Context, fn func(*store.DB) error) error {
	a.progress = a.startProgress()
	defer a.progress.stop()
	return a.with(ctx, a.settings(), fn)
}

// with is withDB for another database than the one that the command is about.
func (a *app) with(ctx context.Context, s Settings, fn func(*store.DB) error) (err error) {
	db, err := a.Database.Open(ctx, s)
	if err != nil {
		return err
	}
	defer func() {
		// What the command did is committed; this is no reason to say it failed.
		if closeErr := db.Close(); closeErr != nil {
			a.settings().Logger.Warn("the database could not be closed properly", "error", closeErr)
		}
	}()
	return fn(db)
}
