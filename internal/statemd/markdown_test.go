package statemd

import (
	"fmt"
	"html"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
)

func TestSafe(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                         "",
		"plain words, 2nd - it's":  "plain words, 2nd - it's",
		"a | b\n# c\r\n\td":        `a \| b # c d`,
		"`code` *bold* [x](y)":     "\\`code\\` \\*bold\\* \\[x\\](y)",
		"snake_case __main__ _it_": `snake_case \_\_main\_\_ \_it\_`,
		"<script>&amp;":            "&lt;script>&amp;amp;",
		"# no heading":             `\# no heading`,
		"> no quotation":           `\> no quotation`,
		"- no list":                `\- no list`,
		"12. no list":              `12\. no list`,
		"1) no list":               `1\) no list`,
		"===":                      `\===`,
		"  \x00 \x1b[2J":           `\[2J`,
		"back\\slash ~~gone~~ $x$": `back\\slash \~\~gone\~\~ \$x\$`,
		"\u202eright to left":      "\uFFFDright to left",
		"broken \xff":              "broken \uFFFD",
	} {
		if got := safe(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// Whatever a text is, a reader sees it as it is, on one line, and a cell is one
// cell.
func TestSafeIsReadBack(t *testing.T) {
	t.Parallel()
	awkward := rapid.SliceOf(rapid.OneOf(
		rapid.SampledFrom([]string{
			"|", "`", "*", "_", "\\", "<b>", "&lt;", "\n", "\r\n", "\t", "#", "- ", "1. ", "~", "$", "[x](y)", "\x00", "\u202e", "\xff", "🦀", " ", "a",
		}),
		rapid.String(),
	))
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(awkward.Draw(t, "text"), "")
		got := safe(text)
		var read strings.Builder
		escaped := false
		for _, r := range got {
			if r == '\\' && !escaped {
				escaped = true
				continue
			}
			if !escaped && strings.ContainsRune("|`*[]~$<", r) || !escaped && r == '\\' || unicode.IsControl(r) {
				t.Fatalf("%q has %q in it", got, r)
			}
			escaped = false
			read.WriteRune(r)
		}
		if escaped {
			t.Fatalf("%q ends in the middle", got)
		}
		want := strings.Join(strings.FieldsFunc(strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Bidi_Control, r) && !unicode.IsSpace(r) {
				return utf8.RuneError
			}
			return r
		}, strings.ToValidUTF8(text, "\uFFFD")), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
		// ToValidUTF8 makes one of several broken bytes.
		squeeze := func(s string) string {
			for strings.Contains(s, "\uFFFD\uFFFD") {
				s = strings.ReplaceAll(s, "\uFFFD\uFFFD", "\uFFFD")
			}
			return s
		}
		if seen := html.UnescapeString(read.String()); squeeze(seen) != squeeze(want) {
			t.Fatalf("%q is read as %q, want %q", text, seen, want)
		}
	})
}

// The document is the same whatever order the rows come in, and has as many
// lines as there are rows.
func TestMarkdownIsStable(t *testing.T) {
	t.Parallel()
	nasty := "a|b\n# `c`\r\n<d>"
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := func(turned bool) *state {
		work := []nexus.Work{
			{TaskID: "t1", Name: nasty, AgentID: nasty, Since: at, Progress: &nexus.Progress{Percent: 40, Note: nasty}},
			{TaskID: "t2", Name: nasty},
		}
		if turned {
			slices.Reverse(work)
		}
		return &state{
			project: &nexus.Project{ID: "p", Name: nasty, Description: nasty, Status: nexus.ProjectExecuting},
			overview: &nexus.Overview{
				At: at.Add(time.Hour), TasksTotal: 5, TasksOpen: 3, InFlight: work,
				TasksByStatus: map[nexus.TaskStatus]int64{"pending": 1, "in_progress": 2, "completed": 2, "odd|one": 1},
				Features:      []nexus.FeatureProgress{{ID: "f1", Name: nasty, Status: "in_progress", Total: 5, Open: 3}},
			},
			attention: []stuck{{nexus.Task{ID: "t3", Name: nasty, Status: nexus.TaskBlocked}, nasty}},
			recent:    []nexus.Task{{ID: "t4", Name: nasty, Status: nexus.TaskCompleted, CompletedAt: at, ActualMinutes: 7}},
			decisions: []nexus.SessionEntry{{At: at, Author: nasty, Text: nasty}},
		}
	}
	one, other := string(s(false).markdown()), string(s(true).markdown())
	if one != other {
		t.Errorf("it depends on the order:\n%s\n%s", one, other)
	}
	rows := 0
	for line := range strings.Lines(one) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		rows++
		pipes := strings.Count(line, "|") - strings.Count(line, `\|`)
		if !slices.Contains([]int{3, 5, 6, 7}, pipes) {
			t.Errorf("%d cells: %s", pipes-1, line)
		}
	}
	if want := 2*5 + 4 + 2 + 1 + 1 + 1; rows != want {
		t.Errorf("%d rows, want %d:\n%s", rows, want, one)
	}
	for _, want := range []string{Mark, "\n# a\\|b # \\`c\\` &lt;d>\n", "2 of 5 tasks are done (40 %)", "| t4 |", "2026-03-01 12:00", fmt.Sprint(7)} {
		if !strings.Contains(one, want) {
			t.Errorf("%q is missing:\n%s", want, one)
		}
	}
	if strings.Contains(one, "13:00") {
		t.Error("it says when it was written")
	}
}
