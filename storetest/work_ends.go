package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var endTests = map[string]timedTest{
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
	w.changes("Complete of the last", func() error {
		_, err := db.Tasks.Complete(w.ctx, "later", nexus.AnyEpoch, nexus.Evidence{})
		return err
	},
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
