package linear

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seed-c8812374/nexus"
)

// What a task is to a history: who holds it, and what came of earlier attempts.

// asked is what a client asks for. What a verb does not need is empty.
type asked struct {
	Verb  string // claim, heartbeat, complete, fail, release, skip, reopen, recover, ready
	Agent string `json:",omitempty"`
	Task  string `json:",omitempty"` // a claim without one is for the best
	Epoch int64  `json:",omitempty"`
	Lease int64  `json:",omitempty"` // in µs
	Count int    `json:",omitempty"`
}

// answered is what it got, and at what time, by the database's clock, it was done.
type answered struct {
	Now     int64      // in µs
	Then    int64      `json:",omitempty"` // what the clock showed when it returned, where others write beside
	Code    nexus.Code `json:",omitempty"`
	Owner   owner      // that a refusal names
	Claims  []owner    `json:",omitempty"`
	Tasks   []string   `json:",omitempty"` // that were recovered, or are ready
	Unknown bool       `json:",omitempty"` // nobody has lived to see it
}

// owner is who holds a task.
type owner struct {
	Task  string `json:",omitempty"`
	Agent string `json:",omitempty"`
	Epoch int64  `json:",omitempty"` // 0 is one that nobody has lived to see
}

func (o owner) String() string { return fmt.Sprintf("%s:%s#%d", o.Task, o.Agent, o.Epoch) }

// taskState is one task, at one moment.
type taskState struct {
	Status string
	Holder string // "" is nobody
	Epoch  int64
	Until  int64
	Lease  int64
	Failed int
	Past   string // how attempts ended: " 7=completed 9=expired"
}

func (t taskState) String() string {
	if t.Holder != "" {
		return fmt.Sprintf("%s by %s#%d until %d", t.Status, t.Holder, t.Epoch, t.Until)
	}
	return t.Status
}

func (t taskState) ended() bool { return t.Status == "completed" || t.Status == "skipped" }

// end ends the attempt that holds it.
func (t *taskState) end(outcome nexus.Outcome, status string) {
	t.Past += fmt.Sprintf(" %d=%s", t.Epoch, outcome)
	t.Holder, t.Epoch, t.Until, t.Lease, t.Status = "", 0, 0, 0, status
}

func (t taskState) wasEnded(epoch int64, outcome nexus.Outcome) bool {
	return slices.Contains(strings.Fields(t.Past), fmt.Sprintf("%d=%s", epoch, outcome))
}

// give gives it to an agent.
func (t *taskState) give(a asked, now, epoch int64) {
	t.Status, t.Holder, t.Epoch, t.Until, t.Lease = "in_progress", a.Agent, epoch, now+a.Lease, a.Lease
}

// queueModel is all tasks at once, as the documentation of the store says it, to
// the letter: there is one state, and each call has one answer.
type queueModel struct {
	tasks       []string // best first
	waits       map[int]int
	maxAttempts int
}

// queueState is at most eight tasks.
type queueState struct {
	Tasks [8]taskState
	Epoch int64 // the highest that was given
}

func (m *queueModel) porcupine() porcupine.Model {
	return porcupine.Model{
		Init: func() any {
			var s queueState
			for i := range m.tasks {
				s.Tasks[i].Status = "pending"
			}
			return s
		},
		Step: func(state, in, out any) (bool, any) { return m.step(state.(queueState), in.(asked), out.(answered)) },
		DescribeOperation: func(in, out any) string {
			return fmt.Sprintf("%+v → %+v", in, out)
		},
		DescribeState: func(state any) string {
			s := state.(queueState)
			var b strings.Builder
			for i, id := range m.tasks {
				fmt.Fprintf(&b, "%s: %v\n", id, s.Tasks[i])
			}
			return b.String()
		},
	}
}

func (m *queueModel) step(s queueState, in asked, out answered) (bool, queueState) {
	switch in.Verb {
	case "claim":
		return m.claim(s, in, out)
	case "ready":
		return out.Unknown || slices.Equal(m.listed(&s, out.Now), out.Tasks), s
	case "recover":
		m.mend(&s, out.Now)
		taken := m.expire(&s, out.Now)
		slices.Sort(taken)
		return out.Unknown || out.Code == "" && slices.Equal(taken, out.Tasks), s
	}
	i := slices.Index(m.tasks, in.Task)
	ok, t := s.Tasks[i].step(in, out, m.maxAttempts)
	if ok {
		s.Tasks[i] = t
	}
	return ok, s
}

