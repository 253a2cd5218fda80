package storetest

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Other programs write to the same tables. foreignTests put into every column
// what Nexus would never put there.
var foreignTests = map[string]test{
	"Projects":     projects.testForeign,
	"Features":     features.testForeign,
	"SubFeatures":  subFeatures.testForeign,
	"Tasks":        tasks.testForeign,
	"Agents":       agents.testForeign,
	"Checkpoints":  checkpoints.testForeign,
	"Requirements": requirements.testForeign,
	"Metrics":      metrics.testForeign,
	"Sessions":     sessions.testForeign,
	"Statuses":     testForeignStatuses,
	"Priorities":   testForeignPriorities,
	"Booleans":     testForeignBooleans,
	"IDLists":      testForeignIDLists,
	"Columns":      testForeignColumns,
}

// foreignValues returns values for a column that a program may store there if it
// knows only the table.
func foreignValues(c store.Column, f reflect.StructField) (values []any) {
	if c.Nullable {
		values = append(values, nil)
	}
	switch v := reflect.Zero(f.Type).Interface().(type) {
	case nexus.JSON, []string:
		return append(values, "{oops", `["a", 1, {"b": [2]}, null]`, "null", "", "  ", "[]", `"text"`, "4e2", `{"a": 1, "a": 2}`)
	case time.Time:
		return append(values, int64(1)<<62, -int64(1)<<62, int64(1_700_000_000_000), 0, -1)
	case nexus.TaskPriority: // a number in the table
		return append(values, 9, -1)
	case float64:
		return append(values, 1e308, -5.5)
	case bool:
		return append(values, 7, -1)
	default:
		switch {
		case f.Name == "ID" || f.Name == "Revision" || v == nexus.ProjectMode(""):
			return nil
		case c.Type == "TEXT":
			return append(values, "unheard-of ✓", "", " ")
		default:
			return append(values, -5, int64(1)<<62)
		}
	}
}

func (x *entity[E, F, U]) testForeign(t *testing.T, db *store.DB) {
	x.seedFull(t, db)
	ctx, s := t.Context(), x.in(db)
	raw := func(column string) (value any) {
		must(t, db.View(ctx, func(tx *store.Tx) error {
			return tx.Query(ctx, "SELECT "+column+" FROM "+x.kind.Table()+" WHERE id = 'it'", nil, func(r driver.Row) error {
				value = r.Value(0)
				return nil
			})
		}))
		return value
	}
	for _, c := range store.Columns(x.kind) {
		f := x.columnFields()[c.Name]
		if _, refers := x.parents[f.Name]; refers {
			continue
		}
		for _, value := range foreignValues(c, f) {
			must(t, s.Create(ctx, with(x.full, "it")))
			must(t, db.InTx(ctx, func(tx *store.Tx) error {
				_, err := tx.Exec(ctx, "UPDATE "+x.kind.Table()+" SET "+c.Name+" = $1 WHERE id = 'it'", value)
				return err
			}))
			stored := raw(c.Name)

			e := x.mustGet(t, db, "it")
			if _, err := json.Marshal(e); err != nil {
				t.Errorf("%s = %#v: %v", c.Name, value, err)
			}
			same(t, x.listBesides(t, db), []E{*e})

			for _, name := range x.updateFields() {
				if name == f.Name || name == "Status" { // a status may take others with it
					continue
				}
				_, err := s.Update(ctx, "it", based(x.setting(name, &x.other), revisionOf(e)))
				if err != nil {
					t.Errorf("%s = %#v: update of %s: %v", c.Name, value, name, err)
				}
				e = x.mustGet(t, db, "it")
				if got := raw(c.Name); f.Name != x.touched && !cmp.Equal(got, stored) {
					t.Errorf("%s = %#v: the update of %s made it %#v", c.Name, value, name, got)
				}
				if !cmp.Equal(reflect.ValueOf(*e).FieldByName(name).Interface(), reflect.ValueOf(x.other).FieldByName(name).Interface()) {
					t.Errorf("%s = %#v: the update of %s did not change it", c.Name, value, name)
				}
			}
			if slices.Contains(x.updateFields(), f.Name) { // and it can be put right
				_, err := s.Update(ctx, "it", x.setting(f.Name, &x.other))
				if err != nil {
					t.Errorf("%s = %#v cannot be put right: %v", c.Name, value, err)
				}
			}
			must(t, s.Delete(ctx, "it"))
		}
	}
}

