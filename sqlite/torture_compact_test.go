package sqlite_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
)

// childTortureCompact compacts the database at args[0]; see newTortured. It prints how
// many statements that has taken.
func childTortureCompact(args []string) error {
	x, err := newTortured(args)
	if err != nil {
		return err
	}
	wait := x.wait
	x.wait = order{}
	if err := x.phase("open", x.open); err != nil {
		return err
	}
	opened := x.statements.Load()
	x.mu.Lock()
	x.wait = wait
	x.mu.Unlock()
	err = x.phase("compact", func() error {
		_, err := x.db.Compact(background, nexus.CompactRequest{})
		return err
	})
	say("%d", x.statements.Load()-opened)
	if err != nil {
		return err
	}
	return x.close()
}

// tortureCompact kills a process while it compacts, after any of its statements, or
// within the one that rewrites the file. What is stored is what it was, every checkpoint
// holds, and to compact again does the rest.
func tortureCompact(t *testing.T, rng *rand.Rand, kills int) {
	folder := tortureFolder(t)
	template := content(t, newWithHistory(t))
	tasks := func(path string) []byte {
		db, err := sqlite.Open(background, path, quiet)
		mustSucceed(t, err)
		list, err := db.Tasks.List(background, nexus.TaskFilter{})
		mustSucceed(t, err)
		mustClose(t, db)
		text, err := json.Marshal(list)
		mustSucceed(t, err)
		return text
	}
	count, forgotten, shrunk := 0, 0, 0
	var want []byte
	for killed, round := 0, 0; killed < kills && !t.Failed(); round++ {
		path := filepath.Join(folder, fmt.Sprint(round), "nexus.db")
		mustSucceed(t, os.MkdirAll(filepath.Dir(path), 0o700))
		mustSucceed(t, os.WriteFile(path, template, 0o600))
		var o order
		if round > 0 {
			o = order{Kind: statements, Left: 1 + rng.IntN(count), Die: true, Delay: randomDelay(rng)}
			if rng.IntN(3) == 0 {
				o.Left = count - rng.IntN(8) // about when the file is rewritten
			}
		} else {
			want = tasks(path)
		}
		journal := filepath.Join(folder, fmt.Sprintf("%d.journal", round))
		p := start(t, "", "torture-compact", path, journal, "compact", asJSON(o))
		output, err := p.End()
		if p.Cmd.ProcessState.Exited() {
			mustSucceed(t, err)
		} else {
			killed++
		}
		if n, err := strconv.Atoi(strings.TrimSpace(output)); err == nil {
			count = max(count, n)
		}
		db, err := sqlite.Open(background, path, quiet)
		mustSucceed(t, err)
		checkpointsHold(t, db, 5)
		for _, problem := range soundness(db) {
			t.Errorf("round %d: %s", round, problem)
		}
		again, err := db.Compact(background, nexus.CompactRequest{})
		mustSucceed(t, err)
		if again.Forgotten == 0 {
			forgotten++
		}
		if again.BytesBefore < int64(len(template))/2 {
			shrunk++
		}
		if again.BytesAfter > int64(len(template))/2 {
			t.Errorf("round %d: %d bytes of %d are left", round, again.BytesAfter, len(template))
		}
		checkpointsHold(t, db, 5)
		list, err := db.Diagnose(background)
		if err != nil || len(list) > 0 {
			t.Errorf("round %d: Diagnose = %v, %v", round, list, err)
		}
		mustClose(t, db)
		mustBeAlone(t, path)
		if !bytes.Equal(tasks(path), want) {
			t.Errorf("round %d: the tasks are not what they were", round)
		}
		if !t.Failed() {
			mustSucceed(t, os.RemoveAll(filepath.Dir(path)))
		}
	}
	t.Logf("%d statements; in %d of %d rounds all was forgotten, in %d the file was smaller", count, forgotten, kills, shrunk)
}
