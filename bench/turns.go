package main

import (
	"cmp"
	"errors"
	"time"
)

// work is a piece of work that contenders have turns at.
type work struct {
	column  string // of the grid
	command string
	n       int           // operations in a turn
	fixed   bool          // so many however little is measured
	rows    int           // that an operation returns, if the figure is for one of these
	writers int           // at the same time; 0 is 1
	unit    time.Duration // of the figure; 0 is a microsecond
	rounds  int           // at most; 0 is no limit
}

// settling is a pause after a turn at writing, in which whoever copies its log in
// the background can finish at its own cost.
const settling = 20 * time.Millisecond

// turns has programs do a piece of work, one after the other, again and again, and
// adds what an operation took. Each round another begins. The first round does not
// count.
func (b *bench) turns(g *grid, w work, programs []*program) error {
	n := w.n
	if !w.fixed {
		n = b.effort.of(n)
	}
	rounds := b.effort.rounds
	if w.rounds > 0 {
		rounds = min(rounds, w.rounds)
	}
	unit := float64(cmp.Or(w.unit, time.Microsecond)) * float64(n) * float64(max(w.rows, 1))
	for _, p := range programs {
		g.at(p.name, w.column) // in this order
	}
	able := make([]bool, len(programs))
	for round := range rounds + 1 {
		for i := range programs {
			k := (i + round) % len(programs)
			if round > 0 && !able[k] {
				continue
			}
			took, err := programs[k].do(w.command, n, max(w.writers, 1))
			switch able[k] = err == nil; {
			case errors.Is(err, errCannot):
				g.say(programs[k].name, w.column, "cannot")
			case err != nil:
				return err
			case round > 0:
				g.add(programs[k].name, w.column, float64(took)/unit)
			}
			time.Sleep(settling)
		}
	}
	return nil
}
