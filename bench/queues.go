package main

import "fmt"

// The names of the contenders that hand out work.
const (
	atOnceName   = "**Nexus**, complete and claim at once"
	nexusPGName  = "**Nexus** on PostgreSQL"
	riverName    = "River on SQLite"
	riverPGName  = "River on PostgreSQL"
	goqiteName   = "goqite"
	queueRounds  = 3
	tasksOfATurn = 320
)

// workers is how many claim and complete at the same time.
var workers = []int{1, 8, 32}

func workersColumn(workers int) string { return fmt.Sprintf("by %d, µs a task", workers) }

// queues measures claiming and completing work.
func (b *bench) queues() error {
	postgres, err := b.startPostgres()
	if err != nil {
		return err
	}
	defer postgres.stop()
	for _, synchronous := range []string{"NORMAL", "FULL"} {
		g := b.grid("queue-"+synchronous, "Claim and complete, synchronous="+synchronous, queueText[synchronous])
		needed := len(workers) * (queueRounds + 1) * tasksOfATurn
		programs, err := b.startQueues(postgres, needed, synchronous)
		if err != nil {
			return err
		}
		for _, n := range workers {
			w := work{column: workersColumn(n), command: "work", n: tasksOfATurn, writers: n, rounds: queueRounds}
			if err := b.turns(g, w, programs); err != nil {
				return err
			}
		}
		if err := stopAll(programs); err != nil {
			return err
		}
	}
	return b.queueGrowth(postgres)
}

var queueText = map[string]string{
	"NORMAL": "A task is handed to a worker, and reported as done; the work itself is nothing. A claim of Nexus has a lease, an epoch " +
		"and a row that stays, and completing it frees what waits. River fetches as many jobs at once as it has workers, and reports " +
		"them in batches, in the background: a job that is done may be handed out again after a crash. On PostgreSQL, NORMAL " +
		"stands for synchronous_commit=off, and FULL for on. goqite hides a message and then deletes it. The program in C " +
		"has one connection, as with writers above. Programs on the nine tables alone have no claims.",
	"FULL": "The same, each step on disk before it is acknowledged.",
}

// queueGrowth measures it while the number of tasks that could be claimed grows.
func (b *bench) queueGrowth(postgres *postgres) error {
	g := b.grid("queue-growth", "Claim and complete, of so many tasks, µs", "One worker, synchronous=NORMAL; so many tasks are ready and are waiting to be claimed.")
	for _, size := range b.effort.queueSizes {
		programs, err := b.startQueues(postgres, size+(queueRounds+1)*tasksOfATurn, "NORMAL")
		if err != nil {
			return err
		}
		w := work{column: thousands(size), command: "work", n: tasksOfATurn, rounds: queueRounds}
		if err := b.turns(g, w, programs); err != nil {
			return err
		}
		if err := stopAll(programs); err != nil {
			return err
		}
	}
	return nil
}

// startQueues starts all that hand out work, each with n pieces to hand out.
func (b *bench) startQueues(postgres *postgres, n int, synchronous string) (programs []*program, err error) {
	filled, err := b.filledQueue(n)
	if err != nil {
		return nil, err
	}
	nexus := b.file("nexus")
	field := []contender{
		{nexusName, ours, []string{nexus, "-queue"}},
		{atOnceName, ours, []string{nexus, "-queue", "-at-once"}},
		{limitName, ours, []string{b.file("csqlite"), b.file("nexus.scripts")}},
		{riverName, "its own", []string{b.file("river")}},
		{goqiteName, "its own", []string{b.file("goqite"), "-schema", b.goqiteSchema}},
	}
	if postgres.running() {
		field = append(field,
			contender{nexusPGName, "its own", []string{nexus, "-queue"}},
			contender{riverPGName, "its own", []string{b.file("river"), "-postgres"}})
	}
	for i, c := range field {
		p, err := b.start(c)
		if err != nil {
			return nil, err
		}
		programs = append(programs, p)
		if err := b.openQueue(p, postgres, fileName(i), filled, n, synchronous); err != nil {
			return nil, err
		}
	}
	return programs, nil
}

func (b *bench) openQueue(p *program, postgres *postgres, name, filled string, n int, synchronous string) error {
	path := b.file(name + ".db")
	removeDatabase(path)
	switch {
	case p.schema == ours:
		if err := copyFile(filled, path); err != nil {
			return err
		}
		return b.open(p, path, synchronous)
	case p.name == riverPGName || p.name == nexusPGName:
		var err error
		if path, err = postgres.newDatabase(); err != nil {
			return err
		}
	}
	if err := b.open(p, path, synchronous); err != nil {
		return err
	}
	_, err := p.do("fill", n, 1)
	return err
}

// filledQueue is a file of Nexus with n tasks that are all ready.
func (b *bench) filledQueue(n int) (string, error) {
	path, err := b.copyOf(ours, 0, fmt.Sprintf("queue-%d", n))
	if err != nil {
		return "", err
	}
	p, err := b.start(contender{nexusName, ours, []string{b.file("nexus"), "-queue"}})
	if err != nil {
		return "", err
	}
	if err := b.open(p, path, "NORMAL"); err != nil {
		return "", err
	}
	if _, err := p.do("fill", n, 1); err != nil {
		return "", err
	}
	return path, p.stop()
}
