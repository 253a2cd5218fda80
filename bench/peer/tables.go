package peer

import (
	"fmt"
	"time"
)

// Tables is a program on the nine tables. A method returns [ErrCannot] if it has
// no such ability.
type Tables interface {
	Version() string // of the database and of what is over it

	Get(id string) error
	List() (rows int, err error) // the project's tasks, in memory all at once
	Each() (rows int, err error) // all tasks, one after the other
	Ready() (rows int, err error)
	Load() (features, tasks int, err error) // the project with what belongs to it

	Insert(t *Task) error
	InsertMany(tasks []*Task) error // in one transaction
	Update(u Update) error
	UpdateMany(updates []Update) error // in one transaction

	Close() error
}

// Update is a change of one task.
type Update struct {
	ID      string
	Branch  string
	Minutes int
}

// ReadyLimit is how many ready tasks are asked for.
const ReadyLimit = 10

// ServeTables measures a program on the nine tables until standard input ends.
func ServeTables(open func(path, synchronous string) (Tables, error)) {
	s := &tables{openNew: open}
	serve(s.open, func() string { return s.Version() }, map[string]command{
		"get": s.get, "list": s.list, "each": s.each, "ready": s.ready, "load": s.load, "reopen": s.reopen,
		"insert": s.insert, "insertmany": s.insertMany, "update": s.update, "updatemany": s.updateMany,
		"checkpoint": s.checkpoint, "restore": s.restore,
	}, func() error { return s.Close() })
}

// tables does the work.
type tables struct {
	Tables
	openNew           func(path, synchronous string) (Tables, error)
	path, synchronous string
	inserted, updated int // so far
}

func (s *tables) open(path, synchronous string) (err error) {
	s.path, s.synchronous = path, synchronous
	s.Tables, err = s.openNew(path, synchronous)
	return err
}

func (s *tables) get(n, _ int) (time.Duration, error) {
	return repeat(n, func(i int) error { return s.Get(scattered(i)) })
}

func (s *tables) list(n, _ int) (time.Duration, error) {
	return repeat(n, func(int) error { return atLeast(Tasks)(s.List()) })
}

// each goes through all tasks n times.
func (s *tables) each(n, _ int) (time.Duration, error) {
	return repeat(n, func(int) error { return atLeast(1)(s.Each()) })
}

func (s *tables) ready(n, _ int) (time.Duration, error) {
	return repeat(n, func(int) error { return atLeast(ReadyLimit)(s.Ready()) })
}

func (s *tables) load(n, _ int) (time.Duration, error) {
	return repeat(n, func(int) error {
		features, tasks, err := s.Load()
		if err == nil && features != Features {
			return fmt.Errorf("%d features instead of %d", features, Features)
		}
		return atLeast(Tasks)(tasks, err)
	})
}

// reopen opens the database, reads a task, and closes it.
func (s *tables) reopen(n, _ int) (time.Duration, error) {
	return repeat(n, func(i int) error {
		if err := s.Close(); err != nil {
			return err
		}
		if err := s.open(s.path, s.synchronous); err != nil {
			return err
		}
		return s.Get(scattered(i))
	})
}

func (s *tables) insert(n, writers int) (time.Duration, error) {
	tasks := s.newTasks(n)
	return together(n, writers, func(i int) error { return s.Insert(tasks[i]) })
}

func (s *tables) insertMany(n, _ int) (time.Duration, error) {
	tasks := s.newTasks(n)
	return timed(func() error { return s.InsertMany(tasks) })
}

func (s *tables) update(n, writers int) (time.Duration, error) {
	updates := s.newUpdates(n)
	return together(n, writers, func(i int) error { return s.Update(updates[i]) })
}

func (s *tables) updateMany(n, _ int) (time.Duration, error) {
	updates := s.newUpdates(n)
	return timed(func() error { return s.UpdateMany(updates) })
}

func (s *tables) newTasks(n int) []*Task {
	tasks := make([]*Task, n)
	for i := range tasks {
		tasks[i] = newTask(s.inserted)
		s.inserted++
	}
	return tasks
}

func (s *tables) newUpdates(n int) []Update {
	updates := make([]Update, n)
	for i := range updates {
		updates[i] = Update{scattered(s.updated), Branch(s.updated), Minutes(s.updated)}
		s.updated++
	}
	return updates
}

// atLeast checks how many rows there were.
func atLeast(want int) func(rows int, err error) error {
	return func(rows int, err error) error {
		if err == nil && rows < want {
			err = fmt.Errorf("%d rows instead of %d", rows, want)
		}
		return err
	}
}
