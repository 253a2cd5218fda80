package sqlite

import (
	"context"
	"errors"
	"sync"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// maxIdleReaders bounds the connections that are kept for the next read. There
// may be more while they are in use: a read never waits for another.
const maxIdleReaders = 8

// readers is the pool of connections that only read.
type readers struct {
	open func(context.Context) (*conn, error)
	most int // connections that are kept

	mu     sync.Mutex
	idle   []*conn
	inUse  int
	closed bool
	unused sync.Cond // of mu: inUse has become 0
}

func newReaders(open func(context.Context) (*conn, error)) *readers {
	r := &readers{open: open, most: maxIdleReaders}
	r.unused.L = &r.mu
	return r
}

// read runs fn on a connection of its own.
func (r *readers) read(ctx context.Context, fn func(*conn) error) error {
	c, err := r.acquire(ctx)
	if err != nil {
		return err
	}
	// Deferred, so that a panic in fn gives the connection back.
	defer r.release(c)
	defer c.watch(ctx)()
	return fn(c)
}

// snapshot runs fn within a read transaction.
func (r *readers) snapshot(ctx context.Context, fn func(driver.Conn) error) error {
	return r.read(ctx, func(c *conn) error {
		if err := c.exec("BEGIN"); err != nil {
			return err
		}
		c.inTx = true
		defer c.rollback()
		return fn(c)
	})
}

func (r *readers) acquire(ctx context.Context) (*conn, error) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, errClosed()
	}
	r.inUse++
	if n := len(r.idle); n > 0 {
		c := r.idle[n-1]
		r.idle = r.idle[:n-1]
		r.mu.Unlock()
		return c, nil
	}
	r.mu.Unlock()
	c, err := r.open(ctx)
	if err != nil {
		r.release(nil)
		return nil, err
	}
	return c, nil
}

// takeIdle takes a connection out of the pool for good. It returns nil if all are in use.
func (r *readers) takeIdle() (c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.idle); n > 0 && !r.closed {
		c, r.idle = r.idle[n-1], r.idle[:n-1]
	}
	return c
}

// release takes a connection back; nil stands for one that failed to open.
func (r *readers) release(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case c == nil:
	case len(r.idle) < r.most:
		r.idle = append(r.idle, c)
	default:
		_ = c.close() // it has read what it was to read
	}
	if r.inUse--; r.inUse == 0 {
		r.unused.Broadcast()
	}
}

// drain refuses further reads and waits for those under way.
func (r *readers) drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for r.inUse > 0 {
		r.unused.Wait()
	}
}

// close closes the connections. It is called after drain.
func (r *readers) close() error {
	var errs []error
	for _, c := range r.idle {
		errs = append(errs, c.close())
	}
	r.idle = nil
	return errors.Join(errs...)
}

func errClosed() error {
	return nexus.Errorf(nexus.CodeClosed, "the database is closed")
}
