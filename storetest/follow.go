package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// oddLists are values of depends_on that Nexus does not write.
var oddLists = []string{
	"", "  ", "null", "[]", "a", `["a"`, `"a"`, "7", `{"a": true}`, ` [ "a" , "b" ] `, `["a","a"]`, `["a","b","a"]`, `["a",null]`,
	`[7,"7"]`, `["7",7,7]`, `[true,"true",false,null,"null"]`, `[""]`, `["\u0061","a"]`, `["ü🦀"]`, `["x y", "\"", "\\"]`,
}

// drawDependencies draws a value of depends_on.
func drawDependencies(ids []string) *rapid.Generator[any] {
	some := rapid.Map(rapid.SliceOfN(rapid.SampledFrom(ids), 0, 3), func(ids []string) any { return nexus.EncodeIDs(ids) })
	odd := rapid.Map(rapid.SampledFrom(oddLists), func(text string) any { return text })
	return rapid.OneOf(some, some, some, odd)
}

// testDerivedFollows makes random changes as any program may, and as Nexus does,
// and compares what is derived with what follows from the plain tables.
func testDerivedFollows(t *testing.T, db *store.DB) {
	seed(t, db, nexus.KindTask)
	ctx := t.Context()
	ids := []string{"a", "b", "c", "d", "e"}
	drawFeature := func() *rapid.Generator[any] { return rapid.SampledFrom([]any{nil, "f1", "f2"}) }
	drawSubFeature := func() *rapid.Generator[any] { return rapid.SampledFrom([]any{nil, "u1", "u2"}) }
	drawAnyStatus := func() *rapid.Generator[string] {
		known := rapid.Map(drawStatus(), func(s nexus.TaskStatus) string { return string(s) })
		return rapid.OneOf(known, rapid.SampledFrom([]string{"completed", "skipped", "qa_loop"}))
	}
	drawOn := func() *rapid.Generator[[]string] {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 0, 2, rapid.ID)
	}

	// A change draws its values and returns what is to be done with them in a
	// transaction, which may run twice.
	type change func(rt *rapid.T, id string) func(*store.Tx) error
	statement := func(sql string, draws ...func(rt *rapid.T) any) change {
		return func(rt *rapid.T, id string) func(*store.Tx) error {
			args := []any{id}
			for _, draw := range draws {
				args = append(args, draw(rt))
			}
			return func(tx *store.Tx) error {
				_, err := tx.Exec(ctx, sql, args...)
				return err
			}
		}
	}
	anotherID := func(rt *rapid.T) any { return rapid.SampledFrom(ids).Draw(rt, "other id") }
	status := func(rt *rapid.T) any { return drawAnyStatus().Draw(rt, "status") }
	dependsOn := func(rt *rapid.T) any {
		return drawDependencies(append([]string{"nobody"}, ids...)).Draw(rt, "depends_on")
	}
	feature := func(rt *rapid.T) any { return drawFeature().Draw(rt, "feature") }
	subFeature := func(rt *rapid.T) any { return drawSubFeature().Draw(rt, "sub-feature") }
	number := func(rt *rapid.T) any { return rapid.IntRange(-1, 3).Draw(rt, "number") }

	const insert = `
		INSERT INTO tasks (id, project_id, name, created_at, updated_at, status, depends_on, feature_id, sub_feature_id)
		VALUES ($1, 'p1', 'n', 1, 2, $2, $3, $4, $5)`
	const insertDerived = `
		INSERT INTO tasks (id, project_id, name, created_at, updated_at, status, depends_on, open_dependencies)
		VALUES ($1, 'p1', 'n', 1, 2, $2, $3, $4)`
	const insertMany = `
		INSERT INTO tasks (id, project_id, name, created_at, updated_at, status, depends_on, feature_id, sub_feature_id)
		VALUES ($1, 'p1', 'n', 1, 2, $2, $3, $4, $5), ('7', 'p1', 'n', 1, 2, $6, $7, $4, NULL), ('null', 'p1', 'n', 1, 2, $8, NULL, NULL, $5)`
	const updateAll = "UPDATE tasks SET id = $2, status = $3, depends_on = $4, feature_id = $5, sub_feature_id = $6 WHERE id = $1"
	// As a program does that stores whole rows, some of it from long ago.
	const updateWhole = "UPDATE tasks SET id = id, depends_on = depends_on, status = $2, open_dependencies = $3 WHERE id = $1"
	changes := map[string]change{
		"insert":         statement(insert, status, dependsOn, feature, subFeature),
		"inserts":        statement(insertMany, status, dependsOn, feature, subFeature, status, dependsOn, status),
		"insert derived": statement(insertDerived, status, dependsOn, number),
		"status":         statement("UPDATE tasks SET status = $2 WHERE id = $1", status),
		"statuses":       statement("UPDATE tasks SET status = $2 WHERE id >= $1", status),
		"depends_on":     statement("UPDATE tasks SET depends_on = $2 WHERE id = $1", dependsOn),
		"depend all":     statement("UPDATE tasks SET depends_on = $2 WHERE id >= $1", dependsOn),
		"id":             statement("UPDATE tasks SET id = $2 WHERE id = $1", anotherID),
		"feature":        statement("UPDATE tasks SET feature_id = $2, status = $3 WHERE id >= $1", feature, status),
		"sub-feature":    statement("UPDATE tasks SET sub_feature_id = $2 WHERE id = $1", subFeature),
		"all":            statement(updateAll, anotherID, status, dependsOn, feature, subFeature),
		"whole":          statement(updateWhole, status, number),
		"delete":         statement("DELETE FROM tasks WHERE id = $1"),
		"deletes":        statement("DELETE FROM tasks WHERE id >= $1"),
		"progress":       statement("UPDATE features SET completed_tasks = $2 WHERE id <> $1", number),

		"Create": func(rt *rapid.T, id string) func(*store.Tx) error {
			status, on := drawStatus().Draw(rt, "status"), drawOn().Draw(rt, "on")
			return func(tx *store.Tx) error {
				return tx.Tasks.Create(ctx, &nexus.Task{
					ID: id, ProjectID: "p1", Name: "n", FeatureID: "f1", SubFeatureID: "u1", Status: status, DependsOn: on,
				})
			}
		},
		"CreateMany": func(rt *rapid.T, _ string) func(*store.Tx) error {
			var tasks []nexus.Task
			for _, id := range rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 2, 4, rapid.ID).Draw(rt, "ids") {
				feature, _ := drawFeature().Draw(rt, "feature").(string)
				tasks = append(tasks, nexus.Task{
					ID: id, ProjectID: "p1", Name: "n", FeatureID: feature, Status: drawStatus().Draw(rt, "status"), DependsOn: drawOn().Draw(rt, "on"),
				})
			}
			return func(tx *store.Tx) error {
				var list []*nexus.Task
				for _, t := range tasks {
					list = append(list, &t)
				}
				return tx.Tasks.CreateMany(ctx, list)
			}
		},
		"Update": func(rt *rapid.T, id string) func(*store.Tx) error {
			update := nexus.TaskUpdate{
				Status: rapid.Ptr(drawStatus(), true).Draw(rt, "status"), DependsOn: rapid.Ptr(drawOn(), true).Draw(rt, "on"),
				AddDependsOn: drawOn().Draw(rt, "add"), RemoveDependsOn: drawOn().Draw(rt, "remove"),
			}
			return func(tx *store.Tx) error {
				_, err := tx.Tasks.Update(ctx, id, update)
				return err
			}
		},
		"Delete": func(_ *rapid.T, id string) func(*store.Tx) error {
			return func(tx *store.Tx) error { return tx.Tasks.Delete(ctx, id) }
		},
	}
	var names []string
	for name := range changes {
		names = append(names, name)
	}
	slices.Sort(names)

	rapid.Check(t, func(rt *rapid.T) {
		exec(t, db, "DELETE FROM tasks")
		exec(t, db, "UPDATE features SET status = 'backlog'")
		exec(t, db, "UPDATE sub_features SET status = 'backlog'")
		transaction := func(rt *rapid.T) {
			var todo []func(*store.Tx) error
			for range rapid.IntRange(1, 3).Draw(rt, "changes") {
				name := rapid.SampledFrom(names).Draw(rt, "change")
				todo = append(todo, changes[name](rt, rapid.SampledFrom(ids).Draw(rt, "id")))
			}
			undo := rapid.IntRange(0, 9).Draw(rt, "undo") == 0
			err := db.InTx(ctx, func(tx *store.Tx) error {
				for _, do := range todo {
					if err := do(tx); err != nil {
						return err
					}
				}
				if undo {
					return errStop
				}
				return nil
			})
			var e *nexus.Error
			switch code := nexus.CodeOf(err); {
			case err == nil || errors.Is(err, errStop):
			case code == nexus.CodeInvalid && errors.As(err, &e) && len(e.Problems) > 0: // a rule of Nexus's
			case slices.Contains([]nexus.Code{
				nexus.CodeExists, nexus.CodeNotFound, nexus.CodeInUse, nexus.CodeReference, nexus.CodeTransition,
			}, code):
			default:
				rt.Fatal(err)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"": func(rt *rapid.T) {
				if err := errors.Join(CheckDerived(ctx, db), checkProgress(ctx, db)); err != nil {
					rt.Fatal(err)
				}
			},
			"transaction": transaction,
		})
	})
}

