package postgres_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/pgtest"
	"github.com/seed-c8812374/nexus/postgres"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/storetest"
)

var update = flag.Bool("update", false, "write schema.sql")

// TestSchemaFile compares what doctor compares a schema with, and what the migrations make.
func TestSchemaFile(t *testing.T) {
	t.Parallel()
	url := pgtest.Schema(t)
	openSchema(t, url, nil)
	want := schemaOf(t, url)
	if *update {
		fatal(t, os.WriteFile("schema.sql", []byte(want), 0o644))
	}
	is, err := os.ReadFile("schema.sql")
	fatal(t, err)
	if diff := cmp.Diff(want, string(is)); diff != "" {
		t.Errorf("schema.sql is not what the migrations make; go test ./postgres -run TestSchemaFile -update writes it (-migrations +file):\n%s", diff)
	}
}

func schemaOf(t *testing.T, url string) string {
	t.Helper()
	text, err := postgres.SchemaFile(t.Context(), url)
	fatal(t, err)
	return text
}

// Whatever a program drops or alters of what Nexus has added, doctor names it and makes it
// again, and what is derived is right afterwards.
func TestRemake(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sql  string
		want []string // that are named
	}{
		"an index":                 {"DROP INDEX idx_tasks_ready", []string{"index idx_tasks_ready of tasks"}},
		"another index":            {"DROP INDEX idx_tasks_plan_key; CREATE INDEX idx_tasks_plan_key ON tasks (name)", []string{"index idx_tasks_plan_key of tasks"}},
		"a trigger that is off":    {"ALTER TABLE tasks DISABLE TRIGGER tasks_history", []string{"trigger tasks_history of tasks"}},
		"a function":               {"DROP FUNCTION nexus_feature_move() CASCADE", []string{"function nexus_feature_move()", "trigger tasks_feature_move of tasks"}},
		"another function":         {"CREATE OR REPLACE FUNCTION nexus_history() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'", []string{"function nexus_history()"}},
		"a function of another":    {"CREATE FUNCTION nexus_history(mine TEXT) RETURNS TEXT LANGUAGE sql AS 'SELECT mine'", nil},
		"a view":                   {"DROP VIEW task_dependency_lists", []string{"view task_dependency_lists"}},
		"another view":             {"DROP VIEW history_rows; CREATE VIEW history_rows AS SELECT id FROM history", []string{"view history_rows"}},
		"a table":                  {"DROP TABLE session_log CASCADE", []string{"table session_log"}},
		"a constraint":             {"ALTER TABLE tasks DROP CONSTRAINT tasks_project_id_fkey", []string{"constraint FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE of tasks"}},
		"a constraint's name":      {"ALTER TABLE tasks RENAME CONSTRAINT tasks_project_id_fkey TO mine", nil},
		"another of its name":      {"ALTER TABLE projects DROP CONSTRAINT projects_mode_check, ADD CONSTRAINT projects_mode_check CHECK (mode <> '')", []string{"constraint CHECK (mode = ANY (ARRAY['genesis'::text, 'evolution'::text])) of projects"}},
		"a default and a NOT NULL": {"ALTER TABLE tasks ALTER revision DROP NOT NULL, ALTER priority SET DEFAULT 7, ALTER name SET DEFAULT 'x'", []string{"column name of tasks", "column revision of tasks", "column priority of tasks"}},
		"a type":                   {"ALTER TABLE history_marks ALTER seq TYPE INTEGER", []string{"column seq of history_marks"}},
		"what is somebody else's": {
			"CREATE TABLE mine (id TEXT PRIMARY KEY); CREATE INDEX mine_too ON tasks (name); ALTER TABLE tasks ADD mine TEXT; CREATE VIEW theirs AS SELECT * FROM tasks", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Schema(t)
			db := openSchema(t, url, func(o *postgres.Options) { o.Now = time.Now })
			fill(t, db)
			before := strings.Split(schemaOf(t, url), "\n\n")
			pgtest.Exec(t, url, test.sql)
			pgtest.Exec(t, url, "INSERT INTO tasks (id, project_id, feature_id, name, created_at, updated_at) VALUES ('x', 'p', 'f', 'n', 0, 0)")

			list, err := db.Diagnose(t.Context())
			fatal(t, err)
			var named []string
			if len(test.want) > 0 {
				if len(list) != 1 || list[0].Check != "schema" || !list[0].Mendable {
					t.Fatalf("%+v", list)
				}
				named, list = list[0].IDs, nil
			}
			if diff := cmp.Diff(test.want, named); diff != "" || len(list) > 0 {
				t.Errorf("besides %+v (-want +got):\n%s", list, diff)
			}
			_, err = db.Mend(t.Context())
			fatal(t, err)
			list, err = db.Diagnose(t.Context())
			fatal(t, err)
			if len(list) > 0 {
				t.Errorf("left: %+v", list)
			}
			fatal(t, storetest.CheckDerived(t.Context(), db))
			after := schemaOf(t, url)
			for _, part := range before {
				renamed := strings.Contains(part, "tasks_project_id_fkey") && name == "a constraint's name"
				if !strings.Contains(after, part) && !renamed {
					t.Errorf("there is no longer:\n%s", part)
				}
			}
			fatal(t, db.Tasks.Create(t.Context(), &nexus.Task{ProjectID: "p", Name: "n", DependsOn: []string{"t1"}, Metadata: "{}"}))
			fatal(t, storetest.CheckDerived(t.Context(), db))
		})
	}
}

