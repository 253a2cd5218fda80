package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/storetest"
)

// row is a row as the contract has it, by column: strings, numbers and nil.
type row map[string]any

// with returns a copy of the row with some columns changed.
func (r row) with(set row) row {
	changed := maps.Clone(r)
	maps.Copy(changed, set)
	return changed
}

// content is what is in the nine tables: by table, sorted by id.
type content map[string][]row

// plus returns the rows of both.
func (c content) plus(more content) content {
	sum := make(content)
	for _, table := range contract {
		sum[table.Name] = slices.SortedFunc(
			slices.Values(slices.Concat(c[table.Name], more[table.Name])),
			func(a, b row) int { return strings.Compare(a["id"].(string), b["id"].(string)) })
	}
	return sum
}

// openNexus opens a database, and looks it over when the test is done.
func openNexus(t testing.TB, path string) *store.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path, &sqlite.Options{
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatalf("Nexus does not open the database: %v", err)
	}
	t.Cleanup(func() { closeNexus(t, db) })
	return db
}

// closeNexus closes a database that has to be in order. A second time it does
// nothing.
func closeNexus(t testing.TB, db *store.DB) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // also for cleanups
	health, err := db.Health(ctx, true)
	switch {
	case nexus.CodeOf(err) == nexus.CodeClosed:
		return
	case err != nil:
		t.Errorf("Health: %v", err)
	case !health.OK():
		t.Errorf("the database is not in order: %+v", health)
	}
	if err := db.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// mustFollow checks what Nexus derives from what others write.
func mustFollow(t testing.TB, db *store.DB) {
	t.Helper()
	err := storetest.CheckDerived(context.WithoutCancel(t.Context()), db)
	if err != nil && nexus.CodeOf(err) != nexus.CodeClosed {
		t.Error(err)
	}
}

// stored reads the contract's columns as they are in the file.
func stored(t testing.TB, db *store.DB) content {
	t.Helper()
	all := make(content)
	for _, table := range contract {
		all[table.Name] = query(t, db, fmt.Sprintf("SELECT %s FROM %s ORDER BY id",
			strings.Join(columnNames(table.Name), ", "), table.Name))
	}
	return all
}

// revision reads how often a row has changed.
func revision(t testing.TB, db *store.DB, table string, id any) int64 {
	t.Helper()
	rows := query(t, db, "SELECT revision FROM "+table+" WHERE id = $1", id)
	if len(rows) != 1 {
		t.Fatalf("%s has %d rows with the id %v", table, len(rows), id)
	}
	return rows[0]["revision"].(int64)
}

// typed reads everything through the services, as users of the library do.
func typed(t testing.TB, db *store.DB) content {
	t.Helper()
	return content{
		"projects":     listed(t, &db.Projects.Service, projectRow),
		"features":     listed(t, &db.Features.Service, featureRow),
		"sub_features": listed(t, &db.SubFeatures.Service, subFeatureRow),
		"tasks":        listed(t, &db.Tasks.Service, taskRow),
		"agents":       listed(t, &db.Agents.Service, agentRow),
		"checkpoints":  listed(t, &db.Checkpoints.Service, checkpointRow),
		"requirements": listed(t, &db.Requirements.Service, requirementRow),
		"metrics":      listed(t, &db.Metrics.Service, metricRow),
		"sessions":     listed(t, &db.Sessions.Service, sessionRow),
	}
}

func listed[E, F, U any](t testing.TB, s *store.Service[E, F, U], toRow func(*E) row) (rows []row) {
	t.Helper()
	var everything F
	list, err := s.List(t.Context(), everything)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		rows = append(rows, toRow(&list[i]))
	}
	return rows
}

// asRead is content as the services return it: they read NULL as 0 in columns
// that have a number as their default.
func asRead(c content) content {
	read := make(content)
	for _, table := range contract {
		for _, r := range c[table.Name] {
			r = maps.Clone(r)
			for _, column := range table.Columns {
				if r[column.Name] == nil && column.Type == "INTEGER" && column.Default != "" {
					r[column.Name] = 0
				}
			}
			read[table.Name] = append(read[table.Name], r)
		}
	}
	return read
}

// mustEqual compares two values that can be written as JSON, and says where they
// differ.
func mustEqual(t testing.TB, what string, want, got any) {
	t.Helper()
	if list := differences("", plain(t, want), plain(t, got)); len(list) > 0 {
		t.Errorf("%s:\n%s", what, strings.Join(list, "\n"))
	}
}

