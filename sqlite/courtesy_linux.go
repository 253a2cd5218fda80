package sqlite

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// openElsewhere reports whether another process has the database open: a
// connection holds a shared lock on the file as long as it is open. If it cannot
// be known, the answer is yes, to be polite.
func openElsewhere(path string) bool {
	locks, known := allLocks().on(path)
	return !known || slices.ContainsFunc(locks, func(l fileLock) bool { return l.pid != os.Getpid() })
}

// foreignersPresent reports whether another process has the database open that is
// none of those with a turnstile: another program, or a Nexus that has not
// written.
func foreignersPresent(path string) bool {
	all := allLocks()
	locks, known := all.on(path)
	if !known {
		return true
	}
	ours := []int{os.Getpid()}
	marks, _ := all.on(logOf(path))
	for _, mark := range marks {
		if mark.first >= hereBytes && mark.first < pauseBytes {
			ours = append(ours, int(mark.first-hereBytes))
		}
	}
	return slices.ContainsFunc(locks, func(l fileLock) bool { return !slices.Contains(ours, l.pid) })
}

// procLocks is what /proc/locks says, which is nothing where nobody holds a lock; nil if
// it cannot be read.
//
// It is asked and not the file, because closing a descriptor of a file gives up
// all the locks that the process has on it, SQLite's among them.
type procLocks []byte

func allLocks() procLocks {
	text, err := os.ReadFile("/proc/locks")
	if err != nil {
		return nil
	}
	return append(procLocks{}, text...)
}

// fileLock is a lock that is held: by which process, unless it belongs to a
// descriptor, and from which byte on.
type fileLock struct {
	pid   int
	first int64
}

// on lists the locks on a file, if they can be known.
func (p procLocks) on(path string) (list []fileLock, known bool) {
	info, err := os.Stat(path)
	if err != nil || p == nil {
		return nil, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, false
	}
	inode := ":" + strconv.FormatUint(stat.Ino, 10)
	for line := range strings.Lines(string(p)) {
		// 1: POSIX  ADVISORY  READ 4242 08:01:123456 1073741826 1073742335
		// 1: -> POSIX  ADVISORY  READ ... is one that is waited for
		fields := strings.Fields(line)
		if len(fields) != 8 || !strings.HasSuffix(fields[5], inode) {
			continue
		}
		pid, _ := strconv.Atoi(fields[4])
		first, _ := strconv.ParseInt(fields[6], 10, 64)
		list = append(list, fileLock{pid: pid, first: first})
	}
	return list, true
}
