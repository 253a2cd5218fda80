package store

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// loadedDelta is a large value of a loaded history that is told by its difference from
// the one after it; see restoration. Where the history has texts only, it is resolved
// when everything is loaded.
type loadedDelta struct {
	seq    int64
	column string
	delta  []byte
	kind   nexus.Kind
	id     string
}

// takeDeltas returns a row of the history without its deltas, which are remembered.
func (l *Loader) takeDeltas(columns []string, row []driver.Arg) []driver.Arg {
	value := func(name string) driver.Arg {
		if n := slices.Index(columns, name); n >= 0 {
			return row[n]
		}
		return driver.Null()
	}
	if value("change").Text != "update" {
		return row
	}
	taken := slices.Clone(row)
	for n, a := range row {
		if a.Kind != driver.KindBlob || !strings.HasPrefix(columns[n], "v") {
			continue
		}
		if delta, is := strings.CutPrefix(a.Text, "b"); is { // no delta, but a BLOB of another program
			taken[n] = driver.Blob([]byte(delta))
			continue
		}
		l.deltas = append(l.deltas, loadedDelta{value("seq").Int, columns[n], []byte(a.Text), nexus.Kind(value("kind").Text), value("id").Text})
		taken[n] = driver.Null()
	}
	return taken
}

// resolveDeltas gives the rows the values that their deltas meant, the newest first,
// because each is told by the one after it.
func (l *Loader) resolveDeltas(ctx context.Context) error {
	for _, d := range slices.Backward(l.deltas) {
		of := layouts[d.kind]
		if of == nil {
			continue
		}
		after, err := of.imageAt(ctx, l.conn, d.id, d.seq)
		if err != nil {
			return err
		}
		if after == nil {
			return nexus.Errorf(nexus.CodeCorrupt, "the history lacks the end of %s", d.id)
		}
		for n := range of.columns[1:] {
			if d.column != "v"+strconv.Itoa(n+1) {
				continue
			}
			text := strings.Join(pieces{after[n+1].Text}.before(d.delta), "")
			sql := "UPDATE history SET " + d.column + " = $2 WHERE seq = $1"
			if _, err := l.conn.Exec(ctx, sql, driver.Int(d.seq), driver.Text(text)); err != nil {
				return err
			}
		}
	}
	return nil
}
