package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

var dependencyTests = map[string]test{
	"Follow":         testDerivedFollows,
	"OddLists":       testOddDependencies,
	"Unknown":        testUnknownDependency,
	"Cycles":         testDependencyCycles,
	"TemporaryCycle": testTemporaryCycle,
	"ForeignFaults":  testForeignDependencies,
	"Change":         testChangeDependencies,
	"Delete":         testDeleteDependedOn,
	"DeleteProject":  testDeleteProjectDependedOn,
	"Features":       testFeaturesFollowTasks,
	"Many":           testManyTasks,
	"FeaturesOfMany": testFeaturesOfMany,
}

// exec runs a statement as a program does that knows only the contract.
func exec(t *testing.T, db *store.DB, sql string, args ...any) {
	t.Helper()
	must(t, db.InTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), sql, args...)
		return err
	}))
}

// depending stores tasks of p1, each with what it depends on: "a", "b a", "c a b".
func depending(t *testing.T, db *store.DB, tasks ...string) {
	t.Helper()
	seed(t, db, nexus.KindTask)
	var list []*nexus.Task
	for _, task := range tasks {
		ids := strings.Fields(task)
		list = append(list, &nexus.Task{ID: ids[0], ProjectID: "p1", Name: "n", DependsOn: ids[1:]})
	}
	must(t, db.Tasks.CreateMany(t.Context(), list))
}

// derivedAreRight fails the test unless all derived data is right.
func derivedAreRight(t *testing.T, db *store.DB) {
	t.Helper()
	if err := CheckDerived(t.Context(), db); err != nil {
		t.Error(err)
	}
}

// openDependencies returns what the database counts.
func openDependencies(t *testing.T, db *store.DB, id string) (n int) {
	t.Helper()
	must(t, db.View(t.Context(), func(tx *store.Tx) error {
		return tx.Query(t.Context(), "SELECT open_dependencies FROM tasks WHERE id = $1", []any{id}, func(r driver.Row) error {
			n = int(r.Int(0))
			return nil
		})
	}))
	return n
}

// testUnknownDependency names tasks that do not exist: they must by the end of
// the transaction.
func testUnknownDependency(t *testing.T, db *store.DB) {
	depending(t, db, "a", "b a")
	ctx := t.Context()
	before := tasks.mustGet(t, db, "b")
	for name, call := range map[string]func(s *store.Services, on ...string) error{
		"Create": func(s *store.Services, on ...string) error {
			return s.Tasks.Create(ctx, &nexus.Task{ID: "it", ProjectID: "p1", Name: "n", DependsOn: on})
		},
		"CreateMany": func(s *store.Services, on ...string) error {
			return s.Tasks.CreateMany(ctx, []*nexus.Task{
				{ID: "first", ProjectID: "p1", Name: "n"}, {ID: "it", ProjectID: "p1", Name: "n", DependsOn: on},
			})
		},
		"Upsert": func(s *store.Services, on ...string) error {
			_, err := s.Tasks.Upsert(ctx, &nexus.Task{ID: "b", ProjectID: "p1", Name: "n", DependsOn: append(on, "a")})
			return err
		},
		"Update": func(s *store.Services, on ...string) error {
			_, err := s.Tasks.Update(ctx, "b", nexus.TaskUpdate{DependsOn: &on})
			return err
		},
		"Add": func(s *store.Services, on ...string) error {
			_, err := s.Tasks.Update(ctx, "b", nexus.TaskUpdate{AddDependsOn: on})
			return err
		},
	} {
		for on, want := range map[string]string{
			"nobody":     "depends on task nobody, which does not exist",
			"nobody no1": "depends on tasks that do not exist: no1, nobody",
		} {
			e := refused(t, call(&db.Services, strings.Fields(on)...), nexus.CodeReference)
			if e.Kind != nexus.KindTask || e.ID != "it" && e.ID != "b" || e.Message != want || e.Hint == "" {
				t.Errorf("%s: the refusal is %+v, want %q", name, e, want)
			}
			// In a transaction the call itself is not refused, but that is.
			err := db.InTx(ctx, func(tx *store.Tx) error {
				must(t, call(&tx.Services, strings.Fields(on)...))
				return nil
			})
			same(t, refused(t, err, nexus.CodeReference).Message, want)
		}
		n, err := db.Tasks.Count(ctx, nexus.TaskFilter{})
		must(t, err)
		same(t, n, int64(2))
		tasks.unchanged(t, db, before)

		// Undone in time, or created in time.
		must(t, db.InTx(ctx, func(tx *store.Tx) error {
			err := tx.InTx(ctx, func(tx *store.Tx) error {
				must(t, call(&tx.Services, "later"))
				return errStop
			})
			same(t, errors.Is(err, errStop), true)
			return nil
		}))
		must(t, db.InTx(ctx, func(tx *store.Tx) error {
			must(t, call(&tx.Services, "later"))
			return tx.Tasks.Create(ctx, &nexus.Task{ID: "later", ProjectID: "p2", Name: "n"})
		}))
		derivedAreRight(t, db)
		exec(t, db, "DELETE FROM tasks")
		must(t, db.Tasks.CreateMany(ctx, []*nexus.Task{
			{ID: "a", ProjectID: "p1", Name: "n"}, {ID: "b", ProjectID: "p1", Name: "n", DependsOn: []string{"a"}},
		}))
	}
}

