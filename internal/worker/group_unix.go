//go:build unix

package worker

import (
	"os"
	"syscall"
)

// attributes give a command a process group of its own: an interrupt from the
// keyboard then goes to the worker only, and all that the command starts can be
// reached at once.
func attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	dieWithWorker(a)
	return a
}

func terminateGroup(p *os.Process) {
	if syscall.Kill(-p.Pid, syscall.SIGTERM) != nil {
		_ = p.Signal(syscall.SIGTERM) // it has joined another group
	}
}

func killGroup(p *os.Process) {
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL) // fails if nobody is left
	_ = p.Kill()                              // in case it has joined another group
}

func exitCode(s *os.ProcessState) (code int, signaled bool) {
	if status, ok := s.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), true
	}
	return s.ExitCode(), false
}
