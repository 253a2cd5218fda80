-- Hashes of the tasks of a project, kept by the newest checkpoint: the next one reads only
-- the groups of tasks in which the history has changes. They can be lost: then the next
-- checkpoint reads all tasks.
--
-- Here it has more, which SQLite has no use for: whoever waits for changes is told of
-- them, what a transaction has changed is recorded by the call that commits it, and the
-- functions that write the history do the same as before in less time.

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

-- Whoever waits for changes listens to a channel of the schema. Nexus notifies after it has
-- committed, because PostgreSQL commits transactions that notify one after the other;
-- other programs have it done here. The first record of a transaction has done both.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION nexus_history_lock() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('nexus.first_change', true), '') = '' THEN
        PERFORM pg_advisory_xact_lock(TG_RELID::BIGINT);
        IF coalesce(current_setting('nexus.notifies', true), '') <> 'on' THEN
            PERFORM pg_notify('nexus_' || left(encode(sha256(convert_to(TG_TABLE_SCHEMA, 'UTF8')), 'hex'), 16), '');
        END IF;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- What follows runs under that lock. An expression costs a tenth of a statement there, and
-- to set the search path as much as one.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION nexus_history_insert() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    numbers CONSTANT REGCLASS := quote_ident(TG_TABLE_SCHEMA) || '.history_seq_seq';
BEGIN
    IF coalesce(current_setting('nexus.first_change', true), '') = '' THEN
        PERFORM set_config('nexus.first_change', NEW.seq::TEXT, true);
    END IF;
    IF NEW.seq > coalesce(pg_sequence_last_value(numbers), 0) THEN
        PERFORM setval(numbers, NEW.seq);
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION nexus_history() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    kept_as CONSTANT TEXT := TG_ARGV[0];
    owner CONSTANT TEXT := CASE kept_as WHEN 'project' THEN 'id' ELSE 'project_id' END;
    at CONSTANT BIGINT := (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT;
    was JSONB;
    now_is JSONB;
    project TEXT;
    new_project TEXT;
    how TEXT := lower(TG_OP);
    all_kept BOOLEAN := true;
    large CONSTANT TEXT[] := TG_ARGV[2];
    name TEXT;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        was := to_jsonb(OLD);
        project := was ->> owner;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        now_is := to_jsonb(NEW);
        new_project := now_is ->> owner;
    END IF;
    IF kept_as = 'sub_feature' THEN
        project := nexus_project(kept_as, was);
        new_project := nexus_project(kept_as, now_is);
    END IF;
    IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' AND was ->> TG_ARGV[1] <> now_is ->> TG_ARGV[1] THEN
        INSERT INTO history (at_us, change, kind, id, project_id, large)
        VALUES (at, 'insert', kept_as, now_is ->> TG_ARGV[1], new_project, 1);
        IF TG_OP = 'INSERT' THEN
            RETURN NULL;
        END IF;
        how := 'delete';
    ELSIF TG_OP = 'UPDATE' THEN
        all_kept := false;
        FOREACH name IN ARRAY large LOOP
            all_kept := all_kept OR was -> name IS DISTINCT FROM now_is -> name;
        END LOOP;
        IF NOT all_kept THEN
            was := was - large;
        END IF;
        IF new_project IS DISTINCT FROM project THEN
            project := NULL;
        END IF;
    END IF;
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15, v16,
        v17, v18, v19, v20, v21, v22, v23, v24, v25, v26, v27, v28, v29, v30, v31, v32
    ) VALUES (
        at, how, kept_as, was ->> TG_ARGV[1], project, all_kept::INT,
        was ->> TG_ARGV[3], was ->> TG_ARGV[4], was ->> TG_ARGV[5], was ->> TG_ARGV[6], was ->> TG_ARGV[7],
        was ->> TG_ARGV[8], was ->> TG_ARGV[9], was ->> TG_ARGV[10], was ->> TG_ARGV[11], was ->> TG_ARGV[12],
        was ->> TG_ARGV[13], was ->> TG_ARGV[14], was ->> TG_ARGV[15], was ->> TG_ARGV[16], was ->> TG_ARGV[17],
        was ->> TG_ARGV[18], was ->> TG_ARGV[19], was ->> TG_ARGV[20], was ->> TG_ARGV[21], was ->> TG_ARGV[22],
        was ->> TG_ARGV[23], was ->> TG_ARGV[24], was ->> TG_ARGV[25], was ->> TG_ARGV[26], was ->> TG_ARGV[27],
        was ->> TG_ARGV[28], was ->> TG_ARGV[29], was ->> TG_ARGV[30], was ->> TG_ARGV[31], was ->> TG_ARGV[32],
        was ->> TG_ARGV[33], was ->> TG_ARGV[34]
    );
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- Records what this transaction has changed and who did it, and returns the first record
-- or NULL. Where checkpoints are made there is more to do, which this refuses. Its commit
-- does not wait for the disk, or everybody who wants to record would wait for that as well;
-- whoever calls this waits for the disk afterwards.
-- +goose StatementBegin
CREATE FUNCTION nexus_record(at BIGINT, name TEXT, by TEXT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    begun CONSTANT BIGINT := nexus_first_change();
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    IF begun IS NULL THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT 1 FROM checkpoint_settings) THEN
        RAISE EXCEPTION 'somebody wants checkpoints to be made' USING ERRCODE = 'NX001';
    END IF;
    INSERT INTO history (at_us, change, first, operation, actor) VALUES (at, 'operation', begun, name, by);
    RETURN begun;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- The other functions stay: they do what those before them did.
DROP FUNCTION nexus_record(BIGINT, TEXT, TEXT);
DROP TABLE task_hash_progress;
DROP TABLE task_hashes;
