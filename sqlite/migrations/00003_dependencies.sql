-- What depends on what, and what follows from the tasks for features.
--
-- It is kept by triggers, so it is right whoever writes the nine tables:
--   task_dependencies          tasks.depends_on, one row an edge
--   tasks.open_dependencies    how many of them are neither completed nor skipped; a
--                              task that does not exist counts as open
--   features, sub_features     .task_count, .open_task_count, .completed_task_count: their
--                              tasks, from which status and completed_tasks follow
--
-- A task has ended when it is completed or skipped. Columns that end in _us are
-- microseconds since 1970-01-01 UTC.
--
-- What it costs SQLite: a trigger whose WHEN is false, a microsecond, like one with
-- an empty body; hence few of them, and in their bodies conditions that need no
-- table first, before which SQLite does not even open it. IN with more than two
-- values, five microseconds, for a table that it makes of them each time.

-- +goose Up
ALTER TABLE tasks ADD COLUMN open_dependencies INTEGER NOT NULL DEFAULT 0;
ALTER TABLE features ADD COLUMN task_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE features ADD COLUMN open_task_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE features ADD COLUMN completed_task_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE features ADD COLUMN tasks_changed_us INTEGER NOT NULL DEFAULT 0; -- when one of them last changed
ALTER TABLE sub_features ADD COLUMN task_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sub_features ADD COLUMN open_task_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sub_features ADD COLUMN completed_task_count INTEGER NOT NULL DEFAULT 0;

-- A revision counts changes that somebody has made. What follows from them is
-- none: it would make everybody's edits stale.
DROP TRIGGER tasks_revision;
DROP TRIGGER features_revision;
DROP TRIGGER sub_features_revision;

-- +goose StatementBegin
CREATE TRIGGER tasks_revision AFTER UPDATE OF
    id, project_id, feature_id, sub_feature_id, name, description, status, size, assigned_agent, worktree_path,
    branch_name, depends_on, blocked_by, qa_iterations, max_iterations, estimated_minutes, actual_minutes, started_at,
    completed_at, created_at, updated_at, plan_key, priority, metadata
ON tasks WHEN NEW.revision = OLD.revision
BEGIN
    UPDATE tasks SET revision = OLD.revision + 1 WHERE rowid = NEW.rowid;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER features_revision AFTER UPDATE OF
    id, project_id, name, description, priority, status, estimated_tasks, created_at, updated_at, plan_key
ON features WHEN NEW.revision = OLD.revision
BEGIN
    UPDATE features SET revision = OLD.revision + 1 WHERE rowid = NEW.rowid;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sub_features_revision AFTER UPDATE OF
    id, feature_id, name, description, status, created_at, plan_key
ON sub_features WHEN NEW.revision = OLD.revision
BEGIN
    UPDATE sub_features SET revision = OLD.revision + 1 WHERE rowid = NEW.rowid;
END;
-- +goose StatementEnd

-- No foreign keys: depends_on may name a task that is not there (yet).
CREATE TABLE task_dependencies (
    task_id    TEXT NOT NULL,
    depends_on TEXT NOT NULL,
    PRIMARY KEY (task_id, depends_on)
) WITHOUT ROWID;
CREATE INDEX idx_task_dependencies_on ON task_dependencies (depends_on, task_id);

-- tasks.depends_on as rows. It reads whatever a program may have put there: what
-- is no JSON array is one id, and null or nothing is none.
CREATE VIEW task_dependency_lists AS
SELECT
    t.id AS task_id,
    CASE item.type WHEN 'null' THEN 'null' WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST(item.value AS TEXT) END AS depends_on
FROM tasks t, json_each(CASE
    WHEN coalesce(t.depends_on, '') = '' THEN '[]'
    WHEN typeof(t.depends_on) <> 'text' OR NOT json_valid(t.depends_on) THEN json_array(CAST(t.depends_on AS TEXT))
    WHEN json_type(t.depends_on) = 'array' THEN t.depends_on
    WHEN json_type(t.depends_on) = 'null' THEN '[]'
    ELSE json_array(t.depends_on)
END) item;

