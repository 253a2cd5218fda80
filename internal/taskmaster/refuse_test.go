package taskmaster_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/taskmaster"
	"github.com/seed-c8812374/nexus/plan"
)

// nowhere reports whether a text of the file is lost without a word: in no
// task's columns and in no note, although the file was converted.
func nowhere(t *testing.T, file, text string) bool {
	t.Helper()
	d, report, err := taskmaster.Convert([]byte(file), options)
	if err != nil {
		return false
	}
	db := open(t)
	if _, err := plan.Apply(background, db, d, plan.Options{Now: now}); err != nil {
		return false
	}
	for _, row := range rows(t, db) {
		if strings.Contains(row, text) {
			return false
		}
	}
	for _, n := range report.Notes {
		if strings.Contains(n.Message, text) {
			return false
		}
	}
	return true
}

func TestNothingIsDroppedSilently(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"a tag's tasks, given twice":      `{"m": {"tasks": [{"id": 1, "title": "needle"}], "tasks": []}}`,
		"tasks without tags, given twice": `{"tasks": [{"id": 1, "title": "needle"}], "tasks": []}`,
		"tasks of wrong type, then right": `{"tasks": {"tasks": [{"id": 1, "title": "needle"}]}, "tasks": []}`,
	} {
		if nowhere(t, file, "needle") {
			t.Errorf("%s: %s", name, file)
		}
	}
}

// The keys of two tags do not meet.
func TestTagsWithSlashes(t *testing.T) {
	t.Parallel()
	d, report, err := taskmaster.Convert([]byte(`{
	  "a": {"tasks": [{"id": "b/1", "title": "T"}]},
	  "a/b": {"tasks": [{"id": 1, "title": "T"}, {"id": 2, "title": "T", "dependencies": [1]}]}
	}`), options)
	if err != nil {
		t.Fatal(said(err))
	}
	if on := d.Tasks[2].DependsOn; len(on) != 1 || on[0] != d.Tasks[1].Key || len(report.Notes) > 0 {
		t.Errorf("a/b 2 depends on %v, which is in tag %s; notes %v", on, d.Tasks[0].Feature, report.Notes)
	}
}

// What cannot be stored is refused with its place in the file, not with one in a
// plan that nobody has seen.
func TestPlaceOfWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"no title":               tagged(`{"id": 1}`),
		"an empty title":         tagged(`{"id": 1, "title": " "}`),
		"a null title":           tagged(`{"id": 1, "title": null}`),
		"a title that is none":   tagged(`{"id": 1, "title": 7}`),
		"a subtask's title":      tagged(parent("1", "", `{"id": 1, "title": ""}`)),
		"a NUL":                  tagged(item("1", "", `"details": "\u0000"`)),
		"a tag without name":     `{"": {"tasks": []}}`,
		"an id that is too long": tagged(item(`"`+strings.Repeat("x", 300)+`"`, "", "")),
		"a line break in an id":  tagged(item(`"1\n2"`, "", "")),
	} {
		d, _, err := taskmaster.Convert([]byte(file), options)
		if err == nil {
			_, err = plan.Apply(background, open(t), d, plan.Options{Now: now})
		}
		var e *nexus.Error
		if !errors.As(err, &e) || e.Code != nexus.CodeInvalid || len(e.Problems) == 0 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, p := range e.Problems {
			if p.Line == 0 {
				t.Errorf("%s: %v has no place", name, p)
			}
		}
	}
}
