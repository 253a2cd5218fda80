// Package logvfs writes a transaction to SQLite's write-ahead log in one piece.
//
// SQLite writes the log frame by frame, and each in two pieces: 24 bytes that say
// which page it is, and the page. A task that is claimed changes some ten pages, so
// its commit is twenty system calls, an eighth of its time. This package is a VFS
// (https://sqlite.org/vfs.html) that is the system's own in everything but this: it holds
// frames back, and writes them together.
//
// What may be held back is what nobody else may read yet: frames of a transaction whose
// last frame, which says that it is committed, is still to come. They are written
//
//   - with the last frame, before the write of that one returns, so SQLite syncs and
//     publishes only what is in the file;
//   - before a write elsewhere, a sync, and whatever else is done to the file;
//   - when there are more than fit.
//
// Only a write fails for it, as on a full disk: that ends the transaction, as SQLite has it.
// A read must not fail so, because SQLite may go on after that and commit, as if the frames
// were there; it gets what is held back from memory.
//
// They are forgotten when the connection gives up the right to write, because the
// transaction was rolled back then: their place in the file is the next writer's. Whoever
// keeps that right for good (locking_mode=EXCLUSIVE) asks for no lock, and has nothing held
// back.
package logvfs

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	name = "nexus-log"

	headerSize = 24 // of a frame, in bytes; see https://sqlite.org/fileformat2.html#walformat

	// capacity is how much is held back, in bytes: 31 frames of a page of 4 KiB. SQLite
	// writes less than 1<<17 at once.
	capacity = 31 * (headerSize + 4096)
)

// file is SQLite's sqlite3_file: the system's, and behind it extra. It is memory of C, as
// is all that its methods are given, and so is what extra points at: the garbage collector
// has nothing to look for there.
type file struct {
	methods *sqlite3.Tsqlite3_io_methods
}

// extra is what this package knows of a file. Of a database it is only log and writing.
type extra struct {
	log      uintptr // the file of the log that is open beside this database, or 0
	writing  bool    // this connection has the right to write to it
	database uintptr // the file of the database of this log

	held   uintptr // the frames that are held back, capacity bytes, or 0
	length int32   // of them in bytes
	offset int64   // where in the file they belong
	commit bool    // the header that was written last is that of the last frame of a transaction
}

// Functions of SQLite's interface that are called here or replaced here.
type (
	openFunc     = func(tls *libc.TLS, vfs *sqlite3.Tsqlite3_vfs, name uintptr, f *file, flags int32, out *int32) int32
	closeFunc    = func(tls *libc.TLS, f *file) int32
	readFunc     = func(tls *libc.TLS, f *file, to uintptr, n int32, offset int64) int32
	writeFunc    = func(tls *libc.TLS, f *file, from uintptr, n int32, offset int64) int32
	truncateFunc = func(tls *libc.TLS, f *file, size int64) int32
	syncFunc     = func(tls *libc.TLS, f *file, flags int32) int32
	sizeFunc     = func(tls *libc.TLS, f *file, size *int64) int32
	deviceFunc   = func(tls *libc.TLS, f *file) int32
	lockFunc     = func(tls *libc.TLS, f *file, first, n, flags int32) int32
)

// as is an address as a pointer of Go, or as a function: those of Go are pointers to where
// their code is said, and those do not move.
func as[T any](address uintptr) T { return *(*T)(unsafe.Pointer(&address)) }

func address[T any](pointer T) uintptr { return *(*uintptr)(unsafe.Pointer(&pointer)) }

// copied is a copy of what SQLite has, for SQLite, so it is memory of C too; nil if there
// is none left. It is for as long as the process lives.
func copied[T any](tls *libc.TLS, from *T) *T {
	to := as[*T](libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(*from))))
	if to != nil {
		*to = *from
	}
	return to
}

var (
	system    *sqlite3.Tsqlite3_vfs // the system's VFS
	databases methods
	logs      methods
)

// methods are those of one sort of files: the system's, and these with some of them
// replaced.
type methods struct {
	once        sync.Once
	system, own *sqlite3.Tsqlite3_io_methods
}

