package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/seed-c8812374/nexus/bench/peer"
)

// size measures how large a file is after many updates.
func (b *bench) size() error {
	g := b.grid("size", fmt.Sprintf("Size after %s updates, MB", thousands(b.effort.updates)),
		"Updates of the 1,000 tasks, one transaction each, synchronous=NORMAL. The log is what the file system has to keep until "+
			"the last program closes the file.")
	programs, err := b.startAll(b.onTables(), peer.Tasks, "NORMAL")
	if err != nil {
		return err
	}
	for i, p := range programs {
		path := b.file(fileName(i) + ".db")
		before, err := os.Stat(path)
		if err != nil {
			return err
		}
		if _, err := p.do("update", b.effort.updates, 1); err != nil {
			return err
		}
		log, err := os.Stat(path + "-wal")
		if err == nil {
			err = p.stop()
		}
		after, statErr := os.Stat(path)
		if err := errors.Join(err, statErr); err != nil {
			return err
		}
		g.add(p.name, "before", float64(before.Size())/1e6)
		g.add(p.name, "after", float64(after.Size())/1e6)
		g.add(p.name, "log, while open", float64(log.Size())/1e6)
	}
	return b.sameTasks(programs)
}
