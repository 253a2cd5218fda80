package main

import "time"

// keptTasks is how many tasks the project has whose state is kept.
const keptTasks = 10_000

// The columns of keeping states.
const (
	checkpointColumn = "checkpoint, ms"
	restoreColumn    = "restore, ms"
)

// keeping measures keeping a state to go back to, and going back.
func (b *bench) keeping() error {
	g := b.grid("keeping", "Keeping a state of "+thousands(keptTasks)+" tasks, and going back to it",
		"Ten tasks change before each checkpoint, a hundred before each restore, synchronous=NORMAL. A checkpoint of Nexus's is of one "+
			"project, with its SHA-256; a restore compares that, keeps the state before, and puts back the rows that have changed, while "+
			"the program goes on. The others copy the whole file with `VACUUM INTO`, and go back by closing the database, "+
			"copying the file back, and opening it. C plays statements, and has none of its own.")
	programs, err := b.startAll(b.onTables(), keptTasks, "NORMAL")
	if err != nil {
		return err
	}
	for _, w := range []work{
		{column: checkpointColumn, command: "checkpoint", n: 10, unit: time.Millisecond},
		{column: restoreColumn, command: "restore", n: 5, unit: time.Millisecond},
	} {
		if err := b.turns(g, w, programs); err != nil {
			return err
		}
	}
	return stopAll(programs)
}
