package taskgraph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/taskgraph"
)

// shop has a critical path, a cycle, and dependencies on what is elsewhere.
func shop() *nexus.TaskGraph {
	return &nexus.TaskGraph{
		Nodes: []nexus.TaskNode{
			{ID: "cart", Name: "Add a cart", Status: nexus.TaskCompleted, EstimatedMinutes: 500},
			{ID: "hen", Name: "Lay", Status: nexus.TaskPending, EstimatedMinutes: 1000},
			{ID: "egg", Name: "Hatch", Status: nexus.TaskPending, EstimatedMinutes: 1000},
			{ID: "pay", Name: "Pay", Status: nexus.TaskPending, EstimatedMinutes: 50, Ready: true},
			{ID: "send", Name: `Send "it"`, Status: nexus.TaskPending, EstimatedMinutes: 0},
			{ID: "stock", Name: "Count the stock", Status: "waiting for Bob", EstimatedMinutes: -3},
			{ID: "bank", Name: "Open an account", Status: nexus.TaskPending, EstimatedMinutes: 700, Outside: true},
			{ID: "gone", Outside: true, Missing: true},
			{ID: "over", Name: "Found a company", Status: nexus.TaskCompleted, Outside: true},
		},
		Edges: []nexus.TaskEdge{
			{TaskID: "cart", DependsOn: "over"},
			{TaskID: "egg", DependsOn: "hen"},
			{TaskID: "hen", DependsOn: "egg"},
			{TaskID: "pay", DependsOn: "cart"},
			{TaskID: "pay", DependsOn: "over"},
			{TaskID: "send", DependsOn: "hen"},
			{TaskID: "send", DependsOn: "pay"},
			{TaskID: "stock", DependsOn: "bank"},
			{TaskID: "stock", DependsOn: "gone"},
		},
	}
}

