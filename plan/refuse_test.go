package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/plan"
)

// ring returns the tasks of a cycle of n, from t0 over t1 and so on back to t0.
func ring(n int) (tasks, way string) {
	list, names := make([]string, n), make([]string, n+1)
	for i := range n {
		list[i] = fmt.Sprintf(`{"key": "t%d", "name": "T", "depends_on": ["t%d"]}`, i, (i+1)%n)
		names[i] = fmt.Sprintf("t%d", i)
	}
	names[n] = "t0"
	list[0] = strings.Replace(list[0], `["`, `«1»["`, 1)
	return strings.Join(list, ",\n"), strings.Join(names, " → ")
}

// All that is wrong with what a document says is reported at once, and nothing
// of it is stored.
func TestProblemsOfContent(t *testing.T) {
	t.Parallel()
	const noTask, noFeature, noSub = "is not the key of any of tasks", "is not the key of any of features", "is not the key of any of sub_features"
	fifty, fiftyWay := ring(50)
	for name, test := range map[string]struct {
		text string
		want []flaw
	}{
		"no project key": {`{"project": «1»{}}`, []flaw{{1, "project.key", "is required"}}},
		"empty project key": {`{"project": {"key": «1»"", "description": "x"}}`, []flaw{
			{1, "project.key", "is required"},
		}},
		"no names": {`{
  "project": «1»{"key": "p"}, "features": [«2»{"key": "f"}, {"key": "f2", "name": «3»" "}],
  "sub_features": [«4»{"key": "s", "feature": "f"}], "tasks": [«5»{"key": "t"}], "requirements": [«6»{"key": "r"}]}`, []flaw{
			{1, "project.name", "is required"},
			{2, "features[0].name", "is required"},
			{3, "features[1].name", "is required"},
			{4, "sub_features[0].name", "is required"},
			{5, "tasks[0].name", "is required"},
			{6, "requirements[0].description", "is required"},
		}},
		"no keys": {`{
  "project": {"name": "p"}, "features": [«1»{"name": "F"}, {"key": «2»"", "name": "F"}],
  "sub_features": [«3»{"feature": «7»"f", "name": "S"}], "tasks": [«4»{"name": "T"}],
  "requirements": [«5»{"description": "R"}, {"description": "R", "key": «6»null}]}`, []flaw{
			{1, "features[0].key", "is required"},
			{2, "features[1].key", "is required"},
			{3, "sub_features[0].key", "is required"},
			{7, "sub_features[0].feature", noFeature},
			{4, "tasks[0].key", "is required"},
			{5, "requirements[0].key", "is required"},
			{6, "requirements[1].key", "is required"},
		}},
		"keys given twice": {`{
  "project": {"name": "p"}, "features": [{"key": "k", "name": "F"}, {"key": «1»"k", "name": "F"}],
  "sub_features": [{"key": "k", "feature": "k", "name": "S"}, {"feature": "k", "key": «2»"k", "name": "S"}],
  "tasks": [{"key": "k", "name": "T"}, {"key": "l", "name": "T"}, {"key": «3»"k", "name": "T"}, {"key": «4»"k", "name": "T"}],
  "requirements": [{"key": "k", "description": "R"}, {"key": «5»"k", "description": "R"}]}`, []flaw{
			{1, "features[1].key", `"k" is also the key of features[0]`},
			{2, "sub_features[1].key", `"k" is also the key of sub_features[0]`},
			{3, "tasks[2].key", `"k" is also the key of tasks[0]`},
			{4, "tasks[3].key", `"k" is also the key of tasks[0]`},
			{5, "requirements[1].key", `"k" is also the key of requirements[0]`},
		}},
		"unknown names": {`{
  "project": {"name": "p"}, "features": [{"key": "f", "name": "F"}],
  "sub_features": [{"key": "s", "feature": «1»"g", "name": "S"}, «2»{"key": "s2", "name": "S"}, {"key": "s3", "name": "S", "feature": «3»null}],
  "tasks": [{"key": "t", "name": "T", "feature": «4»"g", "sub_feature": «5»"f", "depends_on": [
    «6»"x", "u", «7»"f",
    «8»""]},
    {"key": "u", "name": "U"}],
  "requirements": [{"key": "r", "description": "R", "linked_features": ["f", «9»"g", «10»"h"]}]}`, []flaw{
			{1, "sub_features[0].feature", `"g" ` + noFeature},
			{2, "sub_features[1].feature", "is required"},
			{3, "sub_features[2].feature", "is required"},
			{4, "tasks[0].feature", `"g" ` + noFeature},
			{5, "tasks[0].sub_feature", `"f" ` + noSub},
			{6, "tasks[0].depends_on", `"x" ` + noTask},
			{7, "tasks[0].depends_on", `"f" ` + noTask},
			{8, "tasks[0].depends_on", `"" ` + noTask},
			{9, "requirements[0].linked_features", `"g" ` + noFeature},
			{10, "requirements[0].linked_features", `"h" ` + noFeature},
		}},
		"another feature's sub-feature": {`{
  "project": {"name": "p"}, "features": [{"key": "f", "name": "F"}, {"key": "g", "name": "G"}],
  "sub_features": [{"key": "s", "feature": "f", "name": "S"}],
  "tasks": [{"key": "t", "name": "T", "feature": "g", "sub_feature": «1»"s"}, {"key": "u", "name": "U", "feature": "f", "sub_feature": "s"}]}`, []flaw{
			{1, "tasks[0].sub_feature", `"s" belongs to another feature than "g"`},
		}},
		"dependencies on itself and named twice": {`{
  "project": {"name": "p"},
  "tasks": [{"key": "t", "name": "T", "depends_on": «1»["t"]}, {"key": "u", "name": "U", "depends_on": ["t", «2»"t"]}]}`, []flaw{
			{1, "tasks[0].depends_on", "names the task itself"}, {2, "tasks[1].depends_on", `"t" is named twice`},
		}},
		"a cycle of two": {`{"project": {"name": "p"}, "tasks": [
  {"key": "a", "name": "A"},
  {"key": "b", "name": "B", "depends_on": «1»["c"]}, {"key": "c", "name": "C", "depends_on": ["a", "b"]}]}`, []flaw{
			{1, "tasks[1].depends_on", "is a cycle: b → c → b"},
		}},
		"a cycle of fifty": {`{"project": {"name": "p"}, "tasks": [` + fifty + `]}`, []flaw{
			{1, "tasks[0].depends_on", "is a cycle: " + fiftyWay},
		}},
		"several cycles": {`{"project": {"name": "p"}, "tasks": [
  {"key": "a", "name": "A", "depends_on": «1»["b"]}, {"key": "b", "name": "B", "depends_on": ["a"]},
  {"key": "c", "name": "C", "depends_on": «2»["a", "e"]}, {"key": "d", "name": "D", "depends_on": ["c"]},
  {"key": "e", "name": "E", "depends_on": ["d"]}, {"key": "f", "name": "F", "depends_on": «3»["f"]}]}`, []flaw{
			{1, "tasks[0].depends_on", "is a cycle: a → b → a"},
			{2, "tasks[2].depends_on", "is a cycle: c → e → d → c"},
			{3, "tasks[5].depends_on", "names the task itself"},
		}},
		"values out of vocabulary": {`{
  "project": {"name": "p", "mode": «1»"new", "status": «2»"interviewing"},
  "features": [{"key": "f", "name": "F", "priority": «3»"high", "status": «4»"pending", "estimated_tasks": «5»-1}],
  "sub_features": [{"key": "s", "feature": "f", "name": "S", "status": «6»"ready"}],
  "tasks": [{"key": "t", "name": "T", "status": «7»"queued", "size": «8»"large", "priority": «9»"must",
    "estimated_minutes": «10»-1, "max_iterations": «11»-50, "max_attempts": «14»-1}],
  "requirements": [{"key": "r", "description": "R", "priority": «12»"must", "category": «13»" "}]}`, []flaw{
			{1, "project.mode", `is "new"; it must be one of genesis, evolution`},
			{2, "project.status", `is "interviewing"; it must be one of`},
			{3, "features[0].priority", "it must be one of must, should, could, wont"},
			{4, "features[0].status", `is "pending"; it must be one of`},
			{5, "features[0].estimated_tasks", "cannot be negative"},
			{6, "sub_features[0].status", `is "ready"; it must be one of`},
			{7, "tasks[0].status", `is "queued"; it must be one of`},
			{8, "tasks[0].size", "it must be one of atomic, small"},
			{9, "tasks[0].priority", "it must be one of critical, high, medium, low"},
			{10, "tasks[0].estimated_minutes", "cannot be negative"},
			{11, "tasks[0].max_iterations", "cannot be negative"},
			{14, "tasks[0].max_attempts", "cannot be negative"},
			{12, "requirements[0].priority", "it must be one of critical, high, medium, low"},
			{13, "requirements[0].category", "is required"},
		}},
		"texts that cannot be stored": {`{"project": {"name": "p"}, "tasks": [
  {"key": "t", "name": «1»"a\u0000b", "description": «2»"\u0000", "branch_name": «3»"\u0000"}]}`, []flaw{
			{1, "tasks[0].name", "NUL"}, {2, "tasks[0].description", "NUL"}, {3, "tasks[0].branch_name", "NUL"},
		}},
		"everything at once": {`{
  "project": {"name": "p", "mode": «1»"x"},
  "features": [«2»{"name": "F"}],
  "sub_features": [{"key": "s", "feature": «3»"no", "name": "S"}],
  "tasks": [{"key": "t", "name": «4»"", "depends_on": «5»["u"]}, {"key": "u", "name": "U", "depends_on": ["t", «6»"no"]}],
  "requirements": [{"key": "r", "description": "R", "linked_features": [«7»"no"]}]}`, []flaw{
			{1, "project.mode", "must be one of"},
			{2, "features[0].key", "is required"},
			{3, "sub_features[0].feature", noFeature},
			{4, "tasks[0].name", "is required"},
			{5, "tasks[0].depends_on", "is a cycle: t → u → t"},
			{6, "tasks[1].depends_on", noTask},
			{7, "requirements[0].linked_features", noFeature},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			text, places := marked(t, test.text)
			for _, dry := range []bool{true, false} {
				_, err := w.try(text, plan.Options{DryRun: dry})
				checkProblems(t, err, places, test.want)
			}
			if n := len(w.rows("projects")); n != 0 {
				t.Errorf("%d projects are stored", n)
			}
		})
	}
}

