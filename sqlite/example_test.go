package sqlite_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
)

// A database is one file. What was stored is there after the program has ended
// and begun again.
func ExampleOpen() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "nexus")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "data", "nexus.db") // the folder is created

	db, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		log.Fatal(err)
	}
	agent := nexus.Agent{ID: "ada", Type: nexus.AgentCoder}
	if err := db.Agents.Create(ctx, &agent); err != nil {
		log.Fatal(err)
	}
	if err := db.Close(); err != nil {
		log.Fatal(err)
	}

	db, err = sqlite.Open(ctx, path, &sqlite.Options{ReadOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	got, err := db.Agents.Get(ctx, "ada")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.ID, got.Type, got.Status)
	err = db.Agents.Delete(ctx, "ada")
	fmt.Println(nexus.CodeOf(err))
	// Output:
	// ada coder idle
	// read_only
}

// A private database with a clock of its own, as tests want it.
func ExampleOpen_memory() {
	ctx := context.Background()
	clock := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	db, err := sqlite.Open(ctx, sqlite.Memory, &sqlite.Options{
		Now: func() time.Time { return clock },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	agent := nexus.Agent{Type: nexus.AgentTester}
	if err := db.Agents.Create(ctx, &agent); err != nil {
		log.Fatal(err)
	}
	fmt.Println(agent.SpawnedAt.Format(time.RFC3339))
	// Output:
	// 2026-05-04T12:00:00Z
}
