package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

var doctorHistoryTests = map[string]timedTest{
	"Mends":       testDoctorMendsHistory,
	"Reports":     testDoctorReportsHistory,
	"Checkpoints": testDoctorCheckpoints,
}

// withHistory is a database at work whose history has been indexed.
func withHistory(t *testing.T, db *store.DB, clock *Clock) *work {
	t.Helper()
	w := atWork(t, db, clock)
	for i := range 150 {
		name := fmt.Sprint(i)
		_, err := db.Projects.Update(t.Context(), "p1", nexus.ProjectUpdate{Name: &name})
		must(t, err)
	}
	same(t, number(t, db, "SELECT count(*) FROM history_rows") > 0, true)
	return w
}

// indexesHistory reports whether history_rows is a table, which may lack something and
// is looked at for each of many rows, and not a view.
func indexesHistory(t *testing.T, db *store.DB) bool {
	t.Helper()
	_, added, err := db.Tables(t.Context())
	must(t, err)
	return slices.Contains(added, "history_rows")
}

func number(t *testing.T, db *store.DB, sql string) (n int64) {
	t.Helper()
	must(t, db.View(t.Context(), func(tx *store.Tx) error {
		return tx.Query(t.Context(), sql, nil, func(r driver.Row) error {
			n = r.Int(0)
			return nil
		})
	}))
	return n
}

// testDoctorMendsHistory breaks what follows from the history, and has it mended.
func testDoctorMendsHistory(t *testing.T, db *store.DB, clock *Clock) {
	withHistory(t, db, clock)
	past := func() map[string]string {
		return everything(t, t.Context(), &db.AsOf(number(t, db, "SELECT max(first) FROM history WHERE seq < 100")).Services, "p1")
	}
	before := past()
	type harm struct {
		sql  string
		want []string
	}
	harms := []harm{{"INSERT INTO history_marks (name, seq) VALUES ('kept 1000000', 1000000)", []string{"history 1: kept 1000000"}}}
	if indexesHistory(t, db) {
		indexed := number(t, db, "SELECT seq FROM history_marks WHERE name = 'indexed'")
		harms = append(harms, []harm{
			{"DELETE FROM history_rows WHERE id = 'late'", []string{"history 2: late late"}},
			{"UPDATE history_rows SET large = 1 - large WHERE id = 'late'", []string{"history 2: late late", "history 2: late late"}},
			{"INSERT INTO history_rows (id, kind, seq, large) VALUES ('gone', 'task', 3, 0)", []string{"history 1: gone"}},
			{fmt.Sprintf("INSERT INTO history_rows (id, kind, seq, large) VALUES ('p1', 'project', %d, 0)", indexed+1), []string{"history 1: p1"}},
			{"UPDATE history_marks SET seq = 1000000 WHERE name = 'indexed'", []string{"history 1: indexed", "history "}},
		}...)
	}
	for _, c := range harms {
		exec(t, db, c.sql)
		list, err := db.Diagnose(t.Context())
		must(t, err)
		got := found(list)
		same(t, len(got), len(c.want))
		for i := range got {
			if !strings.HasPrefix(got[i], c.want[i]) || !list[i].Mendable {
				t.Errorf("%s: found %v, want %v", c.sql, got, c.want)
			}
		}
		_, err = db.Mend(t.Context())
		must(t, err)
		list, err = db.Diagnose(t.Context())
		must(t, err)
		same(t, found(list), found(nil))
		same(t, past(), before)
	}
	if !indexesHistory(t, db) {
		return
	}
	// What an upsert of another program leaves behind is nothing to report, and goes.
	exec(t, db, "INSERT INTO agents (id, type, spawned_at, last_activity_at) SELECT id, type, 1, 1 FROM agents WHERE true ON CONFLICT DO NOTHING")
	same(t, number(t, db, "SELECT count(*) FROM replaced_rows"), int64(1))
	list, err := db.Mend(t.Context())
	must(t, err)
	same(t, len(list), 0)
	same(t, number(t, db, "SELECT count(*) FROM replaced_rows"), int64(0))
}

// testDoctorReportsHistory is about what stays as it is.
func testDoctorReportsHistory(t *testing.T, db *store.DB, clock *Clock) {
	withHistory(t, db, clock)
	last, err := db.LastChange(t.Context())
	must(t, err)
	exec(t, db, fmt.Sprintf("UPDATE history SET first = seq + 1 WHERE seq = %d", last))
	exec(t, db, fmt.Sprintf("UPDATE history SET at_us = at_us - 3600000000 WHERE seq = (SELECT max(seq) FROM history WHERE change = 'operation' AND seq < %d)", last))
	_, err = db.Agents.Register(t.Context(), nexus.Agent{ID: "c", Type: "coder"})
	must(t, err)
	exec(t, db, fmt.Sprintf("UPDATE agents SET status = 'working', last_activity_at = %d WHERE id = 'c'", now.Add(-time.Hour).Unix()))
	list, err := db.Diagnose(t.Context())
	must(t, err)
	got := found(list)
	want := []string{fmt.Sprintf("history 1: %d", last), "agents 1: c", "clock 1: "}
	same(t, len(got), len(want))
	for i := range got {
		if !strings.HasPrefix(got[i], want[i]) || list[i].Mendable || list[i].Hint == "" {
			t.Errorf("found %v, want %v", got, want)
		}
	}
	after, err := db.Mend(t.Context())
	must(t, err)
	same(t, found(after), got)
}

// testDoctorCheckpoints is about checkpoints that cannot be told, or not as they were.
func testDoctorCheckpoints(t *testing.T, db *store.DB, clock *Clock) {
	ctx := t.Context()
	w := withHistory(t, db, clock)
	checkpoint := func(id string) {
		_, err := db.Checkpoint(ctx, nexus.CheckpointRequest{ID: id, ProjectID: "p1"})
		must(t, err)
		name := id
		_, err = db.Tasks.Update(ctx, "late", nexus.TaskUpdate{Name: &name})
		must(t, err)
	}
	for _, id := range []string{"fine", "gone", "unreadable", "altered"} {
		checkpoint(id)
	}
	must(t, db.Checkpoints.Create(ctx, &nexus.Checkpoint{ID: "another's", ProjectID: "p1", State: `{"tasks": []}`}))
	must(t, db.Checkpoints.Create(ctx, &nexus.Checkpoint{ID: "without", ProjectID: "p1"}))
	deep := func() []string {
		list, err := db.Diagnose(ctx)
		must(t, err)
		checkpoints, err := db.DiagnoseCheckpoints(ctx, nil)
		must(t, err)
		return found(append(list, checkpoints...))
	}
	same(t, deep(), found(nil))
	exec(t, db, `UPDATE checkpoints SET state = replace(state, '"format":2', '"format":0') WHERE id = 'unreadable'`)
	exec(t, db, `UPDATE checkpoints SET state = replace(state, '"seq":', '"seq":100000') WHERE id = 'gone'`)
	same(t, deep(), []string{"checkpoints 1: unreadable", "checkpoints 1: gone"})
	before := w.image()
	exec(t, db, `UPDATE history SET v4 = 'somebody else''s' WHERE kind = 'task' AND id = 'late' AND v4 = 'unreadable'`)
	same(t, deep(), []string{"checkpoints 1: unreadable", "checkpoints 1: gone", "checkpoints 1: altered"})
	same(t, w.image(), before)
	_, err := db.Restore(ctx, "altered", false)
	refused(t, err, nexus.CodeCorrupt)
	_, err = db.Restore(ctx, "fine", false)
	must(t, err)
}
