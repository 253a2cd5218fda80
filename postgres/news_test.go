package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/pgtest"
	"github.com/seed-c8812374/nexus/store"
)

var errEnough = errors.New("enough")

// passAll is a network without faults.
func passAll(_ bool, piece []byte) ([]byte, bool) { return piece, true }

// await takes a piece of news, which comes by a notification only.
func await(t *testing.T, news <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-news:
	case <-time.After(time.Minute):
		t.Fatalf("nothing was heard of %s", what)
	}
}

// TestNews has one database hear of what is committed through another, and by another
// program, without looking; and of what was committed while it could not hear.
func TestNews(t *testing.T) {
	t.Parallel()
	server := pgtest.Schema(t)
	proxy := pgtest.NewProxy(t, server, passAll)
	db, other := openSchema(t, proxy.URL(server), nil), openSchema(t, server, nil)
	fatal(t, newProject(t.Context(), &other.Services, "p"))
	news, stop := db.Subscribe()
	await(t, news, "the beginning")
	for i := range 3 {
		fatal(t, newProject(t.Context(), &other.Services, fmt.Sprint("p", i)))
		await(t, news, "another process")
	}
	pgtest.Exec(t, server, "UPDATE projects SET name = 'm' WHERE id = 'p'")
	await(t, news, "another program")
	proxy.Cut()
	await(t, news, "the end of the connection")
	await(t, news, "the next connection")
	fatal(t, newProject(t.Context(), &other.Services, "q"))
	await(t, news, "another process, over another connection")
	stop()
	stop()

	// What changes nothing that the history has is no news; see the next that is.
	claims, err := other.Tasks.Claim(t.Context(), nexus.ClaimRequest{AgentID: "a"})
	fatal(t, err)
	if len(claims) != 0 {
		t.Errorf("%+v", claims)
	}
}

// TestNewsAtTheEnd closes a database right after its last commit: others hear of that.
func TestNewsAtTheEnd(t *testing.T) {
	t.Parallel()
	server := pgtest.Schema(t)
	db := openSchema(t, server, nil)
	news, stop := db.Subscribe()
	defer stop()
	await(t, news, "the beginning")
	for i := range 5 {
		other := openSchema(t, server, nil)
		fatal(t, newProject(t.Context(), &other.Services, fmt.Sprint("p", i)))
		fatal(t, other.Close())
		await(t, news, "a process that has ended")
	}
	// Closing it ends the session that listens.
	fatal(t, db.Close())
	if news, stop := db.Subscribe(); news != nil {
		stop()
	}
	db.Close()
}

// TestWatchCommit loses the commit by which a watcher makes sure that what it tells is on
// disk, or the answer to it: the watcher goes on with another connection.
func TestWatchCommit(t *testing.T) {
	t.Parallel()
	server := pgtest.Schema(t)
	for _, arrives := range []bool{true, false} {
		t.Run(fmt.Sprintf("arrives=%v", arrives), func(t *testing.T) {
			t.Parallel()
			var armed atomic.Bool
			armed.Store(true)
			proxy := pgtest.NewProxy(t, server, loseCommit(&armed, arrives))
			id := fmt.Sprint("p", arrives)
			fatal(t, newProject(t.Context(), &openSchema(t, server, nil).Services, id))
			db := openSchema(t, proxy.URL(server), nil)
			err := db.Watch(t.Context(), 0, nexus.HistoryFilter{Kind: nexus.KindProject, ID: id}, func(*nexus.Change) error { return errEnough })
			if !errors.Is(err, errEnough) || armed.Load() {
				t.Errorf("it ended with %v; a commit came: %v", err, !armed.Load())
			}
		})
	}
}

