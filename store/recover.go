package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Recover takes the tasks back that dead agents hold, so that others can claim
// them: those whose lease is over, whose process is gone, or that the request
// names. It terminates these agents, pauses the sessions of projects in which
// nobody is at work any more, and says what it did.
//
// It does no harm to agents that are alive, and running it again changes nothing.
// A lease that is over, or a process that is gone, counts as a failed attempt;
// what the request names does not.
func (db *DB) Recover(ctx context.Context, r nexus.RecoverRequest) (report *nexus.Recovery, err error) {
	undo := errors.New("a dry run keeps nothing")
	err = db.InTx(ctx, func(tx *Tx) error {
		if report, err = tx.Recover(ctx, r); err != nil {
			return err
		}
		if r.DryRun {
			return undo
		}
		return nil
	})
	if err != nil && !errors.Is(err, undo) {
		return nil, err
	}
	return report, nil
}

// Recover is [DB.Recover] as a part of the transaction; it ignores DryRun but in
// its report.
func (tx *Tx) Recover(ctx context.Context, r nexus.RecoverRequest) (*nexus.Recovery, error) {
	now := tx.Tasks.now()
	tx.end.did("recover", "")
	x := &recovery{ctx: ctx, conn: tx.conn, end: &tx.end, now: now, projects: make(map[string]bool), report: &nexus.Recovery{
		DryRun: r.DryRun, Tasks: []nexus.RecoveredTask{}, Agents: []nexus.DeadAgent{}, Sessions: []nexus.PausedSession{},
	}}
	if err := x.run(r); err != nil {
		return nil, err
	}
	return x.report, nil
}

// selectDue selects the attempts whose lease is over, and their tasks with them where
// rows are locked: in the order of decide, or else two would wait for each other. What
// another has locked it is dealing with.
func selectDue(d driver.Dialect) string {
	const due, order = ` WHERE a.ended_us IS NULL AND a.lease_until_us <= $1`, ` ORDER BY a.lease_until_us, a.epoch`
	if !d.LocksRows {
		return selectAttempt + due + order
	}
	return selectAttempt + ` JOIN tasks t ON t.id = a.task_id` + due + order + d.LockFree("t, a")
}

// expire takes back what leases are over for. It is what Claim does of a recovery;
// when there is nothing to do it costs one look at an index.
func expire(ctx context.Context, c driver.Conn, end *settlement, now time.Time) (*nexus.Recovery, error) {
	due, err := readAttempts(ctx, c, selectDue(c.Dialect()), driver.Int(micros(now)))
	if err != nil || len(due) == 0 {
		return nil, err
	}
	x := &recovery{ctx: ctx, conn: c, end: end, now: now, projects: make(map[string]bool), report: new(nexus.Recovery)}
	for i := range due {
		if err := x.takeBack(&due[i], nexus.OutcomeExpired, "its lease was over"); err != nil {
			return nil, err
		}
	}
	return x.report, x.terminate()
}

// clockSlack is how far ahead the end of a lease may be of what its length allows. It is
// longer than steps that run side by side wait for each other: one of them may have
// looked at the clock before a heartbeat that it comes after, whose lease it must not cut.
const clockSlack = time.Minute

// mendLeases gives leases their length from now that a clock which was ahead has
// made longer. Without it, such a task would be lost for as long as that clock was
// ahead if its agent died.
func mendLeases(ctx context.Context, c driver.Conn, now time.Time) (int, error) {
	const sql = `
		UPDATE task_attempts SET lease_until_us = lease_us + $1
		WHERE ended_us IS NULL AND lease_until_us > lease_us + $1 + $2`
	n, err := c.Exec(ctx, sql, driver.Int(micros(now)), driver.Int(clockSlack.Microseconds()))
	return int(n), err
}

// recovery is one run of Recover.
type recovery struct {
	ctx      context.Context
	conn     driver.Conn
	end      *settlement
	now      time.Time
	report   *nexus.Recovery
	lost     []*nexus.Attempt // that were taken back because nothing was heard of them
	projects map[string]bool  // that they were for
}

