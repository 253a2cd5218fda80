package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var budgetTests = map[string]timedTest{
	"Task":         testBudgetTask,
	"TaskAlone":    testBudgetTaskAlone,
	"Named":        testBudgetNamed,
	"Project":      testBudgetProject,
	"ProjectNamed": testBudgetProjectNamed,
	"Retries":      testBudgetRetries,
	"Expired":      testBudgetExpired,
	"RolledBack":   testBudgetRolledBack,
	"Odd":          testBudgetOdd,
	"Totals":       testBudgetTotals,
	"Many":         testBudgetMany,
}

// uses stores what an attempt at a task has used.
func (w *work) uses(task, kind string, value float64) {
	w.Helper()
	must(w.T, w.db.Metrics.Create(w.ctx, &nexus.Metric{ProjectID: "p1", TaskID: task, Type: kind, Value: value}))
}

func (w *work) taskBudget(id string, tokens int64, usd float64) {
	w.Helper()
	_, err := w.db.Tasks.Update(w.ctx, id, nexus.TaskUpdate{BudgetTokens: &tokens, BudgetUSD: &usd})
	must(w.T, err)
}

func (w *work) projectBudget(tokens int64, usd float64) {
	w.Helper()
	_, err := w.db.Projects.Update(w.ctx, "p1", nexus.ProjectUpdate{BudgetTokens: &tokens, BudgetUSD: &usd})
	must(w.T, err)
}

func (w *work) statuses(ids ...string) (list []nexus.TaskStatus) {
	w.Helper()
	for _, id := range ids {
		list = append(list, w.task(id).Status)
	}
	return list
}

// testBudgetTask: a claim goes past a task without a budget left, and escalates it.
func testBudgetTask(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "a", "b", "c")
	w.taskBudget("a", 0, 0.3)
	w.taskBudget("b", 1000, 0)
	w.uses("a", "cost_usd", 0.1)
	w.uses("a", "cost_usd", 0.1)
	w.uses("b", "token_usage", 999.5)
	w.uses("b", "cost_usd", 1e6) // for which it has no budget
	w.uses("c", "token_usage", 1e9)
	same(t, w.explain("a").Ready, true)
	w.uses("a", "cost_usd", 0.1) // all of it, although three times 0.1 is more than 0.3 in binary
	x := w.explain("a")
	same(t, x.Ready, false)
	same(t, x.Reasons[0].Cause, nexus.CauseBudget)
	same(t, x.Reasons[0].Message, "its budget is used up: $0.30 of $0.30; the next claim escalates it")

	same(t, w.claimed(nexus.ClaimRequest{AgentID: "x"}).TaskID, "b")
	same(t, w.statuses("a", "b", "c"), []nexus.TaskStatus{nexus.TaskEscalated, nexus.TaskInProgress, nexus.TaskPending})
	attempts := w.attempts("a")
	same(t, len(attempts), 1)
	same(t, attempts[0].Outcome, nexus.OutcomeEscalated)
	same(t, attempts[0].Reason, "its budget is used up: $0.30 of $0.30")
	same(t, attempts[0].AgentID, "")

	spent, err := db.Tasks.Spending(w.ctx, "b")
	must(t, err)
	same(t, *spent, nexus.Spending{Tokens: 999.5, USD: 1e6, BudgetTokens: 1000})

	// With more of it, the task goes on; reopened without, it is escalated again.
	_, err = db.Tasks.Reopen(w.ctx, "a", "try")
	must(t, err)
	same(t, w.claimed(nexus.ClaimRequest{AgentID: "x"}).TaskID, "c")
	same(t, w.statuses("a"), []nexus.TaskStatus{nexus.TaskEscalated})
	w.taskBudget("a", 0, 0.31)
	_, err = db.Tasks.Reopen(w.ctx, "a", "more of it")
	must(t, err)
	same(t, w.claimed(nexus.ClaimRequest{AgentID: "x"}).TaskID, "a")
}

