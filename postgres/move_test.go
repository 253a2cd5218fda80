package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/pgtest"
	"github.com/seed-c8812374/nexus/jsonl"
	"github.com/seed-c8812374/nexus/postgres"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
	"github.com/seed-c8812374/nexus/storetest"
)

// TestExportBetween takes a database from SQLite to PostgreSQL: what it exports there is,
// row by row and to the byte, what it exported before.
func TestExportBetween(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	file, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "a.db"), nil)
	fatal(t, err)
	defer file.Close()
	fatal(t, newProject(ctx, &file.Services, "p"))
	fatal(t, file.Features.Create(ctx, &nexus.Feature{ID: "f", ProjectID: "p", Name: "Zoë's 🦀"}))
	fatal(t, file.Tasks.CreateMany(ctx, []*nexus.Task{
		{ID: "a", ProjectID: "p", FeatureID: "f", Name: "n", Metadata: `{"x": [1, 2.50]}`},
		{ID: "b", ProjectID: "p", FeatureID: "f", Name: "n", DependsOn: []string{"a"}},
		{ID: "c", ProjectID: "p", Name: "n"},
	}))
	for _, agent := range []string{"x", "y"} {
		_, err := file.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: agent, Lease: time.Hour})
		fatal(t, err)
	}
	fatal(t, file.Metrics.Create(ctx, &nexus.Metric{ID: "m", ProjectID: "p", Type: "cost_usd", Value: 0.1}))
	exported := func(db *store.DB) []byte {
		t.Helper()
		var text bytes.Buffer
		_, err := jsonl.Export(ctx, db, &text, nil)
		fatal(t, err)
		return text.Bytes()
	}
	first := exported(file)
	server := openSchema(t, pgtest.Schema(t), func(o *postgres.Options) { o.Now = time.Now })
	fatal(t, server.InTx(ctx, func(tx *store.Tx) error {
		_, err := jsonl.ImportIn(ctx, tx, bytes.NewReader(first), nil)
		return err
	}))
	fatal(t, storetest.CheckDerived(ctx, server))
	second := exported(server)
	if diff := cmp.Diff(rows(first), rows(second)); diff != "" {
		t.Errorf("in PostgreSQL it is another (-sqlite +postgres):\n%s", diff)
	}
	// Work goes on with later epochs than before.
	before, err := server.Tasks.InFlight(ctx)
	fatal(t, err)
	fatal(t, server.Tasks.CreateMany(ctx, []*nexus.Task{{ID: "d", ProjectID: "p", Name: "n"}}))
	claims, err := server.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: "z"})
	fatal(t, err)
	for _, a := range before {
		if claims[0].Epoch <= a.Epoch {
			t.Errorf("epoch %d comes after %d", claims[0].Epoch, a.Epoch)
		}
	}
}

// TestImportDeltas: of a large text that has changed a little, the history of SQLite keeps
// only what has changed. In PostgreSQL every past is what it was there.
func TestImportDeltas(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	file, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "a.db"), nil)
	fatal(t, err)
	defer file.Close()
	fatal(t, newProject(ctx, &file.Services, "p"))
	long := strings.Repeat("a long text, ", 100)
	fatal(t, file.Tasks.Create(ctx, &nexus.Task{ID: "a", ProjectID: "p", Name: "n", Description: long}))
	for n := range 4 {
		description := fmt.Sprint(n, long, n)
		_, err := file.Tasks.Update(ctx, "a", nexus.TaskUpdate{Description: &description, Name: new(fmt.Sprint(n))})
		fatal(t, err)
		_, err = file.Tasks.Update(ctx, "a", nexus.TaskUpdate{Name: new("between")})
		fatal(t, err)
	}
	var text bytes.Buffer
	_, err = jsonl.Export(ctx, file, &text, nil)
	fatal(t, err)
	server := openSchema(t, pgtest.Schema(t), nil)
	fatal(t, server.InTx(ctx, func(tx *store.Tx) error {
		_, err := jsonl.ImportIn(ctx, tx, bytes.NewReader(text.Bytes()), nil)
		return err
	}))
	last, err := file.LastChange(ctx)
	fatal(t, err)
	history := func(db *store.DB) (list []nexus.Change) {
		list, err := db.History(ctx, nexus.HistoryFilter{Kind: nexus.KindTask, ID: "a"})
		fatal(t, err)
		return list
	}
	if diff := cmp.Diff(history(file), history(server)); diff != "" || last < 10 {
		t.Errorf("after %d changes the history is another (-sqlite +postgres):\n%s", last, diff)
	}
}

