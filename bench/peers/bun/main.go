// Command bun is bun on github.com/mattn/go-sqlite3.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"

	"github.com/seed-c8812374/nexus/bench/contract"
	"github.com/seed-c8812374/nexus/bench/peer"
)

func main() { peer.ServeTables(open) }

type program struct{ db *bun.DB }

var background = context.Background()

func open(path, synchronous string) (peer.Tables, error) {
	db, err := sql.Open("sqlite3", fmt.Sprintf(
		"file:%s?_journal_mode=WAL&_synchronous=%s&_foreign_keys=1&_busy_timeout=5000&_txlock=immediate", path, synchronous))
	if err != nil {
		return nil, err
	}
	// With more connections its writers would be told that the database is locked.
	db.SetMaxOpenConns(1)
	return &program{bun.NewDB(db, sqlitedialect.New())}, nil
}

func (p *program) Version() string {
	var version string
	_ = p.db.QueryRow("SELECT sqlite_version()").Scan(&version)
	return "SQLite " + version + ", bun " + peer.ModuleVersion("github.com/uptrace/bun") + " on mattn/go-sqlite3"
}

func (p *program) Get(id string) error {
	var t contract.Task
	return p.db.NewSelect().Model(&t).Where("id = ?", id).Scan(background)
}

func (p *program) List() (int, error) {
	var tasks []contract.Task
	err := p.db.NewSelect().Model(&tasks).Where("project_id = ?", peer.Project).Order("id").Scan(background)
	return len(tasks), err
}

func (p *program) Each() (rows int, err error) {
	cursor, err := p.db.NewSelect().Model((*contract.Task)(nil)).Order("id").Rows(background)
	if err != nil {
		return 0, err
	}
	defer cursor.Close()
	for cursor.Next() {
		var t contract.Task
		if err := p.db.ScanRow(background, cursor, &t); err != nil {
			return 0, err
		}
		rows++
	}
	return rows, cursor.Err()
}

func (p *program) Ready() (int, error) {
	var tasks []contract.Task
	err := p.db.NewRaw(contract.ReadyTasks, peer.ReadyLimit).Scan(background, &tasks)
	return len(tasks), err
}

func (p *program) Load() (features, tasks int, err error) {
	var project contract.Project
	err = p.db.NewSelect().Model(&project).Relation("Features").Relation("Features.SubFeatures").Relation("Tasks").
		Relation("Checkpoints").Relation("Requirements").Relation("Metrics").Relation("Sessions").
		Where("project.id = ?", peer.Project).Scan(background)
	return len(project.Features), len(project.Tasks), err
}

func (p *program) Insert(t *peer.Task) error {
	_, err := p.db.NewInsert().Model(contract.NewTask(t, time.Now().Unix())).Exec(background)
	return err
}

// InsertMany inserts a hundred rows with a statement.
func (p *program) InsertMany(tasks []*peer.Task) error {
	return p.db.RunInTx(background, nil, func(ctx context.Context, tx bun.Tx) error {
		for len(tasks) > 0 {
			n := min(100, len(tasks))
			rows := make([]*contract.Task, n)
			for i, t := range tasks[:n] {
				rows[i] = contract.NewTask(t, time.Now().Unix())
			}
			if _, err := tx.NewInsert().Model(&rows).Exec(ctx); err != nil {
				return err
			}
			tasks = tasks[n:]
		}
		return nil
	})
}

func (p *program) Update(u peer.Update) error { return update(background, p.db, u) }

func (p *program) UpdateMany(updates []peer.Update) error {
	return p.db.RunInTx(background, nil, func(ctx context.Context, tx bun.Tx) error {
		for _, u := range updates {
			if err := update(ctx, tx, u); err != nil {
				return err
			}
		}
		return nil
	})
}

func update(ctx context.Context, db bun.IDB, u peer.Update) error {
	t := contract.Task{ID: u.ID, BranchName: &u.Branch, EstimatedMinutes: new(int64(u.Minutes)), UpdatedAt: time.Now().Unix()}
	_, err := db.NewUpdate().Model(&t).Column("branch_name", "estimated_minutes", "updated_at").WherePK().Exec(ctx)
	return err
}

func (p *program) Close() error { return p.db.Close() }
