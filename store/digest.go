package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// stateKinds are the kinds of the rows that are the state of a project, parents
// before children. Checkpoints, metrics and agents are not: to go back does not undo
// what was recorded, what it cost, and who worked.
func stateKinds() []nexus.Kind {
	return []nexus.Kind{
		nexus.KindProject, nexus.KindFeature, nexus.KindSubFeature, nexus.KindTask, nexus.KindRequirement, nexus.KindSession,
	}
}

// projectState is the state of a project after a change of the history.
type projectState struct {
	ctx     context.Context
	conn    driver.Conn
	project string
	seq     int64
	last    int64 // the newest change; the state is that of now if seq is that

	features map[string]bool // found so far
}

func stateOf(ctx context.Context, c driver.Conn, project string, seq int64) (*projectState, error) {
	last, err := lastRecord(ctx, c)
	return &projectState{ctx: ctx, conn: c, project: project, seq: seq, last: last}, err
}

// each calls fn with each row of a kind, ordered by id. An image is valid until fn
// returns. Features must come before sub-features.
func (s *projectState) each(kind nexus.Kind, fn func(image) error) error {
	l := layouts[kind]
	if kind == nexus.KindFeature {
		s.features = make(map[string]bool)
		each := fn
		fn = func(i image) error {
			s.features[i.id()] = true
			return each(i)
		}
	}
	var w where
	switch kind {
	case nexus.KindProject:
		equal(&w, "id", s.project)
	case nexus.KindSubFeature:
		list, err := json.Marshal(sortedKeys(s.features)) // then; some may be of another project now
		if err != nil {
			return err
		}
		w.args = append(w.args, driver.Text(string(list)))
		w.raw("feature_id IN (SELECT value FROM " + s.conn.Dialect().Elements(len(w.args)) + ")")
	default:
		equal(&w, "project_id", s.project)
	}
	then, changed, err := s.changed(l)
	if err != nil {
		return err
	}
	row := make(image, len(l.columns))
	err = s.conn.Query(s.ctx, l.rows+w.sql.String()+" ORDER BY id", w.args, func(r driver.Row) error {
		id := r.Arg(0)
		for len(then) > 0 && compareIDs(then[0][0], id) < 0 {
			if err := fn(then[0]); err != nil {
				return err
			}
			then = then[1:]
		}
		if _, old := changed[id.Text]; old {
			return nil
		}
		for n := range row {
			row[n] = r.Arg(n)
		}
		return fn(row)
	})
	for _, i := range then {
		if err == nil {
			err = fn(i)
		}
	}
	return err
}

// changed returns the rows of the project that were not as they are now, ordered by
// id, and all rows of which that may be so.
func (s *projectState) changed(l *layout) (then []image, changed map[string]image, err error) {
	if s.seq == s.last {
		return nil, nil, nil
	}
	if changed, err = l.changedSince(s.ctx, s.conn, s.seq, s.project); err != nil {
		return nil, nil, err
	}
	for _, i := range changed {
		if i != nil && s.owns(l, i) {
			then = append(then, i)
		}
	}
	slices.SortFunc(then, func(a, b image) int { return compareIDs(a[0], b[0]) })
	return then, changed, nil
}

// compareIDs orders ids as the database does: one that another program has made a
// BLOB comes after all texts.
func compareIDs(a, b driver.Arg) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Text, b.Text))
}

// owns reports whether a row is one of the project.
func (s *projectState) owns(l *layout, i image) bool {
	switch l.kind {
	case nexus.KindProject:
		return i.id() == s.project
	case nexus.KindSubFeature:
		return s.features[i[l.column("feature_id")].Text]
	default:
		return i[l.column("project_id")].Text == s.project
	}
}

// stateDigest is the hash of the canonical state of a project: one line a row, a JSON
// array of the table's name and the row's columns without its revision, table by
// table, by id. A revision counts changes, and to go back is one.
type stateDigest struct {
	sha     hash.Hash
	line    []byte
	columns map[string]int // how many columns of each table count; nil is all
	counts  map[string]int64
}

func (s *projectState) digest(columns map[string]int) (*stateDigest, error) {
	d := &stateDigest{sha: sha256.New(), columns: columns, counts: make(map[string]int64)}
	for _, kind := range stateKinds() {
		l := layouts[kind]
		table := kind.Table()
		d.counts[table] = 0
		count := len(l.columns)
		if n, recorded := columns[table]; recorded {
			count = min(count, n)
		}
		revision := l.column("revision")
		err := s.each(kind, func(i image) error {
			d.counts[table]++
			d.add(table, i[:count], revision)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *stateDigest) sum() string { return hex.EncodeToString(d.sha.Sum(nil)) }

func (d *stateDigest) add(table string, row image, without int) {
	d.line = append(append(append(d.line[:0], '[', '"'), table...), '"')
	for n := range row {
		if n == without {
			continue
		}
		d.line = append(d.line, ',')
		d.line = appendValue(d.line, &row[n])
	}
	d.line = append(d.line, ']', '\n')
	_, _ = d.sha.Write(d.line) // never fails
}

// appendValue appends a value as JSON. A BLOB is an array of its bytes in hex, so
// that it differs from every text.
func appendValue(line []byte, a *driver.Arg) []byte {
	switch a.Kind {
	case driver.KindInt:
		return strconv.AppendInt(line, a.Int, 10)
	case driver.KindFloat:
		return strconv.AppendFloat(line, a.Float, 'g', -1, 64)
	case driver.KindText:
		return appendText(line, a.Text)
	case driver.KindBlob:
		return append(hex.AppendEncode(append(line, '[', '"'), []byte(a.Text)), '"', ']')
	default:
		return append(line, "null"...)
	}
}

func appendText(line []byte, text string) []byte {
	switch {
	case isPlain(text):
		return append(append(append(line, '"'), text...), '"')
	case !utf8.ValidString(text): // JSON has no place for it
		return append(hex.AppendEncode(append(line, `["text","`...), []byte(text)), `"]`...)
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // strings always marshal
	return append(line, strings.TrimSuffix(b.String(), "\n")...)
}

// isPlain reports whether a text is its own JSON, but for the quotes.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return true
}

// columnCounts are how many columns of each table a new digest covers.
func columnCounts() map[string]int {
	counts := make(map[string]int)
	for _, kind := range stateKinds() {
		counts[kind.Table()] = len(layouts[kind].columns)
	}
	return counts
}
