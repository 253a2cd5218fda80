package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Read implements driver.DB. Each statement is a transaction of its own; sessions
// are read-only unless a transaction says otherwise.
func (d *db) Read(ctx context.Context, fn func(driver.Conn) error) error {
	if d.pooled { // whose session may be another's for the next statement
		return d.look(ctx, "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY", fn)
	}
	c, err := d.connectPatiently(ctx, d.reading)
	if err != nil {
		return err
	}
	defer c.release()
	return fn(c)
}

// Snapshot implements driver.DB.
func (d *db) Snapshot(ctx context.Context, fn func(driver.Conn) error) error {
	return d.look(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", fn)
}

func (d *db) look(ctx context.Context, begin string, fn func(driver.Conn) error) error {
	c, err := d.connectPatiently(ctx, d.reading)
	if err != nil {
		return err
	}
	defer c.release()
	c.begin(begin)
	defer c.rollback()
	return fn(c)
}

// connectPatiently is connect that waits for a server that is away.
func (d *db) connectPatiently(ctx context.Context, turn chan struct{}) (*conn, error) {
	until := d.deadline()
	for {
		c, err := d.connect(ctx, turn)
		if err == nil || nexus.CodeOf(err) != nexus.CodeOffline || !until.wait(ctx, outage) {
			return c, err
		}
	}
}

// outage is the longest pause before another try to reach a server.
const outage = time.Second / 4

// The ways to write.
const (
	// beginWrite is for whatever a caller may do: the database sees to it that the
	// outcome is as if there had been one after the other.
	beginWrite = "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE"

	// beginBeside is for what locks the rows by which it decides.
	beginBeside = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

	// Every write takes a share of a lock, so that one that others have got in the
	// way of again and again can have it alone. LOCK TABLE must be the first
	// statement: a transaction sees what was committed before its second.
	lockShared = "LOCK TABLE nexus_migrations IN ROW SHARE MODE"
	lockAlone  = "LOCK TABLE nexus_migrations IN EXCLUSIVE MODE"
)

// Write implements driver.DB.
func (d *db) Write(ctx context.Context, fn func(driver.Conn) error) error {
	return d.write(ctx, beginWrite, fn)
}

// WriteAnywhere implements driver.DB.
func (d *db) WriteAnywhere(ctx context.Context, fn func(driver.Conn) error) error {
	return d.write(ctx, beginWrite, fn)
}

// WriteBeside implements driver.DB.
func (d *db) WriteBeside(ctx context.Context, fn func(driver.Conn) error) error {
	return d.write(ctx, beginBeside, fn)
}

// write runs fn beside others. If one of these gets in its way it runs it again, alone:
// under contention, to try again beside them is mostly in vain, and was measured to take
// twice as long.
func (d *db) write(ctx context.Context, begin string, fn func(driver.Conn) error) error {
	if d.options.ReadOnly {
		return d.refuseToWrite()
	}
	until := d.deadline()
	lock := lockShared
	for {
		repeat, err := d.writeOnce(ctx, begin, lock, fn)
		if err == nil || ctx.Err() != nil || !repeat {
			return err
		}
		longest := outage
		if nexus.CodeOf(err) != nexus.CodeOffline {
			if lock == lockAlone && nexus.CodeOf(err) == nexus.CodeExists {
				return err // nobody else has just stored it
			}
			lock, longest = lockAlone, 8*time.Millisecond
		}
		if !until.wait(ctx, longest) {
			return err
		}
	}
}

// writeOnce runs fn in a transaction, and says whether it is to be repeated: the
// transaction is known to have changed nothing, and the reason may be gone.
func (d *db) writeOnce(ctx context.Context, begin, lock string, fn func(driver.Conn) error) (repeat bool, err error) {
	c, err := d.connect(ctx, d.writing)
	if err != nil {
		return nexus.CodeOf(err) == nexus.CodeOffline, err
	}
	defer c.release()
	c.begin(begin)
	c.much = new(much)
	c.pending = append(c.pending, lock)
	defer c.rollback() // of what has not been committed
	err = fn(c)
	if c.ended != nil && c.ended.err == nil {
		return false, err
	}
	if c.ended != nil {
		return c.ended.repeat, c.ended.err
	}
	if err != nil {
		var pg *pgconn.PgError
		taken := errors.As(err, &pg) && pg.Code == uniqueViolation // perhaps by one that began at the same time
		if c.conflict != nil {
			return true, c.conflict
		}
		return taken, err
	}
	if c.conflict != nil {
		return true, c.conflict
	}
	return c.commit(ctx)
}

// begin begins a transaction, with its first statement.
func (c *conn) begin(sql string) {
	c.inTx, c.sent, c.conflict, c.much = true, false, nil, nil
	c.pending = append(append(c.pending[:0], sql), c.db.settings()...)
}

// commit ends the transaction. Once that is on its way, the end of a context does not
// stop it: nobody would know what has become of it.
func (c *conn) commit(ctx context.Context) (repeat bool, err error) {
	if ctx.Err() != nil {
		return false, canceled(ctx)
	}
	if !c.sent {
		c.inTx, c.pending = false, nil
		return false, nil // nothing was done
	}
	if c.pg.IsClosed() {
		return true, c.db.classify(errLost)
	}
	limited, cancel := c.unstoppable(ctx)
	defer cancel()
	err = c.control(limited, "COMMIT")
	return c.committed(limited, err)
}

// unstoppable is a context for a commit.
func (c *conn) unstoppable(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), c.db.options.Patience)
}

