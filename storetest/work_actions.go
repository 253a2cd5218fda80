package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// actions are what agents, people and other programs may do.
func (x *simulation) actions() map[string]func(*rapid.T) {
	all := map[string]func(*rapid.T){
		"":              x.check,
		"claim":         x.drawClaim,
		"claim by id":   x.drawClaimByID,
		"claim once":    x.drawClaimOnce,
		"claim, undone": x.drawUndone,
		"time":          x.drawTime,
		"lease over":    x.drawLeaseEnd,
		"recover":       x.drawRecover,
		"agent":         x.drawAgent,
		"foreign":       x.drawForeign,
		"foreign agent": x.drawForeignAgent,
		"create":        x.drawCreate,
		"delete":        x.drawDelete,
		"update":        x.drawUpdate,
	}
	for name, draw := range map[string]func(rt *rapid.T, id string, epoch int64) (func(*store.Services) error, func(*rules) nexus.Code){
		"complete": func(rt *rapid.T, id string, epoch int64) (func(*store.Services) error, func(*rules) nexus.Code) {
			e := nexus.Evidence{Commit: rapid.SampledFrom([]string{"", "c1"}).Draw(rt, "commit")}
			return func(s *store.Services) error { _, err := s.Tasks.Complete(x.ctx, id, epoch, e); return err },
				func(m *rules) nexus.Code { return m.complete(id, epoch, e) }
		},
		"fail": func(rt *rapid.T, id string, epoch int64) (func(*store.Services) error, func(*rules) nexus.Code) {
			f := store.Failure{Reason: drawReason(rt), Final: rapid.IntRange(0, 4).Draw(rt, "final") == 4}
			return func(s *store.Services) error { _, err := s.Tasks.Fail(x.ctx, id, epoch, f); return err },
				func(m *rules) nexus.Code { return m.fail(id, epoch, f) }
		},
		"release": func(rt *rapid.T, id string, epoch int64) (func(*store.Services) error, func(*rules) nexus.Code) {
			reason := drawReason(rt)
			return func(s *store.Services) error { _, err := s.Tasks.Release(x.ctx, id, epoch, reason); return err },
				func(m *rules) nexus.Code { return m.release(id, epoch, reason) }
		},
		"block": func(_ *rapid.T, id string, epoch int64) (func(*store.Services) error, func(*rules) nexus.Code) {
			return func(s *store.Services) error { _, err := s.Tasks.Block(x.ctx, id, epoch, "rain"); return err },
				func(m *rules) nexus.Code { return m.block(id, epoch, "rain") }
		},
		"unblock": func(_ *rapid.T, id string, _ int64) (func(*store.Services) error, func(*rules) nexus.Code) {
			return func(s *store.Services) error { _, err := s.Tasks.Unblock(x.ctx, id); return err },
				func(m *rules) nexus.Code { return m.unblock(id) }
		},
		"skip": func(rt *rapid.T, id string, epoch int64) (func(*store.Services) error, func(*rules) nexus.Code) {
			reason := drawReason(rt)
			return func(s *store.Services) error { _, err := s.Tasks.Skip(x.ctx, id, epoch, reason); return err },
				func(m *rules) nexus.Code { return m.skip(id, epoch, reason) }
		},
		"reopen": func(rt *rapid.T, id string, _ int64) (func(*store.Services) error, func(*rules) nexus.Code) {
			reason := drawReason(rt)
			return func(s *store.Services) error { _, err := s.Tasks.Reopen(x.ctx, id, reason); return err },
				func(m *rules) nexus.Code { return m.reopen(id, reason) }
		},
		"qa": func(rt *rapid.T, id string, epoch int64) (func(*store.Services) error, func(*rules) nexus.Code) {
			note := drawReason(rt)
			return func(s *store.Services) error { _, err := s.Tasks.QA(x.ctx, id, epoch, note); return err },
				func(m *rules) nexus.Code { return m.qa(id, epoch, note) }
		},
		"heartbeat": func(rt *rapid.T, id string, epoch int64) (func(*store.Services) error, func(*rules) nexus.Code) {
			lease := rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour}).Draw(rt, "lease")
			return func(s *store.Services) error { _, err := s.Tasks.Heartbeat(x.ctx, id, epoch, lease); return err },
				func(m *rules) nexus.Code { return m.heartbeat(id, epoch, lease) }
		},
		"progress": func(rt *rapid.T, id string, epoch int64) (func(*store.Services) error, func(*rules) nexus.Code) {
			p := nexus.Progress{Percent: rapid.IntRange(0, 2).Draw(rt, "percent")}
			return func(s *store.Services) error { _, err := s.Tasks.Progress(x.ctx, id, epoch, p); return err },
				func(m *rules) nexus.Code { return m.progress(id, epoch, p) }
		},
	} {
		all[name] = func(rt *rapid.T) {
			id := drawTaskID(rt)
			do, rule := draw(rt, id, x.drawEpoch(rt, id))
			x.step(rt, name, do, rule)
		}
	}
	return all
}

