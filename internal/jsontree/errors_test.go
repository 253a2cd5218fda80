package jsontree_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/jsontree"
)

// refusal returns the one problem of a text that must be refused.
func refusal(t testing.TB, text string) nexus.Problem {
	t.Helper()
	d, err := jsontree.Parse([]byte(text))
	var e *nexus.Error
	if d != nil || !errors.As(err, &e) {
		t.Fatalf("Parse(%.60q) = %v, %v", text, d, err)
	}
	if e.Code != nexus.CodeInvalid || e.Message == "" || len(e.Problems) != 1 {
		t.Fatalf("Parse(%.60q): %+v", text, e)
	}
	if e.Problems[0].Message == "" {
		t.Errorf("Parse(%.60q): the problem has no message", text)
	}
	return e.Problems[0]
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	const early = "the document ends too early"
	for name, test := range map[string]struct {
		text         string
		line, column int
		says         string
	}{
		"nothing":                  {"", 1, 1, early},
		"only blanks":              {" \t\r\n ", 2, 2, early},
		"only a byte order mark":   {"\ufeff", 1, 1, early},
		"two byte order marks":     {"\ufeff\ufeff{}", 1, 1, "invalid character"},
		"no value":                 {`nope`, 1, 1, "invalid character"},
		"half a literal":           {"[\n tru]", 2, 2, "invalid character"},
		"an open list":             {"[\n1,", 2, 3, early},
		"an open object":           {"{\n", 2, 1, early},
		"an object without value":  {`{"a":`, 1, 6, early},
		"an object without colon":  {`{"a"`, 1, 5, early},
		"an open text":             {`{"a": "b`, 1, 9, early},
		"an open name":             {`{"a`, 1, 4, early},
		"a literal at the end":     {`[tru`, 1, 5, early},
		"an escape at the end":     {`["\`, 1, 4, early},
		"a bad escape":             {"[1,\n  \"a\\x\"]", 2, 3, "escape"},
		"a bad code point":         {`["\u00g0"]`, 1, 2, "escape"},
		"a line break in a text":   {"[\"a\nb\"]", 1, 2, "string literal"},
		"a tab in a text":          {"[\"a\tb\"]", 1, 2, "string literal"},
		"a leading zero":           {`[1, 01]`, 1, 6, "after array element"},
		"a plus sign":              {`[+1]`, 1, 2, "invalid character"},
		"a bare minus":             {`[-]`, 1, 2, "numeric literal"},
		"a point without digits":   {`{"a": 1.}`, 1, 7, "decimal point"},
		"an exponent of nothing":   {`[1e]`, 1, 2, "exponent"},
		"not a number":             {`[NaN]`, 1, 2, "invalid character"},
		"single quotes":            {`{'a': 1}`, 1, 2, "invalid character"},
		"a name that is none":      {`{"a": 1, 2: 3}`, 1, 10, "invalid character"},
		"a name that is a list":    {`{[]: 1}`, 1, 2, "invalid character"},
		"no colon":                 {`{"a" 1}`, 1, 6, "after object key"},
		"no comma in a list":       {`[1 2]`, 1, 4, "after array element"},
		"no comma in an object":    {`{"a": 1 "b": 2}`, 1, 9, "after object key:value pair"},
		"a comma before a bracket": {"[1,\n]", 2, 1, "invalid character"},
		"a comma before a brace":   {"{\"a\": 1,\n}", 2, 1, "invalid character"},
		"the wrong bracket":        {`[1}`, 1, 3, "after array element"},
		"the wrong brace":          {`{"a": 1]`, 1, 8, "after object key:value pair"},
		"only a closing bracket":   {` ]`, 1, 2, "invalid character"},
		"a comment":                {"{ // why\n}", 1, 3, "invalid character"},
		"a letter after the end":   {"[] x", 1, 4, "more after the end"},
		"a brace after the end":    {"{}\n}", 2, 1, "more after the end"},
		"a NUL after the end":      {"1\x00", 1, 2, "more after the end"},
		"invalid UTF-8":            {"{\"a\":\n \"b\xff\"}", 2, 4, "UTF-8"},
		"half of a character":      {"[\"\xe2\x82\"]", 1, 3, "UTF-8"},
		"a surrogate in UTF-8":     {"[\"\xed\xa0\x80\"]", 1, 3, "UTF-8"},
		"UTF-16":                   {"\xff\xfe{\x00}\x00", 1, 1, "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := refusal(t, test.text)
			if p.Line != test.line || p.Column != test.column || !strings.Contains(p.Message, test.says) {
				t.Errorf("%q: %v; want line %d, column %d: …%s…", test.text, p, test.line, test.column, test.says)
			}
		})
	}
}

// What a text has after the place where it could have ended is never ignored.
func TestTruncatedAnywhere(t *testing.T) {
	t.Parallel()
	const whole = "{\"a\": [1, -2.5e3, \"é\\u00e9\\n\", true, false, null, {}, []],\n \"b\": {\"c\": \"d\"}}"
	parse(t, whole)
	for end := range len(whole) {
		p := refusal(t, whole[:end])
		switch {
		case strings.Contains(p.Message, "UTF-8"): // cut within the é
		case !strings.Contains(p.Message, "too early"):
			t.Errorf("%q: %v", whole[:end], p)
		default:
			line := 1 + strings.Count(whole[:end], "\n")
			column := end - strings.LastIndex(whole[:end], "\n")
			if p.Line != line || p.Column != column {
				t.Errorf("%q: at %d:%d, want the end, %d:%d", whole[:end], p.Line, p.Column, line, column)
			}
		}
	}
}

// A document made to overflow the stack gets an error like any other.
func TestDeepNesting(t *testing.T) {
	t.Parallel()
	const limit = 200 // values within the root
	nested := func(n int) string { return strings.Repeat("[", n+1) + strings.Repeat("]", n+1) }
	n := &parse(t, nested(limit)).Root
	depth := 0
	for ; len(n.Items) > 0; depth++ {
		n = &n.Items[0]
	}
	if depth != limit {
		t.Errorf("depth %d, want %d", depth, limit)
	}
	for _, text := range []string{nested(limit + 1), strings.Repeat("[", 1_000_000)} {
		p := refusal(t, text)
		if p.Line != 1 || p.Column != limit+2 || !strings.Contains(p.Message, "too deeply") {
			t.Error(p)
		}
	}
	p := refusal(t, strings.Repeat("{\"a\":\n", limit+5))
	if p.Line != limit+2 || p.Column != 1 || !strings.Contains(p.Message, "too deeply") {
		t.Error(p)
	}
}