-- INSERT OR REPLACE deletes a row without a word to triggers; what it was is kept
-- here from before the insert until after it.
CREATE TABLE replaced_tasks (
    id             TEXT PRIMARY KEY NOT NULL,
    feature_id     TEXT,
    sub_feature_id TEXT,
    status         TEXT
) WITHOUT ROWID;

-- What is there already.
INSERT INTO task_dependencies (task_id, depends_on) SELECT DISTINCT task_id, depends_on FROM task_dependency_lists;
UPDATE tasks SET open_dependencies = (
    SELECT count(*) FROM task_dependencies e
    WHERE e.task_id = tasks.id AND NOT EXISTS (
        SELECT 1 FROM tasks d WHERE d.id = e.depends_on AND d.status IN ('completed', 'skipped')))
WHERE id IN (SELECT task_id FROM task_dependencies);
UPDATE features SET (task_count, open_task_count, completed_task_count) = (
    SELECT count(*), coalesce(sum(status NOT IN ('completed', 'skipped')), 0), coalesce(sum(status = 'completed'), 0)
    FROM tasks WHERE feature_id = features.id)
WHERE id IN (SELECT feature_id FROM tasks);
UPDATE sub_features SET (task_count, open_task_count, completed_task_count) = (
    SELECT count(*), coalesce(sum(status NOT IN ('completed', 'skipped')), 0), coalesce(sum(status = 'completed'), 0)
    FROM tasks WHERE sub_feature_id = sub_features.id)
WHERE id IN (SELECT sub_feature_id FROM tasks);

-- Dependencies.

-- +goose StatementBegin
CREATE TRIGGER tasks_insert_before BEFORE INSERT ON tasks
WHEN EXISTS (SELECT 1 FROM tasks WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM replaced_tasks)
BEGIN
    DELETE FROM replaced_tasks WHERE id IS NOT NULL; -- without a condition it would write an empty page
    INSERT INTO replaced_tasks (id, feature_id, sub_feature_id, status)
    SELECT id, feature_id, sub_feature_id, status FROM tasks WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_insert_edges AFTER INSERT ON tasks
WHEN NEW.depends_on IS NOT NULL OR NEW.open_dependencies <> 0 OR EXISTS (SELECT 1 FROM task_dependencies WHERE task_id = NEW.id)
BEGIN
    DELETE FROM task_dependencies WHERE task_id = NEW.id;
    INSERT INTO task_dependencies (task_id, depends_on)
    SELECT task_id, depends_on FROM task_dependency_lists WHERE task_id = NEW.id
    ON CONFLICT DO NOTHING;
    UPDATE tasks SET open_dependencies = (
        SELECT count(*) FROM task_dependencies e
        WHERE e.task_id = NEW.id AND NOT EXISTS (
            SELECT 1 FROM tasks d WHERE d.id = e.depends_on AND d.status IN ('completed', 'skipped')))
    WHERE id = NEW.id AND open_dependencies <> (
        SELECT count(*) FROM task_dependencies e
        WHERE e.task_id = NEW.id AND NOT EXISTS (
            SELECT 1 FROM tasks d WHERE d.id = e.depends_on AND d.status IN ('completed', 'skipped')));
END;
-- +goose StatementEnd

