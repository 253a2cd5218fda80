package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"zombiezen.com/go/sqlite"
)

// backupFile is the path of a copy of the database, or empty if none was
// needed.
type backupFile string

func (b backupFile) remove() error {
	if b == "" {
		return nil
	}
	return os.Remove(string(b))
}

// backUp copies the database to a file beside it, unless it has no rows. The
// caller holds the write lock and has not written yet, so the copy is what the
// database is.
func (d *db) backUp(ctx context.Context, state *schemaState, rows census) (_ backupFile, err error) {
	if rows.empty() || d.memory {
		return "", nil
	}
	partial, err := d.newPartialFile()
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(partial))
		}
	}()
	source, err := d.connect(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, source.close()) }()
	if err := copyDatabase(source.sq, partial); err != nil {
		return "", classify(partial, err)
	}
	if err := syncFile(partial); err != nil {
		return "", err
	}
	return d.nameBackup(partial, state.version())
}

// newPartialFile creates an empty file for a backup that is not complete. It has
// another name than a complete one, so that nobody takes it for that when the
// process is killed in between.
func (d *db) newPartialFile() (string, error) {
	file, err := os.CreateTemp(filepath.Dir(d.path), filepath.Base(d.path)+".backup-*.partial") // for its owner only
	if err != nil {
		return "", fileError(err)
	}
	return file.Name(), fileError(file.Close())
}

// nameBackup gives a complete backup its name.
func (d *db) nameBackup(partial string, version int64) (backupFile, error) {
	name := fmt.Sprintf("%s.backup-v%d-%s", d.path, version, d.options.Now().UTC().Format("20060102T150405Z"))
	for n := 1; ; n++ {
		path := name
		if n > 1 {
			path = fmt.Sprintf("%s-%d", name, n)
		}
		// Unlike Rename, Link never replaces a file.
		err := os.Link(partial, path)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil { // the file system has no links
			err = os.Rename(partial, path)
		} else {
			err = os.Remove(partial)
		}
		return backupFile(path), fileError(errors.Join(err, syncFolder(filepath.Dir(path))))
	}
}

func copyDatabase(source *sqlite.Conn, path string) (err error) {
	target, err := openHandle(path, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeHandle(target)) }()
	backup, err := sqlite.NewBackup(target, "main", source, "main")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backup.Close()) }()
	_, err = backup.Step(-1)
	return err
}

func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fileError(err)
	}
	return fileError(errors.Join(file.Sync(), file.Close()))
}
