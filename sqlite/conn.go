package sqlite

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/handle"
	"github.com/seed-c8812374/nexus/internal/sqliterow"
	"github.com/seed-c8812374/nexus/store/driver"
)

// maxStatements bounds the prepared statements that a connection keeps. The
// store has fewer, unless its lists are filtered by many different numbers of
// values; raw SQL with values in its text gets there.
const maxStatements = 256

// conn is one connection to the file. It implements driver.Conn, and is for one
// goroutine at a time.
type conn struct {
	sq    *sqlite.Conn
	path  string
	log   *slog.Logger     // of every statement; nil unless debugging
	stmts map[string]*stmt // that callers may run
	own   map[string]*stmt // of the driver; see authorize

	watched   <-chan struct{} // Done of the context that interrupts the connection
	interrupt interrupt
	stopped   bool // it has been interrupted
	inTx      bool // between BEGIN and its end
	savepoint int  // nesting depth
	trusted   bool // what is prepared is the driver's own
}

// stmt is a prepared statement that is kept for the next time.
type stmt struct {
	*sqlite.Stmt
	conn    *conn
	sql     string
	args    []int // args[i] is the place in the arguments of parameter i+1
	columns []string
	used    bool // it has run before
	kept    bool // for the next time
	running bool // a Query is going through its rows

	values   sqliterow.Row // of the row
	texts    []byte        // of the row; they belong to whoever has read them
	length   int           // of all texts of the row so far
	expected int           // the same of the row before
}

func (c *conn) Exec(ctx context.Context, sql string, args ...driver.Arg) (int64, error) {
	if err := c.run(ctx, sql, args, nil); err != nil {
		return 0, err
	}
	return int64(c.sq.Changes()), nil
}

func (c *conn) Query(ctx context.Context, sql string, args []driver.Arg, fn func(driver.Row) error) error {
	return c.run(ctx, sql, args, fn)
}

func (c *conn) run(ctx context.Context, sql string, args []driver.Arg, fn func(driver.Row) error) (err error) {
	if ctx.Err() != nil {
		return canceled(ctx)
	}
	if done := ctx.Done(); done != nil && done != c.watched {
		defer c.watch(ctx)()
	}
	if c.lost() {
		return errRolledBack()
	}
	if c.log != nil {
		defer c.logged(ctx, sql, args, time.Now(), &err)
	}
	return c.runWatched(ctx, sql, args, fn)
}

// runWatched is the part of run that every statement goes through. Apart, it has
// few enough ways out for the compiler to make its defer cheap.
func (c *conn) runWatched(ctx context.Context, sql string, args []driver.Arg, fn func(driver.Row) error) error {
	s, err := c.prepare(sql)
	if err != nil {
		return c.failed(ctx, err)
	}
	s.running = true
	defer c.release(s)
	if want := s.parameters(); want != len(args) {
		return nexus.Errorf(nexus.CodeInvalid, "the statement has %d parameters; %d arguments were given", want, len(args))
	}
	s.bind(args)
	for {
		more, err := s.Step()
		if err != nil {
			return c.failed(ctx, err)
		}
		if !more {
			return nil
		}
		if fn != nil {
			s.nextRow()
			s.values = sqliterow.Of(s.Stmt)
			if err := fn(row{s}); err != nil {
				return err
			}
		}
	}
}

// lost reports whether an error has ended the transaction that is meant to be
// open. Another statement would begin and commit one of its own.
func (c *conn) lost() bool { return c.inTx && c.sq.AutocommitEnabled() }

// failed is the error to return for err, which SQLite returned.
func (c *conn) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		switch sqlite.ErrCode(err).ToPrimary() {
		case sqlite.ResultInterrupt, sqlite.ResultError: // the latter while it reads the schema
			return canceled(ctx)
		}
	}
	return classify(c.path, err)
}

func (c *conn) prepare(sql string) (*stmt, error) {
	keep := c.stmts
	if c.trusted {
		keep = c.own
	}
	kept := keep[sql]
	if kept != nil && !kept.running {
		return kept, nil
	}
	if statement(sql) == "" {
		return nil, nexus.Errorf(nexus.CodeInvalid, "there is no statement in the text")
	}
	prepared, trailing, err := c.sq.PrepareTransient(sql)
	if err != nil {
		return nil, err
	}
	if trailing > 0 && statement(sql[len(sql)-trailing:]) != "" {
		_ = prepared.Finalize()
		return nil, nexus.Errorf(nexus.CodeInvalid, "more than one statement in one call")
	}
	s := &stmt{Stmt: prepared, conn: c, sql: sql, args: parameterOrder(prepared)}
	if kept != nil {
		return s, nil // the kept one is running: a query within the same query
	}
	if len(keep) >= maxStatements {
		forgetStatements(keep)
	}
	s.kept = true
	keep[sql] = s
	return s, nil
}

// statement returns sql without the blanks, comments and semicolons that it
// begins with.
func statement(sql string) string {
	for {
		sql = strings.TrimLeft(sql, " \t\r\n\f;")
		switch {
		case strings.HasPrefix(sql, "--"):
			_, sql, _ = strings.Cut(sql, "\n")
		case strings.HasPrefix(sql, "/*"):
			_, sql, _ = strings.Cut(sql, "*/")
		default:
			return sql
		}
	}
}