-- A task that others have been waiting for, or in place of another.
-- +goose StatementBegin
CREATE TRIGGER tasks_insert_known AFTER INSERT ON tasks
WHEN EXISTS (SELECT 1 FROM task_dependencies WHERE depends_on = NEW.id) OR EXISTS (SELECT 1 FROM replaced_tasks WHERE id = NEW.id)
BEGIN
    UPDATE tasks SET open_dependencies = (
        SELECT count(*) FROM task_dependencies e
        WHERE e.task_id = tasks.id AND NOT EXISTS (
            SELECT 1 FROM tasks d WHERE d.id = e.depends_on AND d.status IN ('completed', 'skipped')))
    WHERE id IN (SELECT task_id FROM task_dependencies WHERE depends_on = NEW.id);
    UPDATE features SET
        task_count = task_count - 1,
        open_task_count = open_task_count - (SELECT status NOT IN ('completed', 'skipped') FROM replaced_tasks WHERE id = NEW.id),
        completed_task_count = completed_task_count - (SELECT status = 'completed' FROM replaced_tasks WHERE id = NEW.id),
        completed_tasks = completed_task_count - (SELECT status = 'completed' FROM replaced_tasks WHERE id = NEW.id)
    WHERE id = (SELECT feature_id FROM replaced_tasks WHERE id = NEW.id);
    UPDATE sub_features SET
        task_count = task_count - 1,
        open_task_count = open_task_count - (SELECT status NOT IN ('completed', 'skipped') FROM replaced_tasks WHERE id = NEW.id),
        completed_task_count = completed_task_count - (SELECT status = 'completed' FROM replaced_tasks WHERE id = NEW.id)
    WHERE id = (SELECT sub_feature_id FROM replaced_tasks WHERE id = NEW.id);
    DELETE FROM replaced_tasks WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- open_dependencies may come with it from a program that stores whole rows.
-- +goose StatementBegin
CREATE TRIGGER tasks_update_edges AFTER UPDATE OF id, depends_on ON tasks
WHEN NEW.id IS NOT OLD.id OR NEW.depends_on IS NOT OLD.depends_on OR NEW.open_dependencies IS NOT OLD.open_dependencies
BEGIN
    DELETE FROM task_dependencies WHERE task_id = OLD.id;
    INSERT INTO task_dependencies (task_id, depends_on)
    SELECT task_id, depends_on FROM task_dependency_lists WHERE task_id = NEW.id
    ON CONFLICT DO NOTHING;
    UPDATE tasks SET open_dependencies = (
        SELECT count(*) FROM task_dependencies e
        WHERE e.task_id = tasks.id AND NOT EXISTS (
            SELECT 1 FROM tasks d WHERE d.id = e.depends_on AND d.status IN ('completed', 'skipped')))
    WHERE id = NEW.id OR NEW.id IS NOT OLD.id AND id IN (
        SELECT task_id FROM task_dependencies WHERE depends_on IN (OLD.id, NEW.id));
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_delete_edges AFTER DELETE ON tasks
BEGIN
    DELETE FROM replaced_tasks WHERE id = OLD.id; -- with PRAGMA recursive_triggers a replaced row comes by here
    DELETE FROM task_dependencies WHERE task_id = OLD.id;
    UPDATE tasks SET open_dependencies = open_dependencies + 1
    WHERE OLD.status IN ('completed', 'skipped') AND id IN (SELECT task_id FROM task_dependencies WHERE depends_on = OLD.id);
END;
-- +goose StatementEnd

-- A task ends or begins again.
-- +goose StatementBegin
CREATE TRIGGER tasks_update_dependents AFTER UPDATE OF status ON tasks
WHEN (OLD.status IN ('completed', 'skipped')) <> (NEW.status IN ('completed', 'skipped')) AND NEW.id IS OLD.id
    AND EXISTS (SELECT 1 FROM task_dependencies WHERE depends_on = NEW.id)
BEGIN
    UPDATE tasks SET open_dependencies = open_dependencies + CASE WHEN NEW.status IN ('completed', 'skipped') THEN -1 ELSE 1 END
    WHERE id IN (SELECT task_id FROM task_dependencies WHERE depends_on = NEW.id);
END;
-- +goose StatementEnd

-- Counts of tasks. A change within one feature is one step, so that nobody sees the
-- feature without the task in between. A feature begins with its first task.

