package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Past is the database as it was after a change of its history. Its services get,
// list, count and load rows; their writes are refused with nexus.CodeReadOnly. Metrics
// and signs of life are not in the history: of metrics there are those with a timestamp
// up to the second of the change, as they are now, and what else is said about work,
// such as attempts and what is ready, is that of now. It is safe for concurrent use.
type Past struct {
	Services

	db  *DB
	seq int64
}

// AsOf returns the past after the change with a number, which is one that
// [DB.Moment] has returned.
func (db *DB) AsOf(seq int64) *Past {
	p := &Past{db: db, seq: seq}
	p.Services = newServices(p, db.now)
	return p
}

// Seq returns the number of the change.
func (p *Past) Seq() int64 { return p.seq }

func (p *Past) read(ctx context.Context, fn func(driver.Conn) error) error {
	return p.snapshot(ctx, fn)
}

func (p *Past) snapshot(ctx context.Context, fn func(driver.Conn) error) error {
	return p.db.driver.Snapshot(ctx, func(c driver.Conn) error {
		if err := checkMoment(ctx, c, p.seq); err != nil {
			return err
		}
		return fn(&pastConn{Conn: c, seq: p.seq})
	})
}

func (p *Past) writeBeside(ctx context.Context, fn func(driver.Conn, *settlement) error) error {
	return p.write(ctx, fn)
}

func (p *Past) write(context.Context, func(driver.Conn, *settlement) error) error {
	return &nexus.Error{Code: nexus.CodeReadOnly, Message: "the past cannot be changed", Hint: "nothing was changed"}
}

// pastConn is a connection whose tables are read as they were.
type pastConn struct {
	driver.Conn
	seq int64
}

// selectFirst selects the first change of a row after another: its number is found
// in history_rows, or else in what that lacks.
const selectFirst = `
	SELECT %s FROM history WHERE seq = coalesce(
		(SELECT min(seq) FROM history_rows WHERE id = $1 AND kind = $2 AND seq > $3%[2]s),
		(SELECT min(seq) FROM history WHERE seq > ` + indexedSince + ` AND kind = $2 AND id = $1%[2]s))`

// indexedSince is the change after which those after $3 are not in history_rows. It is
// one value, because of two conditions SQLite may take the one that is further away.
const indexedSince = `coalesce((SELECT CASE WHEN seq > $3 THEN seq ELSE $3 END FROM history_marks WHERE name = 'indexed'), $3)`

// imageAt returns the row with an id as it was after a change, or nil.
func (l *layout) imageAt(ctx context.Context, c driver.Conn, id string, seq int64) (image, error) {
	first, err := l.firstAfter(ctx, c, driver.Text(id), seq, false)
	if err != nil {
		return nil, err
	}
	if first == nil {
		return l.current(ctx, c, id)
	}
	r := l.begin(first)
	return r.image, l.complete(ctx, c, r, first.seq)
}

// complete finds what a restoration still needs in the changes after a number.
func (l *layout) complete(ctx context.Context, c driver.Conn, r *restoration, seq int64) error {
	for len(r.pending) > 0 {
		next, err := l.firstAfter(ctx, c, r.image[0], seq, true)
		if err != nil {
			return err
		}
		if next == nil {
			now, err := l.current(ctx, c, r.image.id())
			if err != nil {
				return err
			}
			return r.finish(now)
		}
		r.follow(next)
		seq = next.seq
	}
	return nil
}

// firstAfter returns the first change of a row after another, or nil; with large, the
// first that has the large columns.
func (l *layout) firstAfter(ctx context.Context, c driver.Conn, id driver.Arg, seq int64, large bool) (first *event, err error) {
	condition := ""
	if large {
		condition = " AND large = 1"
	}
	args := []driver.Arg{id, driver.Text(l.kind), driver.Int(seq)}
	err = c.Query(ctx, fmt.Sprintf(selectFirst, l.events, condition), args, func(r driver.Row) error {
		e := l.scanEvent(r)
		first = &e
		return nil
	})
	return first, err
}

