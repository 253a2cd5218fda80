package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var stepTests = map[string]timedTest{
	"Steps":        testSteps,
	"StepsUnheld":  testStepsUnheld,
	"StepsInvalid": testStepsInvalid,
}

// verb is a step that ends an attempt.
type verb struct {
	name    string
	step    func(s *store.Services, w *work, id string, epoch int64) (*nexus.Task, error)
	outcome nexus.Outcome
	becomes nexus.TaskStatus
	reason  string // that is kept with the attempt
	task    string // what else changes of the task, besides its revision and update
	agent   string // what changes of its agent's counters
}

func (v verb) call(w *work, id string, epoch int64) func() error {
	return func() error {
		got, err := v.step(&w.db.Services, w, id, epoch)
		if err == nil {
			same(w.T, got, w.task(id))
		}
		return err
	}
}

// verbs are all of them, in their simplest form.
var verbs = []verb{
	{
		name: "Complete", outcome: nexus.OutcomeCompleted, becomes: nexus.TaskCompleted,
		task: "actual_minutes 2, completed_at +1m1s", agent: "tasks_completed 1",
		step: func(s *store.Services, w *work, id string, epoch int64) (*nexus.Task, error) {
			return s.Tasks.Complete(w.ctx, id, epoch, nexus.Evidence{})
		},
	},
	{
		name: "Fail", outcome: nexus.OutcomeFailed, becomes: nexus.TaskPending, reason: "oh",
		task: "assigned_agent -, failed_attempts 1", agent: "tasks_failed 1",
		step: func(s *store.Services, w *work, id string, epoch int64) (*nexus.Task, error) {
			return s.Tasks.Fail(w.ctx, id, epoch, store.Failure{Reason: "oh"})
		},
	},
	{
		name: "Fail finally", outcome: nexus.OutcomeFailed, becomes: nexus.TaskEscalated, reason: "oh",
		task: "failed_attempts 1", agent: "tasks_failed 1",
		step: func(s *store.Services, w *work, id string, epoch int64) (*nexus.Task, error) {
			return s.Tasks.Fail(w.ctx, id, epoch, store.Failure{Reason: "oh", Final: true})
		},
	},
	{
		name: "Release", outcome: nexus.OutcomeReleased, becomes: nexus.TaskPending, reason: awkward,
		task: "assigned_agent -",
		step: func(s *store.Services, w *work, id string, epoch int64) (*nexus.Task, error) {
			return s.Tasks.Release(w.ctx, id, epoch, awkward)
		},
	},
	{
		name: "Block", outcome: nexus.OutcomeBlocked, becomes: nexus.TaskBlocked, reason: "rain",
		task: "assigned_agent -, blocked_by rain",
		step: func(s *store.Services, w *work, id string, epoch int64) (*nexus.Task, error) {
			return s.Tasks.Block(w.ctx, id, epoch, "rain")
		},
	},
	{
		name: "Skip", outcome: nexus.OutcomeSkipped, becomes: nexus.TaskSkipped, reason: "no",
		task: "completed_at +1m1s",
		step: func(s *store.Services, w *work, id string, epoch int64) (*nexus.Task, error) {
			return s.Tasks.Skip(w.ctx, id, epoch, "no")
		},
	},
}

// held are the changes that a verb makes to a task that an agent holds since the
// beginning of the test, after a minute and a second.
func (v verb) held() []string {
	attempt := "ended_us +1m1s, outcome " + string(v.outcome)
	if v.reason != "" {
		attempt += ", reason " + v.reason
	}
	return append(
		v.follows(),
		"agents a: "+columns("current_task_id -, last_activity_at +1m1s, revision 2, status idle", v.agent),
		"tasks it: "+columns("revision 3, updated_at +1m1s, status "+string(v.becomes), v.task),
		"task_attempts it#1: "+attempt,
	)
}

