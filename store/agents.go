package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Agents is the service of agents.
type Agents struct {
	Service[nexus.Agent, nexus.AgentFilter, nexus.AgentUpdate]
}

var agents = table[nexus.Agent, nexus.AgentFilter, nexus.AgentUpdate]{
	kind: nexus.KindAgent,
	columns: []column[nexus.Agent]{
		text("id", func(a *nexus.Agent) *string { return &a.ID }),
		text("type", func(a *nexus.Agent) *nexus.AgentType { return &a.Type }),
		text("status", func(a *nexus.Agent) *nexus.AgentStatus { return &a.Status }).with("'idle'"),
		optional("current_task_id", func(a *nexus.Agent) *string { return &a.CurrentTaskID }),
		optional("worktree_path", func(a *nexus.Agent) *string { return &a.WorktreePath }),
		optional("branch_name", func(a *nexus.Agent) *string { return &a.BranchName }),
		integer("tokens_used", func(a *nexus.Agent) *int64 { return &a.TokensUsed }).nullable().with("0"),
		integer("tasks_completed", func(a *nexus.Agent) *int { return &a.TasksCompleted }).nullable().with("0"),
		integer("tasks_failed", func(a *nexus.Agent) *int { return &a.TasksFailed }).nullable().with("0"),
		seconds("spawned_at", func(a *nexus.Agent) *time.Time { return &a.SpawnedAt }),
		seconds("last_activity_at", func(a *nexus.Agent) *time.Time { return &a.LastActivityAt }),
		optionalSeconds("terminated_at", func(a *nexus.Agent) *time.Time { return &a.TerminatedAt }),
		optional("termination_reason", func(a *nexus.Agent) *string { return &a.TerminationReason }),
		integer("revision", func(a *nexus.Agent) *int64 { return &a.Revision }).with("1"),
	},
	orders: []string{"spawned_at", "last_activity_at"},

	id:       func(a *nexus.Agent) *string { return &a.ID },
	revision: func(a *nexus.Agent) *int64 { return &a.Revision },
	created:  func(a *nexus.Agent) *time.Time { return &a.SpawnedAt },

	setDefaults:    (*nexus.Agent).SetDefaults,
	validate:       (*nexus.Agent).Validate,
	validateUpdate: (*nexus.Agent).ValidateUpdate,
	apply:          nexus.AgentUpdate.Apply,
	seen:           func(u nexus.AgentUpdate) int64 { return u.Revision },
	page:           func(f nexus.AgentFilter) nexus.Page { return f.Page },
	filter: func(w *where, f nexus.AgentFilter) {
		in(w, "type", f.Type)
		in(w, "status", f.Status)
	},
}.prepared()

// CountByStatus counts the agents that the filter chooses, by status.
func (s *Agents) CountByStatus(ctx context.Context, filter nexus.AgentFilter) (map[nexus.AgentStatus]int64, error) {
	return countByStatus[nexus.AgentStatus](ctx, &s.Service, filter)
}

// AgentWork is an agent with what it holds.
type AgentWork struct {
	nexus.Agent
	Holds []Holding `json:"holds"`
}

// Holding is a task that an agent holds.
type Holding struct {
	TaskID     string    `json:"task_id"`
	Name       string    `json:"name"`
	Epoch      int64     `json:"epoch"`
	Since      time.Time `json:"since"`
	LeaseUntil time.Time `json:"lease_until"`
}

// MarshalJSON writes times to the second, as everywhere.
func (h Holding) MarshalJSON() ([]byte, error) {
	type shown Holding // without its MarshalJSON
	h.Since, h.LeaseUntil = h.Since.UTC().Truncate(time.Second), h.LeaseUntil.UTC().Truncate(time.Second)
	return json.Marshal(shown(h))
}

const selectHoldings = `
	SELECT a.agent_id, a.task_id, t.name, a.epoch, a.claimed_us, a.lease_until_us
	FROM task_attempts a CROSS JOIN tasks t
	WHERE a.ended_us IS NULL AND t.id = a.task_id
	ORDER BY a.lease_until_us`

