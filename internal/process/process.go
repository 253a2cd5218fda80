// Package process names processes of the operating system in a way that outlives
// them: whoever reads the name later, in another process, can tell whether its
// owner is gone.
//
// It is for taking work back from a worker that was killed, before its lease is
// over. So being wrong in one direction is harmless (the lease ends anyway), and
// in the other it gives a task to two at once: whatever is not certain counts as
// alive.
package process

import (
	"fmt"
	"strconv"
	"strings"
)

// Self returns the name of this process, or "" where processes cannot be named.
func Self() string {
	here, ok := surroundings()
	if !ok {
		return ""
	}
	pid, ok := self()
	if !ok {
		return ""
	}
	found := look(pid)
	if found.what != running {
		return ""
	}
	return name{here, pid, found.start}.String()
}

// Gone reports whether the process that Self has named id is certainly not there
// any more. It is false also for what is no name.
func Gone(id string) bool {
	n, ok := parse(id)
	if !ok {
		return false
	}
	here, ok := surroundings()
	if !ok {
		return false
	}
	// In a namespace whose /proc is another's, pids mean something else there.
	if _, ok := self(); !ok {
		return false
	}
	return n.gone(here, look)
}

// place is where a pid has its meaning.
type place struct {
	machine string // its id and name, hashed
	boot    string // another each time the machine starts
	space   string // the namespaces that pids and start times depend on
	first   bool   // the namespaces are those that the machine started with
}

// name is a process and when it was started: its pid may be given to another.
type name struct {
	place
	pid   int
	start uint64 // in clock ticks since the machine started
}

// sighting is what there is to see of a pid.
type sighting struct {
	what  state
	start uint64 // if running
}

type state int

const (
	unclear state = iota // cannot be seen, or is ending
	running
	absent // there is none, or only what is left until its parent has asked for its end
)

func (n name) gone(here place, look func(pid int) sighting) bool {
	if n.machine != here.machine {
		return false
	}
	if n.boot != here.boot {
		// A container has its machine's id and name from an image, so the same may
		// be running on two machines.
		return n.first && here.first
	}
	if n.space != here.space {
		return false
	}
	switch found := look(n.pid); found.what {
	case absent:
		return true
	case running:
		return found.start != n.start
	default:
		return false
	}
}

// version begins a name, so that its form can change.
const version = "linux1"

func (n name) String() string {
	return strings.Join([]string{
		version, n.machine, n.boot, n.space, strconv.FormatBool(n.first),
		strconv.Itoa(n.pid), strconv.FormatUint(n.start, 10),
	}, ":")
}

func parse(id string) (n name, ok bool) {
	parts := strings.Split(id, ":")
	if len(parts) != 7 || parts[0] != version || parts[1] == "" || parts[2] == "" || parts[3] == "" {
		return name{}, false
	}
	n.machine, n.boot, n.space = parts[1], parts[2], parts[3]
	var err [3]error
	n.first, err[0] = strconv.ParseBool(parts[4])
	n.pid, err[1] = strconv.Atoi(parts[5])
	n.start, err[2] = strconv.ParseUint(parts[6], 10, 64)
	if err != [3]error{} || n.pid <= 0 || n.String() != id {
		return name{}, false
	}
	return n, true
}

// stat reads what /proc/PID/stat says. The second field is the program's name in
// parentheses, which may contain anything, parentheses and line ends too.
func stat(text string) (sighting, error) {
	end := strings.LastIndexByte(text, ')')
	if end < 0 {
		return sighting{}, fmt.Errorf("%q has no name", text)
	}
	fields := strings.Fields(text[end+1:]) // the first of these is the third of all
	const (
		fieldState   = 0
		fieldThreads = 20 - 3
		fieldStart   = 22 - 3
	)
	if len(fields) <= fieldStart {
		return sighting{}, fmt.Errorf("%q has too few fields", text)
	}
	start, err := strconv.ParseUint(fields[fieldStart], 10, 64)
	if err != nil {
		return sighting{}, err
	}
	threads, err := strconv.Atoi(fields[fieldThreads])
	if err != nil {
		return sighting{}, err
	}
	switch fields[fieldState] {
	case "Z", "X", "x":
		// A program whose first thread has ended looks like this too.
		if threads > 1 {
			return sighting{what: unclear}, nil
		}
		return sighting{what: absent}, nil
	}
	return sighting{what: running, start: start}, nil
}
