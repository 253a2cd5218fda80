package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var readyTests = map[string]timedTest{
	"ReadyOrder":   testReadyOrder,
	"ReadyExpired": testReadyExpired,
	"ReadyLimit":   testReadyLimit,
	"ReadyAppears": testReadyAppears,
	"ReadyInTx":    testReadyInTx,
}

// testReadyOrder compares filters with a list that Go has filtered and sorted. The
// tasks come whole.
func testReadyOrder(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock)
	many := variedTasks(60)
	must(t, db.Tasks.CreateMany(w.ctx, many))
	for _, filter := range variedFilters() {
		list, err := db.Tasks.Ready(w.ctx, filter)
		must(t, err)
		same(t, idsOf(list), chosenIDs(many, filter))
		for i := range list {
			same(t, &list[i], w.task(list[i].ID))
		}
	}
	for field, filter := range map[string]nexus.ReadyFilter{
		"limit":    {Limit: -1},
		"priority": {Priority: []nexus.TaskPriority{"odd"}},
	} {
		_, err := db.Tasks.Ready(w.ctx, filter)
		same(t, problemFields(refused(t, err, nexus.CodeInvalid)), []string{field})
	}
	// A size that nobody writes is found in vain.
	same(t, w.readyIDs(nexus.ReadyFilter{Size: []nexus.TaskSize{"huge"}}), []string{})
}

// testReadyExpired mixes tasks that nobody holds with those whose lease is over:
// they come in one order, and a claim follows it.
func testReadyExpired(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock)
	many := variedTasks(60)
	must(t, db.Tasks.CreateMany(w.ctx, many))
	all := chosenIDs(many, nexus.ReadyFilter{})
	for i, id := range all {
		if i%3 == 0 {
			w.claimed(nexus.ClaimRequest{AgentID: fmt.Sprintf("a%d", i), TaskID: id, Lease: time.Minute})
		}
	}
	clock.Move(time.Minute)
	for _, filter := range variedFilters() {
		same(t, w.readyIDs(filter), chosenIDs(many, filter))
	}
	claims, err := db.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "b", Count: 1000})
	must(t, err)
	same(t, claimedIDs(claims), all)
}

// testReadyLimit takes the first of a list in which what is over the limit is in
// either part.
func testReadyLimit(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "a", "b", "c", "d")
	for _, id := range []string{"a", "c"} {
		w.claimed(nexus.ClaimRequest{AgentID: "x", TaskID: id, Lease: time.Second})
	}
	clock.Move(time.Second)
	for limit := range 6 {
		want := []string{"a", "b", "c", "d"}
		if limit > 0 {
			want = want[:min(limit, 4)]
		}
		same(t, w.readyIDs(nexus.ReadyFilter{Limit: limit}), want)
		same(t, w.readyIDs(nexus.ReadyFilter{Limit: limit, ProjectID: "p1"}), want)
	}
}

// testReadyAppears makes a task ready and not ready in all the ways there are.
func testReadyAppears(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "on", "it on")
	for _, step := range []struct {
		sql   string
		ready bool
	}{
		{"UPDATE tasks SET status = 'completed' WHERE id = 'on'", true},
		{"UPDATE tasks SET status = 'pending' WHERE id = 'on'", false},
		{"UPDATE tasks SET status = 'skipped' WHERE id = 'on'", true},
		{"UPDATE tasks SET status = 'failed' WHERE id = 'on'", false},
		{"UPDATE tasks SET depends_on = NULL WHERE id = 'it'", true},
		{`UPDATE tasks SET depends_on = '["nobody"]' WHERE id = 'it'`, false},
		{"INSERT INTO tasks (id, project_id, name, status, created_at, updated_at) VALUES ('nobody', 'p2', 'n', 'completed', 1, 2)", true},
		{"DELETE FROM tasks WHERE id = 'nobody'", false},
		{"UPDATE tasks SET depends_on = '' WHERE id = 'it'", true},
		{"UPDATE tasks SET blocked_by = 'b' WHERE id = 'it'", false},
		{"UPDATE tasks SET blocked_by = '' WHERE id = 'it'", true},
		{"UPDATE tasks SET status = 'queued' WHERE id = 'it'", false},
		{"UPDATE tasks SET status = 'pending' WHERE id = 'it'", true},
		{"UPDATE tasks SET assigned_agent = 'a' WHERE id = 'it'", true},
		{"UPDATE projects SET status = 'paused' WHERE id = 'p1'", false},
		{"UPDATE projects SET status = 'odd' WHERE id = 'p1'", true},
		{"UPDATE tasks SET project_id = 'p2' WHERE id = 'it'", true},
		{"UPDATE projects SET status = 'failed' WHERE id = 'p2'", false},
		{"UPDATE projects SET status = 'pending' WHERE id = 'p2'", true},
		{"UPDATE tasks SET max_attempts = 0, failed_attempts = 9 WHERE id = 'it'", true},
		{"DELETE FROM tasks WHERE id = 'it'", false},
	} {
		w.quickly(step.sql)
		same(t, slices.Contains(w.readyIDs(nexus.ReadyFilter{}), "it"), step.ready)
		x, err := db.Tasks.Explain(w.ctx, "it")
		if strings.HasPrefix(step.sql, "DELETE FROM tasks WHERE id = 'it'") {
			refused(t, err, nexus.CodeNotFound)
			continue
		}
		must(t, err)
		if x.Ready != step.ready || x.Ready != (len(x.Reasons) == 0) || x.Ready != (len(x.RootCauses) == 0) {
			t.Errorf("after %s Explain says %+v", step.sql, x)
		}
	}
}

func testReadyInTx(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "on", "it on")
	must(t, db.InTx(w.ctx, func(tx *store.Tx) error {
		_, err := tx.Tasks.Complete(w.ctx, "on", 0, nexus.Evidence{})
		must(t, err)
		list, err := tx.Tasks.Ready(w.ctx, nexus.ReadyFilter{})
		must(t, err)
		same(t, idsOf(list), []string{"it"})
		x, err := tx.Tasks.Explain(w.ctx, "it")
		must(t, err)
		same(t, x.Ready, true)
		return nil
	}))
}
