package storetest

import (
	"context"
	"fmt"

	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// CheckAttempts returns an error if an open attempt holds what nobody can be at work on.
func CheckAttempts(ctx context.Context, db *store.DB) error {
	const wrong = `
		SELECT a.task_id, a.agent_id, coalesce(t.status, 'gone'), coalesce(t.assigned_agent, 'nobody')
		FROM task_attempts a LEFT JOIN tasks t ON t.id = a.task_id
		WHERE a.ended_us IS NULL AND (t.id IS NULL OR coalesce(t.assigned_agent, '') <> a.agent_id
			OR t.status IN ('pending', 'blocked', 'completed', 'failed', 'skipped', 'escalated', 'cancelled'))`
	return db.View(ctx, func(tx *store.Tx) error {
		return tx.Query(ctx, wrong, nil, func(r driver.Row) error {
			return fmt.Errorf("an open attempt holds %s of %s, which is %s of %s", r.Text(0), r.Text(1), r.Text(2), r.Text(3))
		})
	})
}
