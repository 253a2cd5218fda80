package plan_test

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus/plan"
)

// everything gives every field of every section a value that is no default.
const everything = `{
  "nexus_plan": 1,
  "project": {
    "key": "shop", "name": "The shop", "description": "Sells é and 世", "mode": "evolution",
    "status": "planning", "root_path": "/srv/shop", "repository_url": "https://example.org/shop.git"
  },
  "features": [
    {"key": "pay", "name": "Payment", "description": "Money", "priority": "must", "status": "planning", "estimated_tasks": 7}
  ],
  "sub_features": [
    {"key": "card", "feature": "pay", "name": "By card", "description": "Plastic", "status": "in_progress"}
  ],
  "tasks": [
    {"key": "form", "feature": "pay", "sub_feature": "card", "depends_on": ["api", "database"],
     "name": "Write the form", "description": "With\nlines", "status": "blocked", "size": "atomic",
     "priority": "critical", "estimated_minutes": 45, "max_iterations": 9, "max_attempts": 4,
     "branch_name": "form", "worktree_path": "../form", "metadata": { "b" :[1, 1.0,"\u0041"], "a":null }},
    {"key": "api", "name": "Write the API", "status": "completed", "priority": "low", "metadata": "text"},
    {"key": "database", "name": "Choose a database", "status": "in_progress", "priority": "high", "depends_on": []}
  ],
  "requirements": [
    {"key": "fast", "category": "performance", "description": "It is fast", "priority": "critical",
     "source": "the boss", "linked_features": ["pay"], "validated": true}
  ]
}`

func TestEveryFieldArrives(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	report := w.must(everything)
	wantReport := &plan.Report{
		ProjectID: w.rows("projects")[0]["id"].(string), Projects: plan.Count{Created: 1},
		Features: plan.Count{Created: 1}, SubFeatures: plan.Count{Created: 1},
		Tasks: plan.Count{Created: 3}, Requirements: plan.Count{Created: 1}, Dependencies: 2,
	}
	if diff := cmp.Diff(wantReport, report); diff != "" {
		t.Error(diff)
	}
	now := int64(start)
	task := func(key, name string, given row) row {
		r := row{
			"id": "tasks/" + key, "plan_key": key, "project_id": "projects/shop", "name": name, "revision": int64(1),
			"created_at": now, "updated_at": now, "feature_id": nil, "sub_feature_id": nil, "depends_on": nil,
			"description": nil, "size": "small", "estimated_minutes": int64(15), "max_iterations": int64(50),
			"branch_name": nil, "worktree_path": nil, "metadata": nil, "assigned_agent": nil, "blocked_by": nil,
			"max_attempts": int64(3), "failed_attempts": int64(0), "qa_iterations": int64(0), "actual_minutes": nil, "started_at": nil, "completed_at": nil,
			"budget_tokens": nil, "budget_usd": nil,
		}
		for column, value := range given {
			r[column] = value
		}
		return r
	}
	for table, want := range map[string]map[string]row{
		"projects": {"shop": {
			"id": "projects/shop", "plan_key": "shop", "name": "The shop", "description": "Sells é and 世",
			"mode": "evolution", "status": "planning", "root_path": "/srv/shop",
			"repository_url": "https://example.org/shop.git", "revision": int64(1),
			"created_at": now, "updated_at": now, "completed_at": nil, "budget_tokens": nil, "budget_usd": nil,
		}},
		"features": {"pay": {
			"id": "features/pay", "plan_key": "pay", "project_id": "projects/shop", "name": "Payment",
			"description": "Money", "priority": "must", "status": "planning", "estimated_tasks": int64(7),
			"completed_tasks": int64(0), "revision": int64(1), "created_at": now, "updated_at": now,
		}},
		"sub_features": {"card": {
			"id": "sub_features/card", "plan_key": "card", "feature_id": "features/pay", "name": "By card",
			"description": "Plastic", "status": "in_progress", "revision": int64(1), "created_at": now,
		}},
		"tasks": {
			"form": task("form", "Write the form", row{
				"feature_id": "features/pay", "sub_feature_id": "sub_features/card",
				"depends_on": `["tasks/api","tasks/database"]`, "description": "With\nlines", "status": "blocked",
				"size": "atomic", "priority": int64(0), "estimated_minutes": int64(45), "max_iterations": int64(9),
				"max_attempts": int64(4), "branch_name": "form", "worktree_path": "../form",
				"metadata": `{ "b" :[1, 1.0,"\u0041"], "a":null }`, // to the byte
			}),
			"api": task("api", "Write the API", row{
				"status": "completed", "priority": int64(3), "metadata": `"text"`, "completed_at": now,
			}),
			"database": task("database", "Choose a database", row{
				"status": "in_progress", "priority": int64(1), "started_at": now,
			}),
		},
		"requirements": {"fast": {
			"id": "requirements/fast", "plan_key": "fast", "project_id": "projects/shop", "category": "performance",
			"description": "It is fast", "priority": "critical", "source": "the boss",
			"linked_features": `["features/pay"]`, "validated": int64(1), "revision": int64(1), "created_at": now,
		}},
		"agents": {}, "checkpoints": {}, "metrics": {}, "sessions": {},
	} {
		if diff := cmp.Diff(want, w.named(table)); diff != "" {
			t.Errorf("%s: %s", table, diff)
		}
	}
}

