package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// reinstatement makes rows what they were. Rows refer to each other and triggers
// make features follow their tasks, so the order matters: what others refer to comes
// first and goes last, and features get their columns after the tasks. All of the history
// is in history_rows before it begins; see indexAll.
type reinstatement struct {
	ctx  context.Context
	conn driver.Conn
	end  *settlement
	now  time.Time
	seq  int64 // the change after which the rows were so

	wanted map[nexus.Kind]map[string]image // nil for what was not there
	there  map[rowKey]bool                 // rows that are known to be there: they need no insert

	inserted, updated, deleted map[string]int64 // rows by table
	requeued                   []string
}

func newReinstatement(ctx context.Context, c driver.Conn, end *settlement, now time.Time, seq int64) *reinstatement {
	return &reinstatement{
		ctx: ctx, conn: c, end: end, now: now, seq: seq,
		wanted: make(map[nexus.Kind]map[string]image), there: make(map[rowKey]bool),
		inserted: make(map[string]int64), updated: make(map[string]int64), deleted: make(map[string]int64),
	}
}

// want says what a row shall be.
func (x *reinstatement) want(kind nexus.Kind, id string, i image) {
	if x.wanted[kind] == nil {
		x.wanted[kind] = make(map[string]image)
	}
	x.wanted[kind][id] = i
}

