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

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/worker"
	"github.com/seed-c8812374/nexus/sqlite"
)

// The agent is registered, with the type that is given.
func TestRegisters(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.worker("w1", "true")
	w.AgentType = nexus.AgentTester
	s.run(w, worker.Summary{})
	w.AgentType = ""
	s.run(w, worker.Summary{})
	agent, err := s.db.Agents.Get(background, "w1")
	must(t, err)
	if agent.Type != nexus.AgentTester || agent.Status != nexus.AgentIdle {
		t.Errorf("the agent is %+v", agent)
	}
}

func TestBadWorkers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for title, change := range map[string]func(*worker.Worker){
		"no agent":          func(w *worker.Worker) { w.AgentID = "" },
		"a bad agent":       func(w *worker.Worker) { w.AgentID = "a\nb" },
		"a bad type":        func(w *worker.Worker) { w.AgentType = "wizard" },
		"a short lease":     func(w *worker.Worker) { w.Lease = time.Millisecond },
		"a negative lease":  func(w *worker.Worker) { w.Lease = -time.Minute },
		"a long lease":      func(w *worker.Worker) { w.Lease = 1000 * time.Hour },
		"no slot":           func(w *worker.Worker) { w.Concurrency = -1 },
		"too many slots":    func(w *worker.Worker) { w.Concurrency = nexus.MaxClaims + 1 },
		"no command":        func(w *worker.Worker) { w.Command = nil },
		"an empty command":  func(w *worker.Worker) { w.Command = []string{""} },
		"a bad priority":    func(w *worker.Worker) { w.Filter.Priority = []nexus.TaskPriority{"urgent"} },
		"a negative number": func(w *worker.Worker) { w.MaxTasks = -1 },
		"no grace":          func(w *worker.Worker) { w.Grace = -1 },
	} {
		w := s.worker("w1", "true")
		change(&w)
		if _, err := w.Run(t.Context()); nexus.CodeOf(err) != nexus.CodeInvalid {
			t.Errorf("%s: %v", title, err)
		}
	}
	if agents, err := s.db.Agents.Count(background, nexus.AgentFilter{}); err != nil || agents != 0 {
		t.Errorf("there are %d agents, %v", agents, err)
	}
}

// Never more than N commands run at once, and N if there is enough to do.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	const slots, tasks = 3, 20
	s := newSite(t)
	s.pipe("began", "go")
	for i := range tasks {
		s.task(fmt.Sprintf("t%02d", i))
	}
	w := s.worker("w1", `
		echo + >> "$DIR/trace"
		case $NEXUS_TASK_ID in t00 | t01 | t02)
			echo > "$DIR/began-$NEXUS_TASK_ID"
			read line < "$DIR/go-$NEXUS_TASK_ID"
		esac
		echo - >> "$DIR/trace"`)
	w.Concurrency = slots
	first := []string{"t00", "t01", "t02"}
	for _, id := range first {
		s.pipe("began-"+id, "go-"+id)
	}
	run := s.start(w)
	for _, id := range first {
		s.hear("began-" + id)
	}
	held, err := s.db.Tasks.InFlight(background)
	must(t, err)
	if len(held) != slots {
		t.Errorf("with %d slots, %d tasks are in flight", slots, len(held))
	}
	for _, id := range first {
		s.say("go-" + id)
	}
	s.wantSummary(run.wait(), worker.Summary{Completed: tasks})
	running, most := 0, 0
	for _, sign := range strings.Fields(s.read("trace")) {
		running += map[string]int{"+": 1, "-": -1}[sign]
		most = max(most, running)
	}
	if most != slots || running != 0 {
		t.Errorf("at most %d commands ran at once, and %d at the end", most, running)
	}
}

// When one task opens several, all slots are used at once.
func TestFanOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.task("t0")
	for _, id := range []string{"t1", "t2", "t3"} {
		s.task(id, "t0")
		s.pipe("began-"+id, "go-"+id)
	}
	w := s.worker("w1", `
		[ $NEXUS_TASK_ID = t0 ] && exit
		echo > "$DIR/began-$NEXUS_TASK_ID"
		read line < "$DIR/go-$NEXUS_TASK_ID"`)
	w.Concurrency = 3
	run := s.start(w)
	for _, id := range []string{"t1", "t2", "t3"} {
		s.hear("began-" + id)
	}
	for _, id := range []string{"t3", "t1", "t2"} {
		s.say("go-" + id)
	}
	s.wantSummary(run.wait(), worker.Summary{Completed: 4})
}

