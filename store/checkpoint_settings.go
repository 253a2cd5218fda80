package store

import (
	"context"
	"slices"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// CheckpointSettings returns which checkpoints of a project are made by themselves.
// Code: CodeNotFound if there is no such project.
func (db *DB) CheckpointSettings(ctx context.Context, projectID string) (s *nexus.CheckpointSettings, err error) {
	err = db.snapshot(ctx, func(c driver.Conn) error {
		s, err = checkpointSettings(ctx, c, projectID)
		return err
	})
	return s, err
}

// SetCheckpointSettings changes which checkpoints of a project are made by themselves,
// from the next transaction on, whichever process it is of. Minutes and completed tasks
// count from now on if they are given. Codes: CodeInvalid; CodeNotFound. A retry does
// no harm.
func (tx *Tx) SetCheckpointSettings(ctx context.Context, projectID string, u nexus.CheckpointSettingsUpdate) (*nexus.CheckpointSettings, error) {
	if err := u.Validate(); err != nil {
		return nil, err
	}
	s, err := checkpointSettings(ctx, tx.conn, projectID)
	if err != nil {
		return nil, err
	}
	u.Apply(s)
	if len(s.On) == 0 && s.EveryMinutes == 0 && s.EveryTasks == 0 {
		_, err := tx.conn.Exec(ctx, `DELETE FROM checkpoint_settings WHERE project_id = $1`, driver.Text(projectID))
		return s, err
	}
	on := func(trigger string) driver.Arg {
		return boolArg(slices.Contains(s.On, trigger))
	}
	_, err = tx.conn.Exec(ctx, setCheckpointSettings, driver.Text(projectID),
		on("phase_complete"), on("feature_complete"), on("task_failed"), on("qa_exhausted"),
		driver.Int(int64(s.EveryMinutes)), driver.Int(int64(s.EveryTasks)), driver.Int(micros(tx.Tasks.now())),
		boolArg(u.EveryMinutes != nil), boolArg(u.EveryTasks != nil))
	return s, err
}

const setCheckpointSettings = `
	INSERT INTO checkpoint_settings (
		project_id, phase_complete, feature_complete, task_failed, qa_exhausted, every_minutes, every_tasks, scheduled_us)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
	ON CONFLICT (project_id) DO UPDATE SET
		phase_complete = excluded.phase_complete, feature_complete = excluded.feature_complete,
		task_failed = excluded.task_failed, qa_exhausted = excluded.qa_exhausted,
		every_minutes = excluded.every_minutes, every_tasks = excluded.every_tasks,
		scheduled_us = CASE WHEN $9 = 1 THEN excluded.scheduled_us ELSE checkpoint_settings.scheduled_us END,
		completed_tasks = CASE WHEN $10 = 1 THEN 0 ELSE checkpoint_settings.completed_tasks END`

func checkpointSettings(ctx context.Context, c driver.Conn, projectID string) (*nexus.CheckpointSettings, error) {
	if _, err := projects.mustGet(ctx, c, projectID); err != nil {
		return nil, err
	}
	s := &nexus.CheckpointSettings{ProjectID: projectID, On: []string{}}
	const sql = `
		SELECT phase_complete, feature_complete, task_failed, qa_exhausted, every_minutes, every_tasks
		FROM checkpoint_settings WHERE project_id = $1`
	err := c.Query(ctx, sql, []driver.Arg{driver.Text(projectID)}, func(r driver.Row) error {
		for n, trigger := range nexus.CheckpointTriggers() {
			if r.Int(n) != 0 {
				s.On = append(s.On, trigger)
			}
		}
		s.EveryMinutes, s.EveryTasks = int(r.Int(4)), int(r.Int(5))
		return nil
	})
	return s, err
}
