package sqlite_test

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

// childVariable, in the environment, makes the test binary play another process
// instead of running tests: the one of children that it names.
const childVariable = "NEXUS_TEST_CHILD"

// children are what other processes do in these tests. Each gets the arguments
// of its command line; an error goes to standard error and makes it exit with 1.
var children = map[string]func(args []string) error{
	"back-and-forth":    childBackAndForth,
	"back-up":           childBackUp,
	"cancel-nested":     childCancelNested,
	"close-together":    childCloseTogether,
	"hold-lock":         childHoldLock,
	"insert-waiting":    childInsertWaiting,
	"leave-wal":         childLeaveWAL,
	"migrate":           childMigrate,
	"nobody":            childNobody,
	"open-and-close":    childOpenAndClose,
	"open-and-write":    childOpenAndWrite,
	"open-at-once":      childOpenAtOnce,
	"read-twice":        childReadTwice,
	"relative-path":     childRelativePath,
	"restore":           childRestore,
	"search-until-kill": childSearchUntilKill,
	"torture":           childTorture,
	"torture-close":     childTortureClose,
	"torture-migrate":   childTortureMigrate,
	"torture-open":      childTortureOpen,
	"undo":              childUndo,
	"work-loop":         childWorkLoop,
	"write-many":        childWriteMany,
	"write-until-kill":  childWriteUntilKill,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		if err := children[name](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// patient is how long a test waits for what must happen before it calls it a
// hang. It is long, because a loaded machine is slow, and never waited out when
// all is well.
const patient = 2 * time.Minute

// process is another process on the same files.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr strings.Builder
	waited bool
}

// start starts a child in folder, or in the current one if that is empty.
func start(t testing.TB, folder, child string, args ...string) *process {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(program, args...)}
	p.cmd.Dir = folder
	p.cmd.Env = append(os.Environ(), childVariable+"="+child)
	p.cmd.Stderr = &p.stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(stdout)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(patient, func() { _ = p.cmd.Process.Kill() })
	t.Cleanup(func() {
		guard.Stop()
		if !p.waited {
			p.kill()
		}
	})
	return p
}

// line waits for the next line of the child's output.
func (p *process) line() string {
	p.t.Helper()
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		_ = p.cmd.Wait()
		p.waited = true
		p.t.Fatalf("the child ended: %v; its errors: %s", err, p.stderr.String())
	}
	return strings.TrimSuffix(line, "\n")
}

// goOn lets a child go on that waits for its input to end.
func (p *process) goOn() { _ = p.stdin.Close() }

// end waits for the child to end, and returns the rest of its output.
func (p *process) end() (output string, err error) {
	rest, _ := io.ReadAll(p.stdout)
	p.waited = true
	if err := p.cmd.Wait(); err != nil {
		return string(rest), fmt.Errorf("%w: %s", err, p.stderr.String())
	}
	return string(rest), nil
}

// mustEnd is end for a child that must succeed.
func (p *process) mustEnd() string {
	p.t.Helper()
	p.goOn()
	output, err := p.end()
	if err != nil {
		p.t.Fatal(err)
	}
	return output
}

// kill ends the child without warning, and returns what it had still printed.
func (p *process) kill() string {
	_ = p.cmd.Process.Kill()
	rest, _ := io.ReadAll(p.stdout)
	_ = p.cmd.Wait()
	p.waited = true
	return string(rest)
}

// say prints a line to the parent.
func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// awaitParent waits until the parent lets the child go on.
func awaitParent() { _, _ = io.Copy(io.Discard, os.Stdin) }
