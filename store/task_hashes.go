package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"hash/crc32"
	"slices"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// hashedGroup is the hash of the lines of rows that follow each other.
type hashedGroup struct {
	last string // id of the last row; empty for the group after which there is none
	rows int64
	sum  [sha256.Size]byte
}

// groupSize is how many rows a group has on average.
const groupSize = 16

// endsGroup reports whether a group ends after a row. It is said by the id alone, so
// a change of one row changes one group, or two. Checkpoints of format 2 rest on it.
func endsGroup(id string) bool { return crc32.ChecksumIEEE([]byte(id))%groupSize == 0 }

// grouping hashes rows in groups.
type grouping struct {
	sha    hash.Hash
	rows   int64
	groups []hashedGroup
	before string // the id of the row before
	odd    bool   // ids are not texts that Go orders as the database does
}

func newGrouping() *grouping { return &grouping{sha: sha256.New()} }

func (g *grouping) add(id driver.Arg, line []byte) {
	_, _ = g.sha.Write(line) // never fails
	g.rows++
	g.odd = g.odd || id.Kind != driver.KindText || id.Text <= g.before
	g.before = id.Text
	if endsGroup(id.Text) {
		g.odd = g.odd || !isText(id.Text)
		g.cut(id.Text)
	}
}

func (g *grouping) cut(last string) {
	group := hashedGroup{last: last, rows: g.rows}
	g.sha.Sum(group.sum[:0])
	g.groups = append(g.groups, group)
	g.sha.Reset()
	g.rows = 0
}

// end returns all groups.
func (g *grouping) end() []hashedGroup {
	if g.rows > 0 {
		g.cut("")
	}
	return g.groups
}

// taskHashes are the hashes of the tasks of a project, group by group. They are kept
// with the newest checkpoint, so that the next one reads only the groups in which the
// history has changes. What the history does not see, such as the row that a REPLACE
// of another program takes, shows in the number of tasks. Only the making of a
// checkpoint relies on them: a restore, and a verification, read and hash everything.
type taskHashes struct {
	project string
	kept    int64  // the change after which it was so; -1 if nothing is kept
	columns string // that were hashed

	seq    int64 // the change after which the groups are so
	groups []hashedGroup
	gone   []string // of what is kept: the ids at the ends of groups that are so no more
	fresh  []hashedGroup
	anew   bool // all are fresh
	odd    bool // they cannot be kept
}

func loadTaskHashes(ctx context.Context, c driver.Conn, project string) (*taskHashes, error) {
	h := &taskHashes{project: project, kept: -1}
	args := []driver.Arg{driver.Text(project)}
	err := c.Query(ctx, `SELECT seq, columns FROM task_hash_progress WHERE project_id = $1`, args, func(r driver.Row) error {
		h.kept, h.columns = r.Int(0), r.Text(1)
		return nil
	})
	if err != nil || h.kept < 0 {
		return h, err
	}
	const sql = `SELECT last_id, tasks, sha256 FROM task_hashes WHERE project_id = $1 ORDER BY last_id`
	err = c.Query(ctx, sql, args, func(r driver.Row) error {
		g := hashedGroup{last: r.Text(0), rows: r.Int(1)}
		if sum, err := hex.DecodeString(r.Text(2)); err != nil || copy(g.sum[:], sum) < len(g.sum) {
			h.columns = "" // another program wrote there: nothing of it is to be used
		}
		h.groups = append(h.groups, g)
		return nil
	})
	if len(h.groups) > 0 && h.groups[0].last == "" { // which comes first in the index
		h.groups = append(h.groups[1:], h.groups[0])
	}
	return h, err
}

// hasher returns what hashes the tasks of a state of now, as [projectState.digestWith]
// wants it.
func (h *taskHashes) hasher(s *projectState) func(*stateDigest, int) error {
	return func(d *stateDigest, columns int) error {
		h.seq = s.last
		ok, err := h.follow(s, columns)
		if err != nil {
			return err
		}
		if ok {
			d.addGroups(h.groups)
			d.counts[nexus.KindTask.Table()] = h.tasks()
			return nil
		}
		h.anew = true
		err = s.hash(d, nexus.KindTask, columns)
		if err != nil {
			return err
		}
		h.groups, h.fresh, h.odd = d.tasks.groups, d.tasks.groups, d.tasks.odd
		return nil
	}
}

func (h *taskHashes) tasks() (n int64) {
	for i := range h.groups {
		n += h.groups[i].rows
	}
	return n
}

// follow makes the groups those of a state, from what is kept. It reports whether it
// could.
func (h *taskHashes) follow(s *projectState, columns int) (ok bool, err error) {
	// A record of the history is read in a fraction of the time of a row.
	if h.kept < 0 || h.kept > s.last || s.last-h.kept > 2*h.tasks() || h.columns != hashedColumns() {
		return false, nil
	}
	if oldest, err := oldestMoment(s.ctx, s.conn); err != nil || h.kept < oldest {
		return false, err
	}
	changed, err := h.changed(s)
	if err != nil {
		return false, err
	}
	stale := h.groupsOf(changed)
	if 2*len(stale) > len(h.groups) {
		return false, nil
	}
	if err := h.read(s, columns, stale); err != nil || h.odd {
		return false, err
	}
	var count int64
	const sql = `SELECT count(*) FROM tasks WHERE project_id = $1`
	err = s.conn.Query(s.ctx, sql, []driver.Arg{driver.Text(h.project)}, func(r driver.Row) error {
		count = r.Int(0)
		return nil
	})
	return count == h.tasks(), err
}

