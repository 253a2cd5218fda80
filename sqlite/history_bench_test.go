package sqlite_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// BenchmarkHistory compares writes with the same ones in a database whose history was
// taken away, in turns, one writer, synchronous=NORMAL.
func BenchmarkHistory(b *testing.B) {
	printVersion()
	type pair struct{ with, without func(int) }
	for name, op := range map[string]func(*testing.B, *store.DB) func(int){
		"Update": benchUpdate, "Create": benchCreate, "Pair": benchPair,
	} {
		b.Run(name, func(b *testing.B) {
			p := pair{op(b, benchHistoryFile(b, true)), op(b, benchHistoryFile(b, false))}
			overhead(b, 10, contender{op: p.with}, contender{op: p.without})
		})
	}
}

func benchHistoryFile(b *testing.B, history bool) *store.DB {
	path := newPath(b)
	db := open(b, path, &sqlite.Options{NoSync: true})
	shapes[1].fill(b, db, 20_000)
	if !history {
		mustClose(b, db)
		var drop []string
		c := otherProgram(b, path)
		benchMust(b, sqlitex.Execute(c, `SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%\_history\_%' ESCAPE '\'`,
			&sqlitex.ExecOptions{ResultFunc: func(s *zombiezen.Stmt) error {
				drop = append(drop, "DROP TRIGGER "+s.ColumnText(0))
				return nil
			}}))
		benchMust(b, sqlitex.ExecuteScript(c, strings.Join(drop, ";"), nil))
		db = open(b, path, &sqlite.Options{NoSync: true})
	}
	return db
}

func benchUpdate(b *testing.B, db *store.DB) func(int) {
	n := 0
	return func(int) {
		n++
		_, err := db.Tasks.Update(background, fmt.Sprintf("t%08d", n%20_000), nexus.TaskUpdate{Name: new(fmt.Sprintf("name %d", n))})
		benchMust(b, err)
	}
}

func benchCreate(b *testing.B, db *store.DB) func(int) {
	return func(int) {
		benchMust(b, db.Tasks.Create(background, &nexus.Task{ProjectID: "p", FeatureID: "f1", Name: "a further task", Description: "what it is about"}))
	}
}

func benchPair(b *testing.B, db *store.DB) func(int) {
	return func(int) {
		claims, err := db.Tasks.Claim(background, nexus.ClaimRequest{AgentID: "a"})
		benchMust(b, err)
		_, err = db.Tasks.Complete(background, claims[0].TaskID, claims[0].Epoch, nexus.Evidence{})
		benchMust(b, err)
	}
}

// BenchmarkCheckpoint makes checkpoints of a project of 10,000 tasks, with ten changes
// between them, and then goes back. One round is enough.
func BenchmarkCheckpoint(b *testing.B) {
	printVersion()
	path := newPath(b)
	db := open(b, path, nil)
	shapes[1].fill(b, db, 10_000)
	const many = 1000
	var took, held []float64
	change := func(n int) {
		benchMust(b, db.InTx(background, func(tx *store.Tx) error {
			for i := range n {
				_, err := tx.Exec(background, "UPDATE tasks SET name = name || '.', revision = revision + 1 WHERE id = $1", fmt.Sprintf("t%08d", i*7919%10_000))
				if err != nil {
					return err
				}
			}
			return nil
		}))
	}
	size := func() int64 {
		benchMust(b, db.Close())
		info, err := os.Stat(path)
		benchMust(b, err)
		db = open(b, path, nil)
		return info.Size()
	}
	before := size()
	for range many {
		change(10)
		start := time.Now()
		p, err := db.Checkpoint(background, nexus.CheckpointRequest{ProjectID: "p"})
		benchMust(b, err)
		took = append(took, time.Since(start).Seconds()*1e3)
		// What it does while it holds the writer is to store a row like this.
		again := *p
		again.ID = ""
		start = time.Now()
		benchMust(b, db.Checkpoints.Create(background, &again))
		held = append(held, time.Since(start).Seconds()*1e3)
		benchMust(b, db.Checkpoints.Delete(background, again.ID))
	}
	b.ReportMetric(float64(size()-before)/1e6, "growth-MB")
	b.ReportMetric(median(took), "checkpoint-ms")
	b.ReportMetric(median(held), "held-ms")
	for _, n := range []int{100, 10_000} {
		var restores []float64
		for range 5 {
			p, err := db.Checkpoint(background, nexus.CheckpointRequest{ProjectID: "p"})
			benchMust(b, err)
			change(n)
			start := time.Now()
			_, err = db.Restore(background, p.ID, false)
			benchMust(b, err)
			restores = append(restores, time.Since(start).Seconds()*1e3)
		}
		b.ReportMetric(median(restores), fmt.Sprintf("restore%d-ms", n))
	}
	b.ReportMetric(0, "ns/op")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// BenchmarkPast reads the past of a thousand tasks with a million changes.
func BenchmarkPast(b *testing.B) {
	printVersion()
	db := open(b, newPath(b), &sqlite.Options{NoSync: true})
	shapes[0].fill(b, db, 1000)
	for n := range 1000 {
		benchMust(b, db.InTx(background, func(tx *store.Tx) error {
			_, err := tx.Exec(background, "UPDATE tasks SET name = 'name ' || $1, revision = revision + 1", n)
			return err
		}))
	}
	last, err := db.LastChange(background)
	benchMust(b, err)
	for name, share := range map[string]float64{"Recent": 0.999, "Half": 0.5, "First": 0.002} {
		past := db.AsOf(int64(float64(last) * share))
		b.Run("Get/"+name, func(b *testing.B) {
			for i := range b.N {
				_, err := past.Tasks.Get(background, fmt.Sprintf("t%08d", i%1000))
				benchMust(b, err)
			}
		})
		b.Run("List1000/"+name, func(b *testing.B) {
			for range b.N {
				list, err := past.Tasks.List(background, nexus.TaskFilter{ProjectID: "p"})
				benchMust(b, err)
				if len(list) != 1000 {
					b.Fatalf("%d tasks", len(list))
				}
			}
		})
	}
}
