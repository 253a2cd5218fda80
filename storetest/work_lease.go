package storetest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var leaseTests = map[string]timedTest{
	"Heartbeat":       testHeartbeat,
	"Progress":        testProgress,
	"LeaseOver":       testLeaseOver,
	"LeaseOverKept":   testLeaseOverKept,
	"LeaseOverRetold": testLeaseOverRetold,
	"LastAttempt":     testLastAttempt,
	"LeaseExactly":    testLeaseExactly,
	"ClockBack":       testClockBack,
	"ClockForward":    testClockForward,
	"ForeignStage":    testForeignStage,
}

func (w *work) heartbeat(task string, epoch int64, lease time.Duration) func() error {
	return func() error {
		held, err := w.db.Tasks.Heartbeat(w.ctx, task, epoch, lease)
		if err == nil {
			attempts := w.attempts(task)
			same(w.T, *held, attempts[len(attempts)-1])
		}
		return err
	}
}

func testHeartbeat(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other")
	c := w.claim("a", "it")
	clock.Move(10 * time.Second)
	w.changes("a heartbeat", w.heartbeat("it", c.Epoch, 0),
		"agents a: last_activity_at +10s", "task_attempts it#1: lease_until_us +15m10s")
	w.changes("another at the same time", w.heartbeat("it", c.Epoch, 0))
	w.changes("a longer lease", w.heartbeat("it", c.Epoch, time.Hour),
		"task_attempts it#1: lease_until_us +1h0m10s, lease_us 1h0m0s")
	clock.Move(10 * time.Second)
	w.changes("its length stays", w.heartbeat("it", c.Epoch, 0),
		"agents a: last_activity_at +20s", "task_attempts it#1: lease_until_us +1h0m20s")
	w.changes("a shorter lease", w.heartbeat("it", c.Epoch, time.Second),
		"task_attempts it#1: lease_until_us +21s, lease_us 1s")

	// A clock that has been put back is no reason to refuse, nor to call the agent
	// silent for longer.
	clock.Move(-20 * time.Second)
	w.changes("a clock put back", w.heartbeat("it", c.Epoch, 0), "task_attempts it#1: lease_until_us +1s")

	other := w.claim("b", "other")
	for _, epoch := range []int64{0, 99, other.Epoch, -2, nexus.AnyEpoch, 1 << 62, -1 << 63} {
		e := w.refuses("another epoch", nexus.CodeFenced, w.heartbeat("it", epoch, 0))
		w.names("another epoch", e, "a", c.Epoch)
	}
	w.refuses("no task", nexus.CodeNotFound, w.heartbeat("nothing", c.Epoch, 0))
	for _, lease := range []time.Duration{-1, 1, nexus.MinLease - 1, nexus.MaxLease + 1} {
		same(t, problemFields(w.refuses("an odd lease", nexus.CodeInvalid, w.heartbeat("it", c.Epoch, lease))), []string{"lease"})
	}

	_, err := db.Tasks.Complete(w.ctx, "it", c.Epoch, nexus.Evidence{})
	must(t, err)
	w.namesNobody("after the end", w.refuses("after the end", nexus.CodeFenced, w.heartbeat("it", c.Epoch, 0)))
	must(t, db.Tasks.Delete(w.ctx, "it"))
	w.refuses("after it was deleted", nexus.CodeNotFound, w.heartbeat("it", c.Epoch, 0))

	// The agent's own row need not be there.
	must(t, db.Agents.Delete(w.ctx, "b"))
	clock.Move(time.Second)
	w.changes("an agent that was deleted", w.heartbeat("other", other.Epoch, 0), "task_attempts other#1: lease_until_us +15m1s")
}

