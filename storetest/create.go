package storetest

import (
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// testGuard checks the tests themselves: that their entities have a value in
// every column, that each update changes something, and that no filter is
// forgotten. It fails when a column or a filter is added and not tested.
func (x *entity[E, F, U]) testGuard(t *testing.T, _ *store.DB) {
	columns := x.columnFields()
	for _, c := range store.Columns(x.kind) {
		if _, ok := columns[c.Name]; !ok {
			t.Errorf("column %s has no field in %T", c.Name, x.full)
		}
	}
	full, other, defaulted := reflect.ValueOf(x.full), reflect.ValueOf(x.other), reflect.ValueOf(x.defaulted)
	for column, f := range columns {
		if f.Name == "ID" || f.Name == "Revision" {
			continue
		}
		for what, v := range map[string]reflect.Value{"full": full, "other": other} {
			if v.FieldByIndex(f.Index).IsZero() && f.Type.Kind() != reflect.Bool {
				t.Errorf("%s has no %s", what, column)
			}
		}
		if cmp.Equal(full.FieldByIndex(f.Index).Interface(), defaulted.FieldByIndex(f.Index).Interface()) {
			t.Errorf("full has the default in %s", column)
		}
	}
	for f := range reflect.TypeFor[U]().Fields() {
		if f.Name != "Revision" && !slices.Contains(x.updateFields(), f.Name) && !slices.Contains(x.changers, f.Name) {
			t.Errorf("no test uses the update %s", f.Name)
		}
	}
	for _, name := range x.updateFields() {
		if cmp.Equal(full.FieldByName(name).Interface(), other.FieldByName(name).Interface()) {
			t.Errorf("full and other have the same %s", name)
		}
	}
	for f := range reflect.TypeFor[F]().Fields() {
		used := slices.ContainsFunc(x.filters, func(c filter[E, F]) bool {
			return !reflect.ValueOf(c.filter).FieldByIndex(f.Index).IsZero()
		})
		if !used && f.Name != "Page" {
			t.Errorf("no test uses the filter %s", f.Name)
		}
	}
}

var madeID = regexp.MustCompile(`^[a-z][0-9abcdefghjkmnpqrstvwxyz]{15}$`)

func (x *entity[E, F, U]) testCreateDefaults(t *testing.T, db *store.DB) {
	seed(t, db, x.kind)
	e := x.minimal
	must(t, x.in(db).Create(t.Context(), &e))
	id := idOf(&e)
	if !madeID.MatchString(id) || id[0] != x.letter {
		t.Errorf("made the id %q; want 16 characters that begin with %c", id, x.letter)
	}
	same(t, &e, with(x.defaulted, id))
	got := x.mustGet(t, db, id)
	same(t, got, &e)
	sameJSON(t, got, &e)

	// What was not given is NULL, so that other programs find what they expect.
	null := isNull(t, db, x.kind, id)
	for _, c := range store.Columns(x.kind) {
		if want := c.Nullable && c.Default == ""; null[c.Name] != want {
			t.Errorf("column %s: NULL is %v, want %v", c.Name, null[c.Name], want)
		}
	}
}

func (x *entity[E, F, U]) testCreateFull(t *testing.T, db *store.DB) {
	x.seedFull(t, db)
	id := "an id, 'quoted' \"twice\" %_ ünï🦀"
	e := with(x.full, id)
	want := with(x.full, id)
	*field[int64](want, "Revision") = 1
	must(t, x.in(db).Create(t.Context(), e))
	same(t, e, want)
	got := x.mustGet(t, db, id)
	same(t, got, want)
	sameJSON(t, got, want)
	for column, null := range isNull(t, db, x.kind, id) {
		if _, known := x.columnFields()[column]; null && known {
			t.Errorf("column %s is NULL", column)
		}
	}
}

func (x *entity[E, F, U]) testCreateMany(t *testing.T, db *store.DB) {
	seed(t, db, x.kind)
	s := x.in(db)
	must(t, s.CreateMany(t.Context(), nil))

	const n = 300
	rows := make([]*E, n)
	for i := range rows {
		rows[i] = with(x.minimal, "")
	}
	must(t, s.CreateMany(t.Context(), rows))
	var zero F
	list, err := s.List(t.Context(), zero)
	must(t, err)
	if len(list) != n {
		t.Fatalf("%d rows are there, want %d", len(list), n)
	}
	for i := range list { // ids sort in the order in which they were made
		same(t, &list[i], rows[i])
	}

	// One that is taken, and one that is invalid, keep all out.
	taken := idOf(rows[17])
	err = s.CreateMany(t.Context(), []*E{with(x.minimal, "new-1"), with(x.minimal, "new-2"), with(x.minimal, taken)})
	if e := refused(t, err, nexus.CodeExists); e.ID != taken || e.Kind != x.kind {
		t.Errorf("the error is about %s %q, want %s %q", e.Kind, e.ID, x.kind, taken)
	}
	err = s.CreateMany(t.Context(), []*E{with(x.minimal, "new-1"), with(x.minimal, "bad\x00id")})
	refused(t, err, nexus.CodeInvalid)
	count, err := s.Count(t.Context(), zero)
	must(t, err)
	same(t, count, int64(n))
}

func (x *entity[E, F, U]) testCreateDuplicate(t *testing.T, db *store.DB) {
	first := with(x.full, "same")
	x.seedFull(t, db, first)
	second := with(x.minimal, "same")
	e := refused(t, x.in(db).Create(t.Context(), second), nexus.CodeExists)
	same(t, []string{string(e.Kind), e.ID, e.Message}, []string{string(x.kind), "same", "exists already"})
	x.unchanged(t, db, first)
}

// spoil sets every field that is a column to a value that is wrong for it, and
// returns the columns that must be complained of, sorted.
func (x *entity[E, F, U]) spoil(e *E, text string, number int64, when time.Time) (columns []string) {
	for column, f := range x.columnFields() {
		v := reflect.ValueOf(e).Elem().FieldByIndex(f.Index)
		switch p := v.Addr().Interface().(type) {
		case *time.Time:
			*p = when
		case *[]string:
			*p = []string{"-" + text} // not the row itself
			column += "[0]"
		case **int:
			*p = new(int)
			**p = int(number)
		case *float64:
			*p = math.NaN()
		default:
			switch {
			case column == "revision" || v.Kind() == reflect.Bool:
				continue // no value of these is wrong
			case v.CanInt():
				v.SetInt(number)
			default:
				v.SetString(text)
			}
		}
		columns = append(columns, column)
	}
	slices.Sort(columns)
	return columns
}

func (x *entity[E, F, U]) testCreateInvalid(t *testing.T, db *store.DB) {
	seed(t, db, x.kind)
	for name, text := range map[string]string{
		"NUL":           "a\x00b",
		"invalid UTF-8": "a\xffb",
		"too long":      strings.Repeat("x", nexus.MaxText+1),
	} {
		var e E
		want := x.spoil(&e, text, -1, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))
		err := refused(t, x.in(db).Create(t.Context(), &e), nexus.CodeInvalid)
		if diff := cmp.Diff(want, problemFields(err)); diff != "" {
			t.Errorf("%s: not all problems at once (-want +got):\n%s", name, diff)
		}
		const longest = 400
		for _, p := range err.Problems {
			if len(p.String()) > longest {
				t.Errorf("%s: the problem of %s is told in %d bytes", name, p.Field, len(p.String()))
			}
		}
	}
	var zero F
	count, err := x.in(db).Count(t.Context(), zero)
	must(t, err)
	same(t, count, int64(0))
}

