-- What goes with a project, and is in no history of its own, is kept when the project is
-- deleted: its metrics, and which checkpoints are made by themselves. What is deleted while
-- the project stays is not.
--
-- Here it has more, for what is stored many at a time:
--
-- What metrics come to, and the tasks of a feature that are new or gone, are counted once a
-- statement. Once a row, the versions of one total that a transaction leaves behind made
-- thousands of rows take minutes, because each has to be passed by to find the last. A
-- feature gets the status that it would have got row by row: it is done as soon as no task is
-- open, so those that have ended count by themselves if they come before the open ones, or
-- go after them.
--
-- What follows for dependencies is looked up by index. A trigger's plans are made once a
-- session, perhaps while there is next to nothing in the tables, and then reading all of a
-- table looks cheap; it stays the plan when there are thousands. So the functions forbid it,
-- and look up row by row what a plan could join in another way.
--
-- And nexus_us of no time is none. It was the end of time, to which a feature was changed
-- whose last open task was deleted.

-- +goose Up
-- +goose StatementBegin
DO $do$
DECLARE
    schema_name CONSTANT TEXT := '"' || replace(current_schema(), '"', '""') || '".';
BEGIN
    EXECUTE replace($make$
CREATE FUNCTION nexus_history_metrics() RETURNS TRIGGER LANGUAGE plpgsql AS $$
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
$$;

CREATE FUNCTION nexus_history_checkpoint_settings() RETURNS TRIGGER LANGUAGE plpgsql AS $$
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
$$$make$, '@.', schema_name);
END
$do$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $do$
DECLARE
    schema_name CONSTANT TEXT := '"' || replace(current_schema(), '"', '""') || '".';
BEGIN
    EXECUTE replace($make$
CREATE FUNCTION nexus_count_metrics(project_ids TEXT[], task_ids TEXT[], types TEXT[], of_values DOUBLE PRECISION[], n BIGINT) RETURNS VOID
LANGUAGE plpgsql AS $$
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
$$;

CREATE OR REPLACE FUNCTION nexus_metric_totals() RETURNS TRIGGER LANGUAGE plpgsql AS $$
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
$$$make$, '@.', schema_name);
END
$do$;
-- +goose StatementEnd

DROP TRIGGER metrics_totals ON metrics;
CREATE TRIGGER metrics_totals_insert AFTER INSERT ON metrics
REFERENCING NEW TABLE AS now_is FOR EACH STATEMENT EXECUTE FUNCTION nexus_metric_totals();
CREATE TRIGGER metrics_totals_update AFTER UPDATE ON metrics
REFERENCING OLD TABLE AS was NEW TABLE AS now_is FOR EACH STATEMENT EXECUTE FUNCTION nexus_metric_totals();
CREATE TRIGGER metrics_totals_delete AFTER DELETE ON metrics
REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION nexus_metric_totals();

CREATE CONSTRAINT TRIGGER metrics_history AFTER DELETE ON metrics
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_metrics();

CREATE CONSTRAINT TRIGGER checkpoint_settings_history AFTER DELETE ON checkpoint_settings
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nexus_history_checkpoint_settings();

-- +goose StatementBegin
DO $do$
DECLARE
    schema_name CONSTANT TEXT := '"' || replace(current_schema(), '"', '""') || '".';
BEGIN
    EXECUTE replace($make$
CREATE OR REPLACE FUNCTION nexus_recount(ids TEXT[]) RETURNS VOID LANGUAGE plpgsql SET enable_seqscan = off AS $$
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
$$;

CREATE OR REPLACE FUNCTION nexus_dependencies() RETURNS TRIGGER LANGUAGE plpgsql SET enable_seqscan = off AS $$
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
$$;

CREATE FUNCTION nexus_feature_tasks() RETURNS TRIGGER LANGUAGE plpgsql AS $$
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
$$$make$, '@.', schema_name);
END
$do$;
-- +goose StatementEnd

-- Their names are the last of their kind: features are locked after tasks.
DROP TRIGGER tasks_feature_insert ON tasks;
DROP TRIGGER tasks_feature_delete ON tasks;
DROP FUNCTION nexus_feature_insert();
CREATE TRIGGER tasks_feature_insert AFTER INSERT ON tasks
REFERENCING NEW TABLE AS now_is FOR EACH STATEMENT EXECUTE FUNCTION nexus_feature_tasks();
CREATE TRIGGER tasks_feature_delete AFTER DELETE ON tasks
REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION nexus_feature_tasks();