func testProgress(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	c := w.claim("a", "it")
	progress := func(epoch int64, p nexus.Progress) func() error {
		return func() error {
			held, err := db.Tasks.Progress(w.ctx, "it", epoch, p)
			if err == nil {
				p.At = clock.Now().Truncate(time.Second)
				same(t, held.Progress, &p)
				same(t, *held, w.attempts("it")[0])
			}
			return err
		}
	}
	clock.Move(10 * time.Second)
	full := nexus.Progress{Note: awkward, Percent: 100, LastAction: "x", File: "f", Line: 7, NextSteps: []string{"", awkward}}
	stored := full
	stored.At = now.Add(10 * time.Second)
	text, err := json.Marshal(stored)
	must(t, err)
	w.changes("progress", progress(c.Epoch, full),
		"agents a: last_activity_at +10s", "task_attempts it#1: lease_until_us +15m10s, progress "+string(text))
	w.changes("progress in place of the first", progress(c.Epoch, nexus.Progress{Percent: 1}),
		`task_attempts it#1: progress {"percent":1,"at":"2031-02-03T04:05:16Z"}`)
	w.changes("nothing to say", progress(c.Epoch, nexus.Progress{}), `task_attempts it#1: progress {"at":"2031-02-03T04:05:16Z"}`)

	for field, p := range map[string]nexus.Progress{
		"percent": {Percent: 101}, "line": {Line: -1}, "next_steps[1]": {NextSteps: []string{"", strings.Repeat("x", nexus.MaxText+1)}},
	} {
		same(t, problemFields(w.refuses(field, nexus.CodeInvalid, progress(c.Epoch, p))), []string{field})
	}
	for _, epoch := range []int64{0, c.Epoch + 1, nexus.AnyEpoch} {
		w.names("another epoch", w.refuses("another epoch", nexus.CodeFenced, progress(epoch, nexus.Progress{})), "a", c.Epoch)
	}
	_, err = db.Tasks.Fail(w.ctx, "it", c.Epoch, store.Failure{})
	must(t, err)
	w.refuses("after the end", nexus.CodeFenced, progress(c.Epoch, nexus.Progress{}))
	// What was said last stays with the attempt.
	same(t, w.attempts("it")[0].Progress, &nexus.Progress{At: now.Add(10 * time.Second)})
}

// testLeaseOver lets a lease run out: whoever asks next gets the task, and the old
// agent is refused from then on.
func testLeaseOver(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "late it")
	old := w.claim("a", "it")
	clock.Move(nexus.DefaultLease)
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"it"})
	same(t, w.readyIDs(nexus.ReadyFilter{ProjectID: "p1", FeatureID: "f1", Limit: 1}), []string{"it"})
	same(t, w.readyIDs(nexus.ReadyFilter{ProjectID: "p2"}), []string{})

	var c nexus.Claim
	w.changes("the next claim", func() error { c = w.claimed(nexus.ClaimRequest{AgentID: "b"}); return nil },
		"+ agents b: current_task_id it, last_activity_at +15m0s, revision 1, spawned_at +15m0s, status working, "+
			"tasks_completed 0, tasks_failed 0, tokens_used 0, type coder",
		"+ task_attempts it#2: agent_id b, claimed_us +15m0s, lease_until_us +30m0s, lease_us 15m0s, task_id it",
		"agents a: current_task_id -, revision 3, status terminated, tasks_failed 1, terminated_at +15m0s, "+
			"termination_reason gave no sign of life since 2031-02-03T04:05:06Z, while working on it",
		"task_attempts it#1: ended_us +15m0s, outcome expired, reason its lease was over",
		"tasks it: assigned_agent b, failed_attempts 1, revision 4, updated_at +15m0s",
	)
	if c.Epoch <= old.Epoch {
		t.Errorf("epoch %d comes after %d", c.Epoch, old.Epoch)
	}
	for _, v := range verbs {
		w.names(v.name, w.refuses(v.name, nexus.CodeFenced, v.call(w, "it", old.Epoch)), "b", c.Epoch)
	}
	w.names("a heartbeat", w.refuses("a heartbeat", nexus.CodeFenced, w.heartbeat("it", old.Epoch, 0)), "b", c.Epoch)

	// The agent that was taken for dead comes back, and works on.
	must(t, db.Tasks.Create(w.ctx, &nexus.Task{ID: "next", ProjectID: "p1", Name: "n"}))
	w.changes("the old agent claims again", func() error { w.claimed(nexus.ClaimRequest{AgentID: "a"}); return nil },
		"+ task_attempts next#1: agent_id a, claimed_us +15m0s, lease_until_us +30m0s, lease_us 15m0s, task_id next",
		"agents a: current_task_id next, last_activity_at +15m0s, revision 4, status working, terminated_at -, termination_reason -",
		"tasks next: assigned_agent a, revision 2, started_at +15m0s, status in_progress",
	)
}

