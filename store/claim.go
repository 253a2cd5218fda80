package store

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Claim gives tasks to an agent: the best that are ready, or the one that the
// request names. Each becomes in_progress, and the agent holds it until it ends
// the attempt or has been silent for longer than its lease. No two agents ever
// hold the same task: the database has at most one open attempt per task.
//
// Before it looks for tasks it takes those back whose lease is over, as
// [DB.Recover] does, so nobody needs to run that for work to go on.
//
// A task that has used up its budget is escalated instead of being handed out, and
// the next one is looked at. The tasks of a project that has used up its own stay as
// they are.
//
// If fewer are ready than are wanted, there are fewer claims, perhaps none; that
// is no error. Codes: CodeInvalid; CodeOverBudget for a named task without a budget
// left, or if only projects without one have tasks; for a named task also
// CodeNotFound, and CodeNotReady, whose Stored is the attempt of the agent that holds
// it. What was escalated stays so after CodeOverBudget, unless the caller's own
// transaction is rolled back for it; then see [Tasks.EscalateOverBudget].
//
// Calling it again claims other tasks; within [Once] it returns the same, as far as
// JSON shows it: times to the second, and no Lease.
func (s *Tasks) Claim(ctx context.Context, r nexus.ClaimRequest) (claims []nexus.Claim, err error) {
	r.SetDefaults()
	if err := r.Validate(); err != nil {
		return nil, err
	}
	var refused error // with what was done on the way kept
	err = s.run.writeBeside(ctx, func(c driver.Conn, end *settlement) error {
		end.did("claim", r.AgentID)
		claims, refused = nil, nil // when this runs a second time, another may have been faster
		if r.TaskID != "" && c.Dialect().LocksRows {
			// Before anything else, so that it waits for the task while it holds nothing; and
			// for a heartbeat of who holds that, whose lease may go on.
			if _, err := tasks.mustLock(ctx, c, r.TaskID); err != nil {
				return err
			}
			if _, err := lockOpenAttempt(ctx, c, r.TaskID); err != nil {
				return err
			}
		}
		now := s.now()
		if _, err := expire(ctx, c, end, now); err != nil {
			return err
		}
		var chosen []nexus.Task
		if r.TaskID != "" {
			t, err := claimable(ctx, c, r, now)
			if nexus.CodeOf(err) == nexus.CodeOverBudget {
				refused = err
				return nil
			}
			if err != nil {
				return err
			}
			chosen = []nexus.Task{*t}
		} else {
			if chosen, err = affordable(ctx, c, r, now); err != nil {
				return err
			}
			if len(chosen) == 0 {
				if refused, err = overBudgetProject(ctx, c, r.Filter); err != nil {
					return err
				}
				_, err := mendLeases(ctx, c, now)
				return err
			}
		}
		if c.Dialect().LocksRows {
			now = s.now() // a lease begins when there is something to hold; see decide
		}
		claims = make([]nexus.Claim, len(chosen))
		for i := range chosen {
			if claims[i], err = claim(ctx, c, r, &chosen[i], now); err != nil {
				return err
			}
		}
		return engage(ctx, c, r, chosen[len(chosen)-1].ID, now)
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, err
	}
	return claims, nil
}

// claimable returns the task that the request names, or says why it cannot be
// claimed. Besides what is ready that is a task that is assigned to the agent.
func claimable(ctx context.Context, c driver.Conn, r nexus.ClaimRequest, now time.Time) (*nexus.Task, error) {
	t, err := tasks.mustLock(ctx, c, r.TaskID)
	if err != nil {
		return nil, err
	}
	e := &explainer{ctx: ctx, conn: c, now: now}
	reasons, err := e.reasons(t, r.AgentID)
	if err != nil || len(reasons) == 0 {
		return t, err
	}
	if reasons[0].Cause == nexus.CauseBudget { // and nothing else
		return nil, refuseSpent(ctx, c, t, now)
	}
	refused := &nexus.Error{
		Code: nexus.CodeNotReady, Kind: nexus.KindTask, ID: t.ID, Message: "cannot be claimed: " + reasons[0].Message,
		Hint: "nothing was changed; nexus ready --explain " + t.ID + " says what has to happen first",
	}
	if more := len(reasons) - 1; more > 0 {
		refused.Message += fmt.Sprintf(" (and %d more)", more)
	}
	held, err := openAttempt(ctx, c, t.ID)
	if err != nil {
		return nil, err
	}
	if held != nil {
		refused.Stored = held
		refused.Hint = "choose another task; nothing was changed"
	}
	return nil, refused
}

const (
	startTask = `
		UPDATE tasks SET
			status = 'in_progress', assigned_agent = $2, started_at = coalesce(started_at, $3), completed_at = NULL,
			updated_at = $3, revision = revision + 1
		WHERE id = $1`

	insertAttempt = `
		INSERT INTO task_attempts (task_id, agent_id, claimed_us, lease_us, lease_until_us, process)
		VALUES ($1, $2, $3, $4, $5, $6)
		RETURNING epoch`
)

// claim gives one task to the agent.
func claim(ctx context.Context, c driver.Conn, r nexus.ClaimRequest, t *nexus.Task, now time.Time) (nexus.Claim, error) {
	second := now.UTC().Truncate(time.Second)
	_, err := c.Exec(ctx, startTask, driver.Text(t.ID), driver.Text(r.AgentID), driver.Int(second.Unix()))
	if err != nil {
		return nexus.Claim{}, err
	}
	t.Status, t.AssignedAgent, t.UpdatedAt, t.CompletedAt = nexus.TaskInProgress, r.AgentID, second, time.Time{}
	t.Revision++
	if t.StartedAt.IsZero() {
		t.StartedAt = second
	}
	held := nexus.Claim{Task: t, Attempt: nexus.Attempt{
		TaskID: t.ID, AgentID: r.AgentID, Process: r.Process, Lease: r.Lease,
		ClaimedAt: fromMicros(micros(now)), LeaseUntil: fromMicros(micros(now.Add(r.Lease))),
	}}
	args := []driver.Arg{
		driver.Text(t.ID), driver.Text(r.AgentID), driver.Int(micros(now)), driver.Int(r.Lease.Microseconds()),
		driver.Int(micros(now.Add(r.Lease))), driver.TextOrNull(r.Process),
	}
	err = c.Query(ctx, insertAttempt, args, func(row driver.Row) error {
		held.Epoch = row.Int(0)
		return nil
	})
	return held, err
}

const (
	engageAgent = `
		UPDATE agents SET
			status = 'working', current_task_id = $2, last_activity_at = $3,
			terminated_at = NULL, termination_reason = NULL, revision = revision + 1
		WHERE id = $1`
)

// engage makes the agent one that works on a task, and registers it if nobody has
// done so yet.
func engage(ctx context.Context, c driver.Conn, r nexus.ClaimRequest, task string, now time.Time) error {
	n, err := c.Exec(ctx, engageAgent, driver.Text(r.AgentID), driver.Text(task), driver.Int(now.Unix()))
	if err != nil || n > 0 {
		return err
	}
	agent := &nexus.Agent{ID: r.AgentID, Type: r.AgentType, Status: nexus.AgentWorking, CurrentTaskID: task}
	agent.SetDefaults(now)
	return agents.insert(ctx, c, agent)
}

const extendLease = `
	UPDATE task_attempts SET lease_us = $3, lease_until_us = $4
	WHERE epoch = $2 AND task_id = $1 AND ended_us IS NULL`

// Heartbeat says that the agent that holds a task is still at work: the lease is
// extended to its length from now, or to another if lease is not 0. A lease that
// is over can be extended as long as nobody has taken the task.
//
// Codes: CodeNotFound; CodeInvalid; CodeFenced if the epoch is not that of the
// attempt that holds the task: then the agent must stop. A retry does no harm.
func (s *Tasks) Heartbeat(ctx context.Context, id string, epoch int64, lease time.Duration) (held *nexus.Attempt, err error) {
	if lease != 0 {
		if err := nexus.ValidateLease(lease); err != nil {
			return nil, err
		}
	}
	err = s.run.writeBeside(ctx, func(c driver.Conn, _ *settlement) error {
		held, err = heartbeat(ctx, c, id, epoch, lease, s.now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return held, nil
}

func heartbeat(ctx context.Context, c driver.Conn, id string, epoch int64, lease time.Duration, clock func() time.Time) (*nexus.Attempt, error) {
	held, err := lockOpenAttempt(ctx, c, id)
	if err != nil {
		return nil, err
	}
	now := clock() // when it has it; see decide
	if held == nil || held.Epoch != epoch {
		return nil, fenced(ctx, c, id, epoch)
	}
	if lease != 0 {
		held.Lease = lease
	}
	held.LeaseUntil = fromMicros(micros(now.Add(held.Lease)))
	_, err = c.Exec(ctx, extendLease, driver.Text(id), driver.Int(epoch),
		driver.Int(held.Lease.Microseconds()), driver.Int(micros(held.LeaseUntil)))
	if err != nil {
		return nil, err
	}
	return held, signOfLife(ctx, c, held.AgentID, now)
}

const noteActivity = `UPDATE agents SET last_activity_at = $2 WHERE id = $1 AND last_activity_at < $2`

// signOfLife is no revision of the agent; see the migrations.
func signOfLife(ctx context.Context, c driver.Conn, agent string, now time.Time) error {
	_, err := c.Exec(ctx, noteActivity, driver.Text(agent), driver.Int(now.Unix()))
	return err
}

const storeProgress = `UPDATE task_attempts SET progress = $3 WHERE epoch = $2 AND task_id = $1`

// Progress stores what the agent that holds a task says of its work, in place of
// what it said before, and is a heartbeat as well; see there for its errors.
func (s *Tasks) Progress(ctx context.Context, id string, epoch int64, p nexus.Progress) (held *nexus.Attempt, err error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	err = s.run.writeBeside(ctx, func(c driver.Conn, _ *settlement) error {
		if held, err = heartbeat(ctx, c, id, epoch, 0, s.now); err != nil {
			return err
		}
		p.At = held.LeaseUntil.Add(-held.Lease).Truncate(time.Second)
		text, err := encode(p, false)
		if err == nil {
			_, err = c.Exec(ctx, storeProgress, driver.Text(id), driver.Int(epoch), text)
		}
		held.Progress = &p
		return err
	})
	if err != nil {
		return nil, err
	}
	return held, nil
}
