package taskmaster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/graph"
	"github.com/seed-c8812374/nexus/internal/taskmaster"
	"github.com/seed-c8812374/nexus/plan"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

var (
	background = context.Background()
	options    = taskmaster.Options{Project: "imported", RootPath: "/srv/imported"}
)

func now() time.Time { return time.Unix(1_800_000_000, 0) }

func open(t testing.TB) *store.DB {
	t.Helper()
	db, err := sqlite.Open(background, filepath.Join(t.TempDir(), "nexus.db"), &sqlite.Options{NoSync: true, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// said shows all that an error says.
func said(err error) string {
	var e *nexus.Error
	if !errors.As(err, &e) {
		return fmt.Sprint(err)
	}
	lines := []string{string(e.Code) + ": " + e.Error()}
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// An imported file, as it has become.
type imported struct {
	*taskmaster.Report
	tasks    map[string]*nexus.Task // by plan key
	features map[string]*nexus.Feature
	subs     map[string]*nexus.SubFeature
	keys     map[string]string // of all rows, by id
}

// convert converts a file that is right, and applies what comes of it to db.
func convert(t rapid.TB, db *store.DB, text string) *imported {
	t.Helper()
	d, report, err := taskmaster.Convert([]byte(text), options)
	if err != nil {
		t.Fatalf("Convert: %s", said(err))
	}
	if _, err := plan.Apply(background, db, d, plan.Options{Now: now}); err != nil {
		t.Fatalf("Apply: %s", said(err))
	}
	return stored(t, db, report)
}

func stored(t rapid.TB, db *store.DB, report *taskmaster.Report) *imported {
	t.Helper()
	in := &imported{
		report, make(map[string]*nexus.Task), make(map[string]*nexus.Feature), make(map[string]*nexus.SubFeature), make(map[string]string),
	}
	tasks, err1 := db.Tasks.List(background, nexus.TaskFilter{})
	features, err2 := db.Features.List(background, nexus.FeatureFilter{})
	subs, err3 := db.SubFeatures.List(background, nexus.SubFeatureFilter{})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for i := range tasks {
		in.tasks[tasks[i].PlanKey], in.keys[tasks[i].ID] = &tasks[i], tasks[i].PlanKey
	}
	for i := range features {
		in.features[features[i].PlanKey], in.keys[features[i].ID] = &features[i], features[i].PlanKey
	}
	for i := range subs {
		in.subs[subs[i].PlanKey], in.keys[subs[i].ID] = &subs[i], subs[i].PlanKey
	}
	if len(in.keys) != len(tasks)+len(features)+len(subs) {
		t.Error("some rows have no key of their own")
	}
	return in
}

// task returns the task with a plan key.
func (in *imported) task(t rapid.TB, key string) *nexus.Task {
	t.Helper()
	task := in.tasks[key]
	if task == nil {
		t.Fatalf("there is no task %s", key)
	}
	return task
}

// dependsOn returns the keys of what a task depends on, sorted.
func (in *imported) dependsOn(key string) []string {
	keys := []string{}
	if task := in.tasks[key]; task != nil {
		for _, id := range task.DependsOn {
			keys = append(keys, in.keys[id])
		}
	}
	slices.Sort(keys)
	return keys
}

// edges returns what every task depends on, by key.
func (in *imported) edges() map[string][]string {
	edges := make(map[string][]string)
	for key := range in.tasks {
		if keys := in.dependsOn(key); len(keys) > 0 {
			edges[key] = keys
		}
	}
	return edges
}

// noted reports whether a note about where says all of what.
func (in *imported) noted(where string, what ...string) bool {
	return slices.ContainsFunc(in.Notes, func(n taskmaster.Note) bool {
		return n.Where == where && !slices.ContainsFunc(what, func(w string) bool { return !strings.Contains(n.Message, w) })
	})
}

// metadata returns what a task keeps of the file.
func (in *imported) metadata(t rapid.TB, key string) map[string]any {
	t.Helper()
	var document struct {
		Taskmaster map[string]any `json:"taskmaster"`
	}
	if err := json.Unmarshal([]byte(in.task(t, key).Metadata), &document); err != nil || document.Taskmaster == nil {
		t.Fatalf("metadata of %s: %q, %v", key, in.tasks[key].Metadata, err)
	}
	return document.Taskmaster
}

// cyclic reports whether tasks depend on each other in a cycle.
func (in *imported) cyclic() bool {
	number := make(map[string]int)
	for key := range in.tasks {
		number[key] = len(number)
	}
	edges := make([][]int, len(number))
	for key, on := range in.edges() {
		for _, other := range on {
			edges[number[key]] = append(edges[number[key]], number[other])
		}
	}
	return len(graph.Cycles(edges)) > 0
}

// empty deletes everything, which is faster than a new file.
func empty(t rapid.TB, db *store.DB) {
	t.Helper()
	err := db.InTx(background, func(tx *store.Tx) error {
		_, err := tx.Exec(background, "DELETE FROM projects")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// rows returns every row of every table that an import writes to.
func rows(t rapid.TB, db *store.DB) (list []string) {
	t.Helper()
	err := db.View(background, func(tx *store.Tx) error {
		for _, table := range []string{"projects", "features", "sub_features", "tasks", "requirements"} {
			err := tx.Query(background, "SELECT * FROM "+table+" ORDER BY id", nil, func(r driver.Row) error {
				line := table
				for i := range r.Columns() {
					line += fmt.Sprintf(" %#v", r.Value(i))
				}
				list = append(list, line)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
