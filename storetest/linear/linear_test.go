package linear

import (
	"math"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/childtest"
)

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
		if got := porcupine.CheckOperationsTimeout(queue.porcupine(), c.history, childtest.Patient); got != c.want {
			t.Errorf("%s: the model of the queue says %s, want %s", name, got, c.want)
		}
		if c.byID {
			if got := porcupine.CheckOperationsTimeout(taskModel(manyAttempts), c.history, childtest.Patient); got != c.want {
				t.Errorf("%s: the model of single tasks says %s, want %s", name, got, c.want)
			}
		}
	}
}
