package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var featureEntity = entity[nexus.Feature, nexus.FeatureFilter, nexus.FeatureUpdate]{
	kind: nexus.KindFeature, use: "feature",
	what:    "A feature is a part of a project that its users would name.",
	example: `feature create "Shopping cart" --project p1m837hj --priority must`,
	change:  `--status in_progress`,

	service: func(db *store.Services) *store.Service[nexus.Feature, nexus.FeatureFilter, nexus.FeatureUpdate] {
		return &db.Features.Service
	},
	id:       func(e *nexus.Feature) string { return e.ID },
	project:  func(e *nexus.Feature) *string { return &e.ProjectID },
	page:     func(f *nexus.FeatureFilter) *nexus.Page { return &f.Page },
	revision: func(u *nexus.FeatureUpdate) *int64 { return &u.Revision },
	orders:   "name, created_at, updated_at",

	argument: "NAME",
	setArg:   func(e *nexus.Feature, arg string) { e.Name = arg },
	fields: []field[nexus.Feature, nexus.FeatureUpdate]{
		ownID[nexus.Feature, nexus.FeatureUpdate](func(e *nexus.Feature) *string { return &e.ID }),
		one[nexus.Feature, nexus.FeatureUpdate]("project", "the project it belongs to (default: the only one)", nexus.KindProject,
			func(e *nexus.Feature) *string { return &e.ProjectID }, nil),
		both("name", "its name", texts[string](),
			func(e *nexus.Feature) *string { return &e.Name },
			func(u *nexus.FeatureUpdate) **string { return &u.Name }),
		both("description", "what it is", texts[string](),
			func(e *nexus.Feature) *string { return &e.Description },
			func(u *nexus.FeatureUpdate) **string { return &u.Description }),
		both("priority", "must, should, could or wont", words[nexus.FeaturePriority](),
			func(e *nexus.Feature) *nexus.FeaturePriority { return &e.Priority },
			func(u *nexus.FeatureUpdate) **nexus.FeaturePriority { return &u.Priority }),
		both("status", "backlog, planning, in_progress, ai_review, human_review or done", words[nexus.FeatureStatus](),
			func(e *nexus.Feature) *nexus.FeatureStatus { return &e.Status },
			func(u *nexus.FeatureUpdate) **nexus.FeatureStatus { return &u.Status }),
		both("estimated-tasks", "how many tasks it may take", numbers[int](),
			func(e *nexus.Feature) *int { return &e.EstimatedTasks },
			func(u *nexus.FeatureUpdate) **int { return &u.EstimatedTasks }),
		both("completed-tasks", "how many tasks are done", numbers[int](),
			func(e *nexus.Feature) *int { return &e.CompletedTasks },
			func(u *nexus.FeatureUpdate) **int { return &u.CompletedTasks }),
		both("plan-key", "its name in plan documents", words[string](),
			func(e *nexus.Feature) *string { return &e.PlanKey },
			func(u *nexus.FeatureUpdate) **string { return &u.PlanKey }),
	},
	filters: func(b *binder, f *nexus.FeatureFilter) {
		existing(b, "project", "of this project", nexus.KindProject, func(id string) { f.ProjectID = id })
		known(b, "status", "in one of these", nexus.FeatureStatuses(), func(v []nexus.FeatureStatus) { f.Status = v })
		known(b, "priority", "of one of these", nexus.FeaturePriorities(), func(v []nexus.FeaturePriority) { f.Priority = v })
		flag(b, "plan-key", "with this name in plan documents", choice[string](), func(v string) { f.PlanKey = v })
	},

	header: []string{"ID", "STATUS", "PRIORITY", "PROJECT", "NAME"},
	row: func(e *nexus.Feature) []string {
		return []string{e.ID, string(e.Status), string(e.Priority), e.ProjectID, e.Name}
	},

	load: func(ctx context.Context, db *store.Services, id string, kinds []nexus.Kind) (*nexus.Feature, error) {
		return db.Features.Load(ctx, id, kinds...)
	},
	related: []nexus.Kind{
		nexus.KindProject, nexus.KindSubFeature, nexus.KindTask,
	},
	count: counter(func(db *store.Services) func(context.Context, nexus.FeatureFilter) (map[nexus.FeatureStatus]int64, error) {
		return db.Features.CountByStatus
	}),
	protect: protectFeature,
}

func (a *app) featureCommand() *cobra.Command { return featureEntity.command(a) }

// protectFeature refuses to delete a feature with its sub-features, unless that
// is what the user wants. Its tasks the database protects.
func protectFeature(ctx context.Context, db *store.Services, id string, cascade bool) error {
	if cascade {
		return nil
	}
	n, err := db.SubFeatures.Count(ctx, nexus.SubFeatureFilter{FeatureID: id})
	if err != nil || n == 0 {
		return err
	}
	return wouldDelete(nexus.KindFeature, id, []string{counted(n, "sub-feature")})
}
