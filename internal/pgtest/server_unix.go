//go:build unix

package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
)

// attributes has the server run as somebody else than root, which it refuses.
func (s *Server) attributes() (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return &syscall.SysProcAttr{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return nil, fmt.Errorf("there is no user postgres or nobody to run the server as")
}

// giveTo makes a folder the server's.
func giveTo(owner *syscall.SysProcAttr, folder string) error {
	if owner.Credential == nil {
		return nil
	}
	return os.Chown(folder, int(owner.Credential.Uid), int(owner.Credential.Gid))
}

// startTied starts a process that ends with this one, however that ends, and closes
// ended when it has. The signal comes when the thread ends that has started it; so
// that one waits.
func startTied(process *exec.Cmd, ended chan<- struct{}) error {
	tie(process)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := process.Start()
		started <- err
		if err == nil {
			_ = process.Wait()
			close(ended)
		}
	}()
	return <-started
}
