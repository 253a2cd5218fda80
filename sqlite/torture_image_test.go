package sqlite_test

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
	"github.com/seed-c8812374/nexus/storetest"
)

// image is what is in a database at one moment, as far as the torture changes it.
type image struct {
	tasks    map[string]*taskImage
	attempts map[int64]attemptImage
	agents   map[string]agentImage
	features map[string]bool
	metrics  map[string]bool
	keys     map[string]string // and their results
	epoch    int64             // the last one that was given
}

type taskImage struct {
	Revision int64
	Status   nexus.TaskStatus
	Agent    string
	Feature  string
	Mark     string // of the last foreign change
	Failed   int64
	On       []string
}

type attemptImage struct {
	Task, Agent, Process string
	Claimed, LeaseUntil  int64
	Note                 string // of the progress
	Ended                int64  // 0 while it is open
	Outcome              nexus.Outcome
	Reason               string
	Mark                 string // of the deed that has ended it
}

func (a *attemptImage) open() bool { return a.Ended == 0 }

type agentImage struct {
	Status            nexus.AgentStatus
	Current           string
	Completed, Failed int64
}

func newImage() *image {
	return &image{
		tasks: map[string]*taskImage{}, attempts: map[int64]attemptImage{}, agents: map[string]agentImage{},
		features: map[string]bool{}, metrics: map[string]bool{}, keys: map[string]string{},
	}
}

func readImage(db *store.DB) (*image, error) {
	x := newImage()
	return x, db.View(background, func(tx *store.Tx) (err error) {
		read := func(sql string, fn func(driver.Row)) {
			if err == nil {
				err = tx.Query(background, sql, nil, func(r driver.Row) error {
					fn(r)
					return nil
				})
			}
		}
		read("SELECT id, revision, status, assigned_agent, feature_id, description, failed_attempts, depends_on FROM tasks", func(r driver.Row) {
			x.tasks[r.Text(0)] = &taskImage{
				Revision: r.Int(1), Status: nexus.TaskStatus(r.Text(2)), Agent: r.Text(3), Feature: r.Text(4), Mark: r.Text(5),
				Failed: r.Int(6), On: nexus.DecodeIDs(nexus.JSON(r.Text(7))),
			}
		})
		read(`
			SELECT epoch, task_id, agent_id, process, claimed_us, lease_until_us, coalesce(progress, '{}'), ended_us, outcome, reason,
				coalesce(evidence, '{}')
			FROM task_attempts WHERE task_id IS NOT NULL`, func(r driver.Row) {
			a := attemptImage{
				Task: r.Text(1), Agent: r.Text(2), Process: r.Text(3), Claimed: r.Int(4), LeaseUntil: r.Int(5), Ended: r.Int(7),
				Outcome: nexus.Outcome(r.Text(8)), Reason: r.Text(9),
			}
			var progress nexus.Progress
			var evidence nexus.Evidence
			err = errors.Join(err, json.Unmarshal([]byte(r.Text(6)), &progress), json.Unmarshal([]byte(r.Text(10)), &evidence))
			a.Note, a.Mark = progress.Note, evidence.Commit
			if a.Outcome != nexus.OutcomeExpired && a.Mark == "" {
				a.Mark = a.Reason
			}
			x.attempts[r.Int(0)] = a
		})
		read("SELECT id, status, current_task_id, tasks_completed, tasks_failed FROM agents", func(r driver.Row) {
			x.agents[r.Text(0)] = agentImage{nexus.AgentStatus(r.Text(1)), r.Text(2), r.Int(3), r.Int(4)}
		})
		read("SELECT id FROM features", func(r driver.Row) { x.features[r.Text(0)] = true })
		read("SELECT id FROM metrics", func(r driver.Row) { x.metrics[r.Text(0)] = true })
		read("SELECT key, result FROM idempotency_keys", func(r driver.Row) { x.keys[r.Text(0)] = r.Text(1) })
		read("SELECT coalesce(max(epoch), 0) FROM task_attempts", func(r driver.Row) { x.epoch = r.Int(0) })
		return err
	})
}

// statusesOfFeatures finds features and sub-features whose status does not follow
// from their tasks. It is for those that nobody has given another.
const statusesOfFeatures = `
	SELECT kind || ' ' || id || ' is ' || status || '; ' || total || ' tasks, ' || open || ' open, ' || completed || ' completed'
	FROM (` + storetest.TaskCounts + `) n
	WHERE total > 0 AND (open = 0) <> (status = 'done')
		OR open > 0 AND status <> 'in_progress' AND (completed > 0 OR EXISTS (
			SELECT 1 FROM tasks t
			WHERE t.status = 'in_progress' AND n.id = CASE n.kind WHEN 'feature' THEN t.feature_id ELSE t.sub_feature_id END))`

// soundness returns what is wrong with a database by itself.
func soundness(db *store.DB) (problems []string) {
	h, err := db.Health(background, true)
	if err != nil || !h.OK() || !h.WAL || !h.ForeignKeys {
		problems = append(problems, fmt.Sprintf("health = %+v, %v", h, err))
	}
	if err := storetest.CheckDerived(background, db); err != nil {
		problems = append(problems, err.Error())
	}
	err = db.View(background, func(tx *store.Tx) error {
		return tx.Query(background, statusesOfFeatures, nil, func(r driver.Row) error {
			problems = append(problems, r.Text(0))
			return nil
		})
	})
	if err != nil {
		problems = append(problems, err.Error())
	}
	return problems
}
