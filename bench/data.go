package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/bench/peer"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// schema is which tables a program works on.
type schema string

const (
	ours  schema = "Nexus"    // all that our migrations make, triggers included
	plain schema = "contract" // the nine tables, and nothing else
)

// makeData makes the files that the programs get copies of, one for each schema,
// with the same rows, and takes down what the store sends.
func (b *bench) makeData() error {
	if err := b.fill(peer.Tasks); err != nil {
		return err
	}
	statements, err := record(b.ctx, b.file("record.db"))
	if err != nil {
		return err
	}
	if err := statements.write(b.file("nexus.scripts")); err != nil {
		return err
	}
	return contractScripts().write(b.file("contract.scripts"))
}

// template is the file with so many tasks.
func (b *bench) template(s schema, tasks int) string {
	return b.file(fmt.Sprintf("template-%s-%d.db", s, tasks))
}

// fill makes both templates with so many tasks, of which all but ten wait for one of
// these.
func (b *bench) fill(tasks int) error {
	path := b.template(ours, tasks)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	db, err := sqlite.Open(b.ctx, path, &sqlite.Options{NoSync: true})
	if err != nil {
		return err
	}
	err = fillProject(b.ctx, db)
	const batch = 10_000
	for from := 0; from < tasks && err == nil; from += batch {
		err = db.Tasks.CreateMany(b.ctx, someTasks(from, min(from+batch, tasks)))
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		return err
	}
	return contractCopy(path, b.template(plain, tasks))
}

func fillProject(ctx context.Context, db *store.DB) error {
	return db.InTx(ctx, func(tx *store.Tx) error {
		err := tx.Projects.Create(ctx, &nexus.Project{ID: peer.Project, Name: "Benchmark", RootPath: "/src/benchmark"})
		for i := 0; i < peer.Features && err == nil; i++ {
			err = tx.Features.Create(ctx, &nexus.Feature{ID: peer.FeatureID(i), ProjectID: peer.Project, Name: fmt.Sprintf("Feature %d", i)})
		}
		return err
	})
}

// someTasks are those of a template from one number to another.
func someTasks(from, to int) []*nexus.Task {
	list := make([]*nexus.Task, 0, to-from)
	for i := from; i < to; i++ {
		t := peer.MakeTask(i)
		task := &nexus.Task{
			ID: t.ID, ProjectID: peer.Project, FeatureID: t.FeatureID,
			Name: t.Name, Description: t.Description, BranchName: t.BranchName,
		}
		if i >= peer.ReadyLimit {
			task.DependsOn = []string{peer.TaskID(i % peer.ReadyLimit)}
		}
		list = append(list, task)
	}
	return list
}

// contractCopy makes a file with the nine tables of the contract and the rows of a
// file of ours.
func contractCopy(from, to string) (err error) {
	text, err := os.ReadFile("../sqlite/migrations/00001_contract.sql")
	if err != nil {
		return err
	}
	_, schema, _ := strings.Cut(string(text), "-- +goose Up")
	schema, _, _ = strings.Cut(schema, "-- +goose Down")
	db, err := sql.Open("sqlite", "file:"+to+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(schema); err != nil {
		return err
	}
	if _, err := db.Exec("ATTACH ? AS ours", from); err != nil {
		return err
	}
	for _, table := range []string{"projects", "features", "tasks"} {
		var columns string
		err := db.QueryRow("SELECT group_concat(name, ', ') FROM pragma_table_info(?)", table).Scan(&columns)
		if err == nil {
			_, err = db.Exec("INSERT INTO main." + table + " (" + columns + ") SELECT " + columns + " FROM ours." + table)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copyOf gives a program a file of its own.
func (b *bench) copyOf(s schema, tasks int, name string) (string, error) {
	if err := b.fill(tasks); err != nil {
		return "", err
	}
	path := b.file(name + ".db")
	removeDatabase(path)
	return path, copyFile(b.template(s, tasks), path)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(filepath.Clean(to))
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync() // so that nobody waits for it later
	}
	if e := out.Close(); err == nil {
		err = e
	}
	return err
}

// removeDatabase removes what an earlier program has left.
func removeDatabase(path string) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(path + suffix)
	}
}
