-- The history: what every row was before each change, whoever made it.
--
-- A state of the past is the state of now with the changes since undone. So what a
-- row was after change number s is what the first change of it after s keeps; if
-- there is none, it is as it is now. An insert keeps nothing: there was no row. To
-- forget the oldest changes is to delete them. Metrics and signs of life are a log
-- themselves, and are not in it.
--
-- Nexus ends each of its transactions that has changed something with a record of
-- its own, change = 'operation': who did what, from record number first on. What
-- no such record covers was changed by another program.
--
-- v1 to v32 are the columns of the row but id, in the order in which the triggers
-- below list them. Columns that are added later come after the others. A row that gets
-- another id is deleted under the old one and inserted under the new one.
--
-- Large values (descriptions, metadata, a session's data) are kept only where they
-- change: large is 0 where none did. A BLOB in their place says how the value was
-- made of the one after it:
--   d<n>,<m>,<bytes>    its first n bytes, these bytes, its last m bytes
--   b<bytes>            these bytes, which were a BLOB
-- so a text that grows, by many small changes, is not kept again and again. The
-- triggers cast the texts anew at each step: a table of two large ones, read at each,
-- takes twenty times as long.
--
-- What a change costs is mostly the page that it is written to, so there is but
-- one. history_rows, by which the changes of a row are found, follows behind: it has
-- those up to the mark 'indexed'. At most some hundreds are after that. Of what was
-- before the mark 'forgotten', only the states at checkpoints can be told.
--
-- What no trigger can see is not here: the row that an UPDATE OR REPLACE takes, or an
-- INSERT OR REPLACE by its plan_key instead of its id, unless the program has PRAGMA
-- recursive_triggers on. A change of a revision alone is none. What can be told but
-- not restored: a row that referred to one that did not exist, which foreign keys
-- refuse.

-- +goose Up
CREATE TABLE history (
    seq        INTEGER PRIMARY KEY NOT NULL,
    at_us      INTEGER NOT NULL, -- microseconds since 1970-01-01 UTC, by the clock of who wrote
    change     TEXT NOT NULL,    -- insert, update, delete, replace (of a row by another); operation
    kind       TEXT,             -- project, feature, …; attempt, session_entry: only deleted ones
    id         TEXT,             -- for an attempt that of its task, for an entry that of its session
    project_id TEXT,             -- NULL also if it is not known, or if the row changed from one to another
    large      INTEGER,
    first      INTEGER,          -- this and the next two only of an operation
    operation  TEXT,
    actor      TEXT,
    v1,
    v2,
    v3,
    v4,
    v5,
    v6,
    v7,
    v8,
    v9,
    v10,
    v11,
    v12,
    v13,
    v14,
    v15,
    v16,
    v17,
    v18,
    v19,
    v20,
    v21,
    v22,
    v23,
    v24,
    v25,
    v26,
    v27,
    v28,
    v29,
    v30,
    v31,
    v32
);

-- Which rows are gone since.
CREATE INDEX idx_history_deleted ON history (kind, seq) WHERE change = 'delete';

-- And which have gone to another project, perhaps.
CREATE INDEX idx_history_moved ON history (kind, seq)
    WHERE change = 'update' AND project_id IS NULL AND kind <> 'agent' OR change = 'replace';

CREATE TABLE history_rows (
    id    TEXT NOT NULL,
    kind  TEXT NOT NULL,
    seq   INTEGER NOT NULL,
    large INTEGER NOT NULL,
    PRIMARY KEY (id, kind, seq)
) WITHOUT ROWID;
-- A description that has not changed for a thousand changes is found at once.
CREATE INDEX idx_history_rows_large ON history_rows (id, kind, seq) WHERE large = 1;

-- How far something follows the history; 0 if it is not here.
CREATE TABLE history_marks (
    name TEXT PRIMARY KEY NOT NULL,
    seq  INTEGER NOT NULL
) WITHOUT ROWID;


-- The row that an INSERT is about to replace, which no trigger sees go. Between two
-- statements it means nothing: an INSERT OR IGNORE leaves it behind, until the row
-- goes or the next such INSERT comes.
CREATE TABLE replaced_rows AS SELECT * FROM history;

-- +goose StatementBegin
CREATE TRIGGER projects_history_replace BEFORE INSERT ON projects WHEN EXISTS (SELECT 1 FROM projects WHERE id = NEW.id)
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'project';
    INSERT INTO replaced_rows (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13
    )
    SELECT
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'replace', 'project', id, id, 1,
        name, description, mode, status, root_path, repository_url, created_at, updated_at, completed_at, revision,
        plan_key, budget_tokens, budget_usd
    FROM projects WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER projects_history_insert AFTER INSERT ON projects
BEGIN
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'project', NEW.id, NEW.id, 1
    WHERE NOT EXISTS (SELECT 1 FROM replaced_rows WHERE kind = 'project' AND id = NEW.id);
    INSERT INTO history SELECT * FROM replaced_rows WHERE kind = 'project' AND id = NEW.id;
    DELETE FROM replaced_rows WHERE kind = 'project' AND id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER projects_history_update AFTER UPDATE OF
    name, mode, status, root_path, repository_url, created_at, updated_at, completed_at, plan_key, budget_tokens,
    budget_usd
ON projects
WHEN NEW.id IS OLD.id AND NEW.description IS OLD.description
BEGIN
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'update', 'project', OLD.id, OLD.id, 0,
        OLD.name, NULL, OLD.mode, OLD.status, OLD.root_path, OLD.repository_url, OLD.created_at, OLD.updated_at,
        OLD.completed_at, OLD.revision, OLD.plan_key, OLD.budget_tokens, OLD.budget_usd
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER projects_history_large AFTER UPDATE OF description ON projects
WHEN NEW.id IS OLD.id AND NEW.description IS NOT OLD.description
BEGIN
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'update', 'project', OLD.id, OLD.id, 1,
        OLD.name,
        CASE typeof(OLD.description) WHEN 'blob' THEN CAST('b' || OLD.description AS BLOB) ELSE OLD.description END,
        OLD.mode, OLD.status, OLD.root_path, OLD.repository_url, OLD.created_at, OLD.updated_at, OLD.completed_at,
        OLD.revision, OLD.plan_key, OLD.budget_tokens, OLD.budget_usd
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER projects_history_rename AFTER UPDATE OF id ON projects WHEN NEW.id IS NOT OLD.id
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'project' AND id = OLD.id;
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    VALUES (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'project', NEW.id, NEW.id, 1);
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'project', OLD.id, OLD.id, 1,
        OLD.name, OLD.description, OLD.mode, OLD.status, OLD.root_path, OLD.repository_url, OLD.created_at,
        OLD.updated_at, OLD.completed_at, OLD.revision, OLD.plan_key, OLD.budget_tokens, OLD.budget_usd
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER projects_history_delete AFTER DELETE ON projects
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'project' AND id = OLD.id;
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'project', OLD.id, OLD.id, 1,
        OLD.name, OLD.description, OLD.mode, OLD.status, OLD.root_path, OLD.repository_url, OLD.created_at,
        OLD.updated_at, OLD.completed_at, OLD.revision, OLD.plan_key, OLD.budget_tokens, OLD.budget_usd
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER features_history_replace BEFORE INSERT ON features WHEN EXISTS (SELECT 1 FROM features WHERE id = NEW.id)
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'feature';
    INSERT INTO replaced_rows (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11
    )
    SELECT
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'replace', 'feature', id, project_id, 1,
        project_id, name, description, priority, status, estimated_tasks, completed_tasks, created_at, updated_at,
        revision, plan_key
    FROM features WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER features_history_insert AFTER INSERT ON features
BEGIN
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'feature', NEW.id, NEW.project_id, 1
    WHERE NOT EXISTS (SELECT 1 FROM replaced_rows WHERE kind = 'feature' AND id = NEW.id);
    INSERT INTO history SELECT * FROM replaced_rows WHERE kind = 'feature' AND id = NEW.id;
    DELETE FROM replaced_rows WHERE kind = 'feature' AND id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER features_history_update AFTER UPDATE OF
    project_id, name, priority, status, estimated_tasks, completed_tasks, created_at, updated_at, plan_key
ON features
WHEN NEW.id IS OLD.id AND NEW.description IS OLD.description AND (
    NEW.project_id IS NOT OLD.project_id OR NEW.name IS NOT OLD.name OR NEW.priority IS NOT
    OLD.priority OR NEW.status IS NOT OLD.status OR NEW.estimated_tasks IS NOT OLD.estimated_tasks OR
    NEW.completed_tasks IS NOT OLD.completed_tasks OR NEW.created_at IS NOT OLD.created_at OR NEW.updated_at IS NOT
    OLD.updated_at OR NEW.plan_key IS NOT OLD.plan_key
)
BEGIN
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'update', 'feature', OLD.id, CASE WHEN NEW.project_id IS OLD.project_id THEN OLD.project_id END, 0,
        OLD.project_id, OLD.name, NULL, OLD.priority, OLD.status, OLD.estimated_tasks, OLD.completed_tasks,
        OLD.created_at, OLD.updated_at, OLD.revision, OLD.plan_key
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER features_history_large AFTER UPDATE OF description ON features
WHEN NEW.id IS OLD.id AND NEW.description IS NOT OLD.description
BEGIN
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'update', 'feature', OLD.id, CASE WHEN NEW.project_id IS OLD.project_id THEN OLD.project_id END, 1,
        OLD.project_id, OLD.name,
        CASE typeof(OLD.description) WHEN 'blob' THEN CAST('b' || OLD.description AS BLOB) ELSE OLD.description END,
        OLD.priority, OLD.status, OLD.estimated_tasks, OLD.completed_tasks, OLD.created_at, OLD.updated_at,
        OLD.revision, OLD.plan_key
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER features_history_rename AFTER UPDATE OF id ON features WHEN NEW.id IS NOT OLD.id
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'feature' AND id = OLD.id;
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    VALUES (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'feature', NEW.id, NEW.project_id, 1);
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'feature', OLD.id, OLD.project_id, 1,
        OLD.project_id, OLD.name, OLD.description, OLD.priority, OLD.status, OLD.estimated_tasks, OLD.completed_tasks,
        OLD.created_at, OLD.updated_at, OLD.revision, OLD.plan_key
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER features_history_delete AFTER DELETE ON features
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'feature' AND id = OLD.id;
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'feature', OLD.id, OLD.project_id, 1,
        OLD.project_id, OLD.name, OLD.description, OLD.priority, OLD.status, OLD.estimated_tasks, OLD.completed_tasks,
        OLD.created_at, OLD.updated_at, OLD.revision, OLD.plan_key
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sub_features_history_replace BEFORE INSERT ON sub_features WHEN EXISTS (SELECT 1 FROM sub_features WHERE id = NEW.id)
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'sub_feature';
    INSERT INTO replaced_rows (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7
    )
    SELECT
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'replace', 'sub_feature', id, (SELECT project_id FROM features WHERE id = sub_features.feature_id), 1,
        feature_id, name, description, status, created_at, revision, plan_key
    FROM sub_features WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sub_features_history_insert AFTER INSERT ON sub_features
BEGIN
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'sub_feature', NEW.id, (SELECT project_id FROM features WHERE id = NEW.feature_id), 1
    WHERE NOT EXISTS (SELECT 1 FROM replaced_rows WHERE kind = 'sub_feature' AND id = NEW.id);
    INSERT INTO history SELECT * FROM replaced_rows WHERE kind = 'sub_feature' AND id = NEW.id;
    DELETE FROM replaced_rows WHERE kind = 'sub_feature' AND id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sub_features_history_update AFTER UPDATE OF
    feature_id, name, status, created_at, plan_key
ON sub_features
WHEN NEW.id IS OLD.id AND NEW.description IS OLD.description
BEGIN
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'update', 'sub_feature', OLD.id, CASE WHEN NEW.feature_id IS OLD.feature_id THEN (SELECT project_id FROM features WHERE id = OLD.feature_id) END, 0,
        OLD.feature_id, OLD.name, NULL, OLD.status, OLD.created_at, OLD.revision, OLD.plan_key
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sub_features_history_large AFTER UPDATE OF description ON sub_features
WHEN NEW.id IS OLD.id AND NEW.description IS NOT OLD.description
BEGIN
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'update', 'sub_feature', OLD.id, CASE WHEN NEW.feature_id IS OLD.feature_id THEN (SELECT project_id FROM features WHERE id = OLD.feature_id) END, 1,
        OLD.feature_id, OLD.name,
        CASE typeof(OLD.description) WHEN 'blob' THEN CAST('b' || OLD.description AS BLOB) ELSE OLD.description END,
        OLD.status, OLD.created_at, OLD.revision, OLD.plan_key
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sub_features_history_rename AFTER UPDATE OF id ON sub_features WHEN NEW.id IS NOT OLD.id
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'sub_feature' AND id = OLD.id;
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    VALUES (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'sub_feature', NEW.id, (SELECT project_id FROM features WHERE id = NEW.feature_id), 1);
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'sub_feature', OLD.id, (SELECT project_id FROM features WHERE id = OLD.feature_id), 1,
        OLD.feature_id, OLD.name, OLD.description, OLD.status, OLD.created_at, OLD.revision, OLD.plan_key
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sub_features_history_delete AFTER DELETE ON sub_features
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'sub_feature' AND id = OLD.id;
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'sub_feature', OLD.id, (SELECT project_id FROM features WHERE id = OLD.feature_id), 1,
        OLD.feature_id, OLD.name, OLD.description, OLD.status, OLD.created_at, OLD.revision, OLD.plan_key
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_history_replace BEFORE INSERT ON tasks WHEN EXISTS (SELECT 1 FROM tasks WHERE id = NEW.id)
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'task';
    INSERT INTO replaced_rows (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15, v16, v17, v18, v19, v20, v21, v22, v23, v24,
        v25, v26, v27, v28
    )
    SELECT
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'replace', 'task', id, project_id, 1,
        project_id, feature_id, sub_feature_id, name, description, status, size, assigned_agent, worktree_path,
        branch_name, depends_on, blocked_by, qa_iterations, max_iterations, estimated_minutes, actual_minutes,
        started_at, completed_at, created_at, updated_at, revision, plan_key, priority, metadata, max_attempts,
        failed_attempts, budget_tokens, budget_usd
    FROM tasks WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_history_insert AFTER INSERT ON tasks
BEGIN
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'task', NEW.id, NEW.project_id, 1
    WHERE NOT EXISTS (SELECT 1 FROM replaced_rows WHERE kind = 'task' AND id = NEW.id);
    INSERT INTO history SELECT * FROM replaced_rows WHERE kind = 'task' AND id = NEW.id;
    DELETE FROM replaced_rows WHERE kind = 'task' AND id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_history_update AFTER UPDATE OF
    project_id, feature_id, sub_feature_id, name, status, size, assigned_agent, worktree_path, branch_name,
    depends_on, blocked_by, qa_iterations, max_iterations, estimated_minutes, actual_minutes, started_at,
    completed_at, created_at, updated_at, plan_key, priority, max_attempts, failed_attempts, budget_tokens, budget_usd
ON tasks
WHEN NEW.id IS OLD.id AND NEW.description IS OLD.description AND NEW.metadata IS OLD.metadata
BEGIN
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15, v16, v17, v18, v19, v20, v21, v22, v23, v24,
        v25, v26, v27, v28
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'update', 'task', OLD.id, CASE WHEN NEW.project_id IS OLD.project_id THEN OLD.project_id END, 0,
        OLD.project_id, OLD.feature_id, OLD.sub_feature_id, OLD.name, NULL, OLD.status, OLD.size, OLD.assigned_agent,
        OLD.worktree_path, OLD.branch_name, OLD.depends_on, OLD.blocked_by, OLD.qa_iterations, OLD.max_iterations,
        OLD.estimated_minutes, OLD.actual_minutes, OLD.started_at, OLD.completed_at, OLD.created_at, OLD.updated_at,
        OLD.revision, OLD.plan_key, OLD.priority, NULL, OLD.max_attempts, OLD.failed_attempts, OLD.budget_tokens,
        OLD.budget_usd
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_history_large AFTER UPDATE OF description, metadata ON tasks
WHEN NEW.id IS OLD.id AND (NEW.description IS NOT OLD.description OR NEW.metadata IS NOT OLD.metadata)
BEGIN
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15, v16, v17, v18, v19, v20, v21, v22, v23, v24,
        v25, v26, v27, v28
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'update', 'task', OLD.id, CASE WHEN NEW.project_id IS OLD.project_id THEN OLD.project_id END, 1,
        OLD.project_id, OLD.feature_id, OLD.sub_feature_id, OLD.name,
        CASE
            WHEN typeof(OLD.description) = 'blob' THEN CAST('b' || OLD.description AS BLOB)
            WHEN coalesce(length(OLD.description), 0) < 512 OR NEW.description IS NULL THEN OLD.description
            ELSE (
                WITH RECURSIVE
                    size (was, becomes) AS (SELECT length(CAST(OLD.description AS BLOB)), length(CAST(NEW.description AS BLOB))),
                    head (same, step) AS (
                        SELECT 0, min(was, becomes) FROM size
                        UNION ALL
                        SELECT same + CASE WHEN
                            substr(CAST(OLD.description AS BLOB), same + 1, (step + 1) / 2)
                            = substr(CAST(NEW.description AS BLOB), same + 1, (step + 1) / 2) THEN (step + 1) / 2 ELSE 0 END, step / 2
                        FROM head WHERE step > 0
                    ),
                    tail (same, step) AS (
                        SELECT 0, min(was, becomes) - (SELECT max(same) FROM head) FROM size
                        UNION ALL
                        SELECT same + CASE WHEN
                            substr(CAST(OLD.description AS BLOB), -same - (step + 1) / 2, (step + 1) / 2)
                            = substr(CAST(NEW.description AS BLOB), -same - (step + 1) / 2, (step + 1) / 2) THEN (step + 1) / 2 ELSE 0 END, step / 2
                        FROM tail WHERE step > 0
                    )
                SELECT CAST('d' || h || ',' || t || ',' || substr(CAST(OLD.description AS BLOB), h + 1, was - h - t) AS BLOB)
                FROM size, (SELECT max(same) AS h FROM head), (SELECT max(same) AS t FROM tail)
            )
        END,
        OLD.status, OLD.size, OLD.assigned_agent, OLD.worktree_path, OLD.branch_name, OLD.depends_on, OLD.blocked_by,
        OLD.qa_iterations, OLD.max_iterations, OLD.estimated_minutes, OLD.actual_minutes, OLD.started_at,
        OLD.completed_at, OLD.created_at, OLD.updated_at, OLD.revision, OLD.plan_key, OLD.priority,
        CASE
            WHEN typeof(OLD.metadata) = 'blob' THEN CAST('b' || OLD.metadata AS BLOB)
            WHEN coalesce(length(OLD.metadata), 0) < 512 OR NEW.metadata IS NULL THEN OLD.metadata
            ELSE (
                WITH RECURSIVE
                    size (was, becomes) AS (SELECT length(CAST(OLD.metadata AS BLOB)), length(CAST(NEW.metadata AS BLOB))),
                    head (same, step) AS (
                        SELECT 0, min(was, becomes) FROM size
                        UNION ALL
                        SELECT same + CASE WHEN
                            substr(CAST(OLD.metadata AS BLOB), same + 1, (step + 1) / 2)
                            = substr(CAST(NEW.metadata AS BLOB), same + 1, (step + 1) / 2) THEN (step + 1) / 2 ELSE 0 END, step / 2
                        FROM head WHERE step > 0
                    ),
                    tail (same, step) AS (
                        SELECT 0, min(was, becomes) - (SELECT max(same) FROM head) FROM size
                        UNION ALL
                        SELECT same + CASE WHEN
                            substr(CAST(OLD.metadata AS BLOB), -same - (step + 1) / 2, (step + 1) / 2)
                            = substr(CAST(NEW.metadata AS BLOB), -same - (step + 1) / 2, (step + 1) / 2) THEN (step + 1) / 2 ELSE 0 END, step / 2
                        FROM tail WHERE step > 0
                    )
                SELECT CAST('d' || h || ',' || t || ',' || substr(CAST(OLD.metadata AS BLOB), h + 1, was - h - t) AS BLOB)
                FROM size, (SELECT max(same) AS h FROM head), (SELECT max(same) AS t FROM tail)
            )
        END,
        OLD.max_attempts, OLD.failed_attempts, OLD.budget_tokens, OLD.budget_usd
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_history_rename AFTER UPDATE OF id ON tasks WHEN NEW.id IS NOT OLD.id
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'task' AND id = OLD.id;
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    VALUES (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'task', NEW.id, NEW.project_id, 1);
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15, v16, v17, v18, v19, v20, v21, v22, v23, v24,
        v25, v26, v27, v28
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'task', OLD.id, OLD.project_id, 1,
        OLD.project_id, OLD.feature_id, OLD.sub_feature_id, OLD.name, OLD.description, OLD.status, OLD.size,
        OLD.assigned_agent, OLD.worktree_path, OLD.branch_name, OLD.depends_on, OLD.blocked_by, OLD.qa_iterations,
        OLD.max_iterations, OLD.estimated_minutes, OLD.actual_minutes, OLD.started_at, OLD.completed_at,
        OLD.created_at, OLD.updated_at, OLD.revision, OLD.plan_key, OLD.priority, OLD.metadata, OLD.max_attempts,
        OLD.failed_attempts, OLD.budget_tokens, OLD.budget_usd
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tasks_history_delete AFTER DELETE ON tasks
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'task' AND id = OLD.id;
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15, v16, v17, v18, v19, v20, v21, v22, v23, v24,
        v25, v26, v27, v28
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'task', OLD.id, OLD.project_id, 1,
        OLD.project_id, OLD.feature_id, OLD.sub_feature_id, OLD.name, OLD.description, OLD.status, OLD.size,
        OLD.assigned_agent, OLD.worktree_path, OLD.branch_name, OLD.depends_on, OLD.blocked_by, OLD.qa_iterations,
        OLD.max_iterations, OLD.estimated_minutes, OLD.actual_minutes, OLD.started_at, OLD.completed_at,
        OLD.created_at, OLD.updated_at, OLD.revision, OLD.plan_key, OLD.priority, OLD.metadata, OLD.max_attempts,
        OLD.failed_attempts, OLD.budget_tokens, OLD.budget_usd
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER agents_history_replace BEFORE INSERT ON agents WHEN EXISTS (SELECT 1 FROM agents WHERE id = NEW.id)
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'agent';
    INSERT INTO replaced_rows (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13
    )
    SELECT
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'replace', 'agent', id, NULL, 1,
        type, status, current_task_id, worktree_path, branch_name, tokens_used, tasks_completed, tasks_failed,
        spawned_at, last_activity_at, terminated_at, termination_reason, revision
    FROM agents WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER agents_history_insert AFTER INSERT ON agents
BEGIN
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'agent', NEW.id, NULL, 1
    WHERE NOT EXISTS (SELECT 1 FROM replaced_rows WHERE kind = 'agent' AND id = NEW.id);
    INSERT INTO history SELECT * FROM replaced_rows WHERE kind = 'agent' AND id = NEW.id;
    DELETE FROM replaced_rows WHERE kind = 'agent' AND id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER agents_history_update AFTER UPDATE OF
    type, status, current_task_id, worktree_path, branch_name, tokens_used, tasks_completed, tasks_failed,
    spawned_at, terminated_at, termination_reason
ON agents
WHEN NEW.id IS OLD.id
BEGIN
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'update', 'agent', OLD.id, NULL, 0,
        OLD.type, OLD.status, OLD.current_task_id, OLD.worktree_path, OLD.branch_name, OLD.tokens_used,
        OLD.tasks_completed, OLD.tasks_failed, OLD.spawned_at, OLD.last_activity_at, OLD.terminated_at,
        OLD.termination_reason, OLD.revision
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER agents_history_rename AFTER UPDATE OF id ON agents WHEN NEW.id IS NOT OLD.id
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'agent' AND id = OLD.id;
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    VALUES (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'agent', NEW.id, NULL, 1);
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'agent', OLD.id, NULL, 1,
        OLD.type, OLD.status, OLD.current_task_id, OLD.worktree_path, OLD.branch_name, OLD.tokens_used,
        OLD.tasks_completed, OLD.tasks_failed, OLD.spawned_at, OLD.last_activity_at, OLD.terminated_at,
        OLD.termination_reason, OLD.revision
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER agents_history_delete AFTER DELETE ON agents
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'agent' AND id = OLD.id;
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'agent', OLD.id, NULL, 1,
        OLD.type, OLD.status, OLD.current_task_id, OLD.worktree_path, OLD.branch_name, OLD.tokens_used,
        OLD.tasks_completed, OLD.tasks_failed, OLD.spawned_at, OLD.last_activity_at, OLD.terminated_at,
        OLD.termination_reason, OLD.revision
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER checkpoints_history_replace BEFORE INSERT ON checkpoints WHEN EXISTS (SELECT 1 FROM checkpoints WHERE id = NEW.id)
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'checkpoint';
    INSERT INTO replaced_rows (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7
    )
    SELECT
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'replace', 'checkpoint', id, project_id, 1,
        project_id, name, reason, state, git_commit, created_at, revision
    FROM checkpoints WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER checkpoints_history_insert AFTER INSERT ON checkpoints
BEGIN
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'checkpoint', NEW.id, NEW.project_id, 1
    WHERE NOT EXISTS (SELECT 1 FROM replaced_rows WHERE kind = 'checkpoint' AND id = NEW.id);
    INSERT INTO history SELECT * FROM replaced_rows WHERE kind = 'checkpoint' AND id = NEW.id;
    DELETE FROM replaced_rows WHERE kind = 'checkpoint' AND id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER checkpoints_history_update AFTER UPDATE OF
    project_id, name, reason, git_commit, created_at
ON checkpoints
WHEN NEW.id IS OLD.id AND NEW.state IS OLD.state
BEGIN
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'update', 'checkpoint', OLD.id, CASE WHEN NEW.project_id IS OLD.project_id THEN OLD.project_id END, 0,
        OLD.project_id, OLD.name, OLD.reason, NULL, OLD.git_commit, OLD.created_at, OLD.revision
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER checkpoints_history_large AFTER UPDATE OF state ON checkpoints
WHEN NEW.id IS OLD.id AND NEW.state IS NOT OLD.state
BEGIN
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'update', 'checkpoint', OLD.id, CASE WHEN NEW.project_id IS OLD.project_id THEN OLD.project_id END, 1,
        OLD.project_id, OLD.name, OLD.reason,
        CASE typeof(OLD.state) WHEN 'blob' THEN CAST('b' || OLD.state AS BLOB) ELSE OLD.state END,
        OLD.git_commit, OLD.created_at, OLD.revision
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER checkpoints_history_rename AFTER UPDATE OF id ON checkpoints WHEN NEW.id IS NOT OLD.id
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'checkpoint' AND id = OLD.id;
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    VALUES (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'checkpoint', NEW.id, NEW.project_id, 1);
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'checkpoint', OLD.id, OLD.project_id, 1,
        OLD.project_id, OLD.name, OLD.reason, OLD.state, OLD.git_commit, OLD.created_at, OLD.revision
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER checkpoints_history_delete AFTER DELETE ON checkpoints
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'checkpoint' AND id = OLD.id;
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'checkpoint', OLD.id, OLD.project_id, 1,
        OLD.project_id, OLD.name, OLD.reason, OLD.state, OLD.git_commit, OLD.created_at, OLD.revision
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER requirements_history_replace BEFORE INSERT ON requirements WHEN EXISTS (SELECT 1 FROM requirements WHERE id = NEW.id)
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'requirement';
    INSERT INTO replaced_rows (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10
    )
    SELECT
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'replace', 'requirement', id, project_id, 1,
        project_id, category, description, priority, source, linked_features, validated, created_at, revision,
        plan_key
    FROM requirements WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER requirements_history_insert AFTER INSERT ON requirements
BEGIN
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'requirement', NEW.id, NEW.project_id, 1
    WHERE NOT EXISTS (SELECT 1 FROM replaced_rows WHERE kind = 'requirement' AND id = NEW.id);
    INSERT INTO history SELECT * FROM replaced_rows WHERE kind = 'requirement' AND id = NEW.id;
    DELETE FROM replaced_rows WHERE kind = 'requirement' AND id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER requirements_history_update AFTER UPDATE OF
    project_id, category, priority, source, linked_features, validated, created_at, plan_key
ON requirements
WHEN NEW.id IS OLD.id AND NEW.description IS OLD.description
BEGIN
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'update', 'requirement', OLD.id, CASE WHEN NEW.project_id IS OLD.project_id THEN OLD.project_id END, 0,
        OLD.project_id, OLD.category, NULL, OLD.priority, OLD.source, OLD.linked_features, OLD.validated,
        OLD.created_at, OLD.revision, OLD.plan_key
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER requirements_history_large AFTER UPDATE OF description ON requirements
WHEN NEW.id IS OLD.id AND NEW.description IS NOT OLD.description
BEGIN
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'update', 'requirement', OLD.id, CASE WHEN NEW.project_id IS OLD.project_id THEN OLD.project_id END, 1,
        OLD.project_id, OLD.category,
        CASE typeof(OLD.description) WHEN 'blob' THEN CAST('b' || OLD.description AS BLOB) ELSE OLD.description END,
        OLD.priority, OLD.source, OLD.linked_features, OLD.validated, OLD.created_at, OLD.revision, OLD.plan_key
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER requirements_history_rename AFTER UPDATE OF id ON requirements WHEN NEW.id IS NOT OLD.id
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'requirement' AND id = OLD.id;
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    VALUES (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'requirement', NEW.id, NEW.project_id, 1);
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'requirement', OLD.id, OLD.project_id, 1,
        OLD.project_id, OLD.category, OLD.description, OLD.priority, OLD.source, OLD.linked_features, OLD.validated,
        OLD.created_at, OLD.revision, OLD.plan_key
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER requirements_history_delete AFTER DELETE ON requirements
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'requirement' AND id = OLD.id;
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'requirement', OLD.id, OLD.project_id, 1,
        OLD.project_id, OLD.category, OLD.description, OLD.priority, OLD.source, OLD.linked_features, OLD.validated,
        OLD.created_at, OLD.revision, OLD.plan_key
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sessions_history_replace BEFORE INSERT ON sessions WHEN EXISTS (SELECT 1 FROM sessions WHERE id = NEW.id)
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'session';
    INSERT INTO replaced_rows (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7
    )
    SELECT
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'replace', 'session', id, project_id, 1,
        project_id, type, status, data, started_at, ended_at, revision
    FROM sessions WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sessions_history_insert AFTER INSERT ON sessions
BEGIN
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'session', NEW.id, NEW.project_id, 1
    WHERE NOT EXISTS (SELECT 1 FROM replaced_rows WHERE kind = 'session' AND id = NEW.id);
    INSERT INTO history SELECT * FROM replaced_rows WHERE kind = 'session' AND id = NEW.id;
    DELETE FROM replaced_rows WHERE kind = 'session' AND id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sessions_history_update AFTER UPDATE OF
    project_id, type, status, started_at, ended_at
ON sessions
WHEN NEW.id IS OLD.id AND NEW.data IS OLD.data
BEGIN
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'update', 'session', OLD.id, CASE WHEN NEW.project_id IS OLD.project_id THEN OLD.project_id END, 0,
        OLD.project_id, OLD.type, OLD.status, NULL, OLD.started_at, OLD.ended_at, OLD.revision
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sessions_history_large AFTER UPDATE OF data ON sessions
WHEN NEW.id IS OLD.id AND NEW.data IS NOT OLD.data
BEGIN
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'update', 'session', OLD.id, CASE WHEN NEW.project_id IS OLD.project_id THEN OLD.project_id END, 1,
        OLD.project_id, OLD.type, OLD.status,
        CASE
            WHEN typeof(OLD.data) = 'blob' THEN CAST('b' || OLD.data AS BLOB)
            WHEN coalesce(length(OLD.data), 0) < 512 OR NEW.data IS NULL THEN OLD.data
            ELSE (
                WITH RECURSIVE
                    size (was, becomes) AS (SELECT length(CAST(OLD.data AS BLOB)), length(CAST(NEW.data AS BLOB))),
                    head (same, step) AS (
                        SELECT 0, min(was, becomes) FROM size
                        UNION ALL
                        SELECT same + CASE WHEN
                            substr(CAST(OLD.data AS BLOB), same + 1, (step + 1) / 2)
                            = substr(CAST(NEW.data AS BLOB), same + 1, (step + 1) / 2) THEN (step + 1) / 2 ELSE 0 END, step / 2
                        FROM head WHERE step > 0
                    ),
                    tail (same, step) AS (
                        SELECT 0, min(was, becomes) - (SELECT max(same) FROM head) FROM size
                        UNION ALL
                        SELECT same + CASE WHEN
                            substr(CAST(OLD.data AS BLOB), -same - (step + 1) / 2, (step + 1) / 2)
                            = substr(CAST(NEW.data AS BLOB), -same - (step + 1) / 2, (step + 1) / 2) THEN (step + 1) / 2 ELSE 0 END, step / 2
                        FROM tail WHERE step > 0
                    )
                SELECT CAST('d' || h || ',' || t || ',' || substr(CAST(OLD.data AS BLOB), h + 1, was - h - t) AS BLOB)
                FROM size, (SELECT max(same) AS h FROM head), (SELECT max(same) AS t FROM tail)
            )
        END,
        OLD.started_at, OLD.ended_at, OLD.revision
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sessions_history_rename AFTER UPDATE OF id ON sessions WHEN NEW.id IS NOT OLD.id
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'session' AND id = OLD.id;
    INSERT INTO history (at_us, change, kind, id, project_id, large)
    VALUES (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'insert', 'session', NEW.id, NEW.project_id, 1);
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'session', OLD.id, OLD.project_id, 1,
        OLD.project_id, OLD.type, OLD.status, OLD.data, OLD.started_at, OLD.ended_at, OLD.revision
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sessions_history_delete AFTER DELETE ON sessions
BEGIN
    DELETE FROM replaced_rows WHERE kind = 'session' AND id = OLD.id;
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7
    ) VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER),
        'delete', 'session', OLD.id, OLD.project_id, 1,
        OLD.project_id, OLD.type, OLD.status, OLD.data, OLD.started_at, OLD.ended_at, OLD.revision
    );
