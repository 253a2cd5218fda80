package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// settlement collects what a transaction has to answer for at its end. Rules that
// speak of several rows, such as that dependencies lead to tasks and make no
// cycle, hold between transactions, not between the calls within one: a plan may
// store a task before the one that it depends on.
type settlement struct {
	depending []newDependencies
	placed    map[placement]string // with the first task that it is of
	deleted   []string             // tasks that were deleted
	made      []string             // ids that were made here, and that nobody has heard of
	operation operation
}

// newDependencies are what a task depends on since this transaction. What it did
// before may be another program's mistake, and must not be in the way of other
// changes, least of all of one that puts it right.
type newDependencies struct {
	task string
	on   []string
}

// taskChanged is a hook of the table of tasks; before is nil when after is new.
func taskChanged(s *settlement, before, after *nexus.Task) {
	s.place(before, after)
	var had []string
	if before != nil {
		had = before.DependsOn
	}
	if slices.Equal(had, after.DependsOn) {
		return
	}
	on := slices.DeleteFunc(slices.Clone(after.DependsOn), func(id string) bool { return slices.Contains(had, id) })
	if len(on) > 0 {
		s.depending = append(s.depending, newDependencies{after.ID, on})
	}
}

func taskDeleting(_ context.Context, _ driver.Conn, s *settlement, id string) error {
	s.deleted = append(s.deleted, id)
	return nil
}

// projectDeleting notes the tasks of the project that tasks of others depend on.
func projectDeleting(ctx context.Context, c driver.Conn, s *settlement, id string) error {
	wanted, err := ids(ctx, c, `
		SELECT DISTINCT d.id FROM tasks d
		JOIN task_dependencies e ON e.depends_on = d.id
		JOIN tasks t ON t.id = e.task_id
		WHERE d.project_id = $1 AND t.project_id <> $1`, id)
	s.deleted = append(s.deleted, wanted...)
	return err
}

// check reads what the database says now, so it does not matter how it came to
// that, or whether some of it has been undone since.
func (s *settlement) check(ctx context.Context, c driver.Conn) error {
	err := s.checkRules(ctx, c)
	var e *nexus.Error
	if errors.As(err, &e) && slices.Contains(s.made, e.ID) {
		e.ID = ""
	}
	return err
}

func (s *settlement) checkRules(ctx context.Context, c driver.Conn) error {
	for _, id := range s.deleted {
		if err := checkDeleted(ctx, c, id); err != nil {
			return err
		}
	}
	if err := s.checkPlaces(ctx, c); err != nil {
		return err
	}
	var inCycles []string // perhaps
	for _, d := range s.depending {
		missing, wanted, err := d.look(ctx, c)
		if err == nil && missing {
			err = d.checkExist(ctx, c)
		}
		if err != nil {
			return err
		}
		if wanted { // a task that nothing depends on is in no cycle
			inCycles = append(inCycles, d.task)
		}
	}
	return checkCycles(ctx, c, inCycles)
}

// look reports whether something that the task depends on does not exist, and
// whether something depends on it.
func (d newDependencies) look(ctx context.Context, c driver.Conn) (missing, wanted bool, err error) {
	const sql = `
		SELECT
			CASE WHEN EXISTS (SELECT 1 FROM task_dependencies e WHERE e.task_id = $1
				AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.id = e.depends_on)) THEN 1 ELSE 0 END,
			CASE WHEN EXISTS (SELECT 1 FROM task_dependencies e WHERE e.depends_on = $1) THEN 1 ELSE 0 END`
	err = c.Query(ctx, sql, []driver.Arg{driver.Text(d.task)}, func(r driver.Row) error {
		missing, wanted = r.Int(0) != 0, r.Int(1) != 0
		return nil
	})
	return missing, wanted, err
}

const someDependents = `
	SELECT e.task_id FROM task_dependencies e
	WHERE e.depends_on = $1 AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.id = $1)
	ORDER BY e.task_id LIMIT 4`

