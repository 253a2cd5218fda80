package storetest

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var metricSummaryTests = map[string]test{
	"Values":      testSummaryValues,
	"Groups":      testSummaryGroups,
	"Buckets":     testSummaryBuckets,
	"Filters":     testSummaryFilters,
	"Empty":       testSummaryEmpty,
	"InTx":        testSummaryInTx,
	"Foreign":     testSummaryForeign,
	"Refused":     testSummaryRefused,
	"Completions": testCompletions,
	"Model":       testSummaryModel,
}

// seedMetrics stores metrics, and before them what they may be about: projects p1
// and p2, features f1 and f2, task t1 of f1, t2 of f2, and t3 of none.
func seedMetrics(t *testing.T, db *store.DB, metrics ...*nexus.Metric) {
	t.Helper()
	seed(t, db, nexus.KindTask)
	must(t, db.Tasks.CreateMany(t.Context(), []*nexus.Task{
		{ID: "t1", ProjectID: "p1", FeatureID: "f1", Name: "t"},
		{ID: "t2", ProjectID: "p2", FeatureID: "f2", Name: "t"},
		{ID: "t3", ProjectID: "p1", Name: "t"},
	}))
	must(t, db.Metrics.CreateMany(t.Context(), metrics))
}

func summarize(t *testing.T, s *store.Services, q nexus.MetricQuery) []nexus.MetricSummary {
	t.Helper()
	list, err := s.Metrics.Summarize(t.Context(), q)
	must(t, err)
	return list
}

// sums shows a list in few words.
func sums(list []nexus.MetricSummary) (words []string) {
	for _, m := range list {
		word := m.Type
		for _, id := range []string{m.AgentID, m.TaskID, m.FeatureID} {
			if id != "" {
				word += " " + id
			}
		}
		if !m.Start.IsZero() {
			word += m.Start.Format(" 2006-01-02T15:04:05")
		}
		words = append(words, fmt.Sprintf("%s: %d, %v", word, m.Count, m.Sum))
	}
	return words
}

// The percentiles are of the nearest rank, whatever the order of the rows.
func testSummaryValues(t *testing.T, db *store.DB) {
	var list []*nexus.Metric
	for i := range 200 { // 77 and 200 have no common factor, so this is every number from 1 to 200
		list = append(list, &nexus.Metric{ProjectID: "p1", Type: "token_usage", Value: float64(i*77%200 + 1)})
	}
	list = append(list, &nexus.Metric{ProjectID: "p1", Type: "cost_usd", Value: -0.25})
	seedMetrics(t, db, list...)
	same(t, summarize(t, &db.Services, nexus.MetricQuery{}), []nexus.MetricSummary{
		{Type: "cost_usd", Count: 1, Sum: -0.25, Mean: -0.25, Min: -0.25, Max: -0.25, P50: -0.25, P90: -0.25, P99: -0.25},
		{Type: "token_usage", Count: 200, Sum: 20_100, Mean: 100.5, Min: 1, Max: 200, P50: 100, P90: 180, P99: 198},
	})
}

func testSummaryGroups(t *testing.T, db *store.DB) {
	seedMetrics(
		t, db,
		&nexus.Metric{ProjectID: "p1", Type: "a", Value: 1, AgentID: "x", TaskID: "t1"},
		&nexus.Metric{ProjectID: "p1", Type: "a", Value: 2, AgentID: "y", TaskID: "t1"},
		&nexus.Metric{ProjectID: "p2", Type: "a", Value: 4, AgentID: "x", TaskID: "t2"},
		&nexus.Metric{ProjectID: "p1", Type: "a", Value: 8, AgentID: "y", TaskID: "t3"},
		&nexus.Metric{ProjectID: "p1", Type: "a", Value: 16, TaskID: "gone"},
		&nexus.Metric{ProjectID: "p1", Type: "a", Value: 32},
		&nexus.Metric{ProjectID: "p1", Type: "b", Value: 64, AgentID: "x"},
	)
	for _, test := range []struct {
		by   []nexus.MetricGroup
		want []string
	}{
		{nil, []string{"a: 6, 63", "b: 1, 64"}},
		{[]nexus.MetricGroup{nexus.ByType}, []string{"a: 6, 63", "b: 1, 64"}},
		{[]nexus.MetricGroup{nexus.ByAgent}, []string{"a: 2, 48", "a y: 2, 10", "a x: 2, 5", "b x: 1, 64"}},
		{[]nexus.MetricGroup{nexus.ByTask, nexus.ByTask}, []string{"a: 1, 32", "a gone: 1, 16", "a t3: 1, 8", "a t2: 1, 4", "a t1: 2, 3", "b: 1, 64"}},
		{[]nexus.MetricGroup{nexus.ByFeature}, []string{"a: 3, 56", "a f2: 1, 4", "a f1: 2, 3", "b: 1, 64"}},
		{
			[]nexus.MetricGroup{nexus.ByTask, nexus.ByAgent},
			[]string{"a: 1, 32", "a gone: 1, 16", "a y t3: 1, 8", "a x t2: 1, 4", "a y t1: 1, 2", "a x t1: 1, 1", "b x: 1, 64"},
		},
	} {
		same(t, sums(summarize(t, &db.Services, nexus.MetricQuery{By: test.by})), test.want)
	}
}