// What would make a row wrong that is there is told in the same way, and what
// was wrong with it before, by another program's doing, is not held against the
// plan.
func TestProblemsOfStoredRows(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.must(everything)
	w.exec("UPDATE tasks SET size = 'large', max_iterations = -1 WHERE plan_key = 'api'")
	w.later()
	w.unchanged(func() {
		text, places := marked(t, `{
  "project": {"key": "shop", "mode": «1»"new", "name": «2»""}, "features": [{"key": "pay", "priority": «3»"high", "status": "done"}],
  "sub_features": [{"key": "card", "feature": "pay", "name": «4»" "}],
  "tasks": [{"key": "api", "priority": "high", "estimated_minutes": «5»-1}, {"key": "form", "size": «6»"large", "depends_on": «7»["form"]}],
  "requirements": [{"key": "fast", "priority": «8»"must"}]}`)
		_, err := w.try(text, plan.Options{})
		checkProblems(t, err, places, []flaw{
			{1, "project.mode", "must be one of"},
			{2, "project.name", "is required"},
			{3, "features[0].priority", "must be one of"},
			{4, "sub_features[0].name", "is required"},
			{5, "tasks[0].estimated_minutes", "cannot be negative"},
			{6, "tasks[1].size", "must be one of"},
			{7, "tasks[1].depends_on", "names the task itself"},
			{8, "requirements[0].priority", "must be one of"},
		})
	})
	w.must(`{"project": {"key": "shop"}, "tasks": [{"key": "api", "priority": "high"}]}`)
	if r := w.named("tasks")["api"]; r["priority"] != int64(1) || r["size"] != "large" || r["max_iterations"] != int64(-1) {
		t.Errorf("api: %v", r)
	}
}

