// Package disk makes files that are there whole or not at all, and says what the
// errors of the operating system mean.
package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-c8812374/nexus"
)

// Draft is a file that has not got its name yet. Until then it has another, so
// that nobody takes it for a complete one when the process is killed in between.
type Draft struct{ Path string }

// NewDraft creates an empty draft of the file at path, beside it and for its owner
// only.
func NewDraft(path string) (Draft, error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*.partial")
	if err != nil {
		return Draft{}, err
	}
	return Draft{file.Name()}, file.Close()
}

// Publish waits until the draft is on disk and then gives it its name. It never
// replaces a file: if there is one, the error is fs.ErrExist, and the draft stays.
func (d Draft) Publish(path string) error {
	if err := syncFile(d.Path); err != nil {
		return err
	}
	// Unlike Rename, Link never replaces a file.
	switch err := os.Link(d.Path, path); {
	case errors.Is(err, fs.ErrExist):
		return err
	case err == nil:
		err = os.Remove(d.Path)
		return errors.Join(err, syncFolder(filepath.Dir(path)))
	}
	// The file system has no links.
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist})
	}
	return errors.Join(os.Rename(d.Path, path), syncFolder(filepath.Dir(path)))
}

// Replace waits until the draft is on disk and then gives it its name, in place of
// whatever has that.
func (d Draft) Replace(path string) error {
	if err := syncFile(d.Path); err != nil {
		return err
	}
	return errors.Join(os.Rename(d.Path, path), syncFolder(filepath.Dir(path)))
}

// Discard removes the draft.
func (d Draft) Discard() error { return os.Remove(d.Path) }

func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// Error turns an error of the operating system into a *nexus.Error.
func Error(err error) error {
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

// MayCreate refuses a path at which something is, or whose folder is not there: a
// folder that is created because of a slip, or because a disk is not mounted, would
// hide that.
func MayCreate(path string) error {
	if path == "" {
		return &nexus.Error{Code: nexus.CodeInvalid, Message: "the name of the file is empty"}
	}
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		return Exists(path)
	case !errors.Is(err, fs.ErrNotExist):
		return Error(err)
	}
	folder := filepath.Dir(path)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return &nexus.Error{
			Code: nexus.CodeIO, Message: "there is no folder " + folder,
			Hint: "create it, or name another file; nothing was written",
		}
	}
	return nil
}

// Exists is the refusal to replace a file.
func Exists(path string) error {
	return &nexus.Error{
		Code: nexus.CodeExists, Message: path + " exists already",
		Hint: "it was left untouched; name another file",
	}
}
