package main

import (
	"fmt"
	"strings"
)

// target is what Nexus wants to reach, and what it has reached.
type target struct {
	what, wanted string
	value        float64
	met          bool
	measured     bool
	detail       string
}

// targets compares Nexus with the limit and with its peers.
func (b *bench) targets() []target {
	list := []target{
		b.overLimit("Get", "reading", getColumn, 2),
		b.overLimit("List of 1,000", "reading", listColumn, 2),
		b.overLimit("Insert, 1,000 in one transaction", "writing", insertManyColumn, 2),
		b.overLimit("Insert, one transaction each, NORMAL", "writing", insertColumn, 1.25),
		b.overLimit("Update, one transaction each, NORMAL", "writing", updateColumn, 1.25),
		b.overLimit("Insert, one transaction each, FULL", "durable", insertColumn, 1.25),
		b.overLimit("Update, one transaction each, FULL", "durable", updateColumn, 1.25),
		b.timesFaster("Get, as Drizzle is written", "reading", getColumn, drizzleName, 3),
		b.timesFaster("List of 1,000, as Drizzle is written", "reading", listColumn, drizzleName, 3),
		b.fasterThanPeers("Get", "reading", getColumn),
		b.fasterThanPeers("List of 1,000", "reading", listColumn),
		b.fasterThanPeers("Load of a project", "reading", loadColumn),
		b.fasterThanPeers("Insert, NORMAL", "writing", insertColumn),
		b.fasterThanPeers("Insert, 1,000 in one transaction", "writing", insertManyColumn),
		b.fasterThanPeers("Update, NORMAL", "writing", updateColumn),
		b.fasterThanPeers("Update, 1,000 in one transaction", "writing", updateManyColumn),
		b.fasterThanPeers("Insert, FULL", "durable", insertColumn),
		b.fasterThanPeers("Update, FULL", "durable", updateColumn),
	}
	for _, n := range writers[1:] {
		for _, what := range []string{"insert", "update"} {
			column := byColumn(what, n)
			list = append(list,
				b.fasterThanPeers(fmt.Sprintf("%s by %d writers, NORMAL", title(what), n), "together-normal", column),
				b.fasterThanPeers(fmt.Sprintf("%s by %d writers, FULL", title(what), n), "together-full", column))
		}
	}
	for _, what := range []string{"insert", "update"} {
		list = append(list, b.durableFasterThanNormal(what))
	}
	for _, n := range workers {
		list = append(list,
			b.fasterThanPeers(fmt.Sprintf("Claim and complete by %d, NORMAL", n), "queue-NORMAL", workersColumn(n)),
			b.fasterThanPeers(fmt.Sprintf("Claim and complete by %d, FULL", n), "queue-FULL", workersColumn(n)))
	}
	for _, size := range b.effort.sizes {
		list = append(list, b.fasterThanPeers("Ready, of "+thousands(size), "ready", thousands(size)))
	}
	list = append(list, b.fasterThanPeers("Open", "open", openColumn))
	return list
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// overLimit compares with the program in C that sends the same statements.
func (b *bench) overLimit(what, grid, column string, most float64) target {
	t := target{what: what + ", over C with the same statements", wanted: fmt.Sprintf("≤ %g×", most)}
	ours, limit, ok := b.both(grid, column, nexusName, limitName)
	if ok {
		t.measured, t.value = true, ours/limit
		t.met = t.value <= most
		t.detail = fmt.Sprintf("%s against %s", digits(ours), digits(limit))
	}
	return t
}

func (b *bench) timesFaster(what, grid, column, peer string, least float64) target {
	t := target{what: what + ", over Nexus", wanted: fmt.Sprintf("≥ %g×", least)}
	ours, theirs, ok := b.both(grid, column, nexusName, peer)
	if ok {
		t.measured, t.value = true, theirs/ours
		t.met = t.value >= least
		t.detail = fmt.Sprintf("%s against %s", digits(theirs), digits(ours))
	}
	return t
}

// fasterThanPeers compares with the fastest peer that is not the limit.
func (b *bench) fasterThanPeers(what, grid, column string) target {
	t := target{what: what + ", fastest peer over Nexus", wanted: "> 1×"}
	ours, ok := b.found(grid).median(nexusName, column)
	peer, best := b.fastestPeer(grid, column)
	if ok && peer != "" {
		t.measured, t.value = true, best/ours
		t.met = t.value > 1
		t.detail = fmt.Sprintf("%s: %s against %s", peer, digits(best), digits(ours))
	}
	return t
}

// durableFasterThanNormal compares Nexus on disk with its peers that do not wait for
// that.
func (b *bench) durableFasterThanNormal(what string) target {
	column := byColumn(what, 32)
	t := target{what: title(what) + " by 32 writers: fastest peer with NORMAL over Nexus with FULL", wanted: "> 1×"}
	ours, ok := b.found("together-full").median(nexusName, column)
	peer, best := b.fastestPeer("together-normal", column)
	if ok && peer != "" {
		t.measured, t.value = true, best/ours
		t.met = t.value > 1
		t.detail = fmt.Sprintf("%s: %s against %s", peer, digits(best), digits(ours))
	}
	return t
}

func (b *bench) both(grid, column, one, other string) (v, w float64, ok bool) {
	v, ok1 := b.found(grid).median(one, column)
	w, ok2 := b.found(grid).median(other, column)
	return v, w, ok1 && ok2
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
