package storetest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var historyListTests = map[string]timedTest{
	"Filters":  testHistoryFilters,
	"Paging":   testHistoryPaging,
	"Fields":   testHistoryFields,
	"Refusals": testHistoryRefusals,
	"Diff":     testDiff,
	"Moments":  testMoments,
	"Locate":   testLocate,
	"Metrics":  testPastMetrics,
	"Related":  testPastRelations,
}

// seqs are the numbers of changes.
func seqs(list []nexus.Change) (numbers []int64) {
	for i := range list {
		numbers = append(numbers, list[i].Seq)
	}
	return numbers
}

// testHistoryFilters compares each filter, and pairs of them, with what it says of
// the list of all.
func testHistoryFilters(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	since := clock.Move(time.Hour)
	must(t, project(u.ctx, &db.Services, "q"))
	must(t, db.Tasks.Create(u.ctx, &nexus.Task{ID: "q-t1", ProjectID: "q", Name: "q"}))
	operation := u.do("a1", each["several"])
	u.claim("p-a1", "p-t2")
	u.undo(nexus.UndoRequest{Operation: operation})
	all, err := db.History(u.ctx, nexus.HistoryFilter{})
	must(t, err)
	if !slices.IsSorted(seqs(all)) || len(all) < 15 {
		t.Fatalf("the history is %v", seqs(all))
	}
	middle := all[len(all)/2].Seq
	type condition struct {
		set  func(*nexus.HistoryFilter)
		fits func(*nexus.Change) bool
	}
	conditions := []condition{
		{func(f *nexus.HistoryFilter) { f.Kind = nexus.KindTask }, func(c *nexus.Change) bool { return c.Kind == nexus.KindTask }},
		{
			func(f *nexus.HistoryFilter) { f.Kind, f.ID = nexus.KindTask, "p-t1" },
			func(c *nexus.Change) bool { return c.Kind == nexus.KindTask && c.ID == "p-t1" },
		},
		{func(f *nexus.HistoryFilter) { f.ProjectID = "q" }, func(c *nexus.Change) bool { return c.ProjectID == "q" }},
		{func(f *nexus.HistoryFilter) { f.Actor = "a1" }, func(c *nexus.Change) bool { return c.Actor == "a1" }},
		{func(f *nexus.HistoryFilter) { f.Name = "undo" }, func(c *nexus.Change) bool { return c.Name == "undo" }},
		{func(f *nexus.HistoryFilter) { f.Operation = operation }, func(c *nexus.Change) bool { return c.Operation == operation }},
		{func(f *nexus.HistoryFilter) { f.After = middle }, func(c *nexus.Change) bool { return c.Seq > middle }},
		{func(f *nexus.HistoryFilter) { f.Before = middle }, func(c *nexus.Change) bool { return c.Seq < middle }},
		{func(f *nexus.HistoryFilter) { f.Since = since }, func(c *nexus.Change) bool { return !c.At.Before(since.Truncate(time.Microsecond)) }},
	}
	conditions = append(conditions, condition{func(*nexus.HistoryFilter) {}, func(*nexus.Change) bool { return true }})
	for i, a := range conditions {
		for k, b := range conditions {
			if i < 2 && k < 2 && i != k {
				continue // both set the kind
			}
			var want []int64
			for n := range all {
				if a.fits(&all[n]) && b.fits(&all[n]) {
					want = append(want, all[n].Seq)
				}
			}
			for _, limit := range []int{0, 2} {
				for _, newest := range []bool{false, true} {
					var f nexus.HistoryFilter
					a.set(&f)
					b.set(&f)
					f.Limit, f.Newest = limit, newest
					got, err := db.History(u.ctx, f)
					must(t, err)
					expected := slices.Clone(want)
					if newest {
						slices.Reverse(expected)
					}
					if limit > 0 {
						expected = expected[:min(limit, len(expected))]
					}
					if !slices.Equal(seqs(got), expected) {
						t.Errorf("%+v: %v, want %v", f, seqs(got), expected)
					}
				}
			}
		}
	}
}

// testHistoryPaging goes through it in pages, forward and back, when there is more
// than is found by one index.
func testHistoryPaging(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	for i := range 300 {
		_, err := db.Tasks.Update(u.ctx, "p-t1", nexus.TaskUpdate{Name: new(strconv.Itoa(i))})
		must(t, err)
	}
	for _, filter := range []nexus.HistoryFilter{{}, {Kind: nexus.KindTask, ID: "p-t1"}} {
		all, err := db.History(u.ctx, filter)
		must(t, err)
		var forward, back []int64
		filter.Limit = 7
		for {
			page, err := db.History(u.ctx, filter)
			must(t, err)
			if len(page) == 0 {
				break
			}
			forward = append(forward, seqs(page)...)
			filter.After = page[len(page)-1].Seq
		}
		filter.After, filter.Newest = 0, true
		for {
			page, err := db.History(u.ctx, filter)
			must(t, err)
			if len(page) == 0 {
				break
			}
			back = append(back, seqs(page)...)
			filter.Before = page[len(page)-1].Seq
		}
		slices.Reverse(back)
		same(t, forward, seqs(all))
		same(t, back, seqs(all))
		for i := 1; i < len(all); i++ {
			if filter.ID != "" && !cmp.Equal(all[i].Before, all[i-1].After) {
				t.Errorf("change %d begins with another row than the one before it left", all[i].Seq)
			}
		}
	}
}