// testBudgetTaskAlone: nothing is left to claim after that, and several at once are
// only those that can be paid for.
func testBudgetTaskAlone(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "a", "b", "c")
	for _, id := range []string{"a", "c"} {
		w.taskBudget(id, 5, 0)
		w.uses(id, "token_usage", 5)
	}
	claims, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "x", Count: 3})
	must(t, err)
	same(t, len(claims), 1)
	same(t, w.statuses("a", "b", "c"), []nexus.TaskStatus{nexus.TaskEscalated, nexus.TaskInProgress, nexus.TaskEscalated})
	claims, err = db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "x"})
	must(t, err)
	same(t, len(claims), 0)
}

func testBudgetNamed(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "a", "b a")
	w.taskBudget("a", 10, 0)
	w.taskBudget("b", 10, 0)
	w.uses("a", "token_usage", 12)
	w.uses("b", "token_usage", 12)
	_, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "x", TaskID: "b"}) // it could not be had anyway
	refused(t, err, nexus.CodeNotReady)
	same(t, w.statuses("b"), []nexus.TaskStatus{nexus.TaskPending})
	_, err = db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "x", TaskID: "a"})
	e := refused(t, err, nexus.CodeOverBudget)
	same(t, e.Error(), "task a: its budget is used up: 12 of 10 tokens; it is escalated")
	same(t, e.Hint, "nexus task update a --budget-tokens raises it, and 0 takes it away; then nexus reopen a")
	same(t, w.statuses("a"), []nexus.TaskStatus{nexus.TaskEscalated})
	_, err = db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "x", TaskID: "a"})
	refused(t, err, nexus.CodeNotReady)
	same(t, len(w.attempts("a")), 1)
}

// testBudgetProject: nothing of a project without a budget left is handed out, and
// nothing of it changes.
func testBudgetProject(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "a", "b")
	must(t, db.Projects.Create(w.ctx, &nexus.Project{ID: "other", Name: "n"}))
	must(t, db.Tasks.Create(w.ctx, &nexus.Task{ID: "z", ProjectID: "other", Name: "n", Priority: nexus.PriorityLow}))
	w.projectBudget(100, 2)
	w.uses("a", "token_usage", 60)
	w.uses("", "cost_usd", 1.5)
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"a", "b", "z"})
	w.uses("b", "token_usage", 40)
	same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"z"})
	same(t, len(w.readyIDs(nexus.ReadyFilter{ProjectID: "p1"})), 0)
	same(t, w.explain("a").Reasons[0].Message, "the budget of its project p1 is used up: 100 of 100 tokens, $1.50 of $2.00")
	same(t, w.claimed(nexus.ClaimRequest{AgentID: "x"}).TaskID, "z")

	before := w.image()
	for _, filter := range []nexus.ReadyFilter{{}, {ProjectID: "p1"}, {FeatureID: "f1"}} {
		_, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "x", Filter: filter})
		e := refused(t, err, nexus.CodeOverBudget)
		same(t, []string{string(e.Kind), e.ID}, []string{"project", "p1"})
		same(t, e.Hint, "nexus project update p1 --budget-tokens raises it, and 0 takes it away")
	}
	same(t, w.image(), before)
	claims, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "x", Filter: nexus.ReadyFilter{ProjectID: "other"}})
	must(t, err)
	same(t, len(claims), 0) // its budget has nothing to do with that
	o, err := db.Overview(w.ctx, "p1")
	must(t, err)
	same(t, []float64{float64(o.Ready), o.Tokens, o.CostUSD, float64(o.BudgetTokens), o.BudgetUSD}, []float64{0, 100, 1.5, 100, 2})

	w.projectBudget(101, 2)
	same(t, w.claimed(nexus.ClaimRequest{AgentID: "x"}).TaskID, "a")
}

func testBudgetProjectNamed(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "a")
	w.projectBudget(0, 1)
	w.uses("", "cost_usd", 2)
	before := w.image()
	_, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "x", TaskID: "a"})
	e := refused(t, err, nexus.CodeOverBudget)
	same(t, e.Error(), "project p1: its budget is used up: $2.00 of $1.00")
	same(t, w.image(), before)
}

