package worker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/process"
	"github.com/seed-c8812374/nexus/store"
)

// shift is one run of a worker.
type shift struct {
	Worker
	process string // the name of this process

	slots sync.WaitGroup // the goroutines that run commands
	news  chan struct{}  // receives when one of them may have made room or work

	logging sync.Mutex

	mu        sync.Mutex
	busy      int // slots in use
	claimed   int // how many tasks have been claimed
	reserved  int // how many are perhaps being claimed
	summary   Summary
	cooling   map[string]cooling // tasks that were given back, by id
	unstarted int                // how often in a row the command could not be started
	restUntil time.Time          // because of that
}

// cooling keeps a worker from taking a task again that it has just given back.
type cooling struct {
	times int
	until time.Time
}

// Pauses before something is tried again, which double each time.
const (
	firstPause   = time.Second
	longestPause = time.Minute
)

// pause returns the pause after n failures in a row.
func pause(n int) time.Duration {
	return min(firstPause<<min(max(n-1, 0), 10), longestPause)
}

func (s *shift) log(task, format string, args ...any) {
	if s.Log == nil {
		return
	}
	s.logging.Lock()
	defer s.logging.Unlock()
	s.Log(task, fmt.Sprintf(format, args...))
}

// request is a claim of this process.
func (s *shift) request(count int) nexus.ClaimRequest {
	r := s.Worker.request(count)
	r.Process = s.process
	return r
}

// begin takes back what dead agents hold, perhaps among them the last worker of
// this name, and registers the agent.
func (s *shift) begin(ctx context.Context) error {
	filter := s.Filter
	filter.Limit = 1
	if _, err := s.DB.Tasks.Ready(ctx, filter); err != nil {
		return err // a filter that makes no sense, before anything is changed
	}
	if err := s.recover(ctx); err != nil {
		return err
	}
	_, err := s.DB.Agents.Register(ctx, nexus.Agent{ID: s.AgentID, Type: s.AgentType})
	return err
}

func (s *shift) recover(ctx context.Context) error {
	report, err := s.DB.Recover(ctx, nexus.RecoverRequest{Dead: process.Gone})
	if err != nil {
		return err
	}
	for _, t := range report.Tasks {
		s.log(t.TaskID, "taken back from %s: %s; it is %s now", t.AgentID, t.Reason, t.Became)
	}
	for _, a := range report.Agents {
		s.log("", "agent %s was terminated: %s", a.AgentID, a.Reason)
	}
	for _, p := range report.Sessions {
		s.log("", "session %s of project %s was paused: nobody is at work there", p.SessionID, p.ProjectID)
	}
	if report.MendedLeases > 0 {
		s.log("", "leases from a clock that was ahead, now mended: %d", report.MendedLeases)
	}
	return nil
}

// Waits before looking again for something to do, which grow while there is
// nothing.
const (
	firstWait   = 50 * time.Millisecond
	longestWait = time.Second
)

// jittered keeps workers that were started together from waking together.
func jittered(d time.Duration) time.Duration { return d/2 + rand.N(d/2) }

// loop fills free slots until there is a reason to end.
func (s *shift) loop(ctx context.Context) error {
	news, stop := s.DB.Subscribe()
	defer stop()
	wait, quiet, failing := firstWait, false, false
	for ctx.Err() == nil && !s.spent() {
		var again <-chan time.Time
		var fromOthers <-chan struct{}
		if free := s.free(); free > 0 {
			alone := free == s.Concurrency // and stays so: only this goroutine begins anything
			n, err := s.take(ctx, free)
			if n > 0 {
				wait, quiet = firstWait, false
				continue
			}
			over := false
			if err == nil {
				over, err = s.idle(ctx)
			}
			switch {
			case err != nil && !retryable(err):
				return err
			case err != nil && !failing:
				s.log("", "%v; trying again", err)
			case err != nil:
			case over && alone && s.UntilEmpty:
				return s.countLeft(ctx)
			case !quiet && alone:
				s.log("", "nothing is ready; waiting")
				quiet = true
			}
			failing = err != nil
			again, fromOthers = s.After(jittered(wait)), news
			wait = min(2*wait, longestWait)
		}
		select {
		case <-ctx.Done():
		case <-again:
		case <-fromOthers:
		case <-s.news:
			wait = firstWait
		}
	}
	return nil
}

func retryable(err error) bool {
	code := nexus.CodeOf(err)
	return code == nexus.CodeBusy || code == nexus.CodeFull
}

// spent reports whether as many tasks have been claimed as there may be.
func (s *shift) spent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.MaxTasks > 0 && s.claimed >= s.MaxTasks
}

func (s *shift) free() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Concurrency - s.busy
}

// reserve returns how many of n tasks may be claimed now. The caller says with
// claims how many it has got.
func (s *shift) reserve(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.MaxTasks > 0 {
		n = min(n, s.MaxTasks-s.claimed-s.reserved)
	}
	if s.Now().Before(s.restUntil) {
		n = 0
	}
	s.reserved += n
	return n
}

func (s *shift) claims(reserved, got int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved -= reserved
	s.claimed += got
}

