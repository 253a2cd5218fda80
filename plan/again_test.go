package plan_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/plan"
)

// counts leaves of a report what does not depend on ids.
func counts(r *plan.Report) plan.Report {
	c := *r
	c.ProjectID, c.DryRun = "", false
	return c
}

func TestSamePlanTwice(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	first := w.must(everything)
	w.later()
	w.unchanged(func() {
		second := w.must(everything)
		want := &plan.Report{
			ProjectID: first.ProjectID, Projects: plan.Count{Unchanged: 1}, Features: plan.Count{Unchanged: 1},
			SubFeatures: plan.Count{Unchanged: 1}, Tasks: plan.Count{Unchanged: 3}, Requirements: plan.Count{Unchanged: 1},
			Dependencies: 2,
		}
		if diff := cmp.Diff(want, second); diff != "" {
			t.Error(diff)
		}
		if second.Changed() || !first.Changed() {
			t.Errorf("changed: first %v, second %v", first.Changed(), second.Changed())
		}
	})
}

// Applying a plan again does not undo work: what agents have done to a row
// since stays, as long as the plan does not give it.
func TestWorkIsNotUndone(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.must(everything)
	w.later()
	w.exec("UPDATE projects SET status = 'executing'")
	w.exec("UPDATE features SET status = 'done', completed_tasks = 3")
	w.exec("UPDATE sub_features SET status = 'human_review'")
	w.exec("UPDATE tasks SET status = 'failed', assigned_agent = 'a1', started_at = 5, qa_iterations = 2, blocked_by = 'x' WHERE plan_key = 'form'")
	w.exec("UPDATE tasks SET status = 'pending', completed_at = NULL WHERE plan_key = 'api'")
	// Another program's words are no reason to refuse a plan.
	w.exec("UPDATE tasks SET status = 'qa_loop' WHERE plan_key = 'database'")
	w.unchanged(func() { w.must(everything) })
	w.later()
	w.must(strings.Replace(everything, "Choose a database", "Set up a database", 1))
	if r := w.named("tasks")["database"]; r["status"] != "qa_loop" || r["name"] != "Set up a database" {
		t.Errorf("database: %v", r)
	}
}

// Each change reaches its column of its row, counts as one revision, and touches
// nothing else.
func TestChangesExactly(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		old, new   string // in the text
		table, key string
		want       row // what becomes different, besides revision and updated_at
	}{
		{`"name": "The shop"`, `"name": "Shop"`, "projects", "shop", row{"name": "Shop"}},
		{`"mode": "evolution"`, `"mode": "genesis"`, "projects", "shop", row{"mode": "genesis"}},
		{`"description": "Money"`, `"description": "Cash"`, "features", "pay", row{"description": "Cash"}},
		{`"priority": "must"`, `"priority": "wont"`, "features", "pay", row{"priority": "wont"}},
		{`"estimated_tasks": 7`, `"estimated_tasks": 8`, "features", "pay", row{"estimated_tasks": int64(8)}},
		{`"name": "By card"`, `"name": "By debit card"`, "sub_features", "card", row{"name": "By debit card"}},
		{`"name": "Write the API"`, `"name": "Write it"`, "tasks", "api", row{"name": "Write it"}},
		{`"description": "With\nlines"`, `"description": ""`, "tasks", "form", row{"description": nil}},
		{`"depends_on": ["api", "database"]`, `"depends_on": ["api"]`, "tasks", "form", row{"depends_on": `["tasks/api"]`}},
		{`"depends_on": ["api", "database"]`, `"depends_on": ["database", "api"]`, "tasks", "form", row{"depends_on": `["tasks/database","tasks/api"]`}},
		{`"depends_on": ["api", "database"]`, `"depends_on": []`, "tasks", "form", row{"depends_on": nil}},
		{`"depends_on": []`, `"depends_on": ["api"]`, "tasks", "database", row{"depends_on": `["tasks/api"]`}},
		{`"metadata": "text"`, `"metadata": {}`, "tasks", "api", row{"metadata": "{}"}},
		{`"max_iterations": 9`, `"max_iterations": 1`, "tasks", "form", row{"max_iterations": int64(1)}},
		{`"max_attempts": 4`, `"max_attempts": 1`, "tasks", "form", row{"max_attempts": int64(1)}},
		{`"size": "atomic"`, `"size": "small"`, "tasks", "form", row{"size": "small"}},
		{`"priority": "low"`, `"priority": "medium"`, "tasks", "api", row{"priority": int64(2)}},
		{`"key": "api",`, `"key": "api", "feature": "pay",`, "tasks", "api", row{"feature_id": "features/pay"}},
		{`"key": "api",`, `"key": "api", "sub_feature": "card",`, "tasks", "api", row{"feature_id": "features/pay", "sub_feature_id": "sub_features/card"}},
		{`"validated": true`, `"validated": false`, "requirements", "fast", row{"validated": int64(0)}},
		{`"linked_features": ["pay"]`, `"linked_features": []`, "requirements", "fast", row{"linked_features": nil}},
	} {
		t.Run(test.new, func(t *testing.T) {
			t.Parallel()
			if strings.Count(everything, test.old) != 1 {
				t.Fatalf("%s is not once in the plan", test.old)
			}
			w := newWorkshop(t)
			w.must(everything)
			want := make(map[string]map[string]row)
			for _, table := range tables {
				want[table] = w.named(table)
			}
			r := want[test.table][test.key]
			for column, value := range test.want {
				r[column] = value
			}
			w.later()
			changed := []row{r}
			if test.want["feature_id"] != nil { // what the feature is at follows from its tasks, one of which is done
				f := want["features"]["pay"]
				f["completed_tasks"], f["status"] = int64(1), "in_progress"
				changed = append(changed, f)
			}
			for _, r := range changed {
				r["revision"] = int64(2)
				if _, has := r["updated_at"]; has {
					r["updated_at"] = w.clock.Load()
				}
			}
			report := w.must(strings.Replace(everything, test.old, test.new, 1))
			for _, table := range tables {
				if diff := cmp.Diff(want[table], w.named(table)); diff != "" {
					t.Errorf("%s: %s", table, diff)
				}
			}
			updated := report.Projects.Updated + report.Features.Updated + report.SubFeatures.Updated +
				report.Tasks.Updated + report.Requirements.Updated
			if updated != 1 || !report.Changed() {
				t.Errorf("report: %+v", report)
			}
		})
	}
}

