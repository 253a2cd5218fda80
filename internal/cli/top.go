package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// Screen is a terminal that a program draws on.
type Screen interface {
	// Size returns its columns and rows.
	Size() (width, height int, err error)
	// Open makes it ready to be drawn on. Until restore is called, keys are not
	// shown but sent to the channel, which is nil if there is no keyboard.
	Open() (keys <-chan byte, restore func(), err error)
}

// leastInterval keeps top from doing nothing else but reading.
const leastInterval = 100 * time.Millisecond

// top is one run of the command.
type top struct {
	app       *app
	db        *store.DB
	project   string
	interval  time.Duration
	count     int // of readings; 0 is no end
	once      bool
	untilDone bool
}

func (a *app) topCommand() *cobra.Command {
	t := &top{app: a}
	cmd := &cobra.Command{
		Use: "top", Short: "Watch agents, tasks in flight, progress, pace and cost", Args: noArgs,
		Long: `Watch agents, tasks in flight, the progress of features, pace and cost, all of one
moment. On a terminal the view is drawn again every --interval, until q or Ctrl-C;
elsewhere there is one line, or with --json one object, every --interval.

It only reads, and never creates or changes a database.`,
		Example: "  nexus top\n" +
			"  nexus top --project p1m837hj --interval 5s\n" +
			"  nexus top --once\n" +
			"  nexus top --until-done --json",
	}
	flags := cmd.Flags()
	b := &binder{app: a, flags: flags}
	existing(b, "project", "of this project", nexus.KindProject, func(id string) { t.project = id })
	flags.DurationVar(&t.interval, "interval", time.Second, "how long to wait before looking again, such as `5s`")
	flags.BoolVar(&t.once, "once", false, "print the view once, and end")
	flags.IntVar(&t.count, "count", 0, "end after looking this `often`")
	flags.BoolVar(&t.untilDone, "until-done", false, "end when every task is completed or skipped")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case t.interval < leastInterval:
			return usage(cmd, fmt.Errorf("--interval must be %v at least", leastInterval))
		case flags.Changed("count") && t.count < 1:
			return usage(cmd, errors.New("--count must be 1 at least"))
		case t.once && (t.count > 0 || t.untilDone):
			return usage(cmd, errors.New("--once goes with neither --count nor --until-done"))
		}
		given := a.readOnly
		a.readOnly = true
		a.Terminal = false // the view is the sign of life
		err := a.withDB(cmd.Context(), func(db *store.DB) error {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			t.db = db
			return t.run(cmd.Context())
		})
		var e *nexus.Error
		if errors.As(err, &e) && e.Code == nexus.CodeReadOnly && !given {
			e.Hint = "top never changes a database; run nexus migrate once, which makes a backup first"
		}
		return err
	}
	return cmd
}

func (t *top) run(ctx context.Context) error {
	a := t.app
	switch {
	case a.json:
		return t.watch(ctx, func(o *nexus.Overview) error { return a.print(o, nil) }, t.wait)
	case t.once:
		return t.watch(ctx, func(o *nexus.Overview) error {
			v := a.view()
			return a.print(o, func(out io.Writer) error {
				_, err := io.WriteString(out, strings.Join(v.lines(o), "\n")+"\n")
				return err
			})
		}, nil)
	case a.Screen != nil && a.Getenv("TERM") != "dumb":
		return t.live(ctx)
	default:
		return t.watch(ctx, t.line, t.wait)
	}
}

// colour reports whether a terminal is to have colours.
func (a *app) colour() bool { return a.Getenv("NO_COLOR") == "" && a.Getenv("TERM") != "dumb" }

// view is a view that is drawn once, where standard output goes.
func (a *app) view() view {
	v := view{now: a.Now(), path: a.shownPath()}
	if a.Screen != nil {
		v.width, _, _ = a.Screen.Size() // 0 if that cannot be told
		v.colour = a.colour()
	}
	return v
}

// line prints an overview as one line.
func (t *top) line(o *nexus.Overview) error {
	return t.app.print(o, func(out io.Writer) error {
		_, err := fmt.Fprintln(out, overviewLine(o, t.app.Now()))
		return err
	})
}

// watch reads and shows until the end that the flags say, or until wait says that
// somebody wants it to end.
func (t *top) watch(ctx context.Context, show func(*nexus.Overview) error, wait func(context.Context, time.Duration) bool) error {
	for n := 1; ; n++ {
		began := time.Now()
		o, err := t.db.Overview(ctx, t.project)
		if err != nil {
			if ctx.Err() != nil {
				return t.stopped()
			}
			return err
		}
		if err := show(o); err != nil {
			return err
		}
		if t.once || n == t.count || t.untilDone && o.TasksOpen == 0 {
			return nil
		}
		// Where reading takes long, it is done less often: a tenth of the time.
		took := time.Since(began)
		if !wait(ctx, max(t.interval-took, 9*took)) {
			return t.stopped()
		}
	}
}

// stopped is how it ends that somebody has had enough: as it should, unless it was
// to end by itself, for a script may wait for that.
func (t *top) stopped() error {
	if t.count == 0 && !t.untilDone {
		return nil
	}
	return &nexus.Error{Code: nexus.CodeCanceled, Message: "stopped before the end", Hint: "nothing was changed"}
}

func (t *top) wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// What the terminal is told. The lines of the view are as long as it is wide, and
// must not be broken if it takes a character for wider than we do.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l" // another page, no cursor, no broken lines
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	toBegin     = "\x1b[H"
	clearLine   = "\x1b[K"
	clearRest   = "\x1b[J"
)

// live draws on the terminal until it ends or a key ends it.
func (t *top) live(ctx context.Context) (err error) {
	a := t.app
	keys, restore, err := a.Screen.Open()
	if err != nil {
		return t.watch(ctx, t.line, t.wait)
	}
	var last *nexus.Overview
	_, err = io.WriteString(a.Out, enterScreen)
	defer func() {
		_, leaving := io.WriteString(a.Out, leaveScreen)
		restore()
		if err = errors.Join(err, leaving); err == nil && last != nil {
			err = t.line(last) // so that something of it remains
		}
	}()
	if err != nil {
		return err
	}
	drawn := [2]int{} // the size for which it was drawn
	draw := func(o *nexus.Overview) error {
		last = o
		width, height, err := a.Screen.Size()
		drawn = [2]int{width, height}
		if err != nil || width < 1 || height < 1 {
			width, height = 80, 24
		}
		v := view{width: width, height: height, colour: a.colour(), keys: true, now: a.Now(), path: a.shownPath()}
		lines := v.lines(o)
		// Clearing comes before a line: after one that reaches the margin it would
		// take the last character away.
		frame := toBegin + clearLine + strings.Join(lines, "\r\n"+clearLine)
		if len(lines) < height {
			frame += "\r\n" + clearRest
		}
		_, err = io.WriteString(a.Out, frame)
		return err
	}
	return t.watch(ctx, draw, func(ctx context.Context, d time.Duration) bool {
		const look = 200 * time.Millisecond // whether the window has another size
		for until := time.Now().Add(d); ; {
			left := time.Until(until)
			if left <= 0 {
				return true
			}
			select {
			case <-ctx.Done():
				return false
			case key := <-keys:
				if key == 'q' || key == 'Q' || key == ctrlC || key == ctrlD {
					return false
				}
			case <-time.After(min(left, look)):
			}
			if width, height, err := a.Screen.Size(); err == nil && drawn != [2]int{width, height} && draw(last) != nil {
				return false
			}
		}
	})
}

// In raw mode these are keys like others.
const (
	ctrlC = 0x03
	ctrlD = 0x04
)
