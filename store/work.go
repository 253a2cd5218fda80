package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// The steps of a task that an agent works on. Each takes the epoch of the attempt
// that holds the task, and is refused with CodeFenced if it is another by now.
// nexus.AnyEpoch ends the attempt whoever holds the task. The epoch 0 is for tasks
// that nobody holds; the state machine says what may become of them. Only Unblock
// and Reopen make one pending that is blocked, has ended or waits for a person.
//
// An epoch names one attempt, so repeating a call that has succeeded changes
// nothing and succeeds again.

// Complete ends the work on a task: it is done, and what depends on it may start.
// actual_minutes becomes the time that all attempts at it took, rounded up.
//
// Codes: CodeFenced, CodeNotFound, CodeTransition, CodeInvalid.
func (s *Tasks) Complete(ctx context.Context, id string, epoch int64, evidence nexus.Evidence) (*nexus.Task, error) {
	if err := evidence.Validate(); err != nil {
		return nil, err
	}
	return s.decide(ctx, id, epoch, decision{
		verb: "complete", outcome: nexus.OutcomeCompleted, evidence: &evidence,
		update: func(*nexus.Task) nexus.TaskUpdate { return nexus.TaskUpdate{Status: new(nexus.TaskCompleted)} },
	})
}

// Failure is how an attempt failed.
type Failure struct {
	Reason   string
	Evidence nexus.Evidence
	Final    bool // trying again makes no sense
}

// Fail ends an attempt without success. The task becomes pending again, or
// escalated when its attempts are used up or the failure is final. Its codes are
// those of Complete.
func (s *Tasks) Fail(ctx context.Context, id string, epoch int64, f Failure) (*nexus.Task, error) {
	if err := f.Evidence.Validate(); err != nil {
		return nil, err
	}
	return s.decide(ctx, id, epoch, decision{
		verb: "fail", outcome: nexus.OutcomeFailed, reason: f.Reason, evidence: &f.Evidence,
		update: func(t *nexus.Task) nexus.TaskUpdate { return afterFailure(t, f.Final) }, endsWork: true,
	})
}

// afterFailure counts a failed attempt, and decides whether there is another.
func afterFailure(t *nexus.Task, final bool) nexus.TaskUpdate {
	u := givenBack(t)
	// Another program may have put any number there; that must not keep the task
	// from being taken back, and with it every claim from succeeding.
	u.FailedAttempts = new(min(max(t.FailedAttempts, 0), math.MaxInt-1) + 1)
	if final || *u.FailedAttempts >= t.MaxAttempts {
		u.Status, u.AssignedAgent = new(nexus.TaskEscalated), nil
	}
	return u
}

// givenBack lets others claim the task.
func givenBack(*nexus.Task) nexus.TaskUpdate {
	return nexus.TaskUpdate{Status: new(nexus.TaskPending), AssignedAgent: new("")}
}

// Release gives a task back, for others to claim; this does not count as a failed
// attempt. Its codes are those of Complete.
func (s *Tasks) Release(ctx context.Context, id string, epoch int64, reason string) (*nexus.Task, error) {
	return s.decide(ctx, id, epoch, decision{
		verb: "release", outcome: nexus.OutcomeReleased, reason: reason, update: givenBack, endsWork: true,
	})
}

// Block says that something other than a task has to happen first. The task is
// held back until Unblock. Its codes are those of Complete.
func (s *Tasks) Block(ctx context.Context, id string, epoch int64, reason string) (*nexus.Task, error) {
	if reason == "" {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Kind: nexus.KindTask, ID: id, Problems: []nexus.Problem{{
			Field: "reason", Message: "is required",
		}}}
	}
	return s.decide(ctx, id, epoch, decision{
		verb: "block", outcome: nexus.OutcomeBlocked, reason: reason,
		update: func(*nexus.Task) nexus.TaskUpdate {
			return nexus.TaskUpdate{Status: new(nexus.TaskBlocked), BlockedBy: &reason, AssignedAgent: new("")}
		},
	})
}

// Unblock lets a task that was blocked go on. One that is not blocked stays as it
// is, so that a call that comes late does not have it done again. Its codes are
// those of Complete.
func (s *Tasks) Unblock(ctx context.Context, id string) (*nexus.Task, error) {
	return s.decide(ctx, id, 0, decision{
		verb: "unblock", outcome: nexus.OutcomeReleased,
		update: func(t *nexus.Task) nexus.TaskUpdate {
			u := nexus.TaskUpdate{BlockedBy: new("")}
			if t.Status == nexus.TaskBlocked {
				u.Status = new(nexus.TaskPending)
			}
			return u
		},
	})
}

