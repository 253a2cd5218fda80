// What the measured programs in JavaScript have in common: the protocol of
// package peer, and the work. A program is an object of functions, by the names of
// the commands; one that it lacks it cannot do.

import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';

export const project = 'p-bench';
export const readyLimit = 10;
const featureCount = 100;
const taskCount = 1000;

const padded = (i, width) => String(i).padStart(width, '0');
const ids = Array.from({ length: taskCount }, (_, i) => `t-bench-${padded(i, 8)}`);
const scattered = (i) => ids[(i * 7919) % taskCount];

let inserted = 0;
let updated = 0;

function newTask() {
  return {
    id: `t-new-${padded(inserted++, 8)}`,
    featureId: 'f-bench-000000',
    name: 'Add the endpoint of use case 0',
    description: 'It validates its input, answers in JSON, and has a test for each of its errors.',
    branchName: 'task/0',
  };
}

function newUpdate() {
  const i = updated++;
  return { id: scattered(i), branchName: `task/again/${i}`, estimatedMinutes: i % 600 };
}

const make = (n, one) => Array.from({ length: n }, one);

function timed(work) {
  const start = process.hrtime.bigint();
  work();
  return process.hrtime.bigint() - start;
}

const repeat = (n, one) => timed(() => { for (let i = 0; i < n; i++) one(i); });

/** Does something n times, each after something else that does not count. */
function repeatApart(n, before, one) {
  let took = 0n;
  for (let i = 0; i < n; i++) {
    before();
    took += timed(one);
  }
  return took;
}

/** Does one after the other: a program of one thread has its writers take turns. */
const all = (list, one) => timed(() => { for (const item of list) one(item); });

function atLeast(want, rows) {
  if (rows < want) throw new Error(`${rows} rows instead of ${want}`);
}

/** The version of a package, which not all packages let be imported. */
export function packageVersion(name) {
  return JSON.parse(readFileSync(new URL(`./node_modules/${name}/package.json`, import.meta.url))).version;
}

/** Serves a program until standard input ends. open returns it for a path. */
export async function serve(open) {
  let program;
  let opened;
  const kept = () => `${opened[0]}.kept`;
  function keep() {
    rmSync(kept(), { force: true });
    program.copyTo(kept());
  }
  function goBack() {
    program.close();
    copyFileSync(kept(), opened[0]);
    program = open(...opened);
  }
  const commands = {
    get: (n) => repeat(n, (i) => { if (!program.get(scattered(i))) throw new Error('it is not there'); }),
    list: (n) => repeat(n, () => atLeast(taskCount, program.list().length)),
    each: (n) => repeat(n, () => atLeast(1, program.each())),
    ready: (n) => repeat(n, () => atLeast(readyLimit, program.ready().length)),
    load: (n) => repeat(n, () => {
      const loaded = program.load();
      atLeast(featureCount, loaded.features.length);
      atLeast(taskCount, loaded.tasks.length);
    }),
    insert: (n) => all(make(n, newTask), program.insert),
    insertmany: (n) => { const tasks = make(n, newTask); return timed(() => program.insertmany(tasks)); },
    update: (n) => all(make(n, newUpdate), program.update),
    updatemany: (n) => { const updates = make(n, newUpdate); return timed(() => program.updatemany(updates)); },
    checkpoint: (n) => repeatApart(n, () => program.updatemany(make(10, newUpdate)), keep),
    restore: (n) => repeatApart(n, () => { keep(); program.updatemany(make(100, newUpdate)); }, goBack),
    reopen: (n) => repeat(n, (i) => {
      program.close();
      program = open(...opened);
      program.get(scattered(i));
    }),
  };

  function answer([name, ...args]) {
    if (name === 'open') {
      opened = args;
      program = open(...args);
      return 'ok 0';
    }
    if (name === 'version') return `ok 0 ${program.version()}, Node ${process.versions.node}`;
    const needs = { reopen: 'get', checkpoint: 'copyTo', restore: 'copyTo' }[name] ?? name;
    if (!commands[name] || !program[needs]) return 'no';
    return `ok ${commands[name](Number(args[0]))}`;
  }

  for await (const line of createInterface({ input: process.stdin })) {
    let text;
    try {
      text = answer(line.split(' '));
    } catch (error) {
      text = `error ${String(error.message).replaceAll(/\s+/g, ' ')}`;
    }
    process.stdout.write(`${text}\n`);
  }
  program?.close();
}
