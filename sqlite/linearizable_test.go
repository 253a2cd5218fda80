package sqlite_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/storetest"
)

// A system is linearizable if every history of it, of calls that overlap as they
// like, can be explained by the calls having happened one after another, each at
// some moment between its call and its return. porcupine looks for such an order.

// lineRounds is how many histories are made: a few each time, many with
// NEXUS_TORTURE=1.
func lineRounds(few int) int {
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
	result, info := porcupine.CheckOperationsVerbose(model, history, patient)
	if result == porcupine.Ok {
		return
	}
	path := filepath.Join(t.ArtifactDir(), "history.html")
	if err := porcupine.VisualizePath(model, info, path); err != nil {
		t.Error(err)
	}
	t.Fatalf("%d calls: %s; see %s (with -artifacts)", len(history), result, path)
}

// newQueue makes a database with tasks, and returns the model of them.
func newQueue(t *testing.T, path string, maxAttempts int, plan linePlan, clock lineClock) (*store.DB, *queueModel) {
	t.Helper()
	db := open(t, path, &sqlite.Options{NoSync: true, Now: func() time.Time { return time.UnixMicro(clock.Load()) }})
	create(t, db, "p")
	m := &queueModel{waits: make(map[int]int), maxAttempts: maxAttempts}
	priorities := []nexus.TaskPriority{nexus.PriorityHigh, nexus.PriorityMedium}
	for i, id := range plan.Tasks {
		task := &nexus.Task{ID: id, ProjectID: "p", Name: "n", MaxAttempts: maxAttempts, Priority: priorities[i*2/len(plan.Tasks)]}
		if plan.Best && i == len(plan.Tasks)-1 {
			task.DependsOn, m.waits[i] = []string{plan.Tasks[0]}, 0
		}
		mustSucceed(t, db.Tasks.Create(background, task))
		m.tasks = append(m.tasks, id)
	}
	return db, m
}

