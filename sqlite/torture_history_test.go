package sqlite_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// The states of the project that is brought back and forth: of each number, all rows
// follow from it, so that half of one and half of another cannot look like a third.

const backAndForthTasks = 25

// turnTo makes the project that of a number.
func turnTo(tx *store.Tx, k int) error {
	for i := range backAndForthTasks {
		id := fmt.Sprintf("t%d", i)
		var err error
		if i%5 == k%5 {
			if err = tx.Tasks.Delete(background, id); nexus.CodeOf(err) == nexus.CodeNotFound {
				err = nil
			}
		} else {
			_, err = tx.Tasks.Upsert(background, &nexus.Task{ID: id, ProjectID: "first", FeatureID: "f", Name: strconv.Itoa(k)})
		}
		if err != nil {
			return err
		}
	}
	text := strconv.Itoa(k)
	_, err := tx.Features.Update(background, "f", nexus.FeatureUpdate{Description: new(text + strings.Repeat(" and on", k%900))})
	if err == nil {
		data := nexus.JSON(`{"log":"` + strings.Repeat("x", 3000) + `","k":` + text + `}`)
		_, err = tx.Sessions.Update(background, "s", nexus.SessionUpdate{Data: &data})
	}
	return err
}

// numberOf returns the number of the state, and an error if it is of none.
func numberOf(s *store.Services) (int, error) {
	session, err := s.Sessions.Get(background, "s")
	if err != nil {
		return 0, err
	}
	_, text, _ := strings.Cut(strings.TrimSuffix(string(session.Data), "}"), `"k":`)
	k, err := strconv.Atoi(text)
	if err != nil {
		return 0, err
	}
	feature, err := s.Features.Get(background, "f")
	if err != nil {
		return 0, err
	}
	if feature.Description != text+strings.Repeat(" and on", k%900) {
		return 0, fmt.Errorf("session %d, feature %.20s", k, feature.Description)
	}
	list, err := s.Tasks.List(background, nexus.TaskFilter{ProjectID: "first"})
	if err != nil {
		return 0, err
	}
	for _, t := range list {
		if i, err := strconv.Atoi(t.ID[1:]); err != nil || t.Name != text || i%5 == k%5 {
			return 0, fmt.Errorf("session %d, task %s %s", k, t.ID, t.Name)
		}
	}
	if want := backAndForthTasks - backAndForthTasks/5; len(list) != want {
		return 0, fmt.Errorf("session %d, %d tasks", k, len(list))
	}
	return k, nil
}

func newBackAndForth(t testing.TB, path string) {
	t.Helper()
	db := open(t, path, nil)
	create(t, db, "first")
	mustSucceed(t, db.Features.Create(background, &nexus.Feature{ID: "f", ProjectID: "first", Name: "f"}))
	mustSucceed(t, db.Sessions.Create(background, &nexus.Session{ID: "s", ProjectID: "first", Type: "planning"}))
	mustSucceed(t, db.InTx(background, func(tx *store.Tx) error { return turnTo(tx, 1) }))
	checkpointOf(t, db, 1)
	mustClose(t, db)
}

func checkpointOf(t testing.TB, db *store.DB, k int) {
	t.Helper()
	_, err := db.Checkpoint(background, nexus.CheckpointRequest{ProjectID: "first", Name: strconv.Itoa(k)})
	mustSucceed(t, err)
}

// childBackAndForth turns the database at args[0] to new states and back to old ones
// until it is killed. It says before each step which state follows, and after it, with
// the number of the last change, which is there. args[1] is its seed.
func childBackAndForth(args []string) error {
	seed, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	db, err := sqlite.Open(background, args[0], nil)
	if err != nil {
		return err
	}
	k, err := numberOf(&db.Services)
	if err != nil {
		return err
	}
	for {
		switch rng.IntN(4) {
		case 0:
			next := rng.IntN(1_000_000)
			say("do turn %d", next)
			err = db.InTx(background, func(tx *store.Tx) error { return turnTo(tx, next) })
			k = next
		case 1:
			say("do checkpoint %d", k)
			_, err = db.Checkpoint(background, nexus.CheckpointRequest{ProjectID: "first", Name: strconv.Itoa(k)})
		case 2:
			k, err = restoreAny(db, rng, k)
		case 3:
			k, err = undoLast(db, k)
		}
		if err != nil {
			return err
		}
		seq, err := db.LastChange(background)
		if err != nil {
			return err
		}
		say("done %d %d", k, seq)
	}
}

