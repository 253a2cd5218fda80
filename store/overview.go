package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Overview says what is going on in a project, or in all if projectID is empty. It
// is made to be read again and again: its cost does not grow with the attempts that
// have ended, nor with the metrics, and hardly with the tasks that are completed.
//
// Code: CodeNotFound.
func (db *DB) Overview(ctx context.Context, projectID string) (o *nexus.Overview, err error) {
	err = db.snapshot(ctx, func(c driver.Conn) error {
		o, err = overview(ctx, c, db.now(), projectID)
		return err
	})
	return o, err
}

// Overview is [DB.Overview] as a part of what the transaction sees.
func (tx *Tx) Overview(ctx context.Context, projectID string) (*nexus.Overview, error) {
	return overview(ctx, tx.conn, tx.Tasks.now(), projectID)
}

func overview(ctx context.Context, c driver.Conn, now time.Time, projectID string) (*nexus.Overview, error) {
	r := newOverviewReader(ctx, c, now, projectID)
	if projectID != "" {
		p, err := projects.mustGet(ctx, c, projectID)
		if err != nil {
			return nil, err
		}
		r.o.ProjectName, r.o.BudgetTokens, r.o.BudgetUSD = p.Name, max(p.BudgetTokens, 0), max(p.BudgetUSD, 0)
	}
	for _, read := range []func() error{r.tasks, r.ready, r.claimed, r.unclaimed, r.agents, r.features, r.throughput, r.metrics} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return r.o, nil
}

// overviewReader reads one overview. What has ended is many times what has not,
// and the planner of SQLite does not know that; so the queries are written in such
// a way that it has no choice but to begin with what is small.
type overviewReader struct {
	ctx  context.Context
	conn driver.Conn
	now  time.Time
	o    *nexus.Overview
}

func newOverviewReader(ctx context.Context, c driver.Conn, now time.Time, projectID string) *overviewReader {
	return &overviewReader{ctx: ctx, conn: c, now: now, o: &nexus.Overview{
		At: now.UTC().Truncate(time.Second), ProjectID: projectID, TasksByStatus: make(map[nexus.TaskStatus]int64),
		InFlight: []nexus.Work{}, Agents: []nexus.AgentState{}, Features: []nexus.FeatureProgress{},
	}}
}

// ofProject adds a condition, in which ? stands for the project, if there is one.
func (r *overviewReader) ofProject(w *where, condition string) {
	if r.o.ProjectID != "" {
		w.condition(condition, driver.Text(r.o.ProjectID))
	}
}

func (r *overviewReader) query(sql string, w *where, rest string, fn func(driver.Row)) error {
	return r.conn.Query(r.ctx, sql+w.sql.String()+rest, w.args, func(row driver.Row) error {
		fn(row)
		return nil
	})
}

// sameProject is about a task of which only the id and what another index has is
// known; the index of projects answers it.
const sameProject = "EXISTS (SELECT 1 FROM tasks same WHERE same.project_id = ? AND same.id = "

// isAlone reports whether a project is the only one, as in most databases. No index has
// project and status together, so it is of use to know that the status says it all.
func isAlone(ctx context.Context, c driver.Conn, project string) (bool, error) {
	found, err := ids(ctx, c, `SELECT id FROM projects ORDER BY id LIMIT 2`)
	return len(found) == 1 && found[0] == project, err
}

// tasks counts all tasks, and by their status all but those of the status that most seem
// to have; these are the difference, so that not each task is looked at.
func (r *overviewReader) tasks() error {
	alone, err := isAlone(r.ctx, r.conn, r.o.ProjectID)
	if err != nil {
		return err
	}
	ofProject := r.ofProject
	if alone {
		ofProject = func(*where, string) {}
	}
	most, err := r.mostFrequent()
	if err != nil {
		return err
	}
	var all where
	ofProject(&all, "t.project_id = ?")
	err = r.query("SELECT count(*) FROM tasks t", &all, "", func(row driver.Row) { r.o.TasksTotal = row.Int(0) })
	rest := r.o.TasksTotal
	for _, others := range []string{"t.status < ?", "t.status > ?"} {
		if err != nil {
			return err
		}
		var w where
		w.condition(others, driver.Text(string(most)))
		ofProject(&w, sameProject+"t.id)")
		err = r.query("SELECT t.status, count(*) FROM tasks t", &w, " GROUP BY t.status", func(row driver.Row) {
			r.o.TasksByStatus[nexus.TaskStatus(row.Text(0))] = row.Int(1)
			rest -= row.Int(1)
		})
	}
	if rest > 0 {
		r.o.TasksByStatus[most] = rest
	}
	r.o.TasksOpen = r.o.TasksTotal - r.o.TasksByStatus[nexus.TaskCompleted] - r.o.TasksByStatus[nexus.TaskSkipped]
	return err
}

