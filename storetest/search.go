package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var searchTests = map[string]timedTest{
	"Words":    testSearchWords,
	"Filters":  testSearchFilters,
	"Order":    testSearchOrder,
	"Snippets": testSearchSnippets,
	"Hostile":  testSearchHostile,
	"Refused":  testSearchRefused,
	"Changes":  testSearchChanges,
	"Foreign":  testSearchForeign,
	"Logs":     testSearchLogs,
	"Moved":    testSearchMoved,
	"Walk":     testSearchWalk,
}

// searched returns what a search finds, without its order.
func searched(t fataler, db *store.DB, r nexus.SearchRequest) []string {
	t.Helper()
	if r.Limit == 0 {
		r.Limit = nexus.MaxHits
	}
	hits, err := db.Search(context.Background(), r)
	must(t, err)
	list := []string{}
	for _, h := range hits {
		list = append(list, hitKey(h.Kind, h.ID, h.Number))
	}
	slices.Sort(list)
	return list
}

func hitKey(kind nexus.Kind, id string, number int64) string {
	if number == 0 {
		return fmt.Sprintf("%s %s", kind, id)
	}
	return fmt.Sprintf("%s %s %d", kind, id, number)
}

// library stores a project with something of everything that is searched.
func library(t *testing.T, db *store.DB) {
	t.Helper()
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "p1"))
	must(t, project(ctx, &db.Services, "p2"))
	must(t, db.Features.Create(ctx, &nexus.Feature{ID: "f1", ProjectID: "p1", Name: "Checkout", Description: "Paying with a credit card"}))
	must(t, db.SubFeatures.Create(ctx, &nexus.SubFeature{ID: "s1", FeatureID: "f1", Name: "Refunds", Description: "of credit cards"}))
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "t1", ProjectID: "p1", Name: "Write the parser", Description: "It reads snake_case and e-mail addresses,\nand Straße."}))
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "t2", ProjectID: "p1", Name: "Café über dem Ofen", Description: "ΛΟΓΟΣ λόγος; Йод; ﬁne ⑴"}))
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "t3", ProjectID: "p1", Name: "日本語の検索を作る", Description: "한국어 검색; ภาษาไทย"}))
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "t4", ProjectID: "p2", Name: "Parse OR die", Description: "NEAR the parser, NOT AND"}))
	must(t, db.Requirements.Create(ctx, &nexus.Requirement{ID: "r1", ProjectID: "p1", Category: "ui", Description: "Parsing takes a second"}))
	must(t, db.Sessions.Create(ctx, &nexus.Session{ID: "e1", ProjectID: "p1", Type: "planning", Data: nexus.JSON(`{"goal": "line one\nsecond line", "na\u00efve": [12, true]}`)}))
	must(t, db.Sessions.Append(ctx, "e1", &nexus.SessionEntry{Text: "Which currencies?"}))
	must(t, db.Sessions.Append(ctx, "e1", &nexus.SessionEntry{Text: "Prices are kept in cents of a second currency"}))
}

