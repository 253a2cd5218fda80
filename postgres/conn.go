package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// conn is one session of the server, within one call. It implements driver.Conn,
// and is for one goroutine at a time.
type conn struct {
	db   *db
	turn chan struct{} // to be given back
	from *pgxpool.Conn
	pg   *pgconn.PgConn
	keep *statements

	// Statements that begin and end transactions and savepoints are not sent by
	// themselves but with the statement that follows, so they cost no round trip.
	pending []string
	inTx    bool  // there is a transaction, if only in pending
	sent    bool  // something of it has been sent
	depth   int   // of savepoints
	much    *much // what has been written, if it is counted

	commits  bool   // the next statement is sent with COMMIT
	ended    *ended // what became of that
	running  *rows  // the query whose rows are being read
	conflict error  // the first that says to run the transaction again
}

// Dialect implements driver.Conn.
func (c *conn) Dialect() driver.Dialect {
	return driver.Dialect{
		LocksRows: true, Fragile: true, OnlyUTF8: true,
		FirstChange: "nexus_first_change()", Record: "SELECT nexus_record($1, $2, $3)",
	}
}

// Exec implements driver.Conn.
func (c *conn) Exec(ctx context.Context, sql string, args ...driver.Arg) (int64, error) {
	n, err := c.run(ctx, sql, args, nil)
	if err == nil && c.much != nil && c.much.more(n) {
		c.pending = append(c.pending, analyze)
	}
	return n, err
}

// analyze has the server look at how much there is of what is looked for row by row. The
// plans for that, also those of triggers, are kept from when there was less, or nothing,
// and then reading all of a table or an index looks cheap. They are made again by it. It
// waits for nobody who does the same, or vacuums.
const analyze = "ANALYZE (SKIP_LOCKED) tasks, task_dependencies"

// much says when a transaction has written so much that it has to be looked at: nobody else
// does, before it is committed.
type much struct{ wrote, analyzed int64 }

func (m *much) more(rows int64) bool {
	const first, growth = 500, 8
	m.wrote += max(rows, 1)
	if m.wrote < max(first, m.analyzed*growth) {
		return false
	}
	m.analyzed = m.wrote
	return true
}

// Query implements driver.Conn.
func (c *conn) Query(ctx context.Context, sql string, args []driver.Arg, fn func(driver.Row) error) error {
	if fn == nil {
		fn = func(driver.Row) error { return nil }
	}
	_, err := c.run(ctx, sql, args, fn)
	return err
}

// run runs a statement. One that has not begun to answer when the session is lost,
// and that nothing else of a transaction came before, is run again on another.
func (c *conn) run(ctx context.Context, sql string, args []driver.Arg, fn func(driver.Row) error) (n int64, err error) {
	if ctx.Err() != nil {
		return 0, canceled(ctx)
	}
	if c.running != nil {
		c.running.readAll() // or else the session is not free
	}
	if c.db.options.Debug {
		defer c.logged(ctx, sql, args, time.Now(), &err)
	}
	var until *deadline
	answered, fresh, pending := false, !c.sent, slices.Clone(c.pending)
	for {
		n, err = c.runOnce(ctx, sql, args, func(r driver.Row) error {
			answered = true
			return fn(r)
		}, fn != nil)
		if err == nil || answered || !fresh || ctx.Err() != nil || !lost(err) && !c.outdated(ctx, sql, err) {
			return n, c.failed(ctx, err)
		}
		if until == nil {
			until = c.db.deadline()
		}
		c.sent, c.pending = false, pending
		for {
			if !until.wait(ctx, outage) {
				return 0, c.failed(ctx, err)
			}
			if err = c.replace(ctx); err == nil {
				break
			}
			if nexus.CodeOf(err) != nexus.CodeOffline {
				return 0, err
			}
		}
	}
}

func (c *conn) runOnce(ctx context.Context, sql string, args []driver.Arg, fn func(driver.Row) error, wantsRows bool) (int64, error) {
	if c.pg == nil || c.pg.IsClosed() {
		return 0, errLost
	}
	values := encode(args)
	statement, err := c.prepare(ctx, sql)
	if err != nil {
		return 0, err
	}
	if statement != nil && len(statement.ParamOIDs) != len(args) {
		return 0, wrongArguments(len(statement.ParamOIDs), len(args))
	}
	r, err := c.send(ctx, statement, sql, values)
	if err != nil {
		return 0, err
	}
	before := c.running
	c.running = r
	defer func() { c.running = before }()
	defer r.close() // when fn panics
	if wantsRows {
		for r.next() {
			if err := fn(r); err != nil {
				return 0, callerError{err}
			}
		}
	}
	return r.close()
}

// callerError is what a caller's function has returned for a row.
type callerError struct{ error }

