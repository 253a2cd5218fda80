package sqlite_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// TestTorture kills processes at random moments, again and again on one history, and
// looks after each kill whether everything that was acknowledged is there, nothing
// is half there, and everything that is counted is right. NEXUS_TORTURE=1, as in
// make torture, does it many times; NEXUS_TORTURE_SEED repeats a run, as far as the
// moments of kills can be repeated.
func TestTorture(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		notTested(t, "it cannot be seen there that a process was killed")
	}
	kills := map[string]int{"Work": 44, "Migrate": 10, "Open": 6, "History": 12, "Compact": 8}
	if os.Getenv("NEXUS_TORTURE") == "1" {
		kills = map[string]int{"Work": 500, "Migrate": 100, "Open": 50, "History": 300, "Compact": 200}
	}
	for name, run := range map[string]func(*testing.T, *rand.Rand, int){
		"Work": tortureWork, "Migrate": tortureMigrations, "Open": tortureOpen, "History": tortureHistory,
		"Compact": tortureCompact,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, tortureSeed(t), kills[name])
		})
	}
}

func tortureSeed(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("NEXUS_TORTURE_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("NEXUS_TORTURE_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// tortureFolder is a folder that stays when the test fails.
func tortureFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "nexus-torture-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the files are kept in %s", folder)
		} else if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	return folder
}

// tally counts by name.
type tally map[string]int

func (n tally) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, n[name]))
	}
	return strings.Join(parts, ", ")
}

// victim is a process of the torture, and those that take its place when it is
// killed.
type victim struct {
	*process
	slot, role string
	name       string // of this process
	lives      int
	read       int // bytes of its journal
}

// torture is one history of kills on one database.
type torture struct {
	*testing.T
	rng     *rand.Rand
	folder  string
	path    string
	victims []*victim
	dead    map[string]bool // names of processes
	journal *journal        // of the parent
	deeds   int             // of the parent
	before  *image

	kills     int
	lost      int   // or wrong
	phases    tally // the kinds of deeds that were under way when their process was killed
	stages    tally // and how far they had come
	did       tally // acknowledged, by kind
	refusals  int
	recovered int
	doubts    tally // what became of the deeds that were under way
	halves    int   // logs that ended in half a transaction
	longest   int64 // log, in pages
}

func tortureWork(t *testing.T, rng *rand.Rand, kills int) {
	x := &torture{
		T: t, rng: rng, folder: tortureFolder(t), dead: map[string]bool{}, before: newImage(),
		phases: tally{}, stages: tally{}, did: tally{}, doubts: tally{},
	}
	x.path = filepath.Join(x.folder, "nexus.db")
	x.begin()
	for _, role := range []string{"worker", "worker", "worker", "planner", "foreign"} {
		x.victims = append(x.victims, &victim{slot: fmt.Sprintf("%s%d", role, len(x.victims)), role: role})
	}
	x.startDead()
	rounds := 0
	for ; x.kills < kills; rounds++ {
		x.round()
		if x.Failed() {
			break
		}
	}
	sum := 0
	for _, n := range x.did {
		sum += n
	}
	t.Logf("%d kills in %d rounds; %d operations acknowledged and checked, %d lost; %d refused, %d tasks taken back, %d logs ended in half a transaction, the longest had %d pages\n"+
		"under way when killed: %v\nthat is: %v\nof these: %v\nacknowledged: %v",
		x.kills, rounds, sum, x.lost, x.refusals, x.recovered, x.halves, x.longest, x.stages, x.phases, x.doubts, x.did)
}

// begin makes the database, with a few plans.
func (x *torture) begin() {
	x.Helper()
	var err error
	if x.journal, err = openJournal(filepath.Join(x.folder, "parent.journal")); err != nil {
		x.Fatal(err)
	}
	x.Cleanup(func() { _ = x.journal.file.Close() })
	db := open(x, x.path, nil)
	create(x, db, "p")
	h := &hand{tortured: &tortured{db: db}, rng: x.rng}
	var acts []*act
	for range 5 {
		d := x.deed("plan")
		d.Way = wayTx
		mustSucceed(x, h.choosePlan(d))
		acts = append(acts, x.do(db, d))
	}
	x.before = x.check(db, acts)
	mustClose(x, db)
}

func (x *torture) deed(kind string) *deed {
	x.deeds++
	return &deed{ID: fmt.Sprintf("parent.%d", x.deeds), Kind: kind}
}

func (x *torture) do(db *store.DB, d *deed) *act {
	x.Helper()
	a, err := x.journal.do(d, func(at func(stage)) (result, error) {
		r, _, err := d.perform(db, at)
		return r, err
	})
	mustSucceed(x, err)
	return a
}

