// Package childtest gives tests other processes: the test binary itself, which plays one
// of several roles.
package childtest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// variable, in the environment, makes the test binary play another process instead of
// running tests: the one of the children that it names.
const variable = "NEXUS_TEST_CHILD"

// Children are what other processes do, by name. Each gets the arguments of its command
// line; an error goes to standard error and makes it exit with 1.
type Children map[string]func(args []string) error

// Main is what a TestMain begins with. In a child it does not return.
func Main(children Children) {
	name := os.Getenv(variable)
	if name == "" {
		return
	}
	if err := children[name](os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Patient is how long a test waits for what must happen before it calls it a
// hang. It is long, because a loaded machine is slow, and never waited out when
// all is well.
const Patient = 2 * time.Minute

// Process is another process.
type Process struct {
	Cmd    *exec.Cmd
	Stdin  io.WriteCloser
	Stderr strings.Builder
	Waited bool

	T      testing.TB
	stdout *bufio.Reader
}

// Start starts a child in folder, or in the current one if that is empty.
func Start(t testing.TB, folder, child string, args ...string) *Process {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{T: t, Cmd: exec.Command(program, args...)}
	p.Cmd.Dir = folder
	p.Cmd.Env = append(os.Environ(), variable+"="+child)
	p.Cmd.Stderr = &p.Stderr
	if p.Stdin, err = p.Cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := p.Cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(stdout)
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(Patient, func() { _ = p.Cmd.Process.Kill() })
	t.Cleanup(func() {
		guard.Stop()
		if !p.Waited {
			p.Kill()
		}
	})
	return p
}

// Line waits for the next line of the child's output.
func (p *Process) Line() string {
	p.T.Helper()
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		_ = p.Cmd.Wait()
		p.Waited = true
		p.T.Fatalf("the child ended: %v; its errors: %s", err, p.Stderr.String())
	}
	return strings.TrimSuffix(line, "\n")
}

// GoOn lets a child go on that waits for its input to end.
func (p *Process) GoOn() { _ = p.Stdin.Close() }

// End waits for the child to end, and returns the rest of its output.
func (p *Process) End() (output string, err error) {
	rest, _ := io.ReadAll(p.stdout)
	p.Waited = true
	if err := p.Cmd.Wait(); err != nil {
		return string(rest), fmt.Errorf("%w: %s", err, p.Stderr.String())
	}
	return string(rest), nil
}

// MustEnd is End for a child that must succeed.
func (p *Process) MustEnd() string {
	p.T.Helper()
	p.GoOn()
	output, err := p.End()
	if err != nil {
		p.T.Fatal(err)
	}
	return output
}

// Kill ends the child without warning, and returns what it had still printed.
func (p *Process) Kill() string {
	_ = p.Cmd.Process.Kill()
	rest, _ := io.ReadAll(p.stdout)
	_ = p.Cmd.Wait()
	p.Waited = true
	return string(rest)
}

// Say prints a line to the parent.
func Say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// AwaitParent waits until the parent lets the child go on.
func AwaitParent() { _, _ = io.Copy(io.Discard, os.Stdin) }
