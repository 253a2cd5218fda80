//go:build unix

package worker_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/worker"
	"github.com/seed-c8812374/nexus/sqlite"
)

// A worker that has nothing to do looks without the write lock, so others are not
// disturbed, nor it by them.
func TestIdleWorkerLeavesTheLockAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.worker("w1", "true")
	w.UntilEmpty, w.DB = false, s.open(&sqlite.Options{Patience: 10 * time.Millisecond})
	run := s.start(w)
	s.await("nothing is ready")
	release := s.lock()
	s.clock.awaitPolls(t, 10)
	release()
	if log := s.log.text(); log != "nothing is ready; waiting" {
		t.Errorf("the log is\n%s", log)
	}
	s.task("t1")
	s.await("t1: completed")
	run.stop()
	s.wantSummary(run.wait(), worker.Summary{Completed: 1})
}

// A lock that another program holds is waited for.
func TestClaimWaitsForTheLock(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var once sync.Once
	var release func()
	w := s.worker("w1", "true")
	w.UntilEmpty, w.DB = false, s.open(&sqlite.Options{Patience: 10 * time.Millisecond})
	w.After = func(d time.Duration) <-chan time.Time {
		once.Do(func() { // it has nothing to do, and will look again
			s.task("t1")
			release = s.lock()
		})
		return s.clock.after(d)
	}
	run := s.start(w)
	s.await("another program has held the database's write lock for 10ms")
	release()
	s.await("t1: completed")
	run.stop()
	s.wantSummary(run.wait(), worker.Summary{Completed: 1})
}

// An error that trying again does not cure ends the work, and is returned.
func TestFatalError(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.worker("w1", "true")
	w.UntilEmpty, w.DB = false, s.open(nil)
	run := s.start(w)
	s.await("nothing is ready")
	must(t, w.DB.Close())
	within(t, "the worker ends", run.done)
	if nexus.CodeOf(run.err) != nexus.CodeClosed {
		t.Errorf("the error is %v", run.err)
	}
	if log := s.log.text(); log != "nothing is ready; waiting" {
		t.Errorf("the log is\n%s", log)
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.task("t1")
	w := s.worker("w1", "true")
	w.DB = s.open(&sqlite.Options{ReadOnly: true})
	if _, err := w.Run(t.Context()); nexus.CodeOf(err) != nexus.CodeReadOnly {
		t.Errorf("the error is %v", err)
	}
	s.wantStatus("t1", nexus.TaskPending)
}

// A worker that starts takes back at once what a process that is gone has held,
// also if that had its name.
func TestRecoversAtStart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dead := gone(t)
	s.task("t1")
	s.task("t2")
	for _, agent := range []string{"w1", "w9"} {
		claims, err := s.db.Tasks.Claim(background, nexus.ClaimRequest{AgentID: agent, Lease: time.Hour, Process: dead})
		must(t, err)
		if len(claims) != 1 {
			t.Fatalf("%s has %d tasks", agent, len(claims))
		}
	}
	s.run(s.worker("w1", "true"), worker.Summary{Completed: 2})
	s.await("t1: taken back from w1: its process is gone; it is pending now")
	s.await("t2: taken back from w9: its process is gone; it is pending now")
	if n := len(s.attempts("t1")); n != 2 {
		t.Errorf("there are %d attempts", n)
	}
	agent, err := s.db.Agents.Get(background, "w9")
	must(t, err)
	if agent.Status != nexus.AgentTerminated {
		t.Errorf("the dead agent is %s", agent.Status)
	}
}

// So does one that waits for something to do, and the living are left alone.
func TestRecoversWhileIdle(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dead := gone(t)
	s.task("t1")
	s.task("alive")
	_, err := s.db.Tasks.Claim(background, nexus.ClaimRequest{AgentID: "w8", TaskID: "alive", Lease: time.Hour})
	must(t, err)
	// The last attempt: the task will not be ready, but it is not in flight either.
	must(t, s.db.Tasks.Create(background, &nexus.Task{ID: "last", ProjectID: "p1", Name: "x", MaxAttempts: 1}))
	w := s.worker("w1", "true")
	w.UntilEmpty, w.Filter.Priority = false, []nexus.TaskPriority{nexus.PriorityHigh}
	run := s.start(w)
	s.await("nothing is ready")
	for _, id := range []string{"t1", "last"} {
		_, err = s.db.Tasks.Claim(background, nexus.ClaimRequest{AgentID: "w9", TaskID: id, Lease: time.Hour, Process: dead})
		must(t, err)
	}
	s.await("t1: taken back from w9: its process is gone; it is pending now")
	s.await("last: taken back from w9: its process is gone; it is escalated now")
	run.stop()
	s.wantSummary(run.wait(), worker.Summary{})
	s.wantStatus("alive", nexus.TaskInProgress)
}

