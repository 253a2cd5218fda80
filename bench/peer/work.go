package peer

import "fmt"

// The work that all programs are measured on: one project with its features and
// tasks. The programs in C and JavaScript have the same names in them.
const (
	Project  = "p-bench"
	Features = 100
	Tasks    = 1000
)

// Task is what a program is given to store.
type Task struct {
	ID, FeatureID, Name, Description, BranchName string
}

// TaskID is the id of the i-th task that is there from the start.
func TaskID(i int) string { return fmt.Sprintf("t-bench-%08d", i) }

// FeatureID is the id of the i-th feature.
func FeatureID(i int) string { return fmt.Sprintf("f-bench-%06d", i%Features) }

// newTask is the i-th task that a program adds. But for their ids they are alike,
// because the program in C knows only what it has seen.
func newTask(i int) *Task {
	t := MakeTask(0)
	t.ID = fmt.Sprintf("t-new-%08d", i)
	return t
}

// MakeTask returns a task with the columns filled that a planner fills.
func MakeTask(i int) *Task {
	return &Task{
		ID:          TaskID(i),
		FeatureID:   FeatureID(i),
		Name:        fmt.Sprintf("Add the endpoint of use case %d", i),
		Description: "It validates its input, answers in JSON, and has a test for each of its errors.",
		BranchName:  fmt.Sprintf("task/%d", i),
	}
}

// Branch and Minutes are what the i-th update sets.
func Branch(i int) string { return fmt.Sprintf("task/again/%d", i) }

// Minutes is never the same twice in a row.
func Minutes(i int) int { return i % 600 }

// scattered is the i-th id of a walk over all tasks that has no order.
func scattered(i int) string {
	const prime = 7919
	return ids[i*prime%Tasks]
}

var ids = func() (ids [Tasks]string) {
	for i := range ids {
		ids[i] = TaskID(i)
	}
	return ids
}()
