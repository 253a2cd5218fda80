package nexus_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
)

// The first steps: open a database, put a project with a feature and a task into
// it, and take the task through its work.
func Example() {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, sqlite.Memory, nil) // or a path: "data/nexus.db"
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	project := nexus.Project{Name: "Shop", RootPath: "/srv/shop"}
	if err := db.Projects.Create(ctx, &project); err != nil {
		log.Fatal(err)
	}
	feature := nexus.Feature{ProjectID: project.ID, Name: "Checkout", Priority: nexus.PriorityMust}
	if err := db.Features.Create(ctx, &feature); err != nil {
		log.Fatal(err)
	}
	task := nexus.Task{ProjectID: project.ID, FeatureID: feature.ID, Name: "Add a cart"}
	if err := db.Tasks.Create(ctx, &task); err != nil {
		log.Fatal(err)
	}
	fmt.Println(task.Name, "is", task.Status)

	for _, status := range []nexus.TaskStatus{nexus.TaskInProgress, nexus.TaskCompleted} {
		done, err := db.Tasks.Update(ctx, task.ID, nexus.TaskUpdate{Status: &status})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(done.Name, "is", done.Status, "at revision", done.Revision)
	}
	// Output:
	// Add a cart is pending
	// Add a cart is in_progress at revision 2
	// Add a cart is completed at revision 3
}

// A status says what may follow it, so that a program can offer just that.
func ExampleTaskStatus_Next() {
	fmt.Println(nexus.TaskFailed.Next())
	fmt.Println(nexus.TaskFailed.CanBecome(nexus.TaskCompleted))
	fmt.Println(nexus.TaskStatus("qa_loop").Known(), nexus.TaskStatus("qa_loop").CanBecome(nexus.TaskCompleted))
	// Output:
	// [escalated pending skipped]
	// false
	// false true
}

// Validation tells everything that is wrong at once.
func ExampleError() {
	task := nexus.Task{ID: "t-1", ProjectID: "p-1", DependsOn: []string{"t-1"}, Status: "almost done"}
	task.SetDefaults(clock)
	var err *nexus.Error
	errors.As(task.Validate(), &err)
	fmt.Println(err.Code)
	for _, problem := range err.Problems {
		fmt.Println("-", problem)
	}
	// Output:
	// invalid
	// - name: is required
	// - status: is "almost done"; it must be one of assigned, blocked, completed, escalated, failed, in_progress, pending, skipped
	// - depends_on: names the task itself
}
