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
// first and goes last, and features get their columns after the tasks.
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

// each calls fn with the rows of kinds that a step is about, what they are now, and what
// is wanted.
func (x *reinstatement) each(kinds []nexus.Kind, about func(rowKey, image) bool, fn func(l *layout, id string, now, wanted image) error) error {
	for _, kind := range kinds {
		l := layouts[kind]
		for _, id := range sortedKeys(x.wanted[kind]) {
			wanted := x.wanted[kind][id]
			if !about(rowKey{kind, id}, wanted) {
				continue
			}
			now, err := l.current(x.ctx, x.conn, id)
			if err == nil {
				err = fn(l, id, now, wanted)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
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
	return x.each(kinds, missing, func(l *layout, id string, now, wanted image) error {
		if now != nil {
			return nil
		}
		revision := l.column("revision")
		row := slices.Clone(wanted)
		gone, err := l.lastRevision(x.ctx, x.conn, wanted[0])
		if err != nil {
			return err
		}
		row[revision] = driver.Int(max(wanted[revision].Int, gone) + 1) // what was read of it before it was deleted is stale
		var names, places []string
		var args []driver.Arg
		for n, column := range l.columns {
			if row[n].Kind == driver.KindNull && !column.Nullable {
				continue // added since: it gets its default
			}
			args = append(args, row[n])
			names, places = append(names, column.Name), append(places, "$"+strconv.Itoa(len(args)))
		}
		sql := "INSERT INTO " + l.kind.Table() + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(places, ", ") + ")"
		if _, err := x.conn.Exec(x.ctx, sql, args...); err != nil {
			return refersToNothing(l, id, err)
		}
		x.inserted[l.kind.Table()]++
		return x.bringBackParts(l.kind, id)
	})
}

// lastRevision returns the highest revision at which the row was deleted.
func (l *layout) lastRevision(ctx context.Context, c driver.Conn, id driver.Arg) (revision int64, err error) {
	const sql = `
		SELECT max(CAST(v%d AS BIGINT)) FROM history WHERE change = 'delete' AND seq IN (
			SELECT seq FROM history_rows WHERE id = $1 AND kind = $2
			UNION ALL
			SELECT seq FROM history WHERE seq > coalesce((SELECT seq FROM history_marks WHERE name = 'indexed'), 0) AND kind = $2 AND id = $1)`
	args := []driver.Arg{id, driver.Text(l.kind)}
	err = c.Query(ctx, fmt.Sprintf(sql, l.column("revision")), args, func(r driver.Row) error {
		revision = r.Int(0)
		return nil
	})
	return revision, err
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
	return x.each(kinds, unwanted, func(l *layout, id string, now, _ image) error {
		if now == nil {
			return nil
		}
		if l.kind == nexus.KindTask {
			x.end.deleted = append(x.end.deleted, id)
		}
		x.deleted[l.kind.Table()]++
		err := guard(x.ctx, x.conn, func() error { // referredTo still has to look
			_, err := x.conn.Exec(x.ctx, "DELETE FROM "+l.kind.Table()+" WHERE id = $1", now[0])
			return err
		})
		if nexus.CodeOf(err) == nexus.CodeReference {
			return x.referredTo(l, id, err)
		}
		return err
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
