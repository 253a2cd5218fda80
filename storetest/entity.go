package storetest

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// entity is what the tests that all entities share must know of one of them.
type entity[E, F, U any] struct {
	kind    nexus.Kind
	letter  byte // with which its ids begin
	service func(*store.Services) *store.Service[E, F, U]

	// minimal has what a caller must give; defaulted is what becomes of it,
	// but for its id.
	minimal, defaulted E

	// full and other have every column set, to something else than its
	// default, and differ in every column that can be updated.
	full, other E

	// referred are the rows of the same kind that full and other refer to.
	referred []E

	created   string                // the field that says when it was made
	touched   string                // the field that every update sets, or ""
	heartbeat bool                  // an update that changes nothing sets it too
	effects   map[string]func(*E)   // what else the update of a field does, from full to other
	required  []string              // the columns that an update cannot clear
	changers  []string              // fields of U that change a field of another name, and are tested apart
	parents   map[string]nexus.Kind // the fields that refer to other rows
	planScope string                // the field within which a plan key is unique; "" is everywhere

	vary    func(i int, e *E) // makes the rows of a list different
	orders  []string          // besides id
	filters []filter[E, F]

	// refusedStep is a step that the state machine of its status refuses.
	refusedStep [2]string
	byStatus    func(context.Context, *store.Services, F) (map[string]int64, error)
}

// filter is a filter and what it should choose.
type filter[E, F any] struct {
	filter F
	chosen func(*E) bool
}

func (x *entity[E, F, U]) tests() map[string]test {
	tests := map[string]test{
		"Guard":             x.testGuard,
		"CreateDefaults":    x.testCreateDefaults,
		"CreateFull":        x.testCreateFull,
		"CreateMany":        x.testCreateMany,
		"CreateDuplicate":   x.testCreateDuplicate,
		"CreateInvalid":     x.testCreateInvalid,
		"NotFound":          x.testNotFound,
		"Filters":           x.testFilters,
		"Orders":            x.testOrders,
		"Pages":             x.testPages,
		"PagesWhileWriting": x.testPagesWhileWriting,
		"ForeignCursor":     x.testForeignCursor,
		"All":               x.testAll,
		"UpdateFields":      x.testUpdateFields,
		"UpdateClears":      x.testUpdateClears,
		"UpdateSame":        x.testUpdateSame,
		"UpdateStale":       x.testUpdateStale,
		"UpdateInvalid":     x.testUpdateInvalid,
		"Upsert":            x.testUpsert,
		"UpsertSame":        x.testUpsertSame,
		"UpsertStale":       x.testUpsertStale,
		"Delete":            x.testDelete,
		"Resolve":           x.testResolve,
		"ReadInView":        x.testReadInView,
	}
	if len(x.parents) > 0 {
		tests["MissingParent"] = x.testMissingParent
	}
	if x.hasStatus() {
		tests["UpdateTransition"] = x.testUpdateTransition
		tests["CountByStatus"] = x.testCountByStatus
	}
	if _, ok := reflect.TypeFor[E]().FieldByName("PlanKey"); ok {
		tests["PlanKey"] = x.testPlanKey
	}
	return tests
}

func (x *entity[E, F, U]) hasStatus() bool { return x.refusedStep != [2]string{} }

// in returns the entity's service.
func (x *entity[E, F, U]) in(db *store.DB) *store.Service[E, F, U] { return x.service(&db.Services) }

// field returns a pointer to the field of a struct that p points to. Tests may
// use reflection where the store does not: it spares nine accessors each.
func field[T any](p any, name string) *T {
	return reflect.ValueOf(p).Elem().FieldByName(name).Addr().Interface().(*T)
}

func idOf(e any) string      { return *field[string](e, "ID") }
func revisionOf(e any) int64 { return *field[int64](e, "Revision") }
func with[E any](e E, id string) *E {
	*field[string](&e, "ID") = id
	return &e
}

// page returns the filter with a page.
func page[F any](f F, p nexus.Page) F {
	*field[nexus.Page](&f, "Page") = p
	return f
}

// based returns the update, based on a revision.
func based[U any](u U, revision int64) U {
	*field[int64](&u, "Revision") = revision
	return u
}

// updateFields returns the names of the fields that an update sets, which are
// those that U and E share.
func (x *entity[E, F, U]) updateFields() (names []string) {
	for f := range reflect.TypeFor[U]().Fields() {
		if _, shared := reflect.TypeFor[E]().FieldByName(f.Name); shared && f.Name != "Revision" {
			names = append(names, f.Name)
		}
	}
	return names
}

// columnOf returns the name of the column, which is that in JSON, of a field.
func columnOf[E any](name string) string {
	f, _ := reflect.TypeFor[E]().FieldByName(name)
	column, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return column
}

// columnFields returns the fields of E that are columns, by name.
func (x *entity[E, F, U]) columnFields() map[string]reflect.StructField {
	found := make(map[string]reflect.StructField)
	columns := store.Columns(x.kind)
	for f := range reflect.TypeFor[E]().Fields() {
		name := columnOf[E](f.Name)
		if slices.ContainsFunc(columns, func(c store.Column) bool { return c.Name == name }) {
			found[name] = f
		}
	}
	return found
}

