package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/seed-c8812374/nexus/internal/disk"
)

// backupFile is the path of a copy of the database beside it, or empty if none was
// needed.
type backupFile string

func (b backupFile) remove() error {
	if b == "" {
		return nil
	}
	return os.Remove(string(b))
}

// backUp copies the database to a file beside it before its schema is changed,
// unless it has no rows. The caller holds the write lock and has not written yet,
// so the copy is what the database is.
func (d *db) backUp(ctx context.Context, state *schemaState, rows census) (backupFile, error) {
	if rows.empty() || d.memory {
		return "", nil
	}
	return d.copyBeside(ctx, fmt.Sprintf("backup-v%d", state.version()))
}

// copyBeside copies the database to a file beside it, whose name says what it is and
// when it was made. The caller holds the write lock.
func (d *db) copyBeside(ctx context.Context, what string) (_ backupFile, err error) {
	draft, err := disk.NewDraft(d.path + "." + what)
	if err != nil {
		return "", disk.Error(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, discard(draft))
		}
	}()
	source, err := d.connect(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, source.close()) }()
	_, _, err = copySnapshot(ctx, source, draft.Path, func() error { return nil }, func(int64, int64) {})
	if err != nil {
		return "", about(draft.Path, d.path, err)
	}
	name := fmt.Sprintf("%s.%s-%s", d.path, what, d.options.Now().UTC().Format("20060102T150405Z"))
	for n := 1; ; n++ {
		path := name
		if n > 1 {
			path = fmt.Sprintf("%s-%d", name, n)
		}
		err := draft.Publish(path)
		if !errors.Is(err, fs.ErrExist) {
			return backupFile(path), disk.Error(err)
		}
	}
}
