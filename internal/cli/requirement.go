package cli

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var requirementEntity = entity[nexus.Requirement, nexus.RequirementFilter, nexus.RequirementUpdate]{
	kind: nexus.KindRequirement, use: "requirement",
	what:    "A requirement is something that the project must be or do.",
	example: `requirement create "Orders survive a crash" --project p1m837hj --category technical --priority high`,
	change:  `--validated`,

	service: func(db *store.Services) *store.Service[nexus.Requirement, nexus.RequirementFilter, nexus.RequirementUpdate] {
		return &db.Requirements.Service
	},
	id:       func(r *nexus.Requirement) string { return r.ID },
	project:  func(e *nexus.Requirement) *string { return &e.ProjectID },
	page:     func(f *nexus.RequirementFilter) *nexus.Page { return &f.Page },
	revision: func(u *nexus.RequirementUpdate) *int64 { return &u.Revision },
	orders:   "created_at",

	argument: "TEXT",
	setArg:   func(r *nexus.Requirement, arg string) { r.Description = arg },
	fields: []field[nexus.Requirement, nexus.RequirementUpdate]{
		ownID[nexus.Requirement, nexus.RequirementUpdate](func(r *nexus.Requirement) *string { return &r.ID }),
		one[nexus.Requirement, nexus.RequirementUpdate]("project", "the project it belongs to (default: the only one)", nexus.KindProject,
			func(r *nexus.Requirement) *string { return &r.ProjectID }, nil),
		both("category", "such as functional (the default), technical, ui, performance or security", words[string](),
			func(r *nexus.Requirement) *string { return &r.Category },
			func(u *nexus.RequirementUpdate) **string { return &u.Category }),
		both("description", "what is required", texts[string](),
			func(r *nexus.Requirement) *string { return &r.Description },
			func(u *nexus.RequirementUpdate) **string { return &u.Description }),
		both("priority", "critical, high, medium or low", words[nexus.RequirementPriority](),
			func(r *nexus.Requirement) *nexus.RequirementPriority { return &r.Priority },
			func(u *nexus.RequirementUpdate) **nexus.RequirementPriority { return &u.Priority }),
		both("source", "where it comes from", texts[string](),
			func(r *nexus.Requirement) *string { return &r.Source },
			func(u *nexus.RequirementUpdate) **string { return &u.Source }),
		several("features", "the features that it is about", nexus.KindFeature,
			func(r *nexus.Requirement) *[]string { return &r.LinkedFeatures },
			func(u *nexus.RequirementUpdate) **[]string { return &u.LinkedFeatures }),
		both("validated", "whether it has been checked", bools,
			func(r *nexus.Requirement) *bool { return &r.Validated },
			func(u *nexus.RequirementUpdate) **bool { return &u.Validated }),
		both("plan-key", "its name in plan documents", words[string](),
			func(r *nexus.Requirement) *string { return &r.PlanKey },
			func(u *nexus.RequirementUpdate) **string { return &u.PlanKey }),
	},
	filters: func(b *binder, f *nexus.RequirementFilter) {
		existing(b, "project", "of this project", nexus.KindProject, func(id string) { f.ProjectID = id })
		flag(b, "category", "of this category", choice[string](), func(v string) { f.Category = v })
		known(b, "priority", "of one of these", nexus.RequirementPriorities(), func(v []nexus.RequirementPriority) { f.Priority = v })
		flag(b, "validated", "checked, or with =false not yet", bools, func(v bool) { f.Validated = &v })
		flag(b, "plan-key", "with this name in plan documents", choice[string](), func(v string) { f.PlanKey = v })
	},

	header: []string{"ID", "PRIORITY", "CATEGORY", "VALIDATED", "DESCRIPTION"},
	row: func(r *nexus.Requirement) []string {
		return []string{r.ID, string(r.Priority), r.Category, strconv.FormatBool(r.Validated), r.Description}
	},
}

func (a *app) requirementCommand() *cobra.Command { return requirementEntity.command(a) }