func testSummaryBuckets(t *testing.T, db *store.DB) {
	at := func(text string) *nexus.Metric {
		when, err := time.Parse(time.RFC3339, text)
		must(t, err)
		return &nexus.Metric{ProjectID: "p1", Type: "a", Value: 1, Timestamp: when}
	}
	seedMetrics(
		t, db,
		at("2026-01-04T23:59:59Z"),      // a Sunday
		at("2026-01-05T00:00:00Z"),      // a Monday
		at("2026-01-06T01:30:00+02:00"), // still Monday
		at("2026-01-11T12:00:00Z"),
		at("1969-12-31T23:59:59Z"), // a Wednesday, and less than nothing in the database
	)
	for _, test := range []struct {
		bucket time.Duration
		want   []string
	}{
		{nexus.Hour, []string{"a 1969-12-31T23:00:00: 1, 1", "a 2026-01-04T23:00:00: 1, 1", "a 2026-01-05T00:00:00: 1, 1", "a 2026-01-05T23:00:00: 1, 1", "a 2026-01-11T12:00:00: 1, 1"}},
		{nexus.Day, []string{"a 1969-12-31T00:00:00: 1, 1", "a 2026-01-04T00:00:00: 1, 1", "a 2026-01-05T00:00:00: 2, 2", "a 2026-01-11T00:00:00: 1, 1"}},
		{nexus.Week, []string{"a 1969-12-29T00:00:00: 1, 1", "a 2025-12-29T00:00:00: 1, 1", "a 2026-01-05T00:00:00: 3, 3"}},
		{90 * time.Minute, []string{"a 1969-12-31T22:30:00: 1, 1", "a 2026-01-04T22:30:00: 1, 1", "a 2026-01-05T00:00:00: 1, 1", "a 2026-01-05T22:30:00: 1, 1", "a 2026-01-11T12:00:00: 1, 1"}},
	} {
		same(t, sums(summarize(t, &db.Services, nexus.MetricQuery{Bucket: test.bucket})), test.want)
	}
}

func testSummaryFilters(t *testing.T, db *store.DB) {
	seedMetrics(
		t, db,
		&nexus.Metric{ProjectID: "p1", Type: "a", Value: 1, AgentID: "x", TaskID: "t1", Timestamp: past},
		&nexus.Metric{ProjectID: "p2", Type: "b", Value: 2, AgentID: "y", TaskID: "t2", Timestamp: past.Add(time.Second)},
		&nexus.Metric{ProjectID: "p1", Type: "b", Value: 4, TaskID: "t3", Timestamp: past.Add(2 * time.Second)},
	)
	for name, test := range map[string]struct {
		query nexus.MetricQuery
		sum   float64
	}{
		"project":         {nexus.MetricQuery{ProjectID: "p1"}, 5},
		"no such project": {nexus.MetricQuery{ProjectID: "p9"}, 0},
		"agent":           {nexus.MetricQuery{AgentID: "y"}, 2},
		"task":            {nexus.MetricQuery{TaskID: "t3"}, 4},
		"feature":         {nexus.MetricQuery{FeatureID: "f1"}, 1},
		"other feature":   {nexus.MetricQuery{FeatureID: "f2"}, 2},
		"type":            {nexus.MetricQuery{Type: "b"}, 6},
		"since":           {nexus.MetricQuery{Since: past.Add(time.Second)}, 6},
		"until":           {nexus.MetricQuery{Until: past.Add(2 * time.Second)}, 3},
		"within":          {nexus.MetricQuery{Since: past.Add(time.Second), Until: past.Add(2 * time.Second)}, 2},
		"all at once": {nexus.MetricQuery{
			ProjectID: "p2", AgentID: "y", TaskID: "t2", FeatureID: "f2", Type: "b", Since: past, Until: now, By: nexus.MetricGroups(), Bucket: time.Second,
		}, 2},
	} {
		got := 0.0
		for _, m := range summarize(t, &db.Services, test.query) {
			got += m.Sum
		}
		if got != test.sum {
			t.Errorf("%s: the sum is %v, want %v", name, got, test.sum)
		}
	}
}