// ListWork is List with what each agent holds and since when, all of one moment.
func (s *Agents) ListWork(ctx context.Context, filter nexus.AgentFilter) (list []AgentWork, err error) {
	err = s.run.snapshot(ctx, func(c driver.Conn) error {
		found, err := agents.list(ctx, c, filter)
		if err != nil {
			return err
		}
		held := make(map[string][]Holding)
		err = c.Query(ctx, selectHoldings, nil, func(r driver.Row) error {
			held[r.Text(0)] = append(held[r.Text(0)], Holding{
				TaskID: r.Text(1), Name: r.Text(2), Epoch: r.Int(3),
				Since: fromMicros(r.Int(4)), LeaseUntil: fromMicros(r.Int(5)),
			})
			return nil
		})
		list = make([]AgentWork, len(found))
		for i := range found {
			slices.SortFunc(held[found[i].ID], func(a, b Holding) int { return cmp.Compare(a.Epoch, b.Epoch) })
			list[i] = AgentWork{found[i], append([]Holding{}, held[found[i].ID]...)}
		}
		return err
	})
	return list, err
}

// Register stores an agent that begins to work, or begins again under its id: a
// terminated one becomes idle. Fields that a is given replace what is stored.
// Doing it twice does no harm. Code: CodeInvalid.
func (s *Agents) Register(ctx context.Context, a nexus.Agent) (after *nexus.Agent, err error) {
	given := a
	given.SetDefaults(s.now())
	if err := given.Validate(); err != nil {
		return nil, err
	}
	err = s.run.write(ctx, func(c driver.Conn, end *settlement) error {
		end.did("agent register", given.ID)
		before, err := agents.get(ctx, c, given.ID)
		if err != nil {
			return err
		}
		if before == nil {
			fresh := given
			after = &fresh
			return agents.insert(ctx, c, after)
		}
		var u nexus.AgentUpdate
		if before.Status == nexus.AgentTerminated || before.Status == nexus.AgentError {
			u.Status = new(nexus.AgentIdle)
		}
		if a.Type != "" {
			u.Type = &a.Type
		}
		if a.WorktreePath != "" {
			u.WorktreePath = &a.WorktreePath
		}
		if a.BranchName != "" {
			u.BranchName = &a.BranchName
		}
		changed := *before
		after = &changed
		u.Apply(after, s.second())
		return s.replace(ctx, c, end, before, after, 0)
	})
	if err != nil {
		return nil, err
	}
	return after, nil
}

// Heartbeat says that an agent is alive, whether or not it holds a task. The
// leases of its tasks have heartbeats of their own. Code: CodeNotFound.
func (s *Agents) Heartbeat(ctx context.Context, id string) (a *nexus.Agent, err error) {
	err = s.run.writeBeside(ctx, func(c driver.Conn, _ *settlement) error {
		if err := signOfLife(ctx, c, id, s.now()); err != nil {
			return err
		}
		a, err = agents.mustGet(ctx, c, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Terminate ends an agent, with a reason. What it holds is given back for others
// to claim. Doing it twice does no harm. Codes: CodeNotFound, CodeInvalid.
func (s *Agents) Terminate(ctx context.Context, id, reason string) (a *nexus.Agent, err error) {
	if err := nexus.ValidateReason(reason); err != nil {
		return nil, err
	}
	err = s.run.write(ctx, func(c driver.Conn, end *settlement) error {
		end.did("agent terminate", "")
		held, err := readAttempts(ctx, c, selectAttempt+` WHERE a.agent_id = $1 AND a.ended_us IS NULL ORDER BY a.epoch`, driver.Text(id))
		if err != nil {
			return err
		}
		for i := range held {
			_, err := decide(ctx, c, end, held[i].TaskID, held[i].Epoch, s.now, decision{
				outcome: nexus.OutcomeReleased, reason: "its agent was terminated", update: givenBack,
			})
			if err != nil {
				return err
			}
		}
		before, err := agents.mustGet(ctx, c, id)
		if err != nil || before.Status == nexus.AgentTerminated {
			a = before
			return err
		}
		after := *before
		a = &after
		nexus.AgentUpdate{Status: new(nexus.AgentTerminated), TerminationReason: &reason, CurrentTaskID: new("")}.Apply(a, s.second())
		return s.replace(ctx, c, end, before, a, 0)
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}
