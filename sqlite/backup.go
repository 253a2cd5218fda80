package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

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
	backup, err := d.newBackupFile(state.version())
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, backup.remove())
		}
	}()
	source, err := d.connect(ctx)
	if err != nil {
		return backup, err
	}
	defer func() { err = errors.Join(err, source.close()) }()
	if err := copyDatabase(source.sq, string(backup)); err != nil {
		return backup, classify(string(backup), err)
	}
	return backup, syncFile(string(backup))
}

// newBackupFile creates an empty file with a name of its own.
func (d *db) newBackupFile(version int64) (backupFile, error) {
	name := fmt.Sprintf("%s.backup-v%d-%s", d.path, version, d.options.Now().UTC().Format("20060102T150405Z"))
	for n := 1; ; n++ {
		path := name
		if n > 1 {
			path = fmt.Sprintf("%s-%d", name, n)
		}
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", fileError(err)
		}
		return backupFile(path), fileError(file.Close())
	}
}

func copyDatabase(source *sqlite.Conn, path string) (err error) {
	target, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
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