// replace gives a file the methods of its sort. It stays as it is if the system's are not
// those of the first file of its sort.
func (m *methods) replace(tls *libc.TLS, f *file, by func(*sqlite3.Tsqlite3_io_methods)) {
	m.once.Do(func() {
		m.system, m.own = f.methods, copied(tls, f.methods)
		if m.own != nil {
			by(m.own)
		}
	})
	if f.methods == m.system && m.own != nil {
		f.methods = m.own
	}
}

func replaceDatabase(m *sqlite3.Tsqlite3_io_methods) {
	m.FxShmLock = address[lockFunc](lock)
}

func replaceLog(m *sqlite3.Tsqlite3_io_methods) {
	m.FxClose = address[closeFunc](closeLog)
	m.FxRead = address[readFunc](read)
	m.FxWrite = address[writeFunc](write)
	m.FxTruncate = address[truncateFunc](truncate)
	m.FxSync = address[syncFunc](syncLog)
	m.FxFileSize = address[sizeFunc](size)
}

// Name makes SQLite know the VFS and returns what it is called: file:/path?vfs=NAME. On
// systems where it has not been tried that is the system's own. It may be called at any
// time, by anyone.
var Name = sync.OnceValues(func() (string, error) {
	tls := libc.NewTLS()
	defer tls.Close()
	system = as[*sqlite3.Tsqlite3_vfs](sqlite3.Xsqlite3_vfs_find(tls, 0))
	if system == nil {
		return "", errors.New("SQLite has no way to the files of this system")
	}
	if runtime.GOOS != "linux" {
		return libc.GoString(system.FzName), nil
	}
	own, called := copied(tls, system), copied(tls, (*[len(name) + 1]byte)([]byte(name+"\x00")))
	if own == nil || called == nil {
		return "", errors.New("there is no memory for a VFS")
	}
	own.FzName = address(called)
	own.FszOsFile = int32(extraOffset() + unsafe.Sizeof(extra{}))
	own.FxOpen = address[openFunc](open)
	if code := sqlite3.Xsqlite3_vfs_register(tls, address(own), 0); code != sqlite3.SQLITE_OK {
		return "", fmt.Errorf("SQLite does not take the VFS %s: code %d", name, code)
	}
	return name, nil
})

// extraOffset is where in a file of SQLite's the extra begins.
func extraOffset() uintptr { return (uintptr(system.FszOsFile) + 7) &^ 7 }

func (f *file) extra() *extra { return (*extra)(unsafe.Add(unsafe.Pointer(f), extraOffset())) }

func open(tls *libc.TLS, _ *sqlite3.Tsqlite3_vfs, name uintptr, f *file, flags int32, out *int32) int32 {
	*f.extra() = extra{}
	rc := as[openFunc](system.FxOpen)(tls, system, name, f, flags, out)
	if rc != sqlite3.SQLITE_OK {
		return rc
	}
	switch {
	case flags&sqlite3.SQLITE_OPEN_MAIN_DB != 0:
		databases.replace(tls, f, replaceDatabase)
	case flags&sqlite3.SQLITE_OPEN_WAL != 0:
		database := as[*file](sqlite3.Xsqlite3_database_file_object(tls, name))
		if database.methods != databases.own || padded(tls, database) {
			break // nothing would tell when its transactions end, or where frames do
		}
		logs.replace(tls, f, replaceLog)
		if f.methods == logs.own {
			f.extra().database, database.extra().log = address(database), address(f)
		}
	}
	return rc
}

// padded reports whether SQLite fills up sectors of the log, because a write may harm what
// is beside it in the same sector (psow=0). Then it writes pages in pieces.
func padded(tls *libc.TLS, database *file) bool {
	return as[deviceFunc](database.methods.FxDeviceCharacteristics)(tls, database)&sqlite3.SQLITE_IOCAP_POWERSAFE_OVERWRITE == 0
}

