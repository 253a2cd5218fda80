package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/puddle/v2"

	"github.com/seed-c8812374/nexus"
)

// connect takes a connection, waiting its turn among reads or writes. It fails at
// once if there is no server.
func (d *db) connect(ctx context.Context, turn chan struct{}) (*conn, error) {
	if ctx.Err() != nil {
		return nil, canceled(ctx)
	}
	if d.isClosed() {
		return nil, errClosed()
	}
	select {
	case turn <- struct{}{}:
	default:
		patience := time.NewTimer(d.options.Patience)
		defer patience.Stop()
		select {
		case turn <- struct{}{}:
		case <-d.closing:
			return nil, errClosed()
		case <-ctx.Done():
			return nil, canceled(ctx)
		case <-patience.C:
			return nil, &nexus.Error{
				Code: nexus.CodeBusy, Message: "all connections of this process are in use",
				Hint: "nothing was changed; try again, or allow more with pool_max_conns in the URL",
			}
		}
	}
	c := &conn{db: d, turn: turn}
	if err := c.acquire(ctx); err != nil {
		<-turn
		return nil, err
	}
	return c, nil
}

// acquire gives the connection a session of the server.
func (c *conn) acquire(ctx context.Context) error {
	d := c.db
	from, err := d.pool.Acquire(ctx)
	switch {
	case err == nil:
		c.from, c.pg = from, from.Conn().PgConn()
		c.keep = statementsOf(c.pg)
		return nil
	case ctx.Err() != nil:
		return canceled(ctx)
	case errors.Is(err, puddle.ErrClosedPool):
		return errClosed()
	default:
		return d.classify(err)
	}
}

// release gives the session back. One that is in the middle of something is closed.
func (c *conn) release() {
	if c.from != nil {
		c.from.Release()
		c.from = nil
	}
	<-c.turn
}

// replace takes another session in place of one that is lost.
func (c *conn) replace(ctx context.Context) error {
	if c.from != nil {
		c.from.Release()
		c.from = nil
	}
	return c.acquire(ctx)
}

// A deadline is when a call gives up.
type deadline struct {
	at    time.Time
	tries int
}

func (d *db) deadline() *deadline { return &deadline{at: time.Now().Add(d.options.Patience)} }

// wait pauses before another try, longer from time to time, and by chance, so that
// those who have got in each other's way do not meet again. It reports whether
// there is time for another.
func (w *deadline) wait(ctx context.Context, longest time.Duration) bool {
	pause := min(longest, time.Millisecond<<min(w.tries, 10))
	pause = pause/2 + rand.N(pause)
	w.tries++
	if time.Now().Add(pause).After(w.at) {
		return false
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
