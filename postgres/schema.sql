-- What the migrations make, as PostgreSQL tells it. Written by go test -run TestSchemaFile -update.

--- table projects
CREATE TABLE projects ();

--- table features
CREATE TABLE features ();

--- table sub_features
CREATE TABLE sub_features ();

--- table tasks
CREATE TABLE tasks ();

--- table agents
CREATE TABLE agents ();

--- table checkpoints
CREATE TABLE checkpoints ();

--- table requirements
CREATE TABLE requirements ();

--- table metrics
CREATE TABLE metrics ();

--- table sessions
CREATE TABLE sessions ();

--- table task_dependencies
CREATE TABLE task_dependencies ();

--- table task_attempts
CREATE TABLE task_attempts ();

--- table idempotency_keys
CREATE TABLE idempotency_keys ();

--- table session_log
CREATE TABLE session_log ();

--- table metric_totals
CREATE TABLE metric_totals ();

--- table history
CREATE TABLE history ();

--- table history_marks
CREATE TABLE history_marks ();

--- table checkpoint_settings
CREATE TABLE checkpoint_settings ();

--- table search_documents
CREATE TABLE search_documents ();

--- table search_progress
CREATE TABLE search_progress ();

--- table task_hashes
CREATE TABLE task_hashes ();

--- table task_hash_progress
CREATE TABLE task_hash_progress ();

--- function nexus_count_revision()
CREATE OR REPLACE FUNCTION nexus_count_revision()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    NEW.revision := OLD.revision + 1;
    RETURN NEW;
END
$function$;

--- function nexus_ids(list text)
CREATE OR REPLACE FUNCTION nexus_ids(list text)
 RETURNS SETOF text
 LANGUAGE plpgsql
 IMMUTABLE
AS $function$
DECLARE
    ids TEXT[];
BEGIN
    IF coalesce(list, '') = '' THEN
        RETURN;
    ELSIF list ~ '^\["[^"\\\x01-\x1f]+"(,"[^"\\\x01-\x1f]+")*\]$' THEN
        RETURN QUERY SELECT json_array_elements_text(list::JSON);
        RETURN;
    END IF;
    BEGIN
        CASE json_typeof(list::JSON)
            WHEN 'null' THEN
                RETURN;
            WHEN 'array' THEN
                ids := ARRAY(
                    SELECT CASE json_typeof(item) WHEN 'string' THEN item #>> '{}' ELSE item::TEXT END
                    FROM json_array_elements(list::JSON) item);
            ELSE
                ids := ARRAY[list];
        END CASE;
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        ids := ARRAY[list];
    END;
    RETURN QUERY SELECT unnest(ids);
END
$function$;

--- function nexus_us(seconds bigint)
CREATE OR REPLACE FUNCTION nexus_us(seconds bigint)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE
AS $function$ SELECT CASE WHEN seconds IS NOT NULL THEN greatest(least(seconds, 9223372036854), -9223372036854) * 1000000 END $function$;

--- function nexus_recount(ids text[])
CREATE OR REPLACE FUNCTION nexus_recount(ids text[])
 RETURNS void
 LANGUAGE plpgsql
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    one TEXT COLLATE "C";
    was BIGINT;
    is_now BIGINT;
BEGIN
    FOR one IN SELECT DISTINCT i COLLATE "C" FROM unnest(ids) i ORDER BY 1 LOOP
        SELECT open_dependencies INTO was FROM @.tasks WHERE id = one FOR NO KEY UPDATE;
        CONTINUE WHEN NOT FOUND;
        SELECT count(*) INTO is_now FROM @.task_dependencies e
        WHERE e.task_id = one AND coalesce((SELECT d.status NOT IN ('completed', 'skipped') FROM @.tasks d WHERE d.id = e.depends_on), true);
        IF is_now <> was THEN
            UPDATE @.tasks SET open_dependencies = is_now WHERE id = one;
        END IF;
    END LOOP;
END
$function$;