func testDependencyCycles(t *testing.T, db *store.DB) {
	depending(t, db, "a", "b a", "c b", "d c", "e d")
	ctx := t.Context()
	revisions := func() (all []int64) {
		for task, err := range db.Tasks.All(ctx, nexus.TaskFilter{}) {
			must(t, err)
			all = append(all, task.Revision)
		}
		return all
	}
	before := revisions()
	for last, way := range map[string]string{
		"b": "a → b → a",
		"c": "a → c → b → a",
		"e": "a → e → d → c → b → a",
	} {
		on := []string{last}
		for name, call := range map[string]func(s *store.Services) error{
			"Update": func(s *store.Services) error {
				_, err := s.Tasks.Update(ctx, "a", nexus.TaskUpdate{DependsOn: &on})
				return err
			},
			"Add": func(s *store.Services) error {
				_, err := s.Tasks.Update(ctx, "a", nexus.TaskUpdate{AddDependsOn: on})
				return err
			},
			"Upsert": func(s *store.Services) error {
				_, err := s.Tasks.Upsert(ctx, &nexus.Task{ID: "a", ProjectID: "p1", Name: "n", DependsOn: on})
				return err
			},
		} {
			e := refused(t, call(&db.Services), nexus.CodeInvalid)
			want := []nexus.Problem{{Field: "depends_on", Message: "is a cycle: " + way}}
			same(t, e.Problems, want)
			same(t, []string{string(e.Kind), e.ID, e.Hint}, []string{"task", "a", "nothing was changed"})

			err := db.InTx(ctx, func(tx *store.Tx) error {
				must(t, project(ctx, &tx.Services, "new"))
				must(t, call(&tx.Services)) // at the end
				return nil
			})
			if e := refused(t, err, nexus.CodeInvalid); !strings.Contains(e.Error(), way) {
				t.Errorf("%s: %v does not show %s", name, e, way)
			}
			_, err = db.Projects.Get(ctx, "new")
			refused(t, err, nexus.CodeNotFound)
		}
	}
	same(t, revisions(), before)

	// New ones are none either, whatever their order, and of however many calls.
	cycle := []*nexus.Task{
		{ID: "x", ProjectID: "p1", Name: "n", DependsOn: []string{"y"}}, {ID: "y", ProjectID: "p1", Name: "n", DependsOn: []string{"e", "x"}},
	}
	refused(t, db.Tasks.CreateMany(ctx, cycle), nexus.CodeInvalid)
	err := db.InTx(ctx, func(tx *store.Tx) error {
		must(t, tx.Tasks.Create(ctx, cycle[0]))
		must(t, tx.Tasks.Create(ctx, cycle[1]))
		return nil
	})
	refused(t, err, nexus.CodeInvalid)
	err = db.InTx(ctx, func(tx *store.Tx) error {
		must(t, tx.Tasks.Create(ctx, &nexus.Task{ID: "x", ProjectID: "p2", Name: "n"}))
		for _, edge := range [][2]string{{"x", "e"}, {"a", "x"}} {
			_, err := tx.Tasks.Update(ctx, edge[0], nexus.TaskUpdate{AddDependsOn: edge[1:]})
			must(t, err)
		}
		return nil
	})
	refused(t, err, nexus.CodeInvalid)

	// Two ways to the same task are no cycle.
	_, err = db.Tasks.Update(ctx, "e", nexus.TaskUpdate{AddDependsOn: []string{"a", "b", "c"}})
	must(t, err)

	// A long one is refused as well, and shown on one line.
	var chain []*nexus.Task
	const length = 2000
	for i := range length {
		chain = append(chain, &nexus.Task{
			ID: fmt.Sprint("chain-", i), ProjectID: "p1", Name: "n", DependsOn: []string{fmt.Sprint("chain-", (i+1)%length)},
		})
	}
	e := refused(t, db.Tasks.CreateMany(ctx, chain), nexus.CodeInvalid)
	if !strings.Contains(e.Error(), "1981 more") || len(e.Error()) > 400 {
		t.Errorf("a long cycle is told as %v", e)
	}
}

