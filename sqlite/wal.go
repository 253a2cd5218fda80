package sqlite

import (
	"context"
	"sync"
	"time"

	"github.com/seed-c8812374/nexus/store/driver"
)

// Sizes of the write-ahead log, in pages of 4 KiB.
const (
	walCopyPages  = 1000              // copy the log into the database from here on
	walResetPages = 4 * walCopyPages  // hold the writers up for the rest of it
	walForcePages = 16 * walCopyPages // SQLite copies it within a commit; the last resort
)

// walKeptBytes is how long the file may stay after the log has been copied.
const walKeptBytes = 64 << 20

// walPause is the time from a commit to a look at the log, and so the least between two.
const walPause = 50 * time.Millisecond

// walKeeper copies the write-ahead log into the database while writers go on.
// SQLite would do so within the commit that makes the log long.
//
// A log is started afresh only when all of it has been copied and nobody writes
// or reads at that moment. Under a steady load that moment may never come, so
// when the log has grown all the same, the keeper takes a turn in the commit
// queue and copies the little that is new.
type walKeeper struct {
	open   func(context.Context) (*conn, error)
	writer *writer

	wake   chan struct{}
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// start begins to keep the log; committed must be called after each commit.
func (k *walKeeper) start() {
	var ctx context.Context
	ctx, k.cancel = context.WithCancel(context.Background())
	k.wake = make(chan struct{}, 1)
	k.done.Go(func() { k.run(ctx) })
}

func (k *walKeeper) committed() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// stop waits until nothing is being copied.
func (k *walKeeper) stop() {
	k.cancel()
	k.done.Wait()
}

// run looks at the log after commits. Its errors are dropped on purpose: the
// log is safe as it is, the next look tries again, and a commit that meets the
// same trouble reports it to somebody who can act on it.
func (k *walKeeper) run(ctx context.Context) {
	var c *conn
	defer func() {
		if c != nil {
			_ = c.close()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		}
		// Before the look, so that a process of one commit ends without a connection for it.
		select {
		case <-ctx.Done():
			return
		case <-time.After(walPause):
		}
		if c == nil {
			var err error
			if c, err = k.open(ctx); err != nil {
				c = nil
			}
		}
		if c != nil {
			k.keep(ctx, c)
		}
	}
}

func (k *walKeeper) keep(ctx context.Context, c *conn) {
	if pages, err := checkpoint(ctx, c, "NOOP"); err != nil || pages.pending() < walCopyPages {
		return
	}
	if pages, err := checkpoint(ctx, c, "PASSIVE"); err != nil || pages.log < walResetPages {
		return
	}
	_ = k.writer.exclusively(ctx, func(c *conn) error {
		_, err := checkpoint(ctx, c, "PASSIVE")
		return err
	})
}

// walPages says how many pages the log has, and how many of them are copied.
type walPages struct{ log, copied int64 }

func (p walPages) pending() int64 { return p.log - p.copied }

func checkpoint(ctx context.Context, c *conn, mode string) (pages walPages, err error) {
	defer c.trust()()
	err = c.Query(ctx, "PRAGMA wal_checkpoint("+mode+")", nil, func(r driver.Row) error {
		pages = walPages{log: r.Int(1), copied: r.Int(2)}
		return nil
	})
	return pages, err
}
