package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Ready returns the tasks that can be claimed now, best first: by priority, and
// within one by age. Those whose agent has been silent for longer than its lease
// are among them.
//
// It costs the same however many tasks there are that are not ready, but for
// filters other than the project.
func (s *Tasks) Ready(ctx context.Context, filter nexus.ReadyFilter) (list []nexus.Task, err error) {
	if filter.Limit < 0 {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Problems: []nexus.Problem{{
			Field: "limit", Message: fmt.Sprintf("is %d; it cannot be negative", filter.Limit),
		}}}
	}
	now := driver.Int(micros(s.now()))
	err = s.run.snapshot(ctx, func(c driver.Conn) error {
		if list, err = readyTasks(ctx, c, filter); err != nil {
			return err
		}
		expired, err := expiredTasks(ctx, c, filter, now)
		if len(expired) > 0 {
			list = append(list, expired...)
			slices.SortStableFunc(list, byRank)
		}
		if filter.Limit > 0 && len(list) > filter.Limit {
			list = list[:filter.Limit]
		}
		return err
	})
	return list, err
}

// byRank is the order in which tasks are handed out.
func byRank(a, b nexus.Task) int {
	return cmp.Or(
		cmp.Compare(priorityArg(a.Priority).Int, priorityArg(b.Priority).Int),
		a.CreatedAt.Compare(b.CreatedAt),
		strings.Compare(a.ID, b.ID),
	)
}

// Fragments of SQL about a task t and its project p. idx_tasks_ready has exactly
// the tasks of the first, in the order of the last.
const (
	isReady    = `t.status = 'pending' AND t.open_dependencies = 0 AND coalesce(t.blocked_by, '') = ''`
	notStopped = `p.status NOT IN ('paused', 'completed') AND p.status <> 'failed'` // IN with three makes a table of them
	goesOn     = notStopped + ` AND ` + withinBudget
	orderReady = ` ORDER BY t.priority, t.created_at, t.id`
)

var taskColumns = tasks.prefixed("t")

// readyTasks reads the first tasks that the filter chooses from the index of ready
// tasks. Over several projects it takes the first of each, which are in the
// index of that project's, and of these the first.
func readyTasks(ctx context.Context, c driver.Conn, filter nexus.ReadyFilter) ([]nexus.Task, error) {
	return chooseReady(ctx, c, filter, "")
}

// lockReady is readyTasks for those who claim them. Where rows are locked, it passes
// over those that others have locked. If that leaves none, it waits for what becomes of
// one, for it may be given back; it then lets go of that before it looks again, because
// of those who wait while they hold something, two would wait for each other.
func lockReady(ctx context.Context, c driver.Conn, filter nexus.ReadyFilter) ([]nexus.Task, error) {
	dialect := c.Dialect()
	for {
		list, err := chooseReady(ctx, c, filter, dialect.LockFree("t"))
		if err != nil || len(list) > 0 || !dialect.LocksRows {
			return list, err
		}
		one := filter
		one.Limit = 1
		if list, err = readyTasks(ctx, c, one); err != nil || len(list) == 0 {
			return nil, err
		}
		letGo := errors.New("it has waited")
		err = c.Savepoint(ctx, func() error {
			if _, err := tasks.mustLock(ctx, c, list[0].ID); err != nil && nexus.CodeOf(err) != nexus.CodeNotFound {
				return err
			}
			return letGo
		})
		if !errors.Is(err, letGo) {
			return nil, err
		}
	}
}

