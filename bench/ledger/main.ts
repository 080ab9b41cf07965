/**
 * What a charge costs: reserve, draw and commit of one use, with the hash chain and with the same rows and decisions but
 * no chain, in one run; in memory, where it is all work of the processor, and on a file, where each step waits for the
 * disk. And the walk over a chain.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEntryRows } from '../../connector/src/ledger/entry-rows.ts';
import { createLedgerReader } from '../../connector/src/ledger/ledger-reader.ts';
import { createUsageControl } from '../../connector/src/ledger/usage-control.ts';
import { openDatabase } from '../../connector/src/store/database.ts';
import { migrations } from '../../connector/src/store/migrations/index.ts';
import { agreementOf, countAtMost, may } from '../../test/src/agreements.ts';

const USES = 400;
const REPEATS = 7;
const id = 'urn:agreement:1';
const request = { action: 'use' };
const agreement = agreementOf([may('use', countAtMost(1e9))], { id });

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;

/** Microseconds of each step of a use, as the mean over many uses. */
type Costs = Record<'reserve' | 'draw' | 'commit', number>;
interface Steps {
  readonly reserve: (key: string) => string;
  readonly draw: (entryId: string) => void;
  readonly commit: (entryId: string) => void;
}

function withChain(path: string): { steps: Steps; close: () => void } {
  const database = openDatabase(path, migrations);
  const usage = createUsageControl({ database, agreements: { get: () => agreement }, clock: () => new Date() });
  return {
    steps: {
      reserve: (key) => usage.reserve({ agreementId: id, key, request }).entry.id,
      draw: (entryId) => usage.draw(entryId, { rows: 1_000, bytes: 64_000 }),
      commit: (entryId) => void usage.commit(entryId),
    },
    close: () => database.close(),
  };
}

function withoutChain(path: string): { steps: Steps; close: () => void } {
  const database = openDatabase(path, migrations);
  const usage = createUsageControl({ database, agreements: { get: () => agreement }, clock: () => new Date() });
  const rows = createEntryRows(database);
  return {
    steps: {
      reserve: (key) =>
        database.transaction(() => {
          rows.byKey(id, key);
          const decision = usage.decide(id, request);
          const entry = {
            id: randomUUID(),
            agreement_id: id,
            key,
            state: 'reserved' as const,
            policy_digest: decision.policyDigest,
            decision: JSON.stringify(decision),
            request: JSON.stringify(request),
            basis: null,
            created_at: new Date().toISOString(),
            settled_at: null,
          };
          rows.insert(entry, [{ meter: 'uses', amount: 1 }]);
          return entry.id;
        }),
      draw: (entryId) =>
        database.transaction(() => {
          usage.decide(id, request);
          rows.spent(id);
          const entry = rows.standing(entryId);
          rows.draw(entry, 'rows', 1_000);
          rows.draw(entry, 'bytes', 64_000);
        }),
      commit: (entryId) =>
        database.transaction(() => {
          const entry = rows.load(entryId);
          rows.settle(entry, 'committed', new Date().toISOString());
          rows.chargesOf(entry);
        }),
    },
    close: () => database.close(),
  };
}

/** One run of each step over many uses. */
function measure({ reserve, draw, commit }: Steps, run: number): Costs {
  const timed = <T>(work: (index: number) => T): [number, T[]] => {
    const start = performance.now();
    const results = Array.from({ length: USES }, (_, index) => work(index));
    return [((performance.now() - start) * 1_000) / USES, results];
  };
  const [reserving, entries] = timed((index) => reserve(`${run}/${index}`));
  // Ten draws on each of some entries, as a stream does.
  const [drawing] = timed((index) => draw(entries[Math.floor(index / 10)]!));
  const [committing] = timed((index) => commit(entries[index]!));
  return { reserve: reserving, draw: drawing, commit: committing };
}

const folder = mkdtempSync(join(tmpdir(), 'foedus-bench-ledger-'));
try {
  console.log(`${USES} uses, median of ${REPEATS}, microseconds each\n`);
  console.log('store    step      without chain   with chain   ratio');
  for (const store of ['memory', 'file']) {
    const path = (name: string): string => (store === 'memory' ? ':memory:' : join(folder, name));
    const [bare, chained] = [withoutChain(path('bare')), withChain(path('chained'))];
    // In turns: a busy machine is as busy for the one as for the other.
    const runs = Array.from(
      { length: REPEATS },
      (_, run) => [measure(bare.steps, run), measure(chained.steps, run)] as const,
    );
    for (const step of ['reserve', 'draw', 'commit'] as const) {
      const before = median(runs.map(([cost]) => cost[step]));
      const after = median(runs.map(([, cost]) => cost[step]));
      const cells = [
        before.toFixed(0).padStart(13),
        after.toFixed(0).padStart(10),
        (after / before).toFixed(2).padStart(5),
      ];
      console.log(`${store.padEnd(8)} ${step.padEnd(9)} ${cells.join('   ')}`);
    }
    bare.close();
    chained.close();
  }
  const database = openDatabase(join(folder, 'chained'), migrations);
  const reader = createLedgerReader(database);
  const start = performance.now();
  const { elements, broken } = reader.verify(id);
  const milliseconds = performance.now() - start;
  if (broken !== undefined) throw new Error(broken.what);
  console.log(
    `\nwalk over ${elements} elements: ${milliseconds.toFixed(0)} ms, ${((milliseconds * 1_000) / elements).toFixed(0)} µs each`,
  );
  database.close();
} finally {
  rmSync(folder, { recursive: true });
}
