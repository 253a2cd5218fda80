package jsontree_test

import (
	"strings"
	"testing"
)

func TestSyntaxErrorsAtSeparators(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text         string
		line, column int
		says         string
	}{
		"two commas":              {"[1,,2]", 1, 4, "invalid character"},
		"two commas in an object": {"{\"a\": 1,\n,}", 2, 1, "invalid character"},
		"a comma first":           {"[ ,1]", 1, 3, "invalid character"},
		"a colon first":           {"[ :1]", 1, 3, "invalid character"},
		"two colons":              {`{"a"::1}`, 1, 6, "invalid character"},
		"a colon in a list":       {`["a":1]`, 1, 5, "after array element"},
		"a comma for a colon":     {`{"a",1}`, 1, 5, "after object key"},
		"only a comma":            {",", 1, 1, "invalid character"},
		"a comma after the end":   {"{} ,", 1, 4, "more after the end"},
		"a text after the end":    {"{}\n \"x\"", 2, 2, "more after the end"},
		"more after the end":      {"{}\n  {}", 2, 3, "more after the end"},
	} {
		p := refusal(t, test.text)
		if p.Line != test.line || p.Column != test.column || !strings.Contains(p.Message, test.says) {
			t.Errorf("%s: %q: %v; want line %d, column %d: …%s…", name, test.text, p, test.line, test.column, test.says)
		}
	}
}
