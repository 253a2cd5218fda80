package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Service does what can be done with every entity: E is the entity, F its
// filter, U its update. On a [DB] each call is a transaction of its own; on a
// [Tx] it is part of that.
type Service[E, F, U any] struct {
	table *table[E, F, U]
	run   runner
	now   func() time.Time
}

// runner is where a service's statements run: a DB or a Tx.
type runner interface {
	read(ctx context.Context, fn func(driver.Conn) error) error
	snapshot(ctx context.Context, fn func(driver.Conn) error) error
	// write's fn notes in the settlement what is checked at the transaction's end.
	write(ctx context.Context, fn func(driver.Conn, *settlement) error) error
	// writeBeside is for an fn that locks what it decides by; see driver.DB.
	writeBeside(ctx context.Context, fn func(driver.Conn, *settlement) error) error
}

// Create stores a new entity. It first fills in what e lacks (see the entity's
// SetDefaults) and sets its revision to 1.
//
// Codes: CodeInvalid; CodeExists if the id or plan key is taken; CodeReference
// if what it belongs to does not exist. Called again after an error with unknown
// outcome it returns CodeExists if the first call succeeded, provided that e has
// its id.
func (s *Service[E, F, U]) Create(ctx context.Context, e *E) error {
	return s.CreateMany(ctx, []*E{e})
}

// CreateMany stores new entities, all or none; see Create.
func (s *Service[E, F, U]) CreateMany(ctx context.Context, entities []*E) error {
	now := s.now()
	unnamed := make([]bool, len(entities))
	for i, e := range entities {
		unnamed[i] = *s.table.id(e) == ""
		s.table.setDefaults(e, now)
		if err := s.table.validate(e); err != nil {
			return withoutID(err, unnamed[i])
		}
	}
	current := -1
	err := s.run.write(ctx, func(c driver.Conn, end *settlement) error {
		end.did(s.table.createName, "")
		current = -1
		together, err := s.table.insertMany(ctx, c, entities)
		if err != nil {
			return err
		}
		for i, e := range entities {
			current = i
			if i >= together {
				if err := s.table.insert(ctx, c, e); err != nil {
					return err
				}
			}
			s.table.changed(end, nil, e)
			if unnamed[i] {
				end.made = append(end.made, *s.table.id(e))
			}
		}
		current = -1 // what the end of the transaction says needs no explanation
		return nil
	})
	if err == nil {
		return nil
	}
	for _, e := range entities {
		*s.table.revision(e) = 0 // it is not stored
	}
	if current < 0 {
		return err
	}
	return withoutID(s.table.explain(ctx, s.run, entities[current], err), unnamed[current])
}

// withoutID takes an id that was made, and that nobody has heard of, out of an
// error.
func withoutID(err error, made bool) error {
	var e *nexus.Error
	if made && errors.As(err, &e) {
		e.ID = ""
	}
	return err
}

// Get returns the entity with an id. Code: CodeNotFound.
func (s *Service[E, F, U]) Get(ctx context.Context, id string) (e *E, err error) {
	err = s.run.read(ctx, func(c driver.Conn) error {
		e, err = s.table.mustGet(ctx, c, id)
		return err
	})
	return e, err
}

// List returns the entities that the filter chooses, in its order. Code:
// CodeInvalid for an unknown order or a cursor of another list.
func (s *Service[E, F, U]) List(ctx context.Context, filter F) (list []E, err error) {
	err = s.run.read(ctx, func(c driver.Conn) error {
		list, err = s.table.list(ctx, c, filter)
		return err
	})
	return list, err
}

func (t *table[E, F, U]) list(ctx context.Context, c driver.Conn, filter F) ([]E, error) {
	const mostReserved = 1024
	list := make([]E, 0, min(max(t.page(filter).Limit, 0), mostReserved))
	err := t.each(ctx, c, filter, func(r driver.Row) error {
		if len(list) == cap(list) {
			// Entities are large; append would copy a long list many times.
			list = slices.Grow(list, len(list)+16)
		}
		var zero E
		list = append(list, zero)
		t.scan(&list[len(list)-1], r)
		return nil
	})
	return list, err
}

