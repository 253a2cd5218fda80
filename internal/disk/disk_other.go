//go:build !unix

package disk

import (
	"errors"
	"syscall"
)

// errorDiskFull is ERROR_DISK_FULL of Windows.
const errorDiskFull = syscall.Errno(112)

// syncFolder makes sure that the names in a folder are on disk, which is the
// system's business here.
func syncFolder(string) error { return nil }

func isNoSpace(err error) bool { return errors.Is(err, errorDiskFull) }

func isReadOnlyFileSystem(error) bool { return false }
