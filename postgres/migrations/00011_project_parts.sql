-- What goes with a project, and is in no history of its own, is kept when the project is
-- deleted: its metrics, and which checkpoints are made by themselves. What is deleted while
-- the project stays is not.

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

CREATE CONSTRAINT TRIGGER metrics_history AFTER DELETE ON metrics
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_metrics();

CREATE CONSTRAINT TRIGGER checkpoint_settings_history AFTER DELETE ON checkpoint_settings
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_checkpoint_settings();

-- +goose Down
DROP TRIGGER checkpoint_settings_history ON checkpoint_settings;
DROP TRIGGER metrics_history ON metrics;
DROP FUNCTION nexus_history_checkpoint_settings();
DROP FUNCTION nexus_history_metrics();
