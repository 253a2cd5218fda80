package store

import (
	"context"
	"errors"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// PruneCheckpoints deletes the checkpoints of a project, or of each, that the request
// does not keep, all or none. With a checkpoint nothing else goes; what the history
// keeps only for its sake goes when that is compacted.
//
// Codes: CodeInvalid; CodeNotFound if there is no such project. A retry deletes what
// has become too many since.
func (db *DB) PruneCheckpoints(ctx context.Context, r nexus.PruneRequest) (report *nexus.Pruned, err error) {
	keepNothing := errors.New("a dry run keeps nothing")
	err = db.InTx(ctx, func(tx *Tx) error {
		if report, err = tx.PruneCheckpoints(ctx, r); err != nil {
			return err
		}
		if r.DryRun {
			return keepNothing
		}
		return nil
	})
	if err != nil && !errors.Is(err, keepNothing) {
		return nil, err
	}
	return report, nil
}

// PruneCheckpoints is [DB.PruneCheckpoints] as a part of the transaction; it ignores
// DryRun but in its report.
func (tx *Tx) PruneCheckpoints(ctx context.Context, r nexus.PruneRequest) (*nexus.Pruned, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if r.ProjectID != "" {
		if _, err := projects.mustGet(ctx, tx.conn, r.ProjectID); err != nil {
			return nil, err
		}
	}
	tx.end.did("checkpoint prune", "")
	list, err := tx.newestCheckpoints(ctx, r.ProjectID)
	if err != nil {
		return nil, err
	}
	report := &nexus.Pruned{Deleted: []string{}, DryRun: r.DryRun}
	today := tx.Tasks.now().UTC().Truncate(24 * time.Hour)
	var project string
	var seen int          // of the project
	var lastDay time.Time // of which one is kept already
	for _, p := range list {
		if p.project != project {
			project, seen, lastDay = p.project, 0, time.Time{}
		}
		seen++
		day := p.created.Truncate(24 * time.Hour)
		daily := r.Daily > 0 && !day.Equal(lastDay) && day.After(today.AddDate(0, 0, -r.Daily))
		lastDay = day
		if seen <= r.Keep || daily {
			report.Kept++
			continue
		}
		report.Deleted = append(report.Deleted, p.id)
	}
	for _, id := range report.Deleted {
		if err := tx.Checkpoints.Delete(ctx, id); err != nil {
			return nil, err
		}
	}
	return report, nil
}

type datedCheckpoint struct {
	id, project string
	created     time.Time
}

// newestCheckpoints lists the checkpoints, project by project, the newest first.
func (tx *Tx) newestCheckpoints(ctx context.Context, project string) (list []datedCheckpoint, err error) {
	var w where
	equal(&w, "project_id", project)
	sql := "SELECT id, project_id, created_at FROM checkpoints" + w.sql.String() + " ORDER BY project_id, created_at DESC, id DESC"
	err = tx.conn.Query(ctx, sql, w.args, func(r driver.Row) error {
		list = append(list, datedCheckpoint{r.Text(0), r.Text(1), time.Unix(r.Int(2), 0).UTC()})
		return nil
	})
	return list, err
}
