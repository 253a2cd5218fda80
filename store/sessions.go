package store

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus"
)

// Sessions is the service of sessions.
type Sessions struct {
	Service[nexus.Session, nexus.SessionFilter, nexus.SessionUpdate]
}

var sessions = table[nexus.Session, nexus.SessionFilter, nexus.SessionUpdate]{
	kind: nexus.KindSession,
	columns: []column[nexus.Session]{
		text("id", func(s *nexus.Session) *string { return &s.ID }),
		text("project_id", func(s *nexus.Session) *string { return &s.ProjectID }),
		text("type", func(s *nexus.Session) *nexus.SessionType { return &s.Type }),
		text("status", func(s *nexus.Session) *nexus.SessionStatus { return &s.Status }).with("'active'"),
		optional("data", func(s *nexus.Session) *nexus.JSON { return &s.Data }).large(),
		seconds("started_at", func(s *nexus.Session) *time.Time { return &s.StartedAt }),
		optionalSeconds("ended_at", func(s *nexus.Session) *time.Time { return &s.EndedAt }),
		integer("revision", func(s *nexus.Session) *int64 { return &s.Revision }).with("1"),
	},
	orders: []string{"started_at"},
	parents: []parent[nexus.Session]{
		{nexus.KindProject, func(s *nexus.Session) string { return s.ProjectID }},
	},

	id:       func(s *nexus.Session) *string { return &s.ID },
	revision: func(s *nexus.Session) *int64 { return &s.Revision },
	created:  func(s *nexus.Session) *time.Time { return &s.StartedAt },

	setDefaults:    (*nexus.Session).SetDefaults,
	validate:       (*nexus.Session).Validate,
	validateUpdate: (*nexus.Session).ValidateUpdate,
	apply:          nexus.SessionUpdate.Apply,
	seen:           func(u nexus.SessionUpdate) int64 { return u.Revision },
	page:           func(f nexus.SessionFilter) nexus.Page { return f.Page },
	project:        func(f nexus.SessionFilter) string { return f.ProjectID },
	filter: func(w *where, f nexus.SessionFilter) {
		equal(w, "project_id", f.ProjectID)
		in(w, "type", f.Type)
		in(w, "status", f.Status)
	},
}.prepared()

// CountByStatus counts the sessions that the filter chooses, by status.
func (s *Sessions) CountByStatus(ctx context.Context, filter nexus.SessionFilter) (map[nexus.SessionStatus]int64, error) {
	return countByStatus[nexus.SessionStatus](ctx, &s.Service, filter)
}
