package sqlite

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/seed-c8812374/nexus/internal/disk"
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

// readPages calls fn with all pages of a database, several at a time and in their order,
// while it reads the next ones.
func readPages(ctx context.Context, c *conn, fn func(pages []byte) error) error {
	both, ctx := errgroup.WithContext(ctx)
	full, empty := make(chan []byte), make(chan []byte, 2)
	for range cap(empty) {
		empty <- nil
	}
	both.Go(func() error {
		for pages := range full {
			if err := fn(pages); err != nil {
				return err
			}
			empty <- pages[:0] // of which there are no more than fit
		}
		return nil
	})
	both.Go(func() error {
		defer close(full)
		pages := <-empty
		handOn := func() error {
			select {
			case full <- pages:
			case <-ctx.Done():
				return canceled(ctx)
			}
			select {
			case pages = <-empty:
				return nil
			case <-ctx.Done():
				return canceled(ctx)
			}
		}
		err := c.Query(ctx, "SELECT data FROM sqlite_dbpage", nil, func(r driver.Row) error {
			if _, pages = r.Append(pages, 0); len(pages) < pagesAtOnce {
				return nil
			}
			return handOn()
		})
		if err != nil || len(pages) == 0 {
			return err
		}
		return handOn()
	})
	return both.Wait()
}
