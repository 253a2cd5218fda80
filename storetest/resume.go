package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var resumeTests = map[string]timedTest{
	"Task":    testResumeTask,
	"Agent":   testResumeAgent,
	"Project": testResumeProject,
	"Refused": testResumeRefused,
	"Foreign": testResumeForeign,
}

// sections are a briefing's, each as its name and items.
func sections(b *nexus.Briefing) (list [][]string) {
	for _, s := range b.Sections {
		list = append(list, append([]string{s.Name}, s.Items...))
	}
	return list
}

// testResumeTask tells an agent about a task that another has left half done.
func testResumeTask(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "base", "off", "it base off open", "open")
	ctx := t.Context()
	_, err := db.Projects.Update(ctx, "p1", nexus.ProjectUpdate{Description: new("Sells things")})
	must(t, err)
	_, err = db.Features.Update(ctx, "f1", nexus.FeatureUpdate{Description: new("Holds what is to be bought")})
	must(t, err)
	_, err = db.Tasks.Update(ctx, "it", nexus.TaskUpdate{
		Description: new("Two\nlines"), BranchName: new("feat/it"), WorktreePath: new("/wt"), FeatureID: new("f1"),
	})
	must(t, err)
	c := w.claim("a", "base")
	_, err = db.Tasks.Complete(ctx, "base", c.Epoch, nexus.Evidence{Commit: "4f2c1e9", Files: []string{"a.go", "b.go"}, Tests: "3 passed"})
	must(t, err)
	_, err = db.Tasks.Skip(ctx, "off", 0, "not needed")
	must(t, err)
	c = w.claim("a", "open")
	_, err = db.Tasks.Complete(ctx, "open", c.Epoch, nexus.Evidence{})
	must(t, err)
	c = w.claim("a", "it")
	_, err = db.Tasks.Progress(ctx, "it", c.Epoch, nexus.Progress{
		Percent: 40, Note: "half way", LastAction: "wrote the parser", File: "parse.go", Line: 12, NextSteps: []string{"test it", "wire it up"},
	})
	must(t, err)
	_, err = db.Tasks.Fail(ctx, "it", c.Epoch, store.Failure{Reason: "out of tokens", Evidence: nexus.Evidence{Note: "see parse.go"}})
	must(t, err)
	_, err = db.Tasks.Reopen(ctx, "open", "it was wrong")
	must(t, err)
	must(t, db.Sessions.Create(ctx, &nexus.Session{ID: "s", ProjectID: "p1"}))
	for _, e := range []nexus.SessionEntry{
		{Text: "first", Kind: nexus.EntryDecision}, {Text: "talk"}, {Text: "second", Kind: nexus.EntryDecision},
	} {
		must(t, db.Sessions.Append(ctx, "s", &e))
		clock.Move(time.Minute)
	}
	for _, r := range []nexus.Requirement{
		{ID: "r1", Description: "of another feature", LinkedFeatures: []string{"f2"}, Priority: "critical"},
		{ID: "r2", Description: "of everything", Priority: "low"},
		{ID: "r3", Description: "of the feature", LinkedFeatures: []string{"f1"}},
		{ID: "r4", Description: "met", Validated: true, Priority: "critical"},
		{ID: "r5", Description: "of everything, too", Priority: "high"},
	} {
		r.ProjectID = "p1"
		must(t, db.Requirements.Create(ctx, &r))
	}
	b, err := db.Resume(ctx, nexus.ResumeRequest{TaskID: "it"})
	must(t, err)
	same(t, sections(b), [][]string{
		{"task", "it “n”, pending, priority medium", "Two\nlines", "Branch: feat/it", "Worktree: /wt", "Nobody holds it", "Failed attempts: 1 of 3"},
		{"continue", "By a at 2031-02-03T04:05:06Z, 40 % done", "Last action: wrote the parser", "At: parse.go:12", "Note: half way", "Next: test it", "Next: wire it up"},
		{"tried", "a: failed: out of tokens\nnote: see parse.go"},
		{"waits_for", "it depends on open, which is pending"},
		{"builds_on", "base “n”, completed\ncommit: 4f2c1e9\nfiles: a.go, b.go\ntests: 3 passed", "off “n”, skipped: not needed"},
		{"goal", "Project p1 “n”, pending: Sells things", "Folder: /r", "Feature f1 “f”, in_progress: Holds what is to be bought"},
		{"decisions", "2031-02-03 second", "2031-02-03 first"},
		{"requirements", "medium (functional): of the feature", "high (functional): of everything, too", "low (functional): of everything"},
		{"state", "2 of 4 tasks are done; ready 1, in flight 0, blocked 0, escalated 0"},
	})
	same(t, len(b.LeftOut), 0)
	same(t, []string{b.TaskID, b.ProjectID}, []string{"it", "p1"})

	// Within a budget the most important stays, and it says what is missing.
	short, err := db.Resume(ctx, nexus.ResumeRequest{TaskID: "it", Budget: nexus.MinBudget})
	must(t, err)
	if short.Sections[0].Name != "task" || len(short.Sections) >= len(b.Sections) || len(short.LeftOut) == 0 || len(short.Markdown()) > 4*nexus.MinBudget {
		t.Errorf("%+v", short)
	}
	// A long description does not crowd out the rest.
	_, err = db.Tasks.Update(ctx, "it", nexus.TaskUpdate{Description: new(strings.Repeat("long ", 10_000))})
	must(t, err)
	long, err := db.Resume(ctx, nexus.ResumeRequest{TaskID: "it"})
	must(t, err)
	same(t, sections(long)[1:5], sections(b)[1:5])
}

