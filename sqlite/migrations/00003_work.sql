-- The work loop: which tasks can be handed out, and who works on what.
--
-- What follows from the nine tables is kept by triggers, so it is right whoever
-- writes them:
--   task_dependencies          tasks.depends_on, one row an edge
--   tasks.open_dependencies    how many of them are neither completed nor skipped; a
--                              task that does not exist counts as open
--   features, sub_features     .task_count, .open_task_count, .completed_task_count: their
--                              tasks, from which status and completed_tasks follow
--   agents                     what an agent holds and has done, from task_attempts
--
-- A task has ended when it is completed or skipped. Columns that end in _us are
-- microseconds since 1970-01-01 UTC.

-- +goose Up
ALTER TABLE tasks ADD COLUMN max_attempts INTEGER NOT NULL DEFAULT 3;
ALTER TABLE tasks ADD COLUMN failed_attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN open_dependencies INTEGER NOT NULL DEFAULT 0;
ALTER TABLE features ADD COLUMN task_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE features ADD COLUMN open_task_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE features ADD COLUMN completed_task_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE features ADD COLUMN tasks_changed_us INTEGER NOT NULL DEFAULT 0; -- when one of them last changed
ALTER TABLE sub_features ADD COLUMN task_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sub_features ADD COLUMN open_task_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sub_features ADD COLUMN completed_task_count INTEGER NOT NULL DEFAULT 0;

-- A revision counts changes that somebody has made. What follows from them
-- (open_dependencies, counts of tasks) and signs of life (last_activity_at) are
-- none: they would make everybody's edits stale.
DROP TRIGGER tasks_revision;
DROP TRIGGER features_revision;
DROP TRIGGER sub_features_revision;
DROP TRIGGER agents_revision;

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

-- +goose StatementBegin
CREATE TRIGGER agents_revision AFTER UPDATE OF
    id, type, status, current_task_id, worktree_path, branch_name, tokens_used, tasks_completed, tasks_failed,
    spawned_at, terminated_at, termination_reason
ON agents WHEN NEW.revision = OLD.revision
BEGIN
    UPDATE agents SET revision = OLD.revision + 1 WHERE rowid = NEW.rowid;
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

-- An attempt is one agent's work on a task, from its claim until it ends. Its
-- epoch is never used again, and grows from claim to claim, so it fences off
-- whoever comes back after the task was given to another. While ended_us is NULL
-- the agent holds the task, until lease_until_us at least.
CREATE TABLE task_attempts (
    epoch          INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id        TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE ON UPDATE CASCADE,
    agent_id       TEXT NOT NULL,
    claimed_us     INTEGER NOT NULL,
    lease_us       INTEGER NOT NULL, -- length of the lease
    lease_until_us INTEGER NOT NULL,
    process        TEXT,             -- what runs it, if that is known
    progress       TEXT,             -- JSON
    ended_us       INTEGER,
    outcome        TEXT,             -- completed, failed, released, blocked, skipped, escalated, expired
    reason         TEXT,
    evidence       TEXT              -- JSON
);
CREATE INDEX idx_task_attempts_task ON task_attempts (task_id, epoch);
CREATE INDEX idx_task_attempts_lease ON task_attempts (lease_until_us) WHERE ended_us IS NULL;
CREATE INDEX idx_task_attempts_agent ON task_attempts (agent_id, epoch) WHERE ended_us IS NULL;
-- One winner, whatever else goes wrong.
CREATE UNIQUE INDEX idx_task_attempts_open ON task_attempts (task_id) WHERE ended_us IS NULL;

