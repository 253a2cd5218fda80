package sqlite_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/handle"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/storetest"
)

func lastChange(t testing.TB, db *store.DB) int64 {
	t.Helper()
	seq, err := db.LastChange(background)
	mustSucceed(t, err)
	return seq
}

func checkpoint(t testing.TB, db *store.DB, project string) string {
	t.Helper()
	p, err := db.Checkpoint(background, nexus.CheckpointRequest{ProjectID: project})
	mustSucceed(t, err)
	return p.ID
}

func mustVerify(t testing.TB, db *store.DB, checkpoint string) {
	t.Helper()
	v, err := db.VerifyCheckpoint(background, checkpoint)
	mustSucceed(t, err)
	if !v.OK {
		t.Errorf("checkpoint %s: %+v", checkpoint, v)
	}
}

// strangeTask inserts a task as another program does.
const strangeTask = "INSERT OR IGNORE INTO tasks (id, project_id, name, created_at, updated_at) VALUES ('%s', '%s', '%s', 1, 2)"

// A row that an INSERT has not replaced, but ignored, and that goes then, was not there
// when the next one comes.
func TestHistoryOfIgnoredInsert(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	insert := fmt.Sprintf(strangeTask, "x", "first", "n")
	script(t, path, insert+"; "+insert+"; DELETE FROM tasks;")
	db := open(t, path, nil)
	gone := lastChange(t, db)
	script(t, path, insert)
	if task, err := db.AsOf(gone).Tasks.Get(background, "x"); nexus.CodeOf(err) != nexus.CodeNotFound {
		t.Errorf("the task that was deleted is %+v, %v", task, err)
	}
	list, err := db.History(background, nexus.HistoryFilter{Kind: nexus.KindTask, ID: "x"})
	mustSucceed(t, err)
	var changes []nexus.ChangeType
	for _, c := range list {
		changes = append(changes, c.Change)
	}
	if diff := cmp.Diff([]nexus.ChangeType{"insert", "delete", "insert"}, changes); diff != "" {
		t.Error(diff)
	}
}

