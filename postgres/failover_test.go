package postgres_test

import (
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/pgtest"
	"github.com/seed-c8812374/nexus/postgres"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
	"github.com/seed-c8812374/nexus/storetest"
)

// pair is a primary, and a standby without which nothing is acknowledged.
func pair(t *testing.T) (primary, standby *pgtest.Server, both string) {
	t.Helper()
	primary = pgtest.Own(t)
	standby, err := primary.Standby("second")
	fatal(t, err)
	t.Cleanup(standby.Stop)
	pgtest.Exec(t, primary.URL(), "ALTER SYSTEM SET synchronous_standby_names = 'second'")
	pgtest.Exec(t, primary.URL(), "SELECT pg_reload_conf()")
	for synchronous := false; !synchronous; {
		conn, err := pgtest.Connect(t.Context(), primary.URL())
		fatal(t, err)
		fatal(t, conn.QueryRow(t.Context(), `
			SELECT current_setting('synchronous_standby_names') = 'second' AND EXISTS (SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync')`,
		).Scan(&synchronous))
		fatal(t, conn.Close(t.Context()))
	}
	hosts := url.QueryEscape(primary.Folder() + "," + standby.Folder())
	return primary, standby, "postgres://postgres@/postgres?target_session_attrs=read-write&host=" + hosts
}

// TestFailover kills the primary under workers and promotes the standby. All that was
// acknowledged is there, each task was completed once, and every call has succeeded, or
// has said within its patience what to do.
func TestFailover(t *testing.T) {
	t.Parallel()
	primary, standby, both := pair(t)
	const workers, tasks, patience = 8, 300, 20 * time.Second
	db := openSchema(t, pgtest.With(both, "schema", "shop"), func(o *postgres.Options) { o.Patience, o.Now = patience, nil })
	fatal(t, newProject(t.Context(), &db.Services, "p"))
	list := make([]*nexus.Task, tasks)
	for i := range list {
		list[i] = &nexus.Task{ID: fmt.Sprintf("t%03d", i), ProjectID: "p", Name: "n"}
	}
	fatal(t, db.Tasks.CreateMany(t.Context(), list))

	seen := make(chan error, 1) // a watcher goes on over the failover
	watched := make(map[int64]bool)
	go func() {
		completed := 0
		seen <- db.Watch(background, 0, nexus.HistoryFilter{Kind: nexus.KindTask}, func(c *nexus.Change) error {
			if watched[c.Seq] {
				t.Errorf("change %d was seen twice", c.Seq)
			}
			watched[c.Seq] = true
			if task, is := c.After.(*nexus.Task); is && c.Name == "complete" && task.Status == nexus.TaskCompleted {
				completed++
			}
			if completed == tasks {
				return errEnough
			}
			return nil
		})
	}()
	var mu sync.Mutex
	acknowledged := make(map[string]bool)
	codes := make(map[nexus.Code]int)
	var longest time.Duration
	var done atomic.Int64
	midway := make(chan struct{})
	// call repeats a call with its idempotency key until it is known what has become of it.
	call := func(key string, fn func(tx *store.Tx) (nexus.Claim, error)) (nexus.Claim, error) {
		for {
			began := time.Now()
			result, _, err := store.Once(background, db, key, key, fn)
			mu.Lock()
			codes[nexus.CodeOf(err)]++
			longest = max(longest, time.Since(began))
			mu.Unlock()
			switch nexus.CodeOf(err) {
			case nexus.CodeUnknown, nexus.CodeOffline, nexus.CodeBusy, nexus.CodeReadOnly:
			default:
				return result, err
			}
		}
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := 0; ; i++ {
				claimed, err := call(fmt.Sprintf("%d-%d-claim", w, i), func(tx *store.Tx) (none nexus.Claim, err error) {
					claims, err := tx.Tasks.Claim(background, nexus.ClaimRequest{AgentID: fmt.Sprint(w), Lease: time.Hour})
					if len(claims) == 0 {
						return none, err
					}
					return claims[0], err
				})
				if err != nil || claimed.TaskID == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				_, err = call(fmt.Sprintf("%d-%d-complete", w, i), func(tx *store.Tx) (nexus.Claim, error) {
					_, err := tx.Tasks.Complete(background, claimed.TaskID, claimed.Epoch, nexus.Evidence{})
					return claimed, err
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if acknowledged[claimed.TaskID] {
					t.Errorf("%s was completed twice", claimed.TaskID)
				}
				acknowledged[claimed.TaskID] = true
				mu.Unlock()
				if done.Add(1) == tasks/4 {
					close(midway)
				}
			}
		})
	}
	<-midway
	fatal(t, primary.Kill())
	mu.Lock()
	before := len(acknowledged)
	mu.Unlock()
	fatal(t, standby.Promote())
	wg.Wait()
	if err := <-seen; err != errEnough {
		t.Error(err)
	}
	t.Logf("%d of %d tasks were completed before; calls ended with %v, the longest after %v", before, tasks, codes, longest)
	if len(acknowledged) != tasks || before == tasks {
		t.Errorf("%d tasks were completed, %d of them before", len(acknowledged), before)
	}
	if limit := 2 * patience; longest > limit {
		t.Errorf("a call took %v", longest)
	}
	counts, err := db.Tasks.CountByStatus(t.Context(), nexus.TaskFilter{})
	fatal(t, err)
	if counts[nexus.TaskCompleted] != tasks || len(counts) != 1 {
		t.Errorf("statuses: %v", counts)
	}
	fatal(t, db.View(t.Context(), func(tx *store.Tx) error {
		const sql = `SELECT count(*), count(DISTINCT task_id), string_agg(DISTINCT outcome, ' ') FROM task_attempts`
		return tx.Query(t.Context(), sql, nil, func(r driver.Row) error {
			if r.Int(0) != tasks || r.Int(1) != tasks || r.Text(2) != "completed" {
				t.Errorf("%d attempts at %d tasks: %s", r.Int(0), r.Int(1), r.Text(2))
			}
			return nil
		})
	}))
	fatal(t, storetest.CheckDerived(t.Context(), db))
	_, err = postgres.Open(t.Context(), pgtest.With(primary.URL(), "schema", "shop"), nil)
	wantCode(t, err, nexus.CodeOffline)
}
