package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

var workModelTests = map[string]timedTest{"Steps": testWorkModel}

// testWorkModel lets agents, people and other programs do anything in any order,
// while time passes forward and back, and expects of the database what the rules
// say, after each step. In the end everything that can be done is done: no task is
// lost, and none is done twice.
func testWorkModel(t *testing.T, db *store.DB, clock *Clock) {
	if raceDetector {
		t.Skip("only one goroutine")
	}
	rapid.Check(t, func(rt *rapid.T) {
		clock.Set(Now())
		x := newSimulation(t.Context(), rt, db, clock)
		rt.Repeat(x.actions())
		x.finish(rt)
	})
}

// The names of a simulation. What comes first is what a failure shrinks to.
var (
	simTasks    = []string{"t1", "t2", "t3", "t4", "t5"}
	simAgents   = []string{"a", "b", "c"}
	simProjects = []string{"p1", "p2"}
)

// simulation is a database beside the rules.
type simulation struct {
	ctx   context.Context
	db    *store.DB
	clock *Clock
	m     *rules

	revisions map[string]int64 // of the rows of the last look, and what they were
	rows      map[string]string
}

func newSimulation(ctx context.Context, rt *rapid.T, db *store.DB, clock *Clock) *simulation {
	x := &simulation{ctx: ctx, db: db, clock: clock, revisions: make(map[string]int64), rows: make(map[string]string)}
	x.m = &rules{
		now:      clock.Now(),
		projects: map[string]nexus.ProjectStatus{"p1": nexus.ProjectExecuting, "p2": nexus.ProjectExecuting},
		features: map[string]*progress{"f1": {Status: nexus.FeatureBacklog}, "f2": {Status: nexus.FeatureBacklog}, "u1": {Status: nexus.FeatureBacklog}},
		tasks:    make(map[string]*nexus.Task),
		agents:   make(map[string]*nexus.Agent),
		sessions: make(map[string]*nexus.Session),
		keys:     make(map[string]string), answers: make(map[string][]int64),
		completed: make(map[string]int), opened: make(map[string]int),
	}
	n := rapid.IntRange(1, len(simTasks)).Draw(rt, "tasks")
	var list []*nexus.Task
	for _, id := range simTasks[:n] {
		t := x.drawTask(rt, id)
		list = append(list, t)
		stored := *t
		x.m.add(&stored)
	}
	for _, p := range simProjects {
		x.m.sessions["s"+p] = &nexus.Session{ID: "s" + p, ProjectID: p, Type: nexus.SessionExecution, Status: nexus.SessionActive}
	}
	err := db.InTx(ctx, func(tx *store.Tx) error {
		for _, sql := range []string{"DELETE FROM projects", "DELETE FROM agents", "DELETE FROM idempotency_keys"} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		for _, p := range simProjects {
			err := errors.Join(
				tx.Projects.Create(ctx, &nexus.Project{ID: p, Name: p, RootPath: "/", Status: nexus.ProjectExecuting}),
				tx.Features.Create(ctx, &nexus.Feature{ID: "f" + p[1:], ProjectID: p, Name: "f"}),
				tx.Sessions.Create(ctx, &nexus.Session{ID: "s" + p, ProjectID: p}),
			)
			if err != nil {
				return err
			}
		}
		if err := tx.SubFeatures.Create(ctx, &nexus.SubFeature{ID: "u1", FeatureID: "f1", Name: "u"}); err != nil {
			return err
		}
		for _, t := range list {
			fresh := *t
			if err := tx.Tasks.Create(ctx, &fresh); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		rt.Fatal(err)
	}
	return x
}

// drawTask draws a new task. It depends on earlier ones, and may be from a clock
// that was ahead.
func (x *simulation) drawTask(rt *rapid.T, id string) *nexus.Task {
	project := rapid.SampledFrom(simProjects).Draw(rt, "project")
	t := &nexus.Task{
		ID: id, ProjectID: project, Name: "n " + id, Status: nexus.TaskPending, Size: nexus.SizeSmall,
		Priority:      rapid.SampledFrom([]nexus.TaskPriority{nexus.PriorityMedium, nexus.PriorityHigh}).Draw(rt, "priority"),
		MaxIterations: rapid.IntRange(1, 2).Draw(rt, "max_iterations"), EstimatedMinutes: 15,
		MaxAttempts: rapid.IntRange(1, 3).Draw(rt, "max_attempts"),
		CreatedAt:   now.Add(time.Duration(rapid.IntRange(-1, 1).Draw(rt, "age")) * time.Hour),
	}
	t.UpdatedAt = t.CreatedAt
	if rapid.Bool().Draw(rt, "in a feature") {
		if t.FeatureID = "f" + project[1:]; t.FeatureID == "f1" && rapid.Bool().Draw(rt, "in a sub-feature") {
			t.SubFeatureID = "u1"
		}
	}
	for _, on := range simTasks[:slices.Index(simTasks, id)] {
		if x.m.tasks[on] != nil && rapid.IntRange(0, 2).Draw(rt, "depends on "+on) == 2 {
			t.DependsOn = append(t.DependsOn, on)
		}
	}
	return t
}

// state is all that is compared.
type state struct {
	Projects map[string]nexus.ProjectStatus
	Features map[string]progress
	Tasks    map[string]nexus.Task
	Agents   map[string]nexus.Agent
	Sessions map[string]nexus.SessionStatus
	Attempts map[string][]nexus.Attempt
	InFlight []int64
	Ready    map[string][]string // by project
	Reasons  map[string][]string // by task
	Roots    map[string][]string
}

func newState() *state {
	return &state{
		make(map[string]nexus.ProjectStatus), make(map[string]progress), make(map[string]nexus.Task), make(map[string]nexus.Agent),
		make(map[string]nexus.SessionStatus), make(map[string][]nexus.Attempt),
		[]int64{},
		make(map[string][]string),
		make(map[string][]string), make(map[string][]string),
	}
}

// expected is the state as the rules have it.
func (x *simulation) expected() *state {
	s := newState()
	maps.Copy(s.Projects, x.m.projects)
	for id, f := range x.m.features {
		s.Features[id] = *f
	}
	for id, t := range x.m.tasks {
		s.Tasks[id] = *t
		s.Reasons[id], s.Roots[id] = append([]string{}, x.m.reasons(t)...), x.m.rootCauses(t)
	}
	for id, a := range x.m.agents {
		s.Agents[id] = *a
	}
	for id, session := range x.m.sessions {
		s.Sessions[id] = session.Status
	}
	for _, a := range x.m.attempts {
		s.Attempts[a.TaskID] = append(s.Attempts[a.TaskID], *a)
	}
	for _, a := range x.m.held() {
		s.InFlight = append(s.InFlight, a.Epoch)
	}
	for _, project := range append([]string{""}, simProjects...) {
		s.Ready[project] = x.m.ready(nexus.ReadyFilter{ProjectID: project})
	}
	return s
}

// stored is the state as the database has it, all of one moment.
func (x *simulation) stored(rt *rapid.T) *state {
	s := newState()
	err := x.db.View(x.ctx, func(tx *store.Tx) error {
		projects, err := tx.Projects.List(x.ctx, nexus.ProjectFilter{})
		for _, p := range projects {
			s.Projects[p.ID] = p.Status
		}
		features, more := tx.Features.List(x.ctx, nexus.FeatureFilter{})
		for _, f := range features {
			s.Features[f.ID] = progress{f.Status, f.CompletedTasks}
		}
		subFeatures, more2 := tx.SubFeatures.List(x.ctx, nexus.SubFeatureFilter{})
		for _, u := range subFeatures {
			s.Features[u.ID] = progress{Status: u.Status, Completed: x.m.features[u.ID].Completed} // it has no count
		}
		agents, more3 := tx.Agents.List(x.ctx, nexus.AgentFilter{})
		for _, a := range agents {
			silent := a
			silent.LastActivityAt = time.Time{} // a sign of life is no revision
			x.revised(rt, "agent "+a.ID, a.Revision, fmt.Sprintf("%+v", silent))
			a.Revision = 0
			s.Agents[a.ID] = a
		}
		sessions, more4 := tx.Sessions.List(x.ctx, nexus.SessionFilter{})
		for _, session := range sessions {
			s.Sessions[session.ID] = session.Status
		}
		held, more5 := tx.Tasks.InFlight(x.ctx)
		for _, a := range held {
			s.InFlight = append(s.InFlight, a.Epoch)
		}
		if err := errors.Join(err, more, more2, more3, more4, more5); err != nil {
			return err
		}
		for _, project := range append([]string{""}, simProjects...) {
			list, err := tx.Tasks.Ready(x.ctx, nexus.ReadyFilter{ProjectID: project})
			if err != nil {
				return err
			}
			s.Ready[project] = idsOf(list)
		}
		tasks, err := tx.Tasks.List(x.ctx, nexus.TaskFilter{})
		for _, t := range tasks {
			x.revised(rt, "task "+t.ID, t.Revision, fmt.Sprintf("%+v", t))
			t.Revision = 0
			s.Tasks[t.ID] = t
			list, err := tx.Tasks.Attempts(x.ctx, t.ID)
			if err != nil {
				return err
			}
			if len(list) > 0 {
				s.Attempts[t.ID] = list
			}
			why, err := tx.Tasks.Explain(x.ctx, t.ID)
			if err != nil {
				return err
			}
			s.Reasons[t.ID], s.Roots[t.ID] = causes(why.Reasons), causes(why.RootCauses)
			slices.Sort(s.Roots[t.ID])
		}
		return err
	})
	if err != nil {
		rt.Fatal(err)
	}
	return s
}

// causes are reasons as the rules show them.
func causes(reasons []nexus.Reason) []string {
	list := []string{}
	for _, r := range reasons {
		if r.Cause == nexus.CauseCycle {
			list = append(list, "cycle")
		} else {
			list = append(list, string(r.Cause)+" "+r.TaskID)
		}
	}
	return list
}

// revised checks that a row that has changed since the last look has another
// revision, without which nobody could tell that an edit is stale.
func (x *simulation) revised(rt *rapid.T, row string, revision int64, shown string) {
	shown = strings.Replace(shown, fmt.Sprintf("Revision:%d", revision), "", 1)
	if was, known := x.rows[row]; known && was != shown && revision <= x.revisions[row] {
		rt.Fatalf("%s has changed, and is still at revision %d:\n%s\n%s", row, revision, was, shown)
	}
	x.rows[row], x.revisions[row] = shown, revision
}

// check compares the database with the rules. It learns the epochs of decisions,
// which nobody is told.
func (x *simulation) check(rt *rapid.T) {
	got := x.stored(rt)
	seen := make(map[string]int)
	for _, a := range x.m.attempts {
		list, i := got.Attempts[a.TaskID], seen[a.TaskID]
		if seen[a.TaskID]++; a.Epoch == 0 && i < len(list) {
			a.Epoch = list[i].Epoch
		}
	}
	if diff := gocmp.Diff(x.expected(), got); diff != "" {
		rt.Fatalf("the database is not as the rules say (-want +got):\n%s", diff)
	}
	x.checkInvariants(rt, got)
	if err := CheckDerived(x.ctx, x.db); err != nil {
		rt.Fatal(err)
	}
}

// step does something to the database and to the rules. What is refused must
// change neither.
func (x *simulation) step(rt *rapid.T, what string, do func(*store.Services) error, rule func(*rules) nexus.Code) (done bool) {
	next := x.m.clone()
	want := rule(next)
	err := do(&x.db.Services)
	if got := nexus.CodeOf(err); got != want {
		rt.Fatalf("%s: got %v (code %q), want code %q", what, err, got, want)
	}
	x.checkRefusal(rt, what, err)
	if want == "" {
		x.m = next
	}
	return want == ""
}

// checkRefusal checks that a refusal names the owner, if there is one.
func (x *simulation) checkRefusal(rt *rapid.T, what string, err error) {
	var e *nexus.Error
	if !errors.As(err, &e) || e.Code != nexus.CodeFenced && e.Code != nexus.CodeNotReady {
		return
	}
	open := x.m.open(e.ID)
	shown, _ := e.Stored.(*nexus.Attempt)
	if open == nil && shown == nil {
		return
	}
	if e.Code == nexus.CodeNotReady && open != nil && x.m.over(open) { // it was taken back, until it was refused
		return
	}
	if open == nil || shown == nil || shown.Epoch != open.Epoch || shown.AgentID != open.AgentID || !strings.Contains(e.Message, open.AgentID) {
		rt.Fatalf("%s: the refusal is %v and shows %+v, but the owner is %+v", what, e, shown, open)
	}
}

// claim makes a request, and tells the rules the epochs.
func (x *simulation) claim(rt *rapid.T, r nexus.ClaimRequest) (given []*nexus.Attempt) {
	var claims []nexus.Claim
	done := x.step(rt, "claim", func(s *store.Services) (err error) {
		claims, err = s.Tasks.Claim(x.ctx, r)
		return err
	}, func(m *rules) (code nexus.Code) {
		given, code = m.claim(r)
		return code
	})
	if !done {
		return nil
	}
	x.given(rt, claims, given)
	return given
}

// given compares claims with what the rules give.
func (x *simulation) given(rt *rapid.T, claims []nexus.Claim, given []*nexus.Attempt) {
	last := x.m.lastEpoch()
	if len(claims) != len(given) {
		rt.Fatalf("got %v, want %d claims", claimedIDs(claims), len(given))
	}
	for i, c := range claims {
		if given[i].Epoch = c.Epoch; c.Epoch <= last {
			rt.Fatalf("epoch %d comes after %d", c.Epoch, last)
		}
		last = c.Epoch
		task := *c.Task
		task.Revision = 0
		if diff := gocmp.Diff(*given[i], c.Attempt) + gocmp.Diff(*x.m.tasks[c.TaskID], task); diff != "" {
			rt.Fatalf("the claim is not as the rules say (-want +got):\n%s", diff)
		}
	}
}

func (x *simulation) recover(rt *rapid.T, r nexus.RecoverRequest) {
	next := x.m.clone()
	want := next.recover(r)
	got, err := x.db.Recover(x.ctx, r)
	if err != nil {
		rt.Fatal(err)
	}
	if diff := gocmp.Diff(want, *got); diff != "" {
		rt.Fatalf("Recover reports (-want +got):\n%s", diff)
	}
	if !r.DryRun {
		x.m = next
	}
}

// move lets time pass, or jump back.
func (x *simulation) move(d time.Duration) { x.m.now = x.clock.Move(d) }

func (x *simulation) exec(rt *rapid.T, sql string, args ...any) {
	err := x.db.InTx(x.ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(x.ctx, sql, args...)
		return err
	})
	if err != nil {
		rt.Fatalf("%s: %v", sql, err)
	}
}

// row reads one number.
func (x *simulation) row(rt *rapid.T, sql string, args ...any) (n int64) {
	err := x.db.View(x.ctx, func(tx *store.Tx) error {
		return tx.Query(x.ctx, sql, args, func(r driver.Row) error {
			n = r.Int(0)
			return nil
		})
	})
	if err != nil {
		rt.Fatal(err)
	}
	return n
}
