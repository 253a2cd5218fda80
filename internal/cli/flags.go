package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// binder defines flags that set fields. What can be known only with an open
// database, such as which id a prefix means, it does in resolve.
type binder struct {
	app     *app
	flags   *pflag.FlagSet
	pending []func(context.Context, *store.Services) error
	unknown []unknownWord
}

// unknownWord is one that was given to a flag whose words are known.
type unknownWord struct {
	flag, word string
	known      string // a list
}

func (b *binder) resolve(ctx context.Context, db *store.DB) error {
	return b.resolveIn(ctx, &db.Services)
}

func (b *binder) resolveIn(ctx context.Context, db *store.Services) error {
	for _, fn := range b.pending {
		if err := fn(ctx, db); err != nil {
			return err
		}
	}
	for _, u := range b.unknown {
		b.app.note(fmt.Sprintf("--%s %q is none that Nexus knows, which are %s", u.flag, u.word, u.known))
	}
	return nil
}

// kindOf is a type of flag: its name in the help, and how its text is read.
type kindOf[T any] struct {
	name  string
	parse func(*app, string) (T, error)
}

// value is a flag of pflag that calls set with what it is given.
type value[T any] struct {
	app  *app
	kind kindOf[T]
	set  func(T)
	text string
}

func (v *value[T]) String() string { return v.text }
func (v *value[T]) Type() string   { return v.kind.name }

func (v *value[T]) Set(text string) error {
	parsed, err := v.kind.parse(v.app, text)
	if err != nil {
		return err
	}
	v.text = text
	v.set(parsed)
	return nil
}

// flag defines a flag that calls set.
func flag[T any](b *binder, name, usage string, kind kindOf[T], set func(T)) {
	v := &value[T]{app: b.app, kind: kind, set: set}
	f := b.flags.VarPF(v, name, "", usage)
	if kind.name == "bool" {
		f.NoOptDefVal = "true"
	}
}

// plainFlagError says what is wrong with the value of a flag of pflag's own types
// as ours do, not in the words of Go's parsers.
func plainFlagError(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	reason := ""
	switch invalid.GetFlag().Value.Type() {
	case "int", "int64":
		reason = "not a whole number"
	case "duration":
		reason = "not a duration such as 90s, 15m or 1h30m"
	default:
		return err
	}
	return fmt.Errorf("invalid argument %q for %q flag: %s", invalid.GetValue(), "--"+invalid.GetFlag().Name, reason)
}

// The types of flags.

func texts[S ~string]() kindOf[S] {
	return kindOf[S]{"text", func(a *app, s string) (S, error) {
		if s != "-" {
			return S(s), nil
		}
		text, err := a.readFile("-")
		return S(strings.TrimSuffix(string(text), "\n")), err
	}}
}

func words[S ~string]() kindOf[S] {
	return kindOf[S]{"word", func(_ *app, s string) (S, error) { return S(s), nil }}
}

func numbers[I ~int | ~int64]() kindOf[I] {
	return kindOf[I]{"number", func(_ *app, s string) (I, error) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, errors.New("not a whole number")
		}
		return I(n), nil
	}}
}

// folders are paths, which become absolute ones.
var folders = kindOf[string]{"folder", func(a *app, s string) (string, error) {
	if s == "" {
		return "", nil // which is refused, or means the default
	}
	return filepath.Abs(s)
}}

// filled is a text that is not empty. Where a flag without a text would mean what no flag
// means, a script whose variable is not set would do something else than it says.
type filled string

func (f *filled) String() string { return string(*f) }
func (f *filled) Type() string   { return "text" }

func (f *filled) Set(text string) error {
	if text == "" {
		return errEmpty
	}
	*f = filled(text)
	return nil
}

// positions are numbers of changes.
var positions = kindOf[int64]{"number", func(a *app, s string) (int64, error) {
	n, err := numbers[int64]().parse(a, s)
	if err == nil && n < 1 {
		err = errors.New("they count from 1")
	}
	return n, err
}}

var decimals = kindOf[float64]{"number", func(_ *app, s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, errors.New("not a number")
	}
	return f, nil
}}

var bools = kindOf[bool]{"bool", func(_ *app, s string) (bool, error) {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, errors.New("neither true nor false")
	}
	return b, nil
}}

var times = kindOf[time.Time]{"time", func(a *app, s string) (time.Time, error) {
	switch s {
	case "":
		return time.Time{}, nil
	case "now":
		return a.Now().UTC().Truncate(time.Second), nil
	}
	if t, _, err := nexus.ParseTime(s); err == nil {
		return t, nil
	}
	return time.Time{}, errors.New("not a time such as 2026-01-31T12:00:00Z, 2026-01-31 or now")
}}

// pasts are times, or how long ago they were.
var pasts = kindOf[time.Time]{"time", func(a *app, s string) (time.Time, error) {
	if ago, err := nexus.ParseLength(s); err == nil {
		return a.Now().UTC().Add(-ago).Truncate(time.Second), nil
	}
	t, err := times.parse(a, s)
	if err != nil {
		err = fmt.Errorf("%w, nor how long ago, such as 36h or 7d", err)
	}
	return t, err
}}

