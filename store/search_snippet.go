package store

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// A snippet has about so many bytes, of which some are before what was found.
const (
	snippetBytes  = 160
	snippetBefore = 40
)

// span is a part of a text: from and to which byte.
type span [2]int

// hit is what was found, as it is shown.
func (f foundDocument) hit(q *driver.SearchQuery) nexus.Hit {
	field := f.best()
	h := nexus.Hit{
		Kind: f.kind, ID: f.id, Number: f.number, ProjectID: f.project, Name: f.title, Rank: math.Round(f.rank*1000) / 1000,
		Where: [fields]string{nexus.HitName, nexus.HitDescription, nexus.HitData}[field],
	}
	if f.number > 0 {
		h.Where = nexus.HitLog
	}
	h.Snippet, h.Marks = snippet(f.fields[field], f.texts[field].spans(q.All))
	return h
}

// spans returns where terms are, in their order.
func (t *searchText) spans(terms []driver.SearchTerm) (list []span) {
	for _, term := range terms {
		for _, place := range t.find(term) {
			list = append(list, span{t.words[place].From, t.words[place+len(term.Words)-1].To})
		}
	}
	slices.SortFunc(list, func(a, b span) int { return slices.Compare(a[:], b[:]) })
	joined := list[:0]
	for _, s := range list {
		if n := len(joined); n > 0 && s[0] <= joined[n-1][1] {
			joined[n-1][1] = max(joined[n-1][1], s[1])
		} else {
			joined = append(joined, s)
		}
	}
	return joined
}

// snippet returns the part of a text that has most of the spans, on one line, and
// where they are in it.
func snippet(text string, spans []span) (part string, marks [][2]int) {
	from, to := window(text, spans)
	var b strings.Builder
	if from > 0 {
		b.WriteString("…")
	}
	blank := true
	for i := from; i < to; {
		for len(spans) > 0 && spans[0][1] <= i {
			spans = spans[1:]
		}
		inside := len(spans) > 0 && spans[0][0] <= i
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		space := unicode.IsSpace(r)
		if space && blank {
			continue
		}
		if blank = space; space {
			r = ' '
		}
		begin := b.Len()
		b.WriteRune(r)
		switch n := len(marks); {
		case !inside:
		case n > 0 && marks[n-1][1] == begin:
			marks[n-1][1] = b.Len()
		default:
			marks = append(marks, [2]int{begin, b.Len()})
		}
	}
	part = strings.TrimRight(b.String(), " ")
	if to < len(text) {
		part += "…"
	}
	return part, marks
}

// window chooses the part of a text to be shown.
func window(text string, spans []span) (from, to int) {
	if len(text) <= snippetBytes || len(spans) == 0 {
		return 0, toRune(text, min(len(text), snippetBytes))
	}
	most := 0
	for i := range spans {
		n := 1
		for i+n < len(spans) && spans[i+n][1] <= spans[i][0]+snippetBytes-snippetBefore {
			n++
		}
		if n > most {
			most, from = n, spans[i][0]
		}
	}
	// From the end of a word on, if there is one.
	begin := max(0, from-snippetBefore)
	if begin > 0 {
		if blank := strings.IndexAny(text[begin:from], " \t\r\n"); blank >= 0 {
			begin += blank + 1
		}
		begin = toRune(text, begin)
	}
	end := min(len(text), begin+snippetBytes)
	if end < len(text) {
		if blank := strings.LastIndexAny(text[from:end], " \t\r\n"); blank > 0 {
			end = from + blank
		}
	}
	return begin, toRune(text, end)
}

// toRune returns the beginning of the character that a byte is in.
func toRune(text string, i int) int {
	for i > 0 && i < len(text) && !utf8.RuneStart(text[i]) {
		i--
	}
	return i
}
