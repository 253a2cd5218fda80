package plan_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/plan"
)

// A failure that no check could foresee, in the last section, undoes the first.
func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	const changed = `{
	  "project": {"key": "shop", "name": "Changed"},
	  "features": [{"key": "pay", "name": "Changed"}, {"key": "new", "name": "New"}],
	  "sub_features": [{"key": "new", "feature": "new", "name": "New"}],
	  "tasks": [{"key": "api", "name": "Changed"}, {"key": "new", "sub_feature": "new", "name": "New"}],
	  "requirements": [{"key": "new", "description": "New"}, {"key": "bad", "description": "Bad"}]
	}`
	for name, test := range map[string]struct {
		sql  string // what another program has done to the database
		code nexus.Code
	}{
		"a trigger": {`CREATE TRIGGER refuse BEFORE INSERT ON requirements WHEN NEW.plan_key = 'bad'
			BEGIN SELECT RAISE(ABORT, 'not this one'); END`, ""},
		"an index": {"CREATE UNIQUE INDEX once ON requirements (project_id, category) WHERE plan_key <> 'fast'", nexus.CodeExists},
		"a rollback": {`CREATE TRIGGER refuse BEFORE INSERT ON requirements WHEN NEW.plan_key = 'bad'
			BEGIN SELECT RAISE(ROLLBACK, 'not any'); END`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			w.must(everything)
			w.later()
			w.exec(test.sql)
			w.unchanged(func() {
				report, err := w.try(changed, plan.Options{})
				if err == nil || report != nil || (test.code != "" && nexus.CodeOf(err) != test.code) {
					t.Errorf("%+v, %v", report, err)
				}
			})
			// The database goes on working.
			w.must(strings.Replace(changed, `, {"key": "bad", "description": "Bad"}`, "", 1))
		})
	}
}

// An update too can be refused by the database alone, after rows were created.
func TestConflictWhileUpdating(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.must(everything)
	w.exec("CREATE UNIQUE INDEX one_name ON tasks (name)")
	w.unchanged(func() {
		_, err := w.try(`{"project": {"key": "shop"}, "features": [{"key": "pay", "name": "Changed"}],
		  "tasks": [{"key": "x", "name": "X"}, {"key": "form", "name": "Write the API"}]}`, plan.Options{})
		wantCode(t, err, nexus.CodeExists)
	})
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	check := func(text string) {
		t.Helper()
		var dry *plan.Report
		w.unchanged(func() {
			var err error
			if dry, err = w.try(text, plan.Options{DryRun: true}); err != nil {
				t.Fatal(problems(err))
			}
		})
		real := w.must(text)
		if !dry.DryRun || real.DryRun {
			t.Errorf("dry run: %v, then %v", dry.DryRun, real.DryRun)
		}
		if diff := cmp.Diff(counts(real), counts(dry)); diff != "" {
			t.Error(diff)
		}
	}
	check(everything)
	check(strings.Replace(everything, `"name": "Payment"`, `"name": "Paying"`, 1))
	check(`{"project": {"key": "shop"}, "tasks": [{"key": "api"}, {"key": "new", "name": "N", "depends_on": ["form"]}]}`)
}

// wide returns a plan with n tasks, in ten features and a hundred sub-features,
// each with up to two dependencies on earlier ones.
func wide(n int) *plan.Document {
	d := &plan.Document{Project: plan.Project{Key: "wide", Fields: nexus.ProjectUpdate{Name: new("Wide")}}}
	for i := range 10 {
		d.Features = append(d.Features, plan.Feature{Key: fmt.Sprint("f", i), Fields: nexus.FeatureUpdate{Name: new("F")}})
	}
	for i := range 100 {
		d.SubFeatures = append(d.SubFeatures, plan.SubFeature{
			Key: fmt.Sprint("s", i), Feature: fmt.Sprint("f", i%10), Fields: nexus.SubFeatureUpdate{Name: new("S")},
		})
	}
	for i := range n {
		t := plan.Task{Key: fmt.Sprint("t", i), SubFeature: fmt.Sprint("s", i%100), Fields: nexus.TaskUpdate{Name: new(fmt.Sprint("Task ", i))}}
		t.DependsOn = []string{}
		if i > 0 {
			t.DependsOn = append(t.DependsOn, fmt.Sprint("t", i-1))
		}
		if i%2 == 0 && i > 2 {
			t.DependsOn = append(t.DependsOn, fmt.Sprint("t", i/2))
		}
		d.Tasks = append(d.Tasks, t)
	}
	return d
}

