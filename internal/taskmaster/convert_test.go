package taskmaster_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/taskmaster"
)

// A task with subtasks is also a sub-feature, which holds it and them.
func TestSubFeatures(t *testing.T) {
	t.Parallel()
	in := convert(t, open(t), tagged(parent("1", "", item("1", "", ""), item("2", "", ""))+","+
		`{"id": 2, "title": "Alone", "subtasks": []}, {"id": 3, "title": "Whole", "subtasks": [{"id": 7, "title": "Part"}]}`))
	for key, want := range map[string]string{"m/1": "m/1", "m/1.1": "m/1", "m/1.2": "m/1", "m/2": "", "m/3": "m/3", "m/3.7": "m/3"} {
		task := in.task(t, key)
		if in.keys[task.SubFeatureID] != want || in.keys[task.FeatureID] != "m" {
			t.Errorf("%s is in sub-feature %q of %q, want %q", key, in.keys[task.SubFeatureID], in.keys[task.FeatureID], want)
		}
	}
	if s := in.subs["m/3"]; len(in.subs) != 2 || s.Name != "Whole" || in.keys[s.FeatureID] != "m" {
		t.Errorf("sub-features: %v", in.subs)
	}
	if in.Tasks != 3 || in.Subtasks != 3 || in.SubFeatures != 2 || in.Parts != 3 {
		t.Errorf("%+v", *in.Report)
	}
}

// The older form of the file has no tags; it is the tag master.
func TestWithoutTags(t *testing.T) {
	t.Parallel()
	in := convert(t, open(t), `{
	  "tasks": [{"id": 1, "title": "One", "subtasks": [{"id": 1, "title": "Part"}]}, {"id": 2, "title": "Two", "dependencies": [1]}],
	  "projectName": "Old",
	  "metadata": {"description": "As it was", "version": "0.9"}
	}`)
	if in.Tags != 1 || in.Tasks != 2 || in.Subtasks != 1 || in.SubFeatures != 1 || len(in.features) != 1 {
		t.Errorf("%+v", *in.Report)
	}
	description := in.features["master"].Description
	for _, text := range []string{"As it was", `"0.9"`, `projectName: "Old"`} {
		if !strings.Contains(description, text) {
			t.Errorf("%s is not in the description %q", text, description)
		}
	}
	if !in.noted("master", "projectName", "kept") {
		t.Errorf("notes: %v", in.Notes)
	}
	if diff := cmp.Diff(map[string][]string{"master/1": {"master/1.1"}, "master/2": {"master/1"}}, in.edges()); diff != "" {
		t.Error(diff)
	}
}

// A tag may be called tasks.
func TestTagCalledTasks(t *testing.T) {
	t.Parallel()
	in := convert(t, open(t), `{"tasks": {"tasks": [{"id": 1, "title": "One"}]}}`)
	in.task(t, "tasks/1")
}

func TestProject(t *testing.T) {
	t.Parallel()
	db := open(t)
	convert(t, db, tagged(""))
	projects, err := db.Projects.List(background, nexus.ProjectFilter{})
	if err != nil || len(projects) != 1 {
		t.Fatal(projects, err)
	}
	p := projects[0]
	if p.Name != "imported" || p.PlanKey != "imported" || p.Mode != nexus.ModeEvolution || p.RootPath != "/srv/imported" {
		t.Errorf("%+v", p)
	}
	d, _, err := taskmaster.Convert([]byte(tagged("")), taskmaster.Options{Project: "p"})
	if err != nil || d.Project.Fields.RootPath != nil {
		t.Errorf("a root path that nobody gave: %v, %v", d, err)
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		status  nexus.TaskStatus
		blocked string
		exact   bool
	}{
		`"pending"`: {nexus.TaskPending, "", true}, `"in-progress"`: {nexus.TaskInProgress, "", true},
		`"done"`: {nexus.TaskCompleted, "", true}, `"completed"`: {nexus.TaskCompleted, "", true},
		`"blocked"`:   {nexus.TaskBlocked, "blocked in Task Master", true},
		`"deferred"`:  {nexus.TaskBlocked, "deferred in Task Master", false},
		`"cancelled"`: {nexus.TaskSkipped, "", false}, `"review"`: {nexus.TaskInProgress, "", false},
		`"Done"`: {nexus.TaskPending, "", false}, `"någon gång"`: {nexus.TaskPending, "", false},
		`""`: {nexus.TaskPending, "", true}, `null`: {nexus.TaskPending, "", true},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			in := convert(t, open(t), tagged(item("1", "", `"status": `+text)))
			task := in.task(t, "m/1")
			if task.Status != want.status || task.BlockedBy != want.blocked {
				t.Errorf("status %s, blocked by %q", task.Status, task.BlockedBy)
			}
			bare := strings.Trim(text, `"`)
			if noted := in.noted("m/1", "status "+bare+" became "+string(want.status)); noted == want.exact || len(in.Notes) > 1 {
				t.Errorf("notes: %v", in.Notes)
			}
			if kept := in.metadata(t, "m/1")["status"]; !want.exact && kept != bare || want.exact && kept != nil {
				t.Errorf("status %v in the metadata", kept)
			}
		})
	}
}

