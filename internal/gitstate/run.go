package gitstate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus"
)

// How long git may take. A working tree may be large.
const (
	lookTime     = 20 * time.Second
	checkoutTime = 10 * time.Minute
)

func run(ctx context.Context, folder string, args ...string) (string, error) {
	return runFor(ctx, lookTime, folder, args...)
}

// runFor runs git in a folder and returns its output without the last line's end.
// Hooks, pagers, editors and monitors of the user's configuration do not run, and git
// asks for nothing and fetches nothing.
func runFor(ctx context.Context, limit time.Duration, folder string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	quiet := []string{"-c", "core.hooksPath=" + os.DevNull, "-c", "core.fsmonitor=false", "-c", "advice.detachedHead=false", "--no-pager"}
	cmd := exec.CommandContext(ctx, "git", append(quiet, args...)...)
	cmd.Dir = folder
	cmd.Env = environment()
	cmd.WaitDelay = time.Second
	// Git removes its locks if it is asked to end, not if it is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	err := cmd.Run()
	switch {
	case err == nil:
		return strings.TrimSuffix(out.String(), "\n"), nil
	case errors.Is(err, exec.ErrNotFound):
		return "", &nexus.Error{Code: nexus.CodeIO, Message: "git is not installed, or not in $PATH", Hint: "install it, or go on without --git"}
	case ctx.Err() != nil && context.Cause(ctx) == context.DeadlineExceeded:
		return "", nexus.Errorf(nexus.CodeIO, "git %s took longer than %s", args[0], limit)
	case ctx.Err() != nil:
		return "", ctx.Err()
	}
	return "", &nexus.Error{
		Code: nexus.CodeIO, Message: fmt.Sprintf("git %s failed in %s", args[0], folder), Err: &gitError{lastLine(messages.String()), err},
	}
}

// gitError is an exit code, and what git says about it.
type gitError struct {
	line string
	code error
}

func (e *gitError) Unwrap() error { return e.code }

func (e *gitError) Error() string {
	if e.line == "" {
		return e.code.Error()
	}
	return e.line
}

// lastLine returns the last line that git has written of an error, with the files that it
// lists below.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for n, line := range slices.Backward(lines) {
		for _, prefix := range []string{"fatal: ", "error: "} {
			if message, found := strings.CutPrefix(line, prefix); found {
				return message + listed(lines[n+1:])
			}
		}
	}
	return lines[len(lines)-1]
}

// listed returns the files that follow, each on a line that begins with a tab.
func listed(lines []string) string {
	var files []string
	for _, line := range lines {
		file, found := strings.CutPrefix(line, "\t")
		if !found {
			break
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		return ""
	}
	return " " + shown(files)
}

// shown are the first of some files.
func shown(files []string) string {
	const most = 3
	if len(files) > most {
		files = append(files[:most:most], "…")
	}
	return strings.Join(files, ", ")
}

// isNo reports whether git has answered no, which is not to fail.
func isNo(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == 1
}

// environment is that of this process, without what would lead git to another
// repository than that of the folder, as in a hook.
func environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		switch name {
		case "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX",
			"GIT_EXTERNAL_DIFF", "GIT_TRACE":
			return true
		}
		return false
	})
	return append(env,
		"LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "SSH_ASKPASS=true", "GIT_EDITOR=true", "GIT_PAGER=cat",
		"GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1")
}
