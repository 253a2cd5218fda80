package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFullDisk(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=2m,mode=0700"); err != nil {
		notTested(t, "a full disk, because no small disk can be mounted here (it takes root): %v", err)
	}
	t.Cleanup(func() {
		// A process that another test is just starting has all files open for a
		// moment; a lazy unmounting does not mind.
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	succeed(t, program(t, folder, "project", "create", "Shop", "--id", "p1"))
	filler := filepath.Join(folder, "filler")
	file, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(file, endlessReader{})
	if !errors.Is(err, syscall.ENOSPC) || n == 0 {
		t.Fatalf("the disk is not full: %v", err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}

	create := program(t, folder, "project", "create", "Blog", "--id", "p2", "--description", "-")
	create.Stdin = strings.NewReader(strings.Repeat("x", 100_000))
	fail(t, create, 13, "nexus: no space is left for ./data/nexus.db…; nothing was changed, and what was stored before is safe; free some space and try again")
	fail(t, program(t, folder, "--db", "new.db", "tables"), 13, "nexus: no space is left…; free some space and try again")
	elsewhere := t.TempDir()
	succeed(t, program(t, elsewhere, "project", "create", "Shop", "--id", "p1"))
	backup := []string{"backup", filepath.Join(folder, "copy.db")}
	fail(t, program(t, elsewhere, backup...), 13, "nexus: no space is left for …/copy.db…; nothing was changed, and what was stored before is safe; free some space and try again")
	if left, err := filepath.Glob(filepath.Join(folder, "copy.db*")); err != nil || len(left) > 0 {
		t.Errorf("of the backup %v is left, %v", left, err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	succeed(t, program(t, elsewhere, backup...))
	wantIDs(t, folder, "p1")
	succeed(t, program(t, folder, "project", "create", "Blog", "--id", "p2"))
	wantIDs(t, folder, "p1", "p2")
}

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) { return len(p), nil }

// publicProgram copies the program to where every user can run it, and returns
// its path and a folder that belongs to nobody in particular.
func publicProgram(t *testing.T) (path, folder string) {
	t.Helper()
	root, err := os.MkdirTemp("", "nexus-permissions-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(root); err != nil {
			t.Error(err)
		}
	})
	path, folder = filepath.Join(root, "nexus"), filepath.Join(root, "work")
	source, err := exec.LookPath("nexus")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(path, text, 0o755), os.Mkdir(folder, 0o755),
		os.Chmod(root, 0o755), os.Chmod(path, 0o755), os.Chmod(folder, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path, folder
}

// TestPermissions runs the program as somebody without rights, since root may
// write everywhere.
func TestPermissions(t *testing.T) {
	t.Parallel()
	path, folder := publicProgram(t)
	counters := filepath.Join(folder, "counters") // for go test -cover
	if err := errors.Join(os.Mkdir(counters, 0o777), os.Chmod(counters, 0o777)); err != nil {
		t.Fatal(err)
	}
	stranger := func(args ...string) *exec.Cmd {
		cmd := program(t, folder, args...)
		cmd.Path = path
		cmd.Env = append(cmd.Env, "GOCOVERDIR="+counters)
		if os.Geteuid() == 0 {
			const nobody = 65534
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		return cmd
	}
	if err := stranger("version").Run(); err != nil {
		notTested(t, "permissions, because the program cannot be run as another user: %v", err)
	}
	data := filepath.Join(folder, "data")
	database := filepath.Join(data, "nexus.db")
	succeed(t, program(t, folder, "project", "create", "Shop", "--id", "p1"))
	before, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	mode := func(file, folder os.FileMode) {
		t.Helper()
		if err := errors.Join(os.Chmod(database, file), os.Chmod(data, folder)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { mode(0o600, 0o700) })

	mode(0o666, 0o555)
	fail(t, stranger("project", "create", "Blog"), 12, "nexus: folder data cannot be written; …")
	fail(t, stranger("project", "list"), 12, "nexus: folder data cannot be written; …")
	mode(0o444, 0o555)
	if list := succeed(t, stranger("--read-only", "project", "list", "--ids")); list != "p1\n" {
		t.Errorf("read-only, the projects are %q", list)
	}
	mode(0o000, 0o777)
	fail(t, stranger("project", "list"), 14, "nexus: ./data/nexus.db cannot be opened…")
	mode(0o666, 0o000)
	fail(t, stranger("project", "list"), 12,
		`nexus: no permission: stat ./data/nexus.db: permission denied; check the permissions of the file and its folder`)
	mode(0o600, 0o555)
	fail(t, stranger("--db", "data/new.db", "project", "list"), 12,
		`nexus: no permission: open data/new.db: permission denied; check the permissions of the file and its folder`)
	fail(t, stranger("--db", "data/new/new.db", "project", "list"), 12,
		`nexus: no permission: mkdir data/new: permission denied; check the permissions of the file and its folder`)

	mode(0o444, 0o777)
	fail(t, stranger("project", "create", "Blog"), 12, "nexus: ./data/nexus.db cannot be written; nothing was changed; check the permissions of the file and its folder")

	mode(0o600, 0o700)
	after, err := os.ReadFile(database)
	if err != nil || string(after) != string(before) {
		t.Errorf("the database has changed (%v)", err)
	}
	wantIDs(t, folder, "p1")
}
