package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// walk changes a database at random, in whatever way it can be changed, and notes
// what it was in between.
type walk struct {
	ctx     context.Context
	db      *store.DB
	project string
	clock   *Clock
	states  []recorded

	strange bool // a change may be of nothing but a revision, which the history does not have
}

// recorded is what the database was after a change: the JSON of all that is in it,
// by table and id.
type recorded struct {
	seq        int64
	rows       map[string]string
	checkpoint string // of the project, if one was made then
}

// historyWalk makes random changes, those of a driver's own test among them, and
// then expects the past to be what it was. It calls end with each walk that was made.
func historyWalk(t *testing.T, db *store.DB, clock *Clock, own map[string]func(rt *rapid.T, project string), end func(*rapid.T, *walk)) {
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		w := &walk{ctx: t.Context(), db: db, project: fmt.Sprintf("p%d", run), clock: clock, strange: own != nil}
		must(rt, project(w.ctx, &db.Services, w.project))
		actions := map[string]func(*rapid.T){
			"feature": w.feature, "sub-feature": w.subFeature, "task": w.task, "session": w.session, "requirement": w.requirement,
			"work": w.work, "transaction": w.transaction, "record": w.record, "agent": w.agent,
		}
		for name, action := range own {
			actions[name] = func(rt *rapid.T) { action(rt, w.project) }
		}
		rt.Repeat(actions)
		w.record(rt)
		w.checkPast(rt)
		if end != nil {
			end(rt, w)
		}
	})
}

func (w *walk) id(rt *rapid.T, kind string) string {
	return fmt.Sprintf("%s-%s%d", w.project, kind, rapid.IntRange(1, 4).Draw(rt, "id"))
}

// text draws a text; some are long, and differ a little from each other.
func (w *walk) text(rt *rapid.T) string {
	switch rapid.IntRange(0, 4).Draw(rt, "text") {
	case 0:
		return ""
	case 1, 2:
		return drawName().Draw(rt, "short")
	default:
		words := rapid.SliceOfN(drawName(), 0, 6).Draw(rt, "long")
		return strings.Repeat("a long text, ä, ", rapid.IntRange(40, 60).Draw(rt, "times")) + strings.Join(words, "") + " and its end 🦀"
	}
}

func (w *walk) json(rt *rapid.T) nexus.JSON {
	text, _ := json.Marshal(map[string]any{"log": rapid.SliceOfN(rapid.Just(w.text(rt)), 0, 3).Draw(rt, "log"), "n": 1})
	return nexus.JSON(text)
}

// ignore takes the refusals for what they are: attempts that come to nothing.
func ignore(rt *rapid.T, err error) {
	if code := nexus.CodeOf(err); code == nexus.CodeInternal || code == nexus.CodeCorrupt {
		rt.Fatal(err)
	}
}

func (w *walk) feature(rt *rapid.T) {
	id := w.id(rt, "f")
	switch rapid.SampledFrom([]string{"create", "update", "delete"}).Draw(rt, "how") {
	case "create":
		ignore(rt, w.db.Features.Create(w.ctx, &nexus.Feature{ID: id, ProjectID: w.project, Name: "f", Description: w.text(rt), PlanKey: drawName().Draw(rt, "key")}))
	case "update":
		description, completed := w.text(rt), rapid.IntRange(0, 9).Draw(rt, "completed")
		_, err := w.db.Features.Update(w.ctx, id, nexus.FeatureUpdate{Description: &description, CompletedTasks: &completed})
		ignore(rt, err)
	default:
		ignore(rt, w.db.Features.Delete(w.ctx, id))
	}
}

func (w *walk) subFeature(rt *rapid.T) {
	id := w.id(rt, "s")
	switch rapid.SampledFrom([]string{"create", "update", "delete"}).Draw(rt, "how") {
	case "create":
		ignore(rt, w.db.SubFeatures.Create(w.ctx, &nexus.SubFeature{ID: id, FeatureID: w.id(rt, "f"), Name: "s"}))
	case "update":
		name := drawName().Draw(rt, "name")
		_, err := w.db.SubFeatures.Update(w.ctx, id, nexus.SubFeatureUpdate{Name: &name})
		ignore(rt, err)
	default:
		ignore(rt, w.db.SubFeatures.Delete(w.ctx, id))
	}
}

func (w *walk) task(rt *rapid.T) {
	id := w.id(rt, "t")
	switch rapid.SampledFrom([]string{"create", "update", "move", "key", "delete"}).Draw(rt, "how") {
	case "create":
		task := &nexus.Task{ID: id, ProjectID: w.project, Name: "t", Description: w.text(rt), Metadata: w.json(rt)}
		if rapid.Bool().Draw(rt, "in a feature") {
			task.FeatureID = w.id(rt, "f")
		}
		if other := w.id(rt, "t"); rapid.Bool().Draw(rt, "depends") {
			task.DependsOn = []string{other}
		}
		ignore(rt, w.db.Tasks.Create(w.ctx, task))
	case "update":
		description, metadata := w.text(rt), w.json(rt)
		_, err := w.db.Tasks.Update(w.ctx, id, nexus.TaskUpdate{Description: &description, Metadata: &metadata})
		ignore(rt, err)
	case "move":
		feature := w.id(rt, "f")
		_, err := w.db.Tasks.Update(w.ctx, id, nexus.TaskUpdate{FeatureID: &feature})
		ignore(rt, err)
	case "key":
		key := drawName().Draw(rt, "key")
		_, err := w.db.Tasks.Update(w.ctx, id, nexus.TaskUpdate{PlanKey: &key})
		ignore(rt, err)
	default:
		ignore(rt, w.db.Tasks.Delete(w.ctx, id))
	}
}

