package plan_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/plan"
)

// seeds are documents to start fuzzing from: right ones, and wrong ones of
// every kind.
var seeds = []string{
	everything, least, "", "[]", "{}", "\ufeff{}", `{"project": {}}`, `{"nexus_plan": 2, "project": {"name": "p"}}`,
	`{"project": {"name": "p", "name": 1}, "x": [], "tasks": {}}`,
	`{"project": {"name": "p"}, "tasks": [{"key": "a", "name": "A", "depends_on": ["b", "a", "c"]}, {"key": "b", "name": "", "depends_on": ["a", "a"]}]}`,
	`{"project": {"name": "p"}, "features": [{"key": "f", "name": "F"}, {"key": "g", "name": "G"}],
	  "sub_features": [{"key": "s", "feature": "f", "name": "S"}, {"key": "s", "feature": "h"}],
	  "tasks": [{"key": "a", "feature": "g", "sub_feature": "s"}, {"name": "A"}]}`,
	`{"project": {"name": "p"}, "tasks": [{"key": "\u0000", "name": "\ud800", "estimated_minutes": 1e9, "max_iterations": -1, "status": "no"}]}`,
}

// checkInvalid checks that an error is one that a person can act on: every
// problem says what is wrong, and where in the text.
func checkInvalid(t *testing.T, text []byte, err error) {
	t.Helper()
	var e *nexus.Error
	if !errors.As(err, &e) || e.Code != nexus.CodeInvalid || e.Message == "" || len(e.Problems) == 0 {
		t.Fatalf("%q: %#v", text, err)
	}
	lines := bytes.Split(bytes.TrimPrefix(text, []byte("\ufeff")), []byte("\n"))
	for _, p := range e.Problems {
		if p.Message == "" || p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > len(lines[p.Line-1])+1 {
			t.Fatalf("%q: %+v", text, p)
		}
	}
}

// FuzzParsePlan checks that no text makes Parse panic, and that every refusal is
// a proper one.
func FuzzParsePlan(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if d, err := plan.Parse(text); err != nil {
			checkInvalid(t, text, err)
		} else if d == nil {
			t.Fatalf("%q: neither a document nor an error", text)
		}
	})
}

// FuzzApply checks that what parses is either stored whole, and then storing it
// again changes nothing, or refused, and then nothing is stored.
func FuzzApply(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	w := newWorkshop(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := plan.Parse(text)
		if err != nil {
			t.Skip()
		}
		w.t = t
		w.later()
		first, err := w.apply(d, plan.Options{})
		if err != nil {
			checkInvalid(t, text, err)
			if n := len(w.rows("projects")); n != 0 {
				t.Fatalf("%q is refused, but %d projects are stored", text, n)
			}
			return
		}
		defer w.clear()
		c := counts(first)
		if len(w.rows("features")) != len(d.Features) || len(w.rows("sub_features")) != len(d.SubFeatures) ||
			len(w.rows("tasks")) != len(d.Tasks) || len(w.rows("requirements")) != len(d.Requirements) ||
			c.Tasks.Created != len(d.Tasks) {
			t.Fatalf("%q: %+v", text, first)
		}
		before := w.all()
		w.later()
		second, err := w.try(string(text), plan.Options{})
		if err != nil {
			t.Fatalf("%q is refused when applied again: %s", text, problems(err))
		}
		if second.Changed() || !reflect.DeepEqual(before, w.all()) {
			t.Fatalf("%q changes rows when applied again: %+v", text, second)
		}
	})
}
