package taskmaster_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/taskmaster"
	"github.com/seed-c8812374/nexus/plan"
)

// realFile reads a tasks.json of a real project, which is too large for the
// repository and lies beside it.
func realFile(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", "taskmaster-tasks.json")
	text, err := os.ReadFile(path)
	if err != nil {
		if os.Getenv("NEXUS_TEST_REQUIRE_ALL") == "1" {
			t.Fatalf("the real Task Master file is required: %v", err)
		}
		t.Skipf("SKIPPED: THE IMPORT OF A REAL TASK MASTER FILE IS NOT TESTED: %v", err)
	}
	return text
}

// importReal imports the real file and reads it again independently.
func importReal(t *testing.T) (in *imported, tags map[string]map[string]any, entries []*entry, twice map[string]int) {
	t.Helper()
	text := realFile(t)
	in = convert(t, open(t), string(text))
	tags, entries, twice = read(t, text)
	return in, tags, entries, twice
}

func TestRealFileArrives(t *testing.T) {
	t.Parallel()
	in, tags, entries, twice := importReal(t)
	tasks, subtasks, parents := 0, 0, 0
	for _, e := range entries {
		if e.parent != "" {
			subtasks++
			continue
		}
		tasks++
		if len(e.children) > 0 {
			parents++
		}
	}
	if tasks != 182 || subtasks != 914 || len(tags) != 9 {
		t.Fatalf("the file has %d tasks and %d subtasks in %d tags", tasks, subtasks, len(tags))
	}
	if in.Tags != 9 || in.Tasks != tasks || in.Subtasks != subtasks || in.SubFeatures != parents {
		t.Errorf("report: %+v", *in.Report)
	}
	if len(in.tasks) != tasks+subtasks || len(in.features) != 9 || len(in.subs) != parents {
		t.Errorf("%d tasks, %d features, %d sub-features", len(in.tasks), len(in.features), len(in.subs))
	}
	for tag, metadata := range tags {
		f := in.features[tag]
		if f == nil {
			t.Errorf("tag %s is missing", tag)
			continue
		}
		text, _ := json.Marshal(metadata["description"])
		if d, ok := metadata["description"].(string); f.Name != tag || ok && !strings.Contains(f.Description, d) {
			t.Errorf("tag %s: %s is not in %q", tag, text, f.Description)
		}
		for name, value := range metadata {
			if text, ok := value.(string); ok && !strings.Contains(f.Description, text) {
				t.Errorf("tag %s: %s %s is lost", tag, name, text)
			}
		}
	}
	// Task 42 has eight subtasks 42, and says that they are subtasks of others.
	if diff := cmp.Diff(map[string]int{"master/42.42": 7}, twice); diff != "" {
		t.Errorf("ids given twice: %s", diff)
	}
	for key, n := range twice {
		for i := range n {
			if again := fmt.Sprintf("%s#%d", key, i+2); !in.noted(key, "more than once", again) {
				t.Errorf("no note that %s became %s", key, again)
			}
		}
	}
}

// described are the fields that are put together in a task's description.
var described = []string{"description", "details", "testStrategy", "acceptanceCriteria"}

// counterparts are Task Master's statuses and what they become.
var counterparts = map[string]struct {
	status nexus.TaskStatus
	exact  bool
}{
	"pending": {nexus.TaskPending, true}, "in-progress": {nexus.TaskInProgress, true}, "done": {nexus.TaskCompleted, true},
	"deferred": {nexus.TaskBlocked, false}, "cancelled": {nexus.TaskSkipped, false}, "review": {nexus.TaskInProgress, false},
}