// lock also unlocks. Whoever gives up the right to write has committed, and then nothing
// is held back, or has not.
func lock(tls *libc.TLS, f *file, first, n, flags int32) int32 {
	const (
		get    = sqlite3.SQLITE_SHM_LOCK | sqlite3.SQLITE_SHM_EXCLUSIVE
		giveUp = sqlite3.SQLITE_SHM_UNLOCK | sqlite3.SQLITE_SHM_EXCLUSIVE
	)
	x, write := f.extra(), first == sqlite3.WAL_WRITE_LOCK
	if write && flags == giveUp {
		x.writing = false
		if x.log != 0 {
			as[*file](x.log).extra().length = 0
		}
	}
	rc := as[lockFunc](databases.system.FxShmLock)(tls, f, first, n, flags)
	if write && flags == get && rc == sqlite3.SQLITE_OK {
		x.writing = true
	}
	return rc
}

func write(tls *libc.TLS, f *file, from uintptr, n int32, offset int64) int32 {
	x := f.extra()
	header := n == headerSize // no page is as small, and the header of the file has 32 bytes
	if header {
		x.commit = *as[*uint32](from + 4) != 0
	}
	if !x.follows(n, offset) {
		if rc := flushOrDrop(tls, f); rc != sqlite3.SQLITE_OK {
			return rc
		}
	}
	// To hold back begins with a header, but not with that of a last frame: SQLite also
	// writes such a header alone, when it corrects checksums in the log.
	if x.length == 0 && (!header || x.commit || !as[*file](x.database).extra().writing || !x.allocate(tls)) {
		return as[writeFunc](logs.system.FxWrite)(tls, f, from, n, offset)
	}
	if x.length == 0 {
		x.offset = offset
	}
	copy(as[*[capacity]byte](x.held)[x.length:], unsafe.Slice(as[*byte](from), n))
	x.length += n
	if x.commit && !header {
		return flushOrDrop(tls, f)
	}
	return sqlite3.SQLITE_OK
}

// follows reports whether so many bytes there can be held back with what is.
func (x *extra) follows(n int32, offset int64) bool {
	return x.length > 0 && offset == x.offset+int64(x.length) && x.length+n <= capacity
}

func (x *extra) allocate(tls *libc.TLS) bool {
	if x.held == 0 {
		x.held = libc.Xmalloc(tls, capacity)
	}
	return x.held != 0
}

// flush writes what is held back. After an error it is still held back.
func flush(tls *libc.TLS, f *file) int32 {
	x := f.extra()
	if x.length == 0 {
		return sqlite3.SQLITE_OK
	}
	rc := as[writeFunc](logs.system.FxWrite)(tls, f, x.held, x.length, x.offset)
	if rc == sqlite3.SQLITE_OK {
		x.length = 0
	}
	return rc
}

// flushOrDrop is flush for a write. If that fails, SQLite ends the transaction, whose last
// frame must not get into the file any more.
func flushOrDrop(tls *libc.TLS, f *file) int32 {
	rc := flush(tls, f)
	f.extra().length = 0
	return rc
}

func read(tls *libc.TLS, f *file, to uintptr, n int32, offset int64) int32 {
	x := f.extra()
	from := offset - x.offset
	switch {
	case x.length == 0 || from+int64(n) <= 0 || from >= int64(x.length): // nothing of it is held back
		return as[readFunc](logs.system.FxRead)(tls, f, to, n, offset)
	case from >= 0 && from+int64(n) <= int64(x.length): // all of it is
		copy(unsafe.Slice(as[*byte](to), n), as[*[capacity]byte](x.held)[from:])
		return sqlite3.SQLITE_OK
	}
	if rc := flush(tls, f); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return as[readFunc](logs.system.FxRead)(tls, f, to, n, offset)
}

func truncate(tls *libc.TLS, f *file, size int64) int32 {
	if rc := flush(tls, f); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return as[truncateFunc](logs.system.FxTruncate)(tls, f, size)
}

func syncLog(tls *libc.TLS, f *file, flags int32) int32 {
	if rc := flush(tls, f); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return as[syncFunc](logs.system.FxSync)(tls, f, flags)
}

func size(tls *libc.TLS, f *file, size *int64) int32 {
	if rc := flush(tls, f); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return as[sizeFunc](logs.system.FxFileSize)(tls, f, size)
}

// closeLog closes a log. What is still held back was never committed.
func closeLog(tls *libc.TLS, f *file) int32 {
	x := f.extra()
	as[*file](x.database).extra().log = 0
	libc.Xfree(tls, x.held)
	*x = extra{}
	return as[closeFunc](logs.system.FxClose)(tls, f)
}
