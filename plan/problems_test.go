package plan_test

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/plan"
)

// A flaw is a problem that is expected: at the mark «n» of the text, with a
// message that contains says. Mark 0 is no place.
type flaw struct {
	mark        int
	field, says string
}

// marked takes the marks «1», «2», … out of a text, and returns where they were.
func marked(t testing.TB, text string) (string, map[int][2]int) {
	t.Helper()
	places := map[int][2]int{0: {0, 0}}
	mark := regexp.MustCompile(`«(\d+)»`)
	for {
		at := mark.FindStringSubmatchIndex(text)
		if at == nil {
			return text, places
		}
		n, _ := strconv.Atoi(text[at[2]:at[3]]) // digits
		if _, twice := places[n]; twice {
			t.Fatalf("mark %d is there twice", n)
		}
		before := text[:at[0]]
		places[n] = [2]int{1 + strings.Count(before, "\n"), at[0] - strings.LastIndex(before, "\n")}
		text = before + text[at[1]:]
	}
}

// checkProblems compares all problems of an error with the flaws, in the order
// of their places.
func checkProblems(t testing.TB, err error, places map[int][2]int, want []flaw) {
	t.Helper()
	var e *nexus.Error
	if !errors.As(err, &e) || e.Code != nexus.CodeInvalid {
		t.Fatalf("error is %v", err)
	}
	byPlace := func(a, b nexus.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	}
	got := slices.SortedFunc(slices.Values(e.Problems), byPlace)
	problems := make([]nexus.Problem, len(want))
	for i, f := range want {
		place, there := places[f.mark]
		if !there {
			t.Fatalf("there is no mark %d", f.mark)
		}
		problems[i] = nexus.Problem{Field: f.field, Line: place[0], Column: place[1], Message: f.says}
	}
	slices.SortFunc(problems, byPlace)
	for i := range max(len(got), len(problems)) {
		var g, w nexus.Problem
		if i < len(got) {
			g = got[i]
		}
		if i < len(problems) {
			w = problems[i]
		}
		if g.Line != w.Line || g.Column != w.Column || g.Field != w.Field || !strings.Contains(g.Message, w.Message) || w.Message == "" {
			t.Errorf("problem %d:\n got %v\nwant %v", i, g, w)
		}
	}
	if want := fmt.Sprintf("the plan has %d problem", len(got)); !strings.HasPrefix(e.Message, want) {
		t.Errorf("message %q, want %q", e.Message, want)
	}
}