// rows are the lines of an export but for its first and last, which describe it.
func rows(export []byte) []string {
	lines := bytes.Split(bytes.TrimSpace(export), []byte("\n"))
	var list []string
	for _, line := range lines[1 : len(lines)-1] {
		list = append(list, string(line))
	}
	return list
}

// TestMoveWalk moves random databases from SQLite to PostgreSQL and from there to SQLite
// again, which then exports the same bytes; what it is good for goes on in each.
func TestMoveWalk(t *testing.T) {
	t.Parallel()
	walkMoves(t, false)
}

// TestMoveCompactedWalk is that of databases that have forgotten something. Of those the
// history may be kept in another way at the end, but says the same.
func TestMoveCompactedWalk(t *testing.T) {
	t.Parallel()
	walkMoves(t, true)
}

func walkMoves(t *testing.T, compacting bool) {
	ctx, clock := t.Context(), storetest.NewClock()
	openFile := func(t interface{ TempDir() string }) *store.DB {
		db, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "nexus.db"), &sqlite.Options{Now: clock.Now, NoSync: true})
		if err != nil {
			panic(err)
		}
		return db
	}
	pgtest.URL(t) // or skip
	source := openFile(t)
	t.Cleanup(func() { fatal(t, source.Close()) })
	moves := 0
	storetest.WalkMoves(t, source, clock, compacting, func(rt *rapid.T) []*store.DB {
		moves++
		server := openSchema(t, pgtest.Schema(t), func(o *postgres.Options) { o.Now = clock.Now })
		back := openFile(t)
		t.Cleanup(func() { fatal(t, back.Close()) })
		var moved [2]*store.Moved
		for i, pair := range [][2]*store.DB{{source, server}, {server, back}} {
			var err error
			if moved[i], err = store.Move(ctx, pair[0], pair[1], nil); err != nil {
				rt.Fatalf("move %d: %v", i, err)
			}
		}
		if diff := cmp.Diff(moved[0], moved[1]); diff != "" {
			rt.Fatalf("there and back (-there +back):\n%s", diff)
		}
		was, is := exportOf(t, source), exportOf(t, back)
		if !compacting && !bytes.Equal(was, is) {
			rt.Fatalf("the export is another (-was +is):\n%s", cmp.Diff(rows(was), rows(is)))
		}
		return []*store.DB{server, back}
	})
	if moves < 3 {
		t.Errorf("there were only %d moves", moves)
	}
}

func exportOf(t *testing.T, db *store.DB) []byte {
	t.Helper()
	var text bytes.Buffer
	_, err := jsonl.Export(t.Context(), db, &text, nil)
	fatal(t, err)
	return text.Bytes()
}

// TestMoveBesideWriters moves a database that others are writing to. What arrives is of one
// moment: that of its newest change.
func TestMoveBesideWriters(t *testing.T) {
	t.Parallel()
	file, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "a.db"), nil)
	fatal(t, err)
	t.Cleanup(func() { fatal(t, file.Close()) })
	server := openSchema(t, pgtest.Schema(t), func(o *postgres.Options) { o.Now = time.Now })
	for name, source := range map[string]*store.DB{"of a file": file, "of a server": server} {
		t.Run(name, func(t *testing.T) { // not beside each other
			moveBesideWriters(t, source)
		})
	}
}

