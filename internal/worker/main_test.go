//go:build unix

package worker_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/handle"
	"github.com/seed-c8812374/nexus/internal/process"
	"github.com/seed-c8812374/nexus/internal/worker"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

var background = context.Background()

// childVariable, in the environment, makes the test binary play another program.
const childVariable = "NEXUS_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "":
		os.Exit(m.Run())
	case "name": // prints the name of its process, and ends when its input does
		fmt.Println(process.Self())
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "escape": // leaves a process in a session of its own, with our output
		cmd := exec.Command("sleep", "1000")
		cmd.Stdout, cmd.SysProcAttr = os.Stdout, &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		if err := os.WriteFile(os.Getenv("DIR")+"/pid", fmt.Append(nil, cmd.Process.Pid), 0o600); err != nil {
			panic(err)
		}
		fmt.Println("gone")
	}
	os.Exit(0)
}

// patient is how long a test waits for what must happen before it calls it a
// hang.
const patient = 2 * time.Minute

// site is where workers work in a test: a database with a project p1, and a folder
// in which their commands and the test meet.
type site struct {
	t      *testing.T
	path   string
	db     *store.DB
	clock  *clock
	log    journal
	folder string
}

// lease is that of the workers in tests, and grace what they give their commands.
// The clock knows by them what it is asked to wait for.
const (
	lease = 90 * time.Second
	beat  = lease / 3
	grace = 7 * time.Second
)

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, path: filepath.Join(t.TempDir(), "nexus.db"), clock: newClock(), folder: t.TempDir()}
	s.db = s.open(nil)
	must(t, s.db.Projects.Create(background, &nexus.Project{ID: "p1", Name: "Shop", RootPath: "/srv/shop"}))
	return s
}

// open opens the database once more, as another process would.
func (s *site) open(options *sqlite.Options) *store.DB {
	s.t.Helper()
	if options == nil {
		options = new(sqlite.Options)
	}
	options.Now = s.clock.now
	db, err := sqlite.Open(background, s.path, options)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { must(s.t, db.Close()) })
	return db
}

// task stores a task of p1.
func (s *site) task(id string, dependsOn ...string) {
	s.t.Helper()
	must(s.t, s.db.Tasks.Create(background, &nexus.Task{ID: id, ProjectID: "p1", Name: "Task " + id, DependsOn: dependsOn}))
}

// worker returns a worker that runs a shell script for each task.
func (s *site) worker(agent, script string) worker.Worker {
	return worker.Worker{
		DB: s.db, AgentID: agent, Lease: lease, Grace: grace, UntilEmpty: true,
		Command: []string{"sh", "-c", script}, Env: append(os.Environ(), "DIR="+s.folder),
		Log: s.log.add, Now: s.clock.now, After: s.clock.after,
	}
}

// shift is a worker at work.
type shift struct {
	t    *testing.T
	stop context.CancelFunc
	done chan struct{}

	summary worker.Summary
	err     error
}

func (s *site) start(w worker.Worker) *shift {
	ctx, stop := context.WithCancel(background)
	r := &shift{t: s.t, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.summary, r.err = w.Run(ctx)
	}()
	s.t.Cleanup(func() {
		stop()
		for { // after a test that has failed, there may be commands that do not end
			select {
			case <-r.done:
				return
			case s.clock.graces <- time.Time{}:
			}
		}
	})
	return r
}

// wait returns what became of the tasks.
func (r *shift) wait() worker.Summary {
	r.t.Helper()
	within(r.t, "the worker ends", r.done)
	if r.err != nil {
		r.t.Fatal(r.err)
	}
	return r.summary
}

// run has a worker work until it ends, and wants it to have done so much.
func (s *site) run(w worker.Worker, want worker.Summary) {
	s.t.Helper()
	s.wantSummary(s.start(w).wait(), want)
}

func (s *site) wantSummary(got, want worker.Summary) {
	s.t.Helper()
	got.Left = nil // which has a test of its own
	if got != want {
		s.t.Errorf("the summary is %+v, want %+v; the log:\n%s", got, want, s.log.text())
	}
}

// wantStatus checks what became of a task.
func (s *site) wantStatus(id string, want nexus.TaskStatus) *nexus.Task {
	s.t.Helper()
	task, err := s.db.Tasks.Get(background, id)
	must(s.t, err)
	if task.Status != want {
		s.t.Errorf("%s is %s, want %s; the log:\n%s", id, task.Status, want, s.log.text())
	}
	return task
}

// attempts returns the attempts at a task, oldest first.
func (s *site) attempts(id string) []nexus.Attempt {
	s.t.Helper()
	list, err := s.db.Tasks.Attempts(background, id)
	must(s.t, err)
	return list
}

// wantAttempt checks how the last attempt at a task has ended.
func (s *site) wantAttempt(id string, outcome nexus.Outcome, reason string) nexus.Attempt {
	s.t.Helper()
	list := s.attempts(id)
	if len(list) == 0 {
		s.t.Fatalf("nobody has worked on %s", id)
	}
	last := list[len(list)-1]
	if last.Outcome != outcome || last.Reason != reason {
		s.t.Errorf("the attempt at %s was %s (%q), want %s (%q)", id, last.Outcome, last.Reason, outcome, reason)
	}
	if last.Evidence == nil {
		last.Evidence = new(nexus.Evidence)
	}
	return last
}

