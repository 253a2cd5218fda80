package sqlite_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/handle"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/storetest"
)

// BenchmarkStore is the suite of all drivers. It does not wait for the disk: it
// is about what the code costs.
func BenchmarkStore(b *testing.B) {
	printVersion()
	storetest.Bench(b, func(b *testing.B) *store.DB {
		return open(b, newPath(b), &sqlite.Options{NoSync: true})
	})
}

// BenchmarkOverhead compares the store with the same statements sent straight to
// zombiezen.com/go/sqlite: same SQL text, same pragmas, statements kept, the
// same values bound, and each column read into a plain struct. It is what a
// program without the store could hope for at best.
func BenchmarkOverhead(b *testing.B) {
	printVersion()
	b.Run("Get", overheadGet)
	b.Run("List1000", overheadList)
	b.Run("Create", func(b *testing.B) { overheadCreate(b, "NORMAL", 20) })
	b.Run("CreateFull", func(b *testing.B) { overheadCreate(b, "FULL", 25) })
}

func overheadGet(b *testing.B) {
	const ops = 200
	path, sql := benchFile(b)
	db := open(b, path, nil)
	get := newDirect(b, path, "FULL", "PRAGMA query_only = ON").prepare(sql.get)

	stored, err := db.Tasks.Get(background, storetest.BenchTaskID(7))
	benchMust(b, err)
	mustBePlain(b, get.one(b, storetest.BenchTaskID(7)), stored)

	overhead(b, ops,
		contender{op: func(i int) {
			_, err := db.Tasks.Get(background, storetest.BenchTaskID(i))
			benchMust(b, err)
		}},
		contender{op: func(i int) { get.one(b, storetest.BenchTaskID(i)) }})
}

func overheadList(b *testing.B) {
	const ops = 1
	path, sql := benchFile(b)
	db := open(b, path, nil)
	list := newDirect(b, path, "FULL", "PRAGMA query_only = ON").prepare(sql.list)

	stored, err := db.Tasks.List(background, nexus.TaskFilter{ProjectID: storetest.BenchProject})
	benchMust(b, err)
	mustBePlain(b, &list.all(b, storetest.BenchProject)[7], &stored[7])

	overhead(b, ops,
		contender{op: func(int) {
			_, err := db.Tasks.List(background, nexus.TaskFilter{ProjectID: storetest.BenchProject})
			benchMust(b, err)
		}},
		contender{op: func(int) { list.all(b, storetest.BenchProject) }})
}

// overheadCreate gives each side a file of its own, which grow alike. The store
// copies its write-ahead log into its file in the background; the direct code's
// is copied between its turns, off its clock.
func overheadCreate(b *testing.B, synchronous string, ops int) {
	path, sql := benchFile(b)
	directPath, _ := benchFile(b)
	db := open(b, path, &sqlite.Options{NoSync: synchronous == "NORMAL"})
	direct := newDirect(b, directPath, synchronous,
		"PRAGMA wal_autocheckpoint = 16000", "PRAGMA journal_size_limit = 67108864")
	begin, insert, commit := direct.prepare("BEGIN IMMEDIATE"), direct.prepare(sql.insert), direct.prepare("COMMIT")

	task := storetest.BenchTask(7)
	create := func() {
		task.ID = ""
		benchMust(b, db.Tasks.Create(background, task))
	}
	create()
	plain := newPlainTask(task)
	createDirect := func(id string) {
		begin.run(b)
		plain.id = id
		insert.bindTask(&plain)
		insert.run(b)
		commit.run(b)
	}
	createDirect(task.ID)
	mustBePlain(b, direct.prepare(sql.get).one(b, task.ID), task)

	ids := make([]string, ops)
	newIDs := func() {
		for i := range ids {
			ids[i] = nexus.NewID(nexus.KindTask, time.Now())
		}
	}
	overhead(b, ops,
		contender{op: func(int) { create() }},
		contender{
			before: func() {
				if direct.logPages() >= 4000 { // about where the store's begins afresh
					benchMust(b, sqlitex.ExecuteTransient(direct.c, "PRAGMA wal_checkpoint", nil))
					newIDs()
					createDirect(ids[0]) // the first in a fresh log waits for the disk
				}
				newIDs()
			},
			op: func(i int) { createDirect(ids[i]) },
		})
}