// send sends what is pending, and the statement.
func (c *conn) send(ctx context.Context, statement *pgconn.StatementDescription, sql string, values [][]byte) (*rows, error) {
	r := &rows{conn: c}
	if len(c.pending) == 0 && !c.commits {
		c.sent = c.sent || c.inTx
		if statement != nil {
			r.reader = c.pg.ExecStatement(ctx, statement, values, nil, nil)
		} else {
			r.reader = c.pg.ExecParams(ctx, sql, values, nil, nil, nil)
		}
		return r, nil
	}
	p := c.pg.StartPipeline(ctx)
	for _, control := range c.pending {
		p.SendQueryParams(control, nil, nil, nil, nil)
	}
	if statement != nil {
		p.SendQueryStatement(statement, values, nil, nil)
	} else {
		p.SendQueryParams(sql, values, nil, nil, nil)
	}
	if c.commits {
		p.SendQueryParams("COMMIT", nil, nil, nil, nil)
		p.SendQueryParams(settle, nil, nil, nil, nil)
		c.ended = new(ended)
	}
	if err := p.Sync(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	c.sent = c.sent || c.inTx
	controls := c.pending
	c.pending = c.pending[:0]
	for range controls {
		if err := readControl(p); err != nil {
			_ = p.Close()
			return nil, controlError{err}
		}
	}
	reader, err := nextReader(p)
	if err != nil {
		_ = p.Close()
		return nil, err
	}
	r.reader, r.pipeline = reader, p
	return r, nil
}

// controlError is the failure of a statement that begins or ends a transaction.
type controlError struct{ error }

func (e controlError) Unwrap() error { return e.error }

func readControl(p *pgconn.Pipeline) error {
	reader, err := nextReader(p)
	if err == nil {
		_, err = reader.Close()
	}
	return err
}

func nextReader(p *pgconn.Pipeline) (*pgconn.ResultReader, error) {
	results, err := p.GetResults()
	if err != nil {
		return nil, err
	}
	reader, ok := results.(*pgconn.ResultReader)
	if !ok {
		return nil, fmt.Errorf("a pipeline answers with a %T", results)
	}
	return reader, nil
}

// control runs a statement that begins or ends a transaction, now.
func (c *conn) control(ctx context.Context, sql string) error {
	if c.pg == nil || c.pg.IsClosed() {
		return errLost
	}
	if c.running != nil {
		c.running.readAll()
	}
	c.pending = append(c.pending, sql)
	if c.db.options.Debug {
		defer c.logged(ctx, sql, nil, time.Now(), new(error))
	}
	c.sent = c.sent || c.inTx
	p := c.pg.StartPipeline(ctx)
	for _, sql := range c.pending {
		p.SendQueryParams(sql, nil, nil, nil, nil)
	}
	controls := len(c.pending)
	c.pending = c.pending[:0]
	if err := p.Sync(); err != nil {
		return errors.Join(err, p.Close())
	}
	var first error
	for range controls {
		if first = readControl(p); first != nil {
			break
		}
	}
	if err := p.Close(); first == nil {
		first = err
	}
	return first
}

// failed is the error to return for err.
func (c *conn) failed(ctx context.Context, err error) error {
	var own callerError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own.error
	}
	if ctx.Err() != nil && (sqlState(err) == queryCanceled || lost(err)) {
		return canceled(ctx)
	}
	classified := c.db.classify(err)
	if c.conflict == nil && c.inTx && (again(err) || lost(err)) {
		c.conflict = classified
	}
	return classified
}

// Savepoint implements driver.Conn.
func (c *conn) Savepoint(ctx context.Context, fn func() error) error {
	if !c.inTx {
		return fn() // statements that read, each by itself
	}
	c.depth++
	name := fmt.Sprintf("s%d", c.depth)
	sql := "SAVEPOINT " + name
	c.pending = append(c.pending, sql)
	done := false
	defer func() {
		c.depth--
		if !done { // fn panicked, or ended its goroutine
			c.rollbackTo(name, sql)
		}
	}()
	err := fn()
	done = true
	if err != nil {
		c.rollbackTo(name, sql)
		return err
	}
	if n := len(c.pending); n > 0 && c.pending[n-1] == sql {
		c.pending = c.pending[:n-1] // nothing has happened since
	} else {
		c.pending = append(c.pending, "RELEASE "+name)
	}
	return nil
}

// rollbackTo undoes what was done since the savepoint, at the latest before the next
// statement.
func (c *conn) rollbackTo(name, savepoint string) {
	for i := len(c.pending) - 1; i >= 0; i-- {
		if c.pending[i] == savepoint { // it has never been sent
			c.pending = c.pending[:i]
			return
		}
	}
	c.pending = append(c.pending, "ROLLBACK TO "+name, "RELEASE "+name)
}

func wrongArguments(want, given int) error {
	return nexus.Errorf(nexus.CodeInvalid, "the statement has %d parameters; %d arguments were given", want, given)
}
