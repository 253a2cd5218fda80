package main

import "path/filepath"

// The names of the contenders, as the results have them.
const (
	nexusName    = "**Nexus**"
	limitName    = "C, same statements"
	cName        = "C, contract"
	betterName   = "better-sqlite3"
	preparedName = "Drizzle, prepared"
	drizzleName  = "Drizzle, as written"
	mattnName    = "mattn, database/sql"
	moderncName  = "modernc, database/sql"
	gormName     = "GORM on mattn"
	bunName      = "bun on mattn"
)

// onTables are the contenders on the nine tables.
func (b *bench) onTables() []contender {
	list := []contender{
		{nexusName, ours, []string{b.file("nexus")}},
		{limitName, ours, []string{b.file("csqlite"), b.file("nexus.scripts")}},
		{cName, plain, []string{b.file("csqlite"), b.file("contract.scripts")}},
	}
	if b.hasNode() {
		node := func(args ...string) []string {
			return append([]string{"node", filepath.Join(nodeFolder, args[0])}, args[1:]...)
		}
		list = append(list,
			contender{betterName, plain, node("better-sqlite3.mjs")},
			contender{preparedName, plain, node("drizzle.mjs", "--prepared")},
			contender{drizzleName, plain, node("drizzle.mjs")},
		)
	}
	return append(list,
		contender{mattnName, plain, []string{b.file("mattn")}},
		contender{moderncName, plain, []string{b.file("modernc")}},
		contender{gormName, plain, []string{b.file("gorm")}},
		contender{bunName, plain, []string{b.file("bun")}},
	)
}

// startAll starts contenders, each on its own copy of the template with so many
// tasks.
func (b *bench) startAll(field []contender, tasks int, synchronous string) (programs []*program, err error) {
	for i, c := range field {
		path, err := b.copyOf(c.schema, tasks, fileName(i))
		if err != nil {
			return nil, err
		}
		p, err := b.start(c)
		if err == nil {
			programs = append(programs, p)
			err = b.open(p, path, synchronous)
		}
		if err != nil {
			return nil, err
		}
	}
	return programs, nil
}

// fileName is the name of the file of the i-th contender.
func fileName(i int) string { return "contender-" + string(rune('a'+i)) }