// changedSince returns the rows of a table that have changed since, as they were
// then; nil for one that was not there. Of another project than the one that is
// named, if one is, some may be left out.
func (l *layout) changedSince(ctx context.Context, c driver.Conn, seq int64, project string) (map[string]image, error) {
	s := &survey{layout: l, ctx: ctx, conn: c, rows: make(map[string]*restoration)}
	far, indexed, err := s.isFar(seq, project)
	if err != nil {
		return nil, err
	}
	if far {
		err = s.byRow(seq, project)
		seq = indexed
	}
	if err == nil {
		err = s.scan(seq)
	}
	if err != nil {
		return nil, err
	}
	return s.finish()
}

// survey collects what rows were.
type survey struct {
	*layout
	ctx  context.Context
	conn driver.Conn
	rows map[string]*restoration
}

// isFar reports whether so much has changed since that it is cheaper to look for
// each row than to read it all.
func (s *survey) isFar(seq int64, project string) (far bool, indexed int64, err error) {
	if followsItself(s.conn) {
		return false, 0, nil
	}
	last, err := lastRecord(s.ctx, s.conn)
	if err != nil {
		return false, 0, err
	}
	if indexed, err = historyMark(s.ctx, s.conn, "indexed"); err != nil {
		return false, 0, err
	}
	const recordsPerRow = 8 // that are read in the time in which one row is looked for
	if indexed <= seq || last-seq < 1000 {
		return false, indexed, nil
	}
	var w where
	s.ofProject(&w, project)
	var rows int64
	err = s.conn.Query(s.ctx, "SELECT count(*) FROM "+s.kind.Table()+w.sql.String(), w.args, func(r driver.Row) error {
		rows = r.Int(0)
		return nil
	})
	return last-seq > recordsPerRow*rows, indexed, err
}

// ofProject chooses the rows of a project, where they name it.
func (l *layout) ofProject(w *where, project string) {
	if slices.ContainsFunc(l.columns, func(c Column) bool { return c.Name == "project_id" }) {
		equal(w, "project_id", project)
	}
}

// scan reads all changes after a number.
func (s *survey) scan(seq int64) error {
	const from = " FROM history WHERE seq > $1 AND kind = $2 ORDER BY seq"
	return s.conn.Query(s.ctx, "SELECT "+s.events+from, []driver.Arg{driver.Int(seq), driver.Text(s.kind)}, func(r driver.Row) error {
		id := r.Arg(2).Text // r.Text would make a BLOB a text
		known := s.rows[id]
		if known != nil && (len(known.pending) == 0 || r.Int(3) == 0) {
			return nil
		}
		e := s.scanEvent(r)
		if known == nil {
			s.rows[id] = s.begin(&e)
		} else {
			known.follow(&e)
		}
		return nil
	})
}

// byRow looks for the first change of each row after a number in history_rows: of
// those that are there, and of those that have gone or changed the project since.
func (s *survey) byRow(seq int64, project string) error {
	var w where
	w.args = []driver.Arg{driver.Text(s.kind), driver.Int(seq)}
	s.ofProject(&w, project)
	there := "SELECT id FROM " + s.kind.Table() + w.sql.String()
	// The conditions are those of the indexes, word by word.
	const gone = `
		UNION SELECT id FROM history WHERE kind = $1 AND seq > $2 AND change = 'delete'
		UNION SELECT id FROM history WHERE kind = $1 AND seq > $2
			AND (change = 'update' AND project_id IS NULL AND kind <> 'agent' OR change = 'replace')`
	const first = " JOIN history h ON h.seq = (SELECT min(seq) FROM history_rows r WHERE r.id = t.id AND r.kind = $1 AND r.seq > $2)"
	sql := "SELECT h." + strings.ReplaceAll(s.events, ", ", ", h.") + " FROM (" + there + gone + ") AS t" + first
	next := make(map[string]int64) // of rows that are not complete, the change after which to go on
	err := s.conn.Query(s.ctx, sql, w.args, func(row driver.Row) error {
		e := s.scanEvent(row)
		r := s.begin(&e)
		s.rows[e.id] = r
		if len(r.pending) > 0 {
			next[e.id] = e.seq
		}
		return nil
	})
	for len(next) > 0 && err == nil {
		next, err = s.followIndexed(next)
	}
	return err
}