func (x *recovery) run(r nexus.RecoverRequest) (err error) {
	// Before their work is taken back, which looks like a sign of life.
	named, err := x.namedAgents(r)
	if err != nil {
		return err
	}
	if x.report.MendedLeases, err = mendLeases(x.ctx, x.conn, x.now); err != nil {
		return err
	}
	held, err := readAttempts(x.ctx, x.conn, selectOpen)
	if err != nil {
		return err
	}
	for i := range held {
		a := &held[i]
		switch {
		case r.All:
			err = x.takeBack(a, nexus.OutcomeReleased, "all work was taken back")
		case slices.Contains(r.AgentIDs, a.AgentID):
			err = x.takeBack(a, nexus.OutcomeReleased, "its agent was declared dead")
		case a.Process != "" && r.Dead != nil && r.Dead(a.Process):
			err = x.takeBack(a, nexus.OutcomeExpired, "its process is gone")
		case !a.LeaseUntil.After(x.now):
			err = x.takeBack(a, nexus.OutcomeExpired, "its lease was over")
		default:
			x.report.InFlight++
		}
		if err != nil {
			return err
		}
	}
	if err := x.takeUnclaimed(r); err != nil {
		return err
	}
	if err := x.terminate(); err != nil {
		return err
	}
	if err := x.terminateNamed(named); err != nil {
		return err
	}
	if err := x.pauseSessions(r.All); err != nil {
		return err
	}
	return x.findSilent()
}

// takeBack ends an attempt and makes its task pending, or escalated when its
// attempts are used up.
func (x *recovery) takeBack(a *nexus.Attempt, outcome nexus.Outcome, reason string) error {
	update := func(t *nexus.Task) nexus.TaskUpdate {
		x.projects[t.ProjectID] = true
		switch {
		case !t.Status.InFlight(): // another program's status; it goes on from there
			return nexus.TaskUpdate{}
		case outcome == nexus.OutcomeExpired:
			return afterFailure(t, false)
		default:
			return givenBack(t)
		}
	}
	t, err := decide(x.ctx, x.conn, x.end, a.TaskID, a.Epoch, at(x.now), decision{outcome: outcome, reason: reason, update: update})
	if err != nil {
		return err
	}
	if outcome == nexus.OutcomeExpired {
		x.lost = append(x.lost, a)
	}
	x.report.Tasks = append(x.report.Tasks, nexus.RecoveredTask{
		TaskID: t.ID, Name: t.Name, AgentID: a.AgentID, Epoch: a.Epoch, ClaimedAt: a.ClaimedAt,
		LastSign: lastSign(a), Became: t.Status, Reason: reason, Progress: a.Progress,
	})
	return nil
}

// lastSign is when the lease was last extended.
func lastSign(a *nexus.Attempt) time.Time { return a.LeaseUntil.Add(-a.Lease) }

// takeUnclaimed takes back what other programs call in flight, if the request
// says that those who do it are dead.
func (x *recovery) takeUnclaimed(r nexus.RecoverRequest) error {
	if !r.All && len(r.AgentIDs) == 0 {
		return nil
	}
	list, err := tasks.list(x.ctx, x.conn, nexus.TaskFilter{Status: []nexus.TaskStatus{nexus.TaskAssigned, nexus.TaskInProgress}})
	if err != nil {
		return err
	}
	for i := range list {
		t := &list[i]
		if !r.All && !slices.Contains(r.AgentIDs, t.AssignedAgent) {
			continue
		}
		held, err := openAttempt(x.ctx, x.conn, t.ID)
		if err != nil {
			return err
		}
		if held != nil {
			continue
		}
		reason := "it was in flight without a claim"
		after, err := decide(x.ctx, x.conn, x.end, t.ID, 0, at(x.now), decision{
			outcome: nexus.OutcomeReleased, reason: reason, update: givenBack,
		})
		if err != nil {
			return err
		}
		x.projects[t.ProjectID] = true
		x.report.Tasks = append(x.report.Tasks, nexus.RecoveredTask{
			TaskID: t.ID, Name: t.Name, AgentID: t.AssignedAgent, Became: after.Status, Reason: reason,
		})
	}
	return nil
}

const terminateSilent = `
	UPDATE agents SET
		status = 'terminated', terminated_at = $2, termination_reason = $3, current_task_id = NULL, revision = revision + 1
	WHERE id = $1 AND status <> 'terminated' AND (last_activity_at <= $4 OR last_activity_at > $2)
		AND NOT EXISTS (SELECT 1 FROM task_attempts a WHERE a.agent_id = agents.id AND a.ended_us IS NULL)`

