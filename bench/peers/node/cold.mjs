// One command of a program on better-sqlite3, from its start to its end:
//
//	node cold.mjs DATABASE ready|create|claim

import Database from 'better-sqlite3';
import { randomUUID } from 'node:crypto';
import { project, readyLimit } from './harness.mjs';
import { sql } from './sql.mjs';

const [path, command] = process.argv.slice(2);
const db = new Database(path);
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.pragma('foreign_keys = ON');
db.pragma('busy_timeout = 5000');
const now = Math.floor(Date.now() / 1000);

const commands = {
  ready: () => db.prepare(sql.readyTasks).all(readyLimit),
  create: () => db.prepare(sql.insertTask).run(
    randomUUID(), project, null, null, 'A task', null, 'pending', 'small', null, null, null,
    null, null, 0, 50, 15, null, null, null, now, now,
  ),
  claim: () => db.prepare(sql.claimTask).get(),
};
console.log(JSON.stringify(commands[command]()));
db.close();
