package sqlite_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// childWorkLoop claims and completes tasks of the database at args[0] as agent
// args[1] until nothing is ready. The completion of one and the claim of the next
// are one transaction. It prints how many tasks it has completed, and how long the
// longest transaction took.
func childWorkLoop(args []string) error {
	db, err := sqlite.Open(background, args[0], nil)
	if err != nil {
		return err
	}
	if _, err := db.Agents.Register(background, nexus.Agent{ID: args[1]}); err != nil {
		return err // the writer's connection is open from here on
	}
	say("ready")
	awaitParent()
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
			next, err = tx.Tasks.Claim(background, nexus.ClaimRequest{AgentID: args[1]})
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
	say("%d %d", completed, longest.Microseconds())
	return db.Close()
}

// fleet is what a number of processes have done together.
type fleet struct {
	shares  []int // tasks completed by each, ascending
	longest time.Duration
	elapsed time.Duration
}

// smallest is the smallest share over the mean.
func (f *fleet) smallest() float64 {
	sum := 0
	for _, n := range f.shares {
		sum += n
	}
	return float64(f.shares[0]) * float64(len(f.shares)) / float64(sum)
}

// runFleet has so many processes work the tasks at path off.
func runFleet(t testing.TB, path string, processes int) *fleet {
	t.Helper()
	all := make([]*process, processes)
	for i := range all {
		all[i] = start(t, "", "work-loop", path, fmt.Sprintf("agent-%02d", i))
	}
	for _, p := range all {
		p.Line()
	}
	f := new(fleet)
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
		f.shares = append(f.shares, n)
		f.longest = max(f.longest, time.Duration(us)*time.Microsecond)
	}
	f.elapsed = time.Since(began)
	slices.Sort(f.shares)
	return f
}

// Sixty-four processes share 10,000 tasks, waiting for the disk each time: each task
// is completed once, nobody sees that the database is busy, and nobody starves.
func TestFleet(t *testing.T) {
	const processes, count = 64, 10_000
	path := newPath(t)
	db := open(t, path, nil)
	shapes[0].fill(t, db, count)
	freeTask10(t, db)
	mustClose(t, db)

	f := runFleet(t, path, processes)
	t.Logf("%d tasks in %v, %.0f/s; shares from %d to %d, the smallest %.2f of the mean; the longest transaction took %v",
		count, f.elapsed.Round(time.Millisecond), count/f.elapsed.Seconds(), f.shares[0], f.shares[len(f.shares)-1], f.smallest(), f.longest)
	if f.smallest() < 0.25 {
		t.Errorf("a process got %d tasks, less than a quarter of the mean; all: %v", f.shares[0], f.shares)
	}

	db = open(t, path, nil)
	counts, err := db.Tasks.CountByStatus(background, nexus.TaskFilter{})
	if err != nil || counts[nexus.TaskCompleted] != count {
		t.Errorf("statuses: %v, %v", counts, err)
	}
	attempts, tasks := int64(0), int64(0)
	benchMust(t, db.View(background, func(tx *store.Tx) error {
		return tx.Query(background, "SELECT count(*), count(DISTINCT task_id) FROM task_attempts WHERE outcome = 'completed'", nil,
			func(r driver.Row) error {
				attempts, tasks = r.Int(0), r.Int(1)
				return nil
			})
	}))
	if attempts != count || tasks != count {
		t.Errorf("%d completions of %d tasks", attempts, tasks)
	}
	agents, err := db.Agents.List(background, nexus.AgentFilter{})
	benchMust(t, err)
	sum := 0
	for _, a := range agents {
		sum += a.TasksCompleted
		if a.Status != nexus.AgentIdle || a.CurrentTaskID != "" || a.TasksFailed != 0 {
			t.Errorf("agent: %+v", a)
		}
	}
	if sum != count {
		t.Errorf("the agents have completed %d tasks", sum)
	}
	health, err := db.Health(background, true)
	if err != nil || !health.OK() {
		t.Errorf("health: %+v, %v", health, err)
	}
}

// freeTask10 makes the task pending that the shapes escalate.
func freeTask10(t testing.TB, db *store.DB) {
	t.Helper()
	_, err := db.Tasks.Reopen(background, "t00000010", "")
	benchMust(t, err)
}

// BenchmarkFleet measures how many tasks processes complete in a second together,
// each of which waits for the disk.
func BenchmarkFleet(b *testing.B) {
	printVersion()
	for _, processes := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(processes), func(b *testing.B) {
			path := newPath(b)
			db := open(b, path, nil)
			shapes[0].fill(b, db, max(b.N, 11))
			benchMust(b, db.Close())
			b.ResetTimer()
			f := runFleet(b, path, processes)
			b.ReportMetric(float64(b.N)/f.elapsed.Seconds(), "pairs/s")
			b.ReportMetric(f.smallest(), "smallest-share")
			b.ReportMetric(float64(f.longest.Milliseconds()), "longest-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}