func TestRealFieldsArrive(t *testing.T) {
	t.Parallel()
	in, _, entries, _ := importReal(t)
	inexact := 0
	for _, e := range entries {
		task := in.tasks[e.key]
		if task == nil {
			t.Errorf("%s is missing", e.key)
			continue
		}
		metadata := in.metadata(t, e.key)
		if task.Name != e.text("title") || task.Name == "" {
			t.Errorf("%s: name %q, title %q", e.key, task.Name, e.text("title"))
		}
		for _, name := range described {
			if !strings.Contains(task.Description, e.text(name)) {
				t.Errorf("%s: %s is not in the description", e.key, name)
			}
		}
		if in.keys[task.FeatureID] != e.tag {
			t.Errorf("%s is in feature %s", e.key, in.keys[task.FeatureID])
		}
		if priority := e.text("priority"); e.parent == "" && string(task.Priority) != priority {
			t.Errorf("%s: priority %s, in the file %s", e.key, task.Priority, priority)
		}
		status := e.text("status")
		became := counterparts[status]
		if task.Status != became.status {
			t.Errorf("%s: status %s became %s", e.key, status, task.Status)
		}
		if !became.exact {
			inexact++
			if metadata["status"] != status || !in.noted(e.key, status, string(task.Status)) {
				t.Errorf("%s: status %s is not noted; metadata %v", e.key, status, metadata)
			}
		}
		if status == "deferred" && !strings.Contains(task.BlockedBy, "deferred") {
			t.Errorf("%s: blocked by %q", e.key, task.BlockedBy)
		}
		updated, _ := time.Parse(time.RFC3339, e.text("updatedAt"))
		if want := updated.UTC().Truncate(time.Second); became.status.Ended() != task.Status.Ended() ||
			became.status.Ended() && !task.CompletedAt.Equal(want) || !became.status.Ended() && !task.CompletedAt.IsZero() {
			t.Errorf("%s: completed at %v, in the file %v", e.key, task.CompletedAt, want)
		}
		for name, raw := range e.fields {
			if slices.Contains(described, name) || slices.Contains([]string{"id", "title", "status", "priority", "dependencies", "subtasks"}, name) {
				continue
			}
			var want any
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			if got, there := metadata[name]; !there || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: field %s is %v, in the metadata %v", e.key, name, want, got)
			}
		}
		if metadata["id"] != idIn(e) || metadata["tag"] != e.tag {
			t.Errorf("%s: metadata %v", e.key, metadata)
		}
		for _, child := range e.children {
			c := in.tasks[child.key]
			if c == nil || in.keys[c.SubFeatureID] != e.key || c.SubFeatureID != task.SubFeatureID || in.subs[e.key].Name != task.Name {
				t.Errorf("%s and %s are not in one sub-feature", e.key, child.key)
			}
			if c != nil && c.Priority != task.Priority {
				t.Errorf("%s has priority %s, its task %s", child.key, c.Priority, task.Priority)
			}
		}
		if len(e.children) == 0 && e.parent == "" && task.SubFeatureID != "" {
			t.Errorf("%s is in a sub-feature", e.key)
		}
	}
	if inexact != 10 {
		t.Errorf("%d statuses without counterpart, want 10", inexact)
	}
}

// idIn is the id of an entry within its tag.
func idIn(e *entry) string {
	if e.parent == "" {
		return e.id
	}
	return e.parent + "." + e.id
}

func TestRealDependencies(t *testing.T) {
	t.Parallel()
	in, _, entries, _ := importReal(t)
	references, kept := checkDependencies(t, in, entries)
	// One of those left out is of a task that another tag has, and one is in a cycle.
	if references != 974 || kept != 972 {
		t.Errorf("of %d references %d are kept", references, kept)
	}
	t.Logf("%d of %d dependencies are kept; %d parts and %d inherited are added", kept, references, in.Parts, in.Inherited)
}

func TestRealFileTwice(t *testing.T) {
	t.Parallel()
	text := realFile(t)
	db := open(t)
	first := convert(t, db, string(text))
	before := rows(t, db)
	d, report, err := taskmaster.Convert(text, options)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Report, report); diff != "" {
		t.Errorf("the same file is reported differently: %s", diff)
	}
	again, err := plan.Apply(background, db, d, plan.Options{Now: func() time.Time { return now().Add(time.Hour) }})
	if err != nil || again.Changed() || again.Tasks.Unchanged != len(first.tasks) {
		t.Fatalf("%+v, %s", again, said(err))
	}
	if diff := cmp.Diff(before, rows(t, db)); diff != "" {
		t.Error(diff)
	}
}
