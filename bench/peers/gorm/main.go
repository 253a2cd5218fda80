// Command gorm is GORM on github.com/mattn/go-sqlite3, with the two settings that
// its page on performance recommends: prepared statements, and no transaction
// around a single write.
package main

import (
	"context"
	"fmt"
	"time"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/seed-c8812374/nexus/bench/contract"
	"github.com/seed-c8812374/nexus/bench/peer"
)

func main() { peer.ServeTables(open) }

type program struct{ db *gorm.DB }

func open(path, synchronous string) (peer.Tables, error) {
	db, err := gorm.Open(sqlite.Open(fmt.Sprintf(
		"file:%s?_journal_mode=WAL&_synchronous=%s&_foreign_keys=1&_busy_timeout=5000&_txlock=immediate", path, synchronous)),
		&gorm.Config{PrepareStmt: true, SkipDefaultTransaction: true, Logger: logger.Discard})
	if err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	// With more connections its writers would be told that the database is locked.
	pool.SetMaxOpenConns(1)
	return &program{db}, nil
}

func (p *program) Version() string {
	var version string
	p.db.Raw("SELECT sqlite_version()").Scan(&version)
	return "SQLite " + version + ", GORM " + peer.ModuleVersion("gorm.io/gorm") + " on mattn/go-sqlite3"
}

func (p *program) Get(id string) error {
	var t contract.Task
	return p.db.First(&t, "id = ?", id).Error
}

func (p *program) List() (int, error) {
	var tasks []contract.Task
	err := p.db.Where("project_id = ?", peer.Project).Order("id").Find(&tasks).Error
	return len(tasks), err
}

func (p *program) Each() (rows int, err error) {
	cursor, err := p.db.Model(&contract.Task{}).Order("id").Rows()
	if err != nil {
		return 0, err
	}
	defer cursor.Close()
	for cursor.Next() {
		var t contract.Task
		if err := p.db.ScanRows(cursor, &t); err != nil {
			return 0, err
		}
		rows++
	}
	return rows, cursor.Err()
}

func (p *program) Ready() (int, error) {
	var tasks []contract.Task
	err := p.db.Raw(contract.ReadyTasks, peer.ReadyLimit).Scan(&tasks).Error
	return len(tasks), err
}

func (p *program) Load() (features, tasks int, err error) {
	var project contract.Project
	err = p.db.Preload("Features.SubFeatures").Preload("Tasks").Preload("Checkpoints").Preload("Requirements").
		Preload("Metrics").Preload("Sessions").First(&project, "id = ?", peer.Project).Error
	return len(project.Features), len(project.Tasks), err
}

func (p *program) Insert(t *peer.Task) error {
	return p.db.Create(contract.NewTask(t, time.Now().Unix())).Error
}

// InsertMany inserts a hundred rows with a statement: SQLite allows 32,766
// parameters, and with fewer rows or more it takes longer.
func (p *program) InsertMany(tasks []*peer.Task) error {
	rows := make([]*contract.Task, len(tasks))
	for i, t := range tasks {
		rows[i] = contract.NewTask(t, time.Now().Unix())
	}
	return p.db.Transaction(func(tx *gorm.DB) error { return tx.CreateInBatches(rows, 100).Error })
}

func (p *program) Update(u peer.Update) error { return update(p.db, u) }

func (p *program) UpdateMany(updates []peer.Update) error {
	return p.db.Transaction(func(tx *gorm.DB) error {
		for _, u := range updates {
			if err := update(tx, u); err != nil {
				return err
			}
		}
		return nil
	})
}

// update has GORM set updated_at, as it does by itself.
func update(db *gorm.DB, u peer.Update) error {
	return db.WithContext(context.Background()).Model(&contract.Task{ID: u.ID}).
		Updates(map[string]any{"branch_name": u.Branch, "estimated_minutes": u.Minutes}).Error
}

func (p *program) Close() error {
	pool, err := p.db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}
