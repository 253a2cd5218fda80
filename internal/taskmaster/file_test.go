package taskmaster_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"pgregory.net/rapid"
)

// An entry is a task or subtask of the file, read without the importer's help.
type entry struct {
	tag, parent, id string // parent is empty for a task
	key             string // of the task it must become
	fields          map[string]json.RawMessage
	children        []*entry
}

func idOf(t rapid.TB, raw json.RawMessage) string {
	t.Helper()
	var value any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(value)
}

// read reads the file: its entries in order, and the keys that are taken twice.
func read(t rapid.TB, text []byte) (tags map[string]map[string]any, entries []*entry, twice map[string]int) {
	t.Helper()
	var file map[string]struct {
		Tasks    []map[string]json.RawMessage
		Metadata map[string]any
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	tags, twice = make(map[string]map[string]any), make(map[string]int)
	taken := make(map[string]int)
	add := func(e *entry) *entry {
		e.key = e.tag + "/" + e.id
		if e.parent != "" {
			e.key = e.tag + "/" + e.parent + "." + e.id
		}
		if taken[e.key]++; taken[e.key] > 1 {
			twice[e.key]++
			e.key += "#" + strconv.Itoa(taken[e.key])
		}
		entries = append(entries, e)
		return e
	}
	for tag, content := range file {
		tags[tag] = content.Metadata
		for _, fields := range content.Tasks {
			task := add(&entry{tag: tag, id: idOf(t, fields["id"]), fields: fields})
			var subtasks []map[string]json.RawMessage
			if raw := fields["subtasks"]; raw != nil {
				if err := json.Unmarshal(raw, &subtasks); err != nil {
					t.Fatal(err)
				}
			}
			for _, fields := range subtasks {
				task.children = append(task.children, add(&entry{tag: tag, parent: task.id, id: idOf(t, fields["id"]), fields: fields}))
			}
		}
	}
	return tags, entries, twice
}

func (e *entry) text(name string) string {
	var text string
	_ = json.Unmarshal(e.fields[name], &text) // null is no text
	return text
}

// reference is a dependency as the file has it.
type reference struct{ want, to string }

// references resolves what an entry depends on: to a sibling if there is one,
// else to a task, or to what a dotted id says.
func references(t rapid.TB, e *entry, byKey map[string]*entry) (list []reference) {
	t.Helper()
	var raws []json.RawMessage
	if raw := e.fields["dependencies"]; raw != nil {
		if err := json.Unmarshal(raw, &raws); err != nil {
			t.Fatal(err)
		}
	}
	for _, raw := range raws {
		want := idOf(t, raw)
		to := e.tag + "/" + want
		if sibling := e.tag + "/" + e.parent + "." + want; e.parent != "" && byKey[sibling] != nil {
			to = sibling
		}
		list = append(list, reference{want, to})
	}
	return list
}

// checkDependencies checks that each of the file's dependencies is an edge, or
// that a note names it and the metadata keeps it; and that every edge beyond
// them is one that the rules add. It returns how many the file has, and how many
// of them are kept.
func checkDependencies(t rapid.TB, in *imported, entries []*entry) (all, kept int) {
	t.Helper()
	byKey := make(map[string]*entry)
	parents := make(map[*entry]*entry)
	for _, e := range entries {
		byKey[e.key] = e
		for _, child := range e.children {
			parents[child] = e
		}
	}
	given := make(map[[2]string]bool)
	edges := make(map[[2]string]bool) // those of given that are kept
	for _, e := range entries {
		list := references(t, e, byKey)
		for _, r := range list {
			all++
			edge := [2]string{e.key, r.to}
			given[edge] = true
			if slices.Contains(in.dependsOn(e.key), r.to) {
				if edges[edge] && !in.noted(e.key, "depends on "+r.want+" twice") {
					t.Errorf("%s → %s is given twice, and not noted", e.key, r.want)
				}
				kept, edges[edge] = kept+1, true
				continue
			}
			inMetadata, _ := in.metadata(t, e.key)["dependencies"].([]any)
			if len(inMetadata) != len(list) {
				t.Errorf("%s → %s is left out, and the metadata has %v", e.key, r.want, inMetadata)
			}
			self := r.to == e.key && in.noted(e.key, "depends on itself", "left out")
			if !self && !in.noted(e.key, "depends on "+r.want+", which", "left out") && !in.noted(e.key, "depends on "+r.to+" in a cycle", "left out") {
				t.Errorf("%s → %s is neither kept nor noted", e.key, r.want)
			}
		}
	}
	parts, inherited := 0, 0
	for _, e := range entries {
		for _, to := range in.dependsOn(e.key) {
			switch parent := parents[e]; {
			case edges[[2]string{e.key, to}]:
			case slices.Contains(e.children, byKey[to]):
				parts++
			case parent != nil && given[[2]string{parent.key, to}]:
				inherited++
			default:
				t.Errorf("%s → %s is of nobody's making", e.key, to)
			}
		}
		for _, child := range e.children {
			if !slices.Contains(in.dependsOn(e.key), child.key) && !in.noted(e.key, child.key, "cycle") {
				t.Errorf("%s does not wait for its part %s", e.key, child.key)
			}
		}
	}
	if len(edges) != in.Dependencies || parts != in.Parts || inherited != in.Inherited {
		t.Errorf("%d given, %d parts and %d inherited; the report says %+v", len(edges), parts, inherited, *in.Report)
	}
	if in.cyclic() {
		t.Error("there is a cycle")
	}
	return all, kept
}
