package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// OpenDriver is Open without the store, so that several with clocks of their own
// can share one commit queue.
func OpenDriver(ctx context.Context, path string, options *Options) (driver.DB, error) {
	d, err := open(ctx, path, options.withDefaults())
	if err != nil {
		return nil, err
	}
	return d, nil
}

// CloseInterrupted writes to a database, as its only connection, is interrupted in what
// it does then, and closes.
func CloseInterrupted(path, write string) error {
	d := &db{path: path, options: (*Options)(nil).withDefaults()}
	c, err := d.connect(context.Background())
	if err != nil {
		return err
	}
	if err := c.exec(write); err != nil {
		return errors.Join(err, c.close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err = c.Query(ctx, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", nil, nil)
	if nexus.CodeOf(err) != nexus.CodeCanceled {
		return errors.Join(fmt.Errorf("it was not interrupted: %w", err), c.close())
	}
	return c.close()
}