func plain(t testing.TB, value any) (result any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, &result)
	}
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func differences(path string, want, got any) (list []string) {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		keys := maps.Clone(w)
		maps.Copy(keys, g)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if _, ok := w[key]; !ok {
				list = append(list, fmt.Sprintf("  %s.%s: %v is too much", path, key, g[key]))
				continue
			}
			if _, ok := g[key]; !ok {
				list = append(list, fmt.Sprintf("  %s.%s: %v is missing", path, key, w[key]))
				continue
			}
			list = append(list, differences(path+"."+key, w[key], g[key])...)
		}
		return list
	case []any:
		g, ok := got.([]any)
		if !ok && got != nil {
			break
		}
		for i := range max(len(w), len(g)) {
			here := fmt.Sprintf("%s[%d]", path, i)
			switch {
			case i >= len(w):
				list = append(list, fmt.Sprintf("  %s: %v is too much", here, g[i]))
			case i >= len(g):
				list = append(list, fmt.Sprintf("  %s: %v is missing", here, w[i]))
			default:
				list = append(list, differences(here, w[i], g[i])...)
			}
		}
		return list
	default:
		if want == got {
			return nil
		}
		if none, ok := got.([]any); ok && want == nil && len(none) == 0 {
			return nil
		}
	}
	return []string{fmt.Sprintf("  %s: want %#v, got %#v", path, want, got)}
}

// What follows turns entities into rows, as the contract says they are kept.

func optional[S ~string](s S) any {
	if s == "" {
		return nil
	}
	return string(s)
}

func seconds(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Unix()
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func projectRow(p *nexus.Project) row {
	return row{
		"id": p.ID, "name": p.Name, "description": optional(p.Description), "mode": p.Mode, "status": p.Status,
		"root_path": p.RootPath, "repository_url": optional(p.RepositoryURL),
		"created_at": seconds(p.CreatedAt), "updated_at": seconds(p.UpdatedAt), "completed_at": seconds(p.CompletedAt),
	}
}

func featureRow(f *nexus.Feature) row {
	return row{
		"id": f.ID, "project_id": f.ProjectID, "name": f.Name, "description": optional(f.Description),
		"priority": f.Priority, "status": f.Status,
		"estimated_tasks": f.EstimatedTasks, "completed_tasks": f.CompletedTasks,
		"created_at": seconds(f.CreatedAt), "updated_at": seconds(f.UpdatedAt),
	}
}

func subFeatureRow(s *nexus.SubFeature) row {
	return row{
		"id": s.ID, "feature_id": s.FeatureID, "name": s.Name, "description": optional(s.Description),
		"status": s.Status, "created_at": seconds(s.CreatedAt),
	}
}

func taskRow(t *nexus.Task) row {
	r := row{
		"id": t.ID, "project_id": t.ProjectID, "feature_id": optional(t.FeatureID), "sub_feature_id": optional(t.SubFeatureID),
		"name": t.Name, "description": optional(t.Description), "status": t.Status, "size": t.Size,
		"assigned_agent": optional(t.AssignedAgent), "worktree_path": optional(t.WorktreePath),
		"branch_name": optional(t.BranchName), "depends_on": optional(nexus.EncodeIDs(t.DependsOn)),
		"blocked_by": optional(t.BlockedBy), "qa_iterations": t.QAIterations, "max_iterations": t.MaxIterations,
		"estimated_minutes": t.EstimatedMinutes, "actual_minutes": nil,
		"started_at": seconds(t.StartedAt), "completed_at": seconds(t.CompletedAt),
		"created_at": seconds(t.CreatedAt), "updated_at": seconds(t.UpdatedAt),
	}
	if t.ActualMinutes != 0 {
		r["actual_minutes"] = t.ActualMinutes
	}
	return r
}

func agentRow(a *nexus.Agent) row {
	return row{
		"id": a.ID, "type": a.Type, "status": a.Status, "current_task_id": optional(a.CurrentTaskID),
		"worktree_path": optional(a.WorktreePath), "branch_name": optional(a.BranchName),
		"tokens_used": a.TokensUsed, "tasks_completed": a.TasksCompleted, "tasks_failed": a.TasksFailed,
		"spawned_at": seconds(a.SpawnedAt), "last_activity_at": seconds(a.LastActivityAt),
		"terminated_at": seconds(a.TerminatedAt), "termination_reason": optional(a.TerminationReason),
	}
}

func checkpointRow(p *nexus.Checkpoint) row {
	return row{
		"id": p.ID, "project_id": p.ProjectID, "name": optional(p.Name), "reason": optional(p.Reason),
		"state": optional(p.State), "git_commit": optional(p.GitCommit), "created_at": seconds(p.CreatedAt),
	}
}

func requirementRow(r *nexus.Requirement) row {
	return row{
		"id": r.ID, "project_id": r.ProjectID, "category": r.Category, "description": r.Description,
		"priority": r.Priority, "source": optional(r.Source), "linked_features": optional(nexus.EncodeIDs(r.LinkedFeatures)),
		"validated": number(r.Validated), "created_at": seconds(r.CreatedAt),
	}
}

func metricRow(m *nexus.Metric) row {
	return row{
		"id": m.ID, "project_id": m.ProjectID, "agent_id": optional(m.AgentID), "task_id": optional(m.TaskID),
		"type": m.Type, "value": m.Value, "metadata": optional(m.Metadata), "timestamp": seconds(m.Timestamp),
	}
}

func sessionRow(s *nexus.Session) row {
	return row{
		"id": s.ID, "project_id": s.ProjectID, "type": s.Type, "status": s.Status, "data": optional(s.Data),
		"started_at": seconds(s.StartedAt), "ended_at": seconds(s.EndedAt),
	}
}
