-- Hashes of the tasks of a project, kept by the newest checkpoint: the next one reads only
-- the groups of tasks in which the history has changes. They can be lost: then the next
-- checkpoint reads all tasks.

-- +goose Up
CREATE TABLE task_hashes (
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    last_id    TEXT NOT NULL,    -- of the group; empty for the last one of all
    tasks      INTEGER NOT NULL, -- in the group
    sha256     TEXT NOT NULL,    -- of their canonical lines
    PRIMARY KEY (project_id, last_id)
) WITHOUT ROWID;

CREATE TABLE task_hash_progress (
    project_id TEXT PRIMARY KEY NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    seq        INTEGER NOT NULL, -- the change after which the hashes are right
    columns    TEXT NOT NULL     -- JSON: how many columns of each table are hashed
);

-- +goose Down
DROP TABLE task_hash_progress;
DROP TABLE task_hashes;