// lock takes the write lock, as another program that has forgotten to give it
// back, until the returned function is called.
func (s *site) lock() (release func()) {
	s.t.Helper()
	other, err := handle.Open(s.path, zombiezen.OpenReadWrite)
	must(s.t, err)
	other.SetBusyTimeout(patient)
	must(s.t, sqlitex.ExecuteTransient(other, "BEGIN IMMEDIATE", nil))
	var once sync.Once
	release = func() { once.Do(func() { must(s.t, handle.Close(other)) }) }
	s.t.Cleanup(release)
	return release
}

// sql runs a script as another program does.
func (s *site) sql(script string) {
	s.t.Helper()
	other, err := handle.Open(s.path, zombiezen.OpenReadWrite)
	must(s.t, err)
	must(s.t, errors.Join(sqlitex.ExecuteScript(other, script, nil), handle.Close(other)))
}

// pipe makes a named pipe in the folder.
func (s *site) pipe(names ...string) {
	s.t.Helper()
	for _, name := range names {
		must(s.t, syscall.Mkfifo(filepath.Join(s.folder, name), 0o600))
	}
}

// hear returns the next line that a command writes to a pipe, or what was written
// before all who had it open for writing have ended.
func (s *site) hear(name string) string {
	s.t.Helper()
	var line string
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		var file *os.File
		if file, err = os.Open(filepath.Join(s.folder, name)); err == nil {
			defer file.Close()
			line, err = bufio.NewReader(file).ReadString('\n')
		}
	}()
	within(s.t, "a command writes to "+name, done)
	if err != nil && !errors.Is(err, io.EOF) {
		s.t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n")
}

// say lets a command go on that reads from a pipe.
func (s *site) say(name string) {
	s.t.Helper()
	done := make(chan error, 1)
	go func() { done <- os.WriteFile(filepath.Join(s.folder, name), []byte("go on\n"), 0o600) }()
	select {
	case err := <-done:
		must(s.t, err)
	case <-time.After(patient):
		s.t.Fatalf("no command reads from %s", name)
	}
}

// read returns a file of the folder.
func (s *site) read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.folder, name))
	must(s.t, err)
	return string(text)
}

// clock is that of a worker and its database. It stands still but for what is
// waited for: short waits, for something to do, and the pauses before something
// is tried again take no time but on this clock. Heartbeats and the end of the
// grace come when the test says so.
type clock struct {
	beats, graces chan time.Time

	mu     sync.Mutex
	at     time.Time
	polls  int
	frozen bool          // short waits are not counted
	polled chan struct{} // closed and made anew with each short wait
}

func newClock() *clock {
	return &clock{
		beats: make(chan time.Time), graces: make(chan time.Time), polled: make(chan struct{}),
		at: time.Now().UTC().Truncate(time.Second), frozen: true,
	}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (c *clock) after(d time.Duration) <-chan time.Time {
	switch d {
	case beat:
		return c.beats
	case grace:
		return c.graces
	}
	c.mu.Lock()
	if d >= time.Second || !c.frozen {
		c.at = c.at.Add(d)
	}
	c.polls++
	close(c.polled)
	c.polled = make(chan struct{})
	c.mu.Unlock()
	return time.After(time.Millisecond) // so as not to spin
}

// awaitPolls waits until there have been n more short waits.
func (c *clock) awaitPolls(t *testing.T, n int) {
	t.Helper()
	c.mu.Lock()
	n += c.polls
	for c.polls < n {
		polled := c.polled
		c.mu.Unlock()
		within(t, "the worker looks for something to do", polled)
		c.mu.Lock()
	}
	c.mu.Unlock()
}

// fire lets something happen that waits for its time.
func fire(t *testing.T, what chan time.Time) {
	t.Helper()
	select {
	case what <- time.Time{}:
	case <-time.After(patient):
		t.Fatal("nobody waits for this time")
	}
}

// journal is what workers log.
type journal struct {
	mu    sync.Mutex
	lines []string
	added chan struct{} // closed and made anew with each line
}

func (j *journal) add(task, message string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, strings.TrimPrefix(task+": "+message, ": "))
	if j.added != nil {
		close(j.added)
		j.added = nil
	}
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "\n")
}

// await waits until a line has been logged that contains a text, and returns it.
func (s *site) await(text string) string {
	s.t.Helper()
	j := &s.log
	for {
		j.mu.Lock()
		if i := slices.IndexFunc(j.lines, func(line string) bool { return strings.Contains(line, text) }); i >= 0 {
			defer j.mu.Unlock()
			return j.lines[i]
		}
		if j.added == nil {
			j.added = make(chan struct{})
		}
		added := j.added
		j.mu.Unlock()
		select {
		case <-added:
		case <-time.After(patient):
			s.t.Fatalf("nobody logs %q, but\n%s", text, j.text())
		}
	}
}

// within fails the test if something does not happen.
func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patient):
		t.Fatalf("it does not happen that %s", what)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// gone returns the name of a process that has been killed.
func gone(t *testing.T) string {
	t.Helper()
	if process.Self() == "" {
		t.Skip("NOT TESTED: a process that is gone, because processes have no names here")
	}
	program, err := os.Executable()
	must(t, err)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), childVariable+"=name")
	stdin, err := cmd.StdinPipe()
	must(t, err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var name bytes.Buffer
	if _, err := fmt.Fscanln(io.TeeReader(stdout, &name), new(string)); err != nil {
		t.Error(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	return strings.TrimSpace(name.String())
}