func testSummaryEmpty(t *testing.T, db *store.DB) {
	sameJSON(t, summarize(t, &db.Services, nexus.MetricQuery{By: nexus.MetricGroups(), Bucket: nexus.Day}), []nexus.MetricSummary{})
}

func testSummaryInTx(t *testing.T, db *store.DB) {
	seedMetrics(t, db, &nexus.Metric{ProjectID: "p1", Type: "a", Value: 1})
	must(t, db.InTx(t.Context(), func(tx *store.Tx) error {
		if err := tx.Metrics.Create(t.Context(), &nexus.Metric{ProjectID: "p1", Type: "a", Value: 2}); err != nil {
			return err
		}
		same(t, sums(summarize(t, &tx.Services, nexus.MetricQuery{})), []string{"a: 2, 3"})
		return nil
	}))
}

// What other programs store must neither fail nor make what JSON cannot express.
func testSummaryForeign(t *testing.T, db *store.DB) {
	seedMetrics(t, db)
	insert := func(id string, value float64, timestamp int64) {
		must(t, db.InTx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), "INSERT INTO metrics (id, project_id, agent_id, type, value, timestamp) VALUES ($1, 'p1', '', 'a', $2, $3)", id, value, timestamp)
			return err
		}))
	}
	insert("m1", math.Inf(1), 1_700_000_000_000) // milliseconds
	insert("m2", math.MaxFloat64, math.MaxInt64)
	insert("m3", math.Inf(-1), math.MinInt64)
	got := summarize(t, &db.Services, nexus.MetricQuery{Bucket: nexus.Week, By: []nexus.MetricGroup{nexus.ByAgent}})
	sameJSON(t, got, []nexus.MetricSummary{
		{
			Type: "a", Start: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), Count: 1,
			Sum: -math.MaxFloat64, Mean: -math.MaxFloat64, Min: -math.MaxFloat64, Max: -math.MaxFloat64,
			P50: -math.MaxFloat64, P90: -math.MaxFloat64, P99: -math.MaxFloat64,
		},
		{
			Type: "a", Start: time.Date(9999, 12, 27, 0, 0, 0, 0, time.UTC), Count: 2,
			Sum: math.MaxFloat64, Mean: math.MaxFloat64, Min: math.MaxFloat64, Max: math.MaxFloat64,
			P50: math.MaxFloat64, P90: math.MaxFloat64, P99: math.MaxFloat64,
		},
	})
}

func testSummaryRefused(t *testing.T, db *store.DB) {
	for name, test := range map[string]struct {
		query  nexus.MetricQuery
		fields []string
	}{
		"group":                {nexus.MetricQuery{By: []nexus.MetricGroup{nexus.ByAgent, "weather"}}, []string{"by"}},
		"negative bucket":      {nexus.MetricQuery{Bucket: -nexus.Day}, []string{"bucket"}},
		"short bucket":         {nexus.MetricQuery{Bucket: time.Millisecond}, []string{"bucket"}},
		"bucket of a fraction": {nexus.MetricQuery{Bucket: 1500 * time.Millisecond}, []string{"bucket"}},
		"long bucket":          {nexus.MetricQuery{Bucket: nexus.MaxBucket + time.Second}, []string{"bucket"}},
		"nothing within":       {nexus.MetricQuery{Since: now, Until: now}, []string{"since"}},
		"year":                 {nexus.MetricQuery{Until: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}, []string{"until"}},
		"several": {
			nexus.MetricQuery{ProjectID: "\x00", AgentID: "\n", TaskID: "\xff", FeatureID: "\t", Type: "\x00", By: []nexus.MetricGroup{""}},
			[]string{"agent_id", "by", "feature_id", "project_id", "task_id", "type"},
		},
	} {
		_, err := db.Metrics.Summarize(t.Context(), test.query)
		if e := refused(t, err, nexus.CodeInvalid); !slices.Equal(problemFields(e), test.fields) {
			t.Errorf("%s: the problems are of %v, want %v", name, problemFields(e), test.fields)
		}
	}
	_, err := db.Tasks.Completions(t.Context(), nexus.CompletionQuery{ProjectID: "\x00", FeatureID: "\n", AgentID: "\xff", Bucket: 1})
	same(t, problemFields(refused(t, err, nexus.CodeInvalid)), []string{"agent_id", "bucket", "feature_id", "project_id"})
}