--- function nexus_dependencies()
CREATE OR REPLACE FUNCTION nexus_dependencies()
 RETURNS trigger
 LANGUAGE plpgsql
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    names TEXT[] := ARRAY[NEW.id];
    needed TEXT[];
    waiting TEXT[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        names := names || OLD.id;
    END IF;
    IF TG_OP = 'UPDATE' OR NEW.depends_on IS NOT NULL THEN
        needed := ARRAY(SELECT DISTINCT item FROM @.nexus_ids(NEW.depends_on) item);
        DELETE FROM @.task_dependencies WHERE task_id = ANY (names);
        INSERT INTO @.task_dependencies (task_id, depends_on) SELECT NEW.id, unnest(needed);
        IF current_setting('transaction_isolation') = 'serializable' THEN
            PERFORM 1 FROM @.tasks WHERE id = ANY (needed) ORDER BY id FOR SHARE;
        ELSE
            PERFORM 1 FROM @.tasks WHERE id = ANY (needed) ORDER BY id FOR NO KEY UPDATE;
            UPDATE @.tasks SET open_dependencies = open_dependencies WHERE id = ANY (needed);
        END IF;
    END IF;
    waiting := ARRAY(SELECT task_id FROM @.task_dependencies WHERE depends_on = ANY (names));
    IF waiting <> '{}' OR NEW.depends_on IS NOT NULL OR NEW.open_dependencies <> 0 THEN
        PERFORM @.nexus_recount(waiting || NEW.id);
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_dependents()
CREATE OR REPLACE FUNCTION nexus_dependents()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
DECLARE
    waiting TEXT[];
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM task_dependencies WHERE task_id = OLD.id;
    END IF;
    waiting := ARRAY(SELECT task_id FROM task_dependencies WHERE depends_on = OLD.id);
    IF waiting <> '{}' THEN
        PERFORM nexus_recount(waiting);
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_count_tasks(feature text, sub_feature text, tasks bigint, open bigint, completed bigint, changed bigint)
CREATE OR REPLACE FUNCTION nexus_count_tasks(feature text, sub_feature text, tasks bigint, open bigint, completed bigint, changed bigint)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
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
$function$;

--- function nexus_start_feature(feature text, sub_feature text, changed bigint)
CREATE OR REPLACE FUNCTION nexus_start_feature(feature text, sub_feature text, changed bigint)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
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
$function$;

--- function nexus_feature_move()
CREATE OR REPLACE FUNCTION nexus_feature_move()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
DECLARE
    was_open BIGINT := (OLD.status NOT IN ('completed', 'skipped'))::INT;
    was_completed BIGINT := (OLD.status = 'completed')::INT;
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM nexus_count_tasks(OLD.feature_id, OLD.sub_feature_id, -1, -was_open, -was_completed, NULL);
        RETURN NULL;
    END IF;
    IF NEW.feature_id IS DISTINCT FROM OLD.feature_id THEN
        PERFORM nexus_count_tasks(OLD.feature_id, NULL, -1, -was_open, -was_completed, NEW.updated_at);
        PERFORM nexus_count_tasks(NEW.feature_id, NULL,
            1, (NEW.status NOT IN ('completed', 'skipped'))::INT, (NEW.status = 'completed')::INT, NEW.updated_at);
    END IF;
    IF NEW.sub_feature_id IS DISTINCT FROM OLD.sub_feature_id THEN
        PERFORM nexus_count_tasks(NULL, OLD.sub_feature_id, -1, -was_open, -was_completed, NULL);
        PERFORM nexus_count_tasks(NULL, NEW.sub_feature_id,
            1, (NEW.status NOT IN ('completed', 'skipped'))::INT, (NEW.status = 'completed')::INT, NULL);
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_follow()
CREATE OR REPLACE FUNCTION nexus_follow()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    NEW.status := CASE NEW.open_task_count WHEN 0 THEN 'done' ELSE 'in_progress' END;
    NEW.revision := NEW.revision + 1;
    IF TG_TABLE_NAME = 'features' THEN
        NEW.updated_at := greatest(NEW.updated_at, NEW.tasks_changed_us / 1000000);
    END IF;
    RETURN NEW;
END
$function$;

--- function nexus_no_tasks()
CREATE OR REPLACE FUNCTION nexus_no_tasks()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    NEW.task_count := 0;
    NEW.open_task_count := 0;
    NEW.completed_task_count := 0;
    RETURN NEW;
END
$function$;

--- function nexus_completed_tasks()
CREATE OR REPLACE FUNCTION nexus_completed_tasks()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    NEW.completed_tasks := NEW.completed_task_count;
    RETURN NEW;
END
$function$;

--- function nexus_attempt_insert()
CREATE OR REPLACE FUNCTION nexus_attempt_insert()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    IF NEW.epoch > (SELECT last_value FROM @.task_attempts_epoch_seq) THEN
        PERFORM setval((quote_ident(TG_TABLE_SCHEMA) || '.task_attempts_epoch_seq')::REGCLASS, NEW.epoch);
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_attempt_forget()
CREATE OR REPLACE FUNCTION nexus_attempt_forget()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
BEGIN
    DELETE FROM task_attempts WHERE task_id = OLD.id;
    RETURN NULL;
END
$function$;

--- function nexus_agent_follow()
CREATE OR REPLACE FUNCTION nexus_agent_follow()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
$function$;

--- function nexus_session_log()
CREATE OR REPLACE FUNCTION nexus_session_log()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM session_log WHERE session_id = OLD.id;
    ELSE
        UPDATE session_log SET session_id = NEW.id WHERE session_id = OLD.id;
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_amount(type text, value double precision)
CREATE OR REPLACE FUNCTION nexus_amount(type text, value double precision)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE
AS $function$
    SELECT CASE WHEN value = 'NaN' THEN 0 ELSE
        round(least(greatest(least(greatest(value, -1e15), 1e15) * CASE type WHEN 'cost_usd' THEN 1e9 ELSE 1e3 END, -1e15), 1e15)::NUMERIC)::BIGINT
    END
$function$;

--- function nexus_add_metric(project text, task text, of_type text, n bigint, value double precision)
CREATE OR REPLACE FUNCTION nexus_add_metric(project text, task text, of_type text, n bigint, value double precision)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
BEGIN
    IF of_type NOT IN ('token_usage', 'cost_usd') THEN
        RETURN;
    END IF;
    INSERT INTO metric_totals AS t (scope, id, type, metrics, amount)
    SELECT s.scope, s.id, of_type, n, n * nexus_amount(of_type, value)
    FROM (VALUES ('project', project), ('task', task)) AS s (scope, id) WHERE s.scope = 'project' OR s.id <> ''
    ON CONFLICT (scope, id, type) DO UPDATE SET metrics = t.metrics + excluded.metrics, amount = t.amount + excluded.amount;
    DELETE FROM metric_totals
    WHERE metrics = 0 AND type = of_type AND (scope = 'project' AND id = project OR scope = 'task' AND id = task);
END
$function$;

--- function nexus_metric_totals()
CREATE OR REPLACE FUNCTION nexus_metric_totals()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM @.nexus_count_metrics(array_agg(project_id), array_agg(task_id), array_agg(type), array_agg(value), -1)
        FROM was WHERE type IN ('token_usage', 'cost_usd');
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM @.nexus_count_metrics(array_agg(project_id), array_agg(task_id), array_agg(type), array_agg(value), 1)
        FROM now_is WHERE type IN ('token_usage', 'cost_usd');
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_history_lock()
CREATE OR REPLACE FUNCTION nexus_history_lock()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    IF coalesce(current_setting('nexus.first_change', true), '') = '' THEN
        PERFORM pg_advisory_xact_lock(TG_RELID::BIGINT);
        IF coalesce(current_setting('nexus.notifies', true), '') <> 'on' THEN
            PERFORM pg_notify('nexus_' || left(encode(sha256(convert_to(TG_TABLE_SCHEMA, 'UTF8')), 'hex'), 16), '');
        END IF;
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_history_insert()
CREATE OR REPLACE FUNCTION nexus_history_insert()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
$function$;

--- function nexus_first_change()
CREATE OR REPLACE FUNCTION nexus_first_change()
 RETURNS bigint
 LANGUAGE plpgsql
AS $function$
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    RETURN nullif(current_setting('nexus.first_change', true), '')::BIGINT;
END
$function$;

--- function nexus_history()
CREATE OR REPLACE FUNCTION nexus_history()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
DECLARE
    kept_as CONSTANT TEXT := TG_ARGV[0];
    at CONSTANT BIGINT := (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT;
    was JSONB;
    now_is JSONB;
    project TEXT;
    new_project TEXT;
    how TEXT := lower(TG_OP);
    all_kept BOOLEAN := true;
    large TEXT[];
    v TEXT[];
BEGIN
    IF TG_OP <> 'INSERT' THEN
        was := to_jsonb(OLD);
        project := nexus_project(kept_as, was);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        now_is := to_jsonb(NEW);
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
        large := TG_ARGV[2]::TEXT[];
        all_kept := EXISTS (SELECT 1 FROM unnest(large) c WHERE was -> c IS DISTINCT FROM now_is -> c);
        IF new_project IS DISTINCT FROM project THEN
            project := NULL;
        END IF;
    END IF;
    v := ARRAY(
        SELECT CASE WHEN all_kept OR c.name <> ALL (large) THEN was ->> c.name END
        FROM unnest(TG_ARGV) WITH ORDINALITY AS c (name, place) WHERE c.place > 3 ORDER BY c.place);
    INSERT INTO history (
        at_us, change, kind, id, project_id, large,
        v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15, v16, v17, v18, v19, v20, v21, v22,
        v23, v24, v25, v26, v27, v28, v29, v30, v31, v32
    ) VALUES (
        at, how, kept_as, was ->> TG_ARGV[1], project, all_kept::INT,
        v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12], v[13], v[14], v[15], v[16],
        v[17], v[18], v[19], v[20], v[21], v[22], v[23], v[24], v[25], v[26], v[27], v[28], v[29], v[30], v[31],
        v[32]
    );
    RETURN NULL;
END
$function$;

--- function nexus_project(kind text, of jsonb)
CREATE OR REPLACE FUNCTION nexus_project(kind text, of jsonb)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
BEGIN
    RETURN CASE kind
        WHEN 'project' THEN of ->> 'id'
        WHEN 'sub_feature' THEN (SELECT project_id FROM features WHERE id = of ->> 'feature_id')
        ELSE of ->> 'project_id'
    END;
END
$function$;

--- function nexus_record(at bigint, name text, by text)
CREATE OR REPLACE FUNCTION nexus_record(at bigint, name text, by text)
 RETURNS bigint
 LANGUAGE plpgsql
AS $function$
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
$function$;

--- function nexus_history_projects()
CREATE OR REPLACE FUNCTION nexus_history_projects()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
    at CONSTANT BIGINT := (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT;
    project CONSTANT TEXT := OLD.id;
    new_project CONSTANT TEXT := NEW.id;
    changed BOOLEAN;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.id = OLD.id THEN
        changed := NEW.description IS DISTINCT FROM OLD.description;
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13
        ) VALUES (
            at, 'update', 'project', OLD.id, CASE WHEN new_project = project THEN project END, changed::INT,
            OLD.name, CASE WHEN changed THEN OLD.description END, OLD.mode, OLD.status, OLD.root_path, OLD.repository_url, OLD.created_at, OLD.updated_at, OLD.completed_at, OLD.revision, OLD.plan_key, OLD.budget_tokens, OLD.budget_usd
        );
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO @.history (at_us, change, kind, id, project_id, large)
        VALUES (at, 'insert', 'project', NEW.id, new_project, 1);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13
        ) VALUES (
            at, 'delete', 'project', OLD.id, project, 1,
            OLD.name, OLD.description, OLD.mode, OLD.status, OLD.root_path, OLD.repository_url, OLD.created_at, OLD.updated_at, OLD.completed_at, OLD.revision, OLD.plan_key, OLD.budget_tokens, OLD.budget_usd
        );
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_history_features()
CREATE OR REPLACE FUNCTION nexus_history_features()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
    at CONSTANT BIGINT := (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT;
    project CONSTANT TEXT := OLD.project_id;
    new_project CONSTANT TEXT := NEW.project_id;
    changed BOOLEAN;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.id = OLD.id THEN
        changed := NEW.description IS DISTINCT FROM OLD.description;
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11
        ) VALUES (
            at, 'update', 'feature', OLD.id, CASE WHEN new_project = project THEN project END, changed::INT,
            OLD.project_id, OLD.name, CASE WHEN changed THEN OLD.description END, OLD.priority, OLD.status, OLD.estimated_tasks, OLD.completed_tasks, OLD.created_at, OLD.updated_at, OLD.revision, OLD.plan_key
        );
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO @.history (at_us, change, kind, id, project_id, large)
        VALUES (at, 'insert', 'feature', NEW.id, new_project, 1);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11
        ) VALUES (
            at, 'delete', 'feature', OLD.id, project, 1,
            OLD.project_id, OLD.name, OLD.description, OLD.priority, OLD.status, OLD.estimated_tasks, OLD.completed_tasks, OLD.created_at, OLD.updated_at, OLD.revision, OLD.plan_key
        );
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_history_sub_features()
CREATE OR REPLACE FUNCTION nexus_history_sub_features()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
    at CONSTANT BIGINT := (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT;
    project CONSTANT TEXT := (SELECT project_id FROM @.features WHERE id = OLD.feature_id);
    new_project CONSTANT TEXT := (SELECT project_id FROM @.features WHERE id = NEW.feature_id);
    changed BOOLEAN;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.id = OLD.id THEN
        changed := NEW.description IS DISTINCT FROM OLD.description;
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7
        ) VALUES (
            at, 'update', 'sub_feature', OLD.id, CASE WHEN new_project = project THEN project END, changed::INT,
            OLD.feature_id, OLD.name, CASE WHEN changed THEN OLD.description END, OLD.status, OLD.created_at, OLD.revision, OLD.plan_key
        );
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO @.history (at_us, change, kind, id, project_id, large)
        VALUES (at, 'insert', 'sub_feature', NEW.id, new_project, 1);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7
        ) VALUES (
            at, 'delete', 'sub_feature', OLD.id, project, 1,
            OLD.feature_id, OLD.name, OLD.description, OLD.status, OLD.created_at, OLD.revision, OLD.plan_key
        );
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_history_tasks()
CREATE OR REPLACE FUNCTION nexus_history_tasks()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
    at CONSTANT BIGINT := (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT;
    project CONSTANT TEXT := OLD.project_id;
    new_project CONSTANT TEXT := NEW.project_id;
    changed BOOLEAN;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.id = OLD.id THEN
        changed := NEW.description IS DISTINCT FROM OLD.description OR NEW.metadata IS DISTINCT FROM OLD.metadata;
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15, v16, v17, v18, v19, v20, v21, v22, v23, v24, v25, v26, v27, v28
        ) VALUES (
            at, 'update', 'task', OLD.id, CASE WHEN new_project = project THEN project END, changed::INT,
            OLD.project_id, OLD.feature_id, OLD.sub_feature_id, OLD.name, CASE WHEN changed THEN OLD.description END, OLD.status, OLD.size, OLD.assigned_agent, OLD.worktree_path, OLD.branch_name, OLD.depends_on, OLD.blocked_by, OLD.qa_iterations, OLD.max_iterations, OLD.estimated_minutes, OLD.actual_minutes, OLD.started_at, OLD.completed_at, OLD.created_at, OLD.updated_at, OLD.revision, OLD.plan_key, OLD.priority, CASE WHEN changed THEN OLD.metadata END, OLD.max_attempts, OLD.failed_attempts, OLD.budget_tokens, OLD.budget_usd
        );
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO @.history (at_us, change, kind, id, project_id, large)
        VALUES (at, 'insert', 'task', NEW.id, new_project, 1);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15, v16, v17, v18, v19, v20, v21, v22, v23, v24, v25, v26, v27, v28
        ) VALUES (
            at, 'delete', 'task', OLD.id, project, 1,
            OLD.project_id, OLD.feature_id, OLD.sub_feature_id, OLD.name, OLD.description, OLD.status, OLD.size, OLD.assigned_agent, OLD.worktree_path, OLD.branch_name, OLD.depends_on, OLD.blocked_by, OLD.qa_iterations, OLD.max_iterations, OLD.estimated_minutes, OLD.actual_minutes, OLD.started_at, OLD.completed_at, OLD.created_at, OLD.updated_at, OLD.revision, OLD.plan_key, OLD.priority, OLD.metadata, OLD.max_attempts, OLD.failed_attempts, OLD.budget_tokens, OLD.budget_usd
        );
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_history_agents()
CREATE OR REPLACE FUNCTION nexus_history_agents()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
    at CONSTANT BIGINT := (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT;
    project CONSTANT TEXT := NULL;
    new_project CONSTANT TEXT := NULL;
    changed BOOLEAN;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.id = OLD.id THEN
        changed := false;
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13
        ) VALUES (
            at, 'update', 'agent', OLD.id, CASE WHEN new_project = project THEN project END, changed::INT,
            OLD.type, OLD.status, OLD.current_task_id, OLD.worktree_path, OLD.branch_name, OLD.tokens_used, OLD.tasks_completed, OLD.tasks_failed, OLD.spawned_at, OLD.last_activity_at, OLD.terminated_at, OLD.termination_reason, OLD.revision
        );
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO @.history (at_us, change, kind, id, project_id, large)
        VALUES (at, 'insert', 'agent', NEW.id, new_project, 1);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13
        ) VALUES (
            at, 'delete', 'agent', OLD.id, project, 1,
            OLD.type, OLD.status, OLD.current_task_id, OLD.worktree_path, OLD.branch_name, OLD.tokens_used, OLD.tasks_completed, OLD.tasks_failed, OLD.spawned_at, OLD.last_activity_at, OLD.terminated_at, OLD.termination_reason, OLD.revision
        );
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_history_checkpoints()
CREATE OR REPLACE FUNCTION nexus_history_checkpoints()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
    at CONSTANT BIGINT := (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT;
    project CONSTANT TEXT := OLD.project_id;
    new_project CONSTANT TEXT := NEW.project_id;
    changed BOOLEAN;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.id = OLD.id THEN
        changed := NEW.state IS DISTINCT FROM OLD.state;
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7
        ) VALUES (
            at, 'update', 'checkpoint', OLD.id, CASE WHEN new_project = project THEN project END, changed::INT,
            OLD.project_id, OLD.name, OLD.reason, CASE WHEN changed THEN OLD.state END, OLD.git_commit, OLD.created_at, OLD.revision
        );
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO @.history (at_us, change, kind, id, project_id, large)
        VALUES (at, 'insert', 'checkpoint', NEW.id, new_project, 1);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7
        ) VALUES (
            at, 'delete', 'checkpoint', OLD.id, project, 1,
            OLD.project_id, OLD.name, OLD.reason, OLD.state, OLD.git_commit, OLD.created_at, OLD.revision
        );
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_history_requirements()
CREATE OR REPLACE FUNCTION nexus_history_requirements()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
    at CONSTANT BIGINT := (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT;
    project CONSTANT TEXT := OLD.project_id;
    new_project CONSTANT TEXT := NEW.project_id;
    changed BOOLEAN;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.id = OLD.id THEN
        changed := NEW.description IS DISTINCT FROM OLD.description;
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10
        ) VALUES (
            at, 'update', 'requirement', OLD.id, CASE WHEN new_project = project THEN project END, changed::INT,
            OLD.project_id, OLD.category, CASE WHEN changed THEN OLD.description END, OLD.priority, OLD.source, OLD.linked_features, OLD.validated, OLD.created_at, OLD.revision, OLD.plan_key
        );
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO @.history (at_us, change, kind, id, project_id, large)
        VALUES (at, 'insert', 'requirement', NEW.id, new_project, 1);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10
        ) VALUES (
            at, 'delete', 'requirement', OLD.id, project, 1,
            OLD.project_id, OLD.category, OLD.description, OLD.priority, OLD.source, OLD.linked_features, OLD.validated, OLD.created_at, OLD.revision, OLD.plan_key
        );
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_history_sessions()
CREATE OR REPLACE FUNCTION nexus_history_sessions()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
    at CONSTANT BIGINT := (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT;
    project CONSTANT TEXT := OLD.project_id;
    new_project CONSTANT TEXT := NEW.project_id;
    changed BOOLEAN;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.id = OLD.id THEN
        changed := NEW.data IS DISTINCT FROM OLD.data;
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7
        ) VALUES (
            at, 'update', 'session', OLD.id, CASE WHEN new_project = project THEN project END, changed::INT,
            OLD.project_id, OLD.type, OLD.status, CASE WHEN changed THEN OLD.data END, OLD.started_at, OLD.ended_at, OLD.revision
        );
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO @.history (at_us, change, kind, id, project_id, large)
        VALUES (at, 'insert', 'session', NEW.id, new_project, 1);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7
        ) VALUES (
            at, 'delete', 'session', OLD.id, project, 1,
            OLD.project_id, OLD.type, OLD.status, OLD.data, OLD.started_at, OLD.ended_at, OLD.revision
        );
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_history_task_attempts()
CREATE OR REPLACE FUNCTION nexus_history_task_attempts()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
    at CONSTANT BIGINT := (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT;
    project CONSTANT TEXT := NULL;
    new_project CONSTANT TEXT := NULL;
    changed BOOLEAN;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.task_id = OLD.task_id THEN
        changed := false;
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11
        ) VALUES (
            at, 'update', 'attempt', OLD.task_id, CASE WHEN new_project = project THEN project END, changed::INT,
            OLD.epoch, OLD.agent_id, OLD.claimed_us, OLD.lease_us, OLD.lease_until_us, OLD.process, OLD.progress, OLD.ended_us, OLD.outcome, OLD.reason, OLD.evidence
        );
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO @.history (at_us, change, kind, id, project_id, large)
        VALUES (at, 'insert', 'attempt', NEW.task_id, new_project, 1);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11
        ) VALUES (
            at, 'delete', 'attempt', OLD.task_id, project, 1,
            OLD.epoch, OLD.agent_id, OLD.claimed_us, OLD.lease_us, OLD.lease_until_us, OLD.process, OLD.progress, OLD.ended_us, OLD.outcome, OLD.reason, OLD.evidence
        );
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_history_session_log()
CREATE OR REPLACE FUNCTION nexus_history_session_log()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
    at CONSTANT BIGINT := (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT;
    project CONSTANT TEXT := NULL;
    new_project CONSTANT TEXT := NULL;
    changed BOOLEAN;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.session_id = OLD.session_id THEN
        changed := false;
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5
        ) VALUES (
            at, 'update', 'session_entry', OLD.session_id, CASE WHEN new_project = project THEN project END, changed::INT,
            OLD.number, OLD.at_us, OLD.kind, OLD.author, OLD.text
        );
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO @.history (at_us, change, kind, id, project_id, large)
        VALUES (at, 'insert', 'session_entry', NEW.session_id, new_project, 1);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large, v1, v2, v3, v4, v5
        ) VALUES (
            at, 'delete', 'session_entry', OLD.session_id, project, 1,
            OLD.number, OLD.at_us, OLD.kind, OLD.author, OLD.text
        );
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_task_changed()
CREATE OR REPLACE FUNCTION nexus_task_changed()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
$function$;

