package storetest

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// Bench runs the benchmarks that all drivers share, so that two drivers, or one
// driver before and after a change, can be compared with benchstat. open returns
// a new, empty database and closes it in a Cleanup of the benchmark.
//
// Every benchmark runs on the same work, in a warm cache: one project with 100
// features and 1,000 tasks; see [BenchTask].
func Bench(b *testing.B, open func(b *testing.B) *store.DB) {
	for _, bench := range []struct {
		name string
		run  func(b *testing.B, db *store.DB)
	}{
		{"Get", benchGet},
		{"GetCancelable", benchGetCancelable},
		{"List1000", benchList1000},
		{"ListPage20", benchListPage20},
		{"CountByStatus", benchCountByStatus},
		{"LoadProject", benchLoadProject},
		{"Create", benchCreate},
		{"CreateMany1000", benchCreateMany1000},
		{"Update", benchUpdate},
		{"UpdateSame", benchUpdateSame},
		{"Summarize", benchSummarize},
	} {
		b.Run(bench.name, func(b *testing.B) {
			db := open(b)
			BenchFill(b, db)
			b.ReportAllocs()
			bench.run(b, db)
		})
	}
}

// The work that benchmarks run on.
const (
	BenchProject  = "p-bench"
	BenchFeatures = 100
	BenchTasks    = 1000
)

// BenchFill stores the work.
func BenchFill(b *testing.B, db *store.DB) {
	b.Helper()
	var features []*nexus.Feature
	for i := range BenchFeatures {
		features = append(features, &nexus.Feature{ID: benchFeatureID(i), ProjectID: BenchProject, Name: fmt.Sprintf("Feature %d", i)})
	}
	var tasks []*nexus.Task
	for i := range BenchTasks {
		t := BenchTask(i)
		t.ID = BenchTaskID(i)
		tasks = append(tasks, t)
	}
	err := db.InTx(b.Context(), func(tx *store.Tx) error {
		if err := tx.Projects.Create(b.Context(), &nexus.Project{ID: BenchProject, Name: "Benchmark", RootPath: "/src/benchmark"}); err != nil {
			return err
		}
		if err := tx.Features.CreateMany(b.Context(), features); err != nil {
			return err
		}
		return tx.Tasks.CreateMany(b.Context(), tasks)
	})
	benchMust(b, err)
}

// BenchTask returns the i-th task, without an id: with the columns filled that
// a planner fills, and with one or two dependencies, 1.5 on average.
func BenchTask(i int) *nexus.Task {
	t := &nexus.Task{
		ProjectID:   BenchProject,
		FeatureID:   benchFeatureID(i % BenchFeatures),
		Name:        fmt.Sprintf("Add the endpoint of use case %d", i),
		Description: "It validates its input, answers in JSON, and has a test for each of its errors.",
		BranchName:  fmt.Sprintf("task/%d", i),
	}
	if i >= 2 {
		t.DependsOn = []string{BenchTaskID(i/2 - 1), BenchTaskID(i - 1)}[i%2:]
	}
	return t
}

// benchTaskIDs are made beforehand: making one takes time too.
var benchTaskIDs = func() (ids [BenchTasks]string) {
	for i := range ids {
		ids[i] = fmt.Sprintf("t-bench-%06d", i)
	}
	return ids
}()

// BenchTaskID is the id of the i-th task that [BenchFill] stores; after the last
// comes the first again.
func BenchTaskID(i int) string { return benchTaskIDs[i%BenchTasks] }

func benchFeatureID(i int) string { return fmt.Sprintf("f-bench-%06d", i) }

func benchGet(b *testing.B, db *store.DB) {
	// A testing.B's own context can be canceled, which costs a little; see
	// benchGetCancelable.
	ctx := context.Background()
	for i := 0; b.Loop(); i++ {
		_, err := db.Tasks.Get(ctx, BenchTaskID(i))
		benchMust(b, err)
	}
}

// benchGetCancelable measures Get as a server calls it: each call may be
// stopped.
func benchGetCancelable(b *testing.B, db *store.DB) {
	for i := 0; b.Loop(); i++ {
		ctx, cancel := context.WithCancel(context.Background())
		_, err := db.Tasks.Get(ctx, BenchTaskID(i))
		cancel()
		benchMust(b, err)
	}
}

func benchList1000(b *testing.B, db *store.DB) {
	ctx := context.Background()
	rows := perRow(b, BenchTasks)
	for b.Loop() {
		list, err := db.Tasks.List(ctx, nexus.TaskFilter{ProjectID: BenchProject})
		benchMust(b, err)
		if len(list) < BenchTasks {
			b.Fatalf("%d rows", len(list))
		}
	}
	rows()
}

func benchListPage20(b *testing.B, db *store.DB) {
	ctx := context.Background()
	for b.Loop() {
		_, err := db.Tasks.List(ctx, nexus.TaskFilter{Page: nexus.Page{Limit: 20}, Status: []nexus.TaskStatus{nexus.TaskPending}})
		benchMust(b, err)
	}
}

