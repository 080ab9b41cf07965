/** Sessions that hide whole organisations: what the model gets is the mean with noise, and what each ledger is charged. */
import { FoedusError } from '@foedus/connector/errors';
import type { StartTrainer } from '@foedus/fl-client';
import type { SessionView } from '@foedus/fl-coordinator';
import {
  aboutRecords,
  epsilonOf,
  initialParameters,
  parameterCount,
  type PrivacyEvent,
  readUpdate,
  roundEvent,
  secureTask,
  subsampledGaussian,
} from '@foedus/fl-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFederation, type Federation, type Partner, plan as base } from './federation.ts';
import { enrolled, hasEnded, histogram, running, scriptedMember, startSession, type Run } from './secure-member.ts';

let federation: Federation;
beforeAll(async () => {
  federation = await createFederation(['bdl', 'pvd', 'tul', 'bos']);
});
afterAll(async () => {
  await federation?.[Symbol.asyncDispose]();
});

const CLIP = 2;
const NOISE = 1;
const COLLUDING = 1;
const MINIMUM = 3;
const DELTA = 1e-5;
const model = { ...base.model, hidden: [256] };
const P = parameterCount({ features: base.features, model });
const draft = {
  rounds: 1,
  model,
  privacy: {
    unit: 'organisation' as const,
    adjacency: 'replace-one' as const,
    noiseMultiplier: NOISE,
    colluding: COLLUDING,
    delta: DELTA,
  },
  secureAggregation: { mode: 'honest-server' as const, clip: CLIP },
  minimumCohort: MINIMUM,
};

/** Of this L2 norm, in another direction for each seed. */
function updateOf(norm: number, seed: number): Float32Array {
  const raw = Float64Array.from({ length: P }, (_, i) => Math.sin(seed * 17 + i * (seed + 1)));
  const factor = norm / Math.hypot(...raw);
  return Float32Array.from(raw, (value) => value * factor);
}
const clipped = (update: Float32Array): Float64Array => {
  const factor = Math.min(1, CLIP / Math.hypot(...update));
  return Float64Array.from(update, (value) => value * factor);
};
const meanOf = (updates: readonly Float32Array[], members: number): Float64Array =>
  Float64Array.from({ length: P }, (_, i) => updates.reduce((sum, update) => sum + clipped(update)[i]!, 0) / members);

const training =
  (update: () => Float32Array): StartTrainer =>
  async () => ({
    trainRound: async () => ({ update: update(), seconds: 0.01 }),
    evaluate: async () => ({ auc: null, logLoss: null }),
    histogram: async () => histogram,
    [Symbol.asyncDispose]: async () => {},
  });

async function movedBy({ coordinator }: Run, { id, plan }: SessionView): Promise<Float64Array> {
  const response = await coordinator.call('GET', `/api/sessions/${id}/model`);
  const expected = { sessionId: plan.sessionId, kind: 'model' } as const;
  const { parameters } = await readUpdate(response.body!, { maxCount: P, expected });
  const initial = initialParameters(plan);
  return Float64Array.from(parameters, (value, i) => value - initial[i]!);
}

/** What every member's ledger must hold for a round that so many began. */
function chargeOf({ plan }: SessionView, members: number): PrivacyEvent {
  const hash = '0'.repeat(64);
  const policies = Array.from({ length: members }, (_, i) => [`did:web:p${i}.example`, hash] as const);
  const about = { plan, planHash: hash, round: 1, modelHash: hash, policies, minimumCohort: MINIMUM };
  return roundEvent(plan, secureTask(about).terms)!;
}

/**
 * P independent values of this variance, by their sum of squares: chi-squared with P degrees of freedom but for the noise
 * being of integers, thousands of steps wide. Laurent and Massart 2000, lemma 1, at e^−x = 5·10⁻⁷ on each side; the mean
 * at 5 standard deviations. False alarms: fewer than 2 in a million.
 */
