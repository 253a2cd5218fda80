-- A database as the TypeScript stack leaves it: the nine tables as drizzle-kit
-- prints them, the table of its migrator, and rows such as years of use leave.
PRAGMA journal_mode = DELETE;
PRAGMA foreign_keys = OFF;

CREATE TABLE `projects` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`description` text,
	`mode` text NOT NULL,
	`status` text NOT NULL,
	`root_path` text NOT NULL,
	`repository_url` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`completed_at` integer,
	CONSTRAINT "projects_mode_check" CHECK("projects"."mode" IN ('genesis', 'evolution'))
);
--> statement-breakpoint
CREATE TABLE `features` (
	`id` text PRIMARY KEY NOT NULL,
	`project_id` text NOT NULL,
	`name` text NOT NULL,
	`description` text,
	`priority` text DEFAULT 'should' NOT NULL,
	`status` text DEFAULT 'backlog' NOT NULL,
	`estimated_tasks` integer DEFAULT 0,
	`completed_tasks` integer DEFAULT 0,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	FOREIGN KEY (`project_id`) REFERENCES `projects`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `sub_features` (
	`id` text PRIMARY KEY NOT NULL,
	`feature_id` text NOT NULL,
	`name` text NOT NULL,
	`description` text,
	`status` text DEFAULT 'backlog' NOT NULL,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`feature_id`) REFERENCES `features`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `tasks` (
	`id` text PRIMARY KEY NOT NULL,
	`project_id` text NOT NULL,
	`feature_id` text,
	`sub_feature_id` text,
	`name` text NOT NULL,
	`description` text,
	`status` text DEFAULT 'pending' NOT NULL,
	`size` text DEFAULT 'small' NOT NULL,
	`assigned_agent` text,
	`worktree_path` text,
	`branch_name` text,
	`depends_on` text,
	`blocked_by` text,
	`qa_iterations` integer DEFAULT 0,
	`max_iterations` integer DEFAULT 50,
	`estimated_minutes` integer DEFAULT 15,
	`actual_minutes` integer,
	`started_at` integer,
	`completed_at` integer,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	FOREIGN KEY (`project_id`) REFERENCES `projects`(`id`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`feature_id`) REFERENCES `features`(`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`sub_feature_id`) REFERENCES `sub_features`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `agents` (
	`id` text PRIMARY KEY NOT NULL,
	`type` text NOT NULL,
	`status` text DEFAULT 'idle' NOT NULL,
	`current_task_id` text,
	`worktree_path` text,
	`branch_name` text,
	`tokens_used` integer DEFAULT 0,
	`tasks_completed` integer DEFAULT 0,
	`tasks_failed` integer DEFAULT 0,
	`spawned_at` integer NOT NULL,
	`last_activity_at` integer NOT NULL,
	`terminated_at` integer,
	`termination_reason` text
);
--> statement-breakpoint
CREATE TABLE `checkpoints` (
	`id` text PRIMARY KEY NOT NULL,
	`project_id` text NOT NULL,
	`name` text,
	`reason` text,
	`state` text,
	`git_commit` text,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`project_id`) REFERENCES `projects`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `requirements` (
	`id` text PRIMARY KEY NOT NULL,
	`project_id` text NOT NULL,
	`category` text NOT NULL,
	`description` text NOT NULL,
	`priority` text DEFAULT 'medium' NOT NULL,
	`source` text,
	`linked_features` text,
	`validated` integer DEFAULT 0,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`project_id`) REFERENCES `projects`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `metrics` (
	`id` text PRIMARY KEY NOT NULL,
	`project_id` text NOT NULL,
	`agent_id` text,
	`task_id` text,
	`type` text NOT NULL,
	`value` real NOT NULL,
	`metadata` text,
	`timestamp` integer NOT NULL,
	FOREIGN KEY (`project_id`) REFERENCES `projects`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `sessions` (
	`id` text PRIMARY KEY NOT NULL,
	`project_id` text NOT NULL,
	`type` text NOT NULL,
	`status` text DEFAULT 'active' NOT NULL,
	`data` text,
	`started_at` integer NOT NULL,
	`ended_at` integer,
	FOREIGN KEY (`project_id`) REFERENCES `projects`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `idx_features_project` ON `features` (`project_id`);--> statement-breakpoint
CREATE INDEX `idx_tasks_project` ON `tasks` (`project_id`);--> statement-breakpoint
CREATE INDEX `idx_tasks_status` ON `tasks` (`status`);--> statement-breakpoint
CREATE INDEX `idx_agents_status` ON `agents` (`status`);--> statement-breakpoint
CREATE INDEX `idx_checkpoints_project` ON `checkpoints` (`project_id`);

CREATE TABLE IF NOT EXISTS "__drizzle_migrations" (
				id SERIAL PRIMARY KEY,
				hash text NOT NULL,
				created_at numeric
			);
INSERT INTO "__drizzle_migrations" ("hash", "created_at") VALUES
	('6ac9ef1f9f0b8f3ba2b4c5cbf5c4f3f3ce4ed3a0e5e5a2ad0dc4bd7b1f0c1e7a', 1717351200000),
	('f1d5c3d86d3aaea3b77b2ea96c76f2bd9c4ab7a5c9f2c8e0a6b1f4a96cbd0b7c', 1719943200000.5);

INSERT INTO projects VALUES
	('p1', 'Shop', 'With "quotes", ''apostrophes'',
lines and ünïcödé 🚀', 'genesis', 'executing', '/srv/shop', NULL, 1717351200, 1717351200, NULL),
	-- A status of an old vocabulary, a time in milliseconds, one before 1970, one as text.
	('p2', '', '', 'evolution', 'interviewing', '', '', 1717351200000, -1, '2024-06-02'),
	-- Blobs and numbers where texts are declared; a NUL; the largest integer.
	('p3', x'00ff10', 42, 'genesis', 'no such status', char(0, 65), 1.5, 9223372036854775807, 0.25, 'x'),
	('', 'the empty id', NULL, 'genesis', 'pending', '/', NULL, 0, 0, 0);
INSERT INTO features VALUES
	('f1', 'p1', 'Cart', NULL, 'must', 'in_progress', 3, NULL, 1717351200, 1717351200),
	('f2', 'p1', 'Pay', NULL, 'someday', 'decomposing', 'many', -7, 1717351200, 1717351200),
	('f3', 'a project that is gone', 'Orphan', NULL, 'should', 'backlog', 0, 0, 1, 1);
INSERT INTO sub_features VALUES
	('s1', 'f1', 'Badge', NULL, 'ready', 1717351200),
	('s2', 'gone', 'Orphan', NULL, 'backlog', 1);
INSERT INTO tasks VALUES
	('t1', 'p1', 'f1', 's1', 'Draw', NULL, 'completed', 'atomic', 'a1', '/w/t1', 'b/t1', '[]', NULL, 2, 50, 15, 20, 1717351200, 1717354800, 1717351200, 1717354800),
	('t2', 'p1', 'f1', NULL, 'Count', NULL, 'qa_loop', 'huge', NULL, NULL, NULL, '["t1"]', '', NULL, NULL, NULL, NULL, NULL, NULL, 1717351200, 1717351200),
	('t3', 'p1', NULL, NULL, 'Broken', NULL, 'pending', 'small', NULL, NULL, NULL, 'not JSON {', 'why', 0, 50, 15, NULL, NULL, NULL, 1, 1),
	('t4', 'gone', 'gone', 'gone', 'Orphan', NULL, 'pending', 'small', NULL, NULL, NULL, '["gone"]', NULL, 0, 50, 1e300, NULL, NULL, NULL, 1, 1);
INSERT INTO agents VALUES
	('a1', 'coder', 'working', 't1', NULL, NULL, 9007199254740993, 1, 0, 1717351200, 1717351200, NULL, NULL),
	('a2', 'architect', 'zombie', 'gone', NULL, NULL, NULL, NULL, NULL, 1, 1, 1, 'killed');
INSERT INTO checkpoints VALUES
	('c1', 'p1', NULL, 'phase_complete', '{"tasks":[1,2,3]}', 'deadbeef', 1717351200),
	('c2', 'p1', 'broken', 'x', '{"tasks":', NULL, 1);
INSERT INTO requirements VALUES
	('r1', 'p1', 'ui', 'Be quick', 'critical', NULL, '["f1","gone"]', 1, 1717351200),
	('r2', 'p1', 'poetry', 'Be nice', 'whatever', 'mail', '', true, 1);
INSERT INTO metrics VALUES
	('m1', 'p1', 'a1', 't1', 'token_usage', 1234, '{"model":"x"}', 1717351200),
	('m2', 'p1', NULL, NULL, 'cost_usd', 1e-300, NULL, 1717351200),
	('m3', 'p1', NULL, NULL, 'odd', 'not a number', 'null', 9e999);
INSERT INTO sessions VALUES
	('e1', 'p1', 'interview', 'approved', '{}', 1717351200, NULL),
	('e2', 'gone', 'Orphan', 'x', x'', 1, 0);
