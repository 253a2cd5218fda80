package contract

// TaskColumns are the columns of tasks.
const TaskColumns = `id, project_id, feature_id, sub_feature_id, name, description, status, size, assigned_agent, ` +
	`worktree_path, branch_name, depends_on, blocked_by, qa_iterations, max_iterations, estimated_minutes, ` +
	`actual_minutes, started_at, completed_at, created_at, updated_at`

// The statements of a program that writes its SQL itself. Their parameters are
// numbered as they appear, which all drivers understand.
const (
	GetTask    = `SELECT ` + TaskColumns + ` FROM tasks WHERE id = ?`
	ListTasks  = `SELECT ` + TaskColumns + ` FROM tasks WHERE project_id = ? ORDER BY id`
	EachTask   = `SELECT ` + TaskColumns + ` FROM tasks ORDER BY id`
	InsertTask = `INSERT INTO tasks (` + TaskColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	UpdateTask = `UPDATE tasks SET branch_name = ?, estimated_minutes = ?, updated_at = ? WHERE id = ?`

	GetProject = `SELECT id, name, description, mode, status, root_path, repository_url, created_at, updated_at, ` +
		`completed_at FROM projects WHERE id = ?`
	ListFeatures = `SELECT id, project_id, name, description, priority, status, estimated_tasks, completed_tasks, ` +
		`created_at, updated_at FROM features WHERE project_id = ? ORDER BY id`
	ListSubFeatures = `SELECT id, feature_id, name, description, status, created_at FROM sub_features ` +
		`WHERE feature_id IN (SELECT id FROM features WHERE project_id = ?) ORDER BY id`
	ListCheckpoints = `SELECT id, project_id, name, reason, state, git_commit, created_at FROM checkpoints ` +
		`WHERE project_id = ? ORDER BY id`
	ListRequirements = `SELECT id, project_id, category, description, priority, source, linked_features, validated, ` +
		`created_at FROM requirements WHERE project_id = ? ORDER BY id`
	ListMetrics = `SELECT id, project_id, agent_id, task_id, type, value, metadata, timestamp FROM metrics ` +
		`WHERE project_id = ? ORDER BY id`
	ListSessions = `SELECT id, project_id, type, status, data, started_at, ended_at FROM sessions ` +
		`WHERE project_id = ? ORDER BY id`

	// ReadyTasks are the pending tasks whose dependencies have all ended. The
	// contract has these only as JSON in a text, so all pending tasks are looked at.
	ReadyTasks      = `SELECT ` + TaskColumns + ` FROM tasks t WHERE ` + isReady + ` LIMIT ?`
	FirstReadyTasks = `SELECT ` + TaskColumns + ` FROM tasks t WHERE ` + isReady + ` LIMIT 10`

	// ClaimTask takes the first of them.
	ClaimTask = `UPDATE tasks SET status = 'in_progress', assigned_agent = 'agent', started_at = unixepoch(), ` +
		`updated_at = unixepoch() WHERE id = (SELECT id FROM tasks t WHERE ` + isReady + ` LIMIT 1) RETURNING id`
)

const isReady = `status = 'pending' AND coalesce(blocked_by, '') = '' ` +
	`AND NOT EXISTS (SELECT 1 FROM json_each(t.depends_on) on_id JOIN tasks d ON d.id = on_id.value ` +
	`WHERE d.status NOT IN ('completed', 'skipped')) ORDER BY created_at, id`
