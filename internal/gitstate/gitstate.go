// Package gitstate looks at git repositories and checks commits out, by running the git
// program. It never changes a repository but in [Repository.CheckOut], never asks
// anything, and runs no hook.
package gitstate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-c8812374/nexus"
)

// Repository is a working tree of git.
type Repository struct {
	Top    string // the folder of its working tree
	GitDir string // where git keeps what belongs to this working tree
}

// Open finds the repository that a folder is in, as git does: the folder itself or the
// nearest above it. It returns nil if there is none.
//
// Codes: CodeInvalid if it has no working tree; CodeIO if git is not installed, or
// cannot make sense of it.
func Open(ctx context.Context, folder string) (*Repository, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	if !inRepository(folder) {
		return nil, nil
	}
	found, err := run(ctx, folder, "rev-parse", "--is-bare-repository", "--absolute-git-dir")
	if err != nil {
		return nil, err
	}
	bare, gitDir, _ := strings.Cut(found, "\n")
	if bare == "true" {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: gitDir + " is a bare repository: it has no files to go back to"}
	}
	top, err := run(ctx, folder, "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	return &Repository{Top: top, GitDir: gitDir}, nil
}

// inRepository reports whether git would find something, so that what it says of a
// folder without a repository need not be told from what it says of a broken one.
func inRepository(folder string) bool {
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(folder, name))
		return err == nil
	}
	for {
		if exists(".git") || exists("HEAD") && exists("objects") && exists("refs") {
			return true
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return false
		}
		folder = parent
	}
}

// State returns where the repository is. Files that git does not know do not make it
// dirty: the database itself may be one.
//
// Codes: CodeBusy if another git is at work in it; CodeCorrupt if its commit is missing;
// CodeIO.
func (r *Repository) State(ctx context.Context) (*nexus.GitState, error) {
	if lock := r.lock(); lock != "" {
		return nil, &nexus.Error{
			Code: nexus.CodeBusy, Message: "the repository is locked: " + lock + " exists",
			Hint: "wait for the git that is at work there, or remove the file if there is none",
		}
	}
	state := new(nexus.GitState)
	var err error
	if state.Branch, err = run(ctx, r.Top, "symbolic-ref", "--quiet", "--short", "HEAD"); err != nil && !isNo(err) {
		return nil, err
	}
	if state.Commit, err = run(ctx, r.Top, "rev-parse", "--quiet", "--verify", "HEAD"); isNo(err) {
		state.Commit = "" // there is none yet
	} else if err != nil {
		return nil, err
	} else if !r.Has(ctx, state.Commit) {
		return nil, &nexus.Error{
			Code: nexus.CodeCorrupt, Message: fmt.Sprintf("the repository %s lacks its commit %s", r.Top, state.Commit), Hint: "see git fsck",
		}
	}
	changes, err := run(ctx, r.Top, "status", "--porcelain", "--untracked-files=no")
	if err != nil {
		return nil, err
	}
	state.Dirty = changes != ""
	return state, nil
}

// Has reports whether the repository has a commit.
func (r *Repository) Has(ctx context.Context, commit string) bool {
	_, err := run(ctx, r.Top, "cat-file", "-e", commit+"^{commit}")
	return err == nil
}

// lock returns the lock file of a git that is at work, or "".
func (r *Repository) lock() string {
	for _, name := range []string{"index.lock", "HEAD.lock"} {
		path := filepath.Join(r.GitDir, name)
		if _, err := os.Lstat(path); err == nil {
			return path
		}
	}
	return ""
}

// underWay returns what git has begun and not ended in the working tree, or "". To check
// something out then would leave commits behind.
func (r *Repository) underWay() string {
	for _, work := range []struct{ name, file string }{
		{"rebase", "rebase-merge"},
		{"rebase", "rebase-apply"}, // also of git am
		{"merge", "MERGE_HEAD"},
		{"cherry-pick", "CHERRY_PICK_HEAD"},
		{"revert", "REVERT_HEAD"},
		{"bisect", "BISECT_LOG"},
	} {
		if _, err := os.Lstat(filepath.Join(r.GitDir, work.file)); err == nil {
			return work.name
		}
	}
	return ""
}

