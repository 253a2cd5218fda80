package gitstate_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/gitstate"
)

// repo is a real repository with two commits on main.
type repo struct {
	*testing.T
	path          string
	first, second string
}

func newRepo(t *testing.T) *repo {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("NEXUS_TEST_REQUIRE_ALL") != "" {
			t.Fatal("CANNOT TEST git, which is not installed")
		}
		t.Skip("NOT TESTED: git is not installed")
	}
	r := &repo{T: t, path: filepath.Join(realPath(t, t.TempDir()), "repo")}
	if err := os.Mkdir(r.path, 0o755); err != nil {
		t.Fatal(err)
	}
	r.git("init", "--quiet", "--initial-branch=main")
	r.git("config", "user.name", "Test")
	r.git("config", "user.email", "test@example.com")
	r.first = r.commit("one")
	r.second = r.commit("two")
	return r
}

// realPath is a path as git prints it.
func realPath(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (r *repo) git(args ...string) string {
	r.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.path
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repo) write(name, text string) {
	r.Helper()
	path := filepath.Join(r.path, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.Fatal(err)
	}
}

func (r *repo) read(name string) string {
	r.Helper()
	text, err := os.ReadFile(filepath.Join(r.path, name))
	if err != nil {
		r.Fatal(err)
	}
	return string(text)
}

// commit makes a commit in which the file says text, and returns its hash.
func (r *repo) commit(text string) string {
	r.Helper()
	r.write("file", text)
	r.git("add", "file")
	r.git("commit", "--quiet", "-m", text)
	return r.git("rev-parse", "HEAD")
}

func (r *repo) open() *gitstate.Repository {
	r.Helper()
	opened, err := gitstate.Open(r.Context(), r.path)
	if err != nil || opened == nil {
		r.Fatalf("Open: %v, %v", opened, err)
	}
	return opened
}

func (r *repo) is(want nexus.GitState) {
	r.Helper()
	got, err := r.open().State(r.Context())
	if err != nil || *got != want {
		r.Errorf("State: %+v, %v; want %+v", got, err, want)
	}
}

func (r *repo) refuses(err error, code nexus.Code, says string) {
	r.Helper()
	if nexus.CodeOf(err) != code || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
		r.Errorf("%v, want %s: …%s…", err, code, says)
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.is(nexus.GitState{Commit: r.second, Branch: "main"})
	r.write("unknown", "git does not know it")
	r.is(nexus.GitState{Commit: r.second, Branch: "main"})
	r.write("file", "changed")
	r.is(nexus.GitState{Commit: r.second, Branch: "main", Dirty: true})
	r.git("add", "file")
	r.is(nexus.GitState{Commit: r.second, Branch: "main", Dirty: true})
	r.git("reset", "--quiet", "--hard")
	r.git("checkout", "--quiet", "--detach", r.first)
	r.is(nexus.GitState{Commit: r.first})

	folder := filepath.Join(r.path, "a", "b")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	inside, err := gitstate.Open(t.Context(), folder)
	if err != nil || inside.Top != r.path {
		t.Errorf("a folder in a repository: %+v, %v", inside, err)
	}
}

func TestNoRepository(t *testing.T) {
	t.Parallel()
	newRepo(t) // only where there is git
	for _, folder := range []string{t.TempDir(), filepath.Join(t.TempDir(), "not", "there")} {
		if r, err := gitstate.Open(t.Context(), folder); r != nil || err != nil {
			t.Errorf("%s: %+v, %v", folder, r, err)
		}
	}
}

func TestUnborn(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.git("checkout", "--quiet", "--orphan", "empty")
	r.git("rm", "--quiet", "--cached", "file")
	r.is(nexus.GitState{Branch: "empty"})
	_, err := r.open().Check(t.Context(), nexus.GitState{Commit: r.first})
	r.refuses(err, nexus.CodeInUse, "has no commit yet")
}

func TestBroken(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	ctx := t.Context()

	bare := &repo{T: t, path: filepath.Join(t.TempDir(), "bare.git")}
	r.git("clone", "--quiet", "--bare", r.path, bare.path)
	_, err := gitstate.Open(ctx, bare.path)
	r.refuses(err, nexus.CodeInvalid, "is a bare repository")

	lock := filepath.Join(".git", "index.lock")
	r.write(lock, "")
	_, err = r.open().State(ctx)
	r.refuses(err, nexus.CodeBusy, "index.lock exists")
	_, err = r.open().Check(ctx, nexus.GitState{Commit: r.first})
	r.refuses(err, nexus.CodeBusy, "index.lock exists")
	if err := os.Remove(filepath.Join(r.path, lock)); err != nil {
		t.Fatal(err)
	}

	r.write(filepath.Join(".git", "refs", "heads", "main"), strings.Repeat("1", 40)+"\n")
	_, err = r.open().State(ctx)
	r.refuses(err, nexus.CodeCorrupt, "lacks its commit 1111")
	r.write(filepath.Join(".git", "HEAD"), "nonsense")
	_, err = gitstate.Open(ctx, r.path)
	r.refuses(err, nexus.CodeIO, "git rev-parse failed in "+r.path+": ")
	if err := os.RemoveAll(filepath.Join(r.path, ".git")); err != nil {
		t.Fatal(err)
	}
	r.write(".git", "gitdir: /nowhere")
	_, err = gitstate.Open(ctx, r.path)
	r.refuses(err, nexus.CodeIO, "git rev-parse failed in "+r.path+": ")
}

func TestCheck(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	ctx := t.Context()
	now, err := r.open().Check(ctx, nexus.GitState{Commit: r.first}, "/elsewhere/nexus.db")
	if err != nil || *now != (nexus.GitState{Commit: r.second, Branch: "main"}) {
		t.Errorf("%+v, %v", now, err)
	}
	_, err = r.open().Check(ctx, nexus.GitState{Commit: strings.Repeat("1", 40)})
	r.refuses(err, nexus.CodeNotFound, "has no commit 1111")
	_, err = r.open().Check(ctx, nexus.GitState{Commit: r.first}, filepath.Join(r.path, "other"), filepath.Join(r.path, "file"))
	r.refuses(err, nexus.CodeInUse, "git keeps "+filepath.Join(r.path, "file"))
	r.write("file", "changed")
	_, err = r.open().Check(ctx, nexus.GitState{Commit: r.first})
	r.refuses(err, nexus.CodeInUse, "has changes that are not committed")
}

// A commit that no branch leads to any more can be gone: what git has collected is
// not there.
func TestLostCommit(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.git("reset", "--quiet", "--hard", r.first)
	if !r.open().Has(t.Context(), r.second) {
		t.Error("git keeps it for a while")
	}
	r.git("reflog", "expire", "--expire=now", "--all")
	r.git("gc", "--quiet", "--prune=now")
	_, err := r.open().Check(t.Context(), nexus.GitState{Commit: r.second, Branch: "main"})
	r.refuses(err, nexus.CodeNotFound, "has no commit "+r.second)
}

func TestCheckOut(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	ctx := t.Context()
	checkOut := func(to nexus.GitState) {
		t.Helper()
		if err := r.open().CheckOut(ctx, to); err != nil {
			t.Error(err)
		}
	}
	checkOut(nexus.GitState{Commit: r.first, Branch: "main"}) // which has gone on
	r.is(nexus.GitState{Commit: r.first})
	if got := r.read("file"); got != "one" {
		t.Errorf("the file says %q", got)
	}
	checkOut(nexus.GitState{Commit: r.second, Branch: "main"})
	r.is(nexus.GitState{Commit: r.second, Branch: "main"})
	checkOut(nexus.GitState{Commit: r.first, Branch: "--orphan"}) // no option is made of a name
	r.is(nexus.GitState{Commit: r.first})

	// What would be overwritten is left alone.
	r.git("checkout", "--quiet", "main")
	r.git("rm", "--quiet", "file")
	r.git("commit", "--quiet", "-m", "three")
	r.write("file", "mine")
	_, err := r.open().Check(ctx, nexus.GitState{Commit: r.first})
	r.refuses(err, nexus.CodeInUse, "files that git does not know are in the way in "+r.path+": file")
	err = r.open().CheckOut(ctx, nexus.GitState{Commit: r.first})
	r.refuses(err, nexus.CodeIO, "git checkout failed in "+r.path+": ")
	r.refuses(err, nexus.CodeIO, "would be overwritten by checkout: file")
	if got := r.read("file"); got != "mine" {
		t.Errorf("the file says %q", got)
	}

	// Also if it is ignored.
	r.write(".gitignore", "file\n")
	r.git("add", ".gitignore")
	r.git("commit", "--quiet", "-m", "four")
	_, err = r.open().Check(ctx, nexus.GitState{Commit: r.first})
	r.refuses(err, nexus.CodeInUse, "in the way")
	err = r.open().CheckOut(ctx, nexus.GitState{Commit: r.first})
	r.refuses(err, nexus.CodeIO, "would be overwritten by checkout: file")
	if got := r.read("file"); got != "mine" {
		t.Errorf("the file says %q", got)
	}
}

// A file is in the way of a folder, too; unless it goes with the commit.
func TestInTheWayOfAFolder(t *testing.T) {
	r := newRepo(t)
	ctx := t.Context()
	r.write(filepath.Join("folder", "file"), "one")
	r.git("add", "folder")
	r.git("commit", "--quiet", "-m", "a folder")
	folder := r.git("rev-parse", "HEAD")
	r.git("rm", "--quiet", "-r", "folder")
	r.git("commit", "--quiet", "-m", "no folder")
	if _, err := r.open().Check(ctx, nexus.GitState{Commit: folder}); err != nil {
		t.Error(err)
	}
	r.write("folder", "mine")
	_, err := r.open().Check(ctx, nexus.GitState{Commit: folder})
	r.refuses(err, nexus.CodeInUse, "are in the way in "+r.path+": folder")
	r.git("add", "folder")
	r.git("commit", "--quiet", "-m", "a file")
	if _, err := r.open().Check(ctx, nexus.GitState{Commit: folder}); err != nil {
		t.Error(err)
	}
}

// What git has begun and not ended would go on from elsewhere.
func TestUnderWay(t *testing.T) {
	r := newRepo(t)
	for file, work := range map[string]string{
		"rebase-merge": "rebase", "rebase-apply": "rebase", "MERGE_HEAD": "merge", "CHERRY_PICK_HEAD": "cherry-pick",
		"REVERT_HEAD": "revert", "BISECT_LOG": "bisect",
	} {
		path := filepath.Join(".git", file)
		r.write(path, r.first+"\n")
		_, err := r.open().Check(t.Context(), nexus.GitState{Commit: r.first})
		r.refuses(err, nexus.CodeInUse, "a "+work+" is under way in the repository "+r.path)
		if err := os.Remove(filepath.Join(r.path, path)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.open().Check(t.Context(), nexus.GitState{Commit: r.first})
	if err != nil {
		t.Error(err)
	}
}

// Nothing of the user's or the repository's configuration runs or asks, and where git
// is told to look by its environment does not matter.
func TestConfiguration(t *testing.T) {
	r := newRepo(t)
	trap := filepath.Join(r.path, "trap.sh")
	r.write("trap.sh", "#!/bin/sh\ntouch "+filepath.Join(r.path, "sprung")+"\n")
	if err := os.Chmod(trap, 0o700); err != nil {
		t.Fatal(err)
	}
	hooks := filepath.Join(r.path, ".git", "hooks")
	if err := os.MkdirAll(hooks, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(trap, filepath.Join(hooks, "post-checkout")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"core.fsmonitor", "core.editor", "core.pager", "diff.external", "core.askPass"} {
		r.git("config", name, trap)
	}
	r.git("config", "status.showUntrackedFiles", "all")
	r.git("config", "submodule.recurse", "true")
	if err := os.Remove(filepath.Join(r.path, "sprung")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	other := newRepo(t)
	t.Setenv("GIT_DIR", filepath.Join(other.path, ".git"))
	t.Setenv("GIT_WORK_TREE", other.path)
	t.Setenv("GIT_EXTERNAL_DIFF", trap)
	repository, err := gitstate.Open(t.Context(), r.path)
	if err != nil || repository.Top != r.path {
		t.Fatalf("%+v, %v", repository, err)
	}
	if _, err := repository.Check(t.Context(), nexus.GitState{Commit: r.first}, filepath.Join(r.path, "unknown")); err != nil {
		t.Error(err)
	}
	if err := repository.CheckOut(t.Context(), nexus.GitState{Commit: r.first}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(r.path, "sprung")); err == nil {
		t.Error("something of the configuration has run")
	}
	if r.read("file") != "one" || other.read("file") != "two" {
		t.Error("the other repository was checked out")
	}
}

// A linked working tree has an index, a lock and a branch of its own.
func TestWorktree(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	linked := &repo{T: t, path: filepath.Join(filepath.Dir(r.path), "linked")}
	r.git("worktree", "add", "--quiet", "-b", "side", linked.path, r.first)
	linked.is(nexus.GitState{Commit: r.first, Branch: "side"})
	r.write(filepath.Join(".git", "index.lock"), "")
	linked.is(nexus.GitState{Commit: r.first, Branch: "side"})
	// The branch is checked out elsewhere, where it must stay.
	if err := linked.open().CheckOut(t.Context(), nexus.GitState{Commit: r.second, Branch: "main"}); err != nil {
		t.Error(err)
	}
	linked.is(nexus.GitState{Commit: r.second})
	r.write(filepath.Join(".git", "worktrees", "linked", "index.lock"), "")
	_, err := linked.open().State(t.Context())
	r.refuses(err, nexus.CodeBusy, "worktrees/linked/index.lock exists")
}

func TestNotInstalled(t *testing.T) {
	r := newRepo(t)
	t.Setenv("PATH", t.TempDir())
	_, err := gitstate.Open(t.Context(), r.path)
	r.refuses(err, nexus.CodeIO, "git is not installed")
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	repository := r.open()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := repository.State(ctx)
	if nexus.CodeOf(err) != nexus.CodeCanceled {
		t.Error(err)
	}
	if err := repository.CheckOut(ctx, nexus.GitState{Commit: r.first}); nexus.CodeOf(err) != nexus.CodeCanceled {
		t.Error(err)
	}
	r.is(nexus.GitState{Commit: r.second, Branch: "main"})
}