--- function nexus_history_metrics()
CREATE OR REPLACE FUNCTION nexus_history_metrics()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM @.projects WHERE id = OLD.project_id) THEN
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large,
            v1, v2, v3, v4, v5, v6, v7, v8
        ) VALUES (
            (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT, 'delete', 'project_metric', OLD.project_id, OLD.project_id, 1,
            OLD.id, OLD.agent_id, OLD.task_id, OLD.type, OLD.value, OLD.metadata, OLD.timestamp, OLD.revision
        );
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_history_checkpoint_settings()
CREATE OR REPLACE FUNCTION nexus_history_checkpoint_settings()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM @.projects WHERE id = OLD.project_id) THEN
        INSERT INTO @.history (
            at_us, change, kind, id, project_id, large,
            v1, v2, v3, v4, v5, v6, v7, v8
        ) VALUES (
            (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT, 'delete', 'checkpoint_setting', OLD.project_id, OLD.project_id, 1,
            OLD.phase_complete, OLD.feature_complete, OLD.task_failed, OLD.qa_exhausted, OLD.every_minutes, OLD.every_tasks,
            OLD.scheduled_us, OLD.completed_tasks
        );
    END IF;
    RETURN NULL;
END
$function$;

--- function nexus_count_metrics(project_ids text[], task_ids text[], types text[], of_values double precision[], n bigint)
CREATE OR REPLACE FUNCTION nexus_count_metrics(project_ids text[], task_ids text[], types text[], of_values double precision[], n bigint)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
BEGIN
    INSERT INTO @.metric_totals AS t (scope, id, type, metrics, amount)
    SELECT s.scope, s.id, m.type, sum(n), sum(n * @.nexus_amount(m.type, m.value))
    FROM unnest(project_ids, task_ids, types, of_values) AS m (project_id, task_id, type, value)
    CROSS JOIN LATERAL (VALUES ('project', m.project_id), ('task', m.task_id)) AS s (scope, id)
    WHERE s.scope = 'project' OR s.id <> ''
    GROUP BY s.scope, s.id, m.type
    ORDER BY s.scope, s.id, m.type
    ON CONFLICT (scope, id, type) DO UPDATE SET metrics = t.metrics + excluded.metrics, amount = t.amount + excluded.amount;
    IF n < 0 THEN
        DELETE FROM @.metric_totals t USING unnest(project_ids, task_ids, types) AS m (project_id, task_id, type)
        WHERE t.metrics = 0 AND t.type = m.type AND (t.scope = 'project' AND t.id = m.project_id OR t.scope = 'task' AND t.id = m.task_id);
    END IF;
END
$function$;

--- function nexus_feature_tasks()
CREATE OR REPLACE FUNCTION nexus_feature_tasks()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
    part RECORD;
BEGIN
    IF TG_OP = 'DELETE' THEN
        FOR part IN
            SELECT place, id, count(*) AS tasks,
                count(*) FILTER (WHERE status NOT IN ('completed', 'skipped')) AS open,
                count(*) FILTER (WHERE status = 'completed') AS completed
            FROM (
                SELECT c.place, c.id, t.status,
                    t.at > max(t.at) FILTER (WHERE t.status NOT IN ('completed', 'skipped')) OVER (PARTITION BY c.place, c.id) AS after_open
                FROM (SELECT *, row_number() OVER () AS at FROM was) t
                CROSS JOIN LATERAL (VALUES (1, t.feature_id), (2, t.sub_feature_id)) AS c (place, id)
                WHERE c.id IS NOT NULL) gone
            GROUP BY place, id, after_open ORDER BY place, id, after_open
        LOOP
            PERFORM @.nexus_count_tasks(
                CASE part.place WHEN 1 THEN part.id END, CASE part.place WHEN 2 THEN part.id END,
                -part.tasks, -part.open, -part.completed, NULL);
        END LOOP;
        RETURN NULL;
    END IF;
    FOR part IN
        SELECT place, id, count(*) AS tasks,
            count(*) FILTER (WHERE status NOT IN ('completed', 'skipped')) AS open,
            count(*) FILTER (WHERE status = 'completed') AS completed,
            max(updated_at) AS changed,
            max(updated_at) FILTER (WHERE status = 'in_progress') AS started
        FROM (
            SELECT c.place, c.id, t.status, t.updated_at,
                t.at < min(t.at) FILTER (WHERE t.status NOT IN ('completed', 'skipped')) OVER (PARTITION BY c.place, c.id) AS before_open
            FROM (SELECT *, row_number() OVER () AS at FROM now_is) t
            CROSS JOIN LATERAL (VALUES (1, t.feature_id), (2, t.sub_feature_id)) AS c (place, id)
            WHERE c.id IS NOT NULL) come
        GROUP BY place, id, before_open ORDER BY place, id, before_open DESC
    LOOP
        PERFORM @.nexus_count_tasks(
            CASE part.place WHEN 1 THEN part.id END, CASE part.place WHEN 2 THEN part.id END,
            part.tasks, part.open, part.completed, part.changed);
        IF part.started IS NOT NULL THEN
            PERFORM @.nexus_start_feature(
                CASE part.place WHEN 1 THEN part.id END, CASE part.place WHEN 2 THEN part.id END, part.started);
        END IF;
    END LOOP;
    RETURN NULL;
END
$function$;

--- column id of projects
ALTER TABLE projects ADD COLUMN id TEXT COLLATE "C" NOT NULL;

--- column name of projects
ALTER TABLE projects ADD COLUMN name TEXT COLLATE "C" NOT NULL;

--- column description of projects
ALTER TABLE projects ADD COLUMN description TEXT COLLATE "C";

--- column mode of projects
ALTER TABLE projects ADD COLUMN mode TEXT COLLATE "C" NOT NULL;

--- column status of projects
ALTER TABLE projects ADD COLUMN status TEXT COLLATE "C" NOT NULL;

--- column root_path of projects
ALTER TABLE projects ADD COLUMN root_path TEXT COLLATE "C" NOT NULL;

--- column repository_url of projects
ALTER TABLE projects ADD COLUMN repository_url TEXT COLLATE "C";

--- column created_at of projects
ALTER TABLE projects ADD COLUMN created_at BIGINT NOT NULL;

--- column updated_at of projects
ALTER TABLE projects ADD COLUMN updated_at BIGINT NOT NULL;

--- column completed_at of projects
ALTER TABLE projects ADD COLUMN completed_at BIGINT;

--- column revision of projects
ALTER TABLE projects ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;

--- column plan_key of projects
ALTER TABLE projects ADD COLUMN plan_key TEXT COLLATE "C";

--- column budget_tokens of projects
ALTER TABLE projects ADD COLUMN budget_tokens BIGINT;

--- column budget_usd of projects
ALTER TABLE projects ADD COLUMN budget_usd DOUBLE PRECISION;

--- column id of features
ALTER TABLE features ADD COLUMN id TEXT COLLATE "C" NOT NULL;

--- column project_id of features
ALTER TABLE features ADD COLUMN project_id TEXT COLLATE "C" NOT NULL;

--- column name of features
ALTER TABLE features ADD COLUMN name TEXT COLLATE "C" NOT NULL;

--- column description of features
ALTER TABLE features ADD COLUMN description TEXT COLLATE "C";

--- column priority of features
ALTER TABLE features ADD COLUMN priority TEXT COLLATE "C" NOT NULL DEFAULT 'should'::text;

--- column status of features
ALTER TABLE features ADD COLUMN status TEXT COLLATE "C" NOT NULL DEFAULT 'backlog'::text;

--- column estimated_tasks of features
ALTER TABLE features ADD COLUMN estimated_tasks BIGINT DEFAULT 0;

--- column completed_tasks of features
ALTER TABLE features ADD COLUMN completed_tasks BIGINT DEFAULT 0;

--- column created_at of features
ALTER TABLE features ADD COLUMN created_at BIGINT NOT NULL;

--- column updated_at of features
ALTER TABLE features ADD COLUMN updated_at BIGINT NOT NULL;

--- column revision of features
ALTER TABLE features ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;

--- column plan_key of features
ALTER TABLE features ADD COLUMN plan_key TEXT COLLATE "C";

--- column task_count of features
ALTER TABLE features ADD COLUMN task_count BIGINT NOT NULL DEFAULT 0;

--- column open_task_count of features
ALTER TABLE features ADD COLUMN open_task_count BIGINT NOT NULL DEFAULT 0;

--- column completed_task_count of features
ALTER TABLE features ADD COLUMN completed_task_count BIGINT NOT NULL DEFAULT 0;

--- column tasks_changed_us of features
ALTER TABLE features ADD COLUMN tasks_changed_us BIGINT NOT NULL DEFAULT 0;

--- column id of sub_features
ALTER TABLE sub_features ADD COLUMN id TEXT COLLATE "C" NOT NULL;

--- column feature_id of sub_features
ALTER TABLE sub_features ADD COLUMN feature_id TEXT COLLATE "C" NOT NULL;

--- column name of sub_features
ALTER TABLE sub_features ADD COLUMN name TEXT COLLATE "C" NOT NULL;

--- column description of sub_features
ALTER TABLE sub_features ADD COLUMN description TEXT COLLATE "C";

--- column status of sub_features
ALTER TABLE sub_features ADD COLUMN status TEXT COLLATE "C" NOT NULL DEFAULT 'backlog'::text;

--- column created_at of sub_features
ALTER TABLE sub_features ADD COLUMN created_at BIGINT NOT NULL;

--- column revision of sub_features
ALTER TABLE sub_features ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;

--- column plan_key of sub_features
ALTER TABLE sub_features ADD COLUMN plan_key TEXT COLLATE "C";

--- column task_count of sub_features
ALTER TABLE sub_features ADD COLUMN task_count BIGINT NOT NULL DEFAULT 0;

--- column open_task_count of sub_features
ALTER TABLE sub_features ADD COLUMN open_task_count BIGINT NOT NULL DEFAULT 0;

--- column completed_task_count of sub_features
ALTER TABLE sub_features ADD COLUMN completed_task_count BIGINT NOT NULL DEFAULT 0;

--- column id of tasks
ALTER TABLE tasks ADD COLUMN id TEXT COLLATE "C" NOT NULL;

--- column project_id of tasks
ALTER TABLE tasks ADD COLUMN project_id TEXT COLLATE "C" NOT NULL;

--- column feature_id of tasks
ALTER TABLE tasks ADD COLUMN feature_id TEXT COLLATE "C";

--- column sub_feature_id of tasks
ALTER TABLE tasks ADD COLUMN sub_feature_id TEXT COLLATE "C";

--- column name of tasks
ALTER TABLE tasks ADD COLUMN name TEXT COLLATE "C" NOT NULL;

--- column description of tasks
ALTER TABLE tasks ADD COLUMN description TEXT COLLATE "C";

--- column status of tasks
ALTER TABLE tasks ADD COLUMN status TEXT COLLATE "C" NOT NULL DEFAULT 'pending'::text;

--- column size of tasks
ALTER TABLE tasks ADD COLUMN size TEXT COLLATE "C" NOT NULL DEFAULT 'small'::text;

--- column assigned_agent of tasks
ALTER TABLE tasks ADD COLUMN assigned_agent TEXT COLLATE "C";

--- column worktree_path of tasks
ALTER TABLE tasks ADD COLUMN worktree_path TEXT COLLATE "C";

--- column branch_name of tasks
ALTER TABLE tasks ADD COLUMN branch_name TEXT COLLATE "C";

--- column depends_on of tasks
ALTER TABLE tasks ADD COLUMN depends_on TEXT COLLATE "C";

--- column blocked_by of tasks
ALTER TABLE tasks ADD COLUMN blocked_by TEXT COLLATE "C";

--- column qa_iterations of tasks
ALTER TABLE tasks ADD COLUMN qa_iterations BIGINT DEFAULT 0;

--- column max_iterations of tasks
ALTER TABLE tasks ADD COLUMN max_iterations BIGINT DEFAULT 50;

--- column estimated_minutes of tasks
ALTER TABLE tasks ADD COLUMN estimated_minutes BIGINT DEFAULT 15;

--- column actual_minutes of tasks
ALTER TABLE tasks ADD COLUMN actual_minutes BIGINT;

--- column started_at of tasks
ALTER TABLE tasks ADD COLUMN started_at BIGINT;

--- column completed_at of tasks
ALTER TABLE tasks ADD COLUMN completed_at BIGINT;

--- column created_at of tasks
ALTER TABLE tasks ADD COLUMN created_at BIGINT NOT NULL;

--- column updated_at of tasks
ALTER TABLE tasks ADD COLUMN updated_at BIGINT NOT NULL;

--- column revision of tasks
ALTER TABLE tasks ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;

--- column plan_key of tasks
ALTER TABLE tasks ADD COLUMN plan_key TEXT COLLATE "C";

--- column priority of tasks
ALTER TABLE tasks ADD COLUMN priority BIGINT NOT NULL DEFAULT 2;

--- column metadata of tasks
ALTER TABLE tasks ADD COLUMN metadata TEXT COLLATE "C";

--- column open_dependencies of tasks
ALTER TABLE tasks ADD COLUMN open_dependencies BIGINT NOT NULL DEFAULT 0;

--- column max_attempts of tasks
ALTER TABLE tasks ADD COLUMN max_attempts BIGINT NOT NULL DEFAULT 3;

--- column failed_attempts of tasks
ALTER TABLE tasks ADD COLUMN failed_attempts BIGINT NOT NULL DEFAULT 0;

--- column budget_tokens of tasks
ALTER TABLE tasks ADD COLUMN budget_tokens BIGINT;

--- column budget_usd of tasks
ALTER TABLE tasks ADD COLUMN budget_usd DOUBLE PRECISION;

--- column id of agents
ALTER TABLE agents ADD COLUMN id TEXT COLLATE "C" NOT NULL;

--- column type of agents
ALTER TABLE agents ADD COLUMN type TEXT COLLATE "C" NOT NULL;

--- column status of agents
ALTER TABLE agents ADD COLUMN status TEXT COLLATE "C" NOT NULL DEFAULT 'idle'::text;

--- column current_task_id of agents
ALTER TABLE agents ADD COLUMN current_task_id TEXT COLLATE "C";

--- column worktree_path of agents
ALTER TABLE agents ADD COLUMN worktree_path TEXT COLLATE "C";

--- column branch_name of agents
ALTER TABLE agents ADD COLUMN branch_name TEXT COLLATE "C";

--- column tokens_used of agents
ALTER TABLE agents ADD COLUMN tokens_used BIGINT DEFAULT 0;

--- column tasks_completed of agents
ALTER TABLE agents ADD COLUMN tasks_completed BIGINT DEFAULT 0;

--- column tasks_failed of agents
ALTER TABLE agents ADD COLUMN tasks_failed BIGINT DEFAULT 0;

--- column spawned_at of agents
ALTER TABLE agents ADD COLUMN spawned_at BIGINT NOT NULL;

--- column last_activity_at of agents
ALTER TABLE agents ADD COLUMN last_activity_at BIGINT NOT NULL;

--- column terminated_at of agents
ALTER TABLE agents ADD COLUMN terminated_at BIGINT;

--- column termination_reason of agents
ALTER TABLE agents ADD COLUMN termination_reason TEXT COLLATE "C";

--- column revision of agents
ALTER TABLE agents ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;

--- column id of checkpoints
ALTER TABLE checkpoints ADD COLUMN id TEXT COLLATE "C" NOT NULL;

--- column project_id of checkpoints
ALTER TABLE checkpoints ADD COLUMN project_id TEXT COLLATE "C" NOT NULL;

--- column name of checkpoints
ALTER TABLE checkpoints ADD COLUMN name TEXT COLLATE "C";

--- column reason of checkpoints
ALTER TABLE checkpoints ADD COLUMN reason TEXT COLLATE "C";

--- column state of checkpoints
ALTER TABLE checkpoints ADD COLUMN state TEXT COLLATE "C";

--- column git_commit of checkpoints
ALTER TABLE checkpoints ADD COLUMN git_commit TEXT COLLATE "C";

--- column created_at of checkpoints
ALTER TABLE checkpoints ADD COLUMN created_at BIGINT NOT NULL;

--- column revision of checkpoints
ALTER TABLE checkpoints ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;

--- column id of requirements
ALTER TABLE requirements ADD COLUMN id TEXT COLLATE "C" NOT NULL;

--- column project_id of requirements
ALTER TABLE requirements ADD COLUMN project_id TEXT COLLATE "C" NOT NULL;

--- column category of requirements
ALTER TABLE requirements ADD COLUMN category TEXT COLLATE "C" NOT NULL;

--- column description of requirements
ALTER TABLE requirements ADD COLUMN description TEXT COLLATE "C" NOT NULL;

--- column priority of requirements
ALTER TABLE requirements ADD COLUMN priority TEXT COLLATE "C" NOT NULL DEFAULT 'medium'::text;

--- column source of requirements
ALTER TABLE requirements ADD COLUMN source TEXT COLLATE "C";

--- column linked_features of requirements
ALTER TABLE requirements ADD COLUMN linked_features TEXT COLLATE "C";

--- column validated of requirements
ALTER TABLE requirements ADD COLUMN validated BIGINT DEFAULT 0;

--- column created_at of requirements
ALTER TABLE requirements ADD COLUMN created_at BIGINT NOT NULL;

--- column revision of requirements
ALTER TABLE requirements ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;

--- column plan_key of requirements
ALTER TABLE requirements ADD COLUMN plan_key TEXT COLLATE "C";

--- column id of metrics
ALTER TABLE metrics ADD COLUMN id TEXT COLLATE "C" NOT NULL;

--- column project_id of metrics
ALTER TABLE metrics ADD COLUMN project_id TEXT COLLATE "C" NOT NULL;

--- column agent_id of metrics
ALTER TABLE metrics ADD COLUMN agent_id TEXT COLLATE "C";

--- column task_id of metrics
ALTER TABLE metrics ADD COLUMN task_id TEXT COLLATE "C";

--- column type of metrics
ALTER TABLE metrics ADD COLUMN type TEXT COLLATE "C" NOT NULL;

--- column value of metrics
ALTER TABLE metrics ADD COLUMN value DOUBLE PRECISION NOT NULL;

--- column metadata of metrics
ALTER TABLE metrics ADD COLUMN metadata TEXT COLLATE "C";

--- column timestamp of metrics
ALTER TABLE metrics ADD COLUMN "timestamp" BIGINT NOT NULL;

--- column revision of metrics
ALTER TABLE metrics ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;

--- column id of sessions
ALTER TABLE sessions ADD COLUMN id TEXT COLLATE "C" NOT NULL;

--- column project_id of sessions
ALTER TABLE sessions ADD COLUMN project_id TEXT COLLATE "C" NOT NULL;

--- column type of sessions
ALTER TABLE sessions ADD COLUMN type TEXT COLLATE "C" NOT NULL;

--- column status of sessions
ALTER TABLE sessions ADD COLUMN status TEXT COLLATE "C" NOT NULL DEFAULT 'active'::text;

--- column data of sessions
ALTER TABLE sessions ADD COLUMN data TEXT COLLATE "C";

--- column started_at of sessions
ALTER TABLE sessions ADD COLUMN started_at BIGINT NOT NULL;

--- column ended_at of sessions
ALTER TABLE sessions ADD COLUMN ended_at BIGINT;

--- column revision of sessions
ALTER TABLE sessions ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;

--- column task_id of task_dependencies
ALTER TABLE task_dependencies ADD COLUMN task_id TEXT COLLATE "C" NOT NULL;

--- column depends_on of task_dependencies
ALTER TABLE task_dependencies ADD COLUMN depends_on TEXT COLLATE "C" NOT NULL;

--- column epoch of task_attempts
ALTER TABLE task_attempts ADD COLUMN epoch BIGINT NOT NULL GENERATED BY DEFAULT AS IDENTITY;

--- column task_id of task_attempts
ALTER TABLE task_attempts ADD COLUMN task_id TEXT COLLATE "C";

--- column agent_id of task_attempts
ALTER TABLE task_attempts ADD COLUMN agent_id TEXT COLLATE "C" NOT NULL;

--- column claimed_us of task_attempts
ALTER TABLE task_attempts ADD COLUMN claimed_us BIGINT NOT NULL;

--- column lease_us of task_attempts
ALTER TABLE task_attempts ADD COLUMN lease_us BIGINT NOT NULL;

--- column lease_until_us of task_attempts
ALTER TABLE task_attempts ADD COLUMN lease_until_us BIGINT NOT NULL;

--- column process of task_attempts
ALTER TABLE task_attempts ADD COLUMN process TEXT COLLATE "C";

--- column progress of task_attempts
ALTER TABLE task_attempts ADD COLUMN progress TEXT COLLATE "C";

--- column ended_us of task_attempts
ALTER TABLE task_attempts ADD COLUMN ended_us BIGINT;

--- column outcome of task_attempts
ALTER TABLE task_attempts ADD COLUMN outcome TEXT COLLATE "C";

--- column reason of task_attempts
ALTER TABLE task_attempts ADD COLUMN reason TEXT COLLATE "C";

--- column evidence of task_attempts
ALTER TABLE task_attempts ADD COLUMN evidence TEXT COLLATE "C";

--- column held of task_attempts
ALTER TABLE task_attempts ADD COLUMN held BIGINT GENERATED ALWAYS AS (
CASE
    WHEN (ended_us IS NULL) THEN 1
    ELSE NULL::integer
END) STORED;

--- column key of idempotency_keys
ALTER TABLE idempotency_keys ADD COLUMN key TEXT COLLATE "C" NOT NULL;

--- column request of idempotency_keys
ALTER TABLE idempotency_keys ADD COLUMN request TEXT COLLATE "C" NOT NULL;

--- column result of idempotency_keys
ALTER TABLE idempotency_keys ADD COLUMN result TEXT COLLATE "C" NOT NULL;

--- column created_us of idempotency_keys
ALTER TABLE idempotency_keys ADD COLUMN created_us BIGINT NOT NULL;

--- column session_id of session_log
ALTER TABLE session_log ADD COLUMN session_id TEXT COLLATE "C" NOT NULL;

--- column number of session_log
ALTER TABLE session_log ADD COLUMN number BIGINT NOT NULL;

--- column at_us of session_log
ALTER TABLE session_log ADD COLUMN at_us BIGINT NOT NULL;

--- column kind of session_log
ALTER TABLE session_log ADD COLUMN kind TEXT COLLATE "C" NOT NULL;

--- column author of session_log
ALTER TABLE session_log ADD COLUMN author TEXT COLLATE "C";

--- column text of session_log
ALTER TABLE session_log ADD COLUMN text TEXT COLLATE "C" NOT NULL;

--- column scope of metric_totals
ALTER TABLE metric_totals ADD COLUMN scope TEXT COLLATE "C" NOT NULL;

--- column id of metric_totals
ALTER TABLE metric_totals ADD COLUMN id TEXT COLLATE "C" NOT NULL;

--- column type of metric_totals
ALTER TABLE metric_totals ADD COLUMN type TEXT COLLATE "C" NOT NULL;

--- column metrics of metric_totals
ALTER TABLE metric_totals ADD COLUMN metrics BIGINT NOT NULL;

--- column amount of metric_totals
ALTER TABLE metric_totals ADD COLUMN amount BIGINT NOT NULL;

--- column seq of history
ALTER TABLE history ADD COLUMN seq BIGINT NOT NULL GENERATED BY DEFAULT AS IDENTITY;

--- column at_us of history
ALTER TABLE history ADD COLUMN at_us BIGINT NOT NULL;

--- column change of history
ALTER TABLE history ADD COLUMN change TEXT COLLATE "C" NOT NULL;

--- column kind of history
ALTER TABLE history ADD COLUMN kind TEXT COLLATE "C";

--- column id of history
ALTER TABLE history ADD COLUMN id TEXT COLLATE "C";

--- column project_id of history
ALTER TABLE history ADD COLUMN project_id TEXT COLLATE "C";

--- column large of history
ALTER TABLE history ADD COLUMN large BIGINT;

--- column first of history
ALTER TABLE history ADD COLUMN first BIGINT;

--- column operation of history
ALTER TABLE history ADD COLUMN operation TEXT COLLATE "C";

--- column actor of history
ALTER TABLE history ADD COLUMN actor TEXT COLLATE "C";

--- column v1 of history
ALTER TABLE history ADD COLUMN v1 TEXT COLLATE "C";

--- column v2 of history
ALTER TABLE history ADD COLUMN v2 TEXT COLLATE "C";

--- column v3 of history
ALTER TABLE history ADD COLUMN v3 TEXT COLLATE "C";

--- column v4 of history
ALTER TABLE history ADD COLUMN v4 TEXT COLLATE "C";

--- column v5 of history
ALTER TABLE history ADD COLUMN v5 TEXT COLLATE "C";

--- column v6 of history
ALTER TABLE history ADD COLUMN v6 TEXT COLLATE "C";

--- column v7 of history
ALTER TABLE history ADD COLUMN v7 TEXT COLLATE "C";

--- column v8 of history
ALTER TABLE history ADD COLUMN v8 TEXT COLLATE "C";

--- column v9 of history
ALTER TABLE history ADD COLUMN v9 TEXT COLLATE "C";

--- column v10 of history
ALTER TABLE history ADD COLUMN v10 TEXT COLLATE "C";

--- column v11 of history
ALTER TABLE history ADD COLUMN v11 TEXT COLLATE "C";

--- column v12 of history
ALTER TABLE history ADD COLUMN v12 TEXT COLLATE "C";

--- column v13 of history
ALTER TABLE history ADD COLUMN v13 TEXT COLLATE "C";

--- column v14 of history
ALTER TABLE history ADD COLUMN v14 TEXT COLLATE "C";

--- column v15 of history
ALTER TABLE history ADD COLUMN v15 TEXT COLLATE "C";

--- column v16 of history
ALTER TABLE history ADD COLUMN v16 TEXT COLLATE "C";

--- column v17 of history
ALTER TABLE history ADD COLUMN v17 TEXT COLLATE "C";

--- column v18 of history
ALTER TABLE history ADD COLUMN v18 TEXT COLLATE "C";

--- column v19 of history
ALTER TABLE history ADD COLUMN v19 TEXT COLLATE "C";

--- column v20 of history
ALTER TABLE history ADD COLUMN v20 TEXT COLLATE "C";

--- column v21 of history
ALTER TABLE history ADD COLUMN v21 TEXT COLLATE "C";

--- column v22 of history
ALTER TABLE history ADD COLUMN v22 TEXT COLLATE "C";

--- column v23 of history
ALTER TABLE history ADD COLUMN v23 TEXT COLLATE "C";

--- column v24 of history
ALTER TABLE history ADD COLUMN v24 TEXT COLLATE "C";

--- column v25 of history
ALTER TABLE history ADD COLUMN v25 TEXT COLLATE "C";

--- column v26 of history
ALTER TABLE history ADD COLUMN v26 TEXT COLLATE "C";

--- column v27 of history
ALTER TABLE history ADD COLUMN v27 TEXT COLLATE "C";

--- column v28 of history
ALTER TABLE history ADD COLUMN v28 TEXT COLLATE "C";

--- column v29 of history
ALTER TABLE history ADD COLUMN v29 TEXT COLLATE "C";

--- column v30 of history
ALTER TABLE history ADD COLUMN v30 TEXT COLLATE "C";

--- column v31 of history
ALTER TABLE history ADD COLUMN v31 TEXT COLLATE "C";

--- column v32 of history
ALTER TABLE history ADD COLUMN v32 TEXT COLLATE "C";

--- column name of history_marks
ALTER TABLE history_marks ADD COLUMN name TEXT COLLATE "C" NOT NULL;

--- column seq of history_marks
ALTER TABLE history_marks ADD COLUMN seq BIGINT NOT NULL;

--- column project_id of checkpoint_settings
ALTER TABLE checkpoint_settings ADD COLUMN project_id TEXT COLLATE "C" NOT NULL;

--- column phase_complete of checkpoint_settings
ALTER TABLE checkpoint_settings ADD COLUMN phase_complete BIGINT NOT NULL DEFAULT 0;

--- column feature_complete of checkpoint_settings
ALTER TABLE checkpoint_settings ADD COLUMN feature_complete BIGINT NOT NULL DEFAULT 0;

--- column task_failed of checkpoint_settings
ALTER TABLE checkpoint_settings ADD COLUMN task_failed BIGINT NOT NULL DEFAULT 0;

--- column qa_exhausted of checkpoint_settings
ALTER TABLE checkpoint_settings ADD COLUMN qa_exhausted BIGINT NOT NULL DEFAULT 0;

--- column every_minutes of checkpoint_settings
ALTER TABLE checkpoint_settings ADD COLUMN every_minutes BIGINT NOT NULL DEFAULT 0;

--- column every_tasks of checkpoint_settings
ALTER TABLE checkpoint_settings ADD COLUMN every_tasks BIGINT NOT NULL DEFAULT 0;

--- column scheduled_us of checkpoint_settings
ALTER TABLE checkpoint_settings ADD COLUMN scheduled_us BIGINT NOT NULL DEFAULT 0;

--- column completed_tasks of checkpoint_settings
ALTER TABLE checkpoint_settings ADD COLUMN completed_tasks BIGINT NOT NULL DEFAULT 0;

--- column document of search_documents
ALTER TABLE search_documents ADD COLUMN document BIGINT NOT NULL GENERATED BY DEFAULT AS IDENTITY;

--- column kind of search_documents
ALTER TABLE search_documents ADD COLUMN kind TEXT COLLATE "C" NOT NULL;

--- column id of search_documents
ALTER TABLE search_documents ADD COLUMN id TEXT COLLATE "C" NOT NULL;

--- column number of search_documents
ALTER TABLE search_documents ADD COLUMN number BIGINT NOT NULL;

--- column project_id of search_documents
ALTER TABLE search_documents ADD COLUMN project_id TEXT COLLATE "C";

--- column at_us of search_documents
ALTER TABLE search_documents ADD COLUMN at_us BIGINT NOT NULL;

--- column digest of search_documents
ALTER TABLE search_documents ADD COLUMN digest BIGINT NOT NULL;

--- column one of search_progress
ALTER TABLE search_progress ADD COLUMN one BIGINT NOT NULL;

--- column step of search_progress
ALTER TABLE search_progress ADD COLUMN step BIGINT NOT NULL;

--- column seq of search_progress
ALTER TABLE search_progress ADD COLUMN seq BIGINT NOT NULL;

--- column kind of search_progress
ALTER TABLE search_progress ADD COLUMN kind TEXT COLLATE "C";

--- column id of search_progress
ALTER TABLE search_progress ADD COLUMN id TEXT COLLATE "C";

--- column project_id of task_hashes
ALTER TABLE task_hashes ADD COLUMN project_id TEXT COLLATE "C" NOT NULL;

--- column last_id of task_hashes
ALTER TABLE task_hashes ADD COLUMN last_id TEXT COLLATE "C" NOT NULL;

--- column tasks of task_hashes
ALTER TABLE task_hashes ADD COLUMN tasks BIGINT NOT NULL;

--- column sha256 of task_hashes
ALTER TABLE task_hashes ADD COLUMN sha256 TEXT COLLATE "C" NOT NULL;

--- column project_id of task_hash_progress
ALTER TABLE task_hash_progress ADD COLUMN project_id TEXT COLLATE "C" NOT NULL;

--- column seq of task_hash_progress
ALTER TABLE task_hash_progress ADD COLUMN seq BIGINT NOT NULL;

--- column columns of task_hash_progress
ALTER TABLE task_hash_progress ADD COLUMN columns TEXT COLLATE "C" NOT NULL;

--- constraint CHECK (mode = ANY (ARRAY['genesis'::text, 'evolution'::text])) of projects
ALTER TABLE projects ADD CONSTRAINT projects_mode_check CHECK (mode = ANY (ARRAY['genesis'::text, 'evolution'::text]));

--- constraint PRIMARY KEY (id) of projects
ALTER TABLE projects ADD CONSTRAINT projects_pkey PRIMARY KEY (id);

--- constraint PRIMARY KEY (id) of features
ALTER TABLE features ADD CONSTRAINT features_pkey PRIMARY KEY (id);

--- constraint PRIMARY KEY (id) of sub_features
ALTER TABLE sub_features ADD CONSTRAINT sub_features_pkey PRIMARY KEY (id);

--- constraint PRIMARY KEY (id) of tasks
ALTER TABLE tasks ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);

