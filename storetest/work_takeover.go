package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var takeoverTests = map[string]timedTest{
	"ForeignEnd":      testForeignEnd,
	"ForeignReassign": testForeignReassign,
	"ForeignDelete":   testForeignDelete,
	"ForeignNumbers":  testForeignNumbers,
	"ProjectDeleted":  testProjectDeletedInFlight,
	"InFlightChanges": testInFlightChanges,
	"UpdateInFlight":  testUpdateInFlight,
	"OneWinner":       testOneWinner,
}

// testForeignEnd lets another program, that knows nothing of attempts, end a task
// in flight.
func testForeignEnd(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "late it")
	for status, want := range map[string]struct {
		outcome nexus.Outcome
		agent   string
	}{
		"completed": {"completed", ", tasks_completed 1"},
		"failed":    {"failed", ", tasks_failed 1"},
		"skipped":   {"skipped", ""},
		"blocked":   {"blocked", ""},
		"escalated": {"escalated", ""},
		"cancelled": {"skipped", ""},
		"pending":   {"released", ""},
	} {
		w.again()
		w.quickly("UPDATE tasks SET status = 'blocked' WHERE id = 'late'")
		w.quickly("UPDATE tasks SET revision = 1")
		c := w.claim("a", "it")
		clock.Move(time.Hour)
		lines := []string{
			"agents a: current_task_id -, last_activity_at +1m0s, revision 2, status idle" + want.agent,
			"task_attempts it#1: ended_us +59.210988s, outcome " + string(want.outcome),
			"tasks it: revision 3, status " + status + ", updated_at +1m0s",
		}
		if status == "completed" {
			lines = append(lines, "features f1: completed_tasks 1")
		}
		w.changes(status, w.exec("UPDATE tasks SET status = $1, updated_at = $2 WHERE id = 'it'", status, now.Add(time.Minute)), lines...)
		for _, v := range verbs {
			if v.outcome == want.outcome {
				w.changes(v.name+" of what is "+status, v.call(w, "it", c.Epoch)) // it is so
			} else {
				w.namesNobody(v.name, w.refuses(v.name, nexus.CodeFenced, v.call(w, "it", c.Epoch)))
			}
		}
		w.refuses("a heartbeat", nexus.CodeFenced, w.heartbeat("it", c.Epoch, 0))
		w.quickly("UPDATE features SET completed_tasks = 0")
	}

	// Another program that does not say when has an attempt end when it began.
	w.again()
	w.claim("a", "it")
	clock.Move(time.Hour)
	w.quickly("UPDATE tasks SET status = 'completed' WHERE id = 'it'")
	last := w.attempts("it")[0]
	same(t, last.EndedAt, last.ClaimedAt)
	// A status of its own is no end.
	for _, status := range []string{"qa_loop", "queued", "review", "approved", "merging", "assigned", "", "COMPLETED"} {
		w.again()
		c := w.claim("a", "it")
		w.quickly("UPDATE tasks SET status = $1 WHERE id = 'it'", status)
		must(t, w.heartbeat("it", c.Epoch, 0)())
		must(t, verbs[0].call(w, "it", c.Epoch)())
	}
}

// testForeignReassign lets another program give a task in flight to another agent,
// or to none.
func testForeignReassign(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	for _, to := range []any{"b", nil, "", "A"} {
		w.again()
		c := w.claim("a", "it")
		w.quickly("UPDATE tasks SET assigned_agent = $1", to)
		same(t, w.attempts("it")[0].Outcome, nexus.OutcomeReleased)
		same(t, w.task("it").Status, nexus.TaskInProgress)
		same(t, []any{w.agent("a").Status, w.agent("a").CurrentTaskID}, []any{nexus.AgentIdle, ""})
		for _, v := range verbs {
			if v.outcome != nexus.OutcomeReleased {
				w.refuses(v.name, nexus.CodeFenced, v.call(w, "it", c.Epoch))
			}
		}
		// It is nobody's by a claim; a person or a recovery can hand it on.
		same(t, w.readyIDs(nexus.ReadyFilter{}), []string{})
		same(t, len(w.explain("it").Reasons), 1)
		_, err := db.Tasks.Release(w.ctx, "it", 0, "")
		must(t, err)
		same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"it"})
	}
	// To the same agent again, or with a status on the way: nothing happens.
	w.again()
	c := w.claim("a", "it")
	w.changes("to the same", w.exec("UPDATE tasks SET assigned_agent = 'a', status = 'assigned'"), "tasks it: revision 3, status assigned")
	must(t, verbs[0].call(w, "it", c.Epoch)())
	// The refusal says whose it is.
	w.again()
	c = w.claim("a", "it")
	w.quickly("UPDATE tasks SET assigned_agent = 'bertha'")
	e := w.refuses("its old agent", nexus.CodeFenced, verbs[0].call(w, "it", c.Epoch))
	w.says(e, "bertha")
	e = w.refuses("its old agent", nexus.CodeFenced, w.heartbeat("it", c.Epoch, 0))
	w.says(e, "bertha")
}

