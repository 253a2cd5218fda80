package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/seed-c8812374/nexus/bench/contract"
	"github.com/seed-c8812374/nexus/bench/peer"
)

// The names of the contenders that are whole processes.
const (
	nexusCLIName  = "**`nexus`**"
	sqlite3Name   = "`sqlite3` (the floor)"
	nodeColdName  = "Node with better-sqlite3"
	memoryOfReady = "memory of ready, MB"
)

// processes measures commands from the start of their process to its end.
func (b *bench) processes() error {
	g := b.grid("process", "Whole processes, ms", "From before the start of a process until after its end, synchronous=FULL, on 1,000 tasks that are "+
		"all ready. sqlite3 and Node work on the tables of the contract; a claim of theirs is an UPDATE of the first ready "+
		"task, without lease, epoch or record.")
	ourFile, err := b.filledQueue(peer.Tasks)
	if err != nil {
		return err
	}
	plainFile := b.file("cold.db")
	if err := contractCopy(ourFile, plainFile); err != nil {
		return err
	}
	commands := b.coldCommands(ourFile, plainFile)
	for round := range b.effort.coldRounds + 1 { // the first one reads the files
		for _, c := range commands {
			took, memory, err := b.runCold(c.command)
			if err != nil {
				return err
			}
			if round > 0 {
				g.add(c.name, c.column, float64(took)/1e6)
				if c.column == "ready" {
					g.add(c.name, memoryOfReady, float64(memory)/1e6)
				}
			}
		}
	}
	return nil
}

type coldCommand struct {
	name, column string
	command      []string
}

func (b *bench) coldCommands(ourFile, plainFile string) []coldCommand {
	nexus := func(args ...string) []string {
		return append([]string{b.file("nexus-cli"), "--db", ourFile, "--json"}, args...)
	}
	list := []coldCommand{
		{nexusCLIName, "ready", nexus("ready", "--limit", "10")},
		{nexusCLIName, "create", nexus("task", "create", "--project", peer.Project, "--name", "A task")},
		{nexusCLIName, "claim", nexus("claim", "--agent", "agent")},
	}
	if path, err := exec.LookPath("sqlite3"); err == nil {
		const pragmas = "PRAGMA foreign_keys = ON; "
		create := fmt.Sprintf("INSERT INTO tasks (id, project_id, name, created_at, updated_at) "+
			"VALUES (hex(randomblob(8)), '%s', 'A task', unixepoch(), unixepoch())", peer.Project)
		list = append(list,
			coldCommand{sqlite3Name, "ready", []string{path, plainFile, pragmas + contract.FirstReadyTasks}},
			coldCommand{sqlite3Name, "create", []string{path, plainFile, pragmas + create}},
			coldCommand{sqlite3Name, "claim", []string{path, plainFile, pragmas + contract.ClaimTask}})
	} else {
		b.lacks("sqlite3", sqlite3Name)
	}
	if b.hasNode() {
		for _, what := range []string{"ready", "create", "claim"} {
			list = append(list, coldCommand{nodeColdName, what, []string{"node", filepath.Join(nodeFolder, "cold.mjs"), plainFile, what}})
		}
	}
	return list
}

// runCold runs a command through a small program that measures it.
func (b *bench) runCold(command []string) (nanoseconds, bytes int64, err error) {
	measure := exec.CommandContext(b.ctx, b.file("measure"), command...)
	measure.Stderr = os.Stderr
	output, err := measure.Output()
	if err == nil {
		_, err = fmt.Sscan(string(output), &nanoseconds, &bytes)
	}
	if err != nil {
		err = fmt.Errorf("%q: %w", command, err)
	}
	return nanoseconds, bytes, err
}
