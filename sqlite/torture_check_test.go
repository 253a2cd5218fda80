package sqlite_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-c8812374/nexus"
)

// review compares what is in the database with what was before, what was
// acknowledged since, and what may have happened since.
type review struct {
	before, after *image
	acts          []*act // in the order of their beginning, for each hand
	byID          map[string]*act
	byTask        map[string][]*act           // that may have changed the task, or been refused
	marked        map[string]bool             // the marks of attempts
	given         map[int64]*act              // by epoch
	expired       map[string]int              // attempts of the task that were taken back
	holds         map[string]int64            // the newest attempt that an agent holds
	newlyEnded    map[string]map[string]int64 // by agent and outcome
	problems      []string
}

// check returns everything that contradicts the journals. It settles what was in
// doubt as far as traces show it.
func check(before *image, acts []*act, after *image) []string {
	v := &review{
		before: before, after: after, byID: map[string]*act{}, byTask: map[string][]*act{}, marked: map[string]bool{},
		given: map[int64]*act{}, expired: map[string]int{}, holds: map[string]int64{}, newlyEnded: map[string]map[string]int64{},
	}
	v.settle(acts)
	v.created()
	v.claims()
	v.attempts()
	v.tasks()
	v.agents()
	return v.problems
}

func (v *review) report(format string, args ...any) {
	v.problems = append(v.problems, fmt.Sprintf(format, args...))
}

func (a *act) String() string {
	s := fmt.Sprintf("%s %s", a.Kind, a.ID)
	if a.Task != "" {
		s += " of " + a.Task
	}
	if a.Epoch != 0 {
		s += fmt.Sprintf(", epoch %d", a.Epoch)
	}
	return s
}

// has reports whether the deed has happened, and may whether it may have.
func (a *act) has() bool { return a.state == done || a.state == happened }
func (a *act) may() bool { return a.state != refused }

// traced says that a metric is stored with the deed.
func (a *act) traced() bool { return a.Way == wayTx || a.Kind == "metric" }

// settle compares keys and metrics with the journals, and decides by them what has
// happened.
func (v *review) settle(acts []*act) {
	for _, a := range acts {
		before, was := v.before.keys[a.ID]
		if was { // a call that was made again
			if a.state != done || asJSON(a.result) != before {
				v.report("%v repeated: %+v, it was %s", a, a.result, before)
			}
			continue
		}
		v.acts = append(v.acts, a)
		v.byID[a.ID] = a
		stored, has := v.after.keys[a.ID]
		switch {
		case a.traced():
			has = v.after.metrics[a.ID]
		case a.Kind == "status":
			has = v.after.tasks[a.Task] != nil && v.after.tasks[a.Task].Mark == a.ID
		}
		exact := a.Way == wayKeyed || a.traced()
		switch {
		case a.state == done && exact && !has:
			v.report("lost: %v was acknowledged, and there is no trace of it", a)
		case a.state == done && a.Way == wayKeyed && stored != asJSON(a.result):
			v.report("%v: the key's result is %s, it was %s", a, stored, asJSON(a.result))
		case a.state == refused && has:
			v.report("%v was refused, and there is a trace of it", a)
		case a.state != doubtful:
		case has && a.Way == wayKeyed:
			a.state = done
			if err := json.Unmarshal([]byte(stored), &a.result); err != nil {
				v.report("%v: the key's result is %s: %v", a, stored, err)
			}
		case has:
			a.state = happened
		case exact:
			a.state = refused
		}
	}
	compare(v, "metric", v.before.metrics, v.after.metrics, func(a *act) bool { return a.traced() })
	compare(v, "key", v.before.keys, v.after.keys, func(a *act) bool { return a.Way == wayKeyed })
	for key, stored := range v.before.keys {
		if again, has := v.after.keys[key]; has && again != stored {
			v.report("the result of key %s is %s, was %s", key, again, stored)
		}
	}
	for _, a := range v.acts {
		touched := map[string]bool{a.Task: a.Task != ""}
		for _, row := range a.Rows {
			touched[row.ID] = true
		}
		for _, t := range a.result.Tasks {
			touched[t.ID] = true
		}
		for id := range touched {
			v.byTask[id] = append(v.byTask[id], a)
		}
	}
}

