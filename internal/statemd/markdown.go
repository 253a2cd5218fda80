package statemd

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seed-c8812374/nexus"
)

func (s *state) markdown() []byte {
	d := new(document)
	d.WriteString(Mark + "\n")
	d.line("# %s", safe(s.project.Name))
	if text := safe(s.project.Description); text != "" {
		d.line("")
		d.line("%s", text)
	}
	o := s.overview
	done := o.TasksTotal - o.TasksOpen
	d.section("Status", fmt.Sprintf("The project is **%s**; %d of %d tasks are done%s.",
		safe(string(s.project.Status)), done, o.TasksTotal, share(done, o.TasksTotal)))
	statuses := slices.Sorted(maps.Keys(o.TasksByStatus))
	d.table([]string{"Tasks", "Number"}, len(statuses), func(i int) []string {
		return []string{string(statuses[i]), fmt.Sprint(o.TasksByStatus[statuses[i]])}
	})

	d.section("Current work", "")
	slices.SortFunc(o.InFlight, func(a, b nexus.Work) int { return cmp.Compare(a.TaskID, b.TaskID) })
	d.table([]string{"Task", "Name", "Agent", "Since", "Progress"}, len(o.InFlight), func(i int) []string {
		w := &o.InFlight[i]
		return []string{w.TaskID, w.Name, w.AgentID, minute(w.Since), progress(w.Progress)}
	})
	d.section("Waiting for people", "")
	d.table([]string{"Task", "Name", "Status", "Why"}, len(s.attention), func(i int) []string {
		t := &s.attention[i]
		return []string{t.ID, t.Name, string(t.Status), t.reason}
	})
	d.section("Features", "")
	d.table([]string{"Feature", "Name", "Status", "Done"}, len(o.Features), func(i int) []string {
		f := &o.Features[i]
		return []string{f.ID, f.Name, string(f.Status), fmt.Sprintf("%d of %d", f.Total-f.Open, f.Total)}
	})
	d.section("Recent tasks", "")
	d.table([]string{"Task", "Name", "Ended", "How", "Agent", "Minutes"}, len(s.recent), func(i int) []string {
		t := &s.recent[i]
		minutes := ""
		if t.ActualMinutes > 0 {
			minutes = fmt.Sprint(t.ActualMinutes)
		}
		return []string{t.ID, t.Name, minute(cmp.Or(t.CompletedAt, t.UpdatedAt)), string(t.Status), t.AssignedAgent, minutes}
	})
	d.section("Decisions", "")
	for _, e := range s.decisions {
		by := ""
		if e.Author != "" {
			by = " (" + safe(e.Author) + ")"
		}
		d.line("- %s%s: %s", minute(e.At), by, safe(e.Text))
	}
	if len(s.decisions) == 0 {
		d.line("None.")
	}
	d.section("Cost", fmt.Sprintf("$%.2f and %.0f tokens.", o.CostUSD, o.Tokens))
	if spent := o.Spending(); spent.UsedUp() {
		d.line("The budget is used up: %s.", safe(spent.String()))
	} else if spent.Limited() {
		d.line("Of the budget, that is %s.", safe(spent.String()))
	}
	return append(bytes.TrimRight(d.Bytes(), "\n"), '\n')
}

// document is Markdown that is being written.
type document struct{ bytes.Buffer }

func (d *document) line(format string, args ...any) { fmt.Fprintf(d, format+"\n", args...) }

func (d *document) section(title, text string) {
	d.line("\n## %s\n", title)
	if text != "" {
		d.line("%s\n", text)
	}
}

// table writes n rows, or says that there are none.
func (d *document) table(header []string, n int, row func(i int) []string) {
	if n == 0 {
		d.line("None.")
		return
	}
	d.line("| %s |", strings.Join(header, " | "))
	d.line("|%s", strings.Repeat("---|", len(header)))
	for i := range n {
		cells := row(i)
		for j := range cells {
			cells[j] = safe(cells[j])
		}
		d.line("| %s |", strings.Join(cells, " | "))
	}
}

// safe is a text within one line of Markdown: as it is for the reader, and
// nothing in it means anything to Markdown or HTML.
func safe(text string) string {
	var out strings.Builder
	blank := true // nothing yet, or a blank last
	for i, r := range text {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			if !blank {
				out.WriteByte(' ')
			}
			blank = true
			continue
		case unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError:
			r = '\uFFFD'
		case r == '<':
			out.WriteString("&lt;")
			blank = false
			continue
		case r == '&':
			out.WriteString("&amp;")
			blank = false
			continue
		case strings.ContainsRune("\\`*[]|~$", r), r == '_' && !within(text, i),
			// What begins a heading, a quotation, a list or a rule does so only there.
			out.Len() == 0 && strings.ContainsRune("#>+-=", r):
			out.WriteByte('\\')
		case (r == '.' || r == ')') && out.Len() > 0 && strings.Trim(out.String(), "0123456789") == "":
			out.WriteByte('\\') // 1. begins a list
		}
		out.WriteRune(r)
		blank = false
	}
	return strings.TrimRight(out.String(), " ")
}

// within reports whether the underscore at i is in the middle of a word, where it
// is one.
func within(text string, i int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	after, _ := utf8.DecodeRuneInString(text[i+1:])
	word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	return word(before) && word(after)
}

func minute(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// share is how much of the whole a part is.
func share(part, whole int64) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d %%)", part*100/whole)
}

func progress(p *nexus.Progress) string {
	if p == nil {
		return ""
	}
	var parts []string
	if p.Percent > 0 {
		parts = append(parts, fmt.Sprintf("%d %%", p.Percent))
	}
	for _, text := range []string{p.Note, p.LastAction} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "; ")
}
