package main

import "slices"

// ready measures asking for the ten best ready tasks while the number of tasks
// grows, of which all others wait for one of these.
func (b *bench) ready() error {
	g := b.grid("ready", "Ready, of so many tasks, µs", "The first ten tasks that can be started, of so many of which all but ten "+
		"wait for another. Nexus keeps count of open dependencies, by triggers. The contract has dependencies as JSON in a "+
		"text, so programs on it look at every pending task: in one statement, or, as people write it with Drizzle, by "+
		"reading them all and choosing in JavaScript.")
	field := slices.DeleteFunc(b.onTables(), func(c contender) bool { return c.name == gormName || c.name == bunName })
	for _, size := range b.effort.sizes {
		if err := b.fill(size); err != nil {
			return err
		}
		if size > 100_000 {
			field = slices.DeleteFunc(field, func(c contender) bool { return c.name == drizzleName })
			g.say(drizzleName, thousands(size), "not tried")
		}
		var programs []*program
		for _, c := range field {
			p, err := b.start(c)
			if err != nil {
				return err
			}
			if err := b.open(p, b.template(c.schema, size), "NORMAL"); err != nil {
				return err
			}
			programs = append(programs, p)
		}
		w := work{column: thousands(size), command: "ready", n: 20, fixed: true}
		counted := func(p *program) bool { return p.schema == ours }
		if err := b.turns(g, w, slices.DeleteFunc(slices.Clone(programs), not(counted))); err != nil {
			return err
		}
		// Those that look at every task do it less often.
		w.n = max(w.n*1000/size, 1)
		if size > 100_000 {
			w.rounds = 3
		}
		if err := b.turns(g, w, slices.DeleteFunc(slices.Clone(programs), counted)); err != nil {
			return err
		}
		if err := stopAll(programs); err != nil {
			return err
		}
	}
	return nil
}

func not(is func(*program) bool) func(*program) bool { return func(p *program) bool { return !is(p) } }
