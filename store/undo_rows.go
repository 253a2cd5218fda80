package store

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// prepare notes the rows of changes.
func (u *undoing) prepare(changes []int64) error {
	for part := range slices.Chunk(changes, mostTogether) {
		if err := u.prepareSome(part); err != nil {
			return err
		}
	}
	return nil
}

func (u *undoing) prepareSome(changes []int64) error {
	const sql = `SELECT seq, kind, id, change FROM history WHERE seq IN (SELECT CAST(value AS BIGINT) FROM %s) ORDER BY seq`
	list, err := json.Marshal(changes)
	if err != nil {
		return err
	}
	firsts := make(map[nexus.Kind][]rowAt) // of rows that were not changed before
	known := make(map[rowKey]bool)
	err = u.conn.Query(u.ctx, fmt.Sprintf(sql, u.conn.Dialect().Elements(1)), []driver.Arg{driver.Text(string(list))}, func(r driver.Row) error {
		seq, key := r.Int(0), rowKey{nexus.Kind(r.Text(1)), r.Text(2)}
		u.keys[seq] = key
		if r.Text(3) == "replace" && !slices.Contains(u.replaced, key) {
			u.replaced = append(u.replaced, key)
		}
		if u.rows[key] == nil && !known[key] {
			known[key] = true
			firsts[key.kind] = append(firsts[key.kind], rowAt{key.id, seq})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for kind, rows := range firsts {
		l := layouts[kind]
		ids, seqs := make([]string, len(rows)), make([]int64, len(rows))
		for i, row := range rows {
			ids[i], seqs[i] = row.id, row.seq
		}
		now, err := l.currentOf(u.ctx, u.conn, ids)
		if err != nil {
			return err
		}
		origins, err := l.imagesBefore(u.ctx, u.conn, seqs)
		if err != nil {
			return err
		}
		for _, row := range rows {
			u.rows[rowKey{kind, row.id}] = &undoneRow{now: now[row.id], then: slices.Clone(now[row.id]), origin: origins[row.seq]}
		}
	}
	return nil
}

// undoAll takes changes back, the last first, and returns how many bytes their rows had.
func (u *undoing) undoAll(changes []int64, force bool) (bytes int, err error) {
	ofKind := make(map[nexus.Kind][]rowAt)
	for _, seq := range changes {
		key := u.keys[seq]
		ofKind[key.kind] = append(ofKind[key.kind], rowAt{key.id, seq})
	}
	before, after := make(map[int64]image), make(map[int64]image)
	for kind, rows := range ofKind {
		seqs := make([]int64, len(rows))
		for i, row := range rows {
			seqs[i] = row.seq
		}
		were, err := layouts[kind].imagesBefore(u.ctx, u.conn, seqs)
		if err != nil {
			return 0, err
		}
		became, err := layouts[kind].imagesAt(u.ctx, u.conn, rows)
		if err != nil {
			return 0, err
		}
		for _, row := range rows {
			before[row.seq], after[row.seq] = were[row.seq], became[row]
			bytes += sizeOf(before[row.seq]) + sizeOf(after[row.seq])
		}
	}
	for _, seq := range slices.Backward(changes) {
		u.undo(u.keys[seq], before[seq], after[seq], force)
	}
	return bytes, nil
}
