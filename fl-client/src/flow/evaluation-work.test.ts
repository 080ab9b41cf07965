import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FoedusError } from '@foedus/connector/errors';
import type { SignedHead } from '@foedus/connector/operator-client';
import { type Evaluation, type SessionPlan, createRandomBits, metricsOfHistogram } from '@foedus/fl-core';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EvaluationQuote } from './charge.ts';
import { createEvaluationWork } from './evaluation-work.ts';
import { Refused } from './round-calls.ts';
import { createUpdateFiles } from './update-files.ts';

const plan = {
  sessionId: '6f9619ff-8b86-4d01-b42d-00cf4fc964ff',
  privacy: { unit: 'record', adjacency: 'add-remove', noiseMultiplier: 1, clipNorm: 1, delta: 1e-5 },
  evaluation: { holdOut: 0.2, salt: 's', metrics: ['auc'], every: 1, noise: { bins: 4, noiseMultiplier: 5 } },
} as unknown as SessionPlan;
const open = {
  ...plan,
  privacy: null,
  evaluation: { ...plan.evaluation, metrics: ['auc', 'logLoss'], noise: null },
} as SessionPlan;
const rows = { negatives: [0, 300, 100, 0], positives: [0, 100, 300, 0] };
const task = (round: number, modelHash = 'a'.repeat(64)) => ({ kind: 'evaluate', seq: 1, round, modelHash }) as const;
const head = { signature: 'newest' } as unknown as SignedHead;

const privacy = { epsilonSpent: 1, epsilonLimit: 2, delta: 1e-5 };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foedus-evaluation-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** A node whose ledger is a list of what happened, in order. `start` begins it anew on the same disk. */
function node(of: SessionPlan = plan) {
  const happened: string[] = [];
  const sent: { readonly evaluation: Evaluation; readonly head: SignedHead | null }[] = [];
  const fate = { unreachable: false, refused: false, overtaken: false, quote: {} as Partial<EvaluationQuote> };
  const charged = new Set<number>();
  const onDisk = async () => (await readdir(folder)).filter((name) => name.endsWith('.evaluation'));
  const untilKilled = async <T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> => {
    try {
      return await call();
    } catch (error) {
      // As a program that ends while it waits.
      kill.abort();
      signal.throwIfAborted();
      throw error;
    }
  };
  const start = () =>
    createEvaluationWork({
      plan: of,
      planHash: 'b'.repeat(64),
      agreementId: 'urn:agreement',
      modelHash: 'c'.repeat(64),
      coordinator: {
        async evaluate(round, evaluation, newest) {
          if (fate.unreachable) throw new Error('the program is killed here');
          happened.push(`sent ${round}`);
          sent.push({ evaluation, head: newest });
        },
      },
      charging: {
        async quoteEvaluation({ round }) {
          const allowed = { metrics: ['auc', 'logLoss'] as const, reason: '', privacy, ...fate.quote };
          return { ...allowed, isCharged: charged.has(round) };
        },
        async chargeEvaluation({ round }, metrics) {
          if (fate.refused) throw new FoedusError('budget-exhausted', 'The privacy budget is spent.');
          happened.push(`charged ${round} for ${metrics.join('+')} with ${(await onDisk()).length} on disk`);
          charged.add(round);
          return head;
        },
      },
      calls: {
        own: (call) => call(),
        ask: (call, signal) => untilKilled(call, signal),
        send: (_agreementId, newest, call, signal) => {
          if (fate.overtaken) throw new Refused('ledger-too-old', 'The ledger is older than what a partner holds.');
          return untilKilled(() => call(newest), signal);
        },
        tell: () => {},
      },
      files: createUpdateFiles(folder, 'evaluation'),
      trainer: {
        trainRound: () => Promise.reject(new Error('nothing is trained here')),
        async evaluate() {
          happened.push('measured');
          return { auc: 0.75, logLoss: null };
        },
        async histogram() {
          happened.push('counted');
          return rows;
        },
        [Symbol.asyncDispose]: async () => {},
      },
      model: async () => new Float32Array(1),
      random: createRandomBits(),
      logger: pino({ level: 'silent' }),
    });
  let kill = new AbortController();
  const evaluate = async (asked: ReturnType<typeof task>): Promise<void> => {
    kill = new AbortController();
    await start()(asked, kill.signal).catch((error: unknown) => {
      if (!kill.signal.aborted) throw error;
    });
  };
  return { evaluate, happened, sent, fate, charged, onDisk };
}

