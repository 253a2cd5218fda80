package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
		{"NEXUS_ACTOR", s.AgentID},
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
