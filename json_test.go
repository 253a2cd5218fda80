package nexus_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
)

func TestJSONMarshal(t *testing.T) {
	t.Parallel()
	for document, want := range map[nexus.JSON]string{
		"":                            `null`,
		"null":                        `null`,
		`{"b": 1, "a": 1.50, "b": 2}`: `{"b":1,"a":1.50,"b":2}`, // order, digits and duplicates stay
		` [1] `:                       `[1]`,
		"{oops":                       `"{oops"`,
		"\n":                          `"\n"`,
		"1 2":                         `"1 2"`,
	} {
		got, err := json.Marshal(document)
		if err != nil || string(got) != want {
			t.Errorf("%q is marshalled as %s, %v; want %s", document, got, err, want)
		}
	}
	// Where it is absent, it is left out.
	task, err := json.Marshal(nexus.Task{})
	if err != nil || strings.Contains(string(task), "metadata") {
		t.Errorf("a task without metadata is %s, %v", task, err)
	}
}

func TestJSONUnmarshal(t *testing.T) {
	t.Parallel()
	var task nexus.Task
	const text = `{"metadata": {"b": 1.50, "a" : [ ]}}`
	if err := json.Unmarshal([]byte(text), &task); err != nil {
		t.Fatal(err)
	}
	if want := nexus.JSON(`{"b": 1.50, "a" : [ ]}`); task.Metadata != want {
		t.Errorf("the text is %q, want %q", task.Metadata, want)
	}
	if err := json.Unmarshal([]byte(`{"metadata": null}`), &task); err != nil || task.Metadata != "" {
		t.Errorf("null is read as %q, %v", task.Metadata, err)
	}
}

// FuzzJSONMarshal checks that whatever is stored can be shown, and can be told
// from what is shown.
func FuzzJSONMarshal(f *testing.F) {
	for _, seed := range []string{
		"", "null", "{}", "{oops", `"\ud800"`, `"<&>"`, "\x00", "\xff", `{"a":1,"a":2}`, "1e999", " 1 ",
		strings.Repeat("[", 10_001), `"` + "\u2028" + `"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, document string) {
		text, err := json.Marshal(struct{ D nexus.JSON }{nexus.JSON(document)})
		if err != nil {
			t.Fatalf("%q: %v", document, err)
		}
		var shown struct{ D json.RawMessage }
		if err := json.Unmarshal(text, &shown); err != nil {
			t.Fatalf("%q is shown as %q: %v", document, text, err)
		}
		switch {
		case document == "":
			if string(shown.D) != "null" {
				t.Errorf("nothing is shown as %s", shown.D)
			}
		case json.Valid([]byte(document)):
			if want, got := decode(t, []byte(document)), decode(t, shown.D); !reflect.DeepEqual(want, got) {
				t.Errorf("%q is shown as %s", document, shown.D)
			}
		default:
			var got string
			want := strings.ToValidUTF8(document, "\ufffd")
			if err := json.Unmarshal(shown.D, &got); err != nil || len(got) < len(want) {
				t.Errorf("%q is shown as %s (%v)", document, shown.D, err)
			}
		}
	})
}

// decode reads a document without losing a digit.
func decode(t *testing.T, text []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestIDsRoundTrip(t *testing.T) {
	t.Parallel()
	if got := nexus.EncodeIDs(nil); got != "" {
		t.Errorf("no ids are encoded as %q, want NULL", got)
	}
	if got := nexus.DecodeIDs(""); got != nil {
		t.Errorf("NULL is decoded as %q", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.String(), 1, 5).Draw(t, "ids")
		encoded := nexus.EncodeIDs(ids)
		// Another program reads it with its own JSON library.
		var plain []string
		if err := json.Unmarshal([]byte(encoded), &plain); err != nil || !slices.Equal(plain, ids) {
			t.Fatalf("%q is encoded as %s (%v)", ids, encoded, err)
		}
		if got := nexus.DecodeIDs(encoded); !slices.Equal(got, ids) {
			t.Fatalf("%q comes back as %q", ids, got)
		}
	})
}

// FuzzDecodeIDs checks that no text makes it fail, and that none is lost.
func FuzzDecodeIDs(f *testing.F) {
	for _, seed := range []string{
		"", "null", "[]", `["a","b"]`, `"a"`, "a", "a,b", "{}", `["a"`, "[", "\x00", "\xff", " ", `["a",]`, "42",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ids := nexus.DecodeIDs(nexus.JSON(text))
		var elements []json.RawMessage
		if err := json.Unmarshal([]byte(text), &elements); err != nil {
			if text != "" && !slices.Equal(ids, []string{text}) {
				t.Fatalf("%q is no array, and is decoded as %q", text, ids)
			}
			return
		}
		checkElements(t, text, elements, ids)
	})
}

// checkElements checks that each element of an array has become one id: texts
// themselves, anything else its JSON.
func checkElements(t *testing.T, text string, elements []json.RawMessage, ids []string) {
	if len(ids) != len(elements) {
		t.Fatalf("%q has %d elements and is decoded as %q", text, len(elements), ids)
	}
	for i, element := range elements {
		want := string(element)
		var word string
		if json.Unmarshal(element, &word) == nil {
			want = word
		}
		if ids[i] != want {
			t.Fatalf("%q: element %s is decoded as %q", text, element, ids[i])
		}
	}
}