func drawTaskID(rt *rapid.T) string  { return rapid.SampledFrom(simTasks).Draw(rt, "task") }
func drawAgentID(rt *rapid.T) string { return rapid.SampledFrom(simAgents).Draw(rt, "agent") }
func drawReason(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"", "because"}).Draw(rt, "reason")
}

// drawEpoch draws the right epoch mostly, and now and then every wrong one: of an
// attempt that is over, of another task, of nobody.
func (x *simulation) drawEpoch(rt *rapid.T, id string) int64 {
	var of []*nexus.Attempt
	for _, a := range x.m.attempts {
		if a.TaskID == id {
			of = append(of, a)
		}
	}
	nth := func(list []*nexus.Attempt, i int) int64 {
		if len(list) == 0 {
			return 1 << 40
		}
		return list[len(list)-1-i%len(list)].Epoch
	}
	switch kind := rapid.SampledFrom([]string{"last", "last", "last", "last", "none", "any", "old", "older", "another's"}).Draw(rt, "epoch"); kind {
	case "last":
		return nth(of, 0)
	case "old":
		return nth(of, 1)
	case "older":
		return nth(of, 2)
	case "any":
		return nexus.AnyEpoch
	case "another's":
		return nth(x.m.attempts, rapid.IntRange(0, 9).Draw(rt, "which"))
	default:
		return 0
	}
}

func drawRequest(rt *rapid.T) nexus.ClaimRequest {
	return nexus.ClaimRequest{
		AgentID: drawAgentID(rt),
		Lease:   rapid.SampledFrom([]time.Duration{nexus.DefaultLease, time.Minute, time.Second, time.Hour}).Draw(rt, "lease"),
		Process: rapid.SampledFrom([]string{"", "gone"}).Draw(rt, "process"),
		Count:   1,
	}
}

func (x *simulation) drawClaim(rt *rapid.T) {
	r := drawRequest(rt)
	r.Count = rapid.IntRange(1, 3).Draw(rt, "count")
	r.Filter.ProjectID = rapid.SampledFrom(append([]string{""}, simProjects...)).Draw(rt, "project")
	x.claim(rt, r)
}

func (x *simulation) drawClaimByID(rt *rapid.T) {
	r := drawRequest(rt)
	r.TaskID = drawTaskID(rt)
	x.claim(rt, r)
}

// drawClaimOnce makes a claim with a key, which may be that of an earlier one.
func (x *simulation) drawClaimOnce(rt *rapid.T) {
	key := rapid.SampledFrom([]string{"k1", "k2"}).Draw(rt, "key")
	r := drawRequest(rt)
	r.Count = rapid.IntRange(1, 2).Draw(rt, "count")
	request := fmt.Sprintf("%s %d", r.AgentID, r.Count)
	before, used := x.m.keys[key]
	var claims []nexus.Claim
	var again bool
	var given []*nexus.Attempt
	done := x.step(rt, "claim once", func(*store.Services) (err error) {
		claims, again, err = store.Once(x.ctx, x.db, key, request, func(tx *store.Tx) ([]nexus.Claim, error) { return tx.Tasks.Claim(x.ctx, r) })
		return err
	}, func(m *rules) (code nexus.Code) {
		if used && before != request {
			return nexus.CodeKeyReused
		}
		if !used {
			given, code = m.claim(r)
			m.keys[key] = request
		}
		return code
	})
	switch {
	case !done:
	case again != used:
		rt.Fatalf("the key %s was used: %v; again: %v", key, used, again)
	case used:
		epochs := []int64{}
		for _, c := range claims {
			epochs = append(epochs, c.Epoch)
		}
		if !slices.Equal(epochs, x.m.answers[key]) {
			rt.Fatalf("called again, it returns %v, but it did %v", epochs, x.m.answers[key])
		}
	default:
		x.given(rt, claims, given)
		x.m.answers[key] = nil
		for _, a := range given {
			x.m.answers[key] = append(x.m.answers[key], a.Epoch)
		}
		if x.row(rt, "SELECT count(*) FROM idempotency_keys WHERE key = $1", key) != 1 {
			rt.Fatalf("the key %s is not kept", key)
		}
	}
	// Which keys are forgotten is not for the rules.
	x.exec(rt, "UPDATE idempotency_keys SET created_us = $1", x.m.now.UnixMicro())
}

