package sqlite

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Bounds on how many writes share a commit, so that the first of them and other
// processes do not wait for long.
const (
	maxBatch     = 256
	longestBatch = 20 * time.Millisecond // then no other joins
)

// errAgain tells a write that it was undone through no fault of its own, and
// errAlone one whose transaction could not be committed, perhaps because of
// another in it.
var (
	errAgain = errors.New("run it again")
	errAlone = errors.New("run it again, alone")
)

// writer is the commit queue. All writes of the process go through its one
// connection. Each runs on its caller's goroutine, when its turn comes, or on that
// of the one before it; a turn is handed from one write to the next. Writes that
// wait their turn while a transaction is open join it, each in a savepoint of its
// own, and one COMMIT acknowledges them all: with 32 writers, one sync of the disk
// serves 32.
//
// A lone write finds nobody before or behind it. It takes the turn without
// switching goroutines, and needs no savepoint.
type writer struct {
	open      func(context.Context) (*conn, error)
	patience  time.Duration
	committed func() // called after each commit; must be quick

	mu     sync.Mutex
	taken  bool    // somebody has the turn
	queue  []*turn // who waits for it, first come first served
	closed bool

	// Owned by whoever has the turn.
	conn      *conn      // opened by the first write
	turnstile *turnstile // opened with it; entered for as long as a transaction is open
	batch     []*turn    // those whose work is in the open transaction
	shared    int        // how many were in the one before
	began     time.Time
	courtesy  courtesy
}

// do runs fn in a transaction and returns when that is on disk. With anywhere, fn
// may run on another goroutine.
func (w *writer) do(ctx context.Context, anywhere bool, fn func(driver.Conn) error) error {
	alone := false
	for {
		t := &turn{
			ctx: ctx, fn: fn, granted: make(chan struct{}, 1), verdict: make(chan error, 1), anywhere: anywhere, alone: alone,
		}
		if err := w.acquire(ctx, t); err != nil {
			return err
		}
		if !t.served {
			w.work(t)
		}
		alone = errors.Is(t.err, errAlone)
		if !alone && !errors.Is(t.err, errAgain) {
			return t.err
		}
		anywhere = t.anywhere && !alone
	}
}

// exclusively runs fn on the writer's connection while no transaction is open,
// neither here nor in another process that has a turnstile.
func (w *writer) exclusively(ctx context.Context, fn func(*conn) error) error {
	t := &turn{granted: make(chan struct{}, 1)}
	if err := w.acquire(ctx, t); err != nil {
		return err
	}
	defer w.pass()
	w.commit()
	if err := w.connect(ctx); err != nil {
		return err
	}
	if err := w.turnstile.enter(ctx, w.patience); err != nil {
		return err
	}
	defer w.turnstile.leave()
	return fn(w.conn)
}

// connect opens the connection, if this is the first use of it.
func (w *writer) connect(ctx context.Context) (err error) {
	if w.conn == nil {
		if w.conn, err = w.open(ctx); err == nil {
			w.turnstile = openTurnstile(w.conn.path)
		}
	}
	return err
}

// close refuses further writes, waits for those in the queue, and closes the
// connection.
func (w *writer) close() error {
	t := &turn{granted: make(chan struct{}, 1)}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	if w.taken {
		w.queue = append(w.queue, t)
		w.mu.Unlock()
		<-t.granted
	} else {
		w.mu.Unlock()
	}
	w.commit()
	if w.conn == nil {
		return nil
	}
	w.turnstile.close()
	return w.conn.close()
}

// work does the work of a turn on its own goroutine. It is called with the turn,
// and has given it away when it returns.
func (w *writer) work(t *turn) {
	alone := len(w.batch) == 0
	if alone {
		if t.err = w.begin(t.ctx); t.err != nil {
			w.pass()
			return
		}
	}
	done := false
	defer func() {
		if !done { // fn panicked, or ended its goroutine
			w.finish()
		}
	}()
	joined := w.perform(t, alone)
	done = true
	w.finish()
	if joined {
		t.settle(<-t.verdict)
	}
}