// A row that gets another id has gone under the old one, and can be read in the
// history.
func TestHistoryOfRename(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	script(t, path, fmt.Sprintf(strangeTask, "x", "first", "n")+"; UPDATE tasks SET metadata = '[1]'")
	db := open(t, path, nil)
	before := lastChange(t, db)
	script(t, path, "UPDATE tasks SET id = 'y', name = 'm', metadata = '[2]'")
	for id, want := range map[string][]string{"x": {"insert", "update", "delete"}, "y": {"insert"}} {
		list, err := db.History(background, nexus.HistoryFilter{Kind: nexus.KindTask, ID: id})
		mustSucceed(t, err)
		var changes []string
		for _, c := range list {
			changes = append(changes, string(c.Change))
		}
		if diff := cmp.Diff(want, changes); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
	task, err := db.AsOf(before).Tasks.Get(background, "x")
	mustSucceed(t, err)
	if task.Name != "n" || task.Metadata != "[1]" {
		t.Errorf("it was %+v", task)
	}
}

// What has moved to another project since is found too when so much has happened
// since that not all of it is read.
func TestPastOfWhatHasMoved(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	db := open(t, path, nil)
	create(t, db, "second")
	script(t, path, fmt.Sprintf(strangeTask, "moved", "first", "n")+";"+fmt.Sprintf(strangeTask, "stays", "first", "n")+`;
		INSERT INTO features (id, project_id, name, created_at, updated_at) VALUES ('f', 'first', 'f', 1, 2);
		INSERT INTO sub_features (id, feature_id, name, created_at) VALUES ('s', 'f', 's', 1)`)
	id := checkpoint(t, db, "first")
	before := lastChange(t, db)
	script(t, path, "UPDATE tasks SET project_id = 'second' WHERE id = 'moved'; UPDATE features SET project_id = 'second'")
	mustVerify(t, db, id)
	err := db.InTx(background, func(tx *store.Tx) error {
		for n := range 1500 {
			if _, err := tx.Tasks.Update(background, "stays", nexus.TaskUpdate{Name: new(fmt.Sprint(n))}); err != nil {
				return err
			}
		}
		return nil
	})
	mustSucceed(t, err)
	mustVerify(t, db, id)
	list, err := db.AsOf(before).Tasks.List(background, nexus.TaskFilter{ProjectID: "first"})
	mustSucceed(t, err)
	if len(list) != 2 {
		t.Errorf("the tasks were %+v", list)
	}
	_, err = db.Restore(background, id, false)
	mustSucceed(t, err)
	task, err := db.Tasks.Get(background, "moved")
	mustSucceed(t, err)
	if task.ProjectID != "first" {
		t.Errorf("the task is %+v", task)
	}
}

// To go back to when a row was in another project gives it back, and does not delete
// it.
func TestRestoreGivesBackWhatHasMoved(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	db := open(t, path, nil)
	create(t, db, "second")
	mustSucceed(t, db.Tasks.Create(background, &nexus.Task{ID: "x", ProjectID: "second", Name: "n"}))
	id := checkpoint(t, db, "first")
	script(t, path, "UPDATE tasks SET project_id = 'first'")
	_, err := db.Restore(background, id, false)
	mustSucceed(t, err)
	task, err := db.Tasks.Get(background, "x")
	mustSucceed(t, err)
	if task.ProjectID != "second" {
		t.Errorf("the task is %+v", task)
	}
}

// A list of the past has what no JSON can hold, and filters it as it was.
func TestPastOfStrangeValues(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	db := open(t, path, nil)
	script(t, path, "PRAGMA foreign_keys = OFF;"+fmt.Sprintf(strangeTask, "x", "first", "n")+`;
		UPDATE tasks SET name = 'a' || char(0) || 'b', budget_usd = 9e999, branch_name = x'6162', description = CAST(x'61ff' AS TEXT);
		INSERT INTO requirements (id, project_id, category, description, created_at) VALUES (x'0061', 'first', 'c', 'd', 1);
		UPDATE requirements SET category = 'e'`)
	before := lastChange(t, db)
	want, err := db.Tasks.List(background, nexus.TaskFilter{})
	mustSucceed(t, err)
	requirements, err := db.Requirements.List(background, nexus.RequirementFilter{})
	mustSucceed(t, err)
	id := checkpoint(t, db, "first")
	script(t, path, "DELETE FROM tasks; UPDATE requirements SET category = 'f'; "+fmt.Sprintf(strangeTask, "other", "first", "n"))
	past := db.AsOf(before)
	got, err := past.Tasks.List(background, nexus.TaskFilter{})
	mustSucceed(t, err)
	if diff := cmp.Diff(want, got); diff != "" || len(want) != 1 {
		t.Error(diff)
	}
	were, err := past.Requirements.List(background, nexus.RequirementFilter{})
	mustSucceed(t, err)
	if diff := cmp.Diff(requirements, were); diff != "" || len(were) != 1 {
		t.Error(diff)
	}
	values := func() []string {
		c := otherProgram(t, path)
		defer func() { _ = handle.Close(c) }()
		return slices.Concat(
			rows(t, path, "SELECT id, name, budget_usd, branch_name, description FROM tasks ORDER BY id"),
			rows(t, path, "SELECT id, category FROM requirements"))
	}
	_, err = db.Restore(background, id, false)
	mustSucceed(t, err)
	if got := strings.Join(values(), "\n"); !strings.Contains(got, `"a\x00b"`) || !strings.Contains(got, `"a\xff"`) ||
		!strings.Contains(got, `BLOB:"ab"`) || !strings.Contains(got, `BLOB:"\x00a" SQLITE_TEXT:"e"`) || strings.Contains(got, "other") {
		t.Errorf("restored were %s", got)
	}
	mustVerify(t, db, id)
}

// Bytes that are no UTF-8 are a part of a checkpoint's hash.
func TestVerifyFindsAnotherByte(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	db := open(t, path, nil)
	script(t, path, "UPDATE projects SET description = CAST(x'61ff' AS TEXT)")
	id := checkpoint(t, db, "first")
	script(t, path, "UPDATE projects SET description = 'x'")
	mustVerify(t, db, id)
	script(t, path, "UPDATE history SET v2 = CAST(x'61fe' AS TEXT) WHERE v2 = CAST(x'61ff' AS TEXT)")
	v, err := db.VerifyCheckpoint(background, id)
	mustSucceed(t, err)
	if v.OK {
		t.Error("another byte is not seen")
	}
	_, err = db.Restore(background, id, false)
	wantCode(t, err, nexus.CodeCorrupt)
}

// An edit that is based on a row before it was deleted is refused when the row is back.
func TestRestoredRowIsNoOlder(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t), nil)
	mustSucceed(t, db.Tasks.Create(background, &nexus.Task{ID: "x", ProjectID: "first", Name: "n"}))
	id := checkpoint(t, db, "first")
	var read []*nexus.Task
	for n := range 3 {
		task, err := db.Tasks.Update(background, "x", nexus.TaskUpdate{Name: new(fmt.Sprint(n))})
		mustSucceed(t, err)
		read = append(read, task)
	}
	mustSucceed(t, db.Tasks.Delete(background, "x"))
	_, err := db.Restore(background, id, false)
	mustSucceed(t, err)
	for _, old := range read {
		_, err := db.Tasks.Update(background, "x", nexus.TaskUpdate{Name: new("m"), Revision: old.Revision})
		wantCode(t, err, nexus.CodeStale)
	}
}

