// Package linear proves of a database that what workers do with tasks is linearizable:
// every history of it, of calls that overlap as they like, can be explained by the calls
// having happened one after another, each at some moment between its call and its
// return. porcupine looks for such an order.
package linear

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/childtest"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
	"github.com/seed-c8812374/nexus/storetest"
)

// Database is what is tested.
type Database struct {
	// New makes an empty database, and returns the name by which any process can open it.
	// It is looked over and removed in a Cleanup.
	New func(t *testing.T) string

	// Open opens it, with one pool of connections or one queue of writers for all clients.
	Open func(name string) (driver.DB, error)

	// Beside says that its writers run side by side. There a claim of the best passes over
	// what others are about to claim, and epochs grow for each task alone; so what is
	// linearizable is each task by itself.
	Beside bool
}

// mustBeQueue checks a history of claims of the best.
func (d Database) mustBeQueue(t *testing.T, m *queueModel, history []porcupine.Operation) {
	t.Helper()
	if d.Beside {
		mustBeLinearizable(t, taskModel(m.maxAttempts), single(history, m.tasks))
		return
	}
	mustBeLinearizable(t, m.porcupine(), history)
}

// Run tests clients that are goroutines of this process.
func Run(t *testing.T, d Database) {
	t.Run("Tasks", func(t *testing.T) { testTasks(t, d) })
	t.Run("Queue", func(t *testing.T) { testQueue(t, d) })
}

// rounds is how many histories are made: a few each time, many with
// NEXUS_TORTURE=1.
func rounds(few int) int {
	if os.Getenv("NEXUS_TORTURE") == "1" {
		return few * 50
	}
	return few
}

// operations turns events into a history. A call that has not returned, because
// its process was killed, may have happened at any time since, or not at all,
// which is as good as after everything else. One for which the database has not
// even looked at the clock has not happened.
func operations(events []event) []porcupine.Operation {
	type key struct{ client, call int }
	calls := make(map[key]*porcupine.Operation)
	seen := make(map[key]int64)
	var order []key
	for _, e := range events {
		k := key{e.Client, e.Call}
		switch {
		case e.Asked != nil:
			calls[k] = &porcupine.Operation{ClientId: e.Client, Input: *e.Asked, Call: e.At, Return: math.MaxInt64}
			order = append(order, k)
		case e.Answered != nil:
			calls[k].Output, calls[k].Return = *e.Answered, e.At
		default:
			seen[k] = e.Now
		}
	}
	var history []porcupine.Operation
	for _, k := range order {
		op := calls[k]
		if now, began := seen[k]; op.Output == nil && began {
			op.Output = answered{Now: now, Unknown: true}
		}
		if op.Output != nil {
			history = append(history, *op)
		}
	}
	return history
}

// mustBeLinearizable checks a history, and leaves a drawing of one that is not.
func mustBeLinearizable(t *testing.T, model porcupine.Model, history []porcupine.Operation) {
	t.Helper()
	result, info := porcupine.CheckOperationsVerbose(model, history, childtest.Patient)
	if result == porcupine.Ok {
		return
	}
	path := filepath.Join(t.ArtifactDir(), "history.html")
	if err := porcupine.VisualizePath(model, info, path); err != nil {
		t.Error(err)
	}
	t.Errorf("%d calls: %s; see %s (with -artifacts)", len(history), result, path)
	explain(t, model, history)
}

