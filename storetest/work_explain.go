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

var explainTests = map[string]timedTest{
	"ExplainReady":   testExplainReady,
	"ExplainCauses":  testExplainCauses,
	"ExplainStatus":  testExplainStatuses,
	"ExplainSeveral": testExplainSeveral,
	"ExplainDiamond": testExplainDiamond,
	"ExplainCycles":  testExplainCycles,
	"ExplainDeep":    testExplainDeep,
}

func (w *work) explain(id string) *nexus.Explanation {
	w.Helper()
	x, err := w.db.Tasks.Explain(w.ctx, id)
	must(w.T, err)
	if x.TaskID != id || x.Name != w.task(id).Name || x.Status != w.task(id).Status || x.Ready != (len(x.Reasons) == 0) {
		w.Errorf("Explain of %s says %+v", id, x)
	}
	for _, r := range slices.Concat(x.Reasons, x.RootCauses) {
		if r.Message == "" || strings.ContainsAny(r.Message, "\n\r\x00") || r.TaskID == "" {
			w.Errorf("a reason of %s is %+v", id, r)
		}
	}
	return x
}

// shown are reasons as short as can be: cause, task and path.
func shown(reasons []nexus.Reason) []string {
	list := []string{}
	for _, r := range reasons {
		text := string(r.Cause) + " " + r.TaskID
		if len(r.Path) > 0 {
			text += ": " + strings.Join(r.Path, " ")
		}
		list = append(list, text)
	}
	return list
}

func testExplainReady(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	same(t, w.explain("it"), &nexus.Explanation{
		TaskID: "it", Name: "n", Status: nexus.TaskPending, Ready: true, Reasons: []nexus.Reason{}, RootCauses: []nexus.Reason{},
	})
	_, err := db.Tasks.Explain(w.ctx, "nothing")
	refused(t, err, nexus.CodeNotFound)
}

// testExplainCauses brings about each cause that a task itself can have, and looks
// at it from the task and from one that waits for it.
func testExplainCauses(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "late it", "later late")
	look := func(cause nexus.Cause, message string) {
		t.Helper()
		it := w.explain("it")
		same(t, shown(it.Reasons), []string{string(cause) + " it"})
		same(t, shown(it.RootCauses), []string{string(cause) + " it: it"})
		same(t, it.Reasons[0].Message, message)
		same(t, it.Reasons[0].Status, w.task("it").Status)
		later := w.explain("later")
		same(t, shown(later.Reasons), []string{"dependency late: later late"})
		same(t, shown(later.RootCauses), []string{string(cause) + " it: later late it"})
		same(t, later.RootCauses[0].Message, message)
	}
	same(t, shown(w.explain("later").RootCauses), []string{"unclaimed it: later late it"})

	c := w.claim("a", "it")
	look(nexus.CauseClaimed, fmt.Sprintf("a is at work on it, with epoch %d, until 2031-02-03T04:20:06Z at least", c.Epoch))
	clock.Move(nexus.DefaultLease) // over: nobody has claimed it, as far as it matters
	same(t, shown(w.explain("later").RootCauses), []string{"unclaimed it: later late it"})
	same(t, w.explain("it").Ready, true)
	w.quickly("UPDATE tasks SET max_attempts = 1 WHERE id = 'it'")
	look(nexus.CauseStatus, "a has been silent for too long, and it was the last of 1 attempt; it will be escalated")
	clock.Move(-nexus.DefaultLease)

	_, err := db.Tasks.Block(w.ctx, "it", c.Epoch, "the weather")
	must(t, err)
	look(nexus.CauseBlocked, "it is blocked by: the weather")
	w.quickly("UPDATE tasks SET status = 'pending' WHERE id = 'it'")
	look(nexus.CauseBlocked, "it is blocked by: the weather")
	w.quickly("UPDATE tasks SET status = 'blocked', blocked_by = NULL WHERE id = 'it'")
	look(nexus.CauseBlocked, "it is blocked")

	w.quickly("UPDATE tasks SET status = 'pending', project_id = 'p2', feature_id = NULL, sub_feature_id = NULL WHERE id = 'it'")
	w.quickly("UPDATE projects SET status = 'paused' WHERE id = 'p2'")
	look(nexus.CauseProject, "its project p2 is paused")
}

// testExplainStatuses looks at every status, in and out of the vocabulary.
func testExplainStatuses(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	for status, message := range map[string]string{
		"assigned":    "it is assigned",
		"in_progress": "somebody is at work on it without a claim",
		"completed":   "it is completed",
		"skipped":     "it is skipped",
		"failed":      "it is failed",
		"escalated":   "it is escalated: a person has to look at it",
		"qa_loop":     `its status is "qa_loop", which another program has given it`,
		"\n":          `its status is "\n", which another program has given it`,
		"":            `its status is "", which another program has given it`,
	} {
		w.quickly("UPDATE tasks SET status = $1", status)
		x := w.explain("it")
		same(t, shown(x.Reasons), []string{"status it"})
		same(t, x.Reasons[0].Message, message)
	}
	w.quickly("UPDATE tasks SET status = 'in_progress', assigned_agent = 'a'")
	same(t, w.explain("it").Reasons[0].Message, "a is at work on it without a claim")
	w.quickly("UPDATE tasks SET status = 'assigned'")
	same(t, w.explain("it").Reasons[0].Message, "it is assigned to a, who can claim it by its id")
}