// step takes a step that is about one task and does not depend on the time.
func (t taskState) step(in asked, out answered, maxAttempts int) (bool, taskState) {
	if in.Verb == "reopen" {
		if t.Holder != "" {
			return t.refuses(nexus.CodeFenced, out)
		}
		t.Status, t.Failed = "pending", 0
		return out.Unknown || out.Code == "", t
	}
	outcome := map[string]nexus.Outcome{
		"complete": nexus.OutcomeCompleted, "fail": nexus.OutcomeFailed, "release": nexus.OutcomeReleased, "skip": nexus.OutcomeSkipped,
	}[in.Verb]
	if t.Holder == "" || t.Epoch != 0 && t.Epoch != in.Epoch {
		if outcome != "" && t.wasEnded(in.Epoch, outcome) {
			return out.Unknown || out.Code == "", t
		}
		return t.refuses(nexus.CodeFenced, out)
	}
	if t.Epoch == 0 { // held by somebody who has not lived to see it: not by who asks
		return t.refuses(nexus.CodeFenced, out)
	}
	switch in.Verb {
	case "heartbeat":
		t.Until = out.Now + t.Lease
	case "complete":
		t.end(outcome, "completed")
	case "skip":
		t.end(outcome, "skipped")
	case "release":
		t.end(outcome, "pending")
	case "fail":
		t.fail(outcome, maxAttempts)
	}
	return out.Unknown || out.Code == "", t
}

func (t *taskState) fail(outcome nexus.Outcome, maxAttempts int) {
	t.end(outcome, "pending")
	if t.Failed++; t.Failed >= maxAttempts {
		t.Status = "escalated"
	}
}

// refuses reports whether a refusal is right: its code, and that it names who
// holds the task. It may be how we learn an epoch.
func (t taskState) refuses(code nexus.Code, out answered) (bool, taskState) {
	if out.Unknown {
		return true, t
	}
	if out.Code != code || out.Owner.Agent != t.Holder {
		return false, t
	}
	if t.Holder != "" && t.Epoch == 0 {
		t.Epoch = out.Owner.Epoch
	}
	return out.Owner.Epoch == t.Epoch, t
}

// expire takes back what leases are over for.
func (m *queueModel) expire(s *queueState, now int64) (taken []string) {
	for i := range m.tasks {
		if t := &s.Tasks[i]; t.Holder != "" && t.Until <= now {
			t.fail(nexus.OutcomeExpired, m.maxAttempts)
			taken = append(taken, m.tasks[i])
		}
	}
	return taken
}

// mend shortens leases from a clock that was ahead.
func (m *queueModel) mend(s *queueState, now int64) {
	for i := range m.tasks {
		if t := &s.Tasks[i]; t.Holder != "" && t.Until > now+t.Lease+time.Minute.Microseconds() {
			t.Until = now + t.Lease
		}
	}
}

func (m *queueModel) ready(s *queueState, i int) bool {
	on, waits := m.waits[i]
	return s.Tasks[i].Status == "pending" && !(waits && !s.Tasks[on].ended())
}

// listed is what can be claimed, also what would have to be taken back for that.
func (m *queueModel) listed(s *queueState, now int64) (list []string) {
	for i, id := range m.tasks {
		t := s.Tasks[i]
		if t.Holder != "" && t.Until <= now && t.Failed+1 < m.maxAttempts {
			s := *s
			s.Tasks[i].Status = "pending"
			if m.ready(&s, i) {
				list = append(list, id)
			}
		} else if m.ready(s, i) {
			list = append(list, id)
		}
	}
	return list
}

