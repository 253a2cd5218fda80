package storetest

import (
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// testUpdateFields updates one field after the other, each in a row of its own,
// and expects the others to stay as they are.
func (x *entity[E, F, U]) testUpdateFields(t *testing.T, db *store.DB) {
	x.seedFull(t, db)
	for _, name := range x.updateFields() {
		e := with(x.full, "row of "+name)
		if _, has := reflect.TypeFor[E]().FieldByName("PlanKey"); has {
			*field[string](e, "PlanKey") += idOf(e) // unique
		}
		must(t, x.in(db).Create(t.Context(), e))
		want := *e
		x.touch(&want)
		if effect := x.effects[name]; effect != nil {
			effect(&want)
		}
		copyField(&want, &x.other, name)
		*field[int64](&want, "Revision") = 2

		got, err := x.in(db).Update(t.Context(), idOf(e), based(x.setting(name, &x.other), 1))
		must(t, err)
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("after the update of %s (-want +got):\n%s", name, diff)
		}
		x.unchanged(t, db, &want)

		// The same again changes nothing, and so does not count.
		got, err = x.in(db).Update(t.Context(), idOf(e), x.setting(name, &x.other))
		must(t, err)
		same(t, got, &want)
		x.unchanged(t, db, &want)
	}
}

// testUpdateClears gives each field a pointer to its zero value: what may be
// absent becomes so, in the database too, and what may not is refused.
func (x *entity[E, F, U]) testUpdateClears(t *testing.T, db *store.DB) {
	x.seedFull(t, db)
	var cleared E
	for _, name := range x.updateFields() {
		column := columnOf[E](name)
		if name == x.touched || name == "Timestamp" {
			continue // the store sets the one, and the other is never absent
		}
		e := with(x.full, "row of "+name)
		if _, has := reflect.TypeFor[E]().FieldByName("PlanKey"); has {
			*field[string](e, "PlanKey") += idOf(e)
		}
		must(t, x.in(db).Create(t.Context(), e))
		update := x.setting(name, &cleared)
		pointer := reflect.ValueOf(&update).Elem().FieldByName(name)
		if pointer.IsNil() { // a pointer in the entity too
			pointer.Set(reflect.New(pointer.Type().Elem()))
		}
		got, err := x.in(db).Update(t.Context(), idOf(e), update)
		if slices.Contains(x.required, column) {
			same(t, problemFields(refused(t, err, nexus.CodeInvalid)), []string{column})
			x.unchanged(t, db, e)
			continue
		}
		must(t, err)
		want := *e
		x.touch(&want)
		reflect.ValueOf(&want).Elem().FieldByName(name).SetZero()
		if f := reflect.ValueOf(&want).Elem().FieldByName(name); f.Kind() == reflect.Pointer {
			f.Set(pointer)
		}
		*field[int64](&want, "Revision") = 2
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("after %s was cleared (-want +got):\n%s", column, diff)
		}
		x.unchanged(t, db, &want)

		// What has a default in the database is a number there, and 0.
		wantNull := slices.ContainsFunc(store.Columns(x.kind), func(c store.Column) bool {
			return c.Name == column && c.Nullable && c.Default == ""
		})
		if null := isNull(t, db, x.kind, idOf(e))[column]; null != wantNull {
			t.Errorf("column %s: NULL is %v after it was cleared", column, null)
		}
	}
}

func (x *entity[E, F, U]) testUpdateSame(t *testing.T, db *store.DB) {
	e := with(x.full, "it")
	x.seedFull(t, db, e)
	if x.heartbeat {
		x.touch(e) // or else the update would have that to change
		_, err := x.in(db).Upsert(t.Context(), e)
		must(t, err)
	}
	want := x.mustGet(t, db, "it")
	updates := []U{*new(U)}
	for _, name := range x.updateFields() {
		updates = append(updates, x.setting(name, want))
	}
	for _, update := range updates {
		for _, revision := range []int64{0, revisionOf(want)} {
			got, err := x.in(db).Update(t.Context(), "it", based(update, revision))
			must(t, err)
			same(t, got, want)
		}
	}
	x.unchanged(t, db, want)
}

