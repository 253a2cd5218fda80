package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var stepTests = map[string]timedTest{
	"Steps":         testSteps,
	"StepsUnheld":   testStepsUnheld,
	"StepsInvalid":  testStepsInvalid,
	"Complete":      testComplete,
	"ActualMinutes": testActualMinutes,
	"FailUntilLast": testFailUntilLast,
	"FailFinal":     testFailFinal,
	"Block":         testBlock,
	"Unblock":       testUnblock,
	"Skip":          testSkip,
	"Reopen":        testReopen,
	"QA":            testQA,
	"QAEscalates":   testQAEscalates,
	"StepDependent": testStepDependent,
	"StepEvidence":  testStepEvidence,
	"StepsInTx":     testStepsInTx,
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
		"pending": "pending", "assigned": "pending", "in_progress": "pending", "blocked": "",
		"completed": "", "failed": "", "skipped": "", "escalated": "", "qa_loop": "pending",
	},
	"Fail finally": {
		"pending": "escalated", "assigned": "escalated", "in_progress": "escalated", "blocked": "escalated",
		"completed": "", "failed": "escalated", "skipped": "", "escalated": "escalated", "qa_loop": "escalated",
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
		step: func(s *store.Services, w *work, id string, _ int64) (*nexus.Task, error) { return s.Tasks.Unblock(w.ctx, id) },
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
		"Fail":    func(r string) error { _, err := db.Tasks.Fail(w.ctx, "it", c.Epoch, store.Failure{Reason: r}); return err },
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

// testComplete completes the tasks of a feature one by one, with evidence.
func testComplete(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "late it", "later late it")
	c := w.claim("a", "it")
	clock.Move(90 * time.Second)
	evidence := nexus.Evidence{
		Commit: "4f2c", Files: []string{"a b", awkward}, Tests: "ok", Note: awkward, Output: awkward, ExitCode: new(0), DurationMS: 1 << 40,
	}
	text, err := json.Marshal(evidence)
	must(t, err)
	w.changes("Complete", func() error { _, err := db.Tasks.Complete(w.ctx, "it", c.Epoch, evidence); return err },
		"agents a: current_task_id -, last_activity_at +1m30s, revision 2, status idle, tasks_completed 1",
		"features f1: completed_tasks 1",
		"task_attempts it#1: ended_us +1m30s, evidence "+string(text)+", outcome completed",
		"tasks it: actual_minutes 2, completed_at +1m30s, revision 3, status completed, updated_at +1m30s",
	)
	same(t, w.attempts("it")[0].Evidence, &evidence)
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"late"})
	// To repeat it with other evidence does not replace what is there.
	w.changes("Complete again", func() error {
		_, err := db.Tasks.Complete(w.ctx, "it", c.Epoch, nexus.Evidence{Note: "more"})
		return err
	})

	// By a person, with nobody at work on it: the same, but for the agent.
	clock.Move(time.Second)
	w.changes("Complete of what nobody holds", func() error { _, err := db.Tasks.Complete(w.ctx, "late", 0, nexus.Evidence{Note: "n"}); return err },
		`+ task_attempts late#1: agent_id , claimed_us +1m31s, ended_us +1m31s, evidence {"note":"n"}, lease_until_us +1m31s, lease_us 0s, outcome completed, task_id late`,
		"features f1: completed_tasks 2",
		"tasks late: completed_at +1m31s, revision 2, status completed, updated_at +1m31s",
	)
	clock.Move(time.Second)
	w.changes("Complete of the last", func() error { _, err := db.Tasks.Complete(w.ctx, "later", nexus.AnyEpoch, nexus.Evidence{}); return err },
		"features f1: completed_tasks 3, revision 3, status done, updated_at +1m32s",
		"sub_features u1: revision 3, status done",
		"tasks later: completed_at +1m32s, revision 2, status completed, updated_at +1m32s",
	)
}

