package store

import (
	"context"
	"errors"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// WithActor returns a context with which writes are recorded in the history as made
// by actor: the id of an agent, or the name of a person. Without it, the steps of a
// task are recorded as made by the agent that holds it, and other writes as made by
// nobody.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

type actorKey struct{}

// operation is a transaction as the history knows it.
type operation struct {
	name  string
	actor string
	at    time.Time // when it began
	last  int64     // the newest record of the history before it

	changed  bool // something that is in the history
	silent   bool // it is not recorded
	restores bool // it goes back, and calls for no checkpoint
}

// did says what the transaction does, and which agent does it. The first that is
// said is what it is called.
func (s *settlement) did(name, actor string) {
	if s.operation.name == "" {
		s.operation.name, s.operation.actor = name, actor
	}
}

// Operation gives the transaction the name by which the history knows it, in place
// of that of the first call within it.
func (tx *Tx) Operation(name string) { tx.end.operation.name = name }

// settled runs fn, which does the work of a whole transaction, checks what has to
// hold at its end, and records in the history who did it. It returns the checkpoints
// that are to be made once it is committed.
func (db *DB) settled(ctx context.Context, c driver.Conn, end *settlement, fn func() error) (due []nexus.CheckpointRequest, err error) {
	end.operation.at = db.now()
	if c.Dialect().FirstChange == "" {
		if end.operation.last, err = lastRecord(ctx, c); err != nil {
			return nil, err
		}
	}
	if err := fn(); err != nil {
		return nil, err
	}
	if err := end.check(ctx, c); err != nil {
		return nil, err
	}
	return db.record(ctx, c, &end.operation)
}

// lastRecord returns the number of the newest record of the history.
func lastRecord(ctx context.Context, c driver.Conn) (last int64, err error) {
	const sql = `SELECT coalesce(max(seq), 0) FROM history`
	err = c.Query(ctx, sql, nil, func(r driver.Row) error {
		last = r.Int(0)
		return nil
	})
	return last, err
}

// record ends a transaction in the history, if it has changed anything that is
// in there, and returns the checkpoints that it calls for.
func (db *DB) record(ctx context.Context, c driver.Conn, o *operation) (due []nexus.CheckpointRequest, err error) {
	if o.silent {
		return nil, nil
	}
	if actor, given := ctx.Value(actorKey{}).(string); given {
		o.actor = actor
	}
	if committer, can := c.(driver.Committer); can && !db.checkpointing.Load() {
		return nil, db.recordAndCommit(ctx, committer, c.Dialect().Record, o)
	}
	var wanted bool // somebody wants checkpoints
	end := `SELECT coalesce(max(seq), 0), EXISTS (SELECT 1 FROM checkpoint_settings) FROM history`
	first := c.Dialect().FirstChange
	if first != "" {
		end = "SELECT " + first + ", EXISTS (SELECT 1 FROM checkpoint_settings)"
	}
	err = c.Query(ctx, end, nil, func(r driver.Row) error {
		if wanted = r.Int(1) != 0; first == "" {
			o.changed = r.Int(0) > o.last
		} else if o.changed = !r.IsNull(0); o.changed {
			o.last = r.Int(0) - 1
		}
		return nil
	})
	db.checkpointing.Store(wanted)
	if err != nil || !o.changed {
		return nil, err
	}
	if wanted && !o.restores {
		if due, err = dueCheckpoints(ctx, c, o.last, o.at); err != nil {
			return nil, err
		}
	}
	const sql = `INSERT INTO history (at_us, change, first, operation, actor) VALUES ($1, 'operation', $2, $3, $4) RETURNING seq`
	args := []driver.Arg{driver.Int(micros(o.at)), driver.Int(o.last + 1), driver.TextOrNull(o.name), driver.TextOrNull(o.actor)}
	var last int64
	err = c.Query(ctx, sql, args, func(r driver.Row) error {
		last = r.Int(0)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return due, db.indexHistory(ctx, c, last)
}

// errCheckpointing says to run a transaction again, because it may call for checkpoints.
var errCheckpointing = errors.New("somebody wants checkpoints to be made")

// recordAndCommit is record where nobody wants checkpoints, in the round trip of the
// commit: while a transaction records, others wait.
func (db *DB) recordAndCommit(ctx context.Context, c driver.Committer, sql string, o *operation) error {
	args := []driver.Arg{driver.Int(micros(o.at)), driver.TextOrNull(o.name), driver.TextOrNull(o.actor)}
	err := c.QueryAndCommit(ctx, sql, args, func(r driver.Row) error {
		o.changed = !r.IsNull(0)
		return nil
	})
	if nexus.CodeOf(err) == nexus.CodeTransition {
		db.checkpointing.Store(true)
		return errCheckpointing
	}
	return err
}

// again runs a transaction once more if it turns out that somebody wants checkpoints.
func again(transact func() error) error {
	err := transact()
	if errors.Is(err, errCheckpointing) {
		err = transact()
	}
	return err
}

// recordChanges has the history know what the transaction has done until now.
func recordChanges(ctx context.Context, c driver.Conn) error {
	if first := c.Dialect().FirstChange; first != "" {
		return c.Query(ctx, "SELECT "+first, nil, nil)
	}
	return nil
}

// indexEvery is how many records history_rows may lack. To add them one by one would
// write another page with each change. Where transactions write side by side, history_rows
// is no table, and lacks none.
const indexEvery = 256

// indexHistory adds to history_rows what it lacks, if that is much.
func (db *DB) indexHistory(ctx context.Context, c driver.Conn, last int64) error {
	if c.Dialect().FirstChange != "" || last-db.indexed.Load() < indexEvery {
		return nil
	}
	indexed, err := historyMark(ctx, c, "indexed")
	if err != nil {
		return err
	}
	if last-indexed >= indexEvery {
		return index(ctx, c, indexed, last) // which may still be undone; the next one sees how far it is
	}
	db.indexed.Store(indexed)
	return nil
}

// indexAll adds to history_rows all that it lacks. Another program may have written
// much, and to look for each of many rows in that would take long.
func indexAll(ctx context.Context, c driver.Conn) error {
	if c.Dialect().FirstChange != "" {
		return nil
	}
	last, err := lastRecord(ctx, c)
	if err != nil {
		return err
	}
	indexed, err := historyMark(ctx, c, "indexed")
	if err != nil || indexed == last {
		return err
	}
	return index(ctx, c, indexed, last)
}

// index adds the records after one to history_rows, until another.
func index(ctx context.Context, c driver.Conn, after, last int64) error {
	const insert = `
		INSERT INTO history_rows (id, kind, seq, large)
		SELECT id, kind, seq, large FROM history
		WHERE seq > $1 AND seq <= $2 AND id IS NOT NULL AND kind IS NOT NULL ORDER BY id, kind, seq
		ON CONFLICT DO NOTHING`
	if _, err := c.Exec(ctx, insert, driver.Int(after), driver.Int(last)); err != nil {
		return err
	}
	return setHistoryMark(ctx, c, "indexed", last)
}

// historyMark returns how far something follows the history.
func historyMark(ctx context.Context, c driver.Conn, name string) (seq int64, err error) {
	err = c.Query(ctx, `SELECT seq FROM history_marks WHERE name = $1`, []driver.Arg{driver.Text(name)}, func(r driver.Row) error {
		seq = r.Int(0)
		return nil
	})
	return seq, err
}

func setHistoryMark(ctx context.Context, c driver.Conn, name string, seq int64) error {
	const sql = `INSERT INTO history_marks (name, seq) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq`
	_, err := c.Exec(ctx, sql, driver.Text(name), driver.Int(seq))
	return err
}
