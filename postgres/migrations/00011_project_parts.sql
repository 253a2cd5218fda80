-- What goes with a project, and is in no history of its own, is kept when the project is
-- deleted: its metrics, and which checkpoints are made by themselves. What is deleted while
-- the project stays is not.
--
-- Here it has more: what the metrics come to is counted once a statement. Once a row, the
-- versions of one total that a transaction leaves behind made thousands of metrics take
-- minutes, because each has to be passed by to find the last.

-- +goose Up
-- +goose StatementBegin
DO $do$
DECLARE
    schema_name CONSTANT TEXT := '"' || replace(current_schema(), '"', '""') || '".';
BEGIN
    EXECUTE replace($make$
CREATE FUNCTION nexus_history_metrics() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM @.projects WHERE id = OLD.project_id) THEN
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large,
            v1, v2, v3, v4, v5, v6, v7, v8
        ) VALUES (
            (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT, 'delete', 'project_metric', OLD.project_id, OLD.project_id, 1,
            OLD.id, OLD.agent_id, OLD.task_id, OLD.type, OLD.value, OLD.metadata, OLD.timestamp, OLD.revision
        );
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION nexus_history_checkpoint_settings() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM @.projects WHERE id = OLD.project_id) THEN
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large,
            v1, v2, v3, v4, v5, v6, v7, v8
        ) VALUES (
            (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT, 'delete', 'checkpoint_setting', OLD.project_id, OLD.project_id, 1,
            OLD.phase_complete, OLD.feature_complete, OLD.task_failed, OLD.qa_exhausted, OLD.every_minutes, OLD.every_tasks,
            OLD.scheduled_us, OLD.completed_tasks
        );
    END IF;
    RETURN NULL;
END
$$$make$, '@.', schema_name);
END
$do$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $do$
DECLARE
    schema_name CONSTANT TEXT := '"' || replace(current_schema(), '"', '""') || '".';
BEGIN
    EXECUTE replace($make$
CREATE FUNCTION nexus_count_metrics(project_ids TEXT[], task_ids TEXT[], types TEXT[], of_values DOUBLE PRECISION[], n BIGINT) RETURNS VOID
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO @.metric_totals AS t (scope, id, type, metrics, amount)
    SELECT s.scope, s.id, m.type, sum(n), sum(n * @.nexus_amount(m.type, m.value))
    FROM unnest(project_ids, task_ids, types, of_values) AS m (project_id, task_id, type, value)
    CROSS JOIN LATERAL (VALUES ('project', m.project_id), ('task', m.task_id)) AS s (scope, id)
    WHERE s.scope = 'project' OR s.id <> ''
    GROUP BY s.scope, s.id, m.type
    ORDER BY s.scope, s.id, m.type
    ON CONFLICT (scope, id, type) DO UPDATE SET metrics = t.metrics + excluded.metrics, amount = t.amount + excluded.amount;
    IF n < 0 THEN
        DELETE FROM @.metric_totals t USING unnest(project_ids, task_ids, types) AS m (project_id, task_id, type)
        WHERE t.metrics = 0 AND t.type = m.type AND (t.scope = 'project' AND t.id = m.project_id OR t.scope = 'task' AND t.id = m.task_id);
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION nexus_metric_totals() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM @.nexus_count_metrics(array_agg(project_id), array_agg(task_id), array_agg(type), array_agg(value), -1)
        FROM was WHERE type IN ('token_usage', 'cost_usd');
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM @.nexus_count_metrics(array_agg(project_id), array_agg(task_id), array_agg(type), array_agg(value), 1)
        FROM now_is WHERE type IN ('token_usage', 'cost_usd');
    END IF;
    RETURN NULL;
END
$$$make$, '@.', schema_name);
END
$do$;
-- +goose StatementEnd

DROP TRIGGER metrics_totals ON metrics;
CREATE TRIGGER metrics_totals_insert AFTER INSERT ON metrics
REFERENCING NEW TABLE AS now_is FOR EACH STATEMENT EXECUTE FUNCTION nexus_metric_totals();
CREATE TRIGGER metrics_totals_update AFTER UPDATE ON metrics
REFERENCING OLD TABLE AS was NEW TABLE AS now_is FOR EACH STATEMENT EXECUTE FUNCTION nexus_metric_totals();
CREATE TRIGGER metrics_totals_delete AFTER DELETE ON metrics
REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION nexus_metric_totals();

CREATE CONSTRAINT TRIGGER metrics_history AFTER DELETE ON metrics
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_metrics();

CREATE CONSTRAINT TRIGGER checkpoint_settings_history AFTER DELETE ON checkpoint_settings
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_checkpoint_settings();

-- +goose Down
DROP TRIGGER metrics_totals_delete ON metrics;
DROP TRIGGER metrics_totals_update ON metrics;
DROP TRIGGER metrics_totals_insert ON metrics;
DROP FUNCTION nexus_count_metrics(TEXT[], TEXT[], TEXT[], DOUBLE PRECISION[], BIGINT);
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION nexus_metric_totals() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
DROP TRIGGER checkpoint_settings_history ON checkpoint_settings;
DROP TRIGGER metrics_history ON metrics;
DROP FUNCTION nexus_history_checkpoint_settings();
DROP FUNCTION nexus_history_metrics();