describe('an evaluation under privacy', () => {
  test('is counted, written to disk, charged, and then sent, with the head of the ledger', async () => {
    const { evaluate, happened, sent } = node();
    await evaluate(task(3));
    expect(happened).toEqual(['counted', 'charged 3 for auc+logLoss with 1 on disk', 'sent 3']);
    expect(sent[0]!.head).toBe(head);
    const { metrics, histogram, privacy: stated } = sent[0]!.evaluation;
    expect(metrics).toEqual({});
    expect(stated).toEqual(privacy);
    // σ = 5 on eight counts: all of them unchanged once in 10⁸ runs, and the AUC not far off.
    expect(histogram).not.toEqual(rows);
    expect(metricsOfHistogram(histogram!).auc).toBeCloseTo(0.75, 0);
  });

  test('that was charged when the program was killed goes out as the same bytes, and is counted once', async () => {
    const { evaluate, happened, sent, fate } = node();
    fate.unreachable = true;
    await evaluate(task(3));
    expect(sent).toEqual([]);
    fate.unreachable = false;
    await evaluate(task(3));
    await evaluate(task(3));
    expect(happened.filter((what) => what === 'counted')).toHaveLength(1);
    expect(sent).toHaveLength(2);
    expect(JSON.stringify(sent[1])).toBe(JSON.stringify(sent[0]));
  });

  test('of another model, or once what was sent is not kept any more, is not made for the same charge', async () => {
    const { evaluate, happened, sent, onDisk } = node();
    await evaluate(task(3));
    await evaluate(task(3, 'd'.repeat(64)));
    expect(sent[1]!.evaluation).toMatchObject({
      metrics: {},
      reason: expect.stringMatching(/Another model/) as string,
    });
    for (const name of await onDisk()) await rm(join(folder, name));
    await evaluate(task(3));
    expect(sent[2]!.evaluation).toMatchObject({ metrics: {}, reason: expect.stringMatching(/not kept/) as string });
    expect(sent.slice(1).every((one) => one.evaluation.histogram === undefined && one.head === null)).toBe(true);
    expect(happened.filter((what) => what === 'counted')).toHaveLength(1);
  });

  test('that the ledger refuses after all leaves nothing on disk, and the reason is sent instead', async () => {
    const { evaluate, sent, fate, onDisk } = node();
    fate.refused = true;
    await evaluate(task(3));
    expect(sent).toEqual([{ evaluation: { metrics: {}, reason: 'The privacy budget is spent.' }, head: null }]);
    expect(await onDisk()).toEqual([]);
  });

  test('of a ledger that is older than what the coordinator holds is not sent, and the reason is', async () => {
    const { evaluate, sent, fate } = node();
    fate.overtaken = true;
    await evaluate(task(3));
    expect(sent).toEqual([
      { evaluation: { metrics: {}, reason: 'The ledger is older than what a partner holds.' }, head: null },
    ]);
  });

  test('that is not permitted is not even counted', async () => {
    const { evaluate, happened, sent, fate } = node();
    fate.quote = { metrics: [], reason: 'The agreement names no metrics that may be released.' };
    await evaluate(task(3));
    expect(happened).toEqual(['sent 3']);
    expect(sent[0]!.evaluation.reason).toMatch(/names no metrics/);
  });

  test('without noise in the plan is kept, whatever the agreement says', async () => {
    const { evaluate, happened, sent } = node({ ...plan, evaluation: { ...plan.evaluation, noise: null } });
    await evaluate(task(3));
    expect(happened).toEqual(['sent 3']);
    expect(sent[0]!.evaluation.reason).toMatch(/no noise for metrics/);
  });

  test('replaces the one before on disk', async () => {
    const { evaluate, onDisk } = node();
    await evaluate(task(3));
    await evaluate(task(6));
    expect(await onDisk()).toEqual([expect.stringMatching(/^6-/)]);
  });
});

describe('an evaluation without privacy', () => {
  test('is exact, of what the agreement names, and is in the ledger all the same', async () => {
    const { evaluate, happened, sent, fate } = node(open);
    fate.quote = { metrics: ['auc'] };
    await evaluate(task(1));
    expect(happened).toEqual(['measured', 'charged 1 for auc with 1 on disk', 'sent 1']);
    expect(sent[0]!.evaluation).toEqual({ metrics: { auc: 0.75 } });
  });
});
