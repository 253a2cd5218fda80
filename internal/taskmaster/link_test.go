package taskmaster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/taskmaster"
	"github.com/seed-c8812374/nexus/plan"
)

// tagged returns a file with one tag, m, and these tasks.
func tagged(tasks string) string { return `{"m": {"tasks": [` + tasks + `]}}` }

// item returns a task or subtask; more is further members.
func item(id, dependencies, more string) string {
	if more != "" {
		more = ", " + more
	}
	return fmt.Sprintf(`{"id": %s, "title": "T", "dependencies": [%s]%s}`, id, dependencies, more)
}

// parent returns a task with subtasks.
func parent(id, dependencies string, subtasks ...string) string {
	return item(id, dependencies, `"subtasks": [`+strings.Join(subtasks, ", ")+`]`)
}

// Every form in which a dependency may be written leads to where its writer
// meant, and what cannot be kept is noted.
func TestDependencies(t *testing.T) {
	t.Parallel()
	type edges = map[string][]string
	for name, test := range map[string]struct {
		tasks string
		want  edges
		notes []taskmaster.Note
		kept  map[string]string // the dependencies in the metadata, by key
	}{
		"numbers and texts": {
			item("1", "", "") + "," + item(`"2"`, `1`, "") + "," + item("3", `"1", "2", " 2 "`, ""),
			edges{"m/2": {"m/1"}, "m/3": {"m/1", "m/2"}},
			[]taskmaster.Note{{Where: "m/3", Message: "depends on 2 twice; once is kept"}},
			nil,
		},
		"named tasks": {
			item(`"HAM-1"`, "", "") + "," + item(`"HAM-2"`, `"HAM-1"`, ""),
			edges{"m/HAM-2": {"m/HAM-1"}},
			nil, nil,
		},
		"a sibling, not the task of the same number": {
			item("1", "", "") + "," + item("2", "", "") + "," + parent("3", "", item("1", "", ""), item("2", "1", ""), item("4", "2", "")),
			edges{"m/3": {"m/3.1", "m/3.2", "m/3.4"}, "m/3.2": {"m/3.1"}, "m/3.4": {"m/3.2"}},
			nil, nil,
		},
		"a task, as there is no such sibling": {
			item("7", "", "") + "," + parent("3", "", item("1", "7", ""), item("2", `"7"`, "")),
			edges{"m/3": {"m/3.1", "m/3.2"}, "m/3.1": {"m/7"}, "m/3.2": {"m/7"}},
			nil, nil,
		},
		"dotted, within and beyond": {
			parent("1", "", item("1", "", ""), item("2", `"1.1"`, "")) + "," + parent("2", "", item("1", `"1.2"`, ""), item("2", `"2.1", 1.1`, "")) +
				"," + item("3", `"1.2", 2.2`, ""),
			edges{
				"m/1": {"m/1.1", "m/1.2"}, "m/1.2": {"m/1.1"}, "m/2": {"m/2.1", "m/2.2"}, "m/2.1": {"m/1.2"},
				"m/2.2": {"m/1.1", "m/2.1"}, "m/3": {"m/1.2", "m/2.2"},
			},
			nil, nil,
		},
		"a subtask waits for what its task waits for": {
			item("1", "", "") + "," + parent("2", "1", item("1", "", ""), item("2", "1", ""), `{"id": 3, "title": "T"}`),
			edges{"m/2": {"m/1", "m/2.1", "m/2.2", "m/2.3"}, "m/2.1": {"m/1"}, "m/2.2": {"m/2.1"}, "m/2.3": {"m/1"}},
			nil, nil,
		},
		"on its own task": {
			parent("1", "", item("1", `"1"`, ""), item("2", "1", "")) + "," + parent("2", "", item("5", "2", "")),
			// In the first, 1 is the subtask itself; in the second, 2 is the task, which
			// cannot wait for its part as well.
			edges{"m/1": {"m/1.1", "m/1.2"}, "m/1.2": {"m/1.1"}, "m/2.5": {"m/2"}},
			[]taskmaster.Note{
				{Where: "m/1.1", Message: "depends on itself; that dependency is left out"},
				{Where: "m/2", Message: "does not wait for m/2.5, as it would by rule: that would be a cycle (m/2 → m/2.5 → m/2)"},
			},
			map[string]string{"m/1.1": `["1"]`},
		},
		"on its own subtask": {
			parent("1", `"1.2"`, item("1", "", ""), item("2", "", "")),
			// 1.2 is given, so 1.1 inherits it; and 1.2 does not wait for itself.
			edges{"m/1": {"m/1.1", "m/1.2"}, "m/1.1": {"m/1.2"}},
			nil, nil,
		},
		"a cycle by the rule of parts": {
			parent("1", "", item("1", `"2.1"`, "")) + "," + parent("2", "", item("1", `"1"`, `"x": 1`), item("2", "", "")),
			// 2.1 waits for itself, as 1 is its own number among siblings.
			edges{"m/1": {"m/1.1"}, "m/1.1": {"m/2.1"}, "m/2": {"m/2.1", "m/2.2"}},
			[]taskmaster.Note{{Where: "m/2.1", Message: "depends on itself; that dependency is left out"}},
			map[string]string{"m/2.1": `["1"]`},
		},
		"two tasks whose parts wait for the other": {
			parent("1", "", item("1", `2`, "")) + "," + parent("2", "", item("7", `1`, "")),
			edges{"m/1": {"m/1.1"}, "m/1.1": {"m/2"}, "m/2.7": {"m/1"}},
			[]taskmaster.Note{{Where: "m/2", Message: "does not wait for m/2.7, as it would by rule: that would be a cycle (m/1 → m/1.1 → m/2 → m/2.7 → m/1)"}},
			nil,
		},
		"itself": {
			item("1", "1", ""),
			edges{},
			[]taskmaster.Note{{Where: "m/1", Message: "depends on itself; that dependency is left out"}},
			map[string]string{"m/1": "[1]"},
		},
		"a task that is not there": {
			item("1", `9, "1.1", "m/2"`, "") + "," + item("2", "", ""),
			edges{},
			[]taskmaster.Note{
				{Where: "m/1", Message: "depends on 9, which is not in the tag; that dependency is left out"},
				{Where: "m/1", Message: "depends on 1.1, which is not in the tag; that dependency is left out"},
				{Where: "m/1", Message: "depends on m/2, which is not in the tag; that dependency is left out"},
			},
			map[string]string{"m/1": `[9,"1.1","m/2"]`},
		},
		"a cycle": {
			item("1", "2", "") + "," + item("2", "3", "") + "," + item("3", "1", ""),
			edges{"m/1": {"m/2"}, "m/2": {"m/3"}},
			[]taskmaster.Note{{Where: "m/3", Message: "depends on m/1 in a cycle (m/1 → m/2 → m/3 → m/1); that dependency is left out"}},
			map[string]string{"m/3": "[1]"},
		},
		"a cycle over a task that is done": {
			// What is done waits for nothing any more, so nothing is lost.
			item("1", "2", "") + "," + item("2", "3", `"status": "done"`) + "," + item("3", "1", ""),
			edges{"m/1": {"m/2"}, "m/3": {"m/1"}},
			[]taskmaster.Note{{Where: "m/2", Message: "depends on m/3 in a cycle (m/1 → m/2 → m/3 → m/1); that dependency is left out"}},
			map[string]string{"m/2": "[3]"},
		},
		"cycles that share a task": {
			item("1", "2, 3", "") + "," + item("2", "1", "") + "," + item("3", "1", ""),
			edges{"m/1": {"m/2", "m/3"}},
			[]taskmaster.Note{
				{Where: "m/2", Message: "depends on m/1 in a cycle (m/1 → m/2 → m/1); that dependency is left out"},
				{Where: "m/3", Message: "depends on m/1 in a cycle (m/1 → m/3 → m/1); that dependency is left out"},
			},
			map[string]string{"m/2": "[1]", "m/3": "[1]"},
		},
		"ids given twice": {
			item("1", "", "") + "," + item(`"1"`, "2", "") + "," + item("2", "1", "") + "," + parent("3", "", item("1", "", ""), item("1", "", "")),
			edges{"m/1#2": {"m/2"}, "m/2": {"m/1"}, "m/3": {"m/3.1", "m/3.1#2"}},
			[]taskmaster.Note{
				{Where: "m/1", Message: "is there more than once; this one became m/1#2, and dependencies lead to the first"},
				{Where: "m/3.1", Message: "is there more than once; this one became m/3.1#2, and dependencies lead to the first"},
			},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := convert(t, open(t), tagged(test.tasks))
			if diff := cmp.Diff(test.want, in.edges()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(append([]taskmaster.Note{}, test.notes...), in.Notes); diff != "" {
				t.Error(diff)
			}
			for key := range in.tasks {
				if metadata := string(in.task(t, key).Metadata); strings.Contains(metadata, `"dependencies":`+test.kept[key]) != (test.kept[key] != "") {
					t.Errorf("metadata of %s: %s", key, metadata)
				}
			}
			n := 0
			for _, on := range in.edges() {
				n += len(on)
			}
			if n != in.Dependencies+in.Parts+in.Inherited {
				t.Errorf("%d edges, report %+v", n, *in.Report)
			}
		})
	}
}

