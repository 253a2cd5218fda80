package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/jsontree"
)

// metricLine is a metric of an input, and where it stands.
type metricLine struct {
	metric       nexus.Metric
	line, column int
}

// metricFields are the members that a metric of an input may have. They are those
// that create prints, so what was printed once can be read again; the revision of
// a new metric is 1 whatever is said.
var metricFields = []string{"agent_id", "id", "metadata", "project_id", "revision", "task_id", "timestamp", "type", "value"}

// mostProblems bounds what is said about an input that is something else.
const mostProblems = 1000

// metricReader reads metrics, and collects what is wrong with them.
type metricReader struct {
	app        *app
	hasProject bool // there is a project for metrics that name none

	list     []metricLine
	problems []nexus.Problem
	syntax   bool           // one of them is that something is no JSON
	lineOf   map[string]int // where an id was given
}

// readMetrics reads one JSON object a line, or one list of them. Its error has
// everything that is wrong.
func (a *app) readMetrics(text []byte, hasProject bool) ([]metricLine, error) {
	r := &metricReader{app: a, hasProject: hasProject, lineOf: make(map[string]int)}
	if start := bytes.TrimLeft(text, "\xef\xbb\xbf \t\r\n"); len(start) > 0 && start[0] == '[' {
		if tree := r.parse(text, 0); tree != nil {
			for i := range tree.Root.Items {
				r.metric(&metricNode{tree: tree, node: &tree.Root.Items[i]})
			}
		}
	} else {
		n := 0
		for line := range bytes.Lines(text) {
			if n++; len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			if tree := r.parse(bytes.TrimSuffix(line, []byte("\n")), n-1); tree != nil {
				r.metric(&metricNode{tree: tree, node: &tree.Root, before: n - 1})
			}
		}
	}
	switch {
	case a.ctx.Err() != nil:
		return nil, &nexus.Error{Code: nexus.CodeCanceled, Message: "stopped before the input was read", Hint: "nothing was changed"}
	case len(r.problems) > 0:
		hint := "nothing was stored"
		if r.syntax {
			hint = "give one JSON object a line, or one list of them; nothing was stored"
		}
		return nil, badMetrics(nexus.CodeInvalid, hint, r.problems)
	case len(r.list) == 0:
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: "there are no metrics in the input", Hint: "nothing was stored"}
	}
	return r.list, nil
}

