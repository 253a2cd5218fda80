package sqlite

import (
	"context"

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
