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
local all postgres trust
local all all scram-sha-256
host all postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
`

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
