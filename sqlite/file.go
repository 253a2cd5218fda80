package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-c8812374/nexus"
)

// Files and folders that Nexus creates are for their owner only. SQLite gives
// the -wal and -shm files the permissions of the database.
const (
	fileMode   = 0o600
	folderMode = 0o700
)

// prepareFile makes sure that there is a file to open, so that it is never
// SQLite that creates it.
func (d *db) prepareFile() error {
	info, err := os.Stat(d.path)
	switch {
	case d.path == "":
		return &nexus.Error{Code: nexus.CodeInvalid, Message: "the path of the database is empty"}
	case err == nil && info.IsDir():
		return &nexus.Error{
			Code: nexus.CodeIO, Message: fmt.Sprintf("%s is a folder, not a file", d.path),
			Hint: fmt.Sprintf("name a file in it, such as %s", filepath.Join(d.path, "nexus.db")),
		}
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return fileError(err)
	case d.options.ReadOnly:
		return &nexus.Error{Code: nexus.CodeIO, Message: fmt.Sprintf("%s does not exist", d.path)}
	}
	if err := os.MkdirAll(filepath.Dir(d.path), folderMode); err != nil {
		return fileError(err)
	}
	file, err := os.OpenFile(d.path, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return fileError(err)
	}
	return fileError(file.Close())
}

// fileError says what a failed call of the operating system means.
func fileError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission), isReadOnlyFileSystem(err):
		return &nexus.Error{
			Code: nexus.CodeReadOnly, Message: "no permission", Err: err,
			Hint: "check the permissions of the file and its folder",
		}
	case isNoSpace(err):
		return &nexus.Error{
			Code: nexus.CodeFull, Message: "no space is left", Err: err,
			Hint: "nothing was changed; free some space and try again",
		}
	default:
		return &nexus.Error{Code: nexus.CodeIO, Message: "the file cannot be opened", Err: err}
	}
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
		return "", nil, fileError(err)
	}
	return filepath.Join(folder, "nexus.db"), func() error { return os.RemoveAll(folder) }, nil
}