// contender is one of the sides of a comparison.
type contender struct {
	before func()      // a turn, off the clock; may be nil
	op     func(i int) // the i-th operation of a turn
}

// overhead gives the store and the direct code turns of so many operations each,
// short enough that most are not interrupted.
func overhead(b *testing.B, ops int, throughStore, direct contender) {
	ns := turns(b, ops, throughStore, direct)
	ratios := make([]float64, len(ns[0]))
	for i := range ratios {
		ratios[i] = ns[0][i] / ns[1][i]
	}
	b.ReportMetric(middle(ns[0]), "store-ns/op")
	b.ReportMetric(middle(ns[1]), "direct-ns/op")
	report(b, ratios, "x")
}

// turns runs the contenders alternately, so that whatever else the machine does
// meets them alike, and returns the nanoseconds that an operation of each took in
// each turn.
func turns(b *testing.B, ops int, contenders ...contender) [][]float64 {
	ns := make([][]float64, len(contenders))
	for turn := 0; b.Loop(); turn++ {
		for k := range contenders {
			k = (k + turn) % len(contenders)
			c := &contenders[k]
			if c.before != nil {
				c.before()
			}
			start := time.Now()
			for i := range ops {
				c.op(i)
			}
			ns[k] = append(ns[k], float64(time.Since(start).Nanoseconds())/float64(ops))
		}
	}
	b.ReportMetric(0, "ns/op") // of all together: it says nothing
	return ns
}

// report reports the median, and the quarters beside it.
func report(b *testing.B, values []float64, unit string) {
	b.ReportMetric(middle(values), unit)
	b.ReportMetric(quantile(values, 0.25), unit+"-p25")
	b.ReportMetric(quantile(values, 0.75), unit+"-p75")
}

func middle(values []float64) float64 { return quantile(values, 0.5) }

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