// setting returns an update that sets one field to the value it has in e.
func (x *entity[E, F, U]) setting(name string, e *E) (u U) {
	to := reflect.ValueOf(&u).Elem().FieldByName(name)
	from := reflect.ValueOf(e).Elem().FieldByName(name)
	if from.Kind() == reflect.Pointer {
		to.Set(from)
	} else {
		to.Set(reflect.New(from.Type()))
		to.Elem().Set(from)
	}
	return u
}

// copyField sets a field of dst to its value in src.
func copyField(dst, src any, name string) {
	reflect.ValueOf(dst).Elem().FieldByName(name).Set(reflect.ValueOf(src).Elem().FieldByName(name))
}

// touch sets what every update sets.
func (x *entity[E, F, U]) touch(e *E) {
	if x.touched != "" {
		*field[time.Time](e, x.touched) = now
	}
}

// seed stores what an entity of this kind may refer to: projects p1 and p2,
// features f1 of p1 and f2 of p2, and sub-features u1 of f1 and u2 of f2.
func seed(t *testing.T, db *store.DB, kind nexus.Kind) {
	t.Helper()
	if kind == nexus.KindProject || kind == nexus.KindAgent {
		return
	}
	for _, id := range []string{"p1", "p2"} {
		must(t, db.Projects.Create(t.Context(), with(projects.minimal, id)))
	}
	if kind != nexus.KindSubFeature && kind != nexus.KindTask {
		return
	}
	must(t, db.Features.CreateMany(t.Context(), []*nexus.Feature{
		{ID: "f1", ProjectID: "p1", Name: "f"},
		{ID: "f2", ProjectID: "p2", Name: "f"},
		{ID: "f3", ProjectID: "p2", Name: "f"},
	}))
	if kind == nexus.KindTask {
		must(t, db.SubFeatures.CreateMany(t.Context(), []*nexus.SubFeature{
			{ID: "u1", FeatureID: "f1", Name: "u"},
			{ID: "u2", FeatureID: "f2", Name: "u"},
			{ID: "u3", FeatureID: "f3", Name: "u"},
		}))
	}
}

// seedRows stores what the entity may refer to and then the entity's rows.
func (x *entity[E, F, U]) seedRows(t *testing.T, db *store.DB, rows ...*E) {
	t.Helper()
	seed(t, db, x.kind)
	must(t, x.in(db).CreateMany(t.Context(), rows))
}

// seedFull stores what full and other refer to, and then the entity's rows.
func (x *entity[E, F, U]) seedFull(t *testing.T, db *store.DB, rows ...*E) {
	t.Helper()
	x.seedRows(t, db)
	for i := range x.referred {
		must(t, x.in(db).Create(t.Context(), with(x.referred[i], idOf(&x.referred[i]))))
	}
	must(t, x.in(db).CreateMany(t.Context(), rows))
}

// listBesides lists all rows but those that seedFull has stored.
func (x *entity[E, F, U]) listBesides(t *testing.T, db *store.DB) []E {
	t.Helper()
	list, err := x.in(db).List(t.Context(), *new(F))
	must(t, err)
	return slices.DeleteFunc(list, func(e E) bool {
		return slices.ContainsFunc(x.referred, func(r E) bool { return idOf(&r) == idOf(&e) })
	})
}

// mustGet reads a row that is there.
func (x *entity[E, F, U]) mustGet(t *testing.T, db *store.DB, id string) *E {
	t.Helper()
	e, err := x.in(db).Get(t.Context(), id)
	must(t, err)
	return e
}

// unchanged fails the test unless the row is as it was.
func (x *entity[E, F, U]) unchanged(t *testing.T, db *store.DB, want *E) {
	t.Helper()
	same(t, x.mustGet(t, db, idOf(want)), want)
}

// isNull reports which columns of a row are NULL.
func isNull(t *testing.T, db *store.DB, kind nexus.Kind, id string) map[string]bool {
	t.Helper()
	null := make(map[string]bool)
	must(t, db.View(t.Context(), func(tx *store.Tx) error {
		return tx.Query(t.Context(), "SELECT * FROM "+kind.Table()+" WHERE id = $1", []any{id}, func(r driver.Row) error {
			for i, name := range r.Columns() {
				null[name] = r.IsNull(i)
			}
			return nil
		})
	}))
	return null
}

func must(t fataler, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// same fails the test unless two values are equal.
func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("not what it should be (-want +got):\n%s", diff)
	}
}

// sameJSON fails the test unless two values are shown alike: unlike same, it
// tells time zones apart.
func sameJSON(t *testing.T, got, want any) {
	t.Helper()
	gotText, err := json.Marshal(got)
	must(t, err)
	wantText, err := json.Marshal(want)
	must(t, err)
	same(t, string(gotText), string(wantText))
}

// refused fails the test unless err is a *nexus.Error with the code, and returns
// it.
func refused(t *testing.T, err error, code nexus.Code) *nexus.Error {
	t.Helper()
	e, ok := err.(*nexus.Error)
	if !ok {
		t.Fatalf("got error %v (%T), want a *nexus.Error with code %s", err, err, code)
	}
	if e.Code != code {
		t.Fatalf("got code %s (%v), want %s", e.Code, err, code)
	}
	return e
}

// problemFields returns the distinct fields that an error complains of, sorted.
func problemFields(e *nexus.Error) []string {
	var names []string
	for _, p := range e.Problems {
		names = append(names, p.Field)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