func (x *reinstatement) run() error {
	parents := []nexus.Kind{nexus.KindProject, nexus.KindFeature, nexus.KindSubFeature}
	steps := []func() error{
		x.freePlanKeys,
		func() error { return x.insert(parents...) },
		func() error { return x.delete(nexus.KindTask) },
		func() error { return x.update(nexus.KindTask) },
		func() error { return x.insert(nexus.KindTask) },
		func() error {
			rest := []nexus.Kind{nexus.KindRequirement, nexus.KindSession, nexus.KindAgent, nexus.KindCheckpoint}
			return x.all(rest...)
		},
		func() error { return x.update(parents...) },
		func() error { return x.delete(nexus.KindSubFeature, nexus.KindFeature, nexus.KindProject) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (x *reinstatement) all(kinds ...nexus.Kind) error {
	for _, step := range []func(...nexus.Kind) error{x.delete, x.update, x.insert} {
		if err := step(kinds...); err != nil {
			return err
		}
	}
	return nil
}

// reinstated is a row: what it is now, and what is wanted.
type reinstated struct {
	id          string
	now, wanted image
}

// some calls fn with the rows of kinds that a step is about, a number of one kind at a time.
func (x *reinstatement) some(kinds []nexus.Kind, about func(rowKey, image) bool, fn func(l *layout, rows []reinstated) error) error {
	for _, kind := range kinds {
		l := layouts[kind]
		var ids []string
		for _, id := range sortedKeys(x.wanted[kind]) {
			if about(rowKey{kind, id}, x.wanted[kind][id]) {
				ids = append(ids, id)
			}
		}
		var p pace
		for len(ids) > 0 {
			part := ids[:p.next(len(ids))]
			ids = ids[len(part):]
			now, err := l.currentOf(x.ctx, x.conn, part)
			if err != nil {
				return err
			}
			rows := make([]reinstated, len(part))
			bytes := 0
			for i, id := range part {
				rows[i] = reinstated{id, now[id], x.wanted[kind][id]}
				bytes += sizeOf(rows[i].now) + sizeOf(rows[i].wanted)
			}
			p.took(len(part), bytes)
			if err := fn(l, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// each is some, one row at a time.
func (x *reinstatement) each(kinds []nexus.Kind, about func(rowKey, image) bool, fn func(l *layout, id string, now, wanted image) error) error {
	return x.some(kinds, about, func(l *layout, rows []reinstated) error {
		for _, r := range rows {
			if err := fn(l, r.id, r.now, r.wanted); err != nil {
				return err
			}
		}
		return nil
	})
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// freePlanKeys takes their plan keys from rows that get another, or go: the key may
// be wanted by a row that comes before.
func (x *reinstatement) freePlanKeys() error {
	kinds := []nexus.Kind{nexus.KindProject, nexus.KindFeature, nexus.KindSubFeature, nexus.KindTask, nexus.KindRequirement}
	all := func(rowKey, image) bool { return true }
	return x.each(kinds, all, func(l *layout, id string, now, wanted image) error {
		x.there[rowKey{l.kind, id}] = now != nil
		key := l.column("plan_key")
		if now == nil || now[key].Kind == driver.KindNull || wanted != nil && wanted[key] == now[key] {
			return nil
		}
		_, err := x.conn.Exec(x.ctx, "UPDATE "+l.kind.Table()+" SET plan_key = NULL, revision = revision + 1 WHERE id = $1", driver.Text(id))
		return err
	})
}

func (x *reinstatement) insert(kinds ...nexus.Kind) error {
	missing := func(key rowKey, wanted image) bool { return wanted != nil && !x.there[key] }
	return x.some(kinds, missing, func(l *layout, rows []reinstated) error {
		rows = slices.DeleteFunc(rows, func(r reinstated) bool { return r.now != nil })
		if len(rows) == 0 {
			return nil
		}
		gone, err := l.lastRevisions(x.ctx, x.conn, rows)
		if err != nil {
			return err
		}
		inserts := make([]insertion, len(rows))
		ids := make([]driver.Arg, len(rows))
		for i, r := range rows {
			inserts[i] = l.insertion(r.wanted, gone[r.id])
			ids[i] = driver.Text(r.id)
		}
		for len(inserts) > 0 {
			n := 1
			for n < len(inserts) && inserts[n].head == inserts[0].head {
				n++
			}
			if err := x.insertAlike(l, inserts[:n]); err != nil {
				return err
			}
			inserts = inserts[n:]
		}
		x.inserted[l.kind.Table()] += int64(len(rows))
		return x.bringBackParts(l.kind, ids)
	})
}

// insertion is a row to insert, and the beginning of the INSERT.
type insertion struct {
	id   string
	head string
	args []driver.Arg
}

// insertion makes that of an image. What was read of the row before it was deleted, at a
// revision, is stale.
func (l *layout) insertion(wanted image, gone int64) insertion {
	in := insertion{id: wanted.id()}
	var names []string
	for n, column := range l.columns {
		value := wanted[n]
		switch {
		case column.Name == "revision":
			value = driver.Int(max(value.Int, gone) + 1)
		case value.Kind == driver.KindNull && !column.Nullable:
			continue // added since: it gets its default
		}
		names, in.args = append(names, column.Name), append(in.args, value)
	}
	in.head = "INSERT INTO " + l.kind.Table() + " (" + strings.Join(names, ", ") + ")"
	return in
}

// insertAlike inserts rows of the same columns.
func (x *reinstatement) insertAlike(l *layout, rows []insertion) error {
	columns := len(rows[0].args)
	done, err := insertTogether(x.ctx, x.conn, rows[0].head, columns, len(rows), func(row int) []driver.Arg { return rows[row].args })
	if err != nil {
		return err
	}
	for _, r := range rows[done:] {
		if _, err := x.conn.Exec(x.ctx, r.head+" VALUES "+places(1, columns), r.args...); err != nil {
			return refersToNothing(l, r.id, err)
		}
	}
	return nil
}

// lastRevisions returns the highest revisions at which rows were deleted before the
// reinstatement began. It looks for each: a plan for all at once is one for a history of
// which the server may know as little as of how many rows are asked for.
func (l *layout) lastRevisions(ctx context.Context, c driver.Conn, rows []reinstated) (map[string]int64, error) {
	last := fmt.Sprintf(`(
		SELECT max(CAST(h.v%d AS BIGINT)) FROM history_rows r JOIN history h ON h.seq = r.seq
		WHERE r.kind = $2 AND h.change = 'delete' AND r.id = `, l.column("revision"))
	ids := make([]driver.Arg, len(rows))
	for i, r := range rows {
		ids[i] = r.wanted[0]
	}
	revisions := make(map[string]int64)
	list, odd, err := split(ids)
	if err != nil {
		return nil, err
	}
	for _, id := range odd {
		err := c.Query(ctx, "SELECT "+last+"$1)", []driver.Arg{id, driver.Text(l.kind)}, func(r driver.Row) error {
			revisions[id.Text] = r.Int(0)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	sql := "SELECT value, " + last + "value) FROM " + c.Dialect().Elements(1)
	err = c.Query(ctx, sql, []driver.Arg{list, driver.Text(l.kind)}, func(r driver.Row) error {
		revisions[r.Text(0)] = r.Int(1)
		return nil
	})
	return revisions, err
}

func isWanted(_ rowKey, wanted image) bool { return wanted != nil }

func (x *reinstatement) update(kinds ...nexus.Kind) error {
	return x.each(kinds, isWanted, func(l *layout, id string, now, wanted image) error {
		if now == nil {
			return nil
		}
		if l.kind == nexus.KindFeature {
			// Before the rest, because the status may follow from it.
			var err error
			if now, err = x.complete(l, now, wanted); err != nil {
				return err
			}
		}
		var set strings.Builder
		args := []driver.Arg{now[0]} // the id as it is stored
		for n, column := range l.columns {
			switch {
			case column.Name == "revision" || now[n] == wanted[n]:
			case wanted[n].Kind == driver.KindNull && !column.Nullable: // added since
			default:
				args = append(args, wanted[n])
				set.WriteString(column.Name + " = $" + strconv.Itoa(len(args)) + ", ")
			}
		}
		if len(args) > 1 {
			sql := "UPDATE " + l.kind.Table() + " SET " + set.String() + "revision = revision + 1 WHERE id = $1"
			if _, err := x.conn.Exec(x.ctx, sql, args...); err != nil {
				return refersToNothing(l, id, err)
			}
			x.updated[l.kind.Table()]++
		}
		return nil
	})
}

// complete gives a feature the completed_tasks that are wanted, if they do not follow
// from its tasks, and returns what it is then.
func (x *reinstatement) complete(l *layout, now, wanted image) (image, error) {
	completed := l.column("completed_tasks")
	if now[completed] == wanted[completed] {
		return now, nil
	}
	if err := setCompleted(x.ctx, x.conn, now.id(), wanted[completed]); err != nil {
		return nil, err
	}
	return l.current(x.ctx, x.conn, now.id())
}

func (x *reinstatement) delete(kinds ...nexus.Kind) error {
	unwanted := func(key rowKey, wanted image) bool { return !isWanted(key, wanted) }
	return x.some(kinds, unwanted, func(l *layout, rows []reinstated) error {
		rows = slices.DeleteFunc(rows, func(r reinstated) bool { return r.now == nil })
		if len(rows) == 0 {
			return nil
		}
		ids := make([]driver.Arg, len(rows))
		for i, r := range rows {
			ids[i] = r.now[0]
			if l.kind == nexus.KindTask {
				x.end.deleted = append(x.end.deleted, r.id)
			}
		}
		x.deleted[l.kind.Table()] += int64(len(rows))
		sql := "DELETE FROM " + l.kind.Table() + " WHERE id %s"
		err := guard(x.ctx, x.conn, func() error { return execIDs(x.ctx, x.conn, sql, ids) })
		if nexus.CodeOf(err) != nexus.CodeReference {
			return err
		}
		for _, r := range rows { // which of them is it
			err := guard(x.ctx, x.conn, func() error { return execIDs(x.ctx, x.conn, sql, []driver.Arg{r.now[0]}) })
			if nexus.CodeOf(err) == nexus.CodeReference {
				return x.referredTo(l, r.id, err)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// refersToNothing explains why a row cannot be what it was: what it referred to was
// not a part of what is brought back, such as a feature of another project.
func refersToNothing(l *layout, id string, err error) error {
	if nexus.CodeOf(err) != nexus.CodeReference {
		return err
	}
	return &nexus.Error{
		Code: nexus.CodeReference, Kind: l.kind, ID: id,
		Message: "referred to a row outside of what is brought back, which does not exist any more", Hint: "nothing was changed; create that first",
	}
}

// referredTo explains why a row cannot go: only tasks keep what they refer to.
func (x *reinstatement) referredTo(l *layout, id string, err error) error {
	referring, lookErr := ids(x.ctx, x.conn, `SELECT id FROM tasks WHERE feature_id = $1 OR sub_feature_id = $1 ORDER BY id LIMIT 1`, id)
	if lookErr != nil || len(referring) == 0 {
		return err
	}
	return &nexus.Error{
		Code: nexus.CodeInUse, Kind: l.kind, ID: id,
		Message: fmt.Sprintf("would go, but task %s, which stays, is in it", referring[0]),
		Hint:    "nothing was changed; move that task first",
	}
}

// requeue makes tasks pending that are in flight: whoever worked on them may be gone,
// and has worked on another state.
func (x *reinstatement) requeue(list []nexus.Task, reason string) error {
	for i := range list {
		t := &list[i]
		if !t.Status.InFlight() {
			continue
		}
		_, err := decide(x.ctx, x.conn, x.end, t.ID, nexus.AnyEpoch, at(x.now), decision{
			outcome: nexus.OutcomeReleased, reason: reason, update: givenBack,
		})
		if err != nil {
			return err
		}
		x.requeued = append(x.requeued, t.ID)
	}
	return nil
}
