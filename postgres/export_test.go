package postgres

import (
	"context"
	"strings"

	"github.com/seed-c8812374/nexus/store/driver"
)

// SchemaFile is what schema.sql should say, given a database whose migrations have run.
func SchemaFile(ctx context.Context, url string) (string, error) {
	d, err := open(ctx, url, (&Options{ReadOnly: true}).withDefaults())
	if err != nil {
		return "", err
	}
	defer d.Close()
	var text strings.Builder
	text.WriteString("-- What the migrations make, as PostgreSQL tells it. Written by go test -run TestSchemaFile -update.\n")
	err = d.Snapshot(ctx, func(c driver.Conn) error {
		list, err := objects(ctx, c)
		for _, o := range list {
			text.WriteString("\n" + objectHeader + o.key() + "\n" + o.sql + ";\n")
		}
		return err
	})
	return text.String(), err
}

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
