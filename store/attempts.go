package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Attempts returns the attempts at a task, oldest first. Code: CodeNotFound.
func (s *Tasks) Attempts(ctx context.Context, id string) (list []nexus.Attempt, err error) {
	const sql = selectAttempt + ` WHERE a.task_id = $1 ORDER BY a.epoch`
	err = s.run.snapshot(ctx, func(c driver.Conn) error {
		if _, err := tasks.mustGet(ctx, c, id); err != nil {
			return err
		}
		list, err = readAttempts(ctx, c, sql, driver.Text(id))
		return err
	})
	return list, err
}

// InFlight returns the attempts that hold a task now. The first is the one whose
// lease ends first.
func (s *Tasks) InFlight(ctx context.Context) (list []nexus.Attempt, err error) {
	err = s.run.read(ctx, func(c driver.Conn) error {
		list, err = readAttempts(ctx, c, selectOpen)
		return err
	})
	return list, err
}

const selectAttempt = `
	SELECT a.epoch, a.task_id, a.agent_id, a.claimed_us, a.lease_us, a.lease_until_us, a.process, a.progress,
		a.ended_us, a.outcome, a.reason, a.evidence
	FROM task_attempts a`

// selectOpen has the order of the index of open attempts; in that of epochs all
// that have ended would be read as well.
const selectOpen = selectAttempt + ` WHERE a.ended_us IS NULL ORDER BY a.lease_until_us, a.epoch`

func scanAttempt(a *nexus.Attempt, r driver.Row) {
	*a = nexus.Attempt{
		Epoch: r.Int(0), TaskID: r.Text(1), AgentID: r.Text(2),
		ClaimedAt: fromMicros(r.Int(3)), Lease: time.Duration(r.Int(4)) * time.Microsecond, LeaseUntil: fromMicros(r.Int(5)),
		Process: r.Text(6), Outcome: nexus.Outcome(r.Text(9)), Reason: r.Text(10),
	}
	// What is not the JSON that Nexus writes there is left out.
	if text := r.Text(7); text != "" {
		progress := new(nexus.Progress)
		if json.Unmarshal([]byte(text), progress) == nil {
			a.Progress = progress
		}
	}
	if !r.IsNull(8) {
		a.EndedAt, a.LeaseUntil = fromMicros(r.Int(8)), time.Time{}
	}
	if text := r.Text(11); text != "" {
		evidence := new(nexus.Evidence)
		if json.Unmarshal([]byte(text), evidence) == nil {
			a.Evidence = evidence
		}
	}
}

func readAttempts(ctx context.Context, c driver.Conn, sql string, args ...driver.Arg) (list []nexus.Attempt, err error) {
	err = c.Query(ctx, sql, args, func(r driver.Row) error {
		list = append(list, nexus.Attempt{})
		scanAttempt(&list[len(list)-1], r)
		return nil
	})
	return list, err
}

// readAttempt is readAttempts for at most one; nil is none.
func readAttempt(ctx context.Context, c driver.Conn, sql string, args ...driver.Arg) (*nexus.Attempt, error) {
	list, err := readAttempts(ctx, c, sql, args...)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// openAttempt returns the attempt that holds a task, or nil.
func openAttempt(ctx context.Context, c driver.Conn, task string) (*nexus.Attempt, error) {
	return readAttempt(ctx, c, selectAttempt+` WHERE a.task_id = $1 AND a.held = 1`, driver.Text(task))
}

// lockOpenAttempt is openAttempt, of which nobody changes what it returns until the
// transaction ends.
func lockOpenAttempt(ctx context.Context, c driver.Conn, task string) (*nexus.Attempt, error) {
	return readAttempt(ctx, c, selectAttempt+` WHERE a.task_id = $1 AND a.held = 1`+c.Dialect().Lock("a"), driver.Text(task))
}

// micros is how the tables that Nexus adds keep times.
func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// encode returns a value as JSON, and NULL for one that has nothing in it.
func encode(value any, empty bool) (driver.Arg, error) {
	if empty {
		return driver.Null(), nil
	}
	text, err := json.Marshal(value)
	return driver.Text(string(text)), err
}

// fenced is the refusal of a call with an epoch that is not the task's. It tells
// whom the task belongs to now.
func fenced(ctx context.Context, c driver.Conn, task string, epoch int64) error {
	t, err := tasks.mustGet(ctx, c, task)
	if err != nil {
		return err
	}
	now, err := openAttempt(ctx, c, task)
	if err != nil {
		return err
	}
	e := &nexus.Error{Code: nexus.CodeFenced, Kind: nexus.KindTask, ID: task}
	status := string(t.Status)
	if t.Status.InFlight() && t.AssignedAgent != "" { // another program's doing
		status += ", by " + t.AssignedAgent
	}
	switch {
	case now != nil && epoch == 0:
		e.Message = fmt.Sprintf("is %s's, with epoch %d", now.AgentID, now.Epoch)
		e.Hint = "give its epoch if you are that agent; nothing was changed"
	case now != nil:
		e.Message = fmt.Sprintf("is not held with epoch %d: it is %s's, with epoch %d", epoch, now.AgentID, now.Epoch)
		e.Hint = "stop working on it; nothing was changed"
	case epoch == 0 || epoch == nexus.AnyEpoch:
		e.Message = fmt.Sprintf("nobody holds it, and its status is %s", status)
		e.Hint = "claim it first; nothing was changed"
	default:
		e.Message = fmt.Sprintf("is not held with epoch %d: nobody holds it, and its status is %s", epoch, status)
		e.Hint = "claim it again before going on; nothing was changed"
		if t.Status.Ended() {
			e.Hint = "stop working on it; nothing was changed"
		}
		if past, err := readAttempt(ctx, c, selectAttempt+` WHERE a.epoch = $1 AND a.task_id = $2`,
			driver.Int(epoch), driver.Text(task)); err != nil {
			return err
		} else if past != nil {
			e.Message = fmt.Sprintf("is not held with epoch %d any more: that attempt was %s at %s, and the task is %s",
				epoch, past.Outcome, past.EndedAt.Truncate(time.Second).Format(time.RFC3339), status)
		}
	}
	if now != nil {
		e.Stored = now
	}
	return e
}
