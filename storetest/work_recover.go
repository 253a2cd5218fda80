package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var recoverTests = map[string]timedTest{
	"RecoverNothing":   testRecoverNothing,
	"RecoverExpired":   testRecoverExpired,
	"RecoverDead":      testRecoverDead,
	"RecoverNamed":     testRecoverNamed,
	"RecoverAll":       testRecoverAll,
	"RecoverUnclaimed": testRecoverUnclaimed,
	"RecoverSessions":  testRecoverSessions,
	"RecoverLast":      testRecoverLast,
	"RecoverSeveral":   testRecoverSeveral,
	"RecoverSilent":    testRecoverSilent,
	"RecoverInTx":      testRecoverInTx,
	"RecoverStages":    testRecoverStages,
}

// recovers makes the request dry first, which must change nothing and report the
// same; then in earnest; and then again, which must change nothing.
func (w *work) recovers(what string, r nexus.RecoverRequest, want nexus.Recovery, changes ...string) {
	w.Helper()
	recovering := func(r nexus.RecoverRequest, want nexus.Recovery) func() error {
		return func() error {
			got, err := w.db.Recover(w.ctx, r)
			if err == nil {
				same(w.T, *got, want)
			}
			return err
		}
	}
	for _, list := range []any{&want.Tasks, &want.Agents, &want.Sessions} {
		switch list := list.(type) {
		case *[]nexus.RecoveredTask:
			*list = append([]nexus.RecoveredTask{}, *list...)
		case *[]nexus.DeadAgent:
			*list = append([]nexus.DeadAgent{}, *list...)
		case *[]nexus.PausedSession:
			*list = append([]nexus.PausedSession{}, *list...)
		}
	}
	dry, expected := r, want
	dry.DryRun, expected.DryRun = true, true
	w.changes(what+", dry", recovering(dry, expected))
	w.changes(what, recovering(r, want), changes...)
	same(w.T, want.Empty(), len(changes) == 0)
	again := nexus.Recovery{
		Tasks: []nexus.RecoveredTask{}, Agents: []nexus.DeadAgent{}, Sessions: []nexus.PausedSession{},
		InFlight: want.InFlight, Silent: want.Silent,
	}
	w.changes(what+", again", recovering(r, again))
}

func testRecoverNothing(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other")
	w.recovers("nothing", nexus.RecoverRequest{}, nexus.Recovery{})
	w.claim("a", "it")
	must(t, db.Sessions.Create(w.ctx, &nexus.Session{ID: "s", ProjectID: "p2"}))
	w.recovers("an agent that is alive", nexus.RecoverRequest{}, nexus.Recovery{InFlight: 1})
	w.recovers("a process that is alive", nexus.RecoverRequest{Dead: func(string) bool { return false }}, nexus.Recovery{InFlight: 1})
	w.recovers("nobody that is there", nexus.RecoverRequest{AgentIDs: []string{"z", ""}}, nexus.Recovery{InFlight: 1})
}

// recovered is what a report says of a task that a was given at the beginning.
func recovered(c nexus.Claim, reason string) nexus.RecoveredTask {
	return nexus.RecoveredTask{
		TaskID: c.TaskID, Name: "n", AgentID: c.AgentID, Epoch: c.Epoch, ClaimedAt: c.ClaimedAt, LastSign: c.ClaimedAt,
		Became: nexus.TaskPending, Reason: reason,
	}
}

