package interop_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// awkward is a text that gets damaged wherever someone quotes or decodes it
// wrongly.
const awkward = "O'Brien's \"plan\"; --\n\tzwei Zeilen, 計画 🚀 \\n ${x} `y` %s"

// fillWithNexus stores rows of each entity through the services: one with every
// column, one with as few as possible. It returns what must be in the file.
func fillWithNexus(t testing.TB, db *store.DB) content {
	t.Helper()
	at := func(day int) time.Time { return time.Date(2026, 1, day, 12, 0, 0, 0, time.UTC) }
	minutes := 0 // a measured zero is not the same as nothing measured

	projects := []*nexus.Project{
		{
			ID: "nexus-p1", Name: awkward, Description: awkward, Mode: nexus.ModeEvolution, Status: nexus.ProjectCompleted,
			RootPath: "/srv/it's here", RepositoryURL: "https://git.example/p1.git",
			CreatedAt: at(1), UpdatedAt: at(2), CompletedAt: at(3), PlanKey: "p",
		},
		{ID: "nexus-p2", Name: "p2", RootPath: "/"},
	}
	features := []*nexus.Feature{
		{
			ID: "nexus-f1", ProjectID: "nexus-p1", Name: awkward, Description: awkward, Priority: nexus.PriorityMust,
			Status: nexus.FeatureAIReview, EstimatedTasks: 7, CompletedTasks: 1, CreatedAt: at(1), UpdatedAt: at(2),
			PlanKey: "f",
		},
		{ID: "nexus-f2", ProjectID: "nexus-p1", Name: "f2"},
	}
	subFeatures := []*nexus.SubFeature{
		{
			ID: "nexus-u1", FeatureID: "nexus-f1", Name: awkward, Description: awkward,
			Status: nexus.FeatureHumanReview, CreatedAt: at(1), PlanKey: "u",
		},
		{ID: "nexus-u2", FeatureID: "nexus-f1", Name: "u2"},
	}
	tasks := []*nexus.Task{
		{
			ID: "nexus-t1", ProjectID: "nexus-p1", FeatureID: "nexus-f1", SubFeatureID: "nexus-u1",
			Name: awkward, Description: awkward, Status: nexus.TaskCompleted, Size: nexus.SizeAtomic,
			AssignedAgent: "nexus-a1", WorktreePath: "/wt/1", BranchName: "feature/1",
			DependsOn: []string{"nexus-t2", "nexus-" + awkwardID}, BlockedBy: awkward,
			QAIterations: 2, MaxIterations: 9, EstimatedMinutes: 30, ActualMinutes: minutes,
			StartedAt: at(2), CompletedAt: at(3), CreatedAt: at(1), UpdatedAt: at(3),
			Priority: nexus.PriorityCritical, Metadata: `{"k": 1}`, PlanKey: "t",
		},
		{ID: "nexus-t2", ProjectID: "nexus-p1", Name: "t2"},
		{ID: "nexus-" + awkwardID, ProjectID: "nexus-p1", Name: "t3"},
	}
	agents := []*nexus.Agent{
		{
			ID: "nexus-a1", Type: nexus.AgentReviewer, Status: nexus.AgentTerminated, CurrentTaskID: "nexus-t1",
			WorktreePath: "/wt/1", BranchName: "feature/1", TokensUsed: 9_000_000_000, TasksCompleted: 4, TasksFailed: 5,
			SpawnedAt: at(1), LastActivityAt: at(2), TerminatedAt: at(3), TerminationReason: awkward,
		},
		{ID: "nexus-a2"},
	}
	checkpoints := []*nexus.Checkpoint{
		{
			ID: "nexus-c1", ProjectID: "nexus-p1", Name: awkward, Reason: "qa_exhausted",
			State: `{"tasks":["nexus-t1"],"note":"計画 🚀","deep":{"n":[1,2.5,null,true]}}`, GitCommit: "0123abcd", CreatedAt: at(1),
		},
		{ID: "nexus-c2", ProjectID: "nexus-p1"},
	}
	requirements := []*nexus.Requirement{
		{
			ID: "nexus-r1", ProjectID: "nexus-p1", Category: "non-functional", Description: awkward, Priority: "critical",
			Source: awkward, LinkedFeatures: []string{"nexus-f1", "nexus-f2"}, Validated: true, CreatedAt: at(1), PlanKey: "r",
		},
		{ID: "nexus-r2", ProjectID: "nexus-p1", Description: "r2"},
	}
	metrics := []*nexus.Metric{
		{
			ID: "nexus-m1", ProjectID: "nexus-p1", AgentID: "nexus-a1", TaskID: "nexus-t1", Type: "cost_usd",
			Value: 0.1, Metadata: `[1,"zwei"]`, Timestamp: at(1),
		},
		{ID: "nexus-m2", ProjectID: "nexus-p1", Type: "token_usage", Value: 3},
	}
	sessions := []*nexus.Session{
		{
			ID: "nexus-s1", ProjectID: "nexus-p1", Type: nexus.SessionReview, Status: nexus.SessionAbandoned,
			Data: `{"turns":[]}`, StartedAt: at(1), EndedAt: at(2),
		},
		{ID: "nexus-s2", ProjectID: "nexus-p1"},
	}
	return content{
		"projects":     created(t, &db.Projects.Service, projects, projectRow),
		"features":     created(t, &db.Features.Service, features, featureRow),
		"sub_features": created(t, &db.SubFeatures.Service, subFeatures, subFeatureRow),
		"tasks":        created(t, &db.Tasks.Service, tasks, taskRow),
		"agents":       created(t, &db.Agents.Service, agents, agentRow),
		"checkpoints":  created(t, &db.Checkpoints.Service, checkpoints, checkpointRow),
		"requirements": created(t, &db.Requirements.Service, requirements, requirementRow),
		"metrics":      created(t, &db.Metrics.Service, metrics, metricRow),
		"sessions":     created(t, &db.Sessions.Service, sessions, sessionRow),
	}
}

