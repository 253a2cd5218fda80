package storetest

import (
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var checkpoints = entity[nexus.Checkpoint, nexus.CheckpointFilter, nexus.CheckpointUpdate]{
	kind: nexus.KindCheckpoint, letter: 'c',
	service: func(s *store.Services) *store.Service[nexus.Checkpoint, nexus.CheckpointFilter, nexus.CheckpointUpdate] {
		return &s.Checkpoints.Service
	},
	minimal:   nexus.Checkpoint{ProjectID: "p1"},
	defaulted: nexus.Checkpoint{ProjectID: "p1", CreatedAt: now, Revision: 1},
	full: nexus.Checkpoint{
		ProjectID: "p2", Name: awkward, Reason: "human_request", State: `{ "a" : 1.0 }`, GitCommit: "0a1b2c",
		CreatedAt: past, Revision: 1,
	},
	other: nexus.Checkpoint{
		ProjectID: "p1", Name: "other", Reason: "in my own words", State: `"text"`, GitCommit: "ffff",
		CreatedAt: past.Add(time.Minute),
	},
	created: "CreatedAt",
	parents: map[string]nexus.Kind{"ProjectID": nexus.KindProject},
	vary: func(i int, p *nexus.Checkpoint) {
		p.ProjectID = []string{"p1", "p2"}[i%2]
		p.Reason = []string{"", "scheduled", "task_failed"}[i%3]
		p.CreatedAt = past.Add(time.Duration(i%4) * time.Second)
	},
	orders: []string{"created_at"},
	filters: []filter[nexus.Checkpoint, nexus.CheckpointFilter]{
		{nexus.CheckpointFilter{ProjectID: "p1"}, func(p *nexus.Checkpoint) bool { return p.ProjectID == "p1" }},
		{nexus.CheckpointFilter{Reason: "scheduled"}, func(p *nexus.Checkpoint) bool { return p.Reason == "scheduled" }},
		{
			nexus.CheckpointFilter{ProjectID: "p2", Reason: "task_failed"},
			func(p *nexus.Checkpoint) bool { return p.ProjectID == "p2" && p.Reason == "task_failed" },
		},
	},
}
