package storetest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// rules is what the work loop should do, as its documentation says it: maps, no
// SQL, one thing at a time. A method returns the code of its refusal, and may leave
// anything behind then; the caller works on a clone.
type rules struct {
	now      time.Time
	projects map[string]nexus.ProjectStatus
	features map[string]*progress // features and sub-features
	tasks    map[string]*nexus.Task
	agents   map[string]*nexus.Agent
	sessions map[string]*nexus.Session
	attempts []*nexus.Attempt // in the order of their epochs; 0 is one that is not known yet
	keys     map[string]string
	answers  map[string][]int64 // the epochs that a call with a key returned

	completed map[string]int // how often each task was completed, and
	opened    map[string]int // how often it was there to be
}

// progress is what follows for a feature or sub-feature from its tasks.
type progress struct {
	Status    nexus.FeatureStatus
	Completed int
}

func clone[K comparable, V any](m map[K]*V) map[K]*V {
	copied := make(map[K]*V, len(m))
	for key, value := range m {
		v := *value
		copied[key] = &v
	}
	return copied
}

func (m *rules) clone() *rules {
	c := *m
	c.projects, c.keys, c.answers = maps.Clone(m.projects), maps.Clone(m.keys), maps.Clone(m.answers)
	c.completed, c.opened = maps.Clone(m.completed), maps.Clone(m.opened)
	c.features, c.tasks, c.agents, c.sessions = clone(m.features), clone(m.tasks), clone(m.agents), clone(m.sessions)
	c.attempts = make([]*nexus.Attempt, len(m.attempts))
	for i, a := range m.attempts {
		copied := *a
		c.attempts[i] = &copied
	}
	return &c
}

// second and micro are the time, as rows and as attempts keep it.
func (m *rules) second() time.Time { return m.now.Truncate(time.Second) }
func (m *rules) micro() time.Time  { return m.now.Truncate(time.Microsecond) }

// open returns the attempt that holds a task, or nil.
func (m *rules) open(task string) *nexus.Attempt {
	for _, a := range m.attempts {
		if a.TaskID == task && a.Open() {
			return a
		}
	}
	return nil
}

// held are the open attempts, the one whose lease ends first first.
func (m *rules) held() (list []*nexus.Attempt) {
	for _, a := range m.attempts {
		if a.Open() {
			list = append(list, a)
		}
	}
	slices.SortStableFunc(list, func(a, b *nexus.Attempt) int {
		return cmp.Or(a.LeaseUntil.Compare(b.LeaseUntil), cmp.Compare(a.Epoch, b.Epoch))
	})
	return list
}

func (m *rules) over(a *nexus.Attempt) bool { return !a.LeaseUntil.After(m.now) }

func sign(a *nexus.Attempt) time.Time { return a.LeaseUntil.Add(-a.Lease) }

// end ends an attempt, and says what its agent does then.
func (m *rules) end(a *nexus.Attempt, at time.Time, outcome nexus.Outcome, reason string, evidence *nexus.Evidence) {
	if at.Before(a.ClaimedAt) {
		at = a.ClaimedAt
	}
	a.EndedAt, a.Outcome, a.Reason, a.LeaseUntil = at, outcome, reason, time.Time{}
	if !evidence.IsZero() {
		a.Evidence = evidence
	}
	agent := m.agents[a.AgentID]
	if agent == nil {
		return
	}
	switch outcome {
	case nexus.OutcomeCompleted:
		agent.TasksCompleted++
	case nexus.OutcomeFailed, nexus.OutcomeExpired:
		agent.TasksFailed++
	}
	if at = at.Truncate(time.Second); outcome != nexus.OutcomeExpired && at.After(agent.LastActivityAt) {
		agent.LastActivityAt = at
	}
	m.holdOn(agent)
}

