// Command bench measures how fast and how large Nexus is, and prints it as a
// table in Markdown:
//
//	go run ./internal/bench > table.md
//
// What can be measured in a process, the benchmarks of package sqlite measure;
// this program runs them and takes their figures. Whole processes it measures
// itself, in turns with others to compare with. docs/benchmarks.md says what each
// row means.
//
// It fails only if something cannot be measured, never because a target is
// missed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/seed-c8812374/nexus/internal/machine"
)

func main() {
	// Measuring a process needs a small one to start it; see startMeasured.
	if len(os.Args) > 1 && os.Args[1] == measureArgument {
		os.Exit(measureMain(os.Args[2:]))
	}
	rounds := flag.Int("rounds", 21, "how often to run each whole process")
	plot := flag.String("plot", "", "`file` for a picture of how the cost grows with the number of tasks, as SVG")
	only := flag.String("only", "", "measure only the steps whose name, as it is printed, fits a `pattern`; lists and processes need the plan")
	folder := flag.String("dir", os.TempDir(), "`folder` for the databases; must be on a disk, not in memory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *folder, *plot, *only, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, parent, plot, only string, rounds int) error {
	chosen, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp(parent, "nexus-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	b := &bench{ctx: ctx, folder: folder, rounds: rounds}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "bench: building …")
	if err := b.build(); err != nil {
		return fmt.Errorf("building: %w", err)
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"store and driver in turns", b.overhead},
		{"creating together", b.together},
		{"opening", b.open},
		{"the suite of all drivers", b.suite},
		{"applying a plan", b.plan},
		{"listing", b.list},
		{"claiming, as whole processes", b.claim},
		{"what an agent needs to know", b.resume},
		{"the work loop while the tasks grow", b.growth},
		{"workers together", b.pairs},
		{"recovering", b.recovery},
		{"history, checkpoints and the past", b.history},
		{"backing up", b.backup},
	} {
		if !chosen.MatchString(step.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s …\n", step.name)
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	b.print(os.Stdout, machine.FileSystem(folder))
	return b.plot(plot)
}

// bench is one run of the program.
type bench struct {
	ctx    context.Context
	self   string // this program
	folder string // for all that is made
	rounds int

	sqlite string // SQLite's version, as the benchmarks print it
	rows   []row
	curves []curve
}

// The programs that are built.
func (b *bench) nexus() string   { return filepath.Join(b.folder, "nexus"+exe) }
func (b *bench) empty() string   { return filepath.Join(b.folder, "empty"+exe) }
func (b *bench) tests() string   { return filepath.Join(b.folder, "sqlite.test"+exe) }
func (b *bench) db() string      { return filepath.Join(b.folder, "plan.db") }
func (b *bench) planDoc() string { return filepath.Join(b.folder, "plan.json") }

var exe = func() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}()

// build builds what is measured: nexus as it is released, a Go program that does
// nothing, and the benchmarks of package sqlite.
func (b *bench) build() error {
	source := filepath.Join(b.folder, "empty.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return err
	}
	const strip = "-ldflags=-s -w"
	for _, args := range [][]string{
		{"build", "-trimpath", strip, "-o", b.nexus(), "./cmd/nexus"},
		{"build", "-trimpath", strip, "-o", b.empty(), source},
		{"test", "-c", "-o", b.tests(), "./sqlite"},
	} {
		cmd := exec.CommandContext(b.ctx, "go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	info, err := os.Stat(b.nexus())
	if err != nil {
		return err
	}
	b.add(row{what: "Size of `bin/nexus`, stripped", unit: megabytes, limit: atMost(25), median: mega(info.Size())})
	return nil
}