// lineTogether runs clients on goroutines of their own that share one commit queue,
// and returns their history.
func lineTogether(t *testing.T, path string, clock lineClock, clients int, seed uint64, plan linePlan) []porcupine.Operation {
	t.Helper()
	shared, err := sqlite.OpenDriver(background, path, &sqlite.Options{NoSync: true})
	mustSucceed(t, err)
	defer func() { mustSucceed(t, shared.Close()) }()
	began := time.Now()
	logs := make([][]event, clients)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range clients {
		c := newLineClient(i, shared, clock, seed, plan, func() int64 { return int64(time.Since(began)) }, func(e event) { logs[i] = append(logs[i], e) })
		wg.Go(func() {
			<-start
			if err := c.run(); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	close(start)
	wg.Wait()
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

// TestLinearizableTasks lets many goroutines claim tasks by id, and work on them
// with epochs right and wrong, while leases run out: each task by itself is
// linearizable.
func TestLinearizableTasks(t *testing.T) {
	t.Parallel()
	for round := range lineRounds(3) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			plan := linePlan{Tasks: []string{"t0", "t1", "t2", "t3"}, Calls: 60}
			clock := new(atomic.Int64)
			clock.Store(storetest.Now().UnixMicro())
			path := newPath(t)
			db, _ := newQueue(t, path, manyAttempts, plan, clock)
			history := lineTogether(t, path, clock, 16, seed, plan)
			whatHappened(t, history, "claim", "claim refused for the owner", "complete", "fail", "release", "heartbeat", "heartbeat refused for the owner")
			mustBeLinearizable(t, taskModel(), history)
			attemptsAreRight(t, db)
		})
	}
}

// TestLinearizableQueue lets goroutines claim the best tasks, several at once, of a
// few that wait for each other, are failed until they are escalated, and opened
// again, while the clock jumps forward and back: the whole queue is linearizable.
func TestLinearizableQueue(t *testing.T) {
	t.Parallel()
	for round := range lineRounds(4) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			plan := linePlan{Tasks: []string{"t0", "t1", "t2", "t3", "t4"}, Best: true, Back: true, Calls: 40}
			clock := new(atomic.Int64)
			clock.Store(storetest.Now().UnixMicro())
			path := newPath(t)
			db, model := newQueue(t, path, 4, plan, clock)
			history := lineTogether(t, path, clock, 8, seed, plan)
			whatHappened(t, history, "claim", "claim in vain", "claim refused for the owner", "complete", "reopen", "ready")
			mustBeLinearizable(t, model.porcupine(), history)
			attemptsAreRight(t, db)
			if round == 0 {
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
	var epoch int64 // of a claim before
	for _, i := range rnd.Perm(len(history)) {
		out, lie := history[i].Output.(answered), ""
		switch {
		case out.Owner.Agent != "":
			lie, out.Owner.Agent = "another owner", "nobody"
		case out.Code == nexus.CodeFenced && history[i].Input.(asked).Epoch == 1<<40:
			lie, out.Code = "a step with an epoch that nobody was given", ""
		case len(out.Claims) == 1 && epoch != 0:
			lie = "the same epoch for two"
			out.Claims = []owner{{out.Claims[0].Task, out.Claims[0].Agent, epoch}}
		case len(out.Claims) == 1:
			epoch = out.Claims[0].Epoch
			continue
		default:
			continue
		}
		if told[lie]++; told[lie] > 3 {
			continue
		}
		told := append([]porcupine.Operation{}, history...)
		told[i].Output = out
		if result := porcupine.CheckOperationsTimeout(model, told, patient); result != porcupine.Illegal {
			t.Errorf("%s: %+v → %+v, which was %+v: %s", lie, told[i].Input, out, history[i].Output, result)
		}
	}
	if len(told) < 2 {
		t.Errorf("lies told: %v", told)
	}
}

// TestCheckerCanFail gives the checker histories that no queue of tasks can have,
// beside ones that it can.
func TestCheckerCanFail(t *testing.T) {
	t.Parallel()
	const lease = 1_000_000
	claim := func(agent, task string) asked {
		return asked{Verb: "claim", Agent: agent, Task: task, Lease: lease, Count: 1}
	}
	do := func(verb, task string, epoch int64) asked { return asked{Verb: verb, Task: task, Epoch: epoch} }
	got := func(now int64, claims ...owner) answered { return answered{Now: now, Claims: claims} }
	refused := func(now int64, code nexus.Code, agent string, epoch int64) answered {
		return answered{Now: now, Code: code, Owner: owner{Agent: agent, Epoch: epoch}}
	}
	op := func(client int, call, ret int64, in asked, out answered) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Call: call, Return: ret, Input: in, Output: out}
	}
	for name, c := range map[string]struct {
		want    porcupine.CheckResult
		byID    bool // the model of single tasks must say so, too
		history []porcupine.Operation
	}{
		"one after another": {porcupine.Ok, true, []porcupine.Operation{
			op(0, 1, 2, claim("a", "t0"), got(0, owner{"t0", "a", 1})),
			op(1, 3, 4, claim("b", "t0"), refused(1, nexus.CodeNotReady, "a", 1)),
			op(0, 5, 6, do("release", "t0", 1), got(2)),
			op(1, 7, 8, claim("b", "t0"), got(3, owner{"t0", "b", 2})),
			op(0, 9, 10, do("release", "t0", 1), got(4)), // again, which is no harm
			op(0, 11, 12, do("complete", "t0", 1), refused(5, nexus.CodeFenced, "b", 2)),
		}},
		"a double claim": {porcupine.Illegal, true, []porcupine.Operation{
			op(0, 1, 10, claim("a", "t0"), got(0, owner{"t0", "a", 1})),
			op(1, 1, 10, claim("b", "t0"), got(0, owner{"t0", "b", 2})),
		}},
		"a double claim of the best": {porcupine.Illegal, false, []porcupine.Operation{
			op(0, 1, 10, claim("a", ""), got(0, owner{"t0", "a", 1})),
			op(1, 1, 10, claim("b", ""), got(0, owner{"t0", "b", 2})),
		}},
		"a claim after the lease": {porcupine.Ok, true, []porcupine.Operation{
			op(0, 1, 10, claim("a", "t0"), got(0, owner{"t0", "a", 1})),
			op(1, 1, 10, claim("b", "t0"), got(lease, owner{"t0", "b", 2})),
		}},
		"a claim a moment before": {porcupine.Illegal, true, []porcupine.Operation{
			op(0, 1, 10, claim("a", "t0"), got(0, owner{"t0", "a", 1})),
			op(1, 1, 10, claim("b", "t0"), got(lease-1, owner{"t0", "b", 2})),
		}},
		"two completions": {porcupine.Illegal, true, []porcupine.Operation{
			op(0, 1, 2, claim("a", "t0"), got(0, owner{"t0", "a", 1})),
			op(1, 3, 4, claim("b", "t0"), got(lease, owner{"t0", "b", 2})),
			op(1, 5, 6, do("complete", "t0", 2), got(lease)),
			op(0, 7, 8, do("complete", "t0", 1), got(lease)),
		}},
		"a completion by who was fenced off": {porcupine.Illegal, true, []porcupine.Operation{
			op(0, 1, 2, claim("a", "t0"), got(0, owner{"t0", "a", 1})),
			op(1, 3, 4, claim("b", "t0"), got(lease, owner{"t0", "b", 2})),
			op(0, 5, 6, do("complete", "t0", 1), got(lease)),
		}},
		"a late completion that nobody was in the way of": {porcupine.Ok, true, []porcupine.Operation{
			op(0, 1, 2, claim("a", "t0"), got(0, owner{"t0", "a", 1})),
			op(0, 5, 6, do("complete", "t0", 1), got(9*lease)),
		}},
		"a wrong owner": {porcupine.Illegal, true, []porcupine.Operation{
			op(0, 1, 2, claim("a", "t0"), got(0, owner{"t0", "a", 1})),
			op(1, 3, 4, claim("b", "t0"), refused(1, nexus.CodeNotReady, "c", 1)),
		}},
		"an epoch twice": {porcupine.Illegal, true, []porcupine.Operation{
			op(0, 1, 2, claim("a", "t0"), got(0, owner{"t0", "a", 1})),
			op(0, 3, 4, do("release", "t0", 1), got(1)),
			op(1, 5, 6, claim("b", "t0"), got(2, owner{"t0", "b", 1})),
		}},
		"a lost task": {porcupine.Illegal, false, []porcupine.Operation{
			op(0, 1, 2, claim("a", "t0"), got(0, owner{"t0", "a", 1})),
			op(1, 3, 4, claim("b", ""), got(1)), // t1 is ready
		}},
		"the second best": {porcupine.Illegal, false, []porcupine.Operation{
			op(0, 1, 2, claim("a", ""), got(0, owner{"t1", "a", 1})),
		}},
		"a list of what is held": {porcupine.Illegal, false, []porcupine.Operation{
			op(0, 1, 2, claim("a", ""), got(0, owner{"t0", "a", 1})),
			op(1, 3, 4, asked{Verb: "ready"}, answered{Now: 1, Tasks: []string{"t0", "t1"}}),
		}},
		"a list while it is claimed": {porcupine.Ok, false, []porcupine.Operation{
			op(0, 1, 4, claim("a", ""), got(0, owner{"t0", "a", 1})),
			op(1, 1, 4, asked{Verb: "ready"}, answered{Now: 1, Tasks: []string{"t0", "t1"}}),
			op(1, 5, 6, asked{Verb: "ready"}, answered{Now: 1, Tasks: []string{"t1"}}),
			op(1, 7, 8, asked{Verb: "ready"}, answered{Now: lease, Tasks: []string{"t0", "t1"}}),
		}},
		"a task that waits": {porcupine.Illegal, false, []porcupine.Operation{
			op(0, 1, 2, claim("a", "t2"), got(0, owner{"t2", "a", 1})),
		}},
		"pending, and it was done": {porcupine.Ok, true, []porcupine.Operation{
			op(0, 1, math.MaxInt64, claim("a", "t0"), answered{Now: 0, Unknown: true}),
			op(1, 3, 4, claim("b", "t0"), refused(1, nexus.CodeNotReady, "a", 7)),
			op(1, 5, 6, claim("b", "t0"), refused(1, nexus.CodeNotReady, "a", 7)),
		}},
		"pending, and it was not done": {porcupine.Ok, true, []porcupine.Operation{
			op(0, 1, math.MaxInt64, claim("a", "t0"), answered{Now: 0, Unknown: true}),
			op(1, 3, 4, claim("b", "t0"), got(1, owner{"t0", "b", 1})),
		}},
		"pending, and both": {porcupine.Illegal, true, []porcupine.Operation{
			op(0, 1, math.MaxInt64, claim("a", "t0"), answered{Now: 0, Unknown: true}),
			op(1, 3, 4, claim("b", "t0"), refused(1, nexus.CodeNotReady, "a", 7)),
			op(1, 5, 6, claim("b", "t0"), got(1, owner{"t0", "b", 8})),
		}},
		"pending, with two epochs": {porcupine.Illegal, true, []porcupine.Operation{
			op(0, 1, math.MaxInt64, claim("a", "t0"), answered{Now: 0, Unknown: true}),
			op(1, 3, 4, claim("b", "t0"), refused(1, nexus.CodeNotReady, "a", 7)),
			op(1, 5, 6, claim("b", "t0"), refused(1, nexus.CodeNotReady, "a", 8)),
		}},
	} {
		queue := &queueModel{tasks: []string{"t0", "t1", "t2"}, waits: map[int]int{2: 0}, maxAttempts: 3}
		if got := porcupine.CheckOperationsTimeout(queue.porcupine(), c.history, patient); got != c.want {
			t.Errorf("%s: the model of the queue says %s, want %s", name, got, c.want)
		}
		if c.byID {
			if got := porcupine.CheckOperationsTimeout(taskModel(), c.history, patient); got != c.want {
				t.Errorf("%s: the model of single tasks says %s, want %s", name, got, c.want)
			}
		}
	}
}
