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
	c.pending = append(c.pending, lock)
	defer c.rollback() // of what has not been committed
	if err := fn(c); err != nil {
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
	c.inTx, c.sent, c.conflict = true, false, nil
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
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.db.options.Patience)
	defer cancel()
	err = c.control(limited, "COMMIT")
	if err == nil {
		c.inTx = false
		return false, nil
	}
	switch {
	case again(err), pgconn.SafeToRetry(err):
		return true, c.db.classify(err)
	case lost(err) || limited.Err() != nil:
		return false, &nexus.Error{
			Code: nexus.CodeUnknown, Message: "the connection broke during the commit, so it is not known whether it was done",
			Hint: "repeat the call with the same idempotency key, or look whether it was done", Err: plain(err),
		}
	default:
		return false, c.db.classify(err)
	}
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
