package plan_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/plan"
)

// pools are values of members that are right, or at the edge of it.
var pools = map[string][]any{
	"name": {"N"}, "description": {"D"}, "feature": {"a"}, "sub_feature": {"a", "", nil},
	"depends_on": {[]string{}, []string{"a"}, []string{"b", "c"}, nil}, "linked_features": {[]string{}, []string{"a"}, []string{"a", "a"}, nil},
	"estimated_tasks": {0, 1, nil}, "estimated_minutes": {0, 1, nil}, "max_iterations": {0, 50, nil}, "max_attempts": {0, 3, nil},
	"status": {"completed", "", nil}, "mode": {"genesis", "", nil}, "size": {"small", "", nil}, "category": {"x", "", nil},
	"priority": {"", nil}, "root_path": {"/", "", nil}, "validated": {true, false, nil},
	"metadata": {0, "", false, nil, []string{}}, "repository_url": {"", "x"}, "branch_name": {"", "x"}, "worktree_path": {"", "x"}, "source": {"", "x"},
}

// sloppy draws an element with a key, what is required, and some other members.
func sloppy(t *rapid.T, key string, required int, names ...string) object {
	e := object{"key": key}
	for i, name := range names {
		if i < required || rapid.IntRange(0, 4).Draw(t, "give") == 0 {
			e[name] = rapid.SampledFrom(pools[name]).Draw(t, name)
		}
	}
	if rapid.IntRange(0, 30).Draw(t, "wild") == 0 {
		name := rapid.SampledFrom(append(names, "key")).Draw(t, "name")
		e[name] = rapid.SampledFrom([]any{"", " ", "a", "\x00", -1, 1.5, true, nil, []string{"a"}, []any{nil}, object{}, "z"}).Draw(t, "value")
	}
	return e
}

// Any document is either stored, and then storing it again changes nothing, or
// refused with the places of its problems, and then nothing is stored.
func TestSloppyPlans(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	rapid.Check(t, func(t *rapid.T) {
		w.clear()
		list := func(required int, names ...string) []object {
			elements := []object{}
			for _, key := range []string{"a", "b", "c"}[:rapid.IntRange(0, 3).Draw(t, "elements")] {
				elements = append(elements, sloppy(t, key, required, names...))
			}
			return elements
		}
		text, err := json.Marshal(map[string]any{
			"project":      sloppy(t, "p", 1, "name", "description", "mode", "status", "root_path", "repository_url"),
			"features":     list(1, "name", "description", "priority", "status", "estimated_tasks"),
			"sub_features": list(2, "name", "feature", "description", "status"),
			"tasks": list(1, "name", "feature", "sub_feature", "depends_on", "description", "status", "size", "priority",
				"estimated_minutes", "max_iterations", "max_attempts", "branch_name", "worktree_path", "metadata"),
			"requirements": list(1, "description", "category", "priority", "source", "linked_features", "validated"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.try(string(text), plan.Options{}); err != nil {
			var e *nexus.Error
			if !errors.As(err, &e) || e.Code != nexus.CodeInvalid || len(e.Problems) == 0 {
				t.Fatalf("%s: %v", text, err)
			}
			for _, p := range e.Problems {
				if p.Line == 0 {
					t.Fatalf("%s: %v has no place", text, p)
				}
			}
			if n := len(w.rows("projects")); n > 0 {
				t.Fatalf("%s is refused, but stored", text)
			}
			return
		}
		before := w.all()
		w.later()
		again, err := w.try(string(text), plan.Options{})
		if err != nil {
			t.Fatalf("%s is refused when applied again: %s", text, problems(err))
		}
		if again.Changed() || !reflect.DeepEqual(before, w.all()) {
			t.Fatalf("%s changes rows when applied again: %+v", text, again)
		}
	})
}

// A zero or an empty text is what it says, on the first day as on the second: a
// plan that is stored can be stored again with no change.
func TestZeroesTwice(t *testing.T) {
	t.Parallel()
	for _, member := range []string{
		`"project": {"name": "p", "mode": ""}`, `"project": {"name": "p", "status": ""}`, `"project": {"name": "p", "root_path": ""}`,
		`"project": {"name": "p"}, "features": [{"key": "f", "name": "F", "priority": ""}]`,
		`"project": {"name": "p"}, "features": [{"key": "f", "name": "F", "status": ""}]`,
		`"project": {"name": "p"}, "tasks": [{"key": "t", "name": "T", "max_iterations": 0}]`,
		`"project": {"name": "p"}, "tasks": [{"key": "t", "name": "T", "estimated_minutes": 0}]`,
		`"project": {"name": "p"}, "tasks": [{"key": "t", "name": "T", "size": ""}]`,
		`"project": {"name": "p"}, "tasks": [{"key": "t", "name": "T", "priority": ""}]`,
		`"project": {"name": "p"}, "requirements": [{"key": "r", "description": "R", "priority": ""}]`,
		`"project": {"name": "p"}, "requirements": [{"key": "r", "description": "R", "category": ""}]`,
	} {
		t.Run(member, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			if _, err := w.try("{"+member+"}", plan.Options{}); err != nil {
				wantCode(t, err, nexus.CodeInvalid) // to refuse it at once is right as well
				return
			}
			w.later()
			w.unchanged(func() {
				if _, err := w.try("{"+member+"}", plan.Options{}); err != nil {
					t.Error(problems(err))
				}
			})
		})
	}
}