func restoreAny(db *store.DB, rng *rand.Rand, k int) (int, error) {
	list, err := db.Checkpoints.List(background, nexus.CheckpointFilter{})
	if err != nil {
		return k, err
	}
	p := list[rng.IntN(len(list))]
	then, err := numberOf(&db.AsOf(momentOf(&p)).Services)
	if err != nil {
		return k, err
	}
	say("do restore %d", then)
	_, err = db.Restore(background, p.ID, false)
	return then, err
}

func momentOf(p *nexus.Checkpoint) int64 {
	state, err := p.Details()
	if err != nil {
		return -1
	}
	return state.Seq
}

// undoLast takes back the last operation that was not a checkpoint.
func undoLast(db *store.DB, k int) (int, error) {
	list, err := db.History(background, nexus.HistoryFilter{Kind: nexus.KindSession, ID: "s", Newest: true, Limit: 1})
	if err != nil || len(list) == 0 || list[0].Before == nil {
		return k, err
	}
	then, err := numberOf(&db.AsOf(list[0].Operation - 1).Services)
	if err != nil {
		return k, nil // before there was a number
	}
	say("do undo %d", then)
	_, err = db.Undo(background, nexus.UndoRequest{Operation: list[0].Operation, Force: true})
	if nexus.CodeOf(err) == nexus.CodeTransition { // it had changed nothing that is not so already
		return k, nil
	}
	return then, err
}

// tortureHistory kills a process that goes back and forth: what is there then is the
// last state that was acknowledged or the one that was under way, as a whole; all pasts
// that were acknowledged are what they were, and all checkpoints verify.
func tortureHistory(t *testing.T, rng *rand.Rand, kills int) {
	path := filepath.Join(tortureFolder(t), "nexus.db")
	newBackAndForth(t, path)
	acknowledged := 1
	pasts := make(map[int64]int)
	underWay, outcomes := tally{}, tally{}
	for range kills {
		p := start(t, "", "back-and-forth", path, strconv.FormatUint(rng.Uint64(), 10))
		var lines []string
		for range 1 + rng.IntN(12) {
			lines = append(lines, p.Line())
		}
		time.Sleep(randomDelay(rng))
		rest := p.Kill()
		if text := p.Stderr.String(); text != "" {
			t.Fatal(text)
		}
		if i := strings.LastIndexByte(rest, '\n'); i >= 0 {
			lines = append(lines, strings.Split(rest[:i], "\n")...)
		}
		possible, what := acknowledged, "nothing"
		for _, line := range lines {
			var k int
			var seq int64
			if n, _ := fmt.Sscanf(line, "done %d %d", &k, &seq); n == 2 {
				acknowledged, possible, what = k, k, "nothing"
				pasts[seq] = k
			} else if n, _ := fmt.Sscanf(line, "do %s %d", &what, &k); n == 2 {
				possible = k
			}
		}
		underWay[what]++
		db := open(t, path, nil)
		got, err := numberOf(&db.Services)
		switch {
		case err != nil:
			t.Fatalf("killed in %s: %v", what, err)
		case got != acknowledged && got != possible:
			t.Fatalf("killed in %s: the state is %d, was %d, would be %d", what, got, acknowledged, possible)
		case got == possible && got != acknowledged:
			outcomes["had happened"]++
		case possible != acknowledged:
			outcomes["had not"]++
		}
		acknowledged = got
		mustSucceed(t, checkPasts(db, pasts))
		h, err := db.Health(background, true)
		if err != nil || !h.OK() {
			t.Fatalf("health = %+v, %v", h, err)
		}
		mustClose(t, db)
	}
	t.Logf("%d kills, %d pasts checked; under way when killed: %v; of these %v", kills, len(pasts), underWay, outcomes)
}

// checkPasts compares some pasts with what they were, and verifies some checkpoints.
func checkPasts(db *store.DB, pasts map[int64]int) error {
	n := 0
	for seq, k := range pasts {
		got, err := numberOf(&db.AsOf(seq).Services)
		if err != nil || got != k {
			return errors.Join(fmt.Errorf("after change %d the state was %d, is now %d", seq, k, got), err)
		}
		if n++; n == 10 {
			break
		}
	}
	list, err := db.Checkpoints.List(background, nexus.CheckpointFilter{})
	for i := 0; i < len(list) && err == nil; i += 1 + len(list)/10 {
		var v *nexus.Verification
		if v, err = db.VerifyCheckpoint(background, list[i].ID); err == nil && !v.OK {
			err = fmt.Errorf("a checkpoint does not verify: %+v", v)
		}
	}
	return err
}
