package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Tx is a transaction. It is for one goroutine, and only until the function that
// received it returns.
type Tx struct {
	Services

	conn driver.Conn
	end  settlement
}

func newTx(c driver.Conn, now func() time.Time) *Tx {
	tx := &Tx{conn: c}
	tx.Services = newServices(tx, now)
	return tx
}

// InTx runs fn as a part of the transaction that can fail on its own: if fn
// returns an error or panics, what fn did is undone, and the rest remains.
func (tx *Tx) InTx(ctx context.Context, fn func(tx *Tx) error) error {
	return tx.savepoint(ctx, func() error { return fn(tx) })
}

// Exec runs a statement of the caller's own, with $1-style placeholders, and
// returns the number of rows it changed. Arguments may be nil, strings, numbers,
// booleans, bytes, and times, which are kept in seconds.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	list, err := rawArgs(args)
	if err != nil {
		return 0, err
	}
	var n int64
	err = guard(ctx, tx.conn, func() error {
		n, err = tx.conn.Exec(ctx, sql, list...)
		return err
	})
	return n, rawError(err)
}

// guard lets statements that change nothing, or a single one, fail alone.
func guard(ctx context.Context, c driver.Conn, fn func() error) error {
	if c.Dialect().Fragile {
		return c.Savepoint(ctx, fn)
	}
	return fn()
}

// Query runs a statement of the caller's own and calls fn with each row; see
// Exec for its arguments. A row is valid until fn returns.
func (tx *Tx) Query(ctx context.Context, sql string, args []any, fn func(driver.Row) error) error {
	list, err := rawArgs(args)
	if err != nil {
		return err
	}
	var own error // of fn, which undoes nothing
	err = guard(ctx, tx.conn, func() error {
		err := tx.conn.Query(ctx, sql, list, func(r driver.Row) error {
			own = fn(r)
			return own
		})
		if own != nil {
			return nil
		}
		return err
	})
	if own != nil {
		return rawError(own)
	}
	return rawError(err)
}

// rawError turns what would be a defect of Nexus into one of the caller's SQL.
func rawError(err error) error {
	var e *nexus.Error
	if errors.As(err, &e) && e.Code == nexus.CodeInternal {
		return &nexus.Error{Code: nexus.CodeInvalid, Message: "the statement failed", Hint: e.Hint, Err: err}
	}
	return err
}

func rawArgs(values []any) ([]driver.Arg, error) {
	args := make([]driver.Arg, len(values))
	for i, value := range values {
		switch v := value.(type) {
		case nil:
		case string:
			args[i] = driver.Text(v)
		case nexus.JSON:
			args[i] = driver.TextOrNull(v)
		case int:
			args[i] = driver.Int(int64(v))
		case int64:
			args[i] = driver.Int(v)
		case float64:
			args[i] = driver.Float(v)
		case bool:
			args[i] = boolArg(v)
		case []byte:
			args[i] = driver.Blob(v)
		case time.Time:
			args[i] = driver.Int(v.Unix())
		default:
			return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("argument %d is a %T, which is not supported", i+1, v)}
		}
	}
	return args, nil
}

func (tx *Tx) read(ctx context.Context, fn func(driver.Conn) error) error {
	return guard(ctx, tx.conn, func() error { return fn(tx.conn) })
}

func (tx *Tx) snapshot(ctx context.Context, fn func(driver.Conn) error) error {
	return tx.read(ctx, fn)
}

// write runs fn in a savepoint, so that a call that fails half-way leaves
// nothing, even if the caller goes on.
func (tx *Tx) write(ctx context.Context, fn func(driver.Conn, *settlement) error) error {
	return tx.savepoint(ctx, func() error { return fn(tx.conn, &tx.end) })
}

// savepoint undoes what fn did if it fails, and forgets what it was called.
func (tx *Tx) savepoint(ctx context.Context, fn func() error) error {
	before := tx.end.operation
	err := tx.conn.Savepoint(ctx, fn)
	if err != nil {
		tx.end.operation = before
	}
	return err
}

func (tx *Tx) writeBeside(ctx context.Context, fn func(driver.Conn, *settlement) error) error {
	return tx.write(ctx, fn)
}
