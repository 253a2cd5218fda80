package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/handle"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/storetest"
)

// benchLargeFile makes a database of about 100 MB: what a year of work leaves, of
// which most is the text of sessions.
func benchLargeFile(b *testing.B) (path string) {
	b.Helper()
	path = newPath(b)
	db := open(b, path, nil)
	storetest.BenchFill(b, db)
	text := nexus.JSON(`"` + strings.Repeat("what an agent has said, ", 80) + `"`)
	for range 50 {
		var sessions []*nexus.Session
		for range 1000 {
			sessions = append(sessions, &nexus.Session{ProjectID: storetest.BenchProject, Type: "execution", Data: text})
		}
		benchMust(b, db.Sessions.CreateMany(background, sessions))
	}
	mustClose(b, db)
	return path
}

// BenchmarkBackup is a whole backup, with its verification and on disk, and what
// else could have copied the pages: VACUUM INTO, which verifies nothing and does
// not wait for the disk.
func BenchmarkBackup(b *testing.B) {
	printVersion()
	path := benchLargeFile(b)
	for _, writing := range []bool{false, true} {
		name := map[bool]string{false: "Quiet", true: "WhileWriting"}[writing]
		b.Run(name, func(b *testing.B) { benchBackup(b, path, writing, backUpOnce) })
		b.Run("VacuumInto"+name, func(b *testing.B) { benchBackup(b, path, writing, vacuumOnce) })
	}
}

func backUpOnce(b *testing.B, db *store.DB, _, target string) {
	_, err := db.Backup(background, target, nil)
	benchMust(b, err)
}

func vacuumOnce(b *testing.B, _ *store.DB, path, target string) {
	c := otherProgram(b, path)
	benchMust(b, sqlitex.Execute(c, "VACUUM INTO $1", &sqlitex.ExecOptions{Args: []any{target}}))
	benchMust(b, handle.Close(c))
}

func benchBackup(b *testing.B, path string, writing bool, backUp func(b *testing.B, db *store.DB, path, target string)) {
	db := open(b, path, nil)
	ctx, stop := context.WithCancel(background)
	var writer sync.WaitGroup
	writes := 0
	if writing {
		writer.Go(func() {
			for ctx.Err() == nil {
				if err := db.Tasks.Create(background, storetest.BenchTask(7)); err != nil {
					b.Error(err)
					return
				}
				writes++
			}
		})
	}
	b.SetBytes(size(path))
	n := 0
	for b.Loop() {
		target := fmt.Sprintf("%s.copy%d", path, n)
		n++
		backUp(b, db, path, target)
		b.StopTimer()
		benchMust(b, os.Remove(target))
		b.StartTimer()
	}
	b.StopTimer()
	stop()
	writer.Wait()
	if writing {
		b.ReportMetric(float64(writes)/float64(b.N), "writes/op")
	}
}