// badMetrics is the refusal of an input.
func badMetrics(code nexus.Code, hint string, problems []nexus.Problem) error {
	slices.SortStableFunc(problems, func(a, b nexus.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	count := counted(int64(len(problems)), "problem")
	if len(problems) >= mostProblems {
		problems, count = problems[:mostProblems], fmt.Sprintf("%d problems or more", mostProblems)
	}
	return &nexus.Error{Code: code, Message: "the input has " + count, Hint: hint, Problems: problems}
}

// parse reads a JSON document that begins after so many lines of the input, or
// returns nil.
func (r *metricReader) parse(text []byte, before int) *jsontree.Document {
	if r.enough() {
		return nil
	}
	tree, err := jsontree.Parse(text)
	if err == nil {
		return tree
	}
	r.syntax = true
	var e *nexus.Error
	if !errors.As(err, &e) || len(e.Problems) == 0 {
		r.problems = append(r.problems, nexus.Problem{Line: before + 1, Column: 1, Message: err.Error()})
		return nil
	}
	for _, p := range e.Problems {
		p.Line += before
		r.problems = append(r.problems, p)
	}
	return nil
}

// enough reports whether there is no use in reading on.
func (r *metricReader) enough() bool {
	return len(r.problems) >= mostProblems || r.app.ctx.Err() != nil
}

// metricNode is a metric in a document.
type metricNode struct {
	tree     *jsontree.Document
	node     *jsontree.Node
	before   int
	problems []nexus.Problem
}

// problem places what is wrong with a field: at its value, or if it has none at
// the metric.
func (n *metricNode) problem(field, format string, args ...any) {
	at := n.node
	if value := n.node.Member(field); value != nil {
		at = value
	}
	line, column := n.tree.Place(at)
	n.problems = append(n.problems, nexus.Problem{Field: field, Line: line + n.before, Column: column, Message: fmt.Sprintf(format, args...)})
}

// is returns the value of a field if it has one of a kind, and says so if it is of
// another.
func (n *metricNode) is(field string, kind jsontree.Kind) *jsontree.Node {
	value := n.node.Member(field)
	switch {
	case value == nil || value.Kind == jsontree.Null:
		return nil
	case value.Kind != kind:
		n.problem(field, "must be %s, not %s", kind, value.Kind)
		return nil
	}
	return value
}

func (n *metricNode) text(field string) string {
	if value := n.is(field, jsontree.String); value != nil {
		return value.Text
	}
	return ""
}

// metric reads one metric.
func (r *metricReader) metric(n *metricNode) {
	if r.enough() {
		return
	}
	line, column := n.tree.Place(n.node)
	if n.node.Kind != jsontree.Object {
		n.problem("", "must be an object, not %s", n.node.Kind)
		r.problems = append(r.problems, n.problems...)
		return
	}
	n.checkNames()
	m := nexus.Metric{
		ID: n.text("id"), ProjectID: n.text("project_id"), AgentID: n.text("agent_id"), TaskID: n.text("task_id"),
		Type: n.text("type"), Value: n.value(), Timestamp: n.timestamp(r.app),
	}
	if value := n.node.Member("metadata"); value != nil && value.Kind != jsontree.Null {
		m.Metadata = nexus.JSON(n.tree.Raw(value))
	}
	if m.ID != "" {
		if other := r.lineOf[m.ID]; other > 0 {
			n.problem("id", "is that of line %d, too", other)
		}
		r.lineOf[m.ID] = line + n.before
	}
	m.SetDefaults(r.app.Now())
	n.checkValues(m, r.hasProject)
	r.problems = append(r.problems, n.problems...)
	r.list = append(r.list, metricLine{metric: m, line: line + n.before, column: column})
}

// checkNames looks for members that are none of a metric. Twenty of them say that
// it is something else.
func (n *metricNode) checkNames() {
	seen := make(map[string]bool)
	for i := range n.node.Members {
		m := &n.node.Members[i]
		message := ""
		switch {
		case !slices.Contains(metricFields, m.Name):
			message = "is not a field; there are " + strings.Join(metricFields, ", ")
		case seen[m.Name]:
			message = "is given twice"
		}
		seen[m.Name] = true
		if message != "" {
			line, column := n.tree.MemberPlace(m)
			n.problems = append(n.problems, nexus.Problem{Field: shorten(m.Name), Line: line + n.before, Column: column, Message: message})
		}
		if len(n.problems) == 20 {
			return
		}
	}
}

func (n *metricNode) value() float64 {
	if value := n.node.Member("value"); value == nil || value.Kind == jsontree.Null {
		n.problem("value", "is required")
		return 0
	}
	value := n.is("value", jsontree.Number)
	if value == nil {
		return 0
	}
	f, err := strconv.ParseFloat(value.Text, 64)
	if err != nil {
		n.problem("value", "is %s; it must be a number that 64 bits can hold", shorten(value.Text))
	}
	return f
}

func (n *metricNode) timestamp(a *app) time.Time {
	text := n.text("timestamp")
	t, err := times.parse(a, text)
	if err != nil {
		n.problem("timestamp", "is %q: %v", shorten(text), err)
	}
	return t
}

// checkValues checks what the fields are, as far as they could be read.
func (n *metricNode) checkValues(m nexus.Metric, hasProject bool) {
	switch {
	case m.ProjectID != "" || n.complained("project_id"):
	case hasProject:
		m.ProjectID = "given"
	default:
		n.problem("project_id", "is required, unless --project is given")
	}
	var e *nexus.Error
	if !errors.As(m.Validate(), &e) {
		return
	}
	for _, p := range e.Problems {
		if !n.complained(p.Field) {
			n.problem(p.Field, "%s", p.Message)
		}
	}
}

// complained reports whether something is known to be wrong with a field.
func (n *metricNode) complained(field string) bool {
	return slices.ContainsFunc(n.problems, func(p nexus.Problem) bool { return p.Field == field })
}