// check compares the database with the image before and what happened since.
func (x *torture) check(db *store.DB, acts []*act) *image {
	x.Helper()
	after, err := readImage(db)
	if err != nil {
		x.Fatal(err)
	}
	for _, problem := range append(check(x.before, acts, after), soundness(db)...) {
		x.Errorf("after %d kills: %s", x.kills, problem)
		x.lost++
	}
	return after
}

// startDead starts a process for each that is dead. They work when they are told to.
func (x *torture) startDead() {
	x.Helper()
	var started []*victim
	for _, v := range x.victims {
		if v.process == nil {
			x.start(v)
			started = append(started, v)
		}
	}
	for _, v := range started {
		v.expect("started")
		v.expect("ready")
	}
}

func (x *torture) start(v *victim) {
	x.Helper()
	v.lives++
	v.name = fmt.Sprintf("%s.%d", v.slot, v.lives)
	v.read = 0
	v.process = start(x, "", "torture", x.path, x.journalOf(v), v.name, v.slot, v.role, strconv.FormatUint(x.rng.Uint64(), 10))
}

func (x *torture) journalOf(v *victim) string { return filepath.Join(x.folder, v.name+".journal") }

func (v *victim) expect(line string) {
	v.T.Helper()
	if got := v.Line(); got != line {
		v.T.Fatalf("%s says %q, not %q", v.name, got, line)
	}
}

func (v *victim) order(o order) { fmt.Fprintln(v.Stdin, asJSON(o)) }

// awaited are what a process is waited for to begin before it is killed.
var awaited = map[string][]string{
	"worker":  {anyKind, anyKind, transactions, transactions, commits, commits, "claim", "complete", "turn", "heartbeat", "fail"},
	"planner": {anyKind, transactions, commits, commits, "plan", "large plan", "large plan", "create", "link"},
	"foreign": {anyKind, transactions, commits, "checkpoint", "checkpoint", "checkpoint"},
}

// round lets all work, kills one or all of them, and looks at what is left.
func (x *torture) round() {
	x.Helper()
	chosen := x.victims[x.rng.IntN(len(x.victims))]
	kinds := awaited[chosen.role]
	kind, n := kinds[x.rng.IntN(len(kinds))], 1+x.rng.IntN(5)
	if kind == anyKind {
		n = 1 + x.rng.IntN(30)
	}
	way := x.rng.IntN(10)
	await := order{Kind: kind, Left: n, Die: way >= 5, Delay: randomDelay(x.rng) / 4}
	delay := randomDelay(x.rng)
	if kind == "large plan" {
		await.Left, await.Delay, delay = 1, 20*randomDelay(x.rng), 20*delay
	}
	idle := x.rng.IntN(3) == 0 // the one that keeps the log short, so that Nexus has to
	for _, v := range x.victims {
		switch {
		case v == chosen:
			v.order(await)
		case v.role != "foreign" || !idle:
			v.order(order{})
		}
	}
	doomed := []*victim{chosen}
	if way < 4 {
		doomed = slices.Clone(x.victims)
	}
	if await.Die {
		_, _ = chosen.End()
	} else {
		chosen.expect("reached")
		if way < 1 { // while they close the database
			for _, v := range doomed {
				v.GoOn()
			}
			for _, v := range doomed {
				v.expect("closing")
			}
		}
		time.Sleep(delay)
	}
	acts := x.kill(doomed)
	if way == 1 { // and while the next ones open what these have left
		for range 1 + x.rng.IntN(3) {
			v := x.victims[x.rng.IntN(len(x.victims))]
			if v.process == nil {
				x.start(v)
				v.expect("started")
				time.Sleep(randomDelay(x.rng))
				acts = append(acts, x.kill([]*victim{v})...)
			}
		}
	}
	for _, v := range x.victims {
		if v.process != nil {
			v.order(order{Pause: true})
		}
	}
	x.longest = max(x.longest, size(x.path+"-wal")/pageSize)
	for _, v := range x.victims {
		if v.process != nil {
			v.expect("paused")
			acts = append(acts, x.journaled(v)...)
		}
	}
	if len(doomed) == len(x.victims) && halfWritten(x, x.path) {
		x.halves++
	}
	if x.rng.IntN(2) == 0 {
		x.startDead() // so that they find it as it was left
	}
	x.look(acts)
	if !x.Failed() {
		x.startDead()
	}
}

// randomDelay is up to 10 ms, more often a short one.
func randomDelay(rng *rand.Rand) time.Duration {
	f := rng.Float64()
	return time.Duration(f * f * f * float64(10*time.Millisecond))
}

