package store

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// partKind is a sort of rows that are part of others, their owners. The history has them
// only when they were deleted, with their owner.
type partKind struct {
	kind, owner nexus.Kind
	bringBack   string // inserts again what a record of the history says was deleted
	undoOnly    bool   // a restore leaves them as they are: metrics, for one, are what it cost
	together    bool   // bringBack takes many records: %s is a SELECT of their numbers
}

var partKinds = []partKind{
	{kind: "attempt", owner: nexus.KindTask, bringBack: bringBackAttempt},
	{kind: "session_entry", owner: nexus.KindSession, bringBack: bringBackEntry},
	{kind: "project_metric", owner: nexus.KindProject, bringBack: bringBackMetric, undoOnly: true, together: true},
	{kind: "checkpoint_setting", owner: nexus.KindProject, bringBack: bringBackSetting, undoOnly: true, together: true},
}

// partNames are the kinds of all parts, as a list of SQL.
var partNames = func() string {
	var names []string
	for _, p := range partKinds {
		names = append(names, "'"+string(p.kind)+"'")
	}
	return strings.Join(names, ", ")
}()

const (
	// The attempt with the highest epoch stays when its task is deleted. Nobody holds
	// a task that comes back.
	bringBackAttempt = `
		INSERT INTO task_attempts (
			task_id, epoch, agent_id, claimed_us, lease_us, lease_until_us, process, progress, ended_us, outcome, reason, evidence)
		SELECT
			id, CAST(v1 AS BIGINT), v2, CAST(v3 AS BIGINT), CAST(v4 AS BIGINT), CAST(v5 AS BIGINT), v6, v7,
			CAST(coalesce(v8, v3) AS BIGINT), coalesce(v9, 'released'),
			CASE WHEN v8 IS NULL THEN 'its task was deleted' ELSE v10 END, v11
		FROM history WHERE seq = $1
		ON CONFLICT (epoch) DO UPDATE SET
			task_id = excluded.task_id, process = excluded.process, progress = excluded.progress, reason = excluded.reason,
			evidence = excluded.evidence
		WHERE task_attempts.task_id IS NULL`

	// A session that was made again may have an entry with that number: then it comes
	// after all of them, with its time, unless that has been done before. Entries of one
	// moment may say the same.
	bringBackEntry = `
		INSERT INTO session_log (session_id, number, at_us, kind, author, text)
		SELECT
			h.id,
			CASE WHEN EXISTS (SELECT 1 FROM session_log l WHERE l.session_id = h.id AND l.number = CAST(h.v1 AS BIGINT))
				THEN (SELECT max(l.number) + 1 FROM session_log l WHERE l.session_id = h.id)
				ELSE CAST(h.v1 AS BIGINT) END,
			CAST(h.v2 AS BIGINT), h.v3, h.v4, h.v5
		FROM history h WHERE h.seq = $1 AND NOT (
			EXISTS (SELECT 1 FROM session_log l WHERE l.session_id = h.id AND l.number = CAST(h.v1 AS BIGINT))
			AND EXISTS (SELECT 1 FROM session_log l WHERE l.session_id = h.id AND l.at_us = CAST(h.v2 AS BIGINT) AND l.text = h.v5))`

	bringBackMetric = `
		INSERT INTO metrics (id, project_id, agent_id, task_id, type, value, metadata, timestamp, revision)
		SELECT v1, id, v2, v3, v4, CAST(v5 AS DOUBLE PRECISION), v6, CAST(v7 AS BIGINT), CAST(v8 AS BIGINT)
		FROM history WHERE seq IN (%s) ORDER BY seq
		ON CONFLICT (id) DO NOTHING`

	bringBackSetting = `
		INSERT INTO checkpoint_settings (
			project_id, phase_complete, feature_complete, task_failed, qa_exhausted, every_minutes, every_tasks, scheduled_us,
			completed_tasks)
		SELECT
			id, CAST(v1 AS BIGINT), CAST(v2 AS BIGINT), CAST(v3 AS BIGINT), CAST(v4 AS BIGINT), CAST(v5 AS BIGINT),
			CAST(v6 AS BIGINT), CAST(v7 AS BIGINT), CAST(v8 AS BIGINT)
		FROM history WHERE seq IN (%s) ORDER BY seq
		ON CONFLICT (project_id) DO NOTHING`
)

// bringBackParts inserts what was deleted with rows.
func (x *reinstatement) bringBackParts(owner nexus.Kind, ids []driver.Arg) error {
	for _, p := range partKinds {
		if p.owner == owner {
			if err := x.bringBack(ids, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// bringBackReplaced does the same for rows that were deleted and made again under their
// ids, which are there. Only a restore does: it is about all that was there then. That a
// row was deleted is not in a compacted history; what was deleted with it is.
func (x *reinstatement) bringBackReplaced() error {
	const owners = `SELECT DISTINCT id FROM history WHERE kind = $1 AND seq > $2 AND change = 'delete' ORDER BY id`
	for _, p := range partKinds {
		if p.undoOnly {
			continue
		}
		var replaced []driver.Arg
		err := x.conn.Query(x.ctx, owners, []driver.Arg{driver.Text(p.kind), driver.Int(x.seq)}, func(r driver.Row) error {
			if id := r.Arg(0).Text; x.wanted[p.owner][id] != nil {
				replaced = append(replaced, driver.Text(id))
			}
			return nil
		})
		for part := range slices.Chunk(replaced, mostTogether) {
			if err == nil {
				err = x.bringBack(part, p)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bringBack inserts the rows that were deleted with others. What the reinstatement itself
// deletes stays deleted, so that nothing of it is in history_rows yet is no loss.
func (x *reinstatement) bringBack(ids []driver.Arg, p partKind) error {
	const find = `SELECT seq FROM history_rows WHERE id %s AND kind = $2 AND seq > $3`
	var found []driver.Arg
	err := queryIDs(x.ctx, x.conn, find, ids, []driver.Arg{driver.Text(p.kind), driver.Int(x.seq)}, func(r driver.Row) error {
		found = append(found, driver.Int(r.Int(0)))
		return nil
	})
	slices.SortFunc(found, func(a, b driver.Arg) int { return cmp.Compare(a.Int, b.Int) })
	if err == nil && p.together {
		return x.bringBackTogether(found, p)
	}
	for _, seq := range found {
		if err == nil {
			_, err = x.conn.Exec(x.ctx, p.bringBack, seq)
		}
	}
	return err
}

// bringBackTogether inserts the rows of many records with few statements.
func (x *reinstatement) bringBackTogether(found []driver.Arg, p partKind) error {
	sql := fmt.Sprintf(p.bringBack, "SELECT CAST(value AS BIGINT) FROM "+x.conn.Dialect().Elements(1))
	for some := range slices.Chunk(found, 1000) {
		numbers := make([]int64, len(some))
		for i := range some {
			numbers[i] = some[i].Int
		}
		list, err := json.Marshal(numbers)
		if err != nil {
			return err
		}
		if _, err := x.conn.Exec(x.ctx, sql, driver.Text(string(list))); err != nil {
			return err
		}
	}
	return nil
}