// What a plan does not have any more may have been worked on, so it stays.
func TestRemovedElementsAreKept(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.must(everything)
	// Rows without a plan key have never been in a plan, and are not counted.
	projectID := w.rows("projects")[0]["id"]
	w.exec("INSERT INTO tasks (id, project_id, name, created_at, updated_at) VALUES ('by-hand', $1, 'By hand', 1, 1)", projectID)
	w.later()
	w.unchanged(func() {
		report := w.must(`{"project": {"key": "shop"}, "tasks": [{"key": "api"}]}`)
		want := plan.Report{
			Projects: plan.Count{Unchanged: 1}, Features: plan.Count{Kept: 1}, SubFeatures: plan.Count{Kept: 1},
			Tasks: plan.Count{Unchanged: 1, Kept: 2}, Requirements: plan.Count{Kept: 1},
		}
		if diff := cmp.Diff(want, counts(report)); diff != "" {
			t.Error(diff)
		}
		if report.Changed() {
			t.Error("keeping rows is no change")
		}
	})
}

// A plan may name what an earlier one has stored, without giving it again.
func TestNamesOfAnEarlierPlan(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.must(everything)
	report := w.must(`{
	  "project": {"key": "shop"},
	  "sub_features": [{"key": "cash", "feature": "pay", "name": "By cash"}],
	  "tasks": [
	    {"key": "till", "sub_feature": "card", "depends_on": ["form", "count"], "name": "Build a till"},
	    {"key": "count", "feature": "pay", "name": "Count it", "depends_on": ["api"]}],
	  "requirements": [{"key": "safe", "description": "It is safe", "linked_features": ["pay"]}]
	}`)
	want := plan.Report{
		Projects: plan.Count{Unchanged: 1}, Features: plan.Count{Kept: 1}, SubFeatures: plan.Count{Created: 1, Kept: 1},
		Tasks: plan.Count{Created: 2, Kept: 3}, Requirements: plan.Count{Created: 1, Kept: 1}, Dependencies: 3,
	}
	if diff := cmp.Diff(want, counts(report)); diff != "" {
		t.Error(diff)
	}
	till := w.named("tasks")["till"]
	if till["depends_on"] != `["tasks/form","tasks/count"]` || till["sub_feature_id"] != "sub_features/card" || till["feature_id"] != "features/pay" {
		t.Errorf("till: %v", till)
	}
	if links := w.named("requirements")["safe"]["linked_features"]; links != `["features/pay"]` {
		t.Errorf("safe: linked_features %v", links)
	}
	if cash := w.named("sub_features")["cash"]; cash["feature_id"] != "features/pay" {
		t.Errorf("cash: %v", cash)
	}
}

