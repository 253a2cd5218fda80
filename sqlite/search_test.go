package sqlite_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// withoutIndex is a database whose searches read every row, and the one at path.
type withoutIndex struct{ driver.DB }

// bothWays opens a database twice: with its index and without.
func bothWays(t testing.TB, path string) (indexed, plain *store.DB) {
	t.Helper()
	d, err := sqlite.OpenDriver(background, path, quiet)
	mustSucceed(t, err)
	t.Cleanup(func() { mustSucceed(t, d.Close()) })
	return store.New(d, time.Now, nil), store.New(withoutIndex{d}, time.Now, nil)
}

func search(t testing.TB, db *store.DB, text string) []nexus.Hit {
	t.Helper()
	hits, err := db.Search(background, nexus.SearchRequest{Text: text, Limit: nexus.MaxHits})
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return hits
}

// mustBeIndexed checks that the index is sound, and has what the tables have.
func mustBeIndexed(t testing.TB, path string, questions ...string) {
	t.Helper()
	indexed, plain := bothWays(t, path)
	for _, text := range questions {
		if diff := cmp.Diff(search(t, plain, text), search(t, indexed, text)); diff != "" {
			t.Errorf("%q (-there +found):\n%s", text, diff)
		}
	}
	byHand(t, path, "INSERT INTO search_index (search_index) VALUES ('integrity-check')")
	for _, sql := range []string{
		"SELECT document FROM search_documents EXCEPT SELECT id FROM search_index_docsize",
		"SELECT id FROM search_index_docsize EXCEPT SELECT document FROM search_documents",
	} {
		if odd := rows(t, path, sql); len(odd) > 0 {
			t.Errorf("%s: %v", sql, odd)
		}
	}
}

// With an index as without, a search finds the same, in the same order.
func TestSearchBothWays(t *testing.T) {
	t.Parallel()
	indexed, plain := bothWays(t, newDatabase(t))
	words := []string{
		"Parser", "pars", "the", "THE", "Café", "cafe", "naïve", "日本語", "日本", "本語", "x_y", "e-mail", "snake", "ﬁne", "Ⅷ", "⑴", "½", "İstanbul",
		"ΛΟΓΟΣ", "λόγος", "हिन्दी", "ภาษาไทย", "한국어", "\u0301", "💥", "(", "\"", "*", "-", "AND", "or", "NEAR", ".", ",", "\x00", "\xff", "ー", "か\u3099", "が", "a\u0300b",
		strings.Repeat("long", 50), strings.Repeat("ä", 70), "ß", "ŉ", "ǆ", "ﷺ", "\U000f0000", "\u0e33",
	}
	texts := rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		for range rapid.IntRange(1, 6).Draw(t, "words") {
			b.WriteString(rapid.SampledFrom(words).Draw(t, "word"))
			b.WriteString(rapid.SampledFrom([]string{" ", " ", "", "\n", "-"}).Draw(t, "between"))
		}
		return b.String()
	})
	number := 0
	rapid.Check(t, func(rt *rapid.T) {
		number++
		for i := range 3 {
			err := indexed.InTx(background, func(tx *store.Tx) error {
				_, err := tx.Exec(background, "INSERT INTO tasks (id, project_id, name, description, created_at, updated_at) VALUES ($1, 'first', $2, $3, 0, 0)",
					fmt.Sprintf("%d-%d", number, i), texts.Draw(rt, "name"), texts.Draw(rt, "description"))
				return err
			})
			if err != nil {
				rt.Fatal(err)
			}
		}
		question := texts.Draw(rt, "question")
		r := nexus.SearchRequest{Text: question, Limit: nexus.MaxHits}
		want, wantErr := plain.Search(background, r)
		got, err := indexed.Search(background, r)
		if nexus.CodeOf(err) != nexus.CodeOf(wantErr) {
			rt.Fatalf("%q: %v, without an index %v", question, err, wantErr)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("%q (-there +found):\n%s", question, diff)
		}
	})
}

