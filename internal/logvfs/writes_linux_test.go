package logvfs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"
)

// writes is how many system calls that write this thread has made.
func writes(t *testing.T) int {
	t.Helper()
	io, err := os.ReadFile("/proc/thread-self/io")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(regexp.MustCompile(`syscw: (\d+)`).FindSubmatch(io)[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOneWrite(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	of := func(vfs string) int {
		c := open(t, filepath.Join(t.TempDir(), "db"), vfs, 1000)
		defer c.Close()
		create(t, c)
		exec(t, c, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) INSERT INTO t SELECT i, printf('%0200d', i) FROM n")
		exec(t, c, "BEGIN")
		exec(t, c, "UPDATE t SET v = v || 'more' WHERE id % 50 = 0")
		before := writes(t)
		exec(t, c, "COMMIT")
		return writes(t) - before
	}
	alone, together := of(plain), of(held(t))
	if alone < 10 {
		t.Fatalf("without the VFS a commit took %d writes; then this test says nothing", alone)
	}
	if together > 2 { // the runtime may write too
		t.Errorf("a commit took %d writes, and %d without the VFS", together, alone)
	}
}