func testResumeAgent(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other")
	must(t, db.Agents.Create(t.Context(), &nexus.Agent{ID: "new"}))
	of := func(agent, task, holder string) {
		t.Helper()
		b, err := db.Resume(t.Context(), nexus.ResumeRequest{AgentID: agent})
		must(t, err)
		same(t, []string{b.AgentID, b.TaskID}, []string{agent, task})
		if text := b.Markdown(); !strings.Contains(text, holder) {
			t.Errorf("%q is missing:\n%s", holder, text)
		}
	}
	of("new", "it", "Nobody holds it") // the best that is ready
	c := w.claim("a", "it")
	of("a", "it", "a holds it, with epoch 1, until ")
	of("new", "other", "it “n”, by a") // what others work on
	w.claim("b", "other")
	if _, err := db.Resume(t.Context(), nexus.ResumeRequest{AgentID: "new"}); nexus.CodeOf(err) != nexus.CodeNotFound {
		t.Error(err)
	}
	_, err := db.Tasks.Complete(t.Context(), "it", c.Epoch, nexus.Evidence{})
	must(t, err)
	if _, err := db.Resume(t.Context(), nexus.ResumeRequest{AgentID: "a"}); nexus.CodeOf(err) != nexus.CodeNotFound {
		t.Error(err)
	}
}

func testResumeProject(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "flying", "stuck", "lost")
	w.claim("a", "flying")
	_, err := db.Tasks.Block(t.Context(), "stuck", 0, "waits for a key")
	must(t, err)
	_, err = db.Tasks.Update(t.Context(), "lost", nexus.TaskUpdate{Status: new(nexus.TaskEscalated)})
	must(t, err)
	b, err := db.Resume(t.Context(), nexus.ResumeRequest{ProjectID: "p1"})
	must(t, err)
	same(t, sections(b), [][]string{
		{"goal", "Project p1 “n”, pending", "Folder: /r"},
		{"state", "0 of 4 tasks are done; ready 1, in flight 1, blocked 1, escalated 1"},
		{"in_flight", "flying “n”, by a"},
		{"attention", "lost “n”, escalated", "stuck “n”, blocked: waits for a key"},
		{"next", "it “n”, priority medium"},
	})
	same(t, b.Tokens, (len(b.Markdown())+3)/4)
}

func testResumeRefused(t *testing.T, db *store.DB, _ *Clock) {
	for _, r := range []nexus.ResumeRequest{{ProjectID: "p"}, {TaskID: "t"}, {AgentID: "a"}} {
		if _, err := db.Resume(t.Context(), r); nexus.CodeOf(err) != nexus.CodeNotFound {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if _, err := db.Resume(t.Context(), nexus.ResumeRequest{}); nexus.CodeOf(err) != nexus.CodeInvalid {
		t.Error(err)
	}
}

// testResumeForeign is about rows that other programs have written.
func testResumeForeign(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	w.claim("a", "it")
	for _, set := range []string{
		"depends_on = '[\"gone\", \"it\"]'", "depends_on = '{'", "status = 'qa_loop'", "description = ' '",
		"started_at = -1", "blocked_by = '[]'", "status = 'completed'",
	} {
		exec(t, db, "UPDATE tasks SET "+set+" WHERE id = 'it'")
		if b, err := db.Resume(t.Context(), nexus.ResumeRequest{TaskID: "it"}); err != nil || len(b.Sections) == 0 {
			t.Errorf("%s: %+v, %v", set, b, err)
		}
	}
}
