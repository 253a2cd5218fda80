package taskgraph

import (
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

var hostile = []string{
	"", "Write the parser", `say "hello"`, "a`b`c", "`md`", "[brackets] {braces} (parens) <tags>", "<script>alert(1)</script>",
	"two\nlines", "\r\n\t", "tab\tand\x00nul\x1b[2J", `back\slash`, `ends with \`, `\"`, `\n\l\r\N\G`, "&amp; &lt; &#34; &", "#quot; #35; #",
	"%% comment", "%%{init: {'theme':'dark'}}%%", "style a:#fff;", "classDef x fill:#000;", "end", "graph TD; A-->B", ":::critical",
	"1. list", "- list", "+ list", "---", "===", "# title", "> quote", "    code", "*bold* _em_ ~del~", "a_b-c", "_x", "x_", "http://x.y", "www.x.y",
	"a@b.c", "fa:fa-car", "| table |", "ﬂ°°34¶ß", "日本語の名前", "e\u0301", "👩‍👩‍👧", "\u202eevil", "\xff\xfe", strings.Repeat("long ", 100), strings.Repeat("é", 61),
	"$x^2$ $$y$$", "~~~", "![x](y)", "[x]: y", "&", "\u2028", "\u00a0nbsp",
}

// What Mermaid is given has none of the characters that it gives a meaning to,
// and reads as what it was.
func FuzzMermaidEscape(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want := label(text, 60)
		escaped := mermaidEscape(want)
		if got := readMermaid(t, escaped); got != want {
			t.Errorf("%q: %q reads as %q, want %q", text, escaped, got, want)
		}
	})
}

// readMermaid reads what stands between quotes, as Mermaid does.
func readMermaid(t *testing.T, text string) string {
	t.Helper()
	var b, unescaped strings.Builder
	for before := ' '; text != ""; {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == '#':
			number, rest, found := strings.Cut(text[1:], ";")
			code, err := strconv.Atoi(number)
			if !found || err != nil {
				t.Fatalf("%q is no number of a character", text)
			}
			unescaped.WriteRune(rune(code))
			if code != wordJoiner { // which no label has
				b.WriteRune(rune(code))
			}
			text, before = rest, ' '
			continue
		case strings.ContainsRune("\"`[]{}()<>|\\%:;&$*~@.+=^'ﬂ°¶", r), unicode.IsControl(r), r == utf8.RuneError && size == 1:
			t.Fatalf("%q has a meaning", r)
		case strings.ContainsRune("-_", r):
			next, _ := utf8.DecodeRuneInString(text[size:])
			if strings.ContainsRune(" #,/!?-_", before) || strings.ContainsRune(" #,/!?-_", next) || text[size:] == "" {
				t.Fatalf("%q is not within a word", text)
			}
		}
		b.WriteRune(r)
		unescaped.WriteRune(r)
		text, before = text[size:], r
	}
	for _, sign := range mermaidSigns {
		if strings.Contains(unescaped.String(), sign) {
			t.Fatalf("%q has a meaning", sign)
		}
	}
	return b.String()
}

func FuzzDOTEscape(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want := label(text, 60)
		escaped := dotEscape(want)
		if got := readDOT(t, `"`+escaped+`"`); got != want {
			t.Errorf("%q: %q reads as %q, want %q", text, escaped, got, want)
		}
	})
}

// readDOT reads a quoted string to its end: first as the language does, then the
// escapes of a label, then its entities.
func readDOT(t *testing.T, quoted string) string {
	t.Helper()
	var inner strings.Builder
	rest := strings.TrimPrefix(quoted, `"`)
	for ended := false; !ended; {
		switch {
		case rest == "":
			t.Fatalf("%s has no end", quoted)
		case strings.HasPrefix(rest, `\\`):
			inner.WriteString(`\\`)
			rest = rest[2:]
		case strings.HasPrefix(rest, `\"`):
			inner.WriteString(`"`)
			rest = rest[2:]
		case rest[0] == '"':
			ended, rest = true, rest[1:]
		default:
			inner.WriteByte(rest[0])
			rest = rest[1:]
		}
	}
	if rest != "" {
		t.Fatalf("%s ends before %q", quoted, rest)
	}
	var text strings.Builder
	for s := inner.String(); s != ""; {
		switch {
		case strings.HasPrefix(s, `\\`):
			text.WriteByte('\\')
			s = s[2:]
		case s[0] == '\\':
			t.Fatalf("%s has an escape in %q", quoted, s)
		default:
			text.WriteByte(s[0])
			s = s[1:]
		}
	}
	plain := text.String()
	if strings.Count(plain, "&") != strings.Count(plain, "&amp;") {
		t.Fatalf("%q has an entity", plain)
	}
	return strings.ReplaceAll(plain, "&amp;", "&")
}

func FuzzLabel(f *testing.F) {
	for _, text := range hostile {
		f.Add(text, 10)
	}
	f.Fuzz(func(t *testing.T, text string, most int) {
		most = max(most, 1)
		got := label(text, most)
		if n := utf8.RuneCountInString(got); n > most {
			t.Errorf("%q has %d characters, the limit is %d", got, n, most)
		}
		if !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) || strings.TrimSpace(got) != got && most > 10 {
			t.Errorf("%q is not fit to be shown", got)
		}
		if short := strings.Join(strings.Fields(text), " "); utf8.RuneCountInString(short) <= most && utf8.RuneCountInString(got) != utf8.RuneCountInString(short) {
			t.Errorf("%q was shortened to %q without need", text, got)
		}
	})
}
