package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// Exit statuses with a meaning of their own, from sysexits.h.
const (
	exitFinal = 65 // EX_DATAERR: trying again makes no sense
	exitLater = 75 // EX_TEMPFAIL: not now
)

// whyStopped is the reason of a task that is given back because the worker ends.
const whyStopped = "the worker was stopped"

// work does one task, and returns the claim of the next if it has made one.
func (s *shift) work(ctx context.Context, c *nexus.Claim) *nexus.Claim {
	s.log(c.TaskID, "claimed: %s (attempt %d of %d)", c.Task.Name, c.Task.FailedAttempts+1, c.Task.MaxAttempts)
	alive := s.keep(c)
	defer alive.end()
	r := &result{ending: stopped}
	if ctx.Err() == nil {
		r = s.run(ctx, c, alive)
	}
	for _, line := range r.report.broken {
		s.log(c.TaskID, "its report: %s", line)
	}
	if r.ending == lost {
		s.lose(c, r, r.err)
		return nil
	}
	return s.settle(ctx, c, r, alive)
}

// verdict is what a result means for the task.
type verdict struct {
	step  func(context.Context, *store.Tx) (*nexus.Task, error)
	count *int   // of the summary
	text  string // what happened, for the log
	more  bool   // another task may be claimed with it
}

func (s *shift) verdict(c *nexus.Claim, r *result) verdict {
	took := r.took.Round(time.Millisecond)
	release := func(reason string) verdict {
		return verdict{
			func(ctx context.Context, tx *store.Tx) (*nexus.Task, error) {
				return tx.Tasks.Release(ctx, c.TaskID, c.Epoch, reason)
			},
			&s.summary.Released, "given back: " + reason, false,
		}
	}
	evidence := r.evidence()
	switch {
	case r.ending == unstarted:
		return release(clean("the command could not be started: " + r.err.Error()))
	case r.ran && r.exit == 0:
		return verdict{
			func(ctx context.Context, tx *store.Tx) (*nexus.Task, error) {
				return tx.Tasks.Complete(ctx, c.TaskID, c.Epoch, evidence)
			},
			&s.summary.Completed, fmt.Sprintf("completed after %v", took), true,
		}
	case r.ending == stopped:
		return release(whyStopped)
	case r.exit == exitLater && !r.signaled:
		return release(r.reason("the command asks to try again later (exit status 75)"))
	}
	reason := r.reason(r.state)
	final := r.exit == exitFinal && !r.signaled
	return verdict{
		func(ctx context.Context, tx *store.Tx) (*nexus.Task, error) {
			return tx.Tasks.Fail(ctx, c.TaskID, c.Epoch, store.Failure{Reason: reason, Evidence: evidence, Final: final})
		},
		&s.summary.Failed, fmt.Sprintf("failed after %v: %s", took, reason), true,
	}
}

// reason is what the command says, or else what there is to see.
func (r *result) reason(seen string) string {
	if r.report.reason != "" {
		return r.report.reason
	}
	return seen
}

// stage is how far a transaction has come.
type stage int

const (
	storing stage = iota
	counting
	claiming
)

// settle stores how a task ended, and returns the claim of the next.
func (s *shift) settle(ctx context.Context, c *nexus.Claim, r *result, alive *pulse) *nexus.Claim {
	// What is to be said at the end must not be cut off by it.
	always := context.WithoutCancel(ctx)
	v := s.verdict(c, r)
	s.note(c, r)
	wanted := 0
	if v.more && ctx.Err() == nil && len(s.cool()) == 0 {
		wanted = s.reserve(1)
	}
	task, claims, err := s.store(always, c, r, v, wanted, alive)
	s.claims(wanted, len(claims))
	switch {
	case err == nil:
	case nexus.CodeOf(err) == nexus.CodeFenced && s.selfEnded(always, c, r):
		return nil
	default:
		s.lose(c, r, err)
		return nil
	}
	switch {
	case v.count != &s.summary.Failed:
		s.log(c.TaskID, "%s", v.text)
	case task.Status == nexus.TaskEscalated:
		s.log(c.TaskID, "%s; a person has to look at it", v.text)
	default:
		s.log(c.TaskID, "%s; it will be tried again", v.text)
	}
	s.mu.Lock()
	*v.count++
	s.mu.Unlock()
	if len(claims) == 0 {
		return nil
	}
	return &claims[0]
}

