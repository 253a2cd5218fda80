-- The work loop: which tasks can be handed out, and who works on what.
--
-- What follows for agents, .status, .current_task_id, .tasks_completed and
-- .tasks_failed, is kept by triggers from task_attempts.

-- +goose Up
ALTER TABLE tasks ADD COLUMN max_attempts INTEGER NOT NULL DEFAULT 3;
ALTER TABLE tasks ADD COLUMN failed_attempts INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER tasks_revision;
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

-- A sign of life (last_activity_at) is no change that somebody has made; see
-- features_revision.
DROP TRIGGER agents_revision;
-- +goose StatementBegin
CREATE TRIGGER agents_revision AFTER UPDATE OF
    id, type, status, current_task_id, worktree_path, branch_name, tokens_used, tasks_completed, tasks_failed,
    spawned_at, terminated_at, termination_reason
ON agents WHEN NEW.revision = OLD.revision
BEGIN
    UPDATE agents SET revision = OLD.revision + 1 WHERE rowid = NEW.rowid;
END;
-- +goose StatementEnd

-- An attempt is one agent's work on a task, from its claim until it ends. Its
-- epoch is never used again, and grows from claim to claim, so it fences off
-- whoever comes back after the task was given to another. While ended_us is NULL
-- the agent holds the task, until lease_until_us at least.
--
-- SQLite makes a new epoch one more than the largest, so the attempt with that one
-- stays when its task is deleted. AUTOINCREMENT would write a page more at each
-- claim. A foreign key would have INSERT OR REPLACE of a task delete its attempts.
CREATE TABLE task_attempts (
    epoch          INTEGER PRIMARY KEY NOT NULL,
    task_id        TEXT,             -- NULL when the task is deleted
    agent_id       TEXT NOT NULL,
    claimed_us     INTEGER NOT NULL,
    lease_us       INTEGER NOT NULL, -- length of the lease
    lease_until_us INTEGER NOT NULL,
    process        TEXT,             -- what runs it, if that is known
    progress       TEXT,             -- JSON
    ended_us       INTEGER,
    outcome        TEXT,             -- completed, failed, released, blocked, skipped, escalated, expired
    reason         TEXT,
    evidence       TEXT,             -- JSON
    held           INTEGER GENERATED ALWAYS AS (CASE WHEN ended_us IS NULL THEN 1 END) VIRTUAL
);
-- One winner, whatever else goes wrong: an index takes any number of NULLs to be
-- different. It is also how the attempts at a task are found.
CREATE UNIQUE INDEX idx_task_attempts_task ON task_attempts (task_id, held);
CREATE INDEX idx_task_attempts_lease ON task_attempts (lease_until_us) WHERE ended_us IS NULL;
CREATE INDEX idx_task_attempts_agent ON task_attempts (agent_id, epoch) WHERE ended_us IS NULL;

-- What calls with an idempotency key have returned. request is a SHA-256.
CREATE TABLE idempotency_keys (
    key        TEXT PRIMARY KEY NOT NULL,
    request    TEXT NOT NULL,
    result     TEXT NOT NULL,
    created_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX idx_idempotency_keys_created ON idempotency_keys (created_us);

-- The tasks that can be handed out, best first. Nothing else is in it, so finding
-- one costs the same however many others there are.
CREATE INDEX idx_tasks_ready ON tasks (project_id, priority, created_at, id)
WHERE status = 'pending' AND open_dependencies = 0 AND coalesce(blocked_by, '') = '';

-- Somebody else has taken the task from the agent that holds it. A status that
-- Nexus does not know may be a stage of another program's work on it. A task that
-- is renamed takes its attempts along; one that it replaces had its own.
-- +goose StatementBegin
CREATE TRIGGER tasks_end_attempt AFTER UPDATE OF id, status, assigned_agent ON tasks
WHEN (OLD.id IS NOT NEW.id OR EXISTS (SELECT 1 FROM task_attempts WHERE task_id = OLD.id AND held = 1))
    AND (OLD.status <> NEW.status AND NEW.status IN ('pending', 'blocked', 'completed', 'failed', 'skipped', 'escalated', 'cancelled')
        OR OLD.assigned_agent IS NOT NEW.assigned_agent OR OLD.id IS NOT NEW.id)
BEGIN
    UPDATE task_attempts SET
        ended_us = max(claimed_us, NEW.updated_at * 1000000),
        outcome = CASE
            WHEN NEW.status IN ('blocked', 'completed', 'failed', 'skipped', 'escalated') THEN NEW.status
            WHEN NEW.status = 'cancelled' THEN 'skipped'
            ELSE 'released'
        END
    WHERE task_id IN (OLD.id, NEW.id) AND held = 1
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
WHEN EXISTS (SELECT 1 FROM task_attempts WHERE task_id = NEW.id AND held = 1)
BEGIN
    UPDATE task_attempts SET
        ended_us = max(claimed_us, NEW.updated_at * 1000000),
        outcome = CASE
            WHEN NEW.status IN ('blocked', 'completed', 'failed', 'skipped', 'escalated') THEN NEW.status
            WHEN NEW.status = 'cancelled' THEN 'skipped'
            ELSE 'released'
        END
    WHERE task_id = NEW.id AND held = 1
        AND (NEW.status IN ('pending', 'blocked', 'completed', 'failed', 'skipped', 'escalated', 'cancelled')
            OR agent_id IS NOT NEW.assigned_agent);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_delete_attempts AFTER DELETE ON tasks WHEN EXISTS (SELECT 1 FROM task_attempts WHERE task_id = OLD.id)
BEGIN
    DELETE FROM task_attempts
    WHERE (task_id = OLD.id OR task_id IS NULL) AND epoch < (SELECT max(epoch) FROM task_attempts);
    UPDATE task_attempts SET
        task_id = NULL, process = NULL, progress = NULL, evidence = NULL,
        ended_us = coalesce(ended_us, claimed_us), outcome = coalesce(outcome, 'released'),
        reason = CASE WHEN ended_us IS NULL THEN 'its task was deleted' END
    WHERE task_id = OLD.id;
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
            WHEN (status IN ('assigned', 'working') OR status = 'waiting')
                AND NOT EXISTS (SELECT 1 FROM task_attempts WHERE agent_id = NEW.agent_id AND ended_us IS NULL) THEN 'idle'
            ELSE status
        END,
        last_activity_at = CASE
            WHEN NEW.outcome = 'expired' OR NEW.task_id IS NULL THEN last_activity_at
            ELSE max(last_activity_at, NEW.ended_us / 1000000)
        END,
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
            WHEN (status IN ('assigned', 'working') OR status = 'waiting')
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
DROP TRIGGER agents_revision;
DROP TRIGGER tasks_revision;
DROP INDEX idx_tasks_ready;
DROP TABLE idempotency_keys;
DROP TABLE task_attempts;

ALTER TABLE tasks DROP COLUMN failed_attempts;
ALTER TABLE tasks DROP COLUMN max_attempts;

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
CREATE TRIGGER agents_revision AFTER UPDATE ON agents WHEN NEW.revision = OLD.revision
BEGIN
    UPDATE agents SET revision = OLD.revision + 1 WHERE rowid = NEW.rowid;
END;
-- +goose StatementEnd