func moveBesideWriters(t *testing.T, source *store.DB) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	fatal(t, newProject(ctx, &source.Services, "p"))
	var wrote atomic.Int64
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				err := source.InTx(background, func(tx *store.Tx) error { // two tasks, or none
					return tx.Tasks.CreateMany(background, []*nexus.Task{
						{ID: fmt.Sprintf("a-%d-%d", w, i), ProjectID: "p", Name: "n"},
						{ID: fmt.Sprintf("b-%d-%d", w, i), ProjectID: "p", Name: "n"},
					})
				})
				if err != nil {
					t.Error(err)
					return
				}
				wrote.Add(1)
			}
		})
	}
	for wrote.Load() < 100 {
		runtime.Gosched()
	}
	file, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "b.db"), nil)
	fatal(t, err)
	defer file.Close()
	for _, target := range []*store.DB{file, openSchema(t, pgtest.Schema(t), nil)} {
		before := wrote.Load()
		_, err := store.Move(ctx, source, target, nil)
		fatal(t, err)
		if wrote.Load() == before {
			t.Error("nobody wrote meanwhile")
		}
		last, err := target.LastChange(ctx)
		fatal(t, err)
		list := func(s store.Services) []nexus.Task {
			t.Helper()
			tasks, err := s.Tasks.List(ctx, nexus.TaskFilter{})
			fatal(t, err)
			return tasks
		}
		is := list(target.Services)
		if diff := cmp.Diff(list(source.AsOf(last).Services), is); diff != "" {
			t.Errorf("it is not what the source was (-source +target):\n%s", diff)
		}
		if len(is)%2 != 0 || int64(len(is)) < 2*before {
			t.Errorf("%d tasks have arrived; %d pairs were stored before", len(is), before)
		}
	}
	stop()
	writers.Wait()
}

// TestMoveCut breaks the connection in the middle. If it was to the target, the move begins
// again, for as long as it is patient; if it was to the source, it fails. The target is
// whole or empty, and is whole after another move.
func TestMoveCut(t *testing.T) {
	t.Parallel()
	ctx, server := t.Context(), pgtest.URL(t)
	newFile := func() *store.DB {
		db, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "a.db"), nil)
		fatal(t, err)
		t.Cleanup(func() { fatal(t, db.Close()) })
		return db
	}
	source := newFile()
	fatal(t, newProject(ctx, &source.Services, "p"))
	tasks := make([]*nexus.Task, 5000)
	for i := range tasks {
		tasks[i] = &nexus.Task{ID: fmt.Sprint("t", i), ProjectID: "p", Name: "n", Description: strings.Repeat("long ", 50)}
	}
	fatal(t, source.Tasks.CreateMany(ctx, tasks))
	onServer := pgtest.Schema(t)
	_, err := store.Move(ctx, source, openSchema(t, onServer, nil), nil)
	fatal(t, err)

	// away breaks connections after so many bytes, as often as it is told.
	away := func(times int64) string {
		var passed, cuts atomic.Int64
		cuts.Store(times)
		proxy := pgtest.NewProxy(t, server, func(_ bool, piece []byte) ([]byte, bool) {
			if passed.Add(int64(len(piece))) < 1<<20 {
				return piece, true
			}
			passed.Store(0)
			return piece, cuts.Add(-1) < 0
		})
		return proxy.URL(server)
	}
	impatient := func(o *postgres.Options) { o.Patience = time.Second }
	count := func(db *store.DB) int64 {
		t.Helper()
		n, err := db.Tasks.Count(ctx, nexus.TaskFilter{})
		fatal(t, err)
		return n
	}

	most := 0
	again := false
	target := openSchema(t, pgtest.SchemaOf(t, away(1)), nil)
	_, err = store.Move(ctx, source, target, func(done, _ int) {
		again = again || done < most
		most = max(most, done)
	})
	fatal(t, err)
	if !again || count(target) != int64(len(tasks)) {
		t.Errorf("began again: %v; %d tasks have arrived", again, count(target))
	}

	schema := pgtest.SchemaOf(t, away(1<<40))
	_, err = store.Move(ctx, source, openSchema(t, schema, impatient), nil)
	wantCode(t, err, nexus.CodeOffline)
	direct := openSchema(t, pgtest.With(server, "schema", pgtest.Param(schema, "schema")), nil)
	if n := count(direct); n != 0 {
		t.Errorf("%d tasks have arrived", n)
	}
	_, err = store.Move(ctx, source, direct, nil)
	fatal(t, err)

	file := newFile()
	broken := openSchema(t, pgtest.With(away(1), "schema", pgtest.Param(onServer, "schema")), nil)
	_, err = store.Move(ctx, broken, file, nil)
	wantCode(t, err, nexus.CodeOffline)
	if n := count(file); n != 0 {
		t.Errorf("%d tasks have arrived", n)
	}
	_, err = store.Move(ctx, broken, file, nil)
	fatal(t, err)
	if n := count(file); n != int64(len(tasks)) {
		t.Errorf("%d tasks have arrived", n)
	}
}

