package storetest

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var sessions = entity[nexus.Session, nexus.SessionFilter, nexus.SessionUpdate]{
	kind: nexus.KindSession, letter: 's',
	service: func(s *store.Services) *store.Service[nexus.Session, nexus.SessionFilter, nexus.SessionUpdate] {
		return &s.Sessions.Service
	},
	minimal:   nexus.Session{ProjectID: "p1"},
	defaulted: nexus.Session{ProjectID: "p1", Type: nexus.SessionExecution, Status: nexus.SessionActive, StartedAt: now, Revision: 1},
	full: nexus.Session{
		ProjectID: "p2", Type: nexus.SessionInterview, Status: nexus.SessionPaused, Data: `{"messages": ["<&>", "🦀"]}`,
		StartedAt: past, EndedAt: past.Add(time.Hour), Revision: 1,
	},
	other: nexus.Session{
		ProjectID: "p1", Type: nexus.SessionReview, Status: nexus.SessionCompleted, Data: `[]`,
		StartedAt: past.Add(time.Minute), EndedAt: past.Add(2 * time.Hour),
	},
	created:  "StartedAt",
	effects:  map[string]func(*nexus.Session){"Status": func(s *nexus.Session) { s.EndedAt = now }},
	required: []string{"type", "status"},
	parents:  map[string]nexus.Kind{"ProjectID": nexus.KindProject},
	vary: func(i int, s *nexus.Session) {
		s.ProjectID = []string{"p1", "p2"}[i%2]
		s.Type = nexus.SessionTypes()[i%4]
		s.Status = nexus.SessionStatuses()[i%3]
		s.StartedAt = past.Add(time.Duration(i%4) * time.Second)
	},
	orders: []string{"started_at"},
	filters: []filter[nexus.Session, nexus.SessionFilter]{
		{nexus.SessionFilter{ProjectID: "p1"}, func(s *nexus.Session) bool { return s.ProjectID == "p1" }},
		{nexus.SessionFilter{Type: nexus.SessionTypes()[1:3]}, func(s *nexus.Session) bool {
			return s.Type == nexus.SessionPlanning || s.Type == nexus.SessionExecution
		}},
		{nexus.SessionFilter{Status: nexus.SessionStatuses()[1:3]}, func(s *nexus.Session) bool { return s.Status != nexus.SessionStatuses()[0] }},
		{
			nexus.SessionFilter{ProjectID: "p2", Type: nexus.SessionTypes()[1:2], Status: nexus.SessionStatuses()[:1]},
			func(s *nexus.Session) bool {
				return s.ProjectID == "p2" && s.Type == nexus.SessionTypes()[1] && s.Status == nexus.SessionStatuses()[0]
			},
		},
	},
	refusedStep: [2]string{"completed", "active"},
	byStatus: func(ctx context.Context, s *store.Services, f nexus.SessionFilter) (map[string]int64, error) {
		return counts(s.Sessions.CountByStatus(ctx, f))
	},
}
