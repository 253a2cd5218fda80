package cli

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// onDisk opens databases that are files.
type onDisk struct{ memory }

func (onDisk) Open(ctx context.Context, s Settings) (*store.DB, error) {
	return sqlite.Open(ctx, s.Path, &sqlite.Options{Now: s.Now, Logger: s.Logger, NoSync: true})
}

// shop is a database with a project whose task t1 was renamed since checkpoint c1.
type shop struct {
	*testing.T
	folder string
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{t, t.TempDir()}
	for _, line := range []string{
		"project create Shop --id p1 --root-path " + filepath.Join(s.folder, "repo"), "task create Form --id t1 --project p1",
		"checkpoint create --project p1 --id c1", "task update t1 --name Page",
	} {
		s.must(line)
	}
	return s
}

// run runs a command on a terminal at which somebody types.
func (s *shop) run(line, typed string) (code int, out, errs string) {
	var outs, err bytes.Buffer
	code = Run(s.Context(), append([]string{"--db", filepath.Join(s.folder, "nexus.db")}, strings.Fields(line)...), Env{
		In: strings.NewReader(typed), Out: &outs, Err: &err, Asks: true, Getenv: func(string) string { return "" },
		Now: func() time.Time { return noon }, Database: onDisk{},
	})
	return code, outs.String(), err.String()
}

func (s *shop) must(line string) string {
	s.Helper()
	code, out, errs := s.run(line, "")
	if code != 0 {
		s.Fatalf("nexus %s: exit code %d: %s", line, code, errs)
	}
	return out
}

func (s *shop) taskIs(name string) {
	s.Helper()
	if out := s.must("task get t1 --json"); !strings.Contains(out, `"name":"`+name+`"`) {
		s.Errorf("the task is not %s: %s", name, out)
	}
}

// On a terminal, what would change is shown, and only a yes is one.
func TestRestoreAsks(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const question = "Restore project p1 to checkpoint c1? [y/N] "
	for _, answer := range []string{"", "\n", "n\n", "yeah\n", "Y e s\n"} {
		code, out, errs := s.run("checkpoint restore c1", answer)
		if code != exitCodes[nexus.CodeUnconfirmed] || out != "" || !strings.Contains(errs, "tasks  0          1       0\n"+question) ||
			!strings.HasSuffix(errs, "nexus: nothing was changed\n") {
			t.Errorf("%q: exit code %d, %s%s", answer, code, out, errs)
		}
		s.taskIs("Page")
	}
	if code, out, errs := s.run("checkpoint restore c1 --json", "y\n"); code != exitCodes[nexus.CodeUnconfirmed] || strings.Contains(out+errs, question) {
		t.Errorf("a program was asked: exit code %d, %s%s", code, out, errs)
	}
	for _, answer := range []string{"y\n", "YES\n", "yes"} {
		s.must("task update t1 --name Page")
		code, out, errs := s.run("checkpoint restore c1", answer)
		if code != 0 || !strings.HasPrefix(out, "Restored checkpoint c1.\n") || !strings.HasSuffix(errs, question) {
			t.Errorf("%q: exit code %d, %s%s", answer, code, out, errs)
		}
		s.taskIs("Form")
	}
}

