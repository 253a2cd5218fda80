// Package taskmaster turns the tasks.json of Task Master into a plan.
//
// A tag becomes a feature. A task becomes a task; if it has subtasks, also a
// sub-feature that holds it and them. A subtask becomes a task that the parent's
// task depends on, so that the parent is ready when its parts are done; a subtask
// that depends on nothing waits for what its parent waits for. Every field that
// has no column of its own is kept in the task's metadata.
package taskmaster

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/jsontree"
	"github.com/seed-c8812374/nexus/plan"
)

// Options are the choices of a conversion.
type Options struct {
	Project  string // its name
	Key      string // its plan key; by default its name
	RootPath string
}

// Report says what became of the file.
type Report struct {
	Tags         int    `json:"tags"`         // became features
	Tasks        int    `json:"tasks"`        // became tasks
	Subtasks     int    `json:"subtasks"`     // became tasks
	SubFeatures  int    `json:"sub_features"` // tasks with subtasks, which became one as well
	Dependencies int    `json:"dependencies"` // kept as they are in the file
	Parts        int    `json:"parts"`        // dependencies added: of a task on its subtasks
	Inherited    int    `json:"inherited"`    // dependencies added: of a subtask on what its parent depends on
	Notes        []Note `json:"notes"`        // whatever is not simply what it was
}

// Note says what was done about something in the file that has no exact
// counterpart.
type Note struct {
	Where   string `json:"where"` // tag and id
	Message string `json:"message"`
}

// Convert reads a tasks.json, of today's form with tags or the older one
// without. Errors are of code nexus.CodeInvalid, with the place of each problem.
func Convert(text []byte, options Options) (*plan.Document, *Report, error) {
	tree, err := jsontree.Parse(text)
	if err != nil {
		var e *nexus.Error
		if errors.As(err, &e) {
			e.Message = "the file is not valid JSON"
		}
		return nil, nil, err
	}
	c := &converter{
		source: tree, known: make(map[[2]string]int), taken: make(map[string]bool),
		report:   Report{Notes: []Note{}},
		document: &plan.Document{Project: plan.Project{Key: cmp.Or(options.Key, options.Project)}},
	}
	fields := &c.document.Project.Fields
	mode := nexus.ModeEvolution
	fields.Name, fields.Mode = &options.Project, &mode
	if options.RootPath != "" {
		fields.RootPath = &options.RootPath
	}
	c.file(&tree.Root)
	if len(c.problems) > 0 {
		return nil, nil, &nexus.Error{
			Code: nexus.CodeInvalid, Message: "not a Task Master file that can be read",
			Hint: "nothing was stored", Problems: c.problems,
		}
	}
	c.link()
	return c.document, &c.report, nil
}

// converter fills a document from the tree of a file.
type converter struct {
	source   *jsontree.Document
	document *plan.Document
	report   Report
	problems []nexus.Problem

	items []item            // in the order of document.Tasks
	known map[[2]string]int // the first item of each tag and id
	taken map[string]bool   // the keys of the document's tasks
}

// item is a task or subtask of the file.
type item struct {
	tag, id string // id is 5 or 5.2
	parent  int    // of a subtask: the item of its task; else -1
	local   string // of a subtask: the 2 of 5.2
	wants   []string
	kept    map[string]json.RawMessage // for the metadata
	place   *jsontree.Node
}

func key(tag, id string) string { return tag + "/" + id }

func (c *converter) problem(n *jsontree.Node, field, format string, args ...any) {
	line, column := c.source.Place(n)
	c.problems = append(c.problems, nexus.Problem{
		Field: field, Line: line, Column: column, Message: fmt.Sprintf(format, args...),
	})
}

func (c *converter) note(where, format string, args ...any) {
	c.report.Notes = append(c.report.Notes, Note{where, fmt.Sprintf(format, args...)})
}

func (c *converter) file(root *jsontree.Node) {
	if root.Kind != jsontree.Object {
		c.problem(root, "", "must be %s, not %s", jsontree.Object, root.Kind)
		return
	}
	if tasks := root.Member("tasks"); tasks != nil && tasks.Kind == jsontree.Array {
		c.tag("master", root) // the form without tags
		return
	}
	seen := make(map[string]bool)
	for i := range root.Members {
		m := &root.Members[i]
		if seen[m.Name] {
			c.problem(&m.Value, m.Name, "is given twice")
			continue
		}
		seen[m.Name] = true
		c.tag(m.Name, &m.Value)
	}
	if len(root.Members) == 0 {
		c.problem(root, "", "has neither tags nor tasks")
	}
}

