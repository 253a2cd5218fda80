package postgres

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
)

// maxStatements bounds the statements that a session keeps. The store has fewer,
// unless its lists are filtered by many different numbers of values.
const maxStatements = 256

// statements are those that a session has run. One that is run a second time is
// prepared and kept; for one alone that would be a round trip more.
type statements struct {
	kept map[string]*pgconn.StatementDescription // nil: has run once
	made int
}

func statementsOf(pg *pgconn.PgConn) *statements {
	const key = "nexus"
	s, has := pg.CustomData()[key].(*statements)
	if !has {
		s = &statements{kept: make(map[string]*pgconn.StatementDescription)}
		pg.CustomData()[key] = s
	}
	return s
}

// prepare returns the prepared statement, or nil if it is to be run as it is. Behind
// a pooler, the next transaction may be another session's, which does not have it.
func (c *conn) prepare(ctx context.Context, sql string) (*pgconn.StatementDescription, error) {
	if c.db.pooled {
		return nil, nil
	}
	statement, seen := c.keep.kept[sql]
	if statement != nil {
		return statement, nil
	}
	if !seen {
		if len(c.keep.kept) < maxStatements {
			c.keep.kept[sql] = nil
		} else if err := c.forget(ctx); err != nil {
			return nil, err
		}
		return nil, nil
	}
	// A failure ends the transaction, so the savepoint must be there before.
	if err := c.flush(ctx); err != nil {
		return nil, err
	}
	c.keep.made++
	statement, err := c.pg.Prepare(ctx, "nexus"+strconv.Itoa(c.keep.made), sql, nil)
	if err != nil {
		return nil, err
	}
	c.keep.kept[sql] = statement
	return statement, nil
}

// flush sends what is pending.
func (c *conn) flush(ctx context.Context) error {
	n := len(c.pending)
	if n == 0 {
		return nil
	}
	last := c.pending[n-1]
	c.pending = c.pending[:n-1]
	if err := c.control(ctx, last); err != nil {
		return controlError{err}
	}
	return nil
}

// forget makes room. Which statements are used often shows soon.
func (c *conn) forget(ctx context.Context) error {
	for sql, statement := range c.keep.kept {
		if statement != nil {
			if err := c.pg.Deallocate(ctx, statement.Name); err != nil {
				return err
			}
		}
		delete(c.keep.kept, sql)
	}
	return nil
}

// outdated reports whether a prepared statement has failed because the session does
// not have it, or the tables have changed since. It is forgotten.
func (c *conn) outdated(ctx context.Context, sql string, err error) bool {
	state := sqlState(err)
	statement := c.keep.kept[sql]
	if statement == nil || state != featureNotSupported && state != noSuchStatement {
		return false
	}
	delete(c.keep.kept, sql)
	_ = c.pg.Deallocate(ctx, statement.Name)
	return true
}