// testLeaseOverKept goes on with a lease that is over, which is allowed while
// nobody has taken the task.
func testLeaseOverKept(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	for _, v := range verbs {
		c := w.claim("a", "it")
		clock.Move(nexus.DefaultLease + time.Hour)
		must(t, w.heartbeat("it", c.Epoch, 0)())
		e := w.refuses("a claim of what is held again", nexus.CodeNotReady, func() error {
			_, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "b", TaskID: "it"})
			return err
		})
		w.names("a claim of what is held again", e, "a", c.Epoch)
		clock.Move(nexus.DefaultLease + time.Hour)
		if err := v.call(w, "it", c.Epoch)(); err != nil {
			t.Errorf("%s with a lease that is over: %v", v.name, err)
		}
		last := w.attempts("it")[len(w.attempts("it"))-1]
		same(t, last.Outcome, v.outcome)
		same(t, last.EndedAt, microseconds(clock.Now()))
		w.quickly("UPDATE tasks SET status = 'pending', blocked_by = NULL, assigned_agent = NULL, failed_attempts = 0")
	}
	same(t, w.agent("a").TasksCompleted, 1)
	same(t, w.agent("a").TasksFailed, 2)
}

// testLeaseOverRetold claims a task, by its id, that the same agent held for too
// long: it gets a new epoch, and the old one is worth nothing.
func testLeaseOverRetold(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	old := w.claim("a", "it")
	clock.Move(nexus.DefaultLease)
	c := w.claim("a", "it")
	e := w.refuses("the old epoch", nexus.CodeFenced, func() error {
		_, err := db.Tasks.Complete(w.ctx, "it", old.Epoch, nexus.Evidence{})
		return err
	})
	w.names("the old epoch", e, "a", c.Epoch)
	a := w.agent("a")
	same(t, []any{a.Status, a.CurrentTaskID, a.TasksFailed, a.TerminatedAt, a.TerminationReason},
		[]any{nexus.AgentWorking, "it", 1, time.Time{}, ""})
}

// testLastAttempt lets the last attempt's lease run out: nobody gets the task, a
// person has to look at it.
func testLastAttempt(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	w.quickly("UPDATE tasks SET max_attempts = 2")
	w.quickly("UPDATE tasks SET revision = 1")
	w.claim("a", "it")
	clock.Move(nexus.DefaultLease)
	w.claim("b", "it")
	clock.Move(nexus.DefaultLease)
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{})
	x, err := db.Tasks.Explain(w.ctx, "it")
	must(t, err)
	same(t, []any{x.Ready, len(x.Reasons), x.Reasons[0].Cause}, []any{false, 1, nexus.CauseStatus})

	w.refuses("a claim by id", nexus.CodeNotReady, func() error {
		_, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "c", TaskID: "it"})
		return err
	})
	w.changes("a claim in vain", func() error {
		claims, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "c"})
		same(t, len(claims), 0)
		return err
	},
		"agents b: current_task_id -, revision 3, status terminated, tasks_failed 1, terminated_at +30m0s, "+
			"termination_reason gave no sign of life since 2031-02-03T04:20:06Z, while working on it",
		"task_attempts it#2: ended_us +30m0s, outcome expired, reason its lease was over",
		"tasks it: failed_attempts 2, revision 5, status escalated, updated_at +30m0s",
	)
}

