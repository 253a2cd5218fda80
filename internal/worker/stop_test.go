//go:build unix

package worker_test

import (
	"context"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/worker"
	"github.com/seed-c8812374/nexus/sqlite"
)

// stopSite has a worker with a command that says when it has begun.
func stopSite(t *testing.T, script string) (*site, *shift) {
	t.Helper()
	s := newSite(t)
	s.pipe("began", "asked", "go")
	s.task("t1")
	s.task("t2")
	w := s.worker("w1", script)
	w.DB = s.open(nil)
	run := s.start(w)
	s.hear("began")
	return s, run
}

// A command that comes to its end within the grace has done its task, and no other
// is begun.
func TestStopCompletes(t *testing.T) {
	t.Parallel()
	s, run := stopSite(t, `
		trap 'echo > "$DIR/asked"; read line < "$DIR/go"; exit 0' TERM
		echo > "$DIR/began"
		while :; do sleep 0.01; done`)
	run.stop()
	s.hear("asked")
	fire(t, s.clock.beats) // the lease is kept meanwhile
	s.say("go")
	s.wantSummary(run.wait(), worker.Summary{Completed: 1})
	s.wantStatus("t1", nexus.TaskCompleted)
	s.wantStatus("t2", nexus.TaskPending)
	s.await("stopping; commands at work, which have 7s to end: 1")
}

// One that ends because it is asked to gives its task back; that is no failure.
func TestStopReleases(t *testing.T) {
	t.Parallel()
	for title, script := range map[string]string{
		"ended by the signal": `echo > "$DIR/began"; sleep 1000`,
		"ended with a status": `trap 'exit 1' TERM; echo > "$DIR/began"; while :; do sleep 0.01; done`,
		"for good":            `trap 'exit 65' TERM; echo > "$DIR/began"; while :; do sleep 0.01; done`,
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			s, run := stopSite(t, script)
			run.stop()
			s.wantSummary(run.wait(), worker.Summary{Released: 1})
			s.wantAttempt("t1", nexus.OutcomeReleased, "the worker was stopped")
			if task := s.wantStatus("t1", nexus.TaskPending); task.FailedAttempts != 0 || task.AssignedAgent != "" {
				t.Errorf("the task is %+v", task)
			}
			s.wantStatus("t2", nexus.TaskPending)
			held, err := s.db.Tasks.InFlight(background)
			if err != nil || len(held) != 0 {
				t.Errorf("in flight are %v, %v", held, err)
			}
		})
	}
}

// One that does not end is killed when the grace is over, with all that it has
// started.
func TestStopKills(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.pipe("alive", "began")
	s.task("t1")
	run := s.start(s.worker("w1", `
		trap '' TERM
		exec 3> "$DIR/alive"
		sh -c 'trap "" TERM; sleep 1000' &
		echo > "$DIR/began"
		while :; do sleep 1000; done`))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.hear("alive")
	}()
	s.hear("began")
	run.stop()
	fire(t, s.clock.graces)
	within(t, "all processes of the command end", ended)
	s.wantSummary(run.wait(), worker.Summary{Released: 1})
	s.await("t1: the command has not ended within 7s and is killed")
	s.wantAttempt("t1", nexus.OutcomeReleased, "the worker was stopped")
}

// Several commands, each with its own end.
func TestStopMany(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.task("a")
	s.task("b")
	s.task("c")
	s.task("d", "a")
	s.pipe("began-a", "began-b", "began-c")
	w := s.worker("w1", `
		case $NEXUS_TASK_ID in
		a) trap 'exit 0' TERM ;;
		b) trap 'exit 1' TERM ;;
		c) trap '' TERM ;;
		esac
		echo > "$DIR/began-$NEXUS_TASK_ID"
		while :; do sleep 0.01; done`)
	w.Concurrency = 3
	run := s.start(w)
	for _, id := range []string{"a", "b", "c"} {
		s.hear("began-" + id)
	}
	run.stop()
	s.await("a: completed")
	s.await("b: given back")
	for range 3 { // each command has its own grace; whose are over does not matter
		select {
		case <-run.done:
		case s.clock.graces <- s.clock.now():
		}
	}
	s.wantSummary(run.wait(), worker.Summary{Completed: 1, Released: 2})
	for id, status := range map[string]nexus.TaskStatus{
		"a": nexus.TaskCompleted, "b": nexus.TaskPending, "c": nexus.TaskPending, "d": nexus.TaskPending,
	} {
		s.wantStatus(id, status)
	}
}

// A worker that waits ends at once, and so does one that is stopped before it has
// begun.
func TestStopIdle(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.worker("w1", "true")
	w.UntilEmpty = false
	run := s.start(w)
	s.await("nothing is ready")
	run.stop()
	s.wantSummary(run.wait(), worker.Summary{})

	s.task("t1")
	ctx, stop := context.WithCancel(background)
	stop()
	got, err := w.Run(ctx)
	must(t, err)
	s.wantSummary(got, worker.Summary{})
	s.wantStatus("t1", nexus.TaskPending)
}

// A worker that is stopped in the moment in which it has claimed a task gives it
// back without having begun.
func TestStopAfterTheClaim(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.task("t1")
	s.task("t2")
	ctx, stop := context.WithCancel(background)
	defer stop()
	w := s.worker("w1", `echo ran > "$DIR/ran"`)
	w.Log = func(task, message string) {
		if message == "claimed: Task t1 (attempt 1 of 3)" {
			stop()
		}
		s.log.add(task, message)
	}
	got, err := w.Run(ctx)
	must(t, err)
	s.wantSummary(got, worker.Summary{Released: 1})
	s.wantAttempt("t1", nexus.OutcomeReleased, "the worker was stopped")
	if n, err := s.db.Metrics.Count(background, nexus.MetricFilter{}); err != nil || n != 0 {
		t.Errorf("there are %d metrics, %v", n, err)
	}
}

// An error that ends the work stops the commands as a signal does.
func TestFatalErrorStopsCommands(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.pipe("began")
	s.task("t1")
	w := s.worker("w1", `echo > "$DIR/began"; sleep 1000`)
	w.Concurrency, w.DB = 2, s.open(&sqlite.Options{})
	run := s.start(w)
	s.hear("began")
	s.clock.awaitPolls(t, 1)
	must(t, w.DB.Close())
	within(t, "the worker ends", run.done)
	if nexus.CodeOf(run.err) != nexus.CodeClosed {
		t.Errorf("the error is %v", run.err)
	}
	s.wantSummary(run.summary, worker.Summary{Lost: 1})
	s.await("stopping, because of an error: the database is closed; commands at work, which have 7s to end: 1")
}
