package postgres

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus/store/driver"
)

// Copy implements driver.Bulk. Values travel as text, as everywhere.
func (c *conn) Copy(ctx context.Context, table string, columns []string, rows [][]driver.Arg) (err error) {
	if ctx.Err() != nil {
		return canceled(ctx)
	}
	if c.running != nil {
		c.running.readAll()
	}
	quoted := make([]string, len(columns))
	for i, name := range columns {
		quoted[i] = quoteName(name)
	}
	sql := "COPY " + quoteName(table) + " (" + strings.Join(quoted, ", ") + ") FROM STDIN"
	if c.db.options.Debug {
		defer c.logged(ctx, sql, nil, time.Now(), &err)
	}
	if c.pg == nil || c.pg.IsClosed() {
		return c.failed(ctx, errLost)
	}
	if err := c.flush(ctx); err != nil {
		return c.failed(ctx, err)
	}
	c.sent = c.sent || c.inTx
	_, err = c.pg.CopyFrom(ctx, bytes.NewReader(copyText(rows)), sql)
	return c.failed(ctx, err)
}

// bulkIdle is how long a bulk load may pause.
const bulkIdle = time.Hour

// WithoutTriggers implements driver.Bulk. Others who write wait until the transaction
// ends, and if it is undone, the triggers have never been off.
func (c *conn) WithoutTriggers(ctx context.Context, fn func() error) error {
	names, err := tableNames(ctx, c)
	if err != nil {
		return err
	}
	// Where the rows come from, others may be read for longer than that meanwhile.
	if _, err := c.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = "+milliseconds(bulkIdle)); err != nil {
		return err
	}
	alter := func(how string) error {
		for _, name := range names {
			if _, err := c.Exec(ctx, "ALTER TABLE "+quoteName(name)+" "+how+" TRIGGER USER"); err != nil {
				return err
			}
		}
		return nil
	}
	if err := alter("DISABLE"); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	if err := alter("ENABLE"); err != nil {
		return err
	}
	// Until the server does so by itself, it would plan as if the tables were empty.
	for _, name := range names {
		if _, err := c.Exec(ctx, "ANALYZE "+quoteName(name)); err != nil {
			return err
		}
	}
	return c.continueNumbers(ctx)
}

// continueNumbers has identity columns go on after the highest number.
func (c *conn) continueNumbers(ctx context.Context) error {
	const identities = `
		SELECT t.relname, a.attname, pg_get_serial_sequence(quote_ident(t.relname), a.attname) FROM pg_class t
		JOIN pg_namespace n ON n.oid = t.relnamespace
		JOIN pg_attribute a ON a.attrelid = t.oid AND a.attidentity <> '' AND NOT a.attisdropped
		WHERE ` + ofSchema + ` AND t.relkind = 'r'`
	type identity struct{ table, column, sequence string }
	var all []identity
	err := c.Query(ctx, identities, nil, func(r driver.Row) error {
		all = append(all, identity{quoteName(r.Text(0)), quoteName(r.Text(1)), r.Text(2)})
		return nil
	})
	for _, i := range all {
		if err == nil {
			sql := "SELECT setval($1::TEXT::REGCLASS, max(" + i.column + ")) FROM " + i.table +
				" HAVING max(" + i.column + ") > (SELECT last_value FROM " + i.sequence + ")"
			err = c.Query(ctx, sql, []driver.Arg{driver.Text(i.sequence)}, nil)
		}
	}
	return err
}

// copyText are rows as COPY reads them.
func copyText(rows [][]driver.Arg) (text []byte) {
	for _, row := range rows {
		for i, value := range encode(row) {
			if i > 0 {
				text = append(text, '\t')
			}
			if value == nil {
				text = append(text, `\N`...)
			}
			for _, b := range value {
				switch b {
				case '\\':
					text = append(text, `\\`...)
				case '\t':
					text = append(text, `\t`...)
				case '\n':
					text = append(text, `\n`...)
				case '\r':
					text = append(text, `\r`...)
				default:
					text = append(text, b)
				}
			}
		}
		text = append(text, '\n')
	}
	return text
}
