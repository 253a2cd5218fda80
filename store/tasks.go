package store

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Tasks is the service of tasks.
type Tasks struct {
	Service[nexus.Task, nexus.TaskFilter, nexus.TaskUpdate]
}

var tasks = table[nexus.Task, nexus.TaskFilter, nexus.TaskUpdate]{
	kind: nexus.KindTask,
	columns: []column[nexus.Task]{
		text("id", func(t *nexus.Task) *string { return &t.ID }),
		text("project_id", func(t *nexus.Task) *string { return &t.ProjectID }),
		optional("feature_id", func(t *nexus.Task) *string { return &t.FeatureID }),
		optional("sub_feature_id", func(t *nexus.Task) *string { return &t.SubFeatureID }),
		text("name", func(t *nexus.Task) *string { return &t.Name }),
		optional("description", func(t *nexus.Task) *string { return &t.Description }).large(),
		text("status", func(t *nexus.Task) *nexus.TaskStatus { return &t.Status }).with("'pending'"),
		text("size", func(t *nexus.Task) *nexus.TaskSize { return &t.Size }).with("'small'"),
		optional("assigned_agent", func(t *nexus.Task) *string { return &t.AssignedAgent }),
		optional("worktree_path", func(t *nexus.Task) *string { return &t.WorktreePath }),
		optional("branch_name", func(t *nexus.Task) *string { return &t.BranchName }),
		idList("depends_on", func(t *nexus.Task) *[]string { return &t.DependsOn }),
		optional("blocked_by", func(t *nexus.Task) *string { return &t.BlockedBy }),
		integer("qa_iterations", func(t *nexus.Task) *int { return &t.QAIterations }).nullable().with("0"),
		integer("max_iterations", func(t *nexus.Task) *int { return &t.MaxIterations }).nullable().with("50"),
		integer("estimated_minutes", func(t *nexus.Task) *int { return &t.EstimatedMinutes }).nullable().with("15"),
		optionalInteger("actual_minutes", func(t *nexus.Task) *int { return &t.ActualMinutes }),
		optionalSeconds("started_at", func(t *nexus.Task) *time.Time { return &t.StartedAt }),
		optionalSeconds("completed_at", func(t *nexus.Task) *time.Time { return &t.CompletedAt }),
		seconds("created_at", func(t *nexus.Task) *time.Time { return &t.CreatedAt }),
		seconds("updated_at", func(t *nexus.Task) *time.Time { return &t.UpdatedAt }),
		integer("revision", func(t *nexus.Task) *int64 { return &t.Revision }).with("1"),
		optional("plan_key", func(t *nexus.Task) *string { return &t.PlanKey }),
		priority("priority", func(t *nexus.Task) *nexus.TaskPriority { return &t.Priority }).with("2"),
		optional("metadata", func(t *nexus.Task) *nexus.JSON { return &t.Metadata }).large(),
		integer("max_attempts", func(t *nexus.Task) *int { return &t.MaxAttempts }).with("3"),
		integer("failed_attempts", func(t *nexus.Task) *int { return &t.FailedAttempts }).with("0"),
		optionalInteger("budget_tokens", func(t *nexus.Task) *int64 { return &t.BudgetTokens }),
		optionalReal("budget_usd", func(t *nexus.Task) *float64 { return &t.BudgetUSD }),
	},
	// That nothing it depends on has ended is right for most, and spares a trigger
	// from writing the row again.
	initial: []column[nexus.Task]{{
		Column: Column{Name: "open_dependencies"},
		arg:    func(t *nexus.Task) driver.Arg { return driver.Int(int64(len(t.DependsOn))) },
	}},
	orders:  []string{"name", "priority", "created_at", "updated_at"},
	touched: "updated_at",
	parents: []parent[nexus.Task]{
		{nexus.KindProject, func(t *nexus.Task) string { return t.ProjectID }},
		{nexus.KindFeature, func(t *nexus.Task) string { return t.FeatureID }},
		{nexus.KindSubFeature, func(t *nexus.Task) string { return t.SubFeatureID }},
	},

	noteChange: taskChanged,
	deleting:   taskDeleting,

	id:       func(t *nexus.Task) *string { return &t.ID },
	revision: func(t *nexus.Task) *int64 { return &t.Revision },
	created:  func(t *nexus.Task) *time.Time { return &t.CreatedAt },
	updated:  func(t *nexus.Task) *time.Time { return &t.UpdatedAt },

	setDefaults:    (*nexus.Task).SetDefaults,
	validate:       (*nexus.Task).Validate,
	validateUpdate: (*nexus.Task).ValidateUpdate,
	apply:          nexus.TaskUpdate.Apply,
	seen:           func(u nexus.TaskUpdate) int64 { return u.Revision },
	page:           func(f nexus.TaskFilter) nexus.Page { return f.Page },
	project:        func(f nexus.TaskFilter) string { return f.ProjectID },
	filter: func(w *where, f nexus.TaskFilter) {
		equal(w, "project_id", f.ProjectID)
		equal(w, "feature_id", f.FeatureID)
		equal(w, "sub_feature_id", f.SubFeatureID)
		in(w, "status", f.Status)
		inArgs(w, "priority", f.Priority, priorityArg)
		equal(w, "assigned_agent", f.AssignedAgent)
		equal(w, "plan_key", f.PlanKey)
	},
}.prepared()

// CountByStatus counts the tasks that the filter chooses, by status.
func (s *Tasks) CountByStatus(ctx context.Context, filter nexus.TaskFilter) (map[nexus.TaskStatus]int64, error) {
	return countByStatus[nexus.TaskStatus](ctx, &s.Service, filter)
}