// mostFrequent guesses which status most tasks have, by what the features count: pending
// at the beginning, completed later on.
func (r *overviewReader) mostFrequent() (status nexus.TaskStatus, err error) {
	status = nexus.TaskCompleted
	var w where
	r.ofProject(&w, "f.project_id = ?")
	err = r.query("SELECT CAST(coalesce(sum(f.open_task_count - f.completed_task_count), 0) AS BIGINT) FROM features f", &w, "", func(row driver.Row) {
		if row.Int(0) > 0 {
			status = nexus.TaskPending
		}
	})
	return status, err
}

// ready counts what [Tasks.Ready] returns.
func (r *overviewReader) ready() error {
	var w where
	w.raw("t.project_id = p.id")
	w.raw(isReady)
	w.raw(goesOn)
	r.ofProject(&w, "p.id = ?")
	w.limit(nexus.MostReady)
	err := r.query("SELECT count(*) FROM (SELECT 1 FROM projects p CROSS JOIN tasks t", &w, ") AS found",
		func(row driver.Row) { r.o.Ready = int(row.Int(0)) })
	if err != nil || r.o.Ready == nexus.MostReady {
		return err
	}
	expired, err := expiredTasks(r.ctx, r.conn, nexus.ReadyFilter{
		ProjectID: r.o.ProjectID, Limit: nexus.MostReady - r.o.Ready,
	}, driver.Int(micros(r.now)))
	r.o.Ready += len(expired)
	return err
}

const workColumns = "t.id, substr(t.name, 1, 200), t.status, t.project_id, t.feature_id"

func scanWork(row driver.Row) nexus.Work {
	return nexus.Work{
		TaskID: row.Text(0), Name: row.Text(1), Status: nexus.TaskStatus(row.Text(2)),
		ProjectID: row.Text(3), FeatureID: row.Text(4),
	}
}

// claimed reads the tasks that agents hold.
func (r *overviewReader) claimed() error {
	const sql = "SELECT " + workColumns + `, a.agent_id, a.epoch, a.claimed_us, a.lease_until_us, a.progress
		FROM task_attempts a CROSS JOIN tasks t`
	var w where
	w.raw("a.ended_us IS NULL")
	w.raw("t.id = a.task_id")
	r.ofProject(&w, "t.project_id = ?")
	return r.query(sql, &w, " ORDER BY a.lease_until_us, a.epoch", func(row driver.Row) {
		work := scanWork(row)
		work.AgentID, work.Epoch = row.Text(5), row.Int(6)
		work.Since = fromMicros(row.Int(7)).Truncate(time.Second)
		work.LeaseUntil = fromMicros(row.Int(8)).Truncate(time.Second)
		if text := row.Text(9); text != "" {
			progress := new(nexus.Progress)
			if json.Unmarshal([]byte(text), progress) == nil { // else it is not what Nexus writes there
				work.Progress = progress
			}
		}
		r.o.InFlight = append(r.o.InFlight, work)
	})
}

// unclaimed reads the tasks that are in flight without a claim. coalesce keeps
// SQLite from going through all tasks of the project.
func (r *overviewReader) unclaimed() error {
	const sql = "SELECT " + workColumns + `, t.assigned_agent, t.started_at FROM tasks t`
	var w where
	w.raw("t.status IN ('assigned', 'in_progress')")
	w.raw("NOT EXISTS (SELECT 1 FROM task_attempts a WHERE a.task_id = t.id AND a.held = 1)")
	r.ofProject(&w, "coalesce(t.project_id, '') = ?")
	w.limit(nexus.MostReady)
	from := len(r.o.InFlight)
	err := r.query(sql, &w, "", func(row driver.Row) {
		work := scanWork(row)
		work.AgentID = row.Text(5)
		if !row.IsNull(6) {
			work.Since = time.Unix(row.Int(6), 0).UTC()
		}
		r.o.InFlight = append(r.o.InFlight, work)
	})
	slices.SortFunc(r.o.InFlight[from:], func(a, b nexus.Work) int { return cmp.Compare(a.TaskID, b.TaskID) })
	return err
}

