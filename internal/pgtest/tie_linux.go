package pgtest

import (
	"os/exec"
	"syscall"
)

func tie(process *exec.Cmd) { process.SysProcAttr.Pdeathsig = syscall.SIGQUIT }