func testSearchWords(t *testing.T, db *store.DB, _ *Clock) {
	library(t, db)
	for text, want := range map[string][]string{
		"parser":                {"task t1", "task t4"},
		"PARS":                  {"requirement r1", "task t1", "task t4"}, // the last word may be a beginning
		"pars write":            {},                                       // others may not
		"pars* write":           {"task t1"},
		"write parser":          {"task t1"}, // all of them, in any order
		"parser nothing":        {},
		`"the parser"`:          {"task t1", "task t4"},
		`"parser the"`:          {},
		`"the pars"`:            {},
		`"the pars"*`:           {"task t1", "task t4"},
		"parser -write":         {"task t4"},
		`parser -"write the"`:   {"task t4"},
		"pars* -pars*":          {},
		"pars* -parser":         {"requirement r1"},
		"snake":                 {"task t1"},
		"snake_case":            {"task t1"},
		"case_snake":            {},
		"e-mail":                {"task t1"},
		"mail-e":                {},
		"strasse":               {}, // ß is a letter of its own
		"STRAßE":                {"task t1"},
		"cafe uber":             {"task t2"},
		"CAFÉ":                  {"task t2"},
		"cafe\u0301":            {"task t2"},
		`"λογος λογος"`:         {"task t2"},
		"йод":                   {"task t2"},
		"fine":                  {"task t2"},
		"検索":                    {"task t3"}, // in the midst of a row of characters
		"本語の検":                  {"task t3"},
		"索検":                    {},
		"한국":                    {"task t3"},
		"ไทย":                   {"task t3"},
		"or":                    {"task t4"},
		"OR NOT AND NEAR":       {"task t4"},
		"credit":                {"feature f1", "sub_feature s1"},
		"credit cards":          {"sub_feature s1"},
		"checkout credit":       {"feature f1"}, // one in the name, the other in the description
		"second":                {"requirement r1", "session e1", "session e1 2"},
		`"one second"`:          {"session e1"}, // not onensecond, as it is in JSON
		"naive goal 12":         {"session e1"},
		"currenc":               {"session e1 1", "session e1 2"},
		"which cents":           {}, // of two entries
		"currency":              {"session e1 2"},
		"currencies currencies": {"session e1 1"},
	} {
		if diff := cmp.Diff(want, searched(t, db, nexus.SearchRequest{Text: text})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func testSearchFilters(t *testing.T, db *store.DB, _ *Clock) {
	library(t, db)
	same(t, searched(t, db, nexus.SearchRequest{Text: "pars", ProjectID: "p2"}), []string{"task t4"})
	same(t, searched(t, db, nexus.SearchRequest{Text: "pars", Kinds: []nexus.Kind{"requirement", "feature"}}), []string{"requirement r1"})
	same(t, searched(t, db, nexus.SearchRequest{Text: "credit", ProjectID: "p1", Kinds: []nexus.Kind{"sub_feature"}}), []string{"sub_feature s1"})
	same(t, searched(t, db, nexus.SearchRequest{Text: "second", ProjectID: "p1", Kinds: []nexus.Kind{"session"}}), []string{"session e1", "session e1 2"})
	same(t, len(searched(t, db, nexus.SearchRequest{Text: "pars", Limit: 2})), 2)
}

// What is in a name comes first, then descriptions, then logs; of equals the newest.
func testSearchOrder(t *testing.T, db *store.DB, clock *Clock) {
	ctx := t.Context()
	talk(t, db, "about the parser here")
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "t1", ProjectID: "p1", Name: "about", Description: "the parser here"}))
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "t2", ProjectID: "p1", Name: "the parser here", Description: "about"}))
	clock.Move(time.Hour)
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "t0", ProjectID: "p1", Name: "the parser here", Description: "about"}))
	hits, err := db.Search(ctx, nexus.SearchRequest{Text: "parser"})
	must(t, err)
	order := []string{}
	for i, h := range hits {
		order = append(order, hitKey(h.Kind, h.ID, h.Number)+" "+h.Where)
		if h.Rank <= 0 || i > 0 && h.Rank > hits[i-1].Rank {
			t.Errorf("hit %d has rank %v", i, h.Rank)
		}
	}
	same(t, order, []string{"task t0 name", "task t2 name", "task t1 description", "session s 1 log"})
}

func testSearchSnippets(t *testing.T, db *store.DB, _ *Clock) {
	library(t, db)
	long := strings.Repeat("nothing of interest, ä 日本語; ", 200) + "and\n\n\tthen the needle in \x1b[2J the haystack" + strings.Repeat(" and more 🦀", 100)
	must(t, db.Tasks.Create(t.Context(), &nexus.Task{ID: "t9", ProjectID: "p1", Name: "n", Description: long}))
	for text, want := range map[string]string{
		"parser write":         "[Write] the [parser]",
		`"the parser" e-mail`:  "Write [the parser]",
		"mail snake":           "It reads [snake]_case and e-[mail] addresses, and Straße.",
		"uber":                 "Café [über] dem Ofen",
		"検索":                   "日本語の[検索]を作る",
		"goal":                 "[goal] line one second line naïve 12 ",
		"needle in the haysta": "interest, ä 日本語; and then [the] [needle] [in] \x1b[2J [the] [haystack] and more 🦀 and more 🦀",
	} {
		hits, err := db.Search(t.Context(), nexus.SearchRequest{Text: text, Limit: 1})
		must(t, err)
		if len(hits) != 1 {
			t.Errorf("%s: %d hits", text, len(hits))
			continue
		}
		marked := hits[0].Snippet
		for _, m := range slices.Backward(hits[0].Marks) {
			marked = marked[:m[0]] + "[" + marked[m[0]:m[1]] + "]" + marked[m[1]:]
		}
		if !strings.Contains(marked, strings.TrimSpace(want)) || len(hits[0].Snippet) > 200 {
			t.Errorf("%s: %s", text, marked)
		}
	}
}