func TestTenThousandTasks(t *testing.T) {
	if raceDetector {
		t.Skip("only one goroutine")
	}
	t.Parallel()
	w := newWorkshop(t)
	d := wide(10_000)
	first, err := w.apply(d, plan.Options{})
	if err != nil {
		t.Fatal(problems(err))
	}
	if first.Tasks.Created != 10_000 || first.Dependencies != 9_999+4_998 {
		t.Errorf("%+v", first)
	}
	// The last task waits for the first: the longest cycle there can be.
	d.Tasks[0].DependsOn = []string{"t9999"}
	_, err = w.apply(d, plan.Options{})
	wantCode(t, err, nexus.CodeInvalid)
	d.Tasks[0].DependsOn = []string{}
	second, err := w.apply(d, plan.Options{})
	if err != nil || second.Changed() || second.Tasks.Unchanged != 10_000 {
		t.Errorf("%+v, %v", second, err)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	d := wide(1_700)
	const total = 1 + 10 + 100 + 1_700
	for _, what := range []string{"new", "unchanged", "changed"} {
		last := 0
		_, err := w.apply(d, plan.Options{Progress: func(done, of int) {
			// Never back, and often enough to see it move.
			if of != total || done < last || done > total || done > last+500 {
				t.Errorf("%s: %d of %d, after %d", what, done, of, last)
			}
			last = done
		}})
		if err != nil {
			t.Fatal(problems(err))
		}
		if last != total {
			t.Errorf("%s: ends at %d of %d", what, last, total)
		}
		if what == "unchanged" {
			for i := range d.Tasks {
				d.Tasks[i].Fields.Name = new("Renamed")
			}
		}
	}
}

// Whoever cancels while rows are written has changed nothing.
func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.must(everything)
	d := wide(1_200)
	for at := range 4 { // before, and at three times while writing
		ctx, cancel := context.WithCancel(background)
		if at == 0 {
			cancel()
		}
		calls := 0
		w.unchanged(func() {
			report, err := plan.Apply(ctx, w.DB, d, plan.Options{Now: w.now, Progress: func(int, int) {
				if calls++; calls == at {
					cancel()
				}
			}})
			if nexus.CodeOf(err) != nexus.CodeCanceled || report != nil {
				t.Errorf("canceled at %d: %+v, %v", at, report, err)
			}
		})
		cancel()
	}
	if _, err := w.apply(d, plan.Options{}); err != nil {
		t.Error(problems(err))
	}
}

// Two programs, or a person who is impatient, apply one new plan at once: one of
// them creates the rows, and the others find them.
func TestSameNewPlanAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	reports := make([]*plan.Report, 8)
	var all sync.WaitGroup
	ready := make(chan struct{})
	for i := range reports {
		all.Go(func() {
			<-ready
			var err error
			if reports[i], err = w.try(everything, plan.Options{}); err != nil {
				t.Error(problems(err))
			}
		})
	}
	close(ready)
	all.Wait()
	if t.Failed() {
		return
	}
	created := 0
	for _, r := range reports {
		if r.Tasks.Created+r.Tasks.Unchanged != 3 || r.ProjectID != reports[0].ProjectID {
			t.Errorf("%+v", r)
		}
		created += r.Tasks.Created
	}
	if n := len(w.rows("tasks")); created != 3 || n != 3 {
		t.Errorf("%d tasks created, %d there", created, n)
	}
	for _, table := range []string{"projects", "features", "sub_features", "requirements"} {
		if n := len(w.rows(table)); n != 1 {
			t.Errorf("%d %s", n, table)
		}
	}
}

// Without a clock of its own, a plan has the computer's.
func TestDefaultOptions(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	d, err := plan.Parse([]byte(`{"project": {"name": "p"}, "tasks": [{"key": "t", "name": "T", "status": "completed"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Apply(background, w.DB, d, plan.Options{}); err != nil {
		t.Fatal(err)
	}
	if r := w.rows("tasks")[0]; r["completed_at"] == nil || r["created_at"] != r["updated_at"] {
		t.Errorf("%v", r)
	}
}