func testHistoryFields(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	operation := u.do("a1", func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Tasks.Update(ctx, "p-t1", nexus.TaskUpdate{Name: new("renamed"), Metadata: new(nexus.JSON(`{"a": 1}`))})
		return err
	})
	list, err := db.History(u.ctx, nexus.HistoryFilter{Operation: operation})
	must(t, err)
	same(t, len(list), 1)
	change := list[0]
	same(t, change.Fields, []nexus.FieldChange{
		{Field: "name", From: `"p-t1"`, To: `"renamed"`},
		{Field: "revision", From: "1", To: "2"},
		{Field: "metadata", From: "", To: `{"a":1}`},
	})
	same(t, change.Before.(*nexus.Task).Name, "p-t1")
	same(t, change.After.(*nexus.Task).Name, "renamed")
	same(t, []string{change.Name, change.Actor, change.ProjectID}, []string{"task update", "a1", "p"})
	same(t, change.At, clock.Now().Truncate(time.Microsecond))
}

func testHistoryRefusals(t *testing.T, db *store.DB, clock *Clock) {
	ctx := t.Context()
	for _, f := range []nexus.HistoryFilter{{Kind: nexus.KindMetric}, {Kind: "nothing"}, {ID: "p-t1"}, {Limit: -1}} {
		_, err := db.History(ctx, f)
		refused(t, err, nexus.CodeInvalid)
	}
	list, err := db.History(ctx, nexus.HistoryFilter{})
	must(t, err)
	same(t, len(list), 0)
}

// testDiff compares each two states in both directions with what they were.
func testDiff(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	type state struct {
		seq  int64
		rows map[string]string
	}
	all := func() map[string]string { return everything(t, u.ctx, &db.Services, "p") }
	states := []state{{0, map[string]string{}}, {u.next() - 1, all()}}
	for _, name := range []string{"large", "status", "replace", "update", "delete feature", "delete project"} {
		u.do("a1", each[name])
		states = append(states, state{u.next() - 1, all()})
	}
	u.undo(nexus.UndoRequest{Operation: states[len(states)-2].seq + 1})
	states = append(states, state{u.next() - 1, all()})
	for _, from := range states {
		for _, to := range states {
			list, err := db.Diff(u.ctx, from.seq, to.seq, "p")
			must(t, err)
			rows := make(map[string]string, len(from.rows))
			for key, text := range from.rows {
				rows[key] = text
			}
			for i := range list {
				key := list[i].Kind.Table() + " " + list[i].ID
				if list[i].Before != nil {
					same(t, jsonOf(t, list[i].Before), rows[key])
				}
				if delete(rows, key); list[i].After != nil {
					rows[key] = jsonOf(t, list[i].After)
				}
				same(t, list[i].Change == nexus.ChangeInsert, list[i].Before == nil)
				same(t, list[i].Change == nexus.ChangeDelete, list[i].After == nil)
				same(t, list[i].ProjectID, "p")
			}
			if diff := cmp.Diff(to.rows, rows); diff != "" {
				t.Errorf("from %d to %d:\n%s", from.seq, to.seq, diff)
			}
			other, err := db.Diff(u.ctx, from.seq, to.seq, "q")
			must(t, err)
			same(t, len(other), 0)
		}
	}
	_, err := db.Diff(u.ctx, 0, u.next()+5, "")
	refused(t, err, nexus.CodeNotFound)
}

