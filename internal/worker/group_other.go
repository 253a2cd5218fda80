//go:build !unix

package worker

import (
	"os"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return nil }

// terminateGroup: there is no way to ask, so a command has the grace to end by
// itself.
func terminateGroup(*os.Process) {}

// killGroup kills the command. What that has started lives on.
func killGroup(p *os.Process) { _ = p.Kill() }

func awaitEnd(int) bool { return false }

func exitCode(s *os.ProcessState) (code int, signaled bool) { return s.ExitCode(), false }
