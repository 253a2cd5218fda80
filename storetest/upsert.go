package storetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

func (x *entity[E, F, U]) testUpsert(t *testing.T, db *store.DB) {
	x.seedFull(t, db)
	s := x.in(db)

	// Without an id it is a new one, with all defaults.
	e := x.minimal
	created, err := s.Upsert(t.Context(), &e)
	must(t, err)
	same(t, created, true)
	same(t, &e, with(x.defaulted, idOf(&e)))
	x.unchanged(t, db, &e)

	full := with(x.full, "it")
	*field[int64](full, "Revision") = 0 // of a row that is there
	created, err = s.Upsert(t.Context(), full)
	must(t, err)
	same(t, created, true)
	want := with(x.full, "it")
	*field[int64](want, "Revision") = 1
	same(t, full, want)
	x.unchanged(t, db, want)

	// All fields are replaced but the time of creation, which other lacks.
	replacement := with(x.other, "it")
	*field[time.Time](replacement, x.created) = time.Time{}
	if x.touched != "" {
		*field[time.Time](replacement, x.touched) = time.Time{}
	}
	created, err = s.Upsert(t.Context(), replacement)
	must(t, err)
	same(t, created, false)
	want = with(x.other, "it")
	copyField(want, &x.full, x.created)
	x.touch(want)
	*field[int64](want, "Revision") = 2
	same(t, replacement, want)
	x.unchanged(t, db, want)

	// What the new one lacks is cleared or gets its default.
	bare := with(x.minimal, "it")
	*field[int64](bare, "Revision") = 2
	if x.hasStatus() { // the default status may not follow
		copyField(bare, &x.other, "Status")
	}
	_, err = s.Upsert(t.Context(), bare)
	must(t, err)
	want = with(x.defaulted, "it")
	copyField(want, &x.full, x.created)
	if x.hasStatus() {
		copyField(want, &x.other, "Status")
	}
	*field[int64](want, "Revision") = 3
	x.touch(want)
	same(t, bare, want)
	x.unchanged(t, db, want)

	bad := with(x.other, "")
	spoiled := x.spoil(bad, "a\x00b", -1, now.AddDate(20000, 0, 0))
	bad = with(*bad, "it")
	_, err = s.Upsert(t.Context(), bad)
	same(t, problemFields(refused(t, err, nexus.CodeInvalid)), slices.DeleteFunc(spoiled, func(column string) bool {
		return column == "id" || column == "updated_at" // those are right
	}))
	x.unchanged(t, db, want)
}

func (x *entity[E, F, U]) testUpsertSame(t *testing.T, db *store.DB) {
	e := with(x.full, "it")
	x.touch(e)
	x.seedFull(t, db, e)
	for _, revision := range []int64{0, 1} {
		again := *e
		*field[int64](&again, "Revision") = revision
		created, err := x.in(db).Upsert(t.Context(), &again)
		must(t, err)
		same(t, created, false)
		same(t, &again, e)
		x.unchanged(t, db, e)
	}
}

func (x *entity[E, F, U]) testUpsertStale(t *testing.T, db *store.DB) {
	x.seedFull(t, db, with(x.full, "it"))
	second := with(x.other, "it")
	*field[int64](second, "Revision") = 1
	_, err := x.in(db).Upsert(t.Context(), second)
	must(t, err)
	stored := x.mustGet(t, db, "it")
	same(t, revisionOf(stored), int64(2))

	late := with(x.full, "it")
	*field[int64](late, "Revision") = 1
	created, err := x.in(db).Upsert(t.Context(), late)
	same(t, created, false)
	e := refused(t, err, nexus.CodeStale)
	same(t, e.Stored, any(stored))
	if _, ok := e.Given.(*E); !ok {
		t.Errorf("Given is a %T", e.Given)
	}
	x.unchanged(t, db, stored)
}

func (x *entity[E, F, U]) testDelete(t *testing.T, db *store.DB) {
	other := with(x.minimal, "it2") // begins like the one that is deleted
	x.seedFull(t, db, with(x.full, "it"), other)
	s := x.in(db)
	must(t, s.Delete(t.Context(), "it"))
	_, err := s.Get(t.Context(), "it")
	refused(t, err, nexus.CodeNotFound)
	refused(t, s.Delete(t.Context(), "it"), nexus.CodeNotFound)
	x.unchanged(t, db, other)
	// The id is free again for who chooses it.
	must(t, s.Create(t.Context(), with(x.minimal, "it")))
}

func (x *entity[E, F, U]) testResolve(t *testing.T, db *store.DB) {
	seed(t, db, x.kind)
	for _, id := range []string{"abc", "abcd", "abx-1", "abx-2", "b_1", "bx1", "é1", "🦀🦀", "z\U0010ffff", "ABQ"} {
		must(t, x.in(db).Create(t.Context(), with(x.minimal, id)))
	}
	for prefix, want := range map[string]string{
		"abc":   "abc", // which others begin with
		"abcd":  "abcd",
		"abx-1": "abx-1",
		"b_":    "b_1", // no wildcard
		"bx":    "bx1",
		"é":     "é1",
		"🦀":     "🦀🦀",
		"AB":    "ABQ", // case counts
	} {
		got, err := x.in(db).Resolve(t.Context(), prefix)
		if err != nil || got != want {
			t.Errorf("Resolve(%q) is %q, %v; want %q", prefix, got, err, want)
		}
	}
	for prefix, code := range map[string]nexus.Code{
		"a": nexus.CodeAmbiguous, "ab": nexus.CodeAmbiguous, "abx": nexus.CodeAmbiguous, "b": nexus.CodeAmbiguous,
		"": nexus.CodeNotFound, "%": nexus.CodeNotFound, "abcde": nexus.CodeNotFound, "a%": nexus.CodeNotFound,
	} {
		_, err := x.in(db).Resolve(t.Context(), prefix)
		e := refused(t, err, code)
		if e.Kind != x.kind || e.ID != prefix || (code == nexus.CodeAmbiguous && e.Hint == "") {
			t.Errorf("Resolve(%q): the error lacks its subject or a hint: %+v", prefix, e)
		}
	}
	e := refused(t, func() error { _, err := x.in(db).Resolve(t.Context(), "abx"); return err }(), nexus.CodeAmbiguous)
	for _, id := range []string{"abx-1", "abx-2"} {
		if !strings.Contains(e.Message, id) {
			t.Errorf("%q does not name %s", e.Message, id)
		}
	}
}
