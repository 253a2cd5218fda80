package storetest

import (
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var requirements = entity[nexus.Requirement, nexus.RequirementFilter, nexus.RequirementUpdate]{
	kind: nexus.KindRequirement, letter: 'r',
	service: func(s *store.Services) *store.Service[nexus.Requirement, nexus.RequirementFilter, nexus.RequirementUpdate] {
		return &s.Requirements.Service
	},
	minimal: nexus.Requirement{ProjectID: "p1", Description: "d"},
	defaulted: nexus.Requirement{
		ProjectID: "p1", Category: "functional", Description: "d", Priority: "medium", CreatedAt: now, Revision: 1,
	},
	full: nexus.Requirement{
		ProjectID: "p2", Category: "in my own words", Description: awkward, Priority: "critical", Source: awkward,
		LinkedFeatures: []string{"f2", "f \"1\" <&>"}, Validated: true, CreatedAt: past, PlanKey: "key/1", Revision: 1,
	},
	other: nexus.Requirement{
		ProjectID: "p1", Category: "security", Description: "other", Priority: "low", Source: "s",
		LinkedFeatures: []string{"f1"}, Validated: false, CreatedAt: past.Add(time.Minute), PlanKey: "key/2",
	},
	created:   "CreatedAt",
	required:  []string{"category", "description", "priority"},
	parents:   map[string]nexus.Kind{"ProjectID": nexus.KindProject},
	planScope: "ProjectID",
	vary: func(i int, r *nexus.Requirement) {
		if i%10 == 0 {
			r.PlanKey = string(rune('a' + i/10))
		}
		r.ProjectID = []string{"p1", "p2"}[i%2]
		r.Category = nexus.RequirementCategories()[i%3]
		r.Priority = nexus.RequirementPriorities()[i%4]
		r.Validated = i%5 < 2
		r.CreatedAt = past.Add(time.Duration(i%4) * time.Second)
	},
	orders: []string{"created_at"},
	filters: []filter[nexus.Requirement, nexus.RequirementFilter]{
		{nexus.RequirementFilter{ProjectID: "p1"}, func(r *nexus.Requirement) bool { return r.ProjectID == "p1" }},
		{nexus.RequirementFilter{PlanKey: "b"}, func(r *nexus.Requirement) bool { return r.PlanKey == "b" }},
		{nexus.RequirementFilter{Category: "technical"}, func(r *nexus.Requirement) bool { return r.Category == "technical" }},
		{nexus.RequirementFilter{Priority: nexus.RequirementPriorities()[1:3]}, func(r *nexus.Requirement) bool {
			return r.Priority == "high" || r.Priority == "medium"
		}},
		{nexus.RequirementFilter{Validated: new(true)}, func(r *nexus.Requirement) bool { return r.Validated }},
		{nexus.RequirementFilter{Validated: new(false)}, func(r *nexus.Requirement) bool { return !r.Validated }},
		{
			nexus.RequirementFilter{ProjectID: "p2", Priority: nexus.RequirementPriorities()[1:3], Validated: new(false)},
			func(r *nexus.Requirement) bool {
				return r.ProjectID == "p2" && !r.Validated && (r.Priority == "high" || r.Priority == "medium")
			},
		},
	},
}