// committed says what has become of a commit that has ended with err.
func (c *conn) committed(limited context.Context, err error) (repeat bool, _ error) {
	switch {
	case err == nil:
		c.inTx = false
		return false, nil
	case again(err), pgconn.SafeToRetry(err):
		return true, c.db.classify(err)
	case lost(err) || limited.Err() != nil:
		return false, unknownOutcome(err)
	default:
		return false, c.db.classify(err)
	}
}

func unknownOutcome(err error) error {
	return &nexus.Error{
		Code: nexus.CodeUnknown, Message: "the connection broke during the commit, so it is not known whether it was done",
		Hint: "repeat the call with the same idempotency key, or look whether it was done", Err: plain(err),
	}
}

// ended is how a transaction has ended whose commit was sent with its last statement.
type ended struct {
	repeat bool
	err    error
}

// QueryAndCommit implements driver.Committer. From here on the end of a context stops
// nothing; what the statement waits for, others do not hold for long.
func (c *conn) QueryAndCommit(ctx context.Context, sql string, args []driver.Arg, fn func(driver.Row) error) (err error) {
	switch {
	case c.conflict != nil:
		return c.conflict
	case !c.sent: // nothing was done
		return nil
	case c.running != nil:
		c.running.readAll()
	}
	if ctx.Err() != nil {
		return canceled(ctx)
	}
	if c.db.options.Debug {
		defer c.logged(ctx, sql+"; COMMIT", args, time.Now(), &err)
	}
	limited, cancel := c.unstoppable(ctx)
	defer cancel()
	c.commits = true
	_, err = c.runOnce(limited, sql, args, fn, true)
	c.commits = false
	var ofCommit commitError
	var ofDisk settleError
	switch {
	case err == nil:
		c.inTx = false
		return nil
	case errors.As(err, &ofDisk):
		c.inTx = false
		c.ended.err = unknownOutcome(err)
		return c.ended.err
	case c.ended != nil && (errors.As(err, &ofCommit) || lost(err) || limited.Err() != nil):
		c.ended.repeat, c.ended.err = c.committed(limited, err)
		return c.ended.err
	default: // it has not come to that
		c.ended = nil
		return c.failed(ctx, err)
	}
}

// commitError is what has come back for a COMMIT.
type commitError struct{ error }

func (e commitError) Unwrap() error { return e.error }

// settle is a transaction whose commit waits for the disk, and, where that is asked for,
// for standbys: for its own message, and so for all that was committed before. Those who
// commit meanwhile share the wait. A transaction that has recorded something ends without
// it, because until it ends nobody else can record; its caller waits afterwards. What others
// have done since because of it is later in the log, so that is never kept without it.
const settle = "SELECT pg_logical_emit_message(true, 'nexus', '')"

// settleError is what has come back for settle. What came before is committed.
type settleError struct{ error }

func (e settleError) Unwrap() error { return e.error }

// settleSnapshot is settle for what a snapshot has shown, as a part of it, so that no crash
// comes between the two. What a standby shows is on the primary's disk.
const settleSnapshot = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_logical_emit_message(true, 'nexus', '') END"

// Settle implements driver.Settler. It changes nothing, so that a connection that breaks
// leaves no outcome that is unknown.
func (c *conn) Settle(ctx context.Context) error {
	if err := c.Query(ctx, settleSnapshot, nil, nil); err != nil {
		return err
	}
	limited, cancel := c.unstoppable(ctx)
	defer cancel()
	err := c.control(limited, "COMMIT")
	if err != nil && limited.Err() == nil {
		return c.db.classify(err)
	}
	_, err = c.committed(limited, err)
	return err
}

// rollback undoes the transaction, if it has not been committed.
func (c *conn) rollback() {
	if !c.inTx {
		return
	}
	c.inTx, c.pending = false, nil
	if !c.sent || c.pg == nil || c.pg.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	_ = c.control(ctx, "ROLLBACK") // if it fails, release closes the session
}