// testActualMinutes adds up what several attempts took, whatever became of them.
func testActualMinutes(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	w.quickly("UPDATE tasks SET actual_minutes = 77, max_attempts = 100")
	spend := func(d time.Duration, end func(epoch int64) error) {
		t.Helper()
		c := w.claim("a", "it")
		clock.Move(d)
		must(t, end(c.Epoch))
		clock.Move(time.Hour) // nobody at work
	}
	complete := func(epoch int64) error { _, err := db.Tasks.Complete(w.ctx, "it", epoch, nexus.Evidence{}); return err }
	spend(time.Minute, func(epoch int64) error { _, err := db.Tasks.Fail(w.ctx, "it", epoch, store.Failure{}); return err })
	spend(3*time.Minute, func(epoch int64) error { _, err := db.Tasks.Release(w.ctx, "it", epoch, ""); return err })
	spend(time.Minute, func(epoch int64) error {
		if _, err := db.Tasks.Block(w.ctx, "it", epoch, "rain"); err != nil {
			return err
		}
		_, err := db.Tasks.Unblock(w.ctx, "it")
		return err
	})
	spend(nexus.DefaultLease, func(int64) error { _, err := db.Recover(w.ctx, nexus.RecoverRequest{}); return err })
	spend(time.Microsecond, complete)
	same(t, w.task("it").ActualMinutes, 1+3+1+15+1) // rounded up
	_, err := db.Tasks.Reopen(w.ctx, "it", "")
	must(t, err)
	same(t, w.task("it").ActualMinutes, 21)
	spend(0, complete)
	same(t, w.task("it").ActualMinutes, 21)

	// Without an attempt it is the time since the start, if that is known.
	must(t, db.Tasks.CreateMany(w.ctx, []*nexus.Task{
		{ID: "a", ProjectID: "p1", Name: "n", Status: nexus.TaskInProgress, StartedAt: clock.Now().Add(-61 * time.Second)},
		{ID: "b", ProjectID: "p1", Name: "n", Status: nexus.TaskInProgress, StartedAt: clock.Now().Add(time.Hour)},
		{ID: "c", ProjectID: "p1", Name: "n", ActualMinutes: 7},
	}))
	for id, want := range map[string]int{"a": 2, "b": 0, "c": 7} {
		_, err := db.Tasks.Complete(w.ctx, id, 0, nexus.Evidence{})
		must(t, err)
		same(t, w.task(id).ActualMinutes, want)
	}
}

func testFailUntilLast(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "late it")
	fail := func(epoch int64) func() error {
		return func() error {
			_, err := db.Tasks.Fail(w.ctx, "it", epoch, store.Failure{Reason: "oh", Evidence: nexus.Evidence{ExitCode: new(1)}})
			return err
		}
	}
	for i := 1; i <= 3; i++ {
		c := w.claim("a", "it")
		status, assigned, change := nexus.TaskPending, "", "assigned_agent -, failed_attempts %d, revision %d, status pending"
		if i == 3 {
			status, assigned, change = nexus.TaskEscalated, "a", "failed_attempts %d, revision %d, status escalated"
		}
		w.changes("Fail", fail(c.Epoch),
			fmt.Sprintf("agents a: current_task_id -, revision %d, status idle, tasks_failed %d", 2*i, i),
			fmt.Sprintf(`task_attempts it#%d: ended_us +0s, evidence {"exit_code":1}, outcome failed, reason oh`, i),
			fmt.Sprintf("tasks it: "+change, i, 1+2*i),
		)
		w.changes("Fail again", fail(c.Epoch))
		same(t, []any{w.task("it").Status, w.task("it").AssignedAgent}, []any{status, assigned})
	}
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{})

	// As often as it may, whatever that is; 0 is not once.
	for _, most := range []int{0, 1} {
		w.again()
		w.quickly("UPDATE tasks SET max_attempts = $1", most)
		must(t, fail(w.claim("a", "it").Epoch)())
		same(t, w.task("it").Status, nexus.TaskEscalated)
	}
}

func testFailFinal(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "late it")
	c := w.claim("a", "it")
	w.changes("a final failure", func() error {
		_, err := db.Tasks.Fail(w.ctx, "it", c.Epoch, store.Failure{Final: true})
		return err
	},
		"agents a: current_task_id -, revision 2, status idle, tasks_failed 1",
		"task_attempts it#1: ended_us +0s, outcome failed",
		"tasks it: failed_attempts 1, revision 3, status escalated",
	)
	x, err := db.Tasks.Explain(w.ctx, "late")
	must(t, err)
	same(t, x.RootCauses[0].Message, "it is escalated: a person has to look at it")
}

func testBlock(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	w.changes("Block of what nobody holds", func() error { _, err := db.Tasks.Block(w.ctx, "it", 0, "rain"); return err },
		"+ task_attempts it#1: agent_id , claimed_us +0s, ended_us +0s, lease_until_us +0s, lease_us 0s, outcome blocked, reason rain, task_id it",
		"tasks it: blocked_by rain, revision 2, status blocked",
	)
	w.changes("Block again", func() error { _, err := db.Tasks.Block(w.ctx, "it", 0, "snow"); return err },
		"+ task_attempts it#2: agent_id , claimed_us +0s, ended_us +0s, lease_until_us +0s, lease_us 0s, outcome blocked, reason snow, task_id it",
		"tasks it: blocked_by snow, revision 3",
	)
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{})
}

