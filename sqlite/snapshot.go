package sqlite

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"github.com/seed-c8812374/nexus/internal/disk"
	"github.com/seed-c8812374/nexus/internal/overlap"
	"github.com/seed-c8812374/nexus/store/driver"
)

// copySnapshot copies one state of a database to a file that exists, and returns its
// size in bytes and its SHA-256. look is called before, and sees that state. progress is
// given bytes.
//
// The pages are read within a read transaction, as the virtual table sqlite_dbpage
// (https://sqlite.org/dbpage.html) has them, so they are of one moment whoever writes
// meanwhile. SQLite's backup API would do the same with twice the work: it writes each
// page by itself, through a cache, and the file must be read again for its hash.
func copySnapshot(
	ctx context.Context, c *conn, path string, look func() error, progress func(done, total int64),
) (size int64, sum string, err error) {
	if err := c.exec("BEGIN"); err != nil {
		return 0, "", err
	}
	c.inTx = true
	defer c.rollback()
	total, err := snapshotSize(ctx, c) // from here on it is that state
	if err != nil {
		return 0, "", err
	}
	if err := look(); err != nil {
		return 0, "", err
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return 0, "", disk.Error(err)
	}
	defer func() { err = errors.Join(err, disk.Error(file.Close())) }()
	hash := sha256.New()
	err = readPages(ctx, c, func(pages []byte) error {
		size += int64(len(pages))
		progress(size, total)
		_, err := io.MultiWriter(file, hash).Write(pages)
		return disk.Error(err)
	})
	return size, hex.EncodeToString(hash.Sum(nil)), err
}

// snapshotSize returns the size of a database in bytes.
func snapshotSize(ctx context.Context, c *conn) (size int64, err error) {
	const sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
	err = c.Query(ctx, sql, nil, func(r driver.Row) error {
		size = r.Int(0)
		return nil
	})
	return size, err
}

// pagesAtOnce is how many bytes of pages are handed on together, or a page more.
const pagesAtOnce = 1 << 20

// readPages calls use with all pages of a database, several at a time and in their order,
// while it reads the next ones.
func readPages(ctx context.Context, c *conn, use func(pages []byte) error) (err error) {
	stage := overlap.New(func(pages *[]byte) error {
		defer func() { *pages = (*pages)[:0] }()
		return use(*pages)
	}, new([]byte), new([]byte))
	pages := stage.Get()
	err = c.Query(ctx, "SELECT data FROM sqlite_dbpage ORDER BY pgno", nil, func(r driver.Row) error {
		if *pages = r.AppendTo(*pages, 0); len(*pages) < pagesAtOnce {
			return nil
		}
		err := stage.Put(pages)
		pages = stage.Get()
		return err
	})
	if err == nil {
		err = stage.Put(pages)
	}
	return cmp.Or(err, stage.Close())
}
