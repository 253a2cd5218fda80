package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
)

// childTortureOpen opens the database at args[0] when the parent says so, which
// may create it; stores the project args[2]; and closes it. Its journal is at args[1].
func childTortureOpen(args []string) error {
	j, err := openJournal(args[1])
	if err != nil {
		return err
	}
	x := &tortured{path: args[0], name: args[2], journal: j, role: "worker"}
	say("ready")
	awaitParent()
	if err := x.phase("open", x.open); err != nil {
		return err
	}
	create := func() error { return x.db.Projects.Create(background, project(x.name)) }
	if err := x.phase("create", create); err != nil {
		return err
	}
	return x.phase("close", x.close)
}

// childTortureClose stores some MB in the database at args[0], so that its log is
// long, and closes it when the parent says so.
func childTortureClose(args []string) error {
	j, err := openJournal(args[1])
	if err != nil {
		return err
	}
	x := &tortured{path: args[0], name: args[2], journal: j, role: "worker"}
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
	killed, rounds := 0, 0
	phases := tally{}
	spent := map[string]time.Duration{} // by those who are not killed
	for ; killed < kills && !t.Failed(); rounds++ {
		child := []string{"torture-open", "torture-close"}[rounds%2]
		path := filepath.Join(folder, fmt.Sprint(rounds), "nexus.db")
		var all []*process
		var journals []string
		for i := range 4 {
			journals = append(journals, filepath.Join(folder, fmt.Sprintf("%d-%d.journal", rounds, i)))
			all = append(all, start(t, "", child, path, journals[i], fmt.Sprintf("p%d", i)))
		}
		for _, p := range all {
			p.line()
		}
		began := time.Now()
		for _, p := range all {
			p.goOn()
		}
		doomed := rng.IntN(len(all) + 1)
		if rounds < 2 {
			doomed = 0 // how long does it take?
		}
		rng.Shuffle(len(all), func(i, j int) {
			all[i], all[j], journals[i], journals[j] = all[j], all[i], journals[j], journals[i]
		})
		time.Sleep(time.Duration(rng.Float64() * float64(spent[child])))
		for _, p := range all[:doomed] {
			_ = p.cmd.Process.Kill()
		}
		stored := map[string]bool{}
		for i, p := range all {
			if _, err := p.end(); err != nil && i >= doomed {
				t.Errorf("round %d: %v", rounds, err)
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
			if i < doomed && !p.cmd.ProcessState.Exited() {
				killed++
				phases[last]++
			}
		}
		if doomed == 0 {
			spent[child] = time.Since(began)
		}
		db, err := sqlite.Open(background, path, nil)
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
