package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/disk"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Size implements driver.Shrinker: the file as it is when the log has been copied.
func (d *db) Size(ctx context.Context) (bytes int64, err error) {
	const sql = `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`
	err = d.Read(ctx, func(c driver.Conn) error {
		return c.Query(ctx, sql, nil, func(r driver.Row) error {
			bytes = r.Int(0)
			return nil
		})
	})
	return bytes, err
}

// MayShrink implements driver.Shrinker. What the file will be goes through the log,
// beside it.
func (d *db) MayShrink(ctx context.Context) error {
	if d.options.ReadOnly {
		return d.refuseToWrite()
	}
	need, err := d.Size(ctx)
	if err != nil {
		return err
	}
	if free, known := disk.Free(filepath.Dir(d.path)); known && free < need {
		return &nexus.Error{
			Code: nexus.CodeFull, Message: fmt.Sprintf("rewriting %s takes up to %s, and %s are free", d.path, megabytes(need), megabytes(free)),
			Hint: "nothing was changed; free some space and try again",
		}
	}
	return nil
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// Shrink implements driver.Shrinker with VACUUM, which is one transaction: it makes the
// database anew in a temporary file, and then writes that to the log. It holds the
// write lock, so it may last half as long as a write waits; an interrupt undoes it.
func (d *db) Shrink(ctx context.Context) (why string, err error) {
	if d.options.ReadOnly {
		return "", d.refuseToWrite()
	}
	err = d.writer.exclusively(ctx, func(*conn) error {
		why, err = d.vacuum(ctx)
		return err
	})
	return why, err
}

func (d *db) vacuum(ctx context.Context) (why string, err error) {
	c, err := d.connect(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.exec("PRAGMA temp_store = FILE"); err != nil { // it may be larger than the memory
		return "", err
	}
	limit := d.options.Patience / 2
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = patiently(limited, limit, func() error {
		defer c.trust()()
		_, err := c.Exec(limited, "VACUUM")
		return err
	})
	switch nexus.CodeOf(err) {
	case "":
		// The log is as long as the database. What cannot be copied now, because
		// somebody reads an older state, the next process does that writes or closes.
		_, _ = checkpoint(ctx, c, "TRUNCATE")
		return "", nil
	case nexus.CodeCanceled, nexus.CodeBusy:
		if ctx.Err() != nil {
			return "", canceled(ctx)
		}
		return fmt.Sprintf("it would hold writers up for longer than %v", limit.Round(time.Millisecond)), nil
	case nexus.CodeFull:
		return "no space is left for rewriting it", nil
	default:
		return "", err
	}
}
