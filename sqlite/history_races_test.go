package sqlite_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// childUndo takes back an operation of the database at args[0], when it is told to,
// and says with which code that ended.
func childUndo(args []string) error {
	db, err := sqlite.Open(background, args[0], nil)
	if err != nil {
		return err
	}
	operation, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return err
	}
	say("ready")
	awaitParent()
	_, err = db.Undo(background, nexus.UndoRequest{Operation: operation})
	say("code %q", string(nexus.CodeOf(err)))
	return db.Close()
}

// Of several processes that take back the same operation at once, one does, and the
// others are told that there is nothing left.
func TestProcessesUndoTheSame(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	db := open(t, path, nil)
	operation := lastChange(t, db) + 1
	mustSucceed(t, db.InTx(background, func(tx *store.Tx) error {
		_, err := tx.Projects.Update(background, "first", nexus.ProjectUpdate{Name: new("changed")})
		return errors.Join(err, tx.Tasks.Create(background, &nexus.Task{ID: "new", ProjectID: "first", Name: "n"}))
	}))
	var all []*process
	for range 4 {
		all = append(all, start(t, "", "undo", path, fmt.Sprint(operation)))
	}
	for _, p := range all {
		p.Line()
	}
	for _, p := range all {
		p.GoOn()
	}
	codes := tally{}
	for _, p := range all {
		codes[p.MustEnd()]++
	}
	if codes["code \"\"\n"] != 1 || codes["code \"bad_transition\"\n"] != 3 {
		t.Errorf("the processes say %v", codes)
	}
	p, err := db.Projects.Get(background, "first")
	mustSucceed(t, err)
	if p.Name != "first" {
		t.Errorf("the project is called %s", p.Name)
	}
	_, err = db.Tasks.Get(background, "new")
	wantCode(t, err, nexus.CodeNotFound)
}

// Agents take back what they have done to the same rows, in whatever order it comes:
// what one has done since the other is never lost, and all of it goes in the end.
func TestAgentsUndoOnTheSameRows(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	one, two := open(t, path, nil), open(t, path, nil)
	mustSucceed(t, one.Tasks.Create(background, &nexus.Task{ID: "x", ProjectID: "first", Name: "begun", BranchName: "begun", WorktreePath: "begun"}))
	type did struct {
		db        *store.DB
		operation int64
		undone    bool
	}
	for range 10 {
		var all []*did
		for n, db := range []*store.DB{one, two, one, two} {
			operation := lastChange(t, db) + 1
			update := nexus.TaskUpdate{Name: new(fmt.Sprint(n))} // all change this one
			if db == one {
				update.BranchName = new(fmt.Sprint(n))
			} else {
				update.WorktreePath = new(fmt.Sprint(n))
			}
			_, err := db.Tasks.Update(background, "x", update)
			mustSucceed(t, err)
			all = append(all, &did{db: db, operation: operation})
		}
		for undone := 0; undone < len(all); {
			var together sync.WaitGroup
			errs := make([]error, len(all))
			for n, d := range all {
				if !d.undone {
					together.Go(func() {
						_, errs[n] = d.db.Undo(background, nexus.UndoRequest{Operation: d.operation})
					})
				}
			}
			together.Wait()
			before := undone
			for n, d := range all {
				switch {
				case d.undone:
				case errs[n] == nil:
					d.undone = true
					undone++
				default:
					wantCode(t, errs[n], nexus.CodeStale)
					var conflict *nexus.Undone
					if conflict, _ = asError(errs[n]).Stored.(*nexus.Undone); conflict == nil || len(conflict.Conflicts) == 0 {
						t.Errorf("refused without a conflict: %v", errs[n])
					}
				}
			}
			for n := range all { // the later one first, because of the name
				for later := n + 1; later < len(all); later++ {
					if all[n].undone && !all[later].undone {
						t.Errorf("operation %d was taken back before %d", n, later)
					}
				}
			}
			if undone == before {
				t.Fatal("nothing could be taken back")
			}
		}
		task, err := two.Tasks.Get(background, "x")
		mustSucceed(t, err)
		if task.Name != "begun" || task.BranchName != "begun" || task.WorktreePath != "begun" {
			text, _ := json.Marshal(task)
			t.Fatalf("in the end it is %s", text)
		}
	}
}

// What several processes and connections write at once, some of which fails, is in the
// history once each, with who did it; its index follows, whoever adds to it.
func TestHistoryOfManyWriters(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	const writers, each = 6, 60
	var together sync.WaitGroup
	for n := range writers {
		db := open(t, path, &sqlite.Options{NoSync: true})
		ctx := store.WithActor(background, fmt.Sprint("actor", n))
		for half := range 2 { // so that they share commits
			together.Go(func() {
				for i := range each {
					id := fmt.Sprintf("t%d-%d-%d", n, half, i)
					fail := i%3 == 0
					err := db.InTx(ctx, func(tx *store.Tx) error {
						tx.Operation("write " + id)
						for range 3 {
							if _, err := tx.Tasks.Upsert(ctx, &nexus.Task{ID: id, ProjectID: "first", Name: "n"}); err != nil {
								return err
							}
							if _, err := tx.Tasks.Update(ctx, id, nexus.TaskUpdate{BranchName: new(fmt.Sprint("b", i))}); err != nil {
								return err
							}
						}
						_ = tx.InTx(ctx, func(tx *store.Tx) error {
							_ = tx.Tasks.Create(ctx, &nexus.Task{ID: id + "-lost", ProjectID: "first", Name: "n"})
							return errors.New("not this")
						})
						if fail {
							return errors.New("not at all")
						}
						return nil
					})
					if (err != nil) != fail {
						t.Errorf("%s: %v", id, err)
					}
				}
			})
		}
	}
	together.Wait()
	db := open(t, path, nil)
	list, err := db.History(background, nexus.HistoryFilter{Kind: nexus.KindTask})
	mustSucceed(t, err)
	seen := make(map[string]int64)
	for _, c := range list {
		var n, half, i int
		if _, err := fmt.Sscanf(c.ID, "t%d-%d-%d", &n, &half, &i); err != nil || i%3 == 0 {
			t.Errorf("there is a change of %s", c.ID)
		}
		if c.Name != "write "+c.ID || c.Actor != fmt.Sprint("actor", n) {
			t.Errorf("the change of %s is called %q, by %q", c.ID, c.Name, c.Actor)
		}
		if of, known := seen[c.ID]; known && of != c.Operation {
			t.Errorf("the changes of %s are of %d and %d", c.ID, of, c.Operation)
		}
		seen[c.ID] = c.Operation
	}
	if want := writers * 2 * each * 2 / 3; len(seen) != want {
		t.Errorf("%d tasks are in the history, want %d", len(seen), want)
	}
	for _, query := range []string{
		"SELECT count(*) FROM history WHERE kind IS NOT NULL AND seq <= (SELECT seq FROM history_marks WHERE name = 'indexed') AND seq NOT IN (SELECT seq FROM history_rows)",
		"SELECT count(*) FROM history_rows WHERE seq NOT IN (SELECT seq FROM history)",
		"SELECT max(seq) - (SELECT seq FROM history_marks WHERE name = 'indexed') > 600 FROM history",
		"SELECT count(*) - max(seq) FROM history",
	} {
		if got := rows(t, path, query)[0]; got != `SQLITE_INTEGER:"0" ` {
			t.Errorf("%s: %s", query, got)
		}
	}
}
