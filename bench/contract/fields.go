package contract

// fields are where a row of tasks is scanned to, in the order of TaskColumns.
func (t *Task) fields() []any {
	return []any{
		&t.ID, &t.ProjectID, &t.FeatureID, &t.SubFeatureID, &t.Name, &t.Description, &t.Status, &t.Size,
		&t.AssignedAgent, &t.WorktreePath, &t.BranchName, &t.DependsOn, &t.BlockedBy, &t.QAIterations,
		&t.MaxIterations, &t.EstimatedMinutes, &t.ActualMinutes, &t.StartedAt, &t.CompletedAt, &t.CreatedAt, &t.UpdatedAt,
	}
}

// values are what is bound to InsertTask.
func (t *Task) values() []any {
	return []any{
		t.ID, t.ProjectID, t.FeatureID, t.SubFeatureID, t.Name, t.Description, t.Status, t.Size,
		t.AssignedAgent, t.WorktreePath, t.BranchName, t.DependsOn, t.BlockedBy, t.QAIterations,
		t.MaxIterations, t.EstimatedMinutes, t.ActualMinutes, t.StartedAt, t.CompletedAt, t.CreatedAt, t.UpdatedAt,
	}
}

func (f *Feature) fields() []any {
	return []any{
		&f.ID, &f.ProjectID, &f.Name, &f.Description, &f.Priority, &f.Status, &f.EstimatedTasks, &f.CompletedTasks,
		&f.CreatedAt, &f.UpdatedAt,
	}
}

func (s *SubFeature) fields() []any {
	return []any{&s.ID, &s.FeatureID, &s.Name, &s.Description, &s.Status, &s.CreatedAt}
}

func (c *Checkpoint) fields() []any {
	return []any{&c.ID, &c.ProjectID, &c.Name, &c.Reason, &c.State, &c.GitCommit, &c.CreatedAt}
}

func (r *Requirement) fields() []any {
	return []any{
		&r.ID, &r.ProjectID, &r.Category, &r.Description, &r.Priority, &r.Source, &r.LinkedFeatures, &r.Validated,
		&r.CreatedAt,
	}
}

func (m *Metric) fields() []any {
	return []any{&m.ID, &m.ProjectID, &m.AgentID, &m.TaskID, &m.Type, &m.Value, &m.Metadata, &m.Timestamp}
}

func (s *Session) fields() []any {
	return []any{&s.ID, &s.ProjectID, &s.Type, &s.Status, &s.Data, &s.StartedAt, &s.EndedAt}
}