func testRecoverExpired(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other")
	must(t, db.Sessions.Create(w.ctx, &nexus.Session{ID: "s", ProjectID: "p1", Type: nexus.SessionPlanning}))
	c, other := w.claim("a", "it"), w.claim("b", "other")
	clock.Move(time.Minute)
	held, err := db.Tasks.Progress(w.ctx, "it", c.Epoch, nexus.Progress{Note: "half"})
	must(t, err)
	clock.Move(nexus.DefaultLease - time.Minute)
	want := recovered(other, "its lease was over")
	w.recovers("one of two", nexus.RecoverRequest{},
		nexus.Recovery{
			Tasks: []nexus.RecoveredTask{want}, InFlight: 1,
			Agents: []nexus.DeadAgent{{
				AgentID: "b", LastSign: other.ClaimedAt, Reason: "gave no sign of life since 2031-02-03T04:05:06Z, while working on other",
			}},
		},
		"agents b: current_task_id -, revision 3, status terminated, tasks_failed 1, terminated_at +15m0s, "+
			"termination_reason gave no sign of life since 2031-02-03T04:05:06Z, while working on other",
		"task_attempts other#1: ended_us +15m0s, outcome expired, reason its lease was over",
		"tasks other: assigned_agent -, failed_attempts 1, revision 3, status pending, updated_at +15m0s",
	)
	clock.Move(time.Minute)
	want = recovered(c, "its lease was over")
	want.LastSign, want.Progress = held.LeaseUntil.Add(-nexus.DefaultLease), held.Progress
	w.recovers("the other", nexus.RecoverRequest{},
		nexus.Recovery{
			Tasks: []nexus.RecoveredTask{want},
			Agents: []nexus.DeadAgent{{
				AgentID: "a", LastSign: want.LastSign, Reason: "gave no sign of life since 2031-02-03T04:06:06Z, while working on it",
			}},
			Sessions: []nexus.PausedSession{{SessionID: "s", ProjectID: "p1", Type: nexus.SessionPlanning}},
		},
		"agents a: current_task_id -, revision 3, status terminated, tasks_failed 1, terminated_at +16m0s, "+
			"termination_reason gave no sign of life since 2031-02-03T04:06:06Z, while working on it",
		"sessions s: revision 2, status paused",
		"task_attempts it#1: ended_us +16m0s, outcome expired, reason its lease was over",
		"tasks it: assigned_agent -, failed_attempts 1, revision 3, status pending, updated_at +16m0s",
	)
	for _, c := range []nexus.Claim{c, other} {
		w.refuses("a late call", nexus.CodeFenced, verbs[0].call(w, c.TaskID, c.Epoch))
	}
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"it", "other"})
}

// testRecoverDead takes the work of processes back that are gone, whatever their
// leases.
func testRecoverDead(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other", "third")
	c := w.claimed(nexus.ClaimRequest{AgentID: "a", TaskID: "it", Process: "gone"})
	w.claimed(nexus.ClaimRequest{AgentID: "b", TaskID: "other", Process: "here"})
	w.claim("c", "third") // of which nothing is known
	var asked []string
	dead := func(process string) bool { asked = append(asked, process); return process == "gone" || process == "" }
	clock.Move(time.Second)
	w.recovers("a process that is gone", nexus.RecoverRequest{Dead: dead},
		nexus.Recovery{
			Tasks: []nexus.RecoveredTask{recovered(c, "its process is gone")}, InFlight: 2,
			Agents: []nexus.DeadAgent{{
				AgentID: "a", LastSign: c.ClaimedAt, Reason: "gave no sign of life since 2031-02-03T04:05:06Z, while working on it",
			}},
		},
		"agents a: current_task_id -, revision 3, status terminated, tasks_failed 1, terminated_at +1s, "+
			"termination_reason gave no sign of life since 2031-02-03T04:05:06Z, while working on it",
		"task_attempts it#1: ended_us +1s, outcome expired, reason its process is gone",
		"tasks it: assigned_agent -, failed_attempts 1, revision 3, status pending, updated_at +1s",
	)
	for _, process := range asked {
		if process != "gone" && process != "here" {
			t.Errorf("it asked for the process %q", process)
		}
	}
}

// testRecoverNamed takes the work of agents back that the caller knows to be dead,
// whatever their leases and the clock say. To lose its work is no sign of life.
func testRecoverNamed(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other", "third")
	for _, d := range []time.Duration{0, time.Minute, -time.Minute, -time.Minute - time.Microsecond, -3 * 24 * time.Hour} {
		w.again()
		c, other := w.claim("a", "it"), w.claim("a", "other")
		w.claim("b", "third")
		clock.Move(d)
		at := clock.Now().Truncate(time.Second).Sub(now)
		want := []nexus.RecoveredTask{recovered(c, "its agent was declared dead"), recovered(other, "its agent was declared dead")}
		mended := 0
		if d < -time.Minute {
			mended = 3
			for i := range want {
				want[i].LastSign = microseconds(clock.Now())
			}
		}
		report, err := db.Recover(w.ctx, nexus.RecoverRequest{AgentIDs: []string{"a", "a", "idle"}})
		must(t, err)
		same(t, report, &nexus.Recovery{
			Tasks: want, Sessions: []nexus.PausedSession{}, InFlight: 1, MendedLeases: mended,
			Agents: []nexus.DeadAgent{{AgentID: "a", LastSign: now, Reason: "declared dead"}},
		})
		a := w.agent("a")
		same(t, []any{a.Status, a.CurrentTaskID, a.TasksFailed, a.TerminationReason, a.TerminatedAt, a.LastActivityAt},
			[]any{nexus.AgentTerminated, "", 0, "declared dead", now.Add(at), now})
		for _, id := range []string{"it", "other"} {
			task := w.task(id)
			same(t, []any{task.Status, task.AssignedAgent, task.FailedAttempts}, []any{nexus.TaskPending, "", 0})
			attempt := w.attempts(id)[0]
			same(t, []any{attempt.Outcome, attempt.Reason}, []any{nexus.OutcomeReleased, "its agent was declared dead"})
		}
		same(t, w.agent("b").Status, nexus.AgentWorking)
		w.recovers("them again", nexus.RecoverRequest{AgentIDs: []string{"a"}}, nexus.Recovery{InFlight: 1})
	}
}

