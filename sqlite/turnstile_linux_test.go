package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

func init() {
	children["draw"] = childDraw
	children["keep-writing"] = childKeepWriting
	children["write-on-cue"] = childWriteOnCue
}

// childDraw takes from the pot in the database at args[0], one transaction each
// time, until that is empty, and prints how often it has.
func childDraw(args []string) error {
	db, err := sqlite.Open(background, args[0], nil)
	if err != nil {
		return err
	}
	take := func(sql string) (taken int64, err error) {
		err = db.InTx(background, func(tx *store.Tx) (err error) {
			taken, err = tx.Exec(background, sql)
			return err
		})
		return taken, err
	}
	if _, err := take("UPDATE pot SET n = 0 WHERE n < 0"); err != nil {
		return err // the writer's connection is open from here on
	}
	say("ready")
	awaitParent()
	for n := 0; ; n++ {
		taken, err := take("UPDATE pot SET n = n - 1 WHERE n > 0")
		if err != nil {
			return err
		}
		if taken == 0 {
			say("%d", n)
			return db.Close()
		}
	}
}

// Processes that write without a break share the write lock: whoever has just
// had it does not get it again before those who wait.
func TestProcessesTakeTurns(t *testing.T) {
	t.Parallel()
	const processes, each = 16, 100
	path := newDatabase(t)
	script(t, path, fmt.Sprintf("CREATE TABLE pot (n INTEGER); INSERT INTO pot VALUES (%d)", processes*each))
	all := make([]*process, processes)
	for i := range all {
		all[i] = start(t, "", "draw", path)
	}
	for _, p := range all {
		p.Line()
	}
	for _, p := range all {
		p.GoOn()
	}
	shares, sum := []int{}, 0
	for _, p := range all {
		n, err := strconv.Atoi(strings.TrimSpace(p.MustEnd()))
		if err != nil {
			t.Fatal(err)
		}
		shares, sum = append(shares, n), sum+n
	}
	if slices.Min(shares) < each/4 || sum != processes*each {
		t.Errorf("the shares are %v of %d, the mean is %d", shares, sum, each)
	}
	mustBeAlone(t, path)
}

// childWriteOnCue begins a transaction on the database at args[0], says so, and
// stores the project args[1] when the parent lets it go on.
func childWriteOnCue(args []string) error {
	db, err := sqlite.Open(background, args[0], nil)
	if err != nil {
		return err
	}
	err = db.InTx(background, func(tx *store.Tx) error {
		say("inside")
		awaitParent()
		return tx.Projects.Create(background, project(args[1]))
	})
	if err != nil {
		return err
	}
	return db.Close()
}

// gotIn starts a process that is in the middle of a transaction.
func gotIn(t testing.TB, path, id string) *process {
	t.Helper()
	p := start(t, "", "write-on-cue", path, id)
	p.Line()
	return p
}

// inTheLine starts a process that waits to write, as the n-th in the line.
func inTheLine(t testing.TB, path, id string, n int) *process {
	t.Helper()
	p := start(t, "", "write-on-cue", path, id)
	untilInLine(t, path, n)
	return p
}

// untilInLine waits until so many processes wait to write.
func untilInLine(t testing.TB, path string, n int) {
	t.Helper()
	until(t, fmt.Sprintf("a line of %d", n), func() bool { return inLine(t, path) == n })
}

func inLine(t testing.TB, path string) (n int) {
	t.Helper()
	var stat syscall.Stat_t
	if err := syscall.Stat(path+"-wal", &stat); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content(t, "/proc/locks"))) {
		// 1: -> OFDLCK ADVISORY  WRITE -1 08:01:123456 1099511627776 1099511627776
		if strings.Contains(line, "->") && strings.Contains(line, fmt.Sprintf(":%d ", stat.Ino)) {
			n++
		}
	}
	return n
}

// A process that is killed, wherever in the turnstile it is, is in nobody's way.
func TestKilledInTheTurnstile(t *testing.T) {
	t.Parallel()
	for _, victims := range [][]string{{"inside"}, {"head"}, {"behind"}, {"inside", "head"}, {"head", "behind"}} {
		t.Run(strings.Join(victims, " and "), func(t *testing.T) {
			t.Parallel()
			path := newDatabase(t)
			names := []string{"inside", "head", "behind", "last"}
			all := []*process{gotIn(t, path, names[0])}
			for n := 1; n < len(names); n++ {
				all = append(all, inTheLine(t, path, names[n], n))
			}
			for i, p := range all {
				if slices.Contains(victims, names[i]) {
					p.Kill()
				} else {
					p.GoOn()
				}
			}
			for i, p := range all {
				if !slices.Contains(victims, names[i]) {
					p.MustEnd()
				}
			}
			db := open(t, path, nil)
			ids := projectIDs(t, db)
			for _, name := range names {
				if ids[name] == slices.Contains(victims, name) {
					t.Errorf("rows: %v; killed: %v", ids, victims)
				}
			}
			create(t, db, "after")
			mustClose(t, db)
			mustBeAlone(t, path)
		})
	}
}

