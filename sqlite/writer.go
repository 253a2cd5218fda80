package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
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
// connection. Each runs on its caller's goroutine, when its turn comes; a turn
// is handed from one write to the next. Writes that wait their turn while a
// transaction is open join it, each in a savepoint of its own, and one COMMIT
// acknowledges them all: with 32 writers, one sync of the disk serves 32.
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

// turn is one write's place in the queue.
type turn struct {
	granted chan struct{} // receives when it has the turn
	verdict chan error    // receives when its transaction has ended
	alone   bool          // it shares its transaction with no other
}

// do runs fn in a transaction and returns when that is on disk.
func (w *writer) do(ctx context.Context, fn func(driver.Conn) error) error {
	alone := false
	for {
		t := &turn{granted: make(chan struct{}, 1), verdict: make(chan error, 1), alone: alone}
		if err := w.acquire(ctx, t); err != nil {
			return err
		}
		err := w.work(ctx, t, fn)
		if alone = errors.Is(err, errAlone); !alone && !errors.Is(err, errAgain) {
			return err
		}
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

// acquire waits for the turn.
func (w *writer) acquire(ctx context.Context, t *turn) error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errClosed()
	}
	if !w.taken {
		w.taken = true
		w.mu.Unlock()
		return nil
	}
	w.queue = append(w.queue, t)
	w.mu.Unlock()

	patience := time.NewTimer(w.patience)
	defer patience.Stop()
	var err error
	select {
	case <-t.granted:
		return nil
	case <-ctx.Done():
		err = canceled(ctx)
	case <-patience.C:
		err = &nexus.Error{
			Code:    nexus.CodeBusy,
			Message: fmt.Sprintf("another write of this process has been going on for %v", w.patience),
			Hint:    "nothing was changed; a function given to InTx must write through its tx, not through the DB",
		}
	}
	w.mu.Lock()
	if i := slices.Index(w.queue, t); i >= 0 {
		w.queue = slices.Delete(w.queue, i, i+1)
		w.mu.Unlock()
		return err
	}
	w.mu.Unlock()
	<-t.granted // it came in the same moment
	w.finish()
	return err
}

// work does t's part of a transaction. It is called with the turn, and has
// given it away when it returns.
func (w *writer) work(ctx context.Context, t *turn, fn func(driver.Conn) error) error {
	alone := len(w.batch) == 0
	if alone {
		if err := w.begin(ctx); err != nil {
			w.pass()
			return err
		}
	}
	done := false
	defer func() {
		if !done { // fn panicked, or ended its goroutine
			w.undo(alone)
			w.finish()
		}
	}()
	err := w.call(ctx, alone, fn)
	if err == nil && w.conn.sq.AutocommitEnabled() {
		err = errRolledBack()
	}
	done = true
	if err != nil {
		w.undo(alone)
		if len(w.batch) == 0 {
			w.finish()
			return err
		}
		// What it failed on may be work that is not on disk yet, such as a row
		// that exists already: its error is true only if that is committed.
	}
	w.batch = append(w.batch, t)
	w.finish()
	if verdict := <-t.verdict; verdict != nil {
		if err != nil {
			return errAgain
		}
		return verdict
	}
	return err
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
// there is one, or else after committing it.
func (w *writer) finish() {
	if len(w.batch) > 0 && (w.hand() || w.gather()) {
		return
	}
	w.commit()
	w.pass()
}

// hand gives the turn to the next write, which joins the open transaction. It
// reports whether there was one and the transaction can take it.
func (w *writer) hand() bool {
	if len(w.batch) >= maxBatch || time.Since(w.began) > longestBatch || w.batch[0].alone {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) > 0 && w.queue[0].alone {
		return false
	}
	return w.grantNext()
}

// gather is hand for when nobody waits. The writes that shared the commit before
// have just been woken, and most of them are about to come back with the next
// one: it lets them, once, before this commit goes without them.
func (w *writer) gather() bool {
	if len(w.batch) >= w.shared {
		return false
	}
	runtime.Gosched()
	return w.hand()
}

// pass gives the turn to the next write, or back.
func (w *writer) pass() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.grantNext() {
		w.taken = false
	}
}

// grantNext is called with mu held.
func (w *writer) grantNext() bool {
	if len(w.queue) == 0 {
		return false
	}
	next := w.queue[0]
	w.queue = slices.Delete(w.queue, 0, 1)
	next.granted <- struct{}{}
	return true
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
