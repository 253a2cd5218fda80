// Command nexus is Nexus, through its library: its services on the nine tables,
// and its claims.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"strings"

	zombiezen "zombiezen.com/go/sqlite"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/bench/peer"
	"github.com/seed-c8812374/nexus/postgres"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

func main() {
	queue := flag.Bool("queue", false, "hand out work")
	atOnce := flag.Bool("at-once", false, "complete a task and claim the next in one transaction, as nexus work does")
	flag.Parse()
	if *queue {
		peer.ServeQueue(func(path, synchronous string) (peer.Queue, error) {
			p, err := openProgram(path, synchronous)
			if err != nil {
				return nil, err
			}
			return &handingOut{program: p, atOnce: *atOnce}, nil
		})
		return
	}
	peer.ServeTables(func(path, synchronous string) (peer.Tables, error) { return openProgram(path, synchronous) })
}

type program struct {
	db         *store.DB
	checkpoint string // the last
}

var background = context.Background()

func openProgram(path, synchronous string) (*program, error) {
	if strings.HasPrefix(path, "postgres:") {
		return openPostgres(path, synchronous)
	}
	db, err := sqlite.Open(background, path, &sqlite.Options{NoSync: synchronous == "NORMAL"})
	return &program{db: db}, err
}

// openPostgres opens an empty database, and makes the project whose tasks are handed out.
func openPostgres(url, synchronous string) (*program, error) {
	db, err := postgres.Open(background, url, &postgres.Options{NoSync: synchronous == "NORMAL"})
	if err != nil {
		return nil, err
	}
	err = db.InTx(background, func(tx *store.Tx) error {
		err := tx.Projects.Create(background, &nexus.Project{ID: peer.Project, Name: "Benchmark", RootPath: "/src/benchmark"})
		for i := 0; i < peer.Features && err == nil; i++ {
			err = tx.Features.Create(background, &nexus.Feature{ID: peer.FeatureID(i), ProjectID: peer.Project, Name: "A feature"})
		}
		return err
	})
	return &program{db: db}, err
}

func (p *program) Version() string {
	return fmt.Sprintf("SQLite %s, zombiezen.com/go/sqlite, %s", zombiezen.Version, runtime.Version())
}

func (p *program) Get(id string) error {
	_, err := p.db.Tasks.Get(background, id)
	return err
}

func (p *program) List() (int, error) {
	tasks, err := p.db.Tasks.List(background, nexus.TaskFilter{ProjectID: peer.Project})
	return len(tasks), err
}

func (p *program) Each() (rows int, err error) {
	for _, err := range p.db.Tasks.All(background, nexus.TaskFilter{}) {
		if err != nil {
			return 0, err
		}
		rows++
	}
	return rows, nil
}

func (p *program) Ready() (int, error) {
	tasks, err := p.db.Tasks.Ready(background, nexus.ReadyFilter{Limit: peer.ReadyLimit})
	return len(tasks), err
}

func (p *program) Load() (features, tasks int, err error) {
	project, err := p.db.Projects.Load(background, peer.Project)
	if err != nil {
		return 0, 0, err
	}
	return len(project.Features), len(project.Tasks), nil
}

func (p *program) Insert(t *peer.Task) error { return p.db.Tasks.Create(background, newTask(t)) }

func (p *program) InsertMany(tasks []*peer.Task) error {
	rows := make([]*nexus.Task, len(tasks))
	for i, t := range tasks {
		rows[i] = newTask(t)
	}
	return p.db.Tasks.CreateMany(background, rows)
}

func newTask(t *peer.Task) *nexus.Task {
	return &nexus.Task{
		ID: t.ID, ProjectID: peer.Project, FeatureID: t.FeatureID,
		Name: t.Name, Description: t.Description, BranchName: t.BranchName,
	}
}

func (p *program) Update(u peer.Update) error {
	_, err := p.db.Tasks.Update(background, u.ID, taskUpdate(u))
	return err
}

func (p *program) UpdateMany(updates []peer.Update) error {
	return p.db.InTx(background, func(tx *store.Tx) error {
		for _, u := range updates {
			if _, err := tx.Tasks.Update(background, u.ID, taskUpdate(u)); err != nil {
				return err
			}
		}
		return nil
	})
}

func taskUpdate(u peer.Update) nexus.TaskUpdate {
	return nexus.TaskUpdate{BranchName: &u.Branch, EstimatedMinutes: &u.Minutes}
}

func (p *program) Checkpoint() error {
	c, err := p.db.Checkpoint(background, nexus.CheckpointRequest{ProjectID: peer.Project})
	if err == nil {
		p.checkpoint = c.ID
	}
	return err
}

func (p *program) Restore() error {
	_, err := p.db.Restore(background, p.checkpoint, false)
	return err
}

func (p *program) Close() error { return p.db.Close() }

// handingOut is Nexus as a queue.
type handingOut struct {
	*program
	atOnce bool
	filled int
}

// Fill makes tasks that depend on nothing.
func (q *handingOut) Fill(n int) error {
	const batch = 10_000
	for from := 0; from < n; from += batch {
		tasks := make([]*nexus.Task, min(batch, n-from))
		for i := range tasks {
			tasks[i] = newTask(peer.MakeTask(q.filled))
			tasks[i].ID = fmt.Sprintf("t-queue-%08d", q.filled)
			q.filled++
		}
		if err := q.db.Tasks.CreateMany(background, tasks); err != nil {
			return err
		}
	}
	return nil
}

func (q *handingOut) Work(n, workers int) error {
	work := q.workInTwoCalls
	if q.atOnce {
		work = q.workAtOnce
	}
	return peer.Together(workers, workers, func(w int) error { return work(fmt.Sprintf("agent %d", w), n/workers) })
}

func (q *handingOut) workInTwoCalls(agent string, n int) error {
	for range n {
		c, err := one(q.db.Tasks.Claim(background, nexus.ClaimRequest{AgentID: agent}))
		if err != nil {
			return err
		}
		if _, err = q.db.Tasks.Complete(background, c.TaskID, c.Epoch, nexus.Evidence{}); err != nil {
			return err
		}
	}
	return nil
}

// workAtOnce completes n tasks, and claims the next with all but the last.
func (q *handingOut) workAtOnce(agent string, n int) error {
	var held *nexus.Claim
	for i := range n + 1 {
		var next *nexus.Claim
		err := q.db.InTx(background, func(tx *store.Tx) (err error) {
			if held != nil {
				if _, err := tx.Tasks.Complete(background, held.TaskID, held.Epoch, nexus.Evidence{}); err != nil {
					return err
				}
			}
			if i == n {
				return nil
			}
			next, err = one(tx.Tasks.Claim(background, nexus.ClaimRequest{AgentID: agent}))
			return err
		})
		if err != nil {
			return err
		}
		held = next
	}
	return nil
}

func one(claims []nexus.Claim, err error) (*nexus.Claim, error) {
	if err != nil {
		return nil, err
	}
	if len(claims) != 1 {
		return nil, errors.New("there was nothing to claim")
	}
	return &claims[0], nil
}

// Rest has nothing to wait for.
func (q *handingOut) Rest() error { return nil }
