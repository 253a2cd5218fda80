//go:build !unix

package sqlite

import (
	"errors"
	"syscall"
)

// errorDiskFull is ERROR_DISK_FULL of Windows.
const errorDiskFull = syscall.Errno(112)

func isNoSpace(err error) bool { return errors.Is(err, errorDiskFull) }

func isReadOnlyFileSystem(error) bool { return false }
