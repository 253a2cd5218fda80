package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/disk"
	"github.com/seed-c8812374/nexus/internal/gitstate"
	"github.com/seed-c8812374/nexus/store"
)

// gitMove takes a repository along when a checkpoint is restored. While it is under
// way, a note in the repository's own folder says from where to where, so that it is
// known if the process dies.
type gitMove struct {
	CheckpointID string         `json:"checkpoint_id"`
	Repository   string         `json:"repository"`
	From         nexus.GitState `json:"from"`
	To           nexus.GitState `json:"to"`
	Change       int64          `json:"change"` // the newest of the database when it began

	repository *gitstate.Repository
}

// prepareGit finds out what a restore that was stopped half way has left, and checks
// whether the repository can be taken along. It returns nil if it is not to be.
func (x *restoring) prepareGit(ctx context.Context, project *nexus.Project, state *nexus.CheckpointState, wanted bool) (*gitMove, error) {
	repository, err := gitstate.Open(ctx, project.RootPath)
	switch {
	case !wanted && (err != nil || repository == nil):
		return nil, nil
	case err != nil:
		return nil, err
	case repository == nil:
		return nil, &nexus.Error{
			Code: nexus.CodeInvalid, Kind: nexus.KindProject, ID: project.ID,
			Message: fmt.Sprintf("its root_path %s is in no git repository", project.RootPath),
			Hint:    "nothing was changed; correct the path, or restore without --git",
		}
	}
	m := &gitMove{CheckpointID: x.checkpoint.ID, Repository: repository.Top, repository: repository}
	left, err := x.leftover(ctx, m)
	if err != nil || !wanted {
		return nil, err
	}
	if state.Git == nil || state.Git.Commit == "" {
		return nil, &nexus.Error{
			Code: nexus.CodeInvalid, Kind: nexus.KindCheckpoint, ID: x.checkpoint.ID, Message: "has no commit of git",
			Hint: "nothing was changed; restore it without --git",
		}
	}
	m.To = repository.Target(ctx, *state.Git)
	from, err := repository.Check(ctx, m.To, x.path(), x.path()+"-wal", x.path()+"-shm")
	if err != nil {
		return nil, err
	}
	if m.From = *from; left != nil && from.Commit == left.To.Commit { // nobody has moved it since
		m.From = left.From
	}
	m.Change, err = x.db.LastChange(ctx)
	return m, err
}

// leftover reads the note of a restore that was stopped half way, and says what became
// of it. It returns it if the database was not restored: then the repository may be
// where that was to go, and has still to come back if this restore fails.
func (x *restoring) leftover(ctx context.Context, m *gitMove) (*gitMove, error) {
	text, err := os.ReadFile(m.notePath())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, disk.Error(err)
	}
	left := new(gitMove)
	if err := json.Unmarshal(text, left); err != nil {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: m.notePath() + " is not a note of Nexus", Hint: "look at it, and remove it"}
	}
	done, err := restoredSince(ctx, x.db, left)
	if err != nil {
		return nil, err
	}
	if done {
		x.settings().Logger.Warn(fmt.Sprintf("the restore of checkpoint %s was stopped at its very end: the database is restored, and git went from %s to %s",
			left.CheckpointID, showPlace(left.From), showPlace(left.To)))
		return nil, m.forget()
	}
	x.settings().Logger.Warn(fmt.Sprintf("a restore of checkpoint %s was stopped half way: the database was not restored; git was at %s, on its way to %s",
		left.CheckpointID, showPlace(left.From), showPlace(left.To)))
	return left, nil
}

// restoredSince reports whether the database was restored after a move of git.
func restoredSince(ctx context.Context, db *store.DB, left *gitMove) (bool, error) {
	changes, err := db.History(ctx, nexus.HistoryFilter{Kind: nexus.KindCheckpoint, Name: "checkpoint restore", After: left.Change})
	if err != nil {
		return false, err
	}
	for _, c := range changes {
		p, ok := c.After.(*nexus.Checkpoint)
		if ok && p.Reason == "before_restore" && p.Name == "before restoring "+left.CheckpointID {
			return true, nil
		}
	}
	return false, nil
}

func (m *gitMove) notePath() string { return filepath.Join(m.repository.GitDir, "nexus-restore.json") }

// begin checks the commit out.
func (m *gitMove) begin(ctx context.Context) error {
	if err := m.note(); err != nil {
		return err
	}
	if err := m.repository.CheckOut(ctx, m.To); err != nil {
		return m.back(ctx, err)
	}
	return nil
}

// back goes back to where the repository was, because of an error, which it returns.
func (m *gitMove) back(ctx context.Context, because error) error {
	ctx = context.WithoutCancel(ctx) // it may be why
	err := m.repository.CheckOut(ctx, m.From)
	if err == nil {
		err = m.forget()
	}
	if err == nil {
		return because
	}
	return &nexus.Error{
		Code: nexus.CodeOf(because), Message: fmt.Sprintf("%v; and git cannot go back to %s: %v", because, showPlace(m.From), err),
		Hint: "the database is as it was; put the repository right with git",
	}
}

// end forgets the move. That the note cannot be removed is no reason to say that the
// restore failed.
func (m *gitMove) end(a *app) {
	if err := m.forget(); err != nil {
		a.settings().Logger.Warn("a note about the restore is left", "error", err)
	}
}

func (m *gitMove) note() error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	draft, err := disk.NewDraft(m.notePath())
	if err != nil {
		return disk.Error(err)
	}
	if err := errors.Join(os.WriteFile(draft.Path, text, 0o600), draft.Replace(m.notePath())); err != nil {
		return errors.Join(disk.Error(err), draft.Discard())
	}
	return nil
}

func (m *gitMove) forget() error { return disk.Error(os.Remove(m.notePath())) }
