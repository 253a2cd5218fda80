package sqlite

import (
	"context"
	"time"
)

// SQLite's own busy handler, with which other programs wait for the write lock,
// looks once in 100 ms when it has waited for long. Against a process that takes
// the lock again right after each commit it hardly ever finds it free, and gives
// up with "database is locked" after its time-out of some seconds.
const (
	courtesyPause  = 110 * time.Millisecond // longer than any wait of that handler
	courtesyPeriod = time.Second            // of writing without a break
)

// courtesy leaves the write lock alone for a moment when this process has been
// writing without a break and another has the file open. It is owned by whoever
// has the writer's turn.
type courtesy struct {
	lastCommit time.Time
	lastBreak  time.Time // since when there has been no pause
}

func (c *courtesy) committed() { c.lastCommit = time.Now() }

// pause waits, if it is time to. The end of ctx cuts it short.
func (c *courtesy) pause(ctx context.Context, path string) {
	now := time.Now()
	if now.Sub(c.lastCommit) >= courtesyPause {
		c.lastBreak = now
	}
	if now.Sub(c.lastBreak) < courtesyPeriod {
		return
	}
	c.lastBreak = now
	if !openElsewhere(path) {
		return
	}
	timer := time.NewTimer(courtesyPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	c.lastBreak = time.Now()
}
