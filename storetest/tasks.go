package storetest

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var tasks = entity[nexus.Task, nexus.TaskFilter, nexus.TaskUpdate]{
	kind: nexus.KindTask, letter: 't',
	service: func(s *store.Services) *store.Service[nexus.Task, nexus.TaskFilter, nexus.TaskUpdate] {
		return &s.Tasks.Service
	},
	minimal: nexus.Task{ProjectID: "p1", Name: "n"},
	defaulted: nexus.Task{
		ProjectID: "p1", Name: "n", Status: nexus.TaskPending, Size: nexus.SizeSmall, Priority: nexus.PriorityMedium,
		MaxIterations: 50, MaxAttempts: 3, EstimatedMinutes: 15, CreatedAt: now, UpdatedAt: now, Revision: 1,
	},
	full: nexus.Task{
		ProjectID: "p2", FeatureID: "f2", SubFeatureID: "u2", Name: awkward, Description: awkward,
		Status: nexus.TaskInProgress, Size: nexus.SizeAtomic, Priority: nexus.PriorityCritical,
		AssignedAgent: "agent 7", WorktreePath: "/w/ü", BranchName: "feature/a b", DependsOn: []string{"t-1", "t \"2\" <&>", "🦀"},
		BlockedBy: awkward, QAIterations: 1, MaxIterations: 2, MaxAttempts: 9, FailedAttempts: 10, EstimatedMinutes: 1 << 40, ActualMinutes: 4,
		BudgetTokens: 1 << 50, BudgetUSD: 0.1 + 1e-17,
		StartedAt: past.Add(time.Minute), CompletedAt: past.Add(time.Hour), CreatedAt: past, UpdatedAt: past.Add(2 * time.Hour),
		Metadata: `{ "b" : [1, 2.50, "<&>"], "a":null }`, PlanKey: "key/1", Revision: 1,
	},
	other: nexus.Task{
		ProjectID: "p2", FeatureID: "f3", SubFeatureID: "u3", Name: "other", Description: "d",
		Status: nexus.TaskBlocked, Size: nexus.SizeSmall, Priority: nexus.PriorityLow,
		AssignedAgent: "agent 8", WorktreePath: "/other", BranchName: "other", DependsOn: []string{"t-3"},
		BlockedBy: "b", QAIterations: 5, MaxIterations: 6, MaxAttempts: 11, FailedAttempts: 12, EstimatedMinutes: 7, ActualMinutes: 8,
		BudgetTokens: 13, BudgetUSD: 14.25,
		StartedAt: past.Add(3 * time.Hour), CompletedAt: past.Add(4 * time.Hour), CreatedAt: past.Add(time.Second), UpdatedAt: past.Add(5 * time.Hour),
		Metadata: `[]`, PlanKey: "key/2",
	},
	referred: []nexus.Task{
		{ID: "t-1", ProjectID: "p1", Name: "n"},
		{ID: `t "2" <&>`, ProjectID: "p2", Name: "n"},
		{ID: "🦀", ProjectID: "p1", Name: "n", Status: nexus.TaskSkipped},
		{ID: "t-3", ProjectID: "p1", Name: "n"},
	},
	created: "CreatedAt", touched: "UpdatedAt",
	effects:  map[string]func(*nexus.Task){"Status": func(t *nexus.Task) { t.CompletedAt = time.Time{} }},
	required: []string{"name", "status", "size", "priority"},
	changers: []string{"AddDependsOn", "RemoveDependsOn"},
	parents: map[string]nexus.Kind{
		"ProjectID": nexus.KindProject, "FeatureID": nexus.KindFeature, "SubFeatureID": nexus.KindSubFeature,
	},
	planScope: "ProjectID",
	vary: func(i int, t *nexus.Task) {
		if i%10 == 0 {
			t.PlanKey = string(rune('a' + i/10))
		}
		t.ProjectID = []string{"p1", "p2"}[i%2]
		t.FeatureID = [][]string{{"", "f1", "f1"}, {"f2", "", "f3"}}[i%2][i%3]
		t.SubFeatureID = [][]string{{"", "u1"}, {"u2", "u3"}}[i%2][i/2%2]
		t.Name = []string{"b", "a", "B", "ä", "ab"}[i%5]
		t.Status = nexus.TaskStatuses()[i%3]
		t.Priority = nexus.TaskPriorities()[i%4]
		t.AssignedAgent = []string{"", "a", "a2"}[i/2%3]
		t.CreatedAt = past.Add(time.Duration(i%4) * time.Second)
		t.UpdatedAt = past.Add(time.Duration(i%6) * time.Hour)
	},
	orders: []string{"name", "priority", "created_at", "updated_at"},
	filters: []filter[nexus.Task, nexus.TaskFilter]{
		{nexus.TaskFilter{ProjectID: "p1"}, func(t *nexus.Task) bool { return t.ProjectID == "p1" }},
		{nexus.TaskFilter{PlanKey: "b"}, func(t *nexus.Task) bool { return t.PlanKey == "b" }},
		{nexus.TaskFilter{FeatureID: "f2"}, func(t *nexus.Task) bool { return t.FeatureID == "f2" }},
		{nexus.TaskFilter{SubFeatureID: "u1"}, func(t *nexus.Task) bool { return t.SubFeatureID == "u1" }},
		{nexus.TaskFilter{Status: nexus.TaskStatuses()[1:3]}, func(t *nexus.Task) bool { return t.Status != nexus.TaskStatuses()[0] }},
		{
			nexus.TaskFilter{Priority: []nexus.TaskPriority{nexus.PriorityHigh, nexus.PriorityLow}},
			func(t *nexus.Task) bool {
				return t.Priority == nexus.PriorityHigh || t.Priority == nexus.PriorityLow
			},
		},
		{nexus.TaskFilter{AssignedAgent: "a"}, func(t *nexus.Task) bool { return t.AssignedAgent == "a" }},
		{
			nexus.TaskFilter{
				ProjectID: "p2", FeatureID: "f2", Status: nexus.TaskStatuses()[1:2],
				Priority: []nexus.TaskPriority{nexus.PriorityHigh, nexus.PriorityLow},
			},
			func(t *nexus.Task) bool {
				return t.ProjectID == "p2" && t.FeatureID == "f2" && t.Status == nexus.TaskStatuses()[1] &&
					(t.Priority == nexus.PriorityHigh || t.Priority == nexus.PriorityLow)
			},
		},
	},
	refusedStep: [2]string{"in_progress", "assigned"},
	byStatus: func(ctx context.Context, s *store.Services, f nexus.TaskFilter) (map[string]int64, error) {
		return counts(s.Tasks.CountByStatus(ctx, f))
	},
}