function expectNoise(values: Float64Array, variance: number): void {
  const x = Math.log(2e6);
  const squares = values.reduce((sum, value) => sum + value ** 2, 0) / variance;
  expect(squares).toBeGreaterThan(P - 2 * Math.sqrt(P * x));
  expect(squares).toBeLessThan(P + 2 * Math.sqrt(P * x) + 2 * x);
  const mean = values.reduce((sum, value) => sum + value, 0) / P;
  expect(Math.abs(mean)).toBeLessThan(5 * Math.sqrt(variance / P));
}

/** Of the mean over so many survivors: each adds a share, of which the fewest honest ones have z·C together. */
const varianceOfMean = (survivors: number): number => (NOISE * CLIP) ** 2 / ((MINIMUM - COLLUDING) * survivors);

const accountOf = ({ operator, agreementId }: Partner) => operator.account(agreementId);

describe('a session that hides organisations', () => {
  test('moves the model by the mean of the clipped updates and noise of the variance planned; ledgers hold its ε', async () => {
    const partners = await federation.agree({ privacyUnit: 'organisation' });
    // The third is clipped; the fourth diverges, which nobody may learn: it adds nothing but noise.
    const updates = [updateOf(0.5, 1), updateOf(1.5, 2), updateOf(40, 3)];
    const diverges = (): never => {
      throw new FoedusError('training-diverged', 'A parameter is no finite number any more.');
    };
    await using run = await running(federation, partners, [
      ...updates.map((update) => training(() => update)),
      training(diverges),
    ]);
    const id = await startSession(run, draft, partners);
    const done = await run.coordinator.until(id, hasEnded);
    expect(done).toMatchObject({ state: 'completed', roundsDone: 1 });
    const statuses = Object.values(done.rounds[0]!.contributions).map(({ status }) => status);
    expect(statuses).toEqual(Array.from(partners, () => 'received'));
    const mean = meanOf(updates, 4);
    const noise = (await movedBy(run, done)).map((value, i) => value - mean[i]!);
    expectNoise(noise, varianceOfMean(4));

    const event = chargeOf(done, 4);
    const { epsilon } = epsilonOf([event], DELTA);
    for (const partner of partners) {
      const account = await accountOf(partner);
      expect(account.spent.epsilon).toBeCloseTo(epsilon, 12);
      expect(account.entries).toHaveLength(1);
      expect(account.entries[0]).toMatchObject({
        state: 'committed',
        basis: { ...event, secureAggregation: 'honest-server' },
      });
      // What the coordinator is told, and shows.
      const told = done.participants.find(({ participantId }) => participantId === partner.participantId)!.privacy;
      expect(told).toEqual({ epsilonSpent: account.spent.epsilon, epsilonLimit: 50, delta: DELTA });
    }
    const { partners: promised } = (await (
      await run.coordinator.call('GET', `/api/sessions/${id}/promise`)
    ).json()) as { partners: { byRound: { epsilon: number }[] }[] };
    expect(promised.map(({ byRound }) => byRound.at(-1)!.epsilon)).toEqual(
      partners.map(() => expect.closeTo(epsilon, 12)),
    );
  });

  test('is charged on top of what rows have paid under the agreement, and refused where the budget has not that much', async () => {
    const partners = await federation.agree({});
    await using run = await running(
      federation,
      partners,
      partners.map((_, i) => training(() => updateOf(1, i))),
    );
    const rows = await startSession(
      run,
      { rounds: 1, model, secureAggregation: null, privacy: base.privacy },
      partners,
    );
    await run.coordinator.until(rows, hasEnded);
    const id = await startSession(run, draft, partners);
    const done = await run.coordinator.until(id, hasEnded);
    expect(done).toMatchObject({ state: 'completed' });
    const { steps, samplingRate } = base.local;
    const before = subsampledGaussian({ noiseMultiplier: 1, samplingRate, steps });
    const { epsilon } = epsilonOf([before, aboutRecords(chargeOf(done, 4))], DELTA);
    for (const partner of partners) expect((await accountOf(partner)).spent.epsilon).toBeCloseTo(epsilon, 9);
    await expect(
      run.coordinator.plan({ ...draft, rounds: 50, evaluation: { holdOut: 0, salt: 's', metrics: [] } }, partners),
    ).rejects.toThrow(/conflict: .*the agreement allows 50/);
  });

  test('is not planned with metrics, without masks, or with as many colluding as may be left', async () => {
    const partners = await federation.agree({});
    await using coordinator = await federation.coordinator();
    const evaluation = { holdOut: 0.2, salt: 's', metrics: [] };
    const planned = (change: object) => coordinator.plan({ ...draft, evaluation, ...change }, partners);
    await expect(planned({ evaluation: { ...evaluation, metrics: ['auc'] } })).rejects.toThrow(
      /leave evaluation.metrics empty/,
    );
    await expect(planned({ secureAggregation: null })).rejects.toThrow(
      /Plan secure aggregation, or privacy of records/,
    );
    await expect(planned({ privacy: { ...draft.privacy, colluding: 3 } })).rejects.toThrow(
      /larger minimum cohort|larger cohort/,
    );
    await expect(planned({ privacy: { ...draft.privacy, adjacency: 'add-remove' } })).rejects.toThrow(
      /plan replace-one/,
    );
  });
});

