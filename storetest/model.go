package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var modelTests = map[string]test{
	"Calls": testModelCalls,
	"Lists": testModelLists,
}

// model is what the database should hold: a map, and rules that are simple
// because it has neither SQL nor concurrency.
type model struct {
	tasks map[string]nexus.Task
}

// Generators are made anew for each test: rapid fills in their names when they
// are first used, without a lock.

func drawStatus() *rapid.Generator[nexus.TaskStatus] { return rapid.SampledFrom(nexus.TaskStatuses()) }

func drawPriority() *rapid.Generator[nexus.TaskPriority] {
	return rapid.SampledFrom(nexus.TaskPriorities())
}

func drawName() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"a", "b", "B", "ä", "a b", "🦀"})
}

// testModelCalls makes random calls and expects of the database what the model
// says.
func testModelCalls(t *testing.T, db *store.DB) {
	ctx, run := t.Context(), 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		projectID := fmt.Sprintf("run%d", run)
		if err := project(ctx, &db.Services, projectID); err != nil {
			rt.Fatal(err)
		}
		m := model{make(map[string]nexus.Task)}
		drawID := rapid.Map(rapid.IntRange(1, 4), func(n int) string { return fmt.Sprintf("%s-%d", projectID, n) })

		rt.Repeat(map[string]func(*rapid.T){
			"": func(rt *rapid.T) { m.check(ctx, rt, db, projectID) },
			"create": func(rt *rapid.T) {
				task := nexus.Task{ID: drawID.Draw(rt, "id"), ProjectID: projectID, Name: drawName().Draw(rt, "name"), Status: drawStatus().Draw(rt, "status")}
				_, exists := m.tasks[task.ID]
				err := db.Tasks.Create(ctx, &task)
				expectCode(rt, err, map[bool]nexus.Code{true: nexus.CodeExists, false: ""}[exists])
				if err == nil {
					m.tasks[task.ID] = task
				}
			},
			"update": func(rt *rapid.T) {
				id := drawID.Draw(rt, "id")
				update := nexus.TaskUpdate{
					Revision: rapid.Int64Range(0, 3).Draw(rt, "revision"),
					Name:     rapid.Ptr(drawName(), true).Draw(rt, "name"),
					Status:   rapid.Ptr(drawStatus(), true).Draw(rt, "status"),
				}
				got, err := db.Tasks.Update(ctx, id, update)
				expectCode(rt, err, m.update(id, update))
				if err == nil && !cmp.Equal(*got, m.tasks[id]) {
					rt.Fatalf("the update returned (-want +got):\n%s", cmp.Diff(m.tasks[id], *got))
				}
			},
			"upsert": func(rt *rapid.T) {
				task := nexus.Task{ID: drawID.Draw(rt, "id"), ProjectID: projectID, Name: drawName().Draw(rt, "name"), Status: drawStatus().Draw(rt, "status")}
				before, exists := m.tasks[task.ID]
				var want nexus.Code
				if exists && !before.Status.CanBecome(task.Status) {
					want = nexus.CodeTransition
				}
				created, err := db.Tasks.Upsert(ctx, &task)
				expectCode(rt, err, want)
				if err == nil {
					m.tasks[task.ID] = task
					if created == exists {
						rt.Fatalf("created is %v", created)
					}
				}
			},
			"delete": func(rt *rapid.T) {
				id := drawID.Draw(rt, "id")
				_, exists := m.tasks[id]
				expectCode(rt, db.Tasks.Delete(ctx, id), map[bool]nexus.Code{true: "", false: nexus.CodeNotFound}[exists])
				delete(m.tasks, id)
			},
		})
	})
}

// update makes an update and returns the code of its refusal.
func (m *model) update(id string, u nexus.TaskUpdate) nexus.Code {
	task, exists := m.tasks[id]
	switch {
	case !exists:
		return nexus.CodeNotFound
	case u.Revision != 0 && u.Revision != task.Revision:
		return nexus.CodeStale
	case u.Status != nil && !task.Status.CanBecome(*u.Status):
		return nexus.CodeTransition
	}
	before := task
	u.Apply(&task, now)
	if task.Name != before.Name || task.Status != before.Status {
		task.Revision++
		m.tasks[id] = task
	}
	return ""
}

func (m *model) check(ctx context.Context, rt *rapid.T, db *store.DB, projectID string) {
	var want []nexus.Task
	for _, task := range m.tasks {
		want = append(want, task)
	}
	slices.SortFunc(want, func(a, b nexus.Task) int { return strings.Compare(a.ID, b.ID) })
	got, err := db.Tasks.List(ctx, nexus.TaskFilter{ProjectID: projectID})
	if err != nil {
		rt.Fatal(err)
	}
	if len(got)+len(want) > 0 && !cmp.Equal(got, want) {
		rt.Fatalf("the database is not as the model (-want +got):\n%s", cmp.Diff(want, got))
	}
}

func expectCode(rt *rapid.T, err error, want nexus.Code) {
	if got := nexus.CodeOf(err); got != want {
		rt.Fatalf("got %v, want code %q", err, want)
	}
}

// testModelLists draws filters, orders and pages, and compares with a list that
// Go has filtered and sorted.
func testModelLists(t *testing.T, db *store.DB) {
	rows := tasks.listed(t, db)
	ctx := t.Context()
	matches := func(id string) func(string) bool { return func(got string) bool { return id == "" || id == got } }
	rapid.Check(t, func(rt *rapid.T) {
		f := nexus.TaskFilter{
			ProjectID:     rapid.SampledFrom([]string{"", "", "p1", "p2", "p3"}).Draw(rt, "project"),
			FeatureID:     rapid.SampledFrom([]string{"", "", "f1", "f2"}).Draw(rt, "feature"),
			SubFeatureID:  rapid.SampledFrom([]string{"", "", "", "u1"}).Draw(rt, "sub-feature"),
			AssignedAgent: rapid.SampledFrom([]string{"", "", "", "a"}).Draw(rt, "agent"),
			Status:        rapid.SliceOfN(drawStatus(), 0, 3).Draw(rt, "status"),
			Priority:      rapid.SliceOfN(drawPriority(), 0, 3).Draw(rt, "priority"),
		}
		f.OrderBy = rapid.SampledFrom(append([]string{"id"}, tasks.orders...)).Draw(rt, "order")
		f.Descending = rapid.Bool().Draw(rt, "descending")
		limit := rapid.IntRange(1, 8).Draw(rt, "limit")

		want := slices.DeleteFunc(tasks.sorted(rows, f.OrderBy, f.Descending), func(task nexus.Task) bool {
			return !matches(f.ProjectID)(task.ProjectID) || !matches(f.FeatureID)(task.FeatureID) ||
				!matches(f.SubFeatureID)(task.SubFeatureID) || !matches(f.AssignedAgent)(task.AssignedAgent) ||
				len(f.Status) > 0 && !slices.Contains(f.Status, task.Status) ||
				len(f.Priority) > 0 && !slices.Contains(f.Priority, task.Priority)
		})
		got, err := db.Tasks.List(ctx, f)
		if err != nil {
			rt.Fatal(err)
		}
		f.Limit = limit
		paged := tasks.pages(t, db, f, f.Page, nil)
		for what, list := range map[string][]nexus.Task{"list": got, "pages": paged} {
			if len(list)+len(want) > 0 && !cmp.Equal(list, want) {
				rt.Fatalf("the %s (-want +got):\n%s", what, cmp.Diff(want, list))
			}
		}
	})
}