// Tags are worlds of their own: the same numbers are other tasks.
func TestTagsAreApart(t *testing.T) {
	t.Parallel()
	in := convert(t, open(t), `{
	  "a": {"tasks": [{"id": 1, "title": "A1"}, {"id": 2, "title": "A2", "dependencies": [1]}], "metadata": {"description": "The first"}},
	  "b": {"tasks": [{"id": 1, "title": "B1", "dependencies": [2]}]},
	  "none": {"tasks": []}
	}`)
	if diff := cmp.Diff(map[string][]string{"a/2": {"a/1"}}, in.edges()); diff != "" {
		t.Error(diff)
	}
	if !in.noted("b/1", "depends on 2, which is not in the tag") || len(in.Notes) != 1 {
		t.Errorf("notes: %v", in.Notes)
	}
	if in.task(t, "a/1").Name != "A1" || in.task(t, "b/1").Name != "B1" {
		t.Error("the tags' tasks are mixed up")
	}
	if f := in.features["a"]; !strings.HasPrefix(f.Description, "The first\n") || in.features["none"] == nil {
		t.Errorf("features: %v", in.features)
	}
}

// A thousand tasks in rings of five with chords: cycles are broken until there
// are none, and every edge of the file is there or noted.
func TestManyCycles(t *testing.T) {
	t.Parallel()
	const n = 1000
	tasks := make([]string, n)
	for i := range n {
		ring := i - i%5
		tasks[i] = item(fmt.Sprint(i), fmt.Sprintf("%d, %d", ring+(i+1)%5, (ring+(i+3)%5+5*(i%2))%n), "")
	}
	d, report, err := taskmaster.Convert([]byte(tagged(strings.Join(tasks, ","))), options)
	if err != nil {
		t.Fatal(said(err))
	}
	db := open(t)
	if _, err := plan.Apply(background, db, d, plan.Options{Now: now}); err != nil {
		t.Fatal(said(err))
	}
	if report.Dependencies+len(report.Notes) != 2*n || report.Dependencies < n {
		t.Errorf("%d kept, %d notes", report.Dependencies, len(report.Notes))
	}
	if stored(t, db, report).cyclic() {
		t.Error("there is a cycle")
	}
}

