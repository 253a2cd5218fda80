package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const introduction = `# Nexus beside others

Made by ` + "`make compare`" + `; [README.md](README.md) says how, and what is compared.

%s.

Times are medians of turns, with the least and the most beside them: each program does a little of a piece of work, one after
the other, %d times over. The machine has other work at the same time, so compare within a table; a difference of a
tenth means nothing, and where one waits for the disk, how long it then waits for the processor says more than it should. Rows say which tables a program works on: Nexus's own, on which triggers keep
dependencies, revisions and counts whoever writes, or the nine of the contract alone, which have nothing of that.
"C, same statements" is the limit: SQLite's own C on Nexus's tables, sending what Nexus sends. "C, contract" is the
same for the tables of all others; the distance between the two is what the triggers and the reading before an
update cost.

The table says most in few words; "on disk" is synchronous=FULL.

`

// write writes the results as Markdown.
func (b *bench) write(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, introduction, b.machine(), b.effort.rounds)
	b.writeSummary(&text)
	b.writeTargets(&text)
	for _, g := range b.grids {
		fmt.Fprintf(&text, "## %s\n\n%s\n\n%s\n", g.title, g.text, g.markdown())
		for _, p := range b.plots() {
			if p.grid == g {
				fmt.Fprintf(&text, "![%s](%s)\n\n", p.title, p.file())
			}
		}
	}
	text.WriteString("## Versions\n\n")
	for _, version := range b.versions {
		fmt.Fprintf(&text, "- %s\n", version)
	}
	for _, what := range b.missing {
		fmt.Fprintf(&text, "- not measured: %s\n", what)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (b *bench) writeTargets(text *strings.Builder) {
	text.WriteString("## Targets\n\nOver C, how many times as long Nexus takes; over others, how many times as long they take. Each time of " +
		"the medians, and of the least of all turns, which other work on the machine spoils less. Where something is written, peers on " +
		"the tables of the contract do less: they keep no dependencies, revisions or counts, read nothing before an update, " +
		"and check nothing.\n\n| What | Against | Target | By medians | By the least | Met |\n|---|---|---|---|---|---|\n")
	for _, t := range b.targets() {
		met := map[bool]string{true: "yes", false: "**no**"}[t.met]
		if t.measured {
			fmt.Fprintf(text, "| %s | %s | %s | %.2f× (%s) | %.2f× | %s |\n", t.what, t.against, t.wanted, t.median, t.beside, t.least, met)
		}
	}
	text.WriteString("\n")
}

// plots are the pictures of what there is to draw.
func (b *bench) plots() (list []plot) {
	add := func(name, title string, columns []string, sizes []int) {
		p := plot{grid: b.found(name), title: title, columns: columns}
		for _, n := range sizes {
			p.sizes = append(p.sizes, float64(n))
		}
		if len(p.grid.rows) > 0 && len(sizes) > 1 {
			list = append(list, p)
		}
	}
	var sizes, queueSizes, together []string
	for _, n := range b.effort.sizes {
		sizes = append(sizes, thousands(n))
	}
	for _, n := range b.effort.queueSizes {
		queueSizes = append(queueSizes, thousands(n))
	}
	for _, n := range writers {
		together = append(together, byColumn("insert", n))
	}
	add("ready", "Ten ready tasks of so many, all others waiting", sizes, b.effort.sizes)
	add("queue-growth", "Claim and complete one of so many tasks", queueSizes, b.effort.queueSizes)
	add("together-full", "One insert, of so many writers at the same time, each on disk (FULL)", together, writers)
	return list
}

// file is the name of the picture.
func (p plot) file() string { return p.grid.name + ".svg" }

// save writes the results and their pictures to a folder.
func (b *bench) save(folder string) error {
	for _, p := range b.plots() {
		if err := os.WriteFile(filepath.Join(folder, p.file()), []byte(p.svg()), 0o644); err != nil {
			return err
		}
	}
	var text strings.Builder
	if err := b.write(&text); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "RESULTS.md"), []byte(text.String()), 0o644)
}