// A call that failed within a transaction does not give that its name.
func TestOperationIsCalledWhatItDid(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t), nil)
	err := db.InTx(background, func(tx *store.Tx) error {
		err := tx.InTx(background, func(tx *store.Tx) error {
			tx.Operation("nothing")
			return tx.Tasks.Create(background, &nexus.Task{ID: "x", ProjectID: "missing", Name: "n"})
		})
		if err == nil {
			t.Error("it has not failed")
		}
		_, err = tx.Projects.Update(background, "first", nexus.ProjectUpdate{Name: new("m")})
		return err
	})
	mustSucceed(t, err)
	list, err := db.History(background, nexus.HistoryFilter{Newest: true, Limit: 1})
	mustSucceed(t, err)
	if list[0].Name != "project update" {
		t.Errorf("the operation is %+v", list[0])
	}
}

// Records that are missing in the middle do not keep a time from being found.
func TestMomentBesideMissingRecords(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	db := open(t, path, nil)
	script(t, path, "INSERT INTO history (seq, at_us, change, first) VALUES (1000, 4102444800000000, 'operation', 1000)") // in 2100
	last := rows(t, path, "SELECT max(seq) FROM history WHERE seq < 1000")
	withoutHanging(t, func() {
		seq, err := db.Moment(background, "2099-01-01")
		mustSucceed(t, err)
		if got := fmt.Sprintf(`SQLITE_INTEGER:"%d" `, seq); got != last[0] {
			t.Errorf("the moment is %s, not %s", got, last[0])
		}
	})
}

// What is not in the history can be resolved in the past as it is now.
func TestPastResolvesMetrics(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t), nil)
	mustSucceed(t, db.Metrics.Create(background, &nexus.Metric{ID: "metric", ProjectID: "first", Type: "t"}))
	id, err := db.AsOf(0).Metrics.Resolve(background, "met")
	if err != nil || id != "metric" {
		t.Errorf("it is %q, %v", id, err)
	}
}

// A change that another program has made of many rows is one operation, and is taken
// back as one.
func TestUndoOfManyForeignChanges(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	db := open(t, path, nil)
	script(t, path, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000)"+
		" INSERT INTO tasks (id, project_id, name, created_at, updated_at) SELECT 't' || i, 'first', 'n', 1, 2 FROM n")
	before := lastChange(t, db)
	script(t, path, "UPDATE tasks SET name = 'm'")
	list, err := db.History(background, nexus.HistoryFilter{After: before, Limit: 500})
	mustSucceed(t, err)
	operations := map[int64]int{}
	for _, c := range list {
		operations[c.Operation]++
	}
	if diff := cmp.Diff(map[int64]int{before + 1: 500}, operations); diff != "" {
		t.Error(diff)
	}
	undone, err := db.Undo(background, nexus.UndoRequest{Operation: before + 1})
	mustSucceed(t, err)
	if len(undone.Changes) != 3000 || len(undone.Operations) != 1 {
		t.Errorf("%d changes of %d operations were taken back", len(undone.Changes), len(undone.Operations))
	}
}

