package plan_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus/plan"
	"github.com/seed-c8812374/nexus/storetest"
)

// object is an element of a document.
type object map[string]any

// A model knows what rows there must be after the plans so far, by table and
// key, as [workshop.named] shows them.
type model map[string]map[string]row

// columns are the columns whose member has another name or another form; the
// others are as they are.
var columns = map[string]func(r row, value any){
	"key":     func(row, any) {},
	"feature": func(r row, value any) { r["feature_id"] = "features/" + value.(string) },
	"sub_feature": func(r row, value any) {
		r["sub_feature_id"] = "sub_features/" + value.(string)
		r["feature_id"] = "features/" + featureOf(value.(string))
	},
	"depends_on":      func(r row, value any) { r["depends_on"] = idList("tasks/", value) },
	"linked_features": func(r row, value any) { r["linked_features"] = idList("features/", value) },
	"validated": func(r row, value any) {
		r["validated"] = int64(0)
		if value.(bool) {
			r["validated"] = int64(1)
		}
	},
	"metadata": func(r row, value any) { r["metadata"] = string(value.(json.RawMessage)) },
}

var taskPriorities = []string{"critical", "high", "medium", "low"}

func idList(prefix string, keys any) any {
	list := slices.Clone(keys.([]string))
	if len(list) == 0 {
		return nil
	}
	for i := range list {
		list[i] = prefix + list[i]
	}
	text, _ := json.Marshal(list) // strings always marshal
	return string(text)
}

// featureOf says to which feature a sub-feature belongs in these plans.
func featureOf(sub string) string { return fmt.Sprint("f", (sub[1]-'0')%3) }

// take is what applying an element must do.
func (m model) take(table, key string, e object, defaults row, now int64) {
	old, there := m[table][key]
	r := maps.Clone(old)
	if !there {
		r = maps.Clone(defaults)
		r["id"], r["plan_key"], r["created_at"], r["revision"] = table+"/"+key, key, now, int64(1)
	}
	for name, value := range e {
		set := columns[name]
		switch {
		case value == nil || name == "status" && there:
		case set != nil:
			set(r, value)
		case name == "priority" && table == "tasks":
			r["priority"] = int64(slices.Index(taskPriorities, value.(string)))
		case value == "":
			r[name] = nil
		default:
			r[name] = value
			if n, ok := value.(int); ok {
				r[name] = int64(n)
			}
		}
	}
	_, hasUpdated := defaults["updated_at"]
	switch {
	case !there:
		if hasUpdated {
			r["updated_at"] = now
		}
		switch {
		case table == "tasks" && r["status"] == "in_progress":
			r["started_at"] = now
		case table == "tasks" && (r["status"] == "completed" || r["status"] == "skipped"), table == "projects" && r["status"] == "completed":
			r["completed_at"] = now
		}
	case !maps.Equal(old, r):
		r["revision"] = old["revision"].(int64) + 1
		if hasUpdated {
			r["updated_at"] = now
		}
	}
	m[table][key] = r
}

// defaults are the rows of elements that say nothing.
var defaults = map[string]row{
	"projects": {
		"name": nil, "description": nil, "mode": "genesis", "status": "pending", "root_path": ".",
		"repository_url": nil, "completed_at": nil, "budget_tokens": nil, "budget_usd": nil, "updated_at": nil,
	},
	"features": {
		"project_id": "projects/p", "name": nil, "description": nil, "priority": "should", "status": "backlog",
		"estimated_tasks": int64(0), "completed_tasks": int64(0), "updated_at": nil,
	},
	"sub_features": {"feature_id": nil, "name": nil, "description": nil, "status": "backlog"},
	"tasks": {
		"project_id": "projects/p", "feature_id": nil, "sub_feature_id": nil, "name": nil, "description": nil,
		"status": "pending", "size": "small", "priority": int64(2), "assigned_agent": nil, "worktree_path": nil,
		"branch_name": nil, "depends_on": nil, "blocked_by": nil, "qa_iterations": int64(0), "max_iterations": int64(50),
		"max_attempts": int64(3), "failed_attempts": int64(0), "estimated_minutes": int64(15), "actual_minutes": nil, "started_at": nil, "completed_at": nil, "metadata": nil,
		"budget_tokens": nil, "budget_usd": nil,
		"updated_at": nil,
	},
	"requirements": {
		"project_id": "projects/p", "category": "functional", "description": nil, "priority": "medium", "source": nil,
		"linked_features": nil, "validated": int64(0),
	},
}

