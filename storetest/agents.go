package storetest

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var agents = entity[nexus.Agent, nexus.AgentFilter, nexus.AgentUpdate]{
	kind: nexus.KindAgent, letter: 'a',
	service: func(s *store.Services) *store.Service[nexus.Agent, nexus.AgentFilter, nexus.AgentUpdate] {
		return &s.Agents.Service
	},
	minimal:   nexus.Agent{},
	defaulted: nexus.Agent{Type: nexus.AgentCoder, Status: nexus.AgentIdle, SpawnedAt: now, LastActivityAt: now, Revision: 1},
	full: nexus.Agent{
		Type: nexus.AgentMerger, Status: nexus.AgentError, CurrentTaskID: "t-1 ü", WorktreePath: "/w/ü", BranchName: "feature/a b",
		TokensUsed: 1 << 60, TasksCompleted: 1 << 40, TasksFailed: 3, SpawnedAt: past, LastActivityAt: past.Add(time.Minute),
		TerminatedAt: past.Add(time.Hour), TerminationReason: awkward, Revision: 1,
	},
	other: nexus.Agent{
		Type: nexus.AgentTester, Status: nexus.AgentIdle, CurrentTaskID: "t-2", WorktreePath: "/other", BranchName: "other",
		TokensUsed: 4, TasksCompleted: 5, TasksFailed: 6, SpawnedAt: past.Add(time.Second), LastActivityAt: past.Add(2 * time.Minute),
		TerminatedAt: past.Add(2 * time.Hour), TerminationReason: "r",
	},
	created: "SpawnedAt", touched: "LastActivityAt", heartbeat: true,
	required: []string{"type", "status"},
	vary: func(i int, a *nexus.Agent) {
		a.Type = nexus.AgentTypes()[i%4]
		a.Status = nexus.AgentStatuses()[i%3]
		a.SpawnedAt = past.Add(time.Duration(i%4) * time.Second)
		a.LastActivityAt = past.Add(time.Duration(i%6) * time.Hour)
	},
	orders: []string{"spawned_at", "last_activity_at"},
	filters: []filter[nexus.Agent, nexus.AgentFilter]{
		{nexus.AgentFilter{Type: nexus.AgentTypes()[:2]}, func(a *nexus.Agent) bool {
			return a.Type == nexus.AgentPlanner || a.Type == nexus.AgentCoder
		}},
		{nexus.AgentFilter{Status: nexus.AgentStatuses()[1:3]}, func(a *nexus.Agent) bool { return a.Status != nexus.AgentStatuses()[0] }},
		{
			nexus.AgentFilter{Type: []nexus.AgentType{nexus.AgentTester}, Status: nexus.AgentStatuses()[:1]},
			func(a *nexus.Agent) bool { return a.Type == nexus.AgentTester && a.Status == nexus.AgentStatuses()[0] },
		},
	},
	refusedStep: [2]string{"error", "working"},
	byStatus: func(ctx context.Context, s *store.Services, f nexus.AgentFilter) (map[string]int64, error) {
		return counts(s.Agents.CountByStatus(ctx, f))
	},
}
