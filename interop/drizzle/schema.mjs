// The nine tables as a TypeScript program with Drizzle would declare them: the
// contract's columns and nothing of what Nexus adds. Dates, booleans and some
// JSON columns use Drizzle's conversions, because that is what its users do.

import { relations, sql } from 'drizzle-orm';
import { check, index, integer, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';

const seconds = (name) => integer(name, { mode: 'timestamp' });
const json = (name) => text(name, { mode: 'json' });
const project = () => text('project_id').notNull().references(() => projects.id, { onDelete: 'cascade' });

export const projects = sqliteTable('projects', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  description: text('description'),
  mode: text('mode', { enum: ['genesis', 'evolution'] }).notNull(),
  status: text('status').notNull(),
  rootPath: text('root_path').notNull(),
  repositoryUrl: text('repository_url'),
  createdAt: seconds('created_at').notNull(),
  updatedAt: seconds('updated_at').notNull(),
  completedAt: seconds('completed_at'),
}, (t) => [
  check('projects_mode', sql`${t.mode} in ('genesis', 'evolution')`),
]);

export const features = sqliteTable('features', {
  id: text('id').primaryKey(),
  projectId: project(),
  name: text('name').notNull(),
  description: text('description'),
  priority: text('priority').notNull().default('should'),
  status: text('status').notNull().default('backlog'),
  estimatedTasks: integer('estimated_tasks').default(0),
  completedTasks: integer('completed_tasks').default(0),
  createdAt: seconds('created_at').notNull(),
  updatedAt: seconds('updated_at').notNull(),
}, (t) => [
  index('idx_features_project').on(t.projectId),
]);

export const subFeatures = sqliteTable('sub_features', {
  id: text('id').primaryKey(),
  featureId: text('feature_id').notNull().references(() => features.id, { onDelete: 'cascade' }),
  name: text('name').notNull(),
  description: text('description'),
  status: text('status').notNull().default('backlog'),
  createdAt: seconds('created_at').notNull(),
});

export const tasks = sqliteTable('tasks', {
  id: text('id').primaryKey(),
  projectId: project(),
  featureId: text('feature_id').references(() => features.id),
  subFeatureId: text('sub_feature_id').references(() => subFeatures.id),
  name: text('name').notNull(),
  description: text('description'),
  status: text('status').notNull().default('pending'),
  size: text('size').notNull().default('small'),
  assignedAgent: text('assigned_agent'),
  worktreePath: text('worktree_path'),
  branchName: text('branch_name'),
  dependsOn: text('depends_on'),
  blockedBy: text('blocked_by'),
  qaIterations: integer('qa_iterations').default(0),
  maxIterations: integer('max_iterations').default(50),
  estimatedMinutes: integer('estimated_minutes').default(15),
  actualMinutes: integer('actual_minutes'),
  startedAt: seconds('started_at'),
  completedAt: seconds('completed_at'),
  createdAt: seconds('created_at').notNull(),
  updatedAt: seconds('updated_at').notNull(),
}, (t) => [
  index('idx_tasks_project').on(t.projectId),
  index('idx_tasks_status').on(t.status),
]);

export const agents = sqliteTable('agents', {
  id: text('id').primaryKey(),
  type: text('type').notNull(),
  status: text('status').notNull().default('idle'),
  currentTaskId: text('current_task_id'),
  worktreePath: text('worktree_path'),
  branchName: text('branch_name'),
  tokensUsed: integer('tokens_used').default(0),
  tasksCompleted: integer('tasks_completed').default(0),
  tasksFailed: integer('tasks_failed').default(0),
  spawnedAt: seconds('spawned_at').notNull(),
  lastActivityAt: seconds('last_activity_at').notNull(),
  terminatedAt: seconds('terminated_at'),
  terminationReason: text('termination_reason'),
}, (t) => [
  index('idx_agents_status').on(t.status),
]);

export const checkpoints = sqliteTable('checkpoints', {
  id: text('id').primaryKey(),
  projectId: project(),
  name: text('name'),
  reason: text('reason'),
  state: json('state'),
  gitCommit: text('git_commit'),
  createdAt: seconds('created_at').notNull(),
}, (t) => [
  index('idx_checkpoints_project').on(t.projectId),
]);

export const requirements = sqliteTable('requirements', {
  id: text('id').primaryKey(),
  projectId: project(),
  category: text('category').notNull(),
  description: text('description').notNull(),
  priority: text('priority').notNull().default('medium'),
  source: text('source'),
  linkedFeatures: text('linked_features'),
  validated: integer('validated', { mode: 'boolean' }).default(false),
  createdAt: seconds('created_at').notNull(),
});

export const metrics = sqliteTable('metrics', {
  id: text('id').primaryKey(),
  projectId: project(),
  agentId: text('agent_id'),
  taskId: text('task_id'),
  type: text('type').notNull(),
  value: real('value').notNull(),
  metadata: json('metadata'),
  timestamp: seconds('timestamp').notNull(),
});

export const sessions = sqliteTable('sessions', {
  id: text('id').primaryKey(),
  projectId: project(),
  type: text('type').notNull(),
  status: text('status').notNull().default('active'),
  data: json('data'),
  startedAt: seconds('started_at').notNull(),
  endedAt: seconds('ended_at'),
});

export const projectRelations = relations(projects, ({ many }) => ({
  features: many(features),
  tasks: many(tasks),
  checkpoints: many(checkpoints),
  requirements: many(requirements),
  metrics: many(metrics),
  sessions: many(sessions),
}));

export const featureRelations = relations(features, ({ one, many }) => ({
  project: one(projects, { fields: [features.projectId], references: [projects.id] }),
  subFeatures: many(subFeatures),
  tasks: many(tasks),
}));

export const subFeatureRelations = relations(subFeatures, ({ one, many }) => ({
  feature: one(features, { fields: [subFeatures.featureId], references: [features.id] }),
  tasks: many(tasks),
}));

export const taskRelations = relations(tasks, ({ one }) => ({
  project: one(projects, { fields: [tasks.projectId], references: [projects.id] }),
  feature: one(features, { fields: [tasks.featureId], references: [features.id] }),
  subFeature: one(subFeatures, { fields: [tasks.subFeatureId], references: [subFeatures.id] }),
}));

const ofProject = (table) => ({ one }) => ({
  project: one(projects, { fields: [table.projectId], references: [projects.id] }),
});
export const checkpointRelations = relations(checkpoints, ofProject(checkpoints));
export const requirementRelations = relations(requirements, ofProject(requirements));
export const metricRelations = relations(metrics, ofProject(metrics));
export const sessionRelations = relations(sessions, ofProject(sessions));
