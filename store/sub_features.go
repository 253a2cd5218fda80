package store

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// SubFeatures is the service of sub-features.
type SubFeatures struct {
	Service[nexus.SubFeature, nexus.SubFeatureFilter, nexus.SubFeatureUpdate]
}

var subFeatures = table[nexus.SubFeature, nexus.SubFeatureFilter, nexus.SubFeatureUpdate]{
	kind: nexus.KindSubFeature,
	columns: []column[nexus.SubFeature]{
		text("id", func(s *nexus.SubFeature) *string { return &s.ID }),
		text("feature_id", func(s *nexus.SubFeature) *string { return &s.FeatureID }),
		text("name", func(s *nexus.SubFeature) *string { return &s.Name }),
		optional("description", func(s *nexus.SubFeature) *string { return &s.Description }).large(),
		text("status", func(s *nexus.SubFeature) *nexus.FeatureStatus { return &s.Status }).with("'backlog'"),
		seconds("created_at", func(s *nexus.SubFeature) *time.Time { return &s.CreatedAt }),
		integer("revision", func(s *nexus.SubFeature) *int64 { return &s.Revision }).with("1"),
		optional("plan_key", func(s *nexus.SubFeature) *string { return &s.PlanKey }),
	},
	orders: []string{"name", "created_at"},
	parents: []parent[nexus.SubFeature]{
		{nexus.KindFeature, func(s *nexus.SubFeature) string { return s.FeatureID }},
	},
	children: `SELECT id FROM tasks WHERE sub_feature_id = $1 ORDER BY id LIMIT 4`,

	id:       func(s *nexus.SubFeature) *string { return &s.ID },
	revision: func(s *nexus.SubFeature) *int64 { return &s.Revision },
	created:  func(s *nexus.SubFeature) *time.Time { return &s.CreatedAt },

	setDefaults:    (*nexus.SubFeature).SetDefaults,
	validate:       (*nexus.SubFeature).Validate,
	validateUpdate: (*nexus.SubFeature).ValidateUpdate,
	apply:          nexus.SubFeatureUpdate.Apply,
	seen:           func(u nexus.SubFeatureUpdate) int64 { return u.Revision },
	page:           func(f nexus.SubFeatureFilter) nexus.Page { return f.Page },
	filter: func(w *where, f nexus.SubFeatureFilter) {
		if f.ProjectID != "" {
			w.condition("feature_id IN (SELECT id FROM "+w.table(nexus.KindFeature)+" WHERE project_id = ?)", driver.Text(f.ProjectID))
		}
		equal(w, "feature_id", f.FeatureID)
		in(w, "status", f.Status)
		equal(w, "plan_key", f.PlanKey)
	},
}.prepared()

// CountByStatus counts the sub-features that the filter chooses, by status.
func (s *SubFeatures) CountByStatus(ctx context.Context, filter nexus.SubFeatureFilter) (map[nexus.FeatureStatus]int64, error) {
	return countByStatus[nexus.FeatureStatus](ctx, &s.Service, filter)
}
