package store

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus"
)

// Features is the service of features.
type Features struct {
	Service[nexus.Feature, nexus.FeatureFilter, nexus.FeatureUpdate]
}

var features = table[nexus.Feature, nexus.FeatureFilter, nexus.FeatureUpdate]{
	kind: nexus.KindFeature,
	columns: []column[nexus.Feature]{
		text("id", func(f *nexus.Feature) *string { return &f.ID }),
		text("project_id", func(f *nexus.Feature) *string { return &f.ProjectID }),
		text("name", func(f *nexus.Feature) *string { return &f.Name }),
		optional("description", func(f *nexus.Feature) *string { return &f.Description }).large(),
		text("priority", func(f *nexus.Feature) *nexus.FeaturePriority { return &f.Priority }).with("'should'"),
		text("status", func(f *nexus.Feature) *nexus.FeatureStatus { return &f.Status }).with("'backlog'"),
		integer("estimated_tasks", func(f *nexus.Feature) *int { return &f.EstimatedTasks }).nullable().with("0"),
		integer("completed_tasks", func(f *nexus.Feature) *int { return &f.CompletedTasks }).nullable().with("0"),
		seconds("created_at", func(f *nexus.Feature) *time.Time { return &f.CreatedAt }),
		seconds("updated_at", func(f *nexus.Feature) *time.Time { return &f.UpdatedAt }),
		integer("revision", func(f *nexus.Feature) *int64 { return &f.Revision }).with("1"),
		optional("plan_key", func(f *nexus.Feature) *string { return &f.PlanKey }),
	},
	orders:  []string{"name", "created_at", "updated_at"},
	touched: "updated_at",
	parents: []parent[nexus.Feature]{
		{nexus.KindProject, func(f *nexus.Feature) string { return f.ProjectID }},
	},
	children: `SELECT id FROM tasks WHERE feature_id = $1 ORDER BY id LIMIT 4`,

	id:       func(f *nexus.Feature) *string { return &f.ID },
	revision: func(f *nexus.Feature) *int64 { return &f.Revision },
	created:  func(f *nexus.Feature) *time.Time { return &f.CreatedAt },
	updated:  func(f *nexus.Feature) *time.Time { return &f.UpdatedAt },

	setDefaults:    (*nexus.Feature).SetDefaults,
	validate:       (*nexus.Feature).Validate,
	validateUpdate: (*nexus.Feature).ValidateUpdate,
	apply:          nexus.FeatureUpdate.Apply,
	seen:           func(u nexus.FeatureUpdate) int64 { return u.Revision },
	page:           func(f nexus.FeatureFilter) nexus.Page { return f.Page },
	project:        func(f nexus.FeatureFilter) string { return f.ProjectID },
	filter: func(w *where, f nexus.FeatureFilter) {
		equal(w, "project_id", f.ProjectID)
		in(w, "status", f.Status)
		in(w, "priority", f.Priority)
		equal(w, "plan_key", f.PlanKey)
	},
}.prepared()

// CountByStatus counts the features that the filter chooses, by status.
func (s *Features) CountByStatus(ctx context.Context, filter nexus.FeatureFilter) (map[nexus.FeatureStatus]int64, error) {
	return countByStatus[nexus.FeatureStatus](ctx, &s.Service, filter)
}
