-- The contract: nine tables that other programs know too. Types are those of SQLite, so
-- that both keep the same: INTEGER is BIGINT here, REAL is DOUBLE PRECISION. Texts are
-- compared byte by byte, as SQLite does, whatever the database's own collation is.

-- +goose Up
CREATE TABLE projects (
    id             TEXT COLLATE "C" PRIMARY KEY,
    name           TEXT COLLATE "C" NOT NULL,
    description    TEXT COLLATE "C",
    mode           TEXT COLLATE "C" NOT NULL CHECK (mode IN ('genesis', 'evolution')),
    status         TEXT COLLATE "C" NOT NULL,
    root_path      TEXT COLLATE "C" NOT NULL,
    repository_url TEXT COLLATE "C",
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    completed_at   BIGINT
);

CREATE TABLE features (
    id              TEXT COLLATE "C" PRIMARY KEY,
    project_id      TEXT COLLATE "C" NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name            TEXT COLLATE "C" NOT NULL,
    description     TEXT COLLATE "C",
    priority        TEXT COLLATE "C" NOT NULL DEFAULT 'should',
    status          TEXT COLLATE "C" NOT NULL DEFAULT 'backlog',
    estimated_tasks BIGINT DEFAULT 0,
    completed_tasks BIGINT DEFAULT 0,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
);

CREATE TABLE sub_features (
    id          TEXT COLLATE "C" PRIMARY KEY,
    feature_id  TEXT COLLATE "C" NOT NULL REFERENCES features (id) ON DELETE CASCADE,
    name        TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    status      TEXT COLLATE "C" NOT NULL DEFAULT 'backlog',
    created_at  BIGINT NOT NULL
);

CREATE TABLE tasks (
    id                TEXT COLLATE "C" PRIMARY KEY,
    project_id        TEXT COLLATE "C" NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    feature_id        TEXT COLLATE "C" REFERENCES features (id),
    sub_feature_id    TEXT COLLATE "C" REFERENCES sub_features (id),
    name              TEXT COLLATE "C" NOT NULL,
    description       TEXT COLLATE "C",
    status            TEXT COLLATE "C" NOT NULL DEFAULT 'pending',
    size              TEXT COLLATE "C" NOT NULL DEFAULT 'small',
    assigned_agent    TEXT COLLATE "C",
    worktree_path     TEXT COLLATE "C",
    branch_name       TEXT COLLATE "C",
    depends_on        TEXT COLLATE "C",
    blocked_by        TEXT COLLATE "C",
    qa_iterations     BIGINT DEFAULT 0,
    max_iterations    BIGINT DEFAULT 50,
    estimated_minutes BIGINT DEFAULT 15,
    actual_minutes    BIGINT,
    started_at        BIGINT,
    completed_at      BIGINT,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL
);

CREATE TABLE agents (
    id                 TEXT COLLATE "C" PRIMARY KEY,
    type               TEXT COLLATE "C" NOT NULL,
    status             TEXT COLLATE "C" NOT NULL DEFAULT 'idle',
    current_task_id    TEXT COLLATE "C",
    worktree_path      TEXT COLLATE "C",
    branch_name        TEXT COLLATE "C",
    tokens_used        BIGINT DEFAULT 0,
    tasks_completed    BIGINT DEFAULT 0,
    tasks_failed       BIGINT DEFAULT 0,
    spawned_at         BIGINT NOT NULL,
    last_activity_at   BIGINT NOT NULL,
    terminated_at      BIGINT,
    termination_reason TEXT COLLATE "C"
);

CREATE TABLE checkpoints (
    id         TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name       TEXT COLLATE "C",
    reason     TEXT COLLATE "C",
    state      TEXT COLLATE "C",
    git_commit TEXT COLLATE "C",
    created_at BIGINT NOT NULL
);

CREATE TABLE requirements (
    id              TEXT COLLATE "C" PRIMARY KEY,
    project_id      TEXT COLLATE "C" NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    category        TEXT COLLATE "C" NOT NULL,
    description     TEXT COLLATE "C" NOT NULL,
    priority        TEXT COLLATE "C" NOT NULL DEFAULT 'medium',
    source          TEXT COLLATE "C",
    linked_features TEXT COLLATE "C",
    validated       BIGINT DEFAULT 0,
    created_at      BIGINT NOT NULL
);

CREATE TABLE metrics (
    id         TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    agent_id   TEXT COLLATE "C",
    task_id    TEXT COLLATE "C",
    type       TEXT COLLATE "C" NOT NULL,
    value      DOUBLE PRECISION NOT NULL,
    metadata   TEXT COLLATE "C",
    timestamp  BIGINT NOT NULL
);

CREATE TABLE sessions (
    id         TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    type       TEXT COLLATE "C" NOT NULL,
    status     TEXT COLLATE "C" NOT NULL DEFAULT 'active',
    data       TEXT COLLATE "C",
    started_at BIGINT NOT NULL,
    ended_at   BIGINT
);

CREATE INDEX idx_features_project ON features (project_id);
CREATE INDEX idx_tasks_project ON tasks (project_id);
CREATE INDEX idx_tasks_status ON tasks (status);
CREATE INDEX idx_agents_status ON agents (status);
CREATE INDEX idx_checkpoints_project ON checkpoints (project_id);

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