func (r *overviewReader) agents() error {
	// Either side of the OR is a part of the index of statuses.
	const sql = `
		SELECT id, type, status, tasks_completed, tasks_failed, tokens_used, last_activity_at FROM agents
		WHERE status < 'terminated' OR status > 'terminated'`
	holds := make(map[string][]string)
	for _, work := range r.o.InFlight {
		holds[work.AgentID] = append(holds[work.AgentID], work.TaskID)
	}
	err := r.query(sql, new(where), "", func(row driver.Row) {
		a := nexus.AgentState{
			ID: row.Text(0), Type: nexus.AgentType(row.Text(1)), Status: nexus.AgentStatus(row.Text(2)),
			TasksCompleted: int(row.Int(3)), TasksFailed: int(row.Int(4)), TokensUsed: row.Int(5),
			LastActivityAt: time.Unix(row.Int(6), 0).UTC(), Holds: []string{},
		}
		if held := holds[a.ID]; len(held) > 0 {
			a.Holds = held
		}
		if r.o.ProjectID == "" || len(a.Holds) > 0 {
			r.o.Agents = append(r.o.Agents, a)
		}
	})
	slices.SortFunc(r.o.Agents, func(a, b nexus.AgentState) int { return cmp.Compare(a.ID, b.ID) })
	return err
}

func (r *overviewReader) features() error {
	const sql = `
		SELECT f.id, f.project_id, substr(f.name, 1, 200), f.status, f.task_count, f.open_task_count, f.completed_task_count
		FROM features f`
	var w where
	r.ofProject(&w, "f.project_id = ?")
	err := r.query(sql, &w, "", func(row driver.Row) {
		r.o.Features = append(r.o.Features, nexus.FeatureProgress{
			ID: row.Text(0), ProjectID: row.Text(1), Name: row.Text(2), Status: nexus.FeatureStatus(row.Text(3)),
			Total: row.Int(4), Open: row.Int(5), Completed: row.Int(6),
		})
	})
	slices.SortFunc(r.o.Features, func(a, b nexus.FeatureProgress) int { return cmp.Compare(a.ID, b.ID) })
	return err
}

// throughput counts what has ended of late. An index by the time of the end would
// cost every attempt something, for this alone.
func (r *overviewReader) throughput() error {
	var w where
	w.raw("a.epoch > (SELECT max(epoch) FROM task_attempts) - 5000")
	w.condition("a.ended_us >= ?", driver.Int(micros(r.now.Add(-time.Hour))))
	r.ofProject(&w, sameProject+"a.task_id)")
	w.args = append(w.args, driver.Int(micros(r.now.Add(-time.Minute))))
	sql := fmt.Sprintf(`
		SELECT a.outcome, count(*), sum(CASE WHEN a.ended_us >= $%d THEN 1 ELSE 0 END)
		FROM task_attempts a`, len(w.args))
	return r.query(sql, &w, " GROUP BY a.outcome", func(row driver.Row) {
		switch nexus.Outcome(row.Text(0)) {
		case nexus.OutcomeCompleted:
			r.o.CompletedHour, r.o.CompletedMinute = row.Int(1), row.Int(2)
		case nexus.OutcomeFailed, nexus.OutcomeExpired:
			r.o.FailedHour += row.Int(1)
		}
	})
}

func (r *overviewReader) metrics() error {
	var w where
	w.raw("scope = 'project'")
	r.ofProject(&w, "id = ?")
	spent := new(nexus.Spending)
	err := readTotals(r.ctx, r.conn, spent, w.sql.String(), w.args...)
	r.o.CostUSD, r.o.Tokens = spent.USD, spent.Tokens
	return err
}

// finite is a number that JSON has.
func finite(f float64) float64 { return max(min(f, math.MaxFloat64), -math.MaxFloat64) }
