package process

import (
	"strings"
	"testing"
)

// here is where the tests of this file are, and other is the process that they
// ask about.
var (
	here  = place{machine: "m1", boot: "b1", space: "4026531836.1", first: true}
	other = name{here, 42, 1000}
)

func TestGone(t *testing.T) {
	t.Parallel()
	for title, test := range map[string]struct {
		change func(*name)
		here   place
		seen   sighting
		want   bool
	}{
		"it runs":                             {seen: sighting{running, 1000}},
		"it is not there":                     {seen: sighting{what: absent}, want: true},
		"another has its pid":                 {seen: sighting{running, 2000}, want: true},
		"it cannot be seen":                   {seen: sighting{what: unclear}},
		"the machine has started anew":        {change: func(n *name) { n.boot = "b0" }, seen: sighting{running, 1000}, want: true},
		"the same image on another machine":   {change: func(n *name) { n.boot, n.first = "b0", false }},
		"we are in a container":               {change: func(n *name) { n.boot = "b0" }, here: place{"m1", "b1", "9.1", false}},
		"on another machine":                  {change: func(n *name) { n.machine = "m2" }, seen: sighting{what: absent}},
		"on another machine, of another boot": {change: func(n *name) { n.machine, n.boot = "m2", "b2" }},
		"in another namespace":                {change: func(n *name) { n.space, n.first = "9.1", false }, seen: sighting{what: absent}},
		"we are in another namespace":         {here: place{"m1", "b1", "9.1", false}, seen: sighting{what: absent}},
		"in a namespace like ours":            {change: func(n *name) { n.space, n.first = "9.1", false }, here: place{"m1", "b1", "9.1", false}, seen: sighting{what: absent}, want: true},
	} {
		n, at := other, test.here
		if test.change != nil {
			test.change(&n)
		}
		if at == (place{}) {
			at = here
		}
		looked := 0
		got := n.gone(at, func(pid int) sighting {
			looked = pid
			return test.seen
		})
		if got != test.want {
			t.Errorf("%s: gone is %v", title, got)
		}
		if looked != 0 && looked != 42 {
			t.Errorf("%s: looked for %d", title, looked)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	id := other.String()
	if n, ok := parse(id); !ok || n != other {
		t.Errorf("%q is read as %+v", id, n)
	}
	if strings.ContainsAny(id, " \n") {
		t.Errorf("%q is not one word", id)
	}
	for _, bad := range []string{
		"", "x", ":::::: ", id + ":1", id + " ", strings.Replace(id, version, "linux2", 1),
		strings.Replace(id, "m1", "", 1), strings.Replace(id, "b1", "", 1),
		strings.Replace(id, ":42:", ":0:", 1), strings.Replace(id, ":42:", ":-42:", 1), strings.Replace(id, ":42:", ":042:", 1),
		strings.Replace(id, ":1000", ":-1", 1), strings.Replace(id, ":1000", ":99999999999999999999", 1),
		strings.Replace(id, "true", "maybe", 1), strings.Replace(id, "true", "1", 1),
	} {
		if n, ok := parse(bad); ok {
			t.Errorf("%q is read as %+v", bad, n)
		}
		if Gone(bad) {
			t.Errorf("%q is gone", bad)
		}
	}
}

// The lines are what Linux prints; only the name and the state differ.
func TestStat(t *testing.T) {
	t.Parallel()
	line := func(name, state, threads string) string {
		return "42 (" + name + ") " + state + " 1 42 42 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 " + threads + " 0 254570 3133440 394 18446744073709551615 1 1 0\n"
	}
	for _, test := range []struct {
		text string
		want sighting
	}{
		{line("cat", "R", "1"), sighting{running, 254570}},
		{line("two words", "S", "8"), sighting{running, 254570}},
		{line("a) S 1 (b", "D", "1"), sighting{running, 254570}},
		{line(") Z 1 2 3", "T", "1"), sighting{running, 254570}},
		{line("new\nline)", "R", "1"), sighting{running, 254570}},
		{line("cat", "Z", "1"), sighting{what: absent}},
		{line("cat", "X", "1"), sighting{what: absent}},
		{line("its first thread has ended", "Z", "3"), sighting{what: unclear}},
	} {
		if got, err := stat(test.text); err != nil || got != test.want {
			t.Errorf("%q: %+v, %v, want %+v", test.text, got, err, test.want)
		}
	}
	for _, bad := range []string{
		"", "42", "42 (cat", "42 (cat)", "42 (cat) R 1 42",
		strings.Replace(line("cat", "R", "1"), "254570", "soon", 1), line("cat", "R", "many"),
	} {
		if got, err := stat(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func FuzzGone(f *testing.F) {
	f.Add(other.String())
	f.Add(Self())
	f.Fuzz(func(t *testing.T, id string) {
		n, ok := parse(id)
		if ok && n.String() != id {
			t.Errorf("%q is read as %q", id, n)
		}
		if !ok && Gone(id) {
			t.Errorf("%q is gone", id)
		}
	})
}
