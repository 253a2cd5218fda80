package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/words"
	"github.com/seed-c8812374/nexus/store/driver"
)

// The index follows in slices. Texts are read and taken apart before a slice begins to
// write, so that the others wait for nothing but that.
const (
	sliceRows  = 1000    // that are looked at
	sliceBytes = 1 << 20 // of text, or one document that is longer

	// writeRows and writeBytes are what one transaction writes of a slice.
	writeRows  = 250
	writeBytes = 1 << 18
)

// searchPatience is how long a search waits to write before it does without.
const searchPatience = 2 * time.Second

// searchProgress is how far the index follows.
type searchProgress struct {
	step int64
	seq  int64
	kind nexus.Kind // while it is made anew, where that is
	id   string
	none bool // there is no index
}

func (p searchProgress) complete() bool { return !p.none && p.kind == "" }

// readProgress returns how far the index follows: not at all, if the history does not
// go back so far any more, or has been replaced by another.
func readProgress(ctx context.Context, c driver.Conn) (p searchProgress, err error) {
	const sql = `SELECT step, seq, kind, id FROM search_progress`
	p.none = true
	err = c.Query(ctx, sql, nil, func(r driver.Row) error {
		p = searchProgress{step: r.Int(0), seq: r.Int(1), kind: nexus.Kind(r.Text(2)), id: r.Text(3)}
		return nil
	})
	if err != nil || p.none {
		return p, err
	}
	last, err := lastRecord(ctx, c)
	if err != nil {
		return p, err
	}
	oldest, err := oldestMoment(ctx, c)
	p.none = p.seq > last || p.seq < oldest
	return p, err
}

// slice is what the index has to do to follow a part of the way.
type slice struct {
	from, to searchProgress
	clear    bool
	changes  []indexChange
	last     bool // there was no more when it was made
}

// indexChange is a document that is to be put into the index, or taken out of it if
// doc is nil.
type indexChange struct {
	searchKey
	document int64 // its number in the index; 0 if it is not there
	doc      *searchDocument
	words    [fields]string
}

var errOvertaken = errors.New("another search has changed the index")

// followHistory brings the index up to the newest change that it finds. It stops with
// an error where it cannot write.
func (db *DB) followHistory(ctx context.Context, index *driver.SearchIndex) error {
	for {
		var s *slice
		err := db.snapshot(ctx, func(c driver.Conn) (err error) {
			s, err = nextSlice(ctx, c)
			return err
		})
		if err != nil || s == nil {
			return err
		}
		err = db.writeSlice(ctx, index, s)
		if errors.Is(err, errOvertaken) { // by one that does the same
			continue
		}
		if err != nil || s.last {
			return err // others may go on writing; what is new by now is read as it is
		}
	}
}

// nextSlice finds out what the index lacks; nil if it lacks nothing.
func nextSlice(ctx context.Context, c driver.Conn) (*slice, error) {
	p, err := readProgress(ctx, c)
	if err != nil {
		return nil, err
	}
	b := &sliceBuilder{ctx: ctx, conn: c, slice: slice{from: p, to: p}}
	switch {
	case p.none:
		b.clear = true
		b.to = searchProgress{kind: searchKinds[0]}
		b.to.seq, err = lastRecord(ctx, c)
	case p.kind != "":
		err = b.rows()
	default:
		if err = b.history(); err == nil {
			err = b.logs()
		}
		b.last = err == nil
	}
	if err == errEnough {
		err = nil
	}
	if err != nil || !b.clear && len(b.changes) == 0 && b.from == b.to {
		return nil, err
	}
	return &b.slice, nil
}

// sliceBuilder collects a slice, until it has enough.
type sliceBuilder struct {
	slice
	ctx   context.Context
	conn  driver.Conn
	looks int
	bytes int
}

// rows goes on with what an index that is made anew has of the tables.
func (b *sliceBuilder) rows() error {
	for _, kind := range searchKinds[slices.Index(searchKinds, b.from.kind):] {
		if kind != b.to.kind {
			b.to.kind, b.to.id = kind, ""
		}
		err := documentsAfter(b.ctx, b.conn, kind, b.to.id, func(d *searchDocument) error {
			b.to.id = d.id
			return b.look(d.searchKey, d)
		})
		if err != nil {
			return err
		}
	}
	b.to.kind, b.to.id = "", ""
	return nil
}

// history takes what has changed.
func (b *sliceBuilder) history() error {
	last, err := lastRecord(b.ctx, b.conn)
	if err != nil {
		return err
	}
	list, err := changes(b.ctx, b.conn, b.from.seq, sliceRows)
	if err != nil {
		return err
	}
	full := false
	for i, row := range list {
		if full {
			b.to.seq = row.first - 1
			return errEnough
		}
		keys, err := row.concerned(b.ctx, b.conn)
		if err != nil {
			return err
		}
		for _, key := range keys {
			doc, err := document(b.ctx, b.conn, key)
			if err == nil {
				err = b.look(key, doc)
			}
			if err == errEnough {
				full = true // but the row is done to its end
			} else if err != nil {
				return err
			}
		}
		if i == sliceRows-1 { // there may be more, of which the first change is later
			b.to.seq = row.first
			return errEnough
		}
	}
	b.to.seq = last
	return nil
}