describe('a member that drops out of such a session', () => {
  test('takes its noise along: what is left is what was charged for', async () => {
    const partners = await federation.agree({});
    const updates = [updateOf(0.5, 1), updateOf(1.5, 2), updateOf(1, 3)];
    await using run = await running(
      federation,
      partners.slice(0, 3),
      updates.map((update) => training(() => update)),
      { awayAfterSeconds: 0.5 },
    );
    const id = await startSession(run, draft, partners);
    await using dropout = await scriptedMember(await enrolled(partners[3]!, id), 1);
    await dropout.upTo('shares');
    const done = await run.coordinator.until(id, hasEnded);
    expect(done).toMatchObject({ state: 'completed', roundsDone: 1 });
    const mean = meanOf(updates, 3);
    const noise = (await movedBy(run, done)).map((value, i) => value - mean[i]!);
    expectNoise(noise, varianceOfMean(3));
    const { epsilon } = epsilonOf([chargeOf(done, 4)], DELTA);
    for (const partner of partners.slice(0, 3))
      expect((await accountOf(partner)).spent.epsilon).toBeCloseTo(epsilon, 12);
    expect((await accountOf(partners[3]!)).spent.epsilon).toBe(0);
  });

  test('leaves too few: the round has no output, and costs those who sent no more than it says', async () => {
    const partners = (await federation.agree({})).slice(0, 3);
    await using run = await running(
      federation,
      partners.slice(0, 2),
      partners.slice(0, 2).map((_, i) => training(() => updateOf(1, i))),
      { awayAfterSeconds: 0.5 },
    );
    const id = await startSession(run, draft, partners);
    {
      await using dropout = await scriptedMember(await enrolled(partners[2]!, id), 1);
      await dropout.upTo('shares');
    }
    const isAbandoned = ({ rounds }: SessionView): boolean => rounds.some(({ phase }) => phase === 'abandoned');
    const view = await run.coordinator.until(id, isAbandoned);
    expect(view.roundsDone).toBe(0);
    await run.coordinator.session('POST', `/api/sessions/${id}/stop`, {});
    const { epsilon } = epsilonOf([chargeOf(view, 3)], DELTA);
    for (const partner of partners.slice(0, 2)) {
      const { entries, spent } = await accountOf(partner);
      expect(entries.filter(({ key }) => key === `train/${id}/1`)).toHaveLength(1);
      expect(spent.epsilon).toBeLessThanOrEqual(
        epsilonOf(
          entries.map(() => chargeOf(view, 3)),
          DELTA,
        ).epsilon + 1e-12,
      );
      expect(spent.epsilon).toBeGreaterThanOrEqual(epsilon - 1e-12);
    }
  });
});
