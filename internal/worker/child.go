package worker

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// child is a command that runs in a process group of its own.
type child struct {
	process *os.Process
	over    chan struct{} // closed when it has ended and its output has been read

	mu   sync.Mutex
	gone bool // its end has been noted, so its number may be another's
}

// drainTime is how long the output is read after the command and its process group
// have ended: a process that has left the group may hold it open for ever.
const drainTime = 500 * time.Millisecond

func start(cmd *exec.Cmd, output io.Writer) (*child, error) {
	// The command gets the pipe itself, not a goroutine of exec that copies: Wait
	// would wait for that.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = attributes()
	c := &child{over: make(chan struct{})}
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		// On Linux the command is killed when the thread that started it ends, so
		// that thread must be ours for as long; see attributes.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		c.process = cmd.Process
		started <- err
		if err == nil {
			c.await(cmd)
			close(ended)
		}
	}()
	err = <-started
	_ = w.Close() // ours; the command has its own
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	go func() {
		defer close(c.over)
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(output, r) // ends with the output, however that ends
		}()
		<-ended
		select {
		case <-read:
		case <-time.After(drainTime):
		}
		_ = r.Close()
	}()
	return c, nil
}

// await returns when the command has ended. What is left of its process group is
// killed: nothing goes on behind the back of whoever works on the task next.
func (c *child) await(cmd *exec.Cmd) {
	unreaped := awaitEnd(c.process.Pid)
	if !unreaped {
		_ = cmd.Wait() // ProcessState has the result
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	killGroup(c.process)
	if unreaped {
		_ = cmd.Wait()
	}
	c.gone = true
}

// terminate asks the process group to end.
func (c *child) terminate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gone {
		terminateGroup(c.process)
	}
}

func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gone {
		killGroup(c.process)
	}
}

// tailSize is how much of the output is kept.
const tailSize = 4096

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p[max(0, len(p)-tailSize):]...)
	if extra := len(t.kept) - tailSize; extra > 0 {
		t.kept = slices.Delete(t.kept, 0, extra)
	}
	return len(p), nil
}

// text returns the end of the output, as a text that can be stored.
func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.kept
	if len(kept) == tailSize {
		// It may begin in the middle of a character.
		for i := 0; i < 3 && len(kept) > 0 && kept[0]&0xc0 == 0x80; i++ {
			kept = kept[1:]
		}
	}
	return clean(string(kept))
}

// clean makes a text that can be stored.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
