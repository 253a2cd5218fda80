package logvfs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/logvfs"
	nexussqlite "github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// A loss of power takes what was written to a file and not yet synced: of each write all,
// nothing, or some sectors may have reached the disk, and of several writes any. These
// tests record all writes and syncs of a database at work, and look at the files as a loss
// of power at many moments could have left them.

const (
	writers    = 4
	eachWrites = 60
	cuts       = 40 // moments
	sector     = 512
)

// TestPowerLoss expects all that was acknowledged to be there, and of what was not all of
// a transaction or nothing.
func TestPowerLoss(t *testing.T) {
	w := work(t, false)
	w.cut(func(when string, acknowledged, there [writers]int64) {
		for g := range writers {
			if there[g] < acknowledged[g] {
				t.Errorf("%s: of writer %d there are %d transactions; %d were acknowledged", when, g, there[g], acknowledged[g])
			}
		}
	})
}

// TestPowerLossNoSync expects a state that there was, if not the last. That some were not
// the last shows that a loss of power here loses something.
func TestPowerLossNoSync(t *testing.T) {
	w := work(t, true)
	lost := 0
	w.cut(func(_ string, acknowledged, there [writers]int64) {
		for g := range writers {
			if there[g] < acknowledged[g] {
				lost++
			}
		}
	})
	if lost == 0 {
		t.Error("nothing was ever lost; then the test without NoSync says nothing")
	}
}

// worked is what was done to the files of a database, and by whom.
type worked struct {
	*testing.T
	steps  []logvfs.Step
	opened int // how many of them had been done when the database was open
}

// work has writers store transactions of a task and a session each, while another
// connection copies the log into the database and begins it anew.
func work(t *testing.T, noSync bool) *worked {
	path := filepath.Join(t.TempDir(), "nexus.db")
	first := open(t, filepath.Join(t.TempDir(), "first.db"), held(t), 10)
	create(t, first) // now the VFS knows the methods of both files
	r := logvfs.Record(t, path)
	db, err := nexussqlite.Open(t.Context(), path, &nexussqlite.Options{NoSync: noSync})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Projects.Create(t.Context(), &nexus.Project{ID: "p", Name: "P", RootPath: "/p"}); err != nil {
		t.Fatal(err)
	}
	w := &worked{T: t, opened: len(r.Steps())}
	if noSync { // what is there by then is on the disk
		w.checkpoint(path)
		w.opened = len(r.Steps())
	}
	ctx, stop := context.WithCancel(t.Context())
	var copying, writing sync.WaitGroup
	var quiet sync.RWMutex // only where nobody writes does the log begin anew for sure
	copying.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			if n%4 == 0 {
				quiet.Lock()
			}
			w.checkpoint(path)
			if n%4 == 0 {
				quiet.Unlock()
			}
		}
	})
	for g := range writers {
		writing.Go(func() {
			for n := range eachWrites {
				quiet.RLock()
				err := w.transaction(db, g, n)
				quiet.RUnlock()
				if err != nil {
					t.Error(err)
					return
				}
				r.Note(int64(g))
			}
		})
	}
	writing.Wait()
	stop()
	copying.Wait()
	w.steps = r.Steps()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *worked) transaction(db *store.DB, writer, n int) error {
	id := fmt.Sprintf("w%d-%d", writer, n)
	return db.InTx(w.Context(), func(tx *store.Tx) error {
		text := strings.Repeat("what it is about ", n*7%300)
		err := tx.Tasks.Create(w.Context(), &nexus.Task{ID: id, ProjectID: "p", Name: "n", Description: text})
		if err != nil {
			return err
		}
		return tx.Sessions.Create(w.Context(), &nexus.Session{ID: id, ProjectID: "p", Type: "planning"})
	})
}

// checkpoint copies the log into the database in one of SQLite's ways. Where others are in
// its way it does less.
func (w *worked) checkpoint(path string) {
	c := connect(w, path, "vfs="+held(w))
	defer c.Close()
	c.SetBusyTimeout(0)
	mode := []string{"PASSIVE", "FULL", "RESTART", "TRUNCATE"}[rand.IntN(4)]
	_ = sqlitex.ExecuteTransient(c, "PRAGMA wal_checkpoint("+mode+")", nil)
}