// explain logs how far an order could be found: the state there, what came last, and
// which calls nothing could follow with.
func explain(t *testing.T, model porcupine.Model, history []porcupine.Operation) {
	t.Helper()
	parts := [][]porcupine.Operation{history}
	if model.Partition != nil {
		parts = model.Partition(history)
	}
	for _, part := range parts {
		alone := model
		alone.Partition = nil
		result, info := porcupine.CheckOperationsVerbose(alone, part, childtest.Patient)
		if result == porcupine.Ok {
			continue
		}
		var best []porcupine.Operation
		for _, orders := range info.PartialLinearizationsOperations() {
			for _, order := range orders {
				if len(order) > len(best) {
					best = order
				}
			}
		}
		state := alone.Init()
		used := make(map[[2]int64]bool)
		for _, op := range best {
			_, state = alone.Step(state, op.Input, op.Output)
			used[[2]int64{int64(op.ClientId), op.Call}] = true
		}
		for _, op := range best[max(0, len(best)-8):] {
			t.Logf("%d [%d %d] %s", op.ClientId, op.Call, op.Return, alone.DescribeOperation(op.Input, op.Output))
		}
		t.Logf("%d of %d calls in order; the state is\n%s", len(best), len(part), alone.DescribeState(state))
		left := 0
		slices.SortFunc(part, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
		for _, op := range part {
			if !used[[2]int64{int64(op.ClientId), op.Call}] && left < 8 {
				left++
				t.Logf("not: %d [%d %d] %s", op.ClientId, op.Call, op.Return, alone.DescribeOperation(op.Input, op.Output))
			}
		}
	}
}

// newQueue makes a database with tasks, and returns its name and the model of them.
func newQueue(t *testing.T, d Database, maxAttempts int, p plan, clock clock) (name string, m *queueModel) {
	t.Helper()
	name = d.New(t)
	withDB(t, d, name, clock, func(db *store.DB) error {
		return db.Projects.Create(t.Context(), &nexus.Project{ID: "p", Name: "n", RootPath: "/"})
	})
	m = &queueModel{waits: make(map[int]int), maxAttempts: maxAttempts}
	priorities := []nexus.TaskPriority{nexus.PriorityHigh, nexus.PriorityMedium}
	var list []*nexus.Task
	for i, id := range p.Tasks {
		task := &nexus.Task{ID: id, ProjectID: "p", Name: "n", MaxAttempts: maxAttempts, Priority: priorities[i*2/len(p.Tasks)]}
		if p.Best && !d.Beside && i == len(p.Tasks)-1 {
			task.DependsOn, m.waits[i] = []string{p.Tasks[0]}, 0
		}
		list, m.tasks = append(list, task), append(m.tasks, id)
	}
	withDB(t, d, name, clock, func(db *store.DB) error { return db.Tasks.CreateMany(t.Context(), list) })
	return name, m
}

// withDB opens a database for fn.
func withDB(t *testing.T, d Database, name string, clock clock, fn func(*store.DB) error) {
	t.Helper()
	shared, err := d.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	db := store.New(shared, func() time.Time { return time.UnixMicro(clock.Load()) }, nil)
	if err := fn(db); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// mustBeRight looks over what the clients have left.
func mustBeRight(t *testing.T, d Database, name string, clock clock) {
	t.Helper()
	withDB(t, d, name, clock, func(db *store.DB) error {
		if err := storetest.CheckAttempts(t.Context(), db); err != nil {
			return err
		}
		return storetest.CheckDerived(t.Context(), db)
	})
}

// together runs clients on goroutines of their own that share one opened database, and
// returns their history.
func together(t *testing.T, d Database, name string, clock clock, clients int, seed uint64, p plan) []porcupine.Operation {
	t.Helper()
	shared, err := d.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	logs := make([][]event, clients)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range clients {
		c := newClient(i, shared, clock, seed, p, func() int64 { return int64(time.Since(began)) }, func(e event) { logs[i] = append(logs[i], e) })
		wg.Go(func() {
			<-start
			if err := c.run(); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	close(start)
	wg.Wait()
	if err := shared.Close(); err != nil {
		t.Error(err)
	}
	var all []event
	for _, log := range logs {
		all = append(all, log...)
	}
	return operations(all)
}

// whatHappened counts what is in a history, so that a test that tests nothing
// shows.
func whatHappened(t *testing.T, history []porcupine.Operation, want ...string) {
	t.Helper()
	counts := make(map[string]int)
	for _, op := range history {
		in, out := op.Input.(asked), op.Output.(answered)
		what := in.Verb
		switch {
		case out.Unknown:
			what += " unknown"
		case out.Code != "" && out.Owner.Agent != "":
			what += " refused for the owner"
		case out.Code != "":
			what += " refused"
		case in.Verb == "claim" && len(out.Claims) == 0:
			what += " in vain"
		case in.Verb == "recover" && len(out.Tasks) == 0:
			what += " in vain"
		}
		counts[what]++
	}
	t.Logf("%d calls: %v", len(history), counts)
	for _, what := range want {
		if counts[what] == 0 {
			t.Errorf("no %s in the history", what)
		}
	}
}

// testTasks lets many goroutines claim tasks by id, and work on them with epochs right
// and wrong, while leases run out: each task by itself is linearizable.
func testTasks(t *testing.T, d Database) {
	t.Parallel()
	for round := range rounds(3) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			p := plan{Tasks: []string{"t0", "t1", "t2", "t3"}, Calls: 60, Beside: d.Beside}
			clock := new(atomic.Int64)
			clock.Store(storetest.Now().UnixMicro())
			name, _ := newQueue(t, d, manyAttempts, p, clock)
			history := together(t, d, name, clock, 16, seed, p)
			whatHappened(t, history, "claim", "claim refused for the owner", "complete", "fail", "release", "heartbeat", "heartbeat refused for the owner")
			mustBeLinearizable(t, taskModel(manyAttempts), history)
			mustBeRight(t, d, name, clock)
		})
	}
}

// testQueue lets goroutines claim the best tasks, several at once, of a few that wait
// for each other, are failed until they are escalated, and opened again, while the clock
// jumps forward and back: the whole queue is linearizable.
func testQueue(t *testing.T, d Database) {
	t.Parallel()
	for round := range rounds(4) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			p := plan{Tasks: []string{"t0", "t1", "t2", "t3", "t4"}, Best: true, Back: !d.Beside, Calls: 40, Beside: d.Beside}
			clock := new(atomic.Int64)
			clock.Store(storetest.Now().UnixMicro())
			name, model := newQueue(t, d, 4, p, clock)
			history := together(t, d, name, clock, 8, seed, p)
			whatHappened(t, history, "claim", "claim in vain", "claim refused for the owner", "complete", "reopen", "ready")
			d.mustBeQueue(t, model, history)
			mustBeRight(t, d, name, clock)
			if round == 0 && d.Beside {
				mustNotBeLinearizable(t, taskModel(model.maxAttempts), single(history, model.tasks), seed)
			} else if round == 0 {
				mustNotBeLinearizable(t, model.porcupine(), history, seed)
			}
		})
	}
}

