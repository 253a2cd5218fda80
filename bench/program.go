package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// contender is a program that is measured, and what it works on.
type contender struct {
	name    string
	schema  schema
	command []string
}

// errCannot says that a program has no such ability.
var errCannot = errors.New("it has no such ability")

// program is a contender's process; see package peer for how to talk to it.
type program struct {
	contender
	process *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

func (b *bench) start(c contender) (*program, error) {
	p := &program{contender: c, process: exec.CommandContext(b.ctx, c.command[0], c.command[1:]...)}
	p.process.Stderr = os.Stderr
	in, err := p.process.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	return p, p.process.Start()
}

// open has a program open a file, and notes its version.
func (b *bench) open(p *program, path, synchronous string) error {
	if _, _, err := p.ask("open " + path + " " + synchronous); err != nil {
		return err
	}
	_, version, err := p.ask("version")
	b.noteVersion(version)
	return err
}

// do has a program do n of something, with so many writers at the same time.
func (p *program) do(what string, n, writers int) (time.Duration, error) {
	took, _, err := p.ask(fmt.Sprintf("%s %d %d", what, n, writers))
	return took, err
}

func (p *program) ask(line string) (took time.Duration, text string, err error) {
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		return 0, "", fmt.Errorf("%s: %w", p.name, err)
	}
	answer, err := p.out.ReadString('\n')
	if err != nil {
		return 0, "", fmt.Errorf("%s: %s: %w", p.name, line, err)
	}
	kind, rest, _ := strings.Cut(strings.TrimSpace(answer), " ")
	switch kind {
	case "no":
		return 0, "", errCannot
	case "ok":
		number, text, _ := strings.Cut(rest, " ")
		ns, err := strconv.ParseInt(number, 10, 64)
		return time.Duration(ns), text, err
	default:
		return 0, "", fmt.Errorf("%s: %s: %s", p.name, line, rest)
	}
}

// stop lets a program close its database and waits for its end.
func (p *program) stop() error {
	if err := p.in.Close(); err != nil {
		return err
	}
	if err := p.process.Wait(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// stopAll stops programs, and returns the first error there was.
func stopAll(programs []*program) error {
	var errs []error
	for _, p := range programs {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}
