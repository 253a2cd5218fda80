package storetest

import (
	"fmt"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

var relationTests = map[string]test{
	"Project":    testLoadProject,
	"Feature":    testLoadFeature,
	"SubFeature": testLoadSubFeature,
	"Task":       testLoadTask,
	"Nobody":     testLoadNobody,
	"Cascade":    testCascade,
	"InUse":      testInUse,
	"Places":     testPlaces,
}

// tree stores a project of every kind of row with an id that begins with prefix,
// two of each, and returns it as Load should.
func tree(t *testing.T, db *store.DB, prefix string) *nexus.Project {
	t.Helper()
	ctx := t.Context()
	p := &nexus.Project{ID: prefix + "p", Name: "n", RootPath: "/"}
	must(t, db.Projects.Create(ctx, p))
	for i := range 2 {
		id := func(kind string) string { return fmt.Sprintf("%s%s%d", prefix, kind, i) }
		f := nexus.Feature{ID: id("f"), ProjectID: p.ID, Name: "n"}
		must(t, db.Features.Create(ctx, &f))
		u := nexus.SubFeature{ID: id("u"), FeatureID: f.ID, Name: "n"}
		must(t, db.SubFeatures.Create(ctx, &u))
		task := nexus.Task{ID: id("t"), ProjectID: p.ID, Name: "n", FeatureID: f.ID, SubFeatureID: u.ID}
		must(t, db.Tasks.Create(ctx, &task))
		c := nexus.Checkpoint{ID: id("c"), ProjectID: p.ID, State: "{}"}
		must(t, db.Checkpoints.Create(ctx, &c))
		r := nexus.Requirement{ID: id("r"), ProjectID: p.ID, Description: "d", LinkedFeatures: []string{f.ID}}
		must(t, db.Requirements.Create(ctx, &r))
		m := nexus.Metric{ID: id("m"), ProjectID: p.ID, TaskID: task.ID, Type: "t"}
		must(t, db.Metrics.Create(ctx, &m))
		s := nexus.Session{ID: id("s"), ProjectID: p.ID}
		must(t, db.Sessions.Create(ctx, &s))

		p.Features, p.SubFeatures, p.Tasks = append(p.Features, f), append(p.SubFeatures, u), append(p.Tasks, task)
		p.Checkpoints, p.Requirements = append(p.Checkpoints, c), append(p.Requirements, r)
		p.Metrics, p.Sessions = append(p.Metrics, m), append(p.Sessions, s)
	}
	loose := nexus.Task{ID: prefix + "tx", ProjectID: p.ID, Name: "of no feature"}
	must(t, db.Tasks.Create(ctx, &loose))
	p.Tasks = append(p.Tasks, loose)
	return p
}

func testLoadProject(t *testing.T, db *store.DB) {
	p := tree(t, db, "a-")
	tree(t, db, "b-") // none of which may appear
	got, err := db.Projects.Load(t.Context(), p.ID)
	must(t, err)
	same(t, got, p)

	only := map[nexus.Kind]func(to *nexus.Project){
		nexus.KindFeature:     func(to *nexus.Project) { to.Features = p.Features },
		nexus.KindSubFeature:  func(to *nexus.Project) { to.SubFeatures = p.SubFeatures },
		nexus.KindTask:        func(to *nexus.Project) { to.Tasks = p.Tasks },
		nexus.KindCheckpoint:  func(to *nexus.Project) { to.Checkpoints = p.Checkpoints },
		nexus.KindRequirement: func(to *nexus.Project) { to.Requirements = p.Requirements },
		nexus.KindMetric:      func(to *nexus.Project) { to.Metrics = p.Metrics },
		nexus.KindSession:     func(to *nexus.Project) { to.Sessions = p.Sessions },
		nexus.KindAgent:       func(*nexus.Project) {}, // belongs to no project
	}
	bare, err := db.Projects.Get(t.Context(), p.ID)
	must(t, err)
	for kind, set := range only {
		want := *bare
		set(&want)
		got, err := db.Projects.Load(t.Context(), p.ID, kind)
		must(t, err)
		same(t, got, &want)

		only[nexus.KindMetric](&want)
		got, err = db.Projects.Load(t.Context(), p.ID, kind, nexus.KindMetric)
		must(t, err)
		same(t, got, &want)
	}
}

func testLoadFeature(t *testing.T, db *store.DB) {
	p := tree(t, db, "a-")
	tree(t, db, "b-")
	project, err := db.Projects.Get(t.Context(), p.ID)
	must(t, err)
	want := p.Features[1]
	want.Project, want.SubFeatures, want.Tasks = project, p.SubFeatures[1:], p.Tasks[1:2]
	got, err := db.Features.Load(t.Context(), want.ID)
	must(t, err)
	same(t, got, &want)

	want = p.Features[1]
	want.Tasks = p.Tasks[1:2]
	got, err = db.Features.Load(t.Context(), want.ID, nexus.KindTask)
	must(t, err)
	same(t, got, &want)
}

func testLoadSubFeature(t *testing.T, db *store.DB) {
	p := tree(t, db, "a-")
	tree(t, db, "b-")
	want := p.SubFeatures[0]
	want.Feature, want.Tasks = &p.Features[0], p.Tasks[:1]
	got, err := db.SubFeatures.Load(t.Context(), want.ID)
	must(t, err)
	same(t, got, &want)

	want = p.SubFeatures[0]
	want.Feature = &p.Features[0]
	got, err = db.SubFeatures.Load(t.Context(), want.ID, nexus.KindFeature)
	must(t, err)
	same(t, got, &want)
}

func testLoadTask(t *testing.T, db *store.DB) {
	p := tree(t, db, "a-")
	project, err := db.Projects.Get(t.Context(), p.ID)
	must(t, err)
	want := p.Tasks[0]
	want.Project, want.Feature, want.SubFeature = project, &p.Features[0], &p.SubFeatures[0]
	got, err := db.Tasks.Load(t.Context(), want.ID)
	must(t, err)
	same(t, got, &want)

	want = p.Tasks[0]
	want.SubFeature = &p.SubFeatures[0]
	got, err = db.Tasks.Load(t.Context(), want.ID, nexus.KindSubFeature)
	must(t, err)
	same(t, got, &want)

	loose := p.Tasks[2] // has neither feature nor sub-feature
	loose.Project = project
	got, err = db.Tasks.Load(t.Context(), loose.ID)
	must(t, err)
	same(t, got, &loose)
}

func testLoadNobody(t *testing.T, db *store.DB) {
	p := tree(t, db, "a-")
	ctx := t.Context()
	for kind, load := range map[nexus.Kind]func(string) error{
		nexus.KindProject:    func(id string) error { _, err := db.Projects.Load(ctx, id); return err },
		nexus.KindFeature:    func(id string) error { _, err := db.Features.Load(ctx, id); return err },
		nexus.KindSubFeature: func(id string) error { _, err := db.SubFeatures.Load(ctx, id); return err },
		nexus.KindTask:       func(id string) error { _, err := db.Tasks.Load(ctx, id); return err },
	} {
		e := refused(t, load("nobody"), nexus.CodeNotFound)
		same(t, []string{string(e.Kind), e.ID}, []string{string(kind), "nobody"})
	}
	// A transaction sees its own rows.
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		task := nexus.Task{ID: "a-new", ProjectID: p.ID, FeatureID: "a-f0", Name: "n"}
		must(t, tx.Tasks.Create(ctx, &task))
		f, err := tx.Features.Load(ctx, "a-f0", nexus.KindTask)
		must(t, err)
		same(t, f.Tasks, []nexus.Task{task, p.Tasks[0]})
		return nil
	}))
}

