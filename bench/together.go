package main

import (
	"fmt"

	"github.com/seed-c8812374/nexus/bench/peer"
)

// writers is how many write at the same time.
var writers = []int{1, 8, 32, 128}

func byColumn(what string, writers int) string { return fmt.Sprintf("%s by %d, µs", what, writers) }

// together measures many writers of one process, each of whom waits for its own
// transaction.
func (b *bench) together() error {
	const about = "Time divided by operations, so a smaller figure is a higher rate. Programs in Go have so many " +
		"goroutines; in JavaScript and C the writers take turns on one thread. All but Nexus have one connection that writes, " +
		"because with more they are told that the database is locked."
	for _, s := range []struct {
		name, synchronous, text string
		n, rounds               int
	}{
		{"together-normal", "NORMAL", about, 256, 5},
		{"together-full", "FULL", "The same, each on disk before it is acknowledged.", 128, 5},
	} {
		g := b.grid(s.name, "Many writers of one process, synchronous="+s.synchronous, s.text)
		programs, err := b.startAll(b.onTables(), peer.Tasks, s.synchronous)
		if err != nil {
			return err
		}
		for _, what := range []string{"insert", "update"} {
			for _, n := range writers {
				w := work{column: byColumn(what, n), command: what, n: s.n, writers: n, rounds: s.rounds}
				if err := b.turns(g, w, programs); err != nil {
					return err
				}
			}
		}
		if err := stopAll(programs); err != nil {
			return err
		}
		if err := b.sameTasks(programs); err != nil {
			return err
		}
	}
	return nil
}
