package logvfs

import (
	"sync/atomic"
	"testing"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	failing     atomic.Int32
	systemWrite uintptr
)

// FailWrites makes writes to all logs of this process fail with a code of SQLite's, until
// it is called with 0. A database must have been opened with the VFS before.
func FailWrites(t *testing.T, code int32) {
	if systemWrite == 0 {
		systemWrite = logs.system.FxWrite
		logs.system.FxWrite = address[writeFunc](failingWrite)
		t.Cleanup(func() { logs.system.FxWrite, systemWrite = systemWrite, 0 })
	}
	failing.Store(code)
}

func failingWrite(tls *libc.TLS, f *file, from uintptr, n int32, offset int64) int32 {
	if code := failing.Load(); code != sqlite3.SQLITE_OK {
		return code
	}
	return as[writeFunc](systemWrite)(tls, f, from, n, offset)
}