// Nobody's question is a mistake in the language of an index.
func testSearchHostile(t *testing.T, db *store.DB, _ *Clock) {
	library(t, db)
	many := make([]string, 10_000)
	for i := range many {
		many[i] = fmt.Sprintf("w%d", i)
	}
	for _, text := range []string{
		`"`, `parser"`, `"parser`, `""parser""`, `parser"the"`, "parser'", "(parser", "parser)", "parser OR", "AND parser", "NEAR(parser the, 5)",
		"name:parser", "{name}: parser", "^parser", "parser + the", "parser NOT", "*", "parser**", "*parser", "-", "- parser", "--parser parser", "\\", "%", "_", ";", "?", "$1",
		"parser\x00the", "parser\xff", "\u202eparser", "';DROP TABLE tasks;--", "text:x", "rank MATCH", "-\"\"", "\"*\"", "\"\"*", "parser -\"", strings.Repeat("(", 5000),
		strings.Join(many, " "), strings.Join(many, "-"), "parser -" + strings.Join(many, " -"), strings.Repeat("long", 50_000), strings.Repeat(`"a" `, 5000), "⑴", "½ ﷺ ﷽", "\u0301", "💥",
	} {
		_, err := db.Search(t.Context(), nexus.SearchRequest{Text: text})
		if code := nexus.CodeOf(err); err != nil && code != nexus.CodeInvalid {
			t.Errorf("%.60q: %v", text, err)
		}
	}
	for _, text := range []string{`parser"`, "(parser", "name^parser*", "'parser'", "parser\x00", "parser -" + strings.Join(many, " -")} {
		if text = strings.ReplaceAll(text, "name^", ""); len(searched(t, db, nexus.SearchRequest{Text: text})) != 2 {
			t.Errorf("%.60q finds %v", text, searched(t, db, nexus.SearchRequest{Text: text}))
		}
	}
}

func testSearchRefused(t *testing.T, db *store.DB, _ *Clock) {
	library(t, db)
	for _, test := range []struct {
		request nexus.SearchRequest
		code    nexus.Code
	}{
		{nexus.SearchRequest{}, nexus.CodeInvalid},
		{nexus.SearchRequest{Text: " \n"}, nexus.CodeInvalid},
		{nexus.SearchRequest{Text: "?!"}, nexus.CodeInvalid},
		{nexus.SearchRequest{Text: "-parser"}, nexus.CodeInvalid},
		{nexus.SearchRequest{Text: "x", Kinds: []nexus.Kind{"agent"}}, nexus.CodeInvalid},
		{nexus.SearchRequest{Text: "x", Limit: -1}, nexus.CodeInvalid},
		{nexus.SearchRequest{Text: "x", Limit: nexus.MaxHits + 1}, nexus.CodeInvalid},
		{nexus.SearchRequest{Text: "x", ProjectID: "p9"}, nexus.CodeNotFound},
	} {
		if _, err := db.Search(t.Context(), test.request); nexus.CodeOf(err) != test.code {
			t.Errorf("%+v: %v", test.request, err)
		}
	}
}

// Each search knows what was changed before it.
func testSearchChanges(t *testing.T, db *store.DB, _ *Clock) {
	library(t, db)
	ctx := t.Context()
	words := func(text string) []string { return searched(t, db, nexus.SearchRequest{Text: `"` + text + `"`}) }
	same(t, words("checkout"), []string{"feature f1"})
	name, description := "Cash desk", "needle"
	_, err := db.Features.Update(ctx, "f1", nexus.FeatureUpdate{Name: &name})
	must(t, err)
	same(t, words("checkout"), []string{})
	same(t, words("cash"), []string{"feature f1"})
	_, err = db.Tasks.Update(ctx, "t1", nexus.TaskUpdate{Description: &description})
	must(t, err)
	same(t, words("snake"), []string{})
	same(t, words("needle"), []string{"task t1"})
	must(t, db.Tasks.Delete(ctx, "t1"))
	same(t, words("needle"), []string{})
	must(t, db.Tasks.Create(ctx, &nexus.Task{ID: "t1", ProjectID: "p1", Name: "needle"}))
	same(t, words("needle"), []string{"task t1"})
	undone := fmt.Errorf("enough")
	if err := db.InTx(ctx, func(tx *store.Tx) error {
		must(t, tx.Tasks.Delete(ctx, "t1"))
		return undone
	}); err != undone {
		t.Fatal(err)
	}
	same(t, words("needle"), []string{"task t1"})
	must(t, db.Projects.Delete(ctx, "p1"))
	for _, word := range []string{"needle", "credit", "second", "currencies", "p1"} {
		same(t, words(word), []string{})
	}
	same(t, words("parser"), []string{"task t4"})
}

