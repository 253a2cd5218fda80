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

var claimTests = map[string]timedTest{
	"Claim":           testClaim,
	"ClaimFollows":    testClaimFollows,
	"ClaimByID":       testClaimByID,
	"ClaimByIDReason": testClaimByIDReasons,
	"ClaimMany":       testClaimMany,
	"ClaimFilters":    testClaimFilters,
	"ClaimProjects":   testClaimProjects,
	"ClaimInvalid":    testClaimInvalid,
	"ClaimAssigned":   testClaimAssigned,
	"ClaimInTx":       testClaimInTx,
	"ClaimOddClock":   testClaimOddClock,
}

// testClaim claims the best task, and looks at all that this changes.
func testClaim(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "next it", "other")
	clock.Move(10 * time.Second)
	var claims []nexus.Claim
	claim := func(r nexus.ClaimRequest) func() error {
		return func() (err error) {
			claims, err = db.Tasks.Claim(w.ctx, r)
			return err
		}
	}
	w.changes("the first claim", claim(nexus.ClaimRequest{AgentID: "a", AgentType: nexus.AgentTester, Process: "host/1"}),
		"+ agents a: current_task_id it, last_activity_at +10s, revision 1, spawned_at +10s, status working, "+
			"tasks_completed 0, tasks_failed 0, tokens_used 0, type tester",
		"+ task_attempts it#1: agent_id a, claimed_us +10s, lease_until_us +15m10s, lease_us 15m0s, process host/1, task_id it",
		"features f1: revision 2, status in_progress, updated_at +10s",
		"sub_features u1: revision 2, status in_progress",
		"tasks it: assigned_agent a, revision 2, started_at +10s, status in_progress, updated_at +10s",
	)
	same(t, len(claims), 1)
	it := claims[0]
	same(t, it.Attempt, nexus.Attempt{
		Epoch: it.Epoch, TaskID: "it", AgentID: "a", ClaimedAt: microseconds(clock.Now()),
		LeaseUntil: microseconds(clock.Now().Add(nexus.DefaultLease)), Lease: nexus.DefaultLease, Process: "host/1",
	})
	same(t, it.Task, w.task("it"))
	same(t, w.attempts("it"), []nexus.Attempt{it.Attempt})
	if it.Epoch <= 0 {
		t.Errorf("the epoch is %d", it.Epoch)
	}

	clock.Move(10 * time.Second)
	w.changes("the second claim", claim(nexus.ClaimRequest{AgentID: "a", AgentType: nexus.AgentPlanner, Lease: time.Second, Count: 5}),
		"+ task_attempts other#1: agent_id a, claimed_us +20s, lease_until_us +21s, lease_us 1s, task_id other",
		"agents a: current_task_id other, last_activity_at +20s, revision 2",
		"tasks other: assigned_agent a, revision 2, started_at +20s, status in_progress, updated_at +20s",
	)
	if len(claims) != 1 || claims[0].Epoch <= it.Epoch {
		t.Errorf("the claim after epoch %d is %+v", it.Epoch, claims)
	}

	// What is left waits. To ask in vain is no error, and leaves no agent behind.
	w.changes("a claim in vain", claim(nexus.ClaimRequest{AgentID: "b"}))
	same(t, len(claims), 0)
}

// testClaimFollows checks what the claim of a task does to what it belongs to: it
// begins, unless that is past.
func testClaimFollows(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	for _, status := range []string{"backlog", "planning", "in_progress", "ai_review", "human_review", "done", "decomposing"} {
		w.quickly("UPDATE features SET status = $1", status)
		w.quickly("UPDATE sub_features SET status = $1", status)
		c := w.claim("a", "it")
		want := status
		if status == "backlog" || status == "planning" {
			want = "in_progress"
		}
		same(t, features.mustGet(t, db, "f1").Status, nexus.FeatureStatus(want))
		same(t, subFeatures.mustGet(t, db, "u1").Status, nexus.FeatureStatus(want))
		_, err := db.Tasks.Release(w.ctx, "it", c.Epoch, "")
		must(t, err)
	}
	// The first claim says when the task was started.
	clock.Move(time.Hour)
	w.claim("a", "it")
	same(t, w.task("it").StartedAt, now)
}

