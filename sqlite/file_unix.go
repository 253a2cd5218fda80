//go:build unix

package sqlite

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// writable reports whether this process may write a file or folder. It asks
// without opening the file; see creating.
func writable(path string) bool { return unix.Access(path, unix.W_OK) == nil }

// fileIdentity is the same for all paths of a file, hard links among them.
func fileIdentity(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprint(stat.Dev, ":", stat.Ino), nil
	}
	return path, nil
}