// TestMoveColumns takes the columns that other programs have added there and back, with
// what is in them.
func TestMoveColumns(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	newFile := func() *store.DB {
		db, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "a.db"), nil)
		fatal(t, err)
		t.Cleanup(func() { fatal(t, db.Close()) })
		return db
	}
	source, back := newFile(), newFile()
	fatal(t, newProject(ctx, &source.Services, "p"))
	fatal(t, source.InTx(ctx, func(tx *store.Tx) error {
		for _, sql := range []string{
			`ALTER TABLE projects ADD COLUMN owner VARCHAR(20) NOT NULL DEFAULT 'it''s'`, `ALTER TABLE projects ADD COLUMN n INTEGER DEFAULT 5`,
			`ALTER TABLE projects ADD COLUMN "odd ""name" REAL`, `UPDATE projects SET "odd ""name" = 1.5, n = 7`,
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	}))
	server := openSchema(t, pgtest.Schema(t), nil)
	_, err := store.Move(ctx, source, server, nil)
	fatal(t, err)
	_, err = store.Move(ctx, server, back, nil)
	fatal(t, err)
	if diff := cmp.Diff(rows(exportOf(t, source)), rows(exportOf(t, back))); diff != "" {
		t.Errorf("there and back it is another (-was +is):\n%s", diff)
	}
	fatal(t, newProject(ctx, &back.Services, "later"))
	for _, db := range []*store.DB{server, back} {
		fatal(t, db.View(ctx, func(tx *store.Tx) error {
			return tx.Query(ctx, `SELECT owner, n, "odd ""name" FROM projects WHERE id = 'p'`, nil, func(r driver.Row) error {
				if r.Text(0) != "it's" || r.Int(1) != 7 || r.Float(2) != 1.5 {
					t.Errorf("there is %q, %d, %v", r.Text(0), r.Int(1), r.Float(2))
				}
				return nil
			})
		}))
	}
}

// TestMoveLongHistory moves large texts that have changed a little, again and again: each
// is told by the one after it, and none is lost on the way.
func TestMoveLongHistory(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	source, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "a.db"), &sqlite.Options{NoSync: true})
	fatal(t, err)
	t.Cleanup(func() { fatal(t, source.Close()) })
	fatal(t, newProject(ctx, &source.Services, "p"))
	const sessions, changes = 170, 3
	long := strings.Repeat("said before, ", 8000) // of all sessions more than is remembered at a time
	for n := range changes {
		for s := range sessions {
			id := fmt.Sprint("s", s)
			data := nexus.JSON(fmt.Sprintf(`{"said":"%s %d"}`, long, n))
			if n == 0 {
				fatal(t, source.Sessions.Create(ctx, &nexus.Session{ID: id, ProjectID: "p", Type: "planning", Data: data}))
				continue
			}
			_, err := source.Sessions.Update(ctx, id, nexus.SessionUpdate{Data: &data})
			fatal(t, err)
		}
	}
	server := openSchema(t, pgtest.Schema(t), nil)
	_, err = store.Move(ctx, source, server, nil)
	fatal(t, err)
	back, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "b.db"), &sqlite.Options{NoSync: true})
	fatal(t, err)
	t.Cleanup(func() { fatal(t, back.Close()) })
	_, err = store.Move(ctx, server, back, nil)
	fatal(t, err)
	if was, is := exportOf(t, source), exportOf(t, back); !bytes.Equal(was, is) {
		t.Errorf("there and back it is another: %d bytes, were %d", len(is), len(was))
	}
}