--- constraint PRIMARY KEY (id) of agents
ALTER TABLE agents ADD CONSTRAINT agents_pkey PRIMARY KEY (id);

--- constraint PRIMARY KEY (id) of checkpoints
ALTER TABLE checkpoints ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (id);

--- constraint PRIMARY KEY (id) of requirements
ALTER TABLE requirements ADD CONSTRAINT requirements_pkey PRIMARY KEY (id);

--- constraint PRIMARY KEY (id) of metrics
ALTER TABLE metrics ADD CONSTRAINT metrics_pkey PRIMARY KEY (id);

--- constraint PRIMARY KEY (id) of sessions
ALTER TABLE sessions ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);

--- constraint PRIMARY KEY (task_id, depends_on) of task_dependencies
ALTER TABLE task_dependencies ADD CONSTRAINT task_dependencies_pkey PRIMARY KEY (task_id, depends_on);

--- constraint PRIMARY KEY (epoch) of task_attempts
ALTER TABLE task_attempts ADD CONSTRAINT task_attempts_pkey PRIMARY KEY (epoch);

--- constraint PRIMARY KEY (key) of idempotency_keys
ALTER TABLE idempotency_keys ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key);

--- constraint PRIMARY KEY (session_id, number) of session_log
ALTER TABLE session_log ADD CONSTRAINT session_log_pkey PRIMARY KEY (session_id, number);