func testClaimByID(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "a", "it", "late it")
	var c nexus.Claim
	w.changes("a claim by id", func() error { c = w.claim("x", "it"); return nil },
		"+ agents x: current_task_id it, last_activity_at +0s, revision 1, spawned_at +0s, status working, "+
			"tasks_completed 0, tasks_failed 0, tokens_used 0, type coder",
		"+ task_attempts it#1: agent_id x, claimed_us +0s, lease_until_us +15m0s, lease_us 15m0s, task_id it",
		"features f1: revision 2, status in_progress",
		"sub_features u1: revision 2, status in_progress",
		"tasks it: assigned_agent x, revision 2, started_at +0s, status in_progress",
	)
	for _, agent := range []string{"x", "y"} { // whoever asks
		e := w.refuses("a claim of a held task", nexus.CodeNotReady, func() error {
			_, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: agent, TaskID: "it"})
			return err
		})
		w.names("a claim of a held task", e, "x", c.Epoch)
		same(t, e.ID, "it")
	}
	e := w.refuses("a claim of nothing", nexus.CodeNotFound, func() error {
		_, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "y", TaskID: "nothing"})
		return err
	})
	same(t, []any{e.Kind, e.ID}, []any{nexus.KindTask, "nothing"})
}

// testClaimByIDReasons asks for tasks that cannot be claimed, for every reason
// there is. What is refused also takes back nothing from others.
func testClaimByIDReasons(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "first", "it first", "held")
	w.claimed(nexus.ClaimRequest{AgentID: "x", TaskID: "held", Lease: time.Second})
	clock.Move(time.Minute)
	refuse := func(id, part string) {
		t.Helper()
		e := w.refuses(id+" "+part, nexus.CodeNotReady, func() error {
			_, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "y", TaskID: id})
			return err
		})
		if !strings.Contains(e.Message, part) {
			t.Errorf("the refusal is %q, want %q in it", e.Message, part)
		}
		w.namesNobody(part, e)
	}
	refuse("it", "it depends on first, which is pending")
	w.quickly("UPDATE tasks SET blocked_by = 'the weather' WHERE id = 'first'")
	refuse("first", "the weather")
	w.quickly("UPDATE tasks SET blocked_by = NULL WHERE id = 'first'")
	for _, status := range []nexus.ProjectStatus{nexus.ProjectPaused, nexus.ProjectCompleted, nexus.ProjectFailed} {
		w.quickly("UPDATE projects SET status = $1 WHERE id = 'p1'", string(status))
		refuse("first", "its project p1 is "+string(status))
	}
	w.quickly("UPDATE projects SET status = 'executing' WHERE id = 'p1'")
	for status, part := range map[string]string{
		"completed": "it is completed", "skipped": "it is skipped", "failed": "it is failed", "escalated": "it is escalated",
		"blocked": "it is blocked", "in_progress": "without a claim", "qa_loop": `its status is "qa_loop"`, "assigned": "it is assigned",
	} {
		w.quickly("UPDATE tasks SET status = $1 WHERE id = 'first'", status)
		refuse("first", part)
	}
	w.quickly("UPDATE tasks SET status = 'in_progress', assigned_agent = 'z' WHERE id = 'first'")
	refuse("first", "z is at work on it without a claim")
	w.quickly("UPDATE tasks SET status = 'assigned' WHERE id = 'first'")
	refuse("first", "it is assigned to z")
}

// testClaimMany asks for several tasks at once, also for more than there are.
func testClaimMany(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "a", "b", "c", "d", "e", "late a")
	claims, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "x", Count: 2})
	must(t, err)
	same(t, claimedIDs(claims), []string{"a", "b"})
	same(t, w.agent("x").CurrentTaskID, "b")
	more, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "x", Count: nexus.MaxClaims})
	must(t, err)
	same(t, claimedIDs(more), []string{"c", "d", "e"})
	same(t, w.agent("x").CurrentTaskID, "e")

	all := slices.Concat(claims, more)
	for i, c := range all {
		same(t, c.Task, w.task(c.TaskID))
		same(t, w.attempts(c.TaskID), []nexus.Attempt{c.Attempt})
		if i > 0 && c.Epoch <= all[i-1].Epoch {
			t.Errorf("epoch %d comes after %d", c.Epoch, all[i-1].Epoch)
		}
	}
	held, err := db.Tasks.InFlight(w.ctx)
	must(t, err)
	same(t, len(held), 5)

	// An agent that holds several goes on with the last of them that is left.
	for _, end := range []struct{ task, current string }{{"e", "d"}, {"b", "d"}, {"d", "c"}, {"a", "c"}} {
		i := slices.IndexFunc(all, func(c nexus.Claim) bool { return c.TaskID == end.task })
		_, err := db.Tasks.Complete(w.ctx, end.task, all[i].Epoch, nexus.Evidence{})
		must(t, err)
		same(t, []string{w.agent("x").CurrentTaskID, string(w.agent("x").Status)}, []string{end.current, "working"})
	}
	same(t, w.agent("x").TasksCompleted, 4)
}