func (s *shop) git(args ...string) string {
	s.Helper()
	cmd := exec.Command("git", append([]string{"-C", filepath.Join(s.folder, "repo"), "-c", "user.name=T", "-c", "user.email=t@example.com"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// newShopWithGit has a repository that has gone on from one to two since checkpoint g.
func newShopWithGit(t *testing.T) *shop {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("NEXUS_TEST_REQUIRE_ALL") != "" {
			t.Fatal("CANNOT TEST git, which is not installed")
		}
		t.Skip("NOT TESTED: git is not installed")
	}
	s := newShop(t)
	if err := os.Mkdir(filepath.Join(s.folder, "repo"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.git("init", "--quiet", "--initial-branch=main")
	s.git("commit", "--quiet", "--allow-empty", "-m", "one")
	s.must("checkpoint create --project p1 --id g")
	s.git("commit", "--quiet", "--allow-empty", "-m", "two")
	s.must("task update t1 --name Later")
	return s
}

// begin is a restore that dies when git has gone, and before the database does, or
// with commit right after that.
func (s *shop) begin(id string, commit bool) {
	s.Helper()
	ctx := s.Context()
	a := &app{ctx: ctx, Env: Env{Err: new(bytes.Buffer), Now: func() time.Time { return noon }}, db: filepath.Join(s.folder, "nexus.db")}
	db, err := onDisk{}.Open(ctx, Settings{Path: a.db, Now: a.Now})
	if err != nil {
		s.Fatal(err)
	}
	defer db.Close()
	cmd := a.checkpointRestoreCommand()
	cmd.SetContext(ctx)
	x := &restoring{app: a, cmd: cmd, db: db, args: []string{id}}
	if err := x.find(true); err != nil {
		s.Fatal(err)
	}
	if err := x.move.begin(ctx); err != nil {
		s.Fatal(err)
	}
	if commit {
		if _, err := db.Restore(ctx, id, false); err != nil {
			s.Fatal(err)
		}
	}
}

// A restore that died between git and the database is told of by the next, which goes
// on, and still knows where git has come from.
func TestRestoreDiedHalfWay(t *testing.T) {
	t.Parallel()
	s := newShopWithGit(t)
	two := s.git("rev-parse", "HEAD")
	one := s.git("rev-parse", "HEAD~1")
	s.begin("g", false)
	s.taskIs("Later")
	if got := s.git("rev-parse", "HEAD"); got != one {
		t.Fatalf("git is at %s", got)
	}
	told := "nexus: a restore of checkpoint g was stopped half way: the database was not restored; git was at main at " + two + ", on its way to " + one + "\n"

	// The next fails, because the checkpoint was altered: git comes back all the way.
	state := s.must("checkpoint get g --json")
	_, hash, _ := strings.Cut(state, `"sha256":"`)
	hash, _, _ = strings.Cut(hash, `"`)
	s.alter("g", hash, strings.Repeat("0", len(hash)))
	code, _, errs := s.run("checkpoint restore g --git --yes", "")
	if code != exitCodes[nexus.CodeCorrupt] || !strings.HasPrefix(errs, told) {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if got := s.git("rev-parse", "HEAD") + s.git("symbolic-ref", "--short", "HEAD"); got != two+"main" {
		t.Errorf("git is at %s", got)
	}

	// And one that succeeds goes on.
	s.alter("g", strings.Repeat("0", len(hash)), hash)
	s.begin("g", false)
	code, _, errs = s.run("checkpoint restore g --git --yes", "")
	if code != 0 || errs != told {
		t.Errorf("exit code %d: %s", code, errs)
	}
	s.taskIs("Page")
	if got := s.git("rev-parse", "HEAD"); got != one {
		t.Errorf("git is at %s", got)
	}
	if code, _, errs = s.run("checkpoint restore g --git --yes", ""); code != 0 || errs != "" {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

func TestRestoreDiedAtTheEnd(t *testing.T) {
	t.Parallel()
	s := newShopWithGit(t)
	s.begin("g", true)
	code, _, errs := s.run("checkpoint restore g --git --yes", "")
	if code != 0 || !strings.HasPrefix(errs, "nexus: the restore of checkpoint g was stopped at its very end: the database is restored, and git went from main at ") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	s.taskIs("Page")
}

func (s *shop) alter(id, old, with string) {
	s.Helper()
	db, err := onDisk{}.Open(s.Context(), Settings{Path: filepath.Join(s.folder, "nexus.db"), Now: func() time.Time { return noon }})
	if err != nil {
		s.Fatal(err)
	}
	defer db.Close()
	err = db.InTx(s.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(s.Context(), `UPDATE checkpoints SET state = replace(state, $2, $3) WHERE id = $1`, id, old, with)
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
}
