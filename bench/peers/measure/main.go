// Command measure runs another program, and says how many nanoseconds it took from
// before its start until after its end, and how many bytes of memory it had at
// most. The system counts to a process's memory what its parent had when it
// started it, so the parent must be small, as this is.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

func main() {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stderr = os.Stderr
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", os.Args[1:], err)
		os.Exit(1)
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	fmt.Println(took.Nanoseconds(), usage.Maxrss*1024)
}
