// Command nexus is the command line of Nexus.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/seed-c8812374/nexus/internal/cli"
	"github.com/seed-c8812374/nexus/internal/migration"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// version is set when a release is linked.
var version = ""

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	return cli.Run(ctx, os.Args[1:], cli.Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Terminal: term.IsTerminal(int(os.Stderr.Fd())),
		Asks:     term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())),
		Screen:   newScreen(),
		Getenv:   os.Getenv,
		Now:      time.Now,
		Database: databases{},
		Version:  buildVersion(),
	})
}

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// databases opens the databases that this program has drivers for.
type databases struct{}

func (databases) Open(ctx context.Context, s cli.Settings) (*store.DB, error) {
	return sqlite.Open(ctx, s.Path, options(s))
}

func (databases) Migrations(ctx context.Context, s cli.Settings) ([]migration.Status, error) {
	return sqlite.Migrations(ctx, s.Path, options(s))
}

func (databases) MigrateDown(ctx context.Context, s cli.Settings, all bool) ([]migration.Status, error) {
	return sqlite.MigrateDown(ctx, s.Path, options(s), all)
}

func (databases) Restore(
	ctx context.Context, s cli.Settings, from string, replace bool, progress func(done, total int64),
) (*driver.Restored, error) {
	return sqlite.Restore(ctx, s.Path, from, options(s), replace, progress)
}

func options(s cli.Settings) *sqlite.Options {
	return &sqlite.Options{
		Migrations: s.Migrations, NoSync: s.NoSync, ReadOnly: s.ReadOnly,
		Logger: s.Logger, Debug: s.Debug, Now: s.Now,
	}
}