func benchCountByStatus(b *testing.B, db *store.DB) {
	ctx := context.Background()
	for b.Loop() {
		_, err := db.Tasks.CountByStatus(ctx, nexus.TaskFilter{ProjectID: BenchProject})
		benchMust(b, err)
	}
}

func benchLoadProject(b *testing.B, db *store.DB) {
	ctx := context.Background()
	rows := perRow(b, 1+BenchFeatures+BenchTasks)
	for b.Loop() {
		p, err := db.Projects.Load(ctx, BenchProject)
		benchMust(b, err)
		if len(p.Features) != BenchFeatures || len(p.Tasks) != BenchTasks {
			b.Fatalf("%d features, %d tasks", len(p.Features), len(p.Tasks))
		}
	}
	rows()
}

func benchCreate(b *testing.B, db *store.DB) {
	ctx := context.Background()
	task := BenchTask(2)
	for b.Loop() {
		task.ID = ""
		benchMust(b, db.Tasks.Create(ctx, task))
	}
}

func benchCreateMany1000(b *testing.B, db *store.DB) {
	ctx := context.Background()
	list := make([]*nexus.Task, 1000)
	for i := range list {
		list[i] = BenchTask(i)
	}
	rows := perRow(b, len(list))
	for b.Loop() {
		for _, t := range list {
			t.ID = ""
		}
		benchMust(b, db.Tasks.CreateMany(ctx, list))
	}
	rows()
}

func benchUpdate(b *testing.B, db *store.DB) {
	ctx := context.Background()
	for i := 0; b.Loop(); i++ {
		_, err := db.Tasks.Update(ctx, BenchTaskID(i), nexus.TaskUpdate{QAIterations: new(i/BenchTasks + 1)})
		benchMust(b, err)
	}
}

// benchUpdateSame measures an update that finds everything as it wants it, as
// most of a plan that is applied again does.
func benchUpdateSame(b *testing.B, db *store.DB) {
	ctx := context.Background()
	name := BenchTask(0).Name
	for b.Loop() {
		_, err := db.Tasks.Update(ctx, BenchTaskID(0), nexus.TaskUpdate{Name: &name})
		benchMust(b, err)
	}
}

// benchSummarize sums up 200,000 metrics of 30 days in different ways.
func benchSummarize(b *testing.B, db *store.DB) {
	const count = 200_000
	ctx := context.Background()
	list := make([]*nexus.Metric, count)
	for i := range list {
		list[i] = &nexus.Metric{
			ProjectID: BenchProject, Type: nexus.MetricTypes()[i%4], AgentID: fmt.Sprintf("agent-%d", i%20), TaskID: BenchTaskID(i * 7 % BenchTasks),
			Value: float64(i * 7919 % 10_007), Timestamp: past.Add(time.Duration(i) * 13 * time.Second),
		}
	}
	benchMust(b, db.Metrics.CreateMany(ctx, list))
	list = nil
	for _, bench := range []struct {
		name  string
		query nexus.MetricQuery
	}{
		{"Type", nexus.MetricQuery{}},
		{"Project", nexus.MetricQuery{ProjectID: BenchProject}},
		{"Day", nexus.MetricQuery{Bucket: nexus.Day}},
		{"Agent", nexus.MetricQuery{By: []nexus.MetricGroup{nexus.ByAgent}}},
		{"Task", nexus.MetricQuery{By: []nexus.MetricGroup{nexus.ByTask}}},
		{"Feature", nexus.MetricQuery{By: []nexus.MetricGroup{nexus.ByFeature}}},
		{"FeatureDay", nexus.MetricQuery{By: []nexus.MetricGroup{nexus.ByFeature}, Bucket: nexus.Day}},
		{"OneTypeDay", nexus.MetricQuery{Type: "cost_usd", Bucket: nexus.Day}},
		{"OneFeature", nexus.MetricQuery{FeatureID: benchFeatureID(7)}},
		{"OneTask", nexus.MetricQuery{TaskID: BenchTaskID(7)}},
		{"LastDayHour", nexus.MetricQuery{Since: past.Add(29 * nexus.Day), Bucket: nexus.Hour}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				list, err := db.Metrics.Summarize(ctx, bench.query)
				benchMust(b, err)
				if len(list) == 0 {
					b.Fatal("no groups")
				}
			}
		})
	}
}

// perRow begins to measure what each of the rows of an operation costs; the
// returned function reports it.
func perRow(b *testing.B, rows int) (report func()) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	return func() {
		n := float64(b.N) * float64(rows)
		elapsed := time.Since(start)
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(elapsed.Nanoseconds())/n, "ns/row")
		b.ReportMetric(float64(after.Mallocs-before.Mallocs)/n, "allocs/row")
	}
}

func benchMust(b *testing.B, err error) {
	if err != nil {
		b.Helper()
		b.Fatal(err)
	}
}
