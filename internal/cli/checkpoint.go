package cli

import (
	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var checkpointEntity = entity[nexus.Checkpoint, nexus.CheckpointFilter, nexus.CheckpointUpdate]{
	kind: nexus.KindCheckpoint, use: "checkpoint",
	what:    "A checkpoint is a point in a project's history.",
	example: `checkpoint create "before the rewrite" --project p1m837hj --reason human_request`,
	change:  `--name "before the rewrite"`,

	service: func(db *store.Services) *store.Service[nexus.Checkpoint, nexus.CheckpointFilter, nexus.CheckpointUpdate] {
		return &db.Checkpoints.Service
	},
	id:       func(c *nexus.Checkpoint) string { return c.ID },
	page:     func(f *nexus.CheckpointFilter) *nexus.Page { return &f.Page },
	revision: func(u *nexus.CheckpointUpdate) *int64 { return &u.Revision },
	orders:   "created_at",

	argument: "NAME",
	setArg:   func(c *nexus.Checkpoint, arg string) { c.Name = arg },
	fields: []field[nexus.Checkpoint, nexus.CheckpointUpdate]{
		ownID[nexus.Checkpoint, nexus.CheckpointUpdate](func(c *nexus.Checkpoint) *string { return &c.ID }),
		one[nexus.Checkpoint, nexus.CheckpointUpdate]("project", "the project it belongs to", nexus.KindProject,
			func(c *nexus.Checkpoint) *string { return &c.ProjectID }, nil),
		both("name", "its name", texts[string](),
			func(c *nexus.Checkpoint) *string { return &c.Name },
			func(u *nexus.CheckpointUpdate) **string { return &u.Name }),
		both("reason", "why, such as phase_complete or human_request", texts[string](),
			func(c *nexus.Checkpoint) *string { return &c.Reason },
			func(u *nexus.CheckpointUpdate) **string { return &u.Reason }),
		both("state", "the state", documents,
			func(c *nexus.Checkpoint) *nexus.JSON { return &c.State },
			func(u *nexus.CheckpointUpdate) **nexus.JSON { return &u.State }),
		both("git-commit", "the commit it belongs to", words[string](),
			func(c *nexus.Checkpoint) *string { return &c.GitCommit },
			func(u *nexus.CheckpointUpdate) **string { return &u.GitCommit }),
	},
	filters: func(b *binder, f *nexus.CheckpointFilter) {
		existing(b, "project", "of this project", nexus.KindProject, func(id string) { f.ProjectID = id })
		flag(b, "reason", "with this reason", words[string](), func(v string) { f.Reason = v })
	},

	header: []string{"ID", "CREATED", "REASON", "PROJECT", "NAME"},
	row: func(c *nexus.Checkpoint) []string {
		return []string{c.ID, date(c.CreatedAt), c.Reason, c.ProjectID, c.Name}
	},
}

func (a *app) checkpointCommand() *cobra.Command { return checkpointEntity.command(a) }
