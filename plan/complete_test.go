package plan_test

import (
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/plan"
)

// What is wrong is reported at once, also of an element whose key is wrong.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want []flaw
	}{
		"a null project": {`«1»{"project": null}`, []flaw{{1, "project", "is required"}}},
		"an element without a key": {`{"project": {"name": "p"}, "tasks": [«1»{"name": "T", "size": «2»"huge"}]}`, []flaw{
			{1, "tasks[0].key", "is required"}, {2, "tasks[0].size", "must be one of"},
		}},
		"a key given twice": {`{"project": {"name": "p"}, "tasks": [{"key": "t", "name": "T"}, {"key": «1»"t", "name": «2»""}]}`, []flaw{
			{1, "tasks[1].key", "is also the key"}, {2, "tasks[1].name", "is required"},
		}},
		"a project without a key": {`{"project": «1»{"mode": «2»"x"}}`, []flaw{
			{1, "project.key", "is required"}, {2, "project.mode", "must be one of"},
		}},
		"itself and a cycle": {`{"project": {"name": "p"}, "tasks": [
  {"key": "a", "name": "A", "depends_on": «1»["a", "b"]}, {"key": "b", "name": "B", "depends_on": ["a"]}]}`, []flaw{
			{1, "tasks[0].depends_on", "names the task itself"}, {1, "tasks[0].depends_on", "is a cycle: a → b → a"},
		}},
		"a key that is too long": {`{"project": {"name": "p"}, "tasks": [{"name": "T", "key": «1»"` + strings.Repeat("k", 300) + `"}]}`, []flaw{
			{1, "tasks[0].key", "300 bytes long"},
		}},
		"a sub-feature of nothing": {`{"project": {"name": "p"}, "features": [{"key": "f", "name": "F"}],
  "sub_features": [{"key": "s", "feature": «1»"no", "name": "S"}],
  "tasks": [{"key": "t", "name": "T", "feature": "f", "sub_feature": "s"}]}`, []flaw{
			{1, "sub_features[0].feature", "is not the key"}, // and no complaint about t, whose place nobody knows
		}},
		"a feature linked twice": {`{"project": {"name": "p"}, "features": [{"key": "f", "name": "F"}],
  "requirements": [{"key": "r", "description": "R", "linked_features": ["f", «1»"f"]}]}`, []flaw{
			{1, "requirements[0].linked_features", `"f" is named twice`},
		}},
		"an unknown linked feature": {`{"project": {"name": "p"},
  "requirements": [{"key": "r", "description": "R", "linked_features": [«1»"f"]}]}`, []flaw{
			{1, "requirements[0].linked_features", `"f" is not the key`},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			text, places := marked(t, test.text)
			_, err := w.try(text, plan.Options{})
			checkProblems(t, err, places, test.want)
		})
	}
}

// A program may go on writing a document that it has parsed.
func TestParsedAndChanged(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"project": {"name": "p"}, "tasks": [{"key": "t", "name": "T"}]}`,
		`{"project": {"name": "p"}, "tasks": [{"key": "t", "name": "T", "depends_on": []}]}`,
		`{"project": {"name": "p"}, "tasks": [{"key": "t", "name": "T", "depends_on": null}]}`,
	} {
		w := newWorkshop(t)
		d, err := plan.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		d.Tasks[0].DependsOn = []string{"no"}
		_, err = w.apply(d, plan.Options{})
		wantCode(t, err, nexus.CodeInvalid)
	}
}
