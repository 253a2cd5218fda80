package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var workerTests = map[string]timedTest{
	"Register":         testRegister,
	"AgentHeartbeat":   testAgentHeartbeat,
	"Terminate":        testTerminate,
	"TerminateTwice":   testTerminateTwice,
	"ListWork":         testListWork,
	"DeletedAgent":     testDeletedAgent,
	"TerminatedClaims": testTerminatedClaims,
	"TwoAgents":        testTwoAgents,
}

func testRegister(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "held")
	register := func(a nexus.Agent) func() error {
		return func() error {
			got, err := db.Agents.Register(w.ctx, a)
			if err == nil {
				same(t, got, w.agent(got.ID))
			}
			return err
		}
	}
	w.changes("a new agent", register(nexus.Agent{ID: "a", WorktreePath: "/w"}),
		"+ agents a: last_activity_at +0s, revision 1, spawned_at +0s, status idle, tasks_completed 0, tasks_failed 0, "+
			"tokens_used 0, type coder, worktree_path /w")
	w.changes("the same", register(nexus.Agent{ID: "a", WorktreePath: "/w"}))
	clock.Move(time.Minute)
	w.changes("the same, later", register(nexus.Agent{ID: "a"}), "agents a: last_activity_at +1m0s, revision 2")
	w.changes("with other fields", register(nexus.Agent{ID: "a", Type: nexus.AgentMerger, WorktreePath: "/x", BranchName: "b"}),
		"agents a: branch_name b, revision 3, type merger, worktree_path /x")

	// An agent at work stays at work.
	w.claim("a", "held")
	w.changes("at work", register(nexus.Agent{ID: "a"}))
	for _, status := range nexus.AgentStatuses() {
		w.quickly("UPDATE agents SET status = $1, terminated_at = NULL, termination_reason = NULL", string(status))
		must(t, register(nexus.Agent{ID: "a", Status: nexus.AgentWaiting})())
		want := status
		if status == nexus.AgentTerminated || status == nexus.AgentError {
			want = nexus.AgentIdle
		}
		same(t, w.agent("a").Status, want)
	}
	// What ended is over, its counters are not.
	w.quickly("UPDATE agents SET status = 'terminated', terminated_at = 7, termination_reason = 'x', tasks_failed = 3")
	must(t, register(nexus.Agent{ID: "a"})())
	a := w.agent("a")
	same(t, []any{a.TerminatedAt, a.TerminationReason, a.TasksFailed}, []any{time.Time{}, "", 3})

	same(t, problemFields(w.refuses("an odd type", nexus.CodeInvalid, register(nexus.Agent{ID: "z", Type: "boss"}))), []string{"type"})
	w.refuses("an odd id", nexus.CodeInvalid, register(nexus.Agent{ID: "a\nb"}))
	unnamed, err := db.Agents.Register(w.ctx, nexus.Agent{})
	must(t, err)
	same(t, unnamed, w.agent(unnamed.ID))
}

func testAgentHeartbeat(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	w.claim("a", "it")
	beat := func(id string) func() error {
		return func() error {
			got, err := db.Agents.Heartbeat(w.ctx, id)
			if err == nil {
				same(t, got, w.agent(id))
			}
			return err
		}
	}
	clock.Move(time.Minute)
	w.changes("a sign of life", beat("a"), "agents a: last_activity_at +1m0s") // no revision, and no lease
	clock.Move(-time.Hour)
	w.changes("a clock put back", beat("a"))
	w.refuses("nobody", nexus.CodeNotFound, beat("nobody"))
	w.quickly("UPDATE agents SET status = 'terminated'")
	clock.Move(2 * time.Hour)
	w.changes("a dead one", beat("a"), "agents a: last_activity_at +1h1m0s")
}