// A search that cannot write finds what is new as well.
func TestSearchWithoutWriting(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{"an index that is behind": "indexed", "no index": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newDatabase(t)
			db := open(t, path, quiet)
			mustSucceed(t, db.Tasks.Create(background, &nexus.Task{ID: "t1", ProjectID: "first", Name: "indexed"}))
			mustSucceed(t, db.Tasks.Create(background, &nexus.Task{ID: "t2", ProjectID: "first", Name: "indexed too"}))
			if before != "" && len(search(t, db, before)) != 2 {
				t.Error("the index has not both")
			}
			mustSucceed(t, db.Tasks.Create(background, &nexus.Task{ID: "t3", ProjectID: "first", Name: "indexed later"}))
			mustSucceed(t, db.Tasks.Delete(background, "t1"))
			mustClose(t, db)
			bytes := content(t, path)
			reader := open(t, path, &sqlite.Options{ReadOnly: true})
			if hits := search(t, reader, "indexed"); len(hits) != 2 || hits[0].ID != "t2" && hits[0].ID != "t3" {
				t.Errorf("%+v", hits)
			}
			mustClose(t, reader)
			mustBe(t, path, bytes)

			holder := holdLock(t, path, "BEGIN IMMEDIATE")
			db = open(t, path, quiet)
			if hits := search(t, db, "later"); len(hits) != 1 || hits[0].ID != "t3" {
				t.Errorf("while another holds the lock: %+v", hits)
			}
			holder.MustEnd()
			mustClose(t, db)
			mustBeIndexed(t, path, "indexed", "later", "first")
		})
	}
}

// What was there before there was a history is indexed, and so is all if the history
// does not go back far enough any more.
func TestSearchMakesTheIndexAnew(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	db := open(t, path, quiet)
	shapes[1].fill(t, db, 3000)
	mustSucceed(t, db.Sessions.Create(background, &nexus.Session{ID: "s", ProjectID: "p"}))
	mustSucceed(t, db.Sessions.Append(background, "s", &nexus.SessionEntry{Text: "said"}))
	mustClose(t, db)
	byHand(t, path, "DELETE FROM history; DELETE FROM history_rows")
	questions := []string{"first", "task", "said", "n", "p"}
	mustBeIndexed(t, path, questions...)

	byHand(t, path, `
		UPDATE tasks SET name = 'changed' WHERE id > 't00001000';
		DELETE FROM tasks WHERE id > 't00002000';
		DELETE FROM history;
		INSERT INTO history (at_us, change, seq) SELECT 0, 'operation', 1000000;
		INSERT INTO history_marks VALUES ('forgotten', 999999)`)
	mustBeIndexed(t, path, append(questions, "changed")...)
	// And if it begins again, as that of a database that was imported.
	byHand(t, path, "DELETE FROM history; DELETE FROM history_marks; UPDATE tasks SET name = 'again' WHERE id < 't00000010'; DELETE FROM history")
	mustBeIndexed(t, path, append(questions, "changed", "again")...)
}

// Whatever is dropped of the index, doctor makes it again, and it is filled anew.
func TestSearchRemade(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"search_index", "search_documents", "search_progress"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			path := newDatabase(t)
			mustBeIndexed(t, path, "first")
			byHand(t, path, "DROP TABLE "+table)
			db := open(t, path, quiet)
			found, err := db.Diagnose(background)
			mustSucceed(t, err)
			if len(found) != 1 || !found[0].Mendable || found[0].IDs[0] != "table "+table {
				t.Errorf("%+v", found)
			}
			create(t, db, "second") // writes do not need it
			_, err = db.Mend(background)
			mustSucceed(t, err)
			mustClose(t, db)
			mustBeIndexed(t, path, "first", "second")
			mustBeSound(t, path)
		})
	}
}

// A damaged index costs nothing but time: searches find what they found, and make it
// anew.
func TestSearchDamagedIndex(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]string{
		"when it is read":    "DELETE FROM search_index_data WHERE id > 10",
		"when it is written": "DELETE FROM search_index_data; INSERT INTO tasks (id, project_id, name, created_at, updated_at) VALUES ('x', 'p', 'task x', 0, 0)",
		"in its blocks":      "UPDATE search_index_data SET block = x'00ff00ff' WHERE id > 10",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newDatabase(t)
			db := open(t, path, quiet)
			shapes[1].fill(t, db, 2000)
			mustClose(t, db)
			mustBeIndexed(t, path, "task", "first")
			byHand(t, path, damage)
			indexed, plain := bothWays(t, path)
			for range 2 {
				if diff := cmp.Diff(search(t, plain, "task"), search(t, indexed, "task")); diff != "" {
					t.Errorf("(-there +found):\n%s", diff)
				}
			}
			mustBeIndexed(t, path, "task", "first")
			mustBeSound(t, path)
		})
	}
}

