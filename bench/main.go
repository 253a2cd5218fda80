// Command bench measures Nexus next to what a user would take instead, on the same
// work in the same run, and writes what it found as Markdown with plots:
//
//	go run .            # everything, and RESULTS.md
//	go run . -short     # a little of everything, in about a minute, to the screen
//
// Every program that is measured is a process of its own (peers/) and is told what
// to do line by line (peer/). They have turns: each does a little of a piece of
// work, one after the other, again and again, so that whatever else the machine
// does meets them alike.
//
// It needs gcc, and uses what it finds of Node with npm, sqlite3 and PostgreSQL; what
// is not there is left out, and said. It fails if something cannot be measured,
// never because something is slow.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

func main() {
	short := flag.Bool("short", false, "measure a little of everything, and write no files")
	out := flag.String("out", ".", "`folder` for RESULTS.md and the plots")
	dir := flag.String("dir", os.TempDir(), "`folder` for the databases; must be on a disk, not in memory")
	only := flag.String("only", "", "measure only the kinds of work whose name this `expression` matches, and write no files")
	largest := flag.Int("largest", 1_000_000, "`number` of tasks that the largest database has; a million take minutes to make")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *short, *out, *dir, *only, *largest); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, short bool, out, dir, only string, largest int) (err error) {
	chosen, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp(dir, "nexus-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	// PostgreSQL, which runs as another user, has its folder in this one.
	if err := os.Chmod(folder, 0o711); err != nil {
		return err
	}
	b := &bench{ctx: ctx, folder: folder, effort: full}
	if short {
		b.effort = brief
	}
	b.effort = b.effort.upTo(largest)
	steps := []struct {
		name string
		do   func() error
	}{
		{"build", b.build},
		{"data", b.makeData},
		{"tables", b.tables},
		{"together", b.together},
		{"queues", b.queues},
		{"open", b.opening},
		{"keeping", b.keeping},
		{"process", b.processes},
		{"size", b.size},
		{"ready", b.ready},
		{"memory", b.memory},
	}
	for i, step := range steps {
		if i >= 2 && !chosen.MatchString(step.name) {
			continue
		}
		start := time.Now()
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Fprintf(os.Stderr, "bench: %s took %v\n", step.name, time.Since(start).Round(time.Second/10))
		if !short && only == "" { // what is there if a later step fails
			if err := b.save(out); err != nil {
				return err
			}
		}
	}
	if short || only != "" {
		return b.write(os.Stdout)
	}
	return nil
}

// bench is one run of the program.
type bench struct {
	ctx    context.Context
	folder string // for all that is made; gone at the end
	effort effort

	goqiteSchema string // a file of its module

	missing  []string // what could not be had, and why
	versions []string // of the programs, as they say it themselves
	grids    []*grid
}

func (b *bench) file(name string) string { return filepath.Join(b.folder, name) }

// effort is how much is measured.
type effort struct {
	rounds     int // turns of each program
	share      int // of the full number of operations in a turn, one in so many
	sizes      []int
	queueSizes []int // no larger, for queues that take long to fill
	allRows    int   // rows of the table that an iterator goes through
	updates    int   // before the size of the file is looked at
	coldRounds int   // runs of each whole process
}

var (
	full = effort{
		rounds: 9, share: 1,
		sizes: []int{1_000, 10_000, 100_000, 1_000_000}, queueSizes: []int{1_000, 10_000, 100_000},
		allRows: 1_000_000, updates: 100_000, coldRounds: 15,
	}
	brief = effort{
		rounds: 3, share: 10,
		sizes: []int{1_000, 10_000}, queueSizes: []int{1_000},
		allRows: 30_000, updates: 2_000, coldRounds: 3,
	}
)

// of is the number of operations in a turn.
func (e effort) of(n int) int { return max(n/e.share, 1) }

// upTo is less effort, with no more tasks than so many.
func (e effort) upTo(largest int) effort {
	tooLarge := func(n int) bool { return n > largest }
	e.sizes = slices.DeleteFunc(slices.Clone(e.sizes), tooLarge)
	e.queueSizes = slices.DeleteFunc(slices.Clone(e.queueSizes), tooLarge)
	e.allRows = min(e.allRows, largest)
	return e
}
