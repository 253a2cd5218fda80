//go:build unix

package worker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/worker"
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
