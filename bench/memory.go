package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/seed-c8812374/nexus/bench/peer"
)

// memory measures the most memory that a process had in it while it did a piece of
// work.
func (b *bench) memory() error {
	all := b.effort.allRows
	few := fmt.Sprintf("iterate %s rows", thousands(10_000))
	many := fmt.Sprintf("iterate %s rows", thousands(all))
	g := b.grid("memory", "Memory, MB", "The most that a process had in memory while it opened a file and read 1,000 tasks one by one; while "+
		"it then listed 1,000 twenty times; and, in a new process each, while it went through all rows of a small and a large "+
		"table one by one. Drizzle on better-sqlite3 has no way to do the last.")
	for _, piece := range []struct {
		column, command string
		n, tasks        int
	}{
		{"get 1,000", "get", 1000, peer.Tasks},
		{"list 1,000, 20 times", "list", 20, peer.Tasks},
		{few, "each", 1, 10_000},
		{many, "each", 1, all},
	} {
		if err := b.fill(piece.tasks); err != nil {
			return err
		}
		for _, c := range b.onTables() {
			peak, err := b.peak(c, piece.command, piece.n, piece.tasks)
			switch {
			case errors.Is(err, errCannot):
				g.say(c.name, piece.column, "cannot")
			case err != nil:
				return err
			default:
				g.add(c.name, piece.column, float64(peak)/1e6)
			}
		}
	}
	return nil
}

// peak is the most memory, in bytes, that a new process of a contender had.
func (b *bench) peak(c contender, command string, n, tasks int) (peak int64, err error) {
	p, err := b.start(c)
	if err != nil {
		return 0, err
	}
	err = b.open(p, b.template(c.schema, tasks), "NORMAL")
	if err == nil {
		_, err = p.do(command, n, 1)
	}
	if err == nil {
		peak, err = mostResident(p.process.Process.Pid)
	}
	return peak, errors.Join(err, p.stop())
}

// mostResident is the most memory that a process has had, in bytes, as Linux says.
func mostResident(pid int) (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kib * 1024, err
		}
	}
	return 0, errors.New("/proc does not say how much memory a process has had")
}
