package postgres

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus/store/driver"
)

// Copy implements driver.Copier. Values travel as text, as everywhere.
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
