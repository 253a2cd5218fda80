package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var sessionEntity = entity[nexus.Session, nexus.SessionFilter, nexus.SessionUpdate]{
	kind: nexus.KindSession, use: "session",
	what:    "A session is a stretch of conversation or work, such as the interview that finds out what to build.",
	example: `session create --project p1m837hj --type interview`,
	change:  `--status completed`,

	service: func(db *store.Services) *store.Service[nexus.Session, nexus.SessionFilter, nexus.SessionUpdate] {
		return &db.Sessions.Service
	},
	id:       func(s *nexus.Session) string { return s.ID },
	project:  func(e *nexus.Session) *string { return &e.ProjectID },
	page:     func(f *nexus.SessionFilter) *nexus.Page { return &f.Page },
	revision: func(u *nexus.SessionUpdate) *int64 { return &u.Revision },
	orders:   "started_at",

	fields: []field[nexus.Session, nexus.SessionUpdate]{
		ownID[nexus.Session, nexus.SessionUpdate](func(s *nexus.Session) *string { return &s.ID }),
		one[nexus.Session, nexus.SessionUpdate]("project", "the project it belongs to (default: the only one)", nexus.KindProject,
			func(s *nexus.Session) *string { return &s.ProjectID }, nil),
		both("type", "interview, planning, execution (the default) or review", words[nexus.SessionType](),
			func(s *nexus.Session) *nexus.SessionType { return &s.Type },
			func(u *nexus.SessionUpdate) **nexus.SessionType { return &u.Type }),
		both("status", "active, paused, completed or abandoned", words[nexus.SessionStatus](),
			func(s *nexus.Session) *nexus.SessionStatus { return &s.Status },
			func(u *nexus.SessionUpdate) **nexus.SessionStatus { return &u.Status }),
		both("data", "what it holds", documents,
			func(s *nexus.Session) *nexus.JSON { return &s.Data },
			func(u *nexus.SessionUpdate) **nexus.JSON { return &u.Data }),
		changed[nexus.Session]("ended-at", "when it ended", times,
			func(u *nexus.SessionUpdate) **time.Time { return &u.EndedAt }),
	},
	filters: func(b *binder, f *nexus.SessionFilter) {
		existing(b, "project", "of this project", nexus.KindProject, func(id string) { f.ProjectID = id })
		known(b, "type", "of one of these", nexus.SessionTypes(), func(v []nexus.SessionType) { f.Type = v })
		known(b, "status", "in one of these", nexus.SessionStatuses(), func(v []nexus.SessionStatus) { f.Status = v })
	},

	header: []string{"ID", "TYPE", "STATUS", "STARTED", "PROJECT"},
	row: func(s *nexus.Session) []string {
		return []string{s.ID, string(s.Type), string(s.Status), date(s.StartedAt), s.ProjectID}
	},
	count: counter(func(db *store.Services) func(context.Context, nexus.SessionFilter) (map[nexus.SessionStatus]int64, error) {
		return db.Sessions.CountByStatus
	}),
}

func (a *app) sessionCommand() *cobra.Command {
	cmd := sessionEntity.command(a)
	cmd.AddCommand(
		a.sessionStartCommand(), a.sessionAppendCommand(), a.sessionLogCommand(),
		a.sessionPauseCommand(), a.sessionResumeCommand(), a.sessionEndCommand(),
	)
	return cmd
}