// The file may be imported again when it has gone on: what is new comes, what
// has been done here stays.
func TestNewerFile(t *testing.T) {
	t.Parallel()
	db := open(t)
	in := convert(t, db, tagged(item("1", "", `"status": "pending"`)+","+item("2", "1", "")))
	started := nexus.TaskInProgress
	if _, err := db.Tasks.Update(background, in.task(t, "m/1").ID, nexus.TaskUpdate{Status: &started}); err != nil {
		t.Fatal(err)
	}
	in = convert(t, db, tagged(item("1", "", `"status": "pending", "description": "More"`)+","+item("3", "1", "")))
	if one := in.task(t, "m/1"); one.Status != started || one.Description != "More" || one.StartedAt.IsZero() {
		t.Errorf("1: %+v", one)
	}
	if diff := cmp.Diff(map[string][]string{"m/2": {"m/1"}, "m/3": {"m/1"}}, in.edges()); diff != "" {
		t.Error(diff)
	}
}

// A newer file leaves the statuses alone, and with them what goes with them.
func TestNewerFileLeavesStatusAlone(t *testing.T) {
	t.Parallel()
	db := open(t)
	in := convert(t, db, tagged(item("1", "", "")+","+item("2", "", "")+","+item("3", "", `"status": "done"`)))
	// 3 has been taken up again here, and finished.
	for _, status := range []nexus.TaskStatus{nexus.TaskPending, nexus.TaskCompleted} {
		if _, err := db.Tasks.Update(background, in.task(t, "m/3").ID, nexus.TaskUpdate{Status: &status}); err != nil {
			t.Fatal(err)
		}
	}
	in = convert(t, db, tagged(item("1", "", `"status": "done", "updatedAt": "2025-06-13T23:52:56Z"`)+","+item("2", "", `"status": "deferred"`)+","+item("3", "", `"status": "done"`)))
	if one := in.task(t, "m/1"); one.Status != nexus.TaskPending || !one.CompletedAt.IsZero() {
		t.Errorf("1 is %s, and completed at %v", one.Status, one.CompletedAt)
	}
	if two := in.task(t, "m/2"); two.Status != nexus.TaskPending || two.BlockedBy != "" {
		t.Errorf("2 is %s, and blocked by %q", two.Status, two.BlockedBy)
	}
	if three := in.task(t, "m/3"); three.CompletedAt.IsZero() {
		t.Error("when 3 was completed is forgotten")
	}
}