// testLeaseExactly looks at the microsecond at which a lease ends: it is over then,
// for everybody alike.
func testLeaseExactly(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	w.quickly("UPDATE tasks SET max_attempts = 100")
	for _, fraction := range []time.Duration{0, 1, 345, 999, time.Microsecond, 500 * time.Millisecond} {
		clock.Set(Now().Truncate(time.Microsecond).Add(fraction))
		c := w.claimed(nexus.ClaimRequest{AgentID: "a", Lease: time.Second})
		for clock.Set(c.LeaseUntil.Add(-1)); clock.Now().Before(c.LeaseUntil.Add(3)); clock.Move(1) {
			over := !clock.Now().Before(c.LeaseUntil)
			same(t, len(w.readyIDs(nexus.ReadyFilter{})) == 1, over)
			x, err := db.Tasks.Explain(w.ctx, "it")
			must(t, err)
			same(t, x.Ready, over)
			report, err := db.Recover(w.ctx, nexus.RecoverRequest{DryRun: true})
			must(t, err)
			same(t, []int{len(report.Tasks), report.InFlight}, map[bool][]int{true: {1, 0}, false: {0, 1}}[over])
			for _, id := range []string{"", "it"} {
				err = db.InTx(w.ctx, func(tx *store.Tx) error {
					claims, err := tx.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "b", TaskID: id})
					if id == "" || over {
						must(t, err)
						same(t, len(claims) == 1, over)
					} else {
						refused(t, err, nexus.CodeNotReady)
					}
					return errStop
				})
				same(t, errors.Is(err, errStop), true)
			}
		}
		_, err := db.Tasks.Release(w.ctx, "it", c.Epoch, "")
		must(t, err)
	}
}

// testClockBack puts the clock back by days while an agent is at work, and the
// agent dies. Its task is neither lost for these days nor given to two.
func testClockBack(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other")
	old := w.claim("a", "it")
	clock.Move(-3 * 24 * time.Hour)

	// As long as there is other work, nobody looks.
	w.changes("a claim of the other", func() error { w.claimed(nexus.ClaimRequest{AgentID: "b"}); return nil },
		"+ agents b: current_task_id other, last_activity_at -72h0m0s, revision 1, spawned_at -72h0m0s, status working, "+
			"tasks_completed 0, tasks_failed 0, tokens_used 0, type coder",
		"+ task_attempts other#1: agent_id b, claimed_us -72h0m0s, lease_until_us -71h45m0s, lease_us 15m0s, task_id other",
		"tasks other: assigned_agent b, revision 2, started_at -72h0m0s, status in_progress, updated_at -72h0m0s",
	)
	w.changes("a claim in vain", func() error {
		claims, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "c"})
		same(t, len(claims), 0)
		return err
	}, "task_attempts it#1: lease_until_us -71h45m0s")
	clock.Move(nexus.DefaultLease - time.Microsecond)
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{})
	must(t, w.heartbeat("it", old.Epoch, 0)()) // it is alive after all
	clock.Move(nexus.DefaultLease)

	// Time did not pass backwards for the agent.
	w.changes("the next claim", func() error { w.claimed(nexus.ClaimRequest{AgentID: "c", TaskID: "it"}); return nil },
		"+ agents c: current_task_id it, last_activity_at -71h30m0s, revision 1, spawned_at -71h30m0s, status working, "+
			"tasks_completed 0, tasks_failed 0, tokens_used 0, type coder",
		"+ task_attempts it#2: agent_id c, claimed_us -71h30m0.000001s, lease_until_us -71h15m0.000001s, lease_us 15m0s, task_id it",
		"agents a: current_task_id -, revision 3, status terminated, tasks_failed 1, terminated_at -71h30m0s, "+
			"termination_reason gave no sign of life since 2031-01-31T04:20:06Z, while working on it",
		"agents b: current_task_id -, revision 3, status terminated, tasks_failed 1, terminated_at -71h30m0s, "+
			"termination_reason gave no sign of life since 2031-01-31T04:05:06Z, while working on other",
		"task_attempts it#1: ended_us +0s, outcome expired, reason its lease was over",
		"task_attempts other#1: ended_us -71h30m0.000001s, outcome expired, reason its lease was over",
		"tasks it: assigned_agent c, failed_attempts 1, revision 4, updated_at -71h30m0s",
		"tasks other: assigned_agent -, failed_attempts 1, revision 3, status pending, updated_at -71h30m0s",
	)
	_, err := db.Tasks.Complete(w.ctx, "it", old.Epoch, nexus.Evidence{})
	refused(t, err, nexus.CodeFenced)
}