// testForeignDelete deletes what an agent is at work on.
func testForeignDelete(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other", "late it")
	c, other := w.claim("a", "it"), w.claim("a", "other")
	w.changes("another program deletes it", w.exec("DELETE FROM tasks WHERE id = 'other'"),
		"- task_attempts other#1",
		"- tasks other",
		"agents a: current_task_id it, revision 3",
	)
	w.refuses("a call", nexus.CodeNotFound, verbs[0].call(w, "other", other.Epoch))
	w.refuses("the library, of what others depend on", nexus.CodeInUse, func() error { return db.Tasks.Delete(w.ctx, "it") })
	w.quickly("UPDATE tasks SET depends_on = NULL WHERE id = 'late'")
	w.changes("the library", func() error { return db.Tasks.Delete(w.ctx, "it") },
		"- task_attempts it#1",
		"- tasks it",
		"agents a: current_task_id -, revision 4, status idle",
	)
	for _, v := range verbs {
		w.refuses(v.name, nexus.CodeNotFound, v.call(w, "it", c.Epoch))
	}
	// A new task of the same name is another: the old epoch is none of its.
	must(t, db.Tasks.Create(w.ctx, &nexus.Task{ID: "it", ProjectID: "p1", Name: "n"}))
	for _, v := range verbs {
		w.refuses(v.name, nexus.CodeFenced, v.call(w, "it", c.Epoch))
	}
	if fresh := w.claim("b", "it"); fresh.Epoch <= other.Epoch {
		t.Errorf("epoch %d was given before", fresh.Epoch)
	}
}

// testForeignNumbers puts numbers into a task in flight that make no sense. When
// its lease is over that must not be in the way of others.
func testForeignNumbers(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other")
	for _, set := range []string{
		"failed_attempts = -5", "failed_attempts = 9223372036854775807", "max_attempts = -1", "max_attempts = 9223372036854775807",
		"qa_iterations = -1, max_iterations = NULL", "started_at = -9223372036854775807", "updated_at = -1", "estimated_minutes = -7, actual_minutes = -7",
		"depends_on = 'odd'", "priority = 99", "size = 'odd', metadata = '{'",
	} {
		w.again()
		w.quickly("UPDATE tasks SET max_attempts = 3, priority = 2, size = 'small', depends_on = NULL, metadata = NULL, qa_iterations = 0, max_iterations = 50")
		c := w.claimed(nexus.ClaimRequest{AgentID: "a", TaskID: "it", Lease: time.Second})
		w.quickly("UPDATE tasks SET " + set + " WHERE id = 'it'")
		clock.Move(time.Minute)
		_, err := db.Tasks.Ready(w.ctx, nexus.ReadyFilter{})
		must(t, err)
		claims, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "b", Count: 2})
		if err != nil || len(claims) == 0 {
			t.Errorf("%s: a claim gets %d, %v", set, len(claims), err)
			continue
		}
		if _, err := db.Recover(w.ctx, nexus.RecoverRequest{All: true}); err != nil {
			t.Errorf("%s: %v", set, err)
		}
		w.refuses(set, nexus.CodeFenced, verbs[0].call(w, "it", c.Epoch))
	}
	w.quickly("UPDATE tasks SET metadata = NULL")
}

// testProjectDeletedInFlight deletes a project while agents are at work in it.
func testProjectDeletedInFlight(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other")
	must(t, db.Tasks.Create(w.ctx, &nexus.Task{ID: "two", ProjectID: "p2", Name: "n"}))
	must(t, db.Sessions.Create(w.ctx, &nexus.Session{ID: "s", ProjectID: "p1"}))
	c := w.claim("a", "it")
	w.claim("b", "two")
	w.claim("b", "other")
	w.changes("the project is deleted", func() error { return db.Projects.Delete(w.ctx, "p1") },
		"- features f1", "- projects p1", "- sessions s", "- sub_features u1",
		"- task_attempts it#1", "- task_attempts other#1", "- tasks it", "- tasks other",
		"agents a: current_task_id -, revision 2, status idle",
		"agents b: current_task_id two, revision 3",
	)
	w.refuses("a call", nexus.CodeNotFound, verbs[0].call(w, "it", c.Epoch))
	clock.Move(nexus.DefaultLease)
	same(t, w.claimed(nexus.ClaimRequest{AgentID: "c"}).TaskID, "two")
}

