package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Checkpoints that are made by themselves follow from what a transaction has added to
// the history, so it does not matter how it came to that: a feature, for one, is done
// when the database says so. While no project wants any, that costs one look at an
// empty table, within a query that every transaction makes at its end.
//
// They are made after the commit, on a snapshot, so that nobody waits for them but who
// has made the change, and that they fail is no failure of that. If the process dies in
// between, that one checkpoint is lost, and the next trigger makes another.

// dueCheckpoints finds the checkpoints that the changes since a record of the history
// call for: at most one a project, because a second would be of the same state.
func dueCheckpoints(ctx context.Context, c driver.Conn, since int64, now time.Time) (due []nexus.CheckpointRequest, err error) {
	settings, err := wantedCheckpoints(ctx, c, since)
	if err != nil || len(settings) == 0 {
		return nil, err
	}
	for i := range settings {
		w := &settings[i]
		reason, name, completed, err := w.find(ctx, c, since)
		if err != nil {
			return nil, err
		}
		scheduled, err := w.schedule(ctx, c, completed, now)
		if err != nil {
			return nil, err
		}
		if reason == "" && scheduled {
			reason, name = "scheduled", "scheduled"
		}
		if reason != "" {
			due = append(due, nexus.CheckpointRequest{ProjectID: w.project, Reason: reason, Name: name})
		}
	}
	return due, nil
}

// wanted are the settings of a project that has changed.
type wanted struct {
	project        string
	on             map[string]bool
	everyMinutes   int64
	everyTasks     int64
	scheduled      int64 // µs
	completedTasks int64
}

// wantedCheckpoints reads the settings of the projects that have changed since.
func wantedCheckpoints(ctx context.Context, c driver.Conn, since int64) (list []wanted, err error) {
	const sql = `
		SELECT
			project_id, phase_complete, feature_complete, task_failed, qa_exhausted, every_minutes, every_tasks, scheduled_us,
			completed_tasks
		FROM checkpoint_settings WHERE project_id IN (
			SELECT project_id FROM history
			WHERE seq > $1 AND kind IN ('project', 'feature', 'sub_feature', 'task', 'requirement', 'session'))
		ORDER BY project_id`
	err = c.Query(ctx, sql, []driver.Arg{driver.Int(since)}, func(r driver.Row) error {
		w := wanted{
			project: r.Text(0), on: make(map[string]bool), everyMinutes: min(r.Int(5), math.MaxInt32), everyTasks: r.Int(6), scheduled: r.Int(7),
			completedTasks: r.Int(8),
		}
		for n, trigger := range nexus.CheckpointTriggers() {
			w.on[trigger] = r.Int(n+1) != 0
		}
		list = append(list, w)
		return nil
	})
	return list, err
}

// statusBefore selects the changes of rows of a project since a record, with the status
// before each and what it is now.
func statusBefore(kind nexus.Kind, columns string) string {
	l := layouts[kind]
	project := "project_id"
	if kind == nexus.KindProject {
		project = "id"
	}
	return fmt.Sprintf(`
		SELECT t.id, h.v%[1]d, t.status, substr(t.name, 1, 100)%[2]s
		FROM history h JOIN %[3]s t ON t.id = h.id
		WHERE h.seq > $1 AND h.kind = '%[4]s' AND h.change = 'update' AND t.%[5]s = $2
		ORDER BY h.seq`, l.column("status"), columns, kind.Table(), kind, project)
}

var (
	projectStatusBefore = statusBefore(nexus.KindProject, "")
	featureStatusBefore = statusBefore(nexus.KindFeature, "")
	taskStatusBefore    = statusBefore(nexus.KindTask, ", t.qa_iterations >= t.max_iterations")
)

// find returns the first reason that holds, in the order of CheckpointTriggers but for
// the last two, which exclude each other, with what it is about, and how many tasks
// were completed.
func (w *wanted) find(ctx context.Context, c driver.Conn, since int64) (reason, name string, completed int64, err error) {
	changed := func(sql string, fn func(r driver.Row, id, status, name string)) {
		seen := make(map[string]bool)
		if err != nil {
			return
		}
		err = c.Query(ctx, sql, []driver.Arg{driver.Int(since), driver.Text(w.project)}, func(r driver.Row) error {
			id, status := r.Text(0), r.Text(2)
			if !seen[id] && r.Text(1) != status {
				fn(r, id, status, r.Text(3))
			}
			seen[id] = true // what it was between two changes of the transaction does not count
			return nil
		})
	}
	is := func(trigger, format string, args ...any) {
		if reason == "" && w.on[trigger] {
			reason, name = trigger, fmt.Sprintf(format, args...)
		}
	}
	changed(projectStatusBefore, func(_ driver.Row, _, status, _ string) {
		is("phase_complete", "the project is %s", status)
	})
	changed(featureStatusBefore, func(_ driver.Row, id, status, name string) {
		if nexus.FeatureStatus(status) == nexus.FeatureDone {
			is("feature_complete", "feature %s is done: %s", id, name)
		}
	})
	changed(taskStatusBefore, func(r driver.Row, id, status, name string) {
		switch nexus.TaskStatus(status) {
		case nexus.TaskCompleted:
			completed++
		case nexus.TaskEscalated, nexus.TaskFailed:
			trigger := "task_failed"
			if r.Int(4) != 0 {
				trigger = "qa_exhausted"
			}
			is(trigger, "task %s is %s: %s", id, status, name)
		}
	})
	return reason, name, completed, err
}

// schedule counts completed tasks, and reports whether a scheduled checkpoint is due.
// That it was is kept with the changes, so that of many processes one makes it.
func (w *wanted) schedule(ctx context.Context, c driver.Conn, completed int64, now time.Time) (due bool, err error) {
	at, count := w.scheduled, w.completedTasks
	if w.everyTasks > 0 {
		count += completed
		due = count >= w.everyTasks
	}
	// A time in the future is from a clock that was ahead.
	if ago := micros(now) - at; w.everyMinutes > 0 && (ago >= w.everyMinutes*time.Minute.Microseconds() || ago < 0) {
		due = true
	}
	if due {
		at, count = micros(now), 0
	}
	if at == w.scheduled && count == w.completedTasks {
		return due, nil
	}
	_, err = c.Exec(ctx, `UPDATE checkpoint_settings SET scheduled_us = $2, completed_tasks = $3 WHERE project_id = $1`,
		driver.Text(w.project), driver.Int(at), driver.Int(count))
	return due, err
}

// makeDue makes checkpoints after the commit that called for them. What it called for
// is done, so an error is not the caller's but the log's; the next trigger makes another.
func (db *DB) makeDue(ctx context.Context, due []nexus.CheckpointRequest) {
	for _, r := range due {
		if _, err := db.Checkpoint(ctx, r); err != nil {
			db.log.Warn("a checkpoint could not be made", "project", r.ProjectID, "reason", r.Reason, "error", err)
		}
	}
}