-- +goose StatementBegin
CREATE TRIGGER tasks_insert_counts AFTER INSERT ON tasks WHEN NEW.feature_id IS NOT NULL OR NEW.sub_feature_id IS NOT NULL
BEGIN
    UPDATE features SET
        task_count = task_count + 1,
        open_task_count = open_task_count + (NEW.status NOT IN ('completed', 'skipped')),
        completed_task_count = completed_task_count + (NEW.status = 'completed'),
        completed_tasks = completed_task_count + (NEW.status = 'completed'),
        tasks_changed_us = NEW.updated_at * 1000000
    WHERE NEW.feature_id IS NOT NULL AND id = NEW.feature_id;
    UPDATE sub_features SET
        task_count = task_count + 1,
        open_task_count = open_task_count + (NEW.status NOT IN ('completed', 'skipped')),
        completed_task_count = completed_task_count + (NEW.status = 'completed')
    WHERE NEW.sub_feature_id IS NOT NULL AND id = NEW.sub_feature_id;
    UPDATE features SET status = 'in_progress', updated_at = max(updated_at, NEW.updated_at), revision = revision + 1
    WHERE NEW.status = 'in_progress' AND id = NEW.feature_id AND status IN ('backlog', 'planning');
    UPDATE sub_features SET status = 'in_progress', revision = revision + 1
    WHERE NEW.status = 'in_progress' AND id = NEW.sub_feature_id AND status IN ('backlog', 'planning');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_update_counts AFTER UPDATE OF status ON tasks
WHEN OLD.status <> NEW.status AND (NEW.feature_id IS NOT NULL OR NEW.sub_feature_id IS NOT NULL)
    AND (OLD.status IN ('completed', 'skipped') OR NEW.status IN ('completed', 'skipped') OR NEW.status = 'in_progress')
BEGIN
    UPDATE features SET
        open_task_count = open_task_count + (NEW.status NOT IN ('completed', 'skipped')) - (OLD.status NOT IN ('completed', 'skipped')),
        completed_task_count = completed_task_count + (NEW.status = 'completed') - (OLD.status = 'completed'),
        completed_tasks = completed_task_count + (NEW.status = 'completed') - (OLD.status = 'completed'),
        tasks_changed_us = NEW.updated_at * 1000000
    WHERE (OLD.status IN ('completed', 'skipped') OR NEW.status IN ('completed', 'skipped'))
        AND NEW.feature_id IS OLD.feature_id AND id = NEW.feature_id;
    UPDATE sub_features SET
        open_task_count = open_task_count + (NEW.status NOT IN ('completed', 'skipped')) - (OLD.status NOT IN ('completed', 'skipped')),
        completed_task_count = completed_task_count + (NEW.status = 'completed') - (OLD.status = 'completed')
    WHERE (OLD.status IN ('completed', 'skipped') OR NEW.status IN ('completed', 'skipped'))
        AND NEW.sub_feature_id IS NOT NULL AND NEW.sub_feature_id IS OLD.sub_feature_id AND id = NEW.sub_feature_id;
    UPDATE features SET status = 'in_progress', updated_at = max(updated_at, NEW.updated_at), revision = revision + 1
    WHERE NEW.status = 'in_progress' AND id = NEW.feature_id AND status IN ('backlog', 'planning');
    UPDATE sub_features SET status = 'in_progress', revision = revision + 1
    WHERE NEW.status = 'in_progress' AND NEW.sub_feature_id IS NOT NULL
        AND id = NEW.sub_feature_id AND status IN ('backlog', 'planning');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_move_feature AFTER UPDATE OF feature_id ON tasks WHEN NEW.feature_id IS NOT OLD.feature_id
