package main

import (
	"fmt"
	"strings"
)

// target is what Nexus wants to reach beside another, and what it has reached.
type target struct {
	what, wanted    string
	median, least   float64 // the ratio of the medians, and of the least of all turns
	met, measured   bool
	against, beside string // the other, and the two medians
}

// side is one side of a comparison: a cell of a grid.
type side struct{ grid, row, column string }

// ratio compares two cells: how many times the first is the second.
func (b *bench) ratio(t target, over, under side, met func(ratio float64) bool) target {
	m1, ok1 := b.found(over.grid).quantile(over.row, over.column, 0.5)
	m2, ok2 := b.found(under.grid).quantile(under.row, under.column, 0.5)
	if !ok1 || !ok2 {
		return t
	}
	l1, _ := b.found(over.grid).quantile(over.row, over.column, 0)
	l2, _ := b.found(under.grid).quantile(under.row, under.column, 0)
	t.measured, t.median, t.least = true, m1/m2, l1/l2
	t.met = met(t.median)
	t.beside = fmt.Sprintf("%s against %s", digits(m1), digits(m2))
	return t
}

// targets compares Nexus with the limit and with its peers.
func (b *bench) targets() []target {
	list := []target{
		b.overLimit("Get", "reading", getColumn, 2),
		b.overLimit("List of 1,000", "reading", listColumn, 2),
		b.overLimit("Insert, 1,000 in one transaction", "writing", insertManyColumn, 2),
		b.overLimit("Insert, NORMAL", "writing", insertColumn, 1.25),
		b.overLimit("Update, NORMAL", "writing", updateColumn, 1.25),
		b.overLimit("Insert, FULL", "durable", insertColumn, 1.25),
		b.overLimit("Update, FULL", "durable", updateColumn, 1.25),
		b.timesFaster("Get", "reading", getColumn, drizzleName, 3),
		b.timesFaster("List of 1,000", "reading", listColumn, drizzleName, 3),
		b.fasterThanPeers("Get", "reading", getColumn),
		b.fasterThanPeers("List of 1,000", "reading", listColumn),
		b.fasterThanPeers("Load of a project", "reading", loadColumn),
		b.fasterThanPeers("Open", "open", openColumn),
		b.fasterThanPeers("Insert, NORMAL", "writing", insertColumn),
		b.fasterThanPeers("Insert, 1,000 in one transaction", "writing", insertManyColumn),
		b.fasterThanPeers("Update, NORMAL", "writing", updateColumn),
		b.fasterThanPeers("Update, 1,000 in one transaction", "writing", updateManyColumn),
		b.fasterThanPeers("Insert, FULL", "durable", insertColumn),
		b.fasterThanPeers("Update, FULL", "durable", updateColumn),
	}
	// A restore is not the work of its peers, who close the database and verify nothing.
	list = append(list, b.fasterThanPeers("Checkpoint", "keeping", checkpointColumn))
	for _, what := range []string{"insert", "update"} {
		for _, n := range writers[1:] {
			column, name := byColumn(what, n), fmt.Sprintf("%s%s by %d writers", strings.ToUpper(what[:1]), what[1:], n)
			list = append(list,
				b.fasterThanPeers(name+", NORMAL", "together-normal", column),
				b.fasterThanPeers(name+", FULL", "together-full", column))
			if n == 32 {
				list = append(list, b.fasterThan(name+", FULL against their NORMAL",
					side{"together-full", nexusName, column}, side{grid: "together-normal", column: column}))
			}
		}
	}
	for _, n := range workers {
		list = append(list,
			b.fasterThanPeers(fmt.Sprintf("Claim and complete by %d, NORMAL", n), "queue-NORMAL", workersColumn(n)),
			b.fasterThanPeers(fmt.Sprintf("Claim and complete by %d, FULL", n), "queue-FULL", workersColumn(n)))
	}
	for _, size := range b.effort.sizes {
		list = append(list, b.fasterThanPeers("Ready, of "+thousands(size), "ready", thousands(size)))
	}
	return list
}

// overLimit compares with the program in C that sends the same statements.
func (b *bench) overLimit(what, grid, column string, most float64) target {
	t := target{what: what, wanted: fmt.Sprintf("≤ %g×", most), against: limitName}
	return b.ratio(t, side{grid, nexusName, column}, side{grid, limitName, column},
		func(ratio float64) bool { return ratio <= most })
}

func (b *bench) timesFaster(what, grid, column, peer string, least float64) target {
	t := target{what: what, wanted: fmt.Sprintf("≥ %g×", least), against: peer}
	return b.ratio(t, side{grid, peer, column}, side{grid, nexusName, column},
		func(ratio float64) bool { return ratio >= least })
}

// fasterThanPeers compares with the fastest peer at the same durability.
func (b *bench) fasterThanPeers(what, grid, column string) target {
	return b.fasterThan(what, side{grid, nexusName, column}, side{grid: grid, column: column})
}

// fasterThan compares with the fastest peer in a column.
func (b *bench) fasterThan(what string, ours, theirs side) target {
	theirs.row, _ = b.fastestPeer(theirs.grid, theirs.column)
	t := target{what: what, wanted: "> 1×", against: theirs.row}
	return b.ratio(t, theirs, ours, func(ratio float64) bool { return ratio > 1 })
}

// found is the grid with a name, or an empty one if that kind of work was left out.
func (b *bench) found(name string) *grid {
	for _, g := range b.grids {
		if g.name == name {
			return g
		}
	}
	return &grid{}
}
