// Drizzle ORM on better-sqlite3 as people write it: a query is built where it is
// needed. With --prepared, every query is prepared once.

import Database from 'better-sqlite3';
import { and, asc, eq, inArray, sql as sqlText } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import * as schema from '../../../interop/drizzle/schema.mjs';
import { packageVersion, project, readyLimit, serve } from './harness.mjs';
import { sql } from './sql.mjs';

const { tasks } = schema;
const everyRelation = {
  features: { with: { subFeatures: true } },
  tasks: true, checkpoints: true, requirements: true, metrics: true, sessions: true,
};
const row = (t) => ({ ...t, projectId: project, createdAt: new Date(), updatedAt: new Date() });

await serve((path, synchronous) => {
  const sqlite = new Database(path);
  sqlite.pragma('journal_mode = WAL');
  sqlite.pragma(`synchronous = ${synchronous}`);
  sqlite.pragma('foreign_keys = ON');
  sqlite.pragma('busy_timeout = 5000');
  const db = drizzle(sqlite, { schema });
  const program = process.argv.includes('--prepared') ? prepared(sqlite, db) : asWritten(db);
  return {
    ...program,
    version: () => `SQLite ${sqlite.prepare('SELECT sqlite_version()').pluck().get()}, drizzle-orm ${packageVersion('drizzle-orm')} on better-sqlite3`,
    insertmany: (list) => db.transaction(() => { for (const t of list) program.insert(t); }, { behavior: 'immediate' }),
    updatemany: (list) => db.transaction(() => { for (const u of list) program.update(u); }, { behavior: 'immediate' }),
    copyTo: (copy) => sqlite.prepare('VACUUM INTO ?').run(copy),
    close: () => sqlite.close(),
  };
});

function asWritten(db) {
  return {
    get: (id) => db.select().from(tasks).where(eq(tasks.id, id)).get(),
    list: () => db.select().from(tasks).where(eq(tasks.projectId, project)).orderBy(asc(tasks.id)).all(),
    ready() {
      const ended = new Set(db.select({ id: tasks.id }).from(tasks)
        .where(inArray(tasks.status, ['completed', 'skipped'])).all().map((t) => t.id));
      return db.select().from(tasks).where(and(eq(tasks.projectId, project), eq(tasks.status, 'pending')))
        .orderBy(asc(tasks.createdAt), asc(tasks.id)).all()
        .filter((t) => !t.blockedBy && JSON.parse(t.dependsOn ?? '[]').every((id) => ended.has(id)))
        .slice(0, readyLimit);
    },
    load: () => db.query.projects.findFirst({ where: eq(schema.projects.id, project), with: everyRelation }).sync(),
    insert: (t) => db.insert(tasks).values(row(t)).run(),
    update: ({ id, ...change }) => db.update(tasks).set({ ...change, updatedAt: new Date() }).where(eq(tasks.id, id)).run(),
  };
}

// A query is prepared at its first use, so that opening costs what it costs.
function prepared(sqlite, db) {
  const { placeholder } = sqlText;
  const once = (make) => { let query; return () => (query ??= make()); };
  const get = once(() => db.select().from(tasks).where(eq(tasks.id, placeholder('id'))).prepare());
  const list = once(() => db.select().from(tasks).where(eq(tasks.projectId, placeholder('project'))).orderBy(asc(tasks.id)).prepare());
  const load = once(() => db.query.projects.findFirst({
    where: eq(schema.projects.id, placeholder('id')), with: everyRelation,
  }).prepare());
  const insert = once(() => db.insert(tasks).values({
    id: placeholder('id'), projectId: project, featureId: placeholder('featureId'), name: placeholder('name'),
    description: placeholder('description'), branchName: placeholder('branchName'),
    createdAt: placeholder('createdAt'), updatedAt: placeholder('updatedAt'),
  }).prepare());
  const update = once(() => db.update(tasks).set({
    branchName: placeholder('branchName'), estimatedMinutes: placeholder('estimatedMinutes'), updatedAt: placeholder('updatedAt'),
  }).where(eq(tasks.id, placeholder('id'))).prepare());
  const ready = once(() => sqlite.prepare(sql.readyTasks));
  return {
    get: (id) => get().get({ id }),
    list: () => list().all({ project }),
    ready: () => ready().all(readyLimit),
    load: () => load().execute({ id: project }).sync(),
    insert: (t) => insert().run(row(t)),
    update: (u) => update().run({ ...u, updatedAt: new Date() }),
  };
}