func testUnblock(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	unblock := func() error { _, err := db.Tasks.Unblock(w.ctx, "it"); return err }
	w.changes("nothing to unblock", unblock)
	must(t, verbs[4].call(w, "it", w.claim("a", "it").Epoch)())
	w.changes("Unblock", unblock, "tasks it: blocked_by -, revision 4, status pending")
	w.changes("Unblock again", unblock)
	w.quickly("UPDATE tasks SET blocked_by = 'a note of another program'")
	w.changes("a note", unblock, "tasks it: blocked_by -, revision 6")
	c := w.claim("a", "it")
	w.names("what is held", w.refuses("what is held", nexus.CodeFenced, unblock), "a", c.Epoch)
	w.refuses("nothing", nexus.CodeNotFound, func() error { _, err := db.Tasks.Unblock(w.ctx, "nothing"); return err })

	// A retry that comes late does not have it done twice.
	must(t, verbs[0].call(w, "it", c.Epoch)())
	w.changes("after it was done", unblock)
}

func testSkip(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "late it")
	w.changes("Skip", func() error { _, err := db.Tasks.Skip(w.ctx, "it", 0, ""); return err },
		"tasks it: completed_at +0s, revision 2, status skipped")
	w.changes("Skip again", func() error { _, err := db.Tasks.Skip(w.ctx, "it", 0, ""); return err })
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"late"})
	w.changes("Skip of the last", func() error { _, err := db.Tasks.Skip(w.ctx, "late", 0, ""); return err },
		"features f1: revision 2, status done",
		"sub_features u1: revision 2, status done",
		"tasks late: completed_at +0s, revision 2, status skipped",
	)
}

// testReopen has a task done again: what depends on it waits again, unless it has
// begun, and its feature goes on.
func testReopen(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "late it", "begun it")
	c := w.claim("a", "it")
	_, err := db.Tasks.QA(w.ctx, "it", c.Epoch, "")
	must(t, err)
	_, err = db.Tasks.Fail(w.ctx, "it", c.Epoch, store.Failure{})
	must(t, err)
	must(t, verbs[0].call(w, "it", w.claim("a", "it").Epoch)())
	begun := w.claim("b", "begun")
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"late"})
	clock.Move(time.Minute)
	reopen := func(id string) func() error {
		return func() error { _, err := db.Tasks.Reopen(w.ctx, id, "it was wrong"); return err }
	}
	w.changes("Reopen", reopen("it"),
		"+ task_attempts it#3: agent_id , claimed_us +1m0s, ended_us +1m0s, lease_until_us +1m0s, lease_us 0s, "+
			"outcome reopened, reason it was wrong, task_id it",
		"features f1: completed_tasks 0",
		"tasks it: assigned_agent -, completed_at -, failed_attempts 0, qa_iterations 0, revision 7, status pending, updated_at +1m0s",
	)
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"it"})
	w.names("what is held", w.refuses("what is held", nexus.CodeFenced, reopen("begun")), "b", begun.Epoch)
	must(t, verbs[0].call(w, "begun", begun.Epoch)())
	must(t, verbs[0].call(w, "it", w.claim("a", "it").Epoch)())
	must(t, verbs[0].call(w, "late", w.claim("a", "late").Epoch)())
	same(t, features.mustGet(t, db, "f1").Status, nexus.FeatureDone)
	must(t, reopen("late")())
	same(t, features.mustGet(t, db, "f1").Status, nexus.FeatureInProgress)
	same(t, subFeatures.mustGet(t, db, "u1").Status, nexus.FeatureInProgress)
	w.refuses("nothing", nexus.CodeNotFound, reopen("nothing"))

	// An agent's count of what it has done stays.
	same(t, []int{w.agent("a").TasksCompleted, w.agent("b").TasksCompleted}, []int{3, 1})
}

func testQA(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	qa := func(epoch int64) func() error {
		return func() error {
			got, err := db.Tasks.QA(w.ctx, "it", epoch, "two findings")
			if err == nil {
				same(t, got, w.task("it"))
			}
			return err
		}
	}
	for _, epoch := range []int64{0, 7, nexus.AnyEpoch} {
		w.namesNobody("what nobody holds", w.refuses("what nobody holds", nexus.CodeFenced, qa(epoch)))
	}
	c := w.claim("a", "it")
	clock.Move(10 * time.Second)
	w.changes("QA", qa(c.Epoch),
		"agents a: last_activity_at +10s",
		"task_attempts it#1: lease_until_us +15m10s",
		"tasks it: qa_iterations 1, revision 3, updated_at +10s",
	)
	w.changes("QA again", qa(c.Epoch), "tasks it: qa_iterations 2, revision 4")
	w.names("another epoch", w.refuses("another epoch", nexus.CodeFenced, qa(c.Epoch+1)), "a", c.Epoch)
	w.names("no epoch", w.refuses("no epoch", nexus.CodeFenced, qa(0)), "a", c.Epoch)

	// A person, whoever holds it: that is no sign of life of the agent.
	clock.Move(10 * time.Second)
	w.changes("QA by a person", qa(nexus.AnyEpoch), "tasks it: qa_iterations 3, revision 5, updated_at +20s")
	w.quickly("UPDATE tasks SET max_iterations = 4")
	w.changes("the last QA by a person", qa(nexus.AnyEpoch),
		"agents a: current_task_id -, last_activity_at +20s, revision 2, status idle",
		"task_attempts it#1: ended_us +20s, outcome escalated, reason the QA iterations are used up: two findings",
		"tasks it: qa_iterations 4, revision 7, status escalated",
	)
	w.refuses("nothing", nexus.CodeNotFound, func() error { _, err := db.Tasks.QA(w.ctx, "nothing", 1, ""); return err })
}