// The end of a task and the claim of the next are one commit.
func TestOneCommitForEachTask(t *testing.T) {
	t.Parallel()
	const tasks = 10
	s := newSite(t)
	for i := range tasks {
		s.task(fmt.Sprint("t", i))
	}
	var commits atomic.Int64
	count := func(message string) {
		if strings.Contains(message, "COMMIT") {
			commits.Add(1)
		}
	}
	w := s.worker("w1", `echo '{"metric":"token_usage","value":1}' > $NEXUS_REPORT`)
	w.DB = s.open(&sqlite.Options{Debug: true, Logger: slog.New(slog.NewTextHandler(writerFunc(count), &slog.HandlerOptions{Level: slog.LevelDebug}))})
	s.run(w, worker.Summary{Completed: tasks})
	// Recovering, registering, the first claim.
	if got := commits.Load(); got != tasks+3 {
		t.Errorf("%d tasks took %d commits", tasks, got)
	}
}

// writerFunc is called with each write.
type writerFunc func(string)

func (f writerFunc) Write(p []byte) (int, error) {
	f(string(p))
	return len(p), nil
}

// A task that the command gives back for later is not taken again at once, and
// others are not kept waiting.
func TestLaterIsNotNow(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.clock.frozen = false
	must(t, s.db.Tasks.Create(background, &nexus.Task{ID: "a", ProjectID: "p1", Name: "x", Priority: nexus.PriorityCritical}))
	s.task("b")
	s.task("c")
	began := s.clock.now()
	s.run(s.worker("w1", `
		echo $NEXUS_TASK_ID >> "$DIR/order"
		[ $NEXUS_TASK_ID != a ] || [ $(grep -c a "$DIR/order") -ge 4 ] || exit 75`), worker.Summary{Completed: 3, Released: 3})
	if got := s.read("order"); got != "a\nb\nc\na\na\na\n" {
		t.Errorf("the order was %q", got)
	}
	// One second, then two, then four.
	if waited := s.clock.now().Sub(began); waited < 7*time.Second {
		t.Errorf("it waited only for %v", waited)
	}
	if a := s.wantStatus("a", nexus.TaskCompleted); a.FailedAttempts != 0 {
		t.Errorf("%d attempts have failed", a.FailedAttempts)
	}
}

// If the command cannot be started, that is no failure of the task.
func TestCannotStart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.clock.frozen = false
	s.task("t1")
	s.task("t2")
	w := s.worker("w1", "")
	w.Command = []string{filepath.Join(s.folder, "missing")}
	run := s.start(w)
	s.await("t1: given back: the command could not be started: ")
	s.clock.awaitPolls(t, 30)
	run.stop()
	got := run.wait()
	if got.Released == 0 || got != (worker.Summary{Released: got.Released}) {
		t.Errorf("the summary is %+v", got)
	}
	if task := s.wantStatus("t1", nexus.TaskPending); task.FailedAttempts != 0 {
		t.Errorf("%d attempts have failed", task.FailedAttempts)
	}
	// It rests in between: 1, 2, 4, … seconds.
	polls := strings.Count(s.log.text(), "could not be started")
	if polls > 10 {
		t.Errorf("it has tried %d times", polls)
	}
}

// What a worker logs comes from one goroutine at a time.
func TestLogIsSerial(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i := range 20 {
		s.task(fmt.Sprint("t", i))
	}
	w := s.worker("w1", "true")
	w.Concurrency = 5
	var inside atomic.Int32
	var tasks []string
	w.Log = func(task, _ string) {
		if inside.Add(1) != 1 {
			t.Error("two at once")
		}
		if task != "" {
			tasks = append(tasks, task)
		}
		inside.Add(-1)
	}
	s.run(w, worker.Summary{Completed: 20})
	if slices.Sort(tasks); len(slices.Compact(tasks)) != 20 {
		t.Errorf("the log is about %v", tasks)
	}
}

// A worker of many slots and one of one slot, on the same tasks: each is done once.
func TestManyWorkers(t *testing.T) {
	t.Parallel()
	const tasks = 40
	s := newSite(t)
	for i := range tasks {
		if i%4 == 3 {
			s.task(fmt.Sprintf("t%02d", i), fmt.Sprintf("t%02d", i-1), fmt.Sprintf("t%02d", i-3))
		} else {
			s.task(fmt.Sprintf("t%02d", i))
		}
	}
	var runs []*shift
	for i := range 4 {
		w := s.worker(fmt.Sprint("w", i), `echo $NEXUS_TASK_ID >> "$DIR/done"`)
		w.Concurrency, w.DB = i+1, s.open(nil)
		runs = append(runs, s.start(w))
	}
	completed := 0
	for _, r := range runs {
		completed += r.wait().Completed
	}
	done := strings.Fields(s.read("done"))
	slices.Sort(done)
	if completed != tasks || len(done) != tasks || len(slices.Compact(done)) != tasks {
		t.Errorf("%d are completed, and these were done: %v", completed, done)
	}
	for i := range 4 {
		agent, err := s.db.Agents.Get(background, fmt.Sprint("w", i))
		must(t, err)
		if agent.Status != nexus.AgentIdle || agent.TasksFailed != 0 {
			t.Errorf("at the end an agent is %+v", agent)
		}
	}
}
