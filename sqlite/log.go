package sqlite

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus/internal/statementlog"
	"github.com/seed-c8812374/nexus/store/driver"
)

// logged writes the debug line of a statement. It is deferred, hence the pointer.
func (c *conn) logged(ctx context.Context, sql string, args []driver.Arg, start time.Time, err *error) {
	statementlog.Write(ctx, c.log, "sqlite", sql, args, start, *err)
}
