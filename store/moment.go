package store

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Moment returns the number of the change that a text means, for [DB.AsOf]: the
// number itself; a time as [nexus.ParseTime] takes it; how long ago, such as 90m or 7d; now;
// or the id of a checkpoint, or what it begins with. A time means the last change
// until the end of that second, minute or day, by the clocks of those who wrote.
//
// Codes: CodeInvalid; CodeNotFound, also for what the history does not have yet or
// any more.
func (db *DB) Moment(ctx context.Context, text string) (seq int64, err error) {
	err = db.snapshot(ctx, func(c driver.Conn) error {
		seq, err = moment(ctx, c, text, db.now())
		if err != nil {
			return err
		}
		return checkMoment(ctx, c, seq)
	})
	return seq, err
}

func moment(ctx context.Context, c driver.Conn, text string, now time.Time) (int64, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	if text == "now" {
		return lastRecord(ctx, c)
	}
	if t, ok := parseTime(text, now); ok {
		return momentAt(ctx, c, micros(t))
	}
	return checkpointMoment(ctx, c, text)
}

// parseTime returns the end of the time that a text means: what is shown to the second or
// the minute was so at some time within it.
func parseTime(text string, now time.Time) (time.Time, bool) {
	if ago, err := nexus.ParseLength(text); err == nil {
		return now.Add(-ago), true
	}
	start, length, err := nexus.ParseTime(text)
	if length > 0 {
		start = start.Add(length - time.Microsecond)
	}
	return start, err == nil
}

// momentAt returns the number of the last change until a time. It takes the times to
// grow with the numbers, and looks at some twenty of a million.
func momentAt(ctx context.Context, c driver.Conn, us int64) (int64, error) {
	low, err := oldestMoment(ctx, c)
	if err != nil {
		return 0, err
	}
	if err := checkTime(ctx, c, low, us); err != nil {
		return 0, err
	}
	high, err := lastRecord(ctx, c)
	if err != nil {
		return 0, err
	}
	if high > low { // the usual question is about what is not long ago
		if t, err := transactionAt(ctx, c, high); err != nil {
			return 0, err
		} else if t.at <= us {
			return high, nil
		}
	}
	for low < high {
		middle := low + (high-low+1)/2
		t, err := transactionAt(ctx, c, middle)
		if err != nil {
			return 0, err
		}
		if t.at <= us {
			low = min(t.last, high)
		} else {
			high = min(t.first, middle) - 1 // t is after the middle if numbers are missing
		}
	}
	return low, nil
}

// transaction is a range of records that were made together.
type transaction struct {
	first, last int64
	at          int64
}

// transactionAt returns the transaction of the first record from a number on.
func transactionAt(ctx context.Context, c driver.Conn, seq int64) (t transaction, err error) {
	const (
		record    = `SELECT seq, at_us FROM history WHERE seq >= $1 ORDER BY seq LIMIT 1`
		operation = `SELECT first, seq, at_us FROM history WHERE seq >= $1 AND change = 'operation' ORDER BY seq LIMIT 1`
	)
	err = c.Query(ctx, record, []driver.Arg{driver.Int(seq)}, func(r driver.Row) error {
		t = transaction{r.Int(0), r.Int(0), r.Int(1)}
		return nil
	})
	if err != nil {
		return t, err
	}
	seq = t.first
	err = c.Query(ctx, operation, []driver.Arg{driver.Int(seq)}, func(r driver.Row) error {
		if r.Int(0) <= seq {
			t = transaction{r.Int(0), r.Int(1), r.Int(2)}
		}
		return nil
	})
	return t, err
}

// momentTime returns when it was as after a change: until when, in microseconds, what
// is its own log had been written.
func momentTime(ctx context.Context, c driver.Conn, seq int64) (us int64, err error) {
	t, err := transactionAt(ctx, c, seq)
	switch {
	case err != nil:
		return 0, err
	case t.first > 0 && t.first <= seq:
		return t.at, nil
	}
	// The change is not there any more, or never was; perhaps a checkpoint is.
	us = math.MaxInt64
	if t.first > 0 {
		us = t.at - 1
	}
	const sql = `SELECT state, created_at FROM checkpoints WHERE state IS NOT NULL`
	err = c.Query(ctx, sql, nil, func(r driver.Row) error {
		p := nexus.Checkpoint{State: nexus.JSON(r.Text(0))}
		if state, err := p.Details(); err == nil && state.Seq == seq {
			us = min(us, (r.Int(1)+1)*1e6-1)
		}
		return nil
	})
	return us, err
}

// oldestMoment is the oldest that the history knows.
func oldestMoment(ctx context.Context, c driver.Conn) (int64, error) {
	return historyMark(ctx, c, "forgotten")
}

// checkMoment refuses what the history does not have.
func checkMoment(ctx context.Context, c driver.Conn, seq int64) error {
	const sql = `
		SELECT coalesce((SELECT max(seq) FROM history), 0), coalesce((SELECT seq FROM history_marks WHERE name = 'forgotten'), 0),
			EXISTS (SELECT 1 FROM history_marks WHERE name = $1)`
	var last, oldest int64
	kept := false
	err := c.Query(ctx, sql, []driver.Arg{driver.Text(keptMark + strconv.FormatInt(seq, 10))}, func(r driver.Row) error {
		last, oldest, kept = r.Int(0), r.Int(1), r.Int(2) != 0
		return nil
	})
	switch {
	case err != nil:
		return err
	case seq < 0 || seq > last:
		return &nexus.Error{
			Code: nexus.CodeNotFound, Message: fmt.Sprintf("the history has no change number %d; the newest is %d", seq, last),
			Hint: "see nexus history",
		}
	case seq < oldest && !kept:
		return compacted(oldest)
	default:
		return nil
	}
}

// checkTime refuses a time before the oldest moment, if there has been more.
func checkTime(ctx context.Context, c driver.Conn, oldest, us int64) error {
	if oldest == 0 { // see compaction.forget
		return nil
	}
	t, err := transactionAt(ctx, c, oldest)
	if err == nil && us < t.at {
		return compacted(oldest)
	}
	return err
}

// compacted is the refusal to tell of a moment that was forgotten.
func compacted(oldest int64) error {
	return &nexus.Error{
		Code: nexus.CodeNotFound, Message: fmt.Sprintf("the history before change number %d has been compacted", oldest),
		Hint: "of what was before, the kept checkpoints are still there; see nexus checkpoint list",
	}
}
