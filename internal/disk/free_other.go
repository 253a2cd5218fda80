//go:build !linux && !darwin && !windows

package disk

// Free returns how many bytes can be written to the disk of a folder, if that can be
// told, which it cannot here.
func Free(string) (bytes int64, known bool) { return 0, false }
