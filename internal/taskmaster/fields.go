package taskmaster

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/jsontree"
	"github.com/seed-c8812374/nexus/plan"
)

// statuses maps Task Master's statuses. What a status of ours does not say is
// said in a note, and the original is kept in the metadata.
var statuses = map[string]struct {
	status nexus.TaskStatus
	held   string // what holds the task back, for blocked_by
	exact  bool
}{
	"pending":     {nexus.TaskPending, "", true},
	"in-progress": {nexus.TaskInProgress, "", true},
	"done":        {nexus.TaskCompleted, "", true},
	"completed":   {nexus.TaskCompleted, "", true},
	"blocked":     {nexus.TaskBlocked, "blocked in Task Master", true},
	"cancelled":   {nexus.TaskSkipped, "", false},
	"deferred":    {nexus.TaskBlocked, "deferred in Task Master", false},
	"review":      {nexus.TaskInProgress, "", false},
}

// fill takes the fields of an item into a task, and returns what the item
// depends on.
func (c *converter) fill(task *plan.Task, it *item, path string) (wants []string) {
	where := key(it.tag, it.id)
	kept := map[string]json.RawMessage{"tag": quoted(it.tag), "id": quoted(it.id)}
	texts := make(map[string]string)
	seen := make(map[string]bool)
	for i := range it.place.Members {
		m := &it.place.Members[i]
		if seen[m.Name] {
			c.problem(&m.Value, path+"."+m.Name, "is given twice")
		}
		seen[m.Name] = true
		switch m.Name {
		case "id":
		case "subtasks":
			if m.Value.Kind != jsontree.Array && m.Value.Kind != jsontree.Null || it.parent >= 0 && len(m.Value.Items) > 0 {
				kept[m.Name] = json.RawMessage(c.source.Raw(&m.Value))
				c.note(where, "subtasks of a subtask, or what is no list of them, are kept in the metadata")
			}
		case "dependencies":
			wants = c.dependencies(&m.Value, path+".dependencies")
		case "title", "description", "details", "testStrategy", "acceptanceCriteria", "status", "priority":
			switch m.Value.Kind {
			case jsontree.String:
				if texts[m.Name] = m.Value.Text; strings.Contains(m.Value.Text, "\x00") {
					c.problem(&m.Value, path+"."+m.Name, "contains a NUL character")
				}
			case jsontree.Null:
			default:
				kept[m.Name] = json.RawMessage(c.source.Raw(&m.Value))
				c.note(where, "%s is not a text; it is kept in the metadata", m.Name)
			}
		default:
			kept[m.Name] = json.RawMessage(c.source.Raw(&m.Value))
		}
	}
	f := &task.Fields
	name := texts["title"]
	if strings.TrimSpace(name) == "" {
		c.problem(it.place, path+".title", "is required")
	}
	f.Name = &name
	if description := describe(texts); description != "" {
		f.Description = &description
	}
	c.status(task, where, texts["status"], kept)
	c.priority(task, where, texts["priority"], kept)
	it.kept = kept
	return wants
}

// metadata is what is kept of an item beside the columns.
func (it *item) metadata() *nexus.JSON {
	text, _ := json.Marshal(map[string]any{"taskmaster": it.kept}) // raw JSON and strings always marshal
	document := nexus.JSON(text)
	return &document
}

func quoted(s string) json.RawMessage {
	text, _ := json.Marshal(s)
	return text
}

// describe puts the texts of an item under one another.
func describe(texts map[string]string) string {
	var parts []string
	for _, part := range []struct{ name, title string }{
		{"description", ""},
		{"details", "## Details\n\n"},
		{"testStrategy", "## Test strategy\n\n"},
		{"acceptanceCriteria", "## Acceptance criteria\n\n"},
	} {
		if text := texts[part.name]; strings.TrimSpace(text) != "" {
			parts = append(parts, part.title+text)
		}
	}
	return strings.Join(parts, "\n\n")
}

func (c *converter) status(task *plan.Task, where, status string, kept map[string]json.RawMessage) {
	f := &task.Fields
	if status == "" {
		return // pending, by default
	}
	became, known := statuses[status]
	if !known {
		became.status = nexus.TaskPending
	}
	if !became.exact {
		kept["status"] = quoted(status)
		c.note(where, "status %s became %s", status, became.status)
	}
	f.Status = &became.status
	if became.held != "" {
		f.BlockedBy = &became.held
	}
	if became.status.Ended() {
		// When it ended is known only if the file says so.
		ended := time.Time{}
		var updated string
		if json.Unmarshal(kept["updatedAt"], &updated) == nil {
			ended, _ = parseTime(updated)
		}
		f.CompletedAt = &ended
	}
}

func (c *converter) priority(task *plan.Task, where, priority string, kept map[string]json.RawMessage) {
	p := nexus.TaskPriority(priority)
	switch {
	case priority == "":
	case slices.Contains(nexus.TaskPriorities(), p):
		task.Fields.Priority = &p
	default:
		kept["priority"] = quoted(priority)
		c.note(where, "priority %s became %s", priority, nexus.PriorityMedium)
	}
}

func (c *converter) dependencies(n *jsontree.Node, path string) (wants []string) {
	if n.Kind == jsontree.Null {
		return nil
	}
	if n.Kind != jsontree.Array {
		c.problem(n, path, "must be %s, not %s", jsontree.Array, n.Kind)
		return nil
	}
	for i := range n.Items {
		if want := scalar(&n.Items[i]); want != "" {
			wants = append(wants, want)
		} else {
			c.problem(&n.Items[i], path, "must hold ids, not %s", n.Items[i].Kind)
		}
	}
	return wants
}