--- constraint PRIMARY KEY (scope, id, type) of metric_totals
ALTER TABLE metric_totals ADD CONSTRAINT metric_totals_pkey PRIMARY KEY (scope, id, type);

--- constraint PRIMARY KEY (seq) of history
ALTER TABLE history ADD CONSTRAINT history_pkey PRIMARY KEY (seq);

--- constraint PRIMARY KEY (name) of history_marks
ALTER TABLE history_marks ADD CONSTRAINT history_marks_pkey PRIMARY KEY (name);

--- constraint PRIMARY KEY (project_id) of checkpoint_settings
ALTER TABLE checkpoint_settings ADD CONSTRAINT checkpoint_settings_pkey PRIMARY KEY (project_id);

--- constraint PRIMARY KEY (document) of search_documents
ALTER TABLE search_documents ADD CONSTRAINT search_documents_pkey PRIMARY KEY (document);

--- constraint CHECK (one = 1) of search_progress
ALTER TABLE search_progress ADD CONSTRAINT search_progress_one_check CHECK (one = 1);

--- constraint PRIMARY KEY (one) of search_progress
ALTER TABLE search_progress ADD CONSTRAINT search_progress_pkey PRIMARY KEY (one);

--- constraint PRIMARY KEY (project_id, last_id) of task_hashes
ALTER TABLE task_hashes ADD CONSTRAINT task_hashes_pkey PRIMARY KEY (project_id, last_id);

