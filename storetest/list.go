package storetest

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// rowsListed is how many rows the tests of lists have: enough for every
// combination that vary makes, and for ties in every order.
const rowsListed = 30

// listed stores rows and returns them in the order of their ids, which is not
// that in which they were stored.
func (x *entity[E, F, U]) listed(t *testing.T, db *store.DB) []E {
	t.Helper()
	var stored []*E
	for i := range rowsListed {
		e := with(x.minimal, fmt.Sprintf("row-%02d", i*7%rowsListed))
		x.vary(i, e)
		stored = append(stored, e)
	}
	x.seedRows(t, db, stored...)
	var rows []E
	for _, e := range stored {
		rows = append(rows, *e)
	}
	slices.SortFunc(rows, func(a, b E) int { return strings.Compare(idOf(&a), idOf(&b)) })
	return rows
}

// sorted returns rows in an order. Texts are ordered by their bytes, and
// priorities by how much they matter.
func (x *entity[E, F, U]) sorted(rows []E, order string, descending bool) []E {
	rows = slices.Clone(rows)
	f := x.columnFields()[order]
	slices.SortFunc(rows, func(a, b E) int {
		va, vb := reflect.ValueOf(a).FieldByIndex(f.Index), reflect.ValueOf(b).FieldByIndex(f.Index)
		c := 0
		switch first := va.Interface().(type) {
		case time.Time:
			c = first.Compare(vb.Interface().(time.Time))
		case nexus.TaskPriority:
			rank := func(p any) int { return slices.Index(nexus.TaskPriorities(), p.(nexus.TaskPriority)) }
			c = rank(first) - rank(vb.Interface())
		default:
			c = strings.Compare(va.String(), vb.String())
		}
		if c == 0 {
			c = strings.Compare(idOf(&a), idOf(&b))
		}
		if descending {
			c = -c
		}
		return c
	})
	return rows
}

func (x *entity[E, F, U]) testFilters(t *testing.T, db *store.DB) {
	rows := x.listed(t, db)
	var zero F
	all := filter[E, F]{zero, func(*E) bool { return true }}
	for _, c := range append([]filter[E, F]{all}, x.filters...) {
		want := slices.DeleteFunc(slices.Clone(rows), func(e E) bool { return !c.chosen(&e) })
		got, err := x.in(db).List(t.Context(), c.filter)
		must(t, err)
		if diff := gocmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
			t.Errorf("%+v (-want +got):\n%s", c.filter, diff)
		}
		// The page does not matter to a count.
		n, err := x.in(db).Count(t.Context(), page(c.filter, nexus.Page{Limit: 1, Descending: true}))
		must(t, err)
		if n != int64(len(want)) {
			t.Errorf("Count(%+v) is %d, want %d", c.filter, n, len(want))
		}
	}
	for i, c := range x.filters {
		n := len(slices.DeleteFunc(slices.Clone(rows), func(e E) bool { return !c.chosen(&e) }))
		if n == len(rows) {
			t.Errorf("filter %d leaves nothing out: it tests nothing", i)
		}
	}
}

func (x *entity[E, F, U]) testOrders(t *testing.T, db *store.DB) {
	rows := x.listed(t, db)
	for column := range x.columnFields() {
		for _, descending := range []bool{false, true} {
			p := nexus.Page{OrderBy: column, Descending: descending}
			got, err := x.in(db).List(t.Context(), page(*new(F), p))
			if column != "id" && !slices.Contains(x.orders, column) {
				same(t, problemFields(refused(t, err, nexus.CodeInvalid)), []string{"order_by"})
				continue
			}
			must(t, err)
			want := x.sorted(rows, column, descending)
			same(t, got, want)

			p.Limit = 7
			got, err = x.in(db).List(t.Context(), page(*new(F), p))
			must(t, err)
			same(t, got, want[:7])
		}
	}
	for _, order := range []string{"nonsense", "id; DROP TABLE tasks", "rowid", "ID"} {
		_, err := x.in(db).List(t.Context(), page(*new(F), nexus.Page{OrderBy: order}))
		same(t, problemFields(refused(t, err, nexus.CodeInvalid)), []string{"order_by"})
		_, err = x.in(db).Cursor(nexus.Page{OrderBy: order}, &rows[0])
		same(t, problemFields(refused(t, err, nexus.CodeInvalid)), []string{"order_by"})
	}
}

// pages lists page after page; between, if not nil, runs after each.
func (x *entity[E, F, U]) pages(t *testing.T, db *store.DB, f F, p nexus.Page, between func()) (all []E) {
	t.Helper()
	for range 10 * rowsListed { // a cursor that does not move must not hang the test
		list, err := x.in(db).List(t.Context(), page(f, p))
		must(t, err)
		if p.Limit > 0 && len(list) > p.Limit {
			t.Fatalf("a page of %d has %d rows", p.Limit, len(list))
		}
		all = append(all, list...)
		if len(list) == 0 {
			return all
		}
		if p.Cursor, err = x.in(db).Cursor(p, &list[len(list)-1]); err != nil {
			t.Fatal(err)
		}
		if between != nil {
			between()
		}
	}
	t.Fatalf("%+v: the list does not end", p)
	return nil
}

