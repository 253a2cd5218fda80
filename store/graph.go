package store

import (
	"cmp"
	"context"
	"slices"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Graph returns the tasks that the filter chooses and what they depend on. A
// filter that chooses nothing gives an empty graph.
func (s *Tasks) Graph(ctx context.Context, filter nexus.GraphFilter) (g *nexus.TaskGraph, err error) {
	err = s.run.snapshot(ctx, func(c driver.Conn) error {
		r := &graphReader{ctx: ctx, conn: c, places: make(map[string]int)}
		if err := r.nodes(filter); err != nil {
			return err
		}
		if err := r.ready(filter, driver.Int(micros(s.now()))); err != nil {
			return err
		}
		g = &r.graph
		return r.edges(filter)
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// graphReader reads a graph of tasks.
type graphReader struct {
	ctx    context.Context
	conn   driver.Conn
	graph  nexus.TaskGraph
	places map[string]int // of the nodes, by their id
}

// chosen adds the conditions of the filter about a task t.
func (w *where) chosen(filter nexus.GraphFilter) {
	equal(w, "t.project_id", filter.ProjectID)
	equal(w, "t.feature_id", filter.FeatureID)
	equal(w, "t.sub_feature_id", filter.SubFeatureID)
	if filter.Open {
		w.raw("t.status NOT IN ('completed', 'skipped')")
	}
}

func (r *graphReader) nodes(filter nexus.GraphFilter) error {
	const sql = `
		SELECT t.id, t.name, t.status, t.project_id, t.feature_id, t.estimated_minutes, ` + isReady + `
		FROM tasks t`
	stopped, err := ids(r.ctx, r.conn, `SELECT p.id FROM projects p WHERE NOT (`+goesOn+`)`)
	if err != nil {
		return err
	}
	r.graph = nexus.TaskGraph{Nodes: []nexus.TaskNode{}, Edges: []nexus.TaskEdge{}}
	var w where
	w.chosen(filter)
	err = r.conn.Query(r.ctx, sql+w.sql.String(), w.args, func(row driver.Row) error {
		n := scanNode(row)
		n.Ready = row.Int(6) != 0 && !slices.Contains(stopped, n.ProjectID)
		r.graph.Nodes = append(r.graph.Nodes, n)
		return nil
	})
	r.sort(0)
	return err
}

func scanNode(row driver.Row) nexus.TaskNode {
	return nexus.TaskNode{
		ID: row.Text(0), Name: row.Text(1), Status: nexus.TaskStatus(row.Text(2)), ProjectID: row.Text(3),
		FeatureID: row.Text(4), EstimatedMinutes: int(row.Int(5)),
	}
}

// sort orders the nodes from one on, and notes their places.
func (r *graphReader) sort(from int) {
	slices.SortFunc(r.graph.Nodes[from:], func(a, b nexus.TaskNode) int { return cmp.Compare(a.ID, b.ID) })
	for i := range r.graph.Nodes[from:] {
		r.places[r.graph.Nodes[from+i].ID] = from + i
	}
}

// ready marks the tasks that are ready because their agent has been silent for too
// long; see [Tasks.Ready].
func (r *graphReader) ready(filter nexus.GraphFilter, now driver.Arg) error {
	expired, err := expiredTasks(r.ctx, r.conn, nexus.ReadyFilter{
		ProjectID: filter.ProjectID, FeatureID: filter.FeatureID, SubFeatureID: filter.SubFeatureID,
	}, now)
	for i := range expired {
		if place, chosen := r.places[expired[i].ID]; chosen {
			r.graph.Nodes[place].Ready = true
		}
	}
	return err
}

// edges reads the dependencies of the chosen tasks, and with them what was not
// chosen.
func (r *graphReader) edges(filter nexus.GraphFilter) error {
	const sql = `
		SELECT d.id, d.name, d.status, d.project_id, d.feature_id, d.estimated_minutes, e.task_id, e.depends_on
		FROM tasks t CROSS JOIN task_dependencies e LEFT JOIN tasks d ON d.id = e.depends_on`
	var w where
	w.chosen(filter)
	w.raw("e.task_id = t.id")
	if filter.Open {
		w.raw("(d.id IS NULL OR d.status NOT IN ('completed', 'skipped'))")
	}
	chosen := len(r.graph.Nodes)
	err := r.conn.Query(r.ctx, sql+w.sql.String(), w.args, func(row driver.Row) error {
		edge := nexus.TaskEdge{TaskID: row.Text(6), DependsOn: row.Text(7)}
		r.graph.Edges = append(r.graph.Edges, edge)
		if _, known := r.places[edge.DependsOn]; known {
			return nil
		}
		outside := scanNode(row)
		outside.ID, outside.Outside, outside.Missing = edge.DependsOn, true, row.IsNull(0)
		r.places[outside.ID] = len(r.graph.Nodes)
		r.graph.Nodes = append(r.graph.Nodes, outside)
		return nil
	})
	r.sort(chosen)
	slices.SortFunc(r.graph.Edges, func(a, b nexus.TaskEdge) int {
		return cmp.Or(cmp.Compare(a.TaskID, b.TaskID), cmp.Compare(a.DependsOn, b.DependsOn))
	})
	return err
}