// least gives only what must be given.
const least = `{
  "project": {"name": "p"},
  "features": [{"key": "f", "name": "F"}],
  "sub_features": [{"key": "s", "feature": "f", "name": "S"}],
  "tasks": [{"key": "t", "name": "T"}, {"key": "u", "sub_feature": "s", "name": "U"}],
  "requirements": [{"key": "r", "description": "R"}]
}`

func TestDefaults(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.must(least)
	for _, test := range []struct {
		table, key string
		want       row
	}{
		{"projects", "p", row{"mode": "genesis", "status": "pending", "root_path": ".", "description": nil, "repository_url": nil}},
		{"features", "f", row{"priority": "should", "status": "backlog", "estimated_tasks": int64(0), "description": nil}},
		{"sub_features", "s", row{"status": "backlog", "description": nil}},
		{"tasks", "t", row{
			"status": "pending", "size": "small", "priority": int64(2), "estimated_minutes": int64(15),
			"max_iterations": int64(50), "max_attempts": int64(3), "depends_on": nil, "feature_id": nil, "sub_feature_id": nil, "metadata": nil,
		}},
		{"tasks", "u", row{"feature_id": "features/f", "sub_feature_id": "sub_features/s"}}, // the sub-feature's feature
		{"requirements", "r", row{
			"category": "functional", "priority": "medium", "source": nil, "linked_features": nil, "validated": int64(0),
		}},
	} {
		got := w.named(test.table)[test.key]
		for column, want := range test.want {
			if got[column] != want {
				t.Errorf("%s %s: %s is %v, want %v", test.table, test.key, column, got[column], want)
			}
		}
	}
}

// A member that is null counts as not given: what is new gets its default, what
// is there stays.
func TestNullMembers(t *testing.T) {
	t.Parallel()
	const nulls = `{
	  "nexus_plan": null,
	  "project": {"key": null, "name": "p", "description": null, "mode": null, "status": null, "root_path": null, "repository_url": null},
	  "features": [{"key": "f", "name": "F", "description": null, "priority": null, "status": null, "estimated_tasks": null}],
	  "sub_features": [{"key": "s", "feature": "f", "name": "S", "description": null, "status": null}],
	  "tasks": [
	    {"key": "t", "name": "T", "feature": null, "sub_feature": null, "depends_on": null, "description": null,
	     "status": null, "size": null, "priority": null, "estimated_minutes": null, "max_iterations": null, "max_attempts": null,
	     "branch_name": null, "worktree_path": null, "metadata": null},
	    {"key": "u", "sub_feature": "s", "name": "U"}],
	  "requirements": [{"key": "r", "description": "R", "category": null, "priority": null, "source": null, "linked_features": null, "validated": null}]
	}`
	a, b := newWorkshop(t), newWorkshop(t)
	a.must(least)
	b.must(nulls)
	for _, table := range tables {
		if diff := cmp.Diff(a.named(table), b.named(table)); diff != "" {
			t.Errorf("%s: %s", table, diff)
		}
	}

	w := newWorkshop(t)
	w.must(everything)
	w.later()
	w.unchanged(func() {
		// A list's null items would be wrong, as is a null for what must be there.
		values := regexp.MustCompile(`"(description|mode|root_path|repository_url|priority|estimated_tasks|size|estimated_minutes|` +
			`max_iterations|max_attempts|branch_name|worktree_path|source|validated|depends_on|linked_features|metadata|sub_feature)": ` +
			`("[^"]*"|\d+|true|\[[^]]*\]|\{ [^}]*\})`)
		w.must(values.ReplaceAllString(everything, `"$1": null`))
	})
	w.unchanged(func() {
		w.must(`{"project": {"key": "shop"}, "features": null, "sub_features": null, "tasks": null, "requirements": null}`)
	})
}

// What is given as empty is cleared.
func TestEmptyClears(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.must(everything)
	w.must(`{
	  "project": {"key": "shop", "description": "", "repository_url": ""},
	  "features": [{"key": "pay", "description": "", "estimated_tasks": 0}],
	  "sub_features": [{"key": "card", "feature": "pay", "description": ""}],
	  "tasks": [{"key": "form", "depends_on": [], "description": "", "branch_name": "", "worktree_path": ""}],
	  "requirements": [{"key": "fast", "source": "", "linked_features": [], "validated": false}]
	}`)
	for _, test := range []struct {
		table, key string
		want       row
	}{
		{"projects", "shop", row{"description": nil, "repository_url": nil}},
		{"features", "pay", row{"description": nil, "estimated_tasks": int64(0)}},
		{"sub_features", "card", row{"description": nil}},
		{"tasks", "form", row{
			"depends_on": nil, "description": nil, "branch_name": nil, "worktree_path": nil,
			// Not given, so left.
			"feature_id": "features/pay", "sub_feature_id": "sub_features/card", "size": "atomic",
		}},
		{"requirements", "fast", row{"source": nil, "linked_features": nil, "validated": int64(0)}},
	} {
		got := w.named(test.table)[test.key]
		for column, want := range test.want {
			if got[column] != want {
				t.Errorf("%s %s: %s is %v, want %v", test.table, test.key, column, got[column], want)
			}
		}
	}
}