CREATE OR REPLACE FUNCTION nexus_us(seconds BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN seconds IS NOT NULL THEN greatest(least(seconds, 9223372036854), -9223372036854) * 1000000 END $$;

UPDATE features SET tasks_changed_us = 0 WHERE tasks_changed_us = 9223372036854000000;
UPDATE features f SET updated_at = greatest(created_at, (SELECT max(t.updated_at) FROM tasks t WHERE t.feature_id = f.id))
WHERE updated_at = 9223372036854;

-- +goose Down
CREATE OR REPLACE FUNCTION nexus_us(seconds BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS
$$ SELECT greatest(least(seconds, 9223372036854), -9223372036854) * 1000000 $$;
DROP TRIGGER tasks_feature_delete ON tasks;
DROP TRIGGER tasks_feature_insert ON tasks;
DROP FUNCTION nexus_feature_tasks();
-- +goose StatementBegin
DO $do$
DECLARE
    schema_name CONSTANT TEXT := '"' || replace(current_schema(), '"', '""') || '".';
BEGIN
    EXECUTE replace($make$
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

CREATE FUNCTION nexus_feature_insert() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM @.nexus_count_tasks(NEW.feature_id, NEW.sub_feature_id,
        1, (NEW.status NOT IN ('completed', 'skipped'))::INT, (NEW.status = 'completed')::INT, NEW.updated_at);
    IF NEW.status = 'in_progress' THEN
        PERFORM @.nexus_start_feature(NEW.feature_id, NEW.sub_feature_id, NEW.updated_at);
    END IF;
    RETURN NULL;
END
$$$make$, '@.', schema_name);
END
$do$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION nexus_dependencies() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    names TEXT[] := ARRAY[NEW.id];
    waiting TEXT[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        names := names || OLD.id;
    END IF;
    IF TG_OP = 'UPDATE' OR NEW.depends_on IS NOT NULL THEN
        DELETE FROM task_dependencies WHERE task_id = ANY (names);
        INSERT INTO task_dependencies (task_id, depends_on)
        SELECT DISTINCT NEW.id, item FROM nexus_ids(NEW.depends_on) item;
        IF current_setting('transaction_isolation') = 'serializable' THEN
            PERFORM 1 FROM tasks WHERE id IN (SELECT depends_on FROM task_dependencies WHERE task_id = NEW.id) ORDER BY id FOR SHARE;
        ELSE
            PERFORM 1 FROM tasks WHERE id IN (SELECT depends_on FROM task_dependencies WHERE task_id = NEW.id) ORDER BY id FOR NO KEY UPDATE;
            UPDATE tasks SET open_dependencies = open_dependencies
            WHERE id IN (SELECT depends_on FROM task_dependencies WHERE task_id = NEW.id);
        END IF;
    END IF;
    waiting := ARRAY(SELECT task_id FROM task_dependencies WHERE depends_on = ANY (names));
    IF waiting <> '{}' OR NEW.depends_on IS NOT NULL OR NEW.open_dependencies <> 0 THEN
        PERFORM nexus_recount(waiting || NEW.id);
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER tasks_feature_insert AFTER INSERT ON tasks
FOR EACH ROW WHEN (NEW.feature_id IS NOT NULL OR NEW.sub_feature_id IS NOT NULL)
EXECUTE FUNCTION nexus_feature_insert();
CREATE TRIGGER tasks_feature_delete AFTER DELETE ON tasks
FOR EACH ROW WHEN (OLD.feature_id IS NOT NULL OR OLD.sub_feature_id IS NOT NULL)
EXECUTE FUNCTION nexus_feature_move();

DROP TRIGGER metrics_totals_delete ON metrics;
DROP TRIGGER metrics_totals_update ON metrics;
DROP TRIGGER metrics_totals_insert ON metrics;
DROP FUNCTION nexus_count_metrics(TEXT[], TEXT[], TEXT[], DOUBLE PRECISION[], BIGINT);
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION nexus_metric_totals() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM nexus_add_metric(OLD.project_id, OLD.task_id, OLD.type, -1, OLD.value);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM nexus_add_metric(NEW.project_id, NEW.task_id, NEW.type, 1, NEW.value);
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER metrics_totals AFTER INSERT OR DELETE OR UPDATE OF project_id, task_id, type, value ON metrics
FOR EACH ROW EXECUTE FUNCTION nexus_metric_totals();
DROP TRIGGER checkpoint_settings_history ON checkpoint_settings;
DROP TRIGGER metrics_history ON metrics;
DROP FUNCTION nexus_history_checkpoint_settings();
DROP FUNCTION nexus_history_metrics();
