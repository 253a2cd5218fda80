package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var errorTests = map[string]test{
	"LongestText":   testLongestText,
	"LongestID":     testLongestID,
	"FarTimes":      testFarTimes,
	"HostileID":     testHostileID,
	"SelfReference": testSelfReference,
	"OneLine":       testOneLine,
}

// testLongestText stores what is just allowed.
func testLongestText(t *testing.T, db *store.DB) {
	seed(t, db, nexus.KindTask)
	want := &nexus.Task{
		ID: "it", ProjectID: "p1", Name: "n", Description: strings.Repeat("\u20ac", nexus.MaxText/3),
		Metadata: nexus.JSON(`"` + strings.Repeat("x", nexus.MaxText-2) + `"`),
	}
	must(t, db.Tasks.Create(t.Context(), want))
	got, err := db.Tasks.Get(t.Context(), "it")
	must(t, err)
	if got.Description != want.Description || got.Metadata != want.Metadata { // a diff of these would be long
		t.Error("a long text was changed")
	}
}

func testLongestID(t *testing.T, db *store.DB) {
	long := strings.Repeat("i", nexus.MaxID)
	must(t, db.Agents.Create(t.Context(), &nexus.Agent{ID: long}))
	got, err := db.Agents.Resolve(t.Context(), long[:nexus.MaxID-1])
	must(t, err)
	same(t, got, long)
	e := refused(t, db.Agents.Create(t.Context(), &nexus.Agent{ID: long + "i"}), nexus.CodeInvalid)
	same(t, problemFields(e), []string{"id"})
}

// testFarTimes stores the first and the last second that may be stored.
func testFarTimes(t *testing.T, db *store.DB) {
	seed(t, db, nexus.KindTask)
	want := &nexus.Task{
		ID: "it", ProjectID: "p1", Name: "n", CreatedAt: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
		CompletedAt: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	must(t, db.Tasks.Create(t.Context(), want))
	got, err := db.Tasks.Get(t.Context(), "it")
	must(t, err)
	same(t, got, want)
}

// testHostileID asks for ids that cannot be there.
func testHostileID(t *testing.T, db *store.DB) {
	must(t, db.Agents.Create(t.Context(), &nexus.Agent{ID: "a"}))
	for _, id := range []string{"a' OR '1'='1", "a\n", "a\x00", "a\xff", "a%", "$1", "?", strings.Repeat("a", 1<<20)} {
		_, err := db.Agents.Get(t.Context(), id)
		refused(t, err, nexus.CodeNotFound)
		refused(t, db.Agents.Delete(t.Context(), id), nexus.CodeNotFound)
	}
	must(t, db.Agents.Delete(t.Context(), "a"))
}

func testSelfReference(t *testing.T, db *store.DB) {
	seed(t, db, nexus.KindTask)
	before := nexus.Task{ID: "a", ProjectID: "p1", Name: "n"}
	must(t, db.Tasks.Create(t.Context(), &before))
	for _, ids := range [][]string{{"a"}, {"b", "a"}, {"b", "b"}, {""}} {
		_, err := db.Tasks.Update(t.Context(), "a", nexus.TaskUpdate{DependsOn: &ids})
		refused(t, err, nexus.CodeInvalid)
	}
	_, err := db.Tasks.Update(t.Context(), "a", nexus.TaskUpdate{AddDependsOn: []string{"a"}})
	refused(t, err, nexus.CodeInvalid)
	err = db.Tasks.Create(t.Context(), &nexus.Task{ID: "b", ProjectID: "p1", Name: "n", DependsOn: []string{"b"}})
	refused(t, err, nexus.CodeInvalid)
	tasks.unchanged(t, db, &before)
}

// testOneLine checks that what a caller sends does not break the lines of a log.
func testOneLine(t *testing.T, db *store.DB) {
	seed(t, db, nexus.KindTask)
	hostile := "a\n\x1b[31mERROR\r\x00"
	task := nexus.Task{ID: "a", ProjectID: "p1", Name: "n", Status: nexus.TaskStatus(hostile), Size: nexus.TaskSize(hostile), DependsOn: []string{hostile, hostile}}
	e := refused(t, db.Tasks.Create(t.Context(), &task), nexus.CodeInvalid)
	for _, p := range e.Problems {
		if strings.ContainsAny(p.String(), "\n\r\x00\x1b") {
			t.Errorf("the problem %q has a control character", p.String())
		}
	}
	if strings.ContainsAny(e.Error(), "\n\r\x00\x1b") {
		t.Errorf("the error %q has a control character", e.Error())
	}
}
