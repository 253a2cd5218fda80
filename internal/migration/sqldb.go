package migration

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"fmt"
	"io"
	"time"

	"github.com/seed-c8812374/nexus/store/driver"
)

// Transaction is an open transaction in which goose runs. What goose takes for a
// transaction of its own is a savepoint in it, so that all migrations of a run
// succeed or fail together.
type Transaction interface {
	driver.Conn
	Begin() error    // sets a savepoint
	Commit() error   // releases it
	Rollback() error // undoes what was done since
}

// OpenDB wraps a transaction for goose, which wants a *sql.DB. ctx is that of the
// run; database/sql gives statements none of their own.
func OpenDB(ctx context.Context, tx Transaction) *sql.DB {
	db := sql.OpenDB(sqlConnector{&sqlConn{ctx, tx}})
	db.SetMaxOpenConns(1)
	return db
}

type sqlConnector struct{ conn *sqlConn }

func (s sqlConnector) Connect(context.Context) (sqldriver.Conn, error) { return s.conn, nil }
func (s sqlConnector) Driver() sqldriver.Driver                        { return s }
func (s sqlConnector) Open(string) (sqldriver.Conn, error)             { return s.conn, nil }

// sqlConn is both the connection and its transaction.
type sqlConn struct {
	ctx context.Context
	tx  Transaction
}

func (s *sqlConn) Prepare(text string) (sqldriver.Stmt, error) {
	return &sqlStmt{sqlConn: s, text: text}, nil
}

func (s *sqlConn) Close() error                 { return nil } // the connection is its opener's
func (s *sqlConn) Begin() (sqldriver.Tx, error) { return s, s.tx.Begin() }
func (s *sqlConn) Commit() error                { return s.tx.Commit() }
func (s *sqlConn) Rollback() error              { return s.tx.Rollback() }

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
	changed, err := s.tx.Exec(s.ctx, s.text, args...)
	return sqldriver.RowsAffected(changed), err
}

func (s *sqlStmt) Query(values []sqldriver.Value) (sqldriver.Rows, error) {
	args, err := sqlArgs(values)
	if err != nil {
		return nil, err
	}
	rows := new(sqlRows)
	err = s.tx.Query(s.ctx, s.text, args, func(r driver.Row) error {
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
			return nil, fmt.Errorf("an argument of type %T is not supported", v)
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