// Check reports why a state cannot be checked out, if it cannot: something is not
// committed, or begun and not ended, the commit is not there, another git is at work,
// files that git does not know are in the way, or files that must stay as they are, such as
// a database, would be changed. It returns the state as it is.
//
// Codes: CodeInUse, CodeNotFound, CodeBusy, CodeCorrupt, CodeIO.
func (r *Repository) Check(ctx context.Context, to nexus.GitState, keep ...string) (*nexus.GitState, error) {
	now, err := r.State(ctx)
	if err != nil {
		return nil, err
	}
	switch work := r.underWay(); {
	case work != "":
		return nil, &nexus.Error{
			Code: nexus.CodeInUse, Message: fmt.Sprintf("a %s is under way in the repository %s", work, r.Top),
			Hint: fmt.Sprintf("end it first (git %s); nothing was changed", work),
		}
	case now.Dirty:
		return nil, &nexus.Error{
			Code: nexus.CodeInUse, Message: "the repository " + r.Top + " has changes that are not committed",
			Hint: "commit or stash them first; nothing was changed",
		}
	case now.Commit == "":
		return nil, &nexus.Error{
			Code: nexus.CodeInUse, Message: "the repository " + r.Top + " has no commit yet to come back to", Hint: "commit first; nothing was changed",
		}
	case !r.Has(ctx, to.Commit):
		return nil, &nexus.Error{
			Code: nexus.CodeNotFound, Message: fmt.Sprintf("the repository %s has no commit %s", r.Top, to.Commit),
			Hint: "fetch it, or restore without --git; nothing was changed",
		}
	}
	if files, err := r.inTheWay(ctx, now.Commit, to.Commit); err != nil {
		return nil, err
	} else if len(files) > 0 {
		return nil, &nexus.Error{
			Code: nexus.CodeInUse, Message: fmt.Sprintf("files that git does not know are in the way in %s: %s", r.Top, shown(files)),
			Hint: "move them away first; nothing was changed",
		}
	}
	for _, path := range keep {
		touched, err := r.changes(ctx, now.Commit, to.Commit, path)
		if err != nil {
			return nil, err
		}
		if touched {
			return nil, &nexus.Error{
				Code: nexus.CodeInUse, Message: fmt.Sprintf("git keeps %s, and would replace it while it is open", path),
				Hint: "take it out of the repository (git rm --cached), or restore without --git; nothing was changed",
			}
		}
	}
	return now, nil
}

// inTheWay returns the files of the other commit that something is in the way of which git
// does not know: a file of that name, or one where a folder has to be.
func (r *Repository) inTheWay(ctx context.Context, from, to string) (files []string, err error) {
	added, err := r.differing(ctx, "A", from, to)
	if err != nil {
		return nil, err
	}
	removed, err := r.differing(ctx, "D", from, to)
	if err != nil {
		return nil, err
	}
	looked := make(map[string]bool)
	for _, path := range removed {
		looked[path] = true // it makes room
	}
	for _, path := range added {
		for ; path != "." && !looked[path]; path = filepath.Dir(path) {
			looked[path] = true
			if info, err := os.Lstat(filepath.Join(r.Top, path)); err == nil && !info.IsDir() {
				files = append(files, path)
			}
		}
	}
	return files, nil
}

// differing returns the files that have been added (A) or removed (D) between two commits.
func (r *Repository) differing(ctx context.Context, how, from, to string) ([]string, error) {
	list, err := run(ctx, r.Top, "diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--diff-filter="+how, from, to)
	if err != nil || list == "" {
		return nil, err
	}
	return strings.Split(filepath.FromSlash(strings.TrimSuffix(list, "\x00")), "\x00"), nil
}

// changes reports whether a file differs between two commits.
func (r *Repository) changes(ctx context.Context, from, to, path string) (bool, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return false, err
	}
	if folder, err := filepath.EvalSymlinks(filepath.Dir(absolute)); err == nil {
		absolute = filepath.Join(folder, filepath.Base(absolute))
	}
	inside, err := filepath.Rel(r.Top, absolute)
	if err != nil || inside == ".." || strings.HasPrefix(inside, ".."+string(filepath.Separator)) {
		return false, nil
	}
	_, err = run(ctx, r.Top, "diff", "--quiet", "--no-ext-diff", from, to, "--", ":(literal)"+filepath.ToSlash(inside))
	if isNo(err) {
		return true, nil
	}
	return false, err
}

// Target returns what to check out for a state: its branch, if that still is at its
// commit and no other working tree has it, else the commit alone.
func (r *Repository) Target(ctx context.Context, to nexus.GitState) nexus.GitState {
	target := nexus.GitState{Commit: to.Commit}
	if to.Branch == "" {
		return target
	}
	found, err := run(ctx, r.Top, "for-each-ref", "--format=%(objectname) %(worktreepath)", "refs/heads/"+to.Branch)
	tip, elsewhere, _ := strings.Cut(found, " ")
	if err == nil && tip == to.Commit && (elsewhere == "" || elsewhere == r.Top) {
		target.Branch = to.Branch
	}
	return target
}

// CheckOut makes the files those of a state's [Repository.Target]. Files that git does not
// know, ignored ones too, are in the way of those that it would put there. Code: CodeIO,
// after which git has said why it cannot.
func (r *Repository) CheckOut(ctx context.Context, to nexus.GitState) error {
	where := []string{"--detach", to.Commit}
	if to = r.Target(ctx, to); to.Branch != "" {
		where = []string{to.Branch, "--"}
	}
	_, err := runFor(ctx, checkoutTime, r.Top, append([]string{"checkout", "--quiet", "--no-overwrite-ignore", "--no-recurse-submodules"}, where...)...)
	return err
}
