package jsontree_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/jsontree"
)

// tooDeep reports whether values of a valid text are nested deeper than a
// document may be. It only has to count brackets that are not in texts.
func tooDeep(text []byte) bool {
	const limit = 201 // the root and 200 within one another
	depth, inText, escaped := 0, false, false
	for i, b := range text {
		switch {
		case escaped:
			escaped = false
		case inText:
			escaped, inText = b == '\\', b != '"'
		case b == '"':
			inText = true
		case b == '[' || b == '{':
			if depth++; depth > limit {
				return true
			}
		case b == ']' || b == '}':
			depth--
		}
		// A value that is no list counts as a level as well.
		if depth == limit && !bytes.ContainsRune([]byte(" \t\r\n]}[{"), rune(b)) && i > 0 {
			return true
		}
	}
	return false
}

// FuzzParse checks that exactly what encoding/json accepts is accepted, save for
// UTF-8, a byte order mark and the depth, with the same value, and that every
// place is within the text.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"", " \n", "null", "[1,2.5e3,\"a\\u00e9\"]", "{\"a\":{\"b\":[true,false,null]},\r\n\"a\":\"\\ud800\"}",
		"\ufeff{}", "[1,,2]", "{\"a\":1,}", "[\"\xff\"]", "{} {}", "[1}", "{\"a\" 1}", ":", ",", "[:1]",
		strings.Repeat("[", 201) + strings.Repeat("]", 201), strings.Repeat("[", 201) + "1" + strings.Repeat("]", 201),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := jsontree.Parse(text)
		bare := bytes.TrimPrefix(text, []byte("\ufeff"))
		switch valid := json.Valid(bare) && utf8.Valid(bare); {
		case err == nil && !valid:
			t.Fatalf("%q is accepted", text)
		case err == nil:
			if err := check(text, d); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			return
		case valid && !tooDeep(bare):
			t.Fatalf("%q is refused: %v", text, err)
		}
		var e *nexus.Error
		if !errors.As(err, &e) || e.Code != nexus.CodeInvalid || len(e.Problems) != 1 {
			t.Fatalf("%q: %+v", text, err)
		}
		p := e.Problems[0]
		if _, err := from(bytes.Split(bare, []byte("\n")), p.Line, p.Column); err != nil {
			t.Fatalf("%q: %v: %v", text, p, err)
		}
	})
}