// parameterOrder maps SQLite's parameters, which it numbers as they appear, to
// the numbers that the statement gives them ($2 is the second argument), or
// else to their order of appearance.
func parameterOrder(s *sqlite.Stmt) []int {
	order := make([]int, s.BindParamCount())
	for i := range order {
		order[i] = i
		if n, err := strconv.Atoi(strings.TrimLeft(s.BindParamName(i+1), "$?")); err == nil && n > 0 {
			order[i] = n - 1
		}
	}
	return order
}

// parameters returns how many arguments the statement needs.
func (s *stmt) parameters() int {
	most := 0
	for _, n := range s.args {
		most = max(most, n+1)
	}
	return most
}

func (s *stmt) bind(args []driver.Arg) {
	for i, n := range s.args {
		switch a := &args[n]; a.Kind {
		case driver.KindInt:
			s.BindInt64(i+1, a.Int)
		case driver.KindFloat:
			s.BindFloat(i+1, a.Float)
		case driver.KindText:
			s.BindText(i+1, a.Text)
		case driver.KindBlob:
			s.BindBytes(i+1, []byte(a.Text))
		case driver.KindNull: // as it is after release
		}
	}
}

// release makes s ready for its next use, and lets go of its arguments.
func (c *conn) release(s *stmt) {
	s.running, s.used, s.columns = false, true, nil
	s.nextRow()
	s.values = sqliterow.Row{}
	_ = s.Reset()         // repeats the error of Step, which has been dealt with
	_ = s.ClearBindings() // fails only when interrupted, which Step has seen
	if !s.kept {
		_ = s.Finalize()
	}
}

func forgetStatements(kept map[string]*stmt) {
	for sql, s := range kept {
		if !s.running {
			_ = s.Finalize()
			delete(kept, sql)
		}
	}
}

// exec runs a statement of the driver's own, such as ROLLBACK, whatever happens
// to the context of the caller.
func (c *conn) exec(sql string) (err error) {
	if c.log != nil {
		defer c.logged(context.Background(), sql, nil, time.Now(), &err)
	}
	defer c.trust()()
	err = c.step(sql)
	if sqlite.ErrCode(err).ToPrimary() == sqlite.ResultInterrupt {
		c.sq.SetInterrupt(nil)
		err = c.step(sql)
		c.sq.SetInterrupt(c.interrupt.channel)
	}
	return classify(c.path, err)
}

// trust lets statements be prepared that callers may not use, until the returned
// function is called; see authorize.
func (c *conn) trust() (restore func()) {
	before := c.trusted
	c.trusted = true
	return func() { c.trusted = before }
}

// execAll runs statements until one fails.
func (c *conn) execAll(statements ...string) error {
	for _, sql := range statements {
		if err := c.exec(sql); err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) step(sql string) error {
	s, err := c.prepare(sql)
	if err != nil {
		return err
	}
	s.running = true
	defer c.release(s)
	for {
		if more, err := s.Step(); err != nil || !more {
			return err
		}
	}
}

// Savepoint implements driver.Conn.
func (c *conn) Savepoint(_ context.Context, fn func() error) error {
	if c.lost() {
		return errRolledBack()
	}
	c.savepoint++
	defer func() { c.savepoint-- }()
	name := "s" + strconv.Itoa(c.savepoint)
	if err := c.exec("SAVEPOINT " + name); err != nil {
		return err
	}
	done := false
	defer func() {
		if done {
			return
		}
		// fn panicked, or ended its goroutine.
		if c.rollbackTo(name) != nil {
			_ = c.exec("ROLLBACK")
		}
	}()
	err := fn()
	done = true
	if err != nil {
		if undo := c.rollbackTo(name); undo != nil {
			_ = c.exec("ROLLBACK") // rather all of it than half of it stays
			return undo
		}
		return err
	}
	return c.exec("RELEASE " + name)
}

// Dialect implements driver.Conn.
func (c *conn) Dialect() driver.Dialect { return driver.Dialect{} }

// rollbackTo undoes what was done since the savepoint.
func (c *conn) rollbackTo(savepoint string) error {
	if c.sq.AutocommitEnabled() {
		return nil // the whole transaction is gone already
	}
	if err := c.exec("ROLLBACK TO " + savepoint); err != nil {
		return err
	}
	return c.exec("RELEASE " + savepoint)
}

// rollback ends the open transaction, if an error has not done so already.
func (c *conn) rollback() {
	c.inTx = false
	if !c.sq.AutocommitEnabled() {
		_ = c.exec("ROLLBACK") // never fails in a way that leaves it open
	}
}

func (c *conn) close() error {
	if c.stopped {
		// SQLite's connections stay interrupted until a statement begins, and the last one
		// to a file would not copy the log into it.
		c.sq.SetInterrupt(nil)
		_ = c.step("SELECT 1")
	}
	forgetStatements(c.stmts)
	forgetStatements(c.own)
	return classify(c.path, handle.Close(c.sq))
}
