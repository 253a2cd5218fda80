package nexus

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds on the length of a [Briefing], in tokens.
const (
	DefaultBudget = 2000
	MinBudget     = 200
	MaxBudget     = 1_000_000
)

// ResumeRequest asks what an agent that knows nothing needs to know to go on. One
// of the ids is given; with an agent, it is about the task that it works on.
type ResumeRequest struct {
	ProjectID string
	TaskID    string
	AgentID   string

	// Budget is how many tokens the answer may have at most; 0 is DefaultBudget.
	// A token is taken for four bytes of Markdown.
	Budget int
}

// Validate returns an [Error] with CodeInvalid that lists everything that is
// wrong with r, or nil.
func (r *ResumeRequest) Validate() error {
	c := new(checker)
	given := 0
	for _, id := range []string{r.ProjectID, r.TaskID, r.AgentID} {
		if id != "" {
			given++
		}
	}
	if given != 1 {
		c.add("task_id", r.TaskID, "one of project_id, task_id and agent_id is needed, %d are given", given)
	}
	c.optionalID("project_id", r.ProjectID)
	c.optionalID("task_id", r.TaskID)
	c.optionalID("agent_id", r.AgentID)
	if r.Budget != 0 && (r.Budget < MinBudget || r.Budget > MaxBudget) {
		c.add("budget", r.Budget, "is %d; it must be from %d to %d tokens", r.Budget, MinBudget, MaxBudget)
	}
	return c.invalid("", "")
}

// Briefing is what an agent needs to know to go on: the most important sections
// first, and in each the most important items.
type Briefing struct {
	At        time.Time         `json:"at"`
	ProjectID string            `json:"project_id"`
	TaskID    string            `json:"task_id,omitempty"`
	AgentID   string            `json:"agent_id,omitempty"`
	Sections  []BriefingSection `json:"sections"`

	Budget  int      `json:"budget"`             // tokens
	Tokens  int      `json:"tokens"`             // that it has, in Markdown
	LeftOut []string `json:"left_out,omitempty"` // what there was no room for, in words
}

// BriefingSection is what there is to say about one thing.
type BriefingSection struct {
	Name  string   `json:"name"` // task, continue, waits_for, tried, builds_on, goal, decisions, requirements, state, in_flight, attention, next
	Title string   `json:"title"`
	Items []string `json:"items"` // texts, which may have several lines
}

// Markdown is the briefing as a document.
func (b *Briefing) Markdown() string {
	var out strings.Builder
	for i := range b.Sections {
		out.WriteString(b.Sections[i].markdown())
	}
	if len(b.LeftOut) > 0 {
		out.WriteString(leftOut(b.LeftOut))
	}
	if out.Len() == 0 {
		return ""
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

func (s *BriefingSection) markdown() string {
	text := s.heading()
	for _, item := range s.Items {
		text += bullet(item)
	}
	return text + "\n"
}

func (s *BriefingSection) heading() string { return "## " + s.Title + "\n\n" }

// bullet is an item of a list; its further lines are indented, so that nothing in
// it can pass for a heading or another item.
func bullet(item string) string {
	return "- " + strings.ReplaceAll(strings.TrimSpace(item), "\n", "\n  ") + "\n"
}

func leftOut(list []string) string {
	return "## Left out for want of room\n\n" + bullet(strings.Join(list, "; "))
}

// tokens is what a text is taken for.
func tokens(text string) int { return (len(text) + 3) / 4 }

// Fit keeps of the sections what there is room for within the budget, the most
// important first, shortens what is long, and notes what is left out. One item gets a
// quarter of the room, and more if nothing else has to go for it.
func (b *Briefing) Fit() {
	all, room := b.Sections, b.Budget-tokens(leftOut([]string{strings.Repeat("x", 4*reservedTokens)}))
	quarter := max(room/4, 40)
	small := b.fit(all, room, quarter, quarter)
	more := sort.Search(max(room-quarter, 0), func(n int) bool { return b.fit(all, room, quarter, quarter+n+1) < small })
	b.fit(all, room, quarter, quarter+more)
	b.Tokens = tokens(b.Markdown())
}

// fit keeps what there is room for if no item has more than so many tokens. It counts the
// items, and once more those that are small and whole: what a longer one may not cost.
func (b *Briefing) fit(all []BriefingSection, room, small, longest int) (items int) {
	var kept []BriefingSection
	b.LeftOut = nil
	for _, s := range all {
		if len(s.Items) == 0 {
			continue
		}
		fits := BriefingSection{Name: s.Name, Title: s.Title}
		cost := tokens(s.heading() + "\n")
		shortened := 0
		for _, item := range s.Items {
			short := shorten(item, min(longest, room-cost-4))
			if short == "" {
				break
			}
			if short != item {
				shortened++
			} else if tokens(bullet(item)) <= small {
				items++
			}
			cost += tokens(bullet(short))
			fits.Items = append(fits.Items, short)
		}
		if len(fits.Items) > 0 {
			kept = append(kept, fits)
			room -= cost
			items += len(fits.Items)
		}
		if left := len(s.Items) - len(fits.Items); left > 0 {
			b.note("%d of %d in “%s”", left, len(s.Items), s.Title)
		}
		if shortened > 0 {
			b.note("the end of %d in “%s”", shortened, s.Title)
		}
	}
	b.Sections = kept
	return items
}

// reservedTokens are for what LeftOut says.
const reservedTokens = 60

// note adds to LeftOut what there is room for, and then that there is more.
func (b *Briefing) note(format string, args ...any) {
	const more = "more"
	if slices.Contains(b.LeftOut, more) {
		return
	}
	text := fmt.Sprintf(format, args...)
	if len(strings.Join(append(slices.Clone(b.LeftOut), text, more), "; ")) > 4*reservedTokens {
		text = more
	}
	b.LeftOut = append(b.LeftOut, text)
}

// shorten cuts a text to so many tokens, marks and indentation included; nothing
// is left of one for which there is hardly any room.
func shorten(text string, most int) string {
	text = strings.TrimSpace(text)
	if tokens(bullet(text)) <= most {
		return text
	}
	const mark, least = " […]", 12
	if most < least {
		return ""
	}
	cut := 4*most - len(bullet("")) - len(mark)
	for cut > 0 {
		if cut < len(text) {
			for cut > 0 && !utf8.RuneStart(text[cut]) {
				cut--
			}
		}
		short := strings.TrimSpace(text[:min(cut, len(text))]) + mark
		over := len(bullet(short)) - 4*most
		if over <= 0 {
			return short
		}
		cut -= over
	}
	return ""
}