// terminate ends the agents whose work was taken back, unless they hold other work
// or have given a sign of life since. One in the future is from a clock that was
// ahead, and says nothing.
func (x *recovery) terminate() error {
	last := make(map[string]*nexus.Attempt)
	var order []string
	for _, a := range x.lost {
		if last[a.AgentID] == nil {
			order = append(order, a.AgentID)
		}
		// Their leases may differ in length.
		if last[a.AgentID] == nil || lastSign(a).After(lastSign(last[a.AgentID])) {
			last[a.AgentID] = a
		}
	}
	for _, id := range order {
		a := last[id]
		reason := fmt.Sprintf("gave no sign of life since %s, while working on %s",
			lastSign(a).Truncate(time.Second).Format(time.RFC3339), a.TaskID)
		n, err := x.conn.Exec(x.ctx, terminateSilent,
			driver.Text(id), driver.Int(x.now.Unix()), driver.Text(reason), driver.Int(lastSign(a).Unix()))
		if err != nil {
			return err
		}
		if n > 0 {
			x.report.Agents = append(x.report.Agents, nexus.DeadAgent{AgentID: id, LastSign: lastSign(a), Reason: reason})
		}
	}
	return nil
}

const (
	selectNamed = `SELECT id, last_activity_at FROM agents WHERE id = $1`
	selectBusy  = `
		SELECT id, last_activity_at FROM agents
		WHERE status IN ('assigned', 'working', 'waiting')
			OR EXISTS (SELECT 1 FROM task_attempts a WHERE a.agent_id = agents.id AND a.ended_us IS NULL)
		ORDER BY id`

	terminateNamed = `
		UPDATE agents SET
			status = 'terminated', terminated_at = $2, termination_reason = $3, current_task_id = NULL,
			last_activity_at = $4, revision = revision + 1
		WHERE id = $1 AND status <> 'terminated'`
)

// namedAgents are the agents that the request calls dead.
func (x *recovery) namedAgents(r nexus.RecoverRequest) (named []nexus.DeadAgent, err error) {
	read := func(sql string, args ...driver.Arg) error {
		return x.conn.Query(x.ctx, sql, args, func(r driver.Row) error {
			named = append(named, nexus.DeadAgent{
				AgentID: r.Text(0), LastSign: time.Unix(r.Int(1), 0).UTC(), Reason: "declared dead",
			})
			return nil
		})
	}
	if r.All {
		return named, read(selectBusy)
	}
	for _, id := range r.AgentIDs {
		if err := read(selectNamed, driver.Text(id)); err != nil {
			return nil, err
		}
	}
	return named, nil
}

// terminateNamed ends the agents that the request calls dead.
func (x *recovery) terminateNamed(named []nexus.DeadAgent) error {
	for _, a := range named {
		n, err := x.conn.Exec(x.ctx, terminateNamed,
			driver.Text(a.AgentID), driver.Int(x.now.Unix()), driver.Text(a.Reason), driver.Int(a.LastSign.Unix()))
		if err != nil {
			return err
		}
		if n > 0 {
			x.report.Agents = append(x.report.Agents, a)
		}
	}
	return nil
}

// pauseSessions pauses the active sessions of projects that have lost work and in
// which nobody is at work any more; with all, every active one.
func (x *recovery) pauseSessions(all bool) error {
	active, err := sessions.list(x.ctx, x.conn, nexus.SessionFilter{Status: []nexus.SessionStatus{nexus.SessionActive}})
	if err != nil {
		return err
	}
	const atWork = `
		SELECT a.task_id FROM task_attempts a CROSS JOIN tasks t
		WHERE a.ended_us IS NULL AND t.id = a.task_id AND t.project_id = $1
		ORDER BY a.lease_until_us LIMIT 1`
	for i := range active {
		s := &active[i]
		if !all && !x.projects[s.ProjectID] {
			continue
		}
		working, err := ids(x.ctx, x.conn, atWork, s.ProjectID)
		if err != nil {
			return err
		}
		if len(working) > 0 {
			continue
		}
		paused := *s
		paused.Status = nexus.SessionPaused
		if err := sessions.update(x.ctx, x.conn, s, &paused); err != nil {
			return err
		}
		x.report.Sessions = append(x.report.Sessions, nexus.PausedSession{SessionID: s.ID, ProjectID: s.ProjectID, Type: s.Type})
	}
	return nil
}

// selectSilent finds agents that call themselves busy, hold nothing, and have given no
// sign of life since.
const selectSilent = `
	SELECT id FROM agents
	WHERE status IN ('assigned', 'working', 'waiting') AND last_activity_at < $1
		AND NOT EXISTS (SELECT 1 FROM task_attempts a WHERE a.agent_id = agents.id AND a.ended_us IS NULL)
	ORDER BY id`

func (x *recovery) findSilent() (err error) {
	return x.conn.Query(x.ctx, selectSilent, []driver.Arg{driver.Int(x.now.Add(-nexus.DefaultLease).Unix())}, func(r driver.Row) error {
		x.report.Silent = append(x.report.Silent, r.Text(0))
		return nil
	})
}
