package sqlite_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/handle"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// A role is what a process of the torture does, with how often: the names are those
// of deeds, the numbers weights.
var roles = map[string]map[string]int{
	"worker": {
		"claim": 24, "claim one": 4, "claim several": 3, "complete": 16, "turn": 10, "heartbeat": 7, "progress": 7,
		"fail": 5, "release": 5, "block": 3, "skip": 3, "qa": 3, "unblock": 4, "reopen": 3, "metric": 3,
	},
	"planner": {"plan": 22, "large plan": 3, "create": 20, "delete": 10, "link": 12, "reopen": 8, "unblock": 8, "take": 12, "metric": 5},
	"foreign": {"status": 45, "insert": 15, "checkpoint": 40},
}

// hands are how many deeds at once a process of each role does.
var hands = map[string]int{"worker": 3, "planner": 2, "foreign": 1}

// tortured is a process that works until it is killed. It takes orders on standard
// input, as JSON: to work, and to say so or to kill itself when so many deeds of a
// kind have begun, or to pause, with all finished that has begun. At the end of its
// input it closes the database.
type tortured struct {
	path    string
	name    string // of this process; no other ever had it
	slot    string // of the agents, which come back after a kill
	role    string
	journal *journal
	options *sqlite.Options
	db      *store.DB
	foreign *zombiezen.Conn

	statements atomic.Int64 // that it has run, if it counts them
	log        *os.File     // of these, or nil

	mu      sync.Mutex
	changed *sync.Cond
	running bool
	ended   bool
	busy    int
	wait    order
}

// order is what a process is told to do.
type order struct {
	Pause bool          `json:"pause,omitempty"`
	Kind  string        `json:"kind,omitempty"`
	Left  int           `json:"left,omitempty"` // how many of the kind have to begin; 0 is no matter
	Die   bool          `json:"die,omitempty"`  // then, instead of saying so
	Delay time.Duration `json:"delay,omitempty"`
}

// childTorture works in the role args[4] on the database at args[0], with a journal
// at args[1]; args[2] is its name, args[3] its slot, args[5] its seed.
func childTorture(args []string) error {
	seed, err := strconv.ParseUint(args[5], 10, 64)
	if err != nil {
		return err
	}
	x := &tortured{path: args[0], name: args[2], slot: args[3], role: args[4]}
	x.changed = sync.NewCond(&x.mu)
	if x.journal, err = openJournal(args[1]); err != nil {
		return err
	}
	say("started")
	if err := x.phase("open", x.open); err != nil {
		return err
	}
	var all sync.WaitGroup
	for i := range hands[x.role] {
		h := &hand{
			tortured: x, name: fmt.Sprintf("%s.%d", x.name, i), agent: fmt.Sprintf("%s-%d", x.slot, i),
			rng: rand.New(rand.NewPCG(seed, uint64(i))),
		}
		all.Go(func() {
			if err := h.work(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		})
	}
	say("ready")
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		var o order
		if err := json.Unmarshal(orders.Bytes(), &o); err != nil {
			return err
		}
		if o.Pause {
			x.pause()
			say("paused")
		} else {
			x.resume(o)
		}
	}
	x.pause()
	x.mu.Lock()
	x.ended = true
	x.changed.Broadcast()
	x.mu.Unlock()
	all.Wait()
	say("closing")
	return x.phase("close", x.close)
}

// phase is a part of the life of a process, as a deed.
func (x *tortured) phase(kind string, fn func() error) error {
	x.note(kind)
	_, err := x.journal.do(&deed{ID: x.name + "." + kind, Kind: kind}, func(func(stage)) (result, error) { return result{}, fn() })
	return err
}

func (x *tortured) open() (err error) {
	if x.role != "foreign" {
		x.db, err = sqlite.Open(background, x.path, x.options)
		return err
	}
	if x.foreign, err = zombiezenOpen(x.path); err != nil {
		return err
	}
	x.foreign.SetBusyTimeout(patient / 2)
	return sqlitex.ExecuteTransient(x.foreign, "PRAGMA foreign_keys = ON", nil)
}

func (x *tortured) close() error {
	if x.foreign != nil {
		return handle.Close(x.foreign)
	}
	return x.db.Close()
}

func (x *tortured) resume(o order) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.running, x.wait = true, o
	x.changed.Broadcast()
}

func (x *tortured) pause() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.running = false
	for x.busy > 0 {
		x.changed.Wait()
	}
}

// enter waits until the process may work. It returns false at its end.
func (x *tortured) enter() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for !x.running && !x.ended {
		x.changed.Wait()
	}
	if x.ended {
		return false
	}
	x.busy++
	return true
}

func (x *tortured) leave() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.busy--
	x.changed.Broadcast()
}

// What an order waits for besides the kinds of deeds: any of them, and that one is in
// its transaction, or in its commit.
const (
	anyKind      = "any"
	transactions = string(inside)
	commits      = string(ending)
)

