package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/pgtest"
	"github.com/seed-c8812374/nexus/postgres"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// addHistory changes tasks many times, with a checkpoint now and then.
func addHistory(t *testing.T, db *store.DB, rounds, tasks int) {
	t.Helper()
	ctx := t.Context()
	for round := range rounds {
		fatal(t, db.InTx(ctx, func(tx *store.Tx) error {
			if _, err := tx.Projects.Upsert(ctx, &nexus.Project{ID: "p", Name: "n", RootPath: "/"}); err != nil {
				return err
			}
			for i := range tasks {
				task := &nexus.Task{ID: fmt.Sprintf("t%d", i), ProjectID: "p", Name: "n", Description: strings.Repeat("x", 600) + fmt.Sprint(round)}
				for try := range 4 {
					task.Name = fmt.Sprintf("round %d, try %d", round, try)
					if _, err := tx.Tasks.Upsert(ctx, task); err != nil {
						return err
					}
				}
			}
			return tx.Tasks.Delete(ctx, "t0")
		}))
		_, err := db.Checkpoint(ctx, nexus.CheckpointRequest{ProjectID: "p"})
		fatal(t, err)
	}
}

// checkpointsHold expects that so many checkpoints can be verified, and that doctor finds
// nothing.
func checkpointsHold(t *testing.T, db *store.DB, want int) {
	t.Helper()
	list, err := db.Checkpoints.List(t.Context(), nexus.CheckpointFilter{})
	fatal(t, err)
	if len(list) != want {
		t.Errorf("%d checkpoints, want %d", len(list), want)
	}
	for _, p := range list {
		v, err := db.VerifyCheckpoint(t.Context(), p.ID)
		if err != nil || !v.OK {
			t.Errorf("checkpoint %s: %+v, %v", p.ID, v, err)
		}
	}
	findings, err := db.Diagnose(t.Context())
	if err != nil || len(findings) > 0 {
		t.Errorf("Diagnose = %+v, %v", findings, err)
	}
}

// historyPages is how many pages the table of the history has.
func historyPages(t *testing.T, db *store.DB) (pages int64) {
	t.Helper()
	fatal(t, db.View(t.Context(), func(tx *store.Tx) error {
		return tx.Query(t.Context(), "SELECT pg_relation_size('history') / current_setting('block_size')::BIGINT", nil, func(r driver.Row) error {
			pages = r.Int(0)
			return nil
		})
	}))
	return pages
}

// The space of what is forgotten is used for what comes next.
func TestCompactReusesSpace(t *testing.T) {
	t.Parallel()
	db := openSchema(t, pgtest.Own(t).URL(), nil) // where no transaction of another test keeps rows
	addHistory(t, db, 2, 30)
	before := historyPages(t, db)
	for range 3 {
		list, err := db.Checkpoints.List(t.Context(), nexus.CheckpointFilter{})
		fatal(t, err)
		for _, p := range list {
			fatal(t, db.Checkpoints.Delete(t.Context(), p.ID))
		}
		report, err := db.Compact(t.Context(), nexus.CompactRequest{})
		fatal(t, err)
		if report.Forgotten == 0 || report.NotShrunk == "" || report.BytesBefore == 0 {
			t.Errorf("%+v", report)
		}
		addHistory(t, db, 2, 30)
	}
	// Four times as many, if nothing were used again.
	if after := historyPages(t, db); after > 2*before {
		t.Errorf("the history had %d pages, and has %d", before, after)
	}
}

// Who may write but does not own the tables compacts, and leaves VACUUM to others.
func TestCompactByAgent(t *testing.T) {
	t.Parallel()
	url := pgtest.With(pgtest.Own(t).URL(), "schema", "shop")
	addHistory(t, openSchema(t, url, nil), 2, 5)
	pgtest.Exec(t, url, `
		CREATE ROLE agent LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA shop TO agent;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop TO agent;
		GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA shop TO agent`)
	db := openSchema(t, strings.Replace(url, "postgres@", "agent:secret@", 1), nil)
	report, err := db.Compact(t.Context(), nexus.CompactRequest{})
	fatal(t, err)
	if report.Forgotten == 0 || !strings.Contains(report.NotShrunk, "owner") {
		t.Errorf("%+v", report)
	}
	checkpointsHold(t, db, 2)
}

