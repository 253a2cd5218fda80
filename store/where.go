package store

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// where collects the conditions of a SELECT. Values become arguments; only names
// of columns and operators, constants all, become text.
type where struct {
	sql  strings.Builder
	args []driver.Arg
	err  error // of the first condition that makes no sense

	past func(nexus.Kind) (string, error) // what other tables were, if that is asked for
}

// table is what a condition reads for another table; it may add arguments.
func (w *where) table(kind nexus.Kind) string {
	if w.past == nil {
		return kind.Table()
	}
	source, err := w.past(kind)
	if err != nil && w.err == nil {
		w.err = err
	}
	return source
}

// maxValues bounds the values of one condition; databases bound the arguments of
// a statement.
const maxValues = 10_000

func (w *where) refuse(field, format string, args ...any) {
	if w.err == nil {
		w.err = &nexus.Error{
			Code: nexus.CodeInvalid, Message: "the filter makes no sense",
			Problems: []nexus.Problem{{Field: field, Message: fmt.Sprintf(format, args...)}},
		}
	}
}

func (w *where) and() {
	if w.sql.Len() == 0 {
		w.sql.WriteString(" WHERE ")
	} else {
		w.sql.WriteString(" AND ")
	}
}

// condition adds a condition in which ? stands for the argument.
func (w *where) condition(sql string, arg driver.Arg) {
	w.and()
	w.args = append(w.args, arg)
	w.sql.WriteString(strings.ReplaceAll(sql, "?", fmt.Sprintf("$%d", len(w.args))))
}

// raw adds a condition without an argument.
func (w *where) raw(sql string) {
	w.and()
	w.sql.WriteString(sql)
}

// limit adds a limit, unless it is 0. SQLite looks at the value of a parameter that
// is a limit by itself when it makes its plan, and plans again whenever another
// is bound, which took longer than most queries; hence the sum.
func (w *where) limit(n int) {
	if n > 0 {
		w.args = append(w.args, driver.Int(int64(n)))
		fmt.Fprintf(&w.sql, " LIMIT $%d + 0", len(w.args))
	}
}

// equal adds a condition unless the value is empty.
func equal[S ~string](w *where, column string, value S) {
	if value != "" {
		w.condition(column+" = ?", driver.Text(value))
	}
}

// in adds a condition unless there are no values.
func in[S ~string](w *where, column string, values []S) {
	inArgs(w, column, values, driver.Text[S])
}

func inArgs[V any](w *where, column string, values []V, arg func(V) driver.Arg) {
	if len(values) == 0 {
		return
	}
	if len(values) > maxValues {
		w.refuse(column, "has %d values; the limit is %d", len(values), maxValues)
		return
	}
	w.and()
	w.sql.WriteString(column + " IN (")
	for i, value := range values {
		if i > 0 {
			w.sql.WriteString(", ")
		}
		a := arg(value)
		if a.Kind == driver.KindNull {
			w.refuse(column[strings.LastIndex(column, ".")+1:], "cannot be %q", fmt.Sprint(value))
		}
		w.args = append(w.args, a)
		fmt.Fprintf(&w.sql, "$%d", len(w.args))
	}
	w.sql.WriteString(")")
}

// since and until add a condition unless the time is zero.
func (w *where) since(column string, t time.Time) {
	if !t.IsZero() {
		w.condition(column+" >= ?", driver.Int(t.Unix()))
	}
}

func (w *where) until(column string, t time.Time) {
	if !t.IsZero() {
		w.condition(column+" < ?", driver.Int(t.Unix()))
	}
}

// paged adds the cursor's condition, the order and the limit.
func (t *table[E, F, U]) paged(w *where, page nexus.Page) error {
	column, err := t.orderColumn(page.OrderBy)
	if err != nil {
		return err
	}
	if page.Limit < 0 {
		w.refuse("limit", "is %d; it cannot be negative", page.Limit)
	}
	order, direction, beyond := column.Name, "", ">"
	orderSQL := order
	if column.order != "" {
		orderSQL = column.order
	}
	if page.Descending {
		direction, beyond = " DESC", "<"
	}
	if page.Cursor != "" {
		place, err := decodeCursor(page.Cursor)
		if err != nil || place.Order != order || place.Descending != page.Descending {
			return &nexus.Error{
				Code: nexus.CodeInvalid, Kind: t.kind,
				Problems: []nexus.Problem{{Field: "cursor", Message: "is not one of this list and order"}},
				Hint:     "start again without a cursor",
			}
		}
		if order == "id" {
			w.condition("id "+beyond+" ?", driver.Text(place.ID))
		} else {
			w.args = append(w.args, place.arg())
			w.condition(fmt.Sprintf("(%s, id) %s ($%d, ?)", orderSQL, beyond, len(w.args)), driver.Text(place.ID))
		}
	}
	w.sql.WriteString(" ORDER BY " + orderSQL + direction)
	if order != "id" {
		w.sql.WriteString(", id" + direction)
	}
	w.limit(page.Limit)
	return w.err
}

// place is a place in a list: what a cursor holds.
type place struct {
	Order      string `json:"o"`
	Descending bool   `json:"d,omitempty"`
	Text       string `json:"t,omitempty"` // the value of the order's column
	Int        int64  `json:"n,omitempty"`
	IsInt      bool   `json:"i,omitempty"`
	ID         string `json:"id"`
}

func (p place) arg() driver.Arg {
	if p.IsInt {
		return driver.Int(p.Int)
	}
	return driver.Text(p.Text)
}

func (t *table[E, F, U]) cursor(page nexus.Page, e *E) (string, error) {
	column, err := t.orderColumn(page.OrderBy)
	if err != nil {
		return "", err
	}
	value := column.arg(e)
	p := place{
		Order: column.Name, Descending: page.Descending, ID: *t.id(e),
		Text: value.Text, Int: value.Int, IsInt: value.Kind == driver.KindInt,
	}
	if column.Name == "id" {
		p.Text = ""
	}
	text, err := json.Marshal(p)
	return base64.RawURLEncoding.EncodeToString(text), err
}

func decodeCursor(cursor string) (p place, err error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	return p, err
}
