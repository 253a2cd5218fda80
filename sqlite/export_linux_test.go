package sqlite

// LocksKnown reports whether it can be told who has locks on a file, given what /proc/locks
// says, and how many they are.
func LocksKnown(text []byte, path string) (count int, known bool) {
	locks, known := procLocks(text).on(path)
	return len(locks), known
}
