package disk

import "golang.org/x/sys/windows"

// Free returns how many bytes can be written to the disk of a folder, if that can be
// told.
func Free(folder string) (bytes int64, known bool) {
	name, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return 0, false
	}
	var free uint64
	err = windows.GetDiskFreeSpaceEx(name, &free, nil, nil)
	return int64(free), err == nil
}