BEGIN
    UPDATE features SET
        task_count = task_count - 1,
        open_task_count = open_task_count - (OLD.status NOT IN ('completed', 'skipped')),
        completed_task_count = completed_task_count - (OLD.status = 'completed'),
        completed_tasks = completed_task_count - (OLD.status = 'completed'),
        tasks_changed_us = NEW.updated_at * 1000000
    WHERE id = OLD.feature_id;
    UPDATE features SET
        task_count = task_count + 1,
        open_task_count = open_task_count + (NEW.status NOT IN ('completed', 'skipped')),
        completed_task_count = completed_task_count + (NEW.status = 'completed'),
        completed_tasks = completed_task_count + (NEW.status = 'completed'),
        tasks_changed_us = NEW.updated_at * 1000000
    WHERE id = NEW.feature_id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_move_sub_feature AFTER UPDATE OF sub_feature_id ON tasks WHEN NEW.sub_feature_id IS NOT OLD.sub_feature_id
BEGIN
    UPDATE sub_features SET
        task_count = task_count - 1,
        open_task_count = open_task_count - (OLD.status NOT IN ('completed', 'skipped')),
        completed_task_count = completed_task_count - (OLD.status = 'completed')
    WHERE id = OLD.sub_feature_id;
    UPDATE sub_features SET
        task_count = task_count + 1,
        open_task_count = open_task_count + (NEW.status NOT IN ('completed', 'skipped')),
        completed_task_count = completed_task_count + (NEW.status = 'completed')
    WHERE id = NEW.sub_feature_id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_delete_counts AFTER DELETE ON tasks WHEN OLD.feature_id IS NOT NULL OR OLD.sub_feature_id IS NOT NULL
BEGIN
    UPDATE features SET
        task_count = task_count - 1,
        open_task_count = open_task_count - (OLD.status NOT IN ('completed', 'skipped')),
        completed_task_count = completed_task_count - (OLD.status = 'completed'),
        completed_tasks = completed_task_count - (OLD.status = 'completed')
    WHERE id = OLD.feature_id;
    UPDATE sub_features SET
        task_count = task_count - 1,
        open_task_count = open_task_count - (OLD.status NOT IN ('completed', 'skipped')),
        completed_task_count = completed_task_count - (OLD.status = 'completed')
    WHERE id = OLD.sub_feature_id;
END;
-- +goose StatementEnd

-- Features and sub-features are done with their last task; a task that is added or
-- reopened makes a done one go on. Reviews are people's business, and so is every
-- status that Nexus does not know.

-- +goose StatementBegin
CREATE TRIGGER features_follow AFTER UPDATE OF task_count, open_task_count, completed_task_count ON features
WHEN NEW.open_task_count = 0 AND NEW.task_count > 0 AND NEW.status IN ('backlog', 'planning', 'in_progress')
    OR NEW.open_task_count > 0 AND NEW.completed_task_count > OLD.completed_task_count AND NEW.status IN ('backlog', 'planning')
    OR NEW.open_task_count > OLD.open_task_count AND NEW.status = 'done'
BEGIN
    UPDATE features SET
        status = CASE NEW.open_task_count WHEN 0 THEN 'done' ELSE 'in_progress' END,
        updated_at = max(updated_at, NEW.tasks_changed_us / 1000000),
        revision = revision + 1
    WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sub_features_follow AFTER UPDATE OF task_count, open_task_count, completed_task_count ON sub_features
WHEN NEW.open_task_count = 0 AND NEW.task_count > 0 AND NEW.status IN ('backlog', 'planning', 'in_progress')
    OR NEW.open_task_count > 0 AND NEW.completed_task_count > OLD.completed_task_count AND NEW.status IN ('backlog', 'planning')
    OR NEW.open_task_count > OLD.open_task_count AND NEW.status = 'done'
BEGIN
    UPDATE sub_features SET
        status = CASE NEW.open_task_count WHEN 0 THEN 'done' ELSE 'in_progress' END,
        revision = revision + 1
    WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- A feature that is new and has tasks was replaced, or deleted by a program that
