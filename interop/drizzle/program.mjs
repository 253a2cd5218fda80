// A program that shares its database with Nexus through Drizzle, as an
// orchestrator would. It is given a database file, reads one request per line of
// standard input, {"op": …}, and answers each with a line, {"ok": …} or
// {"error": …}.
//
// Rows cross as the contract has them: columns by their SQL names, times in
// seconds, booleans as 0 and 1, JSON as text. In between they go through
// Drizzle's own types, so its conversions are under test as well.

import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { asc, eq, getTableColumns, getTableName, TransactionRollbackError } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { migrate } from 'drizzle-orm/better-sqlite3/migrator';
import * as schema from './schema.mjs';

const tables = Object.fromEntries(
  [
    schema.projects, schema.features, schema.subFeatures, schema.tasks, schema.agents,
    schema.checkpoints, schema.requirements, schema.metrics, schema.sessions,
  ].map((table) => [getTableName(table), table]),
);

const sqlite = new Database(process.argv[2]);
sqlite.pragma('journal_mode = WAL');
sqlite.pragma('foreign_keys = ON');
sqlite.pragma('busy_timeout = 5000');
const db = drizzle(sqlite, { schema });

/** Turns a row of the contract into the values that Drizzle wants. */
function toDrizzle(table, row) {
  const values = {};
  const unknown = new Set(Object.keys(row));
  for (const [property, column] of Object.entries(getTableColumns(table))) {
    if (!unknown.delete(column.name)) continue;
    let value = row[column.name];
    if (value !== null) {
      if (column.dataType === 'date') value = new Date(value * 1000);
      if (column.dataType === 'boolean') value = value !== 0;
      if (column.dataType === 'json') value = JSON.parse(value);
    }
    values[property] = value;
  }
  if (unknown.size > 0) throw new Error(`no such columns: ${[...unknown]}`);
  return values;
}

/** Turns what Drizzle read into a row of the contract. */
function toContract(table, values) {
  const row = {};
  for (const [property, column] of Object.entries(getTableColumns(table))) {
    let value = values[property];
    if (value === undefined) throw new Error(`Drizzle returned no ${property}`);
    if (value !== null) {
      if (column.dataType === 'date') value = value.getTime() / 1000;
      if (column.dataType === 'boolean') value = value ? 1 : 0;
      if (column.dataType === 'json') value = JSON.stringify(value);
    }
    row[column.name] = value;
  }
  return row;
}

const many = (table, list) => list.map((values) => toContract(table, values));
const one = (table, values) => (values === null ? null : toContract(table, values));

const byId = { orderBy: (t, { asc: ascending }) => ascending(t.id) };

const operations = {
  /** Applies the program's migrations, as it does whenever it starts. */
  migrate() {
    migrate(db, { migrationsFolder: fileURLToPath(new URL('./migrations', import.meta.url)) });
  },

  /** Reads all rows of all tables with typed queries. */
  read() {
    return Object.fromEntries(
      Object.entries(tables).map(([name, table]) => [
        name, many(table, db.select().from(table).orderBy(asc(table.id)).all()),
      ]),
    );
  },

  /** Loads every relation that the contract names with relational queries. */
  relations() {
    const { query } = db;
    return {
      projects: query.projects.findMany({
        ...byId,
        with: {
          features: byId, tasks: byId, checkpoints: byId,
          requirements: byId, metrics: byId, sessions: byId,
        },
      }).sync().map((p) => ({
        self: toContract(schema.projects, p),
        features: many(schema.features, p.features),
        tasks: many(schema.tasks, p.tasks),
        checkpoints: many(schema.checkpoints, p.checkpoints),
        requirements: many(schema.requirements, p.requirements),
        metrics: many(schema.metrics, p.metrics),
        sessions: many(schema.sessions, p.sessions),
      })),
      features: query.features.findMany({
        ...byId, with: { project: true, subFeatures: byId, tasks: byId },
      }).sync().map((f) => ({
        self: toContract(schema.features, f),
        project: one(schema.projects, f.project),
        sub_features: many(schema.subFeatures, f.subFeatures),
        tasks: many(schema.tasks, f.tasks),
      })),
      sub_features: query.subFeatures.findMany({
        ...byId, with: { feature: true, tasks: byId },
      }).sync().map((s) => ({
        self: toContract(schema.subFeatures, s),
        feature: one(schema.features, s.feature),
        tasks: many(schema.tasks, s.tasks),
      })),
      tasks: query.tasks.findMany({
        ...byId, with: { project: true, feature: true, subFeature: true },
      }).sync().map((t) => ({
        self: toContract(schema.tasks, t),
        project: one(schema.projects, t.project),
        feature: one(schema.features, t.feature),
        sub_feature: one(schema.subFeatures, t.subFeature),
      })),
    };
  },

  /** Inserts one row and returns it as RETURNING has it. */
  insert({ table, row }) {
    const t = tables[table];
    return toContract(t, db.insert(t).values(toDrizzle(t, row)).returning().get());
  },

  /** Inserts one row, or updates the one that has its id. */
  upsert({ table, row }) {
    const t = tables[table];
    const values = toDrizzle(t, row);
    return toContract(t, db.insert(t).values(values)
      .onConflictDoUpdate({ target: t.id, set: values }).returning().get());
  },

  /** Updates one row and returns it as RETURNING has it. */
  update({ table, id, set }) {
    const t = tables[table];
    const rows = db.update(t).set(toDrizzle(t, set)).where(eq(t.id, id)).returning().all();
    return many(t, rows);
  },

  /** Updates all rows of a table and returns how many SQLite says it were. */
  updateAll({ table, set }) {
    const t = tables[table];
    return db.update(t).set(toDrizzle(t, set)).run().changes;
  },

  /** Updates one row in a transaction that is then rolled back. */
  updateAndRollBack({ table, id, set }) {
    const t = tables[table];
    try {
      db.transaction((tx) => {
        tx.update(t).set(toDrizzle(t, set)).where(eq(t.id, id)).run();
        tx.rollback();
      });
    } catch (error) {
      if (!(error instanceof TransactionRollbackError)) throw error;
    }
  },

  /** Deletes one row and returns it as RETURNING has it. */
  delete({ table, id }) {
    const t = tables[table];
    return many(t, db.delete(t).where(eq(t.id, id)).returning().all());
  },

  /**
   * Inserts many rows, each in a transaction of its own. In between it does
   * something else, as programs do: without that it would be through before
   * anyone else has had the lock.
   */
  async insertEach({ table, rows }) {
    const t = tables[table];
    for (const row of rows) {
      db.insert(t).values(toDrizzle(t, row)).run();
      await setTimeout(1);
    }
    return rows.length;
  },

  /** Updates one row again and again, each time in a transaction of its own. */
  async updateEach({ table, id, sets }) {
    const t = tables[table];
    for (const set of sets) {
      db.update(t).set(toDrizzle(t, set)).where(eq(t.id, id)).run();
      await setTimeout(1);
    }
    return sets.length;
  },

  /** Runs SQL on better-sqlite3 itself, and returns its rows, if it has any. */
  sql({ text, args = [] }) {
    const statement = sqlite.prepare(text);
    return statement.reader ? statement.all(...args) : statement.run(...args).changes;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const { op, ...args } = JSON.parse(line);
    answer = { ok: (await operations[op](args)) ?? null };
  } catch (error) {
    // Drizzle wraps what SQLite said, which is what matters here.
    answer = { error: `${error.message}${error.cause ? `: ${error.cause.message}` : ''}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
sqlite.close();
