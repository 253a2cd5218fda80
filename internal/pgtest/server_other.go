//go:build !unix

package pgtest

import (
	"os/exec"
	"syscall"
)

func (s *Server) attributes() (*syscall.SysProcAttr, error) { return &syscall.SysProcAttr{}, nil }

func giveTo(*syscall.SysProcAttr, string) error { return nil }

func startTied(process *exec.Cmd, ended chan<- struct{}) error {
	if err := process.Start(); err != nil {
		return err
	}
	go func() {
		_ = process.Wait()
		close(ended)
	}()
	return nil
}
