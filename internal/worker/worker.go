// Package worker makes a worker of any program: it claims tasks, runs a command
// for each, keeps the lease alive meanwhile, and stores how it ended.
//
// docs/worker.md is the contract with the command.
package worker

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/process"
	"github.com/seed-c8812374/nexus/store"
)

// Worker is what to work on, and how.
type Worker struct {
	DB *store.DB

	// AgentID is the agent that the tasks are claimed for. It is registered, as
	// AgentType if that is not empty.
	AgentID   string
	AgentType nexus.AgentType

	Filter      nexus.ReadyFilter // of the tasks to claim; its limit does not count
	Concurrency int               // how many commands run at once; 0 is 1
	Lease       time.Duration     // how long the worker may be silent; 0 is DefaultLease
	MaxTasks    int               // claim no more than this; 0 is no limit

	// UntilEmpty ends the work when nothing is ready and nobody in the filter's
	// project is at work any more, so that nothing can become ready.
	UntilEmpty bool

	Command  []string      // the program and its arguments
	Env      []string      // its environment, apart from what is said of the task; nil is that of this process
	Database string        // its DATABASE_PATH; empty leaves that as it is
	Grace    time.Duration // between asking commands to end and killing them, when the work is stopped

	// Log, if not nil, is told what happens, to a task or, if that is empty, to
	// the worker. It is called by one goroutine at a time.
	Log func(task, message string)

	Now   func() time.Time                     // the clock; nil is time.Now
	After func(time.Duration) <-chan time.Time // nil is time.After
}

// DefaultLease is short, because a worker that is alive never fails to extend it.
const DefaultLease = time.Minute

// Summary says what became of the tasks.
type Summary struct {
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
	Released  int `json:"released"` // given back, or blocked by the command
	Lost      int `json:"lost"`     // taken away, or their end could not be stored

	// Left are the tasks that remain, when there is nothing more to do but not
	// everything is done.
	Left *Left `json:"left,omitempty"`
}

// Left are tasks that cannot be claimed.
type Left struct {
	Total    int64                      `json:"total"`
	ByStatus map[nexus.TaskStatus]int64 `json:"by_status"`
}

// Run works until ctx ends, or, if the worker is to end by itself, until there is
// nothing more to do. Before it returns, the commands have ended and what they
// held is completed, failed or given back; that ctx has ended is no error.
//
// Errors about one task are told to Log. An error that concerns all of them, and
// that trying again does not cure, stops the work and is returned. Codes:
// CodeInvalid if the worker makes no sense, and those of the database.
func (w Worker) Run(ctx context.Context) (Summary, error) {
	w.setDefaults()
	if err := w.validate(); err != nil {
		return Summary{}, err
	}
	s := &shift{Worker: w, process: process.Self(), news: make(chan struct{}, 1), cooling: make(map[string]cooling)}
	working, stop := context.WithCancel(ctx)
	defer stop()
	err := s.begin(working)
	if err == nil {
		err = s.loop(working)
	}
	if ctx.Err() != nil || err != nil {
		s.sayStopping(err)
		stop()
	}
	s.slots.Wait()
	if ctx.Err() != nil && nexus.CodeOf(err) == nexus.CodeCanceled {
		err = nil
	}
	return s.summary, err
}

func (w *Worker) setDefaults() {
	if w.Concurrency == 0 {
		w.Concurrency = 1
	}
	if w.Lease == 0 {
		w.Lease = DefaultLease
	}
	if w.Now == nil {
		w.Now = time.Now
	}
	if w.After == nil {
		w.After = time.After
	}
}

func (w *Worker) validate() error {
	request := w.request(w.Concurrency)
	request.SetDefaults()
	if err := request.Validate(); err != nil {
		return err
	}
	switch {
	case len(w.Command) == 0 || w.Command[0] == "":
		return nexus.Errorf(nexus.CodeInvalid, "there is no command to run")
	case w.MaxTasks < 0:
		return nexus.Errorf(nexus.CodeInvalid, "the number of tasks cannot be negative")
	case w.Grace < 0:
		return nexus.Errorf(nexus.CodeInvalid, "the time for commands to end cannot be negative")
	}
	return nil
}

func (w *Worker) request(count int) nexus.ClaimRequest {
	return nexus.ClaimRequest{
		AgentID: w.AgentID, AgentType: w.AgentType, Filter: w.Filter, Count: count, Lease: w.Lease,
	}
}
