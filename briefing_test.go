package nexus_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
)

// Whatever there is to say, a briefing fits its budget, keeps the order, loses
// nothing without saying so, and takes everything if there is room.
func TestBriefingFits(t *testing.T) {
	t.Parallel()
	word := rapid.SampledFrom([]string{"a", "word", "🦀", "\n", "long" + strings.Repeat("er", 40), "- x", "# y", " "})
	rapid.Check(t, func(t *rapid.T) {
		b := &nexus.Briefing{Budget: rapid.IntRange(nexus.MinBudget, 3000).Draw(t, "budget")}
		total := 0
		for i := range rapid.IntRange(0, 12).Draw(t, "sections") {
			s := nexus.BriefingSection{Name: fmt.Sprint(i), Title: fmt.Sprintf("Section %d", i)}
			for range rapid.IntRange(0, 6).Draw(t, "items") {
				item := "x" + strings.Join(rapid.SliceOfN(word, 0, 200).Draw(t, "words"), " ") + "x"
				s.Items = append(s.Items, item)
				total += len(item)
			}
			b.Sections = append(b.Sections, s)
		}
		given := b.Sections
		b.Fit()
		text := b.Markdown()
		if len(text) > 4*b.Budget || b.Tokens != (len(text)+3)/4 {
			t.Fatalf("%d bytes, %d tokens, a budget of %d", len(text), b.Tokens, b.Budget)
		}
		kept, whole := 0, true
		last := -1
		for _, s := range b.Sections {
			var at int
			if _, err := fmt.Sscan(s.Name, &at); err != nil || at <= last {
				t.Fatalf("section %s comes after %d", s.Name, last)
			}
			last = at
			if len(s.Items) == 0 {
				t.Fatalf("section %s is empty", s.Name)
			}
			for j, item := range s.Items {
				kept++
				if original := given[at].Items[j]; item != original {
					whole = false
					if !strings.HasSuffix(item, "[…]") || !strings.HasPrefix(original, strings.TrimSpace(strings.TrimSuffix(item, "[…]"))) {
						t.Fatalf("%q has become %q", original, item)
					}
				}
			}
		}
		all := 0
		for _, s := range given {
			all += len(s.Items)
		}
		if (kept < all || !whole) != (len(b.LeftOut) > 0) {
			t.Fatalf("%d of %d items, whole: %t; left out: %q", kept, all, whole, b.LeftOut)
		}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "# ") {
				t.Fatalf("an item passes for a heading: %q", line)
			}
		}
	})
}

// A long text gets the room that nothing else wants.
func TestBriefingUsesItsRoom(t *testing.T) {
	t.Parallel()
	for _, budget := range []int{nexus.MinBudget, 1000, 10_000} {
		b := &nexus.Briefing{Budget: budget, Sections: []nexus.BriefingSection{
			{Name: "goal", Title: "The goal", Items: []string{strings.Repeat("a long text ", 10_000)}},
			{Name: "state", Title: "Where things stand", Items: []string{"2 of 3 tasks are completed", "nobody works"}},
		}}
		b.Fit()
		if spare := budget - b.Tokens; spare < 0 || spare > 70 {
			t.Errorf("of %d tokens %d are not used", budget, spare)
		}
		if !slices.Equal(b.Sections[1].Items, []string{"2 of 3 tasks are completed", "nobody works"}) {
			t.Errorf("of %d tokens, these are left for the rest: %q", budget, b.Sections[1].Items)
		}
	}
}

func TestResumeRequest(t *testing.T) {
	t.Parallel()
	for _, r := range []nexus.ResumeRequest{
		{}, {TaskID: "t", AgentID: "a"}, {TaskID: "t", Budget: 199}, {TaskID: "t", Budget: -1}, {TaskID: "t", Budget: 1_000_001}, {TaskID: "a\nb"},
	} {
		if err := r.Validate(); nexus.CodeOf(err) != nexus.CodeInvalid {
			t.Errorf("%+v: %v", r, err)
		}
	}
	for _, r := range []nexus.ResumeRequest{{ProjectID: "p"}, {TaskID: "t", Budget: 200}, {AgentID: "a", Budget: 1_000_000}} {
		if err := r.Validate(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