// serve does the work of a turn that waits for it. If that panics, it is left to
// its own goroutine to do so.
func (w *writer) serve(t *turn) {
	defer func() {
		if recover() != nil {
			t.anywhere = false
			t.verdict <- errAgain
		}
	}()
	if !w.perform(t, false) {
		t.verdict <- nil
	}
}

// perform runs a turn's function in the open transaction, and reports whether its
// verdict is that of the transaction; without, t.err is final.
func (w *writer) perform(t *turn, alone bool) (joined bool) {
	returned := false
	defer func() {
		if !returned {
			w.undo(alone)
		}
	}()
	t.err = w.call(t.ctx, alone, t.fn)
	if t.err == nil && w.conn.sq.AutocommitEnabled() {
		t.err = errRolledBack()
	}
	returned = true
	if t.err != nil {
		w.undo(alone)
		if len(w.batch) == 0 {
			return false
		}
	}
	w.batch = append(w.batch, t)
	return true
}

// call runs fn, with ctx able to stop it.
func (w *writer) call(ctx context.Context, alone bool, fn func(driver.Conn) error) error {
	defer w.conn.watch(ctx)()
	if alone {
		return fn(w.conn)
	}
	return w.conn.Savepoint(ctx, func() error { return fn(w.conn) })
}

// undo ends the transaction if it held only the work that failed, and finds out
// whether an error has ended it: SQLite rolls all of it back when the disk is
// full or a statement that writes is interrupted. Then the others run again.
func (w *writer) undo(alone bool) {
	if alone {
		w.conn.rollback()
	}
	if w.conn.sq.AutocommitEnabled() {
		w.conn.inTx = false
		w.turnstile.leave()
		w.announce(errAgain)
	}
}

// finish gives the turn away: to the next write, within the open transaction if
// there is one, or else after committing it. The work of a write that may run
// anywhere it does itself: to wake another goroutine costs a sixth of the time that
// 32 writers need.
func (w *writer) finish() {
	gathered := false
	for len(w.batch) > 0 {
		next := w.next()
		if next == nil && !gathered && len(w.batch) < w.shared {
			// The writes that shared the commit before have just been woken, and
			// most of them are about to come back with the next one: this lets
			// them, once, before the commit goes without them.
			gathered = true
			runtime.Gosched()
			next = w.next()
		}
		if next == nil {
			break
		}
		if !next.anywhere {
			next.granted <- struct{}{}
			return
		}
		w.serve(next)
	}
	w.commit()
	w.pass()
}

// commit ends the open transaction, if there is one, and tells all whose work
// was in it.
func (w *writer) commit() {
	if len(w.batch) == 0 {
		return
	}
	w.shared = len(w.batch)
	err := w.conn.exec("COMMIT")
	w.conn.rollback() // of what a failed COMMIT left
	w.turnstile.leave()
	if len(w.batch) > 1 && nexus.CodeOf(err) == nexus.CodeReference {
		err = errAlone // one of them left a deferred foreign key open
	}
	w.courtesy.committed()
	w.announce(err)
	if err == nil {
		w.committed()
	}
}

// announce tells the batch how its transaction ended.
func (w *writer) announce(err error) {
	for _, t := range w.batch {
		t.verdict <- err
	}
	w.batch = w.batch[:0]
}

// begin opens a transaction, waiting for other processes.
func (w *writer) begin(ctx context.Context) error {
	if err := w.connect(ctx); err != nil {
		return err
	}
	came := time.Now()
	pauseDue := w.courtesy.due(came)
	if err := w.turnstile.enter(ctx, w.patience); err != nil {
		return err
	}
	if pauseDue {
		w.courtesy.pause(ctx, w.conn.path, w.turnstile)
	}
	err := patientlySince(ctx, came, w.patience, func() error { return w.conn.exec("BEGIN IMMEDIATE") })
	if err != nil {
		w.turnstile.leave()
		return err
	}
	w.conn.inTx, w.began = true, time.Now()
	return nil
}

func errRolledBack() error {
	return &nexus.Error{
		Code:    nexus.CodeInternal,
		Message: "an earlier error has rolled the transaction back",
		Hint:    "nothing was changed; a function given to InTx must return the errors it gets",
	}
}
