package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// shape is how the tasks of a project hang together.
type shape struct {
	name    string
	what    string
	depends string // depends_on of task i, as SQL; NULL is none
	few     bool   // tasks are ready: those that were completed are reopened off the clock
}

// Of every shape at least ten tasks are ready.
var shapes = []shape{
	{"Open", "all tasks are ready", `NULL`, false},
	{"Layers", "each task depends on two of the ten before it, as a planner's do", `
		CASE WHEN i < 10 THEN NULL ELSE json_array(printf('t%08d', i - 1 - i % 5), printf('t%08d', i - 6 - i % 5)) END`, false},
	{"Blocked", "all but ten tasks wait", `CASE WHEN i < 11 THEN NULL ELSE '["t00000010"]' END`, true},
	{"Hub", "10,000 tasks wait for one, and the others for nothing", `
		CASE WHEN i BETWEEN 11 AND 10010 THEN '["t00000010"]' END`, false},
}

// fill stores n tasks of a shape in a hundred features, in SQL: the benchmarks are
// about what comes after. Task 10, for which others wait, is escalated.
func (s shape) fill(b testing.TB, db *store.DB, n int) {
	b.Helper()
	ctx := context.Background()
	benchMust(b, db.Projects.Create(ctx, &nexus.Project{ID: "p", Name: "Growth", RootPath: "/src/growth"}))
	var features []*nexus.Feature
	for i := range 100 {
		features = append(features, &nexus.Feature{ID: fmt.Sprintf("f%d", i), ProjectID: "p", Name: fmt.Sprintf("Feature %d", i)})
	}
	benchMust(b, db.Features.CreateMany(ctx, features))
	const chunk = 50_000
	for from := 0; from < n; from += chunk {
		benchMust(b, db.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, `
				WITH RECURSIVE numbers (i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < $2)
				INSERT INTO tasks (id, project_id, feature_id, name, description, status, depends_on, priority, created_at, updated_at)
				SELECT printf('t%08d', i), 'p', 'f' || (i % 100), 'Add the endpoint of use case ' || i,
					'It validates its input, answers in JSON, and has a test for each of its errors.',
					CASE i WHEN 10 THEN 'escalated' ELSE 'pending' END, `+s.depends+`, i % 4, 1700000000 + i, 1700000000 + i
				FROM numbers`, from, min(from+chunk, n))
			return err
		}))
	}
}

// BenchmarkGrowth measures the work loop while the number of tasks grows, one
// writer, synchronous=NORMAL. It wants -benchtime 500x or less: of a thousand
// tasks it completes as many.
func BenchmarkGrowth(b *testing.B) {
	printVersion()
	for _, s := range shapes {
		for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
			if s.name == "Hub" && n < 100_000 {
				continue
			}
			b.Run(fmt.Sprintf("%s/%d", s.name, n), func(b *testing.B) { benchGrowth(b, s, n) })
		}
	}
}

func benchGrowth(b *testing.B, s shape, n int) {
	ctx := context.Background()
	db := open(b, newPath(b), &sqlite.Options{NoSync: true})
	s.fill(b, db, n)
	const warmUp = 300 // the first ones read what the cache does not hold yet
	var pairs, readies []float64
	for i := 0; i < b.N+warmUp; i++ {
		start := time.Now()
		claims, err := db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: "a"})
		benchMust(b, err)
		if len(claims) != 1 {
			b.Fatalf("%d claims", len(claims))
		}
		_, err = db.Tasks.Complete(ctx, claims[0].TaskID, claims[0].Epoch, nexus.Evidence{})
		benchMust(b, err)
		pair := time.Since(start)

		start = time.Now()
		list, err := db.Tasks.Ready(ctx, nexus.ReadyFilter{Limit: 10})
		benchMust(b, err)
		ready := time.Since(start)
		if len(list) == 0 {
			b.Fatal("nothing is ready")
		}
		if s.few {
			_, err = db.Tasks.Reopen(ctx, claims[0].TaskID, "")
			benchMust(b, err)
		}
		if i >= warmUp {
			pairs, readies = append(pairs, float64(pair.Nanoseconds())), append(readies, float64(ready.Nanoseconds()))
		}
	}
	report := func(name string, values []float64) {
		slices.Sort(values)
		b.ReportMetric(values[len(values)/2]/1e3, name+"-µs")
	}
	report("pair", pairs)
	report("ready", readies)
	b.ReportMetric(0, "ns/op")
}

