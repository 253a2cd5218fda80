package storetest

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// derived is what the database keeps beside the tables of the contract, and what
// follows from these.
type derived struct {
	Edges     map[string][]string  // what each task depends on, sorted
	Open      map[string]int64     // how many of these have not ended
	Counts    map[string]taskCount // of each feature and sub-feature that has tasks
	Completed map[string]int64     // of each feature that has tasks
	Used      map[string]used      // by scope, id and type of metrics
}

// used is how many metrics there are, and what they come to in the smallest units
// that count.
type used struct{ Metrics, Amount int64 }

// TaskCounts is the text of a query: kind, id and status of each feature and
// sub-feature, and how many tasks the database says that it has (total), has open
// and has completed.
const TaskCounts = `
	SELECT 'feature' AS kind, id, status, task_count AS total, open_task_count AS open, completed_task_count AS completed
	FROM features
	UNION ALL
	SELECT 'sub_feature', id, status, task_count, open_task_count, completed_task_count FROM sub_features`

type taskCount struct{ Total, Open, Completed int64 }

func newDerived() *derived {
	return &derived{map[string][]string{}, map[string]int64{}, map[string]taskCount{}, map[string]int64{}, map[string]used{}}
}

// CheckDerived returns an error if what the database derives from the tables of
// the contract is not what follows from them, whoever has written to these.
func CheckDerived(ctx context.Context, db *store.DB) error {
	kept, follows := newDerived(), newDerived()
	err := db.View(ctx, func(tx *store.Tx) error {
		if err := follows.compute(ctx, tx, kept); err != nil {
			return err
		}
		return kept.read(ctx, tx, follows)
	})
	if diff := cmp.Diff(follows, kept); err == nil && diff != "" {
		err = fmt.Errorf("the derived data is not what follows from the tables (-want +got):\n%s", diff)
	}
	return err
}

// compute derives from the tasks what should be kept, and reads in passing what
// is kept among them.
func (d *derived) compute(ctx context.Context, tx *store.Tx, kept *derived) error {
	const plain = "SELECT id, status, depends_on, feature_id, sub_feature_id, open_dependencies FROM tasks"
	ended := make(map[string]bool)
	err := tx.Query(ctx, plain, nil, func(r driver.Row) error {
		id, status := r.Text(0), nexus.TaskStatus(r.Text(1))
		ended[id] = status.Ended()
		kept.Open[id] = r.Int(5)
		if on := nexus.DecodeIDs(nexus.JSON(r.Text(2))); len(on) > 0 {
			slices.Sort(on)
			d.Edges[id] = slices.Compact(on)
		}
		if !r.IsNull(3) {
			d.count("feature "+r.Text(3), status)
		}
		if !r.IsNull(4) {
			d.count("sub_feature "+r.Text(4), status)
		}
		return nil
	})
	for id := range ended {
		d.Open[id] = 0
		for _, on := range d.Edges[id] {
			if !ended[on] {
				d.Open[id]++
			}
		}
	}
	if err != nil {
		return err
	}
	return d.use(ctx, tx, kept)
}

// use adds up the metrics that count for budgets, and reads what is kept of that.
func (d *derived) use(ctx context.Context, tx *store.Tx, kept *derived) error {
	const sql = "SELECT project_id, task_id, type, value FROM metrics WHERE type IN ('token_usage', 'cost_usd')"
	err := tx.Query(ctx, sql, nil, func(r driver.Row) error {
		units := 1e3
		if r.Text(2) == "cost_usd" {
			units = 1e9
		}
		amount := int64(math.Round(min(max(r.Float(3)*units, -1e15), 1e15)))
		for scope, id := range map[string]string{"project": r.Text(0), "task": r.Text(1)} {
			if key := scope + " " + id + " " + r.Text(2); id != "" {
				d.Used[key] = used{d.Used[key].Metrics + 1, d.Used[key].Amount + amount}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return tx.Query(ctx, "SELECT scope, id, type, metrics, amount FROM metric_totals", nil, func(r driver.Row) error {
		kept.Used[r.Text(0)+" "+r.Text(1)+" "+r.Text(2)] = used{r.Int(3), r.Int(4)}
		return nil
	})
}

func (d *derived) count(of string, status nexus.TaskStatus) {
	n := d.Counts[of]
	n.Total++
	if !status.Ended() {
		n.Open++
	}
	if status == nexus.TaskCompleted {
		n.Completed++
	}
	d.Counts[of] = n
}

// read reads what is kept apart from the tasks.
func (d *derived) read(ctx context.Context, tx *store.Tx, follows *derived) error {
	const edges = "SELECT task_id, depends_on FROM task_dependencies"
	err := tx.Query(ctx, edges, nil, func(r driver.Row) error {
		d.Edges[r.Text(0)] = append(d.Edges[r.Text(0)], r.Text(1))
		return nil
	})
	if err != nil {
		return err
	}
	for _, on := range d.Edges {
		slices.Sort(on)
	}
	const counts = "SELECT kind, id, total, open, completed FROM (" + TaskCounts + ") n WHERE total <> 0 OR open <> 0 OR completed <> 0"
	err = tx.Query(ctx, counts, nil, func(r driver.Row) error {
		d.Counts[r.Text(0)+" "+r.Text(1)] = taskCount{r.Int(2), r.Int(3), r.Int(4)}
		return nil
	})
	if err != nil {
		return err
	}
	return tx.Query(ctx, "SELECT id, completed_tasks FROM features", nil, func(r driver.Row) error {
		if n, has := follows.Counts["feature "+r.Text(0)]; has {
			follows.Completed[r.Text(0)] = n.Completed
			d.Completed[r.Text(0)] = r.Int(1)
		}
		return nil
	})
}
