// The statements of the programs that write their SQL themselves: those of
// contract/sql.go.

const taskColumns = `id, project_id, feature_id, sub_feature_id, name, description, status, size, assigned_agent,
  worktree_path, branch_name, depends_on, blocked_by, qa_iterations, max_iterations, estimated_minutes,
  actual_minutes, started_at, completed_at, created_at, updated_at`;

const ready = `status = 'pending' AND coalesce(blocked_by, '') = ''
  AND NOT EXISTS (SELECT 1 FROM json_each(t.depends_on) on_id JOIN tasks d ON d.id = on_id.value
    WHERE d.status NOT IN ('completed', 'skipped'))
  ORDER BY created_at, id LIMIT`;

export const sql = {
  getTask: `SELECT ${taskColumns} FROM tasks WHERE id = ?`,
  listTasks: `SELECT ${taskColumns} FROM tasks WHERE project_id = ? ORDER BY id`,
  eachTask: `SELECT ${taskColumns} FROM tasks ORDER BY id`,
  insertTask: `INSERT INTO tasks (${taskColumns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  updateTask: 'UPDATE tasks SET branch_name = ?, estimated_minutes = ?, updated_at = ? WHERE id = ?',
  readyTasks: `SELECT ${taskColumns} FROM tasks t WHERE ${ready} ?`,
  claimTask: `UPDATE tasks SET status = 'in_progress', assigned_agent = 'agent', started_at = unixepoch(), updated_at = unixepoch()
    WHERE id = (SELECT id FROM tasks t WHERE ${ready} 1) RETURNING id`,

  getProject: `SELECT id, name, description, mode, status, root_path, repository_url, created_at, updated_at, completed_at
    FROM projects WHERE id = ?`,
  listFeatures: `SELECT id, project_id, name, description, priority, status, estimated_tasks, completed_tasks, created_at, updated_at
    FROM features WHERE project_id = ? ORDER BY id`,
  listSubFeatures: `SELECT id, feature_id, name, description, status, created_at FROM sub_features
    WHERE feature_id IN (SELECT id FROM features WHERE project_id = ?) ORDER BY id`,
  listCheckpoints: 'SELECT id, project_id, name, reason, state, git_commit, created_at FROM checkpoints WHERE project_id = ? ORDER BY id',
  listRequirements: `SELECT id, project_id, category, description, priority, source, linked_features, validated, created_at
    FROM requirements WHERE project_id = ? ORDER BY id`,
  listMetrics: 'SELECT id, project_id, agent_id, task_id, type, value, metadata, timestamp FROM metrics WHERE project_id = ? ORDER BY id',
  listSessions: 'SELECT id, project_id, type, status, data, started_at, ended_at FROM sessions WHERE project_id = ? ORDER BY id',
};