func (x *entity[E, F, U]) testNotFound(t *testing.T, db *store.DB) {
	x.seedRows(t, db, with(x.minimal, "there"))
	s, ctx := x.in(db), t.Context()
	var update U
	calls := map[string]func(id string) error{
		"Get":     func(id string) error { _, err := s.Get(ctx, id); return err },
		"Update":  func(id string) error { _, err := s.Update(ctx, id, update); return err },
		"Delete":  func(id string) error { return s.Delete(ctx, id) },
		"Resolve": func(id string) error { _, err := s.Resolve(ctx, id); return err },
	}
	for name, call := range calls {
		for _, id := range []string{"not there", "THERE", "there ", "ther_", "%", ""} {
			e := refused(t, call(id), nexus.CodeNotFound)
			if e.Kind != x.kind || e.ID != id {
				t.Errorf("%s(%q): the error is about %s %q", name, id, e.Kind, e.ID)
			}
		}
	}
}

func (x *entity[E, F, U]) testMissingParent(t *testing.T, db *store.DB) {
	there := with(x.full, "there")
	x.seedFull(t, db, there)
	for name, kind := range x.parents {
		e := with(x.minimal, "new")
		*field[string](e, name) = "nobody"
		calls := map[string]func() error{
			"Create":     func() error { return x.in(db).Create(t.Context(), e) },
			"CreateMany": func() error { return x.in(db).CreateMany(t.Context(), []*E{with(x.minimal, "before"), e}) },
			"Upsert":     func() error { _, err := x.in(db).Upsert(t.Context(), e); return err },
		}
		if slices.Contains(x.updateFields(), name) {
			calls["Update"] = func() error {
				_, err := x.in(db).Update(t.Context(), "there", x.setting(name, e))
				return err
			}
		}
		for call, do := range calls {
			err := refused(t, do(), nexus.CodeReference)
			if want := string(kind) + " nobody"; !strings.Contains(err.Message, want) {
				t.Errorf("%s: %q does not name the missing %s", call, err.Message, want)
			}
		}
	}
	same(t, x.listBesides(t, db), []E{*there})
}

