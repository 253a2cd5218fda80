package sqlite_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
)

// TestCloseInterrupted closes a connection, the last one, that has been interrupted: the
// log is copied into the file all the same.
func TestCloseInterrupted(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	mustSucceed(t, sqlite.CloseInterrupted(path, "UPDATE projects SET name = 'another'"))
	mustBeAlone(t, path)
	db := open(t, path, nil)
	defer mustClose(t, db)
	p, err := db.Projects.Get(background, "first")
	if err != nil || p.Name != "another" {
		t.Fatalf("the project is %+v, %v", p, err)
	}
}

// TestCloseWhileCopying closes databases at about the time when a long log is being copied
// into them, which interrupts that.
func TestCloseWhileCopying(t *testing.T) {
	t.Parallel()
	for n := range 6 {
		path := newDatabase(t)
		db := open(t, path, &sqlite.Options{NoSync: true})
		tasks := make([]*nexus.Task, 1500)
		for i := range tasks {
			tasks[i] = &nexus.Task{ID: fmt.Sprint(i), ProjectID: "first", Name: "n", Description: strings.Repeat("long ", 1000)}
		}
		mustSucceed(t, db.Tasks.CreateMany(background, tasks))
		time.Sleep(time.Duration(45+4*n) * time.Millisecond) // it begins 50 ms after a commit
		mustClose(t, db)
		mustBeAlone(t, path)
	}
}
