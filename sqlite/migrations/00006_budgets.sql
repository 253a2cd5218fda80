-- Budgets: what a task, or a whole project, may use of tokens and cost. NULL is
-- no limit.

-- +goose Up
ALTER TABLE projects ADD COLUMN budget_tokens INTEGER;
ALTER TABLE projects ADD COLUMN budget_usd REAL;
ALTER TABLE tasks ADD COLUMN budget_tokens INTEGER;
ALTER TABLE tasks ADD COLUMN budget_usd REAL;

DROP TRIGGER tasks_revision;
-- +goose StatementBegin
CREATE TRIGGER tasks_revision AFTER UPDATE OF
    id, project_id, feature_id, sub_feature_id, name, description, status, size, assigned_agent, worktree_path,
    branch_name, depends_on, blocked_by, qa_iterations, max_iterations, estimated_minutes, actual_minutes, started_at,
    completed_at, created_at, updated_at, plan_key, priority, metadata, max_attempts, failed_attempts, budget_tokens,
    budget_usd
ON tasks WHEN NEW.revision = OLD.revision
BEGIN
    UPDATE tasks SET revision = OLD.revision + 1 WHERE rowid = NEW.rowid;
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER tasks_revision;

ALTER TABLE tasks DROP COLUMN budget_usd;
ALTER TABLE tasks DROP COLUMN budget_tokens;
ALTER TABLE projects DROP COLUMN budget_usd;
ALTER TABLE projects DROP COLUMN budget_tokens;

-- +goose StatementBegin
CREATE TRIGGER tasks_revision AFTER UPDATE OF
    id, project_id, feature_id, sub_feature_id, name, description, status, size, assigned_agent, worktree_path,
    branch_name, depends_on, blocked_by, qa_iterations, max_iterations, estimated_minutes, actual_minutes, started_at,
    completed_at, created_at, updated_at, plan_key, priority, metadata, max_attempts, failed_attempts
ON tasks WHEN NEW.revision = OLD.revision
BEGIN
    UPDATE tasks SET revision = OLD.revision + 1 WHERE rowid = NEW.rowid;
END;
-- +goose StatementEnd
