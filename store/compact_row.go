package store

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// notIndexed chooses the records that history_rows lacks. After compaction.mark those
// are newer than the horizon, but a dry run has not been there.
const notIndexed = `seq > coalesce((SELECT seq FROM history_marks WHERE name = 'indexed'), 0)`

// compactRows goes through the changes of each row between the first checkpoint that
// is kept and the horizon.
func (x *compaction) compactRows() error {
	if len(x.kept) == 0 {
		return nil
	}
	id, more := driver.Null(), true
	for more {
		from := id
		err := x.once(func() (err error) {
			id, more, err = x.compactSome(from)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

const (
	firstID = `
		SELECT min(id) FROM (
			SELECT min(id) AS id FROM history_rows UNION ALL SELECT min(id) FROM history WHERE ` + notIndexed + `) AS first`
	nextID = `
		SELECT min(id) FROM (
			SELECT min(id) AS id FROM history_rows WHERE id > $1
			UNION ALL
			SELECT min(id) FROM history WHERE ` + notIndexed + ` AND id > $1) AS next`
)

// compactSome goes through the rows with the ids after one, until that is enough for a
// transaction.
func (x *compaction) compactSome(id driver.Arg) (last driver.Arg, more bool, err error) {
	for looked := 0; looked < compactBatch; looked++ {
		sql, args := firstID, []driver.Arg(nil)
		if id.Kind != driver.KindNull {
			sql, args = nextID, []driver.Arg{id}
		}
		err := x.conn.Query(x.ctx, sql, args, func(r driver.Row) error {
			id = r.Arg(0)
			return nil
		})
		if err != nil || id.Kind == driver.KindNull {
			return id, false, err
		}
		if id.Kind != driver.KindText { // of a row that is in no past
			continue
		}
		seen, err := x.compactID(id.Text)
		if err != nil {
			return id, false, err
		}
		looked += seen
		x.batch.seen += int64(seen)
	}
	return id, true, nil
}

// oldChange is a record between the first checkpoint and the horizon.
type oldChange struct {
	seq     int64
	kind    nexus.Kind
	change  string
	large   bool
	part    driver.Arg // which row it is of those of an owner: the number of an attempt or entry
	stretch int
}

// compactID goes through the changes of the rows with an id, and of what was deleted
// with them. It returns how many there are.
func (x *compaction) compactID(id string) (seen int, err error) {
	const sql = `
		SELECT seq, kind, change, large, v1 FROM history WHERE seq IN (
			SELECT seq FROM history_rows WHERE id = $1 AND seq > $2 AND seq <= $3
			UNION ALL
			SELECT seq FROM history WHERE ` + notIndexed + ` AND id = $1 AND seq > $2 AND seq <= $3)
		ORDER BY seq`
	args := []driver.Arg{driver.Text(id), driver.Int(x.kept[0]), driver.Int(x.horizon)}
	kinds := make(map[nexus.Kind][]oldChange)
	err = x.conn.Query(x.ctx, sql, args, func(r driver.Row) error {
		c := oldChange{seq: r.Int(0), kind: nexus.Kind(r.Text(1)), change: r.Text(2), large: r.Int(3) != 0, part: r.Arg(4)}
		c.stretch, _ = slices.BinarySearch(x.kept, c.seq)
		kinds[c.kind] = append(kinds[c.kind], c)
		seen++
		return nil
	})
	if err != nil {
		return seen, err
	}
	for owner, kind := range map[nexus.Kind]nexus.Kind{nexus.KindTask: "attempt", nexus.KindSession: "session_entry"} {
		if err := x.compactParts(kinds[kind], kinds[owner]); err != nil {
			return seen, err
		}
		delete(kinds, kind)
	}
	for kind, changes := range kinds {
		if l := layouts[kind]; l != nil {
			if err := x.compactRow(l, id, changes); err != nil {
				return seen, err
			}
		}
	}
	return seen, nil
}

// compactParts keeps those attempts or entries that a restore may bring back: of a
// task or session that was there when the stretch began, each once.
func (x *compaction) compactParts(parts, owner []oldChange) error {
	type part struct {
		stretch int
		part    driver.Arg
	}
	was := make(map[part]bool)
	for _, p := range parts {
		first := slices.IndexFunc(owner, func(c oldChange) bool { return c.stretch == p.stretch })
		key := part{p.stretch, p.part}
		if !was[key] && (first < 0 || owner[first].change != "insert") {
			was[key] = true
			continue
		}
		if err := x.forget(p.seq); err != nil {
			return err
		}
	}
	return nil
}

// compactRow makes the changes of a row one in each stretch, the newest stretch first:
// what the row was before one is what it was after the one before.
func (x *compaction) compactRow(l *layout, id string, changes []oldChange) error {
	several := func(i int) bool { return i > 0 && changes[i].stretch == changes[i-1].stretch }
	todo := false
	for i := range changes {
		todo = todo || several(i)
	}
	if !todo {
		return nil
	}
	after, err := l.imageAt(x.ctx, x.conn, id, x.horizon)
	for end := len(changes); end > 0 && err == nil; {
		begin := end - 1
		for several(begin) {
			begin--
		}
		after, err = x.compactStretch(l, id, changes[begin:end], after)
		end = begin
	}
	return err
}

// compactStretch makes the changes of a row within a stretch one. It is given what the
// row was after them, and returns what it was before.
func (x *compaction) compactStretch(l *layout, id string, changes []oldChange, after image) (before image, err error) {
	const which = ` FROM history WHERE seq IN (
			SELECT seq FROM history_rows WHERE id = $1 AND kind = $2 AND seq >= $3 AND seq <= $4
			UNION ALL
			SELECT seq FROM history WHERE ` + notIndexed + ` AND id = $1 AND kind = $2 AND seq >= $3 AND seq <= $4)
		ORDER BY seq`
	args := []driver.Arg{driver.Text(id), driver.Text(l.kind), driver.Int(changes[0].seq), driver.Int(changes[len(changes)-1].seq)}
	var first *event
	var r *restoration
	deltas := 0 // how long the large values are
	err = x.conn.Query(x.ctx, "SELECT "+l.events+which, args, func(row driver.Row) error {
		e := l.scanEvent(row)
		deltas += l.sizeOfLarge(e.image)
		if first == nil {
			first, r = &e, l.begin(&e)
			return nil
		}
		r.follow(&e)
		return nil
	})
	if err == nil {
		err = r.finish(after)
	}
	if err != nil || len(changes) == 1 {
		return r.image, err
	}
	rest := changes[1:]
	if l.moves(r.image, after) {
		// So that it is found when the rows of its project are looked for; see survey.byRow.
		if err := x.exec(`UPDATE history SET project_id = NULL WHERE seq = $1`, driver.Int(first.seq)); err != nil {
			return nil, err
		}
	}
	switch becomes := x.become(l, first, r.image, after, rest); {
	case r.image == nil && after == nil: // it came and went
		rest = changes
	case becomes == nil: // the first says all
	case onlyUpdates(rest) && l.sizeOfLarge(becomes.image) > deltas:
		// What was changed here and there is shorter as the deltas that there are.
		rest = slices.DeleteFunc(slices.Clone(rest), func(c oldChange) bool { return c.large })
	default:
		if err := x.rewrite(l, becomes); err != nil {
			return nil, err
		}
	}
	for _, c := range rest {
		if err := x.forget(c.seq); err != nil {
			return nil, err
		}
	}
	return r.image, nil
}

// moves reports whether a row has gone to another project.
func (l *layout) moves(before, after image) bool {
	project := l.column("project_id")
	return project >= 0 && before != nil && after != nil && before[project] != after[project]
}

func onlyUpdates(changes []oldChange) bool {
	return !slices.ContainsFunc(changes, func(c oldChange) bool { return c.change != "update" })
}

// sizeOfLarge is how many bytes the large columns take.
func (l *layout) sizeOfLarge(i image) (bytes int) {
	for n := range i {
		if l.columns[n].Large {
			bytes += len(i[n].Text)
		}
	}
	return bytes
}

// become is what the first of several changes has to be to stand for all, or nil if it
// can stay as it is. before and after are what the row was before and after them.
func (x *compaction) become(l *layout, first *event, before, after image, rest []oldChange) *event {
	e := &event{seq: first.seq, id: first.id, large: true, image: slices.Clone(before)}
	switch {
	case first.change == "insert" || first.change == "delete" || first.change == "replace" && after != nil:
		return nil
	case after == nil:
		// So that it is found among the rows that are gone; see survey.byRow.
		e.change = "delete"
		return e
	case !slices.ContainsFunc(rest, func(c oldChange) bool { return c.large }):
		return nil // what follows has the large columns
	}
	e.change = "update"
	for n := range l.columns {
		if l.columns[n].Large {
			e.image[n] = shorten(before[n], after[n])
		}
	}
	return e
}

// shortest is how many characters a text has at least that is kept as a delta; as in the
// triggers.
const shortest = 512

// isLong reports whether a value is a text that long.
func isLong(a driver.Arg) bool {
	return a.Kind == driver.KindText && len(a.Text) >= shortest && utf8.RuneCountInString(a.Text) >= shortest
}

// shorten is how the history keeps a large value of an update, given the one after it.
func shorten(before, after driver.Arg) driver.Arg {
	switch {
	case before.Kind == driver.KindBlob:
		return driver.Blob([]byte("b" + before.Text))
	case !isLong(before) || after.Kind != driver.KindText:
		return before
	}
	most := min(len(before.Text), len(after.Text))
	head, tail := 0, 0
	for head < most && before.Text[head] == after.Text[head] {
		head++
	}
	for tail < most-head && before.Text[len(before.Text)-1-tail] == after.Text[len(after.Text)-1-tail] {
		tail++
	}
	middle := before.Text[head : len(before.Text)-tail]
	return driver.Blob([]byte("d" + strconv.Itoa(head) + "," + strconv.Itoa(tail) + "," + middle))
}

// rewrite makes a record stand for those after it, too.
func (x *compaction) rewrite(l *layout, e *event) error {
	args := []driver.Arg{driver.Int(e.seq), driver.Text(e.change)}
	var set strings.Builder
	for n := range l.columns {
		if l.columns[n].Large {
			args = append(args, e.image[n])
			set.WriteString(", v" + strconv.Itoa(n) + " = $" + strconv.Itoa(len(args)))
		}
	}
	x.batch.rewritten++
	if err := x.exec(`UPDATE history SET change = $2, large = 1`+set.String()+` WHERE seq = $1`, args...); err != nil {
		return err
	}
	const index = `UPDATE history_rows SET large = 1 WHERE id = $1 AND kind = $2 AND seq = $3`
	return x.exec(index, driver.Text(e.id), driver.Text(l.kind), driver.Int(e.seq))
}
