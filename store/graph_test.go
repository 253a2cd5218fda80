package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// testClock is the time of a database in tests.
type testClock struct{ at time.Time }

func (c *testClock) now() time.Time { return c.at }

// newStore opens an empty database at a time.
func newStore(t testing.TB) (*store.DB, *testClock) {
	t.Helper()
	clock := &testClock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	db, err := sqlite.Open(t.Context(), sqlite.Memory, &sqlite.Options{Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, clock
}

// fill stores a shop with two features and a bank, in which tasks of one depend on
// tasks of the other.
func fill(t testing.TB, db *store.DB) {
	t.Helper()
	ctx := t.Context()
	err := db.InTx(ctx, func(tx *store.Tx) error {
		for _, id := range []string{"bank", "shop"} {
			if err := tx.Projects.Create(ctx, &nexus.Project{ID: id, Name: id, RootPath: "/" + id}); err != nil {
				return err
			}
		}
		for _, id := range []string{"buy", "sell"} {
			if err := tx.Features.Create(ctx, &nexus.Feature{ID: id, ProjectID: "shop", Name: "To " + id}); err != nil {
				return err
			}
		}
		if err := tx.SubFeatures.Create(ctx, &nexus.SubFeature{ID: "cards", FeatureID: "sell", Name: "Cards"}); err != nil {
			return err
		}
		for _, task := range []nexus.Task{
			{ID: "account", ProjectID: "bank", Name: "Open an account"},
			{ID: "licence", ProjectID: "bank", Name: "Get a licence", Status: nexus.TaskSkipped},
			{ID: "cart", ProjectID: "shop", FeatureID: "buy", Name: "Cart", Status: nexus.TaskCompleted},
			{ID: "pay", ProjectID: "shop", FeatureID: "sell", SubFeatureID: "cards", Name: "Pay", EstimatedMinutes: 30, DependsOn: []string{"account", "cart", "licence"}},
			{ID: "search", ProjectID: "shop", FeatureID: "buy", Name: "Search", DependsOn: []string{"cart"}},
			{ID: "send", ProjectID: "shop", FeatureID: "sell", Name: "Send", DependsOn: []string{"pay"}},
		} {
			if err := tx.Tasks.Create(ctx, &task); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func mustGraph(t testing.TB, db *store.DB, filter nexus.GraphFilter) *nexus.TaskGraph {
	t.Helper()
	g, err := db.Tasks.Graph(t.Context(), filter)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// shown is a graph in few words: ids of nodes, with what is special about them, and
// edges.
func shown(g *nexus.TaskGraph) (list []string) {
	for _, n := range g.Nodes {
		text := n.ID
		switch {
		case n.Missing:
			text += " missing"
		case n.Outside:
			text += " outside"
		case n.Ready:
			text += " ready"
		}
		list = append(list, text)
	}
	for _, e := range g.Edges {
		list = append(list, e.TaskID+" > "+e.DependsOn)
	}
	return list
}

func TestGraph(t *testing.T) {
	t.Parallel()
	db, _ := newStore(t)
	fill(t, db)
	for name, test := range map[string]struct {
		filter nexus.GraphFilter
		want   []string
	}{
		"all": {nexus.GraphFilter{}, []string{
			"account ready", "cart", "licence", "pay", "search ready", "send",
			"pay > account", "pay > cart", "pay > licence", "search > cart", "send > pay",
		}},
		"a project": {nexus.GraphFilter{ProjectID: "shop"}, []string{
			"cart", "pay", "search ready", "send", "account outside", "licence outside",
			"pay > account", "pay > cart", "pay > licence", "search > cart", "send > pay",
		}},
		"a feature": {nexus.GraphFilter{FeatureID: "sell"}, []string{
			"pay", "send", "account outside", "cart outside", "licence outside",
			"pay > account", "pay > cart", "pay > licence", "send > pay",
		}},
		"a sub-feature": {nexus.GraphFilter{SubFeatureID: "cards"}, []string{
			"pay", "account outside", "cart outside", "licence outside",
			"pay > account", "pay > cart", "pay > licence",
		}},
		"open": {nexus.GraphFilter{ProjectID: "shop", Open: true}, []string{
			"pay", "search ready", "send", "account outside", "pay > account", "send > pay",
		}},
		"both":    {nexus.GraphFilter{ProjectID: "bank", FeatureID: "sell"}, nil},
		"nothing": {nexus.GraphFilter{ProjectID: "no such project"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, shown(mustGraph(t, db, test.filter))); diff != "" {
				t.Error(diff)
			}
		})
	}
	g := mustGraph(t, db, nexus.GraphFilter{FeatureID: "sell", Open: true})
	want := []nexus.TaskNode{
		{ID: "pay", Name: "Pay", Status: nexus.TaskPending, ProjectID: "shop", FeatureID: "sell", EstimatedMinutes: 30},
		{ID: "send", Name: "Send", Status: nexus.TaskPending, ProjectID: "shop", FeatureID: "sell", EstimatedMinutes: 15},
		{ID: "account", Name: "Open an account", Status: nexus.TaskPending, ProjectID: "bank", EstimatedMinutes: 15, Outside: true},
	}
	if diff := cmp.Diff(want, g.Nodes); diff != "" {
		t.Error(diff)
	}
}

// What is ready is what Ready says: not what is blocked, not in a project that is
// paused, but what an agent that is silent holds.
func TestGraphReady(t *testing.T) {
	t.Parallel()
	db, clock := newStore(t)
	fill(t, db)
	ctx := t.Context()
	if _, err := db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: "ada", TaskID: "search"}); err != nil {
		t.Fatal(err)
	}
	ready := func() (list []string) {
		for _, n := range mustGraph(t, db, nexus.GraphFilter{}).Nodes {
			if n.Ready {
				list = append(list, n.ID)
			}
		}
		tasks, err := db.Tasks.Ready(ctx, nexus.ReadyFilter{})
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, task := range tasks {
			want = append(want, task.ID)
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, list); diff != "" {
			t.Errorf("Ready says otherwise: %s", diff)
		}
		return list
	}
	if got := ready(); !slices.Equal(got, []string{"account"}) {
		t.Errorf("ready are %v", got)
	}
	clock.at = clock.at.Add(time.Hour)
	if got := ready(); !slices.Equal(got, []string{"account", "search"}) {
		t.Errorf("after the lease, ready are %v", got)
	}
	paused := nexus.ProjectPaused
	if _, err := db.Projects.Update(ctx, "bank", nexus.ProjectUpdate{Status: &paused}); err != nil {
		t.Fatal(err)
	}
	if got := ready(); !slices.Equal(got, []string{"search"}) {
		t.Errorf("with a project paused, ready are %v", got)
	}
}

// Another program stores what Nexus refuses: cycles, and dependencies on what does
// not exist.
func TestGraphOfAnotherProgram(t *testing.T) {
	t.Parallel()
	db, _ := newStore(t)
	fill(t, db)
	err := db.InTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE tasks SET depends_on = '["send","nothing","","pay"]' WHERE id = 'pay'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"pay", "send", " missing", "nothing missing",
		"pay > ", "pay > nothing", "pay > pay", "pay > send", "send > pay",
	}
	for _, open := range []bool{false, true} {
		if diff := cmp.Diff(want, shown(mustGraph(t, db, nexus.GraphFilter{FeatureID: "sell", Open: open}))); diff != "" {
			t.Error(diff)
		}
	}
}

// A graph is what reading all tasks and following their lists gives.
func TestGraphProperty(t *testing.T) {
	t.Parallel()
	db, _ := newStore(t)
	ctx := t.Context()
	rapid.Check(t, func(rt *rapid.T) {
		tasks := drawTasks(rt)
		err := db.InTx(ctx, func(tx *store.Tx) error {
			if _, err := tx.Exec(ctx, `DELETE FROM projects`); err != nil {
				return err
			}
			return storeTasks(ctx, tx, tasks)
		})
		if err != nil {
			rt.Fatal(err)
		}
		filter := nexus.GraphFilter{
			ProjectID: rapid.SampledFrom([]string{"", "p1", "p2"}).Draw(rt, "project"),
			FeatureID: rapid.SampledFrom([]string{"", "", "p1f", "p2f"}).Draw(rt, "feature"),
			Open:      rapid.Bool().Draw(rt, "open"),
		}
		g, err := db.Tasks.Graph(ctx, filter)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(naiveGraph(tasks, filter), shown(g)); diff != "" {
			rt.Fatalf("%+v: %s", filter, diff)
		}
	})
}

// drawTasks returns tasks t0, t1, … in two projects, each of which may depend on
// those before it.
func drawTasks(t *rapid.T) []nexus.Task {
	tasks := make([]nexus.Task, rapid.IntRange(0, 8).Draw(t, "tasks"))
	for i := range tasks {
		project := rapid.SampledFrom([]string{"p1", "p2"}).Draw(t, "project")
		tasks[i] = nexus.Task{
			ID: fmt.Sprintf("t%d", i), ProjectID: project, Name: "T",
			FeatureID: rapid.SampledFrom([]string{"", project + "f"}).Draw(t, "feature"),
			Status:    rapid.SampledFrom(nexus.TaskStatuses()).Draw(t, "status"),
			BlockedBy: rapid.SampledFrom([]string{"", "", "Bob"}).Draw(t, "blocked"),
		}
		for j := range i {
			if rapid.IntRange(0, 2).Draw(t, "depends") == 0 {
				tasks[i].DependsOn = append(tasks[i].DependsOn, fmt.Sprintf("t%d", j))
			}
		}
	}
	return tasks
}

func storeTasks(ctx context.Context, tx *store.Tx, tasks []nexus.Task) error {
	for _, id := range []string{"p1", "p2"} {
		if err := tx.Projects.Create(ctx, &nexus.Project{ID: id, Name: id, RootPath: "/"}); err != nil {
			return err
		}
		if err := tx.Features.Create(ctx, &nexus.Feature{ID: id + "f", ProjectID: id, Name: id}); err != nil {
			return err
		}
	}
	for _, task := range tasks {
		if err := tx.Tasks.Create(ctx, &task); err != nil {
			return err
		}
	}
	return nil
}

func naiveGraph(tasks []nexus.Task, filter nexus.GraphFilter) (list []string) {
	byID := make(map[string]*nexus.Task)
	for i := range tasks {
		byID[tasks[i].ID] = &tasks[i]
	}
	var edges []string
	chosen, outside := make(map[string]bool), make(map[string]bool)
	for i := range tasks {
		t := &tasks[i]
		chosen[t.ID] = (filter.ProjectID == "" || filter.ProjectID == t.ProjectID) &&
			(filter.FeatureID == "" || filter.FeatureID == t.FeatureID) && !(filter.Open && t.Status.Ended())
		if !chosen[t.ID] {
			continue
		}
		ready := t.Status == nexus.TaskPending && t.BlockedBy == ""
		for _, id := range t.DependsOn {
			ready = ready && byID[id].Status.Ended()
			if filter.Open && byID[id].Status.Ended() {
				continue
			}
			edges = append(edges, t.ID+" > "+id)
			outside[id] = outside[id] || !chosen[id]
		}
		text := t.ID
		if ready {
			text += " ready"
		}
		list = append(list, text)
	}
	for i := range tasks {
		if outside[tasks[i].ID] {
			list = append(list, tasks[i].ID+" outside")
		}
	}
	return append(list, edges...)
}

func BenchmarkGraph(b *testing.B) {
	db, _ := newStore(b)
	tasks := make([]nexus.Task, 10_000)
	for i := range tasks {
		tasks[i] = nexus.Task{ID: fmt.Sprintf("t%05d", i), ProjectID: "p1", Name: "A task with a name of the usual length"}
		for j := range 3 {
			if on := i - 7*j - 1; on >= 0 && (i+j)%2 == 0 {
				tasks[i].DependsOn = append(tasks[i].DependsOn, fmt.Sprintf("t%05d", on))
			}
		}
	}
	if err := db.InTx(b.Context(), func(tx *store.Tx) error { return storeTasks(b.Context(), tx, tasks) }); err != nil {
		b.Fatal(err)
	}
	for _, filter := range []nexus.GraphFilter{{}, {ProjectID: "p1"}, {ProjectID: "p1", Open: true}} {
		b.Run(fmt.Sprintf("%+v", filter), func(b *testing.B) {
			for b.Loop() {
				g := mustGraph(b, db, filter)
				b.ReportMetric(float64(len(g.Edges)), "edges")
			}
		})
	}
}
