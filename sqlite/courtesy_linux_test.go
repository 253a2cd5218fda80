package sqlite_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/seed-c8812374/nexus/sqlite"
)

// TestLocksOn reads /proc/locks, which is empty where nobody holds a lock: in most
// containers. That is something else than not to know.
func TestLocksOn(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	info, err := os.Stat(path)
	mustSucceed(t, err)
	line := fmt.Sprintf("1: POSIX  ADVISORY  READ 4242 08:01:%d 1073741826 1073742335\n", info.Sys().(*syscall.Stat_t).Ino)
	for _, c := range []struct {
		what  string
		text  []byte
		count int
		known bool
	}{
		{"unreadable", nil, 0, false},
		{"empty", []byte{}, 0, true},
		{"another file's", []byte("1: POSIX  ADVISORY  READ 4242 08:01:1 1073741826 1073742335\n"), 0, true},
		{"one", []byte(line), 1, true},
		{"one, and one that waits", []byte(line + "1: -> POSIX  ADVISORY  WRITE 4243 08:01:1 0 EOF\n"), 1, true},
	} {
		if count, known := sqlite.LocksKnown(c.text, path); count != c.count || known != c.known {
			t.Errorf("%s: %d locks, known %v", c.what, count, known)
		}
	}
}
