//go:build unix

package main

import (
	"bufio"
	"syscall"
	"testing"
)

// TestWatchStops asks a watch that has begun to end, which is no failure.
func TestWatchStops(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		folder := t.TempDir()
		succeed(t, program(t, folder, "project", "create", "Shop", "--id", "p1"))
		cmd := program(t, folder, "watch", "--since", "0", "--json")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() {
			t.Error("it has printed nothing")
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Error(err)
		}
		for lines.Scan() {
			t.Errorf("it went on: %s", lines.Text())
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", signal, err)
		}
	}
}