// holdOn is what an agent does when it holds one task less: it goes on with the
// last of the others, or is idle.
func (m *rules) holdOn(agent *nexus.Agent) {
	agent.CurrentTaskID = ""
	for _, a := range m.attempts {
		if a.AgentID == agent.ID && a.Open() {
			agent.CurrentTaskID = a.TaskID
		}
	}
	busy := agent.Status == nexus.AgentAssigned || agent.Status == nexus.AgentWorking || agent.Status == nexus.AgentWaiting
	if agent.CurrentTaskID == "" && busy {
		agent.Status = nexus.AgentIdle
	}
}

// takers are the statuses that take a task from the agent that holds it.
var takers = map[nexus.TaskStatus]nexus.Outcome{
	nexus.TaskPending: nexus.OutcomeReleased, nexus.TaskBlocked: nexus.OutcomeBlocked, nexus.TaskCompleted: nexus.OutcomeCompleted,
	nexus.TaskFailed: nexus.OutcomeFailed, nexus.TaskSkipped: nexus.OutcomeSkipped, nexus.TaskEscalated: nexus.OutcomeEscalated,
	"cancelled": nexus.OutcomeSkipped,
}

// change changes the row of a task, whoever does it, and all that follows.
func (m *rules) change(id string, by func(t *nexus.Task)) {
	t := m.tasks[id]
	before := *t
	by(t)
	if open := m.open(id); open != nil && (before.Status != t.Status || before.AssignedAgent != t.AssignedAgent) {
		outcome, takes := takers[t.Status]
		if !takes && open.AgentID != t.AssignedAgent {
			outcome, takes = nexus.OutcomeReleased, true
		}
		if takes {
			m.end(open, t.UpdatedAt, outcome, "", nil)
		}
	}
	if before.Status != t.Status {
		if t.Status == nexus.TaskCompleted {
			m.completed[id]++
		}
		if before.Status == nexus.TaskCompleted {
			m.opened[id]++
		}
	}
	if before.Status.Ended() || t.Status.Ended() {
		if before.Status != t.Status {
			m.follow(&before, t)
		}
	}
	if before.Status != t.Status && t.Status == nexus.TaskInProgress {
		for _, id := range []string{t.FeatureID, t.SubFeatureID} {
			if f := m.features[id]; f != nil && (f.Status == nexus.FeatureBacklog || f.Status == nexus.FeaturePlanning) {
				f.Status = nexus.FeatureInProgress
			}
		}
	}
}

// follow is what a feature and a sub-feature make of a task of theirs that was
// before, and is now; nil is not there.
func (m *rules) follow(before, after *nexus.Task) {
	t := cmp.Or(after, before)
	for _, id := range []string{t.FeatureID, t.SubFeatureID} {
		f := m.features[id]
		if f == nil {
			continue
		}
		total, open, completed := 0, 0, 0
		for _, other := range m.tasks {
			if other.FeatureID != id && other.SubFeatureID != id {
				continue
			}
			total++
			if !other.Status.Ended() {
				open++
			}
			if other.Status == nexus.TaskCompleted {
				completed++
			}
		}
		opens := after != nil && !after.Status.Ended() && (before == nil || before.Status.Ended())
		begun := f.Status == nexus.FeatureBacklog || f.Status == nexus.FeaturePlanning
		switch {
		case open == 0 && total > 0 && (begun || f.Status == nexus.FeatureInProgress):
			f.Status = nexus.FeatureDone
		case opens && f.Status == nexus.FeatureDone:
			f.Status = nexus.FeatureInProgress
		case completed > f.Completed && begun:
			f.Status = nexus.FeatureInProgress
		}
		f.Completed = completed
	}
}

// become is a step that Nexus itself takes with a task.
func (m *rules) become(t *nexus.Task, status nexus.TaskStatus) {
	if status == t.Status {
		return
	}
	t.Status, t.CompletedAt = status, time.Time{}
	if status.Ended() {
		t.CompletedAt = m.second()
	}
	if status == nexus.TaskCompleted && t.ActualMinutes == 0 && !t.StartedAt.IsZero() {
		t.ActualMinutes = minutes(m.second().Sub(t.StartedAt))
	}
	if status == nexus.TaskInProgress && t.StartedAt.IsZero() {
		t.StartedAt = m.second()
	}
}