func testCompletions(t *testing.T, db *store.DB) {
	seed(t, db, nexus.KindTask)
	add := func(id, projectID, featureID, agent string, status nexus.TaskStatus, completed time.Time) {
		must(t, db.Tasks.Create(t.Context(), &nexus.Task{
			ID: id, ProjectID: projectID, FeatureID: featureID, Name: "t", AssignedAgent: agent, Status: status, CompletedAt: completed,
		}))
	}
	add("t1", "p1", "f1", "x", nexus.TaskCompleted, past)
	add("t2", "p1", "", "y", nexus.TaskCompleted, past.Add(time.Hour))
	add("t3", "p2", "f2", "x", nexus.TaskCompleted, past.Add(48*time.Hour))
	add("t4", "p1", "f1", "x", nexus.TaskSkipped, past)
	add("t5", "p1", "f1", "x", nexus.TaskPending, time.Time{})
	must(t, db.InTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO tasks (id, project_id, name, status, created_at, updated_at) VALUES ('t6', 'p1', 't', 'completed', 1, 1)")
		return err
	}))
	day := past.Truncate(nexus.Day)
	for name, test := range map[string]struct {
		query nexus.CompletionQuery
		want  []nexus.Completions
	}{
		"all":     {nexus.CompletionQuery{}, []nexus.Completions{{Count: 3}}},
		"a day":   {nexus.CompletionQuery{Bucket: nexus.Day}, []nexus.Completions{{Start: day, Count: 2}, {Start: day.Add(48 * time.Hour), Count: 1}}},
		"project": {nexus.CompletionQuery{ProjectID: "p1"}, []nexus.Completions{{Count: 2}}},
		"feature": {nexus.CompletionQuery{FeatureID: "f1"}, []nexus.Completions{{Count: 1}}},
		"agent":   {nexus.CompletionQuery{AgentID: "x"}, []nexus.Completions{{Count: 2}}},
		"since":   {nexus.CompletionQuery{Since: past.Add(time.Hour)}, []nexus.Completions{{Count: 2}}},
		"until":   {nexus.CompletionQuery{Until: past.Add(time.Hour)}, []nexus.Completions{{Count: 1}}},
		"none":    {nexus.CompletionQuery{Since: now}, []nexus.Completions{}},
	} {
		got, err := db.Tasks.Completions(t.Context(), test.query)
		must(t, err)
		if diff := gocmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// testSummaryModel asks random questions about random metrics, and expects what a
// model says that goes through them one by one.
func testSummaryModel(t *testing.T, db *store.DB) {
	ctx, run := t.Context(), 0
	seedMetrics(t, db)
	agents, tasks := []string{"", "x", "y"}, []string{"", "t1", "t2", "t3", "gone"}
	rapid.Check(t, func(rt *rapid.T) {
		run++
		projectID := fmt.Sprintf("run%d", run)
		if err := project(ctx, &db.Services, projectID); err != nil {
			rt.Fatal(err)
		}
		when := rapid.Map(rapid.Int64Range(-30*86400, 30*86400), func(s int64) time.Time { return time.Unix(s, 0).UTC() })
		list := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) *nexus.Metric {
			return &nexus.Metric{
				ProjectID: projectID,
				Type:      rapid.SampledFrom([]string{"cost_usd", "token_usage"}).Draw(rt, "type"),
				AgentID:   rapid.SampledFrom(agents).Draw(rt, "agent"),
				TaskID:    rapid.SampledFrom(tasks).Draw(rt, "task"),
				Value:     float64(rapid.IntRange(-50, 50).Draw(rt, "value")) / 4, // sums of which are exact
				Timestamp: when.Draw(rt, "timestamp"),
			}
		}), 0, 40).Draw(rt, "metrics")
		if err := db.Metrics.CreateMany(ctx, list); err != nil {
			rt.Fatal(err)
		}
		q := nexus.MetricQuery{
			ProjectID: projectID,
			AgentID:   rapid.SampledFrom(agents).Draw(rt, "of agent"),
			TaskID:    rapid.SampledFrom(tasks).Draw(rt, "of task"),
			FeatureID: rapid.SampledFrom([]string{"", "f1", "f2"}).Draw(rt, "of feature"),
			Type:      rapid.SampledFrom([]string{"", "", "cost_usd"}).Draw(rt, "of type"),
			By:        rapid.SliceOfDistinct(rapid.SampledFrom(nexus.MetricGroups()), rapid.ID[nexus.MetricGroup]).Draw(rt, "by"),
			Bucket:    rapid.SampledFrom([]time.Duration{0, nexus.Hour, nexus.Day, nexus.Week, 7 * time.Second, 36 * time.Hour}).Draw(rt, "bucket"),
		}
		if rapid.Bool().Draw(rt, "bounded") {
			q.Since = when.Draw(rt, "since")
			q.Until = q.Since.Add(time.Duration(rapid.IntRange(1, 20*86400).Draw(rt, "for")) * time.Second)
		}
		got, err := db.Metrics.Summarize(ctx, q)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := gocmp.Diff(modelSummaries(list, q), got); diff != "" {
			rt.Fatalf("not what the model says (-want +got):\n%s", diff)
		}
		checkTotals(ctx, rt, db, q, got)
	})
}