// compare checks that what carries the id of a deed stays, and is stored by no
// other.
func compare[T any](v *review, what string, before, after map[string]T, stores func(*act) bool) {
	for id := range before {
		if _, has := after[id]; !has {
			v.report("lost: %s %s", what, id)
		}
	}
	for id := range after {
		_, was := before[id]
		if a := v.byID[id]; !was && (a == nil || !a.may() || !stores(a)) {
			v.report("nobody has stored %s %s", what, id)
		}
	}
}

// mayBeGone reports whether somebody may have deleted a task. A plan is deleted as
// a whole.
func (v *review) mayBeGone(task, feature string) bool {
	for _, a := range v.byTask[task] {
		if a.Kind == "delete" && a.may() {
			return true
		}
	}
	return !v.after.features[feature] && v.mayBeDeleted(feature)
}

func (v *review) mayBeDeleted(feature string) bool {
	return slices.ContainsFunc(v.acts, func(a *act) bool { return a.Kind == "delete plan" && a.Feature == feature && a.may() })
}

// created compares rows that come and go with the journals: of a plan all rows are
// there or none.
func (v *review) created() {
	creators, planners := map[string]*act{}, map[string]*act{}
	for _, a := range v.acts {
		switch {
		case a.has() && a.Kind == "delete" && v.after.tasks[a.Task] != nil:
			v.report("%v was acknowledged, and the task is there", a)
		case a.has() && a.Kind == "delete plan" && v.after.features[a.Feature]:
			v.report("%v was acknowledged, and feature %s is there", a, a.Feature)
		case a.Kind == "plan" && a.may():
			planners[a.Feature] = a
			if !v.after.features[a.Feature] && !v.mayBeDeleted(a.Feature) {
				v.report("lost: feature %s of %v", a.Feature, a)
			}
		}
		if a.Kind != "plan" && a.Kind != "create" && a.Kind != "insert" || !a.may() {
			continue
		}
		for _, row := range a.Rows {
			creators[row.ID] = a
			if a.has() && v.after.tasks[row.ID] == nil && !v.mayBeGone(row.ID, a.Feature) {
				v.report("lost: task %s of %v", row.ID, a)
			}
		}
	}
	for id, t := range v.before.tasks {
		if v.after.tasks[id] == nil && !v.mayBeGone(id, t.Feature) {
			v.report("lost: task %s; nobody has deleted it", id)
		}
	}
	for id, t := range v.after.tasks {
		before := v.before.tasks[id]
		if before == nil && creators[id] == nil {
			v.report("nobody has created task %s", id)
			continue
		}
		var on []string // without what links have added
		feature := ""
		if before != nil {
			on, feature = before.On, before.Feature
		} else {
			i := slices.IndexFunc(creators[id].Rows, func(r planned) bool { return r.ID == id })
			on, feature = creators[id].Rows[i].On, creators[id].Feature
		}
		v.dependencies(id, on, t)
		if t.Feature != feature {
			v.report("task %s is of feature %s, was of %s", id, t.Feature, feature)
		}
	}
	for id := range v.before.features {
		if !v.after.features[id] && !v.mayBeDeleted(id) {
			v.report("lost: feature %s; nobody has deleted it", id)
		}
	}
	for id := range v.after.features {
		if !v.before.features[id] && planners[id] == nil {
			v.report("nobody has created feature %s", id)
		}
	}
}

func (v *review) dependencies(id string, before []string, t *taskImage) {
	must, can := map[string]bool{}, map[string]bool{}
	for _, on := range before {
		must[on] = true
	}
	for _, a := range v.byTask[id] {
		if a.Kind == "link" && a.may() {
			can[a.Rows[0].On[0]] = true
			must[a.Rows[0].On[0]] = must[a.Rows[0].On[0]] || a.has()
		}
	}
	for on, needed := range must {
		if needed && !slices.Contains(t.On, on) {
			v.report("lost: that %s depends on %s", id, on)
		}
	}
	for _, on := range t.On {
		if !must[on] && !can[on] {
			v.report("nobody has made %s depend on %s", id, on)
		}
	}
}

