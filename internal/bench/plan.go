package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// The size of the plan.
const (
	planFeatures     = 100
	planTasks        = 10_000
	planDependencies = 15_000
)

// writePlan writes a plan as an agent would: each task with a name, a sentence
// or two, its feature, and what it depends on, which is always an earlier task.
func writePlan(path string) error {
	type object map[string]any
	features := make([]object, planFeatures)
	for i := range features {
		features[i] = object{
			"key": fmt.Sprintf("feature-%d", i), "name": fmt.Sprintf("Feature %d", i),
			"description": "What the people who asked for it want to be able to do.",
		}
	}
	tasks := make([]object, planTasks)
	dependencies := 0
	for i := range tasks {
		t := object{
			"key": fmt.Sprintf("task-%d", i), "feature": fmt.Sprintf("feature-%d", i%planFeatures),
			"name":        fmt.Sprintf("Add the endpoint of use case %d", i),
			"description": "It validates its input, answers in JSON, and has a test for each of its errors.",
			"size":        "small", "estimated_minutes": 10 + i%20,
		}
		// One for all but the first, and a second for every other one, with
		// three more near the beginning so that the sum is round.
		var on []string
		if i > 0 {
			on = append(on, fmt.Sprintf("task-%d", i/2))
		}
		if i > 2 && (i%2 == 0 || i <= 7) {
			on = append(on, fmt.Sprintf("task-%d", i-1))
		}
		dependencies += len(on)
		t["depends_on"] = on
		tasks[i] = t
	}
	if dependencies != planDependencies {
		return fmt.Errorf("the plan has %d dependencies, not %d", dependencies, planDependencies)
	}
	text, err := json.MarshalIndent(object{
		"nexus_plan": 1,
		"project":    object{"key": "benchmark", "name": "Benchmark", "root_path": "/src/benchmark"},
		"features":   features,
		"tasks":      tasks,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}
