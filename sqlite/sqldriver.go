package sqlite

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"fmt"
	"io"
	"time"

	"github.com/seed-c8812374/nexus/store/driver"
)

// asSQL wraps a connection with an open transaction for goose, which wants a
// *sql.DB. What goose takes for a transaction is a savepoint in the open one, so
// that all migrations of a run succeed or fail together.
func asSQL(ctx context.Context, c *conn) *sql.DB {
	db := sql.OpenDB(sqlConnector{&sqlConn{ctx: ctx, conn: c}})
	db.SetMaxOpenConns(1)
	return db
}

type sqlConnector struct{ conn *sqlConn }

func (s sqlConnector) Connect(context.Context) (sqldriver.Conn, error) { return s.conn, nil }
func (s sqlConnector) Driver() sqldriver.Driver                        { return s }
func (s sqlConnector) Open(string) (sqldriver.Conn, error)             { return s.conn, nil }

// sqlConn is both the connection and its transaction.
type sqlConn struct {
	ctx  context.Context // of the run; database/sql gives statements none of their own
	conn *conn
}

func (s *sqlConn) Prepare(text string) (sqldriver.Stmt, error) {
	return &sqlStmt{sqlConn: s, text: text}, nil
}

func (s *sqlConn) Close() error                 { return nil } // the connection is its opener's
func (s *sqlConn) Begin() (sqldriver.Tx, error) { return s, s.conn.exec("SAVEPOINT goose") }
func (s *sqlConn) Commit() error                { return s.conn.exec("RELEASE goose") }
func (s *sqlConn) Rollback() error              { return s.conn.rollbackTo("goose") }

type sqlStmt struct {
	*sqlConn
	text string
}

func (s *sqlStmt) Close() error  { return nil }
func (s *sqlStmt) NumInput() int { return -1 } // not checked here

func (s *sqlStmt) Exec(values []sqldriver.Value) (sqldriver.Result, error) {
	args, err := sqlArgs(values)
	if err != nil {
		return nil, err
	}
	changed, err := s.conn.Exec(s.ctx, s.text, args...)
	return sqldriver.RowsAffected(changed), err
}

func (s *sqlStmt) Query(values []sqldriver.Value) (sqldriver.Rows, error) {
	args, err := sqlArgs(values)
	if err != nil {
		return nil, err
	}
	rows := new(sqlRows)
	err = s.conn.Query(s.ctx, s.text, args, func(r driver.Row) error {
		rows.columns = r.Columns()
		values := make([]sqldriver.Value, len(rows.columns))
		for i := range values {
			values[i] = r.Value(i)
		}
		rows.values = append(rows.values, values)
		return nil
	})
	return rows, err
}

func sqlArgs(values []sqldriver.Value) ([]driver.Arg, error) {
	args := make([]driver.Arg, len(values))
	for i, value := range values {
		switch v := value.(type) {
		case nil:
		case int64:
			args[i] = driver.Int(v)
		case float64:
			args[i] = driver.Float(v)
		case string:
			args[i] = driver.Text(v)
		case bool:
			if args[i] = driver.Int(0); v {
				args[i] = driver.Int(1)
			}
		case time.Time:
			args[i] = driver.Int(v.Unix())
		default:
			return nil, fmt.Errorf("sqlite: an argument of type %T is not supported", v)
		}
	}
	return args, nil
}

type sqlRows struct {
	columns []string
	values  [][]sqldriver.Value
}

func (r *sqlRows) Columns() []string { return r.columns }
func (r *sqlRows) Close() error      { return nil }

func (r *sqlRows) Next(dst []sqldriver.Value) error {
	if len(r.values) == 0 {
		return io.EOF
	}
	copy(dst, r.values[0])
	r.values = r.values[1:]
	return nil
}