// modelSummaries is Summarize as one would do it by hand.
func modelSummaries(list []*nexus.Metric, q nexus.MetricQuery) []nexus.MetricSummary {
	featureOf := map[string]string{"t1": "f1", "t2": "f2"}
	groups := make(map[nexus.MetricSummary][]float64)
	for _, m := range list {
		if q.AgentID != "" && m.AgentID != q.AgentID || q.TaskID != "" && m.TaskID != q.TaskID ||
			q.FeatureID != "" && featureOf[m.TaskID] != q.FeatureID || q.Type != "" && m.Type != q.Type ||
			!q.Since.IsZero() && m.Timestamp.Before(q.Since) || !q.Until.IsZero() && !m.Timestamp.Before(q.Until) {
			continue
		}
		group := nexus.MetricSummary{Type: m.Type, Start: modelBucket(m.Timestamp, q.Bucket)}
		for _, by := range q.By {
			switch by {
			case nexus.ByAgent:
				group.AgentID = m.AgentID
			case nexus.ByTask:
				group.TaskID = m.TaskID
			case nexus.ByFeature:
				group.FeatureID = featureOf[m.TaskID]
			}
		}
		groups[group] = append(groups[group], m.Value)
	}
	summaries := []nexus.MetricSummary{}
	for s, values := range groups {
		s.Count = int64(len(values))
		for _, v := range values {
			s.Sum += v
		}
		s.Mean, s.Min, s.Max = s.Sum/float64(len(values)), slices.Min(values), slices.Max(values)
		s.P50, s.P90, s.P99 = modelPercentile(values, 50), modelPercentile(values, 90), modelPercentile(values, 99)
		summaries = append(summaries, s)
	}
	slices.SortFunc(summaries, func(a, b nexus.MetricSummary) int {
		return cmp.Or(
			cmp.Compare(a.Type, b.Type), a.Start.Compare(b.Start), -cmp.Compare(a.Sum, b.Sum),
			cmp.Compare(a.AgentID, b.AgentID), cmp.Compare(a.TaskID, b.TaskID), cmp.Compare(a.FeatureID, b.FeatureID),
		)
	})
	return summaries
}

// modelPercentile is the definition: the smallest value that so many per cent of
// the values do not exceed.
func modelPercentile(values []float64, percent int) float64 {
	found := math.Inf(1)
	for _, v := range values {
		within := 0
		for _, other := range values {
			if other <= v {
				within++
			}
		}
		if within*100 >= percent*len(values) {
			found = min(found, v)
		}
	}
	return found
}

// modelBucket looks for the beginning of a bucket on the calendar.
func modelBucket(t time.Time, bucket time.Duration) time.Time {
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	switch bucket {
	case 0:
		return time.Time{}
	case nexus.Hour:
		return day.Add(time.Duration(t.Hour()) * time.Hour)
	case nexus.Day:
		return day
	case nexus.Week:
		for day.Weekday() != time.Monday {
			day = day.AddDate(0, 0, -1)
		}
		return day
	default:
		since := t.Unix() - time.Time{}.Unix() // the year 1
		return t.Add(-time.Duration(since%int64(bucket/time.Second)) * time.Second)
	}
}

// checkTotals expects that the groups add up to the whole.
func checkTotals(ctx context.Context, rt *rapid.T, db *store.DB, q nexus.MetricQuery, groups []nexus.MetricSummary) {
	q.By, q.Bucket = nil, 0
	totals, err := db.Metrics.Summarize(ctx, q)
	if err != nil {
		rt.Fatal(err)
	}
	for _, total := range totals {
		for _, g := range groups {
			if g.Type == total.Type {
				total.Count, total.Sum = total.Count-g.Count, total.Sum-g.Sum
			}
		}
		if total.Count != 0 || total.Sum != 0 {
			rt.Fatalf("the groups of %s do not add up: %d metrics and %v are left", total.Type, total.Count, total.Sum)
		}
	}
}
