-- Hashes of the tasks of a project, kept by the newest checkpoint: the next one reads only
-- the groups of tasks in which the history has changes. They can be lost: then the next
-- checkpoint reads all tasks.
--
-- Here it has two things more, which SQLite has no use for: whoever waits for changes is
-- told of them, and what a transaction has changed is recorded by the call that commits it.

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
-- other programs have it done here.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION nexus_history_lock() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_advisory_xact_lock('history'::REGCLASS::OID::BIGINT);
    IF coalesce(current_setting('nexus.notifies', true), '') <> 'on' THEN
        PERFORM pg_notify('nexus_' || left(encode(sha256(convert_to(current_schema(), 'UTF8')), 'hex'), 16), '');
    END IF;
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
DROP FUNCTION nexus_record(BIGINT, TEXT, TEXT);

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION nexus_history_lock() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_advisory_xact_lock('history'::REGCLASS::OID::BIGINT);
    RETURN NULL;
END
$$;
-- +goose StatementEnd

DROP TABLE task_hash_progress;
DROP TABLE task_hashes;
