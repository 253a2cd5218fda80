// Command goqite is goqite, a queue on one table of SQLite, on
// github.com/mattn/go-sqlite3. To receive a message hides it for a while, and to
// delete it says that it is done.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"maragu.dev/goqite"

	"github.com/seed-c8812374/nexus/bench/peer"
)

// schemaFile has the statements that goqite's documentation has its users run.
var schemaFile = flag.String("schema", "", "`file` with goqite's schema, which is in its module")

func main() {
	flag.Parse()
	peer.ServeQueue(open)
}

type program struct {
	db    *sql.DB
	queue *goqite.Queue
}

var background = context.Background()

func open(path, synchronous string) (peer.Queue, error) {
	db, err := sql.Open("sqlite3", fmt.Sprintf(
		"file:%s?_journal_mode=WAL&_synchronous=%s&_busy_timeout=5000&_txlock=immediate", path, synchronous))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // as its documentation recommends
	schema, err := os.ReadFile(*schemaFile)
	if err != nil {
		return nil, err
	}
	if _, err := db.Exec(string(schema)); err != nil {
		return nil, err
	}
	return &program{db, goqite.New(goqite.NewOpts{DB: db, Name: "tasks", Timeout: 15 * time.Minute})}, nil
}

func (p *program) Version() string { return "goqite " + peer.ModuleVersion("maragu.dev/goqite") }

func (p *program) Fill(n int) error {
	tx, err := p.db.Begin()
	if err != nil {
		return err
	}
	for i := range n {
		if err := p.queue.SendTx(background, tx, goqite.Message{Body: []byte(peer.MakeTask(i).Description)}); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

func (p *program) Work(n, workers int) error {
	return peer.Together(n, workers, func(int) error {
		m, err := p.queue.Receive(background)
		if err != nil {
			return err
		}
		if m == nil {
			return errors.New("there was nothing to receive")
		}
		return p.queue.Delete(background, m.ID)
	})
}

// Rest has nothing to wait for.
func (p *program) Rest() error { return nil }

func (p *program) Close() error { return p.db.Close() }
