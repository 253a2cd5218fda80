package store

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus"
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