--- constraint PRIMARY KEY (project_id) of task_hash_progress
ALTER TABLE task_hash_progress ADD CONSTRAINT task_hash_progress_pkey PRIMARY KEY (project_id);

--- constraint FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE of features
ALTER TABLE features ADD CONSTRAINT features_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE;

--- constraint FOREIGN KEY (feature_id) REFERENCES features(id) ON DELETE CASCADE of sub_features
ALTER TABLE sub_features ADD CONSTRAINT sub_features_feature_id_fkey FOREIGN KEY (feature_id) REFERENCES features(id) ON DELETE CASCADE;

--- constraint FOREIGN KEY (feature_id) REFERENCES features(id) of tasks
ALTER TABLE tasks ADD CONSTRAINT tasks_feature_id_fkey FOREIGN KEY (feature_id) REFERENCES features(id);

--- constraint FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE of tasks
ALTER TABLE tasks ADD CONSTRAINT tasks_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE;

--- constraint FOREIGN KEY (sub_feature_id) REFERENCES sub_features(id) of tasks
ALTER TABLE tasks ADD CONSTRAINT tasks_sub_feature_id_fkey FOREIGN KEY (sub_feature_id) REFERENCES sub_features(id);

--- constraint FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE of checkpoints
ALTER TABLE checkpoints ADD CONSTRAINT checkpoints_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE;

--- constraint FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE of requirements
ALTER TABLE requirements ADD CONSTRAINT requirements_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE;

--- constraint FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE of metrics
ALTER TABLE metrics ADD CONSTRAINT metrics_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE;

--- constraint FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE of sessions
ALTER TABLE sessions ADD CONSTRAINT sessions_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE;

--- constraint FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE of checkpoint_settings
ALTER TABLE checkpoint_settings ADD CONSTRAINT checkpoint_settings_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE;

--- constraint FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE of task_hashes
ALTER TABLE task_hashes ADD CONSTRAINT task_hashes_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE;

--- constraint FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE of task_hash_progress
ALTER TABLE task_hash_progress ADD CONSTRAINT task_hash_progress_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE;

--- index idx_features_project of features
CREATE INDEX idx_features_project ON features USING btree (project_id);

--- index idx_agents_status of agents
CREATE INDEX idx_agents_status ON agents USING btree (status);

--- index idx_checkpoints_project of checkpoints
CREATE INDEX idx_checkpoints_project ON checkpoints USING btree (project_id);

--- index idx_projects_plan_key of projects
CREATE UNIQUE INDEX idx_projects_plan_key ON projects USING btree (plan_key) WHERE plan_key IS NOT NULL;

--- index idx_features_plan_key of features
CREATE UNIQUE INDEX idx_features_plan_key ON features USING btree (project_id, plan_key) WHERE plan_key IS NOT NULL;

--- index idx_sub_features_plan_key of sub_features
CREATE UNIQUE INDEX idx_sub_features_plan_key ON sub_features USING btree (feature_id, plan_key) WHERE plan_key IS NOT NULL;

--- index idx_tasks_plan_key of tasks
CREATE UNIQUE INDEX idx_tasks_plan_key ON tasks USING btree (project_id, plan_key) WHERE plan_key IS NOT NULL;

--- index idx_requirements_plan_key of requirements
CREATE UNIQUE INDEX idx_requirements_plan_key ON requirements USING btree (project_id, plan_key) WHERE plan_key IS NOT NULL;