// drawing draws documents that are right, given what is stored already.
type drawing struct {
	*rapid.T
	stored model
}

// maybe gives an element a member, or null, or leaves it out. What is required
// of a new element is always given.
func maybe[V any](d drawing, e object, name string, required bool, values *rapid.Generator[V]) {
	switch n := rapid.IntRange(0, 3).Draw(d.T, "give "+name); {
	case n > 1 || required:
		e[name] = values.Draw(d.T, name)
	case n == 1:
		e[name] = nil
	}
}

var (
	someText  = rapid.StringMatching(`[ -~é世\n]{0,12}`)
	someName  = rapid.StringMatching(`[a-zé世][ -~é世\n]{0,12}`)
	somePath  = rapid.StringMatching(`/[a-z]{0,5}`)
	someCount = rapid.IntRange(1, 1000)
	someJSON  = rapid.Custom(func(t *rapid.T) json.RawMessage {
		text, _ := json.Marshal(rapid.MapOf(someName, someText).Draw(t, "metadata")) // always marshals
		return text
	})
	featureStatus = rapid.SampledFrom([]string{"backlog", "planning", "in_progress", "ai_review", "human_review", "done"})
)

// elements draws which of n keys to give, in any order.
func (d drawing) elements(letter string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint(letter, i)
	}
	return rapid.Permutation(keys).Draw(d.T, "order")[:rapid.IntRange(0, n).Draw(d.T, "how many")]
}

// some draws up to three of the keys, in any order.
func (d drawing) some(keys []string, name string) []string {
	n := rapid.IntRange(0, min(3, len(keys))).Draw(d.T, "how many")
	if n == 0 {
		return []string{}
	}
	return rapid.Permutation(keys).Draw(d.T, name)[:n]
}

// known returns the keys that a document may name: its own and the stored ones.
func (d drawing) known(table string, given []string) []string {
	all := slices.AppendSeq(slices.Clone(given), maps.Keys(d.stored[table]))
	slices.Sort(all)
	return slices.Compact(all)
}

func (d drawing) document() map[string]any {
	project := object{"key": "p"}
	maybe(d, project, "name", len(d.stored["projects"]) == 0, someName)
	maybe(d, project, "description", false, someText)
	maybe(d, project, "mode", false, rapid.SampledFrom([]string{"genesis", "evolution"}))
	maybe(d, project, "status", false, rapid.SampledFrom([]string{"pending", "planning", "executing", "paused", "completed", "failed"}))
	maybe(d, project, "root_path", false, somePath)
	maybe(d, project, "repository_url", false, someText)

	features, subs, tasks, requirements := []object{}, []object{}, []object{}, []object{}
	keys := d.elements("f", 3)
	for _, key := range keys {
		e := object{"key": key}
		maybe(d, e, "name", d.stored["features"][key] == nil, someName)
		maybe(d, e, "description", false, someText)
		maybe(d, e, "priority", false, rapid.SampledFrom([]string{"must", "should", "could", "wont"}))
		maybe(d, e, "status", false, featureStatus)
		maybe(d, e, "estimated_tasks", false, rapid.IntRange(0, 9))
		features = append(features, e)
	}
	knownFeatures := d.known("features", keys)
	var subKeys []string
	for _, key := range d.elements("s", 5) {
		if !slices.Contains(knownFeatures, featureOf(key)) {
			continue
		}
		subKeys = append(subKeys, key)
		e := object{"key": key, "feature": featureOf(key)}
		maybe(d, e, "name", d.stored["sub_features"][key] == nil, someName)
		maybe(d, e, "description", false, someText)
		maybe(d, e, "status", false, featureStatus)
		subs = append(subs, e)
	}
	knownSubs := d.known("sub_features", subKeys)
	keys = d.elements("t", 8)
	knownTasks := d.known("tasks", keys)
	for _, key := range keys {
		tasks = append(tasks, d.task(key, knownFeatures, knownSubs, knownTasks))
	}
	for _, key := range d.elements("r", 3) {
		e := object{"key": key}
		maybe(d, e, "description", d.stored["requirements"][key] == nil, someName)
		maybe(d, e, "category", false, someName)
		maybe(d, e, "priority", false, rapid.SampledFrom(taskPriorities))
		maybe(d, e, "source", false, someText)
		if rapid.Bool().Draw(d.T, "linked") {
			e["linked_features"] = d.some(knownFeatures, "linked_features")
		}
		maybe(d, e, "validated", false, rapid.Bool())
		requirements = append(requirements, e)
	}
	return map[string]any{
		"project": project, "features": features, "sub_features": subs, "tasks": tasks, "requirements": requirements,
	}
}

