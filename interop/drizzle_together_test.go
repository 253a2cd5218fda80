package interop_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/seed-c8812374/nexus"
)

// Drizzle and Nexus write to one file at the same time: nobody gets an error,
// and nothing is lost.
func TestDrizzleAndNexusWriteTogether(t *testing.T) {
	t.Parallel()
	const each, writers, counted = 500, 5, 100
	db, d, rows := shared(t)

	type outcome struct {
		what string
		err  error
	}
	outcomes := make(chan outcome)
	working := 0
	together := func(what string, work func() error) {
		working++
		go func() { outcomes <- outcome{what, work()} }()
	}
	wait := func() {
		t.Helper()
		for ; working > 0; working-- {
			if o := <-outcomes; o.err != nil {
				t.Errorf("%s: %v", o.what, o.err)
			}
		}
	}
	ask := func(op string, args request) func() error {
		return func() error {
			_, refusal, err := d.try(op, args)
			if refusal != "" {
				err = errors.Join(err, errors.New(refusal))
			}
			return err
		}
	}

	do[any](t, d, "read", nil) // it has started when it answers
	pattern := find(foreignRows()["tasks"], "x-t2").with(row{"project_id": "nexus-p1"})
	var foreign []row
	for n := range each {
		foreign = append(foreign, pattern.with(row{"id": fmt.Sprintf("drizzle-%03d", n)}))
	}
	together("Drizzle", ask("insertEach", request{"table": "tasks", "rows": foreign}))
	ours := make([]row, each)
	for w := range writers {
		together("Nexus", func() error {
			for n := w; n < each; n += writers {
				task := &nexus.Task{ID: fmt.Sprintf("go-%03d", n), ProjectID: "nexus-p1", Name: "together"}
				if err := db.Tasks.Create(t.Context(), task); err != nil {
					return err
				}
				ours[n] = taskRow(task)
			}
			return nil
		})
	}
	wait()
	all := rows.plus(content{"tasks": append(foreign, ours...)})
	mustEqual(t, "in the file", all, stored(t, db))
	mustEqual(t, "read by Drizzle", all, do[content](t, d, "read", nil))
	var order []string
	for _, r := range query(t, db, "SELECT substr(id, 1, 2) AS who FROM tasks ORDER BY rowid") {
		order = append(order, r["who"].(string))
	}
	t.Logf("the writers took turns %d times", turns(order))

	// Both change one row, and no change remains uncounted.
	sets := make([]row, counted)
	for n := range sets {
		sets[n] = row{"qa_iterations": n}
	}
	together("Drizzle", ask("updateEach", request{"table": "tasks", "id": "nexus-t1", "sets": sets}))
	together("Nexus", func() error {
		for n := range counted {
			minutes := n + 1
			if _, err := db.Tasks.Update(t.Context(), "nexus-t1", nexus.TaskUpdate{ActualMinutes: &minutes}); err != nil {
				return err
			}
		}
		return nil
	})
	wait()
	mustRevise(t, db, "tasks", "nexus-t1", 1+2*counted)
	task, err := db.Tasks.Get(t.Context(), "nexus-t1")
	if err != nil {
		t.Fatal(err)
	}
	if task.QAIterations != counted-1 || task.ActualMinutes != counted {
		t.Errorf("the last changes are lost: %+v", task)
	}
}

func turns(order []string) (n int) {
	for i := 1; i < len(order); i++ {
		if order[i] != order[i-1] {
			n++
		}
	}
	return n
}