// chooseReady reads or, with a clause for that, locks the first tasks.
func chooseReady(ctx context.Context, c driver.Conn, filter nexus.ReadyFilter, lock string) ([]nexus.Task, error) {
	if filter.ProjectID == "" {
		going, err := ids(ctx, c, "SELECT p.id FROM projects p WHERE "+goesOn+" LIMIT 2")
		if err != nil || len(going) == 0 {
			return nil, err
		}
		if len(going) == 1 { // as in most databases; half as much work
			filter.ProjectID = going[0]
		}
	}
	var w where
	sql := "SELECT " + taskColumns
	if filter.ProjectID != "" {
		equal(&w, "p.id", filter.ProjectID)
		equal(&w, "t.project_id", filter.ProjectID)
		w.raw(goesOn)
		w.raw(isReady)
		w.ready(filter)
		w.sql.WriteString(orderReady)
		w.limit(filter.Limit)
		sql += " FROM projects p CROSS JOIN tasks t" + w.sql.String() + lock
	} else if lock != "" {
		return lockReadyOfEach(ctx, c, filter, lock)
	} else {
		w.raw("t.project_id = p.id")
		w.raw(isReady)
		w.ready(filter)
		w.sql.WriteString(orderReady)
		w.limit(filter.Limit)
		ofEach := "(SELECT t.id FROM tasks t" + w.sql.String() + ")"
		w.sql.Reset()
		w.limit(filter.Limit)
		of := " IN "
		if filter.Limit == 1 { // as when claiming; a list of one costs twice as much
			of = " = "
		}
		sql += " FROM tasks t WHERE t.id" + of + "(SELECT t.id FROM projects p CROSS JOIN tasks t WHERE " + goesOn +
			" AND t.id" + of + ofEach + orderReady + w.sql.String() + ")" + orderReady
	}
	if w.err != nil {
		return nil, w.err
	}
	return tasks.read(ctx, c, sql, w.args)
}

// lockReadyOfEach locks tasks of several projects: more than are wanted are looked at,
// for those that others have locked.
func lockReadyOfEach(ctx context.Context, c driver.Conn, filter nexus.ReadyFilter, lock string) ([]nexus.Task, error) {
	for spare := 64; ; spare *= 8 {
		wide := filter
		wide.Limit += spare
		found, err := readyTasks(ctx, c, wide)
		if err != nil || len(found) == 0 {
			return nil, err
		}
		chosen := make([]string, len(found))
		for i := range found {
			chosen[i] = found[i].ID
		}
		var w where
		in(&w, "t.id", chosen)
		w.raw(isReady)
		w.sql.WriteString(orderReady)
		w.limit(filter.Limit)
		if w.err != nil {
			return nil, w.err
		}
		list, err := tasks.read(ctx, c, "SELECT "+taskColumns+" FROM tasks t"+w.sql.String()+lock, w.args)
		if err != nil || len(list) == filter.Limit || len(found) < wide.Limit || 8*wide.Limit > maxValues {
			return list, err
		}
	}
}

// A CROSS JOIN has the planner of SQLite take the tables in the order given: it
// knows nothing of how few attempts are open.

// expiredTasks reads the tasks whose agent has been silent for too long, and that
// may be tried again.
func expiredTasks(ctx context.Context, c driver.Conn, filter nexus.ReadyFilter, now driver.Arg) ([]nexus.Task, error) {
	var w where
	w.condition("a.ended_us IS NULL AND a.lease_until_us <= ?", now)
	w.raw("t.id = a.task_id AND p.id = t.project_id")
	w.raw("t.status IN ('assigned', 'in_progress') AND t.open_dependencies = 0 AND coalesce(t.blocked_by, '') = ''")
	w.raw("t.failed_attempts < t.max_attempts - 1")
	w.raw(goesOn)
	equal(&w, "t.project_id", filter.ProjectID)
	w.ready(filter)
	w.sql.WriteString(orderReady)
	w.limit(filter.Limit)
	if w.err != nil {
		return nil, w.err
	}
	return tasks.read(ctx, c, "SELECT "+taskColumns+
		" FROM task_attempts a CROSS JOIN tasks t CROSS JOIN projects p"+w.sql.String(), w.args)
}

// ready adds the filter's conditions but for the project.
func (w *where) ready(filter nexus.ReadyFilter) {
	equal(w, "t.feature_id", filter.FeatureID)
	equal(w, "t.sub_feature_id", filter.SubFeatureID)
	inArgs(w, "t.priority", filter.Priority, priorityArg)
	in(w, "t.size", filter.Size)
}
