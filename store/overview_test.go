package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

func mustOverview(t testing.TB, db *store.DB, project string) *nexus.Overview {
	t.Helper()
	o, err := db.Overview(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// claimTask gives a task to an agent for the default lease.
func claimTask(t testing.TB, db *store.DB, agent, task string) nexus.Claim {
	t.Helper()
	claims, err := db.Tasks.Claim(t.Context(), nexus.ClaimRequest{AgentID: agent, TaskID: task})
	if err != nil {
		t.Fatal(err)
	}
	return claims[0]
}

// a day at work: ada holds search with some progress, bob holds the account, which
// he failed at before, and Eve, of another program, pays.
func workDay(t testing.TB, db *store.DB, clock *testClock) {
	t.Helper()
	ctx := t.Context()
	check := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	began := clock.at
	clock.at = began.Add(-2 * time.Hour)
	fill(t, db)
	failed := claimTask(t, db, "bob", "account")
	clock.at = began.Add(-40 * time.Minute)
	check(db.Tasks.Fail(ctx, "account", failed.Epoch, store.Failure{Reason: "the bank is closed"}))
	mail := nexus.Task{ID: "mail", ProjectID: "bank", Name: "Answer mail"}
	check(nil, db.Tasks.Create(ctx, &mail))
	done := claimTask(t, db, "bob", "mail")
	clock.at = began.Add(-30 * time.Second)
	check(db.Tasks.Complete(ctx, "mail", done.Epoch, nexus.Evidence{}))
	search := claimTask(t, db, "ada", "search")
	check(db.Tasks.Progress(ctx, "search", search.Epoch, nexus.Progress{Note: "reading", Percent: 40}))
	clock.at = began.Add(-20 * time.Second)
	claimTask(t, db, "bob", "account")
	check(nil, db.InTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE tasks SET status = 'in_progress', assigned_agent = 'eve', started_at = $1 WHERE id = 'pay'`, began.Add(-time.Minute))
		return err
	}))
	clock.at = began
	check(nil, db.Agents.Create(ctx, &nexus.Agent{ID: "old", Status: nexus.AgentTerminated}))
	check(nil, db.Agents.Create(ctx, &nexus.Agent{ID: "zoe", Type: nexus.AgentTester, TokensUsed: 7}))
	check(nil, db.Metrics.CreateMany(ctx, []*nexus.Metric{
		{ProjectID: "shop", Type: "cost_usd", Value: 0.75},
		{ProjectID: "shop", Type: "token_usage", Value: 2000},
		{ProjectID: "shop", Type: "qa_iterations", Value: 9},
		{ProjectID: "bank", Type: "cost_usd", Value: 0.5},
	}))
}

func TestOverview(t *testing.T) {
	t.Parallel()
	db, clock := newStore(t)
	workDay(t, db, clock)
	at := func(before time.Duration) time.Time { return clock.at.Add(-before) }

	search := nexus.Work{
		TaskID: "search", Name: "Search", Status: nexus.TaskInProgress, ProjectID: "shop", FeatureID: "buy", AgentID: "ada",
		Epoch: 3, Since: at(30 * time.Second), LeaseUntil: at(30*time.Second - nexus.DefaultLease),
		Progress: &nexus.Progress{Note: "reading", Percent: 40, At: at(30 * time.Second)},
	}
	account := nexus.Work{
		TaskID: "account", Name: "Open an account", Status: nexus.TaskInProgress, ProjectID: "bank", AgentID: "bob",
		Epoch: 4, Since: at(20 * time.Second), LeaseUntil: at(20*time.Second - nexus.DefaultLease),
	}
	pay := nexus.Work{
		TaskID: "pay", Name: "Pay", Status: nexus.TaskInProgress, ProjectID: "shop", FeatureID: "sell", AgentID: "eve", Since: at(time.Minute),
	}
	ada := nexus.AgentState{ID: "ada", Type: nexus.AgentCoder, Status: nexus.AgentWorking, Holds: []string{"search"}, LastActivityAt: at(30 * time.Second)}
	bob := nexus.AgentState{
		ID: "bob", Type: nexus.AgentCoder, Status: nexus.AgentWorking, Holds: []string{"account"},
		TasksCompleted: 1, TasksFailed: 1, LastActivityAt: at(20 * time.Second),
	}
	zoe := nexus.AgentState{ID: "zoe", Type: nexus.AgentTester, Status: nexus.AgentIdle, Holds: []string{}, TokensUsed: 7, LastActivityAt: clock.at}
	features := []nexus.FeatureProgress{
		{ID: "buy", ProjectID: "shop", Name: "To buy", Status: nexus.FeatureInProgress, Total: 2, Open: 1, Completed: 1},
		{ID: "sell", ProjectID: "shop", Name: "To sell", Status: nexus.FeatureInProgress, Total: 2, Open: 2},
	}

	want := &nexus.Overview{
		At: clock.at, TasksTotal: 7, TasksOpen: 4,
		TasksByStatus: map[nexus.TaskStatus]int64{
			nexus.TaskCompleted: 2, nexus.TaskSkipped: 1, nexus.TaskInProgress: 3, nexus.TaskPending: 1,
		},
		InFlight: []nexus.Work{search, account, pay}, Agents: []nexus.AgentState{ada, bob, zoe}, Features: features,
		CompletedMinute: 1, CompletedHour: 1, FailedHour: 1, CostUSD: 1.25, Tokens: 2000,
	}
	if diff := cmp.Diff(want, mustOverview(t, db, "")); diff != "" {
		t.Errorf("of all: %s", diff)
	}
	want = &nexus.Overview{
		At: clock.at, ProjectID: "shop", ProjectName: "shop", TasksTotal: 4, TasksOpen: 3,
		TasksByStatus: map[nexus.TaskStatus]int64{nexus.TaskCompleted: 1, nexus.TaskInProgress: 2, nexus.TaskPending: 1},
		InFlight:      []nexus.Work{search, pay}, Agents: []nexus.AgentState{ada}, Features: features,
		CostUSD: 0.75, Tokens: 2000,
	}
	if diff := cmp.Diff(want, mustOverview(t, db, "shop")); diff != "" {
		t.Errorf("of the shop: %s", diff)
	}
	bank := mustOverview(t, db, "bank")
	if bank.CompletedHour != 1 || bank.FailedHour != 1 || bank.TasksTotal != 3 || len(bank.Features) != 0 || bank.CostUSD != 0.5 {
		t.Errorf("of the bank: %+v", bank)
	}

	// When the leases are over, the tasks are still in flight, but ready as well,
	// and the account has been failed at once.
	clock.at = clock.at.Add(time.Hour)
	late := mustOverview(t, db, "")
	if late.Ready != 2 || len(late.InFlight) != 3 || late.CompletedHour != 0 || late.FailedHour != 0 {
		t.Errorf("an hour later: %+v", late)
	}
}

func TestOverviewOfNothing(t *testing.T) {
	t.Parallel()
	db, clock := newStore(t)
	want := &nexus.Overview{
		At: clock.at, TasksByStatus: map[nexus.TaskStatus]int64{},
		InFlight: []nexus.Work{}, Agents: []nexus.AgentState{}, Features: []nexus.FeatureProgress{},
	}
	if diff := cmp.Diff(want, mustOverview(t, db, "")); diff != "" {
		t.Error(diff)
	}
	if _, err := db.Overview(t.Context(), "none"); nexus.CodeOf(err) != nexus.CodeNotFound {
		t.Errorf("of a project that does not exist: %v", err)
	}
}

// What other programs store does no harm.
func TestOverviewOfAnotherProgram(t *testing.T) {
	t.Parallel()
	db, clock := newStore(t)
	workDay(t, db, clock)
	ctx := t.Context()
	err := db.InTx(ctx, func(tx *store.Tx) error {
		for _, sql := range []string{
			`UPDATE tasks SET status = 'a stage' WHERE id = 'search'`,
			`UPDATE tasks SET name = '` + strings.Repeat("ü", 300) + `' WHERE id = 'account'`,
			`UPDATE task_attempts SET progress = 'not JSON' WHERE task_id = 'search'`,
			`UPDATE metrics SET value = 9e999 WHERE type = 'cost_usd'`,
			`UPDATE metrics SET value = 'many' WHERE type = 'token_usage'`,
			`UPDATE agents SET status = 'zzz', tasks_completed = NULL WHERE id = 'zoe'`,
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	o := mustOverview(t, db, "")
	if o.TasksByStatus["a stage"] != 1 || o.TasksOpen != 4 {
		t.Errorf("by status: %v", o.TasksByStatus)
	}
	if o.InFlight[0].Progress != nil || o.InFlight[1].Name != strings.Repeat("ü", 200) {
		t.Errorf("in flight: %+v", o.InFlight)
	}
	if o.CostUSD != 2e6 || o.Tokens != 0 || len(o.Agents) != 3 {
		t.Errorf("%+v", o)
	}
}

// An overview agrees with the services, whatever has been done.
func TestOverviewProperty(t *testing.T) {
	t.Parallel()
	db, clock := newStore(t)
	ctx := t.Context()
	rapid.Check(t, func(rt *rapid.T) {
		tasks := drawTasks(rt)
		must := func(err error) {
			rt.Helper()
			if err != nil {
				rt.Fatal(err)
			}
		}
		must(db.InTx(ctx, func(tx *store.Tx) error {
			if _, err := tx.Exec(ctx, `DELETE FROM projects`); err != nil {
				return err
			}
			return storeTasks(ctx, tx, tasks)
		}))
		for range rapid.IntRange(0, 4).Draw(rt, "claims") {
			request := nexus.ClaimRequest{AgentID: rapid.SampledFrom([]string{"ada", "bob"}).Draw(rt, "agent")}
			request.Lease = rapid.SampledFrom([]time.Duration{time.Minute, time.Hour}).Draw(rt, "lease")
			claims, err := db.Tasks.Claim(ctx, request)
			must(err)
			if len(claims) == 0 {
				continue
			}
			switch id, epoch := claims[0].TaskID, claims[0].Epoch; rapid.IntRange(0, 3).Draw(rt, "end") {
			case 0:
				_, err = db.Tasks.Complete(ctx, id, epoch, nexus.Evidence{})
			case 1:
				_, err = db.Tasks.Fail(ctx, id, epoch, store.Failure{})
			}
			must(err)
		}
		clock.at = clock.at.Add(rapid.SampledFrom([]time.Duration{0, 10 * time.Minute}).Draw(rt, "later"))
		project := rapid.SampledFrom([]string{"", "p1", "p2"}).Draw(rt, "of")
		o, err := db.Overview(ctx, project)
		must(err)

		counts, err := db.Tasks.CountByStatus(ctx, nexus.TaskFilter{ProjectID: project})
		must(err)
		if diff := cmp.Diff(counts, o.TasksByStatus); diff != "" {
			rt.Fatal(diff)
		}
		var total, open int64
		for status, n := range counts {
			total += n
			if !status.Ended() {
				open += n
			}
		}
		ready, err := db.Tasks.Ready(ctx, nexus.ReadyFilter{ProjectID: project})
		must(err)
		if total != o.TasksTotal || open != o.TasksOpen || len(ready) != o.Ready {
			rt.Fatalf("total %d, open %d, ready %d; the overview says %d, %d, %d", total, open, len(ready), o.TasksTotal, o.TasksOpen, o.Ready)
		}
		var inFlight, shownInFlight []string
		all, err := db.Tasks.List(ctx, nexus.TaskFilter{ProjectID: project, Status: []nexus.TaskStatus{nexus.TaskAssigned, nexus.TaskInProgress}})
		must(err)
		for _, task := range all {
			inFlight = append(inFlight, task.ID)
		}
		for _, work := range o.InFlight {
			shownInFlight = append(shownInFlight, work.TaskID)
		}
		slices.Sort(shownInFlight)
		if diff := cmp.Diff(inFlight, shownInFlight); diff != "" {
			rt.Fatalf("in flight: %s", diff)
		}
		for _, f := range o.Features {
			counts, err := db.Tasks.CountByStatus(ctx, nexus.TaskFilter{FeatureID: f.ID})
			must(err)
			var total int64
			for _, n := range counts {
				total += n
			}
			ended := counts[nexus.TaskCompleted] + counts[nexus.TaskSkipped]
			if f.Total != total || f.Open != total-ended || f.Completed != counts[nexus.TaskCompleted] {
				rt.Fatalf("%+v, but the tasks are %v", f, counts)
			}
		}
	})
}

// Only the first thousand ready tasks are counted.
func TestOverviewManyReady(t *testing.T) {
	t.Parallel()
	db, _ := newStore(t)
	tasks := make([]nexus.Task, nexus.MostReady+1)
	for i := range tasks {
		tasks[i] = nexus.Task{ID: fmt.Sprintf("t%05d", i), ProjectID: "p1", Name: "T"}
	}
	if err := db.InTx(t.Context(), func(tx *store.Tx) error { return storeTasks(t.Context(), tx, tasks) }); err != nil {
		t.Fatal(err)
	}
	for _, project := range []string{"", "p1"} {
		if o := mustOverview(t, db, project); o.Ready != nexus.MostReady || o.TasksByStatus[nexus.TaskPending] != int64(len(tasks)) {
			t.Errorf("%d are ready of %v", o.Ready, o.TasksByStatus)
		}
	}
}

// queryLog keeps the statements that a database runs.
type queryLog struct {
	mu   sync.Mutex
	list []string
}

func (l *queryLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *queryLog) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *queryLog) WithGroup(string) slog.Handler            { return l }

func (l *queryLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "sql" && strings.HasPrefix(strings.TrimSpace(a.Value.String()), "SELECT") {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.list = append(l.list, a.Value.String())
		}
		return true
	})
	return nil
}

// No query of an overview goes through all tasks or all attempts. Those of metrics
// have nothing better.
func TestOverviewPlans(t *testing.T) {
	t.Parallel()
	log := new(queryLog)
	db, err := sqlite.Open(t.Context(), sqlite.Memory, &sqlite.Options{Debug: true, Logger: slog.New(log)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Projects.Create(t.Context(), &nexus.Project{ID: "shop", Name: "Shop", RootPath: "/"}); err != nil {
		t.Fatal(err)
	}
	log.list = nil
	mustOverview(t, db, "")
	mustOverview(t, db, "shop")
	statements := slices.Clone(log.list)
	if len(statements) < 16 {
		t.Fatalf("the log has only %d statements", len(statements))
	}
	small := regexp.MustCompile(`^SCAN (p|projects USING COVERING INDEX sqlite_autoindex_projects_1|f|m|agents|found|\(.*\)|tasks USING COVERING INDEX sqlite_autoindex_tasks_1|t USING COVERING INDEX \S+|a USING (COVERING )?INDEX idx_task_attempts_(lease|open|agent))$`)
	for _, sql := range statements {
		args := 0
		for _, found := range regexp.MustCompile(`\$(\d+)`).FindAllStringSubmatch(sql, -1) {
			n, _ := strconv.Atoi(found[1])
			args = max(args, n)
		}
		countsAll := strings.HasPrefix(sql, "SELECT count(*) FROM tasks t")
		err := db.View(t.Context(), func(tx *store.Tx) error {
			return tx.Query(t.Context(), "EXPLAIN QUERY PLAN "+sql, make([]any, args), func(r driver.Row) error {
				step := r.Text(3)
				if strings.HasPrefix(step, "SCAN") && (!small.MatchString(step) || strings.HasPrefix(step, "SCAN t") && !countsAll) {
					t.Errorf("%s:\n%s", sql, step)
				}
				if strings.Contains(step, "idx_tasks_project (project_id=?)") && !countsAll {
					t.Errorf("%s goes through the tasks of a project:\n%s", sql, step)
				}
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkOverview(b *testing.B) {
	db, _ := newStore(b)
	tasks := make([]nexus.Task, 10_000)
	for i := range tasks {
		tasks[i] = nexus.Task{ID: fmt.Sprintf("t%05d", i), ProjectID: "p1", FeatureID: "p1f", Name: "A task", Status: nexus.TaskCompleted}
		if i%10 == 0 {
			tasks[i].Status = nexus.TaskPending
		}
	}
	if err := db.InTx(b.Context(), func(tx *store.Tx) error { return storeTasks(b.Context(), tx, tasks) }); err != nil {
		b.Fatal(err)
	}
	for _, project := range []string{"", "p1"} {
		b.Run("of "+project, func(b *testing.B) {
			for b.Loop() {
				mustOverview(b, db, project)
			}
		})
	}
}