// drawUndone claims and works in a transaction, of which nothing remains.
func (x *simulation) drawUndone(rt *rapid.T) {
	r := drawRequest(rt)
	r.Count = rapid.IntRange(1, 3).Draw(rt, "count")
	nested := rapid.Bool().Draw(rt, "nested")
	work := func(tx *store.Tx) error {
		claims, err := tx.Tasks.Claim(x.ctx, r)
		for i, c := range claims {
			if err == nil && i%2 == 0 {
				_, err = tx.Tasks.Complete(x.ctx, c.TaskID, c.Epoch, nexus.Evidence{})
			}
		}
		if err == nil {
			_, err = tx.Recover(x.ctx, nexus.RecoverRequest{All: true})
		}
		if err != nil {
			return err
		}
		return errStop
	}
	err := x.db.InTx(x.ctx, func(tx *store.Tx) error {
		if nested {
			if err := tx.InTx(x.ctx, work); !errors.Is(err, errStop) {
				return err
			}
			return nil
		}
		return work(tx)
	})
	if err != nil && !errors.Is(err, errStop) {
		rt.Fatal(err)
	}
}

// drawTime lets time pass, and jump back; often by as much as a lease is long, or
// by a moment less or more.
func (x *simulation) drawTime(rt *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{
		time.Second, time.Minute, nexus.DefaultLease, time.Hour, 3 * 24 * time.Hour, time.Microsecond, time.Nanosecond, 333 * time.Millisecond,
	}).Draw(rt, "by")
	d += rapid.SampledFrom([]time.Duration{0, time.Microsecond, -time.Microsecond}).Draw(rt, "and")
	if rapid.IntRange(0, 3).Draw(rt, "back") == 3 {
		d = -d
	}
	x.move(d)
}

// drawLeaseEnd has it that moment at which a lease ends, or the one before or after.
func (x *simulation) drawLeaseEnd(rt *rapid.T) {
	if held := x.m.held(); len(held) > 0 {
		a := held[rapid.IntRange(0, len(held)-1).Draw(rt, "which")]
		at := a.LeaseUntil.Add(rapid.SampledFrom([]time.Duration{0, -1, 1, time.Microsecond}).Draw(rt, "and"))
		x.move(at.Sub(x.m.now))
	}
}

func (x *simulation) drawRecover(rt *rapid.T) {
	r := nexus.RecoverRequest{DryRun: rapid.Bool().Draw(rt, "dry")}
	switch rapid.SampledFrom([]string{"silent", "gone", "named", "all"}).Draw(rt, "who") {
	case "gone":
		r.Dead = func(string) bool { return true } // of those that it is asked about
	case "named":
		r.AgentIDs = []string{drawAgentID(rt)}
	case "all":
		r.All = true
	}
	x.recover(rt, r)
}

func (x *simulation) drawAgent(rt *rapid.T) {
	id := drawAgentID(rt)
	switch what := rapid.SampledFrom([]string{"register", "heartbeat", "terminate", "delete"}).Draw(rt, "what"); what {
	case "register":
		x.step(rt, what, func(s *store.Services) error { _, err := s.Agents.Register(x.ctx, nexus.Agent{ID: id}); return err },
			func(m *rules) nexus.Code { m.register(id); return "" })
	case "heartbeat":
		x.step(rt, what, func(s *store.Services) error { _, err := s.Agents.Heartbeat(x.ctx, id); return err }, func(m *rules) nexus.Code {
			m.signOfLife(id)
			return x.unknown(m, id)
		})
	case "terminate":
		reason := drawReason(rt)
		x.step(rt, what, func(s *store.Services) error { _, err := s.Agents.Terminate(x.ctx, id, reason); return err },
			func(m *rules) nexus.Code { return m.terminate(id, reason) })
	case "delete":
		delete(x.rows, "agent "+id)
		x.step(rt, what, func(s *store.Services) error { return s.Agents.Delete(x.ctx, id) }, func(m *rules) nexus.Code {
			code := x.unknown(m, id)
			delete(m.agents, id)
			return code
		})
	}
}

