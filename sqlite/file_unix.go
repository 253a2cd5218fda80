//go:build unix

package sqlite

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// writable reports whether this process may write a file or folder. It asks
// without opening the file; see creating.
func writable(path string) bool { return unix.Access(path, unix.W_OK) == nil }

// syncFolder makes sure that the names in a folder are on disk.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func isReadOnlyFileSystem(err error) bool { return errors.Is(err, syscall.EROFS) }