func (d drawing) task(key string, features, subs, tasks []string) object {
	e := object{"key": key}
	stored := d.stored["tasks"][key]
	maybe(d, e, "name", stored == nil, someName)
	maybe(d, e, "description", false, someText)
	maybe(d, e, "status", false, rapid.SampledFrom([]string{"pending", "assigned", "in_progress", "blocked", "completed", "failed", "skipped", "escalated"}))
	maybe(d, e, "size", false, rapid.SampledFrom([]string{"atomic", "small"}))
	maybe(d, e, "priority", false, rapid.SampledFrom(taskPriorities))
	maybe(d, e, "estimated_minutes", false, someCount)
	maybe(d, e, "max_iterations", false, someCount)
	maybe(d, e, "max_attempts", false, someCount)
	maybe(d, e, "branch_name", false, someText)
	maybe(d, e, "worktree_path", false, someText)
	maybe(d, e, "metadata", false, someJSON)
	// Only on tasks of lower numbers, so that there are no cycles.
	lower := []string{}
	for _, other := range tasks {
		if other < key {
			lower = append(lower, other)
		}
	}
	if rapid.Bool().Draw(d.T, "depends") {
		e["depends_on"] = d.some(lower, "depends_on")
	}
	switch place := rapid.IntRange(0, 3).Draw(d.T, "place"); {
	case place < 2 && len(subs) > 0:
		sub := rapid.SampledFrom(subs).Draw(d.T, "sub_feature")
		e["sub_feature"] = sub
		if place == 0 {
			e["feature"] = featureOf(sub)
		}
	// A task that is in a sub-feature stays in its feature.
	case place == 2 && len(features) > 0 && (stored == nil || stored["sub_feature_id"] == nil):
		e["feature"] = rapid.SampledFrom(features).Draw(d.T, "feature")
	}
	return e
}

// besidesDerived returns rows without what follows from their tasks, which
// workshops look after.
func besidesDerived(rows map[string]row, follow map[any]bool) map[string]row {
	rows = maps.Clone(rows)
	for key, r := range rows {
		if follow[r["id"]] {
			r = maps.Clone(r)
			for _, column := range []string{"status", "completed_tasks", "revision", "updated_at"} {
				delete(r, column)
			}
			rows[key] = r
		}
	}
	return rows
}

// Whatever sequence of plans is applied, the rows are what the plans say: the
// newest wins, what it does not have stays, and a row that is the same has not
// been touched.
func TestRowsAreWhatPlansSay(t *testing.T) {
	if raceDetector {
		t.Skip("only one goroutine")
	}
	t.Parallel()
	w := newWorkshop(t)
	rapid.Check(t, func(t *rapid.T) {
		w.clear() // also after a run that failed
		m := model{"projects": {}, "features": {}, "sub_features": {}, "tasks": {}, "requirements": {}}
		follow := make(map[any]bool) // features and sub-features that have had tasks
		for range 3 {
			document := drawing{t, m}.document()
			text, err := json.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			w.later()
			now := w.clock.Load()
			m.take("projects", "p", document["project"].(object), defaults["projects"], now)
			for table, defaults := range defaults {
				elements, _ := document[table].([]object)
				for _, e := range elements {
					m.take(table, e["key"].(string), e, defaults, now)
				}
			}
			for _, again := range []bool{false, true} {
				report, err := w.try(string(text), plan.Options{})
				if err != nil {
					t.Fatalf("%s:\n%s", text, problems(err))
				}
				if again && report.Changed() {
					t.Fatalf("applied again, %s changes rows: %+v", text, report)
				}
				rows := w.allNamed()
				for _, task := range m["tasks"] {
					follow[task["feature_id"]], follow[task["sub_feature_id"]] = true, true
				}
				for table, want := range m {
					if diff := cmp.Diff(besidesDerived(want, follow), besidesDerived(rows[table], follow)); diff != "" {
						t.Fatalf("%s:\n%s: %s", text, table, diff)
					}
				}
				w.later()
			}
			if err := storetest.CheckDerived(background, w.DB); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
	})
}