// A document of a program has no places, but the same problems.
func TestProblemsWithoutPlaces(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	name, size := "", nexus.TaskSize("huge")
	d := &plan.Document{
		Project:  plan.Project{Key: "p", Fields: nexus.ProjectUpdate{Name: &name}},
		Features: []plan.Feature{{}},
		Tasks: []plan.Task{
			{Key: "t", Feature: "no", SubFeature: "no", DependsOn: []string{"t", "no", "t"}, Fields: nexus.TaskUpdate{Name: &name, Size: &size}},
		},
		Requirements: []plan.Requirement{{Key: "r", LinkedFeatures: []string{"no"}}},
	}
	_, err := w.apply(d, plan.Options{})
	checkProblems(t, err, map[int][2]int{0: {0, 0}}, []flaw{
		{0, "features[0].key", "is required"},
		{0, "features[0].name", "is required"},
		{0, "project.name", "is required"},
		{0, "requirements[0].description", "is required"},
		{0, "requirements[0].linked_features", "is not the key"},
		{0, "tasks[0].depends_on", `"no" is not the key`},
		{0, "tasks[0].depends_on", `"t" is named twice`},
		{0, "tasks[0].depends_on", "names the task itself"},
		{0, "tasks[0].feature", "is not the key"},
		{0, "tasks[0].name", "is required"},
		{0, "tasks[0].size", "must be one of"},
		{0, "tasks[0].sub_feature", "is not the key"},
	})
}