// claims checks that every claim that was acknowledged is there, and that epochs
// grow.
func (v *review) claims() {
	last := map[string]int64{}
	for _, a := range v.acts {
		for _, c := range a.result.Claims {
			if other := v.given[c.Epoch]; other != nil || c.Epoch <= v.before.epoch {
				v.report("epoch %d of %v was given before, to %v", c.Epoch, a, other)
			}
			if c.Epoch <= last[a.Agent] {
				v.report("epoch %d of %v comes after %d", c.Epoch, a, last[a.Agent])
			}
			v.given[c.Epoch], last[a.Agent] = a, c.Epoch
			if c.Epoch > v.after.epoch {
				v.report("lost: epoch %d of %v; the last one is %d", c.Epoch, a, v.after.epoch)
			}
			got, has := v.after.attempts[c.Epoch]
			if !has {
				if v.after.tasks[c.Task] != nil || !v.mayBeGone(c.Task, v.featureOf(c.Task)) {
					v.report("lost: attempt %d at %s of %v", c.Epoch, c.Task, a)
				}
				continue
			}
			if got.Task != c.Task || got.Agent != a.Agent || got.Process != a.Process {
				v.report("attempt %d is %+v, of %v", c.Epoch, got, a)
			}
		}
	}
	if v.after.epoch < v.before.epoch {
		v.report("the last epoch is %d, was %d", v.after.epoch, v.before.epoch)
	}
}

// featureOf returns the feature of a task that may be gone.
func (v *review) featureOf(task string) string {
	if t := v.before.tasks[task]; t != nil {
		return t.Feature
	}
	for _, a := range v.byTask[task] {
		if a.Kind == "plan" || a.Kind == "create" || a.Kind == "insert" {
			return a.Feature
		}
	}
	return ""
}

// attempts checks where each one comes from, and who has ended it.
func (v *review) attempts() {
	for epoch, b := range v.before.attempts {
		if _, has := v.after.attempts[epoch]; !has && v.after.tasks[b.Task] != nil {
			v.report("lost: attempt %d at %s", epoch, b.Task)
		}
	}
	open := map[string]int64{}
	for _, epoch := range slices.Sorted(maps.Keys(v.after.attempts)) {
		a := v.after.attempts[epoch]
		b, was := v.before.attempts[epoch]
		v.marked[a.Mark] = true
		switch {
		case was && !b.open():
			if a != b {
				v.report("attempt %d had ended, and has changed from %+v to %+v", epoch, b, a)
			}
			v.signs(epoch, b, a, was)
			continue
		case was && (a.Task != b.Task || a.Agent != b.Agent || a.Process != b.Process || a.Claimed != b.Claimed):
			v.report("attempt %d has changed from %+v to %+v", epoch, b, a)
		case !was && epoch <= v.before.epoch:
			v.report("attempt %d is new, and the last one was %d", epoch, v.before.epoch)
		case !was:
			v.origin(epoch, a)
		}
		if a.open() {
			t := v.after.tasks[a.Task]
			if other := open[a.Task]; other != 0 || t == nil || t.Status != nexus.TaskInProgress || t.Agent != a.Agent {
				v.report("attempt %d, %+v, holds %+v; so does %d", epoch, a, t, other)
			}
			open[a.Task], v.holds[a.Agent] = epoch, max(epoch, v.holds[a.Agent])
		} else {
			v.ending(epoch, a)
			if v.newlyEnded[a.Agent] == nil {
				v.newlyEnded[a.Agent] = map[string]int64{}
			}
			v.newlyEnded[a.Agent][string(a.Outcome)]++
		}
		v.signs(epoch, b, a, was)
	}
	for _, d := range v.acts {
		for _, t := range d.result.Taken {
			if a, has := v.after.attempts[t.Epoch]; has && (a.Outcome != nexus.OutcomeExpired || a.Reason != t.Reason) {
				v.report("lost: %v has taken back attempt %d, and that is %+v", d, t.Epoch, a)
			}
		}
	}
	for id, t := range v.after.tasks {
		if t.Status == nexus.TaskInProgress && open[id] == 0 && t.Agent != foreignAgent {
			v.report("task %s is in progress, by %q, and nobody holds it", id, t.Agent)
		}
	}
}