// checkDeleted refuses to delete a task that others depend on: they could never
// start.
func checkDeleted(ctx context.Context, c driver.Conn, id string) error {
	dependents, err := ids(ctx, c, someDependents, id)
	if err != nil || len(dependents) == 0 {
		return err
	}
	return &nexus.Error{
		Code: nexus.CodeInUse, Kind: nexus.KindTask, ID: id, Message: "depended on by " + some(dependents),
		Hint: "skip it instead, or remove these dependencies first; nothing was changed",
	}
}

const missingDependencies = `
	SELECT e.depends_on FROM task_dependencies e
	WHERE e.task_id = $1 AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.id = e.depends_on)
	ORDER BY e.depends_on`

func (d newDependencies) checkExist(ctx context.Context, c driver.Conn) error {
	missing, err := ids(ctx, c, missingDependencies, d.task)
	missing = slices.DeleteFunc(missing, func(id string) bool { return !slices.Contains(d.on, id) })
	if err != nil || len(missing) == 0 {
		return err
	}
	refused := &nexus.Error{
		Code: nexus.CodeReference, Kind: nexus.KindTask, ID: d.task,
		Message: fmt.Sprintf("depends on task %s, which does not exist", missing[0]),
		Hint:    "create that first, or correct the id",
	}
	if more := len(missing) - 1; more > 0 {
		refused.Message = fmt.Sprintf("depends on tasks that do not exist: %s", strings.Join(missing, ", "))
	}
	return refused
}

// checkCycles refuses a cycle through one of the tasks. It goes depth first along
// the dependencies, to each task once, whatever it starts from.
func checkCycles(ctx context.Context, c driver.Conn, tasks []string) error {
	finished := make(map[string]bool)
	for _, start := range tasks {
		if finished[start] {
			continue
		}
		cycle, err := findCycle(ctx, c, start, finished)
		if err != nil {
			return err
		}
		if cycle != nil {
			return &nexus.Error{
				Code: nexus.CodeInvalid, Kind: nexus.KindTask, ID: cycle[0],
				Problems: []nexus.Problem{{Field: "depends_on", Message: "is a cycle: " + showCycle(cycle)}},
				Hint:     "nothing was changed",
			}
		}
	}
	return nil
}

// showCycle writes a cycle with its beginning at its end; of a long one it leaves
// out the middle.
func showCycle(cycle []string) string {
	const most = 20
	way := append(slices.Clone(cycle), cycle[0])
	if len(way) > most {
		way = slices.Concat(way[:most/2], []string{fmt.Sprintf("%d more", len(way)-most)}, way[len(way)-most/2:])
	}
	return strings.Join(way, " → ")
}

// findCycle returns a cycle that can be reached from start, each task followed by
// one that it depends on, or nil. It notes in finished from where there is none.
func findCycle(ctx context.Context, c driver.Conn, start string, finished map[string]bool) ([]string, error) {
	type frame struct {
		id   string
		rest []string // dependencies still to be followed
	}
	var way []frame // from start to where we are
	place := make(map[string]int)
	enter := func(id string) error {
		next, err := ids(ctx, c, `SELECT depends_on FROM task_dependencies WHERE task_id = $1`, id)
		place[id] = len(way)
		way = append(way, frame{id, next})
		return err
	}
	if err := enter(start); err != nil {
		return nil, err
	}
	for len(way) > 0 {
		top := &way[len(way)-1]
		if len(top.rest) == 0 {
			finished[top.id] = true
			delete(place, top.id)
			way = way[:len(way)-1]
			continue
		}
		next := top.rest[0]
		top.rest = top.rest[1:]
		if from, onWay := place[next]; onWay {
			var cycle []string
			for _, f := range way[from:] {
				cycle = append(cycle, f.id)
			}
			return cycle, nil
		}
		if !finished[next] {
			if err := enter(next); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

// ids reads a list of ids.
func ids(ctx context.Context, c driver.Conn, sql string, args ...string) (list []string, err error) {
	given := make([]driver.Arg, len(args))
	for i, arg := range args {
		given[i] = driver.Text(arg)
	}
	err = c.Query(ctx, sql, given, func(r driver.Row) error {
		list = append(list, r.Text(0))
		return nil
	})
	return list, err
}
