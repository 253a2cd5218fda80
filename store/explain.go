package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Explain says what holds a task back, down to the root causes, all of one
// moment. Code: CodeNotFound.
func (s *Tasks) Explain(ctx context.Context, id string) (x *nexus.Explanation, err error) {
	err = s.run.snapshot(ctx, func(c driver.Conn) error {
		t, err := tasks.mustGet(ctx, c, id)
		if err != nil {
			return err
		}
		e := &explainer{ctx: ctx, conn: c, now: s.now()}
		x = &nexus.Explanation{TaskID: t.ID, Name: t.Name, Status: t.Status}
		if x.Reasons, err = e.reasons(t, ""); err != nil {
			return err
		}
		x.Ready = len(x.Reasons) == 0
		x.RootCauses, err = e.rootCauses(t, x.Reasons)
		return err
	})
	return x, err
}

// explainer finds out what holds tasks back.
type explainer struct {
	ctx  context.Context
	conn driver.Conn
	now  time.Time // leases that are over by then count for nothing
}

// reasons returns what holds a task itself back; none means that it can be claimed.
// A task that is assigned to agent is not held back by that.
func (e *explainer) reasons(t *nexus.Task, agent string) ([]nexus.Reason, error) {
	list := []nexus.Reason{}
	add := func(cause nexus.Cause, format string, args ...any) {
		list = append(list, nexus.Reason{
			Cause: cause, TaskID: t.ID, Name: t.Name, Status: t.Status, Message: fmt.Sprintf(format, args...),
		})
	}
	held, err := openAttempt(e.ctx, e.conn, t.ID)
	if err != nil {
		return nil, err
	}
	alive := held != nil && held.LeaseUntil.After(e.now)
	over := held != nil && !alive && t.Status.InFlight() // the status of another program stays when it is taken back
	switch {
	case alive:
		add(nexus.CauseClaimed, "%s is at work on it, with epoch %d, until %s at least",
			held.AgentID, held.Epoch, held.LeaseUntil.Truncate(time.Second).Format(time.RFC3339))
	case over && t.FailedAttempts >= t.MaxAttempts-1:
		add(nexus.CauseStatus, "%s has been silent for too long, and it was the last of %s; it will be escalated",
			held.AgentID, counted(t.MaxAttempts, "attempt"))
	case over, t.Status == nexus.TaskPending:
	case t.Status == nexus.TaskAssigned && agent != "" && t.AssignedAgent == agent:
	case t.Status == nexus.TaskAssigned && t.AssignedAgent != "":
		add(nexus.CauseStatus, "it is assigned to %s, who can claim it by its id", t.AssignedAgent)
	case t.Status == nexus.TaskInProgress:
		who := "somebody"
		if t.AssignedAgent != "" {
			who = t.AssignedAgent
		}
		add(nexus.CauseStatus, "%s is at work on it without a claim", who)
	case t.Status == nexus.TaskBlocked && t.BlockedBy == "":
		add(nexus.CauseBlocked, "it is blocked")
	case t.Status == nexus.TaskBlocked: // see below
	case t.Status == nexus.TaskEscalated:
		add(nexus.CauseStatus, "it is escalated: a person has to look at it")
	case t.Status.Known():
		add(nexus.CauseStatus, "it is %s", t.Status)
	default:
		add(nexus.CauseStatus, "its status is %q, which another program has given it", t.Status)
	}
	if t.BlockedBy != "" {
		add(nexus.CauseBlocked, "it is blocked by: %s", t.BlockedBy)
	}
	project, err := projects.get(e.ctx, e.conn, t.ProjectID)
	if err != nil {
		return nil, err
	}
	if project == nil {
		add(nexus.CauseProject, "its project %s does not exist", t.ProjectID)
	} else if slices.Contains(stoppedProjects, project.Status) {
		add(nexus.CauseProject, "its project %s is %s", project.ID, project.Status)
	}
	waiting, err := e.openDependencies(t.ID)
	if err != nil {
		return nil, err
	}
	list = append(list, waiting...)
	if t.Status.Ended() || t.Status == nexus.TaskEscalated {
		return list, nil
	}
	spent, err := taskSpending(e.ctx, e.conn, t)
	if err != nil {
		return nil, err
	}
	if spent.UsedUp() {
		add(nexus.CauseBudget, "its budget is used up: %s; the next claim escalates it", spent)
	}
	if project == nil || project.BudgetTokens <= 0 && project.BudgetUSD <= 0 {
		return list, nil
	}
	if spent, err = projectSpending(e.ctx, e.conn, project); err == nil && spent.UsedUp() {
		add(nexus.CauseBudget, "the budget of its project %s is used up: %s", project.ID, spent)
	}
	return list, err
}

