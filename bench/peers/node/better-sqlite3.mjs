// better-sqlite3 by itself: SQL written by hand, every statement prepared once.

import Database from 'better-sqlite3';
import { packageVersion, project, readyLimit, serve } from './harness.mjs';
import { sql } from './sql.mjs';

await serve((path, synchronous) => {
  const db = openDatabase(path, synchronous);
  const prepared = {};
  const statement = (name) => (prepared[name] ??= db.prepare(sql[name]));
  const now = () => Math.floor(Date.now() / 1000);

  const insert = (t) => statement('insertTask').run(
    t.id, project, t.featureId, null, t.name, t.description, 'pending', 'small', null, null, t.branchName,
    null, null, 0, 50, 15, null, null, null, now(), now(),
  );
  const update = (u) => statement('updateTask').run(u.branchName, u.estimatedMinutes, now(), u.id);

  return {
    version: () => `SQLite ${db.prepare('SELECT sqlite_version()').pluck().get()}, better-sqlite3 ${packageVersion('better-sqlite3')}`,
    get: (id) => statement('getTask').get(id),
    list: () => statement('listTasks').all(project),
    each: () => { let rows = 0; for (const _ of statement('eachTask').iterate()) rows++; return rows; },
    ready: () => statement('readyTasks').all(readyLimit),
    load: () => ({
      ...statement('getProject').get(project),
      features: statement('listFeatures').all(project),
      subFeatures: statement('listSubFeatures').all(project),
      tasks: statement('listTasks').all(project),
      checkpoints: statement('listCheckpoints').all(project),
      requirements: statement('listRequirements').all(project),
      metrics: statement('listMetrics').all(project),
      sessions: statement('listSessions').all(project),
    }),
    insert,
    insertmany: db.transaction((tasks) => { for (const t of tasks) insert(t); }).immediate,
    update,
    updatemany: db.transaction((updates) => { for (const u of updates) update(u); }).immediate,
    copyTo: (copy) => db.prepare('VACUUM INTO ?').run(copy),
    close: () => db.close(),
  };
});

function openDatabase(path, synchronous) {
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  db.pragma(`synchronous = ${synchronous}`);
  db.pragma('foreign_keys = ON');
  db.pragma('busy_timeout = 5000');
  return db;
}
