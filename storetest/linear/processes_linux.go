package linear

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sys/unix"

	"github.com/seed-c8812374/nexus/internal/childtest"
	"github.com/seed-c8812374/nexus/storetest"
)

// mappedClock is a clock that several processes share: eight bytes of a file.
type mappedClock struct{ us *int64 }

func (c mappedClock) Load() int64       { return atomic.LoadInt64(c.us) }
func (c mappedClock) Add(d int64) int64 { return atomic.AddInt64(c.us, d) }

func mapClock(path string) (mappedClock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return mappedClock{}, err
	}
	defer f.Close()
	if err := f.Truncate(8); err != nil {
		return mappedClock{}, err
	}
	page, err := unix.Mmap(int(f.Fd()), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return mappedClock{}, err
	}
	return mappedClock{(*int64)(unsafe.Pointer(&page[0]))}, nil
}

// monotonic is the time since the machine was started, in ns: the same for all of
// its processes, and not to be put back.
func monotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err)
	}
	return t.Nano()
}

// process is what a child is told.
type process struct {
	Database, Clock, History string
	First, Clients           int
	Seed                     uint64
	Plan                     plan
	Half                     int // after so many calls it says so
}

// Child is the process that [RunProcesses] starts: it runs clients, and writes down what
// they do as they do it, for it may be killed at any moment.
func Child(d Database) func(args []string) error {
	return func(args []string) error { return runClients(d, args) }
}

func runClients(d Database, args []string) error {
	var p process
	if err := json.Unmarshal([]byte(args[0]), &p); err != nil {
		return err
	}
	clock, err := mapClock(p.Clock)
	if err != nil {
		return err
	}
	history, err := os.OpenFile(p.History, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	db, err := d.Open(p.Database)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var failed error
	calls := 0
	note := func(e event) {
		line, err := json.Marshal(e)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			_, err = history.Write(append(line, '\n')) // at once, so that it is there whatever happens to us
		}
		failed = errors.Join(failed, err)
		if e.Answered != nil {
			if calls++; calls == p.Half {
				childtest.Say("half")
			}
		}
	}
	childtest.Say("ready")
	childtest.AwaitParent()
	var wg sync.WaitGroup
	for i := range p.Clients {
		c := newClient(p.First+i, db, clock, p.Seed, p.Plan, monotonic, note)
		wg.Go(func() {
			if err := c.run(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = errors.Join(failed, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(failed, db.Close())
}

// readEvents reads what a process has written down. The last line may be cut off.
func readEvents(t *testing.T, path string) (events []event) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// RunProcesses tests clients in several processes, some of which are killed in the middle
// of it. child names the one that does [Child].
func RunProcesses(t *testing.T, d Database, child string) {
	for _, p := range []plan{
		{Tasks: []string{"t0", "t1", "t2", "t3"}, Calls: 40, Beside: d.Beside},
		{Tasks: []string{"t0", "t1", "t2", "t3", "t4"}, Best: true, Back: !d.Beside, Calls: 30, Beside: d.Beside},
	} {
		for round := range rounds(1) {
			t.Run(fmt.Sprintf("best=%v/%d", p.Best, round), func(t *testing.T) {
				t.Parallel()
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				clockPath := filepath.Join(t.TempDir(), "clock")
				clock, err := mapClock(clockPath)
				if err != nil {
					t.Fatal(err)
				}
				clock.Add(storetest.Now().UnixMicro())
				maxAttempts := manyAttempts
				if p.Best {
					maxAttempts = 4
				}
				name, queue := newQueue(t, d, maxAttempts, p, clock)
				history := apart(t, child, name, clockPath, seed, p)
				// Of so few calls, half of them lost with their process, now and then
				// none is a complete; the histories of one process have enough.
				whatHappened(t, history, "claim", "claim refused for the owner")
				if p.Best {
					d.mustBeQueue(t, queue, history)
				} else {
					mustBeLinearizable(t, taskModel(manyAttempts), history)
				}
				mustBeRight(t, d, name, clock)
			})
		}
	}
}

// apart runs clients in processes, kills some of these, and returns their history.
func apart(t *testing.T, child, name, clock string, seed uint64, p plan) []porcupine.Operation {
	t.Helper()
	const processes, clients, killed = 4, 3, 2
	rnd := rand.New(rand.NewPCG(seed, 0))
	var all []*childtest.Process
	var histories []string
	for i := range processes {
		told := process{
			Database: name, Clock: clock, History: filepath.Join(t.TempDir(), strconv.Itoa(i)),
			First: i * clients, Clients: clients, Seed: seed, Plan: p, Half: 1 + rnd.IntN(clients*p.Calls*2/3),
		}
		text, err := json.Marshal(told)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, childtest.Start(t, "", child, string(text)))
		histories = append(histories, told.History)
	}
	for _, p := range all {
		p.Line()
	}
	for _, p := range all {
		p.GoOn()
	}
	for _, p := range all[:killed] {
		p.Line() // half
		p.Kill()
	}
	for _, p := range all[killed:] {
		if _, err := p.End(); err != nil {
			t.Error(err)
		}
	}
	var events []event
	for _, path := range histories {
		events = append(events, readEvents(t, path)...)
	}
	return operations(events)
}
