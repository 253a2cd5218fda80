//go:build unix && !linux

package worker

import "syscall"

// dieWithWorker is for Linux. Elsewhere a command outlives a worker that is killed.
func dieWithWorker(*syscall.SysProcAttr) {}

// awaitEnd is for Linux. Elsewhere the number of a child may be another's between
// its end and the killing of what is left of its group, for microseconds.
func awaitEnd(int) bool { return false }
