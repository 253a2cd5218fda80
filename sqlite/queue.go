package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// turn is one write's place in the queue.
type turn struct {
	ctx      context.Context
	fn       func(driver.Conn) error
	err      error         // what became of it
	granted  chan struct{} // receives when it has the turn
	verdict  chan error    // receives when its transaction has ended
	anywhere bool          // whoever has the turn may do its work
	served   bool          // and has done it
	alone    bool          // it shares its transaction with no other
}

// settle notes how its transaction has ended. What an error was about may be work
// that the same transaction has not committed, such as a row that existed already.
func (t *turn) settle(verdict error) {
	if verdict != nil && t.err != nil {
		verdict = errAgain
	}
	if verdict != nil {
		t.err = verdict
	}
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
	case verdict := <-t.verdict:
		t.served = true
		t.settle(verdict)
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
	select { // it came in the same moment
	case <-t.granted:
		w.finish()
		return err
	case verdict := <-t.verdict:
		t.served = true
		t.settle(verdict)
		return nil
	}
}

// next takes the first write from the queue if it may join the open transaction.
func (w *writer) next() *turn {
	if len(w.batch) >= maxBatch || time.Since(w.began) > longestBatch || w.batch[0].alone {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 || w.queue[0].alone {
		return nil
	}
	return w.pop()
}

// pop takes the first write from the queue; it is called with mu held.
func (w *writer) pop() *turn {
	next := w.queue[0]
	w.queue = slices.Delete(w.queue, 0, 1)
	return next
}

// pass gives the turn to the next write, or back.
func (w *writer) pass() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		w.taken = false
		return
	}
	w.pop().granted <- struct{}{}
}
