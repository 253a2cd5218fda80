//go:build unix

package sqlite

import "golang.org/x/sys/unix"

// writable reports whether this process may write a file or folder. It asks
// without opening the file; see creating.
func writable(path string) bool { return unix.Access(path, unix.W_OK) == nil }