func minutes(d time.Duration) int { return int(max(0, (d+time.Minute-1)/time.Minute)) }

// decision is a step that ends an attempt, or is taken with a task that nobody
// holds.
type decision struct {
	outcome  nexus.Outcome
	reason   string
	evidence *nexus.Evidence
	gives    bool // it gives back what somebody is at work on
	update   func(t *nexus.Task)
}

// decide takes a step with a task.
func (m *rules) decide(id string, epoch int64, d decision) nexus.Code {
	t := m.tasks[id]
	if t == nil {
		return nexus.CodeNotFound
	}
	open, ended := m.open(id), false
	switch {
	case open != nil && (epoch == nexus.AnyEpoch || epoch == open.Epoch):
		m.end(open, m.micro(), d.outcome, d.reason, d.evidence)
		ended = true
	case epoch != 0 && epoch != nexus.AnyEpoch:
		for _, a := range m.attempts {
			if a.Epoch == epoch && a.TaskID == id && a.Outcome == d.outcome {
				return "" // it is so already
			}
		}
		return nexus.CodeFenced
	case open != nil:
		return nexus.CodeFenced
	}
	after := *t
	d.update(&after)
	if after.Status == nexus.TaskCompleted {
		m.addUp(&after)
	}
	if after.Status != t.Status && !t.Status.CanBecome(after.Status) {
		return nexus.CodeTransition
	}
	if !ended && d.gives {
		switch t.Status {
		case nexus.TaskBlocked, nexus.TaskCompleted, nexus.TaskSkipped, nexus.TaskFailed, nexus.TaskEscalated:
			return nexus.CodeTransition
		case nexus.TaskPending:
			if d.outcome == nexus.OutcomeFailed {
				return nexus.CodeTransition // to release it once more does no harm
			}
		}
	}
	if !ended && (d.reason != "" || !d.evidence.IsZero()) {
		a := &nexus.Attempt{TaskID: id, ClaimedAt: m.micro(), EndedAt: m.micro(), Outcome: d.outcome, Reason: d.reason}
		if !d.evidence.IsZero() {
			a.Evidence = d.evidence
		}
		m.attempts = append(m.attempts, a)
	}
	m.replace(t, after)
	return ""
}

// replace stores what Nexus makes of a task, if that is anything new.
func (m *rules) replace(t *nexus.Task, after nexus.Task) {
	if sameTask(*t, after) {
		return
	}
	m.change(t.ID, func(t *nexus.Task) {
		*t = after
		t.UpdatedAt = m.second()
	})
}

func sameTask(a, b nexus.Task) bool {
	a.UpdatedAt = b.UpdatedAt
	return fmt.Sprintf("%#v", a) == fmt.Sprintf("%#v", b)
}

// addUp is what all attempts at a task took.
func (m *rules) addUp(t *nexus.Task) {
	var spent time.Duration
	any := false
	for _, a := range m.attempts {
		if a.TaskID == t.ID && !a.Open() && a.AgentID != "" {
			spent, any = spent+a.EndedAt.Sub(a.ClaimedAt), true
		}
	}
	if any {
		t.ActualMinutes = minutes(spent)
	}
}

func (m *rules) giveBack(t *nexus.Task) {
	m.become(t, nexus.TaskPending)
	t.AssignedAgent = ""
}

func (m *rules) afterFailure(t *nexus.Task, final bool) {
	t.FailedAttempts++
	if final || t.FailedAttempts >= t.MaxAttempts {
		m.become(t, nexus.TaskEscalated)
	} else {
		m.giveBack(t)
	}
}