func (x *simulation) unknown(m *rules, agent string) nexus.Code {
	if m.agents[agent] == nil {
		return nexus.CodeNotFound
	}
	return ""
}

// foreignStatuses are what other programs write.
var foreignStatuses = []nexus.TaskStatus{
	nexus.TaskPending, nexus.TaskCompleted, nexus.TaskInProgress, nexus.TaskFailed, nexus.TaskAssigned, nexus.TaskBlocked,
	nexus.TaskSkipped, nexus.TaskEscalated, "qa_loop", "cancelled",
}

// drawForeign changes a task as a program that knows only the contract.
func (x *simulation) drawForeign(rt *rapid.T) {
	id := drawTaskID(rt)
	var set string
	var arg any
	var by func(t *nexus.Task)
	switch column := rapid.SampledFrom([]string{"status", "agent", "blocked_by", "depends_on", "project", "attempts", "session", "feature"}).Draw(rt, "column"); column {
	case "status":
		status := rapid.SampledFrom(foreignStatuses).Draw(rt, "status")
		set, arg, by = "status = $1", string(status), func(t *nexus.Task) { t.Status = status }
	case "agent":
		agent := rapid.SampledFrom(append([]string{""}, simAgents...)).Draw(rt, "agent")
		if set, arg = "assigned_agent = $1", agent; agent == "" {
			arg = nil
		}
		by = func(t *nexus.Task) { t.AssignedAgent = agent }
	case "blocked_by":
		text := rapid.SampledFrom([]string{"", "snow"}).Draw(rt, "text")
		set, arg, by = "blocked_by = $1", text, func(t *nexus.Task) { t.BlockedBy = text }
	case "depends_on":
		on := rapid.SliceOfNDistinct(rapid.SampledFrom(append([]string{"nobody"}, simTasks...)), 1, 2, rapid.ID).Draw(rt, "on")
		if rapid.Bool().Draw(rt, "nothing") {
			on = nil
		}
		set, arg, by = "depends_on = $1", nexus.EncodeIDs(on), func(t *nexus.Task) { t.DependsOn = on }
	case "attempts":
		n := rapid.IntRange(0, 3).Draw(rt, "max_attempts")
		set, arg, by = "max_attempts = $1", n, func(t *nexus.Task) { t.MaxAttempts = n }
	case "project":
		p := rapid.SampledFrom(simProjects).Draw(rt, "project")
		status := rapid.SampledFrom([]nexus.ProjectStatus{nexus.ProjectExecuting, nexus.ProjectPaused, nexus.ProjectFailed, "odd"}).Draw(rt, "status")
		x.exec(rt, "UPDATE projects SET status = $1 WHERE id = $2", string(status), p)
		x.m.projects[p] = status
		return
	case "session":
		p := rapid.SampledFrom(simProjects).Draw(rt, "project")
		x.exec(rt, "UPDATE sessions SET status = 'active' WHERE project_id = $1", p)
		x.m.sessions["s"+p].Status = nexus.SessionActive
		return
	case "feature":
		f := rapid.SampledFrom([]string{"f1", "f2"}).Draw(rt, "feature")
		status := rapid.SampledFrom([]nexus.FeatureStatus{nexus.FeatureBacklog, nexus.FeatureDone, nexus.FeatureHumanReview}).Draw(rt, "status")
		x.exec(rt, "UPDATE features SET status = $1 WHERE id = $2", string(status), f)
		x.m.features[f].Status = status
		return
	}
	touch := rapid.Bool().Draw(rt, "and updated_at")
	if touch {
		x.exec(rt, "UPDATE tasks SET "+set+", updated_at = $2 WHERE id = $3", arg, x.m.second(), id)
	} else {
		x.exec(rt, "UPDATE tasks SET "+set+" WHERE id = $2", arg, id)
	}
	if x.m.tasks[id] != nil {
		x.m.change(id, func(t *nexus.Task) {
			if by(t); touch {
				t.UpdatedAt = x.m.second()
			}
		})
	}
}

