package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var agentEntity = entity[nexus.Agent, nexus.AgentFilter, nexus.AgentUpdate]{
	kind: nexus.KindAgent, use: "agent",
	what:    "An agent is a program that works on tasks.",
	example: `agent create coder-1 --type coder`,
	change:  `--status working`,

	service: func(db *store.Services) *store.Service[nexus.Agent, nexus.AgentFilter, nexus.AgentUpdate] {
		return &db.Agents.Service
	},
	id:       func(g *nexus.Agent) string { return g.ID },
	page:     func(f *nexus.AgentFilter) *nexus.Page { return &f.Page },
	revision: func(u *nexus.AgentUpdate) *int64 { return &u.Revision },
	orders:   "spawned_at, last_activity_at",

	argument: "ID",
	setArg:   func(g *nexus.Agent, arg string) { g.ID = arg },
	fields: []field[nexus.Agent, nexus.AgentUpdate]{
		ownID[nexus.Agent, nexus.AgentUpdate](func(g *nexus.Agent) *string { return &g.ID }),
		both("type", "planner, coder (the default), tester, reviewer or merger", words[nexus.AgentType](),
			func(g *nexus.Agent) *nexus.AgentType { return &g.Type },
			func(u *nexus.AgentUpdate) **nexus.AgentType { return &u.Type }),
		both("status", "idle, assigned, working, waiting, error or terminated", words[nexus.AgentStatus](),
			func(g *nexus.Agent) *nexus.AgentStatus { return &g.Status },
			func(u *nexus.AgentUpdate) **nexus.AgentStatus { return &u.Status }),
		one[nexus.Agent, nexus.AgentUpdate]("task", "the task it is working on", nexus.KindTask,
			func(g *nexus.Agent) *string { return &g.CurrentTaskID }, func(u *nexus.AgentUpdate) **string { return &u.CurrentTaskID }),
		both("worktree", "the folder it works in", texts[string](),
			func(g *nexus.Agent) *string { return &g.WorktreePath },
			func(u *nexus.AgentUpdate) **string { return &u.WorktreePath }),
		both("branch", "the branch it works on", texts[string](),
			func(g *nexus.Agent) *string { return &g.BranchName },
			func(u *nexus.AgentUpdate) **string { return &u.BranchName }),
		both("tokens-used", "how many tokens it has used", numbers[int64](),
			func(g *nexus.Agent) *int64 { return &g.TokensUsed },
			func(u *nexus.AgentUpdate) **int64 { return &u.TokensUsed }),
		both("tasks-completed", "how many tasks it has completed", numbers[int](),
			func(g *nexus.Agent) *int { return &g.TasksCompleted },
			func(u *nexus.AgentUpdate) **int { return &u.TasksCompleted }),
		both("tasks-failed", "how many tasks it has failed", numbers[int](),
			func(g *nexus.Agent) *int { return &g.TasksFailed },
			func(u *nexus.AgentUpdate) **int { return &u.TasksFailed }),
		both("last-activity-at", "when it last gave a sign of life", times,
			func(g *nexus.Agent) *time.Time { return &g.LastActivityAt },
			func(u *nexus.AgentUpdate) **time.Time { return &u.LastActivityAt }),
		changed[nexus.Agent]("terminated-at", "when it ended", times,
			func(u *nexus.AgentUpdate) **time.Time { return &u.TerminatedAt }),
		changed[nexus.Agent]("reason", "why it ended", texts[string](),
			func(u *nexus.AgentUpdate) **string { return &u.TerminationReason }),
	},
	filters: func(b *binder, f *nexus.AgentFilter) {
		known(b, "type", "of one of these", nexus.AgentTypes(), func(v []nexus.AgentType) { f.Type = v })
		known(b, "status", "in one of these", nexus.AgentStatuses(), func(v []nexus.AgentStatus) { f.Status = v })
	},

	header: []string{"ID", "TYPE", "STATUS", "TASK", "LAST ACTIVITY"},
	row: func(g *nexus.Agent) []string {
		return []string{g.ID, string(g.Type), string(g.Status), g.CurrentTaskID, date(g.LastActivityAt)}
	},
	count: counter(func(db *store.Services) func(context.Context, nexus.AgentFilter) (map[nexus.AgentStatus]int64, error) {
		return db.Agents.CountByStatus
	}),
}

func (a *app) agentCommand() *cobra.Command {
	cmd := agentEntity.command(a)
	cmd.AddCommand(a.agentRegisterCommand(), a.agentHeartbeatCommand(), a.agentTerminateCommand(), a.agentHoldingsCommand())
	return cmd
}