// counted counts the rows of all entities that belong to projects.
func counted(t *testing.T, db *store.DB) map[nexus.Kind]int64 {
	t.Helper()
	all := make(map[nexus.Kind]int64)
	must(t, db.View(t.Context(), func(tx *store.Tx) error {
		for _, kind := range nexus.Kinds() {
			err := tx.Query(t.Context(), "SELECT count(*) FROM "+kind.Table(), nil, func(r driver.Row) error {
				all[kind] = r.Int(0)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	return all
}

func testCascade(t *testing.T, db *store.DB) {
	kept := tree(t, db, "b-")
	agent := nexus.Agent{ID: "a-agent", CurrentTaskID: "a-t0"}
	must(t, db.Agents.Create(t.Context(), &agent))
	before := counted(t, db)
	tree(t, db, "a-")
	must(t, db.Projects.Delete(t.Context(), "a-p"))
	same(t, counted(t, db), before)
	got, err := db.Projects.Load(t.Context(), "b-p")
	must(t, err)
	same(t, got, kept)

	// A feature takes its sub-features with it.
	f := nexus.Feature{ID: "f", ProjectID: "b-p", Name: "n"}
	must(t, db.Features.Create(t.Context(), &f))
	must(t, db.SubFeatures.Create(t.Context(), &nexus.SubFeature{ID: "u", FeatureID: "f", Name: "n"}))
	must(t, db.Features.Delete(t.Context(), "f"))
	_, err = db.SubFeatures.Get(t.Context(), "u")
	refused(t, err, nexus.CodeNotFound)
	same(t, counted(t, db), before)
}

func testInUse(t *testing.T, db *store.DB) {
	ctx := t.Context()
	tree(t, db, "a-")
	tree(t, db, "b-")
	before := counted(t, db)
	for kind, remove := range map[nexus.Kind]func() error{
		nexus.KindFeature:    func() error { return db.Features.Delete(ctx, "a-f0") },
		nexus.KindSubFeature: func() error { return db.SubFeatures.Delete(ctx, "a-u0") },
	} {
		e := refused(t, remove(), nexus.CodeInUse)
		if e.Kind != kind || e.ID == "" || e.Hint == "" {
			t.Errorf("the refusal lacks its subject or a hint: %+v", e)
		}
		same(t, e.Message, "tasks refer to it: a-t0")
	}
	same(t, counted(t, db), before)

	// Another program may let a row of another project refer into this one; that
	// one is not torn apart.
	_, err := db.Tasks.Update(ctx, "b-tx", nexus.TaskUpdate{FeatureID: new("a-f1")})
	refused(t, err, nexus.CodeInvalid)
	exec(t, db, "UPDATE tasks SET feature_id = 'a-f1' WHERE id = 'b-tx'")
	same(t, refused(t, db.Projects.Delete(ctx, "a-p"), nexus.CodeInUse).Message, "tasks refer to it: b-tx")
	same(t, counted(t, db), before)

	// In a transaction the refusal leaves what came before it.
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Tasks.Update(ctx, "b-tx", nexus.TaskUpdate{FeatureID: new(string)})
		must(t, err)
		refused(t, tx.Features.Delete(ctx, "a-f1"), nexus.CodeInUse)
		return tx.Projects.Delete(ctx, "a-p")
	}))
	_, err = db.Projects.Get(ctx, "a-p")
	refused(t, err, nexus.CodeNotFound)
}

// testPlaces: a task is in a feature and sub-feature of its own project. What another
// program has done otherwise is found, is in nobody's way, and can be put right.
func testPlaces(t *testing.T, db *store.DB) {
	ctx := t.Context()
	tree(t, db, "a-")
	tree(t, db, "b-")
	before := counted(t, db)
	for field, update := range map[string]nexus.TaskUpdate{
		"feature_id": {FeatureID: new("b-f0")}, "sub_feature_id": {FeatureID: new(""), SubFeatureID: new("b-u0")},
	} {
		task := nexus.Task{ID: "new", ProjectID: "a-p", Name: "n"}
		update.Apply(&task, now)
		_, upsertErr := db.Tasks.Upsert(ctx, with(task, "new"))
		_, updateErr := db.Tasks.Update(ctx, "a-t0", update)
		for id, err := range map[string]error{
			"new": db.Tasks.CreateMany(ctx, []*nexus.Task{{ID: "first", ProjectID: "b-p", FeatureID: "b-f0", Name: "n"}, with(task, "new")}),
			"":    upsertErr, "a-t0": updateErr,
		} {
			e := refused(t, err, nexus.CodeInvalid)
			if id != "" {
				same(t, e.ID, id)
			}
			same(t, e.Problems[0].Field, field)
		}
	}
	// An id that was made is nobody's; one that was given is named, whatever comes after it.
	misplaced := func(id string) *nexus.Task {
		return &nexus.Task{ID: id, ProjectID: "a-p", FeatureID: "b-f0", Name: "n"}
	}
	same(t, refused(t, db.Tasks.Create(ctx, misplaced("")), nexus.CodeInvalid).ID, "")
	same(t, refused(t, db.InTx(ctx, func(tx *store.Tx) error { return tx.Tasks.Create(ctx, misplaced("")) }), nexus.CodeInvalid).ID, "")
	last := &nexus.Task{ProjectID: "a-p", Name: "n"}
	same(t, refused(t, db.Tasks.CreateMany(ctx, []*nexus.Task{misplaced("given"), last}), nexus.CodeInvalid).ID, "given")
	same(t, counted(t, db), before)
	_, err := db.Tasks.Update(ctx, "a-t0", nexus.TaskUpdate{FeatureID: new("a-f1"), SubFeatureID: new("a-u1")})
	must(t, err)

	exec(t, db, "UPDATE tasks SET feature_id = 'b-f0', sub_feature_id = 'b-u1' WHERE id = 'a-t0'")
	list, err := db.Diagnose(ctx)
	must(t, err)
	same(t, found(list), []string{"places 1: a-t0", "places 1: a-t0"})
	_, err = db.Tasks.Update(ctx, "a-t0", nexus.TaskUpdate{Name: new("another"), SubFeatureID: new("a-u0")})
	must(t, err)
	_, err = db.Tasks.Update(ctx, "a-t0", nexus.TaskUpdate{FeatureID: new("a-f0")})
	must(t, err)
	list, err = db.Diagnose(ctx)
	must(t, err)
	same(t, len(list), 0)
}
