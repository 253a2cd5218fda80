package postgres_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/pgtest"
	"github.com/seed-c8812374/nexus/postgres"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/storetest"
)

var background = context.Background()

// durable returns the URL of a server that waits for the disk, as one in use does.
func durable(b *testing.B) string {
	b.Helper()
	if url := os.Getenv("NEXUS_TEST_POSTGRES_URL"); url != "" {
		return url
	}
	return pgtest.Own(b, "fsync=on", "full_page_writes=on").URL()
}

func BenchmarkStore(b *testing.B) {
	url := durable(b)
	storetest.Bench(b, func(b *testing.B) *store.DB { return openBench(b, url) })
}

func openBench(b *testing.B, url string) *store.DB {
	b.Helper()
	db, err := postgres.Open(background, pgtest.SchemaOf(b, url), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return db
}

// BenchmarkWorkLoop has workers claim tasks and complete them, each step a
// transaction of its own. Within InTx they are serializable. pgbench's own simple
// updates (-N) with as many clients say what the server can do.
func BenchmarkWorkLoop(b *testing.B) {
	url := durable(b)
	for _, workers := range []int{1, 8, 32, 128} {
		for _, inTx := range []bool{false, true} {
			b.Run(fmt.Sprintf("workers=%d/InTx=%v", workers, inTx), func(b *testing.B) {
				benchWorkLoop(b, openBench(b, url), workers, inTx)
			})
		}
		b.Run(fmt.Sprintf("workers=%d/pgbench", workers), func(b *testing.B) { benchPgbench(b, url, workers) })
	}
}

// BenchmarkGrowth is BenchmarkWorkLoop in a database with more or fewer tasks, as an import
// leaves them.
func BenchmarkGrowth(b *testing.B) {
	server := durable(b)
	for _, tasks := range []int{1_000, 1_000_000} {
		url := pgtest.SchemaOf(b, server)
		db, err := postgres.Open(background, url, nil)
		if err != nil {
			b.Fatal(err)
		}
		err = db.Projects.Create(background, &nexus.Project{ID: "q", Name: "n", RootPath: "/"})
		if err != nil {
			b.Fatal(err)
		}
		pgtest.Exec(b, url, fmt.Sprintf(`
			SET session_replication_role = replica;
			INSERT INTO tasks (id, project_id, name, status, created_at, updated_at)
			SELECT 'q' || n, 'q', 'n', 'pending', n, n FROM generate_series(1, %d) n`, tasks))
		pgtest.Exec(b, url, "VACUUM ANALYZE tasks")
		b.Run(fmt.Sprintf("tasks=%d", tasks), func(b *testing.B) { claimAndComplete(b, db, 8, false) })
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchWorkLoop(b *testing.B, db *store.DB, workers int, inTx bool) {
	err := db.Projects.Create(background, &nexus.Project{ID: "p", Name: "n", RootPath: "/"})
	if err != nil {
		b.Fatal(err)
	}
	tasks := make([]*nexus.Task, b.N+workers)
	for i := range tasks {
		tasks[i] = storetest.BenchTask(i)
		tasks[i].ProjectID, tasks[i].FeatureID, tasks[i].SubFeatureID, tasks[i].DependsOn = "p", "", "", nil
	}
	if err := db.Tasks.CreateMany(background, tasks); err != nil {
		b.Fatal(err)
	}
	claimAndComplete(b, db, workers, inTx)
}

// claimAndComplete has workers claim and complete b.N of the tasks that are there.
func claimAndComplete(b *testing.B, db *store.DB, workers int, inTx bool) {
	write := func(fn func(*store.Services) error) error { return fn(&db.Services) }
	if inTx {
		write = func(fn func(*store.Services) error) error {
			return db.InTx(background, func(tx *store.Tx) error { return fn(&tx.Services) })
		}
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for w := range workers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				var claims []nexus.Claim
				err := write(func(s *store.Services) (err error) {
					claims, err = s.Tasks.Claim(background, nexus.ClaimRequest{AgentID: fmt.Sprintf("agent-%d", w)})
					return err
				})
				if err == nil && len(claims) != 1 {
					err = fmt.Errorf("%d claims", len(claims))
				}
				if err == nil {
					err = write(func(s *store.Services) error {
						_, err := s.Tasks.Complete(background, claims[0].TaskID, claims[0].Epoch, nexus.Evidence{})
						return err
					})
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "transactions/s")
}

// benchPgbench reports the transactions per second of pgbench -N.
func benchPgbench(b *testing.B, url string, clients int) {
	pgbench, err := exec.LookPath("pgbench")
	if err != nil {
		pgtest.NotTested(b, err)
	}
	host := pgtest.Param(url, "host")
	run := func(args ...string) string {
		out, err := exec.Command(pgbench, append([]string{"-h", host, "-U", "postgres", "postgres"}, args...)...).CombinedOutput()
		if err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	run("-i", "-q", "-s", "10")
	out := run("-N", "-M", "prepared", "-c", strconv.Itoa(clients), "-j", "2", "-T", strconv.Itoa(int((5 * time.Second).Seconds())))
	found := regexp.MustCompile(`tps = ([0-9.]+)`).FindStringSubmatch(out)
	if found == nil {
		b.Fatal(out)
	}
	tps, _ := strconv.ParseFloat(found[1], 64)
	b.ReportMetric(tps, "transactions/s")
}