// testRecoverAll takes everything back, as after a restart of the machine.
func testRecoverAll(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other", "foreign", "free")
	must(t, db.Agents.CreateMany(w.ctx, []*nexus.Agent{
		{ID: "idle"}, {ID: "waits", Status: nexus.AgentWaiting}, {ID: "lost", Status: nexus.AgentError},
	}))
	must(t, db.Sessions.CreateMany(w.ctx, []*nexus.Session{
		{ID: "s1", ProjectID: "p1"}, {ID: "s2", ProjectID: "p2"}, {ID: "s3", ProjectID: "p2", Status: nexus.SessionCompleted},
	}))
	c, other := w.claim("a", "it"), w.claimed(nexus.ClaimRequest{AgentID: "b", TaskID: "other", Lease: time.Hour})
	w.quickly("UPDATE tasks SET status = 'assigned', assigned_agent = 'x' WHERE id = 'foreign'")
	clock.Move(time.Minute)
	w.recovers("all", nexus.RecoverRequest{All: true},
		nexus.Recovery{
			Tasks: []nexus.RecoveredTask{
				recovered(c, "all work was taken back"), recovered(other, "all work was taken back"),
				{TaskID: "foreign", Name: "n", AgentID: "x", Became: nexus.TaskPending, Reason: "it was in flight without a claim"},
			},
			Agents: []nexus.DeadAgent{
				{AgentID: "a", LastSign: now, Reason: "declared dead"},
				{AgentID: "b", LastSign: now, Reason: "declared dead"},
				{AgentID: "waits", LastSign: now, Reason: "declared dead"},
			},
			Sessions: []nexus.PausedSession{
				{SessionID: "s1", ProjectID: "p1", Type: nexus.SessionExecution}, {SessionID: "s2", ProjectID: "p2", Type: nexus.SessionExecution},
			},
		},
		"+ task_attempts foreign#1: agent_id , claimed_us +1m0s, ended_us +1m0s, lease_until_us +1m0s, lease_us 0s, "+
			"outcome released, reason it was in flight without a claim, task_id foreign",
		"agents a: current_task_id -, revision 3, status terminated, terminated_at +1m0s, termination_reason declared dead",
		"agents b: current_task_id -, revision 3, status terminated, terminated_at +1m0s, termination_reason declared dead",
		"agents waits: revision 2, status terminated, terminated_at +1m0s, termination_reason declared dead",
		"sessions s1: revision 2, status paused",
		"sessions s2: revision 2, status paused",
		"task_attempts it#1: ended_us +1m0s, outcome released, reason all work was taken back",
		"task_attempts other#1: ended_us +1m0s, outcome released, reason all work was taken back",
		"tasks foreign: assigned_agent -, revision 3, status pending, updated_at +1m0s",
		"tasks it: assigned_agent -, revision 3, status pending, updated_at +1m0s",
		"tasks other: assigned_agent -, revision 3, status pending, updated_at +1m0s",
	)
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"foreign", "free", "it", "other"})
}