func testQAEscalates(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	w.quickly("UPDATE tasks SET max_iterations = 2")
	w.quickly("UPDATE tasks SET revision = 1")
	c := w.claim("a", "it")
	qa := func() error { _, err := db.Tasks.QA(w.ctx, "it", c.Epoch, ""); return err }
	w.changes("QA", qa, "tasks it: qa_iterations 1, revision 3")
	clock.Move(time.Minute)
	w.changes("the last QA", qa,
		"agents a: current_task_id -, last_activity_at +1m0s, revision 2, status idle",
		"task_attempts it#1: ended_us +1m0s, lease_until_us +16m0s, outcome escalated, reason the QA iterations are used up",
		"tasks it: qa_iterations 2, revision 4, status escalated, updated_at +1m0s",
	)
	w.refuses("QA after that", nexus.CodeFenced, qa)
	for _, v := range verbs {
		w.refuses(v.name+" after that", nexus.CodeFenced, v.call(w, "it", c.Epoch))
	}
	_, err := db.Tasks.Reopen(w.ctx, "it", "")
	must(t, err)
	same(t, w.task("it").QAIterations, 0)
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"it"})
}

// testStepDependent makes tasks ready, or not, by what becomes of what they depend
// on: one of two is not enough.
func testStepDependent(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "a", "b", "it a b")
	for _, v := range verbs {
		w.again()
		_, err := db.Tasks.Skip(w.ctx, "b", 0, "")
		must(t, err)
		must(t, v.call(w, "a", w.claim("x", "a").Epoch)())
		ready := slices.Contains(w.readyIDs(nexus.ReadyFilter{}), "it")
		same(t, ready, v.outcome == nexus.OutcomeCompleted || v.outcome == nexus.OutcomeSkipped)
		w.quickly("UPDATE tasks SET status = 'pending' WHERE id = 'b'")
		same(t, slices.Contains(w.readyIDs(nexus.ReadyFilter{}), "it"), false)
	}
}

// testStepEvidence keeps what was given, and reads what another program has put in
// its place as well as it can.
func testStepEvidence(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	for _, e := range []nexus.Evidence{
		{}, {Commit: "c"}, {Files: []string{"f"}}, {Tests: "t"}, {Note: "n"}, {Output: "o"}, {ExitCode: new(0)}, {DurationMS: -1},
	} {
		w.again()
		_, err := db.Tasks.Complete(w.ctx, "it", w.claim("a", "it").Epoch, e)
		must(t, err)
		want := &e
		if e.IsZero() {
			want = nil
		}
		same(t, w.attempts("it")[0].Evidence, want)
	}
	for _, odd := range []string{"", "{", "null", "7", "[]", `"x"`, `{"files":"f"}`} {
		w.quickly("UPDATE task_attempts SET evidence = $1, progress = $1, outcome = 'odd'", odd)
		same(t, w.attempts("it")[0].Outcome, nexus.Outcome("odd"))
	}
}

// testStepsInTx does the whole work on a task in one transaction, and undoes parts.
func testStepsInTx(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "late it")
	must(t, db.InTx(w.ctx, func(tx *store.Tx) error {
		claims, err := tx.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "a"})
		must(t, err)
		epoch := claims[0].Epoch
		for _, v := range verbs {
			err := tx.InTx(w.ctx, func(tx *store.Tx) error {
				_, err := v.step(&tx.Services, w, "it", epoch)
				must(t, err)
				return errStop
			})
			same(t, errors.Is(err, errStop), true)
		}
		// A refused call leaves nothing, and the transaction goes on.
		_, err = tx.Tasks.Complete(w.ctx, "it", epoch+1, nexus.Evidence{})
		refused(t, err, nexus.CodeFenced)
		_, err = tx.Tasks.Complete(w.ctx, "it", epoch, nexus.Evidence{})
		return err
	}))
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"late"})
	same(t, []int{w.agent("a").TasksCompleted, w.agent("a").TasksFailed, len(w.attempts("it"))}, []int{1, 0, 1})
}