func claimedIDs(claims []nexus.Claim) []string {
	ids := make([]string, len(claims))
	for i, c := range claims {
		ids[i] = c.TaskID
	}
	return ids
}

// testClaimFilters checks that a claim gets what Ready lists first, whatever the
// filter.
func testClaimFilters(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock)
	many := variedTasks(60)
	must(t, db.Tasks.CreateMany(w.ctx, many))
	for _, filter := range variedFilters() {
		want := w.readyIDs(filter)
		same(t, want, chosenIDs(many, filter))
		undone := fmt.Errorf("undone")
		err := db.InTx(w.ctx, func(tx *store.Tx) error {
			claims, err := tx.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "a", Filter: filter, Count: 1000})
			must(t, err)
			if filter.Limit = 0; len(claims) > 0 { // its limit does not count
				same(t, claimedIDs(claims), chosenIDs(many, filter))
			}
			return undone
		})
		if err != undone { //nolint:errorlint // it is returned as it is
			t.Fatal(err)
		}
		if len(want) > 0 {
			best := w.claimed(nexus.ClaimRequest{AgentID: "a", Filter: filter})
			same(t, best.TaskID, want[0])
			_, err := db.Tasks.Release(w.ctx, best.TaskID, best.Epoch, "")
			must(t, err)
		}
	}
	_, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "a", Filter: nexus.ReadyFilter{Priority: []nexus.TaskPriority{"odd"}}})
	refused(t, err, nexus.CodeInvalid)
}

// variedTasks are tasks that differ in all that matters for the order.
func variedTasks(n int) (list []*nexus.Task) {
	for i := range n {
		task := &nexus.Task{
			ID: fmt.Sprintf("t%03d", (i*37)%n), ProjectID: []string{"p1", "p2"}[i%2], Name: "n",
			Priority:  nexus.TaskPriorities()[i/2%4],
			Size:      nexus.TaskSizes()[i/3%2],
			CreatedAt: past.Add(time.Duration(i%5) * time.Hour),
			Status:    []nexus.TaskStatus{nexus.TaskPending, nexus.TaskPending, nexus.TaskPending, nexus.TaskBlocked, nexus.TaskCompleted}[i%5],
			BlockedBy: []string{"", "", "", "", "", "", "b"}[i%7],
		}
		switch i / 2 % 3 {
		case 1:
			task.FeatureID = []string{"f1", "f2"}[i%2]
		case 2:
			task.FeatureID, task.SubFeatureID = []string{"f1", "f2"}[i%2], []string{"u1", "u2"}[i%2]
		}
		list = append(list, task)
	}
	return list
}

func variedFilters() (list []nexus.ReadyFilter) {
	for _, limit := range []int{0, 1, 3} {
		for _, f := range []nexus.ReadyFilter{
			{},
			{ProjectID: "p1"},
			{ProjectID: "p2"},
			{ProjectID: "nobody"},
			{FeatureID: "f1"},
			{ProjectID: "p2", FeatureID: "f1"},
			{SubFeatureID: "u2"},
			{Size: []nexus.TaskSize{nexus.SizeAtomic}},
			{Size: nexus.TaskSizes(), ProjectID: "p1"},
			{Priority: []nexus.TaskPriority{nexus.PriorityLow, nexus.PriorityHigh}},
			{ProjectID: "p1", FeatureID: "f1", SubFeatureID: "u1", Priority: nexus.TaskPriorities()[1:], Size: []nexus.TaskSize{nexus.SizeSmall}},
		} {
			f.Limit = limit
			list = append(list, f)
		}
	}
	return list
}

