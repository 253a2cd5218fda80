//go:build unix

package worker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/worker"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// waiting is a command that waits for the test in every task, with a process that
// it has started. "alive" is open as long as one of them lives.
const waiting = `
	exec 3> "$DIR/alive"
	sleep 1000 &
	echo $NEXUS_EPOCH > "$DIR/began"
	read line < "$DIR/go"`

// waitingSite has a worker that has just begun to work on t1. t2 waits for t1.
func waitingSite(t *testing.T, change func(*site, *worker.Worker)) (*site, *shift, <-chan struct{}) {
	t.Helper()
	s := newSite(t)
	s.pipe("alive", "began", "go")
	s.task("t1")
	s.task("t2", "t1")
	w := s.worker("w1", `[ $NEXUS_TASK_ID = t1 -a $NEXUS_AGENT = w1 ] || exit 0`+waiting)
	w.MaxTasks = 1
	if change != nil {
		change(s, &w)
	}
	run := s.start(w)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.hear("alive")
	}()
	s.hear("began")
	return s, run, ended
}

// Heartbeats keep the lease while the command runs.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	s, run, _ := waitingSite(t, nil)
	for range 5 {
		s.clock.advance(beat)
		fire(t, s.clock.beats)
	}
	fire(t, s.clock.beats) // the fifth is through when the sixth begins
	held, err := s.db.Tasks.InFlight(background)
	must(t, err)
	if len(held) != 1 || !held[0].LeaseUntil.Equal(s.clock.now().Add(lease)) {
		t.Errorf("after five heartbeats, what is held is %+v", held)
	}
	s.say("go")
	s.wantSummary(run.wait(), worker.Summary{Completed: 1})
}

// The task was taken away and given to another: the command is killed, with all
// that it has started.
func TestFencedHeartbeat(t *testing.T) {
	t.Parallel()
	s, run, ended := waitingSite(t, nil)
	_, err := s.db.Tasks.Release(background, "t1", nexus.AnyEpoch, "by hand")
	must(t, err)
	claims, err := s.db.Tasks.Claim(background, nexus.ClaimRequest{AgentID: "w2", TaskID: "t1"})
	must(t, err)
	fire(t, s.clock.beats)
	within(t, "all processes of the command end", ended)
	s.wantSummary(run.wait(), worker.Summary{Lost: 1})
	s.await("t1: lost: is not held with epoch 1: it is w2's, with epoch 2")
	s.wantStatus("t1", nexus.TaskInProgress)
	if claims[0].Epoch != 2 {
		t.Errorf("the epoch of the other is %d", claims[0].Epoch)
	}
	// What the work has cost counts all the same.
	n, err := s.db.Metrics.Count(background, nexus.MetricFilter{TaskID: "t1"})
	if err != nil || n != 1 {
		t.Errorf("there are %d metrics, %v", n, err)
	}
}

// Whatever ends the attempt from outside, the command has no business any more.
func TestTakenAway(t *testing.T) {
	t.Parallel()
	for title, take := range map[string]func(*store.DB) error{
		"skipped": func(db *store.DB) error {
			_, err := db.Tasks.Skip(background, "t1", nexus.AnyEpoch, "out of scope")
			return err
		},
		"released": func(db *store.DB) error {
			_, err := db.Tasks.Release(background, "t1", nexus.AnyEpoch, "")
			return err
		},
		"deleted": func(db *store.DB) error {
			_, err := db.Tasks.Update(background, "t2", nexus.TaskUpdate{DependsOn: new([]string{})})
			if err == nil {
				err = db.Tasks.Delete(background, "t1")
			}
			return err
		},
		"its project deleted": func(db *store.DB) error { return db.Projects.Delete(background, "p1") },
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			s, run, ended := waitingSite(t, nil)
			must(t, take(s.db))
			fire(t, s.clock.beats)
			within(t, "all processes of the command end", ended)
			s.wantSummary(run.wait(), worker.Summary{Lost: 1})
		})
	}
}

// An agent that knows Nexus ends its task itself. It is left to come to its end,
// and counted by what it has said.
func TestCommandEndsTheTask(t *testing.T) {
	t.Parallel()
	for title, test := range map[string]struct {
		end  func(*store.DB) error
		want worker.Summary
	}{
		"completed": {func(db *store.DB) error {
			_, err := db.Tasks.Complete(background, "t1", 1, nexus.Evidence{Commit: "4f2c1e9"})
			return err
		}, worker.Summary{Completed: 1}},
		"failed": {func(db *store.DB) error {
			_, err := db.Tasks.Fail(background, "t1", 1, store.Failure{Reason: "hard"})
			return err
		}, worker.Summary{Failed: 1}},
		"blocked": {func(db *store.DB) error {
			_, err := db.Tasks.Block(background, "t1", 1, "waits for the key")
			return err
		}, worker.Summary{Released: 1}},
	} {
		for _, beats := range []int{0, 1} {
			t.Run(title, func(t *testing.T) {
				t.Parallel()
				s, run, _ := waitingSite(t, nil)
				must(t, test.end(s.db))
				for range beats {
					fire(t, s.clock.beats)
				}
				s.say("go")
				s.wantSummary(run.wait(), test.want)
				if n, err := s.db.Metrics.Count(background, nexus.MetricFilter{TaskID: "t1"}); err != nil || n != 1 {
					t.Errorf("there are %d metrics, %v", n, err)
				}
			})
		}
	}
}

func impatient(s *site, w *worker.Worker) {
	w.DB = s.open(&sqlite.Options{Patience: 10 * time.Millisecond})
}

