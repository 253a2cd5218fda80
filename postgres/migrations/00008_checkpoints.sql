-- Which checkpoints Nexus makes by itself. A project without a row here has none made,
-- and to find that out is one look at an empty table.

-- +goose Up
CREATE TABLE checkpoint_settings (
    project_id       TEXT COLLATE "C" PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
    phase_complete   BIGINT NOT NULL DEFAULT 0, -- booleans: whether to make one then
    feature_complete BIGINT NOT NULL DEFAULT 0,
    task_failed      BIGINT NOT NULL DEFAULT 0,
    qa_exhausted     BIGINT NOT NULL DEFAULT 0,
    every_minutes    BIGINT NOT NULL DEFAULT 0, -- while something changes; 0 is never
    every_tasks      BIGINT NOT NULL DEFAULT 0, -- completed ones; 0 is never
    scheduled_us     BIGINT NOT NULL DEFAULT 0, -- microseconds since 1970-01-01 UTC: when the last was due
    completed_tasks  BIGINT NOT NULL DEFAULT 0  -- since then
);

-- +goose Down
DROP TABLE checkpoint_settings;
