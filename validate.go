package nexus

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits on what Nexus writes. What other programs wrote may be longer.
const (
	MaxID   = 255      // bytes of an id or plan key
	MaxText = 16 << 20 // bytes of any other text
)

// lastTime is the last moment that RFC 3339 can express.
var lastTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// A checker collects what is wrong with an entity.
type checker struct {
	problems []Problem
	values   []any // what each problem is about
}

func (c *checker) add(field string, value any, format string, args ...any) {
	c.problems = append(c.problems, Problem{Field: field, Message: fmt.Sprintf(format, args...)})
	c.values = append(c.values, value)
}

func (c *checker) id(field, value string) {
	switch {
	case value == "":
		c.add(field, value, "is required")
	default:
		c.optionalID(field, value)
	}
}

func (c *checker) optionalID(field, value string) {
	switch {
	case len(value) > MaxID:
		c.add(field, value, "is %d bytes long; the limit is %d", len(value), MaxID)
	case !utf8.ValidString(value):
		c.add(field, value, "is not valid UTF-8")
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		c.add(field, value, "contains a control character")
	}
}

func (c *checker) text(field, value string) {
	switch {
	case len(value) > MaxText:
		c.add(field, value, "is %.1f MB long; the limit is %.1f MB", float64(len(value))/1e6, float64(MaxText)/1e6)
	case !utf8.ValidString(value):
		c.add(field, value, "is not valid UTF-8")
	case strings.Contains(value, "\x00"):
		c.add(field, value, "contains a NUL character")
	}
}

func (c *checker) required(field, value string) {
	if strings.TrimSpace(value) == "" {
		c.add(field, value, "is required")
		return
	}
	c.text(field, value)
}

func (c *checker) json(field string, value JSON) {
	c.text(field, string(value))
	if value != "" && !value.Valid() {
		c.add(field, value, "is not valid JSON")
	}
}

func (c *checker) ids(field string, ids []string) {
	seen := make(map[string]bool, len(ids))
	for i, id := range ids {
		found := len(c.problems)
		if c.id(field, id); len(c.problems) > found {
			c.problems[found].Field = fmt.Sprintf("%s[%d]", field, i)
		}
		if seen[id] {
			c.add(field, strings.Join(ids, " "), "names %s twice", quote(id))
		}
		seen[id] = true
	}
}

func (c *checker) texts(field string, values []string) {
	for i, value := range values {
		c.text(fmt.Sprintf("%s[%d]", field, i), value)
	}
}

func (c *checker) atLeastZero(field string, value int) {
	if value < 0 {
		c.add(field, value, "is %d; it cannot be negative", value)
	}
}

// budget checks what may be used of tokens and US dollars.
func (c *checker) budget(tokens int64, usd float64) {
	if tokens < 0 {
		c.add("budget_tokens", tokens, "is %d; it cannot be negative", tokens)
	}
	c.finite("budget_usd", usd)
	if usd < 0 && !math.IsInf(usd, 0) {
		c.add("budget_usd", usd, "is %v; it cannot be negative", usd)
	}
}

func (c *checker) finite(field string, value float64) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		c.add(field, value, "is %v; it must be a finite number", value)
	}
}

func (c *checker) requiredTime(field string, value time.Time) {
	if value.IsZero() {
		c.add(field, value, "is required")
		return
	}
	c.time(field, value)
}

func (c *checker) time(field string, value time.Time) {
	if value.After(lastTime) || value.Year() < 0 {
		c.add(field, value, "is outside the years 0 to 9999")
	}
}

// oneOf checks a closed vocabulary.
func oneOf[S ~string](c *checker, field string, value S, vocabulary []S) {
	if !slices.Contains(vocabulary, value) {
		c.add(field, value, "is %s; it must be one of %s", quote(string(value)), list(vocabulary))
	}
}

// stateOf checks the state of a machine.
func stateOf[S ~string](c *checker, field string, value S, m machine[S]) {
	if !m.known(value) { // only then are the states worth sorting
		oneOf(c, field, value, m.states())
	}
}

// invalid returns the error for all that the checker found, or nil.
func (c *checker) invalid(kind Kind, id string) error {
	if len(c.problems) == 0 {
		return nil
	}
	return &Error{Code: CodeInvalid, Kind: kind, ID: id, Problems: c.problems}
}

// invalidSince is like invalid, but leaves out what was wrong before as well:
// another program's value in a field that nobody touched. before is called only
// if there is anything to leave out.
func (c *checker) invalidSince(before func() *checker, kind Kind, id string) error {
	if len(c.problems) == 0 {
		return nil
	}
	was, fresh := before(), checker{}
	for i, p := range c.problems {
		j := slices.Index(was.problems, p)
		if j < 0 || was.values[j] != c.values[i] {
			fresh.problems = append(fresh.problems, p)
		}
	}
	return fresh.invalid(kind, id)
}

// transition checks a step of a state machine.
func transition[S ~string](m machine[S], kind Kind, id string, from, to S) error {
	if from == to || m.allows(from, to) {
		return nil
	}
	err := &Error{
		Code: CodeTransition, Kind: kind, ID: id,
		Message: fmt.Sprintf("status cannot go from %s to %s", from, to),
		Hint:    fmt.Sprintf("%s is final", from),
	}
	if next := m.next(from); len(next) > 0 {
		err.Hint = fmt.Sprintf("from %s it can become %s", from, list(next))
	}
	return err
}

func list[S ~string](values []S) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

// quote shows a hostile or very long value on one short line.
func quote(s string) string {
	const most = 60
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}

// set stores the value behind p in dst, unless p is nil.
func set[T any](dst, p *T) {
	if p != nil {
		*dst = *p
	}
}

// setDefault stores value in dst if dst holds its zero.
func setDefault[T comparable](dst *T, value T) {
	var zero T
	if *dst == zero {
		*dst = value
	}
}

// seconds is t as the database keeps it.
func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
