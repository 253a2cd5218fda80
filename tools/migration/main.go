// Command migration writes the next migration from the difference between the
// columns in the Go code and the migrated schema:
//
//	go run ./migration -name add_task_owner -dir ../sqlite/migrations
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/seed-c8812374/nexus/tools/drift"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "migration:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("migration", flag.ExitOnError)
	name := flags.String("name", "", "what the migration does, such as add_task_owner")
	dir := flags.String("dir", "../sqlite/migrations", "the folder to write it to")
	_ = flags.Parse(args) // exits on error

	path, err := drift.Write(ctx, *dir, *name, drift.Wanted())
	if err != nil {
		return err
	}
	if path == "" {
		fmt.Fprintln(out, "The schema is what the Go columns say; nothing to write.")
		return nil
	}
	fmt.Fprintln(out, "Wrote", path)
	return nil
}