// A checkpoint of before a migration that added columns can be verified and restored:
// those that the rows had then are what they were; the others keep what they have, or
// get their default.
func TestRestoreFromBeforeColumnsWereAdded(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	db := open(t, path, nil)
	for _, id := range []string{"kept", "changed", "gone"} {
		mustSucceed(t, db.Tasks.Create(background, &nexus.Task{ID: id, ProjectID: "first", Name: "was", MaxAttempts: 5, BudgetTokens: 9}))
	}
	id := checkpoint(t, db, "first")
	before := lastChange(t, db)
	_, err := db.Tasks.Update(background, "changed", nexus.TaskUpdate{Name: new("is"), MaxAttempts: new(7)})
	mustSucceed(t, err)
	mustSucceed(t, db.Tasks.Delete(background, "gone"))
	// As if the last four columns of tasks had not been there then.
	script(t, path, fmt.Sprintf(`UPDATE history SET v25 = NULL, v26 = NULL, v27 = NULL, v28 = NULL WHERE kind = 'task' AND seq > %d;
		UPDATE checkpoints SET state = json_set(state, '$.columns.tasks', 25)`, before))
	v, err := db.VerifyCheckpoint(background, id)
	mustSucceed(t, err)
	if v.OK {
		t.Error("the hash does not depend on the columns")
	}
	script(t, path, "UPDATE checkpoints SET state = json_set(state, '$.sha256', '"+v.Found+"')")
	mustVerify(t, db, id)

	_, err = db.Restore(background, id, false)
	mustSucceed(t, err)
	mustVerify(t, db, id)
	for id, want := range map[string]int{"kept": 5, "changed": 7, "gone": 3} {
		task, err := db.Tasks.Get(background, id)
		mustSucceed(t, err)
		if task.Name != "was" || task.MaxAttempts != want {
			t.Errorf("%s is %+v", id, task)
		}
	}

	script(t, path, "UPDATE checkpoints SET state = json_set(state, '$.columns.tasks', 99) WHERE id = '"+id+"'")
	_, err = db.Restore(background, id, false)
	wantCode(t, err, nexus.CodeNewer)
}

// Rows that refer to each other in every way come back, and features whose
// completed_tasks another program has set, and do not follow from their tasks.
func TestRestoreOfRowsThatReferToEachOther(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	db := open(t, path, nil)
	mustSucceed(t, db.InTx(background, func(tx *store.Tx) error {
		var errs []error
		for _, f := range []string{"f1", "f2"} {
			errs = append(errs, tx.Features.Create(background, &nexus.Feature{ID: f, ProjectID: "first", Name: f, PlanKey: "key " + f}),
				tx.SubFeatures.Create(background, &nexus.SubFeature{ID: "s" + f, FeatureID: f, Name: f}))
		}
		// The ids are such that what others depend on comes last.
		errs = append(errs,
			tx.Tasks.Create(background, &nexus.Task{ID: "a", ProjectID: "first", FeatureID: "f1", SubFeatureID: "sf1", Name: "a", DependsOn: []string{"b", "c"}}),
			tx.Tasks.Create(background, &nexus.Task{ID: "b", ProjectID: "first", FeatureID: "f2", Name: "b", DependsOn: []string{"c"}}),
			tx.Tasks.Create(background, &nexus.Task{ID: "c", ProjectID: "first", FeatureID: "f2", SubFeatureID: "sf2", Name: "c"}),
			tx.Sessions.Create(background, &nexus.Session{ID: "s", ProjectID: "first", Type: "planning"}),
			tx.Sessions.Append(background, "s", &nexus.SessionEntry{Text: "said"}))
		return errors.Join(errs...)
	}))
	claims, err := db.Tasks.Claim(background, nexus.ClaimRequest{AgentID: "agent"})
	mustSucceed(t, err)
	_, err = db.Tasks.Complete(background, claims[0].TaskID, claims[0].Epoch, nexus.Evidence{Commit: "abc"})
	mustSucceed(t, err)
	claims, err = db.Tasks.Claim(background, nexus.ClaimRequest{AgentID: "agent"})
	mustSucceed(t, err)
	script(t, path, "UPDATE features SET completed_tasks = 77 WHERE id = 'f1'")
	const query = `SELECT 'f', id, completed_tasks, status, plan_key FROM features UNION ALL SELECT 's', id, feature_id, status, NULL FROM sub_features
		UNION ALL SELECT 't', id, feature_id, sub_feature_id, depends_on FROM tasks
		UNION ALL SELECT 'e', session_id, number, text, NULL FROM session_log
		UNION ALL SELECT 'a', task_id, epoch, agent_id, evidence FROM task_attempts WHERE outcome = 'completed'
		UNION ALL SELECT 'd', task_id, depends_on, NULL, NULL FROM task_dependencies ORDER BY 1, 2, 3`
	was := rows(t, path, query)
	id := checkpoint(t, db, "first")

	mustSucceed(t, db.InTx(background, func(tx *store.Tx) error {
		var errs []error
		for _, task := range []string{"a", "b", "c"} {
			errs = append(errs, tx.Tasks.Delete(background, task))
		}
		errs = append(errs, tx.SubFeatures.Delete(background, "sf1"), tx.SubFeatures.Delete(background, "sf2"), tx.Features.Delete(background, "f1"),
			tx.Sessions.Delete(background, "s"),
			tx.Tasks.Create(background, &nexus.Task{ID: "new", ProjectID: "first", FeatureID: "f2", Name: "n"}),
			tx.Features.Create(background, &nexus.Feature{ID: "f3", ProjectID: "first", Name: "f", PlanKey: "key f1"}))
		return errors.Join(errs...)
	}))
	_, err = db.Tasks.Complete(background, claims[0].TaskID, claims[0].Epoch, nexus.Evidence{})
	wantCode(t, err, nexus.CodeNotFound)
	report, err := db.Restore(background, id, false)
	mustSucceed(t, err)
	if diff := cmp.Diff(was, rows(t, path, query)); diff != "" {
		t.Errorf("restored (-was +is):\n%s", diff)
	}
	mustVerify(t, db, id)
	if diff := cmp.Diff([]string{claims[0].TaskID}, report.Requeued); diff != "" {
		t.Errorf("pending again: %s", diff)
	}
	_, err = db.Tasks.Complete(background, claims[0].TaskID, claims[0].Epoch, nexus.Evidence{})
	if err == nil {
		t.Error("who worked on the task has not lost it")
	}
	again, err := db.Tasks.Claim(background, nexus.ClaimRequest{AgentID: "agent"})
	mustSucceed(t, err)
	if len(again) != 1 || again[0].Epoch <= claims[0].Epoch {
		t.Errorf("claimed were %+v", again)
	}
	if err := storetest.CheckDerived(background, db); err != nil {
		t.Error(err)
	}
}

