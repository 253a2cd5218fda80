package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/pgtest"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Whoever adds a column to an entity has to make the triggers of the history and their
// function anew, in a migration as 00010 does: the column comes last in what they keep.
// This says what is missing.
func TestHistoryHasAllColumns(t *testing.T) {
	t.Parallel()
	db := openSchema(t, pgtest.Schema(t), nil)
	const sql = `
		SELECT g.tgname, string_agg(part, ',' ORDER BY place), p.prosrc FROM pg_trigger g
		JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_proc p ON p.oid = g.tgfoid AND p.pronamespace = n.oid AND p.proname = 'nexus_history_' || c.relname
		CROSS JOIN LATERAL regexp_split_to_table(encode(g.tgargs, 'escape'), '\\000') WITH ORDINALITY AS a (part, place)
		WHERE n.nspname = current_schema() GROUP BY g.oid, g.tgname, p.prosrc`
	got, functions := make(map[string]string), make(map[string]string)
	fatal(t, db.View(t.Context(), func(tx *store.Tx) error {
		return tx.Query(t.Context(), sql, nil, func(r driver.Row) error {
			got[r.Text(0)], functions[r.Text(0)] = strings.TrimSuffix(r.Text(1), ","), r.Text(2)
			return nil
		})
	}))
	for _, kind := range nexus.Kinds() {
		if kind == nexus.KindMetric { // a log itself
			continue
		}
		var names, large []string
		for _, c := range store.Columns(kind)[1:] {
			names = append(names, c.Name)
			if c.Large {
				large = append(large, c.Name)
			}
		}
		want := fmt.Sprintf("%s,id,{%s},%s", kind, strings.Join(large, ","), strings.Join(names, ","))
		for _, suffix := range []string{"_history", "_history_update"} {
			if diff := cmp.Diff(want, got[kind.Table()+suffix]); diff != "" {
				t.Errorf("%s%s (-want +got):\n%s", kind.Table(), suffix, diff)
			}
			values := "OLD." + strings.Join(names, ", OLD.")
			if function := functions[kind.Table()+suffix]; !strings.Contains(function, values+"\n") {
				t.Errorf("the function of %s%s does not keep %s:\n%s", kind.Table(), suffix, values, function)
			}
		}
	}
}

// TestHistoryBeside has many transactions at the same time change rows of their own and
// one that all share: each is an operation that covers its changes and no others, in the
// order in which they happened to the shared row.
func TestHistoryBeside(t *testing.T) {
	t.Parallel()
	db := openSchema(t, pgtest.Schema(t), nil)
	ctx := t.Context()
	fatal(t, newProject(ctx, &db.Services, "p"))
	const writers, rounds = 6, 8
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			me := store.WithActor(ctx, fmt.Sprint("writer ", n))
			for round := range rounds {
				err := db.InTx(me, func(tx *store.Tx) error {
					task := &nexus.Task{ID: fmt.Sprintf("t%d-%d", n, round), ProjectID: "p", Name: "a task"}
					if err := tx.Tasks.Create(me, task); err != nil {
						return err
					}
					_, err := tx.Projects.Update(me, "p", nexus.ProjectUpdate{Name: new(fmt.Sprintf("%d-%d", n, round))})
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	list, err := db.History(ctx, nexus.HistoryFilter{Kind: nexus.KindProject, ID: "p"})
	fatal(t, err)
	if len(list) != 1+writers*rounds {
		t.Fatalf("the project has %d changes", len(list))
	}
	for _, c := range list[1:] {
		name := c.After.(*nexus.Project).Name
		made, err := db.History(ctx, nexus.HistoryFilter{Operation: c.Operation})
		fatal(t, err)
		var ids []string
		for _, m := range made {
			ids = append(ids, m.ID)
		}
		if diff := cmp.Diff([]string{"t" + name, "p"}, ids); diff != "" || c.Actor != "writer "+name[:1] {
			t.Errorf("change %d, to %s by %q (-want +got):\n%s", c.Seq, name, c.Actor, diff)
		}
	}
}