func (x *entity[E, F, U]) testPlanKey(t *testing.T, db *store.DB) {
	keyed := func(id, key, scope string) *E {
		e := with(x.minimal, id)
		*field[string](e, "PlanKey") = key
		if x.planScope != "" {
			*field[string](e, x.planScope) = scope
		}
		return e
	}
	scope := ""
	if x.planScope != "" {
		scope = *field[string](&x.minimal, x.planScope)
	}
	// Any number of rows may have none.
	x.seedRows(t, db, keyed("a", "key", scope), keyed("b", "", scope), keyed("c", "", scope))

	err := refused(t, x.in(db).Create(t.Context(), keyed("d", "key", scope)), nexus.CodeExists)
	if !strings.Contains(err.Message, "plan_key") {
		t.Errorf("%q does not say that it is the plan_key that is taken", err.Message)
	}
	if x.planScope == "" {
		return
	}
	elsewhere := *field[string](&x.full, x.planScope)
	must(t, x.in(db).Create(t.Context(), keyed("e", "key", elsewhere)))
}

// testReadInView checks that a transaction has the same services.
func (x *entity[E, F, U]) testReadInView(t *testing.T, db *store.DB) {
	want := with(x.full, "it")
	x.seedFull(t, db, want)
	must(t, db.View(t.Context(), func(tx *store.Tx) error {
		s := x.service(&tx.Services)
		got, err := s.Get(t.Context(), "it")
		must(t, err)
		same(t, got, want)
		id, err := s.Resolve(t.Context(), "i")
		must(t, err)
		same(t, id, "it")

		refused(t, s.Create(t.Context(), with(x.other, "new")), nexus.CodeReadOnly)
		refused(t, s.Delete(t.Context(), "it"), nexus.CodeReadOnly)
		_, err = s.Update(t.Context(), "it", x.setting(x.updateFields()[0], &x.other))
		refused(t, err, nexus.CodeReadOnly)
		return nil
	}))
	x.unchanged(t, db, want)
}