// store stores how a task ended and what it has cost, and claims up to wanted
// others, in one transaction: so a worker needs one commit for each task. What
// cannot be stored now is tried again as long as the lease can be kept. It does
// without the claims, and even without the costs, if the end can be stored so.
func (s *shift) store(ctx context.Context, c *nexus.Claim, r *result, v verdict, wanted int, alive *pulse) (task *nexus.Task, claims []nexus.Claim, err error) {
	costs := true
	for tries := 1; ; tries++ {
		var at stage
		err := s.DB.InTx(ctx, func(tx *store.Tx) (err error) {
			at, claims = storing, nil
			if task, err = v.step(ctx, tx); err != nil {
				return err
			}
			if at = counting; costs {
				if err := s.storeCosts(ctx, tx, c, r); err != nil {
					return err
				}
			}
			if at = claiming; wanted > 0 {
				claims, err = tx.Tasks.Claim(ctx, s.request(wanted))
			}
			return err
		})
		switch {
		case err == nil:
			return task, claims, nil
		case retryable(err):
			if tries == 1 {
				s.log(c.TaskID, "cannot be stored yet: %v; trying again", err)
			}
			select {
			case <-s.After(min(pause(tries), s.Lease/3)):
			case lost := <-alive.lost:
				return nil, nil, lost
			}
		case at == claiming && wanted > 0: // the loop will say what is wrong, if it still is
			wanted = 0
		case at == counting && costs:
			s.log(c.TaskID, "its metrics cannot be stored: %v", err)
			costs = false
		default:
			return nil, nil, err
		}
	}
}

// note remembers what is not to be tried again at once.
func (s *shift) note(c *nexus.Claim, r *result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.ending == unstarted:
		s.unstarted++
		s.restUntil = s.Now().Add(pause(s.unstarted))
	case r.ending == exited:
		s.unstarted = 0
	}
	if r.ending == exited && r.exit == exitLater && !r.signaled {
		again := s.cooling[c.TaskID]
		again.times++
		again.until = s.Now().Add(pause(again.times))
		s.cooling[c.TaskID] = again
	} else {
		delete(s.cooling, c.TaskID)
	}
}

// storeCosts stores what the work has cost.
func (s *shift) storeCosts(ctx context.Context, tx *store.Tx, c *nexus.Claim, r *result) error {
	if !r.ran {
		return nil
	}
	metrics := make([]*nexus.Metric, 0, len(r.report.metrics)+1)
	for _, m := range append([]metric{{Type: "task_duration", Value: r.took.Minutes()}}, r.report.metrics...) {
		metrics = append(metrics, &nexus.Metric{
			ProjectID: c.Task.ProjectID, TaskID: c.TaskID, AgentID: s.AgentID,
			Type: m.Type, Value: m.Value, Metadata: m.Metadata,
		})
	}
	if err := tx.Metrics.CreateMany(ctx, metrics); err != nil {
		return err
	}
	if r.report.tokens == 0 {
		return nil
	}
	agent, err := tx.Agents.Get(ctx, s.AgentID)
	if nexus.CodeOf(err) == nexus.CodeNotFound {
		return nil // somebody has deleted it
	}
	if err == nil {
		_, err = tx.Agents.Update(ctx, s.AgentID, nexus.AgentUpdate{TokensUsed: new(agent.TokensUsed + r.report.tokens)})
	}
	return err
}

// lose gives up a task that is not ours any more, or whose end cannot be stored.
// What it has cost is stored all the same, if possible.
func (s *shift) lose(c *nexus.Claim, r *result, cause error) {
	s.log(c.TaskID, "lost: %s", withoutSubject(cause, c.TaskID))
	s.mu.Lock()
	s.summary.Lost++
	s.mu.Unlock()
	if !r.ran {
		return
	}
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := s.DB.InTx(ctx, func(tx *store.Tx) error { return s.storeCosts(ctx, tx, c, r) })
	if err != nil {
		s.log(c.TaskID, "its metrics cannot be stored: %v", err)
	}
}

// withoutSubject is the text of an error about a task, without the task.
func withoutSubject(err error, task string) string {
	var e *nexus.Error
	if !errors.As(err, &e) || e != err || e.ID != task {
		return err.Error()
	}
	alone := *e
	alone.Kind, alone.ID = "", ""
	return alone.Error()
}

// selfEnded deals with a task that the command has ended by itself, as an agent
// does that knows Nexus. It reports whether that is so.
func (s *shift) selfEnded(ctx context.Context, c *nexus.Claim, r *result) bool {
	outcome := s.outcome(ctx, c)
	count := &s.summary.Released
	switch outcome {
	case nexus.OutcomeCompleted:
		count = &s.summary.Completed
	case nexus.OutcomeFailed:
		count = &s.summary.Failed
	case nexus.OutcomeReleased, nexus.OutcomeBlocked, nexus.OutcomeSkipped, nexus.OutcomeEscalated:
	default:
		return false
	}
	s.log(c.TaskID, "%s while the command ran (%s)", outcome, r.state)
	s.mu.Lock()
	*count++
	s.mu.Unlock()
	if err := s.DB.InTx(ctx, func(tx *store.Tx) error { return s.storeCosts(ctx, tx, c, r) }); err != nil {
		s.log(c.TaskID, "its metrics cannot be stored: %v", err)
	}
	return true
}

// outcome returns how a claim has ended; empty if it has not, or that cannot be
// known.
func (s *shift) outcome(ctx context.Context, c *nexus.Claim) nexus.Outcome {
	attempts, err := s.DB.Tasks.Attempts(ctx, c.TaskID)
	if err != nil {
		return ""
	}
	for _, a := range attempts {
		if a.Epoch == c.Epoch {
			return a.Outcome
		}
	}
	return ""
}