func TestSummarize(t *testing.T) {
	t.Parallel()
	want := &taskgraph.Summary{
		Tasks: 6, Open: 5, Ready: 1, WaitingOutside: 1,
		ByStatus:   map[nexus.TaskStatus]int{nexus.TaskCompleted: 1, nexus.TaskPending: 4, "waiting for Bob": 1},
		SideBySide: 2, Levels: 2, TotalMinutes: 52, CriticalMinutes: 51,
		CriticalPath: []string{"pay", "send"},
		OnCycle:      []string{"hen", "egg"},
		Cycles:       [][]string{{"hen", "egg"}},
	}
	if diff := cmp.Diff(want, taskgraph.Summarize(shop())); diff != "" {
		t.Error(diff)
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	var lines []string
	for _, fact := range taskgraph.Summarize(shop()).Facts() {
		lines = append(lines, strings.Join(fact, ": "))
	}
	want := []string{
		"Tasks: 6: 4 pending, 1 completed, 1 waiting for Bob",
		"Ready now: 1",
		"Side by side: 2 at most",
		"Levels: 2",
		"Work left: 52 min",
		"Critical path: 51 min, 2 tasks",
		"Held up: 1 task by tasks outside of this graph",
		"Impossible: 2 tasks can never be done, not counted above",
		"Cycle: hen → egg → hen",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}

const shopMermaid = `flowchart TD
    %% Tasks: 6: 4 pending, 1 completed, 1 waiting for Bob
    %% Ready now: 1
    %% Side by side: 2 at most
    %% Levels: 2
    %% Work left: 52 min
    %% Critical path: 51 min, 2 tasks
    %% Held up: 1 task by tasks outside of this graph
    %% Impossible: 2 tasks can never be done, not counted above
    %% Cycle: hen → egg → hen
    %% That is: pay → send
    n0["Add a cart<br/>cart, completed"]:::completed
    n1["Lay<br/>hen, pending, 16 h 40 min"]:::pending
    n2["Hatch<br/>egg, pending, 16 h 40 min"]:::pending
    n3["Pay<br/>pay, ready, 50 min"]:::ready
    n4["Send #34;it#34;<br/>send, pending, 1 min"]:::pending
    n5["Count the stock<br/>stock, waiting for Bob, 1 min"]:::other
    n6(["Open an account<br/>bank, pending, outside"]):::outside
    n7(["gone<br/>does not exist"]):::missing
    n8(["Found a company<br/>over, completed, outside"]):::outside
    n8 --> n0
    n1 --> n2
    n2 --> n1
    n0 --> n3
    n8 --> n3
    n1 --> n4
    n3 ==> n4
    n6 --> n5
    n7 --> n5
    classDef completed fill:#d3f9d8,stroke:#2b8a3e,color:#212529
    classDef missing fill:#ffffff,stroke:#c92a2a,color:#212529,stroke-dasharray:5 5
    classDef other fill:#f3d9fa,stroke:#862e9c,color:#212529
    classDef outside fill:#ffffff,stroke:#868e96,color:#212529,stroke-dasharray:5 5
    classDef pending fill:#f1f3f5,stroke:#868e96,color:#212529
    classDef ready fill:#fff3bf,stroke:#f08c00,color:#212529
    classDef critical stroke-width:4px
    class n3,n4 critical
`

func TestMermaid(t *testing.T) {
	t.Parallel()
	g := shop()
	if diff := cmp.Diff(shopMermaid, taskgraph.Mermaid(g, taskgraph.Summarize(g))); diff != "" {
		t.Error(diff)
	}
}

const shopDOT = `    node [shape=box, style="rounded,filled", fontname="Helvetica,Arial,sans-serif"]
    n0 [label="Add a cart\ncart, completed", class="completed", fillcolor="#d3f9d8", color="#2b8a3e"]
    n1 [label="Lay\nhen, pending, 16 h 40 min", class="pending", fillcolor="#f1f3f5", color="#868e96"]
    n2 [label="Hatch\negg, pending, 16 h 40 min", class="pending", fillcolor="#f1f3f5", color="#868e96"]
    n3 [label="Pay\npay, ready, 50 min", class="ready", fillcolor="#fff3bf", color="#f08c00", penwidth=3]
    n4 [label="Send \"it\"\nsend, pending, 1 min", class="pending", fillcolor="#f1f3f5", color="#868e96", penwidth=3]
    n5 [label="Count the stock\nstock, waiting for Bob, 1 min", class="other", fillcolor="#f3d9fa", color="#862e9c"]
    n6 [label="Open an account\nbank, pending, outside", class="outside", fillcolor="#ffffff", color="#868e96", style="rounded,filled,dashed"]
    n7 [label="gone\ndoes not exist", class="missing", fillcolor="#ffffff", color="#c92a2a", style="rounded,filled,dashed"]
    n8 [label="Found a company\nover, completed, outside", class="outside", fillcolor="#ffffff", color="#868e96", style="rounded,filled,dashed"]
    n8 -> n0
    n1 -> n2
    n2 -> n1
    n0 -> n3
    n8 -> n3
    n1 -> n4
    n3 -> n4 [penwidth=3]
    n6 -> n5
    n7 -> n5
}
`

func TestDOT(t *testing.T) {
	t.Parallel()
	g := shop()
	got := taskgraph.DOT(g, taskgraph.Summarize(g))
	head, body, _ := strings.Cut(got, "    // That is: pay → send\n")
	if !strings.HasPrefix(head, "digraph nexus {\n    // Tasks: 6: ") {
		t.Errorf("it begins with %s", head)
	}
	if diff := cmp.Diff(shopDOT, body); diff != "" {
		t.Error(diff)
	}
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	g := &nexus.TaskGraph{}
	s := taskgraph.Summarize(g)
	if s.Tasks != 0 || s.SideBySide != 0 || len(s.CriticalPath) != 0 {
		t.Errorf("%+v", s)
	}
	if got := taskgraph.Mermaid(g, s); strings.Contains(got, "class") || !strings.HasPrefix(got, "flowchart TD\n") {
		t.Error(got)
	}
	if got := taskgraph.DOT(g, s); !strings.HasSuffix(got, "\n}\n") {
		t.Error(got)
	}
}

// Mermaid refuses large graphs, which is said where somebody looks who wonders.
func TestMermaidLarge(t *testing.T) {
	t.Parallel()
	g := &nexus.TaskGraph{}
	for i := range 502 {
		g.Nodes = append(g.Nodes, nexus.TaskNode{ID: fmt.Sprint(i), Status: nexus.TaskPending})
		if i > 0 {
			g.Edges = append(g.Edges, nexus.TaskEdge{TaskID: fmt.Sprint(i), DependsOn: fmt.Sprint(i - 1)})
		}
	}
	got := taskgraph.Mermaid(g, taskgraph.Summarize(g))
	if !strings.Contains(got, "    %% Mermaid draws no more than 500 edges and 50000 characters") {
		t.Error(got[:1000])
	}
	if !strings.Contains(got, "→ 482 more →") {
		t.Errorf("the long path is not shortened: %s", got[:1000])
	}
}

// Numbers of another program do not overflow.
func TestHugeEstimates(t *testing.T) {
	t.Parallel()
	g := &nexus.TaskGraph{}
	for i := range 100 {
		g.Nodes = append(g.Nodes, nexus.TaskNode{ID: fmt.Sprint(i), Status: nexus.TaskPending, EstimatedMinutes: 1<<63 - 1})
	}
	if s := taskgraph.Summarize(g); s.TotalMinutes != 100_000_000 || s.CriticalMinutes != 1_000_000 || s.SideBySide != 100 {
		t.Errorf("%+v", s)
	}
}

// Whatever the graph, the summary is consistent with it, and both languages draw
// every node and every edge, one a line.
func TestDrawingProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		s := taskgraph.Summarize(g)
		n := 0
		for _, count := range s.ByStatus {
			n += count
		}
		if n != s.Tasks || s.Open > s.Tasks || s.Ready > s.Tasks || s.CriticalMinutes > s.TotalMinutes ||
			s.SideBySide+len(s.OnCycle) > s.Open || s.Levels+len(s.OnCycle) > s.Open || s.WaitingOutside > s.Open {
			t.Fatalf("%+v", s)
		}
		for i := 1; i < len(s.CriticalPath); i++ {
			if !slices.Contains(g.Edges, nexus.TaskEdge{TaskID: s.CriticalPath[i], DependsOn: s.CriticalPath[i-1]}) {
				t.Fatalf("%v is not a path", s.CriticalPath)
			}
		}
		thick := max(0, len(s.CriticalPath)-1)
		for language, want := range map[string][3]string{
			taskgraph.Mermaid(g, s): {"\"]", " --> ", " ==> "},
			taskgraph.DOT(g, s):     {" [label=\"", " -> ", "[penwidth=3]\n"},
		} {
			nodes, edges, critical := 0, 0, strings.Count(language, want[2])
			for line := range strings.Lines(language) {
				switch trimmed := strings.TrimSpace(line); {
				case strings.HasPrefix(trimmed, "%% "), strings.HasPrefix(trimmed, "// "):
				case strings.Contains(line, want[0]):
					nodes++
				case strings.Contains(line, want[1]), strings.Contains(line, want[2]):
					edges++
				}
			}
			if nodes != len(g.Nodes) || edges != len(g.Edges) || critical != thick {
				t.Fatalf("%d nodes of %d, %d edges of %d, %d thick ones of %d:\n%s",
					nodes, len(g.Nodes), edges, len(g.Edges), critical, thick, language)
			}
		}
	})
}

func drawGraph(t *rapid.T) *nexus.TaskGraph {
	ids := rapid.SliceOfNDistinct(rapid.String(), 0, 10, rapid.ID).Draw(t, "ids")
	g := &nexus.TaskGraph{}
	for _, id := range ids {
		n := nexus.TaskNode{
			ID: id, Name: rapid.String().Draw(t, "name"), EstimatedMinutes: rapid.IntRange(-1, 50).Draw(t, "minutes"),
			Status: rapid.SampledFrom(append(nexus.TaskStatuses(), "", "odd\nstatus")).Draw(t, "status"),
		}
		switch rapid.IntRange(0, 5).Draw(t, "where") {
		case 0:
			n.Outside = true
		case 1:
			n.Outside, n.Missing = true, true
		case 2:
			n.Ready = n.Status == nexus.TaskPending
		}
		g.Nodes = append(g.Nodes, n)
	}
	for _, n := range g.Nodes {
		if n.Outside {
			continue
		}
		for _, on := range rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 0, min(len(ids), 3), rapid.ID).Draw(t, "depends on") {
			g.Edges = append(g.Edges, nexus.TaskEdge{TaskID: n.ID, DependsOn: on})
		}
	}
	return g
}
