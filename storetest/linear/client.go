package linear

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// A history is what clients did and when.

// event is what a client notes: that it calls, when the database looks at the
// clock for it, and that the call has returned.
type event struct {
	Client, Call int
	At           int64     // by a clock that all clients share and that only goes forward
	Asked        *asked    `json:",omitempty"`
	Now          int64     `json:",omitempty"` // what the database's clock showed
	Answered     *answered `json:",omitempty"`
}

// clock is a clock, in µs, that all clients share and move.
type clock interface {
	Load() int64
	Add(d int64) int64
}

// client is one client, for one goroutine.
type client struct {
	id    int
	db    *store.DB // with a clock of its own that tells what it shows
	clock clock
	rnd   *rand.Rand
	plan  plan
	note  func(event)
	at    func() int64

	calls int
	now   int64   // what the database's clock showed last
	given []owner // what it was given, also what it does not hold any more
	fresh bool    // it holds the last, as far as it knows
}

// plan is what clients do.
type plan struct {
	Tasks []string
	Best  bool // claims of the best, several at once, lists, and recoveries
	Back  bool // the clock jumps back, too
	Calls int  // of each client

	Beside bool // see Database
}

// newClient makes a client of a database that others use as well.
func newClient(id int, shared driver.DB, clock clock, seed uint64, plan plan, at func() int64, note func(event)) *client {
	c := &client{id: id, clock: clock, rnd: rand.New(rand.NewPCG(seed, uint64(id))), plan: plan, at: at, note: note}
	c.db = store.New(shared, func() time.Time {
		c.now = clock.Load()
		c.note(event{Client: id, Call: c.calls, Now: c.now})
		return time.UnixMicro(c.now)
	}, nil)
	return c
}

// run makes random calls.
func (c *client) run() error {
	for range c.plan.Calls {
		if c.rnd.IntN(8) == 0 {
			c.moveClock()
		}
		if err := c.call(c.draw()); err != nil {
			return err
		}
		runtime.Gosched() // so that others get in between
	}
	return nil
}

func (c *client) moveClock() {
	d := c.rnd.Int64N(1_200_000) // leases are one to three seconds long
	if c.plan.Back && c.rnd.IntN(8) == 0 {
		d = -10 * d
	}
	c.clock.Add(d)
}

func (c *client) draw() asked {
	task := c.plan.Tasks[c.rnd.IntN(len(c.plan.Tasks))]
	a := asked{Agent: string(rune('a' + c.id)), Task: task, Lease: int64(1+c.rnd.IntN(3)) * 1_000_000, Count: 1}
	n := c.rnd.IntN(100)
	if c.fresh { // it mostly goes on with what it has just been given
		if n = c.rnd.IntN(60); c.rnd.IntN(5) < 3 {
			n = 99
		}
	}
	switch {
	case n < 30 && c.plan.Best:
		a.Verb, a.Task, a.Count = "claim", "", 1+c.rnd.IntN(2)
		return a
	case n < 40 || !c.plan.Best && n < 50:
		a.Verb = "claim"
		return a
	case n < 43 && c.plan.Best:
		return asked{Verb: "recover"}
	case n < 48 && c.plan.Best:
		return asked{Verb: "ready"}
	case n < 60:
		return asked{Verb: "reopen", Task: task}
	}
	// What it was given last, mostly; else what it was given once; with nothing,
	// what nobody was.
	o := owner{Task: task, Epoch: 1 << 40}
	if k := len(c.given); k > 0 {
		o = c.given[k-1]
		if !c.fresh && c.rnd.IntN(3) == 0 {
			o = c.given[c.rnd.IntN(k)]
		}
	}
	verb := []string{"heartbeat", "heartbeat", "complete", "complete", "fail", "release", "skip"}[c.rnd.IntN(7)]
	return asked{Verb: verb, Task: o.Task, Epoch: o.Epoch}
}

// call makes a call, and notes it.
func (c *client) call(a asked) error {
	ctx := context.Background()
	c.calls++
	c.note(event{Client: c.id, Call: c.calls, At: c.at(), Asked: &a})
	var out answered
	var err error
	switch a.Verb {
	case "claim":
		var claims []nexus.Claim
		claims, err = c.db.Tasks.Claim(ctx, nexus.ClaimRequest{
			AgentID: a.Agent, TaskID: a.Task, Count: a.Count, Lease: time.Duration(a.Lease) * time.Microsecond,
		})
		for _, claim := range claims {
			out.Claims = append(out.Claims, owner{claim.TaskID, claim.AgentID, claim.Epoch})
		}
		c.given, c.fresh = append(c.given, out.Claims...), len(out.Claims) > 0
	case "heartbeat":
		_, err = c.db.Tasks.Heartbeat(ctx, a.Task, a.Epoch, 0)
	case "complete":
		_, err = c.db.Tasks.Complete(ctx, a.Task, a.Epoch, nexus.Evidence{})
	case "fail":
		_, err = c.db.Tasks.Fail(ctx, a.Task, a.Epoch, store.Failure{})
	case "release":
		_, err = c.db.Tasks.Release(ctx, a.Task, a.Epoch, "")
	case "skip":
		_, err = c.db.Tasks.Skip(ctx, a.Task, a.Epoch, "")
	case "reopen":
		_, err = c.db.Tasks.Reopen(ctx, a.Task, "")
	case "ready":
		var list []nexus.Task
		list, err = c.db.Tasks.Ready(ctx, nexus.ReadyFilter{})
		for _, t := range list {
			out.Tasks = append(out.Tasks, t.ID)
		}
	case "recover":
		var report *nexus.Recovery
		if report, err = c.db.Recover(ctx, nexus.RecoverRequest{}); err == nil {
			for _, t := range report.Tasks {
				out.Tasks = append(out.Tasks, t.TaskID)
			}
			slices.Sort(out.Tasks)
		}
	}
	out.Now, out.Code = c.now, nexus.CodeOf(err)
	if c.plan.Beside {
		out.Then = c.clock.Load()
	}
	if a.Verb != "claim" && a.Verb != "heartbeat" {
		c.fresh = false
	}
	var e *nexus.Error
	if errors.As(err, &e) {
		if held, ok := e.Stored.(*nexus.Attempt); ok {
			out.Owner = owner{Agent: held.AgentID, Epoch: held.Epoch}
		}
	}
	c.note(event{Client: c.id, Call: c.calls, At: c.at(), Answered: &out})
	if out.Code != "" && out.Code != nexus.CodeFenced && out.Code != nexus.CodeNotReady {
		return err
	}
	return nil
}