// hashedColumns names how many columns of each table are hashed.
func hashedColumns() string {
	text, _ := json.Marshal(columnCounts()) // numbers always marshal
	return string(text)
}

// changed returns the ids of the tasks that have changed since.
func (h *taskHashes) changed(s *projectState) (changed []string, err error) {
	if h.kept == s.last {
		return nil, nil
	}
	const sql = `
		SELECT id FROM history
		WHERE seq > $1 AND kind = 'task' AND (project_id = $2 OR project_id IS NULL)`
	err = s.conn.Query(s.ctx, sql, []driver.Arg{driver.Int(h.kept), driver.Text(h.project)}, func(r driver.Row) error {
		changed = append(changed, r.Text(0))
		return nil
	})
	slices.Sort(changed)
	return slices.Compact(changed), err
}

// groupsOf returns the places of the groups that rows are in, or would be, in order.
func (h *taskHashes) groupsOf(ids []string) (places []int) {
	for _, id := range ids {
		place, atEnd := slices.BinarySearchFunc(h.groups, id, func(g hashedGroup, id string) int {
			if g.last == "" {
				return 1
			}
			return cmp.Compare(g.last, id)
		})
		places = append(places, place)
		if atEnd { // without its last row, a group goes on with the next
			places = append(places, place+1)
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// read makes stale groups anew.
func (h *taskHashes) read(s *projectState, columns int, stale []int) error {
	if len(stale) == 0 {
		return nil
	}
	l := layouts[nexus.KindTask]
	lines := l.lines(columns)
	var batch lineBatch
	var groups []hashedGroup
	next := 0 // the first of the old groups that is not among the new ones yet
	for i := 0; i < len(stale); {
		from := stale[i]
		to := from
		for ; i < len(stale) && stale[i] == to; i++ {
			to++
		}
		groups = append(groups, h.groups[next:from]...)
		next = min(to, len(h.groups))
		var w where
		equal(&w, "project_id", h.project)
		if from > 0 {
			w.condition("id > ?", driver.Text(h.groups[from-1].last))
		}
		if to <= len(h.groups) && h.groups[to-1].last != "" {
			w.condition("id <= ?", driver.Text(h.groups[to-1].last))
		}
		g := newGrouping()
		err := s.conn.Query(s.ctx, l.rows+w.sql.String()+" ORDER BY id", w.args, func(r driver.Row) error {
			lines.appendTo(&batch, r)
			batch.each(g.add)
			batch.clear()
			return nil
		})
		if err != nil {
			return err
		}
		for _, old := range h.groups[from:next] {
			h.gone = append(h.gone, old.last)
		}
		made := g.end()
		h.fresh, groups = append(h.fresh, made...), append(groups, made...)
		h.odd = h.odd || g.odd
	}
	h.groups = append(groups, h.groups[next:]...)
	return nil
}

// save keeps the hashes for the next checkpoint, unless somebody else has.
func (h *taskHashes) save(ctx context.Context, c driver.Conn) error {
	project := driver.Text(h.project)
	if h.odd {
		_, err := c.Exec(ctx, `DELETE FROM task_hash_progress WHERE project_id = $1`, project)
		return err
	}
	if h.kept == h.seq && !h.anew {
		return nil
	}
	saved, err := h.advance(ctx, c)
	if err != nil || !saved {
		return err
	}
	if h.anew {
		_, err = c.Exec(ctx, `DELETE FROM task_hashes WHERE project_id = $1`, project)
	}
	for _, last := range h.gone {
		if err == nil && !h.anew {
			_, err = c.Exec(ctx, `DELETE FROM task_hashes WHERE project_id = $1 AND last_id = $2`, project, driver.Text(last))
		}
	}
	if err != nil || len(h.fresh) == 0 {
		return err
	}
	rows := make([][]any, len(h.fresh))
	for i, g := range h.fresh {
		rows[i] = []any{g.last, g.rows, hex.EncodeToString(g.sum[:])}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	d := c.Dialect()
	_, err = c.Exec(ctx, `
		INSERT INTO task_hashes (project_id, last_id, tasks, sha256)
		SELECT $1, `+d.Element(0, "TEXT")+`, `+d.Element(1, "INTEGER")+`, `+d.Element(2, "TEXT")+` FROM `+d.Elements(2),
		project, driver.Text(string(text)))
	return err
}

// advance says up to which change the hashes are right, and reports whether what is
// kept is still what was read.
func (h *taskHashes) advance(ctx context.Context, c driver.Conn) (bool, error) {
	const (
		first = `INSERT INTO task_hash_progress (project_id, seq, columns) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
		next  = `UPDATE task_hash_progress SET seq = $2, columns = $3 WHERE project_id = $1 AND seq = $4`
	)
	sql, args := first, []driver.Arg{driver.Text(h.project), driver.Int(h.seq), driver.Text(hashedColumns())}
	if h.kept >= 0 {
		sql, args = next, append(args, driver.Int(h.kept))
	}
	n, err := c.Exec(ctx, sql, args...)
	return n > 0, err
}