// note counts a deed that has begun.
func (x *tortured) note(kind string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if o := &x.wait; o.Left > 0 && (o.Kind == kind || o.Kind == anyKind && roles[x.role][kind] > 0) {
		if o.Left--; o.Left == 0 && o.Die {
			time.AfterFunc(o.Delay, die)
		} else if o.Left == 0 {
			say("reached")
		}
	}
}

// die is what the parent does to the child, nearer to a certain moment.
func die() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
}

// hand does one deed after the other.
type hand struct {
	*tortured
	name  string
	agent string
	rng   *rand.Rand
	n     int
	held  []claimed
}

func (h *hand) work() error {
	for h.enter() {
		err := h.next()
		h.leave()
		if err != nil {
			return err
		}
	}
	return nil
}

// next does a deed that is drawn, if there is a task for it.
func (h *hand) next() error {
	h.n++
	d := &deed{ID: fmt.Sprintf("%s.%d", h.name, h.n), Agent: h.agent, Process: h.tortured.name}
	d.Kind = h.draw(roles[h.role])
	if h.role == "foreign" {
		ok, err := h.chooseForeign(d)
		if err != nil || !ok {
			return err
		}
		h.note(d.Kind)
		_, err = h.journal.do(d, func(at func(stage)) (result, error) {
			return d.foreign(h.foreign, h.noted(at))
		})
		return err
	}
	d.Way = []string{wayCall, wayTx, wayKeyed}[h.rng.IntN(3)]
	ok, err := h.choose(d)
	if err != nil || !ok {
		return err
	}
	return h.do(d)
}

func (h *hand) draw(weights map[string]int) string {
	sum := 0
	for _, n := range weights {
		sum += n
	}
	n := h.rng.IntN(sum)
	for _, kind := range slices.Sorted(maps.Keys(weights)) {
		if n -= weights[kind]; n < 0 {
			return kind
		}
	}
	panic("not reached")
}

func (h *hand) do(d *deed) error {
	h.note(d.Kind)
	a, err := h.journal.do(d, func(at func(stage)) (result, error) {
		r, again, err := d.perform(h.db, h.noted(at))
		if again {
			err = errors.Join(err, fmt.Errorf("the key %s is used already", d.ID))
		}
		return r, err
	})
	if err != nil {
		return err
	}
	if _, ends := endings[d.Kind]; ends || a.state == refused {
		h.drop(d.Epoch)
	}
	h.held = append(h.held, a.result.Claims...)
	if d.Way == wayKeyed && a.state == done && h.rng.IntN(4) == 0 {
		return repeat(h.db, a)
	}
	return nil
}

func (h *hand) noted(at func(stage)) func(stage) {
	return func(s stage) {
		at(s)
		h.note(string(s))
	}
}

// repeat makes a call with a key again that has succeeded.
func repeat(db *store.DB, a *act) error {
	r, again, err := store.Once(background, db, a.ID, a.deed, func(*store.Tx) (result, error) {
		return result{}, errors.New("it runs again")
	})
	if err != nil || !again || asJSON(r) != asJSON(a.result) {
		return fmt.Errorf("%s %s repeated: %+v, %v, %v; it was %+v", a.Kind, a.ID, r, again, err, a.result)
	}
	return nil
}

func asJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (h *hand) drop(epoch int64) {
	for i, c := range h.held {
		if c.Epoch == epoch {
			h.held = append(h.held[:i:i], h.held[i+1:]...)
			return
		}
	}
}

// choose completes a deed with a task. It returns false if there is none for it.
func (h *hand) choose(d *deed) (ok bool, err error) {
	d.Lease = nexus.DefaultLease
	if h.rng.IntN(20) == 0 {
		d.Lease = nexus.MinLease // somebody will take it back
	}
	if len(h.held) > 5 && strings.HasPrefix(d.Kind, "claim") {
		d.Kind = "complete"
	}
	switch d.Kind {
	case "claim":
		d.Count = 1
	case "claim several":
		d.Kind, d.Count = "claim", 2+h.rng.IntN(4)
	case "claim one":
		d.Kind, d.Count = "claim", 1
		d.Task, _, err = h.anyTask("status = 'pending' AND open_dependencies = 0")
		return d.Task != "", err
	case "turn":
		d.Count = 1
		if d.Way == wayCall {
			d.Way = wayTx
		}
		return h.chooseHeld(d), nil
	case "reopen":
		d.Task, _, err = h.anyTask("status IN ('completed', 'skipped', 'failed', 'escalated')")
		return d.Task != "", err
	case "unblock":
		d.Task, _, err = h.anyTask("status = 'blocked'")
		return d.Task != "", err
	case "take": // as a person may, whoever holds it
		d.Kind, d.Epoch = []string{"release", "skip", "block"}[h.rng.IntN(3)], nexus.AnyEpoch
		d.Task, _, err = h.anyTask("status = 'in_progress'")
		return d.Task != "", err
	case "delete":
		d.Task, _, err = h.anyTask("true")
		return d.Task != "", err
	case "plan", "large plan":
		return true, h.choosePlan(d)
	case "create", "link":
		return h.chooseDependent(d)
	case "metric":
		d.Way = wayCall
	default:
		return h.chooseHeld(d), nil
	}
	return true, nil
}

