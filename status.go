package nexus

import "slices"

// A machine is a state machine: for each state, the states that may follow it.
// A state that is missing from it belongs to another program; from such a state
// any known one may follow, because Nexus cannot know what it meant.
type machine[S ~string] map[S][]S

func (m machine[S]) known(s S) bool {
	_, ok := m[s]
	return ok
}

func (m machine[S]) allows(from, to S) bool {
	if !m.known(from) {
		return m.known(to)
	}
	return from == to || slices.Contains(m[from], to)
}

// states returns the known states, sorted.
func (m machine[S]) states() []S {
	all := make([]S, 0, len(m))
	for s := range m {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

// next returns the states that may follow s, sorted.
func (m machine[S]) next(s S) []S {
	if !m.known(s) {
		return m.states()
	}
	following := slices.Clone(m[s])
	slices.Sort(following)
	return following
}