// testBudgetRetries: whoever claims again and again escalates nothing but what has
// used up its own budget.
func testBudgetRetries(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "a", "b", "c")
	w.projectBudget(10, 0)
	w.taskBudget("b", 10, 0)
	w.uses("a", "token_usage", 10)
	for range 20 {
		_, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "x"})
		refused(t, err, nexus.CodeOverBudget)
	}
	same(t, w.statuses("a", "b", "c"), []nexus.TaskStatus{nexus.TaskPending, nexus.TaskPending, nexus.TaskPending})
}

// testBudgetExpired: a task whose agent has fallen silent is not given to another
// without a budget.
func testBudgetExpired(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "a")
	w.taskBudget("a", 10, 0)
	w.claim("x", "a")
	w.uses("a", "token_usage", 11)
	clock.Move(nexus.DefaultLease + time.Second)
	claims, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "y"})
	must(t, err)
	same(t, len(claims), 0)
	same(t, w.statuses("a"), []nexus.TaskStatus{nexus.TaskEscalated})
	attempts := w.attempts("a")
	same(t, []nexus.Outcome{attempts[0].Outcome, attempts[1].Outcome}, []nexus.Outcome{nexus.OutcomeExpired, nexus.OutcomeEscalated})
}

// testBudgetRolledBack: what a refused claim does in the caller's transaction goes
// with that, and can be made up for.
func testBudgetRolledBack(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "a", "b")
	w.taskBudget("a", 1, 0)
	w.uses("a", "token_usage", 1)
	r := nexus.ClaimRequest{AgentID: "x", TaskID: "a"}
	for _, named := range []string{"a", ""} {
		if r.TaskID = named; named == "" {
			_, err := db.Tasks.Reopen(w.ctx, "a", "again")
			must(t, err)
		}
		err := db.InTx(w.ctx, func(tx *store.Tx) error {
			if _, err := tx.Tasks.Claim(w.ctx, r); err != nil {
				return err
			}
			return nexus.Errorf(nexus.CodeNoneReady, "not wanted after all")
		})
		if err == nil {
			t.Fatal("it was not rolled back")
		}
		same(t, w.statuses("a", "b"), []nexus.TaskStatus{nexus.TaskPending, nexus.TaskPending})
		for range 2 {
			must(t, db.Tasks.EscalateOverBudget(w.ctx, r))
			same(t, w.statuses("a", "b"), []nexus.TaskStatus{nexus.TaskEscalated, nexus.TaskPending})
		}
	}
}

// testBudgetOdd has budgets of other programs, and metrics beyond all measure. What
// is no number above 0 is no budget.
func testBudgetOdd(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "a", "b")
	for range 20 {
		w.uses("a", "cost_usd", 1e300)
		w.uses("a", "token_usage", -1e300)
	}
	w.uses("b", "cost_usd", 0)
	for _, budget := range []string{"0", "-1", "-9223372036854775807", "9223372036854775807"} {
		w.quickly("UPDATE tasks SET budget_tokens = " + budget)
		w.quickly("UPDATE projects SET budget_tokens = " + budget)
		same(t, w.readyIDs(nexus.ReadyFilter{}), []string{"a", "b"})
		same(t, w.explain("a").Ready, true)
	}
	spent, err := db.Projects.Spending(w.ctx, "p1")
	must(t, err)
	same(t, []float64{spent.USD, spent.Tokens}, []float64{20e6, -20e12})
	list, err := db.Diagnose(w.ctx)
	must(t, err)
	same(t, len(list), 0)
}