// stoppedProjects are those whose tasks are not handed out; see goesOn.
var stoppedProjects = []nexus.ProjectStatus{nexus.ProjectPaused, nexus.ProjectCompleted, nexus.ProjectFailed}

const openDependencies = `
	SELECT e.depends_on, d.id, d.name, d.status
	FROM task_dependencies e LEFT JOIN tasks d ON d.id = e.depends_on
	WHERE e.task_id = $1 AND (d.id IS NULL OR d.status NOT IN ('completed', 'skipped'))
	ORDER BY e.depends_on`

// openDependencies are the reasons of the tasks that one waits for.
func (e *explainer) openDependencies(id string) (list []nexus.Reason, err error) {
	err = e.conn.Query(e.ctx, openDependencies, []driver.Arg{driver.Text(id)}, func(r driver.Row) error {
		reason := nexus.Reason{
			Cause: nexus.CauseDependency, TaskID: r.Text(0), Name: r.Text(2), Status: nexus.TaskStatus(r.Text(3)),
			Path: []string{id, r.Text(0)},
		}
		reason.Message = fmt.Sprintf("it depends on %s, which is %s", reason.TaskID, reason.Status)
		if r.IsNull(1) {
			reason.Cause = nexus.CauseMissing
			reason.Message = fmt.Sprintf("it depends on %s, which does not exist", reason.TaskID)
		}
		list = append(list, reason)
		return nil
	})
	return list, err
}

// mostExplained bounds the tasks that rootCauses looks at.
const mostExplained = 100_000

// rootCauses follows the dependencies of a task, each task once and nearest first,
// to those that wait for no other.
func (e *explainer) rootCauses(t *nexus.Task, direct []nexus.Reason) ([]nexus.Reason, error) {
	roots := []nexus.Reason{}
	from := map[string]string{t.ID: ""} // by which task each was reached
	var queue []nexus.Reason
	follow := func(by string, reasons []nexus.Reason) {
		for _, r := range reasons {
			if _, seen := from[r.TaskID]; !seen && (r.Cause == nexus.CauseDependency || r.Cause == nexus.CauseMissing) {
				from[r.TaskID] = by
				queue = append(queue, r)
			}
		}
	}
	found := func(r nexus.Reason) {
		r.Path = []string{r.TaskID}
		for by := from[r.TaskID]; by != ""; by = from[by] {
			r.Path = append(r.Path, by)
		}
		slices.Reverse(r.Path)
		roots = append(roots, r)
	}
	for _, r := range direct {
		if r.Cause != nexus.CauseDependency && r.Cause != nexus.CauseMissing {
			found(r)
		}
	}
	follow(t.ID, direct)
	for len(queue) > 0 && len(from) < mostExplained {
		r := queue[0]
		queue = queue[1:]
		if r.Cause == nexus.CauseMissing {
			found(r)
			continue
		}
		next, err := tasks.get(e.ctx, e.conn, r.TaskID)
		if err != nil || next == nil {
			return roots, err
		}
		reasons, err := e.reasons(next, "")
		if err != nil {
			return roots, err
		}
		for _, own := range reasons {
			if own.Cause != nexus.CauseDependency && own.Cause != nexus.CauseMissing {
				found(own)
			}
		}
		if len(reasons) == 0 {
			found(nexus.Reason{
				Cause: nexus.CauseUnclaimed, TaskID: next.ID, Name: next.Name, Status: next.Status,
				Message: "it is ready, and nobody has claimed it yet",
			})
		}
		follow(next.ID, reasons)
	}
	if len(roots) > 0 || len(direct) == 0 {
		return roots, nil
	}
	return e.cycleCause(t)
}

// cycleCause explains why nothing can ever happen: only another program can have
// stored a cycle.
func (e *explainer) cycleCause(t *nexus.Task) ([]nexus.Reason, error) {
	cycle, err := findCycle(e.ctx, e.conn, t.ID, make(map[string]bool))
	if err != nil || cycle == nil {
		return []nexus.Reason{}, err
	}
	return []nexus.Reason{{
		Cause: nexus.CauseCycle, TaskID: cycle[0], Path: cycle,
		Message: "these tasks wait for each other: " + showCycle(cycle),
	}}, nil
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