// Two workers share a plan with dependencies. The one that finds nothing ready
// waits as long as the other may still open something, and both end at its end.
func TestUntilEmptyWithTwoWorkers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.pipe("began", "go")
	s.task("top")
	s.task("left", "top")
	s.task("right", "top")
	s.task("bottom", "left", "right")
	script := `
		echo $NEXUS_TASK_ID >> "$DIR/order"
		[ $NEXUS_TASK_ID = top ] || exit 0
		echo > "$DIR/began"
		read line < "$DIR/go"`
	one := s.start(s.worker("w1", script))
	s.hear("began")
	w := s.worker("w2", script)
	w.DB = s.open(nil)
	two := s.start(w)
	s.await("nothing is ready; waiting")
	s.clock.awaitPolls(t, 3)
	select {
	case <-two.done:
		t.Fatalf("the second worker has ended too early; the log:\n%s", s.log.text())
	default:
	}
	s.say("go")
	if done := one.wait().Completed + two.wait().Completed; done != 4 {
		t.Errorf("%d tasks are completed; the log:\n%s", done, s.log.text())
	}
	order := strings.Fields(s.read("order"))
	if len(order) != 4 || order[0] != "top" || order[3] != "bottom" {
		t.Errorf("the order was %v", order)
	}
}

// Others' projects are not waited for.
func TestUntilEmptyOfOneProject(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, s.db.Projects.Create(background, &nexus.Project{ID: "p2", Name: "Blog", RootPath: "/"}))
	must(t, s.db.Tasks.Create(background, &nexus.Task{ID: "other", ProjectID: "p2", Name: "x"}))
	must(t, s.db.Tasks.Create(background, &nexus.Task{ID: "waits", ProjectID: "p2", Name: "x"}))
	_, err := s.db.Tasks.Claim(background, nexus.ClaimRequest{AgentID: "w2", TaskID: "other"})
	must(t, err)
	s.task("t1")
	w := s.worker("w1", "true")
	w.Filter.ProjectID = "p1"
	s.run(w, worker.Summary{Completed: 1})
	s.wantStatus("waits", nexus.TaskPending)
}

// At the end it says what is left, and why nothing can be done about it.
func TestLeft(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.task("bad")
	s.task("after", "bad")
	s.task("good")
	got := s.start(s.worker("w1", "[ $NEXUS_TASK_ID = good ] || exit 65")).wait()
	want := worker.Summary{Completed: 1, Failed: 1, Left: &worker.Left{
		Total: 2, ByStatus: map[nexus.TaskStatus]int64{nexus.TaskEscalated: 1, nexus.TaskPending: 1},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, p := range nexus.TaskPriorities() {
		must(t, s.db.Tasks.Create(background, &nexus.Task{ID: string(p), ProjectID: "p1", Name: "x", Priority: p}))
	}
	w := s.worker("w1", `echo $NEXUS_TASK_ID >> "$DIR/order"`)
	w.Filter.Priority = []nexus.TaskPriority{nexus.PriorityLow, nexus.PriorityHigh}
	s.run(w, worker.Summary{Completed: 2})
	if got := s.read("order"); got != "high\nlow\n" {
		t.Errorf("the order was %q", got)
	}
}

func TestMaxTasks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i := range 9 {
		s.task(fmt.Sprint("t", i))
	}
	w := s.worker("w1", "true")
	w.MaxTasks, w.UntilEmpty = 1, false
	s.run(w, worker.Summary{Completed: 1})
	w.MaxTasks, w.Concurrency = 5, 3
	s.run(w, worker.Summary{Completed: 5})
	w.MaxTasks, w.UntilEmpty = 5, true
	s.run(w, worker.Summary{Completed: 3})
}

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
