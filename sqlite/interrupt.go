package sqlite

import (
	"context"
	"sync"

	"zombiezen.com/go/sqlite"
)

// interrupt stops what a connection is doing. zombiezen wants a channel for that
// and starts a goroutine for each; this one serves until it has been used.
type interrupt struct {
	sq *sqlite.Conn

	mu      sync.Mutex
	fired   bool
	channel chan struct{} // closed to interrupt; replaced only by arm
}

// arm makes the interrupt ready. It is called by whoever uses the connection.
func (i *interrupt) arm() {
	i.mu.Lock()
	i.channel, i.fired = make(chan struct{}), false
	i.mu.Unlock()
	i.sq.SetInterrupt(i.channel)
}

// fire interrupts the connection, once. It may be called from anywhere.
func (i *interrupt) fire() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.fired {
		i.fired = true
		close(i.channel)
	}
}

// watch lets the end of ctx interrupt the connection until the returned function
// is called. SQLite then stops within a few instructions of its virtual machine.
// Watches may nest: a statement may have a context of its own.
func (c *conn) watch(ctx context.Context) (unwatch func()) {
	outer := c.watched
	if c.watched = ctx.Done(); c.watched == nil && outer == nil {
		return func() {} // nothing to watch, as in most programs' own calls
	}
	if c.watched == nil {
		return func() { c.watched = outer }
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.interrupt.fire()
		close(fired)
	})
	return func() {
		c.watched = outer
		if stop() {
			return
		}
		<-fired
		c.stopped = true
		c.interrupt.arm()
		select {
		case <-outer: // ended as well, and its interrupt was the one just used
			c.interrupt.fire()
		default:
		}
	}
}
