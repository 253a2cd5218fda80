package store

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// notIndexed chooses the records that history_rows lacks.
const notIndexed = `seq > coalesce((SELECT seq FROM history_marks WHERE name = 'indexed'), 0)`

// lacksIndex reports whether history_rows may lack records up to the horizon. begin has
// added them, but a dry run adds nothing.
func (x *compaction) lacksIndex() bool { return x.dry && !followsItself(x.conn) }

// seqsOf selects the numbers of the records that fit a condition on id, kind and seq.
func (x *compaction) seqsOf(condition string) string {
	sql := `SELECT seq FROM history_rows WHERE ` + condition
	if x.lacksIndex() {
		sql += ` UNION ALL SELECT seq FROM history WHERE ` + notIndexed + ` AND ` + condition
	}
	return sql
}

// compactRows goes through the changes of each row between the first checkpoint that
// is kept and the horizon.
func (x *compaction) compactRows() error {
	if len(x.kept) == 0 {
		return nil
	}
	id, more := "", true
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

// compactSome goes through the rows with the ids after one, until that is enough for a
// transaction.
func (x *compaction) compactSome(after string) (last string, more bool, err error) {
	if last, err = x.lastOfBatch(after); err != nil || last == "" {
		return last, false, err
	}
	changes := make(map[string]map[nexus.Kind][]oldChange)
	sql := `SELECT id, seq, kind, change, large, v1 FROM history WHERE seq IN (` +
		x.seqsOf("id > $1 AND id <= $2 AND seq > $3 AND seq <= $4") + `) ORDER BY seq`
	args := []driver.Arg{driver.Text(after), driver.Text(last), driver.Int(x.kept[0]), driver.Int(x.horizon)}
	err = x.conn.Query(x.ctx, sql, args, func(r driver.Row) error {
		c := oldChange{seq: r.Int(1), kind: nexus.Kind(r.Text(2)), change: r.Text(3), large: r.Int(4) != 0, part: r.Arg(5)}
		c.stretch, _ = slices.BinarySearch(x.kept, c.seq)
		id := r.Text(0)
		if changes[id] == nil {
			changes[id] = make(map[nexus.Kind][]oldChange)
		}
		changes[id][c.kind] = append(changes[id][c.kind], c)
		x.batch.seen++
		return nil
	})
	for _, id := range slices.Sorted(maps.Keys(changes)) {
		if err == nil {
			err = x.compactID(id, changes[id])
		}
	}
	return last, true, err
}

// lastOfBatch returns the last id of a batch that begins after another. Ids with one
// change have nothing to be compacted.
func (x *compaction) lastOfBatch(after string) (last string, err error) {
	const of = ` WHERE id > $1 AND seq > $2 AND seq <= $3`
	sql := `SELECT id, count(*) AS changes FROM history_rows` + of + ` GROUP BY id HAVING count(*) > 1 ORDER BY id LIMIT $4`
	if x.lacksIndex() {
		sql = `
			SELECT id, sum(changes) FROM (
				SELECT id, changes FROM (` + sql + `) AS several
				UNION ALL
				SELECT id, count(*) FROM history` + of + ` AND ` + notIndexed + ` GROUP BY id) AS batch
			GROUP BY id ORDER BY id LIMIT $4`
	}
	looked := int64(0)
	args := []driver.Arg{driver.Text(after), driver.Int(x.kept[0]), driver.Int(x.horizon), driver.Int(compactBatch)}
	err = x.conn.Query(x.ctx, sql, args, func(r driver.Row) error {
		if id := r.Arg(0); looked < compactBatch && id.Kind == driver.KindText { // a BLOB is of a row that is in no past
			last = id.Text
			looked += r.Int(1)
		}
		return nil
	})
	return last, err
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
// with them.
func (x *compaction) compactID(id string, kinds map[nexus.Kind][]oldChange) error {
	for _, p := range partKinds {
		var err error
		if p.undoOnly { // and what is compacted cannot be undone
			err = x.forgetAll(kinds[p.kind])
		} else {
			err = x.compactParts(kinds[p.kind], kinds[p.owner])
		}
		if err != nil {
			return err
		}
		delete(kinds, p.kind)
	}
	for kind, changes := range kinds {
		if l := layouts[kind]; l != nil {
			if err := x.compactRow(l, id, changes); err != nil {
				return err
			}
		}
	}
	return nil
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

func (x *compaction) forgetAll(changes []oldChange) error {
	for _, c := range changes {
		if err := x.forget(c.seq); err != nil {
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
	which := " FROM history WHERE seq IN (" + x.seqsOf("id = $1 AND kind = $2 AND seq >= $3 AND seq <= $4") + ") ORDER BY seq"
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
	if err != nil {
		return nil, err
	}
	if err := r.finish(after); err != nil || len(changes) == 1 {
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
	case followsItself(x.conn) && first.large:
		return nil // it has them whole
	}
	e.change = "update"
	if followsItself(x.conn) { // where no value is kept as a delta
		return e
	}
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
	if followsItself(x.conn) {
		return nil
	}
	const index = `UPDATE history_rows SET large = 1 WHERE id = $1 AND kind = $2 AND seq = $3`
	return x.exec(index, driver.Text(e.id), driver.Text(l.kind), driver.Int(e.seq))
}
