package main

import (
	"time"

	"github.com/seed-c8812374/nexus/bench/peer"
)

// The columns of reading and writing.
const (
	getColumn        = "get, µs"
	listColumn       = "list 1,000, µs a row"
	loadColumn       = "load project, ms"
	insertColumn     = "insert, µs"
	insertManyColumn = "insert 1,000 in one transaction, µs each"
	updateColumn     = "update, µs"
	updateManyColumn = "update 1,000 in one transaction, µs each"
)

// tables measures reading and writing on the nine tables by one user.
func (b *bench) tables() error {
	reading := b.grid("reading", "Reading", "Get reads one task by its id; list reads the project's 1,000 tasks; load reads a "+
		"project with its 100 features, 1,000 tasks and five other relations, which are empty.")
	writing := b.grid("writing", "Writing, synchronous=NORMAL", "One task, in a transaction of its own or one of a thousand "+
		"in one. An update changes two columns of a task chosen without order; Nexus reads the row before, checks the step, and "+
		"writes under the condition that nobody else has changed it meanwhile.")
	durable := b.grid("durable", "Writing, synchronous=FULL", "The same, each on disk before it is acknowledged: what Nexus does unless it is told otherwise.")

	programs, err := b.startAll(b.onTables(), peer.Tasks, "NORMAL")
	if err != nil {
		return err
	}
	for _, of := range []struct {
		grid *grid
		work []work
	}{
		{reading, []work{
			{column: getColumn, command: "get", n: 2000},
			{column: listColumn, command: "list", n: 10, rows: peer.Tasks},
			{column: loadColumn, command: "load", n: 10, unit: time.Millisecond},
		}},
		{writing, []work{
			{column: insertColumn, command: "insert", n: 400},
			{column: insertManyColumn, command: "insertmany", n: 1000, fixed: true},
			{column: updateColumn, command: "update", n: 400},
			{column: updateManyColumn, command: "updatemany", n: 1000, fixed: true},
		}},
	} {
		for _, w := range of.work {
			if err := b.turns(of.grid, w, programs); err != nil {
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
	if programs, err = b.startAll(b.onTables(), peer.Tasks, "FULL"); err != nil {
		return err
	}
	for _, w := range []work{
		{column: insertColumn, command: "insert", n: 100},
		{column: insertManyColumn, command: "insertmany", n: 1000, fixed: true},
		{column: updateColumn, command: "update", n: 100},
		{column: updateManyColumn, command: "updatemany", n: 1000, fixed: true},
	} {
		if err := b.turns(durable, w, programs); err != nil {
			return err
		}
	}
	if err := stopAll(programs); err != nil {
		return err
	}
	return b.sameTasks(programs)
}