func (m *rules) complete(id string, epoch int64, e nexus.Evidence) nexus.Code {
	return m.decide(id, epoch, decision{
		outcome: nexus.OutcomeCompleted, evidence: &e,
		update: func(t *nexus.Task) { m.become(t, nexus.TaskCompleted) },
	})
}

func (m *rules) fail(id string, epoch int64, f store.Failure) nexus.Code {
	return m.decide(id, epoch, decision{
		outcome: nexus.OutcomeFailed, reason: f.Reason, evidence: &f.Evidence, gives: true,
		update: func(t *nexus.Task) { m.afterFailure(t, f.Final) },
	})
}

func (m *rules) release(id string, epoch int64, reason string) nexus.Code {
	return m.decide(id, epoch, decision{outcome: nexus.OutcomeReleased, reason: reason, gives: true, update: m.giveBack})
}

func (m *rules) block(id string, epoch int64, reason string) nexus.Code {
	return m.decide(id, epoch, decision{
		outcome: nexus.OutcomeBlocked, reason: reason,
		update: func(t *nexus.Task) {
			m.become(t, nexus.TaskBlocked)
			t.BlockedBy, t.AssignedAgent = reason, ""
		},
	})
}

func (m *rules) unblock(id string) nexus.Code {
	return m.decide(id, 0, decision{outcome: nexus.OutcomeReleased, update: func(t *nexus.Task) {
		t.BlockedBy = ""
		if t.Status == nexus.TaskBlocked {
			m.become(t, nexus.TaskPending)
		}
	}})
}

func (m *rules) skip(id string, epoch int64, reason string) nexus.Code {
	return m.decide(id, epoch, decision{
		outcome: nexus.OutcomeSkipped, reason: reason,
		update: func(t *nexus.Task) { m.become(t, nexus.TaskSkipped) },
	})
}

func (m *rules) reopen(id, reason string) nexus.Code {
	return m.decide(id, 0, decision{outcome: nexus.OutcomeReopened, reason: reason, update: func(t *nexus.Task) {
		m.giveBack(t)
		t.BlockedBy, t.FailedAttempts, t.QAIterations = "", 0, 0
	}})
}

func (m *rules) qa(id string, epoch int64, note string) nexus.Code {
	t, open := m.tasks[id], m.open(id)
	switch {
	case t == nil:
		return nexus.CodeNotFound
	case open == nil || epoch != nexus.AnyEpoch && epoch != open.Epoch:
		return nexus.CodeFenced
	}
	if epoch != nexus.AnyEpoch {
		m.heartbeat(id, epoch, 0)
	}
	if t.QAIterations+1 < t.MaxIterations {
		after := *t
		after.QAIterations++
		m.replace(t, after)
		return ""
	}
	return m.decide(id, epoch, decision{
		outcome: nexus.OutcomeEscalated, reason: strings.TrimSuffix("the QA iterations are used up: "+note, ": "),
		update: func(t *nexus.Task) {
			m.become(t, nexus.TaskEscalated)
			t.QAIterations++
		},
	})
}

func (m *rules) heartbeat(id string, epoch int64, lease time.Duration) nexus.Code {
	open := m.open(id)
	switch {
	case m.tasks[id] == nil:
		return nexus.CodeNotFound
	case open == nil || open.Epoch != epoch:
		return nexus.CodeFenced
	}
	if lease != 0 {
		open.Lease = lease
	}
	open.LeaseUntil = m.now.Add(open.Lease).Truncate(time.Microsecond)
	m.signOfLife(open.AgentID)
	return ""
}

func (m *rules) signOfLife(id string) {
	if agent := m.agents[id]; agent != nil && agent.LastActivityAt.Before(m.second()) {
		agent.LastActivityAt = m.second()
	}
}

func (m *rules) progress(id string, epoch int64, p nexus.Progress) nexus.Code {
	code := m.heartbeat(id, epoch, 0)
	if code == "" {
		p.At = m.second()
		m.open(id).Progress = &p
	}
	return code
}
