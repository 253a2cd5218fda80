package store

import (
	"context"
	"slices"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

const appendEntry = `
	INSERT INTO session_log (session_id, number, at_us, kind, author, text)
	VALUES ($1, (SELECT coalesce(max(number), 0) + 1 FROM session_log WHERE session_id = $1), $2, $3, $4, $5)
	RETURNING number`

// Append adds an entry to the log of a session, and gives it its number and time.
// It costs the same however long the log is, and is no revision of the session.
//
// Codes: CodeNotFound; CodeInvalid; CodeTransition if the session is over. A retry
// appends it again, unless within [Once].
func (s *Sessions) Append(ctx context.Context, id string, e *nexus.SessionEntry) error {
	e.SessionID = id
	e.SetDefaults()
	if err := e.Validate(); err != nil {
		return err
	}
	return s.run.write(ctx, func(c driver.Conn, _ *settlement) error {
		session, err := sessions.mustGet(ctx, c, id)
		if err != nil {
			return err
		}
		if session.Status == nexus.SessionCompleted || session.Status == nexus.SessionAbandoned {
			return &nexus.Error{
				Code: nexus.CodeTransition, Kind: nexus.KindSession, ID: id,
				Message: "is over (" + string(session.Status) + "); nothing can be appended to it",
				Hint:    "start another; nothing was changed",
			}
		}
		e.At = fromMicros(micros(s.now()))
		args := []driver.Arg{
			driver.Text(id), driver.Int(micros(e.At)), driver.Text(e.Kind), driver.TextOrNull(e.Author), driver.Text(e.Text),
		}
		return c.Query(ctx, appendEntry, args, func(r driver.Row) error {
			e.Number = r.Int(0)
			return nil
		})
	})
}

// Log returns entries of a session's log. Codes: CodeNotFound; CodeInvalid for a
// negative limit.
func (s *Sessions) Log(ctx context.Context, id string, filter nexus.SessionLogFilter) (list []nexus.SessionEntry, err error) {
	if err := checkLast(filter); err != nil {
		return nil, err
	}
	err = s.run.snapshot(ctx, func(c driver.Conn) error {
		if _, err := sessions.mustGet(ctx, c, id); err != nil {
			return err
		}
		var w where
		source, err := logSource(ctx, c, &w)
		if err != nil {
			return err
		}
		w.condition("session_id = ?", driver.Text(id))
		w.condition("number > ?", driver.Int(filter.After))
		list, err = readLog(ctx, c, source, &w, "number", "number DESC", filter)
		return err
	})
	return list, err
}

// LogOfProject returns entries of all sessions of a project, oldest first. Its
// filter's After does not count. Codes: CodeNotFound; CodeInvalid for a negative
// limit.
func (s *Sessions) LogOfProject(ctx context.Context, projectID string, filter nexus.SessionLogFilter) (list []nexus.SessionEntry, err error) {
	if err := checkLast(filter); err != nil {
		return nil, err
	}
	err = s.run.snapshot(ctx, func(c driver.Conn) error {
		if _, err := projects.mustGet(ctx, c, projectID); err != nil {
			return err
		}
		var w where
		source, err := logSource(ctx, c, &w)
		if err != nil {
			return err
		}
		if _, past := c.(*pastConn); past {
			those, err := sessions.list(ctx, c, nexus.SessionFilter{ProjectID: projectID})
			if err != nil || len(those) == 0 {
				return err
			}
			var all []string
			for i := range those {
				all = append(all, those[i].ID)
			}
			in(&w, "session_id", all)
		} else {
			w.condition("session_id IN (SELECT id FROM sessions WHERE project_id = ?)", driver.Text(projectID))
		}
		list, err = readLog(ctx, c, source, &w, "at_us, session_id, number", "at_us DESC, session_id DESC, number DESC", filter)
		return err
	})
	return list, err
}

// logSource is what a log is read from: the table, or what that was in the past, with
// its condition. To append is no change that the history has, so an entry was there
// if it is older than the change after that moment.
func logSource(ctx context.Context, c driver.Conn, w *where) (string, error) {
	past, ok := c.(*pastConn)
	if !ok {
		return "session_log", nil
	}
	w.args = []driver.Arg{driver.Int(past.seq)}
	if last, err := lastRecord(ctx, past.Conn); err != nil {
		return "", err
	} else if last > past.seq {
		next, err := transactionAt(ctx, past.Conn, past.seq+1)
		if err != nil {
			return "", err
		}
		w.condition("at_us <= ?", driver.Int(next.at))
	}
	return `(SELECT session_id, number, at_us, kind, author, text FROM session_log
		UNION SELECT id, CAST(v1 AS BIGINT), CAST(v2 AS BIGINT), v3, v4, v5 FROM history
		WHERE kind = 'session_entry' AND seq > $1 AND change = 'delete') AS session_log`, nil
}

func checkLast(filter nexus.SessionLogFilter) error {
	if filter.Last < 0 {
		return &nexus.Error{Code: nexus.CodeInvalid, Problems: []nexus.Problem{{Field: "last", Message: "cannot be negative"}}}
	}
	return nil
}

// readLog reads what w chooses, in an order that is given forwards and backwards.
func readLog(ctx context.Context, c driver.Conn, source string, w *where, order, back string, filter nexus.SessionLogFilter) (list []nexus.SessionEntry, err error) {
	in(w, "kind", filter.Kind)
	if filter.Last > 0 {
		order = back
	}
	w.sql.WriteString(" ORDER BY " + order)
	w.limit(filter.Last)
	if w.err != nil {
		return nil, w.err
	}
	const columns = "SELECT session_id, number, at_us, kind, author, text FROM "
	err = c.Query(ctx, columns+source+w.sql.String(), w.args, func(r driver.Row) error {
		list = append(list, nexus.SessionEntry{
			SessionID: r.Text(0), Number: r.Int(1), At: fromMicros(r.Int(2)), Kind: r.Text(3), Author: r.Text(4), Text: r.Text(5),
		})
		return nil
	})
	if filter.Last > 0 {
		slices.Reverse(list)
	}
	return list, err
}

// ResumeLatest makes the session of a project active that was started last among
// those that are active or paused, and of one of the types, if any are given.
// Code: CodeNotFound if there is none.
func (s *Sessions) ResumeLatest(ctx context.Context, projectID string, types ...nexus.SessionType) (after *nexus.Session, err error) {
	err = s.run.write(ctx, func(c driver.Conn, end *settlement) error {
		if _, err := projects.mustGet(ctx, c, projectID); err != nil {
			return err
		}
		end.did("session resume", "")
		list, err := sessions.list(ctx, c, nexus.SessionFilter{
			ProjectID: projectID, Type: types, Status: []nexus.SessionStatus{nexus.SessionActive, nexus.SessionPaused},
			Page: nexus.Page{OrderBy: "started_at", Descending: true, Limit: 1},
		})
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return &nexus.Error{
				Code: nexus.CodeNotFound, Kind: nexus.KindProject, ID: projectID,
				Message: "has no session that is active or paused", Hint: "start one",
			}
		}
		before := &list[0]
		changed := *before
		after = &changed
		if before.Status == nexus.SessionActive {
			return nil
		}
		nexus.SessionUpdate{Status: new(nexus.SessionActive)}.Apply(after, s.second())
		return s.replace(ctx, c, end, before, after, 0)
	})
	if err != nil {
		return nil, err
	}
	return after, nil
}