// fill makes a project whose tasks depend on each other.
func fill(t *testing.T, db *store.DB) {
	t.Helper()
	fatal(t, db.InTx(t.Context(), func(tx *store.Tx) error {
		if err := newProject(t.Context(), &tx.Services, "p"); err != nil {
			return err
		}
		if err := tx.Features.Create(t.Context(), &nexus.Feature{ID: "f", ProjectID: "p", Name: "n"}); err != nil {
			return err
		}
		for i := range 20 {
			task := &nexus.Task{ID: fmt.Sprintf("t%d", i), ProjectID: "p", FeatureID: "f", Name: "n"}
			if i > 0 {
				task.DependsOn = []string{fmt.Sprintf("t%d", i-1)}
			}
			if err := tx.Tasks.Create(t.Context(), task); err != nil {
				return err
			}
		}
		return tx.Metrics.Create(t.Context(), &nexus.Metric{ProjectID: "p", TaskID: "t1", Type: "token_usage", Value: 5})
	}))
}

// TestRemakeColumn drops a column with all that follows from it. What was in it is gone.
func TestRemakeColumn(t *testing.T) {
	t.Parallel()
	url := pgtest.Schema(t)
	db := openSchema(t, url, nil)
	fill(t, db)
	pgtest.Exec(t, url, "ALTER TABLE tasks DROP COLUMN priority CASCADE")
	list, err := db.Diagnose(t.Context())
	fatal(t, err)
	if len(list) != 1 || list[0].IDs[0] != "column priority of tasks" {
		t.Fatalf("%+v", list)
	}
	_, err = db.Mend(t.Context())
	fatal(t, err)
	list, err = db.Diagnose(t.Context())
	fatal(t, err)
	if len(list) > 0 {
		t.Errorf("left: %+v", list)
	}
	task, err := db.Tasks.Get(t.Context(), "t3")
	fatal(t, err)
	if task.Priority != nexus.PriorityMedium {
		t.Errorf("%+v", task)
	}
}

// TestRemakeRefused has what cannot be made again, because the rows are not as it wants
// them, and a user who may not: nothing is changed.
func TestRemakeRefused(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t).URL()
	url := pgtest.With(server, "schema", "shop")
	db := openSchema(t, url, nil)
	fill(t, db)
	pgtest.Exec(t, url, `
		CREATE ROLE agent LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA shop TO agent;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop TO agent;
		GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA shop TO agent;
		DROP INDEX idx_tasks_ready; ALTER TABLE tasks DROP CONSTRAINT tasks_project_id_fkey;
		INSERT INTO tasks (id, project_id, name, created_at, updated_at) VALUES ('x', 'nobody', 'n', 0, 0)`)
	broken := schemaOf(t, url)
	agent := openSchema(t, strings.Replace(url, "postgres@", "agent:secret@", 1), nil)
	for who, db := range map[string]*store.DB{"the owner": db, "an agent": agent} {
		list, err := db.Diagnose(t.Context())
		fatal(t, err)
		if len(list) != 1 || list[0].Count != 2 {
			t.Errorf("%s is told %+v", who, list)
		}
	}
	_, err := agent.Mend(t.Context())
	wantCode(t, err, nexus.CodeDenied)
	_, err = db.Mend(t.Context())
	wantCode(t, err, nexus.CodeReference)
	if diff := cmp.Diff(broken, schemaOf(t, url)); diff != "" {
		t.Error(diff)
	}
	pgtest.Exec(t, url, "DELETE FROM tasks WHERE id = 'x'")
	_, err = db.Mend(t.Context())
	fatal(t, err)
	list, err := agent.Diagnose(t.Context())
	fatal(t, err)
	if len(list) > 0 {
		t.Errorf("left: %+v", list)
	}
}
