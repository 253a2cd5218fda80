package store

import (
	"slices"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/words"
	"github.com/seed-c8812374/nexus/store/driver"
)

// parseSearch reads what a person types. There is nothing that it does not
// understand, but it may find no word in it.
func parseSearch(text string) (q driver.SearchQuery, err error) {
	seen := make(map[string]bool)
	for rest := text; rest != ""; {
		var part searchPart
		part, rest = cutPart(rest)
		t := driver.SearchTerm{Prefix: part.star || part.last}
		for w := range words.All(part.text) {
			t.Words = append(t.Words, w.Text)
		}
		key := part.key(t)
		if len(t.Words) == 0 || seen[key] {
			continue
		}
		seen[key] = true
		if part.not {
			q.None = append(q.None, t)
		} else {
			q.All = append(q.All, t)
		}
	}
	if len(q.All) > 0 {
		return q, nil
	}
	problem := nexus.Problem{Field: "text", Message: "has no word to look for"}
	if len(q.None) > 0 {
		problem.Message = "only says what is to be left out; add what to look for"
	}
	return q, &nexus.Error{Code: nexus.CodeInvalid, Problems: []nexus.Problem{problem}}
}

// searchPart is a word of a question, or what is in quotes.
type searchPart struct {
	text string
	not  bool // what has it is left out
	star bool // it is the beginning of a word
	last bool // it may be, since nothing follows
}

// key tells parts that ask for the same.
func (p searchPart) key(t driver.SearchTerm) string {
	key := strings.Join(t.Words, " ")
	if p.not {
		key = "-" + key
	}
	if t.Prefix {
		key += "*"
	}
	return key
}

// cutPart returns the first part of a question, and the rest.
func cutPart(text string) (p searchPart, rest string) {
	const blanks = " \t\r\n\f\v\u00a0\u3000"
	text = strings.TrimLeft(text, blanks)
	p.text, p.not = strings.CutPrefix(text, "-")
	if quoted, ok := strings.CutPrefix(p.text, `"`); ok {
		p.text, rest, _ = strings.Cut(quoted, `"`)
		rest, p.star = strings.CutPrefix(rest, "*")
		return p, rest
	}
	if end := strings.IndexAny(p.text, blanks+`"`); end >= 0 {
		p.text, rest = p.text[:end], p.text[end:]
	}
	p.star = strings.HasSuffix(p.text, "*")
	p.last = !p.not && strings.Trim(rest, blanks) == ""
	return p, rest
}

// weights are those of the fields of a document: name, description, text.
var weights = [fields]float64{20, 4, 1}

const fields = 3

// text is a field of a document, taken apart.
type searchText struct {
	words  []words.Word
	places map[string][]int // where in words each is
}

func takeApart(text string) *searchText {
	t := &searchText{places: make(map[string][]int)}
	for w := range words.All(text) {
		t.places[w.Text] = append(t.places[w.Text], len(t.words))
		t.words = append(t.words, w)
	}
	return t
}

// find returns where a term begins.
func (t *searchText) find(term driver.SearchTerm) (found []int) {
	first := term.Words[0]
	if len(term.Words) > 1 || !term.Prefix {
		for _, place := range t.places[first] {
			if t.has(term, place) {
				found = append(found, place)
			}
		}
		return found
	}
	for word, places := range t.places {
		if strings.HasPrefix(word, first) {
			found = append(found, places...)
		}
	}
	slices.Sort(found)
	return found
}

// has reports whether a term, whose first word is at a place, is there.
func (t *searchText) has(term driver.SearchTerm, place int) bool {
	if place+len(term.Words) > len(t.words) {
		return false
	}
	for i, want := range term.Words {
		word := t.words[place+i].Text
		if word != want && (!term.Prefix || i < len(term.Words)-1 || !strings.HasPrefix(word, want)) {
			return false
		}
	}
	return true
}

// match is how a document fits a query.
type searchMatch struct {
	rank  float64
	texts [fields]*searchText
	found [fields][]int // terms of q.All by how often they are in a field
}

// matchDocument compares a document with a query; nil if it does not fit.
func matchDocument(q *driver.SearchQuery, d *searchDocument) *searchMatch {
	m := new(searchMatch)
	length := 0
	for f, text := range d.fields {
		m.texts[f] = takeApart(text)
		m.found[f] = make([]int, len(q.All))
		length += len(m.texts[f].words)
	}
	for _, term := range q.None {
		for _, t := range m.texts {
			if len(t.find(term)) > 0 {
				return nil
			}
		}
	}
	for n, term := range q.All {
		var frequency float64
		for f, t := range m.texts {
			m.found[f][n] = len(t.find(term))
			frequency += weights[f] * float64(m.found[f][n])
		}
		if frequency == 0 {
			return nil
		}
		m.rank += saturated(frequency, length)
	}
	return m
}

// saturated is what a term counts: BM25, without how rare the term is, since every
// hit has all of them, and with a guess at the usual length of a document, so that
// it is known without the index.
func saturated(frequency float64, length int) float64 {
	const k, b, usual = 1.2, 0.75, 30
	return frequency * (k + 1) / (frequency + k*(1-b+b*float64(length)/usual))
}

// best returns the field that has most of the terms.
func (m *searchMatch) best() (field int) {
	most := -1
	for f, found := range m.found {
		terms := 0
		for _, n := range found {
			terms += min(n, 1)
		}
		if terms > most {
			field, most = f, terms
		}
	}
	return field
}
