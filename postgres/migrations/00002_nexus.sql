-- What Nexus adds to the contract. Every column has a default or may be NULL, so
-- programs that know only the contract go on working.
--
-- revision counts the changes of a row. Nexus counts in its own UPDATE; the
-- triggers count for everybody else.
--
-- plan_key is the name by which plan documents know a row.
--
-- tasks.priority is 0 critical, 1 high, 2 medium, 3 low.

-- +goose Up
ALTER TABLE projects ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
ALTER TABLE features ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
ALTER TABLE sub_features ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
ALTER TABLE tasks ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
ALTER TABLE agents ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
ALTER TABLE checkpoints ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
ALTER TABLE requirements ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
ALTER TABLE metrics ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
ALTER TABLE sessions ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;

ALTER TABLE projects ADD COLUMN plan_key TEXT COLLATE "C";
ALTER TABLE features ADD COLUMN plan_key TEXT COLLATE "C";
ALTER TABLE sub_features ADD COLUMN plan_key TEXT COLLATE "C";
ALTER TABLE tasks ADD COLUMN plan_key TEXT COLLATE "C";
ALTER TABLE requirements ADD COLUMN plan_key TEXT COLLATE "C";

ALTER TABLE tasks ADD COLUMN priority BIGINT NOT NULL DEFAULT 2;
ALTER TABLE tasks ADD COLUMN metadata TEXT COLLATE "C";

CREATE UNIQUE INDEX idx_projects_plan_key ON projects (plan_key) WHERE plan_key IS NOT NULL;
CREATE UNIQUE INDEX idx_features_plan_key ON features (project_id, plan_key) WHERE plan_key IS NOT NULL;
CREATE UNIQUE INDEX idx_sub_features_plan_key ON sub_features (feature_id, plan_key) WHERE plan_key IS NOT NULL;
CREATE UNIQUE INDEX idx_tasks_plan_key ON tasks (project_id, plan_key) WHERE plan_key IS NOT NULL;
CREATE UNIQUE INDEX idx_requirements_plan_key ON requirements (project_id, plan_key) WHERE plan_key IS NOT NULL;

-- The contract's indexes of tasks, widened so that a page of a list by status or
-- project is read in its order instead of sorting all that the filter chooses.
DROP INDEX idx_tasks_project;
DROP INDEX idx_tasks_status;
CREATE INDEX idx_tasks_project ON tasks (project_id, id);
CREATE INDEX idx_tasks_status ON tasks (status, id);

-- Foreign keys without an index make every DELETE of a parent read the whole table.
CREATE INDEX idx_sub_features_feature ON sub_features (feature_id);
CREATE INDEX idx_tasks_feature ON tasks (feature_id) WHERE feature_id IS NOT NULL;
CREATE INDEX idx_tasks_sub_feature ON tasks (sub_feature_id) WHERE sub_feature_id IS NOT NULL;
CREATE INDEX idx_requirements_project ON requirements (project_id);
CREATE INDEX idx_metrics_project ON metrics (project_id);
CREATE INDEX idx_sessions_project ON sessions (project_id);

-- +goose StatementBegin
CREATE FUNCTION nexus_count_revision() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := OLD.revision + 1;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER projects_revision BEFORE UPDATE ON projects
FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();
CREATE TRIGGER features_revision BEFORE UPDATE ON features
FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();
CREATE TRIGGER sub_features_revision BEFORE UPDATE ON sub_features
FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();
CREATE TRIGGER tasks_revision BEFORE UPDATE ON tasks
FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();
CREATE TRIGGER agents_revision BEFORE UPDATE ON agents
FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();
CREATE TRIGGER checkpoints_revision BEFORE UPDATE ON checkpoints
FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();
CREATE TRIGGER requirements_revision BEFORE UPDATE ON requirements
FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();
CREATE TRIGGER metrics_revision BEFORE UPDATE ON metrics
FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();
CREATE TRIGGER sessions_revision BEFORE UPDATE ON sessions
FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION nexus_count_revision();

-- +goose Down
DROP TRIGGER sessions_revision ON sessions;
DROP TRIGGER metrics_revision ON metrics;
DROP TRIGGER requirements_revision ON requirements;
DROP TRIGGER checkpoints_revision ON checkpoints;
DROP TRIGGER agents_revision ON agents;
DROP TRIGGER tasks_revision ON tasks;
DROP TRIGGER sub_features_revision ON sub_features;
DROP TRIGGER features_revision ON features;
DROP TRIGGER projects_revision ON projects;
DROP FUNCTION nexus_count_revision();

DROP INDEX idx_sessions_project;
DROP INDEX idx_metrics_project;
DROP INDEX idx_requirements_project;
DROP INDEX idx_tasks_sub_feature;
DROP INDEX idx_tasks_feature;
DROP INDEX idx_sub_features_feature;
DROP INDEX idx_requirements_plan_key;
DROP INDEX idx_tasks_plan_key;
DROP INDEX idx_sub_features_plan_key;
DROP INDEX idx_features_plan_key;
DROP INDEX idx_projects_plan_key;

DROP INDEX idx_tasks_status;
DROP INDEX idx_tasks_project;
CREATE INDEX idx_tasks_project ON tasks (project_id);
CREATE INDEX idx_tasks_status ON tasks (status);

ALTER TABLE tasks DROP COLUMN metadata;
ALTER TABLE tasks DROP COLUMN priority;
ALTER TABLE requirements DROP COLUMN plan_key;
ALTER TABLE tasks DROP COLUMN plan_key;
ALTER TABLE sub_features DROP COLUMN plan_key;
ALTER TABLE features DROP COLUMN plan_key;
ALTER TABLE projects DROP COLUMN plan_key;
ALTER TABLE sessions DROP COLUMN revision;
ALTER TABLE metrics DROP COLUMN revision;
ALTER TABLE requirements DROP COLUMN revision;
ALTER TABLE checkpoints DROP COLUMN revision;
ALTER TABLE agents DROP COLUMN revision;
ALTER TABLE tasks DROP COLUMN revision;
ALTER TABLE sub_features DROP COLUMN revision;
ALTER TABLE features DROP COLUMN revision;
ALTER TABLE projects DROP COLUMN revision;
