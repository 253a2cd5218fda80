package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

var sessionLogTests = map[string]timedTest{
	"Append":       testAppend,
	"Refused":      testAppendRefused,
	"Filter":       testLogFilter,
	"Together":     testAppendTogether,
	"Foreign":      testLogForeign,
	"ResumeLatest": testResumeLatest,
}

// talk stores a project with a session, and appends texts to its log.
func talk(t *testing.T, db *store.DB, texts ...string) {
	t.Helper()
	must(t, project(t.Context(), &db.Services, "p1"))
	must(t, db.Sessions.Create(t.Context(), &nexus.Session{ID: "s", ProjectID: "p1"}))
	for _, text := range texts {
		must(t, db.Sessions.Append(t.Context(), "s", &nexus.SessionEntry{Text: text}))
	}
}

// logged returns the texts of a session's log.
func logged(t *testing.T, db *store.DB, id string, filter nexus.SessionLogFilter) []string {
	t.Helper()
	list, err := db.Sessions.Log(t.Context(), id, filter)
	must(t, err)
	texts := []string{}
	for _, e := range list {
		texts = append(texts, e.Text)
	}
	return texts
}

func testAppend(t *testing.T, db *store.DB, clock *Clock) {
	talk(t, db)
	before, err := db.Sessions.Get(t.Context(), "s")
	must(t, err)
	first := nexus.SessionEntry{Text: "awkward: 🦀 \"'`|\n\t<&>", Author: "a"}
	must(t, db.Sessions.Append(t.Context(), "s", &first))
	clock.Move(time.Minute)
	second := nexus.SessionEntry{Text: "two", Kind: nexus.EntryDecision, Number: 77, SessionID: "other", At: past}
	must(t, db.Sessions.Append(t.Context(), "s", &second))
	want := []nexus.SessionEntry{
		{SessionID: "s", Number: 1, At: microseconds(Now()), Kind: nexus.EntryMessage, Author: "a", Text: first.Text},
		{SessionID: "s", Number: 2, At: microseconds(Now().Add(time.Minute)), Kind: nexus.EntryDecision, Text: "two"},
	}
	same(t, []nexus.SessionEntry{first, second}, want)
	got, err := db.Sessions.Log(t.Context(), "s", nexus.SessionLogFilter{})
	must(t, err)
	same(t, got, want)
	after, err := db.Sessions.Get(t.Context(), "s")
	must(t, err)
	same(t, after, before) // it is no revision
}

func testAppendRefused(t *testing.T, db *store.DB, _ *Clock) {
	talk(t, db)
	refused := func(code nexus.Code, id string, e nexus.SessionEntry) {
		t.Helper()
		if err := db.Sessions.Append(t.Context(), id, &e); nexus.CodeOf(err) != code {
			t.Errorf("%v, want %s", err, code)
		}
	}
	refused(nexus.CodeNotFound, "nobody", nexus.SessionEntry{Text: "x"})
	refused(nexus.CodeInvalid, "s", nexus.SessionEntry{})
	refused(nexus.CodeInvalid, "s", nexus.SessionEntry{Text: "a\x00b"})
	refused(nexus.CodeInvalid, "s", nexus.SessionEntry{Text: "x", Kind: "\xff"})
	for _, status := range []nexus.SessionStatus{nexus.SessionPaused, "approved"} { // the latter another program's
		exec(t, db, "UPDATE sessions SET status = $1", string(status))
		must(t, db.Sessions.Append(t.Context(), "s", &nexus.SessionEntry{Text: string(status)}))
	}
	for _, status := range []nexus.SessionStatus{nexus.SessionCompleted, nexus.SessionAbandoned} {
		exec(t, db, "UPDATE sessions SET status = $1", string(status))
		refused(nexus.CodeTransition, "s", nexus.SessionEntry{Text: "x"})
	}
	same(t, logged(t, db, "s", nexus.SessionLogFilter{}), []string{"paused", "approved"})
	if _, err := db.Sessions.Log(t.Context(), "nobody", nexus.SessionLogFilter{}); nexus.CodeOf(err) != nexus.CodeNotFound {
		t.Error(err)
	}
	if _, err := db.Sessions.Log(t.Context(), "s", nexus.SessionLogFilter{Last: -1}); nexus.CodeOf(err) != nexus.CodeInvalid {
		t.Error(err)
	}
}

