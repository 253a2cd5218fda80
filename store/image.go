package store

import (
	"bytes"
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// image is a row as it is stored: the values of its columns, in their order, the id
// first. It keeps what other programs have written exactly. nil is no row.
type image []driver.Arg

func (i image) id() string { return i[0].Text }

// imageOf copies the row of a query for all columns, from column from on.
func imageOf(r driver.Row, from, columns int) image {
	i := make(image, columns)
	for n := range i {
		i[n] = r.Arg(from + n)
	}
	return i
}

// imageRow is an image as a row of a query, for what scans rows.
type imageRow image

func (r imageRow) Columns() []string         { return nil }
func (r imageRow) IsNull(column int) bool    { return r[column].Kind == driver.KindNull }
func (r imageRow) Value(column int) any      { return r[column].Value() }
func (r imageRow) Arg(column int) driver.Arg { return r[column] }

func (r imageRow) Kind(column int) driver.Kind          { return r[column].Kind }
func (r imageRow) AppendTo(b []byte, column int) []byte { return append(b, r[column].Text...) }

func (r imageRow) Text(column int) string {
	switch a := r[column]; a.Kind {
	case driver.KindInt:
		return strconv.FormatInt(a.Int, 10)
	case driver.KindFloat:
		return strconv.FormatFloat(a.Float, 'g', 15, 64)
	default:
		return a.Text
	}
}

func (r imageRow) Int(column int) int64 {
	switch a := r[column]; a.Kind {
	case driver.KindInt:
		return a.Int
	case driver.KindFloat:
		return wholeNumber(a.Float)
	default:
		return wholeNumber(leadingNumber(a.Text))
	}
}

// wholeNumber is f without its fraction, or the nearest that there is.
func wholeNumber(f float64) int64 {
	switch {
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	default:
		return int64(f)
	}
}

func (r imageRow) Float(column int) float64 {
	switch a := r[column]; a.Kind {
	case driver.KindInt:
		return float64(a.Int)
	case driver.KindFloat:
		return a.Float
	default:
		return leadingNumber(a.Text)
	}
}

// leadingNumber reads the number that a text begins with, as databases do.
func leadingNumber(text string) float64 {
	text = strings.TrimLeft(text, " \t\r\n")
	for end := len(text); end > 0; end-- {
		if n, err := strconv.ParseFloat(text[:end], 64); err == nil {
			return n
		}
	}
	return 0
}

// layout is what the history has to know of a table.
type layout struct {
	kind    nexus.Kind
	columns []Column // the id first; v1 of the history is the second
	decode  func(image) any

	events string // columns of the history, for scanEvent
	rows   string // SELECT of the rows as they are now
}

// layouts has those of all tables whose changes are in the history.
var layouts = makeLayouts()

func makeLayouts() map[nexus.Kind]*layout {
	m := make(map[nexus.Kind]*layout)
	for _, l := range []*layout{
		projects.layout(), features.layout(), subFeatures.layout(), tasks.layout(),
		agents.layout(), checkpoints.layout(), requirements.layout(), sessions.layout(),
	} {
		m[l.kind] = l
	}
	return m
}

func (t *table[E, F, U]) layout() *layout {
	l := &layout{kind: t.kind, columns: t.describe(), decode: func(i image) any {
		if i == nil {
			return nil
		}
		e := new(E)
		t.scan(e, imageRow(i))
		return e
	}}
	l.events = "seq, change, id, large"
	for n := range l.columns[1:] {
		l.events += ", v" + strconv.Itoa(n+1)
	}
	l.rows = t.selectSQL
	return l
}

// imageColumns is how many columns of a row the history has room for, besides the id.
const imageColumns = 32

// columnsBeforeImage are the columns of layout.events before the image.
const columnsBeforeImage = 3

// event is a change of a row: what the row was before it.
type event struct {
	seq    int64
	change string
	id     string
	large  bool  // image has the large columns; in those, deltas
	image  image // nil if there was no row before
}

func (l *layout) scanEvent(r driver.Row) event {
	id := r.Arg(2)
	e := event{seq: r.Int(0), change: r.Text(1), id: id.Text, large: r.Int(3) != 0}
	if e.change != "insert" {
		e.image = imageOf(r, columnsBeforeImage, len(l.columns))
		e.image[0] = id
		for n := range e.image[1:] {
			e.image[n+1] = typed(e.image[n+1], l.columns[n+1].Type)
		}
	}
	return e
}

// typed is a value that the history may have as a text, as its column has it.
func typed(a driver.Arg, columnType string) driver.Arg {
	if a.Kind != driver.KindText || columnType == "TEXT" {
		return a
	}
	if columnType == "INTEGER" {
		if n, err := strconv.ParseInt(a.Text, 10, 64); err == nil {
			return driver.Int(n)
		}
	}
	if f, err := strconv.ParseFloat(a.Text, 64); err == nil {
		return driver.Float(f)
	}
	return a
}

// current reads the row with an id as it is now, or nil. Another program may have
// made the id a BLOB.
func (l *layout) current(ctx context.Context, c driver.Conn, id string) (i image, err error) {
	for _, arg := range []driver.Arg{driver.Text(id), driver.Blob([]byte(id))} {
		err = c.Query(ctx, l.rows+" WHERE id = $1", []driver.Arg{arg}, func(r driver.Row) error {
			i = imageOf(r, 0, len(l.columns))
			return nil
		})
		if i != nil || err != nil {
			break
		}
	}
	return i, err
}

// restoration makes the image of a row of the past whole, from the events that
// followed, oldest first.
type restoration struct {
	image   image
	pending []pendingColumn // large columns whose value is not known yet
}

type pendingColumn struct {
	column int
	deltas [][]byte // each makes the value before it from the one after it
}

// isOdd reports whether JSON does not keep the id of the row as it is.
func (r *restoration) isOdd() bool {
	return r.image[0].Kind != driver.KindText || !isText(r.image[0].Text)
}

// begin starts with the first event after the moment that is looked for.
func (l *layout) begin(e *event) *restoration {
	r := &restoration{image: e.image}
	if e.image == nil {
		return r
	}
	for n := range l.columns {
		if !l.columns[n].Large {
			continue
		}
		r.pending = append(r.pending, pendingColumn{column: n})
	}
	r.follow(e)
	return r
}

// follow takes a further event of the row into account.
func (r *restoration) follow(e *event) {
	if !e.large || e.image == nil {
		return
	}
	still := r.pending[:0]
	for _, p := range r.pending {
		value := e.image[p.column]
		if e.change != "update" { // it has what was there, as it was
			r.settle(p, value)
			continue
		}
		if value.Kind == driver.KindBlob && strings.HasPrefix(value.Text, "d") {
			p.deltas = append(p.deltas, []byte(value.Text))
			still = append(still, p)
			continue
		}
		if value.Kind == driver.KindBlob && strings.HasPrefix(value.Text, "b") {
			value.Text = value.Text[1:]
		}
		r.settle(p, value)
	}
	r.pending = still
}

// finish takes the rest from the row as it is now.
func (r *restoration) finish(now image) error {
	for _, p := range r.pending {
		if now == nil {
			return nexus.Errorf(nexus.CodeCorrupt, "the history lacks the end of %s", r.image.id())
		}
		r.settle(p, now[p.column])
	}
	r.pending = nil
	return nil
}

// settle gives a column the value that its deltas make of the one after them.
func (r *restoration) settle(p pendingColumn, after driver.Arg) {
	if len(p.deltas) > 0 {
		text := pieces{after.Text}
		for i := len(p.deltas) - 1; i >= 0; i-- {
			text = text.before(p.deltas[i])
		}
		after = driver.Text(strings.Join(text, ""))
	}
	r.image[p.column] = after
}

// pieces are a text in parts, so that a long one need not be copied for each of many
// deltas.
type pieces []string

// before returns what the text was before the change that a delta is of.
func (p pieces) before(delta []byte) pieces {
	head, rest, _ := bytes.Cut(delta[1:], []byte(","))
	tail, middle, _ := bytes.Cut(rest, []byte(","))
	h, _ := strconv.Atoi(string(head))
	t, _ := strconv.Atoi(string(tail))
	length := 0
	for _, part := range p {
		length += len(part)
	}
	old := p.cut(0, h)
	if len(middle) > 0 {
		old = append(old, string(middle))
	}
	return append(old, p.cut(max(length-t, 0), length)...)
}

// cut returns the text from one place to another.
func (p pieces) cut(from, to int) (part pieces) {
	for _, s := range p {
		if from < len(s) && to > 0 {
			part = append(part, s[max(from, 0):min(to, len(s))])
		}
		from, to = from-len(s), to-len(s)
	}
	return part
}