// drawForeignAgent has another program say what an agent is doing.
func (x *simulation) drawForeignAgent(rt *rapid.T) {
	id := drawAgentID(rt)
	status := rapid.SampledFrom(append(nexus.AgentStatuses(), "busy")).Draw(rt, "status")
	x.exec(rt, "UPDATE agents SET status = $1 WHERE id = $2", string(status), id)
	if agent := x.m.agents[id]; agent != nil {
		agent.Status = status
	}
}

func (x *simulation) drawCreate(rt *rapid.T) {
	t := x.drawTask(rt, drawTaskID(rt))
	t.Status = rapid.SampledFrom([]nexus.TaskStatus{nexus.TaskPending, nexus.TaskCompleted}).Draw(rt, "status")
	if t.Status == nexus.TaskCompleted {
		t.CompletedAt = x.m.second()
	}
	x.step(rt, "create", func(s *store.Services) error {
		fresh := *t
		return s.Tasks.Create(x.ctx, &fresh)
	}, func(m *rules) nexus.Code {
		if m.tasks[t.ID] != nil {
			return nexus.CodeExists
		}
		if m.cycle(t) {
			return nexus.CodeInvalid
		}
		stored := *t
		m.add(&stored)
		return ""
	})
}

// cycle reports whether a cycle can be reached from a new task: another program
// may have stored that others depend on it.
func (m *rules) cycle(t *nexus.Task) bool {
	if !slices.ContainsFunc(sortedKeys(m.tasks), func(id string) bool { return slices.Contains(m.tasks[id].DependsOn, t.ID) }) || len(t.DependsOn) == 0 {
		return false
	}
	way := make(map[string]bool)
	var visit func(id string) bool
	visit = func(id string) bool {
		on := t.DependsOn
		if id != t.ID {
			if m.tasks[id] == nil {
				return false
			}
			on = m.tasks[id].DependsOn
		}
		if way[id] {
			return true
		}
		way[id] = true
		defer delete(way, id)
		return slices.ContainsFunc(on, visit)
	}
	return visit(t.ID)
}

// drawDelete deletes a task, by the library or as another program does.
func (x *simulation) drawDelete(rt *rapid.T) {
	id := drawTaskID(rt)
	foreign := rapid.Bool().Draw(rt, "foreign")
	depended := slices.ContainsFunc(sortedKeys(x.m.tasks), func(other string) bool {
		return other != id && slices.Contains(x.m.tasks[other].DependsOn, id)
	})
	delete(x.rows, "task "+id)
	x.step(rt, "delete", func(s *store.Services) error {
		if foreign {
			x.exec(rt, "DELETE FROM tasks WHERE id = $1", id)
			return nil
		}
		return s.Tasks.Delete(x.ctx, id)
	}, func(m *rules) nexus.Code {
		switch {
		case m.tasks[id] == nil && foreign:
			return ""
		case m.tasks[id] == nil:
			return nexus.CodeNotFound
		case depended && !foreign:
			return nexus.CodeInUse
		}
		m.remove(id)
		return ""
	})
}

// drawUpdate changes a task with the library's own Update.
func (x *simulation) drawUpdate(rt *rapid.T) {
	id := drawTaskID(rt)
	u := nexus.TaskUpdate{
		Status:        rapid.Ptr(drawStatus(), true).Draw(rt, "status"),
		AssignedAgent: rapid.Ptr(rapid.SampledFrom(append([]string{""}, simAgents...)), true).Draw(rt, "agent"),
		Priority:      rapid.Ptr(drawPriority(), true).Draw(rt, "priority"),
	}
	x.step(rt, "update", func(s *store.Services) error { _, err := s.Tasks.Update(x.ctx, id, u); return err }, func(m *rules) nexus.Code {
		t := m.tasks[id]
		if t == nil {
			return nexus.CodeNotFound
		}
		after := *t
		if u.Status != nil {
			if *u.Status != t.Status && !t.Status.CanBecome(*u.Status) {
				return nexus.CodeTransition
			}
			m.become(&after, *u.Status)
		}
		if u.AssignedAgent != nil {
			after.AssignedAgent = *u.AssignedAgent
		}
		if u.Priority != nil {
			after.Priority = *u.Priority
		}
		m.replace(t, after)
		return ""
	})
}