// Projects do not see each other's keys.
func TestKeysAreOfOneProject(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.must(everything)
	text, places := marked(t, `{"project": {"name": "other"}, "tasks": [{"key": "form", "name": "F", "depends_on": [«1»"api"]}]}`)
	_, err := w.try(text, plan.Options{})
	checkProblems(t, err, places, []flaw{{1, "tasks[0].depends_on", "is not the key"}})
	w.must(strings.Replace(everything, `"key": "shop"`, `"key": "second"`, 1))
	for table, want := range map[string]int{"projects": 2, "features": 2, "sub_features": 2, "tasks": 6, "requirements": 2} {
		if n := len(w.rows(table)); n != want {
			t.Errorf("%d %s, want %d", n, table, want)
		}
	}
}

func TestCycleWithStoredTasks(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.must(`{"project": {"name": "p"}, "tasks": [
	  {"key": "a", "name": "A", "depends_on": ["b"]}, {"key": "b", "name": "B", "depends_on": ["c"]}, {"key": "c", "name": "C"}]}`)
	w.unchanged(func() {
		text, places := marked(t, `{"project": {"name": "p"}, "tasks": [
		  {"key": "new", "name": "N", "depends_on": ["a"]}, {"key": "c", "depends_on": «1»["a"]}]}`)
		_, err := w.try(text, plan.Options{})
		checkProblems(t, err, places, []flaw{{1, "tasks[1].depends_on", "is a cycle: c → a → b → c"}})
	})
	// Turning all of it round at once is no cycle.
	w.must(`{"project": {"name": "p"}, "tasks": [
	  {"key": "c", "depends_on": ["b"]}, {"key": "b", "depends_on": ["a"]}, {"key": "a", "depends_on": []}]}`)

	// A task that was made by hand has no key, but is in the way all the same.
	w.exec("INSERT INTO tasks (id, project_id, name, depends_on, created_at, updated_at) "+
		"SELECT 'by-hand', project_id, 'H', json_array(id), 1, 1 FROM tasks WHERE plan_key = $1", "c")
	w.exec("UPDATE tasks SET depends_on = '[\"by-hand\"]' WHERE plan_key = 'a'")
	w.unchanged(func() {
		// Somebody else has stored a cycle: the plan that does not touch it is welcome,
		w.must(`{"project": {"name": "p"}}`)
		// and one that repeats a part of it is told.
		_, err := w.try(`{"project": {"name": "p"}, "tasks": [{"key": "c", "depends_on": ["b"]}]}`, plan.Options{})
		wantCode(t, err, nexus.CodeInvalid)
		if text := problems(err); !strings.Contains(text, "is a cycle: c → b → a → by-hand → c") {
			t.Error(text)
		}
	})
}

func TestSubFeatureCannotMove(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.must(everything)
	w.unchanged(func() {
		text, places := marked(t, `{"project": {"key": "shop"}, "features": [{"key": "new", "name": "N"}],
		  "sub_features": [{"key": "card", "feature": «1»"new"}]}`)
		_, err := w.try(text, plan.Options{})
		checkProblems(t, err, places, []flaw{{1, "sub_features[0].feature", "is another than before"}})
	})
}

// The project's key is its name unless given, so a plan with a key may rename it.
func TestProjectKeys(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	first := w.must(`{"project": {"name": "One"}}`)
	if again := w.must(`{"project": {"key": "One", "name": "Two"}}`); again.ProjectID != first.ProjectID || again.Projects.Updated != 1 {
		t.Errorf("renamed: %+v", again)
	}
	if other := w.must(`{"project": {"name": "Two"}}`); other.ProjectID == first.ProjectID || other.Projects.Created != 1 {
		t.Errorf("another key: %+v", other)
	}
	p, err := w.Projects.Get(context.Background(), first.ProjectID)
	if err != nil || p.Name != "Two" || p.PlanKey != "One" {
		t.Errorf("%+v, %v", p, err)
	}
}
