package store

import (
	"time"

	"github.com/seed-c8812374/nexus"
)

// Requirements is the service of requirements.
type Requirements struct {
	Service[nexus.Requirement, nexus.RequirementFilter, nexus.RequirementUpdate]
}

var requirements = table[nexus.Requirement, nexus.RequirementFilter, nexus.RequirementUpdate]{
	kind: nexus.KindRequirement,
	columns: []column[nexus.Requirement]{
		text("id", func(r *nexus.Requirement) *string { return &r.ID }),
		text("project_id", func(r *nexus.Requirement) *string { return &r.ProjectID }),
		text("category", func(r *nexus.Requirement) *string { return &r.Category }),
		text("description", func(r *nexus.Requirement) *string { return &r.Description }).large(),
		text("priority", func(r *nexus.Requirement) *nexus.RequirementPriority { return &r.Priority }).with("'medium'"),
		optional("source", func(r *nexus.Requirement) *string { return &r.Source }),
		idList("linked_features", func(r *nexus.Requirement) *[]string { return &r.LinkedFeatures }),
		boolean("validated", func(r *nexus.Requirement) *bool { return &r.Validated }).nullable().with("0"),
		seconds("created_at", func(r *nexus.Requirement) *time.Time { return &r.CreatedAt }),
		integer("revision", func(r *nexus.Requirement) *int64 { return &r.Revision }).with("1"),
		optional("plan_key", func(r *nexus.Requirement) *string { return &r.PlanKey }),
	},
	orders: []string{"created_at"},
	parents: []parent[nexus.Requirement]{
		{nexus.KindProject, func(r *nexus.Requirement) string { return r.ProjectID }},
	},

	id:       func(r *nexus.Requirement) *string { return &r.ID },
	revision: func(r *nexus.Requirement) *int64 { return &r.Revision },
	created:  func(r *nexus.Requirement) *time.Time { return &r.CreatedAt },

	setDefaults:    (*nexus.Requirement).SetDefaults,
	validate:       (*nexus.Requirement).Validate,
	validateUpdate: (*nexus.Requirement).ValidateUpdate,
	apply:          nexus.RequirementUpdate.Apply,
	seen:           func(u nexus.RequirementUpdate) int64 { return u.Revision },
	page:           func(f nexus.RequirementFilter) nexus.Page { return f.Page },
	project:        func(f nexus.RequirementFilter) string { return f.ProjectID },
	filter: func(w *where, f nexus.RequirementFilter) {
		equal(w, "project_id", f.ProjectID)
		equal(w, "category", f.Category)
		in(w, "priority", f.Priority)
		if f.Validated != nil {
			is := map[bool]string{true: "<>", false: "="}[*f.Validated] // another program may have stored any number
			w.raw("coalesce(validated, 0) " + is + " 0")
		}
		equal(w, "plan_key", f.PlanKey)
	},
}.prepared()