// testClockForward puts the clock ahead and back again: what was claimed in between
// comes back in time.
func testClockForward(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other")
	a := w.claim("a", "it")
	clock.Move(30 * 24 * time.Hour)
	b := w.claimed(nexus.ClaimRequest{AgentID: "b"}) // it is a's lease that is over, for all that anybody can tell
	same(t, b.TaskID, "it")
	_, err := db.Tasks.Heartbeat(w.ctx, "it", a.Epoch, 0)
	refused(t, err, nexus.CodeFenced)
	clock.Move(-30 * 24 * time.Hour)

	report, err := db.Recover(w.ctx, nexus.RecoverRequest{})
	must(t, err)
	same(t, []int{report.MendedLeases, report.InFlight, len(report.Tasks)}, []int{1, 1, 0})
	held, err := db.Tasks.InFlight(w.ctx)
	must(t, err)
	same(t, held[0].LeaseUntil, microseconds(clock.Now().Add(nexus.DefaultLease)))

	// b works on as if nothing had happened; its time is not counted below zero.
	clock.Move(time.Minute)
	done, err := db.Tasks.Complete(w.ctx, "it", b.Epoch, nexus.Evidence{})
	must(t, err)
	last := w.attempts("it")[1]
	same(t, last.EndedAt, last.ClaimedAt)
	same(t, done.ActualMinutes, 30*24*60) // a's
}

// testForeignStage lets the lease of a task run out to which another program has
// given a status of its own while it was held. The attempt ends; the status is that
// program's business, and what Ready and Explain say is so.
func testForeignStage(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	c := w.claim("a", "it")
	w.changes("another program's stage", w.exec("UPDATE tasks SET status = 'qa_loop'"), "tasks it: revision 3, status qa_loop")
	must(t, w.heartbeat("it", c.Epoch, 0)())
	clock.Move(nexus.DefaultLease)
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{})
	x, err := db.Tasks.Explain(w.ctx, "it")
	must(t, err)
	if x.Ready || len(x.Reasons) != 1 || x.Reasons[0].Cause != nexus.CauseStatus {
		t.Errorf("Explain says %+v", x)
	}
	w.changes("a claim in vain", func() error {
		claims, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "b"})
		same(t, len(claims), 0)
		return err
	},
		"agents a: current_task_id -, revision 3, status terminated, tasks_failed 1, terminated_at +15m0s, "+
			"termination_reason gave no sign of life since 2031-02-03T04:05:06Z, while working on it",
		"task_attempts it#1: ended_us +15m0s, outcome expired, reason its lease was over",
	)
	// While it is held, its agent may end it as any other.
	for _, v := range verbs {
		w.quickly("UPDATE tasks SET status = 'pending', assigned_agent = NULL, blocked_by = NULL, failed_attempts = 0")
		c := w.claim("a", "it")
		w.quickly("UPDATE tasks SET status = 'review'")
		if err := v.call(w, "it", c.Epoch)(); err != nil {
			t.Errorf("%s: %v", v.name, err)
		}
		same(t, w.task("it").Status, v.becomes)
	}
}