// Who gives up waiting keeps nobody out, and comes back into its place in the
// line, of which it has one.
func TestGivingUpInTheTurnstile(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	db := open(t, path, nil)
	hasty := open(t, path, &sqlite.Options{Patience: 20 * time.Millisecond})
	first := gotIn(t, path, "first-inside")

	giveUp := func() {
		t.Helper()
		ctx, cancel := context.WithCancel(background)
		done := make(chan error, 1)
		go func() { done <- db.Projects.Create(ctx, project("given-up")) }()
		untilInLine(t, path, 1)
		cancel()
		wantCode(t, <-done, nexus.CodeCanceled)
		untilInLine(t, path, 1)
	}
	for range 3 {
		giveUp()
	}
	second := inTheLine(t, path, "second-inside", 2)
	first.MustEnd()
	if line := second.Line(); line != "inside" { // although db does not come to write
		t.Fatalf("the second says %q", line)
	}

	giveUp()
	err := hasty.Projects.Create(background, project("hasty"))
	wantCode(t, err, nexus.CodeBusy)
	if !strings.Contains(err.Error(), "20ms") {
		t.Errorf("%v does not say how long it has waited", err)
	}
	done := make(chan error, 1)
	go func() { done <- db.Projects.Create(background, project("back")) }()
	second.MustEnd()
	if err := <-done; err != nil {
		t.Error(err)
	}
	create(t, hasty, "hasty")
	ids := projectIDs(t, db)
	if len(ids) != 5 || ids["given-up"] {
		t.Errorf("rows: %v", ids)
	}
}

// A process that has been stopped at the head of the line is passed.
func TestStoppedInTheTurnstile(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	holder := gotIn(t, path, "holder")
	stopped := inTheLine(t, path, "stopped", 1)
	signal := func(s syscall.Signal) {
		if err := stopped.Cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	untilInLine(t, path, 0)
	holder.MustEnd()
	db := open(t, path, &sqlite.Options{Patience: 20 * time.Millisecond}) // with more it takes longer to pass
	create(t, db, "passed")
	create(t, db, "passed again")
	signal(syscall.SIGCONT)
	stopped.MustEnd()
	create(t, db, "after")
	if ids := projectIDs(t, db); len(ids) != 6 {
		t.Errorf("rows: %v", ids)
	}
}

// descriptors counts what this process has open of a file, even if that has been
// removed.
func descriptors(t testing.TB, path string) (n int) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(name, path) {
			n++
		}
	}
	return n
}

func TestCloseLeavesNoDescriptor(t *testing.T) {
	t.Parallel()
	for name, link := range map[string]bool{"by its name": false, "through a link": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newDatabase(t)
			opened := path
			if link {
				opened = filepath.Join(t.TempDir(), "link.db")
				if err := os.Symlink(path, opened); err != nil {
					t.Fatal(err)
				}
			}
			db := open(t, opened, nil)
			idle := descriptors(t, path+"-wal")
			create(t, db, "p")
			if n := descriptors(t, path+"-wal"); n < idle+1 { // the connection is that of before
				t.Errorf("%d descriptors when writing, %d before: there is no turnstile", n, idle)
			}
			mustClose(t, db)
			mustBeAlone(t, path)
			if n := descriptors(t, path); n > 0 {
				t.Errorf("%d descriptors are left", n)
			}
		})
	}
}

// The same, closed while its place in the line is still kept.
func TestCloseInTheTurnstile(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	holder := gotIn(t, path, "holder")
	db := open(t, path, &sqlite.Options{Patience: time.Millisecond})
	wantCode(t, db.Projects.Create(background, project("p")), nexus.CodeBusy)
	mustClose(t, db)
	next := inTheLine(t, path, "next", 2)
	holder.MustEnd()
	next.MustEnd()
	until(t, "closing the descriptor", func() bool { return descriptors(t, path) == 0 })
	mustBeAlone(t, path)
}

// childKeepWriting writes to the database at args[0] without a break until the
// parent tells it to end.
func childKeepWriting(args []string) error {
	db, err := sqlite.Open(background, args[0], &sqlite.Options{NoSync: true})
	if err != nil {
		return err
	}
	enough := make(chan struct{})
	go func() {
		awaitParent()
		close(enough)
	}()
	for n := 0; ; n++ {
		if err := db.Projects.Create(background, project(fmt.Sprintf("%s-%d", args[1], n))); err != nil {
			return err
		}
		if n == 0 {
			say("writing")
		}
		select {
		case <-enough:
			return db.Close()
		default:
		}
	}
}

// Another program, with SQLite's own busy handler and five seconds' time, gets to
// write beside processes that do so without a break.
func TestOtherProgramBesideProcesses(t *testing.T) {
	t.Parallel()
	path := newDatabase(t)
	var all []*process
	for i := range 4 {
		all = append(all, start(t, "", "keep-writing", path, fmt.Sprint(i)))
	}
	for _, p := range all {
		p.Line()
	}
	if _, err := start(t, "", "insert-waiting", path, "5").End(); err != nil {
		t.Error(err)
	}
	for _, p := range all {
		p.MustEnd()
	}
	mustBeAlone(t, path)
	mustBeSound(t, path)
}