--- index idx_tasks_project of tasks
CREATE INDEX idx_tasks_project ON tasks USING btree (project_id, id);

--- index idx_tasks_status of tasks
CREATE INDEX idx_tasks_status ON tasks USING btree (status, id);

--- index idx_sub_features_feature of sub_features
CREATE INDEX idx_sub_features_feature ON sub_features USING btree (feature_id);

--- index idx_tasks_feature of tasks
CREATE INDEX idx_tasks_feature ON tasks USING btree (feature_id) WHERE feature_id IS NOT NULL;

--- index idx_tasks_sub_feature of tasks
CREATE INDEX idx_tasks_sub_feature ON tasks USING btree (sub_feature_id) WHERE sub_feature_id IS NOT NULL;

--- index idx_requirements_project of requirements
CREATE INDEX idx_requirements_project ON requirements USING btree (project_id);

--- index idx_metrics_project of metrics
CREATE INDEX idx_metrics_project ON metrics USING btree (project_id);

--- index idx_sessions_project of sessions
CREATE INDEX idx_sessions_project ON sessions USING btree (project_id);

--- index idx_task_dependencies_on of task_dependencies
CREATE INDEX idx_task_dependencies_on ON task_dependencies USING btree (depends_on, task_id);

--- index idx_task_attempts_task of task_attempts
CREATE UNIQUE INDEX idx_task_attempts_task ON task_attempts USING btree (task_id, held);

--- index idx_task_attempts_lease of task_attempts
CREATE INDEX idx_task_attempts_lease ON task_attempts USING btree (lease_until_us) WHERE ended_us IS NULL;

--- index idx_task_attempts_agent of task_attempts
CREATE INDEX idx_task_attempts_agent ON task_attempts USING btree (agent_id, epoch) WHERE ended_us IS NULL;

--- index idx_idempotency_keys_created of idempotency_keys
CREATE INDEX idx_idempotency_keys_created ON idempotency_keys USING btree (created_us);

--- index idx_tasks_ready of tasks
CREATE INDEX idx_tasks_ready ON tasks USING btree (project_id, priority, created_at, id) WHERE status = 'pending'::text AND open_dependencies = 0 AND COALESCE(blocked_by, ''::text) = ''::text;

--- index idx_history_rows of history
CREATE INDEX idx_history_rows ON history USING btree (id, kind, seq);

--- index idx_history_rows_large of history
CREATE INDEX idx_history_rows_large ON history USING btree (id, kind, seq) WHERE large = 1;

--- index idx_history_operations of history
CREATE INDEX idx_history_operations ON history USING btree (seq) WHERE change = 'operation'::text;

--- index idx_history_deleted of history
CREATE INDEX idx_history_deleted ON history USING btree (kind, seq) WHERE change = 'delete'::text;

--- index idx_search_documents of search_documents
CREATE UNIQUE INDEX idx_search_documents ON search_documents USING btree (kind, id, number);

--- view task_dependency_lists
CREATE VIEW task_dependency_lists AS
 SELECT t.id AS task_id,
    item.item AS depends_on
   FROM tasks t,
    LATERAL nexus_ids(t.depends_on) item(item);

--- view metric_sums
CREATE VIEW metric_sums AS
 SELECT 'project'::text AS scope,
    metrics.project_id AS id,
    metrics.type,
    count(*) AS metrics,
    sum(nexus_amount(metrics.type, metrics.value)) AS amount
   FROM metrics
  WHERE metrics.type = ANY (ARRAY['token_usage'::text, 'cost_usd'::text])
  GROUP BY metrics.project_id, metrics.type
UNION ALL
 SELECT 'task'::text AS scope,
    metrics.task_id AS id,
    metrics.type,
    count(*) AS metrics,
    sum(nexus_amount(metrics.type, metrics.value)) AS amount
   FROM metrics
  WHERE (metrics.type = ANY (ARRAY['token_usage'::text, 'cost_usd'::text])) AND metrics.task_id <> ''::text
  GROUP BY metrics.task_id, metrics.type;

--- view history_rows
CREATE VIEW history_rows AS
 SELECT history.id,
    history.kind,
    history.seq,
    history.large
   FROM history
  WHERE history.id IS NOT NULL AND history.kind IS NOT NULL;

--- trigger projects_revision of projects
CREATE TRIGGER projects_revision BEFORE UPDATE ON projects FOR EACH ROW WHEN (new.revision = old.revision) EXECUTE FUNCTION nexus_count_revision();

--- trigger checkpoints_revision of checkpoints
CREATE TRIGGER checkpoints_revision BEFORE UPDATE ON checkpoints FOR EACH ROW WHEN (new.revision = old.revision) EXECUTE FUNCTION nexus_count_revision();

--- trigger requirements_revision of requirements
CREATE TRIGGER requirements_revision BEFORE UPDATE ON requirements FOR EACH ROW WHEN (new.revision = old.revision) EXECUTE FUNCTION nexus_count_revision();

--- trigger metrics_revision of metrics
CREATE TRIGGER metrics_revision BEFORE UPDATE ON metrics FOR EACH ROW WHEN (new.revision = old.revision) EXECUTE FUNCTION nexus_count_revision();

--- trigger sessions_revision of sessions
CREATE TRIGGER sessions_revision BEFORE UPDATE ON sessions FOR EACH ROW WHEN (new.revision = old.revision) EXECUTE FUNCTION nexus_count_revision();

--- trigger features_revision of features
CREATE TRIGGER features_revision BEFORE UPDATE OF id, project_id, name, description, priority, status, estimated_tasks, created_at, updated_at, plan_key ON features FOR EACH ROW WHEN (new.revision = old.revision) EXECUTE FUNCTION nexus_count_revision();

--- trigger sub_features_revision of sub_features
CREATE TRIGGER sub_features_revision BEFORE UPDATE OF id, feature_id, name, description, status, created_at, plan_key ON sub_features FOR EACH ROW WHEN (new.revision = old.revision) EXECUTE FUNCTION nexus_count_revision();

--- trigger tasks_dependencies_insert of tasks
CREATE TRIGGER tasks_dependencies_insert AFTER INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION nexus_dependencies();

--- trigger tasks_dependencies_update of tasks
CREATE TRIGGER tasks_dependencies_update AFTER UPDATE OF id, depends_on ON tasks FOR EACH ROW WHEN (new.id <> old.id OR new.depends_on IS DISTINCT FROM old.depends_on OR new.open_dependencies <> old.open_dependencies) EXECUTE FUNCTION nexus_dependencies();

--- trigger tasks_dependents_delete of tasks
CREATE TRIGGER tasks_dependents_delete AFTER DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION nexus_dependents();

--- trigger tasks_feature_move of tasks
CREATE TRIGGER tasks_feature_move AFTER UPDATE OF feature_id, sub_feature_id ON tasks FOR EACH ROW WHEN (new.feature_id IS DISTINCT FROM old.feature_id OR new.sub_feature_id IS DISTINCT FROM old.sub_feature_id) EXECUTE FUNCTION nexus_feature_move();

--- trigger features_follow of features
CREATE TRIGGER features_follow BEFORE UPDATE OF task_count, open_task_count, completed_task_count ON features FOR EACH ROW WHEN (new.open_task_count = 0 AND new.task_count > 0 AND (new.status = ANY (ARRAY['backlog'::text, 'planning'::text, 'in_progress'::text])) OR new.open_task_count > 0 AND new.completed_task_count > old.completed_task_count AND (new.status = ANY (ARRAY['backlog'::text, 'planning'::text])) OR new.open_task_count > old.open_task_count AND new.status = 'done'::text) EXECUTE FUNCTION nexus_follow();

--- trigger sub_features_follow of sub_features
CREATE TRIGGER sub_features_follow BEFORE UPDATE OF task_count, open_task_count, completed_task_count ON sub_features FOR EACH ROW WHEN (new.open_task_count = 0 AND new.task_count > 0 AND (new.status = ANY (ARRAY['backlog'::text, 'planning'::text, 'in_progress'::text])) OR new.open_task_count > 0 AND new.completed_task_count > old.completed_task_count AND (new.status = ANY (ARRAY['backlog'::text, 'planning'::text])) OR new.open_task_count > old.open_task_count AND new.status = 'done'::text) EXECUTE FUNCTION nexus_follow();

--- trigger features_no_tasks of features
CREATE TRIGGER features_no_tasks BEFORE INSERT ON features FOR EACH ROW WHEN (new.task_count <> 0 OR new.open_task_count <> 0 OR new.completed_task_count <> 0) EXECUTE FUNCTION nexus_no_tasks();

--- trigger sub_features_no_tasks of sub_features
CREATE TRIGGER sub_features_no_tasks BEFORE INSERT ON sub_features FOR EACH ROW WHEN (new.task_count <> 0 OR new.open_task_count <> 0 OR new.completed_task_count <> 0) EXECUTE FUNCTION nexus_no_tasks();

--- trigger features_completed_tasks of features
CREATE TRIGGER features_completed_tasks BEFORE UPDATE OF completed_tasks ON features FOR EACH ROW WHEN (new.task_count > 0 AND new.completed_tasks IS DISTINCT FROM new.completed_task_count) EXECUTE FUNCTION nexus_completed_tasks();

--- trigger agents_revision of agents
CREATE TRIGGER agents_revision BEFORE UPDATE OF id, type, status, current_task_id, worktree_path, branch_name, tokens_used, tasks_completed, tasks_failed, spawned_at, terminated_at, termination_reason ON agents FOR EACH ROW WHEN (new.revision = old.revision) EXECUTE FUNCTION nexus_count_revision();

--- trigger task_attempts_insert of task_attempts
CREATE TRIGGER task_attempts_insert AFTER INSERT ON task_attempts FOR EACH ROW EXECUTE FUNCTION nexus_attempt_insert();

--- trigger tasks_attempt_forget of tasks
CREATE TRIGGER tasks_attempt_forget AFTER DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION nexus_attempt_forget();

--- trigger task_attempts_end of task_attempts
CREATE TRIGGER task_attempts_end AFTER UPDATE OF ended_us ON task_attempts FOR EACH ROW WHEN (old.ended_us IS NULL AND new.ended_us IS NOT NULL) EXECUTE FUNCTION nexus_agent_follow();

--- trigger task_attempts_delete of task_attempts
CREATE TRIGGER task_attempts_delete AFTER DELETE ON task_attempts FOR EACH ROW WHEN (old.ended_us IS NULL) EXECUTE FUNCTION nexus_agent_follow();

--- trigger sessions_delete_log of sessions
CREATE TRIGGER sessions_delete_log AFTER DELETE ON sessions FOR EACH ROW EXECUTE FUNCTION nexus_session_log();

--- trigger sessions_rename_log of sessions
CREATE TRIGGER sessions_rename_log AFTER UPDATE OF id ON sessions FOR EACH ROW WHEN (old.id <> new.id) EXECUTE FUNCTION nexus_session_log();

