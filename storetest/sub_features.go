package storetest

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var subFeatures = entity[nexus.SubFeature, nexus.SubFeatureFilter, nexus.SubFeatureUpdate]{
	kind: nexus.KindSubFeature, letter: 'u',
	service: func(s *store.Services) *store.Service[nexus.SubFeature, nexus.SubFeatureFilter, nexus.SubFeatureUpdate] {
		return &s.SubFeatures.Service
	},
	minimal:   nexus.SubFeature{FeatureID: "f1", Name: "n"},
	defaulted: nexus.SubFeature{FeatureID: "f1", Name: "n", Status: nexus.FeatureBacklog, CreatedAt: now, Revision: 1},
	full: nexus.SubFeature{
		FeatureID: "f2", Name: awkward, Description: awkward, Status: nexus.FeaturePlanning,
		CreatedAt: past, PlanKey: "key/1", Revision: 1,
	},
	other: nexus.SubFeature{
		FeatureID: "f1", Name: "other", Description: "d", Status: nexus.FeatureInProgress,
		CreatedAt: past.Add(time.Minute), PlanKey: "key/2",
	},
	created:   "CreatedAt",
	required:  []string{"name", "status"},
	parents:   map[string]nexus.Kind{"FeatureID": nexus.KindFeature},
	planScope: "FeatureID",
	vary: func(i int, s *nexus.SubFeature) {
		if i%10 == 0 {
			s.PlanKey = string(rune('a' + i/10))
		}
		s.FeatureID = []string{"f1", "f2"}[i%2]
		s.Name = []string{"b", "a", "B", "ä", "ab"}[i%5]
		s.Status = nexus.FeatureStatuses()[i%3]
		s.CreatedAt = past.Add(time.Duration(i%4) * time.Second)
	},
	orders: []string{"name", "created_at"},
	filters: []filter[nexus.SubFeature, nexus.SubFeatureFilter]{
		{nexus.SubFeatureFilter{FeatureID: "f1"}, func(s *nexus.SubFeature) bool { return s.FeatureID == "f1" }},
		{nexus.SubFeatureFilter{PlanKey: "b"}, func(s *nexus.SubFeature) bool { return s.PlanKey == "b" }},
		{nexus.SubFeatureFilter{ProjectID: "p2"}, func(s *nexus.SubFeature) bool { return s.FeatureID == "f2" }},
		{nexus.SubFeatureFilter{ProjectID: "p2", FeatureID: "f1"}, func(*nexus.SubFeature) bool { return false }},
		{nexus.SubFeatureFilter{Status: nexus.FeatureStatuses()[1:3]}, func(s *nexus.SubFeature) bool { return s.Status != nexus.FeatureStatuses()[0] }},
		{
			nexus.SubFeatureFilter{ProjectID: "p1", FeatureID: "f1", Status: nexus.FeatureStatuses()[:1]},
			func(s *nexus.SubFeature) bool {
				return s.FeatureID == "f1" && s.Status == nexus.FeatureStatuses()[0]
			},
		},
	},
	refusedStep: [2]string{"planning", "done"},
	byStatus: func(ctx context.Context, s *store.Services, f nexus.SubFeatureFilter) (map[string]int64, error) {
		return counts(s.SubFeatures.CountByStatus(ctx, f))
	},
}