-- What calls with an idempotency key have returned. request is a SHA-256.
CREATE TABLE idempotency_keys (
    key        TEXT PRIMARY KEY NOT NULL,
    request    TEXT NOT NULL,
    result     TEXT NOT NULL,
    created_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX idx_idempotency_keys_created ON idempotency_keys (created_us);

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

-- The tasks that can be handed out, best first. Nothing else is in it, so finding
-- one costs the same however many others there are.
CREATE INDEX idx_tasks_ready ON tasks (project_id, priority, created_at, id)
WHERE status = 'pending' AND open_dependencies = 0 AND coalesce(blocked_by, '') = '';

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
    SELECT DISTINCT task_id, depends_on FROM task_dependency_lists WHERE task_id = NEW.id;
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

-- A task that others have been waiting for, perhaps in place of another.
-- +goose StatementBegin
CREATE TRIGGER tasks_insert_dependents AFTER INSERT ON tasks
WHEN EXISTS (SELECT 1 FROM task_dependencies WHERE depends_on = NEW.id)
BEGIN
    UPDATE tasks SET open_dependencies = (
        SELECT count(*) FROM task_dependencies e
        WHERE e.task_id = tasks.id AND NOT EXISTS (
            SELECT 1 FROM tasks d WHERE d.id = e.depends_on AND d.status IN ('completed', 'skipped')))
    WHERE id IN (SELECT task_id FROM task_dependencies WHERE depends_on = NEW.id);
END;
-- +goose StatementEnd

-- open_dependencies may come with it from a program that stores whole rows.
-- +goose StatementBegin
CREATE TRIGGER tasks_update_edges AFTER UPDATE OF id, depends_on ON tasks
WHEN NEW.id IS NOT OLD.id OR NEW.depends_on IS NOT OLD.depends_on OR NEW.open_dependencies IS NOT OLD.open_dependencies
BEGIN
    DELETE FROM task_dependencies WHERE task_id = OLD.id;
    INSERT INTO task_dependencies (task_id, depends_on)
    SELECT DISTINCT task_id, depends_on FROM task_dependency_lists WHERE task_id = NEW.id;
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

-- Counts of tasks. A change within one feature is one step, so that nobody sees the
-- feature without the task in between.

-- +goose StatementBegin
CREATE TRIGGER tasks_replaced AFTER INSERT ON tasks
WHEN EXISTS (SELECT 1 FROM replaced_tasks WHERE id = NEW.id)
BEGIN
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

-- +goose StatementBegin
CREATE TRIGGER tasks_insert_feature AFTER INSERT ON tasks WHEN NEW.feature_id IS NOT NULL
BEGIN
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
CREATE TRIGGER tasks_insert_sub_feature AFTER INSERT ON tasks WHEN NEW.sub_feature_id IS NOT NULL
BEGIN
    UPDATE sub_features SET
        task_count = task_count + 1,
        open_task_count = open_task_count + (NEW.status NOT IN ('completed', 'skipped')),
        completed_task_count = completed_task_count + (NEW.status = 'completed')
    WHERE id = NEW.sub_feature_id;
END;
-- +goose StatementEnd

-- A task ends or begins again. Within one feature that is one step, so that nobody
-- sees the feature without the task in between.
-- +goose StatementBegin
CREATE TRIGGER tasks_update_dependents AFTER UPDATE OF status ON tasks
WHEN (OLD.status IN ('completed', 'skipped')) <> (NEW.status IN ('completed', 'skipped')) AND NEW.id IS OLD.id
    AND EXISTS (SELECT 1 FROM task_dependencies WHERE depends_on = NEW.id)
BEGIN
    UPDATE tasks SET open_dependencies = open_dependencies + CASE WHEN NEW.status IN ('completed', 'skipped') THEN -1 ELSE 1 END
    WHERE id IN (SELECT task_id FROM task_dependencies WHERE depends_on = NEW.id);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_update_feature AFTER UPDATE OF status ON tasks
WHEN NEW.feature_id IS NOT NULL AND NEW.feature_id IS OLD.feature_id AND OLD.status <> NEW.status
    AND (OLD.status IN ('completed', 'skipped') OR NEW.status IN ('completed', 'skipped'))
BEGIN
    UPDATE features SET
        open_task_count = open_task_count + (NEW.status NOT IN ('completed', 'skipped')) - (OLD.status NOT IN ('completed', 'skipped')),
        completed_task_count = completed_task_count + (NEW.status = 'completed') - (OLD.status = 'completed'),
        completed_tasks = completed_task_count + (NEW.status = 'completed') - (OLD.status = 'completed'),
        tasks_changed_us = NEW.updated_at * 1000000
    WHERE id = NEW.feature_id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_update_sub_feature AFTER UPDATE OF status ON tasks
WHEN NEW.sub_feature_id IS NOT NULL AND NEW.sub_feature_id IS OLD.sub_feature_id AND OLD.status <> NEW.status
    AND (OLD.status IN ('completed', 'skipped') OR NEW.status IN ('completed', 'skipped'))
BEGIN
    UPDATE sub_features SET
        open_task_count = open_task_count + (NEW.status NOT IN ('completed', 'skipped')) - (OLD.status NOT IN ('completed', 'skipped')),
        completed_task_count = completed_task_count + (NEW.status = 'completed') - (OLD.status = 'completed')
    WHERE id = NEW.sub_feature_id;
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

-- A trigger whose WHEN is false costs less than an UPDATE within it that finds
-- nothing; hence the EXISTS.

-- Features and sub-features. They begin with their first task and are done with
-- their last; a task that is added or reopened makes a done one go on. Reviews are
-- people's business, and so is every status that Nexus does not know.

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

-- +goose StatementBegin
CREATE TRIGGER tasks_start AFTER UPDATE OF status ON tasks
WHEN NEW.status = 'in_progress' AND OLD.status <> 'in_progress' AND (
    EXISTS (SELECT 1 FROM features WHERE id = NEW.feature_id AND status IN ('backlog', 'planning'))
    OR EXISTS (SELECT 1 FROM sub_features WHERE id = NEW.sub_feature_id AND status IN ('backlog', 'planning')))
BEGIN
    UPDATE features SET status = 'in_progress', updated_at = max(updated_at, NEW.updated_at), revision = revision + 1
    WHERE id = NEW.feature_id AND status IN ('backlog', 'planning');
    UPDATE sub_features SET status = 'in_progress', revision = revision + 1
    WHERE id = NEW.sub_feature_id AND status IN ('backlog', 'planning');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_insert_started AFTER INSERT ON tasks
WHEN NEW.status = 'in_progress' AND (
    EXISTS (SELECT 1 FROM features WHERE id = NEW.feature_id AND status IN ('backlog', 'planning'))
    OR EXISTS (SELECT 1 FROM sub_features WHERE id = NEW.sub_feature_id AND status IN ('backlog', 'planning')))
BEGIN
    UPDATE features SET status = 'in_progress', updated_at = max(updated_at, NEW.updated_at), revision = revision + 1
    WHERE id = NEW.feature_id AND status IN ('backlog', 'planning');
    UPDATE sub_features SET status = 'in_progress', revision = revision + 1
    WHERE id = NEW.sub_feature_id AND status IN ('backlog', 'planning');
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

-- Attempts and agents.

-- Somebody else has taken the task from the agent that holds it. A status that
-- Nexus does not know may be a stage of another program's work on it. A task that
-- is renamed takes its attempts along; one that it replaces had its own.
-- +goose StatementBegin
CREATE TRIGGER tasks_end_attempt AFTER UPDATE OF id, status, assigned_agent ON tasks
WHEN (OLD.status <> NEW.status AND NEW.status IN ('pending', 'blocked', 'completed', 'failed', 'skipped', 'escalated', 'cancelled')
        OR OLD.assigned_agent IS NOT NEW.assigned_agent OR OLD.id IS NOT NEW.id)
    AND EXISTS (SELECT 1 FROM task_attempts WHERE task_id IN (OLD.id, NEW.id) AND ended_us IS NULL)
BEGIN
    UPDATE task_attempts SET
        ended_us = max(claimed_us, NEW.updated_at * 1000000),
        outcome = CASE
            WHEN NEW.status IN ('blocked', 'completed', 'failed', 'skipped', 'escalated') THEN NEW.status
            WHEN NEW.status = 'cancelled' THEN 'skipped'
            ELSE 'released'
        END
    WHERE task_id IN (OLD.id, NEW.id) AND ended_us IS NULL
        AND (NEW.status IN ('pending', 'blocked', 'completed', 'failed', 'skipped', 'escalated', 'cancelled')
            OR agent_id IS NOT NEW.assigned_agent);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_rename_attempts AFTER UPDATE OF id ON tasks WHEN OLD.id IS NOT NEW.id
BEGIN
    UPDATE task_attempts SET task_id = NEW.id WHERE task_id = OLD.id;
END;
-- +goose StatementEnd

-- INSERT OR REPLACE, of a program that does not enforce foreign keys: then the
-- attempts at the old row are there still.
-- +goose StatementBegin
CREATE TRIGGER tasks_insert_attempt AFTER INSERT ON tasks
WHEN EXISTS (SELECT 1 FROM task_attempts WHERE task_id = NEW.id AND ended_us IS NULL)
BEGIN
    UPDATE task_attempts SET
        ended_us = max(claimed_us, NEW.updated_at * 1000000),
        outcome = CASE
            WHEN NEW.status IN ('blocked', 'completed', 'failed', 'skipped', 'escalated') THEN NEW.status
            WHEN NEW.status = 'cancelled' THEN 'skipped'
            ELSE 'released'
        END
    WHERE task_id = NEW.id AND ended_us IS NULL
        AND (NEW.status IN ('pending', 'blocked', 'completed', 'failed', 'skipped', 'escalated', 'cancelled')
            OR agent_id IS NOT NEW.assigned_agent);
END;
-- +goose StatementEnd

-- Of such a program, too: an attempt without its task could never be ended.
-- +goose StatementBegin
CREATE TRIGGER tasks_delete_attempts AFTER DELETE ON tasks
BEGIN
    DELETE FROM task_attempts WHERE task_id = OLD.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER task_attempts_end AFTER UPDATE OF ended_us ON task_attempts WHEN OLD.ended_us IS NULL AND NEW.ended_us IS NOT NULL
BEGIN
    UPDATE agents SET
        tasks_completed = coalesce(tasks_completed, 0) + (NEW.outcome = 'completed'),
        tasks_failed = coalesce(tasks_failed, 0) + (NEW.outcome IN ('failed', 'expired')),
        current_task_id = (SELECT task_id FROM task_attempts WHERE agent_id = NEW.agent_id AND ended_us IS NULL ORDER BY epoch DESC LIMIT 1),
        status = CASE
            WHEN status IN ('assigned', 'working', 'waiting')
                AND NOT EXISTS (SELECT 1 FROM task_attempts WHERE agent_id = NEW.agent_id AND ended_us IS NULL) THEN 'idle'
            ELSE status
        END,
        last_activity_at = CASE WHEN NEW.outcome = 'expired' THEN last_activity_at ELSE max(last_activity_at, NEW.ended_us / 1000000) END,
        revision = revision + 1
    WHERE id = NEW.agent_id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER task_attempts_delete AFTER DELETE ON task_attempts WHEN OLD.ended_us IS NULL
BEGIN
    UPDATE agents SET
        current_task_id = (SELECT task_id FROM task_attempts WHERE agent_id = OLD.agent_id AND ended_us IS NULL ORDER BY epoch DESC LIMIT 1),
        status = CASE
            WHEN status IN ('assigned', 'working', 'waiting')
                AND NOT EXISTS (SELECT 1 FROM task_attempts WHERE agent_id = OLD.agent_id AND ended_us IS NULL) THEN 'idle'
            ELSE status
        END,
        revision = revision + 1
    WHERE id = OLD.agent_id;
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER task_attempts_delete;
DROP TRIGGER task_attempts_end;
DROP TRIGGER tasks_delete_attempts;
DROP TRIGGER tasks_insert_attempt;
DROP TRIGGER tasks_rename_attempts;
DROP TRIGGER tasks_end_attempt;
DROP TRIGGER features_update_counted;
DROP TRIGGER sub_features_insert_counted;
DROP TRIGGER features_insert_counted;
DROP TRIGGER tasks_insert_started;
DROP TRIGGER tasks_start;
DROP TRIGGER sub_features_follow;
DROP TRIGGER features_follow;
DROP TRIGGER tasks_delete_counts;
DROP TRIGGER tasks_move_sub_feature;
DROP TRIGGER tasks_move_feature;
DROP TRIGGER tasks_update_sub_feature;
DROP TRIGGER tasks_update_feature;
DROP TRIGGER tasks_update_dependents;
DROP TRIGGER tasks_insert_sub_feature;
DROP TRIGGER tasks_insert_feature;
DROP TRIGGER tasks_replaced;
DROP TRIGGER tasks_delete_edges;
DROP TRIGGER tasks_update_edges;
DROP TRIGGER tasks_insert_dependents;
DROP TRIGGER tasks_insert_edges;
DROP TRIGGER tasks_insert_before;
DROP INDEX idx_tasks_ready;
DROP TABLE replaced_tasks;
DROP TABLE idempotency_keys;
DROP TABLE task_attempts;
DROP VIEW task_dependency_lists;
DROP TABLE task_dependencies;
DROP TRIGGER agents_revision;
DROP TRIGGER sub_features_revision;
DROP TRIGGER features_revision;
DROP TRIGGER tasks_revision;

ALTER TABLE sub_features DROP COLUMN completed_task_count;
ALTER TABLE sub_features DROP COLUMN open_task_count;
ALTER TABLE sub_features DROP COLUMN task_count;
ALTER TABLE features DROP COLUMN tasks_changed_us;
ALTER TABLE features DROP COLUMN completed_task_count;
ALTER TABLE features DROP COLUMN open_task_count;
ALTER TABLE features DROP COLUMN task_count;
ALTER TABLE tasks DROP COLUMN open_dependencies;
ALTER TABLE tasks DROP COLUMN failed_attempts;
ALTER TABLE tasks DROP COLUMN max_attempts;

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

-- +goose StatementBegin
CREATE TRIGGER agents_revision AFTER UPDATE ON agents WHEN NEW.revision = OLD.revision
BEGIN
    UPDATE agents SET revision = OLD.revision + 1 WHERE rowid = NEW.rowid;
END;
-- +goose StatementEnd