// TestWatchCrash crashes the server after a watcher has seen a change that is not on disk:
// the change is lost, and nobody is told of it.
func TestWatchCrash(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t, "wal_writer_delay=10000")
	url := pgtest.SchemaOf(t, server.URL())
	other := openSchema(t, url, nil)
	fatal(t, newProject(t.Context(), &other.Services, "p"))
	var armed, crashed, ended atomic.Bool
	proxy := pgtest.NewProxy(t, url, func(fromServer bool, piece []byte) ([]byte, bool) {
		if fromServer || !bytes.Contains(piece, []byte("COMMIT\x00")) || !armed.CompareAndSwap(true, false) {
			return piece, true
		}
		if err := errors.Join(server.Halt(true), server.Run()); err != nil {
			t.Error(err)
		}
		crashed.Store(true)
		return nil, false
	})
	db := openSchema(t, proxy.URL(url), nil)
	last, err := other.LastChange(t.Context())
	fatal(t, err)
	pgtest.Exec(t, url, "BEGIN; SET LOCAL synchronous_commit = off; UPDATE projects SET name = 'lost' WHERE id = 'p'; COMMIT")
	armed.Store(true)
	var writing sync.WaitGroup
	writing.Go(func() {
		for !crashed.Load() && !ended.Load() {
			time.Sleep(10 * time.Millisecond)
		}
		if err := newProject(background, &other.Services, "kept"); err != nil {
			t.Error(err)
		}
	})
	var told *nexus.Change
	err = db.Watch(t.Context(), last, nexus.HistoryFilter{}, func(c *nexus.Change) error {
		told = c
		return errEnough
	})
	ended.Store(true)
	writing.Wait()
	if !errors.Is(err, errEnough) || told.ID != "kept" {
		t.Errorf("it ended with %v, and told of %+v", err, told)
	}
}

// TestWatchMissesNothing watches, over a connection that breaks again and again and
// behind a pooler, what many write through several databases and as another program,
// which takes its numbers long before it commits. Each change is seen once and in order.
func TestWatchMissesNothing(t *testing.T) {
	t.Parallel()
	own := pgtest.Own(t)
	server := pgtest.SchemaOf(t, own.URL())
	proxy := pgtest.NewProxy(t, server, passAll)
	broken := openSchema(t, proxy.URL(server), nil)
	pooled := openSchema(t, pgtest.With(own.Pooler(t), "schema", pgtest.Param(server, "schema")), nil)
	if news, _ := pooled.Subscribe(); news != nil {
		t.Error("it says that it hears through a pooler")
	}
	writing := []*store.DB{openSchema(t, server, nil), openSchema(t, server, nil), pooled}
	fatal(t, newProject(t.Context(), &writing[0].Services, "p"))

	const writers, each = 4, 15
	seen := make([][]int64, 2)
	var watching sync.WaitGroup
	for i, db := range []*store.DB{broken, pooled} {
		watching.Go(func() {
			err := db.Watch(background, 0, nexus.HistoryFilter{}, func(c *nexus.Change) error {
				seen[i] = append(seen[i], c.Seq)
				if c.ID == "last" {
					return errEnough
				}
				return nil
			})
			if !errors.Is(err, errEnough) {
				t.Error(err)
			}
		})
	}
	var wg sync.WaitGroup
	for n, db := range writing {
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					id := fmt.Sprintf("%d-%d-%d", n, w, i)
					if err := db.Tasks.Create(background, &nexus.Task{ID: id, ProjectID: "p", Name: "n"}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Go(func() {
		conn, err := pgtest.Connect(background, server)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(background)
		for i := range each {
			sql := fmt.Sprintf(`
				BEGIN; UPDATE projects SET name = 'n%d' WHERE id = 'p'; SET CONSTRAINTS ALL IMMEDIATE;
				SELECT pg_sleep(%f); COMMIT`, i, rand.Float64()/20)
			if _, err := conn.PgConn().Exec(background, sql).ReadAll(); err != nil {
				t.Error(err)
			}
			proxy.Cut()
		}
	})
	wg.Wait()
	fatal(t, newProject(t.Context(), &writing[0].Services, "last"))
	watching.Wait()
	all, err := writing[0].History(t.Context(), nexus.HistoryFilter{})
	fatal(t, err)
	var want []int64
	for _, c := range all {
		want = append(want, c.Seq)
	}
	for i := range seen {
		if diff := cmp.Diff(want, seen[i]); diff != "" {
			t.Errorf("watcher %d (-want +got):\n%s", i, diff)
		}
	}
	if len(want) < len(writing)*writers*each+each {
		t.Errorf("there are %d changes", len(want))
	}
}
