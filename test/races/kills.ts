/** Processes that spend over one ledger file are killed at random points, again and again. */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createLedgerReader } from '../../connector/src/ledger/ledger-reader.ts';
import { createUsageControl } from '../../connector/src/ledger/usage-control.ts';
import { openDatabase } from '../../connector/src/store/database.ts';
import { migrations } from '../../connector/src/store/migrations/index.ts';
import { agreementOf } from '../src/agreements.ts';

export interface KillReport {
  readonly kills: number;
  readonly entries: number;
  readonly elements: number;
  /** Rows that were received before the kills, and rows that are charged: never fewer. */
  readonly received: number;
  readonly charged: number;
  readonly faults: readonly string[];
}

const SPENDER = fileURLToPath(new URL('./spender.ts', import.meta.url));

/** Each time two processes spend at once; both are killed after up to `longest` lines of one of them. */
export async function killSpenders({ kills, longest }: { kills: number; longest: number }): Promise<KillReport> {
  const folder = await mkdtemp(join(tmpdir(), 'foedus-kills-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'ledger.sqlite');
  openDatabase(path, migrations).close();
  const received = new Map<string, number>();
  const faults: string[] = [];
  for (let kill = 0; kill < kills; kill += 2) {
    const children = [0, 1].map(() => spawn(process.execPath, ['--no-warnings', SPENDER, path]));
    let left = randomInt(1, longest);
    const killed = children.map(async (child) => {
      child.stderr.on('data', (text: Buffer) => faults.push(text.toString()));
      // What was written before the kill is read to its end: it has left.
      for await (const line of createInterface(child.stdout)) {
        const [agreementId = '', rows] = line.split(' ');
        if (rows !== undefined) received.set(agreementId, (received.get(agreementId) ?? 0) + Number(rows));
        left -= 1;
        if (left <= 0) for (const each of children) each.kill('SIGKILL');
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    });
    await Promise.all(killed);
    faults.push(...check(path, received).faults);
  }
  const { entries, elements, charged } = check(path, received);
  const all = [...received.values()].reduce((sum, rows) => sum + rows, 0);
  return { kills, entries, elements, received: all, charged, faults };
}

/** What a node finds after a kill: totals that are the sums of the entries, a good chain, everything charged that left. */
function check(path: string, received: ReadonlyMap<string, number>) {
  const database = openDatabase(path, migrations);
  const reader = createLedgerReader(database);
  const usage = createUsageControl({
    database,
    agreements: { get: (id) => agreementOf([{ action: 'use' }], { id, assigner: 'did:web:node.example' }) },
    clock: () => new Date(),
  });
  const faults: string[] = [];
  let [entries, elements, charged] = [0, 0, 0];
  for (const id of reader.agreements()) {
    const report = reader.verify(id);
    if (report.broken !== undefined) faults.push(`${id}: ${report.broken.what}`);
    const account = usage.account(id);
    for (const meter of ['uses', 'rows', 'bytes'] as const) {
      const sum = account.entries
        .filter(({ state }) => state !== 'refunded')
        .flatMap(({ charges }) => charges.filter((charge) => charge.meter === meter))
        .reduce((total, { amount }) => total + amount, 0);
      if (sum !== account.spent[meter]) faults.push(`${id}: ${account.spent[meter]} ${meter} spent, ${sum} in entries`);
    }
    const left = received.get(id) ?? 0;
    if (account.spent.rows < left) faults.push(`${id}: ${left} rows have left, ${account.spent.rows} are charged`);
    entries += report.entries;
    elements += report.elements;
    charged += account.spent.rows;
  }
  database.close();
  return { faults, entries, elements, charged };
}
