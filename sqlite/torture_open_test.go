package sqlite_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
)

// statements in an order waits for one that a process has run.
const statements = "statement"

// newTortured makes a process that works on the database at args[0], with a journal
// at args[1], under the name args[2], and dies by the order args[3].
func newTortured(args []string) (x *tortured, err error) {
	x = &tortured{path: args[0], name: args[2], role: "worker"}
	if err := json.Unmarshal([]byte(args[3]), &x.wait); err != nil {
		return nil, err
	}
	x.options = &sqlite.Options{Debug: true, Logger: slog.New(slog.NewTextHandler(x, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	x.journal, err = openJournal(args[1])
	return x, err
}

// Write takes a line of the log of statements.
func (x *tortured) Write(line []byte) (int, error) {
	if !bytes.Contains(line, []byte("sql=")) {
		return len(line), nil
	}
	x.statements.Add(1)
	if x.log != nil {
		if _, err := x.log.Write(line); err != nil {
			return 0, err
		}
	}
	x.note(statements)
	return len(line), nil
}

// childTortureOpen opens the database at args[0] when the parent says so, which
// may create it; stores the project args[2]; and closes it. It prints how many
// statements it has run.
func childTortureOpen(args []string) error {
	x, err := newTortured(args)
	if err != nil {
		return err
	}
	say("ready")
	awaitParent()
	if err := x.phase("open", x.open); err != nil {
		return err
	}
	create := func() error { return x.db.Projects.Create(background, project(x.name)) }
	if err := x.phase("create", create); err != nil {
		return err
	}
	say("%d", x.statements.Load())
	return x.phase("close", x.close)
}

// childTortureClose stores some MB in the database at args[0], so that its log is
// long, and closes it when the parent says so.
func childTortureClose(args []string) error {
	x, err := newTortured(args)
	if err != nil {
		return err
	}
	if err := x.phase("open", x.open); err != nil {
		return err
	}
	create := func() error {
		var list []*nexus.Project
		for i := range 100 {
			p := project(fmt.Sprintf("%s-%d", x.name, i))
			p.Description = strings.Repeat("x", 20_000)
			list = append(list, p)
		}
		list[0].ID = x.name
		return x.db.Projects.CreateMany(background, list)
	}
	if err := x.phase("create", create); err != nil {
		return err
	}
	say("ready")
	awaitParent()
	return x.phase("close", x.close)
}

// tortureOpen kills some of several processes while they open or close one database,
// which is new. What they have stored before is there, the others see nothing of it,
// and the file opens by itself.
func tortureOpen(t *testing.T, rng *rand.Rand, kills int) {
	folder := tortureFolder(t)
	killed, rounds, count := 0, 0, 0
	phases := tally{}
	for ; killed < kills && !t.Failed(); rounds++ {
		child := []string{"torture-open", "torture-close"}[rounds%2]
		path := filepath.Join(folder, fmt.Sprint(rounds), "nexus.db")
		var all []*process
		var journals []string
		doomed := rng.IntN(5)
		if rounds == 0 {
			doomed = 0 // how many statements are there?
		}
		for i := range 4 {
			var o order
			if i < doomed {
				o = order{Kind: "close", Left: 1, Die: true, Delay: randomDelay(rng)}
				if child == "torture-open" {
					o.Kind, o.Left = statements, 1+rng.IntN(count)
				}
			}
			journals = append(journals, filepath.Join(folder, fmt.Sprintf("%d-%d.journal", rounds, i)))
			all = append(all, start(t, "", child, path, journals[i], fmt.Sprintf("p%d", i), asJSON(o)))
		}
		for _, p := range all {
			p.Line()
		}
		for _, p := range all {
			p.GoOn()
		}
		stored := map[string]bool{}
		for i, p := range all {
			output, err := p.End()
			dead := i < doomed && !p.Cmd.ProcessState.Exited()
			if err != nil && !dead {
				t.Errorf("round %d: %v", rounds, err)
			}
			if n, err := strconv.Atoi(strings.TrimSpace(output)); err == nil {
				count = max(count, n)
			}
			acts, _, err := readJournal(journals[i], 0)
			mustSucceed(t, err)
			last := "nothing"
			for _, a := range acts {
				if a.Kind == "create" && a.state == done {
					stored[strings.TrimSuffix(a.ID, ".create")] = true
				}
				if a.state == doubtful {
					last = a.Kind
				}
			}
			if dead {
				killed++
				phases[last]++
			}
		}
		db, err := sqlite.Open(background, path, quiet)
		if err != nil {
			t.Fatalf("round %d: %v", rounds, err)
		}
		ids := projectIDs(t, db)
		for id := range stored {
			if !ids[id] {
				t.Errorf("round %d: lost: project %s", rounds, id)
			}
		}
		if child == "torture-close" && len(ids)%100 != 0 {
			t.Errorf("round %d: half a transaction: %d projects", rounds, len(ids))
		}
		for _, problem := range soundness(db) {
			t.Errorf("round %d: %s", rounds, problem)
		}
		mustClose(t, db)
		mustBeAlone(t, path)
	}
	t.Logf("%d kills in %d rounds; under way when killed: %v", killed, rounds, phases)
}
