package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is a server of a test's own. It listens on a socket in its folder, and on
// nothing else.
type Server struct {
	folder  string
	options []string
	process *exec.Cmd
	ended   chan struct{}
	output  bytes.Buffer
}

// Start makes a server and starts it, with options such as "fsync=on".
func Start(options ...string) (*Server, error) {
	if unwanted() {
		return nil, errUnwanted
	}
	initdb, err := binary("initdb")
	if err != nil {
		return nil, err
	}
	// Not os.MkdirTemp's own folder: the path of a socket has 107 bytes at most.
	folder, err := os.MkdirTemp("/tmp", "nexus-pg")
	if err != nil {
		return nil, err
	}
	s := &Server{folder: folder, options: options}
	owner, err := s.attributes()
	if err == nil {
		err = giveTo(owner, folder)
	}
	if err == nil {
		make := exec.Command(initdb, "--pgdata="+s.data(), "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
		make.SysProcAttr, make.Dir = owner, folder
		if out, failed := make.CombinedOutput(); failed != nil {
			err = fmt.Errorf("initdb: %w: %s", failed, out)
		}
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(s.data(), "pg_hba.conf"), []byte(access), 0o644)
	}
	if err == nil {
		err = s.Run()
	}
	if err != nil {
		_ = os.RemoveAll(folder)
		return nil, err
	}
	return s, nil
}

// access has everybody but the superuser give a password.
const access = `
local all,replication postgres trust
local all all scram-sha-256
host all postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
`

// Standby makes a server that follows this one, and starts it. Its name is what
// synchronous_standby_names calls it.
func (s *Server) Standby(name string, options ...string) (*Server, error) {
	program, err := binary("pg_basebackup")
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("/tmp", "nexus-pg")
	if err != nil {
		return nil, err
	}
	standby := &Server{folder: folder, options: options}
	owner, err := standby.attributes()
	if err == nil {
		err = giveTo(owner, folder)
	}
	if err == nil {
		from := fmt.Sprintf("host=%s user=postgres application_name=%s", s.folder, name)
		copying := exec.Command(program, "--pgdata="+standby.data(), "--dbname="+from, "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
		copying.SysProcAttr, copying.Dir = owner, folder
		if out, failed := copying.CombinedOutput(); failed != nil {
			err = fmt.Errorf("pg_basebackup: %w: %s", failed, out)
		}
	}
	if err == nil {
		err = standby.Run()
	}
	if err != nil {
		_ = os.RemoveAll(folder)
		return nil, err
	}
	return standby, nil
}

// Promote makes a standby a server that can be written to, and waits until it is.
func (s *Server) Promote() error { return TryExec(s.URL(), "SELECT pg_promote()") }

// Kill kills the server's first process, and all others with it, as the end of its machine
// does. Nothing is left to say a word.
func (s *Server) Kill() error {
	pid := s.process.Process.Pid
	children, err := exec.Command("pgrep", "-P", strconv.Itoa(pid)).Output()
	if err != nil {
		return fmt.Errorf("pgrep: %w", err)
	}
	failed := s.kill(syscall.SIGKILL)
	for field := range strings.FieldsSeq(string(children)) {
		if child, err := strconv.Atoi(field); err == nil {
			if p, err := os.FindProcess(child); err == nil {
				_ = p.Kill() // it may have ended by itself
			}
		}
	}
	return failed
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

// URL is the server's, for its superuser.
func (s *Server) URL() string {
	return "postgres://postgres@/postgres?host=" + url.QueryEscape(s.folder)
}

// Folder is where the server keeps its socket and, in data, its files.
func (s *Server) Folder() string { return s.folder }

// Run starts the server, which is stopped, and waits until it answers.
func (s *Server) Run() error {
	program, err := binary("postgres")
	if err != nil {
		return err
	}
	args := []string{"-D", s.data(), "-k", s.folder}
	for _, option := range slices.Concat([]string{
		"listen_addresses=", "fsync=off", "full_page_writes=off", "max_connections=400", "shared_buffers=64MB",
		"max_locks_per_transaction=512", "log_min_messages=fatal", "log_destination=stderr", "logging_collector=off",
	}, s.options) {
		args = append(args, "-c", option)
	}
	s.process = exec.Command(program, args...)
	s.process.Dir = s.folder
	if s.process.SysProcAttr, err = s.attributes(); err != nil {
		return err
	}
	s.process.Stdout, s.process.Stderr = &s.output, &s.output
	s.ended = make(chan struct{})
	if err := startTied(s.process, s.ended); err != nil {
		return err
	}
	return s.await()
}

// await waits until the server answers.
func (s *Server) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		conn, err := Connect(ctx, s.URL())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.ended:
			return fmt.Errorf("the server has ended: %s", s.output.String())
		case <-ctx.Done():
			return errors.Join(err, s.kill(syscall.SIGQUIT))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Halt stops the server at once, as a crash does, or gently. Run starts it again.
func (s *Server) Halt(crash bool) error {
	if crash {
		return s.kill(syscall.SIGQUIT)
	}
	return s.kill(syscall.SIGINT)
}

func (s *Server) kill(signal syscall.Signal) error {
	if err := s.process.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.ended
	return nil
}

// Stop stops the server and removes its files.
func (s *Server) Stop() {
	_ = s.kill(syscall.SIGQUIT)
	_ = os.RemoveAll(s.folder)
}

// binary finds a program of PostgreSQL: on the path, or where Debian has it, the
// newest.
func binary(name string) (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	slices.Sort(found)
	if len(found) > 0 {
		return found[len(found)-1], nil
	}
	return exec.LookPath(name)
}
