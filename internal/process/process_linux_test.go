package process_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c8812374/nexus/internal/process"
)

// childVariable, in the environment, makes the test binary print its name and
// wait until its standard input ends.
const childVariable = "NEXUS_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		fmt.Println(process.Self())
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestSelf(t *testing.T) {
	t.Parallel()
	id := process.Self()
	if id == "" {
		t.Fatal("this process has no name")
	}
	if again := process.Self(); again != id {
		t.Errorf("this process is %s and %s", id, again)
	}
	if process.Gone(id) {
		t.Error("this process is gone")
	}
}

func TestChild(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var id string
	if _, err := fmt.Fscanln(stdout, &id); err != nil {
		t.Fatal(err)
	}
	if id == process.Self() || process.Gone(id) {
		t.Errorf("%s runs, but is gone", id)
	}
	if another := strings.TrimRight(id, "0123456789") + "1"; !process.Gone(another) {
		t.Errorf("%s, which had that pid before, is not gone", another)
	}

	// Killed, but nobody has asked for its end.
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !process.Gone(id) {
		t.Error("a zombie is not gone")
	}
	_ = cmd.Wait() // it was killed
	if !process.Gone(id) {
		t.Error("it is not gone")
	}
}
