-- What goes with a project, and is in no history of its own, is kept when the project is
-- deleted: its metrics, and which checkpoints are made by themselves. What is deleted while
-- the project stays is not: its rows are gone before those that refer to it.

-- +goose Up
-- +goose StatementBegin
CREATE TRIGGER metrics_history_delete AFTER DELETE ON metrics WHEN NOT EXISTS (SELECT 1 FROM projects WHERE id = OLD.project_id)
BEGIN
    INSERT INTO history (at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7, v8)
    VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'delete', 'project_metric', OLD.project_id, OLD.project_id, 1,
        OLD.id, OLD.agent_id, OLD.task_id, OLD.type, OLD.value, OLD.metadata, OLD.timestamp, OLD.revision
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER checkpoint_settings_history_delete AFTER DELETE ON checkpoint_settings
WHEN NOT EXISTS (SELECT 1 FROM projects WHERE id = OLD.project_id)
BEGIN
    INSERT INTO history (at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7, v8)
    VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'delete', 'checkpoint_setting', OLD.project_id, OLD.project_id, 1,
        OLD.phase_complete, OLD.feature_complete, OLD.task_failed, OLD.qa_exhausted, OLD.every_minutes, OLD.every_tasks,
        OLD.scheduled_us, OLD.completed_tasks
    );
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER checkpoint_settings_history_delete;
DROP TRIGGER metrics_history_delete;