// All that is wrong with the form of a document is reported at once.
func TestProblemsOfForm(t *testing.T) {
	t.Parallel()
	const another = "is not a field; there are "
	for name, test := range map[string]struct {
		text string
		want []flaw
	}{
		"no object": {` «1»[]`, []flaw{{1, "", "must be an object, not a list"}}},
		"a null":    {`«1»null`, []flaw{{1, "", "must be an object, not null"}}},
		"nothing in it": {`
 «1»{}`, []flaw{{1, "project", "is required"}}},
		"unknown fields": {`{
  «1»"Project": 1,
  "project": {"name": "p", «2»"id": "x"},
  "features": [{}, {"key": "f", «3»"project_id": "x"}],
  "sub_features": [{«4»"priority": "must"}],
  "tasks": [{"key": "t", «5»"blocked_by": "x", «6»"": null}],
  "requirements": [{«7»"name": "x"}]
}`, []flaw{
			{1, "Project", another + "features, nexus_plan, project, requirements, sub_features, tasks"},
			{2, "project.id", another + "description, key, mode, name, repository_url, root_path, status"},
			{3, "features[1].project_id", another + "description, estimated_tasks, key, name, priority, status"},
			{4, "sub_features[0].priority", another + "description, feature, key, name, status"},
			{5, "tasks[0].blocked_by", another + "branch_name, depends_on, description, estimated_minutes, feature, " +
				"key, max_attempts, max_iterations, metadata, name, priority, size, status, sub_feature, worktree_path"},
			{6, "tasks[0].", another},
			{7, "requirements[0].name", another + "category, description, key, linked_features, priority, source, validated"},
		}},
		"wrong types": {`{
  "nexus_plan": «1»2,
  "project": {"key": «2»1, "name": «3»true, "description": «4»[], "mode": «5»{}, "status": «6»1, "root_path": «7»1, "repository_url": «8»1},
  "features": [{"key": «10»1, "name": «11»1, "description": «12»1, "priority": «13»1, "status": «14»1, "estimated_tasks": «15»"1"}, «16»null],
  "sub_features": [{"key": «20»1, "feature": «21»1, "name": «22»1, "description": «23»1, "status": «24»1}, «25»"s"],
  "tasks": [{"key": «30»1, "feature": «31»1, "sub_feature": «32»1, "depends_on": [«33»1, "ok", «34»null, «35»["x"]], "name": «36»1,
    "description": «37»1, "status": «38»1, "size": «39»1, "priority": «40»1, "estimated_minutes": «41»true,
    "max_iterations": «42»"9", "max_attempts": «47»"9", "branch_name": «43»1, "worktree_path": «44»1}, {"depends_on": «45»"x"}, «46»[]],
  "requirements": [{"key": «50»1, "category": «51»1, "description": «52»1, "priority": «53»1, "source": «54»1,
    "linked_features": [«55»1], "validated": «56»"true"}, {"linked_features": «57»{}}, «58»1]
}`, []flaw{
			{1, "nexus_plan", "is 2; this program knows version 1"},
			{2, "project.key", "must be a text, not a number"},
			{3, "project.name", "must be a text, not true or false"},
			{4, "project.description", "must be a text, not a list"},
			{5, "project.mode", "must be a text, not an object"},
			{6, "project.status", "must be a text"},
			{7, "project.root_path", "must be a text"},
			{8, "project.repository_url", "must be a text"},
			{10, "features[0].key", "must be a text"},
			{11, "features[0].name", "must be a text"},
			{12, "features[0].description", "must be a text"},
			{13, "features[0].priority", "must be a text"},
			{14, "features[0].status", "must be a text"},
			{15, "features[0].estimated_tasks", "must be a number, not a text"},
			{16, "features[1]", "must be an object, not null"},
			{20, "sub_features[0].key", "must be a text"},
			{21, "sub_features[0].feature", "must be a text"},
			{22, "sub_features[0].name", "must be a text"},
			{23, "sub_features[0].description", "must be a text"},
			{24, "sub_features[0].status", "must be a text"},
			{25, "sub_features[1]", "must be an object, not a text"},
			{30, "tasks[0].key", "must be a text"},
			{31, "tasks[0].feature", "must be a text"},
			{32, "tasks[0].sub_feature", "must be a text"},
			{33, "tasks[0].depends_on[0]", "must be a text, not a number"},
			{34, "tasks[0].depends_on[2]", "must be a text, not null"},
			{35, "tasks[0].depends_on[3]", "must be a text, not a list"},
			{36, "tasks[0].name", "must be a text"},
			{37, "tasks[0].description", "must be a text"},
			{38, "tasks[0].status", "must be a text"},
			{39, "tasks[0].size", "must be a text"},
			{40, "tasks[0].priority", "must be a text"},
			{41, "tasks[0].estimated_minutes", "must be a number, not true or false"},
			{42, "tasks[0].max_iterations", "must be a number, not a text"},
			{47, "tasks[0].max_attempts", "must be a number, not a text"},
			{43, "tasks[0].branch_name", "must be a text"},
			{44, "tasks[0].worktree_path", "must be a text"},
			{45, "tasks[1].depends_on", "must be a list, not a text"},
			{46, "tasks[2]", "must be an object, not a list"},
			{50, "requirements[0].key", "must be a text"},
			{51, "requirements[0].category", "must be a text"},
			{52, "requirements[0].description", "must be a text"},
			{53, "requirements[0].priority", "must be a text"},
			{54, "requirements[0].source", "must be a text"},
			{55, "requirements[0].linked_features[0]", "must be a text"},
			{56, "requirements[0].validated", "must be true or false, not a text"},
			{57, "requirements[1].linked_features", "must be a list, not an object"},
			{58, "requirements[2]", "must be an object, not a number"},
		}},
		"sections of wrong types": {`{
  "nexus_plan": «1»[], "project": «2»"p",
  "features": «3»{}, "sub_features": «4»1, "tasks": «5»"t", "requirements": «6»false
}`, []flaw{
			{1, "nexus_plan", "is []; this program knows version 1"},
			{2, "project", "must be an object, not a text"},
			{3, "features", "must be a list, not an object"},
			{4, "sub_features", "must be a list, not a number"},
			{5, "tasks", "must be a list, not a text"},
			{6, "requirements", "must be a list, not true or false"},
		}},
		"numbers that are not whole": {`{"project": {"name": "p"}, "tasks": [
  {"estimated_minutes": «1»1.5, "max_iterations": «2»1e2},
  {"estimated_minutes": «3»9223372036854775808, "max_iterations": «4»-0.0}]}`, []flaw{
			{1, "tasks[0].estimated_minutes", "is 1.5; it must be a whole number"},
			{2, "tasks[0].max_iterations", "is 1e2; it must be a whole number"},
			{3, "tasks[1].estimated_minutes", "is 9223372036854775808; it must be a whole number"},
			{4, "tasks[1].max_iterations", "is -0.0; it must be a whole number"},
		}},
		"members given twice": {`{
  "project": {"name": "p", "key": "p", "name": «1»"p"},
  "tasks": [{"key": "t", "depends_on": [], "depends_on": «2»null, "key": «3»7}],
  "tasks": «4»[], «5»"x": 1, «6»"x": 2
}`, []flaw{
			{1, "project.name", "is given twice"},
			{2, "tasks[0].depends_on", "is given twice"},
			{3, "tasks[0].key", "is given twice"},
			{4, "tasks", "is given twice"},
			{5, "x", another},
			{6, "x", another},
		}},
		"after other characters": {"{\r\n\"project\": {\"name\": \"世界é\", «1»\"née\": 1}}", []flaw{{1, "project.née", another}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, places := marked(t, test.text)
			_, err := plan.Parse([]byte(text))
			checkProblems(t, err, places, test.want)
		})
	}
}

func TestParseNoJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]nexus.Problem{
		"":                             {Line: 1, Column: 1, Message: "the document ends too early"},
		"{\"project\": {\n  \"name\":": {Line: 2, Column: 10, Message: "the document ends too early"},
		"{\n\"project\": {name: 1}}":   {Line: 2, Column: 13, Message: "invalid character 'n'"},
		"{\"project\": \"\xff\"}":      {Line: 1, Column: 14, Message: "is not valid UTF-8"},
	} {
		d, err := plan.Parse([]byte(text))
		var e *nexus.Error
		if d != nil || !errors.As(err, &e) || e.Code != nexus.CodeInvalid || len(e.Problems) != 1 ||
			e.Message != "the plan is not valid JSON" {
			t.Errorf("%q: %v", text, problems(err))
			continue
		}
		p := e.Problems[0]
		if p.Line != want.Line || p.Column != want.Column || !strings.Contains(p.Message, want.Message) {
			t.Errorf("%q: %v, want %v", text, p, want)
		}
	}
}
