package plan

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/jsontree"
)

// row is an element of the document on its way to the database.
type row[E, U any] struct {
	id       string
	stored   *E // as it is; nil if it is new
	after    *E // as it is to be
	update   U
	revision func(*E) int64
}

// section is a list of elements that are known by their keys.
type section[E, U any] struct {
	a    *applier
	name string
	rows []*row[E, U]

	id       func(*E) string
	revision func(*E) int64

	stored map[string]*E     // the rows that are there already
	ids    map[string]string // of all rows, stored or new
	index  map[string]int    // of the document's elements
	nodes  []*jsontree.Node
}

// entity is what all entities can do.
type entity[E any] interface {
	*E
	SetDefaults(time.Time)
	Validate() error
	ValidateUpdate(*E) error
}

// update is what all updates can do.
type update[E any] interface {
	Apply(*E, time.Time)
}

func newSection[E, U any](a *applier, name string, key, id func(*E) string, revision func(*E) int64, stored []E) *section[E, U] {
	s := &section[E, U]{
		a: a, name: name, id: id, revision: revision,
		stored: make(map[string]*E), ids: make(map[string]string), index: make(map[string]int),
	}
	for i := range stored {
		if k := key(&stored[i]); k != "" {
			s.stored[k] = &stored[i]
			s.ids[k] = id(&stored[i])
		}
	}
	return s
}

// declare takes the key of the next element, and finds or makes its id.
func (s *section[E, U]) declare(kind nexus.Kind, key string, node *jsontree.Node) {
	i := len(s.nodes)
	s.nodes = append(s.nodes, node)
	if key == "" {
		s.problem(i, "key", "is required")
		return
	}
	if first, twice := s.index[key]; twice {
		s.problem(i, "key", "%q is also the key of %s[%d]", key, s.name, first)
		return
	}
	s.index[key] = i
	if s.ids[key] == "" {
		s.ids[key] = nexus.NewID(kind, s.a.now)
	}
}

// kept returns how many stored rows the document does not have.
func (s *section[E, U]) kept() (n int) {
	for key := range s.stored {
		if _, there := s.index[key]; !there {
			n++
		}
	}
	return n
}

// path names a field of an element in problems.
func (s *section[E, U]) path(i int, field string) string {
	path := s.name
	if s.name != sectionProject {
		path = fmt.Sprintf("%s[%d]", s.name, i)
	}
	if field != "" {
		path += "." + field
	}
	return path
}

// problem reports what is wrong with a field of an element.
func (s *section[E, U]) problem(i int, field, format string, args ...any) {
	p := nexus.Problem{Field: s.path(i, field), Message: fmt.Sprintf(format, args...)}
	if node := s.nodes[i]; node != nil {
		place := node
		if member := node.Member(field); member != nil {
			place = member
		}
		p.Line, p.Column = s.a.document.source.Place(place)
	}
	s.a.problems = append(s.a.problems, p)
}

// add makes the row of element i, and checks its values. base is the entity
// with what no update can set; it counts only if the row is new.
func add[E any, PE entity[E], U update[E]](s *section[E, U], i int, key string, base E, u U) {
	// What declare has refused is checked as well, but is no row.
	refused := key == "" || s.index[key] != i
	r := &row[E, U]{id: s.ids[key], stored: s.stored[key], update: u, revision: s.revision}
	var err error
	if r.stored != nil {
		base = *r.stored
		u.Apply(&base, s.a.now)
		err = PE(&base).ValidateUpdate(r.stored)
	} else {
		PE(&base).SetDefaults(s.a.now)
		u.Apply(&base, s.a.now)
		err = PE(&base).Validate()
	}
	r.after = &base
	if !refused {
		s.rows = append(s.rows, r)
	}
	var e *nexus.Error
	if errors.As(err, &e) {
		for _, p := range e.Problems {
			if refused && (p.Field == "id" || p.Field == "plan_key" || p.Field == "name" && s.name == sectionProject) {
				continue // the key is missing, which for a project is its name by default
			}
			if p.Field == "plan_key" {
				p.Field = "key" // as the document calls it
			}
			s.problem(i, p.Field, "%s", p.Message)
		}
		if len(e.Problems) == 0 {
			s.problem(i, "", "%s", e.Message)
		}
	}
}

// resolve returns the id of the row with a key. An empty key has none; an
// unknown one is a problem of the field of element i of the section that refers
// to it.
func resolve[E, U, E2, U2 any](to *section[E, U], key string, from *section[E2, U2], i int, field string) string {
	if key == "" {
		return ""
	}
	id, known := to.ids[key]
	if !known {
		from.problem(i, field, "%q is not the key of any of %s", key, to.name)
	}
	return id
}