// testRecoverUnclaimed takes back what a dead agent is at work on without a claim,
// and leaves what others are.
func testRecoverUnclaimed(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other", "nobody", "done")
	w.quickly("UPDATE tasks SET status = 'in_progress', assigned_agent = CASE id WHEN 'it' THEN 'a' WHEN 'other' THEN 'b' WHEN 'done' THEN 'a' END")
	w.quickly("UPDATE tasks SET status = 'completed' WHERE id = 'done'")
	w.quickly("UPDATE tasks SET revision = 1")
	w.recovers("what leases say", nexus.RecoverRequest{}, nexus.Recovery{})
	w.recovers("a's", nexus.RecoverRequest{AgentIDs: []string{"a"}},
		nexus.Recovery{Tasks: []nexus.RecoveredTask{
			{TaskID: "it", Name: "n", AgentID: "a", Became: nexus.TaskPending, Reason: "it was in flight without a claim"},
		}},
		"+ task_attempts it#1: agent_id , claimed_us +0s, ended_us +0s, lease_until_us +0s, lease_us 0s, "+
			"outcome released, reason it was in flight without a claim, task_id it",
		"tasks it: assigned_agent -, revision 2, status pending",
	)
}

// testRecoverSessions pauses sessions only where work was lost and nobody is left.
func testRecoverSessions(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "alive")
	must(t, db.Tasks.Create(w.ctx, &nexus.Task{ID: "two", ProjectID: "p2", Name: "n"}))
	for _, status := range append(nexus.SessionStatuses(), "odd") {
		for _, project := range []string{"p1", "p2"} {
			must(t, db.Sessions.Create(w.ctx, &nexus.Session{ID: project + string(status), ProjectID: project}))
			w.quickly("UPDATE sessions SET status = $1 WHERE id = $2", string(status), project+string(status))
		}
	}
	c := w.claim("a", "it")
	two := w.claim("a", "two")
	clock.Move(time.Minute)
	w.claim("b", "alive")
	clock.Move(nexus.DefaultLease - time.Minute)
	report, err := db.Recover(w.ctx, nexus.RecoverRequest{})
	must(t, err)
	same(t, []string{report.Tasks[0].TaskID, report.Tasks[1].TaskID}, []string{c.TaskID, two.TaskID})
	same(t, report.Sessions, []nexus.PausedSession{{SessionID: "p2active", ProjectID: "p2", Type: nexus.SessionExecution}})
	same(t, sessions.mustGet(t, db, "p1active").Status, nexus.SessionActive)
	clock.Move(time.Minute)
	report, err = db.Recover(w.ctx, nexus.RecoverRequest{})
	must(t, err)
	same(t, report.Sessions, []nexus.PausedSession{{SessionID: "p1active", ProjectID: "p1", Type: nexus.SessionExecution}})
}

// testRecoverLast takes the last attempt's work back: a person has to look at it.
func testRecoverLast(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	w.quickly("UPDATE tasks SET max_attempts = 1")
	w.claim("a", "it")
	clock.Move(nexus.DefaultLease)
	report, err := db.Recover(w.ctx, nexus.RecoverRequest{})
	must(t, err)
	same(t, report.Tasks[0].Became, nexus.TaskEscalated)
	same(t, []any{w.task("it").Status, w.task("it").AssignedAgent}, []any{nexus.TaskEscalated, "a"})

	// To be declared dead is no failure of the task.
	_, err = db.Tasks.Reopen(w.ctx, "it", "")
	must(t, err)
	w.claim("a", "it")
	report, err = db.Recover(w.ctx, nexus.RecoverRequest{AgentIDs: []string{"a"}})
	must(t, err)
	same(t, []any{report.Tasks[0].Became, w.task("it").FailedAttempts}, []any{nexus.TaskPending, 0})
}

