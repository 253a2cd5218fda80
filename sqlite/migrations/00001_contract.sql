-- The contract: nine tables that other programs know too. IF NOT EXISTS lets a
-- database that such a program has made be taken over as it is.

-- +goose Up
CREATE TABLE IF NOT EXISTS projects (
    id             TEXT PRIMARY KEY NOT NULL,
    name           TEXT NOT NULL,
    description    TEXT,
    mode           TEXT NOT NULL CHECK (mode IN ('genesis', 'evolution')),
    status         TEXT NOT NULL,
    root_path      TEXT NOT NULL,
    repository_url TEXT,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    completed_at   INTEGER
);

CREATE TABLE IF NOT EXISTS features (
    id              TEXT PRIMARY KEY NOT NULL,
    project_id      TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name            TEXT NOT NULL,
    description     TEXT,
    priority        TEXT NOT NULL DEFAULT 'should',
    status          TEXT NOT NULL DEFAULT 'backlog',
    estimated_tasks INTEGER DEFAULT 0,
    completed_tasks INTEGER DEFAULT 0,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS sub_features (
    id          TEXT PRIMARY KEY NOT NULL,
    feature_id  TEXT NOT NULL REFERENCES features (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    description TEXT,
    status      TEXT NOT NULL DEFAULT 'backlog',
    created_at  INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS tasks (
    id                TEXT PRIMARY KEY NOT NULL,
    project_id        TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    feature_id        TEXT REFERENCES features (id),
    sub_feature_id    TEXT REFERENCES sub_features (id),
    name              TEXT NOT NULL,
    description       TEXT,
    status            TEXT NOT NULL DEFAULT 'pending',
    size              TEXT NOT NULL DEFAULT 'small',
    assigned_agent    TEXT,
    worktree_path     TEXT,
    branch_name       TEXT,
    depends_on        TEXT,
    blocked_by        TEXT,
    qa_iterations     INTEGER DEFAULT 0,
    max_iterations    INTEGER DEFAULT 50,
    estimated_minutes INTEGER DEFAULT 15,
    actual_minutes    INTEGER,
    started_at        INTEGER,
    completed_at      INTEGER,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS agents (
    id                 TEXT PRIMARY KEY NOT NULL,
    type               TEXT NOT NULL,
    status             TEXT NOT NULL DEFAULT 'idle',
    current_task_id    TEXT,
    worktree_path      TEXT,
    branch_name        TEXT,
    tokens_used        INTEGER DEFAULT 0,
    tasks_completed    INTEGER DEFAULT 0,
    tasks_failed       INTEGER DEFAULT 0,
    spawned_at         INTEGER NOT NULL,
    last_activity_at   INTEGER NOT NULL,
    terminated_at      INTEGER,
    termination_reason TEXT
);

CREATE TABLE IF NOT EXISTS checkpoints (
    id         TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name       TEXT,
    reason     TEXT,
    state      TEXT,
    git_commit TEXT,
    created_at INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS requirements (
    id              TEXT PRIMARY KEY NOT NULL,
    project_id      TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    category        TEXT NOT NULL,
    description     TEXT NOT NULL,
    priority        TEXT NOT NULL DEFAULT 'medium',
    source          TEXT,
    linked_features TEXT,
    validated       INTEGER DEFAULT 0,
    created_at      INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS metrics (
    id         TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    agent_id   TEXT,
    task_id    TEXT,
    type       TEXT NOT NULL,
    value      REAL NOT NULL,
    metadata   TEXT,
    timestamp  INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS sessions (
    id         TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    type       TEXT NOT NULL,
    status     TEXT NOT NULL DEFAULT 'active',
    data       TEXT,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER
);

CREATE INDEX IF NOT EXISTS idx_features_project ON features (project_id);
CREATE INDEX IF NOT EXISTS idx_tasks_project ON tasks (project_id);
CREATE INDEX IF NOT EXISTS idx_tasks_status ON tasks (status);
CREATE INDEX IF NOT EXISTS idx_agents_status ON agents (status);
CREATE INDEX IF NOT EXISTS idx_checkpoints_project ON checkpoints (project_id);

-- +goose Down
DROP TABLE sessions;
DROP TABLE metrics;
DROP TABLE requirements;
DROP TABLE checkpoints;
DROP TABLE agents;
DROP TABLE tasks;
DROP TABLE sub_features;
DROP TABLE features;
DROP TABLE projects;