func (x *entity[E, F, U]) testUpdateStale(t *testing.T, db *store.DB) {
	x.seedFull(t, db, with(x.full, "it"))
	names := x.updateFields()
	name := names[len(names)-1]
	stored, err := x.in(db).Update(t.Context(), "it", based(x.setting(name, &x.other), 1))
	must(t, err)
	same(t, revisionOf(stored), int64(2))

	for _, seen := range []int64{1, 3, -1} {
		name := names[0]
		_, err := x.in(db).Update(t.Context(), "it", based(x.setting(name, &x.other), seen))
		e := refused(t, err, nexus.CodeStale)
		same(t, e.Stored, any(stored))
		given, ok := e.Given.(*E)
		if !ok {
			t.Fatalf("Given is a %T", e.Given)
		}
		wanted := reflect.ValueOf(x.other).FieldByName(name).Interface()
		same(t, reflect.ValueOf(given).Elem().FieldByName(name).Interface(), wanted)
		if e.Hint == "" || e.Kind != x.kind || e.ID != "it" {
			t.Errorf("the refusal lacks its subject or a hint: %+v", e)
		}
		x.unchanged(t, db, stored)
	}
	// Based on what is there, it succeeds, once.
	update := based(x.setting(names[0], &x.other), 2)
	_, err = x.in(db).Update(t.Context(), "it", update)
	must(t, err)
	_, err = x.in(db).Update(t.Context(), "it", update)
	refused(t, err, nexus.CodeStale)
}

func (x *entity[E, F, U]) testUpdateInvalid(t *testing.T, db *store.DB) {
	e := with(x.full, "it")
	x.seedFull(t, db, e)
	var update U
	var want []string
	for _, name := range x.updateFields() { // all wrong at once
		var bad E
		x.spoil(&bad, "a\x00b", -1, now.AddDate(20000, 0, 0))
		one := x.setting(name, &bad)
		column := columnOf[E](name)
		switch x.columnFields()[column].Type.Kind() {
		case reflect.Bool:
			continue
		case reflect.Slice:
			column += "[0]"
		}
		copyField(&update, &one, name)
		want = append(want, column)
	}
	slices.Sort(want)
	_, err := x.in(db).Update(t.Context(), "it", update)
	same(t, problemFields(refused(t, err, nexus.CodeInvalid)), want)
	x.unchanged(t, db, e)
}

func (x *entity[E, F, U]) testUpdateTransition(t *testing.T, db *store.DB) {
	e := with(x.full, "it")
	reflect.ValueOf(e).Elem().FieldByName("Status").SetString(x.refusedStep[0])
	x.seedFull(t, db, e)
	replaced := *e
	reflect.ValueOf(&replaced).Elem().FieldByName("Status").SetString(x.refusedStep[1])
	_, updateErr := x.in(db).Update(t.Context(), "it", x.setting("Status", &replaced))
	_, upsertErr := x.in(db).Upsert(t.Context(), &replaced)
	for _, err := range []error{updateErr, upsertErr} {
		refusal := refused(t, err, nexus.CodeTransition)
		if refusal.Hint == "" || refusal.Kind != x.kind || refusal.ID != "it" {
			t.Errorf("the refusal lacks its subject or a hint: %+v", refusal)
		}
	}
	x.unchanged(t, db, e)
}

func (x *entity[E, F, U]) testCountByStatus(t *testing.T, db *store.DB) {
	rows := x.listed(t, db)
	c := x.filters[0]
	all, chosen := make(map[string]int64), make(map[string]int64)
	for i := range rows {
		status := reflect.ValueOf(rows[i]).FieldByName("Status").String()
		all[status]++
		if c.chosen(&rows[i]) {
			chosen[status]++
		}
	}
	got, err := x.byStatus(t.Context(), &db.Services, *new(F))
	must(t, err)
	same(t, got, all)
	got, err = x.byStatus(t.Context(), &db.Services, page(c.filter, nexus.Page{Limit: 1}))
	must(t, err)
	same(t, got, chosen)
	if len(all) < 2 {
		t.Error("all rows have one status: this tests nothing")
	}
}
