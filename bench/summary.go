package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// glance is a line of the table that says most in few words.
type glance struct {
	what, grid, column string
	limit              string // the row with which nothing over SQLite can compete
}

func (b *bench) glances() []glance {
	most := thousands(b.effort.sizes[len(b.effort.sizes)-1])
	return []glance{
		{"Get a task, µs", "reading", getColumn, limitName},
		{"List 1,000 tasks, µs a row", "reading", listColumn, limitName},
		{"Load a project with 100 features and 1,000 tasks, ms", "reading", loadColumn, limitName},
		{"Insert a task, on disk, µs", "durable", insertColumn, limitName},
		{"Insert tasks by 32 writers, on disk, µs each", "together-full", byColumn("insert", 32), limitName},
		{"Update tasks by 32 writers, on disk, µs each", "together-full", byColumn("update", 32), limitName},
		{"Claim and complete by 32 workers, on disk, µs a task", "queue-FULL", workersColumn(32), limitName},
		{"Keep a state of " + thousands(keptTasks) + " tasks, ms", "keeping", checkpointColumn, limitName},
		{"Go back to it, ms", "keeping", restoreColumn, limitName},
		{"Ten ready tasks of " + most + ", the others waiting, µs", "ready", most, limitName},
		{"Ready, as a whole process, ms", "process", "ready", sqlite3Name},
		{"Memory of that process, MB", "process", memoryOfReady, sqlite3Name},
	}
}

// writeSummary writes that table.
func (b *bench) writeSummary(text *strings.Builder) {
	fmt.Fprintf(text, "| | Nexus | fastest other | %s | SQLite's C |\n|---|---:|---|---:|---:|\n", drizzleName)
	for _, line := range b.glances() {
		g := b.found(line.grid)
		ours := nexusName
		if line.grid == "process" {
			ours = nexusCLIName
		}
		if _, ok := g.median(ours, line.column); !ok {
			continue
		}
		other, value := b.fastestPeer(line.grid, line.column)
		fastest := "–"
		if other != "" {
			fastest = digits(value) + " " + other
		}
		fmt.Fprintf(text, "| %s | %s | %s | %s | %s |\n", line.what, g.short(ours, line.column), fastest,
			g.short(drizzleName, line.column), g.short(line.limit, line.column))
	}
	text.WriteString("\n")
}

// short is the median of a cell alone.
func (g *grid) short(row, column string) string {
	if v, ok := g.median(row, column); ok {
		return digits(v)
	}
	return "–"
}

// notPeers are rows that no user could take instead.
var notPeers = []string{nexusName, atOnceName, nexusPGName, nexusCLIName, limitName, cName, sqlite3Name}

// fastestPeer is the fastest in a column that a user could take instead.
func (b *bench) fastestPeer(grid, column string) (name string, value float64) {
	value = math.Inf(1)
	g := b.found(grid)
	for _, row := range g.rows {
		if v, ok := g.median(row, column); ok && v < value && !slices.Contains(notPeers, row) {
			name, value = row, v
		}
	}
	return name, value
}
