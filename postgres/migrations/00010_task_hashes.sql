-- Hashes of the tasks of a project, kept by the newest checkpoint: the next one reads only
-- the groups of tasks in which the history has changes. They can be lost: then the next
-- checkpoint reads all tasks.

-- +goose Up
CREATE TABLE task_hashes (
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    last_id    TEXT COLLATE "C" NOT NULL, -- of the group; empty for the last one of all
    tasks      BIGINT NOT NULL,           -- in the group
    sha256     TEXT COLLATE "C" NOT NULL, -- of their canonical lines
    PRIMARY KEY (project_id, last_id)
);

CREATE TABLE task_hash_progress (
    project_id TEXT COLLATE "C" PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
    seq        BIGINT NOT NULL,         -- the change after which the hashes are right
    columns    TEXT COLLATE "C" NOT NULL -- JSON: how many columns of each table are hashed
);

-- +goose Down
DROP TABLE task_hash_progress;
DROP TABLE task_hashes;
