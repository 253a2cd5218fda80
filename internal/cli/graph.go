package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/taskgraph"
	"github.com/seed-c8812374/nexus/store"
)

// taskGraph is what the graph command prints as JSON.
type taskGraph struct {
	*nexus.TaskGraph
	Summary *taskgraph.Summary `json:"summary"`
}

func (a *app) graphCommand() *cobra.Command {
	var filter nexus.GraphFilter
	var format string
	cmd := &cobra.Command{
		Use: "graph", Short: "Draw which tasks wait for which", Args: noArgs,
		Long: `Draw which tasks wait for which, as a flow chart of Mermaid or in the language of
Graphviz, or sum it up as text: the critical path, and how many tasks can run side by
side. It goes by the estimated minutes of the tasks that have not ended.

Arrows lead from a task to those that wait for it; the thick ones are the critical path.
What the chosen tasks depend on elsewhere is drawn with a dashed line. Graphviz makes a
picture of it with: nexus graph --format dot | dot -Tsvg -o plan.svg`,
		Example: "  nexus graph --project p1m837hj\n" +
			"  nexus graph --open --format dot\n" +
			"  nexus graph --format text\n" +
			"  nexus graph --feature f1m837hj --json",
	}
	b := &binder{app: a, flags: cmd.Flags()}
	existing(b, "project", "of this project", nexus.KindProject, func(id string) { filter.ProjectID = id })
	existing(b, "feature", "of this feature", nexus.KindFeature, func(id string) { filter.FeatureID = id })
	existing(b, "sub-feature", "of this sub-feature", nexus.KindSubFeature, func(id string) { filter.SubFeatureID = id })
	cmd.Flags().BoolVar(&filter.Open, "open", false, "only tasks that have not ended")
	cmd.Flags().StringVar(&format, "format", "", "`mermaid`, dot, json or text (default: mermaid, or json with --json)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch format {
		case "json":
			a.json = true
		case "", "mermaid", "dot", "text":
		default:
			return usage(cmd, fmt.Errorf("--format %s: there are mermaid, dot, json and text", format))
		}
		var g *nexus.TaskGraph
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			g, err = db.Tasks.Graph(cmd.Context(), filter)
			return err
		})
		if err != nil {
			return err
		}
		return a.printGraph(g, format)
	}
	return cmd
}

// printGraph prints a graph in a format; with --json, a format that is asked for
// is a text in the JSON.
func (a *app) printGraph(g *nexus.TaskGraph, format string) error {
	if a.json && (format == "" || format == "json") {
		return a.print(taskGraph{g, taskgraph.Summarize(g)}, nil)
	}
	s := taskgraph.Summarize(g)
	var text string
	switch format {
	case "dot":
		text = taskgraph.DOT(g, s)
	case "text":
		var err error
		if text, err = graphText(g, s); err != nil {
			return err
		}
	default:
		text = taskgraph.Mermaid(g, s)
	}
	return a.print(map[string]string{cmp.Or(format, "mermaid"): text}, func(out io.Writer) error {
		_, err := io.WriteString(out, text)
		return err
	})
}

// graphText sums a graph up.
func graphText(g *nexus.TaskGraph, s *taskgraph.Summary) (string, error) {
	const most = 30 // tasks of the critical path
	var b strings.Builder
	facts := s.Facts()
	if err := table(&b, facts[0], facts[1:]); err != nil || len(s.CriticalPath) == 0 {
		return b.String(), err
	}
	nodes := make(map[string]*nexus.TaskNode, len(g.Nodes))
	for i := range g.Nodes {
		nodes[g.Nodes[i].ID] = &g.Nodes[i]
	}
	var rows [][]string
	for _, id := range s.CriticalPath[:min(most, len(s.CriticalPath))] {
		n := nodes[id]
		status := string(n.Status)
		if n.Ready {
			status = "ready"
		}
		rows = append(rows, []string{fmt.Sprint(taskgraph.Minutes(n)), status, id, shorten(n.Name)})
	}
	b.WriteString("\n")
	err := table(&b, []string{"MINUTES", "STATUS", "ID", "CRITICAL PATH"}, rows)
	if more := len(s.CriticalPath) - most; more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	return b.String(), err
}
