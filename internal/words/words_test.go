package words_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus/internal/words"
)

func split(text string) (list []string) {
	for w := range words.All(text) {
		list = append(list, w.Text)
	}
	return list
}

func TestAll(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                            nil,
		" ?! \x00\xff—…":              nil,
		"Write the parser.":           {"write", "the", "parser"},
		"snake_case x2 3.14":          {"snake", "case", "x2", "3", "14"},
		"Café cafe\u0301 CAFÉ":        {"cafe", "cafe", "cafe"},
		"ΛΟΓΟΣ λόγος":                 {"λογοσ", "λογοσ"},
		"Straße İ ı":                  {"straße", "i", "i"},
		"ﬁne ⑴ ½ Ⅷ ２":                 {"fine", "1", "1⁄2", "viii", "2"},
		"日本語abcカー":                    {"日", "本", "語", "abc", "カ", "ー"},
		"が か\u3099":                   {"が", "が"},
		"한국어 \u1112\u1161\u11ab":      {"한국어", "한"},
		"हिन्दी":                      {"हिन्दी"},
		"\u0301a":                     {"a"},
		"a\xffb":                      {"a", "b"},
		strings.Repeat("x", 200):      {strings.Repeat("x", 128)},
		"a" + strings.Repeat("ж", 70): {"a" + strings.Repeat("ж", 63)},
	} {
		if diff := cmp.Diff(want, split(text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

// FuzzAll checks what an index relies on: words are where they say, in their order;
// of ASCII they have only small letters and digits; and a word alone is that word.
func FuzzAll(f *testing.F) {
	for _, text := range []string{"Write the parser", "Café, ﬁne ⑴ ½ ﷺ", "日本語 ภาษาไทย 한국어 हिन्दी", "か\u3099\u0301", "a\x00\xffb", "ŉ ǆ İ ß ſ", strings.Repeat("ä", 100)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		last := 0
		for w := range words.All(text) {
			if w.From < last || w.To <= w.From || w.To > len(text) {
				t.Fatalf("%+v after %d", w, last)
			}
			last = w.To
			if !utf8.ValidString(w.Text) || len(w.Text) > 128 {
				t.Fatalf("%+v", w)
			}
			for _, r := range w.Text {
				if r < utf8.RuneSelf && (r < '0' || r > '9' && r < 'a' || r > 'z') {
					t.Fatalf("%+v has %q", w, r)
				}
			}
			if again := split(text[w.From:w.To]); len(again) != 1 || again[0] != w.Text {
				t.Fatalf("%+v alone is %q", w, again)
			}
		}
	})
}
