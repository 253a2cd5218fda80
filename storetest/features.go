package storetest

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var features = entity[nexus.Feature, nexus.FeatureFilter, nexus.FeatureUpdate]{
	kind: nexus.KindFeature, letter: 'f',
	service: func(s *store.Services) *store.Service[nexus.Feature, nexus.FeatureFilter, nexus.FeatureUpdate] {
		return &s.Features.Service
	},
	minimal: nexus.Feature{ProjectID: "p1", Name: "n"},
	defaulted: nexus.Feature{
		ProjectID: "p1", Name: "n", Priority: nexus.PriorityShould, Status: nexus.FeatureBacklog,
		CreatedAt: now, UpdatedAt: now, Revision: 1,
	},
	full: nexus.Feature{
		ProjectID: "p2", Name: awkward, Description: awkward, Priority: nexus.PriorityMust, Status: nexus.FeaturePlanning,
		EstimatedTasks: 12, CompletedTasks: 1 << 40, CreatedAt: past, UpdatedAt: past.Add(time.Hour), PlanKey: "key/1", Revision: 1,
	},
	other: nexus.Feature{
		ProjectID: "p1", Name: "other", Description: "d", Priority: nexus.PriorityWont, Status: nexus.FeatureInProgress,
		EstimatedTasks: 3, CompletedTasks: 4, CreatedAt: past.Add(time.Minute), UpdatedAt: past.Add(2 * time.Hour), PlanKey: "key/2",
	},
	created: "CreatedAt", touched: "UpdatedAt",
	required:  []string{"name", "priority", "status"},
	parents:   map[string]nexus.Kind{"ProjectID": nexus.KindProject},
	planScope: "ProjectID",
	vary: func(i int, f *nexus.Feature) {
		if i%10 == 0 {
			f.PlanKey = string(rune('a' + i/10))
		}
		f.ProjectID = []string{"p1", "p2"}[i%2]
		f.Name = []string{"b", "a", "B", "ä", "ab"}[i%5]
		f.Status = nexus.FeatureStatuses()[i%3]
		f.Priority = nexus.FeaturePriorities()[i%4]
		f.CreatedAt = past.Add(time.Duration(i%4) * time.Second)
		f.UpdatedAt = past.Add(time.Duration(i%6) * time.Hour)
	},
	orders: []string{"name", "created_at", "updated_at"},
	filters: []filter[nexus.Feature, nexus.FeatureFilter]{
		{nexus.FeatureFilter{ProjectID: "p1"}, func(f *nexus.Feature) bool { return f.ProjectID == "p1" }},
		{nexus.FeatureFilter{PlanKey: "b"}, func(f *nexus.Feature) bool { return f.PlanKey == "b" }},
		{nexus.FeatureFilter{ProjectID: "p"}, func(*nexus.Feature) bool { return false }},
		{nexus.FeatureFilter{Status: nexus.FeatureStatuses()[1:3]}, func(f *nexus.Feature) bool { return f.Status != nexus.FeatureStatuses()[0] }},
		{
			nexus.FeatureFilter{Priority: []nexus.FeaturePriority{nexus.PriorityMust, nexus.PriorityWont}},
			func(f *nexus.Feature) bool {
				return f.Priority == nexus.PriorityMust || f.Priority == nexus.PriorityWont
			},
		},
		{
			nexus.FeatureFilter{ProjectID: "p2", Status: nexus.FeatureStatuses()[:1], Priority: []nexus.FeaturePriority{nexus.PriorityShould}},
			func(f *nexus.Feature) bool {
				return f.ProjectID == "p2" && f.Status == nexus.FeatureStatuses()[0] && f.Priority == nexus.PriorityShould
			},
		},
	},
	refusedStep: [2]string{"planning", "done"},
	byStatus: func(ctx context.Context, s *store.Services, f nexus.FeatureFilter) (map[string]int64, error) {
		return counts(s.Features.CountByStatus(ctx, f))
	},
}