func (w *walk) session(rt *rapid.T) {
	id := w.id(rt, "e")
	switch rapid.SampledFrom([]string{"create", "data", "append", "pause", "delete"}).Draw(rt, "how") {
	case "create":
		ignore(rt, w.db.Sessions.Create(w.ctx, &nexus.Session{ID: id, ProjectID: w.project, Type: "planning", Data: w.json(rt)}))
	case "data":
		data := w.json(rt)
		_, err := w.db.Sessions.Update(w.ctx, id, nexus.SessionUpdate{Data: &data})
		ignore(rt, err)
	case "append":
		ignore(rt, w.db.Sessions.Append(w.ctx, id, &nexus.SessionEntry{Text: "said"}))
	case "pause":
		status := rapid.SampledFrom([]nexus.SessionStatus{nexus.SessionActive, nexus.SessionPaused}).Draw(rt, "status")
		_, err := w.db.Sessions.Update(w.ctx, id, nexus.SessionUpdate{Status: &status})
		ignore(rt, err)
	default:
		ignore(rt, w.db.Sessions.Delete(w.ctx, id))
	}
}

func (w *walk) requirement(rt *rapid.T) {
	id := w.id(rt, "r")
	switch rapid.SampledFrom([]string{"create", "update", "delete"}).Draw(rt, "how") {
	case "create":
		ignore(rt, w.db.Requirements.Create(w.ctx, &nexus.Requirement{ID: id, ProjectID: w.project, Category: "ui", Description: "r " + w.text(rt)}))
	case "update":
		validated := rapid.Bool().Draw(rt, "validated")
		_, err := w.db.Requirements.Update(w.ctx, id, nexus.RequirementUpdate{Validated: &validated})
		ignore(rt, err)
	default:
		ignore(rt, w.db.Requirements.Delete(w.ctx, id))
	}
}

func (w *walk) agent(rt *rapid.T) {
	id := w.id(rt, "a")
	switch rapid.SampledFrom([]string{"register", "terminate", "delete"}).Draw(rt, "how") {
	case "register":
		_, err := w.db.Agents.Register(w.ctx, nexus.Agent{ID: id, Type: "coder", BranchName: drawName().Draw(rt, "branch")})
		ignore(rt, err)
	case "terminate":
		_, err := w.db.Agents.Terminate(w.ctx, id, "enough")
		ignore(rt, err)
	default:
		ignore(rt, w.db.Agents.Delete(w.ctx, id))
	}
}

// work claims a task and ends the attempt at it, or does not.
func (w *walk) work(rt *rapid.T) {
	claims, err := w.db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: w.id(rt, "a"), Filter: nexus.ReadyFilter{ProjectID: w.project}})
	ignore(rt, err)
	for _, c := range claims {
		switch rapid.SampledFrom([]string{"complete", "fail", "skip", "block", "hold"}).Draw(rt, "end") {
		case "complete":
			_, err = w.db.Tasks.Complete(w.ctx, c.Task.ID, c.Epoch, nexus.Evidence{})
		case "fail":
			_, err = w.db.Tasks.Fail(w.ctx, c.Task.ID, c.Epoch, store.Failure{Reason: "no"})
		case "skip":
			_, err = w.db.Tasks.Skip(w.ctx, c.Task.ID, c.Epoch, "no")
		case "block":
			_, err = w.db.Tasks.Block(w.ctx, c.Task.ID, c.Epoch, "no")
		}
		ignore(rt, err)
	}
}

// transaction does several things at once, or fails and does none.
func (w *walk) transaction(rt *rapid.T) {
	ids := rapid.SliceOfNDistinct(rapid.IntRange(1, 4), 1, 3, rapid.ID[int]).Draw(rt, "ids")
	fail := rapid.Bool().Draw(rt, "fail")
	err := w.db.InTx(w.ctx, func(tx *store.Tx) error {
		for _, n := range ids {
			id := fmt.Sprintf("%s-t%d", w.project, n)
			if _, err := tx.Tasks.Upsert(w.ctx, &nexus.Task{ID: id, ProjectID: w.project, Name: "in a transaction"}); err != nil {
				return err
			}
		}
		if fail {
			return nexus.Errorf(nexus.CodeInvalid, "enough")
		}
		return nil
	})
	ignore(rt, err)
}