// chosenIDs are the tasks that a filter should choose of these, in their order.
func chosenIDs(list []*nexus.Task, f nexus.ReadyFilter) []string {
	is := func(want, got string) bool { return want == "" || want == got }
	ids := []string{}
	for _, t := range ranked(list) {
		if t.Status == nexus.TaskPending && t.BlockedBy == "" && is(f.ProjectID, t.ProjectID) && is(f.FeatureID, t.FeatureID) &&
			is(f.SubFeatureID, t.SubFeatureID) && (f.Size == nil || slices.Contains(f.Size, t.Size)) &&
			(f.Priority == nil || slices.Contains(f.Priority, t.Priority)) && (f.Limit == 0 || len(ids) < f.Limit) {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

// ranked sorts tasks as they are to be handed out: by priority, and within one by
// age.
func ranked(list []*nexus.Task) []*nexus.Task {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b *nexus.Task) int {
		for _, n := range []int{
			slices.Index(nexus.TaskPriorities(), a.Priority) - slices.Index(nexus.TaskPriorities(), b.Priority),
			a.CreatedAt.Compare(b.CreatedAt),
		} {
			if n != 0 {
				return n
			}
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// testClaimProjects checks which projects' tasks are handed out.
func testClaimProjects(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	must(t, db.Tasks.Create(w.ctx, &nexus.Task{ID: "worse", ProjectID: "p2", Name: "n", Priority: nexus.PriorityLow}))
	statuses := append([]nexus.ProjectStatus{"interviewing", "archived", "PAUSED"}, nexus.ProjectStatuses()...)
	for _, status := range statuses {
		w.quickly("UPDATE projects SET status = $1 WHERE id = 'p1'", string(status))
		want := "it"
		if status == nexus.ProjectPaused || status == nexus.ProjectCompleted || status == nexus.ProjectFailed {
			want = "worse"
			same(t, w.readyIDs(nexus.ReadyFilter{ProjectID: "p1"}), []string{})
		}
		same(t, w.readyIDs(nexus.ReadyFilter{})[0], want)
		c := w.claimed(nexus.ClaimRequest{AgentID: "a"})
		same(t, c.TaskID, want)

		// Pausing a project takes nothing from anybody, and hands nothing on.
		w.quickly("UPDATE projects SET status = 'paused' WHERE id = 'p1'")
		_, err := db.Tasks.Heartbeat(w.ctx, c.TaskID, c.Epoch, 0)
		must(t, err)
		_, err = db.Tasks.Release(w.ctx, c.TaskID, c.Epoch, "")
		must(t, err)
		same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"worse"})
	}

	// A lease that is over in a paused project: the task is taken back, and kept.
	w.quickly("UPDATE projects SET status = 'executing' WHERE id = 'p1'")
	c := w.claim("a", "it")
	w.quickly("UPDATE projects SET status = 'paused' WHERE id = 'p1'")
	clock.Move(nexus.DefaultLease)
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"worse"})
	same(t, w.claimed(nexus.ClaimRequest{AgentID: "b"}).TaskID, "worse")
	same(t, w.task("it").Status, nexus.TaskPending)
	_, err := db.Tasks.Complete(w.ctx, "it", c.Epoch, nexus.Evidence{})
	refused(t, err, nexus.CodeFenced)
}

func testClaimInvalid(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	for field, r := range map[string]nexus.ClaimRequest{
		"agent_id":   {},
		"agent_type": {AgentID: "a", AgentType: "boss"},
		"task_id":    {AgentID: "a", TaskID: "a\nb"},
		"count":      {AgentID: "a", Count: nexus.MaxClaims + 1},
		"lease":      {AgentID: "a", Lease: nexus.MinLease - 1},
		"process":    {AgentID: "a", Process: strings.Repeat("x", nexus.MaxText+1)},
	} {
		e := w.refuses(field, nexus.CodeInvalid, func() error {
			_, err := db.Tasks.Claim(w.ctx, r)
			return err
		})
		same(t, problemFields(e), []string{field})
	}
	for _, r := range []nexus.ClaimRequest{
		{AgentID: "a", Count: -1},
		{AgentID: "a", TaskID: "it", Count: 2},
		{AgentID: "a", Lease: -time.Second},
		{AgentID: "a", Lease: nexus.MaxLease + 1},
		{AgentID: "a\x00", Count: 2000, Lease: time.Hour * 1e5},
	} {
		w.refuses("a claim that makes no sense", nexus.CodeInvalid, func() error {
			_, err := db.Tasks.Claim(w.ctx, r)
			return err
		})
	}
	for _, lease := range []time.Duration{nexus.MinLease, nexus.MaxLease} {
		c := w.claimed(nexus.ClaimRequest{AgentID: "a", TaskID: "it", Lease: lease})
		same(t, c.LeaseUntil, microseconds(clock.Now().Add(lease)))
		_, err := db.Tasks.Release(w.ctx, "it", c.Epoch, "")
		must(t, err)
	}
}

// testClaimAssigned claims tasks that somebody has assigned: only the agent that
// they are assigned to can, and by their id.
func testClaimAssigned(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other")
	_, err := db.Tasks.Update(w.ctx, "it", nexus.TaskUpdate{Status: new(nexus.TaskAssigned), AssignedAgent: new("a")})
	must(t, err)
	w.quickly("UPDATE tasks SET assigned_agent = 'a' WHERE id = 'other'") // a wish, no more
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"other"})
	e := w.refuses("another agent's", nexus.CodeNotReady, func() error {
		_, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "b", TaskID: "it"})
		return err
	})
	w.namesNobody("another agent's", e)
	w.changes("one's own", func() error { w.claim("a", "it"); return nil },
		"+ agents a: current_task_id it, last_activity_at +0s, revision 1, spawned_at +0s, status working, "+
			"tasks_completed 0, tasks_failed 0, tokens_used 0, type coder",
		"+ task_attempts it#1: agent_id a, claimed_us +0s, lease_until_us +15m0s, lease_us 15m0s, task_id it",
		"features f1: revision 2, status in_progress",
		"sub_features u1: revision 2, status in_progress",
		"tasks it: revision 3, started_at +0s, status in_progress",
	)
	c := w.claimed(nexus.ClaimRequest{AgentID: "b"})
	same(t, []string{c.TaskID, c.Task.AssignedAgent}, []string{"other", "b"})
}

