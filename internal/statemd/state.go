// Package statemd writes where a project stands as a Markdown document, STATE.md,
// for people and for version control.
//
// The document says nothing of when it was written, and everything in it has a
// fixed order: it changes only where the project has changed.
package statemd

import (
	"context"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// Mark is how the document begins. What does not was not written by this package.
const Mark = "<!-- Written by nexus state export; a change made here is lost. -->\n"

// How much of what grows without end is in the document.
const (
	mostRecent    = 20 // tasks that have ended
	mostAttention = 50 // tasks that wait for people
	mostDecisions = 50
)

// state is what the document is made of.
type state struct {
	project   *nexus.Project
	overview  *nexus.Overview
	attention []stuck
	recent    []nexus.Task
	decisions []nexus.SessionEntry
}

// stuck is a task that waits for people, and why.
type stuck struct {
	nexus.Task
	reason string
}

// Export returns the document of a project, all of one moment. Code: CodeNotFound.
func Export(ctx context.Context, db *store.DB, projectID string) ([]byte, error) {
	var s state
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		s, err = read(ctx, tx, projectID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.markdown(), nil
}

func read(ctx context.Context, tx *store.Tx, projectID string) (s state, err error) {
	if s.project, err = tx.Projects.Get(ctx, projectID); err != nil {
		return s, err
	}
	if s.overview, err = tx.Overview(ctx, projectID); err != nil {
		return s, err
	}
	waiting, err := tx.Tasks.List(ctx, nexus.TaskFilter{
		ProjectID: projectID, Status: []nexus.TaskStatus{nexus.TaskBlocked, nexus.TaskEscalated, nexus.TaskFailed},
		Page: nexus.Page{Limit: mostAttention},
	})
	if err != nil {
		return s, err
	}
	for _, t := range waiting {
		reason := t.BlockedBy
		if reason == "" {
			attempts, err := tx.Tasks.Attempts(ctx, t.ID)
			if err != nil {
				return s, err
			}
			if len(attempts) > 0 {
				reason = attempts[len(attempts)-1].Reason
			}
		}
		s.attention = append(s.attention, stuck{t, reason})
	}
	s.recent, err = tx.Tasks.List(ctx, nexus.TaskFilter{
		ProjectID: projectID, Status: []nexus.TaskStatus{nexus.TaskCompleted, nexus.TaskSkipped},
		Page: nexus.Page{OrderBy: "updated_at", Descending: true, Limit: mostRecent},
	})
	if err != nil {
		return s, err
	}
	s.decisions, err = tx.Sessions.LogOfProject(ctx, projectID, nexus.SessionLogFilter{
		Kind: []string{nexus.EntryDecision}, Last: mostDecisions,
	})
	return s, err
}