var documents = kindOf[nexus.JSON]{"json", func(a *app, s string) (nexus.JSON, error) {
	text, err := texts[string]().parse(a, s)
	if err == nil && text != "" && !json.Valid([]byte(text)) {
		err = errors.New("not valid JSON")
	}
	return nexus.JSON(text), err
}}

// lists are words with commas between them.
func lists[S ~string]() kindOf[[]S] {
	return kindOf[[]S]{"words", func(_ *app, s string) ([]S, error) {
		list := []S{}
		for word := range strings.SplitSeq(s, ",") {
			if word = strings.TrimSpace(word); word != "" {
				list = append(list, S(word))
			}
		}
		return list, nil
	}}
}

// choice is a word by which something is chosen, and choices are several: none would choose
// everything, which nobody means who gives the flag.
func choice[S ~string]() kindOf[S] { return notEmpty(words[S](), func(s S) bool { return s != "" }) }

func choices[S ~string]() kindOf[[]S] {
	return notEmpty(lists[S](), func(list []S) bool { return len(list) > 0 })
}

// known defines a flag for choices among words that are known. Other programs may store
// others, so one of these is noted, not refused: to find nothing would be taken for an
// answer.
func known[S ~string](b *binder, name, usage string, words []S, set func([]S)) {
	flag(b, name, usage, choices[S](), func(given []S) {
		set(given)
		noteUnknown(b, name, given, words)
	})
}

// knownOne is known for one choice.
func knownOne[S ~string](b *binder, name, usage string, words []S, set func(S)) {
	flag(b, name, usage, choice[S](), func(given S) {
		set(given)
		noteUnknown(b, name, []S{given}, words)
	})
}

func noteUnknown[S ~string](b *binder, name string, given, words []S) {
	b.unknown = slices.DeleteFunc(b.unknown, func(u unknownWord) bool { return u.flag == name }) // given twice
	for _, word := range given {
		if !slices.Contains(words, word) {
			b.unknown = append(b.unknown, unknownWord{name, string(word), join(words)})
		}
	}
}

func join[S ~string](words []S) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ")
}

func notEmpty[T any](k kindOf[T], ok func(T) bool) kindOf[T] {
	return kindOf[T]{k.name, func(a *app, s string) (T, error) {
		v, err := k.parse(a, s)
		if err == nil && !ok(v) {
			err = errEmpty
		}
		return v, err
	}}
}

var errEmpty = errors.New("it cannot be empty")

// reference defines a flag that holds the beginning of an id. An id that does
// not exist stays as it is; the store says what is wrong with it.
func reference(b *binder, name, usage string, kind nexus.Kind, set func(string)) {
	b.reference(name, usage, kind, words[string](), set)
}

// chosen is a reference by which something is chosen; see choice.
func chosen(b *binder, name, usage string, kind nexus.Kind, set func(string)) {
	b.reference(name, usage, kind, choice[string](), set)
}

func (b *binder) reference(name, usage string, kind nexus.Kind, k kindOf[string], set func(string)) {
	flag(b, name, usage, kindOf[string]{"id", k.parse}, func(prefix string) {
		b.pending = append(b.pending, func(ctx context.Context, db *store.Services) error {
			id, err := complete(ctx, db, kind, prefix)
			set(id)
			return err
		})
	})
}

// existing is a reference to what must exist: a filter by what does not would
// choose nothing, and nobody would notice the slip.
func existing(b *binder, name, usage string, kind nexus.Kind, set func(string)) {
	flag(b, name, usage, kindOf[string]{"id", choice[string]().parse}, func(prefix string) {
		b.pending = append(b.pending, func(ctx context.Context, db *store.Services) error {
			id, err := resolverOf(db, kind)(ctx, prefix)
			set(id)
			return err
		})
	})
}

// references defines a flag that holds several.
func references(b *binder, name, usage string, kind nexus.Kind, set func([]string)) {
	flag(b, name, usage, kindOf[[]string]{"ids", lists[string]().parse}, func(prefixes []string) {
		b.pending = append(b.pending, func(ctx context.Context, db *store.Services) (err error) {
			for i, prefix := range prefixes {
				if prefixes[i], err = complete(ctx, db, kind, prefix); err != nil {
					return err
				}
			}
			set(prefixes)
			return nil
		})
	})
}

// complete returns the id that begins with prefix, or prefix if there is none.
func complete(ctx context.Context, db *store.Services, kind nexus.Kind, prefix string) (string, error) {
	if prefix == "" {
		return "", nil
	}
	id, err := resolverOf(db, kind)(ctx, prefix)
	if nexus.CodeOf(err) == nexus.CodeNotFound {
		return prefix, nil
	}
	return id, err
}

func resolverOf(db *store.Services, kind nexus.Kind) func(context.Context, string) (string, error) {
	switch kind {
	case nexus.KindProject:
		return db.Projects.Resolve
	case nexus.KindFeature:
		return db.Features.Resolve
	case nexus.KindSubFeature:
		return db.SubFeatures.Resolve
	case nexus.KindTask:
		return db.Tasks.Resolve
	case nexus.KindAgent:
		return db.Agents.Resolve
	default:
		panic(fmt.Sprintf("no flag refers to a %s", kind))
	}
}