// awkwardID is an id that other programs may well use.
const awkwardID = "feature/計画's <1>"

func created[E, F, U any](t testing.TB, s *store.Service[E, F, U], entities []*E, toRow func(*E) row) (rows []row) {
	t.Helper()
	if err := s.CreateMany(t.Context(), entities); err != nil {
		t.Fatal(err)
	}
	for _, e := range entities {
		rows = append(rows, toRow(e))
	}
	return rows
}

// foreignRows returns rows as other programs write them: values that Nexus does
// not write itself, empty texts, NULL where there is a default, and ids of their
// own making. Every column of the contract is there.
func foreignRows() content {
	const day = 1_750_000_000
	return content{
		"projects": {
			{
				"id": "x-p1", "name": awkward, "description": "", "mode": "genesis", "status": "interviewing",
				"root_path": "/home/x", "repository_url": nil, "created_at": day, "updated_at": day + 1, "completed_at": nil,
			},
			{
				"id": "x-p2", "name": "", "description": nil, "mode": "evolution", "status": "researching",
				"root_path": "", "repository_url": "git@x:y", "created_at": 0, "updated_at": -1, "completed_at": day,
			},
		},
		"features": {
			{
				"id": "x-f1", "project_id": "x-p1", "name": awkward, "description": "", "priority": "wont",
				"status": "decomposing", "estimated_tasks": nil, "completed_tasks": nil, "created_at": day, "updated_at": day,
			},
			{
				"id": "x-f2", "project_id": "x-p1", "name": "f2", "description": nil, "priority": "P0",
				"status": "ready", "estimated_tasks": 0, "completed_tasks": 12, "created_at": day, "updated_at": day,
			},
			{
				"id": "x-f3", "project_id": "x-p1", "name": "f3", "description": nil, "priority": "could",
				"status": "backlog", "estimated_tasks": 0, "completed_tasks": 13, "created_at": day, "updated_at": day,
			},
		},
		"sub_features": {
			{
				"id": "x-u1", "feature_id": "x-f1", "name": awkward, "description": "", "status": "pending",
				"created_at": day,
			},
		},
		"tasks": {
			{
				"id": "x-t1", "project_id": "x-p1", "feature_id": "x-f1", "sub_feature_id": "x-u1",
				"name": awkward, "description": "", "status": "qa_loop", "size": "large",
				"assigned_agent": "x-a1", "worktree_path": "", "branch_name": "main",
				"depends_on": `[ "x-t2", "x-t3" ]`, "blocked_by": `["x-t9"]`,
				"qa_iterations": nil, "max_iterations": nil, "estimated_minutes": nil, "actual_minutes": 0,
				"started_at": day, "completed_at": nil, "created_at": day, "updated_at": day,
			},
			{
				"id": "x-t2", "project_id": "x-p1", "feature_id": nil, "sub_feature_id": nil,
				"name": "t2", "description": nil, "status": "approved", "size": "atomic",
				"assigned_agent": nil, "worktree_path": nil, "branch_name": nil,
				"depends_on": `[]`, "blocked_by": "",
				"qa_iterations": 3, "max_iterations": 0, "estimated_minutes": 0, "actual_minutes": nil,
				"started_at": nil, "completed_at": day, "created_at": day, "updated_at": day,
			},
			{
				"id": awkwardID, "project_id": "x-p1", "feature_id": "x-f2", "sub_feature_id": nil,
				"name": "t3", "description": nil, "status": "merging", "size": "small",
				"assigned_agent": nil, "worktree_path": nil, "branch_name": nil,
				"depends_on": "x-t1, x-t2", "blocked_by": nil,
				"qa_iterations": 0, "max_iterations": 50, "estimated_minutes": 15, "actual_minutes": nil,
				"started_at": nil, "completed_at": nil, "created_at": day, "updated_at": day,
			},
		},
		"agents": {
			{
				"id": "x-a1", "type": "architect", "status": "sleeping", "current_task_id": "gone", "worktree_path": "",
				"branch_name": nil, "tokens_used": nil, "tasks_completed": nil, "tasks_failed": nil, "spawned_at": day,
				"last_activity_at": day, "terminated_at": nil, "termination_reason": nil,
			},
		},
		"checkpoints": {
			{
				"id": "x-c1", "project_id": "x-p1", "name": "", "reason": "because I say so",
				"state": `{"計画":[{"a":1e-7},"🚀"]}`, "git_commit": nil, "created_at": day,
			},
			{
				"id": "x-c2", "project_id": "x-p1", "name": nil, "reason": nil,
				"state": nil, "git_commit": "", "created_at": day,
			},
		},
		"requirements": {
			{
				"id": "x-r1", "project_id": "x-p1", "category": "legal", "description": awkward, "priority": "urgent",
				"source": "", "linked_features": `["x-f1"]`, "validated": nil, "created_at": day,
			},
			{
				"id": "x-r2", "project_id": "x-p1", "category": "ui", "description": "", "priority": "low",
				"source": nil, "linked_features": nil, "validated": 1, "created_at": day,
			},
		},
		"metrics": {
			{
				"id": "x-m1", "project_id": "x-p1", "agent_id": "gone", "task_id": "gone", "type": "mood",
				"value": -2.5, "metadata": `"text"`, "timestamp": day,
			},
			{
				"id": "x-m2", "project_id": "x-p1", "agent_id": nil, "task_id": nil, "type": "token_usage",
				"value": 1234567, "metadata": nil, "timestamp": day,
			},
		},
		"sessions": {
			{
				"id": "x-s1", "project_id": "x-p1", "type": "retrospective", "status": "approved",
				"data": `[]`, "started_at": day, "ended_at": nil,
			},
			{
				"id": "x-s2", "project_id": "x-p2", "type": "interview", "status": "in_progress",
				"data": nil, "started_at": day, "ended_at": day,
			},
		},
	}
}

