package worker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
)

func TestParseReport(t *testing.T) {
	t.Parallel()
	for title, test := range map[string]struct {
		text string
		want report
	}{
		"nothing":     {"", report{}},
		"empty lines": {"\n \r\n\t\n", report{}},
		"metrics": {
			`{"metric":"token_usage","value":12,"metadata":{"a": 1}}` + "\r\n" + `{"metric":"token_usage","value":30}` + "\n" + `{"metric":"x","value":-0.5,"metadata":null}`,
			report{metrics: []metric{{"token_usage", 12, `{"a": 1}`}, {"token_usage", 30, ""}, {"x", -0.5, ""}}, tokens: 42},
		},
		"evidence, several times": {
			`{"commit":"a","files":["x","y"],"tests":"1 passed","note":"n1"}` + "\n" + `{"commit":"b","files":["y","z"],"note":"n2"}`,
			report{commit: "b", files: []string{"x", "y", "z"}, tests: "1 passed", notes: []string{"n1", "n2"}},
		},
		"all in one line": {
			`{"metric":"x","value":1,"commit":"a","reason":"r","more":"is ignored"}`,
			report{metrics: []metric{{"x", 1, ""}}, commit: "a", reason: "r"},
		},
		"NUL":           {`{"note":"a\u0000b"}`, report{notes: []string{"a\uFFFDb"}}},
		"invalid UTF-8": {"{\"reason\":\"a\xffb\"}", report{reason: "a\uFFFDb"}},

		"no JSON":             {"x", broken("invalid character 'x' looking for beginning of value")},
		"half a line":         {`{"note":"a`, broken("unexpected end of JSON input")},
		"two on a line":       {`{"note":"a"}{"note":"b"}`, broken("invalid character '{' after top-level value")},
		"a list":              {`["note"]`, broken("it is no object, but of type array")},
		"null":                {"null", broken("it has none of metric, commit, files, tests, note and reason")},
		"nothing known":       {`{"metrics":1}`, broken("it has none of metric, commit, files, tests, note and reason")},
		"a text for a value":  {`{"metric":"x","value":"1"}`, broken("value is of the wrong type, string")},
		"a number for a text": {`{"note":1}`, broken("note is of the wrong type, number")},
		"no value":            {`{"metric":"x"}`, broken("there is a metric but no value")},
		"no metric":           {`{"value":1}`, broken("there is a value but no metric")},
		"only metadata":       {`{"note":"a","metadata":{}}`, broken("there is a value but no metric")},
		"a huge value":        {`{"metric":"x","value":1e999}`, broken("value is of the wrong type, number 1e999")},
		"an empty metric":     {`{"metric":"","value":1}`, broken("metric: is required")},
		"NUL in a metric":     {`{"metric":"a\u0000","value":1}`, broken("metric: contains a NUL character")},
		"bad metadata":        {"{\"metric\":\"x\",\"value\":1,\"metadata\":\"\xff\"}", broken("metadata: is not valid UTF-8")},
		"negative tokens":     {`{"metric":"token_usage","value":-1}`, broken("-1 is no number of tokens")},
		"too many tokens":     {`{"metric":"token_usage","value":1e300}`, broken("1e+300 is no number of tokens")},
		"nothing of a broken line is taken": {
			`{"metric":"token_usage","value":-1,"commit":"a","note":"b"}`, broken("-1 is no number of tokens"),
		},
	} {
		got := parseReport([]byte(test.text))
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(report{}, metric{})); diff != "" {
			t.Errorf("%s:\n%s", title, diff)
		}
	}
}

func broken(why string) report { return report{broken: []string{"line 1 is broken: " + why}} }

// A flood of broken lines is summed up.
func TestParseReportOfNonsense(t *testing.T) {
	t.Parallel()
	r := parseReport([]byte(strings.Repeat("x\n", 1000)))
	if n := len(r.broken); n != maxBroken+1 || r.broken[maxBroken] != "990 more lines are broken" {
		t.Errorf("%d lines are named, the last is %q", n, r.broken[n-1])
	}
}

// Of a report that is too long the beginning is read, without the line that is cut.
func TestParseReportTooLong(t *testing.T) {
	t.Parallel()
	line := `{"note":"` + strings.Repeat("x", 1000) + `"}` + "\n"
	text := strings.Repeat(line, maxReport/len(line)+1)
	r := parseReport([]byte(text))
	if want := maxReport / len(line); len(r.notes) != want {
		t.Errorf("%d lines are read, want %d", len(r.notes), want)
	}
	if diff := cmp.Diff([]string{"it is longer than 1 MB; the rest was not read"}, r.broken); diff != "" {
		t.Error(diff)
	}
}