func (t *table[E, F, U]) each(ctx context.Context, c driver.Conn, filter F, fn func(driver.Row) error) error {
	build := func(w *where) error {
		t.filter(w, filter)
		return t.paged(w, t.page(filter))
	}
	return t.query(ctx, c, t.allColumns, filter, build, "", fn)
}

// All iterates over what List would return. An error is the last thing that it
// yields. The rows are of one moment, and writing while going through them is
// allowed. On a DB its memory does not grow with the number of rows; on a Tx,
// which sees what it writes itself, the list is read first.
func (s *Service[E, F, U]) All(ctx context.Context, filter F) iter.Seq2[*E, error] {
	if _, inTx := s.run.(*Tx); inTx {
		return s.allOfList(ctx, filter)
	}
	return func(yield func(*E, error) bool) {
		stop := errors.New("the caller has had enough")
		err := s.run.read(ctx, func(c driver.Conn) error {
			return s.table.each(ctx, c, filter, func(r driver.Row) error {
				e := new(E)
				s.table.scan(e, r)
				if !yield(e, nil) {
					return stop
				}
				return nil
			})
		})
		if err != nil && !errors.Is(err, stop) {
			yield(nil, err)
		}
	}
}

func (s *Service[E, F, U]) allOfList(ctx context.Context, filter F) iter.Seq2[*E, error] {
	return func(yield func(*E, error) bool) {
		list, err := s.List(ctx, filter)
		for i := range list {
			if !yield(&list[i], nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// Cursor returns the cursor with which the list of a page goes on after e.
func (s *Service[E, F, U]) Cursor(page nexus.Page, e *E) (string, error) {
	return s.table.cursor(page, e)
}

// Count returns how many entities the filter chooses. Its order, limit and
// cursor do not matter.
func (s *Service[E, F, U]) Count(ctx context.Context, filter F) (n int64, err error) {
	err = s.run.read(ctx, func(c driver.Conn) error {
		return s.table.query(ctx, c, "count(*)", filter, s.table.chosen(filter), "", func(r driver.Row) error {
			n = r.Int(0)
			return nil
		})
	})
	return n, err
}

// chosen builds the condition of a filter alone.
func (t *table[E, F, U]) chosen(filter F) func(*where) error {
	return func(w *where) error {
		t.filter(w, filter)
		return w.err
	}
}

// countByStatus counts by status, for entities that have one.
func countByStatus[S ~string, E, F, U any](ctx context.Context, s *Service[E, F, U], filter F) (map[S]int64, error) {
	counts := make(map[S]int64)
	err := s.run.read(ctx, func(c driver.Conn) error {
		return s.table.query(ctx, c, "status, count(*)", filter, s.table.chosen(filter), " GROUP BY status", func(r driver.Row) error {
			counts[S(r.Text(0))] = r.Int(1)
			return nil
		})
	})
	return counts, err
}

// Update changes the fields that the update gives, and returns the entity as it
// is then. An update that changes nothing does not count as a revision.
//
// Codes: CodeNotFound; CodeStale if the update names a revision and the entity
// is at another; CodeTransition if the status may not take this step;
// CodeInvalid; CodeReference. Repeating an update with its revision is safe: it
// succeeds once.
func (s *Service[E, F, U]) Update(ctx context.Context, id string, update U) (*E, error) {
	var after *E
	err := s.run.write(ctx, func(c driver.Conn, end *settlement) error {
		end.did(s.table.updateName, "")
		before, err := s.table.mustGet(ctx, c, id)
		if err != nil {
			return err
		}
		changed := *before
		after = &changed
		s.table.apply(update, after, s.second())
		return s.replace(ctx, c, end, before, after, s.table.seen(update))
	})
	if err != nil {
		if after != nil {
			err = s.table.explain(ctx, s.run, after, err)
		}
		return nil, err
	}
	return after, nil
}

// replace stores after in place of before, if that is the revision seen; 0 is
// any.
func (s *Service[E, F, U]) replace(ctx context.Context, c driver.Conn, end *settlement, before, after *E, seen int64) error {
	if seen != 0 && seen != *s.table.revision(before) {
		return s.table.stale(before, after, seen)
	}
	if err := s.table.validateUpdate(after, before); err != nil {
		return err
	}
	s.table.changed(end, before, after)
	return s.table.update(ctx, c, before, after)
}

// Upsert stores e whether or not it exists, and reports whether it was created.
// An entity that exists gets all fields of e, but keeps its time of creation if
// e has none; if e has a revision other than 0, it must be the entity's. Its
// codes are those of Create and Update.
func (s *Service[E, F, U]) Upsert(ctx context.Context, e *E) (created bool, err error) {
	given := *e
	err = s.run.write(ctx, func(c driver.Conn, end *settlement) error {
		end.did(s.table.upsertName, "")
		*e = given // as it was, when this runs again
		seen := *s.table.revision(e)
		s.table.setDefaults(e, s.now())
		before, err := s.table.get(ctx, c, *s.table.id(e))
		if err != nil {
			return err
		}
		if created = before == nil; !created {
			if s.table.created(&given).IsZero() {
				*s.table.created(e) = *s.table.created(before)
			}
			*s.table.revision(e) = *s.table.revision(before)
			if s.table.updated != nil {
				*s.table.updated(e) = s.second()
			}
			return s.replace(ctx, c, end, before, e, seen)
		}
		if seen != 0 {
			return &nexus.Error{
				Code: nexus.CodeNotFound, Kind: s.table.kind, ID: *s.table.id(e),
				Message: fmt.Sprintf("does not exist any more; revision %d of it was given", seen),
				Hint:    "to create it, give it revision 0",
			}
		}
		if err := s.table.validate(e); err != nil {
			return err
		}
		s.table.changed(end, nil, e)
		return s.table.insert(ctx, c, e)
	})
	return created && err == nil, s.table.explain(ctx, s.run, e, err)
}

// Delete deletes an entity, and with a project or feature what the contract
// says belongs to it. Codes: CodeNotFound; CodeInUse if other rows refer to it.
func (s *Service[E, F, U]) Delete(ctx context.Context, id string) error {
	err := s.run.write(ctx, func(c driver.Conn, end *settlement) error {
		end.did(s.table.deleteName, "")
		if s.table.deleting != nil {
			if err := s.table.deleting(ctx, c, end, id); err != nil {
				return err
			}
		}
		if !c.Dialect().CanHold(id) {
			return s.table.missing(id)
		}
		n, err := c.Exec(ctx, s.table.deleteSQL, driver.Text(id))
		if err == nil && n == 0 {
			err = s.table.missing(id)
		}
		return err
	})
	if nexus.CodeOf(err) == nexus.CodeReference {
		return s.table.inUse(ctx, s.run, id)
	}
	return err
}

// Resolve returns the id that begins with prefix, or is prefix. Codes:
// CodeNotFound; CodeAmbiguous if several begin with it and none is it.
func (s *Service[E, F, U]) Resolve(ctx context.Context, prefix string) (string, error) {
	args := []driver.Arg{driver.Text(prefix), driver.Text(prefix + lastOfAll)}
	var ids []string
	err := s.run.read(ctx, func(c driver.Conn) (err error) {
		if !c.Dialect().CanHold(prefix) {
			return nil
		}
		source := s.table.kind.Table()
		w := where{args: args}
		if past, ok := c.(*pastConn); ok {
			if l := layouts[s.table.kind]; l != nil {
				ids, err = l.startingWith(ctx, past, prefix)
				return err
			}
			if source, err = past.source(ctx, s.table.kind, &w, ""); err != nil {
				return err
			}
		}
		const most = " WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 3"
		return c.Query(ctx, "SELECT id FROM "+source+most, w.args, func(r driver.Row) error {
			ids = append(ids, r.Text(0))
			return nil
		})
	})
	switch {
	case err != nil:
		return "", err
	case len(ids) == 0 || prefix == "":
		return "", &nexus.Error{Code: nexus.CodeNotFound, Kind: s.table.kind, ID: prefix, Message: "does not exist"}
	case len(ids) > 1 && ids[0] != prefix:
		return "", &nexus.Error{
			Code: nexus.CodeAmbiguous, Kind: s.table.kind, ID: prefix,
			Message: fmt.Sprintf("fits several, among them %s and %s", ids[0], ids[1]),
			Hint:    "give more of the id",
		}
	}
	return ids[0], nil
}

// lastOfAll sorts after everything that an id can go on with.
const lastOfAll = "\U0010FFFF"

// second is now, as the database keeps it.
func (s *Service[E, F, U]) second() time.Time { return s.now().UTC().Truncate(time.Second) }