// What another program changes is found, and what it takes away is not.
func testSearchForeign(t *testing.T, db *store.DB, _ *Clock) {
	library(t, db)
	same(t, searched(t, db, nexus.SearchRequest{Text: "parser"}), []string{"task t1", "task t4"})
	foreign := func(statements ...string) {
		t.Helper()
		must(t, db.InTx(t.Context(), func(tx *store.Tx) error {
			for _, sql := range statements {
				if _, err := tx.Exec(t.Context(), sql); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	foreign(
		"UPDATE tasks SET name = 'nothing' WHERE id = 't1'",
		"INSERT INTO tasks (id, project_id, name, created_at, updated_at) VALUES ('t5', 'p1', 'parser', 0, 0)",
		"UPDATE tasks SET id = 't6' WHERE id = 't4'",
		"UPDATE sessions SET data = 'no JSON: {parser' WHERE id = 'e1'",
	)
	same(t, searched(t, db, nexus.SearchRequest{Text: "parser"}), []string{"session e1", "task t5", "task t6"})
	foreign(
		"DELETE FROM tasks WHERE id = 't5'", "UPDATE sessions SET id = 'e2' WHERE id = 'e1'",
		"UPDATE requirements SET description = 'parser' WHERE id = 'r1'",
	)
	same(t, searched(t, db, nexus.SearchRequest{Text: "parser"}), []string{"requirement r1", "session e2", "task t6"})
	same(t, searched(t, db, nexus.SearchRequest{Text: "currenc"}), []string{"session e2 1", "session e2 2"})
	foreign("DELETE FROM projects")
	same(t, searched(t, db, nexus.SearchRequest{Text: "parser"}), []string{})
}

// A log goes with its session, also if another one gets its id.
func testSearchLogs(t *testing.T, db *store.DB, _ *Clock) {
	ctx := t.Context()
	talk(t, db, "one apple", "two apples")
	apples := func() []string { return searched(t, db, nexus.SearchRequest{Text: "apple"}) }
	same(t, apples(), []string{"session s 1", "session s 2"})
	must(t, db.Sessions.Append(ctx, "s", &nexus.SessionEntry{Text: "a pear"}))
	same(t, apples(), []string{"session s 1", "session s 2"})
	must(t, db.Sessions.Append(ctx, "s", &nexus.SessionEntry{Text: "apple"}))
	same(t, apples(), []string{"session s 1", "session s 2", "session s 4"})
	must(t, db.Sessions.Delete(ctx, "s"))
	must(t, db.Sessions.Create(ctx, &nexus.Session{ID: "s", ProjectID: "p1"}))
	for _, text := range []string{"a pear", "an apple", "a plum", "a plum", "apple"} {
		must(t, db.Sessions.Append(ctx, "s", &nexus.SessionEntry{Text: text}))
	}
	same(t, apples(), []string{"session s 2", "session s 5"})
	must(t, db.InTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM session_log WHERE number > 1")
		return err
	}))
	must(t, db.Sessions.Append(ctx, "s", &nexus.SessionEntry{Text: "an apple again"}))
	same(t, apples(), []string{"session s 2"})
}

// What belongs to something goes to another project with it.
func testSearchMoved(t *testing.T, db *store.DB, _ *Clock) {
	library(t, db)
	in := func(project, text string) []string {
		return searched(t, db, nexus.SearchRequest{Text: text, ProjectID: project})
	}
	same(t, in("p1", "refunds"), []string{"sub_feature s1"})
	same(t, in("p1", "currenc"), []string{"session e1 1", "session e1 2"})
	must(t, db.InTx(t.Context(), func(tx *store.Tx) error {
		for _, table := range []string{"features", "sessions"} {
			if _, err := tx.Exec(t.Context(), "UPDATE "+table+" SET project_id = 'p2'"); err != nil {
				return err
			}
		}
		return nil
	}))
	same(t, in("p1", "refunds"), []string{})
	same(t, in("p2", "refunds"), []string{"sub_feature s1"})
	same(t, in("p2", "currenc"), []string{"session e1 1", "session e1 2"})
}
