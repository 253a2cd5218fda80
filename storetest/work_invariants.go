package storetest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// checkInvariants checks what must hold whatever the rules say.
func (x *simulation) checkInvariants(rt *rapid.T, s *state) {
	last := make(map[int64]bool)
	completions := make(map[string]int)
	for id, t := range s.Tasks {
		open, before := 0, int64(0)
		for _, a := range s.Attempts[id] {
			if a.Epoch <= before || last[a.Epoch] {
				rt.Fatalf("epoch %d of %s comes after %d, or twice", a.Epoch, id, before)
			}
			before, last[a.Epoch] = a.Epoch, true
			if a.AgentID != "" && a.Outcome == nexus.OutcomeCompleted {
				completions[id]++
			}
			if !a.Open() {
				continue
			}
			open++
			if t.AssignedAgent != a.AgentID || t.Status.Known() && !t.Status.InFlight() {
				rt.Fatalf("%s holds %s, which is %s and %q's", a.AgentID, id, t.Status, t.AssignedAgent)
			}
		}
		if open > 1 {
			rt.Fatalf("%d attempts hold %s", open, id)
		}
		if completions[id] > x.m.opened[id] {
			rt.Fatalf("%s was there to be done %d times, and was done %d times", id, x.m.opened[id], completions[id])
		}
		// Nothing is lost: it is ready, or it can be told why not.
		ready := slices.Contains(s.Ready[""], id)
		if ready != (len(s.Reasons[id]) == 0) || ready != (len(s.Roots[id]) == 0) {
			rt.Fatalf("%s, which is %s: ready is %v, its reasons are %v, their causes %v", id, t.Status, ready, s.Reasons[id], s.Roots[id])
		}
	}
}

// finish does all that there is to do, with one agent and a clock that goes on
// from where it stands: every task that is still to be done is done, once.
func (x *simulation) finish(rt *rapid.T) {
	x.exec(rt, "UPDATE projects SET status = 'executing'")
	for p := range x.m.projects {
		x.m.projects[p] = nexus.ProjectExecuting
	}
	// Whoever was at work is silent from now on. Recover sees to clocks that were
	// ahead, so that no lease is longer than it says.
	x.recover(rt, nexus.RecoverRequest{})
	x.move(nexus.MaxLease)
	x.recover(rt, nexus.RecoverRequest{})
	for _, id := range sortedKeys(x.m.tasks) {
		if t := x.m.tasks[id]; !t.Status.Ended() {
			x.step(rt, "reopen", func(s *store.Services) error { _, err := s.Tasks.Reopen(x.ctx, id, ""); return err },
				func(m *rules) nexus.Code { return m.reopen(id, "") })
		}
	}
	before := maps.Clone(x.m.completed)
	for range 2 * len(simTasks) {
		given := x.claim(rt, nexus.ClaimRequest{AgentID: "z", Lease: time.Minute, Count: 1})
		for _, a := range given {
			x.step(rt, "complete", func(s *store.Services) error {
				_, err := s.Tasks.Complete(x.ctx, a.TaskID, a.Epoch, nexus.Evidence{})
				return err
			}, func(m *rules) nexus.Code { return m.complete(a.TaskID, a.Epoch, nexus.Evidence{}) })
		}
		if len(given) == 0 {
			x.breakCycles(rt)
		}
		x.check(rt)
	}
	for id, t := range x.m.tasks {
		if !t.Status.Ended() {
			rt.Fatalf("%s is lost: it is %s", id, t.Status)
		}
		if n := x.m.completed[id] - before[id]; n > 1 {
			rt.Fatalf("%s was done %d times", id, n)
		}
	}
}

// breakCycles removes what other programs have stored that can never happen.
func (x *simulation) breakCycles(rt *rapid.T) {
	for _, id := range sortedKeys(x.m.tasks) {
		for _, root := range x.m.rootCauses(x.m.tasks[id]) {
			if root == "cycle" || strings.HasPrefix(root, "missing") {
				x.exec(rt, "UPDATE tasks SET depends_on = NULL WHERE id = $1", id)
				x.m.tasks[id].DependsOn = nil
			}
		}
	}
}