// mustNotBeLinearizable changes the answers of a real history, one at a time, into
// ones that nobody can have got in any order: the checker must say so.
func mustNotBeLinearizable(t *testing.T, model porcupine.Model, history []porcupine.Operation, seed uint64) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 0))
	told := make(map[string]int)
	epochs := make(map[string]int64) // of a claim before
	for _, i := range rnd.Perm(len(history)) {
		out, lie := history[i].Output.(answered), ""
		switch {
		case out.Owner.Agent != "":
			lie, out.Owner.Agent = "another owner", "nobody"
		case out.Code == nexus.CodeFenced && history[i].Input.(asked).Epoch == 1<<40:
			lie, out.Code = "a step with an epoch that nobody was given", ""
		case len(out.Claims) == 1 && epochs[out.Claims[0].Task] != 0:
			lie = "the same epoch for two"
			out.Claims = []owner{{out.Claims[0].Task, out.Claims[0].Agent, epochs[out.Claims[0].Task]}}
		case len(out.Claims) == 1:
			epochs[out.Claims[0].Task] = out.Claims[0].Epoch
			continue
		default:
			continue
		}
		if told[lie]++; told[lie] > 3 {
			continue
		}
		told := append([]porcupine.Operation{}, history...)
		told[i].Output = out
		if result := porcupine.CheckOperationsTimeout(model, told, childtest.Patient); result != porcupine.Illegal {
			t.Errorf("%s: %+v → %+v, which was %+v: %s", lie, told[i].Input, out, history[i].Output, result)
		}
	}
	if len(told) < 2 {
		t.Errorf("lies told: %v", told)
	}
}
