package store

import (
	"time"

	"github.com/seed-c8812374/nexus"
)

// Checkpoints is the service of checkpoints.
type Checkpoints struct {
	Service[nexus.Checkpoint, nexus.CheckpointFilter, nexus.CheckpointUpdate]
}

var checkpoints = table[nexus.Checkpoint, nexus.CheckpointFilter, nexus.CheckpointUpdate]{
	kind: nexus.KindCheckpoint,
	columns: []column[nexus.Checkpoint]{
		text("id", func(p *nexus.Checkpoint) *string { return &p.ID }),
		text("project_id", func(p *nexus.Checkpoint) *string { return &p.ProjectID }),
		optional("name", func(p *nexus.Checkpoint) *string { return &p.Name }),
		optional("reason", func(p *nexus.Checkpoint) *string { return &p.Reason }),
		optional("state", func(p *nexus.Checkpoint) *nexus.JSON { return &p.State }).large(),
		optional("git_commit", func(p *nexus.Checkpoint) *string { return &p.GitCommit }),
		seconds("created_at", func(p *nexus.Checkpoint) *time.Time { return &p.CreatedAt }),
		integer("revision", func(p *nexus.Checkpoint) *int64 { return &p.Revision }).with("1"),
	},
	orders: []string{"created_at"},
	parents: []parent[nexus.Checkpoint]{
		{nexus.KindProject, func(p *nexus.Checkpoint) string { return p.ProjectID }},
	},

	id:       func(p *nexus.Checkpoint) *string { return &p.ID },
	revision: func(p *nexus.Checkpoint) *int64 { return &p.Revision },
	created:  func(p *nexus.Checkpoint) *time.Time { return &p.CreatedAt },

	setDefaults:    (*nexus.Checkpoint).SetDefaults,
	validate:       (*nexus.Checkpoint).Validate,
	validateUpdate: (*nexus.Checkpoint).ValidateUpdate,
	apply:          nexus.CheckpointUpdate.Apply,
	seen:           func(u nexus.CheckpointUpdate) int64 { return u.Revision },
	page:           func(f nexus.CheckpointFilter) nexus.Page { return f.Page },
	project:        func(f nexus.CheckpointFilter) string { return f.ProjectID },
	filter: func(w *where, f nexus.CheckpointFilter) {
		equal(w, "project_id", f.ProjectID)
		equal(w, "reason", f.Reason)
	},
}.prepared()