func (m *queueModel) claim(before queueState, in asked, out answered) (bool, queueState) {
	s := before
	m.expire(&s, out.Now)
	var chosen []int
	for i, id := range m.tasks {
		if m.ready(&s, i) && (in.Task == "" && len(chosen) < in.Count || in.Task == id) {
			chosen = append(chosen, i)
		}
	}
	switch {
	case in.Task != "" && len(chosen) == 0: // what is refused takes nothing back
		i := slices.Index(m.tasks, in.Task)
		t := s.Tasks[i]
		ok, t := t.refuses(nexus.CodeNotReady, out)
		if ok && t.Holder != "" {
			before.Tasks[i].Epoch = t.Epoch
		}
		return ok, before
	case len(chosen) == 0:
		m.mend(&s, out.Now)
		return out.Unknown || out.Code == "" && len(out.Claims) == 0, s
	case out.Unknown:
		for _, i := range chosen {
			s.Tasks[i].give(in, out.Now, 0)
		}
		return true, s
	}
	if out.Code != "" || len(out.Claims) != len(chosen) {
		return false, s
	}
	for n, i := range chosen {
		c := out.Claims[n]
		if c.Task != m.tasks[i] || c.Agent != in.Agent || c.Epoch <= s.Epoch {
			return false, s
		}
		s.Epoch = c.Epoch
		s.Tasks[i].give(in, out.Now, c.Epoch)
	}
	return true, s
}

// taskModel is one task by itself, for histories of claims by id in which tasks do
// not wait for each other. What happens to it through claims of others is only that
// it is taken back when its lease is over. Whether that has happened shows when
// somebody asks; until then both is possible. Where others write beside, one that has
// looked at the clock later may have taken it back just before. The clock must not be put
// back.
func taskModel(maxAttempts int) porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byTask := make(map[string][]porcupine.Operation)
			for _, op := range history {
				id := op.Input.(asked).Task
				byTask[id] = append(byTask[id], op)
			}
			var parts [][]porcupine.Operation
			for _, part := range byTask {
				parts = append(parts, part)
			}
			return parts
		},
		Init: func() any { return taskState{Status: "pending"} },
		Step: func(state, in, out any) (bool, any) {
			before, a, o := state.(taskState), in.(asked), out.(answered)
			t := before
			ok, next := t.stepAlone(a, o, maxAttempts)
			if !ok && t.Holder != "" && t.Until <= max(o.Now, o.Then) {
				t.fail(nexus.OutcomeExpired, maxAttempts)
				ok, next = t.stepAlone(a, o, maxAttempts)
			}
			if a.Verb == "claim" && o.Code != "" && before.Holder != "" && next.Holder == "" {
				next = before // what is refused takes nothing back
			}
			return ok, next
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
		DescribeState:     func(state any) string { return state.(taskState).String() },
	}
}

// single makes claims of the best claims by id of what they were given, for the model of
// single tasks: what a claim may pass over, and what else is ready, is not looked at. One
// that nobody has lived to see may have been given anything.
func single(history []porcupine.Operation, tasks []string) (alone []porcupine.Operation) {
	for _, op := range history {
		in, out := op.Input.(asked), op.Output.(answered)
		switch {
		case in.Verb == "ready" || in.Verb == "recover":
		case in.Verb != "claim" || in.Task != "":
			alone = append(alone, op)
		case out.Unknown:
			for _, in.Task = range tasks {
				op.Input = in
				alone = append(alone, op)
			}
		default:
			for _, claim := range out.Claims {
				in.Task = claim.Task
				op.Input, op.Output = in, answered{Now: out.Now, Then: out.Then, Claims: []owner{claim}}
				alone = append(alone, op)
			}
		}
	}
	return alone
}

// manyAttempts is for tasks that are never escalated.
const manyAttempts = 1 << 30

func (t taskState) stepAlone(in asked, out answered, maxAttempts int) (bool, taskState) {
	if in.Verb != "claim" {
		return t.step(in, out, maxAttempts)
	}
	if t.Holder != "" && t.Until <= out.Now {
		t.fail(nexus.OutcomeExpired, maxAttempts)
	}
	switch {
	case t.Status != "pending":
		return t.refuses(nexus.CodeNotReady, out)
	case out.Unknown:
		t.give(in, out.Now, 0)
		return true, t
	case len(out.Claims) != 1 || out.Claims[0].Agent != in.Agent || out.Claims[0].Task != in.Task:
		return false, t
	}
	epoch := out.Claims[0].Epoch
	if !t.isNew(epoch) {
		return false, t
	}
	t.give(in, out.Now, epoch)
	return true, t
}

// isNew reports whether an epoch comes after all that the task has had.
func (t taskState) isNew(epoch int64) bool {
	for _, past := range strings.Fields(t.Past) {
		var before int64
		if fmt.Sscanf(past, "%d=", &before); before >= epoch {
			return false
		}
	}
	return true
}
