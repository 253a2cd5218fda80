//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// atWork is a worker in a process of its own, with a command for task t1 that has
// just begun.
type atWork struct {
	t      *testing.T
	folder string
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr bytes.Buffer
	ended  <-chan string // receives when the command and all its processes have ended
}

// startWorker starts a worker with a lease of an hour. Its command says when it has
// begun by writing to the named pipe "began", and has "alive" open for writing.
func startWorker(t *testing.T, command string) *atWork {
	t.Helper()
	w := &atWork{t: t, folder: t.TempDir()}
	for _, name := range []string{"began", "alive"} {
		if err := syscall.Mkfifo(filepath.Join(w.folder, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	succeed(t, program(t, w.folder, "project", "create", "Shop", "--id", "p1"))
	succeed(t, program(t, w.folder, "task", "create", "A", "--id", "t1", "--project", "p1"))
	w.cmd = program(t, w.folder, "work", "--agent", "w1", "--lease", "1h", "--until-empty", "--", "sh", "-c", command)
	w.cmd.Env = append(w.cmd.Env, "TMPDIR="+w.folder) // where a killed one leaves something
	w.cmd.Stdout, w.cmd.Stderr = &w.stdout, &w.stderr
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.cmd.Process.Kill() }) // if the test has failed
	w.ended = w.pipe("alive")
	w.receive("the command begins", w.pipe("began"))
	return w
}

// pipe returns what is written to a named pipe until nobody has it open any more.
func (w *atWork) pipe(name string) <-chan string {
	text := make(chan string, 1)
	go func() {
		read, err := os.ReadFile(filepath.Join(w.folder, name))
		if err != nil {
			w.t.Error(err)
		}
		text <- string(read)
	}()
	return text
}

func (w *atWork) receive(what string, from <-chan string) {
	w.t.Helper()
	select {
	case <-from:
	case <-time.After(2 * time.Minute):
		w.t.Fatalf("it does not happen that %s: %s", what, w.stderr.String())
	}
}

// signal sends a signal and waits for the end of the worker.
func (w *atWork) signal(signal syscall.Signal) result {
	w.t.Helper()
	if err := w.cmd.Process.Signal(signal); err != nil {
		w.t.Fatal(err)
	}
	_ = w.cmd.Wait() // the code says it
	return result{w.cmd.ProcessState.ExitCode(), w.stdout.String(), w.stderr.String()}
}

// field returns a field of t1.
func (w *atWork) field(name string) string {
	w.t.Helper()
	for line := range strings.Lines(succeed(w.t, program(w.t, w.folder, "task", "get", "t1"))) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == name {
			return strings.Join(words[1:], " ")
		}
	}
	return ""
}

// A worker that is asked to end gives back what it holds.
func TestWorkerIsStopped(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			w := startWorker(t, `exec 3> alive; echo > began; sleep 1000`)
			r := w.signal(signal)
			w.receive("all processes of the command end", w.ended)
			if want := "0 completed, 0 failed, 1 released, 0 lost.\n"; r.code != 0 || r.stdout != want {
				t.Errorf("exit code %d, %s%s", r.code, r.stdout, r.stderr)
			}
			if !strings.Contains(r.stderr, "  t1  given back: the worker was stopped\n") {
				t.Errorf("the log is\n%s", r.stderr)
			}
			if status, failed := w.field("status"), w.field("failed_attempts"); status != "pending" || failed != "" {
				t.Errorf("the task is %s, and has failed %s times", status, failed)
			}
			wantAlone(t, w.folder)
			if got := succeed(t, program(t, w.folder, "recover")); !strings.HasPrefix(got, "Nothing had to be recovered.") {
				t.Errorf("recover says\n%s", got)
			}
		})
	}
}

// What the command finishes when it is asked to end is done.
func TestWorkerIsStoppedAndFinishes(t *testing.T) {
	t.Parallel()
	w := startWorker(t, `trap 'exit 0' TERM; exec 3> alive; echo > began; while :; do sleep 0.01; done`)
	r := w.signal(syscall.SIGTERM)
	if want := "1 completed, 0 failed, 0 released, 0 lost.\n"; r.code != 0 || r.stdout != want {
		t.Errorf("exit code %d, %s%s", r.code, r.stdout, r.stderr)
	}
	if status := w.field("status"); status != "completed" {
		t.Errorf("the task is %s", status)
	}
}

// A worker that is killed cannot give anything back. Its task is taken back all the
// same long before the lease is over, because the process is gone; and the command
// does not live on.
func TestWorkerIsKilled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		notTested(t, "a killed worker, because processes have no names here")
	}
	for name, args := range map[string][]string{
		"recover":        {"recover"},
		"another worker": {"work", "--agent", "w2", "--until-empty", "--", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorker(t, `exec 3> alive; echo > began; exec sleep 1000`)
			if r := w.signal(syscall.SIGKILL); r.code != -1 {
				t.Fatalf("exit code %d", r.code)
			}
			w.receive("the command ends", w.ended)
			if status := w.field("status"); status != "in_progress" {
				t.Errorf("after the kill, the task is %s", status)
			}
			r := end(t, program(t, w.folder, args...))
			want := map[string]string{"recover": "pending", "work": "completed"}[args[0]]
			if status := w.field("status"); r.code != 0 || status != want || !strings.Contains(r.stdout+r.stderr, "its process is gone") {
				t.Errorf("exit code %d, and the task is %s: %s%s", r.code, status, r.stdout, r.stderr)
			}
			if failed := w.field("failed_attempts"); failed != "1" {
				t.Errorf("%q attempts have failed", failed)
			}
			wantIDs(t, w.folder, "p1")
		})
	}
}

// While a worker lives, recover leaves its work alone.
func TestWorkerIsAlive(t *testing.T) {
	t.Parallel()
	w := startWorker(t, `exec 3> alive; echo > began; sleep 1000`)
	got := succeed(t, program(t, w.folder, "recover"))
	if want := "Nothing had to be recovered.\n1 task in flight with agents that are alive.\n"; got != want {
		t.Errorf("recover says\n%s", got)
	}
	if r := w.signal(syscall.SIGTERM); r.code != 0 {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}

// Nobody who reads the log must not stop the worker's work from being given back.
func TestWorkerWithoutReader(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	succeed(t, program(t, folder, "project", "create", "Shop", "--id", "p1"))
	succeed(t, program(t, folder, "task", "create", "A", "--id", "t1", "--project", "p1"))
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		notTested(t, "a log that cannot be written: %v", err)
	}
	defer full.Close()
	cmd := program(t, folder, "work", "--agent", "w1", "--until-empty", "--", "true")
	cmd.Stderr = full
	if out, err := cmd.Output(); err != nil || string(out) != "1 completed, 0 failed, 0 released, 0 lost.\n" {
		t.Errorf("%s, %v", out, err)
	}
}