-- does not enforce foreign keys.

-- +goose StatementBegin
CREATE TRIGGER features_insert_counted AFTER INSERT ON features
WHEN NEW.task_count <> 0 OR EXISTS (SELECT 1 FROM tasks WHERE feature_id = NEW.id)
BEGIN
    UPDATE features SET (task_count, open_task_count, completed_task_count) = (
        SELECT count(*), coalesce(sum(status NOT IN ('completed', 'skipped')), 0), coalesce(sum(status = 'completed'), 0)
        FROM tasks WHERE feature_id = NEW.id)
    WHERE id = NEW.id;
    UPDATE features SET completed_tasks = completed_task_count WHERE id = NEW.id AND task_count > 0;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sub_features_insert_counted AFTER INSERT ON sub_features
WHEN NEW.task_count <> 0 OR EXISTS (SELECT 1 FROM tasks WHERE sub_feature_id = NEW.id)
BEGIN
    UPDATE sub_features SET (task_count, open_task_count, completed_task_count) = (
        SELECT count(*), coalesce(sum(status NOT IN ('completed', 'skipped')), 0), coalesce(sum(status = 'completed'), 0)
        FROM tasks WHERE sub_feature_id = NEW.id)
    WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- completed_tasks of a feature that has tasks is their count, whatever anybody
-- writes there.

-- +goose StatementBegin
CREATE TRIGGER features_update_counted AFTER UPDATE OF completed_tasks ON features
WHEN NEW.task_count > 0 AND NEW.completed_tasks IS NOT NEW.completed_task_count
BEGIN
    UPDATE features SET completed_tasks = NEW.completed_task_count WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER features_update_counted;
DROP TRIGGER sub_features_insert_counted;
DROP TRIGGER features_insert_counted;
DROP TRIGGER sub_features_follow;
DROP TRIGGER features_follow;
DROP TRIGGER tasks_delete_counts;
DROP TRIGGER tasks_move_sub_feature;
DROP TRIGGER tasks_move_feature;
DROP TRIGGER tasks_update_counts;
DROP TRIGGER tasks_insert_counts;
DROP TRIGGER tasks_update_dependents;
DROP TRIGGER tasks_delete_edges;
DROP TRIGGER tasks_update_edges;
DROP TRIGGER tasks_insert_known;
DROP TRIGGER tasks_insert_edges;
DROP TRIGGER tasks_insert_before;
DROP TRIGGER sub_features_revision;
DROP TRIGGER features_revision;
DROP TRIGGER tasks_revision;
DROP TABLE replaced_tasks;
DROP VIEW task_dependency_lists;
DROP TABLE task_dependencies;

ALTER TABLE sub_features DROP COLUMN completed_task_count;
ALTER TABLE sub_features DROP COLUMN open_task_count;
ALTER TABLE sub_features DROP COLUMN task_count;
ALTER TABLE features DROP COLUMN tasks_changed_us;
ALTER TABLE features DROP COLUMN completed_task_count;
ALTER TABLE features DROP COLUMN open_task_count;
ALTER TABLE features DROP COLUMN task_count;
ALTER TABLE tasks DROP COLUMN open_dependencies;

-- +goose StatementBegin
CREATE TRIGGER features_revision AFTER UPDATE ON features WHEN NEW.revision = OLD.revision
BEGIN
    UPDATE features SET revision = OLD.revision + 1 WHERE rowid = NEW.rowid;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sub_features_revision AFTER UPDATE ON sub_features WHEN NEW.revision = OLD.revision
BEGIN
    UPDATE sub_features SET revision = OLD.revision + 1 WHERE rowid = NEW.rowid;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_revision AFTER UPDATE ON tasks WHEN NEW.revision = OLD.revision
BEGIN
    UPDATE tasks SET revision = OLD.revision + 1 WHERE rowid = NEW.rowid;
END;
-- +goose StatementEnd