func (c *converter) tag(name string, n *jsontree.Node) {
	var tasks *jsontree.Node
	if n.Kind == jsontree.Object {
		tasks = n.Member("tasks")
	}
	if tasks == nil || tasks.Kind != jsontree.Array {
		c.problem(n, name, "is not a tag: it has no list of tasks")
		return
	}
	for i := range n.Members {
		if m := &n.Members[i]; m.Name == "tasks" && &m.Value != tasks {
			c.problem(&m.Value, name+".tasks", "is given twice")
		}
	}
	if name == "" {
		c.problem(n, name, "is a tag without a name")
	}
	c.report.Tags++
	feature := plan.Feature{Key: name}
	description := c.tagDescription(name, n)
	feature.Fields.Name, feature.Fields.Description = &name, &description
	c.document.Features = append(c.document.Features, feature)
	for i := range tasks.Items {
		c.task(name, fmt.Sprintf("%s.tasks[%d]", name, i), &tasks.Items[i])
	}
}

// tagDescription keeps all that the file says of a tag.
func (c *converter) tagDescription(name string, n *jsontree.Node) string {
	var description string
	var rest []string
	for i := range n.Members {
		m := &n.Members[i]
		switch {
		case m.Name == "tasks":
		case m.Name == "metadata" && m.Value.Kind == jsontree.Object:
			if d := m.Value.Member("description"); d != nil && d.Kind == jsontree.String {
				description = d.Text
			}
			rest = append(rest, c.source.Raw(&m.Value))
		default:
			rest = append(rest, m.Name+": "+c.source.Raw(&m.Value))
			c.note(name, "field %s of the tag is kept in the feature's description", m.Name)
		}
	}
	if len(rest) > 0 {
		description = strings.TrimSpace(description + "\n\nTask Master: " + strings.Join(rest, "\n"))
	}
	return description
}

func (c *converter) task(tag, path string, n *jsontree.Node) {
	if !c.isObject(n, path) {
		return
	}
	id := c.id(n, path)
	if id == "" {
		return
	}
	c.report.Tasks++
	self := c.add(item{tag: tag, id: id, parent: -1, place: n}, path)
	subtasks := n.Member("subtasks")
	if subtasks == nil || subtasks.Kind != jsontree.Array || len(subtasks.Items) == 0 {
		return
	}
	c.report.SubFeatures++
	parent := &c.document.Tasks[self]
	parent.SubFeature = parent.Key
	sub := plan.SubFeature{Key: parent.Key, Feature: tag}
	sub.Fields.Name = parent.Fields.Name
	c.document.SubFeatures = append(c.document.SubFeatures, sub)
	for i := range subtasks.Items {
		path := fmt.Sprintf("%s.subtasks[%d]", path, i)
		s := &subtasks.Items[i]
		if !c.isObject(s, path) {
			continue
		}
		local := c.id(s, path)
		if local == "" {
			continue
		}
		c.report.Subtasks++
		c.add(item{tag: tag, id: id + "." + local, local: local, parent: self, place: s}, path)
	}
}

func (c *converter) isObject(n *jsontree.Node, path string) bool {
	if n.Kind != jsontree.Object {
		c.problem(n, path, "must be %s, not %s", jsontree.Object, n.Kind)
	}
	return n.Kind == jsontree.Object
}

// add makes a task of the document from an item, and returns its place.
func (c *converter) add(it item, path string) int {
	place := len(c.items)
	taskKey := key(it.tag, it.id)
	for n := 2; c.taken[taskKey]; n++ {
		taskKey = fmt.Sprintf("%s#%d", key(it.tag, it.id), n)
	}
	c.taken[taskKey] = true
	if _, twice := c.known[[2]string{it.tag, it.id}]; twice {
		c.note(key(it.tag, it.id), "is there more than once; this one became %s, and dependencies lead to the first", taskKey)
	} else {
		c.known[[2]string{it.tag, it.id}] = place
	}
	task := plan.Task{Key: taskKey, Feature: it.tag}
	if it.parent >= 0 {
		parent := &c.document.Tasks[it.parent]
		task.SubFeature = parent.Key
		task.Fields.Priority = parent.Fields.Priority
	}
	it.wants = c.fill(&task, &it, path)
	c.items = append(c.items, it)
	c.document.Tasks = append(c.document.Tasks, task)
	return place
}

// id returns the id of a task or subtask, or says what is wrong with it.
func (c *converter) id(n *jsontree.Node, path string) string {
	const longest = 100 // leaves room for the tag and the parent in a key
	id := scalar(n.Member("id"))
	switch {
	case id == "":
		c.problem(n, path, "has no id")
	case len(id) > longest:
		c.problem(n, path+".id", "is %d bytes long; the limit is %d", len(id), longest)
	case strings.ContainsFunc(id, unicode.IsControl):
		c.problem(n, path+".id", "contains a control character")
	default:
		return id
	}
	return ""
}

// scalar returns an id, which may be a number or a text.
func scalar(n *jsontree.Node) string {
	if n == nil || (n.Kind != jsontree.Number && n.Kind != jsontree.String) {
		return ""
	}
	return strings.TrimSpace(n.Text)
}

// parseTime reads the times that Task Master writes.
func parseTime(text string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, text)
	return t.UTC(), err == nil
}
