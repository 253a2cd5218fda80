package sqlite

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Bytes of the write-ahead log's file that processes lock, far behind any that
// it has. They are there to be locked and for nothing else; SQLite locks none of
// this file.
const (
	headByte   = 1 << 40      // the head of the line: whoever gets in next
	insideByte = headByte + 1 // inside: whoever writes
	hereBytes  = 1 << 41      // and a process id: that is a Nexus which may write
	pauseBytes = 1 << 42      // and a tenth of a second: of a pause then; see courtesy
)

const (
	// longestLine is how long a process stands in the line. One that has been
	// stopped there, as by Ctrl-Z, is in the way of all who come after it; they go
	// past it.
	longestLine = 5 * time.Second

	// stint is how long a process that writes without a break stays inside. To let
	// another in costs more than a write: its threads have to be woken, and it has to
	// read again what others have changed. Of 64 processes that never pause, with
	// stints of 1, 4 and 8 ms, each transaction synced, 1,200, 1,600 and 1,900
	// tasks a second were completed, and the longest waits were 0.5, 0.9 and 1.4 s.
	stint = 4 * time.Millisecond

	// noBreak is the time between two writes within which it is cheaper to wait for
	// the second than to let another process in.
	noBreak = 100 * time.Microsecond
)

// turnstile lets the processes that write to a file in one by one, in the order
// in which they come. SQLite's own lock has no line: those who wait for it look
// now and then whether it is free, and whoever has just given it back has it
// again before any of them looks.
//
// It is two locks on bytes of the write-ahead log, through a descriptor of its
// own (open file description locks; see fcntl_locking(2)). To get in, a process
// locks the head of the line, then the inside, and gives up the head. Whoever
// comes out finds the next one at the head, and cannot get in before it. The
// kernel wakes those who wait in the order in which they came, and takes back the
// locks of a process that dies.
//
// It keeps order, and no more. What guards the database is SQLite's lock, which
// whoever is inside asks for as ever: other programs know of no turnstile, and
// who has stood in the line for too long goes past it.
//
// Its methods are for whoever has the writer's turn. A nil turnstile stops nobody.
type turnstile struct {
	file *os.File

	mu      sync.Mutex
	since   time.Time     // when this process went to stand in the line; zero if it does not
	wanted  chan struct{} // closed when it has got in; nil if nobody waits for that
	inside  bool
	writing bool // between enter and leave
	staying bool // for a stint
	closed  bool

	left      time.Time // when it last left
	pauseByte int64     // locked to tell of a pause
}

// openTurnstile returns the turnstile of the database at path. A connection to
// that must be open and stay so, which keeps others from replacing the log. Where
// there can be no turnstile, it returns nil.
func openTurnstile(path string) *turnstile {
	file, err := os.OpenFile(logOf(path), os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	t := &turnstile{file: file}
	if t.fcntl(unix.F_OFD_SETLK, unix.F_RDLCK, hereBytes+int64(os.Getpid()), 1) != nil {
		_ = file.Close()
		return nil
	}
	return t
}

// logOf returns the path of a database's write-ahead log, which is beside the
// file itself, not beside a link to it.
func logOf(path string) string {
	if file, err := filepath.EvalSymlinks(path); err == nil {
		path = file
	}
	return path + "-wal"
}

// enter waits to get in, for as long as patience and longestLine allow; after
// that it returns all the same. It fails only if ctx ends.
func (t *turnstile) enter(ctx context.Context, patience time.Duration) error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writing = true
	if t.staying {
		return nil
	}
	busy := time.Since(t.left) < noBreak
	if !t.tryEnter() {
		if err := t.queue(ctx, patience); err != nil {
			t.writing = false
			t.goOut()
			return err
		}
	}
	if t.inside && busy {
		t.staying = true
		time.AfterFunc(stint, t.endStint)
	}
	return nil
}

// tryEnter gets in if nobody is there, neither inside nor in the line.
func (t *turnstile) tryEnter() bool {
	if !t.since.IsZero() {
		return false // locks through one descriptor do not exclude each other
	}
	if t.fcntl(unix.F_OFD_SETLK, unix.F_WRLCK, headByte, 2) != nil {
		return false
	}
	t.inside = true
	t.unlock(headByte)
	return true
}

// queue waits until stand has got in. If an earlier write has given up, its place
// in the line is taken over.
func (t *turnstile) queue(ctx context.Context, patience time.Duration) error {
	if t.since.IsZero() {
		t.since = time.Now()
		go t.stand()
	}
	wanted := make(chan struct{})
	t.wanted = wanted
	limit := time.NewTimer(min(patience, longestLine-time.Since(t.since)))
	defer limit.Stop()
	t.mu.Unlock()
	defer func() { t.wanted = nil }()
	defer t.mu.Lock()
	select {
	case <-wanted:
	case <-limit.C:
	case <-ctx.Done():
		return canceled(ctx)
	}
	return nil
}

// stand stands in the line. It has a goroutine of its own because the kernel's
// wait cannot be ended: when nobody waits for it any more, it goes through and
// out again.
func (t *turnstile) stand() {
	_ = t.fcntl(unix.F_OFD_SETLKW, unix.F_WRLCK, headByte, 1)
	_ = t.fcntl(unix.F_OFD_SETLKW, unix.F_WRLCK, insideByte, 1)
	t.unlock(headByte)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.since = time.Time{}
	t.inside = true
	switch {
	case t.closed:
		_ = t.file.Close()
	case t.wanted == nil:
		t.goOut()
	default:
		close(t.wanted)
		t.wanted = nil
	}
}

// leave lets the next process in, unless this one stays for a stint.
func (t *turnstile) leave() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writing, t.left = false, time.Now()
	if !t.staying {
		t.goOut()
	}
}

func (t *turnstile) endStint() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.staying = false
	if !t.writing {
		t.goOut()
	}
}

func (t *turnstile) goOut() {
	if t.inside {
		t.inside = false
		t.unlock(insideByte)
	}
}

// close gives back all locks.
func (t *turnstile) close() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.since.IsZero() { // or else stand needs it still
		_ = t.file.Close()
	}
}

// tellOfPause lets other processes know that this one has made a pause.
func (t *turnstile) tellOfPause(now time.Time) {
	if t == nil {
		return
	}
	before := t.pauseByte
	t.pauseByte = pauseBytes + now.UnixMilli()/100
	_ = t.fcntl(unix.F_OFD_SETLK, unix.F_RDLCK, t.pauseByte, 1)
	if before != 0 && before != t.pauseByte {
		t.unlock(before)
	}
}

// pausedLately reports whether another process has made a pause within the last
// second.
func (t *turnstile) pausedLately(now time.Time) bool {
	if t == nil {
		return false
	}
	pauses := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: pauseBytes + now.UnixMilli()/100 - 9, Len: 10}
	err := unix.FcntlFlock(t.file.Fd(), unix.F_OFD_GETLK, &pauses)
	return err == nil && pauses.Type != unix.F_UNLCK
}

func (t *turnstile) unlock(b int64) {
	_ = t.fcntl(unix.F_OFD_SETLK, unix.F_UNLCK, b, 1)
}

// fcntl locks or unlocks n bytes. If that cannot be done, there is less order,
// and no other harm.
func (t *turnstile) fcntl(command int, kind int16, first, n int64) error {
	lock := unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: first, Len: n}
	for {
		if err := unix.FcntlFlock(t.file.Fd(), command, &lock); err != unix.EINTR {
			return err
		}
	}
}
