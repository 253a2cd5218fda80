package sqlite

import (
	"context"
	"time"
)

// SQLite's own busy handler, with which other programs wait for the write lock,
// looks once in 100 ms when it has waited for long. Against processes that take
// the lock again right after each commit it hardly ever finds it free, and gives
// up with "database is locked" after its time-out of some seconds.
const (
	courtesyPause  = 110 * time.Millisecond // longer than any wait of that handler
	courtesyPeriod = time.Second            // of writing without a break
)

// courtesy leaves the write lock alone for a moment when this process has been
// writing without a break and another program has the file open. It is owned by
// whoever has the writer's turn.
//
// With a turnstile, the one process that makes the pause stays inside, so that
// no other Nexus writes either; and one pause in a second is enough for all.
type courtesy struct {
	lastCommit time.Time
	lastBreak  time.Time // since when there has been no pause
}

func (c *courtesy) committed() { c.lastCommit = time.Now() }

// due reports, when a write comes, whether it is time for a pause before it.
func (c *courtesy) due(now time.Time) bool {
	if now.Sub(c.lastCommit) >= courtesyPause {
		c.lastBreak = now
	}
	return now.Sub(c.lastBreak) >= courtesyPeriod
}

// pause waits, if there is somebody to wait for. The end of ctx cuts it short.
func (c *courtesy) pause(ctx context.Context, path string, turnstile *turnstile) {
	defer func() { c.lastBreak = time.Now() }()
	if turnstile.pausedLately(time.Now()) {
		return
	}
	if foreignersPresent(path) {
		timer := time.NewTimer(courtesyPause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
	turnstile.tellOfPause(time.Now())
}
