package sqlite

import (
	"context"
	"database/sql"

	"github.com/seed-c8812374/nexus/internal/migration"
)

// asSQL wraps a connection with an open transaction for goose.
func asSQL(ctx context.Context, c *conn) *sql.DB {
	return migration.OpenDB(ctx, gooseTx{c})
}

type gooseTx struct{ *conn }

func (g gooseTx) Begin() error    { return g.exec("SAVEPOINT goose") }
func (g gooseTx) Commit() error   { return g.exec("RELEASE goose") }
func (g gooseTx) Rollback() error { return g.rollbackTo("goose") }