// Skip says that a task is not to be done after all. What depends on it may start.
// Its codes are those of Complete.
func (s *Tasks) Skip(ctx context.Context, id string, epoch int64, reason string) (*nexus.Task, error) {
	return s.decide(ctx, id, epoch, decision{
		verb: "skip", outcome: nexus.OutcomeSkipped, reason: reason,
		update: func(*nexus.Task) nexus.TaskUpdate { return nexus.TaskUpdate{Status: new(nexus.TaskSkipped)} },
	})
}

// Reopen makes a task pending again that was completed, skipped, failed or
// escalated, with all its attempts and QA iterations before it. What depends on
// it and has not started waits for it again. Its codes are those of Complete.
func (s *Tasks) Reopen(ctx context.Context, id, reason string) (*nexus.Task, error) {
	return s.decide(ctx, id, 0, decision{
		verb: "reopen", outcome: nexus.OutcomeReopened, reason: reason,
		update: func(*nexus.Task) nexus.TaskUpdate {
			return nexus.TaskUpdate{
				Status: new(nexus.TaskPending), AssignedAgent: new(""), BlockedBy: new(""),
				FailedAttempts: new(0), QAIterations: new(0),
			}
		},
	})
}

// QA counts one round of reviewing and mending of a task that an agent holds. When
// the task has had as many as it may, the attempt ends and the task is escalated.
// It is a heartbeat as well. Its codes are those of Complete; unlike the others
// it counts again when it is repeated, unless within [Once].
func (s *Tasks) QA(ctx context.Context, id string, epoch int64, note string) (t *nexus.Task, err error) {
	if err := nexus.ValidateReason(note); err != nil {
		return nil, err
	}
	err = s.run.writeBeside(ctx, func(c driver.Conn, end *settlement) error {
		before, err := tasks.mustLock(ctx, c, id)
		if err != nil {
			return err
		}
		now := s.now()
		if err := reviewed(ctx, c, id, epoch, now); err != nil {
			return err
		}
		if before.QAIterations+1 >= before.MaxIterations {
			reason := "the QA iterations are used up"
			if note != "" {
				reason += ": " + note
			}
			t, err = decide(ctx, c, end, id, epoch, at(now), decision{
				verb: "qa", outcome: nexus.OutcomeEscalated, reason: reason,
				update: func(t *nexus.Task) nexus.TaskUpdate {
					return nexus.TaskUpdate{Status: new(nexus.TaskEscalated), QAIterations: new(t.QAIterations + 1)}
				},
			})
			return err
		}
		end.did("qa", before.AssignedAgent)
		after := *before
		nexus.TaskUpdate{QAIterations: new(before.QAIterations + 1)}.Apply(&after, now.UTC().Truncate(time.Second))
		t = &after
		return tasks.update(ctx, c, before, t)
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// reviewed is the heartbeat of a review. That of a person, who acts whoever holds
// the task, is no sign of life of its agent.
func reviewed(ctx context.Context, c driver.Conn, id string, epoch int64, now time.Time) error {
	if epoch == nexus.AnyEpoch {
		held, err := openAttempt(ctx, c, id)
		if err == nil && held == nil {
			err = fenced(ctx, c, id, 0)
		}
		return err
	}
	_, err := heartbeat(ctx, c, id, epoch, 0, at(now))
	return err
}

// decision ends an attempt, if there is one, and changes the task.
type decision struct {
	verb     string // what the history calls it
	outcome  nexus.Outcome
	reason   string
	evidence *nexus.Evidence
	update   func(before *nexus.Task) nexus.TaskUpdate

	// endsWork says that there must be work under way, if only another program's.
	endsWork bool
}

func (s *Tasks) decide(ctx context.Context, id string, epoch int64, d decision) (t *nexus.Task, err error) {
	if err := nexus.ValidateReason(d.reason); err != nil {
		return nil, err
	}
	err = s.run.writeBeside(ctx, func(c driver.Conn, end *settlement) error {
		t, err = decide(ctx, c, end, id, epoch, s.now, d)
		return err
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// at is a clock that stands still.
func at(now time.Time) func() time.Time { return func() time.Time { return now } }

// decide looks at the clock when it has the task: where it has to wait for that, it is as
// if the call had come then.
func decide(ctx context.Context, c driver.Conn, end *settlement, id string, epoch int64, clock func() time.Time, d decision) (*nexus.Task, error) {
	before, err := tasks.mustLock(ctx, c, id)
	if err != nil {
		return nil, err
	}
	now := clock()
	ended, err := endAttempt(ctx, c, id, epoch, now, d)
	if err != nil {
		return nil, err
	}
	if ended == repeated {
		return before, nil
	}
	switch {
	case ended == open && epoch == nexus.AnyEpoch: // not by the agent that held it
		end.did(d.verb+" by force", "")
	case ended == open:
		end.did(d.verb, before.AssignedAgent)
	default:
		end.did(d.verb, "")
	}
	after := *before
	d.update(before).Apply(&after, now.UTC().Truncate(time.Second))
	if ended == unheld {
		if err := refuseHeld(ctx, c, id); err != nil {
			return nil, err
		}
		if d.endsWork {
			if err := refuseIdle(before, d.outcome); err != nil {
				return nil, err
			}
		}
	}
	if after.Status == nexus.TaskCompleted {
		if err := addUp(ctx, c, &after); err != nil {
			return nil, err
		}
	}
	if err := after.ValidateUpdate(before); err != nil {
		return nil, err
	}
	if ended == unheld && (d.reason != "" || !d.evidence.IsZero()) {
		if err := recordDecision(ctx, c, id, now, d); err != nil {
			return nil, err
		}
	}
	return &after, tasks.update(ctx, c, before, &after)
}

// ending says what endAttempt has found.
type ending int

const (
	open     ending = iota // the attempt held the task, and has been ended
	repeated               // it had been ended in the same way before
	unheld                 // there is none, and none was asked for
)

const finishAttempt = `
	UPDATE task_attempts SET
		ended_us = CASE WHEN claimed_us > $3 THEN claimed_us ELSE $3 END,
		outcome = $4, reason = $5, evidence = $6
	WHERE task_id = $1 AND held = 1 AND (epoch = $2 OR $2 = -1)`

// endAttempt ends the attempt with an epoch. The database sees to its agent.
func endAttempt(ctx context.Context, c driver.Conn, id string, epoch int64, now time.Time, d decision) (ending, error) {
	if epoch == 0 {
		return unheld, nil
	}
	evidence, err := encode(d.evidence, d.evidence.IsZero())
	if err != nil {
		return 0, err
	}
	n, err := c.Exec(ctx, finishAttempt, driver.Text(id), driver.Int(epoch), driver.Int(micros(now)),
		driver.Text(d.outcome), driver.TextOrNull(d.reason), evidence)
	switch {
	case err != nil:
		return 0, err
	case n > 0:
		return open, nil
	case epoch == nexus.AnyEpoch:
		return unheld, nil
	}
	past, err := readAttempt(ctx, c, selectAttempt+` WHERE a.epoch = $1 AND a.task_id = $2`, driver.Int(epoch), driver.Text(id))
	if err != nil {
		return 0, err
	}
	if past != nil && past.Outcome == d.outcome {
		return repeated, nil
	}
	return 0, fenced(ctx, c, id, epoch)
}

// refuseHeld refuses a call without an epoch for a task that an agent holds.
func refuseHeld(ctx context.Context, c driver.Conn, id string) error {
	held, err := openAttempt(ctx, c, id)
	if err == nil && held != nil {
		err = fenced(ctx, c, id, 0)
	}
	return err
}

// refuseIdle refuses to end work that nobody is at, as when such a call comes late
// or without its epoch. To release what is free already does no harm.
func refuseIdle(before *nexus.Task, outcome nexus.Outcome) error {
	pending := before.Status == nexus.TaskPending
	if before.Status.InFlight() || !before.Status.Known() || pending && outcome == nexus.OutcomeReleased {
		return nil
	}
	e := &nexus.Error{
		Code: nexus.CodeTransition, Kind: nexus.KindTask, ID: before.ID,
		Message: fmt.Sprintf("nobody is at work on it, and its status is %s", before.Status),
		Hint:    "nothing was changed; nexus reopen " + before.ID + " has it done again",
	}
	if pending {
		e.Hint = "nothing was changed; claim it first"
	}
	return e
}

const insertDecision = `
	INSERT INTO task_attempts (task_id, agent_id, claimed_us, lease_us, lease_until_us, ended_us, outcome, reason, evidence)
	VALUES ($1, '', $2, 0, $2, $2, $3, $4, $5)`

// recordDecision keeps the reason for what became of a task that nobody held.
func recordDecision(ctx context.Context, c driver.Conn, id string, now time.Time, d decision) error {
	evidence, err := encode(d.evidence, d.evidence.IsZero())
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, insertDecision, driver.Text(id), driver.Int(micros(now)),
		driver.Text(d.outcome), driver.TextOrNull(d.reason), evidence)
	return err
}

// addUp makes actual_minutes what all attempts at a task took, rounded up.
func addUp(ctx context.Context, c driver.Conn, t *nexus.Task) error {
	const sql = `SELECT sum(ended_us - claimed_us) FROM task_attempts WHERE task_id = $1 AND ended_us IS NOT NULL AND agent_id <> ''`
	return c.Query(ctx, sql, []driver.Arg{driver.Text(t.ID)}, func(r driver.Row) error {
		if !r.IsNull(0) {
			spent := time.Duration(r.Int(0)) * time.Microsecond
			t.ActualMinutes = int((spent + time.Minute - 1) / time.Minute)
		}
		return nil
	})
}
