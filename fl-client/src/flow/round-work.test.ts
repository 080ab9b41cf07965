import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Identity } from '@foedus/connector/identity';
import type { SignedHead } from '@foedus/connector/operator-client';
import {
  type Refusal,
  type RecordPrivacy,
  type SessionPlan,
  parameterCount,
  planHash,
  sessionPlanSchema,
} from '@foedus/fl-core';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { flightsDraft } from '../../../fl-core/src/session/plan.test-data.ts';
import type { Charging, EvaluationCharging } from './charge.ts';
import type { CoordinatorClient } from './coordinator-client.ts';
import { createRoundWork } from './round-work.ts';

const privacy: RecordPrivacy = {
  unit: 'record',
  adjacency: 'add-remove',
  noiseMultiplier: 0.5,
  clipNorm: 1,
  delta: 1e-5,
};
const plan = sessionPlanSchema.parse({
  ...flightsDraft,
  privacy,
  secureAggregation: null,
  minimumCohort: 1,
  evaluation: { holdOut: 0.2, salt: 's', metrics: ['auc'], noise: { bins: 2, noiseMultiplier: 1 } },
});
const parameters = parameterCount(plan);
const train = { kind: 'train', seq: 1, round: 1, modelHash: 'a'.repeat(64), cohort: 1 } as const;
const evaluate = { kind: 'evaluate', seq: 2, round: 1, modelHash: 'a'.repeat(64) } as const;
const never = new AbortController().signal;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foedus-round-work-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** A node under one plan; `beforeCharge` happens once what is to be released is on its disk. */
function node(of: SessionPlan, beforeCharge: () => void = () => {}) {
  const charged: string[] = [];
  const sent: string[] = [];
  const refused: Refusal[] = [];
  const head = { head: {} } as SignedHead;
  const noise = (): string => String((of.privacy as RecordPrivacy).noiseMultiplier);
  const take = async (what: string): Promise<SignedHead> => {
    beforeCharge();
    charged.push(`${what} at noise ${noise()}`);
    return head;
  };
  const charging: Charging & EvaluationCharging = {
    quote: async () => ({ request: { action: 'train' }, isPermitted: true, isCharged: false, privacy: null }),
    charge: () => take('update'),
    quoteEvaluation: async () => ({ metrics: ['auc', 'logLoss'], reason: '', isCharged: false, privacy: null }),
    chargeEvaluation: () => take('evaluation'),
    present: () => Promise.reject(new Error('no head is held elsewhere')),
  };
  const coordinator: Pick<CoordinatorClient, 'model' | 'upload' | 'evaluate' | 'refuse' | 'phase'> = {
    model: async () => new Float32Array(parameters),
    upload: async () => void sent.push('update'),
    evaluate: async (_round, { histogram, reason }) => void sent.push(histogram === undefined ? reason! : 'histogram'),
    refuse: async (_round, refusal) => void refused.push(refusal),
    phase: async () => {},
  };
  const work = createRoundWork({
    plan: of,
    planHash: planHash(of),
    agreementId: 'urn:agreement',
    modelHash: 'c'.repeat(64),
    identity: {} as Identity,
    agreementHash: async () => 'd'.repeat(64),
    coordinator: coordinator as CoordinatorClient,
    charging,
    folder,
    trainer: {
      trainRound: async () => ({ update: new Float32Array(parameters), seconds: 1 }),
      evaluate: async () => ({ auc: 0.5, logLoss: 0.5 }),
      histogram: async () => ({ negatives: [1, 1], positives: [1, 1] }),
      [Symbol.asyncDispose]: async () => {},
    },
    logger: pino({ level: 'silent' }),
  });
  return { work, charged, sent, refused };
}

/** The node is told to stop when what it is about to charge lies on its disk. */
async function cutOff(work: (signal: AbortSignal, stop: () => void) => Promise<void>): Promise<void> {
  const ended = new AbortController();
  await work(ended.signal, () => {
    ended.abort(new Error('the transfer is suspended'));
    ended.signal.throwIfAborted();
  }).catch(() => undefined);
}

// A coordinator that has its transfer suspended and started again is asked for its plan anew, and may tell another one
// for the same session: with more noise, which is cheaper.
const cheaper: SessionPlan = {
  ...plan,
  privacy: { ...privacy, noiseMultiplier: 500 },
  evaluation: { ...plan.evaluation, noise: { bins: 2, noiseMultiplier: 5_000 } },
};

test('an update that was made under one plan is never sent at the price of another', async () => {
  await cutOff((signal, stop) => node(plan, stop).work.train(train, signal, signal));
  expect(await readdir(folder)).toHaveLength(1);
  const again = node(cheaper);
  await again.work.train(train, never, never);
  expect(again).toMatchObject({ charged: [], sent: [], refused: [{ code: 'already-released' }] });
  // Under its own plan it goes out at its own price.
  const before = node(plan);
  await before.work.train(train, never, never);
  expect(before).toMatchObject({ charged: ['update at noise 0.5'], sent: ['update'] });
});

test('an evaluation that was made under one plan is never sent at the price of another', async () => {
  await cutOff((signal, stop) => node(plan, stop).work.evaluate(evaluate, signal));
  expect(await readdir(folder)).toHaveLength(1);
  const again = node(cheaper);
  await again.work.evaluate(evaluate, never);
  expect(again).toMatchObject({ charged: [], sent: [expect.stringMatching(/paid for, not two/)] });
  const before = node(plan);
  await before.work.evaluate(evaluate, never);
  expect(before).toMatchObject({ charged: ['evaluation at noise 0.5'], sent: ['histogram'] });
});
