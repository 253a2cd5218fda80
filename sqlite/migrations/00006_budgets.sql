-- Budgets: what a task, or a whole project, may use of tokens and cost, and what
-- it has used. NULL is no limit.
--
-- What is used is kept by triggers in whole numbers, so that adding something and
-- taking it away again leaves nothing behind, and none of it has to read other
-- metrics: tokens in thousandths, US dollars in billionths. One metric counts for
-- a trillion tokens or a million dollars at most.

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

-- The metrics that count, and for how much.
CREATE VIEW metric_amounts AS
SELECT id, project_id, task_id, type, CAST(round(min(max(value * CASE type WHEN 'cost_usd' THEN 1e9 ELSE 1e3 END, -1e15), 1e15)) AS INTEGER) AS amount
FROM metrics WHERE type = 'token_usage' OR type = 'cost_usd';

-- What the metrics of each project and of each task come to.
CREATE TABLE metric_totals (
    scope   TEXT NOT NULL,    -- project or task
    id      TEXT NOT NULL,    -- of the project or task
    type    TEXT NOT NULL,    -- token_usage or cost_usd
    metrics INTEGER NOT NULL, -- how many there are; with the last one the row goes
    amount  INTEGER NOT NULL, -- thousandths of a token, or billionths of a dollar
    PRIMARY KEY (scope, id, type)
) WITHOUT ROWID;

-- What it has to be. It is added up in two parts, because sum fails when it gets too
-- large.
CREATE VIEW metric_sums AS
SELECT 'project' AS scope, project_id AS id, type, count(*) AS metrics, sum(amount / 1000000) * 1000000 + sum(amount % 1000000) AS amount
FROM metric_amounts GROUP BY project_id, type
UNION ALL
SELECT 'task', task_id, type, count(*), sum(amount / 1000000) * 1000000 + sum(amount % 1000000)
FROM metric_amounts WHERE task_id <> '' GROUP BY task_id, type;

INSERT INTO metric_totals (scope, id, type, metrics, amount) SELECT scope, id, type, metrics, amount FROM metric_sums;

-- INSERT OR REPLACE tells no trigger of the row that goes; see replaced_tasks.
CREATE TABLE replaced_metrics (
    id         TEXT NOT NULL,
    project_id TEXT NOT NULL,
    task_id    TEXT,
    type       TEXT NOT NULL,
    amount     INTEGER NOT NULL
);

-- +goose StatementBegin
CREATE TRIGGER metrics_insert_before BEFORE INSERT ON metrics
WHEN EXISTS (SELECT 1 FROM metrics WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM replaced_metrics)
BEGIN
    DELETE FROM replaced_metrics WHERE id IS NOT NULL; -- without a condition it would write an empty page
    INSERT INTO replaced_metrics (id, project_id, task_id, type, amount)
    SELECT id, project_id, task_id, type, amount FROM metric_amounts WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER metrics_insert_replaced AFTER INSERT ON metrics WHEN EXISTS (SELECT 1 FROM replaced_metrics)
BEGIN
    UPDATE metric_totals SET metrics = metric_totals.metrics - 1, amount = metric_totals.amount - r.amount
    FROM replaced_metrics r
    WHERE r.id = NEW.id AND metric_totals.type = r.type
        AND (scope = 'project' AND metric_totals.id = r.project_id OR scope = 'task' AND metric_totals.id = r.task_id);
    DELETE FROM metric_totals WHERE metrics = 0
        AND (scope = 'project' AND id = (SELECT project_id FROM replaced_metrics) OR scope = 'task' AND id = (SELECT task_id FROM replaced_metrics));
    DELETE FROM replaced_metrics WHERE id IS NOT NULL;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER metrics_insert_totals AFTER INSERT ON metrics WHEN NEW.type = 'token_usage' OR NEW.type = 'cost_usd'
