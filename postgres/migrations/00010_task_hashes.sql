-- Hashes of the tasks of a project, kept by the newest checkpoint: the next one reads only
-- the groups of tasks in which the history has changes. They can be lost: then the next
-- checkpoint reads all tasks.
--
-- Here it has more, which SQLite has no use for: whoever waits for changes is told of
-- them, what a transaction has changed is recorded by the call that commits it, and the
-- triggers do what they did in less than half of the time.

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

-- What follows runs under that lock. An expression costs a tenth of a statement there.
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

-- What took most of the time of the triggers:
--
-- to set the search path for a function, as much as a statement in it. So the functions of
-- the work loop say which schema they mean: in what follows @ stands for it, as it does
-- where doctor compares them;
--
-- to make JSON of each row. So each table has a function of its own for its history, made
-- of the arguments of the triggers of before, which the triggers keep (nexus_history itself
-- stays for the way back);
--
-- to get ready for the condition of a trigger, each time that it may fire. So what follows
-- the status of a task is one trigger, and its conditions are in the function.

-- +goose StatementBegin
DO $do$
DECLARE
    schema_name CONSTANT TEXT := '"' || replace(current_schema(), '"', '""') || '".';
    t RECORD;
    project TEXT;
    kept TEXT;
    was TEXT;
    all_of_it TEXT;