// testTemporaryCycle turns an order around in one transaction, with a cycle on
// the way.
func testTemporaryCycle(t *testing.T, db *store.DB) {
	depending(t, db, "a", "b a")
	ctx := t.Context()
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Tasks.Update(ctx, "a", nexus.TaskUpdate{DependsOn: &[]string{"b"}})
		must(t, err)
		_, err = tx.Tasks.Update(ctx, "b", nexus.TaskUpdate{RemoveDependsOn: []string{"a"}})
		return err
	}))
	same(t, tasks.mustGet(t, db, "a").DependsOn, []string{"b"})
	same(t, []int{openDependencies(t, db, "a"), openDependencies(t, db, "b")}, []int{1, 0})

	// Another program's cycle ends with one of its tasks.
	exec(t, db, `UPDATE tasks SET depends_on = '["a"]' WHERE id = 'b'`)
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		must(t, tx.Tasks.Delete(ctx, "a"))
		_, err := tx.Tasks.Update(ctx, "b", nexus.TaskUpdate{DependsOn: new([]string)})
		return err
	}))
}

// testForeignDependencies has what Nexus refuses: it does not keep Nexus from
// other changes, nor from putting it right.
func testForeignDependencies(t *testing.T, db *store.DB) {
	depending(t, db, "a", "b", "c", "free")
	ctx := t.Context()
	exec(t, db, `UPDATE tasks SET depends_on = '["b","nobody","no1"]' WHERE id = 'a'`)
	exec(t, db, `UPDATE tasks SET depends_on = '["a","b"]' WHERE id = 'b'`)
	for _, update := range []nexus.TaskUpdate{
		{Name: new("renamed")},
		{Status: new(nexus.TaskInProgress)},
		{AddDependsOn: []string{"b", "nobody"}}, // which are there
		{RemoveDependsOn: []string{"no1"}},
		{DependsOn: &[]string{"nobody", "b"}},
	} {
		_, err := db.Tasks.Update(ctx, "a", update)
		must(t, err)
	}
	_, err := db.Tasks.Update(ctx, "a", nexus.TaskUpdate{AddDependsOn: []string{"no2"}})
	same(t, refused(t, err, nexus.CodeReference).Message, "depends on task no2, which does not exist")
	_, err = db.Tasks.Update(ctx, "free", nexus.TaskUpdate{AddDependsOn: []string{"a"}}) // is in no cycle
	must(t, err)
	_, err = db.Tasks.Update(ctx, "b", nexus.TaskUpdate{RemoveDependsOn: []string{"a"}}) // leaves the smaller one
	must(t, err)
	_, err = db.Tasks.Update(ctx, "b", nexus.TaskUpdate{RemoveDependsOn: []string{"b"}})
	must(t, err)
	_, err = db.Tasks.Update(ctx, "a", nexus.TaskUpdate{AddDependsOn: []string{"c"}})
	must(t, err)
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "nobody", ProjectID: "p2", Name: "n", Status: nexus.TaskCompleted}))
	same(t, openDependencies(t, db, "a"), 2)
}