// testExplainSeveral gives a task every kind of reason at once.
func testExplainSeveral(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "a", "b", "it a b")
	w.claim("x", "a")
	w.quickly(`UPDATE tasks SET status = 'qa_loop', blocked_by = 'rain', depends_on = '["nobody","b","a"]' WHERE id = 'it'`)
	w.quickly("UPDATE projects SET status = 'paused'")
	x := w.explain("it")
	same(t, shown(x.Reasons), []string{
		"status it", "blocked it", "project it", "dependency a: it a", "dependency b: it b", "missing nobody: it nobody",
	})
	same(t, x.Reasons[5].Message, "it depends on nobody, which does not exist")
	same(t, shown(x.RootCauses), []string{
		"status it: it", "blocked it: it", "project it: it", "claimed a: it a", "project a: it a", "project b: it b", "missing nobody: it nobody",
	})
}

// testExplainDiamond looks through several ways to the same task: it is a cause
// once, by a shortest way.
func testExplainDiamond(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "root", "l root", "r root", "rr r", "side", "it l rr root side", "top it")
	w.claim("x", "root")
	same(t, shown(w.explain("it").Reasons), []string{"dependency l: it l", "dependency root: it root", "dependency rr: it rr", "dependency side: it side"})
	same(t, shown(w.explain("it").RootCauses), []string{"claimed root: it root", "unclaimed side: it side"})
	same(t, shown(w.explain("top").RootCauses), []string{"claimed root: top it root", "unclaimed side: top it side"})
	// What has ended is no cause, nor what is behind it.
	_, err := db.Tasks.Skip(w.ctx, "l", 0, "")
	must(t, err)
	w.quickly("UPDATE tasks SET status = 'completed' WHERE id IN ('rr', 'root', 'side')")
	same(t, w.explain("it").Ready, true)
	same(t, shown(w.explain("top").RootCauses), []string{"unclaimed it: top it"})
}

// testExplainCycles explains what can never happen, which only another program can
// have stored.
func testExplainCycles(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "a", "b a", "c b", "it c", "free", "self")
	w.quickly(`UPDATE tasks SET depends_on = '["c"]' WHERE id = 'a'`)
	w.quickly(`UPDATE tasks SET depends_on = '["self"]' WHERE id = 'self'`)
	cycle := func(id string, members ...string) {
		t.Helper()
		x := w.explain(id)
		if len(x.RootCauses) != 1 || x.RootCauses[0].Cause != nexus.CauseCycle || x.Ready {
			t.Fatalf("Explain of %s says %+v", id, x)
		}
		path := slices.Clone(x.RootCauses[0].Path)
		slices.Sort(path)
		same(t, path, members)
	}
	for _, id := range []string{"a", "b", "c", "it"} {
		cycle(id, "a", "b", "c")
	}
	cycle("self", "self")
	same(t, w.explain("self").Reasons[0].Cause, nexus.CauseDependency)
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"free"})

	// A cause that something can be done about comes before one that nothing can.
	w.quickly("UPDATE tasks SET blocked_by = 'rain' WHERE id = 'b'")
	same(t, shown(w.explain("it").RootCauses), []string{"blocked b: it c b"})
	// The cycle is broken by what breaks it.
	_, err := db.Tasks.Skip(w.ctx, "a", 0, "")
	must(t, err)
	_, err = db.Tasks.Unblock(w.ctx, "b")
	must(t, err)
	same(t, shown(w.explain("it").RootCauses), []string{"unclaimed b: it c b"})
}

// testExplainDeep follows a long chain, and a wide one.
func testExplainDeep(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock)
	const n = 100
	var list []*nexus.Task
	var all []string
	for i := range n {
		task := &nexus.Task{ID: fmt.Sprintf("c%03d", i), ProjectID: "p1", Name: "n"}
		if i > 0 {
			task.DependsOn = []string{fmt.Sprintf("c%03d", i-1)}
		}
		list = append(list, task, &nexus.Task{ID: fmt.Sprintf("w%03d", i), ProjectID: "p1", Name: "n"})
		all = append(all, fmt.Sprintf("w%03d", i))
	}
	list = append(list, &nexus.Task{ID: "wide", ProjectID: "p1", Name: "n", DependsOn: all})
	must(t, db.Tasks.CreateMany(w.ctx, list))
	roots := w.explain(fmt.Sprintf("c%03d", n-1)).RootCauses
	same(t, []any{len(roots), roots[0].TaskID, roots[0].Cause, len(roots[0].Path)}, []any{1, "c000", nexus.CauseUnclaimed, n})
	same(t, len(w.explain("wide").RootCauses), n)
	for i := range n {
		must(t, verbs[0].call(w, all[i], w.claim("a", all[i]).Epoch)())
		clock.Move(time.Second)
	}
	same(t, w.explain("wide").Ready, true)
}