// origin checks that somebody has begun an attempt.
func (v *review) origin(epoch int64, a attemptImage) {
	if a.Agent == "" { // a decision about what nobody held
		if d := v.byID[a.Mark]; d == nil || !d.may() || d.Task != a.Task || endings[d.Kind] != a.Outcome {
			v.report("nobody has taken the decision %d, %+v", epoch, a)
		}
		return
	}
	if v.given[epoch] != nil {
		return
	}
	for _, d := range v.acts {
		if (d.Kind == "claim" || d.Kind == "turn") && d.Agent == a.Agent && d.Process == a.Process &&
			(d.state == doubtful || d.state == happened) && (d.Kind == "turn" || d.Task == "" || d.Task == a.Task) && len(d.result.Claims) < d.Count {
			d.result.Claims = append(d.result.Claims, claimed{a.Task, epoch})
			if d.Task != a.Task {
				v.byTask[a.Task] = append(v.byTask[a.Task], d)
			}
			if first := v.after.attempts[d.result.Claims[0].Epoch]; first.Claimed != a.Claimed {
				v.report("attempts %d and %d of %v were not begun at once", d.result.Claims[0].Epoch, epoch, d)
			}
			v.given[epoch] = d
			return
		}
	}
	v.report("nobody has begun attempt %d, %+v", epoch, a)
}

// ending checks that somebody has ended an attempt in this way.
func (v *review) ending(epoch int64, a attemptImage) {
	if a.Agent == "" {
		return
	}
	switch {
	case a.Outcome == nexus.OutcomeExpired:
		v.expired[a.Task]++
		if strings.Contains(a.Reason, "lease") && a.LeaseUntil <= a.Ended {
			return
		}
		for _, d := range v.acts {
			if d.Kind == "recover" && slices.Contains(d.result.Taken, taken{epoch, a.Reason}) {
				return
			}
		}
	case a.Mark != "":
		if d := v.byID[a.Mark]; d != nil && d.may() && d.Task == a.Task && endings[d.Kind] == a.Outcome &&
			(d.Epoch == epoch || d.Epoch == nexus.AnyEpoch) {
			return
		}
	default: // another program has changed the task
		for _, d := range v.byTask[a.Task] {
			if d.Kind == "status" && (d.state == done && d.result.Ended == epoch || d.state == happened || d.state == doubtful) {
				return
			}
		}
	}
	v.report("nobody has ended attempt %d in this way: %+v", epoch, a)
}

// signs checks signs of life, and that whoever was told that an attempt has ended
// was told the truth.
func (v *review) signs(epoch int64, b, a attemptImage, was bool) {
	notes, extended := []string{b.Note}, !was
	for _, d := range v.byTask[a.Task] {
		if d.Epoch != epoch || !d.may() {
			continue
		}
		switch d.Kind {
		case "progress":
			extended = true
			if d.has() {
				notes = nil
			}
			notes = append(notes, d.ID)
		case "heartbeat", "qa":
			extended = true
		}
		if d.state == done && a.LeaseUntil < d.result.Lease {
			v.report("lost: %v; the lease ends at %d, not at %d", d, a.LeaseUntil, d.result.Lease)
		}
		if outcome, ends := endings[d.Kind]; ends && d.has() && a.Outcome != outcome {
			v.report("lost: %v; attempt %d is %+v", d, epoch, a)
		}
	}
	if !slices.Contains(notes, a.Note) {
		v.report("lost: the progress of attempt %d is %q, should be one of %q", epoch, a.Note, notes)
	}
	if !extended && a.LeaseUntil != b.LeaseUntil {
		v.report("nobody has extended the lease of attempt %d: %+v, was %+v", epoch, a, b)
	}
}
