import type { Account, OperatorClient, UsageRequestBody } from '@foedus/connector/operator-client';
import { epsilonOf, histogramEvent, type SessionPlan, subsampledGaussian } from '@foedus/fl-core';
import { describe, expect, test } from 'vitest';
import { createCharging } from './charge.ts';

const noise = { bins: 16, noiseMultiplier: 6 };
const plan = {
  sessionId: 's1',
  purpose: 'urn:research',
  label: { column: 'delay' },
  features: [],
  evaluation: { metrics: ['auc'], every: 3, noise },
  local: { samplingRate: 0.1, steps: 5 },
  privacy: { unit: 'record', noiseMultiplier: 1, delta: 1e-5 },
  secureAggregation: null,
} as unknown as SessionPlan;
const round = subsampledGaussian({ noiseMultiplier: 1, samplingRate: 0.1, steps: 5 });
const use = (number: number, of: SessionPlan = plan) => ({
  agreementId: 'urn:a',
  plan: of,
  planHash: 'a'.repeat(64),
  modelHash: 'b'.repeat(64),
  round: number,
});

/** An account of committed rounds and evaluations, charged as their composition asks. */
function accountOf(rounds: readonly number[], evaluations: readonly number[]): Account {
  const entry = (key: string, basis: object, epsilon: number) => ({
    id: key,
    agreementId: 'urn:a',
    key,
    state: 'committed',
    basis,
    charges: [{ meter: 'epsilon', amount: epsilon, limit: null }],
    createdAt: '2026-01-01T00:00:00Z',
  });
  const events = [...rounds.map(() => round), ...evaluations.map(() => histogramEvent(noise))];
  const epsilon = events.length === 0 ? 0 : epsilonOf(events, 1e-5).epsilon;
  const keys = [...rounds.map((n) => `train/s1/${n}`), ...evaluations.map((n) => `evaluate/s1/${n}`)];
  return {
    agreementId: 'urn:a',
    sequence: keys.length,
    spent: { uses: 0, rounds: rounds.length, epsilon, rows: 0, bytes: 0 },
    limits: { uses: null, rounds: null, epsilon: null, delta: null, rows: null, bytes: null },
    entries: keys.map((key, i) => entry(key, events[i]!, epsilon / keys.length)),
  } as unknown as Account;
}

/** A connector that permits metrics of these names, and what it was asked. */
function connectorWith(account: Account, allowed: readonly string[] = ['auc', 'logLoss']) {
  const asked: UsageRequestBody[] = [];
  const connector = {
    account: async () => account,
    decide: async (_: string, request: UsageRequestBody) => {
      asked.push(request);
      const permit = request.training!.metrics.every((metric) => allowed.includes(metric));
      return { permit, reasons: permit ? [] : ['Not allowed.'] };
    },
    reserve: async () => Promise.reject(new Error('nothing is charged here')),
    presentHead: async () => Promise.reject(new Error('nothing is presented here')),
  } as unknown as Pick<OperatorClient, 'account' | 'decide' | 'reserve' | 'presentHead'>;
  return { charging: createCharging(connector), asked };
}

describe('an evaluation', () => {
  test('is asked for as what it is: no round, all that a histogram tells, and the ε that it adds to the rest', async () => {
    const { charging, asked } = connectorWith(accountOf([1, 2, 3], []));
    const quote = await charging.quoteEvaluation(use(3));
    expect(quote).toMatchObject({ metrics: ['auc', 'logLoss'], reason: '', isCharged: false });
    const { epsilon, delta } = asked[0]!.training!.privacyLoss!;
    const history = [round, round, round];
    expect(delta).toBe(1e-5);
    expect(epsilon).toBeCloseTo(
      epsilonOf([...history, histogramEvent(noise)], delta).epsilon - epsilonOf(history, delta).epsilon,
      9,
    );
    expect(quote.privacy!.epsilonSpent).toBeCloseTo(epsilonOf([...history, histogramEvent(noise)], delta).epsilon, 9);
    expect(asked[0]!.training).toMatchObject({ evaluation: true, cohort: 1, privacyUnit: 'record' });
  });

  test('costs a round that follows as much as the composition of all of them asks', async () => {
    const { charging, asked } = connectorWith(accountOf([1, 2, 3], [3]));
    await charging.quote({ ...use(4), cohort: 3 });
    const before = [round, round, round, histogramEvent(noise)];
    const added = epsilonOf([...before, round], 1e-5).epsilon - epsilonOf(before, 1e-5).epsilon;
    expect(asked[0]!.training!.privacyLoss!.epsilon).toBeCloseTo(added, 9);
    expect(asked[0]!.training!.metrics).toEqual([]);
    expect(asked[0]!.training!.evaluation).toBeUndefined();
    expect(asked[0]!.training!.privacyUnit).toBe('record');
  });

  test.each([
    ['of a round that this node took no part in', [1, 2], [], 3, /took no part in round 3/],
    ['sooner than the plan says', [1, 2, 3], [1], 2, /after every 3 rounds: none is due/],
  ])('%s is nothing that a coordinator can make a node pay for', async (_, rounds, evaluations, asked, reason) => {
    const { charging } = connectorWith(accountOf(rounds, evaluations));
    const quote = await charging.quoteEvaluation(use(asked));
    expect(quote.metrics).toEqual([]);
    expect(quote.reason).toMatch(reason);
  });

  test('that was charged before is known, and can be asked for again', async () => {
    const { charging } = connectorWith(accountOf([1, 2, 3], [3]));
    expect(await charging.quoteEvaluation(use(3))).toMatchObject({ isCharged: true, metrics: ['auc', 'logLoss'] });
  });

  test('is all or nothing as a histogram, and metric by metric without privacy', async () => {
    const account = accountOf([1, 2, 3], []);
    const noised = connectorWith(account, ['auc']);
    expect(await noised.charging.quoteEvaluation(use(3))).toMatchObject({ metrics: [], reason: 'Not allowed.' });
    const evaluation = { ...plan.evaluation, metrics: ['auc', 'logLoss'], noise: null };
    const exact = connectorWith(account, ['auc']);
    const quote = await exact.charging.quoteEvaluation(use(3, { ...plan, privacy: null, evaluation } as SessionPlan));
    expect(quote.metrics).toEqual(['auc']);
    for (const { training } of exact.asked) expect(training).toMatchObject({ privacyLoss: null, privacyUnit: null });
  });
});