// cut calls fn for many moments with how many transactions of each writer had been
// acknowledged by then, and how many of them there are after a loss of power.
func (w *worked) cut(fn func(when string, acknowledged, there [writers]int64)) {
	for range cuts {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		moment := w.opened + random.IntN(len(w.steps)-w.opened+1)
		when := fmt.Sprintf("power lost after step %d of %d, seed %d", moment, len(w.steps), seed)
		var database, log disk
		var acknowledged [writers]int64
		for _, s := range w.steps[:moment] {
			switch file := map[bool]*disk{false: &database, true: &log}[s.Log]; {
			case s.Sync || s.Truncate || s.Data != nil:
				file.do(s)
			default:
				acknowledged[s.Size]++
			}
		}
		there := w.recover(when, database.lose(random), log.lose(random))
		fn(when, acknowledged, there)
		if w.Failed() {
			return
		}
	}
}

// recover opens the files as the next process would, and returns how many transactions
// there are of each writer, none of which is only a part of one.
func (w *worked) recover(when string, database, log []byte) (there [writers]int64) {
	folder := w.TempDir()
	path := filepath.Join(folder, "nexus.db")
	for name, data := range map[string][]byte{path: database, path + "-wal": log} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			w.Fatal(err)
		}
	}
	db, err := nexussqlite.Open(w.Context(), path, nil)
	if err != nil {
		w.Errorf("%s: %v", when, err)
		return there
	}
	defer func() {
		if err := db.Close(); err != nil {
			w.Errorf("%s: %v", when, err)
		}
		_ = os.RemoveAll(folder)
	}()
	if findings, err := db.Diagnose(w.Context()); err != nil || len(findings) > 0 {
		w.Errorf("%s: doctor finds %+v; %v", when, findings, err)
		return there
	}
	tasks, err := db.Tasks.List(w.Context(), nexus.TaskFilter{})
	if err != nil {
		w.Fatal(err)
	}
	sessions, err := db.Sessions.List(w.Context(), nexus.SessionFilter{})
	if err != nil {
		w.Fatal(err)
	}
	var both [2][]string
	for _, t := range tasks {
		both[0] = append(both[0], t.ID)
	}
	for _, s := range sessions {
		both[1] = append(both[1], s.ID)
	}
	if !slices.Equal(both[0], both[1]) {
		w.Errorf("%s: there are tasks %v and sessions %v", when, both[0], both[1])
	}
	for g := range writers {
		for slices.Contains(both[0], fmt.Sprintf("w%d-%d", g, there[g])) {
			there[g]++
		}
	}
	if sum := there[0] + there[1] + there[2] + there[3]; sum != int64(len(tasks)) {
		w.Errorf("%s: after %v there are gaps in %v", when, there, both[0])
	}
	return there
}

// disk is a file: what is on the disk for sure, and what was done to it since.
type disk struct {
	durable []byte
	pending []logvfs.Step
}

func (d *disk) do(s logvfs.Step) {
	if !s.Sync {
		d.pending = append(d.pending, s)
		return
	}
	for _, p := range d.pending {
		d.apply(p)
	}
	d.pending = nil
}

func (d *disk) apply(s logvfs.Step) {
	end := s.Offset + int64(len(s.Data))
	if s.Truncate {
		end = s.Size
	}
	if missing := end - int64(len(d.durable)); missing > 0 {
		d.durable = append(d.durable, make([]byte, missing)...)
	}
	if s.Truncate {
		d.durable = d.durable[:s.Size]
	}
	copy(d.durable[min(s.Offset, int64(len(d.durable))):], s.Data)
}

// lose returns the file after a loss of power.
func (d *disk) lose(random *rand.Rand) []byte {
	for _, s := range d.pending {
		switch random.IntN(3) {
		case 0:
			d.apply(s)
		case 1: // lost
		default:
			if s.Truncate {
				continue
			}
			for from := 0; from < len(s.Data); {
				to := min(len(s.Data), from+sector-int((s.Offset+int64(from))%sector))
				if random.IntN(2) == 0 {
					d.apply(logvfs.Step{Offset: s.Offset + int64(from), Data: s.Data[from:to]})
				}
				from = to
			}
		}
	}
	return d.durable
}