func testTerminate(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other", "third", "late it")
	it, other := w.claim("a", "it"), w.claim("a", "other")
	third := w.claim("b", "third")
	clock.Move(time.Minute)
	terminate := func(id, reason string) func() error {
		return func() error {
			got, err := db.Agents.Terminate(w.ctx, id, reason)
			if err == nil {
				same(t, got, w.agent(id))
			}
			return err
		}
	}
	w.changes("Terminate", terminate("a", "no more money"),
		"agents a: current_task_id -, last_activity_at +1m0s, revision 5, status terminated, terminated_at +1m0s, termination_reason no more money",
		"task_attempts it#1: ended_us +1m0s, outcome released, reason its agent was terminated",
		"task_attempts other#1: ended_us +1m0s, outcome released, reason its agent was terminated",
		"tasks it: assigned_agent -, revision 3, status pending, updated_at +1m0s",
		"tasks other: assigned_agent -, revision 3, status pending, updated_at +1m0s",
	)
	for _, c := range []nexus.Claim{it, other} {
		w.refuses("a late call", nexus.CodeFenced, w.heartbeat(c.TaskID, c.Epoch, 0))
	}
	must(t, w.heartbeat("third", third.Epoch, 0)())
	w.changes("Terminate again", terminate("a", "another reason"))
	w.refuses("nobody", nexus.CodeNotFound, terminate("nobody", ""))
	w.refuses("a long reason", nexus.CodeInvalid, terminate("b", strings.Repeat("x", nexus.MaxText+1)))
}

// testTerminateTwice terminates an agent that another program calls terminated
// although it holds a task.
func testTerminateTwice(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	w.claim("a", "it")
	w.quickly("UPDATE agents SET status = 'terminated', terminated_at = 7, termination_reason = 'x'")
	a, err := db.Agents.Terminate(w.ctx, "a", "y")
	must(t, err)
	same(t, a, w.agent("a"))
	same(t, []string{a.CurrentTaskID, a.TerminationReason, string(w.task("it").Status)}, []string{"", "x", "pending"})
}

func testListWork(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "x", "y", "z")
	must(t, db.Agents.CreateMany(w.ctx, []*nexus.Agent{{ID: "idle", Type: nexus.AgentTester}, {ID: "gone"}, {ID: "a"}}))
	z := w.claimed(nexus.ClaimRequest{AgentID: "a", TaskID: "z", Lease: time.Hour})
	clock.Move(time.Minute)
	x := w.claimed(nexus.ClaimRequest{AgentID: "a", TaskID: "x", Lease: time.Minute})
	y := w.claim("gone", "y")
	must(t, db.Agents.Delete(w.ctx, "gone"))
	hold := func(c nexus.Claim) store.Holding {
		return store.Holding{TaskID: c.TaskID, Name: "n", Epoch: c.Epoch, Since: c.ClaimedAt, LeaseUntil: c.LeaseUntil}
	}
	list, err := db.Agents.ListWork(w.ctx, nexus.AgentFilter{})
	must(t, err)
	same(t, list, []store.AgentWork{
		{Agent: *w.agent("a"), Holds: []store.Holding{hold(z), hold(x)}},
		{Agent: *w.agent("idle"), Holds: []store.Holding{}},
	})
	list, err = db.Agents.ListWork(w.ctx, nexus.AgentFilter{Type: []nexus.AgentType{nexus.AgentTester}})
	must(t, err)
	same(t, len(list), 1)
	_, err = db.Agents.ListWork(w.ctx, nexus.AgentFilter{Page: nexus.Page{Limit: -1}})
	refused(t, err, nexus.CodeInvalid)

	// The attempts that hold a task, the one that ends first first; also those whose
	// agent is not there.
	held, err := db.Tasks.InFlight(w.ctx)
	must(t, err)
	same(t, held, []nexus.Attempt{x.Attempt, y.Attempt, z.Attempt})
	_, err = db.Tasks.Attempts(w.ctx, "nothing")
	refused(t, err, nexus.CodeNotFound)
}

