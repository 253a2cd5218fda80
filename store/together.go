package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Bounds on the rows of one statement. A statement of PostgreSQL takes 65,535 arguments.
const (
	mostTogether      = 500
	mostArgsTogether  = 1<<16 - 1
	mostBytesTogether = 4 << 20

	// In SQLite a statement is prepared once for a number of rows, so there is one number. It
	// pays because what a statement may have to undo comes after all that the savepoint
	// around it may, in a list that is walked through at its end: 500 tasks, one by one in a
	// savepoint, took half as long again.
	togetherInProcess = 32
)

// insertTogether inserts n rows with few statements, each for many. head is the INSERT up to
// its VALUES, args the arguments for a row, as many as there are columns. It returns how
// many are inserted: the others are left to be inserted one by one, by whoever tells which
// of them it is that cannot be.
func insertTogether(ctx context.Context, c driver.Conn, head string, columns, n int, args func(row int) []driver.Arg) (done int, err error) {
	most, least := min(mostTogether, mostArgsTogether/columns), 2
	if !c.Dialect().LocksRows {
		most, least = togetherInProcess, togetherInProcess
	}
	for n-done >= least {
		rows, bytes := 0, 0
		all := make([]driver.Arg, 0, min(n-done, most)*columns)
		for rows < min(n-done, most) && bytes < mostBytesTogether {
			row := args(done + rows)
			all, rows, bytes = append(all, row...), rows+1, bytes+sizeOf(row)
		}
		if rows < least {
			return done, nil
		}
		err := guard(ctx, c, func() error {
			_, err := c.Exec(ctx, head+" VALUES "+places(rows, columns), all...)
			return err
		})
		switch code := nexus.CodeOf(err); {
		case err == nil:
			done += rows
		case code == nexus.CodeExists || code == nexus.CodeReference || code == nexus.CodeInvalid:
			return done, nil
		default:
			return done, err
		}
	}
	return done, nil
}

// pace says how many rows to have in memory at once, from those before: most rows are
// short, and thousands of some would fill it.
type pace struct{ rows int }

// next takes the next of what is left.
func (p *pace) next(left int) int {
	const first = 16
	if p.rows == 0 {
		p.rows = first
	}
	return min(left, p.rows)
}

// took tells how many rows were how large.
func (p *pace) took(rows, bytes int) {
	const growth = 8
	each := max(bytes/max(rows, 1), 1)
	p.rows = max(1, min(mostBytesTogether/each, p.rows*growth, mostTogether))
}

// places are the places of arguments for some rows: ($1, $2), ($3, $4).
func places(rows, columns int) string {
	var b strings.Builder
	for place := range rows * columns {
		switch {
		case place == 0:
			b.WriteString("($")
		case place%columns == 0:
			b.WriteString("), ($")
		default:
			b.WriteString(", $")
		}
		b.WriteString(strconv.Itoa(place + 1))
	}
	b.WriteString(")")
	return b.String()
}

// queryIDs runs a query about the rows with some ids, calling fn in no order of these. sql
// has a %s for a condition that follows a column, and its arguments begin with $2.
func queryIDs(ctx context.Context, c driver.Conn, sql string, ids, args []driver.Arg, fn func(driver.Row) error) error {
	return withIDs(c, sql, ids, args, func(sql string, args []driver.Arg) error { return c.Query(ctx, sql, args, fn) })
}

// execIDs is queryIDs for a statement without rows.
func execIDs(ctx context.Context, c driver.Conn, sql string, ids []driver.Arg) error {
	return withIDs(c, sql, ids, nil, func(sql string, args []driver.Arg) error {
		_, err := c.Exec(ctx, sql, args...)
		return err
	})
}

func withIDs(c driver.Conn, sql string, ids, args []driver.Arg, do func(sql string, args []driver.Arg) error) error {
	list, odd, err := split(ids)
	if err != nil {
		return err
	}
	for _, id := range odd {
		if err := do(fmt.Sprintf(sql, "= $1"), append([]driver.Arg{id}, args...)); err != nil {
			return err
		}
	}
	if len(odd) == len(ids) {
		return nil
	}
	in := "IN (SELECT value FROM " + c.Dialect().Elements(1) + ")"
	return do(fmt.Sprintf(sql, in), append([]driver.Arg{list}, args...))
}

// split makes a JSON array of ids, for [driver.Dialect.Elements], but for those that JSON
// would not keep as they are.
func split(ids []driver.Arg) (list driver.Arg, odd []driver.Arg, err error) {
	plain := make([]string, 0, len(ids))
	for _, id := range ids {
		if id.Kind == driver.KindText && isText(id.Text) {
			plain = append(plain, id.Text)
		} else {
			odd = append(odd, id)
		}
	}
	text, err := json.Marshal(plain)
	return driver.Text(string(text)), odd, err
}