// testChangeDependencies adds and removes single dependencies.
func testChangeDependencies(t *testing.T, db *store.DB) {
	depending(t, db, "a", "b", "c", "it a")
	ctx := t.Context()
	for _, step := range []struct {
		update nexus.TaskUpdate
		want   string
	}{
		{nexus.TaskUpdate{AddDependsOn: []string{"c", "b"}}, "a c b"},
		{nexus.TaskUpdate{AddDependsOn: []string{"b", "b"}}, "a c b"}, // again is no error
		{nexus.TaskUpdate{RemoveDependsOn: []string{"c", "nobody"}}, "a b"},
		{nexus.TaskUpdate{AddDependsOn: []string{"c"}, RemoveDependsOn: []string{"a"}}, "b c"},
		{nexus.TaskUpdate{AddDependsOn: []string{"a"}, RemoveDependsOn: []string{"a"}}, "b c"},
		{nexus.TaskUpdate{DependsOn: &[]string{"a"}, AddDependsOn: []string{"b"}}, "a b"},
		{nexus.TaskUpdate{RemoveDependsOn: []string{"a", "b"}}, ""},
	} {
		before := tasks.mustGet(t, db, "it")
		got, err := db.Tasks.Update(ctx, "it", step.update)
		must(t, err)
		same(t, strings.Join(got.DependsOn, " "), step.want)
		tasks.unchanged(t, db, got)
		if changed := got.Revision > before.Revision; changed == slices.Equal(got.DependsOn, before.DependsOn) {
			t.Errorf("%v: the revision went from %d to %d", got.DependsOn, before.Revision, got.Revision)
		}
		same(t, openDependencies(t, db, "it"), len(got.DependsOn))
	}
	_, err := db.Tasks.Update(ctx, "it", nexus.TaskUpdate{AddDependsOn: []string{"", "it", "a\x00"}})
	same(t, problemFields(refused(t, err, nexus.CodeInvalid)), []string{"depends_on", "depends_on[0]", "depends_on[2]"})
}

// testDeleteDependedOn deletes tasks that others depend on.
func testDeleteDependedOn(t *testing.T, db *store.DB) {
	depending(t, db, "a", "b a", "c b a", "d c", "e c", "f c", "g c")
	ctx := t.Context()
	for id, want := range map[string]string{
		"a": "depended on by b, c", "b": "depended on by c", "c": "depended on by d, e, f, others",
	} {
		e := refused(t, db.Tasks.Delete(ctx, id), nexus.CodeInUse)
		same(t, []string{string(e.Kind), e.ID, e.Message}, []string{"task", id, want})
		if e.Hint == "" {
			t.Error("the refusal does not say what to do")
		}
	}
	// Not those that are deleted with it, in whatever order.
	for _, order := range []string{"c b d a e f g", "g f e d c b a", "a b c d e f g"} {
		must(t, db.InTx(ctx, func(tx *store.Tx) error {
			for id := range strings.FieldsSeq(order) {
				must(t, tx.Tasks.Delete(ctx, id))
			}
			return nil
		}))
		n, err := db.Tasks.Count(ctx, nexus.TaskFilter{})
		must(t, err)
		same(t, n, int64(0))
		for _, task := range []string{"a", "b a", "c b a", "d c", "e c", "f c", "g c"} {
			ids := strings.Fields(task)
			must(t, db.Tasks.Create(ctx, &nexus.Task{ID: ids[0], ProjectID: "p1", Name: "n", DependsOn: ids[1:]}))
		}
	}
	// Nor those that no longer depend on it, or if it is there again.
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		must(t, tx.Tasks.Delete(ctx, "a"))
		must(t, tx.Tasks.Delete(ctx, "b"))
		_, err := tx.Tasks.Update(ctx, "c", nexus.TaskUpdate{RemoveDependsOn: []string{"b"}})
		must(t, err)
		return tx.Tasks.Create(ctx, &nexus.Task{ID: "a", ProjectID: "p2", Name: "n"})
	}))
	same(t, tasks.mustGet(t, db, "c").DependsOn, []string{"a"})
}

// testDeleteProjectDependedOn deletes a project whose tasks those of another
// depend on.
func testDeleteProjectDependedOn(t *testing.T, db *store.DB) {
	depending(t, db, "a", "b a")
	ctx := t.Context()
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "elsewhere", ProjectID: "p2", Name: "n", DependsOn: []string{"a"}}))
	before := counted(t, db)
	e := refused(t, db.Projects.Delete(ctx, "p1"), nexus.CodeInUse)
	same(t, e.Error(), "task a: depended on by elsewhere")
	same(t, counted(t, db), before)
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		must(t, tx.Projects.Delete(ctx, "p1"))
		return tx.Tasks.Delete(ctx, "elsewhere")
	}))
}