// testDeletedAgent deletes an agent that holds tasks: it may end its work, and if
// it does not, that comes back as any other.
func testDeletedAgent(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	for _, v := range verbs {
		w.quickly("UPDATE tasks SET status = 'pending', blocked_by = NULL, assigned_agent = NULL, failed_attempts = 0")
		c := w.claim("a", "it")
		must(t, db.Agents.Delete(w.ctx, "a"))
		if err := v.call(w, "it", c.Epoch)(); err != nil {
			t.Errorf("%s: %v", v.name, err)
		}
		_, err := db.Agents.Get(w.ctx, "a")
		refused(t, err, nexus.CodeNotFound)
	}
	for name, r := range map[string]nexus.RecoverRequest{
		"expired": {}, "named": {AgentIDs: []string{"a"}}, "all": {All: true},
	} {
		w.quickly("UPDATE tasks SET status = 'pending', blocked_by = NULL, assigned_agent = NULL, failed_attempts = 0")
		w.claim("a", "it")
		must(t, db.Agents.Delete(w.ctx, "a"))
		if name == "expired" {
			clock.Move(nexus.DefaultLease)
		}
		report, err := db.Recover(w.ctx, r)
		must(t, err)
		same(t, []any{len(report.Tasks), len(report.Agents), w.task("it").Status}, []any{1, 0, nexus.TaskPending})
	}
	// An agent that begins again under its name holds what it held.
	c := w.claim("a", "it")
	must(t, db.Agents.Delete(w.ctx, "a"))
	_, err := db.Agents.Register(w.ctx, nexus.Agent{ID: "a"})
	must(t, err)
	must(t, verbs[0].call(w, "it", c.Epoch)())
	same(t, []any{w.agent("a").TasksCompleted, w.agent("a").Status}, []any{1, nexus.AgentIdle})
}

// testTerminatedClaims lets an agent claim that has been terminated: it has been
// started again.
func testTerminatedClaims(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	for _, status := range append(nexus.AgentStatuses(), "odd") {
		w.quickly("DELETE FROM agents")
		must(t, db.Agents.Create(w.ctx, &nexus.Agent{
			ID: "a", Type: nexus.AgentTester, TasksCompleted: 7, TerminatedAt: past, TerminationReason: "x", SpawnedAt: past, LastActivityAt: now.Add(time.Hour),
		}))
		w.quickly("UPDATE agents SET status = $1", string(status))
		c := w.claimed(nexus.ClaimRequest{AgentID: "a", AgentType: nexus.AgentCoder})
		a := w.agent("a")
		same(t, *a, nexus.Agent{
			ID: "a", Type: nexus.AgentTester, Status: nexus.AgentWorking, CurrentTaskID: "it", TasksCompleted: 7,
			SpawnedAt: past, LastActivityAt: now, Revision: a.Revision,
		})
		_, err := db.Tasks.Release(w.ctx, "it", c.Epoch, "")
		must(t, err)
	}
}

// testTwoAgents lets two agents go through each other's tasks.
func testTwoAgents(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "p", "q")
	p, q := w.claim("a", "p"), w.claim("b", "q")
	for _, v := range verbs {
		w.names(v.name, w.refuses(v.name, nexus.CodeFenced, v.call(w, "p", q.Epoch)), "a", p.Epoch)
		w.names(v.name, w.refuses(v.name, nexus.CodeFenced, v.call(w, "q", p.Epoch)), "b", q.Epoch)
	}
	clock.Move(time.Second)
	must(t, verbs[1].call(w, "p", p.Epoch)())
	p2 := w.claim("b", "p")
	w.names("p", w.refuses("p", nexus.CodeFenced, verbs[0].call(w, "p", p.Epoch)), "b", p2.Epoch)
	w.changes("b ends its first", verbs[0].call(w, "q", q.Epoch),
		"agents b: revision 3, tasks_completed 1",
		"features f1: completed_tasks 1",
		"task_attempts q#1: ended_us +1s, outcome completed",
		"tasks q: actual_minutes 1, completed_at +1s, revision 3, status completed, updated_at +1s",
	)
	same(t, w.agent("b").CurrentTaskID, "p")
	same(t, []any{w.agent("a").Status, w.agent("a").TasksFailed}, []any{nexus.AgentIdle, 1})
}
