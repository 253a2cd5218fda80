package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var taskEntity = entity[nexus.Task, nexus.TaskFilter, nexus.TaskUpdate]{
	kind: nexus.KindTask, use: "task",
	what:    "A task is a piece of work for one agent.",
	example: `task create "Write the parser" --project p1m837hj --depends-on t1m837hj,t1m837hk`,
	change:  `--status completed`,

	service: func(db *store.Services) *store.Service[nexus.Task, nexus.TaskFilter, nexus.TaskUpdate] {
		return &db.Tasks.Service
	},
	id:       func(t *nexus.Task) string { return t.ID },
	project:  func(e *nexus.Task) *string { return &e.ProjectID },
	within:   projectOfTask,
	page:     func(f *nexus.TaskFilter) *nexus.Page { return &f.Page },
	revision: func(u *nexus.TaskUpdate) *int64 { return &u.Revision },
	orders:   "priority, name, created_at, updated_at",

	argument: "NAME",
	setArg:   func(t *nexus.Task, arg string) { t.Name = arg },
	fields: []field[nexus.Task, nexus.TaskUpdate]{
		ownID[nexus.Task, nexus.TaskUpdate](func(t *nexus.Task) *string { return &t.ID }),
		one[nexus.Task, nexus.TaskUpdate]("project", "the project it belongs to (default: that of its feature, or the only one)", nexus.KindProject,
			func(t *nexus.Task) *string { return &t.ProjectID }, nil),
		one[nexus.Task, nexus.TaskUpdate]("feature", "the feature it is for", nexus.KindFeature,
			func(t *nexus.Task) *string { return &t.FeatureID }, func(u *nexus.TaskUpdate) **string { return &u.FeatureID }),
		one[nexus.Task, nexus.TaskUpdate]("sub-feature", "the sub-feature it is for", nexus.KindSubFeature,
			func(t *nexus.Task) *string { return &t.SubFeatureID }, func(u *nexus.TaskUpdate) **string { return &u.SubFeatureID }),
		both("name", "its name", texts[string](),
			func(t *nexus.Task) *string { return &t.Name },
			func(u *nexus.TaskUpdate) **string { return &u.Name }),
		both("description", "what is to be done", texts[string](),
			func(t *nexus.Task) *string { return &t.Description },
			func(u *nexus.TaskUpdate) **string { return &u.Description }),
		both("status", "pending, assigned, in_progress, blocked, completed, failed, skipped or escalated", words[nexus.TaskStatus](),
			func(t *nexus.Task) *nexus.TaskStatus { return &t.Status },
			func(u *nexus.TaskUpdate) **nexus.TaskStatus { return &u.Status }),
		both("size", "atomic or small", words[nexus.TaskSize](),
			func(t *nexus.Task) *nexus.TaskSize { return &t.Size },
			func(u *nexus.TaskUpdate) **nexus.TaskSize { return &u.Size }),
		both("priority", "critical, high, medium or low", words[nexus.TaskPriority](),
			func(t *nexus.Task) *nexus.TaskPriority { return &t.Priority },
			func(u *nexus.TaskUpdate) **nexus.TaskPriority { return &u.Priority }),
		one("agent", "the agent it is assigned to", nexus.KindAgent,
			func(t *nexus.Task) *string { return &t.AssignedAgent },
			func(u *nexus.TaskUpdate) **string { return &u.AssignedAgent }),
		both("worktree", "the folder it is done in", texts[string](),
			func(t *nexus.Task) *string { return &t.WorktreePath },
			func(u *nexus.TaskUpdate) **string { return &u.WorktreePath }),
		both("branch", "the branch it is done on", texts[string](),
			func(t *nexus.Task) *string { return &t.BranchName },
			func(u *nexus.TaskUpdate) **string { return &u.BranchName }),
		several("depends-on", "the tasks that come first", nexus.KindTask,
			func(t *nexus.Task) *[]string { return &t.DependsOn },
			func(u *nexus.TaskUpdate) **[]string { return &u.DependsOn }),
		{update: func(b *binder, u *nexus.TaskUpdate) {
			references(b, "add-depends-on", "more tasks that come first", nexus.KindTask, func(ids []string) { u.AddDependsOn = ids })
		}},
		{update: func(b *binder, u *nexus.TaskUpdate) {
			references(b, "remove-depends-on", "tasks that need not come first after all", nexus.KindTask,
				func(ids []string) { u.RemoveDependsOn = ids })
		}},
		both("blocked-by", "what holds it back, in words", texts[string](),
			func(t *nexus.Task) *string { return &t.BlockedBy },
			func(u *nexus.TaskUpdate) **string { return &u.BlockedBy }),
		both("qa-iterations", "how often it has been reviewed", numbers[int](),
			func(t *nexus.Task) *int { return &t.QAIterations },
			func(u *nexus.TaskUpdate) **int { return &u.QAIterations }),
		both("max-iterations", "how often it may be (default: 50)", numbers[int](),
			func(t *nexus.Task) *int { return &t.MaxIterations },
			func(u *nexus.TaskUpdate) **int { return &u.MaxIterations }),
		both("max-attempts", "how often agents may fail (default: 3)", numbers[int](),
			func(t *nexus.Task) *int { return &t.MaxAttempts },
			func(u *nexus.TaskUpdate) **int { return &u.MaxAttempts }),
		changed[nexus.Task]("failed-attempts", "how often they have", numbers[int](),
			func(u *nexus.TaskUpdate) **int { return &u.FailedAttempts }),
		both("budget-tokens", "how many tokens all attempts at it may use (default: any number)", numbers[int64](),
			func(t *nexus.Task) *int64 { return &t.BudgetTokens },
			func(u *nexus.TaskUpdate) **int64 { return &u.BudgetTokens }),
		both("budget-usd", "how many US dollars they may cost (default: any number)", decimals,
			func(t *nexus.Task) *float64 { return &t.BudgetUSD },
			func(u *nexus.TaskUpdate) **float64 { return &u.BudgetUSD }),
		both("estimated-minutes", "how long it may take (default: 15)", numbers[int](),
			func(t *nexus.Task) *int { return &t.EstimatedMinutes },
			func(u *nexus.TaskUpdate) **int { return &u.EstimatedMinutes }),
		changed[nexus.Task]("actual-minutes", "how long it took", numbers[int](),
			func(u *nexus.TaskUpdate) **int { return &u.ActualMinutes }),
		both("started-at", "when it was started", times,
			func(t *nexus.Task) *time.Time { return &t.StartedAt },
			func(u *nexus.TaskUpdate) **time.Time { return &u.StartedAt }),
		both("completed-at", "when it was completed", times,
			func(t *nexus.Task) *time.Time { return &t.CompletedAt },
			func(u *nexus.TaskUpdate) **time.Time { return &u.CompletedAt }),
		both("metadata", "anything to keep with it", documents,
			func(t *nexus.Task) *nexus.JSON { return &t.Metadata },
			func(u *nexus.TaskUpdate) **nexus.JSON { return &u.Metadata }),
		both("plan-key", "its name in plan documents", words[string](),
			func(t *nexus.Task) *string { return &t.PlanKey },
			func(u *nexus.TaskUpdate) **string { return &u.PlanKey }),
	},
	filters: func(b *binder, f *nexus.TaskFilter) {
		existing(b, "project", "of this project", nexus.KindProject, func(id string) { f.ProjectID = id })
		existing(b, "feature", "of this feature", nexus.KindFeature, func(id string) { f.FeatureID = id })
		existing(b, "sub-feature", "of this sub-feature", nexus.KindSubFeature, func(id string) { f.SubFeatureID = id })
		known(b, "status", "in one of these", nexus.TaskStatuses(), func(v []nexus.TaskStatus) { f.Status = v })
		known(b, "priority", "of one of these", nexus.TaskPriorities(), func(v []nexus.TaskPriority) { f.Priority = v })
		chosen(b, "agent", "assigned to this agent", nexus.KindAgent, func(id string) { f.AssignedAgent = id })
		flag(b, "plan-key", "with this name in plan documents", choice[string](), func(v string) { f.PlanKey = v })
	},

	header: []string{"ID", "STATUS", "PRIORITY", "AGENT", "NAME"},
	row: func(t *nexus.Task) []string {
		return []string{t.ID, string(t.Status), string(t.Priority), t.AssignedAgent, t.Name}
	},

	load: func(ctx context.Context, db *store.Services, id string, kinds []nexus.Kind) (*nexus.Task, error) {
		return db.Tasks.Load(ctx, id, kinds...)
	},
	related: []nexus.Kind{
		nexus.KindProject, nexus.KindFeature, nexus.KindSubFeature,
	},
	count: counter(func(db *store.Services) func(context.Context, nexus.TaskFilter) (map[nexus.TaskStatus]int64, error) {
		return db.Tasks.CountByStatus
	}),
}

func (a *app) taskCommand() *cobra.Command {
	cmd := taskEntity.command(a)
	cmd.AddCommand(a.attemptsCommand())
	return cmd
}

func projectOfTask(ctx context.Context, db *store.Services, t *nexus.Task) (string, error) {
	feature := t.FeatureID
	if feature == "" && t.SubFeatureID != "" {
		u, err := db.SubFeatures.Get(ctx, t.SubFeatureID)
		if err != nil {
			return "", err
		}
		feature = u.FeatureID
	}
	if feature == "" {
		return "", nil
	}
	f, err := db.Features.Get(ctx, feature)
	if err != nil {
		return "", err
	}
	return f.ProjectID, nil
}