// record notes what everything is, and makes a checkpoint now and then.
func (w *walk) record(rt *rapid.T) {
	seq, err := w.db.LastChange(w.ctx)
	must(rt, err)
	r := recorded{seq: seq, rows: everything(rt, w.ctx, &w.db.Services, w.project)}
	if _, err := w.db.Projects.Get(w.ctx, w.project); err == nil && rapid.Bool().Draw(rt, "checkpoint") {
		p, err := w.db.Checkpoint(w.ctx, nexus.CheckpointRequest{ProjectID: w.project})
		must(rt, err)
		r.checkpoint = p.ID
	}
	w.states = append(w.states, r)
}

// checkPast compares each past with what it was.
func (w *walk) checkPast(rt *rapid.T) {
	for _, r := range w.states {
		past := w.db.AsOf(r.seq)
		if diff := cmp.Diff(w.comparable(r.rows), w.comparable(everything(rt, w.ctx, &past.Services, w.project))); diff != "" {
			rt.Fatalf("the past after change %d is not what it was (-was +is):\n%s", r.seq, diff)
		}
		for key, text := range r.rows {
			kind, id, _ := strings.Cut(key, " ")
			if kind != "tasks" {
				continue
			}
			task, err := past.Tasks.Get(w.ctx, id)
			must(rt, err)
			if got := jsonOf(rt, task); w.withoutRevision(got) != w.withoutRevision(text) {
				rt.Fatalf("task %s after change %d is %s, was %s", id, r.seq, got, text)
			}
		}
		if w.has(rt, r.checkpoint) {
			v, err := w.db.VerifyCheckpoint(w.ctx, r.checkpoint)
			must(rt, err)
			if !v.OK {
				rt.Fatalf("checkpoint %s has %s, found was %s", r.checkpoint, v.Recorded, v.Found)
			}
		}
	}
}

// has reports whether a checkpoint was made and is there. Another program that
// replaces the project takes its checkpoints with it.
func (w *walk) has(rt *rapid.T, checkpoint string) bool {
	if checkpoint == "" {
		return false
	}
	_, err := w.db.Checkpoints.Get(w.ctx, checkpoint)
	if w.strange && nexus.CodeOf(err) == nexus.CodeNotFound {
		return false
	}
	must(rt, err)
	return true
}

func (w *walk) comparable(rows map[string]string) map[string]string {
	rows = maps.Clone(rows)
	for key, text := range rows {
		rows[key] = w.withoutRevision(text)
	}
	return rows
}

var revision = regexp.MustCompile(`,"revision":[0-9]+`)

func (w *walk) withoutRevision(text string) string {
	if w.strange {
		text = revision.ReplaceAllString(text, "")
	}
	return text
}

// everything is the JSON of all rows of a project, and of its agents.
func everything(t fataler, ctx context.Context, s *store.Services, project string) map[string]string {
	rows := make(map[string]string)
	addRows(t, rows, "projects", func() ([]nexus.Project, error) {
		list, err := s.Projects.List(ctx, nexus.ProjectFilter{})
		return slices.DeleteFunc(list, func(p nexus.Project) bool { return p.ID != project }), err
	}, func(p *nexus.Project) string { return p.ID })
	addRows(t, rows, "features", func() ([]nexus.Feature, error) {
		return s.Features.List(ctx, nexus.FeatureFilter{ProjectID: project})
	}, func(f *nexus.Feature) string { return f.ID })
	addRows(t, rows, "sub_features", func() ([]nexus.SubFeature, error) {
		list, err := s.SubFeatures.List(ctx, nexus.SubFeatureFilter{})
		return slices.DeleteFunc(list, func(f nexus.SubFeature) bool { return !strings.HasPrefix(f.ID, project+"-") }), err
	}, func(f *nexus.SubFeature) string { return f.ID })
	addRows(t, rows, "tasks", func() ([]nexus.Task, error) {
		return s.Tasks.List(ctx, nexus.TaskFilter{ProjectID: project, Page: nexus.Page{OrderBy: "created_at"}})
	}, func(f *nexus.Task) string { return f.ID })
	addRows(t, rows, "requirements", func() ([]nexus.Requirement, error) {
		return s.Requirements.List(ctx, nexus.RequirementFilter{ProjectID: project})
	}, func(f *nexus.Requirement) string { return f.ID })
	addRows(t, rows, "sessions", func() ([]nexus.Session, error) {
		return s.Sessions.List(ctx, nexus.SessionFilter{ProjectID: project})
	}, func(f *nexus.Session) string { return f.ID })
	addRows(t, rows, "agents", func() ([]nexus.Agent, error) {
		list, err := s.Agents.List(ctx, nexus.AgentFilter{})
		list = slices.DeleteFunc(list, func(a nexus.Agent) bool { return !strings.HasPrefix(a.ID, project+"-") })
		for i := range list {
			list[i].LastActivityAt = now // signs of life are not in the history
		}
		return list, err
	}, func(f *nexus.Agent) string { return f.ID })
	return rows
}

// fataler is a testing.T or a rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func addRows[E any](t fataler, rows map[string]string, table string, list func() ([]E, error), id func(*E) string) {
	t.Helper()
	all, err := list()
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		rows[table+" "+id(&all[i])] = jsonOf(t, &all[i])
	}
}

func jsonOf(t fataler, e any) string {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
