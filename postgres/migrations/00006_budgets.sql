-- Budgets: what a task, or a whole project, may use of tokens and cost, and what
-- it has used. NULL is no limit.
--
-- What is used is kept by triggers in whole numbers, so that adding something and
-- taking it away again leaves nothing behind, and none of it has to read other
-- metrics: tokens in thousandths, US dollars in billionths. One metric counts for
-- a trillion tokens or a million dollars at most.

-- +goose Up
ALTER TABLE projects ADD COLUMN budget_tokens BIGINT;
ALTER TABLE projects ADD COLUMN budget_usd DOUBLE PRECISION;
ALTER TABLE tasks ADD COLUMN budget_tokens BIGINT;
ALTER TABLE tasks ADD COLUMN budget_usd DOUBLE PRECISION;

DROP TRIGGER tasks_revision ON tasks;
CREATE TRIGGER tasks_revision BEFORE UPDATE OF
    id, project_id, feature_id, sub_feature_id, name, description, status, size, assigned_agent, worktree_path,
    branch_name, depends_on, blocked_by, qa_iterations, max_iterations, estimated_minutes, actual_minutes, started_at,
    completed_at, created_at, updated_at, plan_key, priority, metadata, max_attempts, failed_attempts, budget_tokens,
    budget_usd
ON tasks FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();

-- For how much a metric counts.
CREATE FUNCTION nexus_amount(type TEXT, value DOUBLE PRECISION) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN value = 'NaN' THEN 0 ELSE
        round(least(greatest(least(greatest(value, -1e15), 1e15) * CASE type WHEN 'cost_usd' THEN 1e9 ELSE 1e3 END, -1e15), 1e15)::NUMERIC)::BIGINT
    END
$$;

-- What the metrics of each project and of each task come to.
CREATE TABLE metric_totals (
    scope   TEXT COLLATE "C" NOT NULL, -- project or task
    id      TEXT COLLATE "C" NOT NULL, -- of the project or task
    type    TEXT COLLATE "C" NOT NULL, -- token_usage or cost_usd
    metrics BIGINT NOT NULL,           -- how many there are; with the last one the row goes
    amount  BIGINT NOT NULL,           -- thousandths of a token, or billionths of a dollar
    PRIMARY KEY (scope, id, type)
);

-- What it has to be.
CREATE VIEW metric_sums AS
SELECT 'project' AS scope, project_id AS id, type, count(*) AS metrics, sum(nexus_amount(type, value)) AS amount
FROM metrics WHERE type IN ('token_usage', 'cost_usd') GROUP BY project_id, type
UNION ALL
SELECT 'task', task_id, type, count(*), sum(nexus_amount(type, value))
FROM metrics WHERE type IN ('token_usage', 'cost_usd') AND task_id <> '' GROUP BY task_id, type;

INSERT INTO metric_totals (scope, id, type, metrics, amount) SELECT scope, id, type, metrics, amount FROM metric_sums;

-- +goose StatementBegin
CREATE FUNCTION nexus_add_metric(project TEXT, task TEXT, of_type TEXT, n BIGINT, value DOUBLE PRECISION) RETURNS VOID
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF of_type NOT IN ('token_usage', 'cost_usd') THEN
        RETURN;
    END IF;
    INSERT INTO metric_totals AS t (scope, id, type, metrics, amount)
    SELECT s.scope, s.id, of_type, n, n * nexus_amount(of_type, value)
    FROM (VALUES ('project', project), ('task', task)) AS s (scope, id) WHERE s.scope = 'project' OR s.id <> ''
    ON CONFLICT (scope, id, type) DO UPDATE SET metrics = t.metrics + excluded.metrics, amount = t.amount + excluded.amount;
    DELETE FROM metric_totals
    WHERE metrics = 0 AND type = of_type AND (scope = 'project' AND id = project OR scope = 'task' AND id = task);
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION nexus_metric_totals() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM nexus_add_metric(OLD.project_id, OLD.task_id, OLD.type, -1, OLD.value);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM nexus_add_metric(NEW.project_id, NEW.task_id, NEW.type, 1, NEW.value);
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER metrics_totals AFTER INSERT OR DELETE OR UPDATE OF project_id, task_id, type, value ON metrics
FOR EACH ROW EXECUTE FUNCTION nexus_metric_totals();

-- +goose Down
DROP TRIGGER metrics_totals ON metrics;
DROP FUNCTION nexus_metric_totals();
DROP FUNCTION nexus_add_metric(TEXT, TEXT, TEXT, BIGINT, DOUBLE PRECISION);
DROP VIEW metric_sums;
DROP TABLE metric_totals;
DROP FUNCTION nexus_amount(TEXT, DOUBLE PRECISION);

DROP TRIGGER tasks_revision ON tasks;

ALTER TABLE tasks DROP COLUMN budget_usd;
ALTER TABLE tasks DROP COLUMN budget_tokens;
ALTER TABLE projects DROP COLUMN budget_usd;
ALTER TABLE projects DROP COLUMN budget_tokens;

CREATE TRIGGER tasks_revision BEFORE UPDATE OF
    id, project_id, feature_id, sub_feature_id, name, description, status, size, assigned_agent, worktree_path,
    branch_name, depends_on, blocked_by, qa_iterations, max_iterations, estimated_minutes, actual_minutes, started_at,
    completed_at, created_at, updated_at, plan_key, priority, metadata, max_attempts, failed_attempts
ON tasks FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();
