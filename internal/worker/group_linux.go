package worker

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithWorker has the kernel kill the command when the thread that has started
// it ends, as all threads do when the worker is killed. What the command itself
// has started lives on.
func dieWithWorker(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }

// awaitEnd waits until a child has ended, but leaves its end to be noted by Wait,
// so that its number stays its own. It is false if it cannot.
func awaitEnd(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}
