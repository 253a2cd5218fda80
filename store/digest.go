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
	"github.com/seed-c8812374/nexus/internal/overlap"
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

// each calls fn with each row of a kind, ordered by id, with the columns of its
// layout. Features must come before sub-features.
func (s *projectState) each(kind nexus.Kind, fn func(driver.Row) error) error {
	l := layouts[kind]
	if kind == nexus.KindFeature {
		s.features = make(map[string]bool)
		each := fn
		fn = func(r driver.Row) error {
			s.features[r.Arg(0).Text] = true
			return each(r)
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
	err = s.conn.Query(s.ctx, l.rows+w.sql.String()+" ORDER BY id", w.args, func(r driver.Row) error {
		if len(changed) == 0 {
			return fn(r)
		}
		id := r.Arg(0)
		for len(then) > 0 && compareIDs(then[0][0], id) < 0 {
			if err := fn(imageRow(then[0])); err != nil {
				return err
			}
			then = then[1:]
		}
		if _, old := changed[id.Text]; old {
			return nil
		}
		return fn(r)
	})
	for _, i := range then {
		if err == nil {
			err = fn(imageRow(i))
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
//
// In format 1 it is the hash of all lines. Since format 2 it is that of the hashes of
// groups of lines, so that those of tasks which have not changed since the last
// checkpoint need not be read again; see taskHashes.
type stateDigest struct {
	sha     hash.Hash // of the lines in format 1, of the hashes of groups since
	grouped bool
	tasks   *grouping // nil if another has hashed them
	counts  map[string]int64
}

// digest hashes a state: of each table as many columns as are given; nil is all.
func (s *projectState) digest(format int, columns map[string]int) (*stateDigest, error) {
	return s.digestWith(format, columns, s.hashTasks)
}

// digestWith is digest with another way to hash the tasks.
func (s *projectState) digestWith(format int, columns map[string]int, hashTasks func(*stateDigest, int) error) (*stateDigest, error) {
	d := &stateDigest{sha: sha256.New(), grouped: format > 1, counts: make(map[string]int64)}
	for _, kind := range stateKinds() {
		count := len(layouts[kind].columns)
		if n, recorded := columns[kind.Table()]; recorded {
			count = min(count, n)
		}
		var err error
		if kind == nexus.KindTask {
			err = hashTasks(d, count)
		} else {
			err = s.hash(d, kind, count)
		}
		if err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (s *projectState) hashTasks(d *stateDigest, columns int) error {
	return s.hash(d, nexus.KindTask, columns)
}

// hash adds the rows of a kind. They are hashed while the next ones are read.
func (s *projectState) hash(d *stateDigest, kind nexus.Kind, columns int) error {
	l, groups := layouts[kind], newGrouping()
	stage := overlap.New(func(b *lineBatch) error {
		d.counts[kind.Table()] += int64(len(b.ids))
		b.each(func(id driver.Arg, line []byte) {
			if d.grouped {
				groups.add(id, line)
			} else {
				_, _ = d.sha.Write(line) // never fails
			}
		})
		b.clear()
		return nil
	}, new(lineBatch), new(lineBatch))
	d.counts[kind.Table()] = 0
	lines := l.lines(columns)
	batch := stage.Get()
	err := s.each(kind, func(r driver.Row) error {
		lines.appendTo(batch, r)
		if len(batch.text) < linesAtOnce {
			return nil
		}
		err := stage.Put(batch)
		batch = stage.Get()
		return err
	})
	if err == nil {
		err = stage.Put(batch)
	}
	if err := cmp.Or(err, stage.Close()); err != nil {
		return err
	}
	d.addGroups(groups.end())
	if kind == nexus.KindTask {
		d.tasks = groups
	}
	return nil
}

func (d *stateDigest) addGroups(groups []hashedGroup) {
	for i := range groups {
		_, _ = d.sha.Write(groups[i].sum[:]) // never fails
	}
}

func (d *stateDigest) sum() string { return hex.EncodeToString(d.sha.Sum(nil)) }

// canonicalLines makes the lines of the rows of a table.
type canonicalLines struct {
	table             string
	columns, revision int
}

func (l *layout) lines(columns int) *canonicalLines {
	return &canonicalLines{table: l.kind.Table(), columns: columns, revision: l.column("revision")}
}

// linesAtOnce is how many bytes of lines are handed on together, or a line more.
const linesAtOnce = 1 << 16

// lineBatch are the lines of several rows.
type lineBatch struct {
	ids  []driver.Arg
	ends []int // in text
	text []byte
}

func (b *lineBatch) each(fn func(id driver.Arg, line []byte)) {
	start := 0
	for i, end := range b.ends {
		fn(b.ids[i], b.text[start:end])
		start = end
	}
}

func (b *lineBatch) clear() { b.ids, b.ends, b.text = b.ids[:0], b.ends[:0], b.text[:0] }

// appendTo appends the line of a row to a batch.
func (c *canonicalLines) appendTo(b *lineBatch, r driver.Row) {
	id := r.Arg(0)
	line := append(append(append(b.text, '[', '"'), c.table...), '"', ',')
	line = appendValue(line, &id)
	for n := 1; n < c.columns; n++ {
		if n != c.revision {
			line = appendColumn(append(line, ','), r, n)
		}
	}
	b.text = append(line, ']', '\n')
	b.ids, b.ends = append(b.ids, id), append(b.ends, len(b.text))
}

// appendColumn appends a value of a row as appendValue does. Most texts are their own
// JSON, so they are read to where they will be.
func appendColumn(line []byte, r driver.Row, column int) []byte {
	switch r.Kind(column) {
	case driver.KindNull:
		return append(line, "null"...)
	case driver.KindInt:
		return strconv.AppendInt(line, r.Int(column), 10)
	case driver.KindText:
		start := len(line)
		line = r.AppendTo(append(line, '"'), column)
		if text := line[start+1:]; slices.ContainsFunc(text, mustBeEscaped) {
			return appendText(line[:start], string(text))
		}
		return append(line, '"')
	default:
		a := r.Arg(column)
		return appendValue(line, &a)
	}
}

// mustBeEscaped reports whether a byte may not be the same in JSON.
func mustBeEscaped(c byte) bool { return c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf }

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

// appendText appends a text as encoding/json does, but for characters of HTML.
func appendText(line []byte, text string) []byte {
	line = append(line, '"')
	start, length := 0, len(line)
	for i := range len(text) {
		c := text[i]
		switch {
		case !mustBeEscaped(c):
			continue
		case c == '"' || c == '\\':
			line = append(append(line, text[start:i]...), '\\', c)
		case c == '\n':
			line = append(append(line, text[start:i]...), '\\', 'n')
		default:
			return appendRareText(line[:length-1], text)
		}
		start = i + 1
	}
	return append(append(line, text[start:]...), '"')
}

func appendRareText(line []byte, text string) []byte {
	if !utf8.ValidString(text) { // JSON has no place for it
		return append(hex.AppendEncode(append(line, `["text","`...), []byte(text)), `"]`...)
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // strings always marshal
	return append(line, strings.TrimSuffix(b.String(), "\n")...)
}

// columnCounts are how many columns of each table a new digest covers.
func columnCounts() map[string]int {
	counts := make(map[string]int)
	for _, kind := range stateKinds() {
		counts[kind.Table()] = len(layouts[kind].columns)
	}
	return counts
}
