package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-c8812374/nexus"
)

// pulse extends the lease of a claim until it is ended.
type pulse struct {
	lost chan error // receives the reason if the task is not ours any more
	stop context.CancelFunc
	done chan struct{}
}

func (p *pulse) end() {
	p.stop()
	<-p.done
}

// A heartbeat that fails is tried again after a pause, which doubles.
const (
	firstBeatPause   = 100 * time.Millisecond
	longestBeatPause = 5 * time.Second
)

// keep extends the lease of a claim. It goes on when the worker is stopped, as
// long as the command runs.
func (s *shift) keep(c *nexus.Claim) *pulse {
	ctx, stop := context.WithCancel(context.Background())
	p := &pulse{lost: make(chan error, 1), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		if err := s.beat(ctx, c); err != nil {
			p.lost <- err
		}
	}()
	return p
}

// beat returns nil when ctx ends or the command itself has ended the attempt, and
// else why the task is lost.
func (s *shift) beat(ctx context.Context, c *nexus.Claim) error {
	until, wait, failed := c.LeaseUntil, s.Lease/3, time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.After(wait):
		}
		// A call that waits for another program's lock must not outlast the lease,
		// but has a moment at least.
		trying, cancel := context.WithTimeout(ctx, max(until.Sub(s.Now()), time.Second))
		held, err := s.DB.Tasks.Heartbeat(trying, c.TaskID, c.Epoch, 0)
		cancel()
		switch code := nexus.CodeOf(err); {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			until, wait, failed = held.LeaseUntil, held.Lease/3, 0
		case code == nexus.CodeFenced && decidedAtWork(s.outcome(ctx, c)):
			return nil
		case code == nexus.CodeFenced, code == nexus.CodeNotFound:
			return err
		case !s.Now().Before(until):
			return fmt.Errorf("the lease is over, and could not be extended: %w", err)
		default:
			if failed == 0 {
				s.log(c.TaskID, "the lease could not be extended: %v; trying again", err)
			}
			failed = min(max(2*failed, firstBeatPause), longestBeatPause)
			wait = min(failed, until.Sub(s.Now()))
		}
	}
}

// decidedAtWork reports whether an outcome is one that the command itself brings
// about by calling Nexus, in which case it is left to come to its end. Others
// mean that somebody has taken the task away.
func decidedAtWork(o nexus.Outcome) bool {
	switch o {
	case nexus.OutcomeCompleted, nexus.OutcomeFailed, nexus.OutcomeBlocked, nexus.OutcomeEscalated:
		return true
	}
	return false
}
