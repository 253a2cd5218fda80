package storetest

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// vocabulary is what the walk talks about.
var vocabulary = []string{"alpha", "alphabet", "beta", "Beta", "gamma.delta", "delta", "gamma"}

// testSearchWalk makes random changes, with searches in between, and then expects
// that each word is found where it is, and nowhere else.
func testSearchWalk(t *testing.T, db *store.DB, clock *Clock) {
	ctx := t.Context()
	say := func(rt *rapid.T) string { return rapid.SampledFrom(vocabulary).Draw(rt, "word") }
	id := func(rt *rapid.T, project, kind string) string {
		return project + "-" + kind + rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(rt, "id")
	}
	exec := func(sql string, args ...any) error {
		return db.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, sql, args...)
			return err
		})
	}
	own := map[string]func(*rapid.T, string) error{
		"search": func(rt *rapid.T, project string) error {
			sameHits(rt, db, project, say(rt))
			return nil
		},
		"name": func(rt *rapid.T, project string) error {
			return exec("UPDATE tasks SET name = $1 WHERE id = $2", say(rt), id(rt, project, "t"))
		},
		"describe": func(rt *rapid.T, project string) error {
			table := rapid.SampledFrom([]string{"features", "sub_features", "requirements", "projects"}).Draw(rt, "table")
			return exec("UPDATE "+table+" SET description = $1 WHERE (id = $2 OR id LIKE $2 || '-%') AND coalesce(description, '') <> $1",
				say(rt)+" "+say(rt), project)
		},
		"rename": func(rt *rapid.T, project string) error {
			return exec("UPDATE sessions SET id = $1 WHERE id = $2", id(rt, project, "e"), id(rt, project, "e"))
		},
		"say": func(rt *rapid.T, project string) error {
			return db.Sessions.Append(ctx, id(rt, project, "e"), &nexus.SessionEntry{Text: say(rt)})
		},
		"forget": func(rt *rapid.T, project string) error {
			return exec("DELETE FROM session_log WHERE session_id = $1 AND number > $2", id(rt, project, "e"), rapid.IntRange(0, 2).Draw(rt, "number"))
		},
		"new": func(rt *rapid.T, project string) error {
			return exec("INSERT INTO tasks (id, project_id, name, created_at, updated_at) VALUES ($1, $2, $3, 0, 0)", id(rt, project, "t"), project, say(rt))
		},
		"restore": func(rt *rapid.T, project string) error {
			list, err := db.Checkpoints.List(ctx, nexus.CheckpointFilter{ProjectID: project})
			if err != nil || len(list) == 0 {
				return err
			}
			_, err = db.Restore(ctx, rapid.SampledFrom(list).Draw(rt, "checkpoint").ID, false)
			return err
		},
	}
	actions := make(map[string]func(*rapid.T, string))
	for name, action := range own {
		actions[name] = func(rt *rapid.T, project string) { ignore(rt, action(rt, project)) }
	}
	historyWalk(t, db, clock, actions, func(rt *rapid.T, w *walk) {
		for _, word := range append(vocabulary, "transaction", "said", "text", "n") {
			sameHits(rt, db, w.project, word)
		}
	})
}

// sameHits compares what a search for a word finds with where it is.
func sameHits(rt *rapid.T, db *store.DB, project, word string) {
	rt.Helper()
	// What is between words makes no difference.
	pattern := regexp.MustCompile(`(?i)(^|[^\pL\pN])` + strings.ReplaceAll(word, ".", `[^\pL\pN]+`) + `($|[^\pL\pN])`)
	want := holders(rt, db, project, pattern)
	if diff := cmp.Diff(want, searched(rt, db, nexus.SearchRequest{Text: `"` + word + `"`, ProjectID: project})); diff != "" {
		rt.Fatalf("%s is found elsewhere than it is (-is +found):\n%s", word, diff)
	}
	beginning := word[:min(len(word), 4)]
	pattern = regexp.MustCompile(`(?i)(^|[^\pL\pN])` + beginning)
	want = holders(rt, db, project, pattern)
	if diff := cmp.Diff(want, searched(rt, db, nexus.SearchRequest{Text: beginning, ProjectID: project})); diff != "" {
		rt.Fatalf("the beginning of %s is found elsewhere than it is (-is +found):\n%s", word, diff)
	}
}

// holders returns the rows of a project that have what a pattern fits.
func holders(rt *rapid.T, db *store.DB, project string, pattern *regexp.Regexp) []string {
	rt.Helper()
	list := []string{}
	add := func(kind nexus.Kind, id string, number int64, texts ...string) {
		if slices.ContainsFunc(texts, pattern.MatchString) {
			list = append(list, hitKey(kind, id, number))
		}
	}
	ctx := context.Background()
	p, err := db.Projects.Get(ctx, project)
	if nexus.CodeOf(err) == nexus.CodeNotFound {
		return list
	}
	must(rt, err)
	add(nexus.KindProject, p.ID, 0, p.Name, p.Description)
	features, err := db.Features.List(ctx, nexus.FeatureFilter{ProjectID: project})
	must(rt, err)
	for _, f := range features {
		add(nexus.KindFeature, f.ID, 0, f.Name, f.Description)
		subFeatures, err := db.SubFeatures.List(ctx, nexus.SubFeatureFilter{FeatureID: f.ID})
		must(rt, err)
		for _, s := range subFeatures {
			add(nexus.KindSubFeature, s.ID, 0, s.Name, s.Description)
		}
	}
	tasks, err := db.Tasks.List(ctx, nexus.TaskFilter{ProjectID: project})
	must(rt, err)
	for _, task := range tasks {
		add(nexus.KindTask, task.ID, 0, task.Name, task.Description)
	}
	requirements, err := db.Requirements.List(ctx, nexus.RequirementFilter{ProjectID: project})
	must(rt, err)
	for _, r := range requirements {
		add(nexus.KindRequirement, r.ID, 0, r.Description)
	}
	sessions, err := db.Sessions.List(ctx, nexus.SessionFilter{ProjectID: project})
	must(rt, err)
	for _, s := range sessions {
		add(nexus.KindSession, s.ID, 0, string(s.Data))
		entries, err := db.Sessions.Log(ctx, s.ID, nexus.SessionLogFilter{})
		must(rt, err)
		for _, e := range entries {
			add(nexus.KindSession, s.ID, e.Number, e.Text)
		}
	}
	slices.Sort(list)
	return list
}
