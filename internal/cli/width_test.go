package cli

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWidthOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"": 0, "abc": 3, "über": 4, "u\u0308ber": 4, "日本": 4, "한글": 4, "…": 1, "█░": 2, "👍": 2, "👩\u200d👩": 4, "Ｗ": 2,
	} {
		if got := widthOf(text); got != want {
			t.Errorf("%q is %d columns wide, want %d", text, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text    string
		columns int
		want    string
	}{
		{"abc", 3, "abc"},
		{"abcd", 3, "ab…"},
		{"abcd", 1, "…"},
		{"abcd", 0, ""},
		{"abcd", -1, ""},
		{"", 0, ""},
		{"日本語", 6, "日本語"},
		{"日本語", 5, "日本…"},
		{"日本語", 4, "日…"},
		{"日本語", 2, "…"},
	} {
		if got := cut(test.text, test.columns); got != test.want {
			t.Errorf("%q cut to %d is %q, want %q", test.text, test.columns, got, test.want)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("日本語 and more", 7)
	f.Add("a\u0301\u0302", 1)
	f.Fuzz(func(t *testing.T, text string, columns int) {
		text = oneLine(text)
		columns = min(max(columns, 0), 1000)
		got := cut(text, columns)
		if widthOf(got) > columns || !utf8.ValidString(got) || !strings.HasPrefix(text, strings.TrimSuffix(got, "…")) {
			t.Errorf("%q cut to %d is %q", text, columns, got)
		}
		if widthOf(text) <= columns && got != text {
			t.Errorf("%q was cut without need", text)
		}
		if padded := pad(got, columns); widthOf(padded) != columns {
			t.Errorf("%q is %d columns wide, want %d", padded, widthOf(padded), columns)
		}
	})
}
