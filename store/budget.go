package store

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// metric_totals has thousandths of tokens and billionths of US dollars.
const (
	perToken = 1e3
	perUSD   = 1e9
)

// withinBudget is a condition about a project p: that it has no budget, or has
// something left of it. Without one it costs no look at another table. What is no
// number above 0 is no budget.
const withinBudget = `(p.budget_tokens IS NULL AND p.budget_usd IS NULL OR NOT EXISTS (
	SELECT 1 FROM metric_totals u WHERE u.scope = 'project' AND u.id = p.id
		AND (u.type = 'token_usage' AND p.budget_tokens * 1.0 > 0 AND u.amount >= p.budget_tokens * 1000.0
			OR u.type = 'cost_usd' AND p.budget_usd * 1.0 > 0 AND u.amount >= p.budget_usd * 1000000000.0)))`

// Spending says what a task has used, and of which budget. Code: CodeNotFound.
func (s *Tasks) Spending(ctx context.Context, id string) (spent *nexus.Spending, err error) {
	err = s.run.snapshot(ctx, func(c driver.Conn) error {
		t, err := tasks.mustGet(ctx, c, id)
		if err == nil {
			spent, err = taskSpending(ctx, c, t)
		}
		return err
	})
	return spent, err
}

// Spending says what a project has used, and of which budget. Code: CodeNotFound.
func (s *Projects) Spending(ctx context.Context, id string) (spent *nexus.Spending, err error) {
	err = s.run.snapshot(ctx, func(c driver.Conn) error {
		p, err := projects.mustGet(ctx, c, id)
		if err == nil {
			spent, err = projectSpending(ctx, c, p)
		}
		return err
	})
	return spent, err
}

func taskSpending(ctx context.Context, c driver.Conn, t *nexus.Task) (*nexus.Spending, error) {
	s := &nexus.Spending{BudgetTokens: max(t.BudgetTokens, 0), BudgetUSD: max(t.BudgetUSD, 0)}
	return s, readTotals(ctx, c, s, " WHERE scope = 'task' AND id = $1", driver.Text(t.ID))
}

func projectSpending(ctx context.Context, c driver.Conn, p *nexus.Project) (*nexus.Spending, error) {
	s := &nexus.Spending{BudgetTokens: max(p.BudgetTokens, 0), BudgetUSD: max(p.BudgetUSD, 0)}
	return s, readTotals(ctx, c, s, " WHERE scope = 'project' AND id = $1", driver.Text(p.ID))
}

// readTotals adds up what metrics come to.
func readTotals(ctx context.Context, c driver.Conn, s *nexus.Spending, where string, args ...driver.Arg) error {
	return c.Query(ctx, "SELECT type, amount FROM metric_totals"+where, args, func(r driver.Row) error {
		switch r.Text(0) {
		case "token_usage":
			s.Tokens += r.Float(1) / perToken
		case "cost_usd":
			s.USD += r.Float(1) / perUSD
		}
		return nil
	})
}

