// Command river is River, a job queue in Go, on SQLite or PostgreSQL: with
// -postgres, the path that it is told to open is a connection string.
//
// River's client works by itself: it fetches as many jobs at once as it has
// workers free, and reports completed ones in batches. The waits between fetches
// are set to the shortest that it allows.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/mattn/go-sqlite3"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/seed-c8812374/nexus/bench/peer"
)

func main() {
	postgres := flag.Bool("postgres", false, "use PostgreSQL")
	flag.Parse()
	if *postgres {
		peer.ServeQueue(openPostgres)
		return
	}
	peer.ServeQueue(openSQLite)
}

var background = context.Background()

// program is River on a driver, whose transactions are of type Tx.
type program[Tx any] struct {
	driver  riverdriver.Driver[Tx]
	version string
	close   func() error

	client    *river.Client[Tx] // while it works
	completed <-chan *river.Event
}

// job is what there is to do: nothing but to be done.
type job struct {
	Description string `json:"description"`
}

func (job) Kind() string { return "task" }

type worker struct{ river.WorkerDefaults[job] }

func (worker) Work(context.Context, *river.Job[job]) error { return nil }

func openSQLite(path, synchronous string) (peer.Queue, error) {
	db, err := sql.Open("sqlite3", fmt.Sprintf(
		"file:%s?_journal_mode=WAL&_synchronous=%s&_busy_timeout=5000&_txlock=immediate", path, synchronous))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // as its documentation recommends
	return prepared(&program[*sql.Tx]{driver: riversqlite.New(db), version: "SQLite", close: db.Close})
}

func openPostgres(address, synchronous string) (peer.Queue, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	if synchronous == "NORMAL" { // the last commits may be lost with the power, as in SQLite
		config.ConnConfig.RuntimeParams["synchronous_commit"] = "off"
	}
	pool, err := pgxpool.NewWithConfig(background, config)
	if err != nil {
		return nil, err
	}
	var version string
	if err := pool.QueryRow(background, "SHOW server_version").Scan(&version); err != nil {
		return nil, err
	}
	return prepared(&program[pgx.Tx]{
		driver: riverpgxv5.New(pool), version: "PostgreSQL " + version,
		close: func() error { pool.Close(); return nil },
	})
}

func prepared[Tx any](p *program[Tx]) (peer.Queue, error) {
	migrator, err := rivermigrate.New(p.driver, &rivermigrate.Config{Logger: quiet()})
	if err != nil {
		return nil, err
	}
	_, err = migrator.Migrate(background, rivermigrate.DirectionUp, nil)
	return p, err
}

func (p *program[Tx]) Version() string {
	return "River " + peer.ModuleVersion("github.com/riverqueue/river") + " on " + p.version
}

func (p *program[Tx]) newClient(workers int) (*river.Client[Tx], error) {
	kinds := river.NewWorkers()
	river.AddWorker(kinds, worker{})
	return river.NewClient(p.driver, &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}}, Workers: kinds,
		FetchCooldown: river.FetchCooldownMin, FetchPollInterval: river.FetchPollIntervalMin,
		Logger: quiet(),
	})
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (p *program[Tx]) Fill(n int) error {
	c, err := p.newClient(1)
	if err != nil {
		return err
	}
	const batch = 1000
	for from := 0; from < n; from += batch {
		jobs := make([]river.InsertManyParams, min(batch, n-from))
		for i := range jobs {
			jobs[i].Args = job{peer.MakeTask(i).Description}
		}
		if _, err := c.InsertManyFast(background, jobs); err != nil {
			return err
		}
	}
	return nil
}

// Work runs a client until n jobs are reported as completed, which River says of a
// job when that is in the database.
func (p *program[Tx]) Work(n, workers int) (err error) {
	if p.client, err = p.newClient(workers); err != nil {
		return err
	}
	p.completed, _ = p.client.SubscribeConfig(&river.SubscribeConfig{
		ChanSize: 100_000, Kinds: []river.EventKind{river.EventKindJobCompleted},
	})
	if err := p.client.Start(background); err != nil {
		return err
	}
	for range n {
		select {
		case <-p.completed:
		case <-time.After(time.Minute):
			return errors.New("no job was completed for a minute")
		}
	}
	return nil
}

// Rest stops the client, and makes up for the jobs that it has done meanwhile.
func (p *program[Tx]) Rest() error {
	if p.client == nil {
		return nil
	}
	err := p.client.Stop(background)
	p.client = nil
	return errors.Join(err, p.Fill(len(p.completed)))
}

func (p *program[Tx]) Close() error { return p.close() }