// testInFlightChanges changes what a task in flight waits for. Its agent works on;
// when it gives the task back, the task waits.
func testInFlightChanges(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "on", "it")
	for _, set := range []string{
		`depends_on = '["on"]'`, "depends_on = 'nobody'", "blocked_by = 'rain'",
	} {
		for _, v := range verbs {
			w.again()
			w.quickly("UPDATE tasks SET depends_on = NULL")
			w.quickly("UPDATE tasks SET status = 'pending'")
			c := w.claim("a", "it")
			w.quickly("UPDATE tasks SET " + set + " WHERE id = 'it'")
			must(t, w.heartbeat("it", c.Epoch, 0)())
			same(t, w.explain("it").Reasons[0].Cause, nexus.CauseClaimed)
			same(t, len(w.explain("it").Reasons), 2)
			must(t, v.call(w, "it", c.Epoch)())
			same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"on"})
		}
		w.again()
		w.quickly("UPDATE tasks SET depends_on = NULL")
		w.claim("a", "it")
		w.quickly("UPDATE tasks SET " + set + " WHERE id = 'it'")
		clock.Move(nexus.DefaultLease)
		same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"on"})
		w.refuses("a claim by id", nexus.CodeNotReady, func() error {
			_, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "b", TaskID: "it"})
			return err
		})
		claims, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "b", Count: 9})
		must(t, err)
		same(t, claimedIDs(claims), []string{"on"})
		same(t, w.task("it").Status, nexus.TaskPending)
	}
	// A task that is reopened under those that have begun leaves them alone.
	w.again()
	w.quickly(`UPDATE tasks SET depends_on = '["on"]' WHERE id = 'it'`)
	must(t, verbs[0].call(w, "on", w.claim("a", "on").Epoch)())
	c := w.claim("b", "it")
	_, err := db.Tasks.Reopen(w.ctx, "on", "")
	must(t, err)
	must(t, w.heartbeat("it", c.Epoch, 0)())
	must(t, verbs[0].call(w, "it", c.Epoch)())
}

// testUpdateInFlight changes a task in flight with the library's own Update, as a
// person does.
func testUpdateInFlight(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "late it")
	for status, outcome := range map[nexus.TaskStatus]nexus.Outcome{
		nexus.TaskPending: "released", nexus.TaskBlocked: "blocked", nexus.TaskCompleted: "completed",
		nexus.TaskFailed: "failed", nexus.TaskSkipped: "skipped", nexus.TaskEscalated: "escalated",
	} {
		w.again()
		c := w.claim("a", "it")
		clock.Move(time.Minute)
		after, err := db.Tasks.Update(w.ctx, "it", nexus.TaskUpdate{Status: &status})
		must(t, err)
		same(t, after, w.task("it"))
		same(t, w.attempts("it")[0].Outcome, outcome)
		same(t, w.agent("a").CurrentTaskID, "")
		w.refuses(string(status), nexus.CodeFenced, w.heartbeat("it", c.Epoch, 0))
	}
	w.again()
	c := w.claim("a", "it")
	revision := w.task("it").Revision
	_, err := db.Tasks.Update(w.ctx, "it", nexus.TaskUpdate{Name: new("m"), Revision: revision})
	must(t, err)
	must(t, w.heartbeat("it", c.Epoch, 0)())
	must(t, verbs[0].call(w, "it", c.Epoch)()) // whatever the revision
	// And an edit that was based on the task before it was completed is stale.
	_, err = db.Tasks.Update(w.ctx, "it", nexus.TaskUpdate{Status: new(nexus.TaskPending), Revision: revision + 1})
	refused(t, err, nexus.CodeStale)
}

// testOneWinner asks the database itself for a second open attempt: it has none,
// whatever goes wrong in those who write.
func testOneWinner(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	c := w.claim("a", "it")
	const insert = "INSERT INTO task_attempts (task_id, agent_id, claimed_us, lease_us, lease_until_us) VALUES ('it', 'b', 1, 2, 3)"
	before := w.image()
	same(t, nexus.CodeOf(w.exec(insert)()), nexus.CodeExists)
	same(t, w.image().diff(before), []string{})
	must(t, verbs[0].call(w, "it", c.Epoch)())
	must(t, w.exec(insert)())
	w.quickly("DELETE FROM task_attempts")
}

// says fails the test unless a refusal contains a text.
func (w *work) says(e *nexus.Error, part string) {
	w.Helper()
	if !strings.Contains(e.Message, part) {
		w.Errorf("the refusal %q does not say %q", e.Message, part)
	}
}