--- trigger tasks_revision of tasks
CREATE TRIGGER tasks_revision BEFORE UPDATE OF id, project_id, feature_id, sub_feature_id, name, description, status, size, assigned_agent, worktree_path, branch_name, depends_on, blocked_by, qa_iterations, max_iterations, estimated_minutes, actual_minutes, started_at, completed_at, created_at, updated_at, plan_key, priority, metadata, max_attempts, failed_attempts, budget_tokens, budget_usd ON tasks FOR EACH ROW WHEN (new.revision = old.revision) EXECUTE FUNCTION nexus_count_revision();

--- trigger history_lock of history
CREATE TRIGGER history_lock BEFORE INSERT ON history FOR EACH STATEMENT EXECUTE FUNCTION nexus_history_lock();

--- trigger history_insert of history
CREATE TRIGGER history_insert AFTER INSERT ON history FOR EACH ROW EXECUTE FUNCTION nexus_history_insert();

--- trigger projects_history of projects
CREATE CONSTRAINT TRIGGER projects_history AFTER INSERT OR DELETE ON projects DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_projects('project', 'id', '{description}', 'name', 'description', 'mode', 'status', 'root_path', 'repository_url', 'created_at', 'updated_at', 'completed_at', 'revision', 'plan_key', 'budget_tokens', 'budget_usd');

--- trigger projects_history_update of projects
CREATE CONSTRAINT TRIGGER projects_history_update AFTER UPDATE OF id, name, description, mode, status, root_path, repository_url, created_at, updated_at, completed_at, plan_key, budget_tokens, budget_usd ON projects DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_projects('project', 'id', '{description}', 'name', 'description', 'mode', 'status', 'root_path', 'repository_url', 'created_at', 'updated_at', 'completed_at', 'revision', 'plan_key', 'budget_tokens', 'budget_usd');

--- trigger features_history of features
CREATE CONSTRAINT TRIGGER features_history AFTER INSERT OR DELETE ON features DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_features('feature', 'id', '{description}', 'project_id', 'name', 'description', 'priority', 'status', 'estimated_tasks', 'completed_tasks', 'created_at', 'updated_at', 'revision', 'plan_key');

--- trigger features_history_update of features
CREATE CONSTRAINT TRIGGER features_history_update AFTER UPDATE ON features DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (old.id IS DISTINCT FROM new.id OR old.project_id IS DISTINCT FROM new.project_id OR old.name IS DISTINCT FROM new.name OR old.description IS DISTINCT FROM new.description OR old.priority IS DISTINCT FROM new.priority OR old.status IS DISTINCT FROM new.status OR old.estimated_tasks IS DISTINCT FROM new.estimated_tasks OR old.completed_tasks IS DISTINCT FROM new.completed_tasks OR old.created_at IS DISTINCT FROM new.created_at OR old.updated_at IS DISTINCT FROM new.updated_at OR old.plan_key IS DISTINCT FROM new.plan_key) EXECUTE FUNCTION nexus_history_features('feature', 'id', '{description}', 'project_id', 'name', 'description', 'priority', 'status', 'estimated_tasks', 'completed_tasks', 'created_at', 'updated_at', 'revision', 'plan_key');

--- trigger sub_features_history of sub_features
CREATE CONSTRAINT TRIGGER sub_features_history AFTER INSERT OR DELETE ON sub_features DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_sub_features('sub_feature', 'id', '{description}', 'feature_id', 'name', 'description', 'status', 'created_at', 'revision', 'plan_key');

--- trigger sub_features_history_update of sub_features
CREATE CONSTRAINT TRIGGER sub_features_history_update AFTER UPDATE ON sub_features DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (old.id IS DISTINCT FROM new.id OR old.feature_id IS DISTINCT FROM new.feature_id OR old.name IS DISTINCT FROM new.name OR old.description IS DISTINCT FROM new.description OR old.status IS DISTINCT FROM new.status OR old.created_at IS DISTINCT FROM new.created_at OR old.plan_key IS DISTINCT FROM new.plan_key OR old.revision IS DISTINCT FROM new.revision) EXECUTE FUNCTION nexus_history_sub_features('sub_feature', 'id', '{description}', 'feature_id', 'name', 'description', 'status', 'created_at', 'revision', 'plan_key');

--- trigger tasks_history of tasks
CREATE CONSTRAINT TRIGGER tasks_history AFTER INSERT OR DELETE ON tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_tasks('task', 'id', '{description,metadata}', 'project_id', 'feature_id', 'sub_feature_id', 'name', 'description', 'status', 'size', 'assigned_agent', 'worktree_path', 'branch_name', 'depends_on', 'blocked_by', 'qa_iterations', 'max_iterations', 'estimated_minutes', 'actual_minutes', 'started_at', 'completed_at', 'created_at', 'updated_at', 'revision', 'plan_key', 'priority', 'metadata', 'max_attempts', 'failed_attempts', 'budget_tokens', 'budget_usd');

--- trigger tasks_history_update of tasks
CREATE CONSTRAINT TRIGGER tasks_history_update AFTER UPDATE OF id, project_id, feature_id, sub_feature_id, name, description, status, size, assigned_agent, worktree_path, branch_name, depends_on, blocked_by, qa_iterations, max_iterations, estimated_minutes, actual_minutes, started_at, completed_at, created_at, updated_at, plan_key, priority, metadata, max_attempts, failed_attempts, budget_tokens, budget_usd ON tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_tasks('task', 'id', '{description,metadata}', 'project_id', 'feature_id', 'sub_feature_id', 'name', 'description', 'status', 'size', 'assigned_agent', 'worktree_path', 'branch_name', 'depends_on', 'blocked_by', 'qa_iterations', 'max_iterations', 'estimated_minutes', 'actual_minutes', 'started_at', 'completed_at', 'created_at', 'updated_at', 'revision', 'plan_key', 'priority', 'metadata', 'max_attempts', 'failed_attempts', 'budget_tokens', 'budget_usd');

--- trigger agents_history of agents
CREATE CONSTRAINT TRIGGER agents_history AFTER INSERT OR DELETE ON agents DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_agents('agent', 'id', '{}', 'type', 'status', 'current_task_id', 'worktree_path', 'branch_name', 'tokens_used', 'tasks_completed', 'tasks_failed', 'spawned_at', 'last_activity_at', 'terminated_at', 'termination_reason', 'revision');

--- trigger agents_history_update of agents
CREATE CONSTRAINT TRIGGER agents_history_update AFTER UPDATE OF id, type, status, current_task_id, worktree_path, branch_name, tokens_used, tasks_completed, tasks_failed, spawned_at, terminated_at, termination_reason ON agents DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_agents('agent', 'id', '{}', 'type', 'status', 'current_task_id', 'worktree_path', 'branch_name', 'tokens_used', 'tasks_completed', 'tasks_failed', 'spawned_at', 'last_activity_at', 'terminated_at', 'termination_reason', 'revision');

--- trigger checkpoints_history of checkpoints
CREATE CONSTRAINT TRIGGER checkpoints_history AFTER INSERT OR DELETE ON checkpoints DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_checkpoints('checkpoint', 'id', '{state}', 'project_id', 'name', 'reason', 'state', 'git_commit', 'created_at', 'revision');

--- trigger checkpoints_history_update of checkpoints
CREATE CONSTRAINT TRIGGER checkpoints_history_update AFTER UPDATE OF id, project_id, name, reason, state, git_commit, created_at ON checkpoints DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_checkpoints('checkpoint', 'id', '{state}', 'project_id', 'name', 'reason', 'state', 'git_commit', 'created_at', 'revision');

--- trigger requirements_history of requirements
CREATE CONSTRAINT TRIGGER requirements_history AFTER INSERT OR DELETE ON requirements DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_requirements('requirement', 'id', '{description}', 'project_id', 'category', 'description', 'priority', 'source', 'linked_features', 'validated', 'created_at', 'revision', 'plan_key');

--- trigger requirements_history_update of requirements
CREATE CONSTRAINT TRIGGER requirements_history_update AFTER UPDATE OF id, project_id, category, description, priority, source, linked_features, validated, created_at, plan_key ON requirements DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_requirements('requirement', 'id', '{description}', 'project_id', 'category', 'description', 'priority', 'source', 'linked_features', 'validated', 'created_at', 'revision', 'plan_key');

--- trigger sessions_history of sessions
CREATE CONSTRAINT TRIGGER sessions_history AFTER INSERT OR DELETE ON sessions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_sessions('session', 'id', '{data}', 'project_id', 'type', 'status', 'data', 'started_at', 'ended_at', 'revision');

--- trigger sessions_history_update of sessions
CREATE CONSTRAINT TRIGGER sessions_history_update AFTER UPDATE OF id, project_id, type, status, data, started_at, ended_at ON sessions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_sessions('session', 'id', '{data}', 'project_id', 'type', 'status', 'data', 'started_at', 'ended_at', 'revision');

--- trigger task_attempts_history of task_attempts
CREATE CONSTRAINT TRIGGER task_attempts_history AFTER DELETE ON task_attempts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (old.task_id IS NOT NULL) EXECUTE FUNCTION nexus_history_task_attempts('attempt', 'task_id', '{}', 'epoch', 'agent_id', 'claimed_us', 'lease_us', 'lease_until_us', 'process', 'progress', 'ended_us', 'outcome', 'reason', 'evidence');

--- trigger session_log_history of session_log
CREATE CONSTRAINT TRIGGER session_log_history AFTER DELETE ON session_log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_session_log('session_entry', 'session_id', '{}', 'number', 'at_us', 'kind', 'author', 'text');

--- trigger tasks_changed of tasks
CREATE TRIGGER tasks_changed AFTER UPDATE OF id, status, assigned_agent ON tasks FOR EACH ROW EXECUTE FUNCTION nexus_task_changed();

--- trigger metrics_totals_insert of metrics
CREATE TRIGGER metrics_totals_insert AFTER INSERT ON metrics REFERENCING NEW TABLE AS now_is FOR EACH STATEMENT EXECUTE FUNCTION nexus_metric_totals();

--- trigger metrics_totals_update of metrics
CREATE TRIGGER metrics_totals_update AFTER UPDATE ON metrics REFERENCING OLD TABLE AS was NEW TABLE AS now_is FOR EACH STATEMENT EXECUTE FUNCTION nexus_metric_totals();

--- trigger metrics_totals_delete of metrics
CREATE TRIGGER metrics_totals_delete AFTER DELETE ON metrics REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION nexus_metric_totals();

--- trigger metrics_history of metrics
CREATE CONSTRAINT TRIGGER metrics_history AFTER DELETE ON metrics DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_metrics();

--- trigger checkpoint_settings_history of checkpoint_settings
CREATE CONSTRAINT TRIGGER checkpoint_settings_history AFTER DELETE ON checkpoint_settings DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_checkpoint_settings();

--- trigger tasks_feature_insert of tasks
CREATE TRIGGER tasks_feature_insert AFTER INSERT ON tasks REFERENCING NEW TABLE AS now_is FOR EACH STATEMENT EXECUTE FUNCTION nexus_feature_tasks();

--- trigger tasks_feature_delete of tasks
CREATE TRIGGER tasks_feature_delete AFTER DELETE ON tasks REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION nexus_feature_tasks();
