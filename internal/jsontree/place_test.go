package jsontree_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus/internal/jsontree"
)

// parse parses a text that must be right.
func parse(t testing.TB, text string) *jsontree.Document {
	t.Helper()
	d, err := jsontree.Parse([]byte(text))
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return d
}

// places lists every member and value of a tree, each with its place and, if it
// is no list or object, its text.
func places(d *jsontree.Document) []string {
	var list []string
	add := func(path, what string, line, column int) {
		list = append(list, strings.TrimSpace(fmt.Sprintf("%d:%d %s %s", line, column, path, what)))
	}
	var walk func(path string, n *jsontree.Node)
	walk = func(path string, n *jsontree.Node) {
		line, column := d.Place(n)
		switch n.Kind {
		case jsontree.Array:
			add(path, "[", line, column)
			for i := range n.Items {
				walk(fmt.Sprintf("%s[%d]", path, i), &n.Items[i])
			}
		case jsontree.Object:
			add(path, "{", line, column)
			for i := range n.Members {
				m := &n.Members[i]
				line, column := d.MemberPlace(m)
				add(path+"."+m.Name, "name", line, column)
				walk(path+"."+m.Name, &m.Value)
			}
		default:
			add(path, d.Raw(n), line, column)
		}
	}
	walk("", &d.Root)
	return list
}

func TestPlaceOfEveryKind(t *testing.T) {
	t.Parallel()
	d := parse(t, `
{
	"null": null, "yes":true
	,"no" : false,
  "n":-1.5e+3 ,
  "text": "a\"\n\u00e9",
  "list":[ 1,
    [ ], {}
  ],
  "object": { "é": "ü", "after": 0 }
}
`)
	want := []string{
		"2:1  {",
		"3:2 .null name", "3:10 .null null", "3:16 .yes name", "3:22 .yes true",
		"4:3 .no name", "4:10 .no false",
		"5:3 .n name", "5:7 .n -1.5e+3",
		"6:3 .text name", `6:11 .text "a\"\n\u00e9"`,
		"7:3 .list name", "7:10 .list [", "7:12 .list[0] 1", "8:5 .list[1] [", "8:10 .list[2] {",
		// Columns count bytes, so each of é and ü is two.
		"10:3 .object name", "10:13 .object {", "10:15 .object.é name", `10:21 .object.é "ü"`,
		"10:27 .object.after name", "10:36 .object.after 0",
	}
	if diff := cmp.Diff(want, places(d)); diff != "" {
		t.Error(diff)
	}
}

func TestPlaceOfRoot(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`null`: "1:1  null", `true`: "1:1  true", ` -0`: "1:2  -0", "\n\n  \"x\" ": `3:3  "x"`,
		"\t[]": "1:2  [", "\r\n{}": "2:1  {",
	} {
		if diff := cmp.Diff([]string{want}, places(parse(t, text))); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

// A line ends with its line feed; a carriage return is one more blank before it.
// A text cannot hold either, so only what is between values moves places.
func TestPlaceWithCarriageReturns(t *testing.T) {
	t.Parallel()
	text := "{\n  \"a\": [\n    1,\n    2\n  ]\n}\n"
	unix, windows := parse(t, text), parse(t, strings.ReplaceAll(text, "\n", "\r\n"))
	if diff := cmp.Diff(places(unix), places(windows)); diff != "" {
		t.Error(diff)
	}
	// Old Macintosh lines are all one line to us, with columns that go on.
	old := parse(t, "{\r\"a\":\r1}")
	if diff := cmp.Diff([]string{"1:1  {", "1:3 .a name", "1:8 .a 1"}, places(old)); diff != "" {
		t.Error(diff)
	}
}

// An editor does not show a byte order mark, so it takes no column.
func TestPlaceAfterByteOrderMark(t *testing.T) {
	t.Parallel()
	const text = `{"a": 1}`
	if diff := cmp.Diff(places(parse(t, text)), places(parse(t, "\ufeff"+text))); diff != "" {
		t.Error(diff)
	}
	d := parse(t, "\ufeff[7]")
	if raw := d.Raw(&d.Root); raw != "[7]" {
		t.Errorf("Raw = %q", raw)
	}
}

func TestKindsAndTexts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]jsontree.Node{
		`null`:                 {Kind: jsontree.Null},
		`true`:                 {Kind: jsontree.Bool, Text: "true"},
		`false`:                {Kind: jsontree.Bool, Text: "false"},
		`12345678901234567890`: {Kind: jsontree.Number, Text: "12345678901234567890"},
		`1E400`:                {Kind: jsontree.Number, Text: "1E400"},
		`-0.10`:                {Kind: jsontree.Number, Text: "-0.10"},
		`""`:                   {Kind: jsontree.String},
		`"\u0000\ud83d\ude00"`: {Kind: jsontree.String, Text: "\x00😀"},
		// As encoding/json has it, and every other reader of half a character.
		`"\ud83d"`: {Kind: jsontree.String, Text: "\ufffd"},
	} {
		root := parse(t, text).Root
		if root.Kind != want.Kind || root.Text != want.Text {
			t.Errorf("%s is %s %q, want %s %q", text, root.Kind, root.Text, want.Kind, want.Text)
		}
	}
}

func TestRawIsTheTextAsItStands(t *testing.T) {
	t.Parallel()
	d := parse(t, ` {"a" : { "b":[ 1 , "\u0041" ] } , "c":2 } `)
	for raw, n := range map[string]*jsontree.Node{
		`{"a" : { "b":[ 1 , "\u0041" ] } , "c":2 }`: &d.Root,
		`{ "b":[ 1 , "\u0041" ] }`:                  d.Root.Member("a"),
		`[ 1 , "\u0041" ]`:                          d.Root.Member("a").Member("b"),
		`"\u0041"`:                                  &d.Root.Member("a").Member("b").Items[1],
		`2`:                                         d.Root.Member("c"),
	} {
		if got := d.Raw(n); got != raw {
			t.Errorf("Raw = %q, want %q", got, raw)
		}
	}
}

// Both of two members with one name are there to be reported, and the last
// counts, as in encoding/json.
func TestDuplicateNames(t *testing.T) {
	t.Parallel()
	d := parse(t, `{"a": 1, "b": 2, "a": 3}`)
	want := []string{
		"1:1  {", "1:2 .a name", "1:7 .a 1", "1:10 .b name", "1:15 .b 2", "1:18 .a name", "1:23 .a 3",
	}
	if diff := cmp.Diff(want, places(d)); diff != "" {
		t.Error(diff)
	}
	if n := d.Root.Member("a"); n == nil || n.Text != "3" {
		t.Errorf("Member(a) = %+v", n)
	}
	if n := d.Root.Member("c"); n != nil {
		t.Errorf("Member(c) = %+v", n)
	}
	if n := d.Root.Member("b").Member("a"); n != nil {
		t.Errorf("a member of a number: %+v", n)
	}
}
