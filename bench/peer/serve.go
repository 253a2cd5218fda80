package peer

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ErrCannot says that a program has no such ability.
var ErrCannot = errors.New("cannot")

// A command does n of something with so many writers at the same time. It returns
// how long that took.
type command func(n, writers int) (time.Duration, error)

// serve answers commands until standard input ends.
func serve(open func(path, synchronous string) error, version func() string, commands map[string]command, closeAll func() error) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(answer(open, version, commands, strings.Fields(lines.Text())))
	}
	if err := closeAll(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answer(open func(path, synchronous string) error, version func() string, commands map[string]command, words []string) string {
	var took time.Duration
	var err error
	switch {
	case len(words) == 1 && words[0] == "version":
		return "ok 0 " + version()
	case len(words) == 3 && words[0] == "open":
		took, err = timed(func() error { return open(words[1], words[2]) })
	case len(words) > 0 && commands[words[0]] != nil:
		took, err = commands[words[0]](number(words, 1), max(number(words, 2), 1))
	default:
		return "no"
	}
	switch {
	case errors.Is(err, ErrCannot):
		return "no"
	case err != nil:
		return "error " + strings.Join(strings.Fields(err.Error()), " ")
	}
	return fmt.Sprintf("ok %d", took.Nanoseconds())
}

// number is the i-th word as a number, or 0.
func number(words []string, i int) int {
	if i >= len(words) {
		return 0
	}
	n, _ := strconv.Atoi(words[i])
	return n
}

func timed(do func() error) (time.Duration, error) {
	start := time.Now()
	err := do()
	return time.Since(start), err
}

// repeat does something n times.
func repeat(n int, do func(i int) error) (time.Duration, error) {
	return timed(func() error {
		for i := range n {
			if err := do(i); err != nil {
				return err
			}
		}
		return nil
	})
}

// together does something n times, spread over so many goroutines.
func together(n, writers int, do func(i int) error) (time.Duration, error) {
	if writers == 1 {
		return repeat(n, do)
	}
	return timed(func() error {
		var next atomic.Int64
		var all sync.WaitGroup
		errs := make([]error, writers)
		for w := range writers {
			all.Go(func() {
				for errs[w] == nil {
					i := int(next.Add(1)) - 1
					if i >= n {
						return
					}
					errs[w] = do(i)
				}
			})
		}
		all.Wait()
		return errors.Join(errs...)
	})
}
