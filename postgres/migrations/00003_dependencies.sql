-- What depends on what, and what follows from the tasks for features.
--
-- It is kept by triggers, so it is right whoever writes the nine tables:
--   task_dependencies          tasks.depends_on, one row an edge
--   tasks.open_dependencies    how many of them are neither completed nor skipped; a
--                              task that does not exist counts as open
--   features, sub_features     .task_count, .open_task_count, .completed_task_count: their
--                              tasks, from which status and completed_tasks follow
--
-- A task has ended when it is completed or skipped. Columns that end in _us are
-- microseconds since 1970-01-01 UTC.
--
-- The triggers of a statement run after all its rows have changed, so what they do must
-- not depend on their order: what is counted over several rows is counted anew, not step
-- by step. And transactions run side by side: what a trigger reads of other rows, it
-- locks first. In READ COMMITTED the next statement then sees what the lock was waited
-- for; in SERIALIZABLE the transaction fails and is run again. Locks are taken in the
-- order of task, attempt, agent, dependents by id, feature, sub-feature, which is why the
-- names of triggers, by which their order goes, begin as they do.

-- +goose Up
ALTER TABLE tasks ADD COLUMN open_dependencies BIGINT NOT NULL DEFAULT 0;
ALTER TABLE features ADD COLUMN task_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE features ADD COLUMN open_task_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE features ADD COLUMN completed_task_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE features ADD COLUMN tasks_changed_us BIGINT NOT NULL DEFAULT 0; -- when one of them last changed
ALTER TABLE sub_features ADD COLUMN task_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sub_features ADD COLUMN open_task_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sub_features ADD COLUMN completed_task_count BIGINT NOT NULL DEFAULT 0;

-- A revision counts changes that somebody has made. What follows from them is
-- none: it would make everybody's edits stale.
DROP TRIGGER tasks_revision ON tasks;
CREATE TRIGGER tasks_revision BEFORE UPDATE OF
    id, project_id, feature_id, sub_feature_id, name, description, status, size, assigned_agent, worktree_path,
    branch_name, depends_on, blocked_by, qa_iterations, max_iterations, estimated_minutes, actual_minutes, started_at,
    completed_at, created_at, updated_at, plan_key, priority, metadata
ON tasks FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();

DROP TRIGGER features_revision ON features;
CREATE TRIGGER features_revision BEFORE UPDATE OF
    id, project_id, name, description, priority, status, estimated_tasks, created_at, updated_at, plan_key
ON features FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();

DROP TRIGGER sub_features_revision ON sub_features;
CREATE TRIGGER sub_features_revision BEFORE UPDATE OF
    id, feature_id, name, description, status, created_at, plan_key
ON sub_features FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();

-- No foreign keys: depends_on may name a task that is not there (yet).
CREATE TABLE task_dependencies (
    task_id    TEXT COLLATE "C" NOT NULL,
    depends_on TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (task_id, depends_on)
);
CREATE INDEX idx_task_dependencies_on ON task_dependencies (depends_on, task_id);

-- A list of ids as rows. It reads whatever a program may have put there: what is no
-- JSON array is one id, and null or nothing is none. Only what is not plain needs the
-- handler, which costs as much as all the rest.
-- +goose StatementBegin
CREATE FUNCTION nexus_ids(list TEXT) RETURNS SETOF TEXT LANGUAGE plpgsql IMMUTABLE AS $$
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
$$;
-- +goose StatementEnd

CREATE VIEW task_dependency_lists AS
SELECT t.id AS task_id, item AS depends_on FROM tasks t, nexus_ids(t.depends_on) item;