// checkProgress returns an error if the status of a feature or sub-feature
// contradicts its tasks. Nobody but the database may have written it.
func checkProgress(ctx context.Context, db *store.DB) error {
	const contradictions = `
		SELECT n.kind, n.id, n.status FROM (` + TaskCounts + `) n
		WHERE n.open = 0 AND n.total > 0 AND n.status <> 'done' OR n.open > 0 AND n.status = 'done'`
	return db.View(ctx, func(tx *store.Tx) error {
		return tx.Query(ctx, contradictions, nil, func(r driver.Row) error {
			return fmt.Errorf("%s %s is %s", r.Text(0), r.Text(1), r.Text(2))
		})
	})
}

// testOddDependencies stores whatever a program may put into depends_on: no write
// fails, and what the task depends on is what Nexus shows.
func testOddDependencies(t *testing.T, db *store.DB) {
	depending(t, db, "a", "it")
	exec(t, db, "UPDATE tasks SET status = 'completed' WHERE id = 'a'")
	for _, text := range append(oddLists, `["it"]`, `["it","a"]`, "it") {
		exec(t, db, "UPDATE tasks SET depends_on = $1 WHERE id = 'it'", text)
		if err := CheckDerived(t.Context(), db); err != nil {
			t.Errorf("update to %s: %v", text, err)
		}
		exec(t, db, "DELETE FROM tasks WHERE id = 'it'")
		exec(t, db, "INSERT INTO tasks (id, project_id, name, created_at, updated_at, depends_on) VALUES ('it', 'p1', 'n', 1, 2, $1)", text)
		if err := CheckDerived(t.Context(), db); err != nil {
			t.Errorf("insert of %s: %v", text, err)
		}
	}
	// How a number or an object is written differs from database to database.
	for _, text := range []string{`[1.50, 1e3, 12345678901234567890]`, `[{"b": [2]}, [ 1 ]]`, `{"a": 1, "a": 2}`, "[" + strings.Repeat("[", 5000)} {
		exec(t, db, "UPDATE tasks SET depends_on = $1 WHERE id = 'it'", text)
		task, err := db.Tasks.Get(t.Context(), "it")
		must(t, err)
		exec(t, db, "UPDATE tasks SET status = 'completed' WHERE id = 'it'")
		if n := openDependencies(t, db, "it"); n != len(task.DependsOn) {
			t.Errorf("%s: %d open dependencies, want %d", text, n, len(task.DependsOn))
		}
	}
	exec(t, db, "UPDATE tasks SET depends_on = NULL WHERE id = 'it'")
}