// followIndexed takes the next change of large columns into account of each of the
// rows, and returns those that need another.
func (s *survey) followIndexed(rows map[string]int64) (next map[string]int64, err error) {
	pairs := make([][2]any, 0, len(rows))
	for id, seq := range rows {
		if r := s.rows[id]; r.isOdd() {
			if err := s.complete(s.ctx, s.conn, r, seq); err != nil {
				return nil, err
			}
			continue
		}
		pairs = append(pairs, [2]any{id, seq})
	}
	list, err := json.Marshal(pairs)
	if err != nil {
		return nil, err
	}
	sql := "SELECT h." + strings.ReplaceAll(s.events, ", ", ", h.") + ` FROM json_each($2) p JOIN history h ON h.seq = (
		SELECT min(seq) FROM history_rows r WHERE r.id = p.value ->> 0 AND r.kind = $1 AND r.large = 1 AND r.seq > p.value ->> 1)`
	next = make(map[string]int64)
	err = s.conn.Query(s.ctx, sql, []driver.Arg{driver.Text(s.kind), driver.Text(string(list))}, func(row driver.Row) error {
		e := s.scanEvent(row)
		r := s.rows[e.id]
		if r.follow(&e); len(r.pending) > 0 {
			next[e.id] = e.seq
		}
		return nil
	})
	return next, err
}

// finish completes the rows with what they are now.
func (s *survey) finish() (map[string]image, error) {
	images := make(map[string]image, len(s.rows))
	var incomplete []string
	for id, r := range s.rows {
		images[id] = r.image
		switch {
		case len(r.pending) == 0:
		case r.isOdd():
			now, err := s.current(s.ctx, s.conn, id)
			if err == nil {
				err = r.finish(now)
			}
			if err != nil {
				return nil, err
			}
		default:
			incomplete = append(incomplete, id)
		}
	}
	if len(incomplete) == 0 {
		return images, nil
	}
	list, err := json.Marshal(incomplete)
	if err != nil {
		return nil, err
	}
	err = s.conn.Query(s.ctx, s.layout.rows+" WHERE id IN (SELECT value FROM "+s.conn.Dialect().Elements(1)+")", []driver.Arg{driver.Text(string(list))},
		func(r driver.Row) error {
			return s.rows[r.Arg(0).Text].finish(imageOf(r, 0, len(s.columns)))
		})
	for _, id := range incomplete {
		if err == nil && len(s.rows[id].pending) > 0 {
			err = s.rows[id].finish(nil)
		}
	}
	return images, err
}

// startingWith returns up to three ids that begin with a prefix and were there.
func (l *layout) startingWith(ctx context.Context, c *pastConn, prefix string) (found []string, err error) {
	args := []driver.Arg{driver.Text(prefix), driver.Text(prefix + lastOfAll), driver.Text(l.kind)}
	candidates := "SELECT id FROM " + l.kind.Table() + ` WHERE id >= $1 AND id < $2
		UNION SELECT id FROM history_rows WHERE id >= $1 AND id < $2 AND kind = $3
		UNION SELECT id FROM history WHERE seq > coalesce((SELECT seq FROM history_marks WHERE name = 'indexed'), 0) AND id >= $1 AND id < $2 AND kind = $3
		ORDER BY id`
	var all []string
	err = c.Conn.Query(ctx, candidates, args, func(r driver.Row) error {
		all = append(all, r.Text(0))
		return nil
	})
	for _, id := range all {
		if err != nil || len(found) == 3 {
			break
		}
		var there image
		if there, err = l.imageAt(ctx, c.Conn, id, c.seq); there != nil {
			found = append(found, id)
		}
	}
	return found, err
}