func testForeignStatuses(t *testing.T, db *store.DB) {
	seed(t, db, nexus.KindTask)
	ctx := t.Context()
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "a", ProjectID: "p1", Name: "n"}))
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "b", ProjectID: "p1", Name: "n"}))
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE tasks SET status = 'qa_loop' WHERE id = 'a'")
		return err
	}))
	task, err := db.Tasks.Get(ctx, "a")
	must(t, err)
	same(t, task.Status, nexus.TaskStatus("qa_loop"))
	list, err := db.Tasks.List(ctx, nexus.TaskFilter{Status: []nexus.TaskStatus{"qa_loop"}})
	must(t, err)
	same(t, list, []nexus.Task{*task})
	byStatus, err := db.Tasks.CountByStatus(ctx, nexus.TaskFilter{})
	must(t, err)
	same(t, byStatus, map[nexus.TaskStatus]int64{"qa_loop": 1, nexus.TaskPending: 1})

	// To say again what is there is no step; another unknown status is one that
	// Nexus does not write; any known one may follow.
	_, err = db.Tasks.Update(ctx, "a", nexus.TaskUpdate{Status: new(nexus.TaskStatus("qa_loop")), Name: new("m")})
	must(t, err)
	_, err = db.Tasks.Update(ctx, "a", nexus.TaskUpdate{Status: new(nexus.TaskStatus("review"))})
	refused(t, err, nexus.CodeInvalid)
	_, err = db.Tasks.Update(ctx, "b", nexus.TaskUpdate{Status: new(nexus.TaskStatus("qa_loop"))})
	refused(t, err, nexus.CodeInvalid)
	task, err = db.Tasks.Update(ctx, "a", nexus.TaskUpdate{Status: new(nexus.TaskFailed)})
	must(t, err)
	same(t, task.Status, nexus.TaskFailed)
}

func testForeignPriorities(t *testing.T, db *store.DB) {
	seed(t, db, nexus.KindTask)
	ctx := t.Context()
	for _, id := range []string{"a", "b", "c"} {
		must(t, db.Tasks.Create(ctx, &nexus.Task{ID: id, ProjectID: "p1", Name: "n"}))
	}
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE tasks SET priority = CASE id WHEN 'a' THEN 12 ELSE -3 END WHERE id <> 'c'")
		return err
	}))
	p := nexus.Page{OrderBy: "priority", Limit: 1}
	var got []nexus.TaskPriority
	for _, task := range tasks.pages(t, db, nexus.TaskFilter{}, p, nil) {
		got = append(got, task.Priority)
	}
	same(t, got, []nexus.TaskPriority{"-3", nexus.PriorityMedium, "12"})
	list, err := db.Tasks.List(ctx, nexus.TaskFilter{Priority: []nexus.TaskPriority{"12"}})
	must(t, err)
	if len(list) != 1 || list[0].ID != "a" {
		t.Errorf("priority 12 chooses %v", list)
	}
}

// testForeignBooleans has booleans that are neither 0 nor 1.
func testForeignBooleans(t *testing.T, db *store.DB) {
	seed(t, db, nexus.KindRequirement)
	ctx := t.Context()
	must(t, db.Requirements.Create(ctx, &nexus.Requirement{ID: "it", ProjectID: "p1", Description: "d"}))
	for value, want := range map[any]bool{nil: false, 0: false, 1: true, 7: true, -1: true} {
		must(t, db.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE requirements SET validated = $1", value)
			return err
		}))
		for _, validated := range []bool{false, true} {
			list, err := db.Requirements.List(ctx, nexus.RequirementFilter{Validated: &validated})
			must(t, err)
			if (len(list) == 1) != (validated == want) || len(list) == 1 && list[0].Validated != want {
				t.Errorf("validated is %v: the filter %v chooses %v", value, validated, list)
			}
		}
	}
}

