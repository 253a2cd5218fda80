package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-c8812374/nexus"
)

// result is how the command ended.
type result struct {
	ending ending
	err    error // if it was lost or not started

	ran      bool // it was started; else there is nothing below
	exit     int  // as a shell has it: 128 and the number of the signal, if it was killed
	signaled bool
	state    string // exit and signal in words
	took     time.Duration
	output   string
	report   report
}

type ending int

const (
	exited    ending = iota // by itself
	stopped                 // because the worker was
	lost                    // because the task is not ours any more
	unstarted               // it has never begun
)

func (r *result) evidence() nexus.Evidence {
	e := r.report.evidence()
	e.Output, e.DurationMS = r.output, r.took.Milliseconds()
	if r.ran {
		e.ExitCode = &r.exit
	}
	return e
}

// run runs the command for a task. It returns when the command has ended, which
// it brings about when ctx ends or the task is lost.
func (s *shift) run(ctx context.Context, c *nexus.Claim, alive *pulse) *result {
	files, err := prepare(c)
	if err != nil {
		return &result{ending: unstarted, err: err}
	}
	defer files.remove()
	cmd := exec.Command(s.Command[0], s.Command[1:]...)
	cmd.Env = s.environment(c, files.report)
	cmd.Stdin = files.task
	output := new(tail)
	began := s.Now()
	running, err := start(cmd, output)
	if err != nil {
		return &result{ending: unstarted, err: err}
	}
	r := &result{ran: true}
	stop := ctx.Done()
	var killing <-chan time.Time
	for over := false; !over; {
		select {
		case <-running.over:
			over = true
		case r.err = <-alive.lost:
			r.ending, stop, killing = lost, nil, nil
			running.kill()
		case <-stop:
			r.ending, stop, killing = stopped, nil, s.After(s.Grace)
			running.terminate()
		case <-killing:
			killing = nil
			s.log(c.TaskID, "the command has not ended within %v and is killed", s.Grace)
			running.kill()
		}
	}
	r.took = max(0, s.Now().Sub(began))
	r.exit, r.signaled = exitCode(cmd.ProcessState)
	r.state = cmd.ProcessState.String()
	if r.signaled {
		r.state = "killed by " + r.state
	}
	r.output = output.text()
	r.report = readReport(files.report)
	return r
}

// files are what the command is given.
type files struct {
	folder string
	task   *os.File // its standard input
	report string
}

// prepare makes a folder for one run: a long-lived one might be cleaned away. Only
// its owner can enter it.
func prepare(c *nexus.Claim) (_ *files, err error) {
	folder, err := os.MkdirTemp("", "nexus-work-")
	if err != nil {
		return nil, err
	}
	f := &files{folder: folder, report: filepath.Join(folder, "report.jsonl")}
	defer func() {
		if err != nil {
			f.remove()
		}
	}()
	if err := os.WriteFile(f.report, nil, 0o600); err != nil {
		return nil, err
	}
	text, err := taskText(c)
	if err != nil {
		return nil, err
	}
	// A file instead of a pipe: nobody has to stay to fill it.
	path := filepath.Join(folder, "task.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, err
	}
	f.task, err = os.Open(path)
	return f, err
}

func (f *files) remove() {
	if f.task != nil {
		_ = f.task.Close() // it was only read
	}
	_ = os.RemoveAll(f.folder) // in the folder for temporary files
}

// taskText is the task as the command reads it.
func taskText(c *nexus.Claim) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(struct {
		*nexus.Task
		Epoch      int64     `json:"epoch"`
		LeaseUntil time.Time `json:"lease_until"`
	}{c.Task, c.Epoch, c.LeaseUntil.UTC().Truncate(time.Second)})
	return text.Bytes(), err
}

// longestVariable is what fits in an environment variable: Linux allows 128 KB for
// one, with its name.
const longestVariable = 100_000

// environment is that of the command. What cannot be in an environment is left
// out, also if it is there from outside.
func (s *shift) environment(c *nexus.Claim, report string) []string {
	said := [][2]string{
		{"NEXUS_TASK_ID", c.TaskID},
		{"NEXUS_TASK_NAME", c.Task.Name},
		{"NEXUS_TASK_DESCRIPTION", c.Task.Description},
		{"NEXUS_PROJECT_ID", c.Task.ProjectID},
		{"NEXUS_FEATURE_ID", c.Task.FeatureID},
		{"NEXUS_EPOCH", strconv.FormatInt(c.Epoch, 10)},
		{"NEXUS_AGENT", s.AgentID},
		{"NEXUS_ATTEMPT", strconv.Itoa(c.Task.FailedAttempts + 1)},
		{"NEXUS_REPORT", report},
	}
	if s.Database != "" {
		said = append(said, [2]string{"DATABASE_PATH", s.Database})
	}
	env := s.Env
	if env == nil {
		env = os.Environ()
	}
	env = slices.DeleteFunc(slices.Clone(env), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.ContainsFunc(said, func(v [2]string) bool { return v[0] == name })
	})
	for _, v := range said {
		if len(v[1]) <= longestVariable && !strings.Contains(v[1], "\x00") {
			env = append(env, v[0]+"="+v[1])
		}
	}
	return env
}

// child is a command that runs in a process group of its own.
type child struct {
	process *os.Process
	over    chan struct{} // closed when it has ended and its output has been read

	mu   sync.Mutex
	gone bool // its end has been noted, so its number may be another's
}

// drainTime is how long the output is read after the command and its process group
// have ended: a process that has left the group may hold it open for ever.
const drainTime = 500 * time.Millisecond

func start(cmd *exec.Cmd, output io.Writer) (*child, error) {
	// The command gets the pipe itself, not a goroutine of exec that copies: Wait
	// would wait for that.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = attributes()
	c := &child{over: make(chan struct{})}
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		// On Linux the command is killed when the thread that started it ends, so
		// that thread must be ours for as long; see attributes.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		c.process = cmd.Process
		started <- err
		if err == nil {
			c.await(cmd)
			close(ended)
		}
	}()
	err = <-started
	_ = w.Close() // ours; the command has its own
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	go func() {
		defer close(c.over)
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(output, r) // ends with the output, however that ends
		}()
		<-ended
		select {
		case <-read:
		case <-time.After(drainTime):
		}
		_ = r.Close()
	}()
	return c, nil
}

// await returns when the command has ended. What is left of its process group is
// killed: nothing goes on behind the back of whoever works on the task next.
func (c *child) await(cmd *exec.Cmd) {
	unreaped := awaitEnd(c.process.Pid)
	if !unreaped {
		_ = cmd.Wait() // ProcessState has the result
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	killGroup(c.process)
	if unreaped {
		_ = cmd.Wait()
	}
	c.gone = true
}

// terminate asks the process group to end.
func (c *child) terminate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gone {
		terminateGroup(c.process)
	}
}

func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gone {
		killGroup(c.process)
	}
}

// tailSize is how much of the output is kept.
const tailSize = 4096

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p[max(0, len(p)-tailSize):]...)
	if extra := len(t.kept) - tailSize; extra > 0 {
		t.kept = slices.Delete(t.kept, 0, extra)
	}
	return len(p), nil
}

// text returns the end of the output, as a text that can be stored.
func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.kept
	if len(kept) == tailSize {
		// It may begin in the middle of a character.
		for i := 0; i < 3 && len(kept) > 0 && kept[0]&0xc0 == 0x80; i++ {
			kept = kept[1:]
		}
	}
	return clean(string(kept))
}

// clean makes a text that can be stored.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