// testRecoverSeveral takes several tasks from one agent, of which one had a sign of
// life later, but a shorter lease.
func testRecoverSeveral(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "long", "short")
	w.claimed(nexus.ClaimRequest{AgentID: "a", TaskID: "long", Lease: time.Hour})
	short := w.claimed(nexus.ClaimRequest{AgentID: "a", TaskID: "short", Lease: time.Minute})
	clock.Move(50 * time.Second)
	must(t, w.heartbeat("short", short.Epoch, 0)())
	clock.Move(time.Minute)
	for _, r := range []nexus.RecoverRequest{{}} { // it holds another
		report, err := db.Recover(w.ctx, r)
		must(t, err)
		same(t, []int{len(report.Tasks), len(report.Agents), report.InFlight}, []int{1, 0, 1})
		same(t, []any{w.agent("a").Status, w.agent("a").CurrentTaskID}, []any{nexus.AgentWorking, "long"})
	}

	// Both at once.
	w.again()
	w.claimed(nexus.ClaimRequest{AgentID: "a", TaskID: "long", Lease: time.Hour})
	short = w.claimed(nexus.ClaimRequest{AgentID: "a", TaskID: "short", Lease: time.Minute})
	clock.Move(50 * time.Second)
	must(t, w.heartbeat("short", short.Epoch, 0)())
	clock.Move(time.Hour)
	report, err := db.Recover(w.ctx, nexus.RecoverRequest{})
	must(t, err)
	same(t, []int{len(report.Tasks), report.InFlight}, []int{2, 0})
	same(t, report.Agents, []nexus.DeadAgent{{
		AgentID: "a", LastSign: microseconds(Now().Add(50 * time.Second)),
		Reason: "gave no sign of life since 2031-02-03T04:05:56Z, while working on short",
	}})

	// An agent that says that it is alive, though not what it works on, is left.
	w.again()
	w.claim("a", "long")
	clock.Move(time.Minute)
	_, err = db.Agents.Heartbeat(w.ctx, "a")
	must(t, err)
	clock.Move(nexus.DefaultLease)
	report, err = db.Recover(w.ctx, nexus.RecoverRequest{})
	must(t, err)
	same(t, []int{len(report.Tasks), len(report.Agents)}, []int{1, 0})
	same(t, w.agent("a").Status, nexus.AgentIdle)
}

// testRecoverSilent reports agents that call themselves busy and are not heard of.
func testRecoverSilent(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	for _, status := range append(nexus.AgentStatuses(), "odd") {
		must(t, db.Agents.Create(w.ctx, &nexus.Agent{ID: "is-" + string(status)}))
		w.quickly("UPDATE agents SET status = $1 WHERE id = $2", string(status), "is-"+string(status))
	}
	w.claimed(nexus.ClaimRequest{AgentID: "holds", Lease: time.Hour})
	clock.Move(nexus.DefaultLease)
	w.recovers("not silent for long enough", nexus.RecoverRequest{}, nexus.Recovery{InFlight: 1})
	clock.Move(time.Second)
	w.recovers("silent", nexus.RecoverRequest{}, nexus.Recovery{InFlight: 1, Silent: []string{"is-assigned", "is-waiting", "is-working"}})
	report, err := db.Recover(w.ctx, nexus.RecoverRequest{AgentIDs: []string{"is-idle", "is-waiting", "is-terminated"}})
	must(t, err)
	same(t, report.Silent, []string{"is-assigned", "is-working"})
	same(t, report.Agents, []nexus.DeadAgent{
		{AgentID: "is-idle", LastSign: now, Reason: "declared dead"}, {AgentID: "is-waiting", LastSign: now, Reason: "declared dead"},
	})
}

func testRecoverInTx(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	w.claim("a", "it")
	clock.Move(nexus.DefaultLease)
	before := w.image()
	err := db.InTx(w.ctx, func(tx *store.Tx) error {
		report, err := tx.Recover(w.ctx, nexus.RecoverRequest{})
		must(t, err)
		same(t, len(report.Tasks), 1)
		claims, err := tx.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "b"})
		must(t, err)
		same(t, claimedIDs(claims), []string{"it"})
		return errStop
	})
	same(t, errors.Is(err, errStop), true)
	same(t, w.image().diff(before), []string{})
}

// testRecoverStages recovers tasks that other programs have given every status
// there is, while they were held, and deletes some.
func testRecoverStages(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "gone", "late it")
	for _, status := range []string{
		"pending", "assigned", "in_progress", "blocked", "completed", "failed", "skipped", "escalated",
		"queued", "qa_loop", "review", "approved", "merging", "cancelled", "",
	} {
		for _, r := range []nexus.RecoverRequest{{}, {AgentIDs: []string{"a"}}, {All: true}} {
			w.quickly("DELETE FROM task_attempts")
			w.quickly("UPDATE tasks SET status = 'pending', assigned_agent = NULL, failed_attempts = 0")
			w.claim("a", "it")
			w.quickly("UPDATE tasks SET status = $1 WHERE id = 'it'", status)
			clock.Move(nexus.DefaultLease)
			_, err := db.Recover(w.ctx, r)
			must(t, err)
			want := nexus.TaskStatus(status)
			if want.InFlight() {
				want = nexus.TaskPending
			}
			same(t, w.task("it").Status, want)
			held, err := db.Tasks.InFlight(w.ctx)
			must(t, err)
			same(t, len(held), 0)
		}
	}
}