// logs takes what has been appended to the logs of sessions.
func (b *sliceBuilder) logs() error {
	list, err := longerLogs(b.ctx, b.conn)
	if err != nil {
		return err
	}
	for _, l := range list {
		err := entriesAfter(b.ctx, b.conn, l.id, l.number, func(d *searchDocument) error { return b.look(d.searchKey, d) })
		if err != nil {
			return err
		}
	}
	return nil
}

// look adds a document to the slice, if the index has another or none; a doc of nil
// is gone. It returns errEnough when the slice is full.
func (b *sliceBuilder) look(key searchKey, doc *searchDocument) error {
	c := indexChange{searchKey: key, doc: doc}
	var digest int64
	const sql = `SELECT document, digest FROM search_documents WHERE kind = $1 AND id = $2 AND number = $3`
	args := []driver.Arg{driver.Text(key.kind), driver.Text(key.id), driver.Int(key.number)}
	err := b.conn.Query(b.ctx, sql, args, func(r driver.Row) error {
		c.document, digest = r.Int(0), r.Int(1)
		return nil
	})
	if err != nil {
		return err
	}
	if doc == nil && c.document > 0 || doc != nil && (c.document == 0 || digest != doc.digest()) {
		b.add(c)
	}
	b.looks++
	if b.looks >= sliceRows || b.bytes >= sliceBytes {
		return errEnough
	}
	return nil
}

func (b *sliceBuilder) add(c indexChange) {
	if c.doc != nil {
		b.bytes += c.doc.size()
		for f, text := range c.doc.fields {
			c.words[f] = joinWords(text)
		}
	}
	b.changes = append(b.changes, c)
}

func joinWords(text string) string {
	var joined strings.Builder
	for w := range words.All(text) {
		if joined.Len() > 0 {
			joined.WriteByte(' ')
		}
		joined.WriteString(w.Text)
	}
	return joined.String()
}

// writeSlice writes a slice, in transactions that are short. Only with the last one
// has the index come further; what the others have done is done again if they are
// all.
func (db *DB) writeSlice(ctx context.Context, index *driver.SearchIndex, s *slice) error {
	step := s.from.step
	write := func(to searchProgress, changes []indexChange) error {
		wait, cancel := context.WithTimeout(ctx, searchPatience)
		defer cancel()
		err := db.driver.WriteAnywhere(wait, func(c driver.Conn) error {
			now, err := readProgress(wait, c)
			if err != nil {
				return err
			}
			if now.step != step {
				return errOvertaken
			}
			to.step = step + 1
			return writeIndex(wait, c, index, s.clear, changes, to)
		})
		step++
		return err
	}
	rest := s.changes
	for {
		n := 0
		for bytes := 0; n < len(rest) && n < writeRows && bytes < writeBytes; n++ {
			for _, text := range rest[n].words {
				bytes += len(text)
			}
		}
		if n == len(rest) {
			return write(s.to, rest)
		}
		if err := write(s.from, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
}

// forgetIndex has the next search make the index anew, if that can be written.
func (db *DB) forgetIndex(ctx context.Context) {
	wait, cancel := context.WithTimeout(ctx, searchPatience)
	defer cancel()
	err := db.driver.WriteAnywhere(wait, func(c driver.Conn) error {
		_, err := c.Exec(wait, `DELETE FROM search_progress`)
		return err
	})
	if err != nil {
		db.log.Warn("the index of words is damaged and cannot be made anew; searches read the rows", "error", err)
	}
}

func writeIndex(ctx context.Context, c driver.Conn, index *driver.SearchIndex, clearIt bool, changes []indexChange, to searchProgress) error {
	exec := func(sql string, args ...driver.Arg) error {
		_, err := c.Exec(ctx, sql, args...)
		return err
	}
	if clearIt {
		for _, sql := range append(slices.Clone(index.Clear), `DELETE FROM search_documents`, `DELETE FROM search_progress`) {
			if err := exec(sql); err != nil {
				return err
			}
		}
	}
	for i := range changes {
		if err := changes[i].write(ctx, c, index); err != nil {
			return err
		}
	}
	const sql = `
		INSERT INTO search_progress (one, step, seq, kind, id) VALUES (1, $1, $2, $3, $4)
		ON CONFLICT (one) DO UPDATE SET step = excluded.step, seq = excluded.seq, kind = excluded.kind, id = excluded.id`
	return exec(sql, driver.Int(to.step), driver.Int(to.seq), driver.TextOrNull(to.kind), driver.TextOrNull(to.id))
}

func (i *indexChange) write(ctx context.Context, c driver.Conn, index *driver.SearchIndex) error {
	number := i.document
	if i.doc == nil {
		if _, err := c.Exec(ctx, index.Remove, driver.Int(number)); err != nil {
			return err
		}
		_, err := c.Exec(ctx, `DELETE FROM search_documents WHERE document = $1`, driver.Int(number))
		return err
	}
	const insert = `
		INSERT INTO search_documents (kind, id, number, project_id, at_us, digest) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (kind, id, number) DO UPDATE SET project_id = excluded.project_id, at_us = excluded.at_us, digest = excluded.digest
		RETURNING document`
	args := []driver.Arg{
		driver.Text(i.kind), driver.Text(i.id), driver.Int(i.number),
		driver.TextOrNull(i.doc.project), driver.Int(i.doc.at), driver.Int(i.doc.digest()),
	}
	err := c.Query(ctx, insert, args, func(r driver.Row) error {
		number = r.Int(0)
		return nil
	})
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, index.Put, driver.Int(number), driver.Text(i.words[0]), driver.Text(i.words[1]), driver.Text(i.words[2]))
	return err
}