// BenchmarkCreateTogether measures how many tasks a second are created by 1, 8,
// 32 and 128 goroutines, each acknowledged only when it is on disk. They have
// turns on one database.
func BenchmarkCreateTogether(b *testing.B) {
	path, _ := benchFile(b)
	db := open(b, path, nil)
	writers := []int{1, 8, 32, 128}
	each := []int{256, 128, 64, 16} // creates of each goroutine in a turn
	rates := make([][]float64, len(writers))
	gains := make([][]float64, len(writers))
	for b.Loop() {
		for k, n := range writers {
			var all sync.WaitGroup
			start := time.Now()
			for range n {
				all.Go(func() {
					task := storetest.BenchTask(7)
					for range each[k] {
						task.ID = ""
						if err := db.Tasks.Create(background, task); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			rate := float64(n*each[k]) / time.Since(start).Seconds()
			rates[k] = append(rates[k], rate)
			gains[k] = append(gains[k], rate/rates[0][len(rates[0])-1])
		}
	}
	b.ReportMetric(0, "ns/op")
	for k, n := range writers {
		report(b, rates[k], fmt.Sprintf("by%d/s", n))
		report(b, gains[k], fmt.Sprintf("by%d-x", n))
	}
}

// BenchmarkOpen measures sqlite.Open, and Close after it, with the file in the
// system's cache.
func BenchmarkOpen(b *testing.B) {
	measure := func(b *testing.B, path func() string) {
		var opening, both []float64
		for b.Loop() {
			path := path()
			start := time.Now()
			db, err := sqlite.Open(background, path, nil)
			opened := time.Since(start)
			benchMust(b, err)
			benchMust(b, db.Close())
			opening = append(opening, opened.Seconds()*1000)
			both = append(both, time.Since(start).Seconds()*1000)
		}
		report(b, opening, "open-ms")
		report(b, both, "open+close-ms")
	}
	b.Run("UpToDate", func(b *testing.B) {
		path, _ := benchFile(b)
		measure(b, func() string { return path })
	})
	b.Run("New", func(b *testing.B) {
		folder, n := b.TempDir(), 0
		measure(b, func() string {
			n++
			return filepath.Join(folder, fmt.Sprint(n), "nexus.db")
		})
	})
}

// printVersion says once which SQLite this is, as a line of configuration that
// benchstat understands.
var printVersion = sync.OnceFunc(func() { fmt.Println("sqlite:", zombiezen.Version) })

// sqlTexts are the statements that the store sends.
type sqlTexts struct{ get, list, insert string }

// benchFile makes a database with the work of the benchmarks, and takes down the
// statements with which the store reads and writes a task.
func benchFile(b *testing.B) (path string, sql sqlTexts) {
	b.Helper()
	path = newPath(b)
	db := open(b, path, nil)
	storetest.BenchFill(b, db)
	mustClose(b, db)

	var last lastStatement
	db = open(b, path, &sqlite.Options{Debug: true, Logger: slog.New(&last)})
	_, err := db.Tasks.Get(background, storetest.BenchTaskID(0))
	benchMust(b, err)
	sql.get = last.text
	_, err = db.Tasks.List(background, nexus.TaskFilter{ProjectID: storetest.BenchProject})
	benchMust(b, err)
	sql.list = last.text
	task := storetest.BenchTask(0)
	benchMust(b, db.Tasks.Create(background, task))
	sql.insert = last.text
	benchMust(b, db.Tasks.Delete(background, task.ID))
	mustClose(b, db)
	return path, sql
}

// lastStatement is a slog handler that keeps the last statement about tasks.
type lastStatement struct {
	slog.Handler
	text string
}

func (l *lastStatement) Enabled(context.Context, slog.Level) bool { return true }

func (l *lastStatement) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "sql" && strings.Contains(a.Value.String(), " tasks ") {
			l.text = a.Value.String()
		}
		return true
	})
	return nil
}

// direct is a connection without the store.
type direct struct {
	b *testing.B
	c *zombiezen.Conn
}

func newDirect(b *testing.B, path, synchronous string, pragmas ...string) direct {
	b.Helper()
	c, err := handle.Open(path, zombiezen.OpenReadWrite)
	benchMust(b, err)
	b.Cleanup(func() { benchMust(b, handle.Close(c)) })
	c.SetBusyTimeout(0)
	for _, pragma := range append([]string{
		"PRAGMA foreign_keys = ON", "PRAGMA synchronous = " + synchronous, "PRAGMA temp_store = MEMORY",
	}, pragmas...) {
		benchMust(b, sqlitex.ExecuteTransient(c, pragma, nil))
	}
	return direct{b, c}
}

// prepare prepares a statement, which the connection keeps.
func (d direct) prepare(sql string) directStmt {
	d.b.Helper()
	s, err := d.c.Prepare(sql)
	benchMust(d.b, err)
	return directStmt{s}
}

// logPages returns how many pages the write-ahead log has.
func (d direct) logPages() (pages int) {
	d.b.Helper()
	benchMust(d.b, sqlitex.ExecuteTransient(d.c, "PRAGMA wal_checkpoint(NOOP)", &sqlitex.ExecOptions{
		ResultFunc: func(s *zombiezen.Stmt) error {
			pages = s.ColumnInt(1)
			return nil
		},
	}))
	return pages
}

type directStmt struct{ *zombiezen.Stmt }

// run runs a statement that returns nothing.
func (s directStmt) run(b *testing.B) {
	_, err := s.Step()
	benchMust(b, err)
	benchMust(b, s.Reset())
}

// one reads the row with an id.
func (s directStmt) one(b *testing.B, id string) *plainTask {
	s.BindText(1, id)
	found, err := s.Step()
	benchMust(b, err)
	if !found {
		b.Fatalf("%s is not there", id)
	}
	t := new(plainTask)
	s.scanTask(t)
	benchMust(b, s.Reset())
	return t
}

// all reads the rows of a project.
func (s directStmt) all(b *testing.B, project string) []plainTask {
	var list []plainTask
	s.BindText(1, project)
	for {
		more, err := s.Step()
		benchMust(b, err)
		if !more {
			break
		}
		list = append(list, plainTask{})
		s.scanTask(&list[len(list)-1])
	}
	benchMust(b, s.Reset())
	return list
}

func benchMust(b testing.TB, err error) {
	if err != nil {
		b.Helper()
		b.Fatal(err)
	}
}

// plainTask is a row of tasks as it is in the database: in the order of the
// store's columns, with 0 and "" for NULL.
type plainTask struct {
	id, projectID, featureID, subFeatureID, name, description, status, size string
	assignedAgent, worktreePath, branchName, dependsOn, blockedBy           string
	qaIterations, maxIterations, estimatedMinutes, actualMinutes            int64
	startedAt, completedAt, createdAt, updatedAt, revision                  int64
	planKey                                                                 string
	priority                                                                int64
	metadata                                                                string
	maxAttempts, failedAttempts                                             int64
}

func (s directStmt) scanTask(t *plainTask) {
	t.id = s.ColumnText(0)
	t.projectID = s.ColumnText(1)
	t.featureID = s.ColumnText(2)
	t.subFeatureID = s.ColumnText(3)
	t.name = s.ColumnText(4)
	t.description = s.ColumnText(5)
	t.status = s.ColumnText(6)
	t.size = s.ColumnText(7)
	t.assignedAgent = s.ColumnText(8)
	t.worktreePath = s.ColumnText(9)
	t.branchName = s.ColumnText(10)
	t.dependsOn = s.ColumnText(11)
	t.blockedBy = s.ColumnText(12)
	t.qaIterations = s.ColumnInt64(13)
	t.maxIterations = s.ColumnInt64(14)
	t.estimatedMinutes = s.ColumnInt64(15)
	t.actualMinutes = s.ColumnInt64(16)
	t.startedAt = s.ColumnInt64(17)
	t.completedAt = s.ColumnInt64(18)
	t.createdAt = s.ColumnInt64(19)
	t.updatedAt = s.ColumnInt64(20)
	t.revision = s.ColumnInt64(21)
	t.planKey = s.ColumnText(22)
	t.priority = s.ColumnInt64(23)
	t.metadata = s.ColumnText(24)
	t.maxAttempts = s.ColumnInt64(25)
	t.failedAttempts = s.ColumnInt64(26)
}

// bindTask binds the values of a new task. The columns that it does not have
// are NULL since the statement was prepared.
func (s directStmt) bindTask(t *plainTask) {
	s.BindText(1, t.id)
	s.BindText(2, t.projectID)
	s.BindText(3, t.featureID)
	s.BindText(5, t.name)
	s.BindText(6, t.description)
	s.BindText(7, t.status)
	s.BindText(8, t.size)
	s.BindText(11, t.branchName)
	s.BindText(12, t.dependsOn)
	s.BindInt64(14, t.qaIterations)
	s.BindInt64(15, t.maxIterations)
	s.BindInt64(16, t.estimatedMinutes)
	s.BindInt64(20, t.createdAt)
	s.BindInt64(21, t.updatedAt)
	s.BindInt64(22, t.revision)
	s.BindInt64(24, t.priority)
	s.BindInt64(26, t.maxAttempts)
	s.BindInt64(27, t.failedAttempts)
	s.BindInt64(30, 1) // open_dependencies, of a task with one
}

// newPlainTask is what the columns of a task of the benchmarks hold.
func newPlainTask(t *nexus.Task) plainTask {
	return plainTask{
		id: t.ID, projectID: t.ProjectID, featureID: t.FeatureID, name: t.Name, description: t.Description,
		status: string(t.Status), size: string(t.Size), branchName: t.BranchName,
		dependsOn:     string(nexus.EncodeIDs(t.DependsOn)),
		maxIterations: int64(t.MaxIterations), estimatedMinutes: int64(t.EstimatedMinutes),
		createdAt: t.CreatedAt.Unix(), updatedAt: t.UpdatedAt.Unix(), revision: t.Revision,
		priority:    int64(slices.Index(nexus.TaskPriorities(), t.Priority)),
		maxAttempts: int64(t.MaxAttempts),
	}
}

// mustBePlain checks that both sides of a comparison do the same.
func mustBePlain(b *testing.B, got *plainTask, want *nexus.Task) {
	b.Helper()
	if *got != newPlainTask(want) {
		b.Fatalf("the direct code and the store disagree:\n%+v\n%+v", *got, newPlainTask(want))
	}
}
