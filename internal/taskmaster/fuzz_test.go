package taskmaster_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/taskmaster"
	"github.com/seed-c8812374/nexus/plan"
)

// titles returns the titles of all tasks and subtasks of a file, as
// encoding/json reads it. Whatever has another form than expected has none.
func titles(text []byte) (list []string) {
	file := members(bytes.TrimPrefix(text, []byte("\ufeff")))
	tags := slices.Collect(maps.Values(file))
	if len(items(file["tasks"])) > 0 { // the form without tags
		tags = []json.RawMessage{bytes.TrimPrefix(text, []byte("\ufeff"))}
	}
	for _, tag := range tags {
		for _, task := range items(members(tag)["tasks"]) {
			for _, entry := range append([]json.RawMessage{task}, items(members(task)["subtasks"])...) {
				var title any
				_ = json.Unmarshal(members(entry)["title"], &title)
				if title, ok := title.(string); ok {
					list = append(list, title)
				}
			}
		}
	}
	return list
}

func members(raw []byte) (m map[string]json.RawMessage) {
	_ = json.Unmarshal(raw, &m)
	return m
}

func items(raw []byte) (list []json.RawMessage) {
	_ = json.Unmarshal(raw, &list)
	return list
}

// FuzzConvert checks that no file makes the import panic; that one which is
// converted loses no title, has no cycle, and can be stored or is refused with a
// reason; and that storing it again changes nothing.
func FuzzConvert(f *testing.F) {
	for _, seed := range []string{
		"", "[]", "{}", `{"m": null}`, `{"m": {"tasks": [1]}}`, `{"tasks": [{"id": 1, "title": "T"}]}`,
		`{"tasks": {"tasks": [{"id": "1", "title": "T", "subtasks": []}]}, "b": {"tasks": [], "metadata": {"description": "d", "x": [1]}}}`,
		tagged(parent("1", `"1.2", 2, 3`, item("1", "", ""), item("2", `1, "2.1"`, `"status": "deferred"`)) + "," + parent("2", "1", item("1", "2", ""))),
		tagged(item("1", "2", `"status": "done", "updatedAt": "2025-06-13T23:52:56.848Z"`) + "," + item("2", "1, 1, 2", `"priority": "x"`)),
		tagged(item("1", "", `"description": 1, "details": "d", "testStrategy": "t", "acceptanceCriteria": "a", "x": {"y": "\ud800"}`) + "," + item("1", "", "")),
		tagged(`{"id": 1.5e3, "title": ""}, {"id": "a b", "title": "T", "dependencies": null}`),
	} {
		f.Add([]byte(seed))
	}
	db := open(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		d, report, err := taskmaster.Convert(text, options)
		var e *nexus.Error
		if err != nil {
			if !errors.As(err, &e) || e.Code != nexus.CodeInvalid || len(e.Problems) == 0 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		named := make(map[string]bool)
		edges := 0
		for _, task := range d.Tasks {
			named[*task.Fields.Name] = true
			edges += len(task.DependsOn)
		}
		for _, title := range titles(text) {
			if !named[title] {
				t.Fatalf("%q: title %q is lost", text, title)
			}
		}
		if len(d.Tasks) != report.Tasks+report.Subtasks || edges != report.Dependencies+report.Parts+report.Inherited {
			t.Fatalf("%q: %d tasks, %d dependencies, report %+v", text, len(d.Tasks), edges, report)
		}
		before := rows(t, db)
		if len(before) != 0 {
			t.Fatalf("%d rows are left of the run before", len(before))
		}
		if _, err := plan.Apply(background, db, d, plan.Options{Now: now}); err != nil {
			if !errors.As(err, &e) || e.Code != nexus.CodeInvalid || len(e.Problems) == 0 {
				t.Fatalf("%q: %v", text, err)
			}
			if strings.Contains(said(err), "cycle") {
				t.Fatalf("%q: %s", text, said(err))
			}
			return
		}
		defer empty(t, db)
		if again, err := plan.Apply(background, db, d, plan.Options{Now: now}); err != nil || again.Changed() {
			t.Fatalf("%q, stored again: %+v, %v", text, again, err)
		}
	})
}