// escalateSpent escalates those of the tasks that have used up their own budget, and
// says how many these were. Of the others it costs nothing.
func escalateSpent(ctx context.Context, c driver.Conn, list []nexus.Task, now time.Time) (n int, err error) {
	for i := range list {
		t := &list[i]
		if t.BudgetTokens <= 0 && t.BudgetUSD <= 0 {
			continue
		}
		spent, err := taskSpending(ctx, c, t)
		if err != nil {
			return n, err
		}
		if !spent.UsedUp() {
			continue
		}
		if err := escalateTask(ctx, c, t.ID, spent, now); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func escalateTask(ctx context.Context, c driver.Conn, id string, spent *nexus.Spending, now time.Time) error {
	partOfClaim := new(settlement) // which has its name already
	_, err := decide(ctx, c, partOfClaim, id, 0, at(now), decision{
		outcome: nexus.OutcomeEscalated, reason: "its budget is used up: " + spent.String(),
		update: func(*nexus.Task) nexus.TaskUpdate {
			return nexus.TaskUpdate{Status: new(nexus.TaskEscalated), AssignedAgent: new("")}
		},
	})
	return err
}

// overBudget is the refusal of a claim.
func overBudget(kind nexus.Kind, id string, spent *nexus.Spending) *nexus.Error {
	e := &nexus.Error{
		Code: nexus.CodeOverBudget, Kind: kind, ID: id, Message: "its budget is used up: " + spent.String(),
		Hint: spent.RaiseHint(kind, id) + ", and 0 takes it away",
	}
	if kind == nexus.KindTask {
		e.Message += "; it is escalated"
		e.Hint += "; then nexus reopen " + id
	}
	return e
}

// refuseSpent is the refusal of a task whose budget, or whose project's, is used up.
// If it is its own, the task is escalated.
func refuseSpent(ctx context.Context, c driver.Conn, t *nexus.Task, now time.Time) error {
	spent, err := taskSpending(ctx, c, t)
	if err != nil {
		return err
	}
	if spent.UsedUp() {
		if err := escalateTask(ctx, c, t.ID, spent, now); err != nil {
			return err
		}
		return overBudget(nexus.KindTask, t.ID, spent)
	}
	p, err := projects.mustGet(ctx, c, t.ProjectID)
	if err != nil {
		return err
	}
	if spent, err = projectSpending(ctx, c, p); err != nil {
		return err
	}
	return overBudget(nexus.KindProject, p.ID, spent)
}

// affordable returns the best tasks that are ready, as many as are wanted. Those
// before them that have used up their own budget are escalated.
func affordable(ctx context.Context, c driver.Conn, r nexus.ClaimRequest, now time.Time) ([]nexus.Task, error) {
	filter := r.Filter
	filter.Limit = r.Count
	for {
		chosen, err := lockReady(ctx, c, filter)
		if err != nil {
			return nil, err
		}
		escalated, err := escalateSpent(ctx, c, chosen, now)
		if err != nil || escalated == 0 {
			return chosen, err
		}
	}
}

// EscalateOverBudget does of [Tasks.Claim] only what becomes of tasks whose own budget
// is used up: of the named one, or of those that come before the first that can be
// handed out. It is for a caller whose transaction with the claim was rolled back.
// Doing it again changes nothing.
func (s *Tasks) EscalateOverBudget(ctx context.Context, r nexus.ClaimRequest) error {
	r.SetDefaults()
	if err := r.Validate(); err != nil {
		return err
	}
	return s.run.write(ctx, func(c driver.Conn, end *settlement) error {
		end.did("claim", r.AgentID)
		now := s.now()
		_, err := expire(ctx, c, end, now)
		switch {
		case err != nil:
		case r.TaskID != "":
			_, err = claimable(ctx, c, r, now)
		default:
			_, err = affordable(ctx, c, r, now)
		}
		switch nexus.CodeOf(err) {
		case nexus.CodeOverBudget, nexus.CodeNotReady, nexus.CodeNotFound:
			return nil
		}
		return err
	})
}

// overBudgetProject returns the refusal of a claim that found nothing, if a project
// has a task for it and no budget left; else nil.
func overBudgetProject(ctx context.Context, c driver.Conn, filter nexus.ReadyFilter) (refused, err error) {
	var w, ready where
	w.raw(notStopped)
	w.raw("NOT " + withinBudget)
	equal(&w, "p.id", filter.ProjectID)
	ready.args = w.args
	ready.raw("t.project_id = p.id")
	ready.raw(isReady)
	ready.ready(filter)
	if ready.err != nil {
		return nil, ready.err
	}
	over, err := projects.read(ctx, c, "SELECT "+projects.prefixed("p")+" FROM projects p"+w.sql.String()+
		" AND EXISTS (SELECT 1 FROM tasks t"+ready.sql.String()+") ORDER BY p.id LIMIT 1", ready.args)
	if err != nil || len(over) == 0 {
		return nil, err
	}
	spent, err := projectSpending(ctx, c, &over[0])
	if err != nil {
		return nil, err
	}
	return overBudget(nexus.KindProject, over[0].ID, spent), nil
}
