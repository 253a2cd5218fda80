package main

import "fmt"

// history adds what the history costs the writes, and what checkpoints, restores and
// the past cost.
func (b *bench) history() error {
	found, err := b.run("^BenchmarkHistory$", "150x", 1)
	if err != nil {
		return err
	}
	for _, r := range []struct{ name, what string }{
		{"Update", "A task is updated, over the same without the history, synchronous=NORMAL"},
		{"Create", "A task is created, likewise"},
		{"Pair", "A task is claimed and completed, likewise"},
	} {
		f := found["BenchmarkHistory/"+r.name]
		row := f.quartiles("x", row{what: r.what, unit: times, limit: atMost(1.6)})
		row.remark = fmt.Sprintf("%s against %s", micro(f["store-ns/op"]), micro(f["direct-ns/op"]))
		b.add(row)
	}
	if found, err = b.run("^BenchmarkCheckpoint$", "1x", 1); err != nil {
		return err
	}
	f := found["BenchmarkCheckpoint"]
	b.add(row{what: "Checkpoint of a project of 10,000 tasks, with its hash", unit: milliseconds, median: f["checkpoint-ms"], limit: atMost(20)})
	b.add(row{what: "– of which it holds the writer", unit: milliseconds, median: f["held-ms"], limit: atMost(5)})
	b.add(row{what: "1,000 of them with ten changes between each: the file grows by", unit: megabytes, median: f["growth-MB"], limit: atMost(15)})
	b.add(row{what: "Restore after 100 changes", unit: milliseconds, median: f["restore100-ms"], limit: atMost(50)})
	b.add(row{what: "Restore after 10,000 changes", unit: milliseconds, median: f["restore10000-ms"], limit: atMost(1000)})
	if found, err = b.run("^BenchmarkPast$", "100x", 1); err != nil {
		return err
	}
	for _, when := range []struct{ name, what string }{{"Recent", "a thousand changes ago"}, {"Half", "half of them ago"}, {"First", "nearly all of them ago"}} {
		b.add(row{
			what: "Get as of the past, at a million changes, " + when.what, unit: milliseconds,
			median: found["BenchmarkPast/Get/"+when.name]["ns/op"] / 1e6, limit: atMost(1),
		})
		b.add(row{
			what: "– a list of 1,000", unit: milliseconds,
			median: found["BenchmarkPast/List1000/"+when.name]["ns/op"] / 1e6, limit: atMost(50),
		})
	}
	return nil
}

// backup adds how fast a file of 110 MB is copied, verified and on disk, beside what copies
// it and does neither.
func (b *bench) backup() error {
	found, err := b.run("^BenchmarkBackup$", "5x", 1)
	if err != nil {
		return err
	}
	for _, r := range []struct {
		name, what string
		limit      limit
	}{
		{"WhileWriting", "Backup while another writes, verified and on disk", atLeast(100)},
		{"VacuumIntoWhileWriting", "beside it: `VACUUM INTO`, which is neither", limit{}},
		{"Quiet", "Backup while nobody writes", limit{}},
		{"VacuumIntoQuiet", "beside it: `VACUUM INTO`", limit{}},
	} {
		b.add(row{what: r.what, unit: mbPerSecond, median: found["BenchmarkBackup/"+r.name]["MB/s"], limit: r.limit, remark: "of 5 means"})
	}
	return nil
}

// resume measures the briefing of an agent as a whole process, on the database of the
// plan.
func (b *bench) resume() error {
	commands := []command{{b.nexus(), []string{"resume", "--json", "--db", b.db()}}}
	if _, err := b.inTurns(2, commands...); err != nil {
		return err
	}
	costs, err := b.inTurns(b.rounds, commands...)
	if err != nil {
		return err
	}
	b.addProcess("`nexus resume --json` on that database", milliseconds, costs[0], atMost(15), atMost(30))
	return nil
}