// When a task ended is what the file says, and nothing if it says nothing: that
// it is imported now does not mean that it was done now.
func TestCompletedAt(t *testing.T) {
	t.Parallel()
	for updated, want := range map[string]time.Time{
		`"2025-06-13T23:52:56.848Z"`:  time.Date(2025, 6, 13, 23, 52, 56, 0, time.UTC),
		`"2025-06-13T23:52:56+02:00"`: time.Date(2025, 6, 13, 21, 52, 56, 0, time.UTC),
		`"yesterday"`:                 {}, `17`: {}, `null`: {}, `""`: {},
	} {
		in := convert(t, open(t), tagged(item("1", "", `"status": "done", "updatedAt": `+updated)+","+item("2", "", `"updatedAt": `+updated)))
		if got := in.task(t, "m/1").CompletedAt; !got.Equal(want) {
			t.Errorf("%s: completed at %v, want %v", updated, got, want)
		}
		if got := in.task(t, "m/2").CompletedAt; !got.IsZero() {
			t.Errorf("%s: not completed, but at %v", updated, got)
		}
	}
}

func TestPriorities(t *testing.T) {
	t.Parallel()
	in := convert(t, open(t), tagged(item("1", "", `"priority": "critical", "subtasks": [{"id": 1, "title": "S"}, {"id": 2, "title": "S", "priority": "low"}]`)+
		","+item("2", "", `"priority": "urgent"`)+","+item("3", "", `"priority": null`)+","+item("4", "", `"priority": 1`)))
	for key, want := range map[string]nexus.TaskPriority{
		"m/1": "critical", "m/1.1": "critical", "m/1.2": "low", "m/2": "medium", "m/3": "medium", "m/4": "medium",
	} {
		if got := in.task(t, key).Priority; got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if !in.noted("m/2", "priority urgent became medium") || !in.noted("m/4", "priority", "not a text") || len(in.Notes) != 2 {
		t.Errorf("notes: %v", in.Notes)
	}
	if in.metadata(t, "m/2")["priority"] != "urgent" || in.metadata(t, "m/4")["priority"] != 1.0 {
		t.Error("the priorities are not in the metadata")
	}
}

// Fields of another type than Task Master's are kept, and said.
func TestFieldsOfWrongType(t *testing.T) {
	t.Parallel()
	in := convert(t, open(t), tagged(item("1", "", `"description": ["a", "b"], "details": {"c": 1}, "testStrategy": 2, "acceptanceCriteria": [true], "status": 3, "priority": false`)))
	want := map[string]any{
		"tag": "m", "id": "1", "description": []any{"a", "b"}, "details": map[string]any{"c": 1.0}, "testStrategy": 2.0,
		"acceptanceCriteria": []any{true}, "status": 3.0, "priority": false,
	}
	if diff := cmp.Diff(want, in.metadata(t, "m/1")); diff != "" {
		t.Error(diff)
	}
	for name := range want {
		if name != "tag" && name != "id" && !in.noted("m/1", name+" is not a text") {
			t.Errorf("no note about %s", name)
		}
	}
	if task := in.task(t, "m/1"); task.Description != "" || task.Status != nexus.TaskPending || task.Priority != nexus.PriorityMedium {
		t.Errorf("%+v", task)
	}
}

// Task Master knows two levels; a third is kept as it is written.
func TestSubtasksThatAreNone(t *testing.T) {
	t.Parallel()
	in := convert(t, open(t), tagged(item("1", "", `"subtasks": {"x": "y"}`)+","+parent("2", "", item("1", "", `"subtasks": [{"id": 1, "title": "deep"}]`))))
	want := map[string]any{"m/1": map[string]any{"x": "y"}, "m/2.1": []any{map[string]any{"id": 1.0, "title": "deep"}}, "m/2": nil}
	for key, subtasks := range want {
		if diff := cmp.Diff(subtasks, in.metadata(t, key)["subtasks"]); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
		if in.noted(key, "subtasks") != (subtasks != nil) {
			t.Errorf("%s: notes %v", key, in.Notes)
		}
	}
}

func TestNullEverywhere(t *testing.T) {
	t.Parallel()
	in := convert(t, open(t), `{"m": {"tasks": [{"id": 1, "title": "T", "description": null, "details": null, "testStrategy": null,
	  "acceptanceCriteria": null, "status": null, "priority": null, "dependencies": null, "subtasks": null, "extra": null}], "metadata": null}}`)
	task := in.task(t, "m/1")
	if task.Description != "" || task.Status != nexus.TaskPending || len(task.DependsOn) > 0 || task.SubFeatureID != "" || len(in.Notes) > 1 {
		t.Errorf("%+v, notes %v", task, in.Notes)
	}
	if value, there := in.metadata(t, "m/1")["extra"]; !there || value != nil {
		t.Errorf("metadata: %v", in.metadata(t, "m/1"))
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	in := convert(t, open(t), tagged(`{"id": 1, "title": "T", "acceptanceCriteria": "It works", "testStrategy": " Try it\n", "details": "First\n\nSecond", "description": "What"},
	  {"id": 2, "title": "T", "description": "  ", "details": "Only details"}`))
	const want = "What\n\n## Details\n\nFirst\n\nSecond\n\n## Test strategy\n\n Try it\n\n\n## Acceptance criteria\n\nIt works"
	if got := in.task(t, "m/1").Description; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := in.task(t, "m/2").Description; got != "## Details\n\nOnly details" {
		t.Errorf("%q", got)
	}
}

// What is no Task Master file is refused, with every problem and its place.
func TestNotTaskMaster(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"nothing":      {"", []string{"line 1, column 1: the document ends too early"}},
		"no JSON":      {"tasks:\n- id: 1", []string{"line 1, column 1: invalid character 'a' in literal true (expecting 'r')"}},
		"a list":       {"\n [1]", []string{"line 2, column 2: must be an object, not a list"}},
		"an empty one": {"{}", []string{"line 1, column 1: has neither tags nor tasks"}},
		"another program's": {`{"name": "left-pad",
 "version": "1.0", "files": ["a"], "scripts": {"test": "x"}}`, []string{
			"line 1, column 10: name: is not a tag: it has no list of tasks", "line 2, column 13: version: is not a tag: it has no list of tasks",
			"line 2, column 29: files: is not a tag: it has no list of tasks", "line 2, column 47: scripts: is not a tag: it has no list of tasks",
		}},
		"a plan of ours":          {`{"project": {"name": "p"}}`, []string{"line 1, column 13: project: is not a tag: it has no list of tasks"}},
		"tasks that are no list":  {`{"m": {"tasks": {}}, "n": {"tasks": null}}`, []string{"line 1, column 7: m: is not a tag: it has no list of tasks", "line 1, column 27: n: is not a tag: it has no list of tasks"}},
		"a tag given twice":       {`{"m": {"tasks": []}, "m": {"tasks": []}}`, []string{"line 1, column 27: m: is given twice"}},
		"tasks that are no tasks": {tagged(`1, null, "x"`), []string{"line 1, column 18: m.tasks[0]: must be an object, not a number", "line 1, column 21: m.tasks[1]: must be an object, not null", "line 1, column 27: m.tasks[2]: must be an object, not a text"}},
		"no ids": {tagged(`{"title": "T"}, {"id": null}, {"id": true}, {"id": []}, {"id": " "},
 {"id": 1, "subtasks": [{"title": "S"}, 7]}`), []string{
			"line 1, column 18: m.tasks[0]: has no id", "line 1, column 34: m.tasks[1]: has no id", "line 1, column 48: m.tasks[2]: has no id",
			"line 1, column 62: m.tasks[3]: has no id", "line 1, column 74: m.tasks[4]: has no id",
			"line 2, column 25: m.tasks[5].subtasks[0]: has no id", "line 2, column 2: m.tasks[5].title: is required", "line 2, column 41: m.tasks[5].subtasks[1]: must be an object, not a number",
		}},
		"dependencies that are none": {tagged(`{"id": 1, "title": "T", "dependencies": "2"}, {"id": 2, "title": "T", "dependencies": [1, null, [1], {}, true, ""]}`), []string{
			"line 1, column 58: m.tasks[0].dependencies: must be a list, not a text",
			"line 1, column 108: m.tasks[1].dependencies: must hold ids, not null", "line 1, column 114: m.tasks[1].dependencies: must hold ids, not a list",
			"line 1, column 119: m.tasks[1].dependencies: must hold ids, not an object",
			"line 1, column 123: m.tasks[1].dependencies: must hold ids, not true or false",
			"line 1, column 129: m.tasks[1].dependencies: must hold ids, not a text",
		}},
		"a field given twice": {tagged(`{"id": 1, "title": "T", "title": "U", "x": 1, "x": 1}`), []string{
			"line 1, column 51: m.tasks[0].title: is given twice", "line 1, column 69: m.tasks[0].x: is given twice",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, report, err := taskmaster.Convert([]byte(test.text), options)
			var e *nexus.Error
			if d != nil || report != nil || !errors.As(err, &e) || e.Code != nexus.CodeInvalid || e.Message == "" {
				t.Fatalf("%v, %v, %v", d, report, err)
			}
			got := make([]string, len(e.Problems))
			for i, p := range e.Problems {
				got[i] = fmt.Sprint(p)
			}
			if diff := cmp.Diff(slices.Sorted(slices.Values(test.want)), slices.Sorted(slices.Values(got))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
