package taskmaster_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus/internal/taskmaster"
	"github.com/seed-c8812374/nexus/plan"
)

// id draws an id, as a number or as text.
func id(t *rapid.T, name string, from, to int) any {
	n := rapid.IntRange(from, to).Draw(t, name)
	if rapid.Bool().Draw(t, "as text") {
		return fmt.Sprint(n)
	}
	return n
}

// drawItem draws a task or subtask, with dependencies in every form, on what is
// there and on what is not.
func drawItem(t *rapid.T, name string, most int) map[string]any {
	item := map[string]any{"id": id(t, "id", 1, most), "title": name}
	if rapid.Bool().Draw(t, "depends") {
		list := make([]any, rapid.IntRange(0, 3).Draw(t, "dependencies"))
		for i := range list {
			if rapid.Bool().Draw(t, "dotted") {
				list[i] = fmt.Sprintf("%d.%d", rapid.IntRange(1, 6).Draw(t, "of"), rapid.IntRange(1, 4).Draw(t, "part"))
			} else {
				list[i] = id(t, "on", 1, 7)
			}
		}
		item["dependencies"] = list
	}
	if rapid.Bool().Draw(t, "has status") {
		item["status"] = rapid.SampledFrom([]string{"pending", "done", "deferred", "cancelled", "in-progress", "other"}).Draw(t, "status")
	}
	return item
}

func drawFile(t *rapid.T) map[string]any {
	file := make(map[string]any)
	for _, tag := range []string{"a", "b"}[:rapid.IntRange(1, 2).Draw(t, "tags")] {
		tasks := []any{}
		for range rapid.IntRange(0, 6).Draw(t, "tasks") {
			task := drawItem(t, "task", 6)
			if n := rapid.IntRange(0, 4).Draw(t, "subtasks"); n > 0 {
				subtasks := []any{}
				for range n {
					subtasks = append(subtasks, drawItem(t, "subtask", 4))
				}
				task["subtasks"] = subtasks
			}
			tasks = append(tasks, task)
		}
		file[tag] = map[string]any{"tasks": tasks}
	}
	return file
}

// However the tasks of a file depend on each other, no dependency is lost
// without a word, there is no cycle, and importing it again changes nothing.
func TestAnyDependencies(t *testing.T) {
	t.Parallel()
	db := open(t)
	rapid.Check(t, func(t *rapid.T) {
		empty(t, db) // also after a run that failed
		text, err := json.Marshal(drawFile(t))
		if err != nil {
			t.Fatal(err)
		}
		in := convert(t, db, string(text))
		_, entries, twice := read(t, text)
		checkDependencies(t, in, entries)
		if len(in.tasks) != len(entries) {
			t.Errorf("%d tasks of %d", len(in.tasks), len(entries))
		}
		for key := range twice {
			if !in.noted(key, "more than once") {
				t.Errorf("no note that %s is there twice", key)
			}
		}
		before := rows(t, db)
		d, _, err := taskmaster.Convert(text, options)
		if err != nil {
			t.Fatal(said(err))
		}
		if _, err := plan.Apply(background, db, d, plan.Options{Now: func() time.Time { return now().Add(time.Hour) }}); err != nil {
			t.Fatal(said(err))
		}
		if diff := cmp.Diff(before, rows(t, db)); diff != "" {
			t.Errorf("imported again: %s", diff)
		}
		if t.Failed() {
			t.Logf("%s\n%v\n%v", text, in.edges(), in.Notes)
		}
	})
}