// A heartbeat that another program's lock is in the way of is tried again.
func TestHeartbeatWaitsForTheLock(t *testing.T) {
	t.Parallel()
	s, run, _ := waitingSite(t, impatient)
	release := s.lock()
	s.clock.advance(beat)
	fire(t, s.clock.beats)
	s.await("t1: the lease could not be extended: another program has held the database's write lock for 10ms")
	release()
	fire(t, s.clock.beats) // it has been extended when the next is waited for
	s.say("go")
	s.wantSummary(run.wait(), worker.Summary{Completed: 1})
}

// If it cannot be extended until it is over, others may be at work: the command is
// killed.
func TestLeaseIsOver(t *testing.T) {
	t.Parallel()
	s, run, ended := waitingSite(t, func(s *site, w *worker.Worker) {
		impatient(s, w)
		s.clock.frozen = false
	})
	release := s.lock()
	s.clock.advance(beat)
	fire(t, s.clock.beats)
	within(t, "all processes of the command end", ended)
	s.await("t1: lost: the lease is over, and could not be extended: another program has held the database's write lock")
	release()
	s.wantSummary(run.wait(), worker.Summary{Lost: 1})
	s.run(s.worker("w2", "exit 0"), worker.Summary{Completed: 2})
	if n := len(s.attempts("t1")); n != 2 {
		t.Errorf("there are %d attempts", n)
	}
}

// The end of a task that cannot be stored now is stored later.
func TestEndWaitsForTheLock(t *testing.T) {
	t.Parallel()
	s, run, _ := waitingSite(t, impatient)
	release := s.lock()
	s.say("go")
	s.await("t1: cannot be stored yet: another program has held the database's write lock for 10ms")
	release()
	s.wantSummary(run.wait(), worker.Summary{Completed: 1})
	s.wantStatus("t1", nexus.TaskCompleted)
}

// But not for ever.
func TestEndCannotBeStored(t *testing.T) {
	t.Parallel()
	s, run, _ := waitingSite(t, impatient)
	release := s.lock()
	s.say("go")
	s.await("t1: cannot be stored yet")
	s.clock.advance(lease)
	fire(t, s.clock.beats)
	s.await("t1: lost: the lease is over, and could not be extended")
	s.await("t1: its metrics cannot be stored: another program has held")
	release()
	s.wantSummary(run.wait(), worker.Summary{Lost: 1})
}

// A task that has become another's meanwhile is lost, and the worker goes on.
func TestEndIsRefused(t *testing.T) {
	t.Parallel()
	s, run, _ := waitingSite(t, func(_ *site, w *worker.Worker) { w.MaxTasks = 0 })
	s.task("t3")
	s.clock.advance(lease + time.Second)
	claims, err := s.db.Tasks.Claim(background, nexus.ClaimRequest{AgentID: "w2", TaskID: "t1"})
	must(t, err)
	s.say("go")
	s.await("t1: lost: is not held with epoch 1: it is w2's, with epoch 2")
	s.await("t3: completed")
	_, err = s.db.Tasks.Complete(background, "t1", claims[0].Epoch, nexus.Evidence{})
	must(t, err)
	s.wantSummary(run.wait(), worker.Summary{Completed: 2, Lost: 1})
	s.wantStatus("t2", nexus.TaskCompleted)
	if strings.Count(s.log.text(), "lost") != 1 {
		t.Errorf("the log is\n%s", s.log.text())
	}
}

// A task that is not there any more is lost, too; what it has cost is kept.
func TestEndOfADeletedTask(t *testing.T) {
	t.Parallel()
	s, run, _ := waitingSite(t, nil)
	_, err := s.db.Tasks.Update(background, "t2", nexus.TaskUpdate{DependsOn: new([]string{})})
	must(t, err)
	must(t, s.db.Tasks.Delete(background, "t1"))
	s.say("go")
	s.wantSummary(run.wait(), worker.Summary{Lost: 1})
	s.await("t1: lost: does not exist")
	if n, err := s.db.Metrics.Count(background, nexus.MetricFilter{}); err != nil || n != 1 {
		t.Errorf("there are %d metrics, %v", n, err)
	}
}

// Metrics that cannot be stored do not keep the end of a task from being stored.
func TestMetricsCannotBeStored(t *testing.T) {
	t.Parallel()
	s, run, _ := waitingSite(t, nil)
	s.sql(`CREATE TRIGGER no_metrics BEFORE INSERT ON metrics BEGIN SELECT raise(ABORT, 'no'); END`)
	s.say("go")
	s.wantSummary(run.wait(), worker.Summary{Completed: 1})
	s.await("t1: its metrics cannot be stored: ")
	s.wantStatus("t1", nexus.TaskCompleted)
}

// Nor does a claim of the next that fails; what is wrong is said after that.
func TestNextCannotBeClaimed(t *testing.T) {
	t.Parallel()
	s, run, _ := waitingSite(t, func(_ *site, w *worker.Worker) { w.MaxTasks = 0 })
	s.sql(`CREATE TRIGGER no_claims BEFORE INSERT ON task_attempts BEGIN SELECT raise(ABORT, 'no'); END`)
	s.say("go")
	within(t, "the worker ends", run.done)
	if run.err == nil {
		t.Error("the worker has ended without an error")
	}
	s.wantSummary(run.summary, worker.Summary{Completed: 1})
	s.wantStatus("t1", nexus.TaskCompleted)
	s.wantStatus("t2", nexus.TaskPending)
}
