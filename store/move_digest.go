package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// TableDigest is what a table holds: how many rows, and the SHA-256 of them, one JSON
// array a row, ordered by the primary key; those of the history newest first, with every
// value whole. It is the same whatever database the table is in.
type TableDigest struct {
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

const historyTable = "history"

// rowsDigest makes a TableDigest.
type rowsDigest struct {
	table string
	sha   hash.Hash
	line  []byte
	rows  int64
}

func newRowsDigest(t *ContentTable) *rowsDigest {
	return &rowsDigest{table: t.Name, sha: sha256.New()}
}

func (d *rowsDigest) add(row []driver.Arg) {
	if d.table == "history_marks" && row[0].Text == "indexed" {
		return // how far an index has come is nothing that is kept
	}
	d.rows++
	d.line = append(d.line[:0], '[')
	for i := range row {
		if i > 0 {
			d.line = append(d.line, ',')
		}
		d.line = appendValue(d.line, &row[i])
	}
	d.line = append(d.line, ']', '\n')
	_, _ = d.sha.Write(d.line) // never fails
}

func (d *rowsDigest) sum() TableDigest {
	return TableDigest{Rows: d.rows, SHA256: hex.EncodeToString(d.sha.Sum(nil))}
}

// digest is that of a table other than the history. It calls fn with each row.
func (tx *Tx) digest(ctx context.Context, t *ContentTable, fn func(row []driver.Arg) error) (TableDigest, error) {
	d := newRowsDigest(t)
	err := tx.Rows(ctx, t, func(row []driver.Arg) error {
		d.add(row)
		return fn(row)
	})
	return d.sum(), err
}

// wholeValues are the large values of an update in the history. They are valid until
// the function that receives them returns.
type wholeValues struct {
	kind  nexus.Kind
	seq   int64
	names []string     // of their columns in the history
	kept  []driver.Arg // as they are kept
	whole []driver.Arg // as they were
	after []driver.Arg // as the update made them; nil if nobody needs to know
}

// differences returns a copy with those that are kept only as a difference.
func (w *wholeValues) differences() *wholeValues {
	d := &wholeValues{kind: w.kind, seq: w.seq}
	for i := range w.kept {
		if isDelta(w.kept[i]) {
			d.names, d.whole = append(d.names, w.names[i]), append(d.whole, w.whole[i])
		}
	}
	return d
}

// isDelta reports whether a large value of an update is kept as its difference from the
// one after it.
func isDelta(a driver.Arg) bool { return a.Kind == driver.KindBlob && strings.HasPrefix(a.Text, "d") }

// Columns of the history, by their place in a row of it.
const (
	historySeq    = 0
	historyChange = 2
	historyKind   = 3
	historyID     = 4
	historyLarge  = 6
	historyV1     = 10
)

// digestHistory is the digest of the history. It calls fn with the large values of each
// record; with afters, also with what became of those that may be kept shorter.
func (tx *Tx) digestHistory(ctx context.Context, t *ContentTable, afters bool, fn func(*wholeValues) error) (TableDigest, error) {
	d := newRowsDigest(t)
	b := &backwards{ctx: ctx, conn: tx.conn, afters: afters, known: make(map[rowKey][]driver.Arg)}
	names := t.Names()
	row := make([]driver.Arg, len(names))
	sql := "SELECT " + quotedNames(names) + " FROM history ORDER BY seq DESC"
	err := tx.conn.Query(ctx, sql, nil, func(r driver.Row) error {
		for i := range row {
			row[i] = r.Arg(i)
		}
		typeImage(row)
		if err := b.unfold(row); err != nil {
			return err
		}
		d.add(row)
		return fn(&b.large)
	})
	return d.sum(), err
}

// backwards goes through the history, newest first, and remembers the large values of
// rows, from which those before them follow.
type backwards struct {
	ctx    context.Context
	conn   driver.Conn
	afters bool
	large  wholeValues             // of the record that was seen last
	known  map[rowKey][]driver.Arg // the large values of rows before that
	bytes  int                     // of these
}

// mostKnown is how many bytes of large values are remembered. Others are looked for.
const mostKnown = 16 << 20

// unfold makes the large values of a record whole.
func (b *backwards) unfold(row []driver.Arg) error {
	w := &b.large
	*w = wholeValues{
		kind: nexus.Kind(row[historyKind].Text), seq: row[historySeq].Int,
		names: w.names[:0], kept: w.kept[:0], whole: w.whole[:0],
	}
	l, id := layouts[w.kind], row[historyID]
	if l == nil || id.Kind != driver.KindText {
		return nil
	}
	key := rowKey{w.kind, id.Text}
	change := row[historyChange].Text
	switch {
	case change == "insert": // before it there was none, or another
		b.forget(key)
		return nil
	case row[historyLarge].Int == 0:
		return nil
	}
	unknown := false
	for n, c := range l.columns {
		if !c.Large {
			continue
		}
		value := row[historyV1+n-1]
		w.names, w.kept = append(w.names, "v"+strconv.Itoa(n)), append(w.kept, value)
		unknown = unknown || change == "update" && (isDelta(value) || b.afters && isLong(value))
	}
	if unknown {
		var err error
		if w.after, err = b.after(l, key, w.seq); err != nil {
			return err
		}
	}
	i := 0
	for n, c := range l.columns {
		if c.Large {
			w.whole = append(w.whole, w.kept[i])
			if change == "update" {
				w.whole[i] = w.unfold(i)
			}
			row[historyV1+n-1] = w.whole[i]
			i++
		}
	}
	b.remember(key, w.whole)
	if change != "update" {
		w.names, w.kept, w.whole = w.names[:0], w.kept[:0], w.whole[:0]
	}
	return nil
}

// unfold returns a value of an update as it was.
func (w *wholeValues) unfold(i int) driver.Arg {
	value := w.kept[i]
	switch {
	case isDelta(value):
		return driver.Text(strings.Join(pieces{w.after[i].Text}.before([]byte(value.Text)), ""))
	case value.Kind == driver.KindBlob && strings.HasPrefix(value.Text, "b"):
		return driver.Blob([]byte(value.Text[1:]))
	default:
		return value
	}
}

// after returns the large values of a row after a change.
func (b *backwards) after(l *layout, key rowKey, seq int64) ([]driver.Arg, error) {
	if values, known := b.known[key]; known {
		return values, nil
	}
	then, err := l.imageAt(b.ctx, b.conn, key.id, seq)
	if err != nil {
		return nil, err
	}
	if then == nil {
		return nil, nexus.Errorf(nexus.CodeCorrupt, "the history lacks the end of %s", key.id)
	}
	var values []driver.Arg
	for n, c := range l.columns {
		if c.Large {
			values = append(values, then[n])
		}
	}
	return values, nil
}

func (b *backwards) remember(key rowKey, values []driver.Arg) {
	b.forget(key)
	if b.bytes > mostKnown {
		clear(b.known)
		b.bytes = 0
	}
	b.known[key] = slices.Clone(values)
	b.bytes += sizeOf(values)
}

func (b *backwards) forget(key rowKey) {
	b.bytes -= sizeOf(b.known[key])
	delete(b.known, key)
}

// sizeOf is about how many bytes values take.
func sizeOf(values []driver.Arg) (bytes int) {
	for i := range values {
		const each = 64
		bytes += each + len(values[i].Text)
	}
	return bytes
}
