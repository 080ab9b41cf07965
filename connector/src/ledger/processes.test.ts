import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { agreementOf, countAtMost, may } from '../../../test/src/agreements.ts';
import { openDatabase } from '../store/database.ts';
import { migrations } from '../store/migrations/index.ts';
import { createUsageControl } from './usage-control.ts';

const agreement = agreementOf([may('use', countAtMost(4))]);

/** The start of a second program over the same file: `usage`, and a line on its standard input to begin. */
const preamble = (path: string): string => `
  import { once } from 'node:events';
  import { writeSync } from 'node:fs';
  import { openDatabase } from ${JSON.stringify(new URL('../store/database.ts', import.meta.url).href)};
  import { migrations } from ${JSON.stringify(new URL('../store/migrations/index.ts', import.meta.url).href)};
  import { createUsageControl } from ${JSON.stringify(new URL('./usage-control.ts', import.meta.url).href)};
  const agreement = ${JSON.stringify(agreement)};
  const usage = createUsageControl({
    database: openDatabase(${JSON.stringify(path)}, migrations),
    agreements: { get: (id) => ({ ...agreement, id }) },
    clock: () => new Date(),
  });
  const print = (line) => writeSync(1, line + '\\n');
  print('ready');
  await once(process.stdin, 'data');
`;

function start(path: string, program: string): { child: ChildProcessWithoutNullStreams; lines: AsyncIterator<string> } {
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', preamble(path) + program]);
  child.stderr.pipe(process.stderr);
  return { child, lines: createInterface(child.stdout)[Symbol.asyncIterator]() };
}

async function rest(lines: AsyncIterator<string>): Promise<string[]> {
  const all: string[] = [];
  for (let next = await lines.next(); !next.done; next = await lines.next()) all.push(next.value);
  return all;
}

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'foedus-ledger-'));
  path = join(folder, 'connector.db');
  openDatabase(path, migrations).close();
});
afterEach(() => rmSync(folder, { recursive: true }));

const here = () => {
  const database = openDatabase(path, migrations);
  const usage = createUsageControl({
    database,
    agreements: { get: (id) => ({ ...agreement, id }) },
    clock: () => new Date(),
  });
  return { database, usage };
};

test('two processes that spend at the same time get exactly what the agreement grants', async () => {
  // Many agreements of few uses, not one of many: every one of them is a race at its limit.
  const AGREEMENTS = 25;
  const USES = 4;
  const program = (name: string) => `
    for (let i = 0; i < ${AGREEMENTS * USES}; i++) {
      const use = { agreementId: 'urn:' + Math.floor(i / ${USES}), key: '${name}/' + i, request: { action: 'use' } };
      try {
        usage.commit(usage.reserve(use).entry.id);
        print(use.agreementId);
      } catch (error) {
        print(error.code ?? String(error));
      }
    }
    process.exit(0);
  `;
  const programs = ['a', 'b'].map((name) => start(path, program(name)));
  await Promise.all(programs.map(({ lines }) => lines.next()));
  for (const { child } of programs) child.stdin.write('go\n');
  const outcomes = (await Promise.all(programs.map(({ lines }) => rest(lines)))).flat();
  const { database, usage } = here();
  for (let i = 0; i < AGREEMENTS; i++) {
    expect(outcomes.filter((outcome) => outcome === `urn:${i}`)).toHaveLength(USES);
    expect(usage.account(`urn:${i}`).spent.uses).toBe(USES);
  }
  expect(outcomes.filter((outcome) => outcome === 'budget-exhausted')).toHaveLength(AGREEMENTS * USES);
  database.close();
});

test('a process killed between reserve and commit leaves the use charged, under the same key', async () => {
  const program = `
    for (let i = 0; ; i++) {
      const { entry } = usage.reserve({ agreementId: agreement.id, key: String(i), request: { action: 'use' } });
      print(entry.id);
      if (i === 3) await new Promise(() => setInterval(() => {}, 1000));
      usage.commit(entry.id);
    }
  `;
  const { child, lines } = start(path, program);
  await lines.next();
  child.stdin.write('go\n');
  const ids: (string | undefined)[] = [];
  while (ids.length < 4) ids.push((await lines.next()).value as string);
  child.kill('SIGKILL');
  await once(child, 'exit');

  const { database, usage } = here();
  const { spent, entries } = usage.account(agreement.id);
  expect(spent.uses).toBe(4);
  expect(entries.map(({ id }) => id)).toEqual(ids);
  expect(entries.map(({ state }) => state)).toEqual([...Array<string>(3).fill('committed'), 'reserved']);
  const found = usage.reserve({ agreementId: agreement.id, key: '3', request: { action: 'use' } });
  expect(found.entry.id).toBe(ids[3]);
  usage.commit(found.entry.id);
  expect(usage.account(agreement.id).spent.uses).toBe(4);
  database.close();
});
