package main

import (
	"time"

	"github.com/seed-c8812374/nexus/bench/peer"
)

const openColumn = "open, get, close, ms"

// opening measures opening an up-to-date file in a process that runs already.
func (b *bench) opening() error {
	g := b.grid("open", "Open", "Open a file of 1,000 tasks, read one of them, and close it, in a process that runs already. Nexus "+
		"checks which migrations have run.")
	programs, err := b.startAll(b.onTables(), peer.Tasks, "FULL")
	if err != nil {
		return err
	}
	if err := b.turns(g, work{column: openColumn, command: "reopen", n: 10, unit: time.Millisecond}, programs); err != nil {
		return err
	}
	return stopAll(programs)
}
