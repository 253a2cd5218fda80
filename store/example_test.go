package store_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// open opens an empty database with a project, "shop", in it.
func open(ctx context.Context) *store.DB {
	db, err := sqlite.Open(ctx, sqlite.Memory, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := db.Projects.Create(ctx, &nexus.Project{ID: "shop", Name: "Shop", RootPath: "/srv/shop"}); err != nil {
		log.Fatal(err)
	}
	return db
}

// Two programs have read the same task. The second to write is refused, and sees
// what the first has made of it.
func ExampleService_Update() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()
	task := nexus.Task{ID: "cart", ProjectID: "shop", Name: "Add a cart"}
	if err := db.Tasks.Create(ctx, &task); err != nil {
		log.Fatal(err)
	}

	_, err := db.Tasks.Update(ctx, "cart", nexus.TaskUpdate{
		Revision: task.Revision, Priority: new(nexus.PriorityHigh),
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = db.Tasks.Update(ctx, "cart", nexus.TaskUpdate{
		Revision: task.Revision, Name: new("Add a basket"),
	})

	var refused *nexus.Error
	if errors.As(err, &refused) && refused.Code == nexus.CodeStale {
		stored, given := refused.Stored.(*nexus.Task), refused.Given.(*nexus.Task)
		fmt.Println(refused)
		fmt.Printf("stored: %s, %s\n", stored.Name, stored.Priority)
		fmt.Printf("given:  %s, %s\n", given.Name, given.Priority)
		// The change still makes sense, so it is made again on what is there.
		after, err := db.Tasks.Update(ctx, "cart", nexus.TaskUpdate{Revision: stored.Revision, Name: &given.Name})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("now:    %s, %s\n", after.Name, after.Priority)
	}
	// Output:
	// task cart: has changed since: it is at revision 2, the update is based on 1
	// stored: Add a cart, high
	// given:  Add a basket, high
	// now:    Add a basket, high
}

// A list of any length, page by page.
func ExampleService_List() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()
	for i := range 5 {
		task := nexus.Task{ProjectID: "shop", Name: fmt.Sprint("Task ", i+1), Priority: nexus.TaskPriorities()[i%2]}
		if err := db.Tasks.Create(ctx, &task); err != nil {
			log.Fatal(err)
		}
	}

	filter := nexus.TaskFilter{ProjectID: "shop", Status: []nexus.TaskStatus{nexus.TaskPending}}
	filter.OrderBy, filter.Limit = "priority", 2
	for {
		page, err := db.Tasks.List(ctx, filter)
		if err != nil {
			log.Fatal(err)
		}
		for _, task := range page {
			fmt.Println(task.Name, task.Priority)
		}
		if len(page) < filter.Limit {
			break
		}
		fmt.Println("--")
		if filter.Cursor, err = db.Tasks.Cursor(filter.Page, &page[len(page)-1]); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// Task 1 critical
	// Task 3 critical
	// --
	// Task 5 critical
	// Task 2 high
	// --
	// Task 4 high
}

// Several calls that succeed or fail together. The nested transaction fails on
// its own, and the rest goes on.
func ExampleDB_InTx() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	err := db.InTx(ctx, func(tx *store.Tx) error {
		feature := nexus.Feature{ID: "checkout", ProjectID: "shop", Name: "Checkout"}
		if err := tx.Features.Create(ctx, &feature); err != nil {
			return err
		}
		err := tx.InTx(ctx, func(tx *store.Tx) error {
			if err := tx.Tasks.Create(ctx, &nexus.Task{ID: "cart", ProjectID: "shop", Name: "Add a cart"}); err != nil {
				return err
			}
			return errors.New("the cart needs more thought")
		})
		fmt.Println("left out:", err)
		return tx.Tasks.Create(ctx, &nexus.Task{ID: "pay", ProjectID: "shop", FeatureID: feature.ID, Name: "Pay"})
	})
	if err != nil {
		log.Fatal(err)
	}
	for task, err := range db.Tasks.All(ctx, nexus.TaskFilter{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("stored:", task.Name)
	}
	// Output:
	// left out: the cart needs more thought
	// stored: Pay
}

// A project with what belongs to it, in one call, as it was at one moment.
func ExampleProjects_Load() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()
	if err := db.Features.Create(ctx, &nexus.Feature{ID: "checkout", ProjectID: "shop", Name: "Checkout"}); err != nil {
		log.Fatal(err)
	}
	for _, name := range []string{"Add a cart", "Pay"} {
		task := nexus.Task{ProjectID: "shop", FeatureID: "checkout", Name: name}
		if err := db.Tasks.Create(ctx, &task); err != nil {
			log.Fatal(err)
		}
	}

	project, err := db.Projects.Load(ctx, "shop", nexus.KindFeature, nexus.KindTask)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(project.Name)
	for _, feature := range project.Features {
		fmt.Println("-", feature.Name)
		for _, task := range project.Tasks {
			if task.FeatureID == feature.ID {
				fmt.Println("  -", task.Name)
			}
		}
	}
	// Output:
	// Shop
	// - Checkout
	//   - Add a cart
	//   - Pay
}

// SQL of one's own, beside the services and in the same transaction.
func ExampleTx_Query() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()
	spent := []*nexus.Metric{
		{ProjectID: "shop", AgentID: "ada", Type: "cost_usd", Value: 0.75},
		{ProjectID: "shop", AgentID: "ada", Type: "cost_usd", Value: 0.5},
		{ProjectID: "shop", AgentID: "bob", Type: "cost_usd", Value: 2},
	}
	if err := db.Metrics.CreateMany(ctx, spent); err != nil {
		log.Fatal(err)
	}

	const costs = `
		SELECT agent_id, sum(value) FROM metrics
		WHERE type = $1 AND timestamp >= $2
		GROUP BY agent_id ORDER BY agent_id`
	since := time.Now().Add(-time.Hour)
	err := db.View(ctx, func(tx *store.Tx) error {
		return tx.Query(ctx, costs, []any{"cost_usd", since}, func(r driver.Row) error {
			fmt.Printf("%s: $%.2f\n", r.Text(0), r.Float(1))
			return nil
		})
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// ada: $1.25
	// bob: $2.00
}

// What each agent has spent.
func ExampleMetrics_Summarize() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()
	spent := []*nexus.Metric{
		{ProjectID: "shop", AgentID: "ada", Type: "cost_usd", Value: 0.75},
		{ProjectID: "shop", AgentID: "ada", Type: "cost_usd", Value: 0.5},
		{ProjectID: "shop", AgentID: "bob", Type: "cost_usd", Value: 2},
	}
	if err := db.Metrics.CreateMany(ctx, spent); err != nil {
		log.Fatal(err)
	}

	list, err := db.Metrics.Summarize(ctx, nexus.MetricQuery{
		ProjectID: "shop", Type: "cost_usd", By: []nexus.MetricGroup{nexus.ByAgent}, Since: time.Now().Add(-time.Hour),
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range list {
		fmt.Printf("%s: $%.2f of %d, median $%.2f\n", m.AgentID, m.Sum, m.Count, m.P50)
	}
	// Output:
	// bob: $2.00 of 1, median $2.00
	// ada: $1.25 of 2, median $0.50
}
