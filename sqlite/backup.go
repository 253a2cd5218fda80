package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"zombiezen.com/go/sqlite"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/disk"
	"github.com/seed-c8812374/nexus/store/driver"
)

// copiedShare is how much of the work of a backup is done when the pages are copied, in
// hundredths. The rest is their verification.
const copiedShare = 30

// Backup implements driver.DB: it copies the pages of one moment, and nobody waits. So
// does VACUUM INTO, but it writes every row anew: it says nothing on the way, cannot be
// stopped between two steps, and does not keep the numbers of rows, on which another
// program may rely.
func (d *db) Backup(ctx context.Context, path string, progress func(done, total int64)) (b driver.Backup, err error) {
	if err := d.mayBackUpTo(path); err != nil {
		return b, err
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	draft, err := disk.NewDraft(path)
	if err != nil {
		return b, disk.Error(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, discard(draft))
		}
	}()
	var was census
	err = d.readers.read(ctx, func(c *conn) error {
		look := func() (err error) {
			was, err = takeCensus(ctx, c)
			return err
		}
		b.Bytes, b.SHA256, err = copySnapshot(ctx, c, draft.Path, look, func(done, total int64) {
			progress(done*copiedShare, total*100)
		})
		return err
	})
	if err == nil {
		err = d.verifyBackup(ctx, draft.Path, was)
	}
	if err != nil {
		return b, about(draft.Path, path, err)
	}
	switch err := draft.Publish(path); {
	case errors.Is(err, fs.ErrExist): // since it was looked for
		return b, disk.Exists(path)
	case err != nil:
		return b, disk.Error(err)
	}
	progress(b.Bytes*100, b.Bytes*100)
	b.Path, b.Counts = path, was.counts()
	return b, nil
}

// mayBackUpTo refuses the database itself, its log, and any file that exists.
func (d *db) mayBackUpTo(path string) error {
	if path != "" && isDatabase(path, d.path) {
		return &nexus.Error{
			Code: nexus.CodeInvalid, Message: fmt.Sprintf("%s is the database itself, or belongs to it", path),
			Hint: "nothing was written; name another file",
		}
	}
	return disk.MayCreate(path)
}

// isDatabase reports whether path is a database, or a file that SQLite may keep
// beside it, under whatever name.
func isDatabase(path, database string) bool {
	info, err := os.Stat(path)
	other, otherErr := os.Stat(database)
	if err == nil && otherErr == nil && os.SameFile(info, other) {
		return true
	}
	path, database = realPath(path), realPath(database)
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if path == database+suffix {
			return true
		}
	}
	return false
}

// realPath is a path without links, also of a file that does not exist.
func realPath(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		path = full
	}
	if file, err := filepath.EvalSymlinks(path); err == nil {
		return file
	}
	if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(folder, filepath.Base(path))
	}
	return path
}

// verifyBackup reads all of a copy: its pages are undamaged, and it has the rows
// that were in the snapshot.
func (d *db) verifyBackup(ctx context.Context, path string, want census) (err error) {
	var problem string
	var got census
	err = readAlone(ctx, path, d.options, func(c *conn) error {
		if problem, err = damage(ctx, c); err != nil || problem != "" {
			return err
		}
		got, err = takeCensus(ctx, c)
		return err
	})
	switch {
	case err != nil:
		return err
	case problem != "":
	case got.orphans != want.orphans:
		problem = fmt.Sprintf("%d rows refer to nothing, not %d", got.orphans, want.orphans)
	case !maps.Equal(got.rows, want.rows):
		problem = "it has not the rows that the database has"
	default:
		return nil
	}
	return &nexus.Error{
		Code: nexus.CodeCorrupt, Message: fmt.Sprintf("a copy of %s is damaged, so it is likely damaged itself: %s", d.path, problem),
		Hint: "no backup was made, and nothing was changed; copy the file and its -wal before anything else, then bring back an earlier backup",
	}
}

// readAlone runs fn on a file that nobody else has open. Nothing is created beside
// it.
func readAlone(ctx context.Context, path string, o Options, fn func(*conn) error) (err error) {
	o.ReadOnly = true
	c, err := (&db{path: path, options: o}).connectTo(ctx, uri(path, immutable), sqlite.OpenReadOnly|sqlite.OpenURI)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	defer c.watch(ctx)()
	return fn(c)
}

// damage returns the first finding of SQLite's own check, or nothing.
func damage(ctx context.Context, c *conn) (string, error) {
	found, err := text(ctx, c, "PRAGMA integrity_check(1)")
	if nexus.CodeOf(err) == nexus.CodeCorrupt {
		return err.Error(), nil
	}
	if found == "ok" {
		found = ""
	}
	return found, err
}

// about gives an error that speaks of a draft the name that the file was to have.
func about(draft, path string, err error) error {
	var e *nexus.Error
	if errors.As(err, &e) && e.Code == nexus.CodeFull {
		full(e, path)
	}
	return err
}

func discard(draft disk.Draft) error { return disk.Error(draft.Discard()) }
