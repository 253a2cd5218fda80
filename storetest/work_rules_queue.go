package storetest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus"
)

// waits reports what of a task's dependencies has not ended.
func (m *rules) waits(t *nexus.Task) (list []string) {
	for _, on := range t.DependsOn {
		if d := m.tasks[on]; (d == nil || !d.Status.Ended()) && !slices.Contains(list, on) {
			list = append(list, on)
		}
	}
	slices.Sort(list)
	return list
}

// goesOn reports whether the tasks of a project are handed out.
func (m *rules) goesOn(project string) bool {
	status := m.projects[project]
	return status != nexus.ProjectPaused && status != nexus.ProjectCompleted && status != nexus.ProjectFailed
}

// ready are the tasks that can be claimed now, best first.
func (m *rules) ready(f nexus.ReadyFilter) []string {
	list := []*nexus.Task{}
	for _, t := range m.tasks {
		free := t.Status == nexus.TaskPending
		if open := m.open(t.ID); open != nil {
			free = m.over(open) && t.Status.InFlight() && t.FailedAttempts+1 < t.MaxAttempts
		}
		if free && t.BlockedBy == "" && len(m.waits(t)) == 0 && m.goesOn(t.ProjectID) && (f.ProjectID == "" || f.ProjectID == t.ProjectID) {
			list = append(list, t)
		}
	}
	ids := []string{}
	for _, t := range ranked(list) {
		if f.Limit == 0 || len(ids) < f.Limit {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

// claim gives tasks to an agent, and returns the attempts. Their epochs are for the
// caller to fill in.
func (m *rules) claim(r nexus.ClaimRequest) (given []*nexus.Attempt, code nexus.Code) {
	m.expire()
	ids := m.ready(nexus.ReadyFilter{ProjectID: r.Filter.ProjectID, Limit: r.Count})
	if r.TaskID != "" {
		t := m.tasks[r.TaskID]
		if t == nil {
			return nil, nexus.CodeNotFound
		}
		ids = []string{t.ID}
		mine := t.Status == nexus.TaskAssigned && t.AssignedAgent == r.AgentID
		if t.Status != nexus.TaskPending && !mine || m.open(t.ID) != nil || t.BlockedBy != "" || len(m.waits(t)) > 0 || !m.goesOn(t.ProjectID) {
			return nil, nexus.CodeNotReady
		}
	}
	if len(ids) == 0 {
		m.mend()
		return nil, ""
	}
	for _, id := range ids {
		m.change(id, func(t *nexus.Task) {
			m.become(t, nexus.TaskInProgress)
			t.AssignedAgent, t.UpdatedAt = r.AgentID, m.second()
		})
		given = append(given, &nexus.Attempt{
			TaskID: id, AgentID: r.AgentID, Process: r.Process, ClaimedAt: m.micro(), Lease: r.Lease,
			LeaseUntil: m.now.Add(r.Lease).Truncate(time.Microsecond),
		})
	}
	m.attempts = append(m.attempts, given...)
	agent := m.agents[r.AgentID]
	if agent == nil {
		agent = &nexus.Agent{ID: r.AgentID, Type: nexus.AgentCoder, SpawnedAt: m.second()}
		m.agents[r.AgentID] = agent
	}
	agent.Status, agent.CurrentTaskID, agent.LastActivityAt = nexus.AgentWorking, ids[len(ids)-1], m.second()
	agent.TerminatedAt, agent.TerminationReason = time.Time{}, ""
	return given, ""
}

// mend shortens leases from a clock that was ahead by more than a minute.
func (m *rules) mend() (n int) {
	for _, a := range m.held() {
		if most := m.micro().Add(a.Lease); a.LeaseUntil.After(most.Add(time.Minute)) {
			a.LeaseUntil = most
			n++
		}
	}
	return n
}

// expire takes back what leases are over for.
func (m *rules) expire() {
	var lost []nexus.Attempt
	for _, a := range m.held() {
		if m.over(a) {
			lost = append(lost, *a)
			m.takeBack(a, nexus.OutcomeExpired, "its lease was over")
		}
	}
	m.terminateSilent(lost)
}

func (m *rules) takeBack(a *nexus.Attempt, outcome nexus.Outcome, reason string) {
	code := m.decide(a.TaskID, a.Epoch, decision{outcome: outcome, reason: reason, update: func(t *nexus.Task) {
		switch {
		case !t.Status.InFlight():
		case outcome == nexus.OutcomeExpired:
			m.afterFailure(t, false)
		default:
			m.giveBack(t)
		}
	}})
	if code != "" {
		panic("what is held is taken back: " + code)
	}
}

// terminateSilent ends agents that hold nothing any more, and of which nothing was
// heard since what they have lost.
func (m *rules) terminateSilent(lost []nexus.Attempt) (dead []nexus.DeadAgent) {
	seen := make(map[string]bool)
	for _, first := range lost {
		if seen[first.AgentID] {
			continue
		}
		seen[first.AgentID] = true
		last := first
		for _, a := range lost {
			if a.AgentID == first.AgentID && sign(&a).After(sign(&last)) {
				last = a
			}
		}
		agent := m.agents[first.AgentID]
		since := agent != nil && agent.LastActivityAt.After(sign(&last)) && !agent.LastActivityAt.After(m.second())
		if agent == nil || agent.Status == nexus.AgentTerminated || m.holds(agent.ID) || since {
			continue
		}
		reason := fmt.Sprintf("gave no sign of life since %s, while working on %s", sign(&last).Truncate(time.Second).Format(time.RFC3339), last.TaskID)
		m.kill(agent, reason)
		dead = append(dead, nexus.DeadAgent{AgentID: agent.ID, LastSign: sign(&last), Reason: reason})
	}
	return dead
}

func (m *rules) holds(agent string) bool {
	return slices.ContainsFunc(m.held(), func(a *nexus.Attempt) bool { return a.AgentID == agent })
}

func (m *rules) kill(agent *nexus.Agent, reason string) {
	agent.Status, agent.TerminatedAt, agent.TerminationReason, agent.CurrentTaskID = nexus.AgentTerminated, m.second(), reason, ""
}

func sortedKeys[V any](of map[string]V) []string { return slices.Sorted(maps.Keys(of)) }

// recover takes back what dead agents hold.
func (m *rules) recover(r nexus.RecoverRequest) nexus.Recovery {
	report := nexus.Recovery{DryRun: r.DryRun, Tasks: []nexus.RecoveredTask{}, Agents: []nexus.DeadAgent{}, Sessions: []nexus.PausedSession{}}
	named := make(map[string]time.Time) // and when they gave their last sign of life
	for id, agent := range m.agents {
		busy := agent.Status == nexus.AgentAssigned || agent.Status == nexus.AgentWorking || agent.Status == nexus.AgentWaiting
		if slices.Contains(r.AgentIDs, id) || r.All && (busy || m.holds(id)) {
			named[id] = agent.LastActivityAt
		}
	}
	report.MendedLeases = m.mend()
	touched := make(map[string]bool)
	var silent []nexus.Attempt
	for _, a := range m.held() {
		var reason string
		outcome := nexus.OutcomeReleased
		switch {
		case r.All:
			reason = "all work was taken back"
		case slices.Contains(r.AgentIDs, a.AgentID):
			reason = "its agent was declared dead"
		case a.Process != "" && r.Dead != nil && r.Dead(a.Process):
			reason, outcome = "its process is gone", nexus.OutcomeExpired
		case m.over(a):
			reason, outcome = "its lease was over", nexus.OutcomeExpired
		default:
			report.InFlight++
			continue
		}
		was := *a
		if outcome == nexus.OutcomeExpired {
			silent = append(silent, was)
		}
		m.takeBack(a, outcome, reason)
		t := m.tasks[a.TaskID]
		touched[t.ProjectID] = true
		report.Tasks = append(report.Tasks, nexus.RecoveredTask{
			TaskID: t.ID, Name: t.Name, AgentID: a.AgentID, Epoch: a.Epoch, ClaimedAt: a.ClaimedAt, LastSign: sign(&was),
			Became: t.Status, Reason: reason, Progress: a.Progress,
		})
	}
	for _, id := range sortedKeys(m.tasks) {
		t := m.tasks[id]
		if by := t.AssignedAgent; t.Status.InFlight() && m.open(id) == nil && (r.All || slices.Contains(r.AgentIDs, by)) {
			const reason = "it was in flight without a claim"
			m.decide(id, 0, decision{outcome: nexus.OutcomeReleased, reason: reason, update: m.giveBack})
			touched[t.ProjectID] = true
			report.Tasks = append(report.Tasks, nexus.RecoveredTask{TaskID: id, Name: t.Name, AgentID: by, Became: nexus.TaskPending, Reason: reason})
		}
	}
	report.Agents = append(report.Agents, m.terminateSilent(silent)...)
	for _, id := range sortedKeys(named) {
		if agent := m.agents[id]; agent.Status != nexus.AgentTerminated {
			m.kill(agent, "declared dead")
			agent.LastActivityAt = named[id] // to lose its work is no sign of life
			report.Agents = append(report.Agents, nexus.DeadAgent{AgentID: id, LastSign: named[id], Reason: "declared dead"})
		}
	}
	for _, id := range sortedKeys(m.sessions) {
		s := m.sessions[id]
		atWork := slices.ContainsFunc(m.held(), func(a *nexus.Attempt) bool { return m.tasks[a.TaskID].ProjectID == s.ProjectID })
		if s.Status == nexus.SessionActive && (r.All || touched[s.ProjectID]) && !atWork {
			s.Status = nexus.SessionPaused
			report.Sessions = append(report.Sessions, nexus.PausedSession{SessionID: id, ProjectID: s.ProjectID, Type: s.Type})
		}
	}
	for _, id := range sortedKeys(m.agents) {
		agent := m.agents[id]
		busy := agent.Status == nexus.AgentAssigned || agent.Status == nexus.AgentWorking || agent.Status == nexus.AgentWaiting
		if busy && !m.holds(id) && agent.LastActivityAt.Before(m.now.Add(-nexus.DefaultLease).Truncate(time.Second)) {
			report.Silent = append(report.Silent, id)
		}
	}
	return report
}

// terminate ends an agent, and gives back what it holds.
func (m *rules) terminate(id, reason string) nexus.Code {
	agent := m.agents[id]
	if agent == nil {
		return nexus.CodeNotFound
	}
	for _, a := range m.attempts {
		if a.AgentID == id && a.Open() {
			m.decide(a.TaskID, a.Epoch, decision{outcome: nexus.OutcomeReleased, reason: "its agent was terminated", update: m.giveBack})
		}
	}
	if agent.Status != nexus.AgentTerminated {
		m.kill(agent, reason)
		agent.LastActivityAt = m.second()
	}
	return ""
}

// register begins an agent's work, perhaps again.
func (m *rules) register(id string) {
	agent := m.agents[id]
	if agent == nil {
		m.agents[id] = &nexus.Agent{ID: id, Type: nexus.AgentCoder, Status: nexus.AgentIdle, SpawnedAt: m.second(), LastActivityAt: m.second()}
		return
	}
	switch agent.Status {
	case nexus.AgentTerminated:
		agent.TerminatedAt, agent.TerminationReason = time.Time{}, ""
		agent.Status = nexus.AgentIdle
	case nexus.AgentError:
		agent.Status = nexus.AgentIdle
	}
	agent.LastActivityAt = m.second()
}

// remove deletes a task, and what hangs on it.
func (m *rules) remove(id string) {
	t := m.tasks[id]
	delete(m.tasks, id)
	var left []*nexus.Attempt
	affected := make(map[string]bool)
	for _, a := range m.attempts {
		if a.TaskID != id {
			left = append(left, a)
		} else if a.Open() {
			affected[a.AgentID] = true
		}
	}
	m.attempts = left
	for agent := range affected {
		if m.agents[agent] != nil {
			m.holdOn(m.agents[agent])
		}
	}
	m.follow(t, nil)
}

// add stores a new task.
func (m *rules) add(t *nexus.Task) {
	m.tasks[t.ID] = t
	m.completed[t.ID], m.opened[t.ID] = 0, 1
	m.follow(nil, t)
}

// reasons are what holds a task itself back, as cause and task.
func (m *rules) reasons(t *nexus.Task) (list []string) {
	open := m.open(t.ID)
	over := open != nil && m.over(open) && t.Status.InFlight()
	switch {
	case open != nil && !m.over(open):
		list = append(list, "claimed "+t.ID)
	case over && t.FailedAttempts+1 >= t.MaxAttempts:
		list = append(list, "status "+t.ID)
	case over || t.Status == nexus.TaskPending:
	case t.Status == nexus.TaskBlocked && t.BlockedBy == "":
		list = append(list, "blocked "+t.ID)
	case t.Status == nexus.TaskBlocked:
	default:
		list = append(list, "status "+t.ID)
	}
	if t.BlockedBy != "" {
		list = append(list, "blocked "+t.ID)
	}
	if !m.goesOn(t.ProjectID) {
		list = append(list, "project "+t.ID)
	}
	for _, on := range m.waits(t) {
		if m.tasks[on] == nil {
			list = append(list, "missing "+on)
		} else {
			list = append(list, "dependency "+on)
		}
	}
	return list
}

// rootCauses are the reasons of all that a task waits for, and of itself, sorted. A
// cycle is one only if there is nothing else.
func (m *rules) rootCauses(t *nexus.Task) []string {
	roots := []string{}
	seen := make(map[string]bool)
	var visit func(t *nexus.Task)
	visit = func(t *nexus.Task) {
		seen[t.ID] = true
		own := m.reasons(t)
		if len(own) == 0 && len(seen) > 1 {
			roots = append(roots, "unclaimed "+t.ID)
		}
		for _, reason := range own {
			cause, id, _ := strings.Cut(reason, " ")
			switch {
			case cause == "missing" && seen[id]:
			case cause == "missing":
				seen[id] = true
				roots = append(roots, reason)
			case cause != "dependency":
				roots = append(roots, reason)
			case !seen[id]:
				visit(m.tasks[id])
			}
		}
	}
	visit(t)
	if len(roots) == 0 && len(m.waits(t)) > 0 {
		roots = append(roots, "cycle")
	}
	slices.Sort(roots)
	return roots
}

// lastEpoch is the highest that is known.
func (m *rules) lastEpoch() (last int64) {
	for _, a := range m.attempts {
		last = cmp.Or(max(last, a.Epoch), 0)
	}
	return last
}