-- A time in microseconds. Another program may have put any number there.
CREATE FUNCTION nexus_us(seconds BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS
$$ SELECT greatest(least(seconds, 9223372036854), -9223372036854) * 1000000 $$;

-- Dependencies. nexus_recount counts what is open for some tasks.

-- +goose StatementBegin
CREATE FUNCTION nexus_recount(ids TEXT[]) RETURNS VOID LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM 1 FROM tasks WHERE id = ANY (ids) ORDER BY id FOR NO KEY UPDATE;
    UPDATE tasks SET open_dependencies = counted.open
    FROM (
        SELECT t.id, (
            SELECT count(*) FROM task_dependencies e
            WHERE e.task_id = t.id AND NOT EXISTS (
                SELECT 1 FROM tasks d WHERE d.id = e.depends_on AND d.status IN ('completed', 'skipped'))) AS open
        FROM tasks t WHERE t.id = ANY (ids)) counted
    WHERE tasks.id = counted.id AND tasks.open_dependencies <> counted.open;
END
$$;
-- +goose StatementEnd

-- A task is new, or is called otherwise, or depends on others. Whoever ends one of these
-- at the same moment waits for the lock and then sees that this one depends on it. Not so
-- a SERIALIZABLE transaction, which does not see what came after its beginning: if this one
-- is not SERIALIZABLE too, so that the database tells the two apart, it writes to what it
-- depends on, for the other to fail and run again.
-- +goose StatementBegin
CREATE FUNCTION nexus_dependencies() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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

CREATE TRIGGER tasks_dependencies_insert AFTER INSERT ON tasks
FOR EACH ROW EXECUTE FUNCTION nexus_dependencies();

-- open_dependencies may come with it from a program that stores whole rows.
CREATE TRIGGER tasks_dependencies_update AFTER UPDATE OF id, depends_on ON tasks
FOR EACH ROW WHEN (NEW.id <> OLD.id OR NEW.depends_on IS DISTINCT FROM OLD.depends_on OR NEW.open_dependencies <> OLD.open_dependencies)
EXECUTE FUNCTION nexus_dependencies();

-- A task ends, begins again, or is gone.
-- +goose StatementBegin
CREATE FUNCTION nexus_dependents() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
$$;
-- +goose StatementEnd

CREATE TRIGGER tasks_dependents_update AFTER UPDATE OF status ON tasks
FOR EACH ROW WHEN ((OLD.status IN ('completed', 'skipped')) <> (NEW.status IN ('completed', 'skipped')) AND NEW.id = OLD.id)
EXECUTE FUNCTION nexus_dependents();

CREATE TRIGGER tasks_dependents_delete AFTER DELETE ON tasks
FOR EACH ROW EXECUTE FUNCTION nexus_dependents();

-- Counts of tasks. A change within one feature is one step, so that nobody sees the
-- feature without the task in between. nexus_count_tasks adds up, and starts a feature
-- with its first task.

-- +goose StatementBegin
CREATE FUNCTION nexus_count_tasks(
    feature TEXT, sub_feature TEXT, tasks BIGINT, open BIGINT, completed BIGINT, changed BIGINT
) RETURNS VOID LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF feature IS NOT NULL THEN
        UPDATE features SET
            task_count = task_count + tasks,
            open_task_count = open_task_count + open,
            completed_task_count = completed_task_count + completed,
            completed_tasks = completed_task_count + completed,
            tasks_changed_us = coalesce(nexus_us(changed), tasks_changed_us)
        WHERE id = feature;
    END IF;
    IF sub_feature IS NOT NULL THEN
        UPDATE sub_features SET
            task_count = task_count + tasks,
            open_task_count = open_task_count + open,
            completed_task_count = completed_task_count + completed
        WHERE id = sub_feature;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION nexus_start_feature(feature TEXT, sub_feature TEXT, changed BIGINT) RETURNS VOID
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE features SET status = 'in_progress', updated_at = greatest(updated_at, changed), revision = revision + 1
    WHERE id = feature AND status IN ('backlog', 'planning');
    UPDATE sub_features SET status = 'in_progress', revision = revision + 1
    WHERE id = sub_feature AND status IN ('backlog', 'planning');
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION nexus_feature_insert() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM nexus_count_tasks(NEW.feature_id, NEW.sub_feature_id,
        1, (NEW.status NOT IN ('completed', 'skipped'))::INT, (NEW.status = 'completed')::INT, NEW.updated_at);
    IF NEW.status = 'in_progress' THEN
        PERFORM nexus_start_feature(NEW.feature_id, NEW.sub_feature_id, NEW.updated_at);
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER tasks_feature_insert AFTER INSERT ON tasks
FOR EACH ROW WHEN (NEW.feature_id IS NOT NULL OR NEW.sub_feature_id IS NOT NULL)
EXECUTE FUNCTION nexus_feature_insert();

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
FOR EACH ROW WHEN (OLD.status <> NEW.status AND (NEW.feature_id IS NOT NULL OR NEW.sub_feature_id IS NOT NULL)
    AND (OLD.status IN ('completed', 'skipped') OR NEW.status IN ('completed', 'skipped') OR NEW.status = 'in_progress'))
EXECUTE FUNCTION nexus_feature_update();

-- It moves from one to another, or is gone.
-- +goose StatementBegin
CREATE FUNCTION nexus_feature_move() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
$$;
-- +goose StatementEnd

CREATE TRIGGER tasks_feature_move AFTER UPDATE OF feature_id, sub_feature_id ON tasks
FOR EACH ROW WHEN (NEW.feature_id IS DISTINCT FROM OLD.feature_id OR NEW.sub_feature_id IS DISTINCT FROM OLD.sub_feature_id)
EXECUTE FUNCTION nexus_feature_move();

CREATE TRIGGER tasks_feature_delete AFTER DELETE ON tasks
FOR EACH ROW WHEN (OLD.feature_id IS NOT NULL OR OLD.sub_feature_id IS NOT NULL)
EXECUTE FUNCTION nexus_feature_move();

-- Features and sub-features are done with their last task; a task that is added or
-- reopened makes a done one go on. Reviews are people's business, and so is every
-- status that Nexus does not know.

-- +goose StatementBegin
CREATE FUNCTION nexus_follow() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    NEW.status := CASE NEW.open_task_count WHEN 0 THEN 'done' ELSE 'in_progress' END;
    NEW.revision := NEW.revision + 1;
    IF TG_TABLE_NAME = 'features' THEN
        NEW.updated_at := greatest(NEW.updated_at, NEW.tasks_changed_us / 1000000);
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER features_follow BEFORE UPDATE OF task_count, open_task_count, completed_task_count ON features
FOR EACH ROW WHEN (NEW.open_task_count = 0 AND NEW.task_count > 0 AND NEW.status IN ('backlog', 'planning', 'in_progress')
    OR NEW.open_task_count > 0 AND NEW.completed_task_count > OLD.completed_task_count AND NEW.status IN ('backlog', 'planning')
    OR NEW.open_task_count > OLD.open_task_count AND NEW.status = 'done')
EXECUTE FUNCTION nexus_follow();

CREATE TRIGGER sub_features_follow BEFORE UPDATE OF task_count, open_task_count, completed_task_count ON sub_features
FOR EACH ROW WHEN (NEW.open_task_count = 0 AND NEW.task_count > 0 AND NEW.status IN ('backlog', 'planning', 'in_progress')
    OR NEW.open_task_count > 0 AND NEW.completed_task_count > OLD.completed_task_count AND NEW.status IN ('backlog', 'planning')
    OR NEW.open_task_count > OLD.open_task_count AND NEW.status = 'done')
EXECUTE FUNCTION nexus_follow();

-- A feature that is new has no tasks yet: foreign keys are enforced.
-- +goose StatementBegin
CREATE FUNCTION nexus_no_tasks() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    NEW.task_count := 0;
    NEW.open_task_count := 0;
    NEW.completed_task_count := 0;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER features_no_tasks BEFORE INSERT ON features
FOR EACH ROW WHEN (NEW.task_count <> 0 OR NEW.open_task_count <> 0 OR NEW.completed_task_count <> 0)
EXECUTE FUNCTION nexus_no_tasks();

CREATE TRIGGER sub_features_no_tasks BEFORE INSERT ON sub_features
FOR EACH ROW WHEN (NEW.task_count <> 0 OR NEW.open_task_count <> 0 OR NEW.completed_task_count <> 0)
EXECUTE FUNCTION nexus_no_tasks();

-- completed_tasks of a feature that has tasks is their count, whatever anybody
-- writes there.
-- +goose StatementBegin
CREATE FUNCTION nexus_completed_tasks() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    NEW.completed_tasks := NEW.completed_task_count;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER features_completed_tasks BEFORE UPDATE OF completed_tasks ON features
FOR EACH ROW WHEN (NEW.task_count > 0 AND NEW.completed_tasks IS DISTINCT FROM NEW.completed_task_count)
EXECUTE FUNCTION nexus_completed_tasks();

-- What is there already.
INSERT INTO task_dependencies (task_id, depends_on) SELECT DISTINCT task_id, depends_on FROM task_dependency_lists;
SELECT nexus_recount(ARRAY(SELECT DISTINCT task_id FROM task_dependencies));
SELECT nexus_count_tasks(feature_id, sub_feature_id, 1,
    (status NOT IN ('completed', 'skipped'))::INT, (status = 'completed')::INT, updated_at)
FROM tasks WHERE feature_id IS NOT NULL OR sub_feature_id IS NOT NULL;

-- +goose Down
DROP TRIGGER features_completed_tasks ON features;
DROP TRIGGER sub_features_no_tasks ON sub_features;
DROP TRIGGER features_no_tasks ON features;
DROP TRIGGER sub_features_follow ON sub_features;
DROP TRIGGER features_follow ON features;
DROP TRIGGER tasks_feature_delete ON tasks;
DROP TRIGGER tasks_feature_move ON tasks;
DROP TRIGGER tasks_feature_update ON tasks;
DROP TRIGGER tasks_feature_insert ON tasks;
DROP TRIGGER tasks_dependents_delete ON tasks;
DROP TRIGGER tasks_dependents_update ON tasks;
DROP TRIGGER tasks_dependencies_update ON tasks;
DROP TRIGGER tasks_dependencies_insert ON tasks;
DROP TRIGGER sub_features_revision ON sub_features;
DROP TRIGGER features_revision ON features;
DROP TRIGGER tasks_revision ON tasks;
DROP VIEW task_dependency_lists;
DROP FUNCTION nexus_completed_tasks();
DROP FUNCTION nexus_no_tasks();
DROP FUNCTION nexus_follow();
DROP FUNCTION nexus_feature_move();
DROP FUNCTION nexus_feature_update();
DROP FUNCTION nexus_feature_insert();
DROP FUNCTION nexus_start_feature(TEXT, TEXT, BIGINT);
DROP FUNCTION nexus_count_tasks(TEXT, TEXT, BIGINT, BIGINT, BIGINT, BIGINT);
DROP FUNCTION nexus_dependents();
DROP FUNCTION nexus_dependencies();
DROP FUNCTION nexus_recount(TEXT[]);
DROP FUNCTION nexus_us(BIGINT);
DROP FUNCTION nexus_ids(TEXT);
DROP TABLE task_dependencies;

ALTER TABLE sub_features DROP COLUMN completed_task_count;
ALTER TABLE sub_features DROP COLUMN open_task_count;
ALTER TABLE sub_features DROP COLUMN task_count;
ALTER TABLE features DROP COLUMN tasks_changed_us;
ALTER TABLE features DROP COLUMN completed_task_count;
ALTER TABLE features DROP COLUMN open_task_count;
ALTER TABLE features DROP COLUMN task_count;
ALTER TABLE tasks DROP COLUMN open_dependencies;

CREATE TRIGGER features_revision BEFORE UPDATE ON features
FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();
CREATE TRIGGER sub_features_revision BEFORE UPDATE ON sub_features
FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();
CREATE TRIGGER tasks_revision BEFORE UPDATE ON tasks
FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();