BEGIN
    INSERT INTO metric_totals (scope, id, type, metrics, amount)
    VALUES ('project', NEW.project_id, NEW.type, 1, CAST(round(min(max(NEW.value * CASE NEW.type WHEN 'cost_usd' THEN 1e9 ELSE 1e3 END, -1e15), 1e15)) AS INTEGER))
    ON CONFLICT (scope, id, type) DO UPDATE SET metrics = metrics + 1, amount = amount + excluded.amount;
    INSERT INTO metric_totals (scope, id, type, metrics, amount)
    SELECT 'task', NEW.task_id, NEW.type, 1, CAST(round(min(max(NEW.value * CASE NEW.type WHEN 'cost_usd' THEN 1e9 ELSE 1e3 END, -1e15), 1e15)) AS INTEGER)
    WHERE NEW.task_id <> ''
    ON CONFLICT (scope, id, type) DO UPDATE SET metrics = metrics + 1, amount = amount + excluded.amount;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER metrics_delete_totals AFTER DELETE ON metrics WHEN OLD.type = 'token_usage' OR OLD.type = 'cost_usd'
BEGIN
    DELETE FROM replaced_metrics WHERE id = OLD.id; -- with PRAGMA recursive_triggers a replaced row comes by here
    UPDATE metric_totals SET metrics = metrics - 1, amount = amount - CAST(round(min(max(OLD.value * CASE OLD.type WHEN 'cost_usd' THEN 1e9 ELSE 1e3 END, -1e15), 1e15)) AS INTEGER)
    WHERE type = OLD.type AND (scope = 'project' AND id = OLD.project_id OR scope = 'task' AND id = OLD.task_id);
    DELETE FROM metric_totals
    WHERE metrics = 0 AND type = OLD.type AND (scope = 'project' AND id = OLD.project_id OR scope = 'task' AND id = OLD.task_id);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER metrics_update_totals AFTER UPDATE OF project_id, task_id, type, value ON metrics
WHEN (OLD.type = 'token_usage' OR OLD.type = 'cost_usd' OR NEW.type = 'token_usage' OR NEW.type = 'cost_usd')
    AND (OLD.type IS NOT NEW.type OR OLD.value IS NOT NEW.value OR OLD.project_id IS NOT NEW.project_id OR OLD.task_id IS NOT NEW.task_id)
BEGIN
    UPDATE metric_totals SET metrics = metrics - 1, amount = amount - CAST(round(min(max(OLD.value * CASE OLD.type WHEN 'cost_usd' THEN 1e9 ELSE 1e3 END, -1e15), 1e15)) AS INTEGER)
    WHERE type = OLD.type AND (scope = 'project' AND id = OLD.project_id OR scope = 'task' AND id = OLD.task_id);
    DELETE FROM metric_totals
    WHERE metrics = 0 AND type = OLD.type AND (scope = 'project' AND id = OLD.project_id OR scope = 'task' AND id = OLD.task_id);
    INSERT INTO metric_totals (scope, id, type, metrics, amount)
    SELECT 'project', NEW.project_id, NEW.type, 1, CAST(round(min(max(NEW.value * CASE NEW.type WHEN 'cost_usd' THEN 1e9 ELSE 1e3 END, -1e15), 1e15)) AS INTEGER)
    WHERE NEW.type = 'token_usage' OR NEW.type = 'cost_usd'
    ON CONFLICT (scope, id, type) DO UPDATE SET metrics = metrics + 1, amount = amount + excluded.amount;
    INSERT INTO metric_totals (scope, id, type, metrics, amount)
    SELECT 'task', NEW.task_id, NEW.type, 1, CAST(round(min(max(NEW.value * CASE NEW.type WHEN 'cost_usd' THEN 1e9 ELSE 1e3 END, -1e15), 1e15)) AS INTEGER)
    WHERE NEW.task_id <> '' AND (NEW.type = 'token_usage' OR NEW.type = 'cost_usd')
    ON CONFLICT (scope, id, type) DO UPDATE SET metrics = metrics + 1, amount = amount + excluded.amount;
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER metrics_update_totals;
DROP TRIGGER metrics_delete_totals;
DROP TRIGGER metrics_insert_totals;
DROP TRIGGER metrics_insert_replaced;
DROP TRIGGER metrics_insert_before;
DROP TABLE replaced_metrics;
DROP VIEW metric_sums;
DROP TABLE metric_totals;
DROP VIEW metric_amounts;

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