func testLogFilter(t *testing.T, db *store.DB, _ *Clock) {
	talk(t, db, "1", "2", "3")
	must(t, db.Sessions.Append(t.Context(), "s", &nexus.SessionEntry{Text: "4", Kind: "odd one"}))
	must(t, db.Sessions.Append(t.Context(), "s", &nexus.SessionEntry{Text: "5", Kind: nexus.EntryDecision}))
	for _, c := range []struct {
		filter nexus.SessionLogFilter
		want   []string
	}{
		{nexus.SessionLogFilter{}, []string{"1", "2", "3", "4", "5"}},
		{nexus.SessionLogFilter{After: 3}, []string{"4", "5"}},
		{nexus.SessionLogFilter{After: 5}, []string{}},
		{nexus.SessionLogFilter{After: -7}, []string{"1", "2", "3", "4", "5"}},
		{nexus.SessionLogFilter{Last: 2}, []string{"4", "5"}},
		{nexus.SessionLogFilter{Last: 9}, []string{"1", "2", "3", "4", "5"}},
		{nexus.SessionLogFilter{Kind: []string{nexus.EntryMessage}, Last: 2}, []string{"2", "3"}},
		{nexus.SessionLogFilter{Kind: []string{"odd one", nexus.EntryDecision}, After: 1}, []string{"4", "5"}},
		{nexus.SessionLogFilter{After: 1, Last: 3, Kind: []string{nexus.EntryMessage}}, []string{"2", "3"}},
	} {
		same(t, logged(t, db, "s", c.filter), c.want)
	}
}

// testAppendTogether lets many append at once: every number is given once.
func testAppendTogether(t *testing.T, db *store.DB, _ *Clock) {
	talk(t, db)
	const writers, each = 8, 10
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			last := int64(0)
			for n := range each {
				e := nexus.SessionEntry{Text: fmt.Sprintf("%d %d", w, n)}
				if err := db.Sessions.Append(t.Context(), "s", &e); err != nil || e.Number <= last {
					t.Errorf("number %d after %d, %v", e.Number, last, err)
				}
				last = e.Number
			}
		})
	}
	all.Wait()
	list, err := db.Sessions.Log(t.Context(), "s", nexus.SessionLogFilter{})
	must(t, err)
	seen := make(map[string]bool)
	for i, e := range list {
		seen[e.Text] = true
		if e.Number != int64(i+1) {
			t.Errorf("entry %d has number %d", i, e.Number)
		}
	}
	same(t, len(seen), writers*each)
}

// testLogForeign changes sessions as other programs do: the log stays with its
// session, and goes with it.
func testLogForeign(t *testing.T, db *store.DB, _ *Clock) {
	talk(t, db, "1")
	must(t, db.Sessions.Create(t.Context(), &nexus.Session{ID: "old", ProjectID: "p1"}))
	must(t, db.Sessions.Append(t.Context(), "old", &nexus.SessionEntry{Text: "of old"}))
	exec(t, db, "UPDATE sessions SET id = 'renamed' WHERE id = 's'")
	same(t, logged(t, db, "renamed", nexus.SessionLogFilter{}), []string{"1"})
	must(t, db.Sessions.Delete(t.Context(), "old"))
	exec(t, db, "UPDATE sessions SET id = 'old' WHERE id = 'renamed'")
	same(t, logged(t, db, "old", nexus.SessionLogFilter{}), []string{"1"})
	must(t, db.Projects.Delete(t.Context(), "p1"))
	left := 0
	must(t, db.View(t.Context(), func(tx *store.Tx) error {
		return tx.Query(t.Context(), "SELECT count(*) FROM session_log", nil, func(r driver.Row) error {
			left = int(r.Int(0))
			return nil
		})
	}))
	same(t, left, 0)
}

func testResumeLatest(t *testing.T, db *store.DB, _ *Clock) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "p1"))
	must(t, project(ctx, &db.Services, "p2"))
	resumed := func(projectID, want string, types ...nexus.SessionType) {
		t.Helper()
		s, err := db.Sessions.ResumeLatest(ctx, projectID, types...)
		switch {
		case want == "":
			if nexus.CodeOf(err) != nexus.CodeNotFound {
				t.Errorf("%+v, %v", s, err)
			}
			return
		case err != nil:
			t.Error(err)
			return
		}
		same(t, []string{s.ID, string(s.Status)}, []string{want, "active"})
		stored, err := db.Sessions.Get(ctx, want)
		must(t, err)
		same(t, s, stored)
	}
	resumed("p1", "")
	resumed("nobody", "")
	for i, s := range []nexus.Session{
		{ID: "a", Type: nexus.SessionPlanning, Status: nexus.SessionPaused},
		{ID: "b", Type: nexus.SessionPlanning, Status: nexus.SessionActive},
		{ID: "c", Type: nexus.SessionReview, Status: nexus.SessionPaused},
		{ID: "d", Type: nexus.SessionReview, Status: nexus.SessionCompleted},
	} {
		s.ProjectID, s.StartedAt = "p1", past.Add(time.Duration(i)*time.Hour)
		must(t, db.Sessions.Create(ctx, &s))
	}
	resumed("p2", "")
	resumed("p1", "b", nexus.SessionPlanning)
	resumed("p1", "c")
	resumed("p1", "c", nexus.SessionPlanning, nexus.SessionReview)
	resumed("p1", "", nexus.SessionInterview)
	b, err := db.Sessions.Get(ctx, "b")
	must(t, err)
	same(t, b.Revision, int64(1)) // it was active already
	_, err = db.Sessions.Update(ctx, "c", nexus.SessionUpdate{Status: new(nexus.SessionCompleted)})
	must(t, err)
	_, err = db.Sessions.Update(ctx, "b", nexus.SessionUpdate{Status: new(nexus.SessionAbandoned)})
	must(t, err)
	resumed("p1", "a")
}