func (h *hand) chooseHeld(d *deed) bool {
	if len(h.held) == 0 {
		return false
	}
	c := h.held[h.rng.IntN(len(h.held))]
	d.Task, d.Epoch = c.Task, c.Epoch
	return true
}

// mostPlans keeps the database from growing without end: at more, one is deleted.
const mostPlans = 20

func (h *hand) choosePlan(d *deed) error {
	if d.Way == wayCall {
		d.Way = wayTx
	}
	var plans []string
	err := h.db.View(background, func(tx *store.Tx) error {
		return tx.Query(background, "SELECT id FROM features", nil, func(r driver.Row) error {
			plans = append(plans, r.Text(0))
			return nil
		})
	})
	if len(plans) > mostPlans {
		d.Kind, d.Feature = "delete plan", plans[h.rng.IntN(len(plans))]
		return err
	}
	d.Feature = h.newID("f", d.ID)
	d.Rows = make([]planned, 10+h.rng.IntN(50))
	if d.Kind == "large plan" { // larger than what SQLite keeps in memory until the commit
		d.Kind, d.Rows, d.Size = "plan", make([]planned, 200), 8000
		h.note("large plan")
	}
	for i := range d.Rows {
		d.Rows[i].ID = h.newID("t", fmt.Sprintf("%s.%d", d.ID, i))
		for n := h.rng.IntN(3); n > 0 && i >= 5; n-- {
			d.Rows[i].On = append(d.Rows[i].On, d.Rows[i-n-h.rng.IntN(3)].ID)
		}
		d.Rows[i].On = unique(d.Rows[i].On)
	}
	return err
}

// chooseDependent draws tasks of one plan, so that plans can be deleted one by one.
func (h *hand) chooseDependent(d *deed) (ok bool, err error) {
	on, feature, err := h.anyTask("true")
	if err != nil || on == "" {
		return false, err
	}
	d.Feature = feature
	row := planned{ID: h.newID("t", d.ID), On: []string{on}}
	if d.Kind == "link" {
		if row.ID, _, err = h.anyTask("feature_id = '" + feature + "'"); err != nil || row.ID == "" || row.ID == on {
			return false, err
		}
		d.Task = row.ID
	}
	d.Rows = []planned{row}
	return true, nil
}

// newID makes an id whose place among the others is drawn.
func (h *hand) newID(kind, of string) string {
	return fmt.Sprintf("%s%08x-%s", kind, h.rng.Uint32(), of)
}

func (h *hand) chooseForeign(d *deed) (ok bool, err error) {
	switch d.Kind {
	case "checkpoint":
		d.Mode = []string{"PASSIVE", "FULL", "RESTART", "TRUNCATE"}[h.rng.IntN(4)]
		return true, nil
	case "insert":
		d.Task, d.Feature, err = h.anyTask("feature_id IS NOT NULL")
		d.Rows = []planned{{ID: h.newID("t", d.ID), On: []string{d.Task}}}
	default:
		d.Task, _, err = h.anyTask("true")
		d.Status = []nexus.TaskStatus{
			nexus.TaskPending, nexus.TaskPending, nexus.TaskPending, nexus.TaskCompleted, nexus.TaskSkipped,
			nexus.TaskBlocked, nexus.TaskFailed, nexus.TaskInProgress,
		}[h.rng.IntN(8)]
	}
	return d.Task != "", err
}

// anyTask draws one of the tasks that fulfil a condition, with its feature.
func (h *hand) anyTask(condition string) (id, feature string, err error) {
	sql := "SELECT id, coalesce(feature_id, '') FROM tasks WHERE " + condition + " AND id >= $1 ORDER BY id LIMIT 1"
	for _, from := range []string{fmt.Sprintf("t%08x", h.rng.Uint32()), ""} {
		if h.foreign != nil {
			err = sqlitex.Execute(h.foreign, sql, &sqlitex.ExecOptions{Args: []any{from}, ResultFunc: func(s *zombiezen.Stmt) error {
				id, feature = s.ColumnText(0), s.ColumnText(1)
				return nil
			}})
		} else {
			err = h.db.View(background, func(tx *store.Tx) error {
				return tx.Query(background, sql, []any{from}, func(r driver.Row) error {
					id, feature = r.Text(0), r.Text(1)
					return nil
				})
			})
		}
		if err != nil || id != "" {
			return id, feature, err
		}
	}
	return "", "", nil
}

// unique sorts a list and drops what is in it twice.
func unique(list []string) []string {
	seen := make(map[string]bool)
	for _, s := range list {
		seen[s] = true
	}
	return slices.Sorted(maps.Keys(seen))
}