// What comes of a report can be stored, whatever is in it.
func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"metric":"token_usage","value":1234,"metadata":{"model":"m"}}`))
	f.Add([]byte(`{"commit":"4f2c1e9","files":["a.go"],"tests":"34 passed","note":"easy"}` + "\n" + `{"reason":"hard"}`))
	f.Add([]byte("x\n\x00\n\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := parseReport(text)
		e := r.evidence()
		if err := e.Validate(); err != nil {
			t.Error(err)
		}
		if err := nexus.ValidateReason(r.reason); err != nil {
			t.Error(err)
		}
		for _, m := range r.metrics {
			if err := m.validate(); err != nil {
				t.Error(err)
			}
		}
		if r.tokens < 0 {
			t.Errorf("%d tokens", r.tokens)
		}
	})
}

// However the output comes, its end is kept, and can be stored.
func FuzzTail(f *testing.F) {
	f.Add([]byte("one\ntwo"), 3, 1000)
	f.Add([]byte("€\xff\x00"), 1, 5000)
	f.Fuzz(func(t *testing.T, part []byte, at, times int) {
		var whole []byte
		kept := new(tail)
		for range min(max(times, 0), 3000) {
			cut := min(max(at, 0), len(part))
			for _, p := range [][]byte{part[:cut], part[cut:]} {
				if n, err := kept.Write(p); n != len(p) || err != nil {
					t.Fatalf("wrote %d, %v", n, err)
				}
				whole = append(whole, p...)
			}
		}
		text := kept.text()
		if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
			t.Errorf("%q cannot be stored", text)
		}
		if len(whole) < tailSize && text != clean(string(whole)) {
			t.Errorf("of %q %q is kept", whole, text)
		}
		if !strings.HasSuffix(clean(string(whole)), strings.TrimLeft(text, "\uFFFD")) {
			t.Errorf("of %q %q is kept", whole, text)
		}
	})
}

// What cannot be in an environment is not there, not even from outside.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	claim := &nexus.Claim{Attempt: nexus.Attempt{TaskID: "t1", Epoch: 7}, Task: &nexus.Task{
		ID: "t1", ProjectID: "p1", Name: "a\x00b", Description: strings.Repeat("x", longestVariable+1),
	}}
	s := &shift{Worker: Worker{AgentID: "w1", Env: []string{
		"NEXUS_TASK_NAME=outer", "NEXUS_TASK_DESCRIPTION=outer", "NEXUS_EPOCH=1", "DATABASE_PATH=outer", "HOME=/h", "odd",
	}}}
	want := []string{
		"DATABASE_PATH=outer", "HOME=/h", "odd", "NEXUS_TASK_ID=t1", "NEXUS_PROJECT_ID=p1", "NEXUS_FEATURE_ID=",
		"NEXUS_EPOCH=7", "NEXUS_AGENT=w1", "NEXUS_ACTOR=w1", "NEXUS_ATTEMPT=1", "NEXUS_REPORT=/r",
	}
	if diff := cmp.Diff(want, s.environment(claim, "/r")); diff != "" {
		t.Error(diff)
	}
	if s.Env[0] != "NEXUS_TASK_NAME=outer" {
		t.Error("the worker's own environment has changed")
	}
	claim.Task.Description = strings.Repeat("x", longestVariable)
	if env := s.environment(claim, "/r"); !slices.Contains(env, "NEXUS_TASK_DESCRIPTION="+claim.Task.Description) {
		t.Error("a description of 100 KB is left out")
	}
}

func TestPauses(t *testing.T) {
	t.Parallel()
	var got []string
	for _, n := range []int{0, 1, 2, 3, 6, 7, 1000} {
		got = append(got, fmt.Sprint(pause(n)))
	}
	if diff := cmp.Diff([]string{"1s", "1s", "2s", "4s", "32s", "1m0s", "1m0s"}, got); diff != "" {
		t.Error(diff)
	}
	for range 1000 {
		if d := jittered(firstWait); d < firstWait/2 || d >= firstWait {
			t.Fatalf("a wait is %v", d)
		}
	}
}
