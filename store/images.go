package store

import (
	"context"
	"encoding/json"

	"github.com/seed-c8812374/nexus/store/driver"
)

// What current, imageBefore and imageAt are for one row, these are for many, with as few
// statements: to ask a server for each takes long. All of the history has to be in
// history_rows; see indexAll.

// currentOf is current for many rows: those that are there.
func (l *layout) currentOf(ctx context.Context, c driver.Conn, ids []string) (map[string]image, error) {
	images := make(map[string]image, len(ids))
	args := make([]driver.Arg, len(ids))
	for i, id := range ids {
		args[i] = driver.Text(id)
	}
	note := func(r driver.Row) error {
		i := imageOf(r, 0, len(l.columns))
		images[i.id()] = i
		return nil
	}
	if err := queryIDs(ctx, c, l.rows+" WHERE id %s", args, nil, note); err != nil || c.Dialect().OnlyUTF8 {
		return images, err
	}
	for _, id := range ids {
		if images[id] == nil {
			if err := c.Query(ctx, l.rows+" WHERE id = $1", []driver.Arg{driver.Blob([]byte(id))}, note); err != nil {
				return nil, err
			}
		}
	}
	return images, nil
}

// eventsOf reads changes by their numbers.
func (l *layout) eventsOf(ctx context.Context, c driver.Conn, seqs []int64) (map[int64]*event, error) {
	events := make(map[int64]*event, len(seqs))
	if len(seqs) == 0 {
		return events, nil
	}
	list, err := json.Marshal(seqs)
	if err != nil {
		return nil, err
	}
	sql := "SELECT " + l.events + " FROM history WHERE seq IN (SELECT CAST(value AS BIGINT) FROM " + c.Dialect().Elements(1) + ")"
	err = c.Query(ctx, sql, []driver.Arg{driver.Text(string(list))}, func(r driver.Row) error {
		e := l.scanEvent(r)
		events[e.seq] = &e
		return nil
	})
	return events, err
}

// imagesBefore is imageBefore for many changes of the table, by their numbers.
func (l *layout) imagesBefore(ctx context.Context, c driver.Conn, seqs []int64) (map[int64]image, error) {
	events, err := l.eventsOf(ctx, c, seqs)
	if err != nil {
		return nil, err
	}
	images := make(map[int64]image, len(events))
	for seq, e := range events {
		r := l.begin(e)
		if err := l.complete(ctx, c, r, seq); err != nil {
			return nil, err
		}
		images[seq] = r.image
	}
	return images, nil
}

// rowAt is a row after a change.
type rowAt struct {
	id  string
	seq int64
}

// imagesAt is imageAt for many rows.
func (l *layout) imagesAt(ctx context.Context, c driver.Conn, rows []rowAt) (map[rowAt]image, error) {
	images := make(map[rowAt]image, len(rows))
	firsts, err := l.firstsAfter(ctx, c, rows)
	if err != nil {
		return nil, err
	}
	var seqs []int64
	var unchanged []string
	for _, at := range rows {
		if first := firsts[at]; first != 0 {
			seqs = append(seqs, first)
		} else {
			unchanged = append(unchanged, at.id)
		}
	}
	before, err := l.imagesBefore(ctx, c, seqs)
	if err != nil {
		return nil, err
	}
	now, err := l.currentOf(ctx, c, unchanged)
	if err != nil {
		return nil, err
	}
	for _, at := range rows {
		if first := firsts[at]; first != 0 {
			images[at] = before[first]
		} else {
			images[at] = now[at.id]
		}
	}
	return images, nil
}

// firstsAfter returns the numbers of the first changes of rows after others, if there are.
func (l *layout) firstsAfter(ctx context.Context, c driver.Conn, rows []rowAt) (map[rowAt]int64, error) {
	const first = `(SELECT min(seq) FROM history_rows h WHERE h.kind = $1 AND h.id = `
	firsts := make(map[rowAt]int64, len(rows))
	plain := make([][3]any, 0, len(rows))
	for i, at := range rows {
		if isText(at.id) {
			plain = append(plain, [3]any{i, at.id, at.seq})
			continue
		}
		args := []driver.Arg{driver.Text(l.kind), driver.Text(at.id), driver.Int(at.seq)}
		err := c.Query(ctx, "SELECT "+first+"$2 AND h.seq > $3)", args, func(r driver.Row) error {
			firsts[at] = r.Int(0)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	list, err := json.Marshal(plain)
	if err != nil {
		return nil, err
	}
	d := c.Dialect()
	sql := "SELECT " + d.Element(0, "INTEGER") + ", " + first + d.Element(1, "TEXT") + " AND h.seq > " + d.Element(2, "INTEGER") + ") FROM " + d.Elements(2)
	err = c.Query(ctx, sql, []driver.Arg{driver.Text(l.kind), driver.Text(string(list))}, func(r driver.Row) error {
		firsts[rows[r.Int(0)]] = r.Int(1)
		return nil
	})
	return firsts, err
}