func testForeignIDLists(t *testing.T, db *store.DB) {
	seed(t, db, nexus.KindTask)
	ctx := t.Context()
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "it", ProjectID: "p1", Name: "n"}))
	for text, want := range map[string][]string{
		`["a","b"]`:       {"a", "b"},
		` [ "a" , "b" ] `: {"a", "b"},
		`a`:               {"a"},
		`a,b`:             {"a,b"},
		`{"a": true}`:     {`{"a": true}`},
		`["a"`:            {`["a"`},
		`["\u00e4", "🦀"]`: {"ä", "🦀"},
	} {
		must(t, db.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE tasks SET depends_on = $1", text)
			return err
		}))
		task, err := db.Tasks.Get(ctx, "it")
		must(t, err)
		if diff := cmp.Diff(want, task.DependsOn); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// testForeignColumns inserts rows as a program does that knows only the nine
// tables of the contract.
func testForeignColumns(t *testing.T, db *store.DB) {
	ctx := t.Context()
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		for _, sql := range []string{
			"INSERT INTO projects (id, name, mode, status, root_path, created_at, updated_at) VALUES ('p', 'n', 'genesis', 'initializing', '/', 1, 2)",
			"INSERT INTO features (id, project_id, name, created_at, updated_at) VALUES ('f', 'p', 'n', 1, 2)",
			"INSERT INTO sub_features (id, feature_id, name, created_at) VALUES ('u', 'f', 'n', 1)",
			"INSERT INTO tasks (id, project_id, name, created_at, updated_at) VALUES ('t', 'p', 'n', 1, 2)",
			"INSERT INTO agents (id, type, spawned_at, last_activity_at) VALUES ('a', 'coder', 1, 2)",
			"INSERT INTO checkpoints (id, project_id, created_at) VALUES ('c', 'p', 1)",
			"INSERT INTO requirements (id, project_id, category, description, created_at) VALUES ('r', 'p', 'ui', 'd', 1)",
			"INSERT INTO metrics (id, project_id, type, value, timestamp) VALUES ('m', 'p', 't', 1.5, 1)",
			"INSERT INTO sessions (id, project_id, type, started_at) VALUES ('s', 'p', 'planning', 1)",
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	}))
	first, second := time.Unix(1, 0).UTC(), time.Unix(2, 0).UTC()
	p, err := db.Projects.Load(ctx, "p")
	must(t, err)
	sameJSON(t, p, &nexus.Project{
		ID: "p", Name: "n", Mode: nexus.ModeGenesis, Status: "initializing", RootPath: "/", CreatedAt: first, UpdatedAt: second, Revision: 1,
		Features: []nexus.Feature{{
			ID: "f", ProjectID: "p", Name: "n", Priority: nexus.PriorityShould, Status: nexus.FeatureBacklog,
			CreatedAt: first, UpdatedAt: second, Revision: 1,
		}},
		SubFeatures: []nexus.SubFeature{{ID: "u", FeatureID: "f", Name: "n", Status: nexus.FeatureBacklog, CreatedAt: first, Revision: 1}},
		Tasks: []nexus.Task{{
			ID: "t", ProjectID: "p", Name: "n", Status: nexus.TaskPending, Size: nexus.SizeSmall, Priority: nexus.PriorityMedium,
			MaxIterations: 50, MaxAttempts: 3, EstimatedMinutes: 15, CreatedAt: first, UpdatedAt: second, Revision: 1,
		}},
		Checkpoints: []nexus.Checkpoint{{ID: "c", ProjectID: "p", CreatedAt: first, Revision: 1}},
		Requirements: []nexus.Requirement{{
			ID: "r", ProjectID: "p", Category: "ui", Description: "d", Priority: "medium", CreatedAt: first, Revision: 1,
		}},
		Metrics: []nexus.Metric{{ID: "m", ProjectID: "p", Type: "t", Value: 1.5, Timestamp: first, Revision: 1}},
		Sessions: []nexus.Session{{
			ID: "s", ProjectID: "p", Type: nexus.SessionPlanning, Status: nexus.SessionActive, StartedAt: first, Revision: 1,
		}},
	})
	a, err := db.Agents.Get(ctx, "a")
	must(t, err)
	same(t, a, &nexus.Agent{
		ID: "a", Type: nexus.AgentCoder, Status: nexus.AgentIdle, SpawnedAt: first, LastActivityAt: second, Revision: 1,
	})
}