// columns puts columns into the order of an image.
func columns(lists ...string) string {
	var all []string
	for _, list := range lists {
		if list != "" {
			all = append(all, strings.Split(list, ", ")...)
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// follows is what it does to what the only task belongs to.
func (v verb) follows() []string {
	switch v.becomes {
	case nexus.TaskCompleted:
		return []string{"features f1: completed_tasks 1, revision 3, status done, updated_at +1m1s", "sub_features u1: revision 3, status done"}
	case nexus.TaskSkipped:
		return []string{"features f1: revision 3, status done, updated_at +1m1s", "sub_features u1: revision 3, status done"}
	default:
		return nil
	}
}

// again makes the task pending, as if nothing had happened to it.
func (w *work) again() {
	w.Helper()
	w.quickly("DELETE FROM task_attempts")
	w.quickly("DELETE FROM agents")
	w.quickly(`UPDATE tasks SET status = 'pending', assigned_agent = NULL, blocked_by = NULL, failed_attempts = 0, actual_minutes = NULL,
		started_at = NULL, completed_at = NULL, updated_at = created_at`)
	w.quickly("UPDATE tasks SET revision = 1")
	w.quickly("UPDATE features SET status = 'backlog', updated_at = created_at")
	w.quickly("UPDATE features SET revision = 1")
	w.quickly("UPDATE sub_features SET status = 'backlog'")
	w.quickly("UPDATE sub_features SET revision = 1")
	w.clock.Set(Now())
}

// testSteps takes every step that ends an attempt: with another epoch, with the
// right one, and again; then another step with the same epoch.
func testSteps(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	must(t, db.Tasks.Create(w.ctx, &nexus.Task{ID: "other", ProjectID: "p2", Name: "n"}))
	for _, v := range verbs {
		w.again()
		other := w.claim("b", "other")
		c := w.claim("a", "it")
		clock.Move(time.Minute + time.Second)
		for _, epoch := range []int64{0, c.Epoch + 1, other.Epoch, -2, -1 << 63, 1<<63 - 1} {
			what := fmt.Sprintf("%s with epoch %d", v.name, epoch)
			e := w.refuses(what, nexus.CodeFenced, v.call(w, "it", epoch))
			same(t, []any{e.Kind, e.ID}, []any{nexus.KindTask, "it"})
			w.names(what, e, "a", c.Epoch)
		}
		w.refuses(v.name+" of nothing", nexus.CodeNotFound, v.call(w, "nothing", c.Epoch))
		w.refuses(v.name+" of nothing", nexus.CodeNotFound, v.call(w, "nothing", 0))
		w.refuses(v.name+" of nothing", nexus.CodeNotFound, v.call(w, "nothing", nexus.AnyEpoch))

		w.changes(v.name, v.call(w, "it", c.Epoch), v.held()...)
		clock.Move(time.Minute)
		w.changes(v.name+" again", v.call(w, "it", c.Epoch))
		for _, other := range verbs {
			if other.outcome != v.outcome {
				what := fmt.Sprintf("%s after %s", other.name, v.name)
				w.namesNobody(what, w.refuses(what, nexus.CodeFenced, other.call(w, "it", c.Epoch)))
			}
		}
		w.refuses("a heartbeat after "+v.name, nexus.CodeFenced, w.heartbeat("it", c.Epoch, 0))

		// Whoever holds it.
		w.again()
		w.claim("a", "it")
		clock.Move(time.Minute + time.Second)
		w.changes(v.name+" whoever holds it", v.call(w, "it", nexus.AnyEpoch), v.held()...)

		// A call of long ago does not hit the next attempt.
		w.quickly("UPDATE tasks SET status = 'pending', blocked_by = NULL")
		again := w.claim("b", "it")
		old := w.attempts("it")[0].Epoch
		for _, late := range verbs {
			if what := late.name + " long after " + v.name; late.outcome == v.outcome {
				w.changes(what, late.call(w, "it", old))
			} else {
				w.names(what, w.refuses(what, nexus.CodeFenced, late.call(w, "it", old)), "b", again.Epoch)
			}
		}
		must(t, w.heartbeat("it", again.Epoch, 0)())
	}
}

// unheld says what becomes of a task that nobody holds, from each status; an empty
// one that the step is refused. The state machine decides; but to give back what
// nobody is at work on does not open again what has ended or what a person has to
// look at.
var unheld = map[string]map[nexus.TaskStatus]nexus.TaskStatus{
	"Complete": {
		"pending": "completed", "assigned": "completed", "in_progress": "completed", "blocked": "",
		"completed": "completed", "failed": "", "skipped": "", "escalated": "completed", "qa_loop": "completed",
	},
	"Fail": {
		"pending": "", "assigned": "pending", "in_progress": "pending", "blocked": "",
		"completed": "", "failed": "", "skipped": "", "escalated": "", "qa_loop": "pending",
	},
	"Fail finally": {
		"pending": "", "assigned": "escalated", "in_progress": "escalated", "blocked": "",
		"completed": "", "failed": "", "skipped": "", "escalated": "", "qa_loop": "escalated",
	},
	"Release": {
		"pending": "pending", "assigned": "pending", "in_progress": "pending", "blocked": "",
		"completed": "", "failed": "", "skipped": "", "escalated": "", "qa_loop": "pending",
	},
	"Block": {
		"pending": "blocked", "assigned": "blocked", "in_progress": "blocked", "blocked": "blocked",
		"completed": "", "failed": "", "skipped": "", "escalated": "", "qa_loop": "blocked",
	},
	"Skip": {
		"pending": "skipped", "assigned": "skipped", "in_progress": "skipped", "blocked": "skipped",
		"completed": "", "failed": "skipped", "skipped": "skipped", "escalated": "skipped", "qa_loop": "skipped",
	},
	"Unblock": {
		"pending": "pending", "assigned": "assigned", "in_progress": "in_progress", "blocked": "pending",
		"completed": "completed", "failed": "failed", "skipped": "skipped", "escalated": "escalated", "qa_loop": "qa_loop",
	},
	"Reopen": {
		"pending": "pending", "assigned": "pending", "in_progress": "pending", "blocked": "pending",
		"completed": "pending", "failed": "pending", "skipped": "pending", "escalated": "pending", "qa_loop": "pending",
	},
}

// opens are the steps that make a task pending that nobody holds.
var opens = []verb{
	{
		name: "Unblock", outcome: nexus.OutcomeReleased,
		step: func(s *store.Services, w *work, id string, _ int64) (*nexus.Task, error) {
			return s.Tasks.Unblock(w.ctx, id)
		},
	},
	{
		name: "Reopen", outcome: nexus.OutcomeReopened, reason: "again",
		step: func(s *store.Services, w *work, id string, _ int64) (*nexus.Task, error) {
			return s.Tasks.Reopen(w.ctx, id, "again")
		},
	},
}

// testStepsUnheld takes every step from every status with a task that nobody holds.
func testStepsUnheld(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	for _, v := range slices.Concat(verbs, opens) {
		for status, becomes := range unheld[v.name] {
			for _, epoch := range []int64{0, nexus.AnyEpoch} {
				w.again()
				w.quickly("UPDATE tasks SET status = $1", string(status))
				what := fmt.Sprintf("%s of a task that is %s, with epoch %d", v.name, status, epoch)
				if becomes == "" {
					same(t, w.refuses(what, nexus.CodeTransition, v.call(w, "it", epoch)).ID, "it")
					continue
				}
				if err := v.call(w, "it", epoch)(); err != nil {
					t.Errorf("%s: %v", what, err)
					continue
				}
				if after := w.task("it"); after.Status != becomes {
					t.Errorf("%s makes it %s, want %s", what, after.Status, becomes)
				}
				// The reason is kept, as a decision that no agent made.
				var want []nexus.Attempt
				if v.reason != "" {
					at := microseconds(clock.Now())
					want = []nexus.Attempt{{TaskID: "it", ClaimedAt: at, EndedAt: at, Outcome: v.outcome, Reason: v.reason}}
				}
				got := w.attempts("it")
				for i := range got {
					got[i].Epoch = 0
				}
				same(t, got, want)
			}
		}
	}
	// Nobody else's counters are touched by it, and an epoch that nobody was given
	// is worth nothing.
	w.again()
	for _, v := range verbs {
		w.namesNobody(v.name, w.refuses(v.name, nexus.CodeFenced, v.call(w, "it", 1<<40)))
	}
}

// testStepsInvalid gives what cannot be stored.
func testStepsInvalid(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	c := w.claim("a", "it")
	long := strings.Repeat("x", nexus.MaxText+1)
	odd := nexus.Evidence{Commit: long, Files: []string{"f", long}, Tests: long, Note: long, Output: long}
	fields := []string{"commit", "files[1]", "note", "output", "tests"}
	for name, call := range map[string]func() error{
		"Complete": func() error { _, err := db.Tasks.Complete(w.ctx, "it", c.Epoch, odd); return err },
		"Fail":     func() error { _, err := db.Tasks.Fail(w.ctx, "it", c.Epoch, store.Failure{Evidence: odd}); return err },
	} {
		same(t, problemFields(w.refuses(name, nexus.CodeInvalid, call)), fields)
	}
	for name, call := range map[string]func(reason string) error{
		"Fail": func(r string) error {
			_, err := db.Tasks.Fail(w.ctx, "it", c.Epoch, store.Failure{Reason: r})
			return err
		},
		"Release": func(r string) error { _, err := db.Tasks.Release(w.ctx, "it", c.Epoch, r); return err },
		"Block":   func(r string) error { _, err := db.Tasks.Block(w.ctx, "it", c.Epoch, r); return err },
		"Skip":    func(r string) error { _, err := db.Tasks.Skip(w.ctx, "it", c.Epoch, r); return err },
		"Reopen":  func(r string) error { _, err := db.Tasks.Reopen(w.ctx, "it", r); return err },
		"QA":      func(r string) error { _, err := db.Tasks.QA(w.ctx, "it", c.Epoch, r); return err },
	} {
		same(t, problemFields(w.refuses(name, nexus.CodeInvalid, func() error { return call(long) })), []string{"reason"})
		w.refuses(name, nexus.CodeInvalid, func() error { return call("\xff") })
	}
	same(t, problemFields(w.refuses("a block without a reason", nexus.CodeInvalid, func() error {
		_, err := db.Tasks.Block(w.ctx, "it", c.Epoch, "")
		return err
	})), []string{"reason"})
}