// followed returns c with what follows in our file: the completed tasks of
// features that have tasks are counted, whatever is written there.
func followed(c content) content {
	after := c.plus(nil)
	for i, f := range after["features"] {
		tasks, completed := 0, 0
		for _, t := range c["tasks"] {
			if t["feature_id"] == f["id"] {
				tasks++
				if t["status"] == "completed" {
					completed++
				}
			}
		}
		if tasks > 0 {
			after["features"][i] = f.with(row{"completed_tasks": completed})
		}
	}
	return after
}

// foreignReadings returns what of foreignRows the services show in another way
// than it is kept.
func foreignReadings(c content) content {
	read := asRead(c)
	for table, rows := range read {
		for _, r := range rows {
			for column, value := range r {
				if value == "" && nullable(table, column) {
					r[column] = nil // the services make no difference
				}
			}
			if fmt.Sprint(r["actual_minutes"]) == "0" {
				r["actual_minutes"] = nil // nor here: 0 is not known
			}
			switch r["id"] {
			case "x-t1":
				r["depends_on"] = `["x-t2","x-t3"]` // a list, not its text
			case "x-t2":
				r["depends_on"] = nil // no dependencies
			case awkwardID:
				r["depends_on"] = `["x-t1, x-t2"]` // no list at all, but shown
			}
		}
	}
	return read
}

func nullable(table, column string) bool {
	for _, t := range contract {
		for _, c := range t.Columns {
			if t.Name == table && c.Name == column {
				return !c.NotNull && !c.PrimaryKey
			}
		}
	}
	return false
}

// foreignUpdates returns, by table, what another program changes in its row. A
// program that knows only the contract sets the times itself.
func foreignUpdates() map[string]struct {
	id  string
	set row
} {
	const day = 1_760_000_000
	return map[string]struct {
		id  string
		set row
	}{
		"projects":     {"x-p1", row{"status": "created", "description": nil, "updated_at": day}},
		"features":     {"x-f1", row{"status": "failed", "estimated_tasks": 4, "updated_at": day}},
		"sub_features": {"x-u1", row{"status": "completed", "name": awkward + awkward}},
		"tasks":        {"x-t1", row{"status": "cancelled", "assigned_agent": nil, "depends_on": `["x-t2"]`, "updated_at": day}},
		"agents":       {"x-a1", row{"status": "terminated", "tokens_used": 123, "terminated_at": day}},
		"checkpoints":  {"x-c1", row{"reason": "scheduled", "state": `{"b":[]}`}},
		"requirements": {"x-r1", row{"validated": 1, "linked_features": nil}},
		"metrics":      {"x-m1", row{"value": 0.5, "metadata": nil}},
		"sessions":     {"x-s1", row{"status": "rejected", "ended_at": day}},
	}
}

// updated returns c with foreignUpdates made to the row of one table.
func updated(c content, table string) content {
	change := foreignUpdates()[table]
	after := c.plus(nil)
	for i, r := range after[table] {
		if r["id"] == change.id {
			after[table][i] = r.with(change.set)
		}
	}
	return after
}
