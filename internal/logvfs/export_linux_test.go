package logvfs

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Step is something that was done to the files of a database, or, with neither Data nor
// Sync nor Truncate, what [Recording.Note] was told.
type Step struct {
	Log      bool // it was done to the log, not to the database
	Offset   int64
	Data     []byte
	Sync     bool  // everything before it is on the disk
	Truncate bool  // to Size bytes
	Size     int64 // or the number that was noted
}

// Recording is all that has been done to the files of a database, in its order.
type Recording struct {
	path  string
	hooks []any // functions that only memory of C points at

	mu    sync.Mutex // held while a step is done, so that the order is the one of the disk
	steps []Step
}

// Note adds a number of the caller's to the recording.
func (r *Recording) Note(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, Step{Size: n})
}

// Steps returns what has been recorded so far.
func (r *Recording) Steps() []Step {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.steps[:len(r.steps):len(r.steps)]
}

// Record records what this process does to the files of a database from now on, until the
// test ends. Any database must have been opened with the VFS before. One test at a time
// may do so.
func Record(t *testing.T, path string) *Recording {
	r := &Recording{path: path}
	// The system's methods are those of all its files. What is replaced in them is what
	// this package calls for a log; for a database SQLite calls its copy itself.
	was, wasOwn := *logs.system, *databases.own
	hook := func(m *sqlite3.Tsqlite3_io_methods, log bool) {
		var write writeFunc = func(tls *libc.TLS, f *file, from uintptr, n int32, offset int64) int32 {
			s := Step{Log: log, Data: append([]byte{}, unsafe.Slice(as[*byte](from), n)...), Offset: offset}
			return r.do(f, s, func() int32 { return as[writeFunc](was.FxWrite)(tls, f, from, n, offset) })
		}
		var truncate truncateFunc = func(tls *libc.TLS, f *file, size int64) int32 {
			s := Step{Log: log, Truncate: true, Size: size}
			return r.do(f, s, func() int32 { return as[truncateFunc](was.FxTruncate)(tls, f, size) })
		}
		var sync syncFunc = func(tls *libc.TLS, f *file, flags int32) int32 {
			return r.do(f, Step{Log: log, Sync: true}, func() int32 { return as[syncFunc](was.FxSync)(tls, f, flags) })
		}
		r.hooks = append(r.hooks, write, truncate, sync)
		m.FxWrite, m.FxTruncate, m.FxSync = address(write), address(truncate), address(sync)
	}
	hook(logs.system, true)
	hook(databases.own, false)
	t.Cleanup(func() {
		*logs.system, *databases.own = was, wasOwn
		runtime.KeepAlive(r)
	})
	return r
}

// do does a step, and records it if it is of a file of the database and succeeds.
func (r *Recording) do(f *file, s Step, step func() int32) int32 {
	of := libc.GoString((*sqlite3.TunixFile)(unsafe.Pointer(f)).FzPath)
	if strings.TrimSuffix(of, "-wal") != r.path {
		return step()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	rc := step()
	if rc == sqlite3.SQLITE_OK {
		r.steps = append(r.steps, s)
	}
	return rc
}