// SQLite tells no trigger of a row that goes because another takes its plan_key. It is
// not found any more either.
func TestSearchUnheardOf(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	db := open(t, path, quiet)
	for _, id := range []string{"t1", "t2"} {
		mustSucceed(t, db.Tasks.Create(background, &nexus.Task{ID: id, ProjectID: "first", Name: "needle", PlanKey: id}))
	}
	if hits := search(t, db, "needle"); len(hits) != 2 {
		t.Errorf("%+v", hits)
	}
	byHand(t, path, "UPDATE OR REPLACE tasks SET plan_key = 't1' WHERE id = 't2'")
	if hits := search(t, db, "needle"); len(hits) != 1 || hits[0].ID != "t2" {
		t.Errorf("%+v", hits)
	}
}

// No trigger touches the index: programs whose SQLite has no FTS5 write as well.
func TestSearchCostsNoWrite(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	if list := rows(t, path, "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND sql LIKE '%search\\_%' ESCAPE '\\'"); len(list) > 0 {
		t.Errorf("triggers: %v", list)
	}
	mustBeIndexed(t, path, "first")
	before := rows(t, path, "SELECT step FROM search_progress")
	db := open(t, path, quiet)
	create(t, db, "second")
	if after := rows(t, path, "SELECT step FROM search_progress"); !cmp.Equal(before, after) {
		t.Errorf("the index is at step %v, was at %v", after, before)
	}
}

// Many that search at once, while others write, do not get in each other's way.
func TestSearchTogether(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	db, other := open(t, path, quiet), open(t, path, quiet)
	failed := make(chan error, 4)
	for g, db := range []*store.DB{db, other, db, other} {
		go func() {
			for i := range 20 {
				id := fmt.Sprintf("t%d-%d", g, i)
				if err := db.Tasks.Create(background, &nexus.Task{ID: id, ProjectID: "first", Name: "needle " + id}); err != nil {
					failed <- err
					return
				}
				hits, err := db.Search(background, nexus.SearchRequest{Text: fmt.Sprintf("needle %q", id), Limit: nexus.MaxHits})
				if err == nil && len(hits) != 1 {
					err = fmt.Errorf("%s: %d hits", id, len(hits))
				}
				if err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range 4 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	mustClose(t, db)
	mustClose(t, other)
	mustBeIndexed(t, path, "needle", "first")
}

// childSearchUntilKill changes and searches the database at args[0] until it is
// killed, and prints a line before each search.
func childSearchUntilKill(args []string) error {
	db, err := sqlite.Open(background, args[0], quiet)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		err := db.InTx(background, func(tx *store.Tx) error {
			for i := range 600 {
				t := nexus.Task{ID: fmt.Sprintf("t%d", i), ProjectID: "first", Name: fmt.Sprintf("%s needle%d", args[1], n), Description: strings.Repeat("hay ", 50)}
				if _, err := tx.Tasks.Upsert(background, &t); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		say("searching")
		if _, err := db.Search(background, nexus.SearchRequest{Text: "needle"}); err != nil {
			return err
		}
	}
}

// Whenever a search is killed, the index is sound, and follows again.
func TestSearchKilled(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	for round := range 8 {
		p := start(t, "", "search-until-kill", path, fmt.Sprintf("round%d", round))
		for range round%3 + 1 {
			p.Line()
		}
		time.AfterFunc(time.Duration(round*7)*time.Millisecond, func() { _ = p.Cmd.Process.Kill() })
		_, _ = p.End()
		mustBeIndexed(t, path, "needle", "round", fmt.Sprintf("round%d", round), "needle1", "first")
	}
	mustBeSound(t, path)
}
