package jsontree_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus/internal/jsontree"
)

// rebuild makes of a tree what encoding/json decodes into an any.
func rebuild(n *jsontree.Node) any {
	switch n.Kind {
	case jsontree.Null:
		return nil
	case jsontree.Bool:
		return n.Text == "true"
	case jsontree.Number:
		return json.Number(n.Text)
	case jsontree.String:
		return n.Text
	case jsontree.Array:
		list := make([]any, len(n.Items))
		for i := range n.Items {
			list[i] = rebuild(&n.Items[i])
		}
		return list
	case jsontree.Object:
		object := make(map[string]any, len(n.Members))
		for i := range n.Members {
			object[n.Members[i].Name] = rebuild(&n.Members[i].Value)
		}
		return object
	default:
		panic(fmt.Sprintf("a kind %q", n.Kind))
	}
}

func decode(text []byte) (value any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&value)
	return value, err
}

// check compares a tree with what encoding/json makes of the same text, and
// every node with what its place and raw text say. It returns what is wrong.
func check(text []byte, d *jsontree.Document) error {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	want, err := decode(text)
	if err != nil {
		return fmt.Errorf("encoding/json: %w", err)
	}
	// Not cmp.Diff: on deep values its time doubles with every level.
	if got := rebuild(&d.Root); !reflect.DeepEqual(got, want) {
		return fmt.Errorf("is %#v, but to encoding/json %#v", got, want)
	}
	return checkNode(bytes.Split(text, []byte("\n")), d, &d.Root)
}

// from returns the text from a place on within its line, which is all that is
// needed to tell one beginning of a value from another.
func from(lines [][]byte, line, column int) (string, error) {
	if line < 1 || line > len(lines) || column < 1 || column > len(lines[line-1])+1 {
		return "", fmt.Errorf("place %d:%d is outside of the text", line, column)
	}
	return string(lines[line-1][column-1:]), nil
}

func checkNode(lines [][]byte, d *jsontree.Document, n *jsontree.Node) error {
	raw := d.Raw(n)
	rest, err := from(lines, line(d.Place(n)), column(d.Place(n)))
	if err != nil {
		return err
	}
	if first, _, _ := strings.Cut(raw, "\n"); !strings.HasPrefix(rest, first) || raw == "" {
		return fmt.Errorf("at its place is %q, its raw text is %q", rest, raw)
	}
	again, err := jsontree.Parse([]byte(raw))
	if err != nil {
		return fmt.Errorf("raw text %q: %w", raw, err)
	}
	if !reflect.DeepEqual(rebuild(n), rebuild(&again.Root)) {
		return fmt.Errorf("raw text %q is another value: %#v", raw, rebuild(&again.Root))
	}
	for i := range n.Items {
		if err := checkNode(lines, d, &n.Items[i]); err != nil {
			return err
		}
	}
	for i := range n.Members {
		m := &n.Members[i]
		rest, err := from(lines, line(d.MemberPlace(m)), column(d.MemberPlace(m)))
		if err != nil {
			return err
		}
		var name string
		if err := json.NewDecoder(strings.NewReader(rest)).Decode(&name); err != nil || name != m.Name {
			return fmt.Errorf("at the place of %q is %q", m.Name, rest)
		}
		if err := checkNode(lines, d, &m.Value); err != nil {
			return err
		}
	}
	return nil
}

func line(line, _ int) int     { return line }
func column(_, column int) int { return column }

// blank draws what may stand between tokens.
var blank = rapid.StringMatching(`[ \t\r\n]{0,3}`)

// drawJSON draws the text of a value, with blanks wherever they may be, names
// that may repeat, and escapes of every kind.
func drawJSON(t *rapid.T, depth int) string {
	kinds := 4
	if depth < 4 {
		kinds = 6
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "literal")
	case 1:
		return rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,5})?([eE][-+]?[0-9]{1,3})?`).Draw(t, "number")
	case 2:
		return rapid.StringMatching(`"([ !#-\[\]-~é世😀]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\\ud8[0-9a-f]{2})*"`).Draw(t, "text")
	case 3:
		text, _ := json.Marshal(rapid.String().Draw(t, "string")) // strings always marshal
		return string(text)
	case 4:
		return "[" + drawList(t, func() string { return drawJSON(t, depth+1) }) + "]"
	default:
		return "{" + drawList(t, func() string {
			name := rapid.StringMatching(`"[abé]?(\\n)?"`).Draw(t, "name")
			return name + blank.Draw(t, "blank") + ":" + blank.Draw(t, "blank") + drawJSON(t, depth+1)
		}) + "}"
	}
}

func drawList(t *rapid.T, item func() string) string {
	items := make([]string, rapid.IntRange(0, 4).Draw(t, "items"))
	for i := range items {
		items[i] = blank.Draw(t, "blank") + item() + blank.Draw(t, "blank")
	}
	if len(items) == 0 {
		return blank.Draw(t, "blank")
	}
	return strings.Join(items, ",")
}

func TestSameValueAsEncodingJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(blank.Draw(t, "blank") + drawJSON(t, 0) + blank.Draw(t, "blank"))
		d, err := jsontree.Parse(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if err := check(text, d); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
