package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// postgres is a server of our own, in a folder of the run, that only a socket in
// that folder leads to. It is nil where PostgreSQL is not installed.
type postgres struct {
	bench     *bench
	programs  string // folder of initdb and its like
	folder    string
	account   *syscall.Credential // who it runs as; nil is who we are
	databases int
}

// startPostgres starts the newest PostgreSQL that is installed.
func (b *bench) startPostgres() (*postgres, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		b.lacks("PostgreSQL", riverPGName)
		return nil, nil
	}
	slices.Sort(found)
	p := &postgres{bench: b, programs: filepath.Dir(found[len(found)-1]), folder: b.file("postgres")}
	if err := os.Mkdir(p.folder, 0o700); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 { // it refuses to run as root
		if err := p.disown(); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(p.folder, "data")
	if err := p.run("initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C"); err != nil {
		return nil, err
	}
	options := "-k " + p.folder + " -c listen_addresses="
	return p, p.run("pg_ctl", "-D", data, "-w", "-l", filepath.Join(p.folder, "log"), "-o", options, "start")
}

// disown gives the folder to the account that Debian's package makes.
func (p *postgres) disown() error {
	account, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, err1 := strconv.ParseUint(account.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	p.account = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(p.folder, int(uid), int(gid))
}

func (p *postgres) running() bool { return p != nil }

// newDatabase makes an empty database, and returns what to connect with.
func (p *postgres) newDatabase() (string, error) {
	p.databases++
	name := fmt.Sprintf("bench%d", p.databases)
	if err := p.run("createdb", "-h", p.folder, "-U", "bench", name); err != nil {
		return "", err
	}
	return fmt.Sprintf("postgres:///%s?host=%s&user=bench", name, p.folder), nil
}

// stop ends the server without ceremony: its folder goes away with all others.
func (p *postgres) stop() {
	if p != nil {
		_ = p.run("pg_ctl", "-D", filepath.Join(p.folder, "data"), "-m", "immediate", "-w", "stop")
	}
}

// run runs one of PostgreSQL's programs. Its output goes to a file: a server that it
// leaves running would keep a pipe open.
func (p *postgres) run(name string, args ...string) error {
	log, err := os.CreateTemp(p.bench.folder, name)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(p.programs, name), args...)
	cmd.Dir = p.folder
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.account}
	if err := cmd.Run(); err != nil {
		output, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, output)
	}
	return nil
}