// kill kills processes, and returns what they have done since they were last asked.
func (x *torture) kill(doomed []*victim) (acts []*act) {
	x.Helper()
	for _, v := range doomed {
		_ = v.Cmd.Process.Kill()
	}
	for _, v := range doomed {
		if !v.Waited {
			v.process.Kill()
		}
		if text := v.Stderr.String(); text != "" {
			x.Fatalf("%s: %s", v.name, text)
		}
		did := x.journaled(v)
		acts = append(acts, did...)
		x.dead[v.name] = true
		if !v.Cmd.ProcessState.Exited() {
			x.kills++
			x.notePhases(did)
		}
		v.process = nil
	}
	return acts
}

// notePhases counts what was under way in a process that was killed.
func (x *torture) notePhases(did []*act) {
	idle := true
	for _, a := range did {
		if a.state != doubtful {
			continue
		}
		idle, a.doubted = false, true
		x.phases[strings.TrimSpace(a.Kind+" "+a.Mode)]++
		switch {
		case a.Kind == "open" || a.Kind == "close" || a.Kind == "checkpoint":
			x.stages[a.Kind]++
		case a.stage != waiting:
			x.stages[string(a.stage)]++
		case a.Way == wayCall && a.Kind != "status" && a.Kind != "insert":
			x.stages["in a call, anywhere"]++
		default:
			x.stages["waiting for the lock"]++
		}
	}
	if idle {
		x.stages["nothing under way"]++
	}
}

// journaled returns what a process has done since it was last asked.
func (x *torture) journaled(v *victim) []*act {
	x.Helper()
	acts, end, err := readJournal(x.journalOf(v), v.read)
	if err != nil {
		x.Fatal(err)
	}
	v.read = end
	return acts
}

// look checks the database; repeats the calls with a key of which nobody knows
// whether they have succeeded, as their callers would; takes back what the dead
// hold; and checks again.
func (x *torture) look(acts []*act) {
	x.Helper()
	db, err := sqlite.Open(background, x.path, nil)
	if err != nil {
		x.Fatalf("after %d kills: %v", x.kills, err)
	}
	defer mustClose(x, db)
	var doubted []*act
	for _, a := range acts {
		if a.doubted && a.Way == wayKeyed {
			doubted = append(doubted, a)
		}
	}
	x.before = x.check(db, acts)
	x.count(acts)
	if x.Failed() {
		return
	}
	var again []*act
	for _, a := range doubted {
		again = append(again, x.do(db, a.deed))
	}
	for _, a := range acts {
		if a.Way == wayKeyed && a.state == done && x.rng.IntN(20) == 0 {
			if err := repeat(db, a); err != nil {
				x.Error(err)
			}
		}
	}
	recovered := x.recover(db)
	final := x.check(db, append(again, recovered))
	taken := map[int64]bool{}
	for _, r := range recovered.result.Taken {
		taken[r.Epoch] = true
		x.recovered++
	}
	for epoch, a := range final.attempts {
		if a.open() && x.dead[a.Process] {
			x.Errorf("attempt %d, %+v, is held by a process that is dead", epoch, a)
		}
		if taken[epoch] && !x.dead[a.Process] && a.LeaseUntil > a.Ended {
			x.Errorf("attempt %d, %+v, was taken from a process that is alive", epoch, a)
		}
	}
	x.before = final
}

func (x *torture) recover(db *store.DB) *act {
	x.Helper()
	a, err := x.journal.do(x.deed("recover"), func(func(stage)) (r result, err error) {
		report, err := db.Recover(background, nexus.RecoverRequest{Dead: func(process string) bool { return x.dead[process] }})
		if err == nil {
			for _, t := range report.Tasks {
				r.Taken = append(r.Taken, taken{t.Epoch, t.Reason})
			}
		}
		return r, err
	})
	mustSucceed(x, err)
	return a
}

func (x *torture) count(acts []*act) {
	for _, a := range acts {
		switch {
		case a.doubted && a.has():
			x.doubts["had happened"]++
		case a.doubted && a.state == refused:
			x.doubts["had not"]++
		case a.doubted:
			x.doubts["not known"]++
		case a.state == refused:
			x.refusals++
		default:
			x.did[a.Kind]++
		}
	}
}

// halfWritten reports whether the log of a database that nobody has open ends in
// pages of a transaction that was not committed. See
// https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
func halfWritten(t testing.TB, path string) bool {
	t.Helper()
	const header, frameHeader = 32, 24
	if size(path+"-wal") < header {
		return false
	}
	log := content(t, path+"-wal")
	half := false
	for frame := log[header:]; len(frame) >= frameHeader+pageSize && bytes.Equal(frame[8:16], log[16:24]); frame = frame[frameHeader+pageSize:] {
		half = bytes.Equal(frame[4:8], make([]byte, 4)) // not the last of its transaction
	}
	return half
}