// TestCompactBeside compacts through PgBouncer, again and again, while others change,
// claim, make checkpoints and verify them. Nobody fails, and the history of what they do
// is whole and in its order.
func TestCompactBeside(t *testing.T) {
	t.Parallel()
	pooler := pgtest.Own(t).Pooler(t)
	db := openSchema(t, pooler, func(o *postgres.Options) { o.Now = time.Now })
	addHistory(t, db, 3, 20)
	ctx := t.Context()
	const writers, rounds = 4, 8
	var wg sync.WaitGroup
	var working atomic.Int64
	for n := range writers {
		working.Add(1)
		wg.Go(func() {
			defer working.Add(-1)
			for round := range rounds {
				id := fmt.Sprintf("w%d-%d", n, round)
				err := db.InTx(ctx, func(tx *store.Tx) error {
					if err := tx.Tasks.Create(ctx, &nexus.Task{ID: id, ProjectID: "p", Name: "a"}); err != nil {
						return err
					}
					_, err := tx.Projects.Update(ctx, "p", nexus.ProjectUpdate{Name: &id})
					return err
				})
				if err == nil {
					_, err = db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: fmt.Sprint("agent ", n), TaskID: id})
				}
				if err == nil && round%4 == 0 {
					var p *nexus.Checkpoint
					if p, err = db.Checkpoint(ctx, nexus.CheckpointRequest{ProjectID: "p"}); err == nil {
						if v, failed := db.VerifyCheckpoint(ctx, p.ID); failed != nil || !v.OK {
							t.Errorf("checkpoint %s: %+v, %v", p.ID, v, failed)
						}
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	forgotten := int64(0)
	for working.Load() > 0 {
		report, err := db.Compact(ctx, nexus.CompactRequest{})
		if err != nil {
			t.Error(err)
			break
		}
		forgotten += report.Forgotten
	}
	wg.Wait()
	if forgotten == 0 {
		t.Error("nothing was forgotten")
	}
	checkpointsHold(t, db, 3+writers*rounds/4)
	list, err := db.History(ctx, nexus.HistoryFilter{})
	fatal(t, err)
	if !slices.IsSortedFunc(list, func(a, b nexus.Change) int { return int(a.Seq - b.Seq) }) {
		t.Error("the history is in no order")
	}
}

// TestCompactKilled breaks the connection of who compacts after any of its messages, as
// its end does, and lets it make no other. What is stored is what it was, every checkpoint
// holds, and to compact again does the rest.
func TestCompactKilled(t *testing.T) {
	t.Parallel()
	server := pgtest.URL(t)
	var left atomic.Int64 // messages until the connection breaks
	proxy := pgtest.NewProxy(t, server, func(fromServer bool, piece []byte) ([]byte, bool) {
		if !fromServer && left.Add(-1) < 0 {
			return nil, false
		}
		return piece, true
	})
	const plenty = 1 << 40
	sent, done := int64(0), 0
	rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
	for round := range 8 {
		left.Store(plenty)
		url := pgtest.Schema(t)
		db := openSchema(t, url, nil)
		addHistory(t, db, 3, 12)
		before, err := db.Tasks.List(t.Context(), nexus.TaskFilter{})
		fatal(t, err)
		killed := openSchema(t, pgtest.With(proxy.URL(server), "schema", pgtest.Param(url, "schema")), func(o *postgres.Options) {
			o.Patience = 50 * time.Millisecond
		})
		if round > 0 {
			left.Store(1 + rng.Int64N(sent))
		}
		_, err = killed.Compact(t.Context(), nexus.CompactRequest{})
		switch code := nexus.CodeOf(err); {
		case round == 0:
			fatal(t, err)
			sent = plenty - left.Load()
		case code != "" && code != nexus.CodeOffline && code != nexus.CodeUnknown:
			t.Errorf("round %d: %v", round, err)
		}
		checkpointsHold(t, db, 3)
		again, err := db.Compact(t.Context(), nexus.CompactRequest{})
		fatal(t, err)
		if again.Forgotten == 0 {
			done++
		}
		checkpointsHold(t, db, 3)
		once, err := db.Compact(t.Context(), nexus.CompactRequest{})
		fatal(t, err)
		if once.Forgotten+once.Rewritten > 0 {
			t.Errorf("round %d: to compact once more did %+v", round, once)
		}
		after, err := db.Tasks.List(t.Context(), nexus.TaskFilter{})
		fatal(t, err)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("round %d: the tasks are not what they were:\n%s", round, diff)
		}
	}
	t.Logf("%d messages; in %d rounds all was forgotten", sent, done)
}
