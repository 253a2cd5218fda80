package sqlite

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// openElsewhere reports whether another process has the database open: a
// connection holds a shared lock on the file as long as it is open.
//
// It asks /proc/locks and not the file: closing a descriptor of a file gives up
// all the locks that the process has on it, SQLite's among them.
func openElsewhere(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return true // not known, so be polite
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return true
	}
	inode, self := strconv.FormatUint(stat.Ino, 10), strconv.Itoa(os.Getpid())
	for line := range strings.Lines(string(locks)) {
		// 1: POSIX  ADVISORY  READ 4242 08:01:123456 1073741826 1073742335
		fields := strings.Fields(line)
		if len(fields) < 8 || fields[4] == self {
			continue
		}
		if place := strings.LastIndexByte(fields[5], ':'); fields[5][place+1:] == inode {
			return true
		}
	}
	return false
}