// A database that has rows already begins with no history, and one whose history was
// taken away begins another; checkpoints of the one before say so.
func TestHistoryBegins(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	db := open(t, path, nil)
	id := checkpoint(t, db, "first")
	mustClose(t, db)
	for name := ""; name != "00007_history.sql"; {
		reverted, err := sqlite.MigrateDown(background, path, nil, false)
		mustSucceed(t, err)
		name = reverted[0].Name
	}
	script(t, path, "UPDATE projects SET name = 'of a time without history'")
	db = open(t, path, nil)
	if seq := lastChange(t, db); seq != 0 {
		t.Errorf("the history begins with %d", seq)
	}
	_, err := db.Projects.Update(background, "first", nexus.ProjectUpdate{Name: new("later")})
	mustSucceed(t, err)
	p, err := db.AsOf(0).Projects.Get(background, "first")
	mustSucceed(t, err)
	if p.Name != "of a time without history" {
		t.Errorf("it was %+v", p)
	}
	for range 5 {
		_, err = db.Projects.Update(background, "first", nexus.ProjectUpdate{Description: new(fmt.Sprint(lastChange(t, db)))})
		mustSucceed(t, err)
	}
	_, err = db.Restore(background, id, false)
	wantCode(t, err, nexus.CodeCorrupt)
	p, err = db.Projects.Get(background, "first")
	mustSucceed(t, err)
	if p.Name != "later" {
		t.Errorf("it is %+v", p)
	}
	fresh := checkpoint(t, db, "first")
	create(t, db, "other")
	mustVerify(t, db, fresh)
}

// A task that goes without a trace, because another takes its plan_key, is not in the
// next checkpoint.
func TestCheckpointAfterUnseenReplace(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	db := open(t, path, nil)
	mustSucceed(t, db.InTx(background, func(tx *store.Tx) error {
		for n := range 300 {
			key := fmt.Sprintf("k%03d", n)
			if err := tx.Tasks.Create(background, &nexus.Task{ID: "t" + key, ProjectID: "first", Name: "n", PlanKey: key}); err != nil {
				return err
			}
		}
		return nil
	}))
	checkpoint(t, db, "first")
	script(t, path, `
		INSERT OR REPLACE INTO tasks (id, project_id, name, plan_key, created_at, updated_at) VALUES ('new', 'first', 'n', 'k007', 1, 2);
		UPDATE OR REPLACE tasks SET plan_key = 'k200' WHERE id = 'tk100'`)
	if got := rows(t, path, "SELECT id FROM tasks WHERE id IN ('tk007', 'tk200')"); len(got) > 0 {
		t.Fatalf("%v of the tasks are there", got)
	}
	mustVerify(t, db, checkpoint(t, db, "first"))
}
