package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/disk"
)

// Files and folders that Nexus creates are for their owner only. SQLite gives
// the -wal and -shm files the permissions of the database.
const (
	fileMode   = 0o600
	folderMode = 0o700
)

// creating is held while a file is created. To close a descriptor of a file
// gives up all the locks that the process has on it, so no connection may be
// opened in between.
var creating sync.Mutex

// prepareFile makes sure that there is a file to open, so that it is never
// SQLite that creates it.
func (d *db) prepareFile() error {
	if d.path == "" {
		return &nexus.Error{Code: nexus.CodeInvalid, Message: "the path of the database is empty"}
	}
	creating.Lock()
	defer creating.Unlock()
	info, err := os.Stat(d.path)
	switch {
	case err == nil:
		return d.checkFile(info)
	case !errors.Is(err, fs.ErrNotExist):
		return disk.Error(err)
	case d.options.ReadOnly:
		return &nexus.Error{
			Code: nexus.CodeIO, Message: fmt.Sprintf("%s does not exist", d.path),
			Hint: "check the path; read-only, nothing is created",
		}
	}
	if err := os.MkdirAll(filepath.Dir(d.path), folderMode); err != nil {
		return disk.Error(err)
	}
	file, err := os.OpenFile(d.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was faster
	}
	if err != nil {
		return disk.Error(err)
	}
	return disk.Error(file.Close())
}

func (d *db) checkFile(info fs.FileInfo) error {
	const smallestDatabase = 512 // one page
	switch {
	case info.IsDir():
		return &nexus.Error{
			Code: nexus.CodeIO, Message: fmt.Sprintf("%s is a folder, not a file", d.path),
			Hint: fmt.Sprintf("name a file in it, such as %s", filepath.Join(d.path, "nexus.db")),
		}
	case !info.Mode().IsRegular():
		return &nexus.Error{
			Code: nexus.CodeIO, Message: fmt.Sprintf("%s is not a regular file", d.path),
			Hint: "name another file",
		}
	case info.Size() > 0 && info.Size() < smallestDatabase:
		// SQLite takes a file of one byte for an empty one.
		return &nexus.Error{
			Code: nexus.CodeForeign, Message: fmt.Sprintf("%s is not a SQLite database", d.path),
			Hint: "it was left untouched; name another file",
		}
	}
	return nil
}

// frozen reports whether the database can only be read as it is: this process may
// not keep a write-ahead log beside it, and nobody else keeps one.
func (d *db) frozen() bool {
	return !exists(d.path+"-wal") && !writable(filepath.Dir(d.path)) && (d.options.ReadOnly || !writable(d.path))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// privateFile returns a path in a new folder that nobody else can read, and the
// function that removes it.
func privateFile() (path string, remove func() error, err error) {
	const memory = "/dev/shm"
	parent := os.TempDir()
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		parent = memory
	}
	folder, err := os.MkdirTemp(parent, "nexus-memory-")
	if err != nil {
		return "", nil, disk.Error(err)
	}
	return filepath.Join(folder, "nexus.db"), func() error { return os.RemoveAll(folder) }, nil
}
