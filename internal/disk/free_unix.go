//go:build linux || darwin

package disk

import "golang.org/x/sys/unix"

// Free returns how many bytes can be written to the disk of a folder, if that can be
// told.
func Free(folder string) (bytes int64, known bool) {
	var disk unix.Statfs_t
	if unix.Statfs(folder, &disk) != nil {
		return 0, false
	}
	return int64(disk.Bavail) * int64(disk.Bsize), true
}
