package store

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

const (
	watchInterval = 50 * time.Millisecond // between two looks, each of which reads one number
	newsInterval  = time.Second           // the same where news comes by itself, in case that some is lost
	watchBatch    = 256                   // changes that are held in memory at once
)

// Subscribe returns a channel that receives when something may have been committed, by
// whatever process: some 50 ms after it, once for several. Sometimes nothing has. It is
// nil where the database cannot tell, and while the database cannot be reached nothing
// is received; so look from time to time as well. stop, which may be called again, ends it.
func (db *DB) Subscribe() (news <-chan struct{}, stop func()) {
	if n, can := db.driver.(driver.Notifier); can {
		return n.Subscribe()
	}
	return nil, func() {}
}

// lookAgain is when to look without having been told of anything.
func (db *DB) lookAgain() time.Duration {
	if n, can := db.driver.(driver.Notifier); can && n.Hears() {
		return newsInterval
	}
	return watchInterval
}

// Watch calls fn with each change after the one with the number after that the filter
// chooses, once and in order, as it is committed, by whatever process. What one
// transaction has changed comes together. It goes on until ctx is done, which is no
// error, or until fn returns one, which it returns. fn may take its time, and may use
// the database: nothing is open meanwhile.
//
// To go on later without missing a change, give it the number of the last change that
// fn has been called with. The filter's After, Before, Newest and Limit do not count.
//
// Codes: CodeInvalid; CodeNotFound if the history after that number was compacted, or
// has not come so far, as after a restore of an older backup.
func (db *DB) Watch(ctx context.Context, after int64, filter nexus.HistoryFilter, fn func(*nexus.Change) error) error {
	filter.Before, filter.Newest, filter.Limit = 0, false, watchBatch
	if err := checkHistoryFilter(filter); err != nil {
		return err
	}
	news, stop := db.Subscribe()
	defer stop()
	again := time.NewTimer(0)
	defer again.Stop()
	seen := int64(-1)
	for {
		last, err := db.LastChange(ctx)
		if err == nil && last != seen {
			after, err = db.watchUpTo(ctx, after, filter, fn)
			seen = last
		}
		switch {
		case ctx.Err() != nil && (err == nil || nexus.CodeOf(err) == nexus.CodeCanceled):
			return nil
		case err != nil:
			return err
		}
		again.Reset(db.lookAgain())
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-again.C:
		}
	}
}

// watchUpTo calls fn with all changes after a number that there are, and returns the
// number after which to go on.
func (db *DB) watchUpTo(ctx context.Context, after int64, filter nexus.HistoryFilter, fn func(*nexus.Change) error) (int64, error) {
	for {
		var list []nexus.Change
		var last int64
		filter.After = after
		err := db.snapshot(ctx, func(c driver.Conn) (err error) {
			if err = checkUncompacted(ctx, c, after); err != nil {
				return err
			}
			if last, err = lastRecord(ctx, c); err != nil {
				return err
			}
			h := &historian{ctx: ctx, conn: c}
			if list, err = h.list(filter); err != nil || len(list) == 0 {
				return err
			}
			if settler, must := c.(driver.Settler); must {
				return settler.Settle(ctx) // what was told must not be lost, and its number given again
			}
			return nil
		})
		if nexus.CodeOf(err) == nexus.CodeOffline {
			// The connection broke in the middle of it, perhaps because the server crashed, with
			// what was seen. Whoever reads by numbers may go on with another, for which this
			// waits.
			if _, err = db.LastChange(ctx); err == nil {
				continue
			}
		}
		if err != nil {
			return after, err
		}
		for i := range list {
			if err := ctx.Err(); err != nil {
				return after, nil
			}
			if err := fn(&list[i]); err != nil {
				return after, err
			}
			after = list[i].Seq
		}
		if len(list) < watchBatch {
			return last, nil
		}
	}
}

// checkUncompacted refuses a number after which the history is not whole, or which it
// does not have yet.
func checkUncompacted(ctx context.Context, c driver.Conn, after int64) error {
	oldest, err := oldestMoment(ctx, c)
	if err != nil {
		return err
	}
	if after >= 0 && after < oldest {
		return compacted(oldest)
	}
	return checkMoment(ctx, c, after)
}
