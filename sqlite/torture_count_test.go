package sqlite_test

import (
	"maps"
	"slices"

	"github.com/seed-c8812374/nexus"
)

// tasks checks the revisions: each was made by a deed that was acknowledged, or by
// one that may have happened, and no two of them made the same.
func (v *review) tasks() {
	for _, a := range v.acts {
		for _, t := range a.result.Tasks {
			if v.after.tasks[t.ID] == nil && !v.mayBeGone(t.ID, v.featureOf(t.ID)) {
				v.report("lost: task %s of %v", t.ID, a)
			}
		}
	}
	failures := v.failures()
	for id, t := range v.after.tasks {
		v.revisions(id, t)
		v.mark(id, t)
		if t.Failed != failures[id] {
			v.report("task %s has %d failed attempts; %d are there", id, t.Failed, failures[id])
		}
	}
}

// changes reports whether a deed that was acknowledged has surely changed a task.
// The others may have found it as they wanted it.
func (v *review) changes(a *act, t seen) bool {
	switch a.Kind {
	case "claim", "status", "qa":
		return true
	case "turn":
		return t.ID != a.Task || v.marked[a.ID]
	case "complete", "fail", "release", "block", "skip":
		return a.Epoch != nexus.AnyEpoch && v.marked[a.ID]
	default:
		return false
	}
}

// revises are the kinds of deeds that may change a task that is there.
var revises = map[string]bool{
	"claim": true, "turn": true, "complete": true, "fail": true, "release": true, "block": true, "skip": true, "qa": true,
	"reopen": true, "unblock": true, "link": true, "status": true,
}

func (v *review) revisions(id string, t *taskImage) {
	first, sure, doubts := int64(1), v.expired[id], v.expired[id]
	if before := v.before.tasks[id]; before != nil {
		first = before.Revision
	}
	makers := map[int64]*act{} // of revisions, as far as they are known
	for _, a := range v.byTask[id] {
		if revises[a.Kind] && (a.state == doubtful || a.state == happened) {
			doubts++
		}
		for _, s := range a.result.Tasks {
			if s.ID != id {
				continue
			}
			switch {
			case s.Revision > t.Revision:
				v.report("lost: revision %d of task %s, by %v; it is at %d", s.Revision, id, a, t.Revision)
			case s.Revision < first:
				v.report("%v has seen revision %d of task %s after %d", a, s.Revision, id, first)
			case s.Revision == t.Revision && s.Status != t.Status:
				v.report("lost: task %s is %s; %v has made it %s, with the same revision", id, t.Status, a, s.Status)
			}
			if !v.changes(a, s) {
				if makers[s.Revision] == nil {
					makers[s.Revision] = a
				}
				continue
			}
			sure++
			if other := makers[s.Revision]; s.Revision == first || other != nil && v.changes(other, s) {
				v.report("%v has made revision %d of task %s; so has %v", a, s.Revision, id, other)
			}
			makers[s.Revision] = a
		}
	}
	delete(makers, first)
	if made := int(t.Revision - first); made < sure || made > len(makers)+doubts {
		v.report("task %s went from revision %d to %d; %d changes are known for sure, at most %d can have been made",
			id, first, t.Revision, sure, len(makers)+doubts)
	}
}

// mark checks the trace of the last change by another program.
func (v *review) mark(id string, t *taskImage) {
	marks, newest := map[string]bool{}, int64(0)
	last := ""
	if before := v.before.tasks[id]; before != nil {
		last = before.Mark
	}
	for _, a := range v.byTask[id] {
		switch {
		case a.Kind == "insert" && a.Rows[0].ID == id && a.may():
			last = a.ID
		case a.Kind == "status" && a.state == done && a.result.Tasks[0].Revision > newest:
			newest = a.result.Tasks[0].Revision
			last = a.ID
		case a.Kind == "status" && a.state != done && a.may():
			marks[a.ID] = true
		}
	}
	if t.Mark != last && !marks[t.Mark] {
		v.report("lost: the last foreign change of task %s is %q, not %q", id, t.Mark, last)
	}
}

// failures counts the failed attempts of tasks since they were last reopened. Those
// that another program's status has ended are none of Nexus's.
func (v *review) failures() map[string]int64 {
	failed := map[string]int64{}
	for _, epoch := range slices.Sorted(maps.Keys(v.after.attempts)) {
		a := v.after.attempts[epoch]
		switch {
		case a.Outcome == nexus.OutcomeReopened:
			failed[a.Task] = 0
		case a.Outcome == nexus.OutcomeExpired, a.Outcome == nexus.OutcomeFailed && a.Mark != "":
			failed[a.Task]++
		}
	}
	return failed
}

// agents compares what an agent has done and holds with its attempts. Those at
// tasks that are gone can no longer be counted.
func (v *review) agents() {
	hidden := map[string]int64{}
	for epoch, a := range v.before.attempts {
		if _, has := v.after.attempts[epoch]; !has && a.open() {
			hidden[a.Agent]++
		}
	}
	for _, a := range v.acts {
		for _, c := range a.result.Claims {
			if _, has := v.after.attempts[c.Epoch]; !has {
				hidden[a.Agent]++
			}
		}
		if (a.Kind == "claim" || a.Kind == "turn") && (a.state == doubtful || a.state == happened) {
			hidden[a.Agent] += int64(a.Count - len(a.result.Claims))
		}
	}
	known := maps.Clone(v.before.agents)
	for _, a := range v.acts {
		if len(a.result.Claims) > 0 {
			known[a.Agent] = agentImage{}
		}
	}
	for id := range known {
		if _, has := v.after.agents[id]; !has {
			v.report("lost: agent %s", id)
		}
	}
	for id, a := range v.after.agents {
		b, ended := v.before.agents[id], v.newlyEnded[id]
		completed := b.Completed + ended[string(nexus.OutcomeCompleted)]
		failed := b.Failed + ended[string(nexus.OutcomeFailed)] + ended[string(nexus.OutcomeExpired)]
		if a.Completed < completed || a.Completed > completed+hidden[id] || a.Failed < failed || a.Failed > failed+hidden[id] {
			v.report("agent %s is %+v; it should have completed %d and failed %d, and at most %d more", id, a, completed, failed, hidden[id])
		}
		held := v.after.attempts[v.holds[id]]
		working := a.Status == nexus.AgentWorking
		if a.Current != held.Task || working != (held.Task != "") || !working && a.Status != nexus.AgentIdle && a.Status != nexus.AgentTerminated {
			v.report("agent %s is %+v, and holds %q", id, a, held.Task)
		}
	}
}
