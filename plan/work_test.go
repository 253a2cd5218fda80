package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/plan"
)

// What has become of a task since it was planned is not the plan's: applying the
// plan again leaves it alone.
func TestApplyAgainLeavesWorkAlone(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	name, held, status := "A", "deferred", nexus.TaskCompleted
	ended := time.Unix(1_000_000_000, 0)
	d := &plan.Document{
		Project: plan.Project{Key: "p", Fields: nexus.ProjectUpdate{Name: &name}},
		Tasks: []plan.Task{{Key: "a", Fields: nexus.TaskUpdate{
			Name: &name, BlockedBy: &held, Status: &status, CompletedAt: &ended,
		}}},
	}
	if _, err := w.apply(d, plan.Options{}); err != nil {
		t.Fatal(err)
	}
	w.exec("UPDATE tasks SET status = 'pending', completed_at = NULL, blocked_by = NULL")
	w.unchanged(func() {
		report, err := w.apply(d, plan.Options{})
		if err != nil || report.Changed() {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

// A task that moves to another feature leaves its sub-feature.
func TestTaskMovesToAnotherFeature(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	const parts = `{"project": {"name": "P"}, "features": [{"key": "f", "name": "F"}, {"key": "g", "name": "G"}],
		"sub_features": [{"key": "s", "feature": "f", "name": "S"}], "tasks": [`
	w.must(parts + `{"key": "a", "name": "A", "sub_feature": "s"}]}`)
	w.must(parts + `{"key": "a", "name": "A", "feature": "g"}]}`)
	task := w.named("tasks")["a"]
	if task["feature_id"] != w.named("features")["g"]["id"] || task["sub_feature_id"] != nil {
		t.Errorf("the task is %v", task)
	}
}

// A zero that would become a default, and be a zero the second time, is refused
// the first time; so is an empty word.
func TestNoSilentDefaults(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	for _, field := range []string{`"estimated_minutes": 0`, `"max_iterations": 0`, `"max_attempts": 0`, `"size": ""`, `"priority": ""`, `"status": ""`} {
		_, err := w.try(`{"project": {"name": "P"}, "tasks": [{"key": "a", "name": "A", `+field+`}]}`, plan.Options{})
		wantCode(t, err, nexus.CodeInvalid)
		column := strings.Trim(strings.Split(field, ":")[0], `"`)
		if got := problems(err); !strings.Contains(got, "tasks[0]."+column) {
			t.Errorf("%s: %s", field, got)
		}
	}
}