BEGIN
    FOR t IN
        SELECT g.tgname, c.relname, pg_get_triggerdef(g.oid) AS definition,
            a.args[1] AS kind, a.args[2] AS id, a.args[3]::TEXT[] AS large, a.args[4:cardinality(a.args) - 1] AS columns
        FROM pg_trigger g
        JOIN pg_class c ON c.oid = g.tgrelid
        CROSS JOIN LATERAL (SELECT string_to_array(encode(g.tgargs, 'escape'), '\000') AS args) a
        WHERE g.tgfoid = 'nexus_history()'::REGPROCEDURE AND NOT g.tgisinternal
        ORDER BY g.oid
    LOOP
        project := CASE
            WHEN t.kind = 'project' THEN 'OLD.id'
            WHEN t.kind = 'sub_feature' THEN '(SELECT project_id FROM @.features WHERE id = OLD.feature_id)'
            WHEN 'project_id' = ANY (t.columns) THEN 'OLD.project_id'
            ELSE 'NULL'
        END;
        kept := 'at_us, change, kind, id, project_id, large, '
            || (SELECT string_agg('v' || n, ', ' ORDER BY n) FROM generate_series(1, cardinality(t.columns)) n);
        all_of_it := (SELECT string_agg('OLD.' || c.name, ', ' ORDER BY c.n) FROM unnest(t.columns) WITH ORDINALITY c (name, n));
        was := (
            SELECT string_agg(
                format(CASE WHEN c.name = ANY (t.large) THEN 'CASE WHEN changed THEN OLD.%s END' ELSE 'OLD.%s' END, c.name), ', ' ORDER BY c.n)
            FROM unnest(t.columns) WITH ORDINALITY c (name, n));
        EXECUTE replace(format($make$
CREATE OR REPLACE FUNCTION nexus_history_%1$s() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    at CONSTANT BIGINT := (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT;
    project CONSTANT TEXT := %2$s;
    new_project CONSTANT TEXT := %3$s;
    changed BOOLEAN;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.%4$s = OLD.%4$s THEN
        changed := %5$s;
        INSERT INTO @.history (
            %6$s
        ) VALUES (
            at, 'update', %7$L, OLD.%4$s, CASE WHEN new_project = project THEN project END, changed::INT,
            %8$s
        );
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO @.history (at_us, change, kind, id, project_id, large)
        VALUES (at, 'insert', %7$L, NEW.%4$s, new_project, 1);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO @.history (
            %6$s
        ) VALUES (
            at, 'delete', %7$L, OLD.%4$s, project, 1,
            %9$s
        );
    END IF;
    RETURN NULL;
END
$$$make$,
            t.relname, project, replace(project, 'OLD.', 'NEW.'), t.id,
            coalesce((SELECT string_agg(format('NEW.%1$s IS DISTINCT FROM OLD.%1$s', name), ' OR ') FROM unnest(t.large) name), 'false'),
            kept, t.kind, was, all_of_it
        ), '@.', schema_name);
        EXECUTE format('DROP TRIGGER %I ON %I', t.tgname, t.relname);
        EXECUTE replace(t.definition, 'nexus_history(', 'nexus_history_' || t.relname || '(');
    END LOOP;
END
$do$;
-- +goose StatementEnd

DROP TRIGGER tasks_attempt_end ON tasks;
DROP FUNCTION nexus_attempt_end();
DROP TRIGGER tasks_dependents_update ON tasks;
DROP TRIGGER tasks_feature_update ON tasks;
DROP FUNCTION nexus_feature_update();

-- +goose StatementBegin
DO $do$
DECLARE
    schema_name CONSTANT TEXT := '"' || replace(current_schema(), '"', '""') || '".';
BEGIN
    EXECUTE replace($make$
-- What follows the status of a task: its attempt, what depends on it, its feature.
CREATE FUNCTION nexus_task_changed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    was_met CONSTANT BOOLEAN := OLD.status IN ('completed', 'skipped');
    is_met CONSTANT BOOLEAN := NEW.status IN ('completed', 'skipped');
    ends CONSTANT BOOLEAN := NEW.status IN ('pending', 'blocked', 'completed', 'failed', 'skipped', 'escalated', 'cancelled');
    waiting TEXT[];
BEGIN
    IF OLD.status <> NEW.status AND ends OR OLD.assigned_agent IS DISTINCT FROM NEW.assigned_agent OR OLD.id <> NEW.id THEN
        UPDATE @.task_attempts SET
            ended_us = greatest(claimed_us, @.nexus_us(NEW.updated_at)),
            outcome = CASE
                WHEN NEW.status IN ('blocked', 'completed', 'failed', 'skipped', 'escalated') THEN NEW.status
                WHEN NEW.status = 'cancelled' THEN 'skipped'
                ELSE 'released'
            END
        WHERE task_id = OLD.id AND held = 1 AND (ends OR agent_id IS DISTINCT FROM NEW.assigned_agent);
    END IF;
    IF OLD.id <> NEW.id THEN
        UPDATE @.task_attempts SET task_id = NEW.id WHERE task_id = OLD.id;
    ELSIF was_met <> is_met THEN
        waiting := ARRAY(SELECT task_id FROM @.task_dependencies WHERE depends_on = OLD.id);
        IF waiting <> '{}' THEN
            PERFORM @.nexus_recount(waiting);
        END IF;
    END IF;
    IF OLD.status <> NEW.status AND (NEW.feature_id IS NOT NULL OR NEW.sub_feature_id IS NOT NULL) THEN
        IF was_met OR is_met THEN
            PERFORM @.nexus_count_tasks(
                CASE WHEN NEW.feature_id = OLD.feature_id THEN NEW.feature_id END,
                CASE WHEN NEW.sub_feature_id = OLD.sub_feature_id THEN NEW.sub_feature_id END,
                0, was_met::INT - is_met::INT, (NEW.status = 'completed')::INT - (OLD.status = 'completed')::INT,
                NEW.updated_at);
        END IF;
        IF NEW.status = 'in_progress' THEN
            PERFORM @.nexus_start_feature(NEW.feature_id, NEW.sub_feature_id, NEW.updated_at);
        END IF;
    END IF;
    RETURN NULL;
END
$$;

-- The others are as they were.
CREATE OR REPLACE FUNCTION nexus_recount(ids TEXT[]) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM @.tasks WHERE id = ANY (ids) ORDER BY id FOR NO KEY UPDATE;
    UPDATE @.tasks SET open_dependencies = counted.open
    FROM (
        SELECT t.id, (
            SELECT count(*) FROM @.task_dependencies e
            WHERE e.task_id = t.id AND NOT EXISTS (
                SELECT 1 FROM @.tasks d WHERE d.id = e.depends_on AND d.status IN ('completed', 'skipped'))) AS open
        FROM @.tasks t WHERE t.id = ANY (ids)) counted
    WHERE tasks.id = counted.id AND tasks.open_dependencies <> counted.open;
END
$$;

CREATE OR REPLACE FUNCTION nexus_count_tasks(
    feature TEXT, sub_feature TEXT, tasks BIGINT, open BIGINT, completed BIGINT, changed BIGINT
) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    IF feature IS NOT NULL THEN
        UPDATE @.features SET
            task_count = task_count + tasks,
            open_task_count = open_task_count + open,
            completed_task_count = completed_task_count + completed,
            completed_tasks = completed_task_count + completed,
            tasks_changed_us = coalesce(@.nexus_us(changed), tasks_changed_us)
        WHERE id = feature;
    END IF;
    IF sub_feature IS NOT NULL THEN
        UPDATE @.sub_features SET
            task_count = task_count + tasks,
            open_task_count = open_task_count + open,
            completed_task_count = completed_task_count + completed
        WHERE id = sub_feature;
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION nexus_start_feature(feature TEXT, sub_feature TEXT, changed BIGINT) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    IF feature IS NOT NULL THEN
        UPDATE @.features SET status = 'in_progress', updated_at = greatest(updated_at, changed), revision = revision + 1
        WHERE id = feature AND status IN ('backlog', 'planning');
    END IF;
    IF sub_feature IS NOT NULL THEN
        UPDATE @.sub_features SET status = 'in_progress', revision = revision + 1
        WHERE id = sub_feature AND status IN ('backlog', 'planning');
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION nexus_feature_insert() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM @.nexus_count_tasks(NEW.feature_id, NEW.sub_feature_id,
        1, (NEW.status NOT IN ('completed', 'skipped'))::INT, (NEW.status = 'completed')::INT, NEW.updated_at);
    IF NEW.status = 'in_progress' THEN
        PERFORM @.nexus_start_feature(NEW.feature_id, NEW.sub_feature_id, NEW.updated_at);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION nexus_attempt_insert() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.epoch > (SELECT last_value FROM @.task_attempts_epoch_seq) THEN
        PERFORM setval((quote_ident(TG_TABLE_SCHEMA) || '.task_attempts_epoch_seq')::REGCLASS, NEW.epoch);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION nexus_agent_follow() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    still TEXT := (
        SELECT task_id FROM @.task_attempts WHERE agent_id = OLD.agent_id AND ended_us IS NULL ORDER BY epoch DESC LIMIT 1);
    how TEXT := 'gone';
    ended BIGINT;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        how := NEW.outcome;
        ended := NEW.ended_us / 1000000;
    END IF;
    UPDATE @.agents SET
        tasks_completed = coalesce(tasks_completed, 0) + (how IS NOT DISTINCT FROM 'completed')::INT,
        tasks_failed = coalesce(tasks_failed, 0) + (coalesce(how, '') IN ('failed', 'expired'))::INT,
        current_task_id = still,
        status = CASE WHEN status IN ('assigned', 'working', 'waiting') AND still IS NULL THEN 'idle' ELSE status END,
        last_activity_at = CASE WHEN how = 'expired' THEN last_activity_at ELSE greatest(last_activity_at, ended) END,
        revision = revision + 1
    WHERE id = OLD.agent_id;
    RETURN NULL;
END
$$$make$, '@.', schema_name);
END
$do$;
-- +goose StatementEnd

-- Triggers run in the order of their names: this one before those that count in features,
-- because everybody locks an attempt and its agent first.
CREATE TRIGGER tasks_changed AFTER UPDATE OF id, status, assigned_agent ON tasks
FOR EACH ROW EXECUTE FUNCTION nexus_task_changed();

-- +goose Down
-- The functions that were made again stay: they do what those before them did.
DROP TRIGGER tasks_changed ON tasks;
DROP FUNCTION nexus_task_changed();

-- +goose StatementBegin
CREATE FUNCTION nexus_feature_update() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF OLD.status IN ('completed', 'skipped') OR NEW.status IN ('completed', 'skipped') THEN
        PERFORM nexus_count_tasks(
            CASE WHEN NEW.feature_id = OLD.feature_id THEN NEW.feature_id END,
            CASE WHEN NEW.sub_feature_id = OLD.sub_feature_id THEN NEW.sub_feature_id END,
            0,
            (NEW.status NOT IN ('completed', 'skipped'))::INT - (OLD.status NOT IN ('completed', 'skipped'))::INT,
            (NEW.status = 'completed')::INT - (OLD.status = 'completed')::INT,
            NEW.updated_at);
    END IF;
    IF NEW.status = 'in_progress' THEN
        PERFORM nexus_start_feature(NEW.feature_id, NEW.sub_feature_id, NEW.updated_at);
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER tasks_feature_update AFTER UPDATE OF status ON tasks
FOR EACH ROW WHEN (
    OLD.status <> NEW.status AND (NEW.feature_id IS NOT NULL OR NEW.sub_feature_id IS NOT NULL)
    AND (OLD.status IN ('completed', 'skipped') OR NEW.status IN ('completed', 'skipped') OR NEW.status = 'in_progress')
)
EXECUTE FUNCTION nexus_feature_update();

CREATE TRIGGER tasks_dependents_update AFTER UPDATE OF status ON tasks
FOR EACH ROW WHEN (
    (OLD.status IN ('completed', 'skipped')) <> (NEW.status IN ('completed', 'skipped')) AND NEW.id = OLD.id
)
EXECUTE FUNCTION nexus_dependents();

-- +goose StatementBegin
CREATE FUNCTION nexus_attempt_end() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE task_attempts SET
        ended_us = greatest(claimed_us, nexus_us(NEW.updated_at)),
        outcome = CASE
            WHEN NEW.status IN ('blocked', 'completed', 'failed', 'skipped', 'escalated') THEN NEW.status
            WHEN NEW.status = 'cancelled' THEN 'skipped'
            ELSE 'released'
        END
    WHERE task_id = OLD.id AND held = 1
        AND (NEW.status IN ('pending', 'blocked', 'completed', 'failed', 'skipped', 'escalated', 'cancelled')
            OR agent_id IS DISTINCT FROM NEW.assigned_agent);
    IF NEW.id <> OLD.id THEN
        UPDATE task_attempts SET task_id = NEW.id WHERE task_id = OLD.id;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER tasks_attempt_end AFTER UPDATE OF id, status, assigned_agent ON tasks
FOR EACH ROW WHEN (
    OLD.status <> NEW.status AND NEW.status IN ('pending', 'blocked', 'completed', 'failed', 'skipped', 'escalated', 'cancelled')
    OR OLD.assigned_agent IS DISTINCT FROM NEW.assigned_agent OR OLD.id <> NEW.id
)
EXECUTE FUNCTION nexus_attempt_end();

-- +goose StatementBegin
DO $do$
DECLARE
    t RECORD;
BEGIN
    FOR t IN
        SELECT g.tgname, c.relname, pg_get_triggerdef(g.oid) AS definition
        FROM pg_trigger g
        JOIN pg_class c ON c.oid = g.tgrelid
        JOIN pg_proc p ON p.oid = g.tgfoid
        WHERE p.proname = 'nexus_history_' || c.relname AND p.pronamespace = current_schema()::REGNAMESPACE
            AND c.relnamespace = p.pronamespace AND NOT g.tgisinternal
        ORDER BY g.oid
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %I', t.tgname, t.relname);
        EXECUTE replace(t.definition, 'nexus_history_' || t.relname || '(', 'nexus_history(');
    END LOOP;
    FOR t IN
        SELECT proname FROM pg_proc
        WHERE proname LIKE 'nexus\_history\_%' AND proname NOT IN ('nexus_history_lock', 'nexus_history_insert')
            AND pronamespace = current_schema()::REGNAMESPACE
    LOOP
        EXECUTE format('DROP FUNCTION %I()', t.proname);
    END LOOP;
END
$do$;
-- +goose StatementEnd

DROP FUNCTION nexus_record(BIGINT, TEXT, TEXT);
DROP TABLE task_hash_progress;
DROP TABLE task_hashes;
