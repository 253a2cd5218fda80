package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var subFeatureEntity = entity[nexus.SubFeature, nexus.SubFeatureFilter, nexus.SubFeatureUpdate]{
	kind: nexus.KindSubFeature, use: "subfeature", aliases: []string{"sub-feature", "sub_feature"},
	what:    "A sub-feature is a part of a feature.",
	example: `subfeature create "Price rules" --feature f1m837hj`,
	change:  `--status in_progress`,

	service: func(db *store.Services) *store.Service[nexus.SubFeature, nexus.SubFeatureFilter, nexus.SubFeatureUpdate] {
		return &db.SubFeatures.Service
	},
	id:       func(s *nexus.SubFeature) string { return s.ID },
	page:     func(f *nexus.SubFeatureFilter) *nexus.Page { return &f.Page },
	revision: func(u *nexus.SubFeatureUpdate) *int64 { return &u.Revision },
	orders:   "name, created_at",

	argument: "NAME",
	setArg:   func(s *nexus.SubFeature, arg string) { s.Name = arg },
	fields: []field[nexus.SubFeature, nexus.SubFeatureUpdate]{
		ownID[nexus.SubFeature, nexus.SubFeatureUpdate](func(s *nexus.SubFeature) *string { return &s.ID }),
		one[nexus.SubFeature, nexus.SubFeatureUpdate]("feature", "the feature it belongs to", nexus.KindFeature,
			func(s *nexus.SubFeature) *string { return &s.FeatureID }, nil),
		both("name", "its name", texts[string](),
			func(s *nexus.SubFeature) *string { return &s.Name },
			func(u *nexus.SubFeatureUpdate) **string { return &u.Name }),
		both("description", "what it is", texts[string](),
			func(s *nexus.SubFeature) *string { return &s.Description },
			func(u *nexus.SubFeatureUpdate) **string { return &u.Description }),
		both("status", "backlog, planning, in_progress, ai_review, human_review or done", words[nexus.FeatureStatus](),
			func(s *nexus.SubFeature) *nexus.FeatureStatus { return &s.Status },
			func(u *nexus.SubFeatureUpdate) **nexus.FeatureStatus { return &u.Status }),
		both("plan-key", "its name in plan documents", words[string](),
			func(s *nexus.SubFeature) *string { return &s.PlanKey },
			func(u *nexus.SubFeatureUpdate) **string { return &u.PlanKey }),
	},
	filters: func(b *binder, f *nexus.SubFeatureFilter) {
		existing(b, "project", "of this project", nexus.KindProject, func(id string) { f.ProjectID = id })
		existing(b, "feature", "of this feature", nexus.KindFeature, func(id string) { f.FeatureID = id })
		known(b, "status", "in one of these", nexus.FeatureStatuses(), func(v []nexus.FeatureStatus) { f.Status = v })
		flag(b, "plan-key", "with this name in plan documents", choice[string](), func(v string) { f.PlanKey = v })
	},

	header: []string{"ID", "STATUS", "FEATURE", "NAME"},
	row: func(s *nexus.SubFeature) []string {
		return []string{s.ID, string(s.Status), s.FeatureID, s.Name}
	},

	load: func(ctx context.Context, db *store.Services, id string, kinds []nexus.Kind) (*nexus.SubFeature, error) {
		return db.SubFeatures.Load(ctx, id, kinds...)
	},
	related: []nexus.Kind{
		nexus.KindFeature, nexus.KindTask,
	},
	count: counter(func(db *store.Services) func(context.Context, nexus.SubFeatureFilter) (map[nexus.FeatureStatus]int64, error) {
		return db.SubFeatures.CountByStatus
	}),
}

func (a *app) subFeatureCommand() *cobra.Command { return subFeatureEntity.command(a) }