END;
-- +goose StatementEnd

-- What goes with a task or a session.

-- +goose StatementBegin
CREATE TRIGGER task_attempts_history_delete AFTER DELETE ON task_attempts WHEN OLD.task_id IS NOT NULL
BEGIN
    INSERT INTO history (at_us, change, kind, id, large, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11)
    VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'delete', 'attempt', OLD.task_id, 1,
        OLD.epoch, OLD.agent_id, OLD.claimed_us, OLD.lease_us, OLD.lease_until_us, OLD.process, OLD.progress,
        OLD.ended_us, OLD.outcome, OLD.reason, OLD.evidence
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER task_attempts_history_forget AFTER UPDATE OF task_id ON task_attempts WHEN NEW.task_id IS NULL AND OLD.task_id IS NOT NULL
BEGIN
    INSERT INTO history (at_us, change, kind, id, large, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11)
    VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'delete', 'attempt', OLD.task_id, 1,
        OLD.epoch, OLD.agent_id, OLD.claimed_us, OLD.lease_us, OLD.lease_until_us, OLD.process, OLD.progress,
        OLD.ended_us, OLD.outcome, OLD.reason, OLD.evidence
    );
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER session_log_history_delete AFTER DELETE ON session_log
BEGIN
    INSERT INTO history (at_us, change, kind, id, large, v1, v2, v3, v4, v5)
    VALUES (
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'delete', 'session_entry', OLD.session_id, 1,
        OLD.number, OLD.at_us, OLD.kind, OLD.author, OLD.text
    );
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER session_log_history_delete;
DROP TRIGGER task_attempts_history_forget;
DROP TRIGGER task_attempts_history_delete;
DROP TRIGGER sessions_history_delete;
DROP TRIGGER sessions_history_rename;
DROP TRIGGER sessions_history_large;
DROP TRIGGER sessions_history_update;
DROP TRIGGER sessions_history_insert;
DROP TRIGGER sessions_history_replace;
DROP TRIGGER requirements_history_delete;
DROP TRIGGER requirements_history_rename;
DROP TRIGGER requirements_history_large;
DROP TRIGGER requirements_history_update;
DROP TRIGGER requirements_history_insert;
DROP TRIGGER requirements_history_replace;
DROP TRIGGER checkpoints_history_delete;
DROP TRIGGER checkpoints_history_rename;
DROP TRIGGER checkpoints_history_large;
DROP TRIGGER checkpoints_history_update;
DROP TRIGGER checkpoints_history_insert;
DROP TRIGGER checkpoints_history_replace;
DROP TRIGGER agents_history_delete;
DROP TRIGGER agents_history_rename;
DROP TRIGGER agents_history_update;
DROP TRIGGER agents_history_insert;
DROP TRIGGER agents_history_replace;
DROP TRIGGER tasks_history_delete;
DROP TRIGGER tasks_history_rename;
DROP TRIGGER tasks_history_large;
DROP TRIGGER tasks_history_update;
DROP TRIGGER tasks_history_insert;
DROP TRIGGER tasks_history_replace;
DROP TRIGGER sub_features_history_delete;
DROP TRIGGER sub_features_history_rename;
DROP TRIGGER sub_features_history_large;
DROP TRIGGER sub_features_history_update;
DROP TRIGGER sub_features_history_insert;
DROP TRIGGER sub_features_history_replace;
DROP TRIGGER features_history_delete;
DROP TRIGGER features_history_rename;
DROP TRIGGER features_history_large;
DROP TRIGGER features_history_update;
DROP TRIGGER features_history_insert;
DROP TRIGGER features_history_replace;
DROP TRIGGER projects_history_delete;
DROP TRIGGER projects_history_rename;
DROP TRIGGER projects_history_large;
DROP TRIGGER projects_history_update;
DROP TRIGGER projects_history_insert;
DROP TRIGGER projects_history_replace;
DROP TABLE replaced_rows;
DROP TABLE history_marks;
DROP TABLE history_rows;
DROP TABLE history;