// testBudgetTotals: whatever is written to the metrics by whomever, the totals are
// what they come to. CheckDerived adds up.
func testBudgetTotals(t *testing.T, db *store.DB, clock *Clock) {
	newWork(t, db, clock, "t1", "t2", "t3")
	ctx := t.Context()
	rapid.Check(t, func(rt *rapid.T) {
		pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(rt, label) }
		id := func() string { return pick("id", "'m1'", "'m2'", "'m3'", "'m4'", "'m5'", "'m6'") }
		project := func() string { return pick("project", "'p1'", "'p2'") }
		task := func() string { return pick("task", "NULL", "''", "'t1'", "'t2'", "'gone'") }
		kind := func() string {
			return pick("type", "'cost_usd'", "'token_usage'", "'token_usage'", "'task_duration'", "'Cost_USD'")
		}
		value := func() string {
			return pick("value", "0", "0.1", "1", "1250", "-3.5", "0.0000000004", "1e300", "123456789.123")
		}
		row := func() string {
			return strings.Join([]string{id(), project(), task(), kind(), value(), "1"}, ", ")
		}
		const into = "INTO metrics (id, project_id, task_id, type, value, timestamp) VALUES ("
		for i := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			sql := ""
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0, 1, 2:
				sql = "INSERT " + into + row() + ") ON CONFLICT DO NOTHING"
			case 3:
				sql = "INSERT " + into + row() + ") ON CONFLICT (id) DO UPDATE SET value = excluded.value, type = excluded.type"
			case 4, 5:
				sql = "UPDATE metrics SET " + pick("column", "project_id = "+project(), "task_id = "+task(), "type = "+kind(), "value = "+value(),
					"task_id = "+task()+", value = value * 3, type = "+kind(), "timestamp = 7") + " WHERE id <= " + id()
			case 6:
				sql = "DELETE FROM metrics WHERE id >= " + id()
			case 7:
				sql = "DELETE FROM projects WHERE id = 'p2'"
			case 8:
				sql = "UPDATE tasks SET id = CASE id WHEN 't1' THEN 't9' ELSE 't1' END WHERE id IN ('t1', 't9')"
			case 9:
				if _, err := db.Metrics.Upsert(ctx, &nexus.Metric{ID: "m1", ProjectID: "p1", TaskID: "t1", Type: "cost_usd", Value: float64(i) / 10}); err != nil {
					rt.Fatal(err)
				}
				continue
			}
			err := db.InTx(ctx, func(tx *store.Tx) error {
				if _, err := tx.Exec(ctx, sql); err != nil {
					return fmt.Errorf("%s: %w", sql, err)
				}
				_, err := tx.Exec(ctx, "INSERT INTO projects (id, name, mode, status, root_path, created_at, updated_at) VALUES ('p2', 'n', 'genesis', 'pending', '/', 1, 1) ON CONFLICT DO NOTHING")
				return err
			})
			if err != nil {
				rt.Fatal(err)
			}
			if err := CheckDerived(ctx, db); err != nil {
				rt.Fatalf("after %s: %v", sql, err)
			}
		}
	})
}

// testBudgetMany stores more metrics than go to the database together, or none of them if
// one cannot be stored, and names that. What they come to is checked after each test.
func testBudgetMany(t *testing.T, db *store.DB, _ *Clock) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "p"))
	many := func(first int) (list []*nexus.Metric) {
		for n := first; n < first+1203; n++ {
			list = append(list, &nexus.Metric{
				ID: fmt.Sprintf("m%05d", n), ProjectID: "p", TaskID: fmt.Sprintf("t%d", n%3), Type: []string{"token_usage", "cost_usd", "other"}[n%3], Value: float64(n),
			})
		}
		return list
	}
	count := func() int64 {
		n, err := db.Metrics.Count(ctx, nexus.MetricFilter{})
		must(t, err)
		return n
	}
	must(t, db.Metrics.CreateMany(ctx, many(0)))
	same(t, count(), int64(1203))

	again := many(2000)
	again[777].ID = "m00007"
	e := refused(t, db.Metrics.CreateMany(ctx, again), nexus.CodeExists)
	same(t, e.ID, "m00007")
	same(t, count(), int64(1203))
	orphan := many(4000)
	orphan[1201].ProjectID = "nowhere"
	e = refused(t, db.Metrics.CreateMany(ctx, orphan), nexus.CodeReference)
	same(t, e.ID, "m05201")
	same(t, count(), int64(1203))
	must(t, db.Projects.Delete(ctx, "p"))
	same(t, count(), int64(0))
}
