// Package fleet proves of a database that any number of processes share the tasks in it:
// each is completed once.
package fleet

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/childtest"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Child is the process that [Run] starts. It opens the database args[0], and claims and
// completes its tasks as agent args[1] until nothing is ready. The completion of one and the claim of the next
// are one transaction. It prints how many tasks it has completed, and how long the
// longest transaction took.
func Child(open func(name string) (*store.DB, error)) func(args []string) error {
	return func(args []string) error {
		db, err := open(args[0])
		if err != nil {
			return err
		}
		return workLoop(db, args[1])
	}
}

func workLoop(db *store.DB, agent string) error {
	background := context.Background()
	if _, err := db.Agents.Register(background, nexus.Agent{ID: agent}); err != nil {
		return err // the writer's connection is open from here on
	}
	childtest.Say("ready")
	childtest.AwaitParent()
	var held []nexus.Claim
	var longest time.Duration
	completed := 0
	for {
		var next []nexus.Claim
		began := time.Now()
		err := db.InTx(background, func(tx *store.Tx) (err error) {
			for _, c := range held {
				if _, err := tx.Tasks.Complete(background, c.TaskID, c.Epoch, nexus.Evidence{}); err != nil {
					return err
				}
			}
			next, err = tx.Tasks.Claim(background, nexus.ClaimRequest{AgentID: agent})
			return err
		})
		if err != nil {
			return err
		}
		longest = max(longest, time.Since(began))
		completed += len(held)
		if held = next; len(held) == 0 {
			break
		}
	}
	childtest.Say("%d %d", completed, longest.Microseconds())
	return db.Close()
}

// Fleet is what a number of processes have done together.
type Fleet struct {
	Shares  []int         // tasks completed by each, ascending
	Longest time.Duration // of a transaction
	Elapsed time.Duration
}

// Smallest is the smallest share over the mean.
func (f *Fleet) Smallest() float64 {
	sum := 0
	for _, n := range f.Shares {
		sum += n
	}
	return float64(f.Shares[0]) * float64(len(f.Shares)) / float64(sum)
}

// Run has so many processes work the tasks of a database off. child names the one that
// does [Child].
func Run(t testing.TB, child, name string, processes int) *Fleet {
	t.Helper()
	all := make([]*childtest.Process, processes)
	for i := range all {
		all[i] = childtest.Start(t, "", child, name, fmt.Sprintf("agent-%02d", i))
	}
	for _, p := range all {
		p.Line()
	}
	f := new(Fleet)
	began := time.Now()
	for _, p := range all {
		p.GoOn()
	}
	for _, p := range all {
		count, longest, _ := strings.Cut(strings.TrimSpace(p.MustEnd()), " ")
		n, err := strconv.Atoi(count)
		us, err2 := strconv.Atoi(longest)
		if err != nil || err2 != nil {
			t.Fatalf("%q, %q", count, longest)
		}
		f.Shares = append(f.Shares, n)
		f.Longest = max(f.Longest, time.Duration(us)*time.Microsecond)
	}
	f.Elapsed = time.Since(began)
	slices.Sort(f.Shares)
	return f
}

// Check fails the test unless each of so many tasks is completed, and was so once.
func Check(t testing.TB, db *store.DB, count int64) {
	t.Helper()
	background := context.Background()
	counts, err := db.Tasks.CountByStatus(background, nexus.TaskFilter{})
	if err != nil || counts[nexus.TaskCompleted] != count {
		t.Errorf("statuses: %v, %v", counts, err)
	}
	attempts, tasks := int64(0), int64(0)
	err = db.View(background, func(tx *store.Tx) error {
		return tx.Query(background, "SELECT count(*), count(DISTINCT task_id) FROM task_attempts WHERE outcome = 'completed'", nil,
			func(r driver.Row) error {
				attempts, tasks = r.Int(0), r.Int(1)
				return nil
			})
	})
	if err != nil {
		t.Fatal(err)
	}
	if attempts != count || tasks != count {
		t.Errorf("%d completions of %d tasks", attempts, tasks)
	}
	agents, err := db.Agents.List(background, nexus.AgentFilter{})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, a := range agents {
		sum += a.TasksCompleted
		if a.Status != nexus.AgentIdle || a.CurrentTaskID != "" || a.TasksFailed != 0 {
			t.Errorf("agent: %+v", a)
		}
	}
	if int64(sum) != count {
		t.Errorf("the agents have completed %d tasks", sum)
	}
}
