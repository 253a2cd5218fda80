//go:build unix

package sqlite

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// writable reports whether this process may write a file or folder. It asks
// without opening the file; see creating.
func writable(path string) bool { return unix.Access(path, unix.W_OK) == nil }

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func isReadOnlyFileSystem(err error) bool { return errors.Is(err, syscall.EROFS) }