func testMoments(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	at := clock.Now()
	var ends []int64
	for range 5 {
		clock.Move(time.Hour)
		u.undo(nexus.UndoRequest{Operation: u.do("a1", each["status"])})
		ends = append(ends, u.next()-1)
	}
	p, err := db.Checkpoint(u.ctx, nexus.CheckpointRequest{ID: "c-here", ProjectID: "p"})
	must(t, err)
	state, err := p.Details()
	must(t, err)
	must(t, db.Checkpoints.Create(u.ctx, &nexus.Checkpoint{ID: "d-foreign", ProjectID: "p"}))
	hour := func(n int) time.Time { return at.Add(time.Duration(n) * time.Hour) }
	for text, want := range map[string]int64{
		"0": 0, "7": 7, strconv.FormatInt(ends[1], 10): ends[1],
		hour(2).Format(time.RFC3339Nano):                    ends[1],
		hour(2).Add(time.Minute).Format(time.RFC3339):       ends[1],
		hour(3).Add(-time.Second).Format(time.RFC3339):      ends[1],
		hour(3).Add(time.Minute).Format("2006-01-02T15:04"): ends[2],
		hour(3).Add(time.Minute).Format(time.DateTime):      ends[2],
		hour(-30).Format(time.DateOnly):                     0,
		"90m":                                               ends[2], "4h": ends[0], "1d": 0, "100h": 0,
		"now": u.next() - 1, "0s": u.next() - 1,
		"c-here": state.Seq, "c-": state.Seq,
	} {
		got, err := db.Moment(u.ctx, text)
		if err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for text, code := range map[string]nexus.Code{
		"": nexus.CodeNotFound, "soon": nexus.CodeNotFound, "-1": nexus.CodeNotFound, "999999": nexus.CodeNotFound,
		"99999999999999999999": nexus.CodeNotFound, "d-foreign": nexus.CodeInvalid,
	} {
		if _, err := db.Moment(u.ctx, text); nexus.CodeOf(err) != code {
			t.Errorf("%q: %v, want %s", text, err, code)
		}
	}
}

func testLocate(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	u.do("a1", each["several"])
	for prefix, want := range map[string]string{"p": "project p", "p-t1": "task p-t1", "p-t2": "task p-t2", "p-s": "session p-s1"} {
		kind, id, err := db.Locate(u.ctx, "", prefix)
		must(t, err)
		same(t, fmt.Sprint(kind, " ", id), want)
	}
	_, id, err := db.Locate(u.ctx, nexus.KindRequirement, "p-")
	must(t, err)
	same(t, id, "p-r1")
	_, _, err = db.Locate(u.ctx, nexus.KindTask, "p-t")
	refused(t, err, nexus.CodeAmbiguous)
	_, _, err = db.Locate(u.ctx, nexus.KindFeature, "p-t1")
	refused(t, err, nexus.CodeNotFound)
	_, _, err = db.Locate(u.ctx, "", "")
	refused(t, err, nexus.CodeNotFound)
	_, _, err = db.Locate(u.ctx, nexus.KindMetric, "m1")
	refused(t, err, nexus.CodeInvalid)
}

// testPastMetrics expects the metrics that had been measured.
func testPastMetrics(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	var moments []int64
	clock.Move(time.Hour)
	for n := range 4 {
		must(t, db.Metrics.Create(u.ctx, &nexus.Metric{ID: fmt.Sprint("m", n), ProjectID: "p", Type: "cost_usd", Value: 1}))
		operation := u.do("a1", each["status"])
		moments = append(moments, u.next()-1)
		u.undo(nexus.UndoRequest{Operation: operation})
		clock.Move(time.Hour)
	}
	for n, seq := range moments {
		past := db.AsOf(seq)
		list, err := past.Metrics.List(u.ctx, nexus.MetricFilter{ProjectID: "p", Type: "cost_usd"})
		must(t, err)
		same(t, len(list), n+1)
		count, err := past.Metrics.Count(u.ctx, nexus.MetricFilter{})
		must(t, err)
		same(t, count, int64(n+1))
		id, err := past.Metrics.Resolve(u.ctx, fmt.Sprint("m", n))
		must(t, err)
		_, err = past.Metrics.Get(u.ctx, id)
		must(t, err)
		_, err = past.Metrics.Get(u.ctx, fmt.Sprint("m", n+1))
		refused(t, err, nexus.CodeNotFound)
		_, err = past.Metrics.Resolve(u.ctx, fmt.Sprint("m", n+1))
		refused(t, err, nexus.CodeNotFound)
	}
	list, err := db.AsOf(0).Metrics.List(u.ctx, nexus.MetricFilter{})
	must(t, err)
	same(t, len(list), 0)
}

// testPastRelations loads what was related, though much has gone since.
func testPastRelations(t *testing.T, db *store.DB, clock *Clock) {
	u := newUndoer(t, db, clock)
	was, err := db.Projects.Load(u.ctx, "p")
	must(t, err)
	feature, err := db.Features.Load(u.ctx, "p-f1")
	must(t, err)
	task, err := db.Tasks.Load(u.ctx, "p-t1")
	must(t, err)
	seq := u.next() - 1
	u.do("a1", each["update"])
	u.do("a1", each["delete feature"])
	u.do("a1", each["delete project"])
	past := db.AsOf(seq)
	is, err := past.Projects.Load(u.ctx, "p")
	must(t, err)
	sameJSON(t, is, was)
	same(t, len(is.SubFeatures), 1)
	isFeature, err := past.Features.Load(u.ctx, "p-f1")
	must(t, err)
	sameJSON(t, isFeature, feature)
	isTask, err := past.Tasks.Load(u.ctx, "p-t1")
	must(t, err)
	sameJSON(t, isTask, task)
	counts, err := past.SubFeatures.CountByStatus(u.ctx, nexus.SubFeatureFilter{ProjectID: "p"})
	must(t, err)
	same(t, counts, map[nexus.FeatureStatus]int64{nexus.FeatureBacklog: 1})
}
