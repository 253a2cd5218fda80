package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/gitstate"
	"github.com/seed-c8812374/nexus/store"
)

var checkpointEntity = entity[nexus.Checkpoint, nexus.CheckpointFilter, nexus.CheckpointUpdate]{
	kind: nexus.KindCheckpoint, use: "checkpoint",
	what:    "A checkpoint is a point in a project's history to go back to. docs/checkpoints.md describes it.",
	example: `checkpoint create "before the rewrite" --project p1m837hj`,
	change:  `--name "before the rewrite"`,

	service: func(db *store.Services) *store.Service[nexus.Checkpoint, nexus.CheckpointFilter, nexus.CheckpointUpdate] {
		return &db.Checkpoints.Service
	},
	id:       func(c *nexus.Checkpoint) string { return c.ID },
	project:  func(e *nexus.Checkpoint) *string { return &e.ProjectID },
	page:     func(f *nexus.CheckpointFilter) *nexus.Page { return &f.Page },
	revision: func(u *nexus.CheckpointUpdate) *int64 { return &u.Revision },
	orders:   "created_at",

	make:     (*app).makeCheckpoint,
	argument: "NAME",
	setArg:   func(c *nexus.Checkpoint, arg string) { c.Name = arg },
	fields: []field[nexus.Checkpoint, nexus.CheckpointUpdate]{
		ownID[nexus.Checkpoint, nexus.CheckpointUpdate](func(c *nexus.Checkpoint) *string { return &c.ID }),
		one[nexus.Checkpoint, nexus.CheckpointUpdate]("project", "the project it belongs to (default: the only one)", nexus.KindProject,
			func(c *nexus.Checkpoint) *string { return &c.ProjectID }, nil),
		both("name", "its name", texts[string](),
			func(c *nexus.Checkpoint) *string { return &c.Name },
			func(u *nexus.CheckpointUpdate) **string { return &u.Name }),
		both("reason", "why, such as phase_complete (default: human_request)", texts[string](),
			func(c *nexus.Checkpoint) *string { return &c.Reason },
			func(u *nexus.CheckpointUpdate) **string { return &u.Reason }),
		both("state", "a state of your own making, which Nexus cannot go back to", documents,
			func(c *nexus.Checkpoint) *nexus.JSON { return &c.State },
			func(u *nexus.CheckpointUpdate) **nexus.JSON { return &u.State }),
		both("git-commit", "the commit it belongs to (default: that of the project's root_path)", words[string](),
			func(c *nexus.Checkpoint) *string { return &c.GitCommit },
			func(u *nexus.CheckpointUpdate) **string { return &u.GitCommit }),
	},
	filters: func(b *binder, f *nexus.CheckpointFilter) {
		existing(b, "project", "of this project", nexus.KindProject, func(id string) { f.ProjectID = id })
		flag(b, "reason", "with this reason", choice[string](), func(v string) { f.Reason = v })
	},

	header: []string{"ID", "CREATED", "REASON", "PROJECT", "NAME"},
	row: func(c *nexus.Checkpoint) []string {
		return []string{c.ID, date(c.CreatedAt), c.Reason, c.ProjectID, c.Name}
	},
}

func (a *app) checkpointCommand() *cobra.Command {
	cmd := checkpointEntity.command(a)
	cmd.Short = "Keep states of a project, compare them, and go back to one"
	for _, sub := range cmd.Commands() {
		switch sub.Name() {
		case "create":
			sub.Long = `Keep the state of a project as it is now, and print the id of the checkpoint.

If the project's root_path is in a git repository, its commit, branch and whether there are
changes are kept, too. With --state, what you give is kept instead, for you to make sense of.`
		case "get":
			sub.Aliases = nil
		}
	}
	cmd.AddCommand(
		a.checkpointShowCommand(), a.checkpointDiffCommand(), a.checkpointVerifyCommand(), a.checkpointPruneCommand(),
		a.checkpointRestoreCommand(), a.checkpointExportCommand(), a.checkpointAutoCommand(),
	)
	return cmd
}

// makeCheckpoint keeps the state of a project. Without an idempotency key, others can
// write while the state is read.
func (a *app) makeCheckpoint(cmd *cobra.Command, db *store.DB, args []string, e *nexus.Checkpoint) (*nexus.Checkpoint, error) {
	ctx := cmd.Context()
	if e.Reason == "" {
		e.Reason = "human_request"
	}
	if cmd.Flags().Changed("state") {
		return once(a, cmd, db, args, func(tx *store.Tx) (*nexus.Checkpoint, error) {
			created := *e
			return &created, tx.Checkpoints.Create(ctx, &created)
		})
	}
	r := nexus.CheckpointRequest{ID: e.ID, ProjectID: e.ProjectID, Name: e.Name, Reason: e.Reason}
	switch {
	case e.GitCommit != "":
		r.Git = &nexus.GitState{Commit: e.GitCommit}
	case !cmd.Flags().Changed("git-commit"):
		r.Git = a.gitState(ctx, db, e.ProjectID)
	}
	if a.key == "" {
		return db.Checkpoint(ctx, r)
	}
	return once(a, cmd, db, args, func(tx *store.Tx) (*nexus.Checkpoint, error) { return tx.Checkpoint(ctx, r) })
}

// gitState returns where the repository of a project is, or nil if it has none. That
// it cannot be told is no reason not to make a checkpoint.
func (a *app) gitState(ctx context.Context, db *store.DB, projectID string) *nexus.GitState {
	project, err := db.Projects.Get(ctx, projectID)
	if err != nil {
		return nil // who makes the checkpoint will say so
	}
	repository, err := gitstate.Open(ctx, project.RootPath)
	var state *nexus.GitState
	if err == nil && repository != nil {
		state, err = repository.State(ctx)
	}
	if err != nil {
		a.settings().Logger.Warn("the checkpoint is made without the state of git", "error", err)
	}
	return state
}

// checkpointID returns the id that begins with a prefix. Of one that is gone it says
// what has become of it.
func checkpointID(ctx context.Context, db *store.DB, prefix string) (string, error) {
	id, err := db.Checkpoints.Resolve(ctx, prefix)
	if nexus.CodeOf(err) != nexus.CodeNotFound {
		return id, err
	}
	changes, historyErr := db.History(ctx, nexus.HistoryFilter{Kind: nexus.KindCheckpoint, ID: prefix, Newest: true, Limit: 1})
	if historyErr != nil || len(changes) == 0 || changes[0].Change != nexus.ChangeDelete {
		return "", err
	}
	by := changes[0].Name
	if by == "" {
		by = "another program"
	}
	return "", &nexus.Error{
		Code: nexus.CodeNotFound, Kind: nexus.KindCheckpoint, ID: prefix,
		Message: fmt.Sprintf("was deleted at %s by %s", changes[0].At.UTC().Format(time.RFC3339), by),
		Hint:    "nexus checkpoint list shows those that are kept",
	}
}
