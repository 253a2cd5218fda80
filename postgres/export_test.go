package postgres

import (
	"context"

	"github.com/seed-c8812374/nexus/store/driver"
)

// OpenDriver is Open without the store, so that several with clocks of their own can
// share one pool.
func OpenDriver(ctx context.Context, url string, options *Options) (driver.DB, error) {
	d, err := open(ctx, url, options.withDefaults())
	if err != nil {
		return nil, err
	}
	if err := d.bringUpToDate(ctx); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}
