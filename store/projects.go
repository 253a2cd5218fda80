package store

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus"
)

// Projects is the service of projects.
type Projects struct {
	Service[nexus.Project, nexus.ProjectFilter, nexus.ProjectUpdate]
}

var projects = table[nexus.Project, nexus.ProjectFilter, nexus.ProjectUpdate]{
	kind: nexus.KindProject,
	columns: []column[nexus.Project]{
		text("id", func(p *nexus.Project) *string { return &p.ID }),
		text("name", func(p *nexus.Project) *string { return &p.Name }),
		optional("description", func(p *nexus.Project) *string { return &p.Description }).large(),
		text("mode", func(p *nexus.Project) *nexus.ProjectMode { return &p.Mode }),
		text("status", func(p *nexus.Project) *nexus.ProjectStatus { return &p.Status }),
		text("root_path", func(p *nexus.Project) *string { return &p.RootPath }),
		optional("repository_url", func(p *nexus.Project) *string { return &p.RepositoryURL }),
		seconds("created_at", func(p *nexus.Project) *time.Time { return &p.CreatedAt }),
		seconds("updated_at", func(p *nexus.Project) *time.Time { return &p.UpdatedAt }),
		optionalSeconds("completed_at", func(p *nexus.Project) *time.Time { return &p.CompletedAt }),
		integer("revision", func(p *nexus.Project) *int64 { return &p.Revision }).with("1"),
		optional("plan_key", func(p *nexus.Project) *string { return &p.PlanKey }),
		optionalInteger("budget_tokens", func(p *nexus.Project) *int64 { return &p.BudgetTokens }),
		optionalReal("budget_usd", func(p *nexus.Project) *float64 { return &p.BudgetUSD }),
	},
	orders:  []string{"name", "created_at", "updated_at"},
	touched: "updated_at",

	deleting: projectDeleting,
	children: `
		SELECT t.id FROM features f JOIN tasks t ON t.feature_id = f.id WHERE f.project_id = $1 AND t.project_id <> $1
		UNION
		SELECT t.id FROM features f JOIN sub_features s ON s.feature_id = f.id JOIN tasks t ON t.sub_feature_id = s.id
		WHERE f.project_id = $1 AND t.project_id <> $1
		ORDER BY 1 LIMIT 4`,

	id:       func(p *nexus.Project) *string { return &p.ID },
	revision: func(p *nexus.Project) *int64 { return &p.Revision },
	created:  func(p *nexus.Project) *time.Time { return &p.CreatedAt },
	updated:  func(p *nexus.Project) *time.Time { return &p.UpdatedAt },

	setDefaults:    (*nexus.Project).SetDefaults,
	validate:       (*nexus.Project).Validate,
	validateUpdate: (*nexus.Project).ValidateUpdate,
	apply:          nexus.ProjectUpdate.Apply,
	seen:           func(u nexus.ProjectUpdate) int64 { return u.Revision },
	page:           func(f nexus.ProjectFilter) nexus.Page { return f.Page },
	filter: func(w *where, f nexus.ProjectFilter) {
		in(w, "status", f.Status)
		equal(w, "mode", f.Mode)
		equal(w, "plan_key", f.PlanKey)
	},
}.prepared()

// CountByStatus counts the projects that the filter chooses, by status.
func (s *Projects) CountByStatus(ctx context.Context, filter nexus.ProjectFilter) (map[nexus.ProjectStatus]int64, error) {
	return countByStatus[nexus.ProjectStatus](ctx, &s.Service, filter)
}