// BenchmarkPairs measures how many tasks so many workers complete in a second, in
// one process, synchronous=FULL: with a call to claim and one to complete, and as
// nexus work does, which completes one and claims the next in one transaction.
func BenchmarkPairs(b *testing.B) {
	printVersion()
	for _, workers := range []int{1, 8, 32, 128} {
		for name, work := range map[string]func(*store.DB, string, func() bool) error{
			"TwoCalls": workInTwoCalls, "AtOnce": workAtOnce,
		} {
			b.Run(fmt.Sprintf("%s/%d", name, workers), func(b *testing.B) {
				db := open(b, newPath(b), nil)
				shapes[0].fill(b, db, b.N+2*workers+11)
				runtime.GC()
				var left atomic.Int64
				left.Store(int64(b.N))
				more := func() bool { return left.Add(-1) >= 0 }
				b.ResetTimer()
				var all sync.WaitGroup
				for w := range workers {
					all.Go(func() {
						if err := work(db, fmt.Sprintf("agent %d", w), more); err != nil {
							b.Error(err)
						}
					})
				}
				all.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
			})
		}
	}
}

var errNoClaim = errors.New("there was nothing to claim")

func workInTwoCalls(db *store.DB, agent string, more func() bool) error {
	for more() {
		claims, err := db.Tasks.Claim(background, nexus.ClaimRequest{AgentID: agent})
		if err != nil || len(claims) != 1 {
			return errors.Join(errNoClaim, err)
		}
		_, err = db.Tasks.Complete(background, claims[0].TaskID, claims[0].Epoch, nexus.Evidence{})
		if err != nil {
			return err
		}
	}
	return nil
}

func workAtOnce(db *store.DB, agent string, more func() bool) error {
	var held []nexus.Claim
	for more() {
		var next []nexus.Claim
		err := db.InTx(background, func(tx *store.Tx) (err error) {
			for _, c := range held {
				if _, err := tx.Tasks.Complete(background, c.TaskID, c.Epoch, nexus.Evidence{}); err != nil {
					return err
				}
			}
			next, err = tx.Tasks.Claim(background, nexus.ClaimRequest{AgentID: agent})
			return err
		})
		if held = next; err != nil || len(held) != 1 {
			return errors.Join(errNoClaim, err)
		}
	}
	return nil
}

// BenchmarkRecover measures taking back a thousand tasks in flight.
func BenchmarkRecover(b *testing.B) {
	ctx := context.Background()
	now := time.Now()
	db := open(b, newPath(b), &sqlite.Options{Now: func() time.Time { return now }})
	shapes[0].fill(b, db, 2000)
	var spent []float64
	for range b.N {
		for agent := range 10 {
			claims, err := db.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: fmt.Sprint(agent), Count: 100})
			benchMust(b, err)
			if len(claims) != 100 {
				b.Fatalf("%d claims", len(claims))
			}
		}
		now = now.Add(nexus.DefaultLease)
		start := time.Now()
		report, err := db.Recover(ctx, nexus.RecoverRequest{})
		spent = append(spent, time.Since(start).Seconds()*1e3)
		benchMust(b, err)
		if len(report.Tasks) != 1000 {
			b.Fatalf("%d tasks", len(report.Tasks))
		}
		benchMust(b, db.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE tasks SET failed_attempts = 0, status = 'pending'")
			return err
		}))
	}
	slices.Sort(spent)
	b.ReportMetric(spent[len(spent)/2], "recover-ms")
	b.ReportMetric(0, "ns/op")
}