func (x *entity[E, F, U]) testPages(t *testing.T, db *store.DB) {
	rows := x.listed(t, db)
	for _, order := range append([]string{"", "id"}, x.orders...) {
		for _, descending := range []bool{false, true} {
			for _, limit := range []int{1, 4, rowsListed, rowsListed + 1, 0} {
				p := nexus.Page{OrderBy: order, Descending: descending, Limit: limit}
				want := x.sorted(rows, cmp.Or(order, "id"), descending)
				if diff := gocmp.Diff(want, x.pages(t, db, *new(F), p, nil)); diff != "" {
					t.Errorf("pages of %+v (-want +got):\n%s", p, diff)
				}
			}
		}
	}
	// With a filter the cursor counts only what the filter chooses.
	c := x.filters[0]
	want := slices.DeleteFunc(slices.Clone(rows), func(e E) bool { return !c.chosen(&e) })
	same(t, x.pages(t, db, c.filter, nexus.Page{Limit: 2}, nil), want)
}

// testPagesWhileWriting checks what a cursor is better at than an offset: rows
// that come and go between two pages make no other row appear twice or never.
func (x *entity[E, F, U]) testPagesWhileWriting(t *testing.T, db *store.DB) {
	rows := x.listed(t, db)
	last := 0
	got := x.pages(t, db, *new(F), nexus.Page{Limit: 4}, func() {
		must(t, x.in(db).Create(t.Context(), with(x.minimal, fmt.Sprintf("before-%d", last)))) // sorts before "row-"
		must(t, x.in(db).Delete(t.Context(), idOf(&rows[last])))                               // has been listed
		last++
	})
	same(t, got, rows)
}

func (x *entity[E, F, U]) testForeignCursor(t *testing.T, db *store.DB) {
	rows := x.listed(t, db)
	cursor := func(p nexus.Page) string {
		c, err := x.in(db).Cursor(p, &rows[3])
		must(t, err)
		return c
	}
	order := x.orders[0]
	for _, p := range []nexus.Page{
		{OrderBy: order, Cursor: cursor(nexus.Page{})},
		{Cursor: cursor(nexus.Page{OrderBy: order})},
		{Cursor: cursor(nexus.Page{Descending: true})},
		{OrderBy: order, Descending: true, Cursor: cursor(nexus.Page{OrderBy: order})},
		{Cursor: "row-03"},
		{Cursor: "!"},
		{Cursor: "e30"}, // {}
		{Cursor: "eyJvIjoiaWQ"},
		{Cursor: strings.Repeat("A", 1<<20)},
	} {
		_, err := x.in(db).List(t.Context(), page(*new(F), p))
		e := refused(t, err, nexus.CodeInvalid)
		same(t, problemFields(e), []string{"cursor"})
		if e.Hint == "" {
			t.Error("the refusal of a cursor does not say what to do")
		}
	}
	// "" and "id" are the same order.
	_, err := x.in(db).List(t.Context(), page(*new(F), nexus.Page{OrderBy: "id", Cursor: cursor(nexus.Page{})}))
	must(t, err)
}

func (x *entity[E, F, U]) testAll(t *testing.T, db *store.DB) {
	rows := x.listed(t, db)
	s, ctx := x.in(db), t.Context()
	filter := page(*new(F), nexus.Page{Descending: true, Limit: rowsListed - 1})
	want := x.sorted(rows, "id", true)[:rowsListed-1]

	var got []E
	for e, err := range s.All(ctx, filter) {
		must(t, err)
		got = append(got, *e)
	}
	same(t, got, want)

	// Leaving early gives back whatever the iteration holds, many times over.
	for range 50 {
		for e, err := range s.All(ctx, filter) {
			must(t, err)
			same(t, e, &want[0])
			break
		}
	}

	// The rows are of one moment, whatever is written meanwhile.
	var seen []string
	for e, err := range s.All(ctx, *new(F)) {
		must(t, err)
		seen = append(seen, idOf(e))
		must(t, s.Create(ctx, with(x.minimal, "z-"+idOf(e))))
		must(t, s.Delete(ctx, idOf(e)))
	}
	var ids []string
	for i := range rows {
		ids = append(ids, idOf(&rows[i]))
	}
	same(t, seen, ids)

	// An error is the last thing that comes.
	count := 0
	for e, err := range s.All(ctx, page(*new(F), nexus.Page{OrderBy: "nonsense"})) {
		count++
		refused(t, err, nexus.CodeInvalid)
		if e != nil {
			t.Error("a row came with the error")
		}
	}
	same(t, count, 1)
}