// testClaimInTx makes claims that are undone, and claims what the same transaction
// has stored.
func testClaimInTx(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	before := w.image()
	must(t, db.InTx(w.ctx, func(tx *store.Tx) error {
		_ = tx.InTx(w.ctx, func(tx *store.Tx) error {
			_, err := tx.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "a", Count: 9})
			must(t, err)
			return errStop
		})
		return nil
	}))
	same(t, w.image().diff(before), []string{})

	must(t, db.InTx(w.ctx, func(tx *store.Tx) error {
		must(t, tx.Tasks.Create(w.ctx, &nexus.Task{ID: "new", ProjectID: "p1", Name: "n", Priority: nexus.PriorityCritical}))
		claims, err := tx.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "a"})
		must(t, err)
		same(t, claimedIDs(claims), []string{"new"})
		_, err = tx.Tasks.Complete(w.ctx, "new", claims[0].Epoch, nexus.Evidence{})
		return err
	}))
	same(t, w.task("new").Status, nexus.TaskCompleted)
	same(t, w.agent("a").TasksCompleted, 1)
	same(t, w.agent("a").Status, nexus.AgentIdle)
}

// testClaimOddClock claims at times at which nobody works: long before the task was
// made, before 1970, and far away.
func testClaimOddClock(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	var epoch int64
	for _, at := range []time.Time{
		past, time.Unix(0, 0), time.Unix(-1, 1), time.Date(3, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(9999, 12, 1, 0, 0, 0, 0, time.UTC), Now(),
	} {
		clock.Set(at)
		c := w.claimed(nexus.ClaimRequest{AgentID: "a"})
		same(t, c.Attempt, w.attempts("it")[len(w.attempts("it"))-1])
		same(t, c.Task, w.task("it"))
		if c.Epoch <= epoch {
			t.Errorf("at %v the epoch is %d, after %d", at, c.Epoch, epoch)
		}
		epoch = c.Epoch
		_, err := db.Tasks.Heartbeat(w.ctx, "it", epoch, 0)
		must(t, err)
		_, err = db.Tasks.Release(w.ctx, "it", epoch, "")
		must(t, err)
		last := w.attempts("it")[len(w.attempts("it"))-1]
		if last.EndedAt.Before(last.ClaimedAt) {
			t.Errorf("an attempt ended at %v, before it began at %v", last.EndedAt, last.ClaimedAt)
		}
	}
}