// take claims up to n tasks, and starts to work on them.
func (s *shift) take(ctx context.Context, n int) (int, error) {
	if n = s.reserve(n); n == 0 {
		return 0, nil
	}
	claims, err := s.claim(ctx, n)
	s.claims(n, len(claims))
	for i := range claims {
		s.start(ctx, &claims[i])
	}
	return len(claims), err
}

// claim claims up to n tasks. It looks before, so that a worker that has nothing
// to do never takes the database's write lock.
func (s *shift) claim(ctx context.Context, n int) ([]nexus.Claim, error) {
	cool := s.cool()
	filter := s.Filter
	filter.Limit = 1
	if len(cool) > 0 {
		filter.Limit = n + len(cool)
	}
	list, err := s.DB.Tasks.Ready(ctx, filter)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	if len(cool) == 0 {
		claims, err := s.DB.Tasks.Claim(ctx, s.request(n))
		if nexus.CodeOf(err) == nexus.CodeOverBudget { // since a moment ago; somebody may raise it
			err = nil
		}
		return claims, err
	}
	var claims []nexus.Claim
	for i := range list {
		if cool[list[i].ID] || len(claims) == n {
			continue
		}
		request := s.request(1)
		request.TaskID = list[i].ID
		claimed, err := s.DB.Tasks.Claim(ctx, request)
		switch nexus.CodeOf(err) {
		case nexus.CodeNotReady, nexus.CodeNotFound, nexus.CodeOverBudget: // somebody was faster
		case "":
			claims = append(claims, claimed...)
		default:
			return claims, err
		}
	}
	return claims, nil
}

// cool returns the tasks that are not to be taken again yet.
func (s *shift) cool() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	cool := make(map[string]bool)
	for id, c := range s.cooling {
		if s.Now().Before(c.until) {
			cool[id] = true
		}
	}
	return cool
}

// start works on a claim in a slot, and in the same slot on what follows from it.
func (s *shift) start(ctx context.Context, c *nexus.Claim) {
	s.mu.Lock()
	s.busy++
	s.mu.Unlock()
	s.slots.Go(func() {
		for c != nil {
			c = s.work(ctx, c)
			s.hint()
		}
		s.mu.Lock()
		s.busy--
		s.mu.Unlock()
		s.hint()
	})
}

// hint has the loop look again.
func (s *shift) hint() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// idle looks after the others while there is nothing to do: what dead ones hold
// is taken back. It reports whether nobody is at work any more, so that nothing
// can become ready.
func (s *shift) idle(ctx context.Context) (over bool, err error) {
	var held []nexus.Attempt
	var ready, dead bool
	err = s.DB.View(ctx, func(tx *store.Tx) error {
		filter := s.Filter
		filter.Limit = 1
		list, err := tx.Tasks.Ready(ctx, filter)
		if err != nil {
			return err
		}
		ready = len(list) > 0
		all, err := tx.Tasks.InFlight(ctx)
		if err != nil {
			return err
		}
		for _, a := range all {
			// Our own are extended by those who work on them.
			others := a.Process == "" || a.Process != s.process
			dead = dead || others && (!a.LeaseUntil.After(s.Now()) || process.Gone(a.Process))
			if s.Filter.ProjectID != "" {
				t, err := tx.Tasks.Get(ctx, a.TaskID)
				if err != nil {
					return err
				}
				if t.ProjectID != s.Filter.ProjectID {
					continue
				}
			}
			held = append(held, a)
		}
		return nil
	})
	switch {
	case err != nil:
		return false, err
	case dead:
		return false, s.recover(ctx)
	}
	return !ready && len(held) == 0, nil
}

// countLeft says what remains when nothing more can be done.
func (s *shift) countLeft(ctx context.Context) error {
	counts, err := s.DB.Tasks.CountByStatus(ctx, nexus.TaskFilter{
		ProjectID: s.Filter.ProjectID, FeatureID: s.Filter.FeatureID, SubFeatureID: s.Filter.SubFeatureID,
		Priority: s.Filter.Priority,
	})
	if err != nil {
		return err
	}
	left := &Left{ByStatus: make(map[nexus.TaskStatus]int64)}
	for status, n := range counts {
		if !status.Ended() {
			left.Total += n
			left.ByStatus[status] = n
		}
	}
	if left.Total > 0 {
		s.summary.Left = left
	}
	return nil
}

// sayStopping says that the work ends before its time. An error with which
// nothing has to be stopped is for the caller to tell.
func (s *shift) sayStopping(err error) {
	s.mu.Lock()
	busy := s.busy
	s.mu.Unlock()
	why := "stopping"
	if err != nil && nexus.CodeOf(err) != nexus.CodeCanceled {
		why = fmt.Sprintf("stopping, because of an error: %v", err)
	}
	switch {
	case busy > 0:
		s.log("", "%s; commands at work, which have %v to end: %d", why, s.Grace, busy)
	case err == nil || nexus.CodeOf(err) == nexus.CodeCanceled:
		s.log("", "%s", why)
	}
}