// testFeaturesFollowTasks lets tasks come, change and go, and looks at their
// feature and sub-feature after each step.
func testFeaturesFollowTasks(t *testing.T, db *store.DB) {
	seed(t, db, nexus.KindTask)
	ctx := t.Context()
	see := func(feature, subFeature string) string {
		f, err := db.Features.Get(ctx, feature)
		must(t, err)
		u, err := db.SubFeatures.Get(ctx, subFeature)
		must(t, err)
		return fmt.Sprintf("%s %d, %s", f.Status, f.CompletedTasks, u.Status)
	}
	create := func(id string, status nexus.TaskStatus) func() {
		return func() {
			must(t, db.Tasks.Create(ctx, &nexus.Task{ID: id, ProjectID: "p1", FeatureID: "f1", SubFeatureID: "u1", Name: "n", Status: status}))
		}
	}
	update := func(id string, u nexus.TaskUpdate) func() {
		return func() {
			_, err := db.Tasks.Update(ctx, id, u)
			must(t, err)
		}
	}
	to := func(s nexus.TaskStatus) nexus.TaskUpdate { return nexus.TaskUpdate{Status: &s} }
	same(t, see("f1", "u1"), "backlog 0, backlog")
	for i, step := range []struct {
		do   func()
		want string
	}{
		{create("a", ""), "backlog 0, backlog"},
		{create("b", nexus.TaskSkipped), "backlog 0, backlog"},
		{update("a", to(nexus.TaskAssigned)), "backlog 0, backlog"},
		{update("a", to(nexus.TaskInProgress)), "in_progress 0, in_progress"},
		{update("a", to(nexus.TaskCompleted)), "done 1, done"},
		{create("c", ""), "in_progress 1, in_progress"},
		{update("c", nexus.TaskUpdate{SubFeatureID: new("")}), "in_progress 1, done"},
		{update("c", to(nexus.TaskInProgress)), "in_progress 1, done"},
		{update("c", nexus.TaskUpdate{FeatureID: new("")}), "done 1, done"},
		{update("a", to(nexus.TaskPending)), "in_progress 0, in_progress"},
		{update("a", to(nexus.TaskSkipped)), "done 0, done"},
		{create("d", nexus.TaskInProgress), "in_progress 0, in_progress"},
		{create("e", nexus.TaskCompleted), "in_progress 1, in_progress"},
		{func() { must(t, db.Tasks.Delete(ctx, "d")) }, "done 1, done"},
		// What somebody has written there stays until something follows.
		{func() {
			_, err := db.Features.Update(ctx, "f1", nexus.FeatureUpdate{Status: new(nexus.FeatureBacklog)})
			must(t, err)
			exec(t, db, "UPDATE sub_features SET status = 'on hold' WHERE id = 'u1'")
		}, "backlog 1, on hold"},
		{create("f", nexus.TaskCompleted), "done 2, on hold"},
		{func() {
			exec(t, db, "UPDATE features SET completed_tasks = 40, status = 'human_review' WHERE id = 'f1'")
		}, "human_review 2, on hold"},
		{update("f", to(nexus.TaskPending)), "human_review 1, on hold"},
		{func() {
			for _, id := range []string{"a", "b", "e", "f"} {
				must(t, db.Tasks.Delete(ctx, id))
			}
		}, "human_review 0, on hold"},
		{func() { exec(t, db, "UPDATE features SET completed_tasks = 40 WHERE id = 'f1'") }, "human_review 40, on hold"},
	} {
		step.do()
		if got := see("f1", "u1"); got != step.want {
			t.Errorf("after step %d: %s, want %s", i, got, step.want)
		}
		derivedAreRight(t, db)
	}
	// Tasks that come as what they are.
	for i, step := range []struct{ tasks, want string }{
		{"pending", "backlog 0, backlog"},
		{"assigned failed", "backlog 0, backlog"},
		{"in_progress", "in_progress 0, in_progress"},
		{"pending completed", "in_progress 1, in_progress"},
		{"completed pending", "in_progress 1, in_progress"},
		{"completed skipped", "done 1, done"},
		{"skipped", "done 0, done"},
	} {
		f, u := fmt.Sprint("new-f", i), fmt.Sprint("new-u", i)
		must(t, db.Features.Create(ctx, &nexus.Feature{ID: f, ProjectID: "p1", Name: "n"}))
		must(t, db.SubFeatures.Create(ctx, &nexus.SubFeature{ID: u, FeatureID: f, Name: "n"}))
		for status := range strings.FieldsSeq(step.tasks) {
			must(t, db.Tasks.Create(ctx, &nexus.Task{
				ProjectID: "p1", FeatureID: f, SubFeatureID: u, Name: "n", Status: nexus.TaskStatus(status),
			}))
		}
		if got := see(f, u); got != step.want {
			t.Errorf("%s makes %s, want %s", step.tasks, got, step.want)
		}
	}

	// The feature has been changed, though not by its own update.
	f, err := db.Features.Get(ctx, "f2")
	must(t, err)
	same(t, []any{f.Status, f.UpdatedAt}, []any{nexus.FeatureBacklog, now})
}
