package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// measureArgument makes this program start one other and say what it cost.
const measureArgument = "-measure-one-process"

// cost is what a whole process cost: from before its start until after its end,
// and the most memory that it had at once (0 where the system does not say).
type cost struct {
	Wall time.Duration
	RSS  int64 // bytes
}

// A command is a process to measure.
type command struct {
	path string
	args []string
}

// startMeasured runs a command through a second instance of this program. The
// system counts to a process's memory what its parent had when it started it, so
// the parent must be small; this program is not, once it has made a plan.
func (b *bench) startMeasured(c command) (cost cost, err error) {
	cmd := exec.CommandContext(b.ctx, b.self, append([]string{measureArgument, c.path}, c.args...)...)
	cmd.Dir = b.folder
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &cost)
	}
	if err != nil {
		err = fmt.Errorf("%s %q: %w", c.path, c.args, err)
	}
	return cost, err
}

// measureMain is this program when it measures. What the command prints is
// dropped.
func measureMain(args []string) int {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	start := time.Now()
	err := cmd.Run()
	cost := cost{Wall: time.Since(start)}
	if err == nil {
		cost.RSS = maxRSS(cmd.ProcessState)
		err = json.NewEncoder(os.Stdout).Encode(cost)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// inTurns runs the commands alternately, so that whatever else the machine does
// meets them alike, and returns what each cost in each round.
func (b *bench) inTurns(rounds int, commands ...command) ([][]cost, error) {
	costs := make([][]cost, len(commands))
	for range rounds {
		for i, c := range commands {
			cost, err := b.startMeasured(c)
			if err != nil {
				return nil, err
			}
			costs[i] = append(costs[i], cost)
		}
	}
	return costs, nil
}

// plan applies the plan to a new database and then again to the same. The last
// round's database is kept for the lists.
func (b *bench) plan() error {
	if err := writePlan(b.planDoc()); err != nil {
		return err
	}
	apply := command{b.nexus(), []string{"plan", "apply", "--json", "--db", b.db(), b.planDoc()}}
	const rounds = 5 // of about a second each
	var first, again []cost
	for range rounds {
		for _, file := range []string{b.db(), b.db() + "-wal", b.db() + "-shm"} {
			if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		costs, err := b.inTurns(1, apply, apply)
		if err != nil {
			return err
		}
		first, again = append(first, costs[0]...), append(again, costs[1]...)
	}
	what := fmt.Sprintf("`nexus plan apply` of %d tasks and %d dependencies", planTasks, planDependencies)
	b.addProcess(what, seconds, first, atMost(1.5), atMost(150))
	b.addProcess("the same once more, which changes nothing", seconds, again, limit{}, limit{})
	return nil
}

// list lists 20 of the plan's tasks, in turns with the same rows from SQLite's
// own program, if that is installed, and with a Go program that does nothing.
func (b *bench) list() error {
	commands := []command{
		{b.nexus(), []string{"task", "list", "--json", "--limit", "20", "--db", b.db()}},
		{b.nexus(), []string{"version"}},
		{b.empty(), nil},
	}
	sqlite3, err := exec.LookPath("sqlite3")
	if err == nil {
		commands = append(commands, command{sqlite3, []string{b.db(), "SELECT * FROM tasks ORDER BY id LIMIT 20"}})
	}
	if _, err := b.inTurns(2, commands...); err != nil { // into the caches
		return err
	}
	costs, err := b.inTurns(b.rounds, commands...)
	if err != nil {
		return err
	}
	b.addProcess("`nexus task list --json --limit 20` on that database", milliseconds, costs[0], atMost(15), atMost(30))
	b.addProcess("beside it: `nexus version`", milliseconds, costs[1], limit{}, limit{})
	b.addProcess("beside it: a Go program that does nothing", milliseconds, costs[2], limit{}, limit{})
	if len(costs) > 3 {
		b.addProcess("beside it: `sqlite3 nexus.db 'SELECT …'` of the same rows", milliseconds, costs[3], limit{}, limit{})
	}
	return nil
}

// addProcess adds the rows of a whole process: its time and its memory.
func (b *bench) addProcess(what string, unit unit, costs []cost, time, memory limit) {
	var wall, rss []float64
	for _, c := range costs {
		w := c.Wall.Seconds()
		if unit == milliseconds {
			w *= 1000
		}
		wall, rss = append(wall, w), append(rss, mega(c.RSS))
	}
	b.add(middleOf(wall, row{what: what, unit: unit, limit: time}))
	if rss[0] > 0 {
		b.add(middleOf(rss, row{what: "– its memory (maximum RSS)", unit: megabytes, limit: memory}))
	}
}
