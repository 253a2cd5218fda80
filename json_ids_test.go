package nexus_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
)

// FuzzIDs holds the short way of reading and writing lists of ids against
// encoding/json.
func FuzzIDs(f *testing.F) {
	for _, text := range []string{`["a"]`, `["a","b"]`, `["a", "b"]`, `[""]`, `["\u0041"]`, `["a\",\"b"]`, `["é"]`, "[\"\x80\"]", `["<"]`, `[1]`, `[]`, `["a","b`, `"]["`, `["a"]["b"]`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want []string
		if json.Unmarshal([]byte(text), &want) != nil || text == "" {
			return // not a list of texts: DecodeIDs makes the best of it
		}
		if got := nexus.DecodeIDs(nexus.JSON(text)); !slices.Equal(got, want) {
			t.Errorf("DecodeIDs(%q) = %q, want %q", text, got, want)
		}
		if len(want) == 0 {
			return
		}
		var written strings.Builder
		encoder := json.NewEncoder(&written)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(want); err != nil {
			t.Fatal(err)
		}
		if got := string(nexus.EncodeIDs(want)) + "\n"; got != written.String() {
			t.Errorf("EncodeIDs(%q) = %s, want %s", want, got, &written)
		}
	})
}
